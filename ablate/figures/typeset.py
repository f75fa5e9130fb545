"""Text for paper.py: which characters can be printed, how wide a line is, and how it is made to fit.

One font, DejaVu Sans, which comes with matplotlib: with a machine's own fonts the same figure would differ from one
machine to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font, LoadFlags

from ablate.text import one_line, shortened

FAMILY = "DejaVu Sans"


@cache
def _font() -> FT2Font:
    font = FT2Font(font_manager.findfont(FAMILY, fallback_to_default=False))
    font.set_size(100, 72)
    return font


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(_font().get_charmap())


@cache
def _advance(character: str) -> float:
    """How far a character moves the pen, as a share of the font's size."""
    return _font().load_char(ord(character), LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / 100


def drawable(text: str) -> str:
    """`text` on one line; characters that the font has no glyph for as their code point (`U+6F22`), as in LaTeX."""
    glyphs = _glyphs()
    return "".join(c if ord(c) in glyphs else f"U+{ord(c):04X}" for c in one_line(text))


def width(text: str, size: float) -> float:
    """Of a drawable line, in points. size: of the font."""
    return size * sum(map(_advance, text))


def fitted(names: Sequence[str], points: float, size: float) -> list[str]:
    """Drawable names, their middles left out as far as it takes for every one to be at most so wide."""
    made = [drawable(name) for name in names]
    for most in range(max(map(len, made), default=0), 5, -1):
        short = shortened(made, most)
        if all(width(name, size) <= points for name in short):
            return short
    return shortened(made, 5)


def wrapped(text: str, points: float, size: float) -> str:
    """A drawable text on one line, or on two where it is wider than that."""
    whole = drawable(text)
    if width(whole, size) <= points:
        return whole
    words, first = whole.split(" "), ""
    while words and width(f"{first} {words[0]}".strip(), size) <= points:
        first = f"{first} {words.pop(0)}".strip()
    return "\n".join(fitted([first or words.pop(0)], points, size) + fitted([" ".join(words)], points, size))
