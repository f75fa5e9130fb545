"""The loop of `ablate run`: look around, ask the scheduler, do what it says, commit what the executor reports.

The only writer of a running study. Several dispatchers may share one database: a claim is a lease on a run and on a
slot, and what came late is fenced off by its token. Nothing is decided here (scheduler.py), nothing is drawn (live.py).
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from ablate.errors import AwayError
from ablate.pool import ending, host, scheduler, signals
from ablate.pool.alike import Alike
from ablate.pool.backoff import Backoff
from ablate.pool.books import Ended, Work, finished_unheard, written
from ablate.pool.executor import Event, Executor, Failed, Finished, Progressed, Refused, Returned, Slot, Started
from ablate.pool.feed import Feed, Fixed, Seen
from ablate.pool.folders import of_attempt
from ablate.pool.host import fate, keeps, owner_of, sees, sees_owner
from ablate.pool.leases import Leases
from ablate.pool.patience import Patience
from ablate.pool.scheduler import (
    ALIKE,
    STOPPED,
    Adopt,
    Elsewhere,
    Finish,
    Launch,
    Memory,
    Renew,
    Rescue,
    Sizes,
    Snapshot,
    Stop,
    Working,
)
from ablate.records import INTERRUPTED, Json, Limits, Reason, RunSpec
from ablate.store.store import Store
from ablate.store.stored import Fate, LiveAttempt

# Chosen, not measured: events end the wait at once, so this is only how late a signal or a timeout is noticed.
POLL_S = 0.5
CHECKPOINT_S = 60.0
"""How long runs may take to leave a checkpoint when the database stays away: a step of theirs and a file."""
MOST_AT_WORK = 1_000_000
"""Of an engine's runs: how many it has room for is its own to say."""
LOOK_AROUND_S = 2.0
"""How often an idle dispatcher reads what others did; a busy one every fifth time."""


T = TypeVar("T")


def lease_s() -> float:
    """Seconds that a lease lasts without a sign of life ($ABLATE_LEASE_S; 30)."""
    return float(os.environ.get("ABLATE_LEASE_S", "30"))


class Listener(Protocol):
    """Who watches: the live view. Called from the loop, so it must return at once."""

    def changed(self, dispatcher: Dispatcher) -> None: ...

    def ended(self, work: Work, event: Finished | Failed, *, again: bool) -> None: ...

    def warn(self, text: str) -> None: ...


class Dispatcher:
    """Executes runs until each is done or failed. `specs`: key -> specification, in the plan's order; or a Feed, which
    says as results come in which runs are wanted. `slots`: those of this host. `sizes`: what runs take, where devices
    are shared by memory. `workers`: how many at a time, in any free slots. `excused`: reasons that say nothing of the
    runs that follow, where those have other settings. `detach`: leave as soon as all that may be is handed over."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        slots: Sequence[Slot],
        specs: Mapping[str, RunSpec] | Feed,
        limits: Limits,
        *,
        listener: Listener,
        provenance: Mapping[str, Json] | None = None,
        sizes: Sizes | None = None,
        workers: int | None = None,
        excused: Collection[Reason] = (),
        detach: bool = False,
    ) -> None:
        self.store = store
        self.executor = executor
        self.slots: Sequence[Slot] = tuple(slots)
        self._here = self.slots
        self._place = executor.place or host.place()
        self.detach = detach
        self.detached = 0
        self.feed: Feed = Fixed(specs) if isinstance(specs, Mapping) else specs
        self.specs: Mapping[str, RunSpec] = specs if isinstance(specs, Mapping) else {}
        self.limits = limits
        self.listener = listener
        self.provenance = dict(provenance or {})
        self.working: dict[str, Work] = {}
        self.waiting: deque[str] = deque()
        self.elsewhere: list[Elsewhere] = []
        self.failed: dict[str, Reason] = {}
        self.done: set[str] = set()
        self.stopped_by: int | None = None
        self.executed = 0
        self.alike = ""
        self._alike = Alike(limits.stop_after, {*INTERRUPTED, *excused})
        self._taken: dict[Slot, str] = {}
        self._attempts: dict[str, int] = {}
        self._alone: set[str] = set()
        self._blocked: set[str] = set()
        self._needing = _needing(self.specs)
        self._sizes = sizes
        most = MOST_AT_WORK if executor.engine else len(self.slots)
        self._backoff = Backoff(most if workers is None else workers, limits.infrastructure_s)
        self._memory: Memory | None = sizes.memory(self.specs) if sizes else None
        self._unwanted: dict[str, tuple[Reason, str]] = {}
        self._renewed_s = self._looked_s = self._listened_s = time.monotonic()
        self._trusts_s = float("-inf")
        self._patience = Patience(limits.database_s, listener.warn, lambda: self.stopped_by is not None)
        self._lease_s = lease_s()
        self._leases = Leases(self._lease_s)
        self._owner = str(host.this_process())

    def run(self) -> Ended:
        """Execute everything. Signals: the first SIGINT, SIGTERM or SIGHUP stops the runs and releases their leases.
        AwayError where the database stays away for longer than the study allows."""
        with signals.told_to(self._stop):
            try:
                self.look_around()
                while not self.step(POLL_S):
                    pass
            except AwayError:
                self._leave_checkpoints()
                raise
        given_up = len(self._backoff.given_up - self.done)
        return Ended(self.executed, self.stopped_by, self.alike, given_up, self.detached)

    def step(self, wait_s: float) -> bool:
        """One turn of the loop, `wait_s` at most for events; True where nothing is left to do or to wait for."""
        self._leases.turn(time.monotonic())
        self.slots = self.executor.slots(self._here, len(self.waiting) + len(self.working))
        actions = scheduler.decide(self._snapshot(), time.monotonic())
        # By what was last seen. Since then another dispatcher may have given a run back, or died in the midst of one.
        if any(isinstance(action, Finish) for action in actions):
            return self._stops or self._really_finished()
        self._do(actions)
        if self.detach and not self._stops and not any(isinstance(action, Launch) for action in actions):
            self._leave()
            return True
        events = [event for event in self.executor.poll(wait_s) if event.token in self.working]
        self._commit(events)
        if not self.executor.engine:
            for work in self.working.values():
                work.shorten_log(self.limits)
        self._listen()
        seen_s = time.monotonic() - self._looked_s
        idle = not events and (not self.working or seen_s > LOOK_AROUND_S)
        if idle or seen_s > 5 * LOOK_AROUND_S:
            self.look_around()
        with suppress(AwayError):  # the next commit says it, and waits
            self.listener.changed(self)
        return False

    def _leave(self) -> None:
        """Everything that may be is handed over: go, and whoever comes next looks after it."""
        self.detached = len(self.working)
        self.executor.leave()
        self._patiently(lambda: self.store.leave(list(self.working), self._owner))
        self.working.clear()

    def _stop(self, number: int) -> None:
        """Somebody asks the loop to end by this signal."""
        self.stopped_by = number

    # ------------------------------------------------------------------------------------------------------- seeing

    def _snapshot(self) -> Snapshot:
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
            alone=self._alone,
            memory=self._memory,
            blocked=self._blocked | self._backoff.early(now_s),
            wanted_elsewhere=wanted,
            unwanted=self._unwanted,
            stopping=self._stops,
            why_stopping=STOPPED if self.stopped_by is not None else ALIKE,
            renewed_s=self._renewed_s,
            lease_s=self._lease_s,
            workers=self._backoff.workers(now_s),
            limits=self.limits,
        )

    @property
    def _stops(self) -> bool:
        return self.stopped_by is not None or bool(self.alike)

    @property
    def waits_for(self) -> str:
        """What keeps this dispatcher from executing another run now; empty where nothing does."""
        if self.executor.engine and self.waiting and not self._stops:
            return self.executor.awaits
        early = self._backoff.early(time.monotonic())
        if early and self._blocked.union(early).issuperset(self.waiting) and not self._stops:
            trouble = self._backoff.in_trouble(early & set(self.waiting), time.monotonic())
            return trouble or "a moment, for a run got lost and is tried again after a delay"
        return scheduler.waits_for(self._snapshot()) or ("" if self._stops else self._backoff.awaited(time.monotonic()))

    def look_around(self) -> None:
        """Read from the database what is to do, what others hold, and which of them are gone; ask the feed."""
        self._patiently(self._look)
        self._looked_s = time.monotonic()

    def _look(self) -> None:
        # States first, live attempts second: a run that another dispatcher claims in between is then in both, and our
        # claim of it is refused. The other way round it would be in neither, and this dispatcher might leave while
        # work is left.
        self._read(self.specs)
        others = self._see_others()
        over = self._leases.over(others, time.monotonic())
        others = [replace(attempt, expired=attempt.token in over) for attempt in others]
        self._ask()
        # Before their fates: what a dead dispatcher's run started may live on, and so does a stopped one's whole run;
        # it must not start a second time beside them. One that is not gone yet counts as held until the next look.
        for attempt in others:
            if sees(attempt) and not keeps(attempt.host) and not _holds(attempt):
                ending.end_attempts([attempt.token], owner_of(attempt))
        # A run of another study is not ours to give up, whatever our limits are.
        self._others = {attempt.token: attempt for attempt in others}
        self.elsewhere = [
            Elsewhere(
                a.token,
                a.run,
                self._fate(a),
                self._attempts.get(a.run, 0) + 1 if a.run in self.specs else 0,
                self.executor.keeps and a.host == self._place and a.run in self.specs,
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
        return "held" if trusted and time.monotonic() < self._trusts_s else seen

    def _see_others(self) -> list[LiveAttempt]:
        """What others execute, where, and which runs need a device to themselves, whoever executes them."""
        others = [attempt for attempt in self.store.live() if attempt.token not in self.working]
        here = [a for a in others if a.host == self._place]
        self._taken = {Slot(a.device, a.slot): a.run for a in here}
        self._taken |= {slot: a.run for a in here for slot in self.slots if host.share(slot.device, a.device)}
        self._alone = self.store.out_of_memory()
        return others

    def _read(self, keys: Collection[str]) -> None:
        """The states of these runs, and what waits."""
        mine = {work.key for work in self.working.values()}
        states = self.store.states(keys)
        for key in keys:
            state = states[key]
            self._attempts[key] = state.attempts
            self.done.discard(key)
            self.failed.pop(key, None)
            if state.state == "done":
                self.done.add(key)
            elif state.state == "failed":
                self.failed[key] = state.reason or "lost"
        todo = {key for key in keys if states[key].state == "todo"} - self._backoff.given_up
        # In the plan's order again, whatever came back meanwhile: one seed after another, comparisons first.
        waiting = todo | (set(self.waiting) - set(keys))
        self.waiting = deque(key for key in self.specs if key in waiting and key not in mine)
        ended = self.done | self.failed.keys() | self._backoff.given_up
        self._blocked = {key for other, needing in self._needing.items() if other not in ended for key in needing}

    def _ask(self) -> None:
        """What the feed wants now. Runs that it did not want before, or that failed, are looked up in the store."""
        if self._stops:
            return
        wanted = self.feed.wanted(Seen(self.done, self.failed))
        if wanted is not self.specs:
            self.specs, self._needing = wanted, _needing(wanted)
            self._memory = self._sizes.memory(wanted) if self._sizes else None
            working = {work.key for work in self.working.values()}
            self._read([key for key in wanted if key not in self.done and key not in working])

    def _really_finished(self) -> bool:
        """Whether nothing is left in the database either; another dispatcher may have given a run back."""
        self.look_around()
        return not self.waiting and not any(self._awaited(other) for other in self.elsewhere)

    # -------------------------------------------------------------------------------------------------------- doing

    def _do(self, actions: Sequence[scheduler.Action]) -> None:
        """Carry out actions: claims in one commit, and only then their processes."""
        if not actions:
            return
        (claimed, adopted, refused), away_s = self._patience.over(lambda: self._written(actions))
        # Only after the commit: nobody could end a process that the database does not know. Killed right here, this
        # dispatcher leaves attempts without a process, which whoever comes next rescues as lost.
        for work in claimed:
            self.working[work.token] = work
            self.executor.start(work.token, work.spec, work.slot, alone=work.key in self._alone)
        for work in adopted:
            self.working[work.token] = work
            self.executor.adopt(work.token)
        if adopted:
            taken = {work.token for work in adopted}
            self.elsewhere = [other for other in self.elsewhere if other.token not in taken]
        self._no_longer_waiting({work.key for work in claimed})
        if away_s:
            self._back(away_s)
        if refused or away_s:
            self.look_around()

    def _written(self, actions: Sequence[scheduler.Action]) -> tuple[list[Work], list[Work], bool]:
        """Actions as the database is to have them, in one commit: what was claimed, what adopted, and whether to look
        around."""
        claimed: list[Work] = []
        adopted: list[Work] = []
        refused = False
        with self.store.transaction():
            several = any(host.JOINED in slot.device for slot in self.slots)  # no index keeps two such apart
            if (self._memory or self._alone or several) and any(isinstance(action, Launch) for action in actions):
                # Another dispatcher may have started runs on these devices since we looked; from here on it cannot.
                self._see_others()
                actions = scheduler.decide(self._snapshot(), time.monotonic())
            for action in actions:
                match action:
                    case Launch(key, slot):
                        work = self._claim(key, slot)
                        refused |= work is None
                        if work is not None:
                            claimed.append(work)
                    case Renew(tokens):
                        held = self.store.renew(tokens, self._lease_s, self._owner)
                        self._renewed_s = time.monotonic()
                        # This process slept past its lease (a laptop's lid, SIGSTOP), and another took the run over:
                        # with its executor, where it keeps runs, and then it goes on.
                        for token in set(tokens) - held:
                            if self.executor.keeps:
                                del self.working[token]
                                refused = True
                            else:
                                self.executor.stop(token, "lost", "another dispatcher took the run over")
                    case Adopt(token):
                        work = self._adopt(self._others[token])
                        refused |= work is None
                        adopted += [work] if work is not None else []
                    case Rescue(token, message, again):
                        run = next(other.run for other in self.elsewhere if other.token == token)
                        if not finished_unheard(self.store, run, token, self.provenance):
                            self.store.fail(token, "lost", message, again=again)
                        refused = True
                    case Stop(token, reason, message) if token in self.working:
                        self._unwanted.pop(token, None)
                        self.working[token].stopping = reason != "pruned"  # that is a request: limits still hold
                        self.executor.stop(token, reason, message)
                    case Stop() | Finish():
                        pass
        return claimed, adopted, refused

    # --------------------------------------------------------------------------------------- a database that was away

    def _patiently(self, act: Callable[[], T]) -> T:
        """What `act` gives, tried again while the database is away. It may be called more than once."""
        given, away_s = self._patience.over(act)
        if away_s:
            self._back(away_s)
        return given

    def _back(self, away_s: float) -> None:
        """The database is there again. What it heard last, before it went, nobody told us: a claim may have been
        written that we know nothing of, and its run would be held for as long as this process lives."""
        now_s = time.monotonic()
        self._trusts_s = now_s + self._lease_s
        for work in self.working.values():  # it waited as well, which is not its time
            work.since_s = min(work.since_s + away_s, now_s) if work.started else work.since_s
        mine = [a.token for a in self._patiently(self.store.live) if a.owner == self._owner and sees(a)]
        for token in set(mine) - self.working.keys():
            why = "the database went away when it was claimed"
            self._patiently(partial(self.store.fail, token, "cancelled", why, again=True))

    def _leave_checkpoints(self) -> None:
        """The database stays away, so no result can be kept: let runs that can leave a checkpoint do so, then end."""
        if self.executor.keeps:  # they need nobody, and say it to whoever comes next
            self.executor.leave()
            return
        left, until_s = set(self.working), time.monotonic() + CHECKPOINT_S
        for token in left:
            self.executor.stop(token, "pruned", "the database is away")
        while left and time.monotonic() < until_s and self.stopped_by is None:
            left -= {event.token for event in self.executor.poll(POLL_S) if isinstance(event, Finished | Failed)}

    def _listen(self) -> None:
        """Note of which runs nothing is heard, for whoever asks how far they are, and that they are heard again."""
        now_s = time.monotonic()
        if now_s - self._listened_s < min(LOOK_AROUND_S, (self.limits.silence_s or LOOK_AROUND_S) / 4):
            return
        self._listened_s = now_s
        for work in self.working.values():
            work.hear(now_s)
            note = work.silence(now_s)
            if bool(note) != work.silent:
                self._patiently(partial(self.store.note, work.token, note))
                work.silent = bool(note)

    def _no_longer_waiting(self, keys: set[str]) -> None:
        """Claims take from the front, so this costs nothing however long the queue is; seldom one is further back."""
        while self.waiting and self.waiting[0] in keys:
            keys.remove(self.waiting.popleft())
        if keys:
            self.waiting = deque(key for key in self.waiting if key not in keys)

    def _claim(self, key: str, slot: Slot) -> Work | None:
        # Drawn, not counted: it fences off whoever held the run before, and no two dispatchers can agree on a count.
        token = secrets.token_hex(8)
        spec = of_attempt(self.specs[key], token, self.store)
        claimed = self.store.claim(
            key,
            token,
            host=self._place,
            boot=host.boot(),
            owner=self._owner,
            device=slot.device,
            slot=slot.index,
            lease_s=self._lease_s,
            log=self.store.log_of(Path(spec.folder)),
        )
        return Work(key, token, slot, math.inf, spec) if claimed else None

    def _adopt(self, attempt: LiveAttempt) -> Work | None:
        """Look after what was left; None where another was first."""
        mine, before = self._owner, attempt.owner
        if not self.store.adopt(attempt.token, owner=mine, boot=host.boot(), lease_s=self._lease_s, before=before):
            return None
        spec = replace(self.specs[attempt.run], folder=str(self.store.path_of(attempt.log)))
        since_s = math.inf if attempt.pid is None else time.monotonic() - attempt.seconds
        return Work(attempt.run, attempt.token, Slot(attempt.device, attempt.slot), since_s, spec)

    def _commit(self, events: Sequence[Event]) -> None:
        """Store what happened, in one commit; only then is anything told to feed and listener. What the store refuses
        came from an attempt that another dispatcher took over: the run is no longer ours to speak of."""
        if not events:
            return
        # Taken now, for a run may end in the same batch: its feed must judge every step, however slow this loop is.
        steps = [(event, self.working[event.token].key) for event in events if isinstance(event, Progressed)]
        write = partial(
            written, self.store, events, self.working, attempts=self._attempts, limits=self.limits, made=self.provenance
        )
        ended = self._patiently(write)
        for event in events:
            self._take_in(event)
        for progressed, key in steps:
            why = self.feed.progressed(key, progressed.step, progressed.values)
            if why is not None and progressed.token in self.working:
                self._unwanted[progressed.token] = why
        for work, event, again in ended:
            self._note(work, event, again)
        if any(not again for _, _, again in ended):
            self._patiently(self._ask)

    def _take_in(self, event: Event) -> None:
        """What was written is so, here, too."""
        now_s = time.monotonic()
        match event:
            case Started():
                self.working[event.token].begins(now_s)
                self._backoff.started(len(self.working), now_s)
            case Returned():
                self.working[event.token].waits_again()
            case Refused(token, message):  # that costs no attempt, and other runs go on: nothing is against them
                self.waiting.appendleft(self.working.pop(token).key)
                self._backoff.refused(message, len(self.working), now_s)
            case Progressed(token, step, values):
                work = self.working[token]
                work.step, work.values, work.heard_s = step, values, now_s
            case Finished() | Failed():
                self.working.pop(event.token).shorten_log(self.limits)

    def _note(self, work: Work, ended: Finished | Failed, again: bool) -> None:
        self.executed += 1
        self._unwanted.pop(work.token, None)
        if isinstance(ended, Finished) or ended.reason != "infrastructure":
            self._backoff.ended(work.key)
        if isinstance(ended, Finished):
            self._backoff.worked(time.monotonic())
            self.done.add(work.key)
            if self._sizes is not None and self._sizes.learn(work.spec, ended.provenance):
                self._memory = self._sizes.memory(self.specs)
        else:
            self._attempts[work.key] = self._attempts.get(work.key, 0) + (ended.reason not in INTERRUPTED)
            self._hold_back(work.key, ended)
            if work.key in self._backoff.given_up:
                self._blocked.difference_update(self._needing.get(work.key, ()))
            elif again and self.stopped_by is None and work.key in self.specs:
                # First in the queue: it stood before all that wait now, and its comparisons wait for it.
                self.waiting.appendleft(work.key)
                # Here at once, and for other dispatchers by the store (`out_of_memory`) when they look around.
                if ended.reason == "oom":
                    self._alone.add(work.key)
            elif not again:
                self.failed[work.key] = ended.reason
                if self._alike.counted(ended) and not self.done:
                    self.alike = f"{ended.reason}: {ended.message}"
        if work.key in self.done or work.key in self.failed:
            self._blocked.difference_update(self._needing.get(work.key, ()))
        self.listener.ended(work, ended, again=again)

    def _hold_back(self, key: str, failed: Failed) -> None:
        """What was not the run's fault happens again where it is tried again at once."""
        if failed.reason == "lost":
            self._backoff.lost(key, self._attempts[key], time.monotonic())
        elif failed.reason == "infrastructure":
            said = self._backoff.troubled(key, failed.message, time.monotonic())
            if said:
                self.listener.warn(f"{failed.message}. That is not the run's fault and costs no attempt: {said}.")


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
