"""A lease is over only where it was watched; clocks that jump and machines that sleep take nothing from anybody."""

import signal
from dataclasses import replace

import pytest
from plans import bare

from ablate.pool import host, words
from ablate.pool.dispatcher import POLL_S, Dispatcher
from ablate.pool.executor import Failed, Slot
from ablate.pool.host import Process, fate
from ablate.pool.leases import Leases
from ablate.pool.messages import Broken, Done
from ablate.records import Limits, RunSpec, TaskUse
from ablate.store import schema
from ablate.store.store import Store
from ablate.store.stored import LiveAttempt

ME = host.this_process()
DEAD = Process(ME.pid, ME.started - 1)
THEIRS = LiveAttempt("t", "k", "elsewhere", "", None, None, "1:1", "cpu", 0, 100.0, True, 3.0)
OURS = replace(THEIRS, host=host.host(), boot=host.boot(), owner=str(ME))


def watched(*looks, lease_s=30.0):
    """What is over at the last of these looks (time, attempt), a turn of the loop before each."""
    leases = Leases(lease_s)
    for now_s, attempt in looks:
        leases.turn(now_s)
        over = leases.over([attempt], now_s)
    return over


def test_a_lease_that_looks_over_is_believed_after_half_of_its_length():
    looks = [(float(at), THEIRS) for at in range(14)]
    assert set() == watched(*looks)
    assert {"t"} == watched(*looks, (15.0, THEIRS))


def test_who_renews_meanwhile_holds_it_although_the_databases_clock_jumped():
    assert set() == watched(
        (0.0, THEIRS), (10.0, replace(THEIRS, lease_until=130.0)), (16.0, replace(THEIRS, lease_until=130.0))
    )


def test_who_slept_for_longer_than_a_lease_begins_to_watch_anew():
    assert set() == watched((0.0, THEIRS), (10.0, THEIRS), (45.0, THEIRS), (55.0, THEIRS))


@pytest.mark.parametrize(
    ("attempt", "what"),
    [
        (OURS, "held"),
        (replace(OURS, owner=str(DEAD)), "gone"),
        (replace(OURS, owner=str(DEAD), boot=host.boot() + "1"), "expired"),
        (replace(OURS, owner=str(DEAD), boot=host.boot() + "1", expired=False), "held"),
    ],
    ids=["lives", "dead", "dead in another container", "unseen in another container"],
)  # fmt: skip
def test_a_process_is_believed_before_a_clock_and_only_where_it_can_be_seen(attempt, what):
    assert what == fate(attempt)


class Idle:
    """An executor with nothing to do."""

    place, keeps, engine, queues = "", False, False, False

    def slots(self, here, wanted):
        return here

    def poll(self, timeout_s):
        return []


class Deaf:
    def changed(self, dispatcher):
        pass

    def ended(self, work, event, *, again):
        pass

    def warn(self, text):
        pass


def abandoned(folder, word):
    """A run whose dispatcher died before it had heard the last word."""
    (folder / "k").mkdir()
    spec = RunSpec("k", TaskUse.of("a:b"), {}, (), 0, 1, str(folder / "k"), "", metric="score")
    store = Store.open(folder / "a.db", write=True)
    store.save_plan(bare(), "", [("v", 0, "ablation", "k")], {"k": "{}"})
    where = {"host": host.host(), "boot": host.boot(), "owner": str(DEAD), "device": "cpu", "slot": 0}
    store.claim("k", "t", **where, lease_s=60, log=str(folder / "k"))
    words.keep(str(folder / "k"), "t", word)
    dispatcher = Dispatcher(store, Idle(), [Slot("cpu", 0)], {"k": spec}, Limits(attempts=1), listener=Deaf())
    with store:
        dispatcher.look_around()
        assert dispatcher.step(0.0) or dispatcher.step(0.0)
        return store.states(["k"])["k"].state, store.values("s")


def test_a_result_that_nobody_heard_counts_when_the_next_dispatcher_comes(tmp_path):
    assert ("done", [("v", 0, "score", 2.0)]) == abandoned(tmp_path, Done({"score": 2.0}, {}))


def test_a_last_word_without_a_result_leaves_the_run_lost(tmp_path):
    assert ("failed", []) == abandoned(tmp_path, Broken("error", "no"))


def test_an_attempt_took_what_a_clock_that_never_jumps_says(tmp_path, monkeypatch):
    told = schema.clock
    with Store.open(tmp_path / "a.db", write=True) as store:
        store.save_plan(bare(), "", [("v", 0, "ablation", "k"), ("v", 1, "ablation", "l")], {"k": "{}", "l": "{}"})
        for i, key in enumerate("kl"):
            where = {"host": "h", "boot": "b", "owner": "1:1", "device": "cpu", "slot": i}
            store.claim(key, key, **where, lease_s=60, log="")
        monkeypatch.setattr(schema, "clock", lambda engine: f"({told(engine)} - 3600)")
        store.finish("k", {}, {}, {}, seconds=12.5)
        assert [0.0] == [attempt.seconds for attempt in store.live()]
        store.fail("l", "lost", "its worker is gone", again=False)
        took = [store.attempts(key)[0].seconds for key in "kl"]
    assert [12.5, 0.0] == pytest.approx(took, abs=1e-3)


class Lingers(Idle):
    """A queue whose runs take a while to end; whoever waits for them is stopped. waited_s: what its polls may wait."""

    keeps, engine, queues = True, True, False

    def __init__(self):
        self.waited_s, self.stopped = [], ""

    def start(self, token, spec, slot, *, canary=False, alone=False):
        self.dispatcher._stop(signal.SIGINT)

    def stop(self, token, reason, message):
        self.stopped = token

    def poll(self, timeout_s):
        self.waited_s.append(timeout_s)
        return [Failed(self.stopped, "cancelled", "stopped")] if len(self.waited_s) == 4 else []


def test_who_is_stopped_before_it_has_left_waits_for_its_runs_and_does_not_spin(tmp_path):
    spec = RunSpec("k", TaskUse.of("a:b"), {}, (), 0, 1, str(tmp_path / "k"), "", metric="score")
    queue = Lingers()
    with Store.open(tmp_path / "a.db", write=True) as store:
        store.save_plan(bare(), "", [("v", 0, "ablation", "k")], {"k": "{}"})
        queue.dispatcher = Dispatcher(
            store, queue, [Slot("cpu", 0)], {"k": spec}, Limits(), listener=Deaf(), detach=True
        )  # fmt: skip
        ended = queue.dispatcher.run()
    assert (signal.SIGINT, 0) == (ended.stopped_by, ended.detached)
    assert [POLL_S] * 2 == queue.waited_s[1:3]
