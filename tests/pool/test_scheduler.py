"""Decisions as literals: what goes in, what comes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.pool.executor import Slot
from ablate.pool.scheduler import (
    Elsewhere,
    Finish,
    Launch,
    Memory,
    Renew,
    Rescue,
    Snapshot,
    Stop,
    Working,
    decide,
    to_requeue,
    waits_for,
)
from ablate.records import Limits

CPU0, CPU1 = Slot("cpu", 0), Slot("cpu", 1)


def test_free_slots_take_waiting_runs_in_the_plans_order():
    assert [Launch("a", CPU0), Launch("b", CPU1)] == decide(Snapshot((CPU0, CPU1), ["a", "b", "c"]), 0)


def test_a_slot_that_another_dispatcher_holds_is_not_used():
    assert [Launch("a", CPU1)] == decide(Snapshot((CPU0, CPU1), ["a", "b"], taken={CPU0: "x"}), 0)


def test_workers_bound_how_many_a_dispatcher_runs_and_not_where():
    assert [Launch("a", CPU1)] == decide(Snapshot((CPU0, CPU1), ["a", "b"], taken={CPU0: "x"}, workers=1), 0)
    working = (Working("t", CPU1, 0),)
    assert [] == decide(Snapshot((CPU0, CPU1), ["b"], working=working, workers=1), 0)


def test_a_run_that_needs_what_another_one_leaves_waits_and_holds_nobody_up():
    assert [Launch("a", CPU0), Launch("c", CPU1)] == decide(Snapshot((CPU0, CPU1), ["a", "b", "c"], blocked={"b"}), 0)
    working = (Working("t", CPU0, 0),)
    assert [] == decide(Snapshot((CPU0, CPU1), ["b"], working=working, blocked={"b"}), 0)


@pytest.mark.parametrize(
    ("said", "snapshot"),
    [
        ("", Snapshot((CPU0, CPU1), ["a"])),
        ("", Snapshot((CPU0,), ["a"], working=(Working("t", CPU0, 0),))),
        ("another `ablate` uses every slot of this host", Snapshot((CPU0,), ["a"], taken={CPU0: "x"})),
        (
            "another `ablate` uses 1 of 2 slots of this host",
            Snapshot((CPU0, CPU1), ["a"], working=(Working("t", CPU0, 0),), taken={CPU1: "x"}),
        ),
        ("another `ablate` executes 1 run of it", Snapshot((CPU0,), [], wanted_elsewhere=1)),
        (
            "weights that are still trained, which the other runs measure anew",
            Snapshot((CPU0, CPU1), ["a"], working=(Working("t", CPU0, 0),), blocked={"a"}),
        ),
        (
            "a device that nothing else uses, for run a ran out of memory beside others",
            Snapshot((CPU0, CPU1), ["a"], taken={CPU1: "x"}, alone={"a"}),
        ),
        (
            "cpu, which a run that ran out of memory beside others has to itself",
            Snapshot((CPU0, CPU1), ["a"], taken={CPU1: "x"}, alone={"x"}),
        ),
        (
            "an idle device, for it is not known yet how much memory the next run takes",
            Snapshot((CPU0, CPU1), ["a"], taken={CPU1: "x"}, memory=Memory({"cpu": 4096}, {"x": 1024})),
        ),
        (
            "memory: the next run takes 2 GiB, and cpu has 1 left",
            Snapshot((CPU0, CPU1), ["a"], taken={CPU1: "x"}, memory=Memory({"cpu": 4096}, {"x": 3072, "a": 2048})),
        ),
    ],
)
def test_whoever_waits_says_for_what(said, snapshot):
    assert said == waits_for(snapshot)


def test_leases_are_renewed_after_a_third_of_their_time_and_not_before():
    snapshot = Snapshot((CPU0,), [], working=(Working("t", CPU0, 0),), renewed_s=100, lease_s=30)
    assert [] == decide(snapshot, 109)
    assert [Renew(("t",))] == decide(snapshot, 110)


def test_a_gone_worker_is_rescued_at_once_and_an_expired_lease_too():
    gone = Elsewhere("t", "a", "gone", attempts=1)
    expired = Elsewhere("u", "b", "expired", attempts=1)
    rescued = decide(Snapshot((), [], elsewhere=(gone, expired), wanted_elsewhere=2), 0)
    assert [("t", True), ("u", True)] == [(a.token, a.again) for a in rescued if isinstance(a, Rescue)]


def test_a_held_lease_of_another_dispatcher_is_left_alone_and_waited_for():
    held = Elsewhere("t", "a", "held", attempts=0)
    assert [] == decide(Snapshot((CPU0,), [], elsewhere=(held,), wanted_elsewhere=1), 1e9)


def test_a_run_lost_for_the_last_time_is_not_tried_again():
    gone = Elsewhere("t", "a", "gone", attempts=3)
    (rescue,) = decide(Snapshot((), [], elsewhere=(gone,), wanted_elsewhere=1, limits=Limits(attempts=3)), 0)
    assert not rescue.again


def test_a_run_past_its_timeout_is_stopped_once():
    working = Working("t", CPU0, since_s=0)
    snapshot = Snapshot((CPU0,), [], working=(working,), renewed_s=60, limits=Limits(timeout_s=60))
    assert [] == decide(snapshot, 59)
    assert ["timeout"] == [stop.reason for stop in decide(snapshot, 60)]
    stopping = Snapshot((CPU0,), [], working=(Working("t", CPU0, 0, stopping=True),), renewed_s=60)
    assert [] == decide(stopping, 61)


def test_a_run_that_its_feed_does_not_want_any_more_is_stopped_for_the_feeds_reason():
    snapshot = Snapshot((CPU0,), [], working=(Working("t", CPU0, 0),), unwanted={"t": ("pruned", "too low")})
    assert [Stop("t", "pruned", "too low")] == decide(snapshot, 0)


def test_a_stopping_dispatcher_starts_nothing_cancels_what_runs_and_then_finishes():
    working = (Working("t", CPU0, 0),)
    actions = decide(Snapshot((CPU0, CPU1), ["a"], working=working, stopping=True), 0)
    assert [Stop("t", "cancelled", "stopped by the user")] == actions
    assert [Finish()] == decide(Snapshot((CPU0, CPU1), ["a"], stopping=True), 0)


def test_a_run_that_ran_out_of_memory_waits_for_an_idle_device_and_gets_it_alone():
    lonely = frozenset(["a"])
    busy = Snapshot((CPU0, CPU1), ["a", "b"], working=(Working("t", CPU0, 0),), alone=lonely)
    assert [] == decide(busy, 0)
    assert [Launch("a", CPU0)] == decide(Snapshot((CPU0, CPU1), ["a", "b"], alone=lonely), 0)
    alone = Snapshot((CPU0, CPU1), ["b"], working=(Working("t", CPU0, 0, key="a"),), alone=lonely)
    assert [] == decide(alone, 0)


def test_only_failures_that_say_nothing_against_the_run_are_taken_up_again():
    failed = {"a": ("error", 1), "b": ("lost", 1), "c": ("lost", 3), "d": ("cancelled", 9), "e": ("timeout", 1)}
    assert ["b", "d"] == to_requeue(failed, Limits(attempts=3))
    assert ["b", "d", "e"] == to_requeue(failed, Limits(attempts=3), retried=["timeout"])


slots = st.builds(Slot, st.sampled_from(["cpu", "cuda:0", "cuda:1"]), st.integers(0, 2))


@given(st.sets(slots, max_size=6), st.lists(st.sampled_from("abcdefgh"), unique=True), st.data())
def test_no_slot_and_no_run_is_ever_started_twice(all_slots, waiting, data):
    pool = tuple(sorted(all_slots, key=str))
    busy = data.draw(st.lists(st.sampled_from(pool), unique=True)) if pool else []
    working = tuple(Working(str(i), slot, 0) for i, slot in enumerate(busy))
    alone = data.draw(st.frozensets(st.sampled_from("abcdefgh")))
    starts = [a for a in decide(Snapshot(pool, waiting, working=working, alone=alone), 0) if isinstance(a, Launch)]
    used = [start.slot for start in starts] + list(busy)
    assert len(used) == len(set(used))
    assert len({start.key for start in starts}) == len(starts)
    for start in starts:
        if start.key in alone:
            assert [start.slot] == [slot for slot in used if slot.device == start.slot.device]


@given(
    st.sets(slots, min_size=1, max_size=6), st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1), st.data()
)
def test_an_idle_pool_always_starts_something(all_slots, waiting, data):
    alone = data.draw(st.frozensets(st.sampled_from("abcdefgh")))
    actions = decide(Snapshot(tuple(sorted(all_slots, key=str)), waiting, alone=alone), 0)
    assert any(isinstance(action, Launch) for action in actions)
