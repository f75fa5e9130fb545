"""On how wide a screen the ablation table of a page has room for its columns: rules of style, from what its cells say.

A page can ask for the width of the screen and not whether something fits, so text is measured here, as wide as in
DejaVu Sans, the widest face that browsers fall back to. Where room is short the spreads of further metrics go first,
then these metrics from the last on, then the table becomes cards, which fit a phone.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CARDS = 920
"""Pixels of a screen up to which rows are cards in any case."""

_SIZE, _SMALL, _PRINTED = 13.3, 12.0, 7.4 * 96 / 72
"""Of the table's text and of its second lines, in pixels; and printed."""
_WIDEST_NAME, _LEAST_BAR, _PRINTED_BAR = 14.5, 150.0, 110.0
_RAIL, _PADDED, _SCROLLBAR, _WITH_RAIL, _MOST, _PAPER = 178.0, 52.0, 15.0, 1240, 1120.0, 710.0
"""Of the page in pixels: beside its text on a wide screen; from which width on that is; its text at most; and paper."""

_NARROW, _WIDE = frozenset(" iljftrI.,:;|!'’()[]{}/\\\u202f\u00a0"), frozenset("mwMW@%±−+→←↑↓≥≤<>=~Δ‡")
_PARTS = re.compile(r"<svg.*?</svg>|<[^>]*>", re.S)


def ems(text: str) -> float:
    """About how wide a text is, in sizes of its letters."""
    return sum(map(_em, text))


def _em(character: str) -> float:
    if character in _NARROW:
        return 0.39
    if character in _WIDE:
        return 0.9
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    return 0.74 if character.isupper() else 0.0 if unicodedata.combining(character) else 0.63


def plain(cell: str) -> str:
    """What a cell says, without its markup."""
    return html.unescape(_PARTS.sub("", cell))


@dataclass(frozen=True)
class Columns:
    """Widths in pixels. name: of the rows' names, in sizes of letters; core: of all columns that no screen goes
    without; also: of each further metric without and with its spread."""

    name: float
    core: float
    also: tuple[tuple[float, float], ...]

    def rules(self) -> str:
        """At which widths of the screen what is not shown."""
        return "\n".join(self._rules())

    def cards(self) -> int:
        """Up to which width rows are cards."""
        without, beside = _screens(self.core)
        return max(CARDS, beside if beside > _WITH_RAIL else without)

    def _rules(self) -> Iterator[str]:
        bare, full = self.core, self.core + sum(wide for _, wide in self.also)
        if self.also:
            yield f"@media {_narrower(full)} {{ .forest .also .sd {{ display: none; }} }}"
        printed = self.core * _PRINTED / _SIZE - _LEAST_BAR + _PRINTED_BAR
        for i, (wide, _) in enumerate(self.also):
            bare, printed = bare + wide, printed + wide * _PRINTED / _SIZE
            hidden = f".forest .a{i} {{ display: none; }}"
            yield f"@media {_narrower(bare)} {{ {hidden} }}"
            if printed > _PAPER:
                yield f"@media print {{ {hidden} }}"


def _screens(content: float) -> tuple[int, int]:
    """The widest screens that have no room for so many pixels: without the rail beside the text, and with it."""
    if content > _MOST:
        return _WITH_RAIL, 99_999
    without, beside = content + 40 + _SCROLLBAR, content + _RAIL + _PADDED + _SCROLLBAR
    return min(round(without), _WITH_RAIL), max(round(beside), _WITH_RAIL)


def _narrower(content: float) -> str:
    """Of which screens."""
    without, beside = _screens(content)
    zone = f", screen and (min-width: {_WITH_RAIL + 1}px) and (max-width: {beside}px)" * (beside > _WITH_RAIL)
    return f"screen and (max-width: {without}px){zone}"


def columns(rows: Sequence[Sequence[str]], heads: Sequence[tuple[str, str]], compared: bool) -> Columns:
    """Of a table's cells: a name and a mean, then difference, bar, p and verdict where rows are compared, then further
    metrics, whose titles break at blanks. heads: of each column the title and the smaller line below it."""
    name = min(max((ems(plain(row[0])) for row in rows), default=0.0) * 1.1 + 1.2, _WIDEST_NAME)
    also = range(6 if compared else 2, len(heads))
    heads = [(max(title.split(" "), key=ems) if i in also else title, below) for i, (title, below) in enumerate(heads)]
    widths = [_wide([row[i] for row in rows if i < len(row)], *head) for i, head in enumerate(heads)]
    core = name * _SIZE + 14 + widths[1]
    if compared:
        core += max(widths[2] + 6, 9 * _SIZE) + _LEAST_BAR + widths[4] + 12 + widths[5] + 17 + 12 + 5
    spread = '<span class="sd">.*?</span>'
    bare = [_wide([re.sub(spread, "", row[i]) for row in rows if i < len(row)], *heads[i]) for i in also]
    return Columns(round(name, 1), core, tuple(zip(bare, (widths[i] for i in also), strict=True)))


def _wide(cells: Sequence[str], title: str, below: str) -> float:
    """In pixels."""
    said = max((ems(plain(cell)) for cell in cells), default=0.0)
    return 11 + max(_SIZE * max(ems(title), said), _SMALL * ems(below))
