"""The base, then the base with each trick alone: what does every trick do by itself? One row per level of a trick."""

from __future__ import annotations

from dataclasses import dataclass

from ablate.study.cells import Space
from ablate.study.design import Chosen, Design, DesignRow, LeftOut


@dataclass(frozen=True)
class AddOneIn(Design):
    """No options. A trick that requires another one cannot stand alone and is left out."""

    def choose(self, space: Space) -> Chosen:
        base = space.base
        rows, left_out = [DesignRow(base, None)], []
        for trick in space.tricks:
            for choice in trick.choices:
                cell = space.add(base, choice)
                why = space.forbidden(cell)
                if why:
                    left_out.append(LeftOut(cell, why))
                else:
                    rows.append(DesignRow(cell, base))
        return Chosen(tuple(rows), tuple(left_out))
