"""How a search went: every trial with the best so far, what mattered, and the metric along each parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Ge

from ablate.analysis.tuned import TunedTrial, TuningHistory
from ablate.errors import FigureError
from ablate.figures.figure import Figure, Source
from ablate.figures.scene import Axis, Mark, Panel, Rule, Scene, Series
from ablate.records import Json
from ablate.text import in_words, number

_HEIGHT = 1.6


@dataclass(frozen=True)
class Tuning:
    """history: as it was searched. metric: with its unit. best: the best value after each trial, None before any.

    sliced: the parameters that have a panel, the most important first.
    """

    study: str
    metric: str
    history: TuningHistory
    best: tuple[float | None, ...]
    sliced: tuple[str, ...]


@dataclass(frozen=True)
class TuningFigure(Figure):
    """limit: the most parameters that have a panel of their own."""

    limit: Annotated[int, Ge(0)] = 4

    def info(self, source: Source) -> Tuning:
        history = source.tuning
        if history is None:
            raise FigureError(
                f"{source.study} has not been tuned; `ablate tune` searches the space of its `tune:`.", page="tuning"
            )
        if not any(trial.state == "done" and trial.value is not None for trial in history.trials):
            raise FigureError(f"no trial of {source.study} has finished yet.")
        names = list(dict.fromkeys(name for trial in history.trials for name in trial.parameters))
        ranked = sorted(names, key=lambda name: -history.importance.get(name, 0.0))
        return Tuning(
            study=source.study,
            metric=source.titled(history.metric),
            history=replace(history, variant=source.spoken(history.variant)),
            best=tuple(_best_so_far(history)),
            sliced=tuple(ranked[: self.limit]),
        )

    def scene(self, info: Tuning) -> Scene:
        history = info.history
        panels = [_search(info)]
        if len(history.importance) > 1:
            panels.append(_importance(info))
        panels += [_slice(info, name) for name in info.sliced]
        reached = next(value for value in reversed(info.best) if value is not None)
        return Scene(
            title=f"{info.study}: tuning {history.variant} for {info.metric}",
            caption=_caption(info, reached),
            alt=f"{info.metric} of {len(history.trials)} trials in their order; the best reached {number(reached)}. "
            + (f"Importance: {in_words(_shares(history))}." if history.importance else ""),
            panels=tuple(panels),
            across=2,
        )


def _best_so_far(history: TuningHistory) -> Iterator[float | None]:
    better = max if history.better == "higher" else min
    best: float | None = None
    for trial in history.trials:
        if trial.state == "done" and trial.value is not None:
            best = trial.value if best is None else better(best, trial.value)
        yield best


def _done(history: TuningHistory) -> list[tuple[TunedTrial, float]]:
    return [(trial, trial.value) for trial in history.trials if trial.state == "done" and trial.value is not None]


def _floor(history: TuningHistory) -> float:
    """Where trials without a value stand: at the worst one."""
    values = [value for _, value in _done(history)]
    return min(values) if history.better == "higher" else max(values)


def _said(trial: TunedTrial) -> str:
    value = "" if trial.value is None else f" {number(trial.value)}"
    listed = ", ".join(f"{name}={_shown(setting)}" for name, setting in trial.parameters.items())
    return f"trial {trial.number}, {trial.state}{value}: {listed}"


def _shown(setting: Json) -> str:
    return number(setting) if isinstance(setting, float) else str(setting)


def _search(info: Tuning) -> Panel:
    history = info.history
    done = _done(history)
    marks: list[Mark] = []
    if history.baseline is not None:
        marks.append(Rule("y", history.baseline, "dashed", f"{history.variant}, untuned"))
    x: list[float] = []
    y: list[float] = []
    for trial, best in zip(history.trials, info.best, strict=True):
        if best is not None:
            if y and y[-1] != best:  # a step, not a slope
                x.append(float(trial.number))
                y.append(y[-1])
            x.append(float(trial.number))
            y.append(best)
    marks.append(Series(tuple(x), tuple(y), "best so far", "ink", "solid"))
    marks.append(
        Series(
            tuple(float(trial.number) for trial, _ in done), tuple(value for _, value in done), "a trial", "grey",
            marker="circle", size=4.2, hover=tuple(_said(trial) for trial, _ in done),
        )
    )  # fmt: skip
    for state, marker in (("pruned", "plus"), ("failed", "cross")):
        of = [trial for trial in history.trials if trial.state == state]
        if of:
            values = tuple(_floor(history) if trial.value is None else trial.value for trial in of)
            numbers = tuple(float(trial.number) for trial in of)
            hover = tuple(map(_said, of))
            marks.append(Series(numbers, values, state, "grey", marker=marker, hover=hover))  # type: ignore[arg-type]
    return Panel(Axis("trial", whole=True), Axis(info.metric, grid=True), tuple(marks), height=_HEIGHT)


def _importance(info: Tuning) -> Panel:
    ranked = sorted(info.history.importance.items(), key=lambda item: -item[1])[:12]
    shares = tuple(100 * share for _, share in ranked)
    dots = Series(
        shares, tuple(map(float, range(len(ranked)))), low=(0.0,) * len(ranked), high=shares, along="x",
        marker="circle", hover=tuple(f"{name}: {100 * share:.0f} %" for name, share in ranked),
    )  # fmt: skip
    ticks = tuple((float(i), name) for i, (name, _) in enumerate(ranked))
    return Panel(
        Axis("importance (%)", low=0.0, grid=True),
        Axis(low=-0.6, high=len(ranked) - 0.4, ticks=ticks, reverse=True),
        (dots,),
        height=max(_HEIGHT, 0.45 + 0.19 * len(ranked)),
    )


def _slice(info: Tuning, name: str) -> Panel:
    """The metric along one parameter; values that are no numbers stand at whole places."""
    history = info.history
    tried = [(trial, value) for trial, value in _done(history) if name in trial.parameters]
    settings = [trial.parameters[name] for trial, _ in tried]
    numeric = all(isinstance(setting, int | float) and not isinstance(setting, bool) for setting in settings)
    if numeric:
        x = tuple(map(float, settings))
        axis = Axis(name, log=name in history.log and min(x, default=0.0) > 0)
    else:
        kinds = sorted({_shown(setting) for setting in settings})
        x = tuple(float(kinds.index(_shown(setting))) for setting in settings)
        axis = Axis(name, -0.5, len(kinds) - 0.5, tuple((float(i), kind) for i, kind in enumerate(kinds)))
    points = Series(
        x, tuple(value for _, value in tried), colour="grey", marker="circle", size=4.2,
        hover=tuple(_said(trial) for trial, _ in tried),
    )  # fmt: skip
    low, high = _span([value for _, value in _done(history)])
    return Panel(axis, Axis(info.metric, low, high, grid=True), (points, *_winner(history, x, tried)), height=_HEIGHT)


def _span(values: Sequence[float]) -> tuple[float, float]:
    """One range for all slices."""
    pad = 0.06 * (max(values) - min(values)) or 1.0
    return min(values) - pad, max(values) + pad


def _winner(history: TuningHistory, x: Sequence[float], tried: Sequence[tuple[TunedTrial, float]]) -> Iterator[Mark]:
    if tried:
        sign = 1 if history.better == "higher" else -1
        at = max(range(len(tried)), key=lambda i: sign * tried[i][1])
        yield Series(
            (x[at],), (tried[at][1],), "the best trial", "ink", marker="star", size=6.5,
            hover=(_said(tried[at][0]),),
        )  # fmt: skip


def _shares(history: TuningHistory) -> list[str]:
    ranked = sorted(history.importance.items(), key=lambda item: -item[1])
    return [f"{name} {100 * share:.0f} %" for name, share in ranked]


def _caption(info: Tuning, reached: float) -> str:
    history = info.history
    counts = {state: sum(trial.state == state for trial in history.trials) for state in ("done", "pruned", "failed")}
    listed = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    sentences = [
        f"Tuning of {history.variant} for {info.metric} ({history.better} is better): {len(history.trials)} trials "
        f"({listed}), one seed each unless the study says otherwise; the best reached {number(reached)}, chosen among "
        "all trials and so optimistic."
    ]
    if history.baseline is not None:
        sentences.append(f"Dashed: {history.variant} before tuning ({number(history.baseline)}).")
    if counts["pruned"] or counts["failed"]:
        sentences.append("Trials without a value stand at the worst one.")
    if history.importance:
        sentences.append(f"Importance by Optuna's evaluator: {in_words(_shares(history))}.")
    return " ".join(sentences)
