"""How the variants learn: a metric by step, mean over seeds with its interval, and where failed runs ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablate.figures.figure import LINES, Axis, Curve, Figure, Mark, Panel, Scene, Series, Source
from ablate.text import in_words, seeds_in_words


@dataclass(frozen=True)
class LearningCurves:
    """labels: what each curve is called. left_out: variants with a curve that are not shown."""

    study: str
    metric: str
    better: str
    percent: bool
    labels: tuple[str, ...]
    curves: tuple[Curve, ...]
    seeds: tuple[int, ...]
    left_out: int = 0


@dataclass(frozen=True)
class LearningCurvesFigure(Figure):
    """metric: None for the study's own. variants: which; none: all, or where they are more than eight what the others
    are compared with, the best, those that were decided, and the best others."""

    metric: str | None = None
    variants: tuple[str, ...] = ()

    def info(self, source: Source) -> LearningCurves:
        name, curves = source.curves_of(self.metric)
        chosen = [source.find(variant) for variant in self.variants] or _telling(source, tuple(curves))
        chosen = [variant for variant in dict.fromkeys(chosen) if variant in curves]
        return LearningCurves(
            study=source.study,
            metric=source.titled(name),
            better=source.directions.get(name, ""),
            percent=source.units.get(name) == "%",
            labels=tuple(source.label(variant) for variant in chosen),
            curves=tuple(curves[variant] for variant in chosen),
            seeds=source.seeds,
            left_out=0 if self.variants else len(curves) - len(chosen),
        )

    def scene(self, info: LearningCurves) -> Scene:
        marks: list[Mark] = []
        for i, (label, curve) in enumerate(zip(info.labels, info.curves, strict=True)):
            marks += _lines(label, curve, i)
        marks += _failures(info)
        longest = max((curve.steps[-1] for curve in info.curves if curve.steps), default=1)
        panel = Panel(
            x=Axis("epoch or step" if longest > 1000 else "epoch", whole=True),
            y=Axis(info.metric, grid=True, high=_ceiling(info)),
            marks=tuple(marks),
            height=2.3,
        )
        return Scene(
            title=f"{info.study}: {info.metric} by epoch",
            caption=_caption(info),
            alt=f"Line plot of {info.metric} by epoch, for {in_words(info.labels, 8)}. At the end: "
            + in_words([f"{label} {curve.mean[-1]:.4g}" for label, curve in _ended(info)], 8)
            + ".",
            panels=(panel,),
        )


def _telling(source: Source, curves: Sequence[str]) -> list[str]:
    """At most as many variants as lines that can be told apart, in the plan's order."""
    references = [row.compared_with for row in source.rows if row.compared_with]
    decided = [row.variant for row in source.rows if row.verdict in ("helps", "hurts")]
    sign = -1 if source.better == "higher" else 1
    ranked = sorted((row for row in source.rows if row.mean is not None), key=lambda row: sign * (row.mean or 0.0))
    best = [row.variant for row in ranked]
    rank = dict.fromkeys([*references[:1], *([source.best] if source.best else []), *decided, *best, *curves])
    kept = [variant for variant in rank if variant in curves][: len(LINES)]
    return [variant for variant in curves if variant in kept]


def _lines(label: str, curve: Curve, i: int) -> list[Mark]:
    colour, dash, marker = LINES[i % len(LINES)]
    hover = tuple(
        f"{label}, epoch {step}: {mean:.4g}" + (f" ({low:.4g} to {high:.4g})" if low and high else "") + f", n={n}"
        for step, mean, low, high, n in zip(curve.steps, curve.mean, curve.low, curve.high, curve.n, strict=True)
    )
    every = max(len(curve.steps) // 5, 1)
    return [
        Series(
            x=tuple(map(float, curve.steps)), y=curve.mean, low=curve.low, high=curve.high, band=True, label=label,
            colour=colour, dash=dash, marker=marker, hover=hover, size=4.0, width=1.2,
            every=every, first=i % every,  # of lines that lie on each other every marker is seen
        )
    ]  # fmt: skip


def _failures(info: LearningCurves) -> list[Mark]:
    """Failed runs as far as they came, ending in a cross."""
    marks: list[Mark] = []
    for i, (label, curve) in enumerate(zip(info.labels, info.curves, strict=True)):
        for run in curve.seeds:
            if run.failed:
                x, colour = tuple(map(float, run.steps)), LINES[i % len(LINES)][0]
                failure = f"{label}, seed {run.seed}: failed ({run.failed})"
                marks.append(Series(x, run.values, colour=colour, dash="solid", width=0.8, faint=True))
                marks.append(
                    Series(
                        x[-1:],
                        run.values[-1:],
                        label="a run failed",
                        colour=colour,
                        marker="cross",
                        size=6,
                        hover=(failure,),
                    )
                )
    return marks


def _ceiling(info: LearningCurves) -> float | None:
    """An interval may say 103 %; the axis does not."""
    top = max((high for curve in info.curves for high in curve.high if high is not None), default=0.0)
    return 100.0 if info.percent and top > 100 else None


def _ended(info: LearningCurves) -> list[tuple[str, Curve]]:
    return [(label, curve) for label, curve in zip(info.labels, info.curves, strict=True) if curve.mean]


def _caption(info: LearningCurves) -> str:
    n = sorted({n for curve in info.curves for n in curve.n})
    each = "no finished seed" if not n else f"n = {n[0]}" if len(n) == 1 else f"n = {n[0]} to {n[-1]}"
    band = "the shaded band is the 95 % t interval of the mean" if n and n[-1] >= 3 else "two seeds show their range"
    sentences = [
        f"{info.metric} by epoch{f' ({info.better} is better)' if info.better else ''}: mean over the finished seeds "
        f"({each} of {seeds_in_words(info.seeds)})" + (f"; {band}." if n and n[-1] > 1 else ".")
    ]
    failed = [
        f"{label} {seeds_in_words(seeds)}"
        for label, curve in zip(info.labels, info.curves, strict=True)
        if (seeds := [run.seed for run in curve.seeds if run.failed])
    ]
    if failed:
        sentences.append(f"Crosses: runs that failed and are in no mean ({in_words(failed)}).")
    if info.left_out:
        sentences.append(
            f"{len(info.curves)} of {len(info.curves) + info.left_out} variants are shown: the reference, the decided "
            "and the best."
        )
    return " ".join(sentences)
