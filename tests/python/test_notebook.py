"""A notebook, executed cell by cell by a real kernel; and the documented calls in a project of a user's, under mypy."""

import re
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from snippets import MANUAL, ROOT, blocks

pytestmark = pytest.mark.slow

CELLS = [
    """import torch
used = torch.randn(1500, 1500) @ torch.randn(1500, 1500)  # torch has started its threads
import time
import ablate
LEVEL = 50.0""",
    """class Noise:
    scale = 1.0

    def draw(self, run):
        return self.scale * (run.seed_for("noise") % 1000) / 1000""",
    """%matplotlib inline
def train(config, run):
    time.sleep(config["pause"] * run.seed)
    for step in range(2):
        yield {"accuracy": LEVEL + 5 * config["mixup"] + Noise().draw(run) * (1 + config["mixup"]) + step}

def made(pause=0.0):
    return ablate.study(
        train, base={"mixup": 0, "pause": pause}, tricks={"<b>mixup</b>": {"mixup": 1}}, seeds=3, metric="accuracy"
    )

made().plan()""",
    "results = made().run(workers=2)\nresults",
    "results.figure('effects')",
]
INTERRUPTED = """import os, signal, threading
threading.Timer(6, os.kill, [os.getpid(), signal.SIGINT]).start()
made(pause=10.0).run(workers=4)"""


def executed(folder, cells, *, allow_errors=False):
    """The outputs of each cell, in a kernel of its own."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(book, timeout=300, allow_errors=allow_errors, resources={"metadata": {"path": str(folder)}})
    return [cell.outputs for cell in client.execute().cells]


def page(output):
    return output.data["text/html"]


def test_a_notebook_from_its_first_cell_to_a_restarted_kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("EXECUTED", str(tmp_path / "executed"))
    *_, (plan,), (progress, table), (figure,) = executed(tmp_path, CELLS)
    assert "6 runs: 0 done, 6 to do" in plan.data["text/plain"]
    assert "6 runs: 6 done, 0 to do" in progress.data["text/plain"]
    assert "<caption>train: ablation by accuracy</caption>" in page(table)
    assert "&lt;b&gt;mixup&lt;/b&gt;" in page(table)
    assert "<b>mixup" not in page(table)
    assert 'src="data:image/svg+xml;base64,' in page(figure)

    restarted = executed(tmp_path, [*CELLS[:3], "LEVEL = 51.0\nmade().plan()", INTERRUPTED, "made(pause=10.0).plan()"], allow_errors=True)  # fmt: skip
    assert "6 runs: 6 done, 0 to do" in restarted[2][0].data["text/plain"]
    changed = restarted[3][0].data["text/plain"]
    assert "6 runs: 0 done, 6 to do" in changed
    assert "6 finished runs are not reused: train_code.py was edited" in changed
    assert "KeyboardInterrupt" == restarted[4][-1].ename
    assert "6 runs: 2 done, 4 to do" in restarted[5][0].data["text/plain"], "seed 0 pauses for no time"


def test_a_mistake_is_shown_without_a_traceback(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    _, (error,) = executed(tmp_path, ["import ablate", "ablate.study(base={'model': {'name': 'vg'}})"], allow_errors=True)  # fmt: skip
    assert "StudyError" == error.ename
    assert 3 >= len("\n".join(error.traceback).splitlines())


def test_the_documented_calls_pass_mypy_strict_in_a_project_of_a_users(tmp_path):
    code = next(block.text for block in blocks(MANUAL / "python.md") if block.info == "noisy.py")
    typed = code.replace("import numpy", "from collections.abc import Iterator\nfrom typing import Any\n\nimport numpy")
    typed = typed.replace("(config, seed)", "(config: dict[str, Any], seed: int) -> Iterator[float]")
    typed = typed.replace("(config, run)", "(config: dict[str, Any], run: Run) -> Iterator[dict[str, float]]")
    typed = typed.replace("import ablate\n", "import ablate\nfrom ablate.plugins import Run\n", 1)
    (tmp_path / "noisy.py").write_text(
        typed + "reveal_type(study)\nreveal_type(results.effects())\nablate.study(trick={})\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "noisy.py"], cwd=tmp_path, capture_output=True, text=True,
        env={"MYPYPATH": "", "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    assert re.search('Revealed type is "ablate.python.api.Study"', done.stdout), done.stdout
    assert re.search('Revealed type is "pandas.*DataFrame"', done.stdout)
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    assert ['noisy.py:56: error: Unexpected keyword argument "trick" for "study"; did you mean "tricks"?  [call-arg]'] == [re.sub(r":\d+:", ":56:", line, count=1) for line in errors]  # fmt: skip
