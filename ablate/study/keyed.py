"""The runs of a plan: a variant with a seed, and the key that names what it computes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ablate.identity import run_keys
from ablate.records import Cell, Json, Parent, Study
from ablate.study.record import StartRecord, VariantRecord
from ablate.training.task import Completed

PLACEBO = "placebo"
"""The variant that `placebo: true` adds: its comparison once more, drawing other random streams."""

PLACEBO_SEEDS = 3000
"""A placebo's seed s draws what seed PLACEBO_SEEDS + s of its comparison would (tuning: 1000, confirmation: 2000)."""


@dataclass(frozen=True)
class PlannedVariant:
    """A variant to train. tricks: what is on, `optimizer=adamw` for a level. designs: whose rows show it. setting: of
    several the one that it stands in."""

    name: str
    cell: Cell
    tricks: tuple[str, ...]
    designs: tuple[str, ...]
    completed: Completed
    placebo: bool = False
    setting: str = ""

    @property
    def pending(self) -> Parent | None:
        """Whose weights it waits for: until they are trained its runs have no key."""
        return self.completed.pending

    @property
    def record(self) -> VariantRecord:
        """What the database keeps of it."""
        done, start = self.completed, self.completed.start
        kept = None if start is None else StartRecord(origin=start.origin, run=start.run, sha256=start.sha256)
        return VariantRecord(
            name=self.name,
            tricks=self.tricks,
            of=self.cell.of,
            placebo=self.placebo,
            designs=self.designs,
            config=done.config,
            uses=done.tricks,
            starts_from=kept if self.pending is None else "pending",
            setting=self.setting,
            control=self.cell.control,
        )


@dataclass(frozen=True)
class PlannedRun:
    """One variant with one seed. Variants that ask for the same have runs of the same key; a pending one's is empty.

    draws: the seed of its random streams, which is another one for a placebo. evaluates: the key of the run whose
    weights it measures anew instead of training them (the same without its evaluation-only tricks); else empty.
    edited: files in its key beside the task's own, as in Edits.
    """

    key: str
    variant: str
    seed: int
    draws: int
    evaluates: str = ""
    edited: Mapping[str, str] = field(default_factory=dict)


Edits = Mapping[str, Mapping[str, str]]
"""Run key -> files that its execution was found to use and that were edited since: path from the study's folder to
SHA-256. They enter the key, so that another run is asked in its place; undone, the edit gives back the first."""


def runs_of(study: Study, variants: Sequence[PlannedVariant], compared: set[str | None]) -> tuple[PlannedRun, ...]:
    """Every variant's first seed before the second; within a seed what others are compared with comes first."""
    order = sorted(variants, key=lambda variant: variant.name not in compared)
    # A variant's seeds share all but a number of what is hashed: of 20,480 runs that halves the time of a plan.
    keys = {variant.name: _keys(study, variant.completed) for variant in order if not variant.pending}
    return tuple(run_of(study, v, seed, keys=keys.get(v.name)) for seed in study.seeds for v in order)


def run_of(
    study: Study, variant: PlannedVariant, seed: int, edits: Edits = MappingProxyType({}), *, keys: Keys | None = None
) -> PlannedRun:
    """One run. Tricks that act on predictions only make it a measurement of another run's final weights. keys: of the
    variant's runs where no file of theirs was edited and they measure no other, if they are known.

    Of other epochs' weights (`metric.at`) none are kept, or they would be chosen by another metric: those runs train.
    """
    done, draws = variant.completed, seed + PLACEBO_SEEDS * variant.placebo
    if variant.pending:
        return PlannedRun("", variant.name, seed, draws)
    evaluates = ""
    if done.evaluation_only and study.metric.at == "last":
        evaluates, _ = _key(study, done, draws, edits, left_out=done.evaluation_only)
    key, edited = _key(study, done, draws, edits, evaluates=evaluates, keys=None if evaluates else keys)
    return PlannedRun(key, variant.name, seed, draws, evaluates, edited)


Keys = Callable[[int], str]
"""The key of a run by the seed of its random streams."""


def _keys(
    study: Study,
    done: Completed,
    edited: Mapping[str, str] = MappingProxyType({}),
    left_out: Collection[str] = (),
    evaluates: str = "",
) -> Keys:
    """The keys of a configuration's runs, without the trick files in `left_out`."""
    code = {part: code for part, code in done.code.items() if part.removeprefix("trick:") not in left_out}
    return run_keys(
        task=study.task.written if done.task is None else done.task,
        config={**done.asked_of_start, **({"evaluates": evaluates} if evaluates else {})},
        tricks=[(use.name, use.params) for use in done.tricks if use.name not in left_out],
        threads=study.resources.threads,
        data=done.data,
        code=with_edits(code, edited),
        parent=(done.start.run or None) if done.start else None,
    )


def _key(
    study: Study,
    done: Completed,
    draws: int,
    edits: Edits,
    *,
    left_out: Collection[str] = (),
    evaluates: str = "",
    keys: Keys | None = None,
) -> tuple[str, Mapping[str, str]]:
    """The key of one run; and which edited files are in it."""

    def key(edited: Mapping[str, str]) -> str:
        of = keys if keys and not edited else _keys(study, done, edited, left_out, evaluates)
        return of(draws)

    edited: Mapping[str, str] = {}
    while (found := key(edited)) in edits and edits[found] != edited:  # what took an edited run's place was edited too
        edited = edits[found]
    return found, edited


def with_edits(code: Mapping[str, Json], edited: Mapping[str, str]) -> dict[str, Json]:
    """The parts of a run's code, with the files that were edited since an earlier execution."""
    return {**code, "executed": sorted([name, sha] for name, sha in edited.items())} if edited else dict(code)
