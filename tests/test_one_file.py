"""A trick, a task, a table format, a report format, a command: one new file on its shelf, and it is used like ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ablate

FILES = {
    "training/tricks/halved.py": '''
"""Halves the loss."""
from dataclasses import dataclass
from ablate.plugins import Trick

@dataclass(frozen=True)
class Halved(Trick):
    category = "optimization"

    def loss(self, loss, logits, targets, step):
        return loss / 2
''',
    "training/tasks/fall.py": '''
"""Falls."""
from dataclasses import dataclass
from ablate.plugins import Completed, Count, Meaning, Task

@dataclass(frozen=True)
class Fall(Task):
    count: Count = 1
    metrics = {"depth": Meaning("lower", "m")}

    def complete(self, config, tricks, registry):
        return Completed(config, config, (), {"fall": self.version})

    def execute(self, run):
        return {"depth": -self.count * run.config["speed"] + run.seed}
''',
    "tables/formats/names.py": '''
"""The names of the rows."""
from dataclasses import dataclass
from ablate.plugins import Format

@dataclass(frozen=True)
class Names(Format):
    endings = (".txt",)

    def render(self, data, options):
        return "".join(f"row {row.variant}\\n" for row in data.rows)
''',
    "reports/formats/titles.py": '''
"""The titles of a report."""
from dataclasses import dataclass
from ablate.reports.document import ReportFormat

@dataclass(frozen=True)
class Titles(ReportFormat):
    ending = ".txt"

    def files(self, document, name):
        return {name: "\\n".join(section.title for section in document.sections).encode()}
''',
    "terminal/commands/greeting.py": '''
"""The command greet."""
import typer

app = typer.Typer()

@app.command()
def greet() -> None:
    """Say hello.

    ablate greet
    """
    print("hello")
''',
}
FALLING = "task: {name: fall, count: 2}\nbase: {speed: 1.0}\ntricks: {fast: {set: {speed: 2.0}}}\nseeds: 2\n"
TRAINED = """
base:
  model: {name: vgg, width: 4, depth: 1}
  data: {name: synthetic, classes: 2, train_size: 16, dev_size: 16}
  epochs: 1
tricks: {halved: {use: halved}}
seeds: 1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Types a command of a copy of ablate that has one file more on each shelf."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(Path(ablate.__file__).parent, folder / "ablate", ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in FILES.items():
        assert not (folder / "ablate" / path).exists()
        (folder / "ablate" / path).write_text(text)
    (folder / "falling.yaml").write_text(FALLING)
    (folder / "trained.yaml").write_text(TRAINED)
    environment = {name: value for name, value in os.environ.items() if name != "ABLATE_DB"}
    environment["PYTHONPATH"] = str(folder)

    def command(*words):
        done = subprocess.run(
            [sys.executable, "-m", "ablate", *words], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    command.folder = folder
    command("run", "falling.yaml")
    return command


def test_a_task(run):
    assert "depth (m) ↓" in run("table", "falling")


def test_a_trick(run):
    assert "base+halved" in run("run", "trained.yaml")


def test_a_table_format(run):
    assert "row base+fast\nrow base\n" == run("table", "falling", "--format", "names")
    (run.folder / "kept.txt").write_text("row base+fast\nrow base\n")
    run("table", "falling", "--check", "kept.txt")
    assert "names" in run("list", "tables")


def test_a_report_format(run):
    run("report", "falling", "-o", "report.txt")
    assert "In short" == (run.folder / "report.txt").read_text().splitlines()[0]
    assert "html|latex|markdown|pdf|titles" in run("report", "--help")


def test_a_command(run):
    assert "hello\n" == run("greet")
    listed = [line.split()[0] for line in run("--help").splitlines() if line.startswith("  ") and line.strip()]
    assert listed.index("greet") == listed.index("help") + 1
