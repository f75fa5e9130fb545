"""The shelf of executors: one that is added is a file, and is used by its name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ablate

INLINE = '''"""In this very process, one run after the other: an executor in a page."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ablate.pool.executor import Executor, Failed, Finished, Started
from ablate.registry import Registry
from ablate.training.task import Run, resolve


@dataclass(eq=False)
class Inline(Executor):
    def open(self, setup, needs=None):
        self.events, self.path = [], setup.path
        return self

    def start(self, token, spec, slot, *, canary=False, alone=False):
        registry = Registry([Path(folder) for folder in spec.plugins])
        task = resolve(spec.task, registry, self.path)
        sys.path[:0] = self.path
        values = task.execute(Run(spec, registry))
        self.events += [Started(token, 1, 1), Finished(token, values, provenance={"executor": "inline"})]

    def poll(self, timeout_s):
        if not self.events:
            time.sleep(timeout_s)
        events, self.events = self.events, []
        return events

    def stop(self, token, reason, message):
        pass

    def close(self):
        pass
'''
STUDY = """
study: s
task: mine:score
base: {x: 1.0}
tricks: {more: {set: {x: 2.0}}}
seeds: 2
metric: {name: score, better: higher}
tune: {variant: base, trials: 2, fresh_seeds: 2, space: {x: {low: 0.0, high: 1.0}}}
"""


@pytest.fixture
def house(tmp_path):
    """A copy of ablate with one more file on the shelf, and a study beside it; a function that runs its commands."""
    package = tmp_path / "house" / "ablate"
    shutil.copytree(Path(ablate.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "pool" / "executors" / "inline.py").write_text(INLINE)
    (tmp_path / "s.yaml").write_text(STUDY)
    (tmp_path / "mine.py").write_text("def score(config, run):\n    return {'score': config['x'] + run.seed}\n")

    def call(*words):
        environment = {**os.environ, "PYTHONPATH": str(package.parent)}
        command = [sys.executable, "-m", "ablate", "--db", "a.db", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return call


def test_an_executor_is_one_file_more_and_runs_and_tunes_a_study_by_its_name(house):
    ran = house("run", "s.yaml", "--executor", "inline")
    assert 0 == ran.returncode, ran.stderr
    assert ran.stdout == house("table", "s").stdout
    assert ["executor", "inline"] in [line.split() for line in house("show", "base:0").stdout.splitlines()]
    tuned = house("tune", "s.yaml", "--workers", "1", "--executor", "inline")
    assert 0 == tuned.returncode, tuned.stderr
    assert "inline" in house("list", "executors").stdout


def test_an_executor_that_does_not_exist_is_told_before_anything_is_stored(house):
    refused = house("run", "s.yaml", "--executor", "loal")
    assert (2, "") == (refused.returncode, refused.stdout)
    told = "no executor is called 'loal'; there is inline, local, ray, slurm or workers. Did you mean 'local'?"
    assert f"ablate: {told}" in refused.stderr
    assert "there is no database" in house("table").stderr
