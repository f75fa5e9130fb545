"""What to do next, as values. No clock, no store, no process: a snapshot goes in, actions come out.

The dispatcher looks around, asks `decide`, and does what it says. Every rule about retries, leases, timeouts and order
is here and is tested with literals.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from typing import Protocol

from ablate.pool.executor import Slot
from ablate.records import Json, Limits, Reason, RunSpec
from ablate.store.stored import Fate
from ablate.text import many

# Both chosen, not measured. Where they are wrong a run ends as `oom` and is tried again with a device to itself, so a
# wrong guess costs an attempt and no result (tests/pool/test_host.py: liars that claim 30 % and take 60 %).
SHARE = 0.95
"""Of a device's memory, what runs may take: the driver, the screen and fragments have the rest."""

MARGIN = 1.1
"""A run is given a tenth more than its variant was seen to take, for seeds differ a little."""


@dataclass(frozen=True)
class Memory:
    """room: MiB that runs may take of each device. needs: MiB that a run takes, by key; one that is missing is not
    known yet."""

    room: Mapping[str, int]
    needs: Mapping[str, int]


@dataclass(frozen=True)
class Held:
    """A slot that is in use, and the run in it. others: another dispatcher's."""

    slot: Slot
    key: str
    others: bool = False


@dataclass
class _Place:
    """A device while slots are given out. closed: nothing is to be started on it."""

    room: int
    left: int
    runs: int = 0
    closed: bool = False
    others: bool = False

    def takes(self, need: int | None) -> bool:
        # What nobody has seen the size of goes alone: two such runs beside each other might both run out of memory.
        return not self.closed and (self.runs == 0 if need is None else need <= self.left)

    def hold(self, need: int | None) -> None:
        self.runs += 1
        if need is None:
            self.closed = True
        else:
            self.left -= need


def pack(
    waiting: Iterable[str],
    slots: Sequence[Slot],
    held: Sequence[Held] = (),
    alone: Set[str] = frozenset(),
    memory: Memory | None = None,
    limit: int | None = None,
) -> list[tuple[str, Slot]]:
    """What to start where now. alone: keys that ran out of memory, waiting or at work; memory: None to go by count;
    limit: so many at most."""
    room = memory.room if memory is not None else {}
    places = {slot.device: _Place(room.get(slot.device, 0), room.get(slot.device, 0)) for slot in slots}
    most = max((place.room for place in places.values()), default=0)

    def need(key: str) -> int | None:
        """None: the whole of a device."""
        if key in alone:
            return None
        # Slots alone then say how many go beside each other, so that every run fits everywhere.
        if memory is None:
            return 0
        size = memory.needs.get(key)
        # More than any device has can only be tried on one that is idle; refused, it would wait for ever.
        return size if size is not None and size <= most else None

    for one in held:
        if one.slot.device in places:
            places[one.slot.device].hold(need(one.key))
            places[one.slot.device].others |= one.others
    taken = {one.slot for one in held}
    free = [slot for slot in slots if slot not in taken]
    placed: list[tuple[str, Slot]] = []
    kept = False
    for key in waiting:
        # Also where no slot is free.
        if len(placed) == limit or all(places[slot.device].closed for slot in free):
            break
        wanted = need(key)
        slot = next((slot for slot in free if places[slot.device].takes(wanted)), None)
        if slot is not None:
            placed.append((key, slot))
            free.remove(slot)
            places[slot.device].hold(wanted)
        elif not kept:
            # Always the same one for the same run, whatever ends meanwhile: one that changed might never become free.
            # Where another dispatcher has runs, it may start more of them, so such a device is the last resort.
            large = [place for place in places.values() if wanted is None or wanted <= place.room]
            min(large, key=lambda place: place.others).closed = kept = True
    return placed


@dataclass
class Sizes:
    """What runs take, by variant: the most that any of its runs was seen to take, and at least what the study says.

    room: MiB of each device. asked_mib: what the study says of every run; None: it is to be learned.
    """

    room: Mapping[str, int]
    asked_mib: int | None = None
    _seen: dict[str, float] = field(default_factory=dict)
    _variants: dict[str, str] = field(default_factory=dict)

    def learn(self, spec: RunSpec, provenance: Mapping[str, Json]) -> bool:
        """Take in what a finished run was seen to take, on the kind of device that these runs are for; whether that was
        news."""
        peak = provenance.get("process_peak_mib" if "cpu" in self.room else "device_peak_mib")
        if isinstance(peak, (int, float)):
            variant = self._variant(spec)
            if peak > self._seen.get(variant, 0.0):
                self._seen[variant] = peak
                return True
        return False

    def memory(self, specs: Mapping[str, RunSpec]) -> Memory:
        """What `pack` is to know of these runs."""
        needs: dict[str, int] = {}
        for key, spec in specs.items():
            seen = self._seen.get(self._variant(spec))
            sizes = [self.asked_mib, None if seen is None else int(seen * MARGIN)]
            if any(size is not None for size in sizes):
                needs[key] = max(size for size in sizes if size is not None)
        return Memory({name: int(mib * SHARE) for name, mib in self.room.items()}, needs)

    def _variant(self, spec: RunSpec) -> str:
        """What the runs of a variant have in common: all but their seeds."""
        if spec.key not in self._variants:
            common = [spec.task.written, spec.config, [asdict(use) for use in spec.tricks]]
            self._variants[spec.key] = json.dumps(common, sort_keys=True)
        return self._variants[spec.key]


MOST_CLAIMS = 200
"""Runs that are claimed in one commit: 1,000 hold SQLite's lock for 0.6 CPU seconds, and the others wait."""

RETRIED: frozenset[Reason] = frozenset({"lost", "stalled", "oom", "cancelled", "code_changed"})
"""Failures that say nothing against the run itself: it is tried again within `limits.attempts`."""


STOPPED = "stopped by the user"
ALIKE = "stopped because other runs failed all alike"


class AtWork(Protocol):
    """A run that this dispatcher's executor is executing (Working; books.Work)."""

    @property
    def token(self) -> str: ...
    @property
    def slot(self) -> Slot: ...
    @property
    def since_s(self) -> float: ...
    @property
    def stopping(self) -> bool: ...
    @property
    def key(self) -> str: ...
    @property
    def heard_s(self) -> float | None: ...


@dataclass(frozen=True)
class Working:
    """A run that this dispatcher's executor is executing, since `since_s` on the dispatcher's clock. heard_s: when it
    gave a sign of life; None where nobody listens."""

    token: str
    slot: Slot
    since_s: float
    stopping: bool = False
    key: str = ""
    heard_s: float | None = None


@dataclass(frozen=True)
class Elsewhere:
    """A live attempt that is not this dispatcher's. `fate`: held; gone (its worker or owner died on this host);
    expired (its lease is over); left (it goes on, and nobody looks after it). ours: whether this dispatcher may look
    after it: it is one of its runs, at its executor's place."""

    token: str
    run: str
    fate: Fate
    attempts: int
    ours: bool = False


@dataclass(frozen=True)
class Snapshot:
    """What the dispatcher knows. waiting: keys to do, in the plan's order. taken: slots of this host in which other
    dispatchers execute runs, and which. alone: keys that ran out of memory, wherever they are; they get their device to
    themselves. memory: what runs take and devices have, where that is to be heeded. wanted_elsewhere: how many of the
    plan's keys another dispatcher is executing. blocked: waiting keys that need what a run of this plan leaves that has
    not ended yet. unwanted: tokens of runs that are to stop, each with reason and message. workers: how many runs this
    dispatcher may have at work, in whichever slots are free; None: as many as there are slots.

    Looks at what the dispatcher keeps, not copies, for a step is to cost what happened: no run takes too long before
    `due_s`; free: the slots to fill first, where any run may go into any of them; None: `pack` says which. ahead: what
    to fill besides, with runs that follow those at work; queued: how many of `working` wait for that.
    """

    slots: Sequence[Slot]
    waiting: Collection[str]
    working: Collection[AtWork] = ()
    elsewhere: Sequence[Elsewhere] = ()
    taken: Mapping[Slot, str] = field(default_factory=dict)
    alone: Set[str] = frozenset()
    memory: Memory | None = None
    blocked: Set[str] = frozenset()
    wanted_elsewhere: int = 0
    unwanted: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)
    stopping: bool = False
    why_stopping: str = STOPPED
    renewed_s: float = 0.0
    lease_s: float = 30.0
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    due_s: float = -math.inf
    free: Sequence[Slot] | None = None
    ahead: Sequence[Slot] = ()
    queued: int = 0


@dataclass(frozen=True)
class Launch:
    key: str
    slot: Slot


@dataclass(frozen=True)
class Stop:
    token: str
    reason: Reason
    message: str


@dataclass(frozen=True)
class Rescue:
    """End another dispatcher's attempt as lost; `again`: its run is to do again."""

    token: str
    message: str
    again: bool


@dataclass(frozen=True)
class Adopt:
    """Look after another dispatcher's attempt that was left."""

    token: str


@dataclass(frozen=True)
class Renew:
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class Finish:
    """Nothing is left to do or to wait for."""


Action = Launch | Stop | Rescue | Adopt | Renew | Finish


def decide(snapshot: Snapshot, now_s: float) -> list[Action]:
    """The next actions, in the order in which to do them. `now_s` is on the clock of `since_s` and `renewed_s`."""
    actions: list[Action] = []
    # At a third, so two renewals may be late or refused before the lease is over: with 30 s every 10 s.
    if snapshot.working and now_s - snapshot.renewed_s >= snapshot.lease_s / 3:
        actions.append(Renew(tuple(work.token for work in snapshot.working)))
    for other in snapshot.elsewhere:
        # The slot of a rescued attempt stays in `taken` until the dispatcher has looked again, so nothing starts
        # there before. What is left at a place that keeps its runs goes on: nobody rescues that.
        if other.fate == "left":
            actions += [Adopt(other.token)] * (other.ours and not snapshot.stopping)
        elif other.fate != "held":
            message = "its worker is gone" if other.fate == "gone" else "its lease ended without a sign of life"
            actions.append(Rescue(other.token, message, try_again("lost", other.attempts, snapshot.limits)))
    actions += _stops(snapshot, now_s)
    if snapshot.stopping:
        return actions if snapshot.working else [*actions, Finish()]
    starts = _starts(snapshot)
    # Stay while another dispatcher executes a run of this plan: if it dies, nobody else may be there to take it up.
    nothing_left = not (snapshot.waiting or snapshot.working or snapshot.wanted_elsewhere)
    return [*actions, *starts] if not nothing_left else [*actions, Finish()]


def _stops(snapshot: Snapshot, now_s: float) -> list[Action]:
    stops: list[Action] = []
    if not (snapshot.stopping or snapshot.unwanted or now_s >= snapshot.due_s):
        return stops
    for work in snapshot.working:
        # Asked once: its end comes as an event, perhaps a while later.
        if work.stopping:
            continue
        if snapshot.stopping:
            stops.append(Stop(work.token, "cancelled", snapshot.why_stopping))
        elif work.token in snapshot.unwanted:
            stops.append(Stop(work.token, *snapshot.unwanted[work.token]))
        elif (over := overdue(work.since_s, work.heard_s, snapshot.limits, now_s)) is not None:
            stops.append(Stop(work.token, *over))
    return stops


def next_overdue(working: Iterable[AtWork], limits: Limits) -> float:
    """When the first of them will have taken too long, if nothing more is heard; infinity where none will."""
    timeout_s, silence_s = limits.timeout_s, limits.silence_s
    if timeout_s is None and silence_s is None:
        return math.inf
    at_s = math.inf
    for work in working:
        if not work.stopping:
            if timeout_s is not None:
                at_s = min(at_s, work.since_s + timeout_s)
            if silence_s is not None and work.heard_s is not None:
                at_s = min(at_s, work.heard_s + silence_s)
    return at_s


def overdue(since_s: float, heard_s: float | None, limits: Limits, now_s: float) -> tuple[Reason, str] | None:
    """Why a run takes too long; None where it does not. A worker far away asks it too, for nobody may look after it."""
    limit, silence = limits.timeout_s, limits.silence_s
    if limit is not None and now_s - since_s >= limit:
        return "timeout", f"took longer than limits.timeout, {limit:g} s"
    if silence is not None and heard_s is not None and now_s - heard_s >= silence:
        return "stalled", f"reported no step and printed nothing for limits.silence, {silence:g} s"
    return None


def _starts(snapshot: Snapshot) -> list[Action]:
    """Free slots take waiting runs in the plan's order, as far as memory allows (`pack`)."""
    ready = (key for key in snapshot.waiting if key not in snapshot.blocked)
    most = MOST_CLAIMS
    if snapshot.workers is not None:
        most = min(most, max(0, snapshot.workers - len(snapshot.working) + snapshot.queued))
    if snapshot.free is not None:
        slots = [*snapshot.free[:most], *snapshot.ahead]
        return [Launch(key, slot) for slot, key in zip(slots, ready, strict=False)]
    held = [Held(work.slot, work.key) for work in snapshot.working]
    held += [Held(slot, key, others=True) for slot, key in snapshot.taken.items()]
    placed = pack(ready, snapshot.slots, held, snapshot.alone, snapshot.memory, most)
    return [Launch(key, slot) for key, slot in placed]


def waits_for(snapshot: Snapshot) -> str:
    """What keeps this dispatcher from starting another run now; empty where it starts one, or has as many at work as it
    may."""
    most = len(snapshot.slots) if snapshot.workers is None else snapshot.workers
    if snapshot.stopping or len(snapshot.working) >= most or _starts(snapshot):
        return ""
    if not snapshot.waiting:
        theirs = 0 if snapshot.working else snapshot.wanted_elsewhere
        return f"another `ablate` executes {many(theirs, 'run')} of it" if theirs else ""
    key = next((key for key in snapshot.waiting if key not in snapshot.blocked), None)
    if key is None:
        return "weights that are still trained, which the other runs measure anew"
    held = {**snapshot.taken, **{work.slot: work.key for work in snapshot.working}}
    free = {slot.device for slot in snapshot.slots if slot not in held}
    if not free:
        theirs, every = len(snapshot.taken.keys() & set(snapshot.slots)), len(snapshot.slots)
        used = "every slot" if theirs == every else f"{theirs} of {many(every, 'slot')}"
        return f"another `ablate` uses {used} of this host"
    if key in snapshot.alone:
        return f"a device that nothing else uses, for run {key[:8]} ran out of memory beside others"
    lonely = next((slot.device for slot, of in held.items() if slot.device in free and of in snapshot.alone), None)
    if lonely is not None:
        return f"{lonely}, which a run that ran out of memory beside others has to itself"
    return _memory_awaited(key, held, free, snapshot.memory) if snapshot.memory is not None else ""


def _memory_awaited(key: str, held: Mapping[Slot, str], free: Set[str], memory: Memory) -> str:
    need = memory.needs.get(key)
    if need is None:
        return "an idle device, for it is not known yet how much memory the next run takes"
    taken = {name: sum(memory.needs.get(of, 0) for slot, of in held.items() if slot.device == name) for name in free}
    name, left = max(((name, memory.room[name] - mib) for name, mib in taken.items()), key=lambda place: place[1])
    return f"memory: the next run takes {need / 1024:.3g} GiB, and {name} has {max(left, 0) / 1024:.3g} left"


def try_again(reason: Reason, attempts: int, limits: Limits) -> bool:
    """Whether a run whose latest attempt failed for `reason` is to do again after `attempts` executions.

    A cancelled attempt costs nothing, nor does one that met a full disk; a pruned one neither, but who stopped it
    decides when it goes on. An error, a divergence or a bad result would only repeat itself; a timeout too.
    """
    # `attempts` counts executions that the infrastructure did not interrupt, so a cancelled one is not among them.
    return reason in ("cancelled", "infrastructure") or (reason in RETRIED and attempts < limits.attempts)


def to_requeue(
    failed: Mapping[str, tuple[Reason | None, int]], limits: Limits, *, retried: Collection[Reason] = ()
) -> list[str]:
    """Which failed runs (key -> reason, executions) a new `run` takes up again. `retried`: reasons that the user asks
    to try again, whatever the limits."""
    return [
        key
        for key, (reason, attempts) in failed.items()
        if reason in retried or (reason is not None and try_again(reason, attempts, limits))
    ]
