"""What a child makes of what a task gives."""

from types import SimpleNamespace

import pytest

from ablate.pool import worker
from ablate.pool.worker import BadResultError, numbers, reason_of


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
