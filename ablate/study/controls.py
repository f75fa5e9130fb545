"""Controls of parts: rows in which as much is taken from the network elsewhere, and the parts against them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ablate.errors import StudyError
from ablate.records import Cell, Study
from ablate.study.design import DesignRow
from ablate.study.record import RowRecord
from ablate.study.rows import Draft

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


def _control_of(study: Study, row: DesignRow) -> Cell | None:
    if row.compared_with is None:
        return None
    gone = [trick for trick in study.tricks if trick.name in set(row.compared_with.tricks) - set(row.cell.tricks)]
    alone = row.compared_with.without(gone[0].name) == row.cell if len(gone) == 1 else False
    return replace(row.compared_with, control=gone[0].name) if alone and gone[0].part.get("control") else None


def refused(study: Study, cell: Cell) -> bool:
    """Whether a control that cannot be is left out and named: those of `each`, which were not asked for one by one."""
    return any(trick.name == cell.control and trick.written != trick.name for trick in study.tricks)


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
        if not control:
            marked.append(row)
            continue
        marked.append(replace(row, label=f"control of {labels[control]}", control="control"))
        without = cells[row.variant].without(control)
        part = next((one for one in rows if cells[one.variant] == without), None)
        if part is not None:
            label = f"- {labels[control]}"
            against.append(RowRecord(BEYOND, part.variant, row.variant, (control,), label, control="beyond"))
    if not against:
        return tuple(rows), []
    note = (
        f"{len(against)} of the rows have a control: the same network with as much taken from elsewhere. Parts, their "
        "controls, and parts against these are three families; the last rows say what matters beyond its size."
    )
    return (*marked, *against), [note]
