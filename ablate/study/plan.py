"""The plan: which runs answer a study. Designs choose cells, cells become variants, variants times seeds become runs.

Pure: it reads no database and trains nothing; the task completes each variant's configuration, which is what the runs'
keys hash. A cell that several designs ask for is one variant, trained once, with a row in each of them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from ablate.errors import ConfigError, StudyError, TogetherError
from ablate.identity import canonical_json
from ablate.records import Cell, Parent, RunSpec, Study, TaskFacts
from ablate.registry import Registry
from ablate.study import controls, depth, mistakes, search
from ablate.study.cells import Space, configuration
from ablate.study.keyed import PLACEBO, PLACEBO_SEEDS, PlannedRun, PlannedVariant, runs_of
from ablate.study.record import PlanRecord, RowRecord, SettingRecord, TrickRecord
from ablate.study.rows import Draft, baseline_of, choose, names_of, rows_of, without_alone
from ablate.text import did_you_mean, in_words, listed, many
from ablate.training.task import NOT_TRAINED, Completed, Starts, Task


@dataclass(frozen=True)
class Plan:
    """A study, resolved. Variants and rows stand in the order of the designs; runs seed by seed, comparisons first.

    baseline: what factorial, fractional and hand-listed rows are compared with. left_out: forbidden cells and why.
    sources: the user's files (path to SHA-256) that the plan was made from. facts: of the task, for readers of results.
    settings: of a study in several; its variants and rows stand setting by setting (across.py). parts: of each trick
    that is a part of the network, its path.
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
    parts: Mapping[str, str] = field(default_factory=dict)

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
                    part=self.parts.get(trick.name, ""),
                )
                for trick in study.tricks
            ),
            variants=tuple(variant.record for variant in self.variants),
            rows=self.rows,
            left_out=self.left_out,
            notes=self.notes,
            rules=study.rules,
            across=self.settings,
            words=study.words,
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
    chosen, left_out, notes, problems = choose(study, registry, space)
    drafts, names = _drafted(study, space, chosen)
    problems += mistakes.look_alikes(study) + mistakes.hand_listed(study, space, names)
    if not drafts:
        raise StudyError(problems or [study.problem("designs", "choose no variant at all.")])
    cells = {draft.given or names[draft.row.cell]: draft.row.cell for draft in drafts}
    problems += mistakes.words(study, cells)
    completed, refused, apart = _complete(study, registry, task, cells)
    left_out += [f"{name}: {why}" for name, why in apart.items()]
    places = depth.places(study, completed.values())
    drafts, names = _drafted(study, space, depth.ordered(chosen, {name: at for name, (at, _) in places.items()}))
    drafts = [draft for draft in drafts if (draft.given or names[draft.row.cell]) not in apart]
    names = {cell: name for cell, name in names.items() if name not in apart}
    cells = {draft.given or names[draft.row.cell]: draft.row.cell for draft in drafts}
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
    rows, control_notes = controls.beyond(study, rows, cells)
    rows, trained_notes = controls.of_trained(study, rows, cells)
    row_notes += control_notes + trained_notes
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
    runs = runs_of(study, variants, {row.compared_with for row in rows})
    row_notes += _sign_flip_note(study, rows)
    notes += row_notes + _sharing(rows, variants, runs) + _measuring(study, variants, runs) + rule_notes
    notes += _start_notes([(variant.name, variant.completed) for variant in variants], starts)
    notes += dict.fromkeys(note for variant in variants for note in variant.completed.notes)
    return Plan(
        study, variants, rows, runs, baseline, tuple(left_out), tuple(notes), dict(sources), task.facts,
        parts={name: path for name, (_, path) in places.items()},
    )  # fmt: skip


def _drafted(study: Study, space: Space, chosen: Sequence[Draft]) -> tuple[list[Draft], dict[Cell, str]]:
    """The rows with those that parts of the network add, and the names of their cells."""
    names = names_of(chosen, space)
    return controls.with_recalibrated(study, controls.with_controls(study, chosen, names), names)


def asked_names(study: Study, registry: Registry) -> list[str]:
    """Of every variant that the study asks for, whatever its task makes of it."""
    space = Space(study.tricks, {variant.name: variant.cell for variant in study.variants})
    drafts, *_ = choose(study, registry, space)
    drafts, made = _drafted(study, space, drafts)
    return [draft.given or made[draft.row.cell] for draft in drafts]


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
            if controls.refused(study, cell):
                apart[name] = error.problems[0][1].rstrip(".")
            else:
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
    compared = {(row.variant, row.compared_with): row.kind for row in rows if row.compared_with is not None}
    family = min(Counter(compared.values()).values(), default=0)  # controls are corrected apart
    if study.analysis.get("test") != "sign_flip" or not family:
        return []
    least = next(n for n in itertools.count(1) if family * 2 / 2**n < 0.05)
    have = len(study.seeds)
    lacking = f"; with these {have} it finds nothing" if have < least else ""
    return [
        f"The sign-flip test can find something from {least} seeds on, for its smallest p is 2 / 2^n and Holm's method "
        f"multiplies it by {many(family, 'comparison')} at first{lacking}."
    ]


# --------------------------------------------------------------------------------------------------------------- notes


def _sharing(
    rows: Sequence[RowRecord], variants: Sequence[PlannedVariant], runs: Sequence[PlannedRun], most: int = 5
) -> list[str]:
    """Notes: how many rows share how many variants, and which variants ask for the same run."""
    notes = []
    rows = without_alone(rows)
    if len(rows) > len(variants):
        notes.append(f"{len(rows)} rows share {len(variants)} variants: what several designs ask for is trained once.")
    same: dict[str, list[str]] = {}
    for run in (run for run in runs[: len(variants)] if run.key):
        same.setdefault(run.key, []).append(run.variant)
    controls = {variant.name for variant in variants if variant.cell.control}
    alike = [names for names in same.values() if len(names) > 1]
    groups = [in_words(names) for names in alike if {*names} <= controls]
    if groups:
        notes.append(f"{listed(groups, '; ', most=most)}: as much goes from the same places, so they are trained once.")
    groups = [in_words(names) for names in alike if not {*names} <= controls]
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
