"""Two executions of one run, number by number."""

from ablate.verify import Result, compare

THEN = Result({"acc": 90.0, "train_seconds": 3.0}, {("acc", 1): 80.0}, {"weights": "ab"})


def test_equal_numbers_and_hashes_are_bit_identical_whatever_they_cost():
    now = Result({"acc": 90.0, "train_seconds": 9.0}, {("acc", 1): 80.0}, {"weights": "ab"})
    assert "bit-identical" == compare(THEN, now).verdict


def test_numbers_that_differ_in_the_last_digits_are_told_from_different_ones():
    near = Result({"acc": 90.0}, {("acc", 1): 80.0000001}, {"weights": "cd"})
    assert ("rounding-level", ("weights",)) == (compare(THEN, near).verdict, compare(THEN, near).outputs)
    far = compare(THEN, Result({"acc": 90.0}, {("acc", 1): 80.5}, {"weights": "cd"}))
    assert ("different", ("acc at step 1: 80.0 then, 80.5 now",)) == (far.verdict, far.differing)


def test_a_number_that_is_missing_is_a_difference():
    assert "different" == compare(THEN, Result({"acc": 90.0}, {}, {"weights": "ab"})).verdict
    assert "different" == compare(Result({"a": 0.0}, {}, {}), Result({"a": 1e-9}, {}, {})).verdict


def test_other_weights_with_equal_numbers_are_not_bit_identical():
    assert "rounding-level" == compare(THEN, Result({"acc": 90.0}, THEN.curve, {"weights": "cd"})).verdict
