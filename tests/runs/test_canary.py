"""Two steps of every variant: one that fails comes last and stops no other, unless nothing is left to compare."""

from pathlib import Path

import pytest

from ablate.errors import AblateError
from ablate.pool.executor import Failed, Finished, Slot
from ablate.runs import canary
from ablate.runs.planned import find, specs

STUDY = """
task: train:main
base: {a: false, b: false}
tricks: {a: {set: {a: true}}, b: {set: {b: true}}}
designs: add_one_in
seeds: 2
metric: {name: score, better: higher}
"""


class Twice:
    """Ends what it starts at once; what `fails` names, with an error."""

    def __init__(self, fails):
        self.fails, self.events = fails, []

    def start(self, token, spec, slot, *, canary=False, alone=False):
        assert canary
        failed = Failed(token, "error", "no 2x2 pool")
        self.events.append(failed if token in self.fails else Finished(token, {}, {}))

    def poll(self, timeout_s):
        events, self.events = self.events, []
        return events


class Hears:
    def __init__(self):
        self.said = []

    def trying(self, done, of):
        pass

    def warn(self, text):
        self.said.append(text)


@pytest.fixture
def tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("def main(config, run):\n    return {'score': 1.0}\n")
    Path("s.yaml").write_text(STUDY)
    planned = find("s.yaml", "a.db", ())
    of = {run.key: run.variant for run in planned.plan.runs}
    heard = Hears()

    def of_failing(*names):
        wanted = canary.tried(
            planned, Twice(names), [Slot("cpu", 0)], specs(planned, tmp_path), {}, tmp_path, heard
        )  # fmt: skip
        return [of[key] for key in wanted], heard.said

    return of_failing


def test_runs_of_a_variant_that_fails_two_steps_come_last_and_the_others_are_trained(tried):
    order, (said,) = tried("base+a")
    assert ["base", "base+b", "base", "base+b", "base+a", "base+a"] == order
    assert "  base+a: error: no 2x2 pool\nThe other variants are trained" in said


def test_nothing_is_trained_where_no_comparison_is_left(tried):
    with pytest.raises(AblateError, match="nothing was trained"):
        tried("base")
    with pytest.raises(AblateError, match=r"(?s)base\+a: error.*base\+b: error"):
        tried("base+a", "base+b")
