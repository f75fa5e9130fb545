"""What a dispatcher knows of the runs that it executes, and what it writes when they report.

Everything that an executor reported at once is one commit, and nothing is told to anybody before it.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ablate.errors import DataError
from ablate.pool import host, scheduler, words
from ablate.pool.executor import (
    Event,
    Failed,
    Finished,
    Placed,
    Progressed,
    Refused,
    Returned,
    Slot,
    Started,
    finished,
)
from ablate.pool.folders import LOG, shorten, was_begun
from ablate.pool.messages import Done
from ablate.records import INTERRUPTED, Json, Limits, RunSpec
from ablate.store.store import Store
from ablate.store.stored import Begun, LiveAttempt, Result
from ablate.text import duration
from ablate.training import examples
from ablate.training.examples import Examples

ODD_S = 60.0
"""A shorter silence is never odd."""


@dataclass
class Work:
    """A run that is executing here, or handed over: since when (it started; infinity before that), what it reported
    last, and when; silent: a note says how long ago. cut: bytes of its log that are gone. asked_s: when this host's
    executor was asked for it, from which it counts how long a run took."""

    key: str
    token: str
    slot: Slot
    since_s: float
    spec: RunSpec
    stopping: bool = False
    step: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    cut: int = 0
    heard_s: float = 0.0
    log_bytes: int = 0
    silent: bool = False
    asked_s: float = math.inf

    def __post_init__(self) -> None:
        self.heard_s = self.heard_s or self.since_s
        self._log = os.path.join(self.spec.folder, LOG)

    def begins(self, now_s: float) -> None:
        """It has started: here, where an engine says so, or under an earlier dispatcher, which is not heard again."""
        if not self.started:
            self.since_s = self.heard_s = now_s

    def waits_again(self) -> None:
        self.since_s = self.heard_s = math.inf

    @property
    def started(self) -> bool:
        return self.since_s < math.inf

    def shorten_log(self, limits: Limits) -> None:
        self.cut = shorten(self._log, int(limits.log_mib * 2**20), self.cut)

    def hear(self, now_s: float) -> None:
        """Take a log that has grown as a sign of life."""
        with suppress(OSError):
            size = os.stat(self._log).st_size
            if size != self.log_bytes:
                self.log_bytes, self.heard_s = size, now_s

    def silence(self, now_s: float) -> str:
        """What is odd about how long it has been silent: ten times its usual step, a minute at least; else empty."""
        usual_s = (self.heard_s - self.since_s) / self.step if self.step else 0.0
        if not usual_s or now_s - self.heard_s < max(10 * usual_s, ODD_S):
            return ""
        return f"silent since {duration(self.heard_s - self.since_s)} after its start; a step took {duration(usual_s)}"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.since_s if self.started else 0.0


@dataclass(frozen=True)
class Ended:
    """How a dispatch ended: how many runs it executed, and the signal that stopped it, if one did. alike: what runs
    failed of, all alike, so that the others were not begun; empty where that is not so. left: runs that met nothing but
    full disks or the like, for so long that they were left to do. detached: runs that go on without the dispatcher."""

    executed: int
    stopped_by: int | None
    alike: str = ""
    left: int = 0
    detached: int = 0


def written(
    store: Store,
    events: Sequence[Event],
    working: Mapping[str, Work],
    *,
    attempts: Mapping[str, int],
    limits: Limits,
    made: Mapping[str, Json],
) -> list[tuple[Work, Finished | Failed, bool]]:
    """Write what happened, in one commit: which runs ended, and whether they are tried again. Nothing else changes, for
    it is done again where the database was away. What the store refuses came from an attempt that another dispatcher
    took over: the run is no longer ours to speak of.

    attempts: of each run, those so far. made: with what every result here was made.
    """
    ended: list[tuple[Work, Finished | Failed, bool]] = []
    done = [one for one in events if isinstance(one, Finished)]
    results = [
        Result(
            one.token, one.values, one.outputs, {**made, **one.provenance},
            _examples(one, working[one.token].spec.folder), _took(one, working[one.token]),
        )
        for one in done
    ]  # fmt: skip
    with store.transaction():
        _write_starts(store, events, working)
        store.progress([(said.token, said.step, said.values) for said in events if isinstance(said, Progressed)])
        # What is refused had lost its lease, and another took the run up. Its result counts, this is noted.
        counted = store.finish_all(results) if results else set()
        for event in events:
            match event:
                case Refused(token, message):
                    store.fail(token, "cancelled", message, again=True)
                case Finished(token):
                    if token in counted:
                        ended.append((working[token], event, False))
                case Failed(token, reason, message, detail, provenance):
                    work = working[token]
                    executions = attempts.get(work.key, 0) + (reason not in INTERRUPTED)
                    again = scheduler.try_again(reason, executions, limits)
                    made_with = {**made, **provenance}
                    took_s = _took(event, work)
                    if store.fail(token, reason, message, detail, made_with, again=again, seconds=took_s):
                        ended.append((work, event, again))
                case Placed() | Started() | Returned() | Progressed():
                    pass
        # Last, for until here the slots are those of the runs that ended.
        store.place([(one.token, one.slot.device, one.slot.index) for one in events if isinstance(one, Placed)])
    for one in done:
        examples.drop(Path(working[one.token].spec.folder), one.examples)
    return ended


def _write_starts(store: Store, events: Sequence[Event], working: Mapping[str, Work]) -> None:
    """Which attempts started, or were given back, each as the last of its events says. With the time at which a process
    started: when somebody asks, its number may be another's."""
    last = {event.token: event for event in events if isinstance(event, Started | Returned)}
    # Where its seconds are counted from. What is written later would end later than the next one in its slot began: of
    # runs of 30 ms on two cores, two of eight.
    now_s = time.monotonic()
    over = {one.token: one.seconds or 0.0 for one in events if isinstance(one, Finished | Failed)}
    asked_s = {token: working[token].asked_s for token in last}
    asked_s |= {one.token: one.asked_s for one in events if isinstance(one, Placed)}
    ago_s = {token: max(now_s - asked_s[token], over.get(token, 0.0)) for token in last}
    begun = [
        Begun(one.token, one.pid, one.pid_started, one.where, ago_s[one.token])
        for one in last.values()
        if isinstance(one, Started)
    ]
    for token in dict.fromkeys(event.token for event in events if isinstance(event, Returned)):
        store.returned(token)
    if begun:
        store.started_all(begun)


def _took(event: Finished | Failed, work: Work) -> float:
    """Seconds of an execution: as it was told where it ran, else since its start was heard."""
    return work.seconds if event.seconds is None else event.seconds


def never_begun(store: Store, attempt: LiveAttempt) -> bool:
    """Whether nothing of an attempt was executed, as far as this host can tell: it was handed over, and its dispatcher
    died first. That costs its run nothing."""
    return attempt.pid is None and attempt.host == host.place() and not was_begun(store.path_of(attempt.log))


def finished_unheard(store: Store, run: str, token: str, made: Mapping[str, Json]) -> bool:
    """Whether an attempt whose dispatcher is gone had a result for it, which counts from now on. Only of this host, for
    of another one nobody here knows what its runs are made with."""
    attempt = next(one for one in store.attempts(run) if one.token == token)
    word = words.kept(Path(attempt.log), token) if attempt.host == host.place() else None
    if not isinstance(word, Done):
        return False
    told = finished(token, word)
    made_with = {**made, **told.provenance}
    counted = store.finish(token, told.values, told.outputs, made_with, _examples(told, attempt.log))
    examples.drop(Path(attempt.log), told.examples)
    return counted


def _examples(event: Finished, folder: str) -> Examples | None:
    """What the run left of its results example by example, read before the database is locked. Where the file is not
    there any more the result counts as it is."""
    if event.examples:
        with suppress(DataError):
            return examples.read(Path(folder), event.examples)
    return None
