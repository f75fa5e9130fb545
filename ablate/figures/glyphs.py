"""Text on paper: which fonts draw it, what they lack, how wide it is, and what is left out for it to fit.

Measured with the very fonts that matplotlib draws with; Typst's serif is narrower.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from unicodedata import bidirectional

from matplotlib import font_manager, ft2font
from matplotlib.ft2font import FT2Font, LoadFlags

from ablate.errors import AblateError
from ablate.text import one_line, shortened

FAMILY = "DejaVu Sans"


@dataclass(frozen=True)
class Fonts:
    """Files of fonts that stand in where FAMILY has no glyph, in this order; lacking: characters that none had.
    unjoined: characters of scripts that run from right to left, where matplotlib does not join and turn them."""

    files: tuple[Path, ...] = ()
    lacking: set[str] = field(default_factory=set)
    unjoined: set[str] = field(default_factory=set)

    @property
    def names(self) -> list[str]:
        return [_opened(file).family_name for file in self.files]


SHAPES = hasattr(ft2font, "__libraqm_version__")
"""Whether this matplotlib lays text out by libraqm, as 3.11 and newer do: Arabic and Hebrew then read as written."""

_fonts: ContextVar[Fonts | None] = ContextVar("fonts", default=None)


def chosen_fonts() -> Fonts:
    return _fonts.get() or Fonts()


@contextmanager
def fonts(files: Sequence[Path]) -> Iterator[Fonts]:
    """Draw with these fonts, too. AblateError where one is no font."""
    for file in files:
        try:
            _opened(file)
            font_manager.fontManager.addfont(file)
        except (OSError, RuntimeError) as error:
            raise AblateError(f"--font {file}: it is no font that can be read (TTF, OTF or TTC): {error}.") from None
    # It looks for the family's other weights, which a single file has not, and warns of each.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    chosen = Fonts(tuple(files))
    token = _fonts.set(chosen)
    try:
        yield chosen
    finally:
        _fonts.reset(token)


@cache
def _opened(file: Path | None) -> FT2Font:
    """None: FAMILY."""
    font = FT2Font(font_manager.findfont(FAMILY, fallback_to_default=False) if file is None else str(file))
    font.set_size(100, 72)
    return font


@cache
def _glyphs(file: Path | None) -> frozenset[int]:
    return frozenset(_opened(file).get_charmap())


def _font_of(character: str) -> FT2Font | None:
    """The first font that has a glyph."""
    files = (None, *chosen_fonts().files)
    return next((_opened(file) for file in files if ord(character) in _glyphs(file)), None)


def _advance(character: str) -> float:
    """How far a character moves the pen, as a share of the font's size: all of it where no font has the character."""
    font = _font_of(character)
    if font is None:
        return 1.0
    return float(font.load_char(ord(character), LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / 100)


def drawable(text: str) -> str:
    """`text` on one line; characters that no font has a glyph for as their code point (`U+6F22`), as in LaTeX."""
    drawn = []
    for character in one_line(text):
        there = _font_of(character) is not None
        if not SHAPES and bidirectional(character) in ("R", "AL"):
            chosen_fonts().unjoined.add(character)
        if not there:
            chosen_fonts().lacking.add(character)
        drawn.append(character if there else f"U+{ord(character):04X}")
    return "".join(drawn)


def text_width(text: str, size: float) -> float:
    """Of a line, in points. size: of the font."""
    return size * sum(map(_advance, text))


def fitted(names: Sequence[str], points: float, size: float) -> list[str]:
    """Drawable names, their middles left out as far as it takes for every one to be at most so wide."""
    whole = [drawable(name) for name in names]
    for most in range(max(map(len, whole), default=0), 5, -1):
        short = shortened(whole, most)
        if all(text_width(name, size) <= points for name in short):
            return short
    return shortened(whole, 5)


def wrapped(text: str, points: float, size: float) -> str:
    """A drawable text on one line, or on two where it is wider than that."""
    whole = drawable(text)
    if text_width(whole, size) <= points:
        return whole
    words, first = whole.split(" "), ""
    while words and text_width(f"{first} {words[0]}".strip(), size) <= points:
        first = f"{first} {words.pop(0)}".strip()
    return "\n".join(fitted([first or words.pop(0)], points, size) + fitted([" ".join(words)], points, size))
