"""Rows of parts that ask something else than other tricks' do, and so are families of their own. Pure.

Controls: as much is taken from the network elsewhere; and the parts against them. Trained weights without a part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ablate.errors import StudyError
from ablate.records import RECALIBRATED, Cell, Study
from ablate.study.design import DesignRow
from ablate.study.record import RowRecord
from ablate.study.rows import Draft
from ablate.text import listed

BEYOND = "beyond size"
"""The design of the rows that compare parts with their controls: a family of their own."""


def with_controls(study: Study, drafts: Sequence[Draft], names: Mapping[Cell, str]) -> list[Draft]:
    """The rows, each that takes away one part with a control followed by that control's, compared with the same.

    StudyError where the study has a variant of its name."""
    controls = dict.fromkeys(control for draft in drafts if (control := _control_of(study, draft.row)) is not None)
    wholes = Counter(control.control for control in controls)
    found: list[Draft] = []
    done: set[Cell] = set()
    for draft in drafts:
        found.append(draft)
        control = _control_of(study, draft.row)
        if control is not None and control not in done:
            done.add(control)
            row = DesignRow(control, draft.row.compared_with, draft.row.of)
            of = f" in {names[replace(control, control='')]}" * (wholes[control.control] > 1)
            found.append(Draft(draft.design, row, given=f"control of {control.control}{of}"))
    made = {draft.given for draft in found if draft.row.cell.control}
    taken = [variant.name for variant in study.variants if variant.name in made]
    if taken:
        said = "is what the control of a part is called; rename it."
        raise StudyError([study.problem(f"variants.{name}", said) for name in taken])
    return found


def with_recalibrated(
    study: Study, drafts: Sequence[Draft], names: Mapping[Cell, str]
) -> tuple[list[Draft], dict[Cell, str]]:
    """The rows and names, where a row that lacks a part has its batch statistics taken anew and its comparison has not:
    that comparison with its statistics anew stands before it, and the row is compared with this one."""
    found: list[Draft] = []
    named = dict(names)
    for draft in drafts:
        row, other = draft.row, draft.row.compared_with
        if (
            other is None
            or not _is_anew(study, row.cell)
            or _is_anew(study, other)
            or not _after(study, row.cell, other)
        ):
            found.append(draft)
            continue
        whole = replace(other, control=RECALIBRATED)
        if whole not in named:
            named[whole] = f"{names[other]} recalibrated"
            found.append(Draft(draft.design, DesignRow(whole, other, row.of), given=named[whole]))
        found.append(replace(draft, row=DesignRow(row.cell, whole, row.of)))
    return found, named


def _is_anew(study: Study, cell: Cell) -> bool:
    """Whether a variant's batch statistics are taken anew."""
    off = (part for _, part in study.without(cell))
    return cell.control == RECALIBRATED or any(part.get("recalibrate") for part in off)


def _after(study: Study, one: Cell, other: Cell) -> bool:
    """Whether two cells differ by parts that go after the training, and by nothing else."""
    after = {trick.name for trick in study.tricks if trick.part.get("when")}
    differ = {choice.trick for choice in set(one.on) ^ set(other.on)}
    return bool(differ) and differ <= after and one.of == other.of


def _control_of(study: Study, row: DesignRow) -> Cell | None:
    if row.compared_with is None:
        return None
    gone = [trick for trick in study.tricks if trick.name in set(row.compared_with.tricks) - set(row.cell.tricks)]
    alone = row.compared_with.without(gone[0].name) == row.cell if len(gone) == 1 else False
    return replace(row.compared_with, control=gone[0].name) if alone and gone[0].part.get("control") else None


def refused(study: Study, cell: Cell) -> bool:
    """Whether a control that cannot be is left out and named: those of `each`, which were not asked for one by one."""
    return any(trick.name == cell.control and trick.written != trick.name for trick in study.tricks)


def of_trained(
    study: Study, rows: Sequence[RowRecord], cells: Mapping[str, Cell]
) -> tuple[tuple[RowRecord, ...], list[str]]:
    """The rows with those marked that measure their comparison's trained weights without a part; and notes on what
    that says, and on rows that differ by more."""
    after = {trick.name for trick in study.tricks if trick.part.get("when")}
    marked: list[RowRecord] = []
    mixed: list[str] = []
    uneven: list[str] = []
    for row in rows:
        one, other = cells[row.variant], cells.get(row.compared_with or "")
        anew = other is not None and one.control == RECALIBRATED and not other.control
        if other is not None and (anew or _after(study, one, other)):
            label = f"{row.label} after training" if row.label[:2] in ("- ", "+ ") else row.label
            marked.append(replace(row, label=label, kind="trained"))
            uneven += [row.variant] * (not anew and _is_anew(study, one) != _is_anew(study, other))
            continue
        marked.append(row)
        if other is not None and after & {choice.trick for choice in set(one.on) ^ set(other.on)}:
            mixed.append(row.variant)
    notes = []
    alone = list(dict.fromkeys(row.variant for row in marked if row.kind == "trained"))
    if alone:
        notes.append(
            f"{listed(alone, most=8)}: the trained weights of the comparison, measured otherwise; nothing is trained. "
            "What trained weights rely on is another question than what a training can do without; these rows are a "
            "family of their own, and each pair is one training's weights."
        )
    if mixed:
        notes.append(
            f"{listed(dict.fromkeys(mixed), most=8)}: trained otherwise than the comparison and then measured without "
            f"a part ({listed(sorted(after), most=4)}); a verdict there is of both together."
        )
    if uneven:
        notes.append(
            f"{listed(dict.fromkeys(uneven), most=8)}: the batch statistics are taken anew on one side of the "
            "comparison only; the difference is of that, too."
        )
    return tuple(marked), notes


def beyond(
    study: Study, rows: Sequence[RowRecord], cells: Mapping[str, Cell]
) -> tuple[tuple[RowRecord, ...], list[str]]:
    """The rows with those of controls marked, then every part against its control; and a note on how many there are,
    and on what is corrected together (analysis/measured.py, families)."""
    labels = {trick.name: trick.label or trick.name for trick in study.tricks}
    marked: list[RowRecord] = []
    against: list[RowRecord] = []
    for row in rows:
        control = cells[row.variant].control
        if not control or control == RECALIBRATED:
            marked.append(row)
            continue
        marked.append(replace(row, label=f"control of {labels[control]}", kind="control"))
        without = cells[row.variant].without(control)
        part = next((one for one in rows if cells[one.variant] == without), None)
        if part is not None:
            label = f"- {labels[control]}"
            against.append(RowRecord(BEYOND, part.variant, row.variant, (control,), label, kind="beyond"))
    if not against:
        return tuple(rows), []
    note = (
        f"{len(against)} of the rows {'has' if len(against) == 1 else 'have'} a control: the same network with as much "
        "taken from elsewhere. Parts, their controls, and parts against these are three families; the last rows say "
        "what matters beyond its size."
    )
    return (*marked, *against), [note]
