"""What a child makes of what a task gives."""

import pytest

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
