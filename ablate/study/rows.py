"""Which rows a study's designs and its own list ask for, how they are called, and what each is compared with.

Designs choose cells; here they become named rows. Pure, and without configurations or runs: those are plan.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ablate.errors import ConfigError, PluginError, Problem
from ablate.identity import canonical_json
from ablate.records import Cell, Row, Study
from ablate.registry import Registry
from ablate.study.cells import Space, name_of
from ablate.study.design import Chosen, Design, DesignError, DesignRow, LeftOut
from ablate.study.record import RowRecord

BY_HAND = "variants"
"""The design of a row that the study lists by hand."""


@dataclass(frozen=True)
class Draft:
    """A row before names. given: the name of a row listed by hand. by_baseline: compared with the baseline."""

    design: str
    row: DesignRow
    by_baseline: bool = False
    given: str = ""


def choose(study: Study, registry: Registry, space: Space) -> tuple[list[Draft], list[str], list[str], list[Problem]]:
    """What the designs and the hand-written list ask for: rows, cells left out, notes, problems."""
    drafts: list[Draft] = []
    left_out: list[str] = []
    notes: list[str] = []
    problems: list[Problem] = []
    for i, use in enumerate(study.designs):
        place = f"designs.{i}" if f"designs.{i}" in study.positions else "designs"
        try:
            design: Design = registry.make("designs", use.name, use.options)
            chosen = _allowed(design.choose(space), space)
        except ConfigError as error:
            problems += [study.problem(f"{place}.{key}", message) for key, message in error.problems]
        except (DesignError, PluginError) as error:
            problems.append(study.problem(place, str(error), error.page))
        else:
            drafts += [Draft(use.name, row, design.by_baseline) for row in chosen.rows]
            left_out += [f"{name_of(left.cell, space, left.of)} of {use.name}: {left.why}" for left in chosen.left_out]
            notes += chosen.notes
    for variant in study.variants:
        if space.forbidden(variant.cell) is None:
            drafts.append(Draft(BY_HAND, DesignRow(variant.cell, None), True, variant.name))
    return drafts, list(dict.fromkeys(left_out)), list(dict.fromkeys(notes)), problems


def _allowed(chosen: Chosen, space: Space) -> Chosen:
    """`chosen` without forbidden rows: a private design may not have looked."""
    forbidden = [(row, why) for row in chosen.rows if (why := space.forbidden(row.cell))]
    if not forbidden:
        return chosen
    gone = {row.cell for row, _ in forbidden}
    rows = tuple(row for row in chosen.rows if row.cell not in gone)
    return Chosen(rows, (*chosen.left_out, *(LeftOut(row.cell, why, row.of) for row, why in forbidden)), chosen.notes)


def names_of(drafts: Sequence[Draft], space: Space) -> dict[Cell, str]:
    """One name for each cell; what a design makes from a hand-listed variant is named from that variant everywhere."""
    names: dict[Cell, str] = {}
    for draft in sorted(drafts, key=lambda draft: not draft.row.of):
        if draft.row.cell not in names:
            names[draft.row.cell] = name_of(draft.row.cell, space, draft.row.of)
    return names


def baseline_of(study: Study, drafts: Sequence[Draft], names: Mapping[Cell, str], cells: Mapping[str, Cell]) -> str:
    """The study's `baseline`, else the base where it is planned, else the first row that needs one, else the first."""
    if study.baseline is not None:
        return study.baseline
    if Cell() in names:
        return names[Cell()]
    return next((draft.given or names[draft.row.cell] for draft in drafts if draft.by_baseline), next(iter(cells)))


def rows_of(
    study: Study,
    space: Space,
    drafts: Sequence[Draft],
    names: Mapping[Cell, str],
    baseline: str,
    cells: Mapping[str, Cell],
) -> tuple[tuple[RowRecord, ...], list[str]]:
    """The rows, and a note on each row whose comparison was left out: it stays and is compared with nothing."""
    rows: list[RowRecord] = []
    notes: list[str] = []
    for draft in drafts:
        variant, reference = draft.given or names[draft.row.cell], draft.row.compared_with
        other = baseline if draft.by_baseline else names.get(reference) if reference is not None else None
        if reference is not None and other is None:
            missing = name_of(reference, space, draft.row.of)
            notes.append(f"{variant} of {draft.design} is compared with nothing: {missing} is left out.")
        if other is None or other == variant:
            rows.append(RowRecord(draft.design, variant, None, (), variant))
            continue
        differs = _differs(draft.row.cell, cells[other], study)
        rows.append(RowRecord(draft.design, variant, other, differs, _label(space, draft, variant, differs)))
    compared = {(row.design, row.variant) for row in rows if row.compared_with is not None}
    kept = (row for row in rows if row.compared_with is not None or (row.design, row.variant) not in compared)
    return tuple(dict.fromkeys(kept)), notes


R = TypeVar("R", Row, RowRecord)


def without_alone(rows: Sequence[R]) -> tuple[R, ...]:
    """Without the one variant that was listed by hand for a design to start from: it stands in that design's table, and
    in one of its own it would be compared with nothing."""
    by_hand = [row for row in rows if row.design == BY_HAND]
    elsewhere = {row.variant for row in rows if row.design != BY_HAND}
    alone = len(by_hand) == 1 and by_hand[0].compared_with is None and by_hand[0].variant in elsewhere
    return tuple(row for row in rows if not alone or row is not by_hand[0])


def _differs(cell: Cell, other: Cell, study: Study) -> tuple[str, ...]:
    changed = {choice.trick for choice in {*cell.on} ^ {*other.on}}
    tricks = [trick.name for trick in study.tricks if trick.name in changed]
    sets = {variant.name: {**variant.set, **variant.tuned} for variant in study.variants}
    ours, theirs = sets.get(cell.of, {}), sets.get(other.of, {})
    # By their text, for 1 == True and 1 == 1.0 in Python but not in a configuration.
    one, another = ({key: canonical_json(value) for key, value in side.items()} for side in (ours, theirs))
    return (*tricks, *(key for key in dict.fromkeys([*ours, *theirs]) if one.get(key) != another.get(key)))


def _label(space: Space, draft: Draft, variant: str, differs: Sequence[str]) -> str:
    """For a design that changes one trick at a time what it changed, by the trick's label; else the variant's name."""
    if draft.by_baseline or draft.row.compared_with is None or len(differs) != 1:
        return variant
    trick = space.trick(differs[0])
    label, now = trick.label or trick.name, draft.row.cell.level(trick.name)
    if now is False:
        return f"- {label}"
    shown = label if now is None else f"{label}: {now}"
    return f"+ {shown}" if draft.row.compared_with.level(trick.name) is False else shown
