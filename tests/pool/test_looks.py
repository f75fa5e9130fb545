"""A step costs what happened and a look what others changed: nothing that matters is passed over for it."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from plans import bare
from test_leases import Deaf

from ablate.pool.dispatcher import Dispatcher
from ablate.pool.executor import Executor, Slot
from ablate.pool.scheduler import Held, Snapshot, Stop, Working, decide, next_overdue, pack
from ablate.pool.vacancy import Vacancy
from ablate.records import Limits, RunSpec, TaskUse
from ablate.store.store import Store

KEYS = [f"k{i}" for i in range(1200)]
SLOTS = tuple(Slot(f"d{i // 2}", i % 2) for i in range(6))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(SLOTS))), st.sets(st.sampled_from(SLOTS)))
def test_what_is_free_is_what_pack_would_fill_first(changes, taken):
    vacancy, held = Vacancy(SLOTS, taken), set(taken)
    for takes, slot in changes:
        (vacancy.take if takes else vacancy.give)(slot)
        (held.add if takes else held.discard)(slot)
    packed = pack("abcdefgh", SLOTS, [Held(slot, "x") for slot in held])
    assert [slot for _, slot in packed] == vacancy.first(9)


times = st.integers(0, 90)


@given(st.lists(st.tuples(times, times, st.booleans()), max_size=4), times, times, times)
def test_somebody_takes_too_long_exactly_from_the_time_on_that_is_waited_for(runs, timeout_s, silence_s, now_s):
    working = [Working(str(i), SLOTS[i], since, stop, "", heard) for i, (since, heard, stop) in enumerate(runs)]
    limits = Limits(timeout_s=timeout_s, silence_s=silence_s)
    actions = decide(Snapshot(SLOTS, [], working, renewed_s=now_s, limits=limits), now_s)
    assert any(isinstance(action, Stop) for action in actions) == (now_s >= next_overdue(working, limits))


class Nothing(Executor):
    """Takes every run, and nothing is ever heard of it."""

    place = "nowhere"

    def open(self, setup, needs=None):
        return self

    def start(self, token, spec, slot, *, canary=False, alone=False):
        pass

    def poll(self, timeout_s):
        return []

    def stop(self, token, reason, message):
        pass

    def close(self):
        pass


@pytest.fixture
def two(tmp_path):
    """A dispatcher that has looked around, and another's store."""
    with Store.open(tmp_path / "a.db", write=True) as ours, Store.open(tmp_path / "a.db", write=True) as theirs:
        cells = [("v", i, "ablation", key) for i, key in enumerate(KEYS)]
        ours.save_plan(bare(), "", cells, dict.fromkeys(KEYS, "{}"))
        spec = RunSpec("", TaskUse.of("t:f"), {}, (), 0, 1, "", "")
        specs = {key: replace(spec, key=key, folder=str(tmp_path / key)) for key in KEYS}
        dispatcher = Dispatcher(ours, Nothing(), [Slot("cpu", 0)], specs, Limits(), listener=Deaf())
        dispatcher.look_around()
        yield dispatcher, theirs


def claimed(store, key, slot=5):
    return store.claim(
        key, f"t-{key}", host="h", boot="b", owner="7:7", device="cpu", slot=slot, lease_s=60, log=f"s/runs/{key}"
    )


def statements(dispatcher):
    """What the dispatcher asks the database from now on."""
    asked = []
    sa.event.listen(dispatcher.store._engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    return asked


def test_a_look_reads_nothing_while_nobody_else_writes_whatever_this_dispatcher_writes(two):
    dispatcher, _ = two
    dispatcher.step(0)
    asked = statements(dispatcher)
    dispatcher.look_around()
    assert [] == asked


def test_a_look_takes_in_what_others_began_ended_and_failed_since_and_reads_no_other_run(two):
    dispatcher, theirs = two
    for key in ("k3", "k5", "k7"):
        claimed(theirs, key, slot=int(key[1:]))
    theirs.finish("t-k3", {"m": 1.0}, {}, {})
    theirs.fail("t-k5", "error", "", again=False)
    asked = statements(dispatcher)
    dispatcher.look_around()
    known = dispatcher.known
    assert ({"k3"}, {"k5": "error"}, ["k7"]) == (known.done, known.failed, [other.run for other in known.elsewhere])
    assert not {"k3", "k5", "k7"} & known.waiting.keys()
    assert len(known.waiting) == len(KEYS) - 3
    assert not any("FROM run" in text and "WHERE" not in text for text in asked)
    theirs.fail("t-k7", "lost", "", again=True)
    theirs.requeue(["k5"])
    dispatcher.look_around()
    assert ["k7", "k5", "k0"] == list(known.waiting)[:3]
    assert (1, {}) == (known.attempts["k7"], known.failed)


def test_a_run_whose_claim_was_refused_is_read_again_and_the_next_is_begun(two):
    dispatcher, theirs = two
    claimed(theirs, "k0")  # since the look
    dispatcher.step(0)
    assert "k0" not in dispatcher.known.waiting
    dispatcher.step(0)
    assert ["k1"] == [work.key for work in dispatcher.working.values()]
    assert ["k0"] == [other.run for other in dispatcher.known.elsewhere]


def test_nobody_leaves_before_a_look_at_every_run(two):
    dispatcher, _ = two
    dispatcher.known.waiting.clear()  # whatever was missed
    assert not dispatcher.step(0)
    assert len(KEYS) == len(dispatcher.known.waiting)
