"""A folder between a dispatcher and its workers whose disk is full, and a study that is edited while workers are there."""

import errno
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ablate.pool import mailed, pilot
from ablate.pool.executor import Failed, Finished, Needs, Progressed, Refused, Slot, Started
from ablate.pool.executors.workers import Workers
from ablate.pool.mailbox import Alive, Mailbox, Order, Plan
from ablate.pool.messages import Setup
from ablate.records import RunSpec, TaskUse

SETUP = Setup(TaskUse.of("mine:score"), database="aaaa", grace_s=0.1)
SPEC = RunSpec("k", TaskUse.of("mine:score"), {}, (), 0, 1, "", "")
ME = Alive("w.0", "here", 2)
START_S = 1e9
"""Later than the clock of any machine that tests."""


def full(monkeypatch):
    """From now on no byte more; undone by monkeypatch.undo."""

    def refused(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refused)


@pytest.fixture
def executor(tmp_path):
    return Workers().open(SETUP, Needs("s", str(tmp_path), made={"torch": "2"}))


class Pool:
    """The worker's own pool, which tells what it is told to."""

    def __init__(self):
        self.events, self.started = [], []

    def start(self, token, spec, slot):
        self.started.append(token)

    def poll(self, timeout_s):
        events, self.events = self.events, []
        return events


def worker(box, pool):
    box.live(ME)
    return pilot._Pilot(box, box.plan(), ME, [Slot("cpu", 0), Slot("cpu", 1)], pilot.Terms(), None, pool, {})


def test_a_run_that_cannot_be_handed_over_is_refused_and_leaves_nothing(executor, monkeypatch):
    full(monkeypatch)
    executor.start("t", SPEC, Slot("workers-0", 0))
    (refused,) = executor.poll(0)
    assert isinstance(refused, Refused)
    assert "No space left on device" in refused.message
    assert os.listdir(executor.box.folder / "todo") == []


def test_an_end_that_cannot_be_asked_for_is_asked_for_later(executor, monkeypatch):
    executor.start("t", SPEC, Slot("workers-0", 0))
    executor.box.take(executor.box.todo()[0], "w.0")
    full(monkeypatch)
    executor.stop("t", "timeout", "too long")
    assert executor.box.stops() == {}
    monkeypatch.undo()
    executor._looked_s = float("-inf")
    executor.poll(0)
    assert executor.box.stops() == {"t": ("timeout", "too long")}


def test_a_dispatcher_is_about_while_the_disk_is_full(executor, monkeypatch):
    full(monkeypatch)
    now = executor.box.pulse(executor.me)
    assert abs(now - time.time()) < 60
    assert executor.box.dispatchers(now, 30) == [executor.me]


def test_what_could_be_said_by_half_is_said_again_and_heard_whole(tmp_path, monkeypatch):
    box = Mailbox(tmp_path)
    box.make(Plan(SETUP, "s", {}))
    mine, pool = Mailbox(tmp_path), Pool()
    one = worker(mine, pool)
    box.hand_over(Order("t", SPEC), 1)
    one._take()
    assert pool.started == ["t"]
    with (tmp_path / "said" / "w.0.jsonl").open("ab") as file:
        file.write(b'{"Finished": {"token": "t", "val')
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "")))
    one._tell([Finished("t", {"score": 1.0})])
    monkeypatch.undo()
    one._tell([])
    events = [event for _, event in box.news()]
    assert events
    assert {event.token for event in events} == {"t"}
    assert all(isinstance(event, Finished) for event in events)


def test_a_worker_takes_nothing_that_another_plan_handed_over(tmp_path):
    box = Mailbox(tmp_path)
    box.make(Plan(SETUP, "s", {}, seen="1"))
    one = worker(box, Pool())
    box.make(Plan(SETUP, "s", {}, seen="2"))  # the same command once more
    box.hand_over(Order("t1", SPEC), 1)
    one._take()
    assert list(one.runs) == ["t1"]
    box.make(Plan(Setup(SETUP.task, sources={"mine.py": "edited"}, database="aaaa"), "s", {}, seen="3"))
    box.hand_over(Order("t2", SPEC), 2)
    one._listed_s = float("-inf")
    one._take()
    assert list(one.runs) == ["t1"]
    assert one.outdated
    one.pool.events = [Failed("t1", "error", "no")]
    one.run()  # until what it has begun is over
    assert len(box.todo()) == 1


@pytest.fixture
def silent(executor, monkeypatch):
    """A worker that has a run and says nothing more; look(seconds) lets time pass, here and at the file server."""
    now = [START_S]
    monkeypatch.setattr(mailed.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(executor.box, "pulse", lambda _: now[0])
    executor.box.live(ME)
    os.utime(executor.box.folder / "alive" / ME.worker, (now[0], now[0]))
    executor.start("t", replace(SPEC, folder=str(executor.box.folder / "t")), Slot("workers-0", 0))
    executor.box.take(executor.box.todo()[0], ME.worker)

    def look(seconds):
        now[0] += seconds
        executor._look()
        return [event.reason for event in executor.poll(0)]

    look(0.0)
    return look


def test_a_worker_that_falls_silent_loses_its_runs_within_seven_beats(silent):
    beat_s = mailed.beat_s()
    told = [(beats / 2, silent(beat_s / 2)) for beats in range(1, 15)]
    assert [["lost"]] == [reasons for _, reasons in told if reasons]
    assert next(beats for beats, reasons in told if reasons) == 5.5


def test_a_worker_is_not_given_up_by_a_dispatcher_that_slept_or_starved_beside_it(silent, executor):
    beat_s = mailed.beat_s()
    assert silent(beat_s / 2) == []
    assert [silent(seconds * beat_s) for seconds in (100, 0.5, 0.5)] == [[], [], []]
    since_s = START_S + 101.5 * beat_s
    os.utime(executor.box.folder / "alive" / ME.worker, (since_s, since_s))
    assert [silent(seconds * beat_s) for seconds in (0.5, 3, 0.5)] == [[], [], []]


def test_a_run_that_was_given_back_is_not_lost_with_the_worker_that_had_it(silent, executor):
    order = Order("t", replace(SPEC, folder=str(executor.box.folder / "t")))
    Mailbox(executor.box.folder).give_back(order, ME.worker)
    assert [silent(mailed.beat_s() / 2) for _ in range(14)] == [[]] * 14
    assert len(executor.box.todo()) == 1


def test_whose_end_was_told_is_known_without_hearing_it_and_by_whole_lines_alone(tmp_path):
    box = Mailbox(tmp_path)
    box.make(Plan(SETUP, "s", {}))
    box.say(
        "w.0", [Started("t1", 1, 2), Finished("t1", {"score": 1.0}), Started("t2", 3, 4), Failed("t3", "error", "no")]
    )
    box.say("w.1", [Progressed("t4", 1, {'{"Finished": {"token": "t4"': 1.0})])
    assert {"t1", "t3"} == box.ended()
