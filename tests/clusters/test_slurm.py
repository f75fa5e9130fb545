"""A real Slurm of three nodes, and what happens to a study on it while nodes, jobs and dispatchers die."""

import signal
import warnings
from collections import Counter

import pytest
import slurm
import trial as trials
import unseen

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
RUN = ("run", "s.yaml", "--executor", "slurm")
IN_FLIGHT = 2
"""Runs at a time of a job, so those in flight on a node. Each may be executed once more where the node dies, for nobody
knows how far it was, and where its job is requeued or preempted, for Slurm sends SIGTERM to every process of a job, the
runs' own among them: these runs have no checkpoint, so they begin again (no attempt is spent on that)."""


@pytest.fixture(scope="module")
def cluster():
    why = slurm.missing()
    if why:
        warnings.warn(f"nothing was tried on Slurm: {why}", stacklevel=1)
        pytest.skip(why)
    with slurm.running() as one:
        yield one


@pytest.fixture
def trial(cluster, tmp_path):
    made = []

    def make(seeds=20, seconds=0.3):
        made.append(
            trials.Trial(tmp_path / "study", seeds, seconds, {"SLURM_CONF": str(cluster.folder / "slurm.conf")})
        )
        return made[-1]

    yield make
    cluster.call("scancel", "--quiet", "-u", cluster.user)
    made[0].until(lambda: not cluster.jobs())


def ended(process):
    out, err = process.communicate(timeout=trials.HANGS_S)
    assert process.returncode == 0, (process.returncode, out[-500:], err[-3000:])
    return out


def at_work(cluster):
    """Nodes of jobs that run; an empty name for those that wait."""
    return {node for _, state, node in cluster.jobs() if state != "COMPLETING"}


def test_a_study_is_executed_by_few_jobs_without_sacct(cluster, trial):
    one = trial()
    before = cluster.submitted()
    one.check(ended(one.start(*RUN, "--jobs", "3")))
    assert not at_work(cluster)
    assert len(cluster.submitted() - before) == 3


def test_a_node_that_loses_power_costs_what_ran_there(cluster, trial):
    one = trial(20, 0.6)
    running = one.start(*RUN, "--jobs", "3", "--sbatch", "--cpus-per-task=2")
    one.some_ran(8, running)
    node = max(at_work(cluster))
    try:
        cluster.cut_power(node)
        beats = one.beats_until(lambda: "lost" in one.reasons(), "slurm")
        one.check(ended(running), lost=IN_FLIGHT)
    finally:
        cluster.start_node(node)
    assert beats <= 7


def test_a_job_that_is_requeued_while_it_lives_counts_nothing_twice(cluster, trial):
    one = trial(30, 1.0)
    running = one.start(*RUN, "--jobs", "2", "--sbatch", "--cpus-per-task=2")
    one.some_ran(4, running)
    node = max(at_work(cluster))
    try:
        cluster.kill_daemon(node)
        one.check(ended(running), lost=IN_FLIGHT, more=IN_FLIGHT)
    finally:
        cluster.start_node(node)


def test_preemption_spends_no_attempt(cluster, trial):
    one = trial(20, 0.9)
    running = one.start(*RUN, "--jobs", "3", "--sbatch", "--cpus-per-task=2")
    one.some_ran(6, running)
    cluster.call("sbatch", "-p", "high", "-N1", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 8")
    one.check(ended(running), more=IN_FLIGHT)


def test_at_the_time_limit_nothing_is_lost_nor_executed_twice(cluster, trial):
    one = trial(45, 1.5)
    one.check(ended(one.start(*RUN, "--jobs", "2", "--sbatch", "--cpus-per-task=1 --time=1")))


def test_a_dispatcher_that_is_killed_costs_nothing(cluster, trial):
    one = trial(20, 0.6)
    running = one.start(*RUN, "--jobs", "3")
    one.some_ran(by=running)
    running.kill()
    running.communicate()
    one.check(one.call(*RUN).stdout)


def test_what_is_detached_is_executed_by_nobody_here_and_collected_later(cluster, trial):
    one = trial(500, 0.0)
    left = one.call(*RUN, "--jobs", "3", "--detach")
    assert (0, "") == (left.returncode, left.stdout), left.stderr
    assert "1000 runs handed over to slurm" in left.stderr
    one.until(lambda: one.executions == one.runs and not one.left())
    assert "1000 ended; `ablate run --executor slurm` collects them" in one.call("status", "s").stdout
    collected = one.call(*RUN)
    one.check(collected.stdout)
    # Of a processor, which by the clock is as long only where nothing else wants one. A busy machine makes them dear.
    again = one.call(*RUN)
    assert left.cpu_s < 5
    assert collected.cpu_s - again.cpu_s < 3


def test_ctrl_c_and_stop_leave_nothing_in_the_queue(cluster, trial):
    one = trial(60, 0.5)
    running = one.start(*RUN, "--jobs", "3")
    one.some_ran(by=running)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=trials.HANGS_S)
    assert running.returncode == 130, err
    assert one.until(lambda: not at_work(cluster) and not one.left()) < 10
    one.call(*RUN, "--jobs", "3", "--detach")
    one.some_ran(one.executions + 2)
    stopped = one.call("stop", "s")
    assert "cancelled" in stopped.stdout, stopped.stderr
    assert one.until(lambda: not at_work(cluster) and not one.left()) < 10
    assert set(one.reasons()) == {"cancelled"}
    ended(one.start(*RUN, "--jobs", "3"))


def test_a_search_is_executed_by_jobs(cluster, trial):
    one = trial(2, 0.1)
    one.is_to_be_tuned()
    one.check_tuned(one.call("tune", "s.yaml", "--executor", "slurm", "--jobs", "2", "--sbatch", "--cpus-per-task=2"))


def test_what_sbatch_refuses_is_told_in_its_words_with_the_arguments(cluster, trial):
    one = trial()
    refused = one.call(*RUN, "--sbatch", "--partition=gpus").refusal()
    assert "invalid partition specified: gpus" in refused
    assert "(arguments: --partition=gpus)" in refused
    assert one.executions == 0


def test_a_worker_with_another_torch_is_refused_before_anything_is_spent(cluster, trial):
    one = trial()
    path = trials.another_torch(one.folder)["PYTHONPATH"]
    assert "torch 9.9.9, the plan " in one.call(*RUN, "--before", f"export PYTHONPATH={path}").refusal()
    assert (one.executions, one.reasons()) == (0, [])


def test_a_node_that_does_not_see_the_folder_is_named_before_anything_is_spent(cluster, trial):
    one = trial()
    why = unseen.why_not(one.folder)
    if why:
        warnings.warn(f"no node was started that does not see a folder: {why}", stacklevel=1)
        pytest.skip(why)
    cluster.kill_daemon("n1")
    cluster.start_node("n1", unseen=one.folder)
    try:
        refused = one.call(*RUN, "--sbatch", "--nodelist=n1").refusal()
    finally:
        cluster.kill_daemon("n1")
        cluster.start_node("n1")
    assert "does n1 see" in refused
    assert (one.executions, one.reasons()) == (0, [])


def test_arrays_stay_within_what_the_cluster_allows(tmp_path):
    if slurm.missing():
        pytest.skip(slurm.missing())
    with slurm.running(most=5) as small:
        one = trials.Trial(tmp_path / "study", 20, 0.1, {"SLURM_CONF": str(small.folder / "slurm.conf")})
        one.check(ended(one.start(*RUN, "--jobs", "6")))
        assert [3, 3] == list(Counter(job.partition("_")[0] for job in small.submitted()).values())
