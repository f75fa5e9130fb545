"""What to do next, as values. No clock, no store, no process: a snapshot goes in, actions come out.

The dispatcher looks around, asks `decide`, and does what it says. Every rule about retries, leases, timeouts and order
is here and is tested with literals.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

from ablate.pool.executor import Slot
from ablate.pool.packer import Held, Memory, pack
from ablate.records import Limits, Reason

RETRIED: frozenset[Reason] = frozenset({"lost", "oom", "cancelled", "code_changed"})
"""Failures that say nothing against the run itself: it is tried again within `limits.attempts`."""


@dataclass(frozen=True)
class Working:
    """A run that this dispatcher's executor is executing, since `since_s` on the dispatcher's clock."""

    token: str
    slot: Slot
    since_s: float
    stopping: bool = False
    key: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """A live attempt that is not this dispatcher's. `fate`: held; gone (its worker or owner died on this host);
    expired (its lease is over)."""

    token: str
    run: str
    fate: Literal["held", "gone", "expired"]
    attempts: int


@dataclass(frozen=True)
class Snapshot:
    """What the dispatcher knows. waiting: keys to do, in the plan's order. taken: slots of this host in which other
    dispatchers execute runs, and which. alone: keys that ran out of memory, wherever they are; they get their device to
    themselves. memory: what runs take and devices have, where that is to be heeded. wanted_elsewhere: how many of the
    plan's keys another dispatcher is executing. blocked: waiting keys that need what a run of this plan leaves that has
    not ended yet. unwanted: tokens of runs that are to stop, each with reason and message.
    """

    slots: tuple[Slot, ...]
    waiting: Sequence[str]
    working: tuple[Working, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    taken: Mapping[Slot, str] = field(default_factory=dict)
    alone: Set[str] = frozenset()
    memory: Memory | None = None
    blocked: Set[str] = frozenset()
    wanted_elsewhere: int = 0
    unwanted: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)
    stopping: bool = False
    renewed_s: float = 0.0
    lease_s: float = 30.0
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Start:
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
class Renew:
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class Finish:
    """Nothing is left to do or to wait for."""


Action = Start | Stop | Rescue | Renew | Finish


def decide(snapshot: Snapshot, now_s: float) -> list[Action]:
    """The next actions, in the order in which to do them. `now_s` is on the clock of `since_s` and `renewed_s`."""
    actions: list[Action] = []
    if snapshot.working and now_s - snapshot.renewed_s >= snapshot.lease_s / 3:
        actions.append(Renew(tuple(work.token for work in snapshot.working)))
    for other in snapshot.elsewhere:
        if other.fate != "held":
            message = "its worker is gone" if other.fate == "gone" else "its lease ended without a sign of life"
            actions.append(Rescue(other.token, message, try_again("lost", other.attempts, snapshot.limits)))
    actions += _stops(snapshot, now_s)
    if snapshot.stopping:
        return actions if snapshot.working else [*actions, Finish()]
    starts = _starts(snapshot)
    nothing_left = not (snapshot.waiting or snapshot.working or snapshot.wanted_elsewhere)
    return [*actions, *starts] if not nothing_left else [*actions, Finish()]


def _stops(snapshot: Snapshot, now_s: float) -> list[Action]:
    stops: list[Action] = []
    for work in snapshot.working:
        if work.stopping:
            continue
        limit = snapshot.limits.timeout_s
        if snapshot.stopping:
            stops.append(Stop(work.token, "cancelled", "stopped by the user"))
        elif work.token in snapshot.unwanted:
            stops.append(Stop(work.token, *snapshot.unwanted[work.token]))
        elif limit is not None and now_s - work.since_s >= limit:
            stops.append(Stop(work.token, "timeout", f"took longer than limits.timeout, {limit:g} s"))
    return stops


def _starts(snapshot: Snapshot) -> list[Action]:
    """Free slots take waiting runs in the plan's order, as far as memory allows (packer.py)."""
    held = [Held(work.slot, work.key) for work in snapshot.working]
    held += [Held(slot, key, others=True) for slot, key in snapshot.taken.items()]
    ready = (key for key in snapshot.waiting if key not in snapshot.blocked)
    return [Start(key, slot) for key, slot in pack(ready, snapshot.slots, held, snapshot.alone, snapshot.memory)]


def try_again(reason: Reason, attempts: int, limits: Limits) -> bool:
    """Whether a run whose latest attempt failed for `reason` is to do again after `attempts` executions.

    A cancelled attempt costs nothing; a pruned one neither, but who stopped it decides when it goes on. An error, a
    divergence or a bad result would only repeat itself; a timeout too.
    """
    return reason == "cancelled" or (reason in RETRIED and attempts < limits.attempts)


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
