"""Workers that are started by hand, without any queue, and what a search makes of them."""

import pytest
import sites
import trial as trials

from ablate.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
TUNE = "tune: {variant: base, trials: 6, fresh_seeds: 2, space: {x: {low: 0.0, high: 1.0}}}\n"


@pytest.fixture
def trial(tmp_path):
    one = trials.Trial(tmp_path / "study", 2, 0.9)
    with (one.folder / "s.yaml").open("a") as study:
        study.write(TUNE)
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
    assert 0 == done.returncode, done.stderr
    assert "base (tuned)" in done.stdout
    with Store.open(trial.folder / trial.db) as store:
        cells = store.cells("s", ("tune", "confirm"))
        attempts = {cell.run: store.attempts(cell.run) for cell in cells}
    assert {1} == {len(of_run) for of_run in attempts.values()}, "what the killed command left was collected"
    assert len(attempts) == trial.executions
