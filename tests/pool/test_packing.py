"""Packing as literals, and three promises for any queue: nothing over capacity, no slot twice, nobody waits for ever."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.pool.executor import Slot
from ablate.pool.scheduler import Held, Memory, Sizes, pack
from ablate.records import RunSpec, TaskUse

GPU = tuple(Slot("cuda:0", i) for i in range(4))
TWO = (*GPU, *(Slot("cuda:1", i) for i in range(4)))
NEEDS = {"a": 30, "b": 30, "c": 30, "d": 30, "big": 80}
ONE_GPU = Memory({"cuda:0": 100}, NEEDS)
TWO_GPUS = Memory({"cuda:0": 100, "cuda:1": 100}, NEEDS)


def test_as_many_runs_share_a_device_as_its_memory_holds():
    assert [("a", GPU[0]), ("b", GPU[1]), ("c", GPU[2])] == pack(["a", "b", "c", "d"], GPU, memory=ONE_GPU)


def test_what_does_not_fit_on_one_device_goes_to_the_next():
    placed = pack(["big", "a", "b"], TWO, memory=TWO_GPUS)
    assert [("big", TWO[0]), ("a", TWO[4]), ("b", TWO[5])] == placed


def test_a_run_that_nobody_has_seen_goes_alone_and_the_rest_waits_until_it_has_been():
    assert [("new", GPU[0])] == pack(["new", "a"], GPU, memory=ONE_GPU)
    assert [] == pack(["a"], GPU, [Held(GPU[0], "new")], memory=ONE_GPU)
    assert [] == pack(["new", "b"], GPU, [Held(GPU[0], "a")], memory=ONE_GPU)


def test_a_device_is_kept_for_the_first_run_that_fits_nowhere_and_the_others_go_on():
    held = [Held(TWO[0], "a"), Held(TWO[4], "b")]
    assert [("c", TWO[5]), ("d", TWO[6])] == pack(["big", "c", "d"], TWO, held, memory=TWO_GPUS)


def test_runs_of_another_dispatcher_count_with_what_they_take_and_unknown_ones_with_the_whole_device():
    known, unknown = Held(GPU[3], "a", others=True), Held(GPU[3], "x", others=True)
    assert [("b", GPU[0]), ("c", GPU[1])] == pack(["b", "c", "d"], GPU, [known], memory=ONE_GPU)
    assert [] == pack(["b", "c", "d"], GPU, [unknown], memory=ONE_GPU)


def test_the_device_that_is_kept_is_one_where_no_other_dispatcher_starts_runs():
    held = [Held(TWO[0], "x", others=True), Held(TWO[4], "y")]
    assert [("b", TWO[1])] == pack(["a", "b"], (TWO[0], TWO[1], TWO[4], TWO[5]), held, alone=frozenset("a"))


def test_a_run_that_ran_out_of_memory_is_left_alone_by_others_whoever_executes_it():
    held = [Held(GPU[0], "a", others=True)]
    assert [] == pack(["b"], GPU, held, alone=frozenset("a"))


def test_a_run_larger_than_every_device_gets_an_idle_one():
    memory = Memory({"cuda:0": 100}, {"huge": 200, "a": 10})
    assert [("huge", GPU[0])] == pack(["huge", "a"], GPU, memory=memory)


def spec(key, lr):
    return RunSpec(key, TaskUse.of("t:f"), {"lr": lr}, (), 0, 1, "", "")


def test_what_a_variants_runs_take_is_the_most_that_one_was_seen_to_and_at_least_what_the_study_says():
    specs = {"a0": spec("a0", 1), "a1": spec("a1", 1), "b0": spec("b0", 2)}
    auto, said = Sizes({"cuda:0": 1000}), Sizes({"cuda:0": 1000}, asked_mib=150)
    for sizes in (auto, said):
        sizes.learn(specs["a0"], {"device_peak_mib": 100.0})
        sizes.learn(replace(specs["a0"], key="a9"), {"device_peak_mib": 200.0})
        sizes.learn(specs["b0"], {"process_peak_mib": 900.0})  # of the host's memory, not of the device's
    assert Memory({"cuda:0": 950}, {"a0": 220, "a1": 220}) == auto.memory(specs)
    assert {"a0": 220, "a1": 220, "b0": 150} == said.memory(specs).needs


keys = st.lists(st.sampled_from("abcdefghij"), unique=True)
sizes = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(1, 150))
rooms = st.fixed_dictionaries({"cuda:0": st.integers(10, 100), "cuda:1": st.integers(10, 100)})
alones = st.frozensets(st.sampled_from("abcdefghij"), max_size=3)


@given(keys, rooms, sizes, alones, st.booleans(), st.randoms(use_true_random=False))
def test_nothing_is_over_capacity_no_slot_is_used_twice_and_every_run_gets_its_turn(
    waiting, room, needs, alone, counted, draw
):
    """Runs end in any order. The first of the queue starts at the latest when all have ended that were running when it
    became the first, even if nothing that was started after it ever ends."""
    memory = None if counted else Memory(room, needs)
    whole = {key for key in waiting if key in alone or (memory and needs.get(key, 10**6) > max(room.values()))}
    queue, running, before = list(waiting), {}, set()
    for _ in range(200):
        held = [Held(slot, key) for key, slot in running.items()]
        for key, slot in pack(queue, TWO, held, alone, memory):
            assert slot not in running.values()
            running[key] = slot
            queue.remove(key)
        for device in room:
            here = [key for key, slot in running.items() if slot.device == device]
            if memory is not None and not whole & set(here):
                assert sum(needs[key] for key in here) <= room[device]
            assert len(here) == 1 or not whole & set(here)
        if not queue:
            return
        if before and queue[0] == before[0]:
            assert before[1] & running.keys(), "the first of the queue waits for what came after it"
        else:
            before = (queue[0], frozenset(running))
        del running[draw.choice(sorted(before[1] & running.keys()))]
    pytest.fail("the queue never empties")
