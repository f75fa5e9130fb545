"""What a dispatcher knows of its study: what is to do, what it executes, what others hold, what came of it.

Read from the database once, and kept up to date by what is heard and by what others write (`look`). Nothing is written
here, and nothing decided (scheduler.py).

A look costs what others changed, not the size of the study. Where nobody else wrote (Opened.version) and nobody else
holds a run, nothing is read. Else three kinds of runs may be other than they were known: those whose attempts others
began since the last look (their numbers only grow), those that others held then, and those that had failed, which
another command may have set to do again. Whatever that leaves out, a run deleted and made anew, say, is found where it
matters: its claim is refused, and then it is read; and nobody leaves before a look at every run.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from ablate.pool import ending, host, scheduler
from ablate.pool.alike import Alike
from ablate.pool.backoff import Backoff
from ablate.pool.books import Work
from ablate.pool.executor import Executor, Slot
from ablate.pool.feed import Feed, Fixed, Seen
from ablate.pool.host import fate, keeps, owner_of, sees, sees_owner
from ablate.pool.leases import Leases, lease_s
from ablate.pool.pace import BACK_S, Pace
from ablate.pool.scheduler import ALIKE, STOPPED, Elsewhere, Memory, Sizes, Snapshot
from ablate.pool.vacancy import Vacancy
from ablate.records import AHEAD, INTERRUPTED, Limits, Reason, RunSpec
from ablate.store.store import Store
from ablate.store.stored import Fate, LiveAttempt, RunState

MOST_AT_WORK = 1_000_000
"""Of an engine's runs: how many it has room for is its own to say."""


class Known:
    """working: by token; waiting: keys, in the plan's order; elsewhere: what others hold, as the scheduler sees it, and
    others: as the database has it, by token; attempts: of each run, those that its limit counts; alone: runs that need
    a device to themselves; unwanted: tokens of runs that the feed gave up, and why; alike: whether runs fail alike, and
    why_alike: in words, once they do; doubted: runs that the database knows otherwise, to be read again; ahead: of what
    was handed over ahead and has no slot yet, since when, by token."""

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
        self.waiting: OrderedDict[str, None] = OrderedDict()
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
        self.doubted: set[str] = set()
        self.ahead: dict[str, float] = {}
        self.pace = Pace()
        most = MOST_AT_WORK if executor.engine else len(self.slots)
        self.backoff = Backoff(most if workers is None else workers, limits.infrastructure_s)
        self.sizes = sizes
        self.memory: Memory | None = sizes.memory(self.specs) if sizes else None
        self.lease_s = lease_s()
        self.leases = Leases(self.lease_s)
        self.renewed_s = time.monotonic()
        self.trusts_s = float("-inf")
        self._taken: dict[Slot, str] = {}
        self._holders: dict[Slot, str] = {}
        self._handed_over = 0
        self._blocked: set[str] = set()
        self._needing = _needing(self.specs)
        self._vacancy: Vacancy | None = None
        self._due_s = math.inf
        self._acted_on: tuple[Elsewhere, ...] = ()
        self._wanted_elsewhere = 0
        self._version: object = None
        self._newest = 0

    def turn(self) -> None:
        """A turn of the loop begins: where runs may be started now."""
        self.leases.turn(time.monotonic())
        self.slots = self.executor.slots(self.here, len(self.waiting) + len(self.working))

    def snapshot(self) -> Snapshot:
        """All of it, as the scheduler wants it: looks at what is kept here, so one is no longer true after a change."""
        now_s = time.monotonic()
        early = self.backoff.early(now_s)
        if now_s >= self._due_s:
            # Signs of life since then have moved it; what begins later than now is taken in by `begins`.
            self._due_s = scheduler.next_overdue(self.working.values(), self.limits)
        self._take_back(now_s)
        workers, free = self.backoff.workers(now_s), self._free()
        return Snapshot(
            slots=self.slots,
            waiting=self.waiting.keys(),
            working=self.working.values(),
            elsewhere=self._acted_on,
            taken=self._taken,
            alone=self.alone,
            memory=self.memory,
            blocked=self._blocked | early if early else self._blocked,
            wanted_elsewhere=self._wanted_elsewhere,
            unwanted=self.unwanted,
            stopping=self.stops,
            why_stopping=STOPPED if self.stopped_by is not None else ALIKE,
            renewed_s=self.renewed_s,
            lease_s=self.lease_s,
            workers=workers,
            limits=self.limits,
            due_s=self._due_s,
            free=free,
            ahead=self._ahead(workers, free),
            queued=len(self.ahead),
        )

    def _ahead(self, workers: int, free: Sequence[Slot] | None) -> list[Slot]:
        """Places in the queue of this host's slots: where any run may go into any of them, and nothing is amiss."""
        if free is None or not self.executor.queues or self.backoff.most is not None or self._has_gpus:
            return []
        at_work = self.at_work
        filled = min(workers, at_work + len(free))
        count = self.pace.ahead(len(self.ahead), filled)
        first = self._handed_over
        self._handed_over += count  # never used twice: a place is booked as a slot is
        return [Slot(f"{AHEAD}{self.owner}", first + number) for number in range(count)]

    def _take_back(self, now_s: float) -> None:
        since_s = next(iter(self.ahead.values()), now_s)
        if now_s - since_s >= BACK_S:
            self.unwanted.update(dict.fromkeys(self.ahead, ("cancelled", "the runs before it take long")))

    def _free(self) -> Sequence[Slot] | None:
        """The slots to fill first; None where it matters which run goes into which: by memory, and beside one that
        needs a device to itself, unless each slot is a device of its own."""
        if self._vacancy is None or self._vacancy.slots is not self.slots:
            self._vacancy = Vacancy(self.slots, [*self._taken, *(work.slot for work in self.working.values())])
            self._has_gpus = any(slot.device != "cpu" for slot in self.slots)
        if self.memory is not None or (self.alone and self._vacancy.shared):
            return None
        return self._vacancy.first(scheduler.MOST_CLAIMS)

    # --------------------------------------------------------------------------------------------- what is at work here

    def takes_on(self, work: Work) -> None:
        """A run is at work here, or handed over."""
        self.working[work.token] = work
        self.waiting.pop(work.key, None)
        self._may_be_late(work.since_s)
        if work.slot.is_ahead:
            self.ahead[work.token] = time.monotonic()
        else:
            self._takes(work.token, work.slot)

    def _takes(self, token: str, slot: Slot) -> None:
        self._holders[slot] = token
        if self._vacancy is not None:
            self._vacancy.take(slot)

    def placed(self, token: str, slot: Slot, asked_s: float) -> None:
        """A run that was handed over ahead has a slot."""
        work = self.working[token]
        work.slot, work.asked_s = slot, asked_s
        self.ahead.pop(token, None)
        self._takes(token, slot)

    @property
    def at_work(self) -> int:
        """How many runs have a slot."""
        return len(self.working) - len(self.ahead)

    def begins(self, token: str, now_s: float) -> None:
        """A run has started: from now on it may take too long."""
        self.working[token].begins(now_s)
        self._may_be_late(now_s)

    def _may_be_late(self, since_s: float) -> None:
        """A run of which nothing is heard since then will take too long one day."""
        for limit_s in (self.limits.timeout_s, self.limits.silence_s):
            if limit_s is not None:
                self._due_s = min(self._due_s, since_s + limit_s)

    def lets_go(self, token: str) -> Work:
        """A run is at work here no more."""
        work = self.working.pop(token)
        self.ahead.pop(token, None)
        # Unless a run that was handed over ahead has it by now.
        if self._holders.get(work.slot) == token:
            del self._holders[work.slot]
            if self._vacancy is not None and work.slot not in self._taken:
                self._vacancy.give(work.slot)
        return work

    def first_again(self, key: str) -> None:
        """It stood before all that wait now, and its comparisons wait for it."""
        self.waiting[key] = None
        self.waiting.move_to_end(key, last=False)

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

    def look(self, *, everything: bool = False) -> None:
        """Take in from the database what others did, what they hold, and which of them are gone; ask the feed.
        everything: read all runs, whatever is known."""
        everything |= self._version is None
        if not everything and not self._may_differ():
            self.ask()
            return
        # All of one moment. In two, a run that is given back in between would be neither to do nor held, and this
        # dispatcher might leave while work is left. The version is of that moment, too: what is written after it is
        # another one, and whatever was written before it is read here.
        with self.store.moment():
            self._version = self.store.version()
            held = [attempt.run for attempt in self.others.values()]
            others = self.see_others()
            newest = self.store.newest_attempt()
            if everything:
                self._read(self.specs)
                self.alone = self.store.out_of_memory()
            else:
                self._take_in([*held, *self.store.begun(self._newest, self.owner), *self.failed, *self.doubted])
            self._newest = newest
        self.doubted.clear()
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
        self.count_elsewhere()

    def _may_differ(self) -> bool:
        """Whether anything here may be other than in the database. What others hold always may: they die without
        writing, and so do the leases of the dead. So may what a feed set to do again, by this very connection."""
        if self.others or self.doubted or (self.failed and not isinstance(self.feed, Fixed)):
            return True
        return self.store.version() != self._version

    def trust_nothing(self) -> None:
        """What was written last may not be what was thought: the next look reads every run."""
        self._version = None

    def count_elsewhere(self) -> None:
        """What is to be done about others' attempts, and how many of our runs others execute."""
        self._acted_on = tuple(other for other in self.elsewhere if other.fate != "held")
        self._wanted_elsewhere = sum(self._awaited(other) for other in self.elsewhere)

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
        """What others execute, where, and which of that needs a device to itself."""
        others = [attempt for attempt in self.store.live() if attempt.token not in self.working]
        here = [a for a in others if a.host == self.place]
        taken = {Slot(a.device, a.slot): a.run for a in here}
        taken |= {slot: a.run for a in here for slot in self.slots if host.share(slot.device, a.device)}
        if taken != self._taken:
            self._taken, self._vacancy = taken, None
        if others:
            self.alone |= self.store.out_of_memory([attempt.run for attempt in others])
        return others

    def _read(self, keys: Collection[str]) -> None:
        """The states of these runs, and what waits."""
        mine = {work.key for work in self.working.values()}
        states = self.store.states(keys)
        for key in keys:
            self._note(key, states[key])
        todo = {key for key in keys if states[key].state == "todo"} - self.backoff.given_up
        # In the plan's order again, whatever came back meanwhile: one seed after another, comparisons first.
        waiting = todo | (set(self.waiting) - set(keys))
        self.waiting = OrderedDict.fromkeys(key for key in self.specs if key in waiting and key not in mine)
        self._block()

    def _note(self, key: str, state: RunState) -> None:
        self.attempts[key] = state.attempts
        self.done.discard(key)
        self.failed.pop(key, None)
        if state.state == "done":
            self.done.add(key)
        elif state.state == "failed":
            self.failed[key] = state.reason or "lost"

    def _block(self) -> None:
        ended = self.done | self.failed.keys() | self.backoff.given_up
        self._blocked = {key for other, needing in self._needing.items() if other not in ended for key in needing}

    def _take_in(self, touched: Iterable[str]) -> None:
        """The states of runs that others may have changed. What is to do again stands before all that wait: claims take
        from the front."""
        mine = {work.key for work in self.working.values()}
        keys = [key for key in dict.fromkeys(touched) if key in self.specs]
        for key, state in reversed(self.store.states(keys).items()):
            self._note(key, state)
            if key in mine:  # ours no more, which its end will show; how often it was executed counts at once
                continue
            if state.state != "todo":
                self.waiting.pop(key, None)
            elif key not in self.waiting and key not in self.backoff.given_up:
                self.first_again(key)
        if keys:
            self.alone = (self.alone | self.store.out_of_memory(keys)) - self.done
        if self._needing:
            self._block()

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
            self.count_elsewhere()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do or to wait for, as far as was seen."""
        return not self.waiting and not any(self._awaited(other) for other in self.elsewhere)

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
