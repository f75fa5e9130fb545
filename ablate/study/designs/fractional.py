"""A small, balanced part of all combinations of the tricks: all main effects for few runs.

What it costs: some effects cannot be told apart from others (they are aliases). Resolution 3: main effects from
interactions of two tricks; resolution 4: those interactions from one another; resolution 5: none of these.
The generators are those of the published tables: Montgomery, Design and Analysis of Experiments, table of selected
2^(k-p) fractional factorial designs (also NIST/SEMATECH e-Handbook 5.3.3.4.7), and for 12 to 16 tricks at resolution 4
NIST Dataplot's index of minimal designs. pyDOE3's own `fracfact_by_res` returns wrong resolutions and is not used.
"""

from __future__ import annotations

import itertools
import string
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import ClassVar, Literal

from ablate.records import Cell, StudyTrick
from ablate.study.cells import Space
from ablate.study.design import Chosen, Design, DesignError, DesignRow, LeftOut
from ablate.text import one_of

# GENERATORS[resolution][k]: the fewest runs in which k tricks have at least that resolution. The first tricks are the
# letters a, b, c, ...; each further trick is on where the product of the letters of its word is.
GENERATORS = {
    3: {
        3: "ab",
        4: "abc",
        5: "ab ac",
        6: "ab ac bc",
        7: "ab ac bc abc",
        8: "bcd acd abc abd",
        9: "abc bcd acd abd abcd",
        10: "abc bcd acd abd abcd ab",
        11: "abc bcd acd abd abcd ab ac",
        12: "abc bcd acd abd abcd ab ac ad",
        13: "abc bcd acd abd abcd ab ac ad bc",
        14: "abc bcd acd abd abcd ab ac ad bc bd",
        15: "abc bcd acd abd abcd ab ac ad bc bd cd",
    },
    4: {
        4: "abc",
        5: "abcd",
        6: "abc bcd",
        7: "abc bcd acd",
        8: "bcd acd abc abd",
        9: "bcde acde abde abce",
        10: "abcd abce abde acde bcde",
        11: "abc bcd cde acd ade bde",
        12: "abc abd abe acd ace ade bcd",
        13: "abc abd abe acd ace ade bcd bce",
        14: "abc abd abe acd ace ade bcd bce bde",
        15: "abc abd abe acd ace ade bcd bce bde cde",
        16: "abc abd abe acd ace ade bcd bce bde cde abcde",
    },
    5: {
        5: "abcd",
        6: "abcde",
        7: "abcdef",
        8: "abcd abef",
        9: "acdfg bcefg",
        10: "abcg bcde acdf",
        11: "abcg bcde acdf abcdefg",
    },
}


@dataclass(frozen=True)
class Fractional(Design):
    """resolution: how far effects are kept apart; a higher one takes more runs."""

    by_baseline: ClassVar[bool] = True

    resolution: Literal[3, 4, 5] = 4

    def choose(self, space: Space) -> Chosen:
        from pyDOE3 import fracfact  # here: its import costs more than a second

        generators = self._generators(space.tricks)
        letters = string.ascii_lowercase[: len(space.tricks) - len(generators)]
        matrix = fracfact(" ".join([*letters, *generators]))
        rows, left_out = [], []
        for signs in matrix:
            cell = Cell(tuple(t.choices[0] for t, sign in zip(space.tricks, signs, strict=True) if sign > 0))
            why = space.forbidden(cell)
            if why:
                left_out.append(LeftOut(cell, why))
            else:
                rows.append(DesignRow(cell, None))
        notes = _notes([trick.name for trick in space.tricks], columns(letters, generators))
        if left_out:
            notes += (
                f"fractional: {len(left_out)} of its {len(matrix)} combinations are forbidden by `requires` or "
                "`conflicts` and left out, so the fraction is broken: its aliasing no longer holds, and effects that "
                "it kept apart may be mixed.",
            )
        return Chosen(tuple(rows), tuple(left_out), notes)

    def _generators(self, tricks: tuple[StudyTrick, ...]) -> list[str]:
        """The words of the published table; DesignError where it has none for these tricks."""
        many = [trick for trick in tricks if len(trick.levels) > 1]
        if many:
            named = ", ".join(f"{trick.name!r} has {len(trick.levels)} levels" for trick in many)
            raise DesignError(
                f"fractional: every trick must be on or off, but {named}. Split the levels into studies of their own, "
                "or use factorial."
            )
        table = GENERATORS[self.resolution]
        if len(tricks) not in table:
            possible = [f"`resolution: {other}`" for other in GENERATORS if len(tricks) in GENERATORS[other]]
            if len(tricks) <= min(table):
                possible.append(f"`factorial`, all {2 ** len(tricks)} combinations")
            raise DesignError(
                f"fractional: resolution {self.resolution} is for {min(table)} to {max(table)} tricks, and there are "
                f"{len(tricks)}; possible is {one_of(possible or ['`leave_one_out`, one variant per trick'])}."
            )
        return table[len(tricks)].split()


# ----------------------------------------------------------------------------------------------------------- aliasing


def columns(letters: str, generators: list[str]) -> list[int]:
    """Each trick's column as a bit mask over the letters. Products of columns are xors of masks."""
    return [sum(1 << letters.index(letter) for letter in word) for word in [*letters, *generators]]


def resolution_of(masks: list[int]) -> int:
    """The length of the shortest defining word: the fewest columns whose product is constant."""
    for length in range(1, len(masks) + 1):
        if any(reduce(xor, word) == 0 for word in itertools.combinations(masks, length)):
            return length
    raise AssertionError("not a fraction: no product of columns is constant")


def aliases(masks: list[int]) -> list[list[tuple[int, ...]]]:
    """The main effects and interactions of two tricks that share a column, as tuples of places, in the file's order."""
    effects = [word for length in (1, 2) for word in itertools.combinations(range(len(masks)), length)]
    groups: dict[int, list[tuple[int, ...]]] = {}
    for word in effects:
        groups.setdefault(reduce(xor, (masks[i] for i in word)), []).append(word)
    return [group for group in groups.values() if len(group) > 1]


def _notes(names: list[str], masks: list[int]) -> tuple[str, ...]:
    """The fraction in one sentence, and its alias list with the tricks' names."""
    runs = 2 ** max(mask.bit_length() for mask in masks)
    head = f"fractional: {runs} of the {2 ** len(names)} combinations, resolution {resolution_of(masks)}"
    groups = aliases(masks)
    if not groups:
        return (f"{head}; no main effect or interaction of two tricks is confounded with another one.",)
    shown = [name if name.replace("_", "").isalnum() else "'" + name.replace("'", "''") + "'" for name in names]
    listed = "; ".join(" = ".join("*".join(shown[i] for i in word) for word in group) for group in groups)
    return (f"{head}. Effects joined by = cannot be told apart (* is an interaction): {listed}.",)
