"""What a child makes of what a task gives."""

from types import SimpleNamespace

import pytest

from ablate.errors import PausedError
from ablate.pool import returned, worker
from ablate.pool.reasons import BadResultError, DivergedError, reason_of
from ablate.pool.returned import numbers
from ablate.records import RunSpec, TaskUse
from ablate.registry import Registry
from ablate.training.task import Run
from ablate.training.tasks.function import FunctionTask


def test_numbers_of_any_library_become_floats():
    import numpy as np

    assert ({"a": 1.0, "b": 0.5}, {}) == numbers({"a": 1, "b": np.float32(0.5)})


def test_nested_metrics_get_dots_and_texts_are_kept_apart():
    assert ({"dev.acc": 0.5}, {"note": "warm"}) == numbers({"dev": {"acc": 0.5}, "note": "warm"})


@pytest.mark.parametrize("result", [None, 3, [1], "x", {1: 2}, {"a": None}, {"a": [1, 2]}])
def test_what_is_no_set_of_metrics_is_a_bad_result(result):
    with pytest.raises(BadResultError):
        numbers(result)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "oom"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "oom"),
        (RuntimeError("shapes do not match"), "error"),
        (SystemExit(0), "error"),
    ],
)
def test_the_reason_is_told_from_what_was_raised(error, reason):
    assert reason == reason_of(error)


def test_what_a_run_executed_is_told_but_for_what_was_planned_and_what_was_written_on_the_way(monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/tmp")
    spec = SimpleNamespace(sources={"/w/s/mine.py": "a"}, folder="/w/s/run", cache="/w/s/cache", path=("/w/s",))
    files = ("/w/s/mine.py", "/w/other/late.py", "/w/s/run/made.py", "/w/s/cache/x.py", "/tmp/torchinductor_me/k.py")
    assert {"../other/late.py": "h"} == worker._unplanned(spec, dict.fromkeys(files, "h"))
    spec.path = ("/tmp/s",)
    assert "../torchinductor_me/k.py" in worker._unplanned(spec, dict.fromkeys(files, "h"))


class Asked:
    """A task of the user's in a worker: what it logged, and how it ended."""

    def __init__(self, function, pause="", metric=""):
        spec = RunSpec("k", TaskUse.of("m:f"), {}, (), 0, 1, "f", "c", metric=metric)
        self.run, self.said = Run(spec, Registry()), []
        task = FunctionTask("m:f")
        object.__setattr__(task, "_load", lambda: lambda config, run: function(run))
        self.told = returned.ToldToEnd(1.0)
        asked = iter([pause])
        self.values = returned.values_of(task, self.run, self.said.append, lambda: next(asked, ""), self.told)


def test_what_a_run_logs_is_a_curve_and_its_last_numbers_a_result():
    def returned(run):
        run.log(1, loss=3.0, accuracy=1)
        run.log(5, loss=2.0, broken=float("nan"))
        return {"accuracy": 9.0}

    ran = Asked(returned)
    assert [(1, {"loss": 3.0, "accuracy": 1.0}), (5, {"loss": 2.0})] == [(one.step, one.values) for one in ran.said]
    assert {"loss": 2.0, "accuracy": 9.0} == ran.values


def test_a_number_that_the_study_asks_for_and_that_is_not_finite_ends_the_run_where_it_is_logged():
    with pytest.raises(DivergedError, match="metric 'loss' is nan"):
        Asked(lambda run: run.log(1, loss=float("nan")) or {}, metric="loss")


def test_a_function_that_stops_when_it_is_asked_to_has_no_result_and_one_that_does_not_look_has():
    def looks(run):
        return {"steps": 0 if run.should_stop else 9}

    with pytest.raises(PausedError, match="given up"):
        Asked(looks, pause="given up")
    assert {"steps": 9.0} == Asked(looks).values
    assert {"steps": 1.0} == Asked(lambda _: {"steps": 1}, pause="given up").values
    ran = Asked(looks)
    assert ran.told.by_steps, "SIGTERM does not tear it out of a step"
