"""The README says what is so: its table is the committed one, its study plans, its mistake gets that message."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}(?: [^\n]+)?\n(.*?)```", README, re.DOTALL)


def plan(folder, text):
    (folder / "mine.yaml").write_text(text)
    command = [sys.executable, "-m", "ablate", "plan", "mine.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_study_in_the_readme_plans(tmp_path):
    done = plan(tmp_path, blocks("yaml")[0])
    assert (0, "") == (done.returncode, done.stderr)


def test_the_mistake_in_the_readme_gets_its_message(tmp_path):
    (shown,) = re.findall(r"^    (mine\.yaml:.*\n    .*\n    See .*)$", README, re.MULTILINE)
    said = plan(tmp_path, blocks("yaml")[0].replace("model.dropout", "model.dropuot")).stderr
    assert shown.replace("\n    ", " ") == said.strip().replace("\n", " ")


def test_the_table_in_the_readme_is_the_committed_one():
    committed = (ROOT / "results/batchnorm.md").read_text()
    table = committed.split("\n\n")[0]
    assert table in README


def test_every_command_in_the_readme_exists():
    from typer.main import get_command

    from ablate.terminal.cli import app

    commands = set(get_command(app).commands)
    assert set(re.findall(r"(?:^    |`)ablate ([a-z]+)", README, re.MULTILINE)) <= commands


def test_the_script_of_one_s_own_in_the_readme_is_a_recipe():
    assert blocks("text")[0] in (ROOT / "studies/examples/pytorch/pytorch.yaml").read_text()
