"""Two executions of one run, number by number, and the noise floor that is kept of them."""

import contextlib
import json

from ablate.analysis.reruns import merged, sentences
from ablate.records import Metric
from ablate.runs.verify import Result, compare

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


def test_how_far_the_metrics_are_apart_is_kept_measured_costs_left_out():
    now = Result({"acc": 90.5, "train_seconds": 9.0}, {("acc", 1): 82.0}, {"weights": "ab"})
    assert ({"acc": 0.5}, {"acc": 2.0}) == (compare(THEN, now).end, compare(THEN, now).any_step)


def test_the_noise_floor_is_the_worst_of_all_reruns():
    one = merged(None, "bit-identical", False, {}, {})
    two = merged(merged(one, "different", False, {"acc": 0.2}, {"acc": 0.7}), "rounding-level", True, {"acc": 0.1}, {})
    assert {"times": 3, "verdict": "different", "elsewhere": True, "end": {"acc": 0.2}, "any_step": {"acc": 0.7}} == two
    assert [] == sentences([], Metric("acc"), [])
    assert ["Noise floor: 1 run was executed again, and came out bit-identical."] == sentences([one], Metric("acc"), [])
    (said,) = sentences([one, two], Metric("acc"), [])
    assert (
        "2 runs were executed again (some on another machine or with other libraries); 1 came out bit-identical" in said
    )
    assert said.endswith("and acc differed by up to 0.2.")
    assert sentences([two], Metric("acc", at="best"), [])[0].endswith("by up to 0.7 at any step.")


NOISY = """
import os, random

def main(config, run):
    rerun = os.environ.get("RERUN", "0")
    return {"score": config["a"] * 0.1 + random.Random(run.seed).gauss(0, 1) + 0.5 * float(rerun)}
"""


def test_verify_leaves_the_result_and_tells_the_table_how_far_a_rerun_is_apart(tmp_path, monkeypatch, capsys):
    from ablate.terminal import cli

    def ablate(*words):
        with contextlib.suppress(SystemExit):
            cli.main(["--db", "a.db", *words])
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    (tmp_path / "noisy_task.py").write_text(NOISY)
    (tmp_path / "noisy.yaml").write_text(
        "task: noisy_task:main\nbase: {a: 0}\ntricks: {ay: {set: {a: 1}}}\nseeds: 3\nmetric: {name: score}\n"
    )
    before = json.loads(ablate("run", "noisy.yaml") and ablate("table", "--format", "json"))
    assert "bit-identical" in ablate("verify", "base:0")
    monkeypatch.setenv("RERUN", "1")
    assert "different" in ablate("verify", "base:1")
    assert "executed again once: different: score by up to 0.5" in ablate("show", "base:1")
    after = json.loads(ablate("table", "--format", "json"))
    assert before["rows"] == after["rows"]
    (note,) = set(after["notes"]) - set(before["notes"])
    assert "Noise floor: 2 runs were executed again; 1 came out bit-identical, and score differed by up to 0.5." in note
    assert "That is more than the difference of" in note
