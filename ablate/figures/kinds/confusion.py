"""Which class is taken for which, by the best variant or by the difference of two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablate.errors import FigureError
from ablate.figures.figure import Confusion, Figure, Source
from ablate.figures.pixels import png, shades
from ablate.figures.scene import Axis, Label, Mark, Panel, Picture, Scene
from ablate.text import in_words, seeds_in_words

_BLUE, _VERMILLION = (10, 87, 168), (191, 68, 8)
_DARKEST = 0.75
"""The share of its colour that a cell has at most, for black numbers are read on it."""
_NUMBERS, _NAMES = 12, 30
"""Classes up to which each cell has its number, and each row its name: 7 points need a quarter of an inch."""


@dataclass(frozen=True)
class Confused:
    """shares: by true class, then by what was said, in percent of the true class; of a difference, points."""

    study: str
    variant: str
    against: str
    classes: tuple[str, ...]
    n: tuple[int, ...]
    seeds: tuple[int, ...]
    shares: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class ConfusionFigure(Figure):
    """variant: None for the one that the table calls best. against: what it is held against; None: nothing."""

    variant: str | None = None
    against: str | None = None

    def info(self, source: Source) -> Confused:
        if self.variant is None and source.best is None:
            raise FigureError("no variant is best yet: none has a result for every planned seed.")
        variant = source.find(self.variant or source.best or "")
        own = source.confusion(variant)
        if self.against is None:
            return _info(source, variant, "", own, own.seeds, own.shares(own.seeds))
        against = source.find(self.against)
        other = source.confusion(against)
        if own.examples != other.examples:
            raise FigureError(f"{variant} and {against} were measured on different examples.")
        seeds = tuple(seed for seed in own.seeds if seed in other.seeds)
        if not seeds:
            raise FigureError(f"{variant} and {against} share no seed that told its classes.")
        return _info(source, variant, against, own, seeds, own.shares(seeds) - other.shares(seeds))

    def scene(self, info: Confused) -> Scene:
        shares = np.array(info.shares)
        off = shares * (1 - np.eye(len(shares)))
        what = f"{info.variant} minus {info.against}" if info.against else info.variant
        return Scene(
            title=f"{info.study}: which class {what} takes for which",
            caption=_caption(info, off),
            alt=f"A grid of the true class by the class that {what} said. {_largest(info, off)}",
            panels=(_panel(info, shares, off),),
        )


def _info(
    source: Source, variant: str, against: str, of: Confusion, seeds: tuple[int, ...], shares: np.ndarray
) -> Confused:
    table = tuple(tuple(map(float, row)) for row in shares)
    named = source.spoken(variant), source.spoken(against) if against else ""
    return Confused(source.study, *named, of.classes, of.n, seeds, table)


def _panel(info: Confused, shares: np.ndarray, off: np.ndarray) -> Panel:
    count, most = len(shares), float(np.abs(off).max()) or 1.0
    # The diagonal of a good network is 98 % and the rest 1 %: shaded it would be all that is seen.
    dark = _DARKEST * off / most
    dark = -dark if info.against else dark
    marks: list[Mark] = [
        Picture(
            -0.5, count - 0.5, count, count, png(shades(dark, _VERMILLION, _BLUE)),
            tuple(tuple(map(float, row)) for row in dark),
        )
    ]  # fmt: skip
    if count <= _NUMBERS:
        marks += [
            Label(j, count - 1 - i, text, "centre", weight="bold" if i == j else "")
            for i in range(count)
            for j in range(count)
            if (text := _number(shares[i, j], bool(info.against))).strip("+-0.")
        ]
    named = info.classes if count <= _NAMES else ()
    return Panel(
        x=Axis("predicted class", -0.5, count - 0.5, tuple((float(i), name) for i, name in enumerate(named))),
        y=Axis("true class", -0.5, count - 0.5, tuple((count - 1.0 - i, name) for i, name in enumerate(named))),
        marks=tuple(marks),
        height=2.9,
    )


def _number(value: float, signed: bool) -> str:
    return f"{value:+.1f}" if signed else f"{value:.0f}"


def _caption(info: Confused, off: np.ndarray) -> str:
    seeds = f"mean over {seeds_in_words(info.seeds)} (n = {len(info.seeds)})"
    each = f"{min(info.n)}" if len(set(info.n)) == 1 else f"{min(info.n)} to {max(info.n)}"
    images = f"{sum(info.n)} examples, {each} a class"
    if not info.against:
        first = f"Of the examples of each true class the percentage that {info.variant} took for each class, {seeds}; "
        first += f"{images}."
    else:
        first = (
            f"The same percentages of {info.variant} minus those of {info.against}, in points, {seeds}; {images}. Off "
            f"the diagonal vermillion is where {info.variant} says it more often, blue where less."
        )
    shade = f"The diagonal is not shaded, so that errors stand out; the darkest is {float(np.abs(off).max()):.1f}."
    return " ".join([first, shade, _largest(info, off), "Described, not tested."])


def _largest(info: Confused, off: np.ndarray) -> str:
    places = np.argsort(-np.abs(off), axis=None, kind="stable")[:3]
    pairs = [(int(p) // len(off), int(p) % len(off)) for p in places]
    sign = "+" if info.against else ""
    told = [
        f"{info.classes[i]} for {info.classes[j]} ({off[i, j]:{sign}.1f})" for i, j in pairs if abs(off[i, j]) >= 0.05
    ]
    return (
        f"{'Largest changes' if info.against else 'Most often'}: {in_words(told)}."
        if told
        else "No class is taken for another."
    )
