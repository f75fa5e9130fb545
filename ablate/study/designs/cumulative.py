"""The base, then one trick more in every row, in the file's order: how was the final recipe built up?

What a step shows depends on the order of the tricks; leave_one_out and factorial do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from ablate.study.cells import Space
from ablate.study.design import Chosen, Design, DesignRow, LeftOut


@dataclass(frozen=True)
class Cumulative(Design):
    """No options. First levels only; a forbidden step is left out, and its trick stays out of the later ones."""

    def choose(self, space: Space) -> Chosen:
        before = space.base
        rows, left_out = [DesignRow(before, None)], []
        for trick in space.tricks:
            cell = space.add(before, trick.choices[0])
            why = space.forbidden(cell)
            if why:
                left_out.append(LeftOut(cell, why))
            else:
                rows.append(DesignRow(cell, before))
                before = cell
        return Chosen(tuple(rows), tuple(left_out))
