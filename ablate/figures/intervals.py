"""What forest plots have in common: how verdicts look, what they lie around, and intervals that the edge cuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ablate.figures.scene import Colour, Label, Mark, Marker, Rule, Series, Stretch
from ablate.records import Better
from ablate.tables import forest
from ablate.text import number, typeset

SMALL = "n < 3: no interval"
DRAWN: dict[str, tuple[Colour, Marker]] = {
    "helps": ("blue", "circle"), "hurts": ("vermillion", "square"), "equivalent": ("green", "diamond"),
    "inconclusive": ("grey", "hollow"), "inert": ("grey", "cross"), SMALL: ("ink", "plus"),
}  # fmt: skip
"""What verdicts look like; the last is that of rows too small for one."""

SEVERAL = "‡: differs by several tricks."
"""The sentence of a caption, where a row's name bears the sign."""


class Difference(Protocol):
    """A row with a difference and its interval, if it has one."""

    @property
    def delta(self) -> float: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def around_zero(minimum_effect: float | None) -> list[Mark]:
    """The line of no difference, and the differences that do not matter."""
    marks: list[Mark] = []
    if minimum_effect:
        label = f"within ±{number(minimum_effect)}"
        marks.append(Stretch("x", -minimum_effect, minimum_effect, label))
    return [*marks, Rule("x", 0.0)]


def directions(better: Better, at: float, low: float, high: float) -> list[Mark]:
    """What either side of zero means, at a place of the y axis; not where that side is too small to hold it."""
    left, right = forest.sides(better)
    sides = [Label(0.0, at, left, "left", weight="dim")] * (-low > 0.2 * (high - low))
    return [*sides, *[Label(0.0, at, right, "right", weight="dim")] * (high > 0.2 * (high - low))]


def arrows(colour: Colour, rows: Sequence[tuple[float, Difference]], low: float, high: float) -> list[Mark]:
    """Where an interval goes on beyond the edge."""
    left = tuple(float(at) for at, row in rows if row.low is not None and row.low < low)
    right = tuple(float(at) for at, row in rows if row.high is not None and row.high > high)
    arrows: list[Mark] = []
    if left:
        arrows.append(Series((low,) * len(left), left, colour=colour, marker="left"))
    if right:
        arrows.append(Series((high,) * len(right), right, colour=colour, marker="right"))
    return arrows


def numbers(row: Difference, digits: int) -> str:
    """`−6.70 (−10.61 to −2.79)`."""
    text = typeset(row.delta, digits, sign=True)
    if row.low is None or row.high is None:
        return f"{text} (no interval)"
    return f"{text} ({typeset(row.low, digits, sign=True)} to {typeset(row.high, digits, sign=True)})"
