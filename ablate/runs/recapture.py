"""`ablate recapture`: the numbers of a command's runs, read anew from what they left. Nothing is executed.

Where numbers are (`metrics:`, `derive:`) is no part of a run's key, so a wrong pattern costs no training.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path

from ablate.errors import AblateError, DataError
from ablate.programs.attribution import Life, Trace
from ablate.programs.capturing import Capturing, Values
from ablate.programs.commanded import Command
from ablate.programs.examples import read
from ablate.programs.launch import output_of
from ablate.programs.printed import numbers_in
from ablate.programs.wanted import Wanted
from ablate.runs.planned import Planned
from ablate.store.store import Store
from ablate.store.stored import AttemptRecord
from ablate.text import listed, many
from ablate.training.examples import Examples, Given, settled
from ablate.training.started import ENDED_WELL
from ablate.training.task import Task


@dataclass(frozen=True)
class Again:
    """What a run's remains say. curve: step to values. places: where each number was taken from."""

    values: Values
    curve: dict[int, Values]
    places: dict[str, str]
    problems: tuple[str, ...]
    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    examples: Examples | None = None
    """What it said of each example, where the study names the file."""


@dataclass
class Recaptured:
    """What came of it. changed, same: runs; without: runs that still lack the study's metric, and why."""

    study: str
    changed: int = 0
    same: int = 0
    mended: int = 0
    without: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        total = self.changed + self.same + self.mended
        lines = [
            f"{self.study}: {many(total, 'run')} read anew: {self.mended} had no result before, "
            f"{self.changed} changed, {self.same} as they were."
        ]
        lines += [f"  {run}: {why}" for run, why in list(self.without.items())[:5]]
        lines += [f"  and {len(self.without) - 5} more"] * (len(self.without) > 5)
        return "\n".join(lines)


def read_again(planned: Planned, folder: Path, wanted: Wanted) -> Again:
    """The numbers in a run's folder. AblateError where it is of no command's run, or its log is gone."""
    try:
        life = Life.load(folder)
        printed = output_of(folder / "log.txt", life.log_from)
    except (OSError, ValueError, TypeError):
        raise AblateError(f"{folder} holds no run of a command, or what it left was removed.") from None
    trace = Trace(folder, life, Path("/nonexistent"))
    capturing = Capturing(wanted, planned.registry, folder, life, trace, again=True)
    capturing.printed(printed + b"\n", last=True)
    capturing.look(last=True)
    curve = dict(capturing.fresh())
    values, places, problems = capturing.result()
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    curve = {step: {n: v for n, v in at.items() if math.isfinite(v)} for step, at in curve.items()}
    given, refused = _examples(planned.task, capturing, finite, wanted.asked)
    return Again(finite, curve, places, (*problems, *refused), trace.read(), tuple(trace.written()), given)


def _examples(
    task: Task, capturing: Capturing, values: Values, asked: Sequence[str]
) -> tuple[Examples | None, list[str]]:
    """What the run said of each example, and why that is refused, where it is."""
    columns = task.examples if isinstance(task, Command) else None
    if columns is None:
        return None, []
    try:
        said = read(columns, capturing.own(columns.file))
        return settled(Given(*astuple(said)), values, asked), []
    except DataError as error:
        return None, [str(error).rstrip(".")]


def besides(again: Again, folder: Path) -> dict[str, float]:
    """What a run printed besides the numbers that were found."""
    text = output_of(folder / "log.txt", 0).decode("utf-8", "replace")
    printed = numbers_in("\n".join(line for line in text.splitlines() if not line.startswith(ENDED_WELL)))
    return {name: value for name, value in printed.items() if name not in again.values}


def numbers(again: Again, printed: Mapping[str, float], asked: Sequence[str] = ()) -> Iterator[str]:
    """A line for each number that a run left, those that are asked for first."""
    steps = Counter(name for at in again.curve.values() for name in at)
    width = max((len(name) for name in (*again.values, *printed)), default=0)
    for name, value in sorted(again.values.items(), key=lambda item: item[0] not in asked):
        curve = f", {many(steps[name], 'step')}" if steps[name] else ""
        yield f"  {name:<{width}}  {value:<12.8g}  {again.places[name]}{curve}"
    yield from (f"  {name:<{width}}  {value:<12.8g}  printed" for name, value in printed.items())


def recapture(planned: Planned, db: str, only: Collection[str] = ()) -> Recaptured:
    """Read every finished run of the study anew, and those that ended as `bad_result`; AblateError where its task is no
    command. only: keys of runs; empty: all."""
    task, study = planned.task, planned.study
    if not isinstance(task, Command):
        raise AblateError(
            f"{study.name} is no study of a command: a function gives its numbers back itself, and nothing is read.",
            page="own-code",
        )
    names = (study.metric.name, *study.also)
    wanted = task.wanted(names)
    told = Recaptured(study.name)
    with Store.open(db, write=True) as store:
        for run in planned.plan.runs:
            meant = run.key and (not only or run.key in only)
            attempt = _readable(store.attempts(run.key)) if meant else None
            if attempt is None:
                continue
            called = f"{run.variant}:{run.seed}"
            try:
                again = read_again(planned, Path(attempt.log), wanted)
            except AblateError as error:
                told.without[called] = str(error)
                continue
            if study.metric.name not in again.values:
                there = sorted((*again.values, *besides(again, Path(attempt.log))))
                why = "; ".join(again.problems) or f"there is {listed(there) or 'no number'}"
                told.without[called] = f"{study.metric.name} is not found: {why}."
                continue
            before = {name: value for name, value in attempt.metrics.items() if value is not None}
            if attempt.counted and before == again.values and attempt.provenance.get("captured") == again.places:
                told.same += 1
            else:
                store.recaptured(attempt.token, again.values, again.curve, {"captured": again.places})
                told.changed += attempt.counted
                told.mended += not attempt.counted
            if again.examples is not None:
                store.keep_examples({run.key: again.examples})
    return told


def _readable(attempts: Sequence[AttemptRecord]) -> AttemptRecord | None:
    """The attempt that counts, or the last where it came to no result that could be read."""
    counted = next((attempt for attempt in attempts if attempt.counted), None)
    if counted is not None:
        return counted
    last = attempts[-1] if attempts else None
    return last if last is not None and last.reason == "bad_result" else None
