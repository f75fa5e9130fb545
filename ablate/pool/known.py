"""What a dispatcher knows of its study: what is to do, what it executes, what others hold, what came of it.

Read from the database anew now and then (`look`), and kept up to date between two looks by what is heard. Nothing is
written here, and nothing decided (scheduler.py).
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ablate.pool import ending, host, scheduler
from ablate.pool.alike import Alike
from ablate.pool.backoff import Backoff
from ablate.pool.books import Work
from ablate.pool.executor import Executor, Slot
from ablate.pool.feed import Feed, Fixed, Seen
from ablate.pool.host import fate, keeps, owner_of, sees, sees_owner
from ablate.pool.leases import Leases, lease_s
from ablate.pool.scheduler import ALIKE, STOPPED, Elsewhere, Memory, Sizes, Snapshot, Working
from ablate.records import INTERRUPTED, Limits, Reason, RunSpec
from ablate.store.store import Store
from ablate.store.stored import Fate, LiveAttempt

MOST_AT_WORK = 1_000_000
"""Of an engine's runs: how many it has room for is its own to say."""


class Known:
    """working: by token; waiting: keys, in the plan's order; elsewhere: what others hold, as the scheduler sees it, and
    others: as the database has it, by token; attempts: of each run, those that its limit counts; alone: runs that need
    a device to themselves; unwanted: tokens of runs that the feed gave up, and why; alike: whether runs fail alike, and
    why_alike: in words, once they do."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        slots: Sequence[Slot],
        specs: Mapping[str, RunSpec] | Feed,
        limits: Limits,
        *,
        sizes: Sizes | None = None,
        workers: int | None = None,
        excused: Collection[Reason] = (),
    ) -> None:
        self.store = store
        self.executor = executor
        self.slots: Sequence[Slot] = tuple(slots)
        self.here = self.slots
        self.place = executor.place or host.place()
        self.owner = str(host.this_process())
        self.feed: Feed = Fixed(specs) if isinstance(specs, Mapping) else specs
        self.specs: Mapping[str, RunSpec] = specs if isinstance(specs, Mapping) else {}
        self.limits = limits
        self.working: dict[str, Work] = {}
        self.waiting: deque[str] = deque()
        self.elsewhere: list[Elsewhere] = []
        self.others: dict[str, LiveAttempt] = {}
        self.failed: dict[str, Reason] = {}
        self.done: set[str] = set()
        self.stopped_by: int | None = None
        self.why_alike = ""
        self.alike = Alike(limits.stop_after, {*INTERRUPTED, *excused})
        self.attempts: dict[str, int] = {}
        self.alone: set[str] = set()
        self.unwanted: dict[str, tuple[Reason, str]] = {}
        most = MOST_AT_WORK if executor.engine else len(self.slots)
        self.backoff = Backoff(most if workers is None else workers, limits.infrastructure_s)
        self.sizes = sizes
        self.memory: Memory | None = sizes.memory(self.specs) if sizes else None
        self.lease_s = lease_s()
        self.leases = Leases(self.lease_s)
        self.renewed_s = time.monotonic()
        self.trusts_s = float("-inf")
        self._taken: dict[Slot, str] = {}
        self._blocked: set[str] = set()
        self._needing = _needing(self.specs)

    def turn(self) -> None:
        """A turn of the loop begins: where runs may be started now."""
        self.leases.turn(time.monotonic())
        self.slots = self.executor.slots(self.here, len(self.waiting) + len(self.working))

    def snapshot(self) -> Snapshot:
        """All of it, as the scheduler wants it."""
        now_s = time.monotonic()
        working = tuple(
            Working(w.token, w.slot, w.since_s, w.stopping, w.key, w.heard_s) for w in self.working.values()
        )
        wanted = sum(self._awaited(other) for other in self.elsewhere)
        return Snapshot(
            slots=self.slots,
            waiting=self.waiting,
            working=working,
            elsewhere=tuple(self.elsewhere),
            taken=self._taken,
            alone=self.alone,
            memory=self.memory,
            blocked=self._blocked | self.backoff.early(now_s),
            wanted_elsewhere=wanted,
            unwanted=self.unwanted,
            stopping=self.stops,
            why_stopping=STOPPED if self.stopped_by is not None else ALIKE,
            renewed_s=self.renewed_s,
            lease_s=self.lease_s,
            workers=self.backoff.workers(now_s),
            limits=self.limits,
        )

    @property
    def stops(self) -> bool:
        """Whether nothing more is to be started."""
        return self.stopped_by is not None or bool(self.why_alike)

    @property
    def waits_for(self) -> str:
        """What keeps this dispatcher from executing another run now; empty where nothing does."""
        if self.executor.engine and self.waiting and not self.stops:
            return self.executor.awaits
        early = self.backoff.early(time.monotonic())
        if early and self._blocked.union(early).issuperset(self.waiting) and not self.stops:
            trouble = self.backoff.in_trouble(early & set(self.waiting), time.monotonic())
            return trouble or "a moment, for a run got lost and is tried again after a delay"
        return scheduler.waits_for(self.snapshot()) or ("" if self.stops else self.backoff.awaited(time.monotonic()))

    def look(self) -> None:
        """Read from the database what is to do, what others hold, and which of them are gone; ask the feed."""
        # States first, live attempts second: a run that another dispatcher claims in between is then in both, and our
        # claim of it is refused. The other way round it would be in neither, and this dispatcher might leave while
        # work is left.
        self._read(self.specs)
        others = self.see_others()
        over = self.leases.over(others, time.monotonic())
        others = [replace(attempt, expired=attempt.token in over) for attempt in others]
        self.ask()
        # Before their fates: what a dead dispatcher's run started may live on, and so does a stopped one's whole run;
        # it must not start a second time beside them. One that is not gone yet counts as held until the next look.
        for attempt in others:
            if sees(attempt) and not keeps(attempt.host) and not _holds(attempt):
                ending.end_attempts([attempt.token], owner_of(attempt))
        # A run of another study is not ours to give up, whatever our limits are.
        self.others = {attempt.token: attempt for attempt in others}
        self.elsewhere = [
            Elsewhere(
                a.token,
                a.run,
                self._fate(a),
                self.attempts.get(a.run, 0) + 1 if a.run in self.specs else 0,
                self.executor.keeps and a.host == self.place and a.run in self.specs,
            )
            for a in others
        ]

    def _awaited(self, other: Elsewhere) -> bool:
        """Whether another's attempt will end one day without us: one of our runs, and somebody looks after it."""
        return other.run in self.specs and (other.fate != "left" or other.ours)

    def _fate(self, attempt: LiveAttempt) -> Fate:
        """What became of another's attempt. While the database was away nobody could renew a lease: whoever lives does
        it within one lease from then on."""
        seen = fate(attempt)
        trusted = seen == "expired" or (seen == "left" and attempt.owner and not sees_owner(attempt))
        return "held" if trusted and time.monotonic() < self.trusts_s else seen

    def see_others(self) -> list[LiveAttempt]:
        """What others execute, where, and which runs need a device to themselves, whoever executes them."""
        others = [attempt for attempt in self.store.live() if attempt.token not in self.working]
        here = [a for a in others if a.host == self.place]
        self._taken = {Slot(a.device, a.slot): a.run for a in here}
        self._taken |= {slot: a.run for a in here for slot in self.slots if host.share(slot.device, a.device)}
        self.alone = self.store.out_of_memory()
        return others

    def _read(self, keys: Collection[str]) -> None:
        """The states of these runs, and what waits."""
        mine = {work.key for work in self.working.values()}
        states = self.store.states(keys)
        for key in keys:
            state = states[key]
            self.attempts[key] = state.attempts
            self.done.discard(key)
            self.failed.pop(key, None)
            if state.state == "done":
                self.done.add(key)
            elif state.state == "failed":
                self.failed[key] = state.reason or "lost"
        todo = {key for key in keys if states[key].state == "todo"} - self.backoff.given_up
        # In the plan's order again, whatever came back meanwhile: one seed after another, comparisons first.
        waiting = todo | (set(self.waiting) - set(keys))
        self.waiting = deque(key for key in self.specs if key in waiting and key not in mine)
        ended = self.done | self.failed.keys() | self.backoff.given_up
        self._blocked = {key for other, needing in self._needing.items() if other not in ended for key in needing}

    def ask(self) -> None:
        """What the feed wants now. Runs that it did not want before, or that failed, are looked up in the store."""
        if self.stops:
            return
        wanted = self.feed.wanted(Seen(self.done, self.failed))
        if wanted is not self.specs:
            self.specs, self._needing = wanted, _needing(wanted)
            self.memory = self.sizes.memory(wanted) if self.sizes else None
            working = {work.key for work in self.working.values()}
            self._read([key for key in wanted if key not in self.done and key not in working])

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do or to wait for, as far as was seen."""
        return not self.waiting and not any(self._awaited(other) for other in self.elsewhere)

    def no_longer_waiting(self, keys: set[str]) -> None:
        """Claims take from the front, so this costs nothing however long the queue is; seldom one is further back."""
        while self.waiting and self.waiting[0] in keys:
            keys.remove(self.waiting.popleft())
        if keys:
            self.waiting = deque(key for key in self.waiting if key not in keys)

    def unblock(self, key: str) -> None:
        """Nothing waits for this run's weights any more."""
        self._blocked.difference_update(self._needing.get(key, ()))


def _holds(attempt: LiveAttempt) -> bool:
    """Whether a dispatcher of this host still holds its attempt."""
    owner = owner_of(attempt)
    return owner.lives and not (owner.stopped and attempt.expired)


def _needing(specs: Mapping[str, RunSpec]) -> dict[str, list[str]]:
    """Of runs whose weights others measure anew: those others."""
    needing = defaultdict(list)
    for key, spec in specs.items():
        if spec.evaluates in specs:
            needing[spec.evaluates].append(key)
    return dict(needing)
