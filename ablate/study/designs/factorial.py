"""Every combination of the tricks: all effects and all interactions, at 2 to the power of the number of tricks."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

from ablate.records import Cell
from ablate.study.cells import Space
from ablate.study.design import Chosen, Design, DesignError, DesignRow, LeftOut

MOST_CELLS = 2**14
"""Beyond 14 toggles a factorial is a slip of the pen: at 10 seconds a run, one seed of 15 takes four days."""


@dataclass(frozen=True)
class Factorial(Design):
    """No options. Off and every level of every trick, the first trick changing fastest (Yates's standard order)."""

    by_baseline: ClassVar[bool] = True

    def choose(self, space: Space) -> Chosen:
        count = math.prod(1 + len(trick.levels) for trick in space.tricks)
        if count > MOST_CELLS:
            raise DesignError(
                f"factorial: {len(space.tricks)} tricks have {count:,} combinations; at most {MOST_CELLS:,} are "
                "planned. `fractional` takes a small part of them; leave_one_out takes one per trick."
            )
        rows, left_out = [], []
        for settings in itertools.product(*((None, *trick.choices) for trick in reversed(space.tricks))):
            cell = Cell(tuple(choice for choice in reversed(settings) if choice is not None))
            why = space.forbidden(cell)
            if why:
                left_out.append(LeftOut(cell, why))
            else:
                rows.append(DesignRow(cell, None))
        return Chosen(tuple(rows), tuple(left_out))
