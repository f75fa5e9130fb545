"""How the variants learn: a metric by step, each row against its base, and where failed runs ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ablate.figures.figure import Curve, Figure, Source
from ablate.figures.scene import Axis, Colour, Dash, Mark, Panel, Scene, Series, ceiling
from ablate.records import Row
from ablate.tables import forest
from ablate.text import decimals, in_words, seeds_in_words, typeset, with_minus

FEW = 5
"""Seeds that are drawn each, beside their mean; of more their band."""
SHORT = 20
"""Characters of a name up to which four panels stand side by side."""
SHORTER = 16
"""And up to which five do, where a base has five rows."""
MOST = 24
"""Panels; of more rows the decided ones and the best."""

_LOOKS: dict[str, tuple[Colour, str]] = {
    "helps": ("blue", "●"),
    "hurts": ("vermillion", "■"),
    "equivalent": ("green", "◆"),
    "inert": ("ink", "×"),
}
"""By verdict the line's colour and the sign in front of its name."""


@dataclass(frozen=True)
class Learned:
    """A row's curve and its base's, where it has one of those. delta: of the row, as it is printed. group: what its
    panel stands under, where there are several bases; title: what it is called there."""

    variant: str
    label: str
    curve: Curve
    base: Curve | None = None
    verdict: str = ""
    delta: str = ""
    group: str = ""
    title: str = ""


@dataclass(frozen=True)
class LearningCurves:
    """rows: in the table's order. low, high: of the axis that all share. left_out: rows with a curve that are not
    shown."""

    study: str
    metric: str
    better: str
    rows: tuple[Learned, ...]
    seeds: tuple[int, ...]
    low: float
    high: float
    cut: bool = False
    left_out: int = 0

    @property
    def curves(self) -> list[tuple[str, Curve]]:
        """Every curve that is drawn, once, and what it is called."""
        every = {row.variant: (row.label, row.curve) for row in self.rows}
        for row in self.rows:
            if row.base is not None:
                every.setdefault(row.base.variant, (row.base.variant, row.base))
        return list(every.values())

    @property
    def few(self) -> bool:
        """Whether seeds are drawn each, in every panel, beside their mean, or its band."""
        return _few([curve for _, curve in self.curves])


@dataclass(frozen=True)
class LearningCurvesFigure(Figure):
    """metric: None for the study's own. variants: which; none: all, or where there are more than 24 those that were
    decided and the best others."""

    metric: str | None = None
    variants: tuple[str, ...] = ()

    def info(self, source: Source) -> LearningCurves:
        name, curves = source.curves_of(self.metric)
        chosen = {source.find(variant) for variant in self.variants}
        every = [row for row in _rows(source, curves) if not chosen or row.variant in chosen]
        kept = every if chosen else _telling(every, source)
        digits = decimals((row.std for row in source.rows), (row.mean for row in source.rows))
        groups = {row.variant: _group(row) for row in kept}
        several = len({row.compared_with for row in kept if row.compared_with}) > 1
        learned = tuple(
            Learned(
                row.variant, _called(source, row), curves[row.variant], curves.get(row.compared_with or ""),
                row.verdict or "", _delta(row, digits) if name == source.metric else "",
                groups[row.variant] * several, forest.name(row) if several else _called(source, row),
            )
            for row in sorted(kept, key=lambda row: list(dict.fromkeys(groups.values())).index(groups[row.variant]))
        )  # fmt: skip
        low, high, cut = _frame([one for row in learned for one in (row.curve, row.base) if one is not None])
        return LearningCurves(
            study=source.study, metric=source.titled(name), better=source.directions.get(name, ""), rows=learned,
            seeds=source.seeds, low=low, high=min(high, ceiling(low)) if source.units.get(name) == "%" else high,
            cut=cut, left_out=len(every) - len(kept),
        )  # fmt: skip

    def scene(self, info: LearningCurves) -> Scene:
        longest = max((one.steps[-1] for _, one in info.curves if one.steps), default=1)
        x = Axis(whole=True)
        y = Axis("", info.low, info.high, grid=True)  # the same for all: the caption names it
        panels = tuple(
            Panel(
                x,
                y,
                tuple(_marks(row, info)),
                _title(row),
                0.85,
                of=row.variant,
                note=row.delta,
                group=row.group,
                colour=_LOOKS.get(row.verdict * (row.base is not None), ("ink", ""))[0],
            )
            for row in info.rows
        )
        ends = [f"{label} {curve.mean[-1]:.4g}" for label, curve in info.curves if curve.mean]
        return Scene(
            title=f"{info.study}: {info.metric} by epoch",
            caption=_caption(info),
            alt=f"Line plots of {info.metric} by epoch, a panel a row: {in_words([r.label for r in info.rows], 8)}. "
            f"At the end: {in_words(ends, 8)}.",
            panels=panels,
            across=_across(info.rows),
            across_narrow=2,
            said=f"{info.metric.replace('_', ' ')} by {'epoch or step' if longest > 1000 else 'epoch'}",
        )


def _across(rows: Sequence[Learned]) -> int:
    longest = max((len(row.title) for row in rows), default=0)
    if longest > SHORT:
        return 3
    return 5 if longest <= SHORTER and 5 in Counter(row.group for row in rows).values() else 4


def _rows(source: Source, curves: Mapping[str, Curve]) -> list[Row]:
    """Rows with a curve, each variant once by its first comparison; a base that stands in the panels of its rows has
    none of its own."""
    shown: dict[str, Row] = {}
    for row in sorted(source.rows, key=lambda row: row.compared_with is None):
        if row.variant in curves:
            shown.setdefault(row.variant, row)
    bases = {row.compared_with for row in shown.values()}
    return [row for row in shown.values() if row.variant not in bases or forest.indented(row)]


def _telling(rows: Sequence[Row], source: Source) -> list[Row]:
    """At most as many rows as fit, in the plan's order."""
    if len(rows) <= MOST:
        return list(rows)
    sign = -1 if source.better == "higher" else 1

    def rank(row: Row) -> tuple[bool, bool, float]:
        decided = row.verdict in ("helps", "hurts")
        return (row.variant != source.best and not decided, row.mean is None, sign * (row.mean or 0.0))

    kept = {row.variant for row in sorted(rows, key=rank)[:MOST]}
    return [row for row in rows if row.variant in kept]


def _called(source: Source, row: Row) -> str:
    """With the sign that its table has: `B − batch norm`."""
    return with_minus(source.named(row))


def _group(row: Row) -> str:
    """What a row's panel stands under: its base, where its name says how it differs from that."""
    against = row.compared_with or ""
    return against if forest.indented(row) or not against else f"against {against}"


def _delta(row: Row, digits: int) -> str:
    return "" if row.delta is None else typeset(row.delta, digits, sign=True)


def _title(row: Learned) -> str:
    _, sign = _LOOKS.get(row.verdict, ("ink", "○"))
    return f"{sign} {row.title}" if row.base is not None else row.title


def _frame(curves: Sequence[Curve]) -> tuple[float, float, bool]:
    """The range of what is drawn of the second half of the training, and whether something lies outside."""
    longest = max((curve.steps[-1] for curve in curves if curve.steps), default=1)
    few = _few(curves)
    of_half = [value for curve in curves for value in _drawn(curve, longest / 2, few)]
    every = [value for curve in curves for value in _drawn(curve, 0, few)]
    low, high = min(of_half or every, default=0.0), max(of_half or every, default=1.0)
    pad = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return low - pad, high + pad, any(not low - pad <= value <= high + pad for value in every)


def _few(curves: Sequence[Curve]) -> bool:
    return max((len(curve.seeds) for curve in curves), default=0) <= FEW


def _drawn(curve: Curve, after: float, few: bool) -> Iterator[float]:
    for run in curve.seeds if few else ():
        yield from (value for step, value in zip(run.steps, run.values, strict=True) if step >= after)
    bounds = [] if few else [*zip(curve.steps, curve.low, strict=True), *zip(curve.steps, curve.high, strict=True)]
    for step, value in (*zip(curve.steps, curve.mean, strict=True), *bounds):
        if step >= after and value is not None:
            yield value


def _marks(row: Learned, info: LearningCurves) -> Iterator[Mark]:
    colour, _ = _LOOKS.get(row.verdict, ("ink", ""))
    means = row.verdict if row.verdict in _LOOKS else "not decided" if row.base is not None else _mean_of(row.curve)
    if row.base is not None:
        yield _mean(row.base, row.base.variant, "its base", "grey", "dashed", 1.1)
    curve = row.curve
    for run in curve.seeds if info.few and max(curve.n, default=0) > 1 else ():
        if not run.failed:
            yield _line(run.steps, run.values, "one seed", colour, 0.6)
    yield _mean(curve, row.label, means, colour, "solid", 1.7, band=not info.few)
    for run in curve.seeds:
        if run.failed:
            yield _line(run.steps, run.values, "", colour, 0.8)
            told = f"{row.label}, seed {run.seed}: failed ({run.failed})"
            at = (min(max(run.values[-1], info.low), info.high),)
            yield Series(
                (float(run.steps[-1]),), at, label="a run failed", colour=colour, marker="cross", size=6, hover=(told,)
            )


def _mean_of(curve: Curve) -> str:
    return "mean" if max(curve.n, default=0) > 1 else "one seed"


def _line(steps: Sequence[int], values: Sequence[float], label: str, colour: Colour, width: float) -> Series:
    return Series(
        tuple(map(float, steps)), tuple(values), label=label, colour=colour, dash="solid", width=width, faint=True
    )


def _mean(curve: Curve, name: str, label: str, colour: Colour, dash: Dash, width: float, band: bool = False) -> Series:
    hover = tuple(
        f"{name}, epoch {step}: {mean:.4g}"
        + (f" ({low:.4g} to {high:.4g})" if low is not None and high is not None else "")
        + f", n={n}"
        for step, mean, low, high, n in zip(curve.steps, curve.mean, curve.low, curve.high, curve.n, strict=True)
    )
    return Series(
        x=tuple(map(float, curve.steps)), y=curve.mean, low=curve.low if band else (), high=curve.high if band else (),
        band=band, label=label, colour=colour, dash=dash, hover=hover, width=width,
        name=name,
    )  # fmt: skip


def _caption(info: LearningCurves) -> str:
    curves = info.curves
    n = sorted({n for _, curve in curves for n in curve.n})
    each = "no finished seed" if not n else f"n = {n[0]}" if len(n) == 1 else f"n = {n[0]} to {n[-1]}"
    spread = "thin lines are single seeds" if info.few else "the shaded band is the 95 % t interval of the mean"
    against = any(row.base is not None for row in info.rows)
    sentences = [
        f"{info.metric} by epoch{f' ({info.better} is better)' if info.better else ''}"
        f"{', each row against its base (dashed)' if against else ''}: mean over the finished seeds "
        f"({each} of {seeds_in_words(info.seeds)})" + (f"; {spread}." if n and n[-1] > 1 else ".")
    ]
    if against:
        sentences.append("Colour and sign: the verdict, black and ○ where none is reached.")
    if info.cut:
        sentences.append("One axis for all; it holds the second half of the training, what lies beyond it is cut.")
    failed = [
        f"{label} {seeds_in_words(seeds)}"
        for label, curve in curves
        if (seeds := [run.seed for run in curve.seeds if run.failed])
    ]
    if failed:
        sentences.append(f"Crosses: runs that failed and are in no mean ({in_words(failed)}).")
    if info.left_out:
        sentences.append(
            f"{len(info.rows)} of {len(info.rows) + info.left_out} rows are shown: the decided and the best."
        )
    return " ".join(sentences)
