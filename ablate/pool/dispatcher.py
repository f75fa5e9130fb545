"""The loop of `ablate run`: look around, ask the scheduler, do what it says, commit what the executor reports.

The only writer of a running study. Several dispatchers may share one database: a claim is a lease on a run and on a
slot, and what came late is fenced off by its token. What it knows is in known.py, what it writes in claims.py and
books.py. Nothing is decided here (scheduler.py), nothing is drawn (live.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

from ablate.errors import AwayError
from ablate.pool import scheduler, signals
from ablate.pool.books import Ended, Work, written
from ablate.pool.claims import carried_out
from ablate.pool.executor import Event, Executor, Failed, Finished, Placed, Progressed, Refused, Returned, Slot, Started
from ablate.pool.feed import Feed
from ablate.pool.host import sees
from ablate.pool.known import Known
from ablate.pool.patience import Patience
from ablate.pool.scheduler import Finish, Launch, Sizes
from ablate.records import INTERRUPTED, Json, Limits, Reason, RunSpec
from ablate.store.store import Store

# Chosen, not measured: events end the wait at once, so this is only how late a signal or a timeout is noticed.
POLL_S = 0.5
CHECKPOINT_S = 60.0
"""How long runs may take to leave a checkpoint when the database stays away: a step of theirs and a file."""
LOOK_AROUND_S = 2.0
"""How often an idle dispatcher reads what others did; a busy one every fifth time."""
GATHER_S = 0.05
"""How long what happens is gathered for one commit, where nothing stands idle meanwhile: twenty commits a second are no
load, and nobody who watches sees a twentieth of one."""
LISTEN_S = 15.0
"""How often logs are looked at for signs of life: a quarter of the shortest silence that is odd (books.ODD_S)."""


T = TypeVar("T")


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
        self.known = Known(store, executor, slots, specs, limits, sizes=sizes, workers=workers, excused=excused)
        self.store = store
        self.executor = executor
        self.limits = limits
        self.listener = listener
        self.provenance = dict(provenance or {})
        self.detach = detach
        self.detached = 0
        self.executed = 0
        self._looked_s = self._listened_s = self._shortened_s = time.monotonic()
        self._patience = Patience(limits.database_s, listener.warn, lambda: self.stopped_by is not None)

    @property
    def working(self) -> Mapping[str, Work]:
        """What it executes, by token."""
        return self.known.working

    @property
    def stopped_by(self) -> int | None:
        """The signal by which somebody asked it to end."""
        return self.known.stopped_by

    @property
    def waits_for(self) -> str:
        """What keeps it from executing another run now; empty where nothing does."""
        return self.known.waits_for

    def run(self) -> Ended:
        """Execute everything. Signals: the first SIGINT, SIGTERM or SIGHUP stops the runs and releases their leases.
        AwayError where the database stays away for longer than the study allows."""
        with signals.told_to(self._stop):
            try:
                self.look_around()
                # Who is about to leave waits for nobody: 200 runs a step are handed over, and whoever comes next hears.
                # Who was stopped instead leaves nothing behind, and waits for its runs to end.
                while not self.step(0.0 if self.detach and not self.known.stops else POLL_S):
                    pass
            except AwayError:
                self._leave_checkpoints()
                raise
        given_up = len(self.known.backoff.given_up - self.known.done)
        return Ended(self.executed, self.stopped_by, self.known.why_alike, given_up, self.detached)

    def step(self, wait_s: float) -> bool:
        """One turn of the loop, `wait_s` at most for events; True where nothing is left to do or to wait for."""
        self.known.turn()
        actions = scheduler.decide(self.known.snapshot(), time.monotonic())
        # By what was last seen. Since then another dispatcher may have given a run back, or died in the midst of one.
        if any(isinstance(action, Finish) for action in actions):
            return self.known.stops or self._really_finished()
        self._do(actions)
        if self.detach and not self.known.stops and not any(isinstance(action, Launch) for action in actions):
            self._leave()
            return True
        events = [event for event in self._happened(wait_s) if event.token in self.known.working]
        self._commit(events)
        self._listen()
        seen_s = time.monotonic() - self._looked_s
        idle = not events and (not self.known.working or seen_s > LOOK_AROUND_S)
        if idle or seen_s > 5 * LOOK_AROUND_S:
            self.look_around()
        with suppress(AwayError):  # the next commit says it, and waits
            self.listener.changed(self)
        return False

    def _happened(self, wait_s: float) -> list[Event]:
        """What the executor reports: at once where a slot of this host is free again and would stand idle. Else what
        comes within GATHER_S of the first shares its commit: steps, and the ends of runs in whose slots others begin at
        once: those handed over ahead, an engine's (mailed.AHEAD; Ray's queue)."""
        events = list(self.executor.poll(wait_s))
        until_s = time.monotonic() + GATHER_S
        if events and (self.executor.engine or self.known.ahead):
            # In one go: an engine's poll costs a look at a folder or a call, and would cost it for every event.
            time.sleep(GATHER_S)
            events += self.executor.poll(0)
        # A poll that gives nothing may have heard what is no event yet: a last word, whose process still goes.
        while events and not any(isinstance(event, Finished | Failed | Refused) for event in events):
            left_s = until_s - time.monotonic()
            if left_s <= 0 or self.stopped_by is not None:
                break
            events += self.executor.poll(left_s)
        return events

    def _leave(self) -> None:
        """Everything that may be is handed over: go, and whoever comes next looks after it."""
        self.detached = len(self.known.working)
        self.executor.leave()
        self._patiently(lambda: self.store.leave(list(self.known.working), self.known.owner))
        self.known.working.clear()

    def _stop(self, number: int) -> None:
        """Somebody asks the loop to end by this signal."""
        self.known.stopped_by = number

    # ------------------------------------------------------------------------------------------------------- seeing

    def look_around(self, *, everything: bool = False) -> None:
        """Take in from the database what others did, what they hold, and which of them are gone; ask the feed."""
        self._patiently(partial(self.known.look, everything=everything))
        self._looked_s = time.monotonic()

    def _really_finished(self) -> bool:
        """Whether nothing is left in the database either; another dispatcher may have given a run back."""
        self.look_around(everything=True)
        return self.known.finished

    # -------------------------------------------------------------------------------------------------------- doing

    def _do(self, actions: Sequence[scheduler.Action]) -> None:
        """Carry out actions: claims in one commit, and only then their processes."""
        if not actions:
            return
        known = self.known
        (claimed, adopted, refused), away_s = self._patience.over(lambda: carried_out(known, actions, self.provenance))
        # Only after the commit: nobody could end a process that the database does not know. Killed right here, this
        # dispatcher leaves attempts without a process, which whoever comes next rescues as lost.
        for work in claimed:
            known.takes_on(work)
            if not self.executor.engine and not work.slot.is_ahead:
                work.asked_s = time.monotonic()
            self.executor.start(work.token, work.spec, work.slot, alone=work.key in known.alone)
        for work in adopted:
            known.takes_on(work)
            self.executor.adopt(work.token)
        if adopted:
            taken = {work.token for work in adopted}
            known.elsewhere = [other for other in known.elsewhere if other.token not in taken]
            known.count_elsewhere()
        if away_s:
            self._back(away_s)
        if refused or away_s:
            self.look_around()

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
        known = self.known
        now_s = time.monotonic()
        known.trusts_s = now_s + known.lease_s
        known.trust_nothing()
        for work in known.working.values():  # it waited as well, which is not its time
            work.since_s = min(work.since_s + away_s, now_s) if work.started else work.since_s
        mine = [a.token for a in self._patiently(self.store.live) if a.owner == known.owner and sees(a)]
        for token in set(mine) - known.working.keys():
            why = "the database went away when it was claimed"
            self._patiently(partial(self.store.fail, token, "cancelled", why, again=True))

    def _leave_checkpoints(self) -> None:
        """The database stays away, so no result can be kept: let runs that can leave a checkpoint do so, then end."""
        if self.executor.keeps:  # they need nobody, and say it to whoever comes next
            self.executor.leave()
            return
        left, until_s = set(self.known.working), time.monotonic() + CHECKPOINT_S
        for token in left:
            self.executor.stop(token, "pruned", "the database is away")
        while left and time.monotonic() < until_s and self.stopped_by is None:
            left -= {event.token for event in self.executor.poll(POLL_S) if isinstance(event, Finished | Failed)}

    def _listen(self) -> None:
        """Note of which runs nothing is heard, for whoever asks how far they are, and that they are heard again."""
        now_s = time.monotonic()
        if not self.executor.engine and now_s - self._shortened_s >= POLL_S:
            self._shortened_s = now_s
            for work in self.known.working.values():
                work.shorten_log(self.limits)
        silence_s = self.limits.silence_s
        if now_s - self._listened_s < min(LISTEN_S, LISTEN_S if silence_s is None else silence_s / 10):
            return
        self._listened_s = now_s
        for work in self.known.working.values():
            if not work.started or (silence_s is None and not work.step):
                continue  # nothing depends on whether it prints
            work.hear(now_s)
            note = work.silence(now_s)
            if bool(note) != work.silent:
                self._patiently(partial(self.store.note, work.token, note))
                work.silent = bool(note)

    def _commit(self, events: Sequence[Event]) -> None:
        """Store what happened, in one commit; only then is anything told to feed and listener. What the store refuses
        came from an attempt that another dispatcher took over: the run is no longer ours to speak of."""
        if not events:
            return
        known = self.known
        # Taken now, for a run may end in the same batch: its feed must judge every step, however slow this loop is.
        steps = [(event, known.working[event.token].key) for event in events if isinstance(event, Progressed)]
        write = partial(
            written, self.store, events, known.working, attempts=known.attempts, limits=self.limits,
            made=self.provenance,
        )  # fmt: skip
        ended = self._patiently(write)
        over = {event.token: known.working[event.token].key for event in events if isinstance(event, Finished | Failed)}
        counted = {work.token for work, _, _ in ended}
        known.doubted.update(key for token, key in over.items() if token not in counted)  # another's, or to do again
        for event in events:
            self._take_in(event)
        for progressed, key in steps:
            why = known.feed.progressed(key, progressed.step, progressed.values)
            work = known.working.get(progressed.token)
            if why is not None and work is not None and not work.stopping:
                known.unwanted[progressed.token] = why
        for work, event, again in ended:
            self._note(work, event, again)
        # Each before all that wait, so that those of one commit are in their order again.
        for work, event, again in reversed(ended):
            if again:
                self._again(work.key, event)
        if any(not again for _, _, again in ended):
            self._patiently(known.ask)

    def _take_in(self, event: Event) -> None:
        """What was written is so, here, too."""
        known = self.known
        now_s = time.monotonic()
        match event:
            case Placed(token, slot, asked_s):
                known.placed(token, slot, asked_s)
            case Started():
                known.begins(event.token, now_s)
                known.backoff.started(known.at_work, now_s)
            case Returned():
                known.working[event.token].waits_again()
            case Refused(token, message):  # that costs no attempt, and other runs go on: nothing is against them
                known.first_again(known.lets_go(token).key)
                known.backoff.refused(message, known.at_work, now_s)
            case Progressed(token, step, values):
                work = known.working[token]
                work.step, work.values, work.heard_s = step, values, now_s
            case Finished() | Failed():
                known.lets_go(event.token).shorten_log(self.limits)

    def _note(self, work: Work, ended: Finished | Failed, again: bool) -> None:
        known = self.known
        known.unwanted.pop(work.token, None)
        if not work.slot.is_ahead:
            self.executed += 1
            known.pace.ended(ended.seconds if isinstance(ended, Finished) else None)
        if isinstance(ended, Finished) or ended.reason != "infrastructure":
            known.backoff.ended(work.key)
        if isinstance(ended, Finished):
            known.backoff.worked(time.monotonic())
            known.done.add(work.key)
            known.alone.discard(work.key)
            if known.sizes is not None and known.sizes.learn(work.spec, ended.provenance):
                known.memory = known.sizes.memory(known.specs)
        else:
            known.attempts[work.key] = known.attempts.get(work.key, 0) + (ended.reason not in INTERRUPTED)
            self._hold_back(work.key, ended)
            if work.key in known.backoff.given_up:
                known.unblock(work.key)
            elif not again:
                known.failed[work.key] = ended.reason
                if known.alike.counted(ended) and not known.done:
                    known.why_alike = f"{ended.reason}: {ended.message}"
        if work.key in known.done or work.key in known.failed:
            known.unblock(work.key)
        self.listener.ended(work, ended, again=again)

    def _again(self, key: str, ended: Finished | Failed) -> None:
        """A run is to do again."""
        known = self.known
        if self.stopped_by is None and key in known.specs and key not in known.backoff.given_up:
            known.first_again(key)
            # Here at once, and for other dispatchers by the store (`out_of_memory`) when they look around.
            if isinstance(ended, Failed) and ended.reason == "oom":
                known.alone.add(key)

    def _hold_back(self, key: str, failed: Failed) -> None:
        """What was not the run's fault happens again where it is tried again at once."""
        if failed.reason == "lost":
            self.known.backoff.lost(key, self.known.attempts[key], time.monotonic())
        elif failed.reason == "infrastructure":
            said = self.known.backoff.troubled(key, failed.message, time.monotonic())
            if said:
                self.listener.warn(f"{failed.message}. That is not the run's fault and costs no attempt: {said}.")
