"""A real Ray cluster of three nodes, and what happens to a study on it while nodes and drivers die."""

import sys
import time
import venv
import warnings

import psutil
import pytest
import ray_nodes
import trial as trials
import unseen

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
NODES, CPUS = 3, 2


@pytest.fixture(scope="module")
def cluster():
    why = ray_nodes.missing()
    if why:
        warnings.warn(f"nothing was tried on Ray: {why}", stacklevel=1)
        pytest.skip(why)
    with ray_nodes.running(NODES, CPUS) as one:
        yield one


@pytest.fixture
def trial(cluster, tmp_path):
    return lambda *how: trials.Trial(tmp_path / "study", *how, environment=cluster.environment)


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


def test_a_node_that_is_removed_costs_what_ran_there(cluster, trial):
    one = trial(20, 0.9)
    running = one.start(*run(cluster))
    one.some_ran(8, running)
    cluster.tell("kill 0")
    lost_s = one.until(lambda: "lost" in one.reasons(), running)
    out, err = running.communicate(timeout=trials.HANGS_S)
    cluster.tell("add")
    assert 0 == running.returncode, err
    one.check(out, lost=CPUS)
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
    one.check(done.stdout, lost=2 * NODES * CPUS)  # as many wait as run


def test_a_search_is_executed_by_tasks(cluster, trial):
    one = trial(2, 0.1)
    one.is_to_be_tuned()
    one.check_tuned(one.call("tune", "s.yaml", "--executor", "ray", "--address", cluster.address))


def test_there_is_no_cluster(trial):
    one = trial()
    refused = one.call("run", "s.yaml", "--executor", "ray", "--address", "127.0.0.1:1").refusal()
    assert "there is no Ray cluster at '127.0.0.1:1'" in refused


def refused(one, cluster):
    """The line in which a run is refused before anything is spent."""
    told = one.call(*run(cluster)).refusal()
    assert (0, []) == (one.executions, one.reasons())
    return told


def test_a_node_that_does_not_see_the_folder_is_named_before_anything_is_spent(cluster, trial):
    one = trial()
    why = unseen.why_not(one.folder)
    if why:
        warnings.warn(f"no node was started that does not see a folder: {why}", stacklevel=1)
        pytest.skip(why)
    with cluster.joined(unseen.blind(one.folder, [sys.executable])):
        told = refused(one, cluster)
    assert f"does not see {one.folder / 'results' / 's'}, which runs need; mount it at the same path." in told


def test_a_node_with_another_torch_is_named_before_anything_is_spent(cluster, trial, tmp_path):
    one = trial()
    python = tmp_path / "venv" / "bin" / "python"
    venv.create(tmp_path / "venv", symlinks=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    trials.pretend_torch(site)
    (site / "all.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("-packages")))
    with cluster.joined([str(python)]):
        told = refused(one, cluster)
    assert "is not what the plan was made with: torch 9.9.9, the plan " in told
