"""Parts of a network in the order in which it calls them: where each stands, and rows in that order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ablate.records import Study
from ablate.study.rows import Draft
from ablate.training.task import Completed, Place, asked_part


def places(study: Study, completed: Iterable[Completed]) -> dict[str, Place]:
    """Of each trick that is a part of the network where it stands, as the first variant without it tells."""
    found: dict[str, Place] = {}
    for one in completed:
        for part, place in one.places.items():
            found.setdefault(part, place)
    asked = {trick.name: asked_part(trick.part) for trick in study.tricks if trick.part}
    return {name: found[part] for name, part in asked.items() if part in found}


def ordered(drafts: Sequence[Draft], at: Mapping[str, int]) -> list[Draft]:
    """The rows, those of a design that each change one part against the same in the order of the parts' calls; every
    other row stays where it is. at: when a trick's part is called."""
    alike: dict[object, list[tuple[int, int]]] = {}
    for i, draft in enumerate(drafts):
        trick = _alone(draft)
        if trick in at:
            alike.setdefault((draft.design, draft.row.compared_with, draft.row.of), []).append((at[trick], i))
    found = list(drafts)
    for rows in alike.values():
        for (_, to), (_, i) in zip(rows, sorted(rows), strict=True):
            found[to] = drafts[i]
    return found


def _alone(draft: Draft) -> str:
    """The trick that a row changes, where it is one alone."""
    cell, other = draft.row.cell, draft.row.compared_with
    changed = {*cell.tricks} ^ {*other.tricks} if other is not None and cell.of == other.of else set()
    return changed.pop() if len(changed) == 1 else ""
