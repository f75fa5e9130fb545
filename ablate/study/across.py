"""The plan of a study in several settings (`across:`): every design is carried out in each, and the plans become one.

A setting is a named patch of the base, so a cell is (setting, variant, seed) and a run's key is what it is without
settings. In the plan and in the database a variant is called `SETTING/VARIANT`. A trick that cannot act in a setting is
left out there and named; one that can act in none is a mistake of the study.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from ablate.errors import AblateError, ConfigError, Problem, StudyError, UnfitError
from ablate.records import Cell, Choice, DesignUse, Setting, Study, StudyTrick
from ablate.registry import Registry
from ablate.study import mistakes
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
        taken, told = _taken(study, registry, task)
        if not told:
            return planning.make_plan(study, registry, task, sources, starts)
        plan = planning.make_plan(replace(taken, words={}), registry, task, sources, starts)
        unknown = mistakes.words(study, planning.asked_names(study, registry))
        if unknown:
            raise StudyError(unknown)
        return replace(plan, study=study, left_out=(*told, *plan.left_out))
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
    planned = [(name, one.name) for name, plan in plans.items() for one in plan.variants]
    unknown = mistakes.words(study, [*(name for _, name in planned), *(f"{where}/{name}" for where, name in planned)])
    if unknown:
        raise StudyError(unknown)
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


def _taken(study: Study, registry: Registry, task: Task) -> tuple[Study, tuple[str, ...]]:
    """A study without the tricks that its network cannot take, and those as sentences with their lines. StudyError
    where nothing is left."""
    every = {trick.name: trick for trick in study.tricks}
    asked = _asker(study, registry, task)

    def refusal(choice: Choice) -> str:
        made = [asked(cell) for cell in _cells_with(study, every, choice)]
        return _why(made[0]) if all(isinstance(one, UnfitError) for one in made) else ""

    uses = {
        choice for trick in study.tricks for choice, level in zip(trick.choices, trick.levels, strict=True) if level.use
    }
    taken, why = _without_refused(
        study, {choice: refusal(choice) if choice in uses else "" for choice in _choices(study)}
    )
    if not why:
        return study, ()
    gone = {variant.name for variant in study.variants} - {variant.name for variant in taken.variants}
    if not taken.tricks and not taken.variants:
        raise StudyError([study.problem(f"tricks.{name.partition('=')[0]}", because) for name, because in why.items()])
    lines = [
        f"{name} ({Path(place.file).name}:{place.line}): {because}".rstrip(".")
        for name, because in why.items()
        for place in [study.problem(f"tricks.{name.partition('=')[0]}", because)]
    ]
    return taken, (*lines, *(f"{name}: it has one of these tricks" for name in sorted(gone)))


def _acting(study: Study, registry: Registry, task: Task) -> tuple[Study, dict[str, str]]:
    """A study in one setting without what cannot act there: tricks, levels, and variants listed by hand that have them;
    and why of each."""
    every = {trick.name: trick for trick in study.tricks}
    asked = _asker(study, registry, task)
    return _without_refused(study, {choice: _refusal(study, every, choice, asked) for choice in _choices(study)})


def _choices(study: Study) -> list[Choice]:
    return [choice for trick in study.tricks for choice in trick.choices]


def _without_refused(study: Study, refused: Mapping[Choice, str]) -> tuple[Study, dict[str, str]]:
    """The study without the choices that are refused, for a reason, and what needs them; and why of each."""
    why = {str(choice): because for choice, because in refused.items() if because}
    tricks: dict[str, StudyTrick] = {}
    for trick in study.tricks:
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


Asked = Callable[[Cell], Completed | AblateError]
"""What the task makes of a cell, or why it refuses it."""


def _asker(study: Study, registry: Registry, task: Task) -> Asked:
    def asked(cell: Cell) -> Completed | AblateError:
        try:
            return task.completed(*configuration(study, cell), registry)
        except AblateError as error:
            return error

    return asked


def _why(refused: Completed | AblateError) -> str:
    if isinstance(refused, ConfigError):
        key, message = refused.problems[0]
        message = message.rstrip(".")  # it stands within a sentence
        return f"{key}: {message}" if key and not isinstance(refused, UnfitError) else message
    return str(refused).rstrip(".")


def _cells_with(study: Study, tricks: Mapping[str, StudyTrick], choice: Choice) -> list[Cell]:
    """A choice with what it requires on the base, and on every changed base that has it."""
    whole = [trick.choices[0] for trick in tricks.values() if trick.part]
    needed = [tricks[name].choices[0] for name in closure(choice.trick, tricks) if name != choice.trick]
    order = list(tricks)
    on = sorted({*needed, *whole, choice}, key=lambda one: order.index(one.trick))
    return [Cell(tuple(on)), *(v.cell for v in study.variants if v.set and choice in v.tricks)]


def _refusal(study: Study, tricks: Mapping[str, StudyTrick], choice: Choice, asked: Asked) -> str:
    """Why a trick cannot act in the setting, on its base or a changed one that has it; empty where it can,
    and where the base itself is refused, which is another mistake."""
    whole = tuple(trick.choices[0] for trick in tricks.values() if trick.part)
    if tricks[choice.trick].part:
        away = asked(Cell(tuple(other for other in whole if other != choice)))
        return _why(away) if isinstance(away, AblateError) and not isinstance(asked(Cell(whole)), AblateError) else ""
    needed = tuple(tricks[name].choices[0] for name in closure(choice.trick, tricks) if name != choice.trick)
    without = asked(Cell((*needed, *whole)))
    if isinstance(without, AblateError):
        return ""
    cells = _cells_with(study, tricks, choice)
    made = [asked(cell) for cell in cells]
    if all(isinstance(one, AblateError) for one in made):
        return _why(made[0])
    first = made[0]
    same = not isinstance(first, AblateError) and (first.asked, first.tricks) == (without.asked, without.tricks)
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
