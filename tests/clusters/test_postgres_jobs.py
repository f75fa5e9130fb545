"""Several jobs of one host on one PostgreSQL, and a database copied there and back."""

import os
import signal
import uuid
import warnings

import postgres
import pytest
import trial as trials

from ablate.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture(scope="module")
def server():
    why = postgres.missing()
    if why:
        warnings.warn(f"nothing was tried on PostgreSQL: {why}", stacklevel=1)
        pytest.skip(why)
    with postgres.server() as address:
        yield address


def test_three_jobs_of_one_host_share_a_study_and_one_is_killed(server, tmp_path):
    one = trials.Trial(tmp_path / "study", 30, 0.4, db=postgres.new_database(server, uuid.uuid4().hex))
    running = []
    for number in (101, 102, 103):
        one.environment = {"SLURM_JOB_ID": str(number), "SLURM_CPUS_ON_NODE": "1"}
        running.append(one.start("run", "s.yaml"))
    one.some_ran(9)
    os.kill(running[0].pid, signal.SIGKILL)
    running[0].communicate()
    tables = [process.communicate(timeout=trials.HANGS_S)[0] for process in running[1:]]
    assert [0, 0] == [process.returncode for process in running[1:]]
    assert tables[0] == tables[1]
    one.check(tables[0], lost=1)
    with Store.open(one.db) as store:
        hosts = {a.host for cell in store.cells("s") for a in store.attempts(cell.run)}
    assert 3 == len(hosts), hosts


def test_a_database_is_copied_to_postgresql_and_back_and_goes_on(server, tmp_path):
    one = trials.Trial(tmp_path / "study", 3, 0.0)
    table = one.call("run", "s.yaml").stdout
    url = postgres.new_database(server, uuid.uuid4().hex)
    there = one.call("db", "copy", one.db, url)
    assert "1 studies, 6 runs, 6 attempts" in there.stdout, there.stderr
    one.db = url
    assert table == one.call("table", "s").stdout
    more = one.call("run", "s.yaml", "--set", "seeds=4")
    assert 0 == more.returncode, more.stderr
    assert 8 == one.executions
    assert "it must be a new one" in one.call("db", "copy", "results/ablate.db", url).stderr
    back = one.call("db", "copy", url, "back.db")
    assert 0 == back.returncode, back.stderr
    one.db = "back.db"
    assert more.stdout == one.call("table", "s").stdout
