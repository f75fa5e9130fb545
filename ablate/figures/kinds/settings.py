"""Each trick in each setting, and on average: a forest plot with a panel a trick (a study of several settings)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ablate.errors import FigureError
from ablate.figures.figure import Figure, Source
from ablate.figures.intervals import DRAWN, SEVERAL, SMALL, around_zero, arrows, directions, numbers
from ablate.figures.scene import Axis, Colour, Column, Marker, Panel, Rule, Scene, Series
from ablate.records import Better
from ablate.text import decimals, in_words, number, typeset, with_minus


@dataclass(frozen=True)
class Place:
    """A line of a panel: a setting, the mean, or settings like these. known: has a difference at all."""

    label: str
    delta: float
    low: float | None
    high: float | None
    verdict: str
    whole: bool = False


@dataclass(frozen=True)
class Trick:
    """A panel. missing: settings without a difference."""

    name: str
    places: tuple[Place, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    study: str
    metric: str
    better: Better
    tricks: tuple[Trick, ...]
    settings: int
    minimum_effect: float | None
    digits: int
    why: str = ""


@dataclass(frozen=True)
class SettingsFigure(Figure):
    """Every row of the table over settings; the mean below its settings, set apart by a thicker line."""

    over_settings: ClassVar[bool] = True

    def info(self, source: Source) -> Settings:
        if source.over is None:
            raise FigureError("the figure of settings needs a study with `across:`; this one has one setting.")
        tricks = []
        for row in source.over.rows:
            places = [
                Place(
                    name, cell.delta, cell.delta_ci_low, cell.delta_ci_high, _verdict(cell.verdict, cell.delta_ci_low)
                )
                for name, cell in row.cells.items()
                if cell.delta is not None
            ]
            if row.delta is not None:
                places.append(
                    Place("mean", row.delta, row.ci_low, row.ci_high, _verdict(row.verdict, row.ci_low), True)
                )
            if row.delta is not None and row.like is not None:
                decided = "inconclusive" if row.like.p_adjusted >= 0.05 else row.verdict or "inconclusive"
                places.append(Place("like these", row.delta, row.like.ci_low, row.like.ci_high, decided, True))
            if places:
                tricks.append(Trick(row.name + " ‡" * row.several, tuple(places), tuple(row.missing)))
        if not tricks:
            raise FigureError("the figure of settings needs a result of a row and of its comparison: `ablate run`.")
        ends = [place.high - place.delta for trick in tricks for place in trick.places if place.high is not None]
        return Settings(
            source.study, source.titled(source.metric), source.better, tuple(tricks), len(source.over.settings),
            source.minimum_effect, decimals(ends), source.over.why,
        )  # fmt: skip

    def scene(self, info: Settings) -> Scene:
        low, high = _range(info)
        last = info.tricks[-1]
        panels = [
            _panel(trick, info, Axis(f"Δ {info.metric}, 95 % CI" if trick is last else "", low, high))
            for trick in info.tricks
        ]
        decided = [
            f"{trick.name} {typeset(place.delta, info.digits, sign=True)} ({place.verdict})"
            for trick in info.tricks
            for place in trick.places
            if place.label == "mean" and place.verdict in ("helps", "hurts")
        ]
        return Scene(
            title=f"{info.study}: {info.settings} settings",
            caption=_caption(info),
            alt=f"Forest plot of {len(info.tricks)} tricks in {info.settings} settings. "
            + (f"Decided on average: {in_words(decided)}." if decided else "None is decided on average."),
            panels=tuple(panels),
        )


def _verdict(verdict: str | None, low: float | None) -> str:
    return verdict if verdict and (low is not None or verdict == "inert") else SMALL


def _range(info: Settings) -> tuple[float, float]:
    """Zero, every difference, and every interval; one that dwarfs the others is cut at three times what is there."""
    places = [place for trick in info.tricks for place in trick.places]
    ends = [0.0, *(place.delta for place in places)]
    if info.minimum_effect:
        ends += [-info.minimum_effect, info.minimum_effect]
    bounds = [(place.low, place.high) for place in places if place.low is not None and place.high is not None]
    for low, high in sorted(bounds, key=lambda pair: pair[1] - pair[0]):
        span = max(ends) - min(ends)
        if span and high - low > 3 * span:
            break
        ends += [low, high]
    pad = 0.06 * (max(ends) - min(ends)) or 1.0
    return min(ends) - pad, max(ends) + pad


def _panel(trick: Trick, info: Settings, axis: Axis) -> Panel:
    assert axis.low is not None
    assert axis.high is not None
    marks = around_zero(info.minimum_effect)
    if trick is info.tricks[0]:
        marks += directions(info.better, -1.0, axis.low, axis.high)
    parts = sum(not place.whole for place in trick.places)
    if 0 < parts < len(trick.places):
        marks.append(Rule("y", parts - 0.5, "dotted"))
    for verdict, (colour, marker) in DRAWN.items():
        for whole in (False, True):
            of = [(i, p) for i, p in enumerate(trick.places) if p.verdict == verdict and p.whole == whole]
            if of:
                marks.append(_points(verdict, colour, marker, of, info, axis.low, axis.high, whole=whole))
                marks += arrows(colour, of, axis.low, axis.high)
    return Panel(
        x=axis,
        y=Axis(low=-0.6 - 0.8 * (trick is info.tricks[0]), high=len(trick.places) - 0.4, reverse=True,
               ticks=tuple((float(i), place.label) for i, place in enumerate(trick.places))),
        marks=tuple(marks),
        title=with_minus(trick.name),
        height=0.4 + 0.17 * (len(trick.places) + (trick is info.tricks[0])),
        side=(Column("", tuple((float(i), numbers(place, info.digits)) for i, place in enumerate(trick.places))),),
    )  # fmt: skip


def _points(
    verdict: str, colour: Colour, marker: Marker, of: list[tuple[int, Place]], info: Settings, low: float, high: float,
    *, whole: bool,
) -> Series:  # fmt: skip
    return Series(
        x=tuple(place.delta for _, place in of),
        y=tuple(float(i) for i, _ in of),
        low=tuple(None if place.low is None else max(place.low, low) for _, place in of),
        high=tuple(None if place.high is None else min(place.high, high) for _, place in of),
        along="x", label=verdict, colour=colour, marker=marker, size=6.5 if whole else 4.0, width=2.2 if whole else 1.2,
        hover=tuple(_told(place, info.digits) for _, place in of),
    )  # fmt: skip


def _told(place: Place, digits: int) -> str:
    """Why there is no interval is the verdict where too few seeds are done, and is said once."""
    known = typeset(place.delta, digits, sign=True) if place.verdict == SMALL else numbers(place, digits)
    return f"{place.label}: {known}, {place.verdict}"


def _caption(info: Settings) -> str:
    sentences = [
        f"Differences in {info.metric} ({info.better} is better), each row minus its comparison, in each of "
        f"{info.settings} settings with its own 95 % interval and verdict, by Holm within that setting."
    ]
    labels = {place.label for trick in info.tricks for place in trick.places if place.whole}
    if "mean" in labels:
        sentences.append(
            "mean: in these settings, on average, each with the same weight; verdicts by Holm over the rows."
        )
    if "like these" in labels:
        sentences.append("like these: of settings like these, by a t over the settings' differences.")
    if info.why:
        sentences.append(f"There is no mean: {info.why}.")
    low, high = _range(info)
    places = [place for trick in info.tricks for place in trick.places]
    if any(bound is not None and not low <= bound <= high for place in places for bound in (place.low, place.high)):
        sentences.append("Intervals that reach beyond the axis are cut there.")
    if info.minimum_effect:
        sentences.append(f"Shaded: within the minimum effect of ±{number(info.minimum_effect)}.")
    if any(trick.name.endswith("‡") for trick in info.tricks):
        sentences.append(SEVERAL)
    missing = [f"{trick.name} ({in_words(trick.missing)})" for trick in info.tricks if trick.missing]
    if missing:
        sentences.append(f"No mean, for a setting is missing: {in_words(missing)}.")
    return " ".join(sentences)
