"""The plan: which runs answer a study. Designs choose cells, cells become variants, variants times seeds become runs.

Pure: it reads no database and trains nothing; the task completes each variant's configuration, which is what the runs'
keys hash. A cell that several designs ask for is one variant, trained once, with a row in each of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from ablate.errors import ConfigError, StudyError, TogetherError
from ablate.identity import canonical_json, run_keys
from ablate.records import Cell, Json, Parent, RunSpec, Study, TaskFacts
from ablate.registry import Registry
from ablate.study import mistakes, search
from ablate.study.cells import Space, configuration
from ablate.study.record import PlanRecord, RowRecord, SettingRecord, StartRecord, TrickRecord, VariantRecord
from ablate.study.rows import baseline_of, choose, names_of, rows_of
from ablate.text import did_you_mean, listed, many
from ablate.training.task import NOT_TRAINED, Completed, Starts, Task

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


@dataclass(frozen=True)
class Plan:
    """A study, resolved. Variants and rows stand in the order of the designs; runs seed by seed, comparisons first.

    baseline: what factorial, fractional and hand-listed rows are compared with. left_out: forbidden cells and why.
    sources: the user's files (path to SHA-256) that the plan was made from. facts: of the task, for readers of results.
    settings: of a study in several; its variants and rows stand setting by setting (across.py).
    """

    study: Study
    variants: tuple[PlannedVariant, ...]
    rows: tuple[RowRecord, ...]
    runs: tuple[PlannedRun, ...]
    baseline: str
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    facts: TaskFacts = field(default_factory=TaskFacts)
    settings: tuple[SettingRecord, ...] = ()

    @property
    def of_data(self) -> tuple[str, ...]:
        """What the variants' configurations leave to be told, each once."""
        return tuple(dict.fromkeys(note for variant in self.variants for note in variant.completed.notes))

    def variant(self, name: str) -> PlannedVariant:
        return self._by_name[name]

    @property
    def pending(self) -> tuple[Parent, ...]:
        """The runs of other studies whose weights some variants wait for."""
        return tuple(dict.fromkeys(variant.pending for variant in self.variants if variant.pending is not None))

    @cached_property
    def _by_name(self) -> dict[str, PlannedVariant]:
        return {variant.name: variant for variant in self.variants}

    @cached_property
    def record(self) -> PlanRecord:
        """What the database keeps of the plan; where its file lies is the caller's to add."""
        study = self.study
        return PlanRecord(
            study=study.name,
            question=study.question,
            task=study.task,
            facts=self.facts,
            metric=study.metric,
            also=study.also,
            analysis=study.analysis,
            baseline=self.baseline,
            seeds=study.seeds,
            tricks=tuple(
                TrickRecord(
                    name=trick.name,
                    label=trick.label,
                    category=trick.category,
                    levels=tuple(level.name for level in trick.levels if level.name is not None),
                )
                for trick in study.tricks
            ),
            variants=tuple(variant.record for variant in self.variants),
            rows=self.rows,
            left_out=self.left_out,
            notes=self.notes,
            rules=study.rules,
            across=self.settings,
        )

    def spec(
        self,
        run: PlannedRun,
        folder: str,
        cache: str,
        plugins: Sequence[str] = (),
        path: Sequence[str] = (),
        keep: bool = True,
    ) -> RunSpec:
        """What a child needs to execute `run`. folder: beside it each attempt has its own; cache: what runs share; the
        rest: RunSpec."""
        completed = self.variant(run.variant).completed
        return RunSpec(
            key=run.key,
            task=self.study.task,
            config=completed.config,
            tricks=completed.tricks,
            seed=run.draws,
            threads=self.study.resources.threads,
            folder=folder,
            cache=cache,
            plugins=tuple(plugins),
            path=tuple(path),
            sources=dict(self.sources),
            metric=self.study.metric.name,
            also=tuple(self.study.also),
            data=completed.data,
            start=completed.start,
            evaluates=run.evaluates,
            keep=keep,
            best=self.study.metric.at == "best",
        )


def make_plan(
    study: Study,
    registry: Registry,
    task: Task,
    sources: Mapping[str, str] = MappingProxyType({}),
    starts: Starts = MappingProxyType({}),
) -> Plan:
    """Plan a study. StudyError names every mistake that only tricks, designs and variants together show.

    starts: the weights of other studies' runs that variants start from, or why there are none yet.
    """
    space = Space(study.tricks, {variant.name: variant.cell for variant in study.variants})
    drafts, left_out, notes, problems = choose(study, registry, space)
    names = names_of(drafts, space)
    problems += mistakes.look_alikes(study) + mistakes.hand_listed(study, space, names)
    if not drafts:
        raise StudyError(problems or [study.problem("designs", "choose no variant at all.")])
    cells = {draft.given or names[draft.row.cell]: draft.row.cell for draft in drafts}
    completed, refused, apart = _complete(study, registry, task, cells)
    left_out += [f"{name}: {why}" for name, why in apart.items()]
    drafts = [draft for draft in drafts if (draft.given or names[draft.row.cell]) not in apart]
    names = {cell: name for cell, name in names.items() if name not in apart}
    cells = {name: cell for name, cell in cells.items() if name not in apart}
    if not cells:
        raise StudyError([*problems, study.problem("designs", f"leave no variant: {listed(left_out, '; ')}")])
    baseline = baseline_of(study, drafts, names, cells)
    if baseline not in cells:
        allowed = listed(cells, most=8)
        message = f"no variant of this plan is called {baseline!r}; there is {allowed}.{did_you_mean(baseline, cells)}"
        problems.append(study.problem("baseline", message))
    problems += mistakes.clashes(study, cells)
    problems += mistakes.refusals(study, refused, len(cells))
    problems += search.problems(study, registry, task, {name: (cells[name], done) for name, done in completed.items()})
    judged, rule_notes = mistakes.rules(study, registry, {name: done.config for name, done in completed.items()})
    if problems or judged:
        raise StudyError([*problems, *judged])
    completed = {name: done.started(starts) for name, done in completed.items()}
    rows, row_notes = rows_of(study, space, drafts, names, baseline, cells)
    designs: dict[str, dict[str, None]] = {name: {} for name in cells}
    for row in rows:
        designs[row.variant][row.design] = None
    variants = tuple(
        PlannedVariant(name, cell, tuple(map(str, cell.on)), tuple(designs[name]), completed[name])
        for name, cell in cells.items()
    )
    if study.analysis.get("placebo"):
        rows, variants = _with_placebo(study, rows, variants, baseline)
        row_notes.append(_placebo_note(rows))
    runs = _runs(study, variants, {row.compared_with for row in rows})
    row_notes += _sign_flip_note(study, rows)
    notes += row_notes + _sharing(rows, variants, runs) + _measuring(study, variants, runs) + rule_notes
    notes += _start_notes([(variant.name, variant.completed) for variant in variants], starts)
    notes += dict.fromkeys(note for variant in variants for note in variant.completed.notes)
    return Plan(study, variants, rows, runs, baseline, tuple(left_out), tuple(notes), dict(sources), task.facts)


# ------------------------------------------------------------------------------------------------------------ variants


def _complete(
    study: Study, registry: Registry, task: Task, cells: Mapping[str, Cell]
) -> tuple[dict[str, Completed], list[mistakes.Refused], dict[str, str]]:
    """Each variant's configuration as the task completes it, what the task refused, and why variants are left out whose
    parts may each go and not all at once. Equal configurations are asked once."""
    done: dict[str, Completed] = {}
    refused: list[mistakes.Refused] = []
    apart: dict[str, str] = {}
    known: dict[str, Completed] = {}
    for name, cell in cells.items():
        try:
            config, uses = configuration(study, cell)
            asked = canonical_json([config, [[use.name, use.params] for use in uses]])
            if asked not in known:
                known[asked] = task.completed(config, uses, registry)
            done[name] = known[asked]
        except TogetherError as error:
            apart[name] = error.problems[0][1]
        except ConfigError as error:
            refused.append((name, cell, error.problems))
    return done, refused, apart


# ---------------------------------------------------------------------------------------------------------------- rows


def _with_placebo(
    study: Study, rows: tuple[RowRecord, ...], variants: tuple[PlannedVariant, ...], baseline: str
) -> tuple[tuple[RowRecord, ...], tuple[PlannedVariant, ...]]:
    """Rows and variants with a placebo of what the first row is compared with, below the rows of that row's design."""
    if any(variant.name == PLACEBO for variant in variants):
        raise StudyError([study.problem("placebo", f"adds a variant {PLACEBO!r}, and the study has one already.")])
    first = next((row for row in rows if row.compared_with is not None), rows[0])
    reference = next(variant for variant in variants if variant.name == (first.compared_with or baseline))
    last = max(i for i, row in enumerate(rows) if row.design == first.design)
    row = RowRecord(first.design, PLACEBO, reference.name, (), PLACEBO, True)
    same = PlannedVariant(PLACEBO, reference.cell, reference.tricks, (first.design,), reference.completed, True)
    return (*rows[: last + 1], row, *rows[last + 1 :]), (*variants, same)


def _placebo_note(rows: Sequence[RowRecord]) -> str:
    reference = next(row.compared_with for row in rows if row.placebo)
    return (
        f"{PLACEBO} is {reference} once more, drawing other random streams (seed + {PLACEBO_SEEDS}): its difference is "
        "what seeds alone do. A verdict on it is a false alarm; it is never the best."
    )


def _sign_flip_note(study: Study, rows: Sequence[RowRecord]) -> list[str]:
    """From how many seeds on the declared sign-flip test can find anything: the smallest p of n pairs is 2 / 2^n."""
    family = len({(row.variant, row.compared_with) for row in rows if row.compared_with is not None})
    if study.analysis.get("test") != "sign_flip" or not family:
        return []
    least = next(n for n in itertools.count(1) if family * 2 / 2**n < 0.05)
    have = len(study.seeds)
    lacking = f"; with these {have} it finds nothing" if have < least else ""
    return [
        f"The sign-flip test can find something from {least} seeds on, for its smallest p is 2 / 2^n and Holm's method "
        f"multiplies it by {many(family, 'comparison')} at first{lacking}."
    ]


# ---------------------------------------------------------------------------------------------------------------- runs


def _runs(study: Study, variants: Sequence[PlannedVariant], compared: set[str | None]) -> tuple[PlannedRun, ...]:
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


def _sharing(
    rows: Sequence[RowRecord], variants: Sequence[PlannedVariant], runs: Sequence[PlannedRun], most: int = 5
) -> list[str]:
    """Notes: how many rows share how many variants, and which variants ask for the same run."""
    notes = []
    if len(rows) > len(variants):
        notes.append(f"{len(rows)} rows share {len(variants)} variants: what several designs ask for is trained once.")
    same: dict[str, list[str]] = {}
    for run in (run for run in runs[: len(variants)] if run.key):
        same.setdefault(run.key, []).append(run.variant)
    groups = [" and ".join(names) for names in same.values() if len(names) > 1]
    if groups:
        more = f"; and so do {len(groups) - most} more such groups" if len(groups) > most else ""
        notes.append(
            f"{'; '.join(groups[:most])} ask for the same runs{more}: what tells them apart changes nothing in the "
            "configuration. They are trained once and must come out equal."
        )
    return notes


def _measuring(study: Study, variants: Sequence[PlannedVariant], runs: Sequence[PlannedRun]) -> list[str]:
    """Which variants train nothing; or why they do although they differ in how predictions are made only."""
    planned = {run.key: run.variant for run in runs if run.key}  # pending runs have none, and all match each other
    again = {run.variant: planned[run.evaluates] for run in runs if run.evaluates in planned}
    if again:
        pairs = [f"{variant} measures {other}" for variant, other in again.items()]
        return [f"Trained once, evaluated twice: {listed(pairs, most=8)}."]
    at = study.metric.at
    names = [variant.name for variant in variants if variant.completed.evaluation_only and at != "last"]
    sentence = f"{listed(names, most=8)} train anew, for metric.at is {at}, and only the last weights are kept for all."
    return [sentence] * bool(names)


def _start_notes(variants: Iterable[tuple[str, Completed]], starts: Starts) -> list[str]:
    """Which variants (name, configuration) start from which weights, and which wait for them."""
    started: dict[str, list[str]] = {}
    waiting: dict[Parent, list[str]] = {}
    for name, done in variants:
        parent = done.pending
        if parent is not None:
            waiting.setdefault(parent, []).append(name)
        elif done.start is not None:
            started.setdefault(done.start.origin, []).append(name)
    lines = [f"Starting from the weights of {origin}: {', '.join(names)}." for origin, names in started.items()]
    if any(done.start is not None and done.start.run for _, done in variants):
        lines.append(
            "Every seed of such a variant starts from the same trained weights, so the spread over seeds says nothing "
            "of how another pretraining would have done."
        )
    for parent, names in waiting.items():
        why = starts.get(parent, NOT_TRAINED)
        lines.append(
            f"Pending, for they start from {parent.variant} of study {parent.study}: {', '.join(names)}. But {why}; "
            "`ablate run` trains that first, and these runs have no key before."
        )
    return lines
