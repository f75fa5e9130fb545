"""What a dispatcher knows of the runs that it executes, and what it writes when they report.

Everything that an executor reported at once is one commit, and nothing is told to anybody before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ablate.errors import DataError
from ablate.pool import scheduler
from ablate.pool.executor import Event, Failed, Finished, Progressed, Refused, Slot, Started
from ablate.records import INTERRUPTED, Json, Limits, RunSpec
from ablate.store.store import Store
from ablate.training import examples
from ablate.training.examples import Examples


@dataclass
class Work:
    """A run that is executing here: since when, and what it reported last."""

    key: str
    token: str
    slot: Slot
    since_s: float
    spec: RunSpec
    stopping: bool = False
    step: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    cut: int = 0


@dataclass(frozen=True)
class Ended:
    """How a dispatch ended: how many runs it executed, and the signal that stopped it, if one did. alike: what runs
    failed of, all alike, so that the others were not begun; empty where that is not so."""

    executed: int
    stopped_by: int | None
    alike: str = ""


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
    per_example = {one.token: _examples(one, working) for one in events if isinstance(one, Finished)}
    with store.transaction():
        store.progress([(said.token, said.step, said.values) for said in events if isinstance(said, Progressed)])
        for event in events:
            match event:
                # With the time at which it started: when somebody asks, the pid may be another process's.
                case Started(token, pid, pid_started):
                    store.started(token, pid, pid_started)
                case Refused(token, message):
                    store.fail(token, "cancelled", message, again=True)
                case Finished(token, values, outputs, provenance):
                    # False: the lease was over and another took the run up. Its result counts, this is noted.
                    if store.finish(token, values, outputs, {**made, **provenance}, per_example[token]):
                        ended.append((working[token], event, False))
                case Failed(token, reason, message, detail, provenance):
                    work = working[token]
                    executions = attempts.get(work.key, 0) + (reason not in INTERRUPTED)
                    again = scheduler.try_again(reason, executions, limits)
                    if store.fail(token, reason, message, detail, {**made, **provenance}, again=again):
                        ended.append((work, event, again))
    return ended


def _examples(event: Finished, working: Mapping[str, Work]) -> Examples | None:
    """What the run left of its results example by example, read before the database is locked. Where the file is not
    there any more the result counts as it is."""
    if event.examples:
        with suppress(DataError):
            return examples.read(Path(working[event.token].spec.folder), event.examples)
    return None
