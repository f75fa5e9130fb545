"""A table's rows as a forest plot has them: each under its base, all differences on one range. Pure.

For surfaces that draw a bar in each row: the terminal (terminal/drawn.py) and a report's page (reports/rows.py). What
is drawn while runs execute (terminal/moments.py) groups and names its rows the same way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ablate.analysis.bases import MEAN
from ablate.analysis.tuned import MARK, TUNED
from ablate.records import Better, Row
from ablate.text import MINUS, chance, one_line


class Placed(Protocol):
    """What of a row says where it stands and how it is called."""

    @property
    def design(self) -> str: ...
    @property
    def variant(self) -> str: ...
    @property
    def compared_with(self) -> str | None: ...
    @property
    def label(self) -> str: ...
    @property
    def kind(self) -> str: ...


R = TypeVar("R", bound=Placed)


@dataclass(frozen=True)
class Group(Generic[R]):
    """Rows under their base. base: None where it stands above already; then the title says what it is."""

    title: str
    base: R | None
    rows: tuple[R, ...]

    @property
    def every(self) -> tuple[R, ...]:
        return self.rows if self.base is None else (self.base, *self.rows)


def groups(rows: Sequence[R]) -> list[Group[R]]:
    """Rows by design and by what they are compared with; a base that stands above already is only named. Parts against
    their controls, each of which is of one part, stand together."""
    by_kind: dict[tuple[str, str], list[R]] = {}
    for row in rows:
        against = "each part's control" if row.kind == "beyond" else row.compared_with or row.variant
        by_kind.setdefault((row.design, against), []).append(row)
    made: list[Group[R]] = []
    shown: set[str] = set()
    for (design, against), of in by_kind.items():
        base = next((row for row in of if row.compared_with is None), None)
        under = tuple(row for row in of if row.compared_with is not None)
        if base is not None and against not in shown:
            made.append(Group(against, base, under))
        elif under and made and _follows(under, made[-1]):
            made[-1] = Group(made[-1].title, made[-1].base, (*made[-1].rows, *under))
        elif under:
            made.append(Group(design if design == MEAN else f"{design} against {against}", None, under))
        shown.add(against)
    return made


def _follows(rows: Sequence[R], before: Group[R]) -> bool:
    """Whether a step of a design is compared with the step above."""
    last = before.every[-1:]
    return len(rows) == 1 and [(row.variant, row.design) for row in last] == [(rows[0].compared_with, rows[0].design)]


def name(row: Placed) -> str:
    """As it stands under its base: `− random crops`, `tuned` under what it was before, trained anew."""
    label = one_line(row.label or row.variant)
    if row.design == TUNED:
        of = label.removesuffix(f" {MARK}")
        return f"{of.removesuffix(' (untuned)')} on fresh seeds {MARK}" if row.compared_with is None else "tuned"
    return MINUS + label[1:] if label.startswith("- ") else label


def indented(row: Placed) -> bool:
    """Whether the name says how the row differs from its base, and not what it is."""
    return row.compared_with is not None and (row.design == TUNED or one_line(row.label)[:2] in ("- ", "+ "))


def marks(row: Row, n: int | None) -> str:
    """What stands behind the name, each with a note of its own. n: of the rows where all is done, where one number."""
    text = " ‡" * row.several + " ▲" * bool(row.collapsed) + " °" * row.corrected_away
    if row.n != row.planned:
        text += f" {row.n}/{row.planned}"
    elif row.n != n:
        text += f" (n = {row.n})"
    return text + "†" * bool(row.failed) + "¶" * row.stopped_early


def shared_n(rows: Sequence[Row]) -> int | None:
    """The n of nearly all rows where every seed is done, for the header: the others say theirs. None where no n is that
    of two rows in three."""
    counts = Counter(row.n for row in rows if row.n == row.planned)
    n, of = next(iter(counts.most_common(1)), (None, 0))
    return n if 3 * of >= 2 * counts.total() else None


def more_seeds(row: Row) -> str:
    """`+12`: further seeds that would show the smallest effect that matters, where the interval holds 0 and they are
    fewer than a hundred; elsewhere the number misleads."""
    low, high, more = row.delta_ci_low, row.delta_ci_high, row.more_seeds
    worth = more is not None and more < 100 and low is not None and high is not None and low <= 0 <= high
    return f"+{more}" if worth else ""


def shown_chance(p: float) -> str:
    """Three decimals below 0.1, else two."""
    return f"{p:.2f}" if p >= 0.1 else chance(p)


def decided(row: Row) -> bool:
    """Whether the row is bold: its verdict survives the correction, and no failures stand against it."""
    return row.verdict in ("helps", "hurts") and not row.lopsided


# ---------------------------------------------------------------------------------------------------------------- range


def sides(better: Better) -> tuple[str, str]:
    """What a difference left and right of zero means."""
    return ("◂ worse", "better ▸") if better == "higher" else ("◂ better", "worse ▸")


def titled(metric: str, unit: str | None) -> str:
    """A metric at the head of its column: `dev accuracy (%)`."""
    return one_line(metric).replace("_", " ") + (f" ({unit})" if unit else "")


@dataclass(frozen=True)
class Range:
    """What the bars of a table span, in the metric's unit; low < 0 < high."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Where a difference stands: 0 at the left end, 1 at the right, outside for what is outside."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: float) -> list[float]:
        """Round values in steps of 1, 2 or 5, about `most` of them, 0 among them."""
        return round_values(self.low, self.high, most)


def round_values(low: float, high: float, most: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two numbers, at most about `most`."""
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * by for by in (1, 2, 5, 10) if power * by >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * i for i in range(first, last + 1)]


def range_of(rows: Sequence[Row], margin: float | None) -> Range:
    """The range of 0, the margin and every difference of rows that did not collapse; then intervals, the narrowest
    first, while one is not wider than three times the range so far. One wild row does not squeeze the others."""
    known = [row for row in rows if row.delta is not None]
    held = [0.0, *((-margin, margin) if margin else ())]
    held += [row.delta for row in known if row.delta is not None and not row.collapsed]
    held += [row.delta for row in known if row.delta is not None] if len(held) == 1 else []
    intervals = [(row.delta_ci_low, row.delta_ci_high) for row in known]
    wide = [(low, high) for low, high in intervals if low is not None and high is not None]
    for low, high in sorted(wide, key=lambda ends: ends[1] - ends[0]):
        span = max(held) - min(held)
        if span and high - low > 3 * span:
            break
        held += [low, high]
    span = max(held) - min(held) or 1.0
    return Range(min(held) - 0.04 * span, max(held) + 0.04 * span)
