"""Runs of milliseconds are handed over ahead of their slots, and that costs nobody anything."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest
from test_dispatcher import TASKS, dispatch, specs, states

from ablate.pool import dispatcher, known
from ablate.pool.executor import Failed, Finished, Placed, Slot, Started
from ablate.pool.executors.local import LocalExecutor
from ablate.pool.messages import Setup
from ablate.pool.pace import KNOWN, Pace
from ablate.pool.scheduler import Launch, Snapshot, Working, decide
from ablate.records import AHEAD, Limits, TaskUse
from ablate.store.store import Store

CPU0 = Slot("cpu", 0)
FIRST, SECOND = Slot(f"{AHEAD}1:1", 0), Slot(f"{AHEAD}1:1", 1)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tasks_here.py").write_text(TASKS)
    return tmp_path


def after(*seconds):
    measured = Pace()
    for one in seconds:
        measured.ended(one)
    return measured


@pytest.mark.parametrize(
    ("ahead", "seconds"),
    [
        (0, [0.01] * (KNOWN - 1)),
        (20, [0.01] * KNOWN),
        (0, [0.01] * KNOWN + [3.0]),
        (0, [0.01] * KNOWN + [None]),
        (20, [3.0] + [0.01] * KNOWN),
    ],
)
def test_runs_are_handed_over_ahead_while_the_last_ones_were_short_and_none_of_them_failed(ahead, seconds):
    assert ahead == after(*seconds).ahead(waits=0, slots=1)


def test_more_are_handed_over_once_half_of_them_have_begun_and_the_more_slots_the_more():
    measured = after(*[0.02] * KNOWN)
    assert [0, 5, 20] == [measured.ahead(6, 1), measured.ahead(5, 1), measured.ahead(0, 2)]


def test_what_is_handed_over_ahead_comes_after_what_has_a_slot_and_takes_no_room():
    snapshot = Snapshot((CPU0,), ["a", "b", "c", "d"], free=(CPU0,), ahead=(FIRST, SECOND), workers=1)
    assert [Launch("a", CPU0), Launch("b", FIRST), Launch("c", SECOND)] == decide(snapshot, 0)
    working = (Working("t", FIRST, 0),)
    assert [Launch("a", CPU0)] == decide(Snapshot((CPU0,), ["a"], working, free=(CPU0,), workers=1, queued=1), 0)


def started(folder, function, *slots):
    setup = Setup(task=TaskUse.of(f"tasks_here:{function}"), path=(str(folder),))
    executor = LocalExecutor().open(setup)
    for (key, spec), slot in zip(specs(folder, function, len(slots)).items(), slots, strict=True):
        executor.start(key, spec, slot)
    return executor


def until(executor, done):
    """What it reports until then."""
    events, until_s = [], time.monotonic() + 60
    while not done(events) and time.monotonic() < until_s:
        events += executor.poll(0.1)
    return events


def ends(events):
    return [event for event in events if isinstance(event, Finished | Failed)]


def test_each_run_takes_the_slot_of_one_that_ended_and_is_told_of_after_it(folder):
    with closing(started(folder, "good", CPU0, FIRST, SECOND)) as executor:
        events = until(executor, lambda events: len(ends(events)) == 3)
    told = [(type(event), event.token) for event in events]
    assert [CPU0, CPU0] == [event.slot for event in events if isinstance(event, Placed)]
    for before, run in (("good0", "good1"), ("good1", "good2")):
        order = [told.index(one) for one in ((Finished, before), (Placed, run), (Started, run), (Finished, run))]
        assert order == sorted(order)


def test_one_that_waits_is_taken_back_at_once_and_nothing_of_it_was_executed(folder):
    with closing(started(folder, "forever", CPU0, FIRST, SECOND)) as executor:
        until(executor, lambda events: any(isinstance(event, Started) for event in events))
        executor.stop("forever1", "cancelled", "not now")
        (failed,) = ends(until(executor, ends))
        assert failed == Failed("forever1", "cancelled", "not now")
        (folder / "go").touch()
        events = until(executor, lambda events: len(ends(events)) == 2)
    assert ["forever2"] == [event.token for event in events if isinstance(event, Placed)]
    assert not (folder / "forever1").exists()


def test_when_the_server_dies_those_that_waited_are_cancelled_and_only_the_one_at_work_is_lost(folder):
    with closing(started(folder, "forever", CPU0, FIRST, SECOND)) as executor:
        until(executor, lambda events: (folder / "forever0" / "pid").exists())
        executor._server.process.kill()
        events = until(executor, lambda events: len(ends(events)) == 3)
    reasons = {event.token: event.reason for event in ends(events)}
    assert {"forever0": "lost", "forever1": "cancelled", "forever2": "cancelled"} == reasons


def test_one_whom_nobody_is_left_to_follow_is_cancelled(folder):
    with closing(started(folder, "good", FIRST)) as executor:
        (failed,) = ends(until(executor, ends))
    assert "cancelled" == failed.reason


def test_ends_and_claims_of_short_runs_share_commits_and_every_run_counts_in_a_real_slot(folder, monkeypatch):
    monkeypatch.setattr(Pace, "ahead", lambda self, waits, slots: 20 - waits if slots and waits < 10 else 0)
    monkeypatch.setattr(dispatcher, "GATHER_S", 0.5)  # several end in that time also where a run takes longer
    commits = []
    place = Store.place
    monkeypatch.setattr(Store, "place", lambda self, placed: (commits.append(len(placed)), place(self, placed)))
    dispatch(folder, specs(folder, "good", 60), slots=2)
    assert [("done", None)] * 60 == states(folder)
    with closing(sqlite3.connect(folder / "a.db")) as connection:
        slots = connection.execute("SELECT DISTINCT device, slot FROM attempt ORDER BY slot").fetchall()
        assert {("cpu", 0), ("cpu", 1)} >= set(slots)
        assert 60 == connection.execute("SELECT count(*) FROM attempt WHERE outcome = 'done'").fetchone()[0]
    assert sum(commits) > 2 * sum(one > 0 for one in commits), "several in a commit"


DRIVER = """
import sys
sys.path[:] = {path!r}
from pathlib import Path
from test_dispatcher import dispatch, specs
from ablate.pool.pace import Pace
Pace.ahead = lambda self, waits, slots: 2 - waits
folder = Path({folder!r})
dispatch(folder, specs(folder, "forever", 3), slots=1, function="forever")
"""


def test_what_a_killed_dispatcher_had_handed_over_and_not_begun_costs_no_attempt(folder):
    program = DRIVER.format(path=sys.path, folder=str(folder))
    driver = subprocess.Popen([sys.executable, "-c", program])
    while not list(folder.glob("*/pid")):  # two wait behind it: all were claimed in one commit
        assert driver.poll() is None
        time.sleep(0.01)
    family = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.wait()
    assert [] == psutil.wait_procs(family, timeout=10)[1]
    (folder / "go").touch()
    dispatch(folder, specs(folder, "forever", 3), slots=1, function="forever")
    with Store.open(folder / "a.db") as store:
        reasons = [sorted(str(one.reason) for one in store.attempts(f"forever{i}")) for i in range(3)]
    assert [["None", "lost"], ["None", "cancelled"], ["None", "cancelled"]] == reasons


def test_what_waits_behind_a_long_run_is_taken_back(folder, monkeypatch):
    def ahead(self, waits, slots):
        with Store.open(folder / "a.db") as store:
            taken_back = bool(store.attempts("forever1")) and not waits
        if taken_back:
            (folder / "go").touch()
        return int(not waits and not taken_back)

    monkeypatch.setattr(Pace, "ahead", ahead)
    monkeypatch.setattr(known, "BACK_S", 0.2)
    dispatch(folder, specs(folder, "forever", 2), slots=1, limits=Limits(attempts=1), function="forever")
    assert [("done", None)] * 2 == states(folder)
    with Store.open(folder / "a.db") as store:
        assert {"cancelled", None} == {one.reason for one in store.attempts("forever1")}
