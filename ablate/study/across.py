"""The plan of a study in several settings (`across:`): every design is carried out in each, and the plans become one.

A setting is a named patch of the base, so a cell is (setting, variant, seed) and a run's key is what it is without
settings. In the plan and in the database a variant is called `SETTING/VARIANT`. A trick that cannot act in a setting is
left out there and named; one that can act in none is a mistake of the study.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from ablate.errors import AblateError, ConfigError, Problem, StudyError
from ablate.records import Cell, Choice, DesignUse, Setting, Study, StudyTrick
from ablate.registry import Registry
from ablate.study import plan as planning
from ablate.study.cells import closure, configuration
from ablate.study.keyed import PlannedRun, PlannedVariant
from ablate.study.plan import Plan
from ablate.study.record import RowRecord, SettingRecord
from ablate.text import listed
from ablate.training.task import Completed, Starts, Task


def make_plan(
    study: Study,
    registry: Registry,
    task: Task,
    sources: Mapping[str, str] = MappingProxyType({}),
    starts: Starts = MappingProxyType({}),
) -> Plan:
    """Plan a study, in all its settings where it has several; as plan.make_plan."""
    if not study.across:
        return planning.make_plan(study, registry, task, sources, starts)
    plans: dict[str, Plan] = {}
    left_out: dict[str, dict[str, str]] = {}
    problems: list[tuple[str, Problem]] = []
    for setting in study.across:
        there, left_out[setting.name] = _acting(replace(study, setting=setting), registry, task)
        try:
            plans[setting.name] = planning.make_plan(there, registry, task, sources, starts)
        except StudyError as error:
            problems += [(setting.name, problem) for problem in error.problems]
    if problems:
        raise StudyError(_said_once(problems, len(study.across)))
    return _merged(study, plans, left_out)


def _said_once(problems: Sequence[tuple[str, Problem]], settings: int) -> list[Problem]:
    """Each problem once, with the settings that it is of unless it is of all."""
    of: dict[Problem, list[str]] = {}
    for setting, problem in problems:
        of.setdefault(problem, []).append(setting)
    return [
        problem if len(names) == settings else replace(problem, message=f"{problem.message} (in {listed(names)})")
        for problem, names in of.items()
    ]


# --------------------------------------------------------------------------------------------------------- what can act


def _acting(study: Study, registry: Registry, task: Task) -> tuple[Study, dict[str, str]]:
    """A study in one setting without what cannot act there: tricks, levels, and variants listed by hand that have them;
    and why of each."""
    why: dict[str, str] = {}
    every = {trick.name: trick for trick in study.tricks}
    asked = _asker(study, registry, task)
    tricks: dict[str, StudyTrick] = {}
    for trick in study.tricks:
        refused = {choice: _refusal(study, every, choice, asked) for choice in trick.choices}
        why |= {str(choice): because for choice, because in refused.items() if because}
        levels = tuple(level for level, choice in zip(trick.levels, trick.choices, strict=True) if not refused[choice])
        if levels:
            tricks[trick.name] = replace(trick, levels=levels)
    while lacking := [name for name, trick in tricks.items() if not set(trick.requires) <= tricks.keys()]:
        for name in lacking:
            needed = listed(other for other in tricks.pop(name).requires if other not in tricks)
            why[name] = f"it requires {needed}, which cannot act there"
    choices = {choice for trick in tricks.values() for choice in trick.choices}
    variants = tuple(variant for variant in study.variants if choices.issuperset(variant.tricks))
    kept = {variant.name for variant in variants}
    designs = tuple(use for use in (_without(use, kept) for use in study.designs) if use is not None)
    return replace(study, tricks=tuple(tricks.values()), variants=variants, designs=designs), why


def _without(use: DesignUse, variants: set[str]) -> DesignUse | None:
    """A design without the variants listed by hand that are not there; None where it is of no other."""
    of = use.options.get("of")
    names = [of] if isinstance(of, str) else of
    if not isinstance(names, list) or not names:
        return use
    kept = [name for name in names if name in variants]
    return replace(use, options={**use.options, "of": kept}) if kept else None


Asked = Callable[[Cell], Completed | str]
"""What the task makes of a cell, or why it refuses it."""


def _asker(study: Study, registry: Registry, task: Task) -> Asked:
    def asked(cell: Cell) -> Completed | str:
        try:
            return task.completed(*configuration(study, cell), registry)
        except ConfigError as error:
            key, message = error.problems[0]
            return f"{key}: {message}" if key else message
        except AblateError as error:
            return str(error)

    return asked


def _refusal(study: Study, tricks: Mapping[str, StudyTrick], choice: Choice, asked: Asked) -> str:
    """Why a trick cannot act in the setting, on its base or a changed one that has it; empty where it can,
    and where the base itself is refused, which is another mistake."""
    whole = tuple(trick.choices[0] for trick in tricks.values() if trick.part)
    if tricks[choice.trick].part:
        away = asked(Cell(tuple(other for other in whole if other != choice)))
        return away if isinstance(away, str) and not isinstance(asked(Cell(whole)), str) else ""
    needed = tuple(tricks[name].choices[0] for name in closure(choice.trick, tricks) if name != choice.trick)
    without = asked(Cell((*needed, *whole)))
    if isinstance(without, str):
        return ""
    order = list(tricks)
    on = sorted({*needed, *whole, choice}, key=lambda one: order.index(one.trick))
    cells = [Cell(tuple(on)), *(v.cell for v in study.variants if v.set and choice in v.tricks)]
    made = [asked(cell) for cell in cells]
    if all(isinstance(one, str) for one in made):
        return str(made[0])
    first = made[0]
    same = not isinstance(first, str) and (first.asked, first.tricks) == (without.asked, without.tricks)
    return "the base is so already" if same and len(cells) == 1 else ""


# ------------------------------------------------------------------------------------------------------ plans into one


def _merged(study: Study, plans: Mapping[str, Plan], left_out: Mapping[str, Mapping[str, str]]) -> Plan:
    by_hand = {variant.name for variant in study.variants}
    variants, rows, settings = [], [], []
    for setting in study.across:
        plan = plans[setting.name]
        named = {variant.name: variant for variant in plan.variants}
        variants += [
            replace(variant, name=_in(setting, variant.name), setting=setting.name) for variant in plan.variants
        ]
        rows += [_row(setting, row, named, by_hand) for row in plan.rows]
        settings.append(
            SettingRecord(
                name=setting.name,
                baseline=_in(setting, plan.baseline),
                left_out=left_out[setting.name],
                unit=setting.unit,
                limits=setting.limits,
            )
        )
    return replace(
        plans[study.across[0].name],
        study=study,
        variants=tuple(variants),
        rows=tuple(rows),
        runs=tuple(_runs(study, plans)),
        baseline=settings[0].baseline,
        left_out=tuple(_left_out(plans, left_out)),
        notes=tuple(_notes(plans)),
        settings=tuple(settings),
    )


def _in(setting: Setting, variant: str) -> str:
    return f"{setting.name}/{variant}"


def _row(setting: Setting, row: RowRecord, variants: Mapping[str, PlannedVariant], by_hand: set[str]) -> RowRecord:
    """A row under its setting, with the name by which it is the same in every setting.

    A variant is named after the tricks that there are, and a setting may have fewer of them: `- mixup` stays what it
    is, and a row that is compared with a baseline is known by its tricks.
    """
    against = row.compared_with
    if row.label != row.variant:
        across = f"{row.label} of {against}" if against in by_hand else row.label
    elif row.variant in by_hand or row.placebo:
        across = row.variant
    elif against is None:
        across = "reference"
    else:
        cell = variants[row.variant].cell
        across = " + ".join([*([cell.of] if cell.of else []), *map(str, cell.on)]) or "base"
    return replace(
        row,
        variant=_in(setting, row.variant),
        compared_with=None if against is None else _in(setting, against),
        label=row.label or row.variant,
        setting=setting.name,
        across=across,
    )


def _runs(study: Study, plans: Mapping[str, Plan]) -> list[PlannedRun]:
    """Every setting's first seed before any second."""
    runs = []
    for seed in study.seeds:
        for setting in study.across:
            there = (run for run in plans[setting.name].runs if run.seed == seed)
            runs += [replace(run, variant=_in(setting, run.variant)) for run in there]
    return runs


def _left_out(plans: Mapping[str, Plan], left_out: Mapping[str, Mapping[str, str]]) -> list[str]:
    sentences = []
    for setting, plan in plans.items():
        sentences += [f"{setting}: {trick} cannot act there: {why}" for trick, why in left_out[setting].items()]
        sentences += [f"{setting}: {left}" for left in plan.left_out]
    return sentences


def _notes(plans: Mapping[str, Plan]) -> list[str]:
    """What every setting says once, the rest with its setting."""
    counts = Counter(note for plan in plans.values() for note in plan.notes)
    notes = {
        note if counts[note] == len(plans) else f"{setting}: {note}": None
        for setting, plan in plans.items()
        for note in plan.notes
    }
    return list(notes)
