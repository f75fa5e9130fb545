"""Why a run is where it is, in words."""

from dataclasses import replace

from ablate.runs.why import because
from ablate.store.stored import AttemptRecord, LiveAttempt, RunState

LOST = AttemptRecord("t", "cpu", 0, "h", 2.0, "failed", "lost", "killed", "", None, "", {}, {}, False, {})
DONE = replace(LOST, outcome="done", reason=None, counted=True)
LIVE = LiveAttempt("t", "k", "h", "b", 1, 1, "1:1", "cpu", 0, 0.0, False, 3.0)


def test_a_done_run_names_the_attempt_that_counts():
    assert ["done: attempt 2 of 2 is the one that counts."] == because(RunState("done", None, 2), [LOST, DONE])


def test_a_failure_that_would_repeat_itself_says_so_and_how_to_try_again():
    failed, policy, again = because(RunState("failed", "diverged", 1), [replace(LOST, reason="diverged")])
    assert "failed: diverged: a metric was NaN or infinite." == failed
    assert "would only repeat itself" in policy
    assert "`ablate retry --failed --reason diverged` tries it again." == again


def test_a_run_that_was_retried_in_vain_says_how_often():
    assert "It was executed 3 times, and limits.attempts allows no more." in because(
        RunState("failed", "lost", 3), [LOST] * 3
    )


def test_a_run_to_do_says_whether_it_was_ever_tried():
    assert "it was not executed yet" in because(RunState("todo", None, 0), [])[0]
    assert "ended as lost" in because(RunState("todo", None, 1), [LOST])[0]


def test_a_running_run_is_told_from_a_lost_one():
    running = RunState("running", None, 0)
    assert "holds the lease" in because(running, [], LIVE, "held")[0]
    assert "are gone" in because(running, [], LIVE, "gone")[0]
    assert "its lease ended" in because(running, [], LIVE, "expired")[0]


def test_a_run_that_failed_elsewhere_names_the_line_of_its_file_and_no_retry():
    imported = replace(LOST, message="State is crashed", provenance={"imported": "w.csv", "line": 7})
    said = because(RunState("failed", "error", 1), [imported])
    assert "failed elsewhere: w.csv, line 7: State is crashed." == said[0]
    assert not any("retry" in line for line in said)
