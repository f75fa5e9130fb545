"""A row's difference as a bar of characters: one scale for the table, half cells, and the signs of Unicode or ASCII.

Pure. Which rows and columns a table has is drawn.py's.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

from rich.cells import cell_len
from rich.text import Text

from ablate.records import Better, Row
from ablate.tables.forest import Range, sides
from ablate.text import MINUS


@dataclass(frozen=True)
class Glyphs:
    """What bars, marks and signs are drawn with. halves: the cells of a bar, by 3 times how thick their left half is (0
    to 2) plus how thick their right is; crossing: the same at zero. marks: by verdict, and of any other. words: what
    stands for our other signs where there is no Unicode."""

    halves: str
    crossing: str
    ends: str
    beyond: str
    marks: Mapping[str | None, str]
    rule: str
    margin: str
    tick: str
    origin: str
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def thin(self) -> str:
        return self.halves[4]

    @property
    def thick(self) -> str:
        return self.halves[8]

    def spelled(self, text: str) -> str:
        """A text of ours with the signs that there are."""
        for sign, word in self.words.items():
            text = text.replace(sign, word)
        return text


UNICODE = Glyphs(
    halves=" ╶╺╴─╼╸╾━",
    crossing="│├┝┤┼┾┥┽┿",
    ends="",
    beyond="◂▸",
    marks={"helps": "●", "hurts": "■", "equivalent": "◆", "inert": "◇", "identical": "◇", None: "○"},
    rule="─",
    margin="═",
    tick="┬",
    origin="┼",
)
ASCII = Glyphs(
    halves=" -~--~~~~",
    crossing=":++++++++",
    ends="|",
    beyond="<>",
    marks={"helps": "*", "hurts": "#", "equivalent": "=", None: "o"},
    rule="-",
    margin="=",
    tick="+",
    origin="+",
    words={
        "…": "...",
        "±": "+-",
        "Δ": "diff",
        "·": "-",
        "‡": "++",
        "†": "+",
        "▲": "!",
        "¶": "*",
        "§": "$",
        "°": "^",
        "◇": "o",
        MINUS: "-",
    }
    | {"◂": "<", "▸": ">", "–": "-", "→": "->", "↑": "^", "↓": "v", "✓": "x", "✗": "!", "×": "x"},
)


def glyphs_for(encoding: str | None, *, ascii_: bool = False) -> Glyphs:
    """What a terminal of this encoding can show. Python writes UTF-8 where the locale is C; one who chose that may not
    see it."""
    utf8 = (encoding or "").lower().replace("-", "") == "utf8"
    chosen = next(filter(None, (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))), "")
    return UNICODE if utf8 and not ascii_ and chosen not in ("C", "POSIX") else ASCII


COLOURS = {"helps": "color(32)", "hurts": "color(166)", "equivalent": "color(30)"}
"""At least 3.8 : 1 on white and 4.8 : 1 on black; told apart under any colour-blindness (ΔE of 14 and more)."""


def fitted(line: Text, width: int, glyphs: Glyphs) -> Text:
    """A line of at most `width` cells, which ends with a whole word: half a number is another number."""
    if line.cell_len > width:
        sign = glyphs.spelled("…")
        room = width - len(sign)
        whole = line.plain[:room].rpartition(" ")[0].rstrip() if line.plain[room : room + 1].strip() else ""
        line.truncate(min(cell_len(whole) or room, room))
        line.rstrip()
        line.append(sign)
    line.no_wrap = True
    return line


# ---------------------------------------------------------------------------------------------------------------- scale


@dataclass(frozen=True)
class Scale:
    """Where on a bar of so many cells a difference stands."""

    range: Range
    cells: int

    def half(self, value: float) -> int:
        """Which half cell, from 0 to 2 * cells - 1; outside for what is outside."""
        return math.floor(self.range.share(value) * 2 * self.cells)

    def cell(self, value: float) -> int:
        return min(max(self.half(value) // 2, 0), self.cells - 1)

    @property
    def ticks(self) -> list[float]:
        """As many as their numbers have room for: 0 alone would be no scale."""
        every = (self.range.ticks(self.cells / each) for each in (6, 5, 4, 3))
        return next((ticks for ticks in every if len(ticks) > 1), [0.0])


def bar(row: Row, scale: Scale, glyphs: Glyphs) -> Text:
    """The interval as a line, thick where it is of seeds alone, the difference as the verdict's mark, zero as an
    upright."""
    cells, zero = scale.cells, scale.cell(0)
    covered, here = (
        _halves(scale, row.delta_ci_low, row.delta_ci_high),
        _halves(scale, *(row.interval_here or (None, None))),
    )
    thickness = [2 if half in here else int(half in covered) for half in range(2 * cells)]
    drawn = [
        (glyphs.crossing if i == zero else glyphs.halves)[3 * thickness[2 * i] + thickness[2 * i + 1]]
        for i in range(cells)
    ]
    if covered:
        first, last = covered[0] // 2, covered[-1] // 2
        if glyphs.ends and first >= 0 and last > first:
            drawn[first] = glyphs.ends
        if glyphs.ends and last < cells and last > first:
            drawn[last] = glyphs.ends
        if first < 0:
            drawn[0] = glyphs.beyond[0]
        if last >= cells:
            drawn[-1] = glyphs.beyond[1]
    style = COLOURS.get(row.verdict or "", "dim")
    at = scale.half(row.delta) // 2 if row.delta is not None else -1
    signs = [mark_of(row, glyphs) if i == at else sign for i, sign in enumerate(drawn)]
    styles = ["dim" if i != at and sign == glyphs.crossing[0] else style for i, sign in enumerate(drawn)]
    text = Text()
    for how, of in groupby(zip(signs, styles, strict=True), lambda pair: "" if pair[0] == " " else pair[1]):
        text.append("".join(sign for sign, _ in of), style=how)
    text.rstrip()
    return text


def _halves(scale: Scale, low: float | None, high: float | None) -> range:
    """Which half cells an interval covers."""
    return range(0) if low is None or high is None else range(scale.half(low), scale.half(high) + 1)


def mark_of(row: Row, glyphs: Glyphs) -> str:
    return glyphs.marks.get(row.verdict, glyphs.marks[None])


# ---------------------------------------------------------------------------------------------------------------- ruler


def labels(scale: Scale, glyphs: Glyphs) -> str:
    """The ticks' numbers over their cells, as far as none touches another; 0 is never left out."""
    line = [" "] * scale.cells
    for value in sorted(scale.ticks, key=abs):
        text = f"{value:g}".replace("-", glyphs.spelled(MINUS))
        start = min(max(scale.cell(value) - len(text) // 2, 0), scale.cells - len(text))
        around = line[max(start - 1, 0) : start + len(text) + 1]
        if all(sign == " " for sign in around):
            line[start : start + len(text)] = text
    return "".join(line)


def ruler(scale: Scale, margin: float | None, glyphs: Glyphs) -> str:
    line = [glyphs.rule] * scale.cells
    if margin:
        for i in range(scale.cell(-margin), scale.cell(margin) + 1):
            line[i] = glyphs.margin
    for value in scale.ticks:
        line[scale.cell(value)] = glyphs.tick
    line[scale.cell(0)] = glyphs.origin
    return "".join(line)


def directions(scale: Scale, better: Better, glyphs: Glyphs) -> str:
    """`◂ worse   better ▸` around zero, each where there is room for it."""
    left, right = map(glyphs.spelled, sides(better))
    zero = scale.cell(0)
    text = left.rjust(zero - 1) if zero - 1 >= len(left) else ""
    return text.ljust(zero + 2) + right if scale.cells - zero - 2 >= len(right) else text
