"""How the best variant learns: accuracy and loss by epoch, dev (every seed and their mean) against training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablate.errors import FigureError
from ablate.figures.figure import Curve, Figure, Source
from ablate.figures.scene import Axis, Mark, Panel, Scene, Series, ceiling
from ablate.text import in_words, seeds_in_words

_BRIEF = ("dev_accuracy", "dev_loss")
"""What a course brief asks for; a task of other metrics shows its own."""

_OF_TRAINING = {"dev_accuracy": "train_accuracy", "dev_loss": "train_loss"}
"""What the training passes say of the same thing."""


@dataclass(frozen=True)
class BestVariant:
    """titles: of each curve its metric with its unit. percent: whether that is %. trained: whose curves they are, where
    the variant evaluates another one's weights. training: of each what the training passes made of the same; None where
    no run reports it."""

    study: str
    variant: str
    trained: str
    titles: tuple[str, ...]
    percent: tuple[bool, ...]
    curves: tuple[Curve, ...]
    training: tuple[Curve | None, ...]
    chosen: bool


@dataclass(frozen=True)
class BestVariantFigure(Figure):
    """variant: None for the one that the table calls best."""

    variant: str | None = None

    def info(self, source: Source) -> BestVariant:
        if self.variant is None and source.best is None:
            raise FigureError("no variant is best yet: none has a result for every planned seed.")
        variant = source.find(self.variant or source.best or "")
        trained = source.measures.get(variant, variant)
        names = [name for name in _BRIEF if trained in source.curves.get(name, {})]
        if source.metric not in names:
            own = [source.metric, *source.directions]
            names = [name for name in dict.fromkeys(own) if trained in source.curves.get(name, {})][:2]
        if not names:
            raise FigureError(f"no run of {variant} reports a metric step by step.")
        return BestVariant(
            study=source.study,
            variant=source.spoken(variant),
            trained=source.spoken(trained),
            titles=tuple(map(source.titled, names)),
            percent=tuple(source.units.get(name) == "%" for name in names),
            curves=tuple(source.curves[name][trained] for name in names),
            training=tuple(source.curves.get(_OF_TRAINING.get(name, ""), {}).get(trained) for name in names),
            chosen=self.variant is not None,
        )

    def scene(self, info: BestVariant) -> Scene:
        panels = [
            _panel(curve, training, title, percent)
            for curve, training, title, percent in zip(
                info.curves, info.training, info.titles, info.percent, strict=True
            )
        ]
        ends = [
            f"{title} {curve.mean[-1]:.4g}" for curve, title in zip(info.curves, info.titles, strict=True) if curve.mean
        ]
        which = info.variant if info.chosen else f"the best variant ({info.variant})"
        return Scene(
            title=f"{info.study}: {in_words(info.titles)} of {which}",
            caption=_caption(info, which),
            alt=f"Line plots of {in_words(info.titles)} by epoch for {which}, every seed and their mean. At the end: "
            f"{in_words(ends)}.",
            panels=tuple(panels),
            across=2,
        )


def _panel(curve: Curve, training: Curve | None, title: str, percent: bool) -> Panel:
    marks: list[Mark] = []
    several = max(curve.n, default=0) > 1
    for run in curve.seeds:
        x = tuple(map(float, run.steps))
        if several or run.failed:
            told = "one seed" if several else ""
            marks.append(Series(x, run.values, colour="blue", dash="solid", width=0.8, faint=True, label=told))
        if run.failed:
            failure = f"seed {run.seed}: failed ({run.failed})"
            cross = Series(x[-1:], run.values[-1:], "a run failed", "grey", marker="cross", size=6, hover=(failure,))
            marks.append(cross)
    hover = tuple(
        f"epoch {step}: {mean:.4g}, n={n}" for step, mean, n in zip(curve.steps, curve.mean, curve.n, strict=True)
    )
    x = tuple(map(float, curve.steps))
    marks.append(
        Series(
            x, curve.mean, dash="solid", width=1.8, label="mean" if several else "one seed", hover=hover, name="dev",
        )
    )  # fmt: skip
    if training is not None and training.mean:
        at = tuple(map(float, training.steps))
        marks.append(
            Series(at, training.mean, colour="ink", dash="dashed", width=1.2, label="training", name="training")
        )
    low, high, _ = _frame([curve, *([training] if training is not None else [])])
    return Panel(
        x=Axis("epoch", whole=True),
        y=Axis(title, low=low, high=min(high, ceiling(low)) if percent else high, grid=True),
        marks=tuple(marks),
        height=1.9,
    )


def _frame(curves: Sequence[Curve]) -> tuple[float, float, bool]:
    """The range of what is drawn, and whether the first half of the training is cut: where it would squeeze the other
    half into less than a third of the panel."""
    lines = [(steps, values) for one in curves for steps, values in _lines(one)]
    half = max((steps[-1] for steps, _ in lines if steps), default=1) / 2
    every = [value for _, values in lines for value in values]
    later = [value for steps, values in lines for step, value in zip(steps, values, strict=True) if step >= half]
    low, high = min(every, default=0.0), max(every, default=1.0)
    cut = bool(later) and high - low > 3 * (max(later) - min(later)) > 0
    if cut:
        low, high = min(later), max(later)
    pad = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return low - pad, high + pad, cut


def _lines(curve: Curve) -> Iterator[tuple[Sequence[int], Sequence[float]]]:
    yield curve.steps, curve.mean
    for run in curve.seeds:
        yield run.steps, run.values


def _caption(info: BestVariant, which: str) -> str:
    done = [run.seed for run in info.curves[0].seeds if not run.failed]
    failed = [run for run in info.curves[0].seeds if run.failed]
    sentences = [f"{' and '.join(info.titles)} by epoch of {which}."]
    n = len(done)
    thin = f"Thin: each seed ({seeds_in_words(done)}, n = {n}); thick: their mean."
    sentences.append(thin if n > 1 else f"One {seeds_in_words(done)}." if done else "No seed is done.")
    pairs = zip(info.curves, info.training, strict=True)
    if any(_frame([curve, *([training] if training is not None else [])])[2] for curve, training in pairs):
        sentences.append("An axis holds the second half of the training where the first would squeeze it.")
    if any(info.training):
        sentences.append(
            "Dashed: the training passes, mean over seeds (augmented or mixed images, smoothed targets, dropout on, "
            "weights that change meanwhile)."
        )
    if failed:
        listed = in_words([f"seed {run.seed} ({run.failed})" for run in failed])
        sentences.append(f"Crosses: failed and in no mean: {listed}.")
    if info.trained != info.variant:
        sentences.append(f"The training is that of {info.trained}, whose final weights {info.variant} evaluates.")
    if not info.chosen:
        sentences.append("Best: the highest-ranking mean among the variants with every planned seed done.")
    return " ".join(sentences)
