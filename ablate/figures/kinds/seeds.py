"""Every run as a point: each variant's seeds beside those of its comparison, a line joining the two of each seed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from ablate.errors import FigureError
from ablate.figures.figure import Figure, Source
from ablate.figures.scene import Axis, Colour, Label, Mark, Panel, Scene, Series
from ablate.records import Row
from ablate.tables import forest
from ablate.text import in_words, number, seeds_in_words, with_minus

_LANES = 0.19
"""How far above and below its row's middle the points of the comparison and of the row stand."""

_COLOURS: dict[str, Colour] = {"helps": "blue", "hurts": "vermillion", "equivalent": "green"}

_FEASIBLE, _SEEDS = 12, 5
"""Rows and seeds of which pairs are drawn; with more the lines are hatching."""


@dataclass(frozen=True)
class SeedRow:
    """A row of the table: its values and its comparison's, by seed; None where the run is not counted.

    against: empty where it is compared with nothing. failed: seed -> reason, of the row's own runs. title: its name
    under its base, where it stands there. base: the mean of what it is compared with.
    """

    label: str
    compared_with: str
    values: tuple[float | None, ...]
    against: tuple[float | None, ...]
    mean: float | None
    collapsed: tuple[int, ...]
    failed: Mapping[int, str]
    verdict: str = ""
    title: str = ""
    base: float | None = None


@dataclass(frozen=True)
class Seeds:
    study: str
    metric: str
    better: str
    seeds: tuple[int, ...]
    rows: tuple[SeedRow, ...]
    low: float
    high: float
    left_out: int = 0


@dataclass(frozen=True)
class SeedsFigure(Figure):
    """metric: None for the study's own. limit: the most rows, in the table's order."""

    metric: str | None = None
    variants: tuple[str, ...] = ()
    limit: Annotated[int, Ge(1)] = 40

    def info(self, source: Source) -> Seeds:
        name, values = source.values_of(self.metric)
        chosen = {source.find(variant) for variant in self.variants} or set(source.variants)
        rows = []
        for row in _ordered([row for row in source.rows if row.variant in chosen]):
            own = values[row.variant]
            rows.append(
                SeedRow(
                    label=source.named(row), compared_with=row.compared_with or "", values=own,
                    against=values.get(row.compared_with or "", ()),
                    mean=_mean(own),
                    collapsed=row.collapsed if name == source.metric else (),
                    failed=source.failed.get(row.variant, {}), verdict=row.verdict or "",
                    title=forest.name(row) if forest.indented(row) else "",
                    base=_mean(values.get(row.compared_with or "", ())) if forest.indented(row) else None,
                )
            )  # fmt: skip
        if not rows:
            raise FigureError("there is no row to show.")
        low, high = _range(source.seeds, rows[: self.limit])
        return Seeds(
            study=source.study, metric=source.titled(name), better=source.directions.get(name, ""), seeds=source.seeds,
            rows=tuple(rows[: self.limit]), low=low, high=high, left_out=max(len(rows) - self.limit, 0),
        )  # fmt: skip

    def scene(self, info: Seeds) -> Scene:
        paired = len(info.rows) <= _FEASIBLE and len(info.seeds) <= _SEEDS
        marks: list[Mark] = []
        for i, row in enumerate(info.rows):
            if paired:
                marks += _pairs(i, row, info)
        marks += _bases(info)
        for i, row in enumerate(info.rows):
            marks += _points(i, row, info, paired)
        pad = 0.04 * (info.high - info.low) or 1.0
        n = [sum(value is not None for value in row.values) for row in info.rows]
        names = [with_minus(row.label) if _alone(info.rows, i) else row.title for i, row in enumerate(info.rows)]
        ticks = [
            (float(i), f"{name} (n={n[i]}{'†' if row.failed else ''})" if len(set(n)) > 1 else name)
            for i, (name, row) in enumerate(zip(names, info.rows, strict=True))
        ]
        panel = Panel(
            x=Axis(info.metric, info.low - pad, info.high + pad, grid=True),
            y=Axis(
                low=-0.6,
                high=len(info.rows) - 0.4,
                ticks=tuple(ticks),
                reverse=True,
                bold=tuple(float(i) for i, row in enumerate(info.rows) if not row.compared_with),
            ),
            marks=tuple(marks),
            height=0.45 + (0.3 if paired else 0.15) * len(info.rows),
        )
        means = [f"{row.label} {number(row.mean)}" for row in info.rows if row.mean is not None]
        return Scene(
            title=f"{info.study}: {info.metric} of every run",
            caption=_caption(info, n, paired),
            alt=f"Strip plot of {info.metric}, a point per run, {len(info.rows)} rows. Means: {in_words(means, 8)}.",
            panels=(panel,),
        )


def _ordered(rows: Sequence[Row]) -> list[Row]:
    """Each under its base, a variant once: where its name says how it differs, else where it stands first."""
    once: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: not forest.indented(row)):
        once.setdefault(row.variant, row)
    kept = {id(row) for row in once.values()}
    return [row for group in forest.groups(rows) for row in group.every if id(row) in kept]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _alone(rows: Sequence[SeedRow], at: int) -> bool:
    """Whether a row does not stand under its base, with others of it or right below."""
    row = rows[at]
    above = next((other for other in reversed(rows[:at]) if not other.title), None)
    return not row.title or above is None or above.label != row.compared_with


def _bases(info: Seeds) -> Iterator[Mark]:
    """The mean of a base through the rows below it."""
    stretches: dict[tuple[str, float], list[int]] = {}
    for i, row in enumerate(info.rows):
        if row.base is not None and info.low <= row.base <= info.high and not _alone(info.rows, i):
            stretches.setdefault((row.compared_with, row.base), []).append(i)
    for (_, mean), at in stretches.items():
        ends = (at[0] - 1.3, at[-1] + 0.4)
        yield Series((mean, mean), ends, "mean of the base", "grey", "dashed", width=0.8)


def _range(seeds: Sequence[int], rows: Sequence[SeedRow]) -> tuple[float, float]:
    """Of all values but those that collapsed, which would squeeze the others into a line."""
    collapsed = {(row.label, seed) for row in rows for seed in row.collapsed}
    shown = [
        value
        for row in rows
        for seed, value in zip(seeds, row.values, strict=True)
        if value is not None and (row.label, seed) not in collapsed
    ]
    return (min(shown), max(shown)) if shown else (0.0, 1.0)


def _lane(at: float, k: int, seeds: Sequence[int]) -> float:
    """A seed's place within its lane, the same in every row: equal values lie beside each other, not on each other."""
    return at + 0.18 * ((k + 0.5) / len(seeds) - 0.5)


def _pairs(i: int, row: SeedRow, info: Seeds) -> Iterator[Mark]:
    """The comparison's points above the row's own, and lines between those of one seed."""
    pairs = [
        (k, a, b)
        for k, (a, b) in enumerate(zip(row.against, row.values, strict=False))
        if a is not None and b is not None and info.low <= a <= info.high and info.low <= b <= info.high
    ]
    if pairs:
        x = tuple(value for _, a, b in pairs for value in (a, b, b))
        lanes = (i - _LANES, i + _LANES)
        y = tuple(at for k, _, _ in pairs for at in (*(_lane(lane, k, info.seeds) for lane in lanes), None))
        yield Series(x, y, colour="grey", dash="solid", width=0.7, faint=True)
    points = [(k, a) for k, a in enumerate(row.against) if a is not None and info.low <= a <= info.high]
    if points:
        yield Series(
            tuple(a for _, a in points), tuple(_lane(i - _LANES, k, info.seeds) for k, _ in points), "its comparison",
            "grey", marker="hollow", size=3.2,
            hover=tuple(f"{row.compared_with}, seed {info.seeds[k]}: {a:.5g}" for k, a in points),
        )  # fmt: skip


def _points(i: int, row: SeedRow, info: Seeds, paired: bool) -> Iterator[Mark]:
    at = i + _LANES if paired and row.against else float(i)
    points = [(k, value) for k, value in enumerate(row.values) if value is not None]
    inside = [(k, value) for k, value in points if info.low <= value <= info.high]
    if inside:
        hover = tuple(f"{row.label}, seed {info.seeds[k]}: {value:.5g}" for k, value in inside)
        lanes = tuple(_lane(at, k, info.seeds) for k, _ in inside)
        where = tuple(value for _, value in inside)
        colour = _COLOURS.get(row.verdict, "grey") if row.against else "ink"
        yield Series(where, lanes, "one run, by verdict", colour, marker="circle", size=3.6, hover=hover)
    outside = {info.seeds[k]: value for k, value in points if not info.low <= value <= info.high}
    yield from _beyond("left", info.low, at, row, {k: v for k, v in outside.items() if v < info.low}, paired)
    yield from _beyond("right", info.high, at, row, {k: v for k, v in outside.items() if v > info.high}, paired)
    if row.mean is not None and info.low <= row.mean <= info.high:
        yield Series((row.mean,), (at,), label="mean", colour="ink", marker="bar", size=10)
    if row.failed:
        seeds = sorted(row.failed)
        step = 0.02 * (info.high - info.low)
        hover = tuple(f"{row.label}, seed {seed}: failed ({row.failed[seed]})" for seed in seeds)
        places = tuple(info.low + step * k for k in range(len(seeds)))
        yield Series(places, (at,) * len(seeds), "failed, without a value", "vermillion", marker="cross", hover=hover)


def _beyond(
    side: Literal["left", "right"], edge: float, at: float, row: SeedRow, values: Mapping[int, float], paired: bool
) -> Iterator[Mark]:
    """An arrow at the edge for values beyond it, and one text that says them: `10.2 (seed 306)`."""
    if not values:
        return
    low, high = number(min(values.values())), number(max(values.values()))
    said = f"{low if low == high else f'{low} to {high}'} ({seeds_in_words(tuple(values))})"
    described = "; ".join(f"{row.label}, seed {seed}: {value:.5g}" for seed, value in values.items())
    yield Series((edge,), (at,), "beyond the axis", "vermillion", marker=side, hover=(described,))
    yield Label(edge, at - 0.42 * paired, said, "right" if side == "left" else "left")


def _caption(info: Seeds, n: Sequence[int], paired: bool) -> str:
    each = f"n = {n[0]}" if len(set(n)) == 1 else f"n = {min(n)} to {max(n)}"
    better = f" ({info.better} is better)" if info.better else ""
    sentences = [f"{info.metric}{better}, a point per run ({each}, {seeds_in_words(info.seeds)}); bars: means."]
    if paired and any(row.against for row in info.rows):
        sentences.append("Hollow: the variant that the row is compared with; lines join the two runs of a seed.")
    collapsed = [f"{row.label} ({seeds_in_words(row.collapsed)})" for row in info.rows if row.collapsed]
    if collapsed:
        sentences.append(f"Collapsed seeds are beyond the axis, their values beside the arrows: {in_words(collapsed)}.")
    failed = [
        f"{row.label} ({in_words([f'seed {seed}: {why}' for seed, why in sorted(row.failed.items())])})"
        for row in info.rows
        if row.failed
    ]
    if failed:
        sentences.append(f"Crosses at the edge: failed runs, which have no value: {in_words(failed)}.")
    if info.left_out:
        sentences.append(f"The first {len(info.rows)} of {len(info.rows) + info.left_out} rows.")
    return " ".join(sentences)
