"""A command executed here and now, as a worker would: no server, no database."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ablate.records import RunSpec, TaskUse
from ablate.registry import Registry
from ablate.training.task import Report, Run, resolve


def task_of(folder, command="python train.py {flags}", **keys):
    return resolve(TaskUse("command", {"command": command, **keys}), Registry(), [str(folder)])


class Ran:
    """values: what the run came to. curve: {(name, step): value}. told: its provenance. log: what it printed."""

    def __init__(self, folder, task, config=None, *, seed=0, metric="score", also=(), name="run"):
        own = folder / "runs" / name
        own.mkdir(parents=True, exist_ok=True)
        use, cache = TaskUse("command", {}), str(folder / "cache")
        spec = RunSpec(
            "k",
            use,
            config or {},
            (),
            seed,
            1,
            str(own),
            cache,
            metric=metric,
            also=tuple(also),
            sources=task.sources(),
        )
        self.run, self.folder, self.curve = Run(spec, Registry()), own, {}
        steps = task.execute(self.run)
        try:
            while True:
                given = next(steps)
                assert isinstance(given, Report)
                self.curve |= {(metric, given.number): value for metric, value in given.values.items()}
        except StopIteration as end:
            self.values = dict(end.value)
        self.told = self.run.provenance

    @property
    def log(self):
        return (self.folder / "log.txt").read_text()


PYTHON = sys.executable

ROOT = Path(__file__).parents[1]


def ablate(python, folder, *words):
    """The command in a process of its own, with the packages of `python`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, "-m", "ablate", *words], cwd=folder, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def python_with(folder, *packages):
    """A Python that has packages, beside all that this one has."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "base.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    command = [folder / "bin/python", "-m", "pip", "install", "--quiet", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{', '.join(packages)} cannot be installed: what takes them is NOT tested: {done.stderr}")
    return folder / "bin/python"
