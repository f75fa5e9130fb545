"""A real Ray cluster of three nodes, and what happens to a study on it while nodes and drivers die."""

import time
import warnings

import psutil
import pytest
import ray_nodes
import trial as trials

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture(scope="module")
def cluster():
    why = ray_nodes.missing()
    if why:
        warnings.warn(f"nothing was tried on Ray: {why}", stacklevel=1)
        pytest.skip(why)
    with ray_nodes.running() as one:
        yield one


@pytest.fixture
def trial(cluster, tmp_path):
    return lambda *how: trials.Trial(tmp_path / "study", *how, environment=ray_nodes.LOOPBACK)


def run(cluster):
    return ("run", "s.yaml", "--executor", "ray", "--address", cluster.address)


def children_of(folder):
    """Runs: processes that a task's pool has forked, which work in the study's folder or were told of it."""
    return [p for p in psutil.process_iter() if any(str(folder) in f.path for f in _files(p))]


def _files(process):
    try:
        return process.open_files()
    except psutil.Error:
        return []


def test_a_study_is_executed_and_its_table_is_all_that_stdout_has(cluster, trial):
    one = trial()
    done = one.call(*run(cluster))
    assert 0 == done.returncode, done.stderr
    one.check(done.stdout)
    assert [] == one.reasons()


def test_a_node_that_is_removed_costs_what_ran_there(cluster, trial):
    one = trial(20, 0.9)
    running = one.start(*run(cluster))
    one.some_ran(8, running)
    cluster.tell("kill 0")
    lost_s = one.until(lambda: "lost" in one.reasons(), running)
    out, err = running.communicate(timeout=trials.HANGS_S)
    cluster.tell("add")
    assert 0 == running.returncode, err
    one.check(out, most_more=4)
    assert {"lost"} == set(one.reasons())
    assert lost_s < 5


def test_the_runs_of_a_driver_that_is_killed_end_and_are_taken_up(cluster, trial):
    one = trial(20, 0.9)
    running = one.start(*run(cluster))
    one.some_ran(6, running)
    running.kill()
    running.communicate()
    assert one.until(lambda: not children_of(one.folder / "results" / "s" / "runs")) < 5
    before = one.executions
    time.sleep(2)
    assert before == one.executions
    done = one.call(*run(cluster))
    one.check(done.stdout, most_more=12)


def test_a_search_is_executed_by_tasks(cluster, trial):
    one = trial(2, 0.1)
    one.is_to_be_tuned()
    one.check_tuned(one.call("tune", "s.yaml", "--executor", "ray", "--address", cluster.address))


def test_there_is_no_cluster(trial):
    one = trial()
    refused = one.call("run", "s.yaml", "--executor", "ray", "--address", "127.0.0.1:1")
    assert 2 == refused.returncode
    assert "there is no Ray cluster at '127.0.0.1:1'" in refused.stderr
