"""All tricks together, then without each one in turn: what does every trick add to the rest?

The usual ablation table. `of: [A]` does the same with variants listed by hand: A, then A without each of its tricks.
"""

from __future__ import annotations

from dataclasses import dataclass

from ablate.records import Cell
from ablate.study.cells import Space
from ablate.study.design import Chosen, Design, DesignError, DesignRow, LeftOut
from ablate.text import did_you_mean, one_of


@dataclass(frozen=True)
class LeaveOneOut(Design):
    """of: variants listed by hand to take the tricks from; empty: the variant with every trick."""

    of: tuple[str, ...] = ()

    def choose(self, space: Space) -> Chosen:
        if not self.of:
            return _of_full(space)
        unknown = [name for name in self.of if name not in space.named]
        if unknown:
            raise DesignError(
                f"leave_one_out: no variant listed by hand is called {unknown[0]!r}; "
                f"`of:` may name {one_of(space.named) or 'one of `variants:`, which lists none'}."
                f"{did_you_mean(unknown[0], space.named)}"
            )
        chosen = [_removals(space, space.named[name], name) for name in dict.fromkeys(self.of)]
        return Chosen(
            tuple(row for part in chosen for row in part.rows),
            tuple(left for part in chosen for left in part.left_out),
        )


def _of_full(space: Space) -> Chosen:
    """full; full without each trick; full with each other level of a trick (swap rows); base."""
    full = space.full
    why = space.forbidden(full)
    if why:
        raise DesignError(
            f"leave_one_out starts from the variant with every trick, but {why}. List by hand a variant of tricks that "
            "go together (`variants: {A: [...]}`) and write `designs: {name: leave_one_out, of: [A]}`."
        )
    removals = _removals(space, full)
    swaps = [space.add(full, choice) for trick in space.tricks for choice in trick.choices[1:]]
    others = [cell for cell in (*swaps, space.base) if cell != full]
    planned = {row.cell for row in removals.rows}
    rows = removals.rows + tuple(DesignRow(cell, full) for cell in others if cell not in planned)
    return Chosen(rows, removals.left_out)


def _removals(space: Space, start: Cell, of: str = "") -> Chosen:
    """`start`, and `start` without each of its tricks; a removal that breaks `requires` is left out."""
    rows, left_out = [DesignRow(start, None, of)], []
    for name in start.tricks:
        cell = start.without(name)
        why = space.forbidden(cell)
        if why:
            left_out.append(LeftOut(cell, why, of))
        else:
            rows.append(DesignRow(cell, start, of))
    return Chosen(tuple(rows), tuple(left_out))
