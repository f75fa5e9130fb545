"""Workers that are started by hand, without any queue, and what a search makes of them."""

import signal
import warnings

import pytest
import sites
import trial as trials
import unseen

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


RUN = ("run", "s.yaml", "--executor", "workers")


@pytest.fixture
def trial(tmp_path):
    one = trials.Trial(tmp_path / "study", 2, 0.9)
    one.is_to_be_tuned()
    return one


def test_a_search_is_executed_by_workers_and_goes_on_where_its_command_was_killed(trial):
    worker = sites.start_worker(
        trial.folder / "results" / "s" / "workers", "--workers", "2", environment=trials.FAST
    )  # fmt: skip
    try:
        killed = trial.start("tune", "s.yaml", "--executor", "workers")
        trial.some_ran(3)
        killed.kill()
        killed.communicate()
        done = trial.call("tune", "s.yaml", "--executor", "workers")
    finally:
        sites.kill(worker)
        worker.wait()
    trial.check_tuned(done)


def mailbox_of(trial):
    return (trial.folder / trial.db).parent / "s" / "workers"


def worker_of(trial, *words, environment=None, **how):
    return sites.start_worker(mailbox_of(trial), *words, environment={**trials.FAST, **(environment or {})}, **how)


def test_late_words_of_a_worker_that_was_stopped_beside_one_that_was_killed_change_nothing(tmp_path):
    one = trials.Trial(tmp_path / "study", 10, 0.6)
    killed, stopped = workers = [worker_of(one, "--workers", "2") for _ in range(2)]
    try:
        running = one.start(*RUN)
        one.some_ran(8, running)
        sites.kill(killed)
        sites.tell_all(stopped, signal.SIGSTOP)
        one.until(lambda: not list((mailbox_of(one) / "alive").glob("[!.]*")), running)
        one.until(lambda: "lost" in one.reasons(), running)
        sites.tell_all(stopped, signal.SIGCONT)
        assert stopped.wait(trials.HANGS_S) == 0, "it finds out that nobody believes in it any more"
        workers.append(worker_of(one, "--workers", "2"))
        out, err = running.communicate(timeout=trials.HANGS_S)
    finally:
        for worker in workers:
            sites.kill(worker)
            worker.wait()
    assert running.returncode == 0, err
    one.check(out, lost=4)


def refused(one, why, **how):
    """A worker that is not as the plan wants it: what it says is one line, the dispatcher says it too, and no run is
    spent."""
    running = one.start(*RUN)
    try:
        one.until((mailbox_of(one) / "plan.json").exists, running)
        worker = worker_of(one, "--wait", "1", **how)
        assert worker.wait(trials.HANGS_S) == 2
    finally:
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=trials.HANGS_S)
    said = (mailbox_of(one).parent / "worker.txt").read_text()
    assert why in said
    assert len([line for line in said.splitlines() if line.strip()]) <= 3, "that it waits, why it ends, a page"
    assert (one.executions, one.reasons()) == (0, [])
    return told


def test_a_worker_with_another_torch_is_refused(tmp_path):
    one = trials.Trial(tmp_path / "study", 2, 0.1)
    environment = trials.another_torch(one.folder)
    assert "torch 9.9.9, the plan " in refused(one, "torch 9.9.9, the plan ", environment=environment)


@pytest.mark.parametrize("db", ["results/ablate.db", "../elsewhere/ablate.db"], ids=["mailbox", "study"])
def test_a_worker_that_does_not_see_a_folder_is_refused(tmp_path, db):
    one = trials.Trial(tmp_path / "study", 2, 0.1, db=db)
    why = unseen.why_not(tmp_path)
    if why:
        warnings.warn(f"no worker was started that does not see a folder: {why}", stacklevel=1)
        pytest.skip(why)
    told = refused(one, "mount it at the same path", unseen=one.folder)
    assert db.startswith("results") or f"it does not see {one.folder}" in told
