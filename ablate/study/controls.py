"""Controls of parts: rows in which as much is taken from the network elsewhere, and the parts against them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ablate.records import Cell, Study
from ablate.study.cells import quoted
from ablate.study.design import DesignRow
from ablate.study.record import RowRecord
from ablate.study.rows import Draft

BEYOND = "beyond size"
"""The design of the rows that compare parts with their controls: a family of their own."""


def with_controls(study: Study, drafts: Sequence[Draft], names: Mapping[Cell, str]) -> list[Draft]:
    """The rows, each that takes away one part with a control followed by that control's, compared with the same."""
    found: list[Draft] = []
    done: set[Cell] = set()
    for draft in drafts:
        found.append(draft)
        control = _control_of(study, draft.row)
        if control is not None and control not in done:
            done.add(control)
            row = DesignRow(control, draft.row.compared_with, draft.row.of)
            whole = names[replace(control, control="")]
            found.append(Draft(draft.design, row, given=f"{whole}-{quoted(control.control)}:control"))
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
    """The rows with those of controls marked, then every part against its control; and a note on how many there are."""
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
        f"{len(against)} of the rows have a control: the same network with as much taken from elsewhere. Parts against "
        "the whole and parts against their controls are two families; the second says what matters beyond its size."
    )
    return (*marked, *against), [note]
