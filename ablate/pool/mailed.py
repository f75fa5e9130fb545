"""What executors have in common whose workers take runs from a folder (mailbox.py, pilot.py): `workers` waits for
workers that somebody starts, `slurm` submits jobs that are such workers.

Runs go on without their dispatcher, and whoever comes next hears what was said. Nothing is handed over before the first
worker is there, which has checked that it sees the folder and has what the plan asks for; unless the dispatcher is to
leave at once.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from ablate.pool import words
from ablate.pool.executor import (
    NOTHING_MORE,
    Event,
    Executor,
    Failed,
    Finished,
    Needs,
    Refused,
    Returned,
    Slot,
    Started,
    finished,
)
from ablate.pool.mailbox import PLAN, SILENT_BEATS, Alive, Mailbox, Order, Plan, beat_s, token_of, versions_of
from ablate.pool.messages import Done, Setup
from ablate.records import Reason, RunSpec

AHEAD = 200
"""Runs that are handed over beside those that workers have room for, so that none of them waits for the dispatcher."""
FAST_S, SLOW_S = 0.02, 1.0
"""How often the folder is looked at: while something happens, and after a while in which nothing did."""
GONE_BEATS = 2
"""After so many silent beats a worker is given up whose job the queue does not know any more, or has started again."""
WATCHED_BEATS = 3
"""For so long, if it is to be silent for longer, a worker must have been watched being silent, by looks of which each
counts for half a beat at most. A dispatcher that slept, or hardly got a processor, has watched only while it looked:
who was asleep or starved beside it has more than a beat, from its next look on, to say that he lives."""


@dataclass
class _Out:
    """A run that was handed over. name: its file in todo/, empty where an earlier dispatcher wrote it. worker: who said
    that it started it. seen: whether its file is known to exist; missed_s: since when it is not found."""

    name: str = ""
    worker: str = ""
    seen: bool = True
    missed_s: float | None = None


@dataclass
class _Watch:
    """A worker as it was last seen: the file server's time of its last sign of life, and how long nothing else was seen
    by one who looked."""

    alive: Alive
    mtime: float
    watched_s: float = 0.0


class Mailed(Executor):
    """An executor over a folder. Subclasses say where workers come from, in `tend`, `dismiss` and `gone`."""

    keeps = True
    engine = True
    called: ClassVar[str] = ""
    """The engine's name: of its place, its slots and its folder."""
    expected = 1
    """How many workers it is to have."""

    def open(self, setup: Setup, needs: Needs = NOTHING_MORE) -> Self:
        self.place = f"{self.called}:{needs.study}"
        self.needs, self.setup = needs, setup
        self.box = Mailbox(folder_for(Path(needs.folder) / self.called, setup.database))
        self.seen = secrets.token_hex(8)
        self.beat_s = beat_s()
        plan = Plan(
            setup, needs.study, versions_of(needs.made), needs.gpus, needs.runs_per_gpu, needs.memory_gib, needs.limits,
            self.beat_s, self.seen,
        )  # fmt: skip
        if needs.made:  # else this is to end what is there, and hands nothing over
            self.box.make(plan)
        self.me = f"dispatcher-{secrets.token_hex(4)}"
        self.living: dict[str, _Watch] = {}
        self.appeared: set[str] = set()
        self.deaths: Counter[str] = Counter()
        self._mine: dict[str, _Out] = {}
        self._over: set[str] = set()
        self._asks: dict[str, tuple[Reason, str]] = {}
        self._unheard: dict[str, list[tuple[str, Event]]] = {}
        self._events: list[Event] = []
        self._slots: tuple[Slot, ...] = ()
        self._sequence = max((int(name.partition("-")[0]) for name in self.box.todo()), default=0)
        self._pause_s = FAST_S
        self._looked_s = float("-inf")
        self._orphans: dict[str, float] = {}
        self._told: set[str] = set(self.box.refusals())
        self._left = False
        self._look()
        return self

    # ------------------------------------------------------------------------------------------ what engines differ in

    def tend(self, wanted: int) -> None:
        """See that there are workers for so many runs; called at every turn."""

    def dismiss(self) -> None:
        """Send away the workers that this executor's queue started."""

    def gone(self, worker: Alive) -> bool:  # noqa: ARG002
        """Whether the queue does not know a worker's job any more, which alone is not believed."""
        return False

    # ---------------------------------------------------------------------------------------------------- the contract

    def slots(self, here: Sequence[Slot], wanted: int) -> Sequence[Slot]:  # noqa: ARG002
        self.tend(wanted)
        room = sum(watch.alive.slots for watch in self.living.values())
        most = len(self._mine) + wanted if self.needs.detach else room + max(AHEAD, room) if room else 0
        if most > len(self._slots):  # it never shrinks: those beyond are only not used
            self._slots = tuple(Slot(f"{self.called}-{index}", 0) for index in range(most))
        return self._slots if most else ()

    @property
    def room(self) -> int:
        sizes = [watch.alive.slots for watch in self.living.values()]
        return max(sum(sizes), self.expected * max(sizes, default=1))

    @property
    def awaits(self) -> str:
        return "" if self.living else f"its first worker ({self.called})"

    def start(self, token: str, spec: RunSpec, slot: Slot, *, canary: bool = False, alone: bool = False) -> None:
        assert not canary, "two steps are tried where the command runs"
        del slot
        self._sequence += 1
        try:
            name = self.box.hand_over(Order(token, spec, alone), self._sequence)
        except OSError as error:
            self._events.append(Refused(token, f"{self.box.folder} cannot be written: {error.strerror}"))
            return
        self._mine[token] = _Out(name)

    def adopt(self, token: str) -> None:
        self._mine[token] = _Out(seen=False)
        for worker, event in self._unheard.pop(token, ()):
            self._hear(worker, event)

    def poll(self, timeout_s: float) -> Sequence[Event]:
        until_s = time.monotonic() + timeout_s
        while True:
            self._look()
            left_s = until_s - time.monotonic()
            if self._events or left_s <= 0:
                break
            time.sleep(min(self._pause_s, left_s))
            self._pause_s = min(2 * self._pause_s, SLOW_S)
        if self._events:
            self._pause_s = FAST_S
        events, self._events = self._events, []
        return events

    def stop(self, token: str, reason: Reason, message: str) -> None:
        out = self._mine.get(token)
        if out is None:
            return
        if reason != "pruned" and self._withdrawn(token, out):
            self._end(Failed(token, reason, message))
        else:
            self._asks[token] = reason, message
            self._ask()

    def _ask(self) -> None:
        """Ask for the ends that could not be asked for yet."""
        for token in list(self._asks):
            with suppress(OSError):
                if token in self._mine:
                    self.box.ask_to_stop(token, *self._asks[token])
                del self._asks[token]

    def leave(self) -> None:
        self.tend(len(self._mine))
        self._left = True
        self._part()

    def close(self) -> None:
        if self._left:
            return
        self._left = True
        for token in list(self._mine):
            self.stop(token, "cancelled", "its dispatcher ended")
        until_s = time.monotonic() + self.setup.grace_s + SILENT_BEATS * self.beat_s
        while self._mine and time.monotonic() < until_s:
            self.poll(0.2)
        self.dismiss()
        self._part()

    def others(self) -> bool:
        """Whether another dispatcher looks after runs of this folder."""
        try:
            about = self.box.dispatchers(self.box.pulse(self.me), SILENT_BEATS * self.beat_s)
        except OSError:  # nobody can tell
            return True
        return bool(set(about) - {self.me})

    def _part(self) -> None:
        with suppress(OSError):
            self.box.part(f".{self.me}")

    # --------------------------------------------------------------------------------------------------------- hearing

    def _look(self) -> None:
        with suppress(OSError):  # the file server is away; nobody is given up for that
            self._hear_news()
            self._look_around()

    def _hear_news(self) -> None:
        for worker, event in self.box.news():
            self._hear(worker, event)

    def _look_around(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s >= min(self.beat_s / 2, SLOW_S):
            since_s = now_s - self._looked_s
            if since_s > GONE_BEATS * self.beat_s:  # we slept, and saw nobody meanwhile
                self._orphans.clear()
            self._looked_s = now_s
            self._ask()
            self._look_after(min(since_s, self.beat_s / 2))

    def _hear(self, worker: str, event: Event) -> None:
        token = event.token
        self.appeared.add(worker)
        out = self._mine.get(token)
        if out is None:
            if token not in self._over:
                self._unheard.setdefault(token, []).append((worker, event))
            return
        out.seen = True
        if isinstance(event, Started):
            out.worker = worker
        elif out.worker and worker != out.worker and not isinstance(event, Finished):
            return  # who had it before: the one that has it now tells
        if isinstance(event, Returned):
            out.worker = out.name = ""
        if isinstance(event, Finished | Failed):
            self._end(event)
            self.box.forget(token, worker)
        else:
            self._events.append(event)

    def _end(self, event: Event) -> None:
        del self._mine[event.token]
        self._over.add(event.token)
        self._events.append(event)

    def _withdrawn(self, token: str, out: _Out) -> bool:
        """Whether a run that waits was taken back before a worker took it."""
        if out.worker:
            return False
        if out.name and self.box.withdraw(out.name):
            return True
        with suppress(OSError):
            return any(self.box.withdraw(name) for name in self.box.todo() if token_of(name) == token)
        return False

    # --------------------------------------------------------------------------------------------------- looking after

    def _look_after(self, watched_s: float) -> None:
        """Who is there, who is not any more, and what became of their runs. watched_s: what this look adds to how long
        they were watched."""
        now = self.box.pulse(self.me)
        found = self.box.living()
        for worker, (alive, mtime) in found.items():
            seen = self.living.get(worker)
            silent_s = seen.watched_s + watched_s if seen is not None and seen.mtime == mtime else 0.0
            self.living[worker] = _Watch(alive, mtime, silent_s)
            self.appeared.add(worker)
        again = Counter(watch.alive.job for watch in self.living.values() if watch.alive.job)
        for worker in list(self.living):
            watch = self.living[worker]
            if worker not in found:
                del self.living[worker]
                continue
            doubted = (again[watch.alive.job] > 1 and self._is_earlier(watch.alive)) or self.gone(watch.alive)
            limit = GONE_BEATS if doubted else SILENT_BEATS
            if now - watch.mtime > limit * self.beat_s and watch.watched_s > min(limit, WATCHED_BEATS) * self.beat_s:
                self._give_up(watch.alive)
        self._tell_refusals()
        self._find_orphans(time.monotonic())

    def _is_earlier(self, alive: Alive) -> bool:
        return any(w.alive.job == alive.job and w.alive.again > alive.again for w in self.living.values())

    def _give_up(self, alive: Alive) -> None:
        """A worker is silent: it is one no more, and if it wakes up it finds that out. Its runs are lost with it."""
        self.box.part(alive.worker)
        del self.living[alive.worker]
        self.deaths[alive.node] += 1
        self._hear_news()  # what it said last
        for token, worker in self.box.taken().items():
            if worker == alive.worker:
                self._lose(token, worker)

    def _find_orphans(self, now_s: float) -> None:
        """Runs of workers that have left. One that is on its way back, or whose end was just said, may be seen here for
        a moment, in whatever order a file server tells things: it is given a beat."""
        taken = self.box.taken()
        known = self._orphans
        self._orphans = {}
        for token, worker in taken.items():
            if token in self._mine and worker not in self.living:
                since_s = self._orphans[token] = known.get(token, now_s)
                if now_s - since_s >= min(self.beat_s, 1.0):
                    self._hear_news()  # its end may have been said since
                    self._lose(token, worker)
        for token, out in list(self._mine.items()):
            if not out.seen:
                self._find(token, out, taken, now_s)

    def _find(self, token: str, out: _Out, taken: dict[str, str], now_s: float) -> None:
        """An adopted run of which nothing was heard: is it still there?"""
        name = next((name for name in self.box.todo() if token_of(name) == token), "")
        if name or token in taken:
            out.name, out.seen, out.missed_s = name, True, None
        elif out.missed_s is None:
            out.missed_s = now_s
        elif now_s - out.missed_s > GONE_BEATS * self.beat_s:
            self._end(Failed(token, "lost", f"nothing is left of it in {self.box.folder}"))

    def _lose(self, token: str, worker: str) -> None:
        folder = self.box.folder_of(token, worker) if token in self._mine else None
        if folder is None or not self.box.take_away(token, worker):  # it was given back after all
            return
        self.box.forget(token, worker)
        word = words.kept(folder, token)
        if isinstance(word, Done):
            self._end(finished(token, word))
        else:
            self._end(Failed(token, "lost", f"worker {worker} fell silent"))

    def _tell_refusals(self) -> None:
        """Each reason once: where one worker differs from the plan, all that were started like it do."""
        for worker, why in self.box.refusals().items():
            reason = why.partition(": ")[2]
            if worker not in self._told and reason not in self._told:
                self.needs.say(why)
            self._told |= {worker, reason}


def folder_for(folder: Path, database: str) -> Path:
    """The mailbox of a study; where it is that of another database in the same folder, one beside it."""
    plan = Mailbox(folder).plan() if (folder / PLAN).is_file() else None
    if plan is not None and plan.setup.database != database:
        return folder.with_name(f"{folder.name}-{database}")
    return folder


def this_user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name
