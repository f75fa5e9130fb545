"""What a network loses without each of its parts, along its depth, with their controls: as much taken elsewhere.

From Veit et al. 2016, Residual networks behave like ensembles of relatively shallow networks: error when a block is
dropped, by its place. Here the first part stands at the top, beside each the network that is as much smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from ablate.errors import FigureError
from ablate.figures.figure import Figure, Source
from ablate.figures.intervals import around_zero, numbers
from ablate.figures.scene import Axis, Colour, Column, Dash, Marker, Panel, Scene, Series
from ablate.records import Better, Row
from ablate.text import decimals, in_words, number, percent, typeset, with_minus


@dataclass(frozen=True)
class Loss:
    """A difference from the whole network, and its interval, if it has one. judged: the verdict."""

    delta: float
    low: float | None
    high: float | None
    judged: str


@dataclass(frozen=True)
class PartLoss:
    """A part by its place. without: what going without it does; control: what lacking its size elsewhere does; beyond:
    the verdict on the one against the other."""

    label: str
    without: Loss
    control: Loss | None = None
    beyond: str = ""


@dataclass(frozen=True)
class Depth:
    """missing: rows without a result. left_out: parts beyond the limit, of which those with the largest stay."""

    study: str
    metric: str
    better: Better
    against: str
    minimum_effect: float | None
    seeds: tuple[int, ...]
    parts: tuple[PartLoss, ...]
    digits: int
    covers: str
    missing: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class DepthFigure(Figure):
    """limit: the most parts; of more those with the largest losses stay, in their order."""

    limit: Annotated[int, Ge(1)] = 60

    def info(self, source: Source) -> Depth:
        rows = [row for row in source.rows if row.compared_with and not row.placebo and len(row.differs) < 2]
        rows = [row for row in rows if row.differs or row.kind != "trained"]  # the whole, its statistics anew
        if not any(row.kind for row in rows):
            raise FigureError(
                "depth needs parts with controls, or trained weights without parts: `{part: layer3.1, control: "
                "parameters}` or `{part: layer3.1, when: trained}` in leave_one_out."
            )
        first = rows[0]
        also = ("control", "beyond")
        rows = [row for row in rows if row.kind in also or (row.design, row.compared_with) == _of(first)]
        controls = {row.variant: row for row in rows if row.kind == "control"}
        beyond = {row.variant: row for row in rows if row.kind == "beyond"}
        parts: list[PartLoss] = []
        missing: list[str] = []
        for row in (row for row in rows if row.kind not in also):
            without, judged = _loss(row), beyond.get(row.variant)
            control = controls.get(judged.compared_with or "") if judged is not None else None
            if without is None:
                missing.append(source.named(row))
            else:
                label, loss = source.named(row), None if control is None else _loss(control)
                parts.append(PartLoss(label, without, loss, judged.judged if judged is not None and loss else ""))
        if not parts:
            raise FigureError("depth needs a result of a row and of its comparison; there is none yet: `ablate run`.")
        largest = sorted(parts, key=lambda part: -abs(part.without.delta))[: self.limit]
        kept = tuple(part for part in parts if part in largest)
        halves = [loss.high - loss.delta for part in kept for loss in _both(part) if loss.high is not None]
        return Depth(
            study=source.study, metric=source.titled(source.metric), better=source.better,
            against=source.label(first.compared_with or ""), minimum_effect=source.minimum_effect, seeds=source.seeds,
            parts=kept, digits=decimals(halves), covers=percent(first.confidence), missing=tuple(missing),
            left_out=len(parts) - len(kept),
        )  # fmt: skip

    def scene(self, info: Depth) -> Scene:
        controlled = [(i, part.control) for i, part in enumerate(info.parts) if part.control is not None]
        marks = around_zero(info.minimum_effect)
        if controlled:
            marks.append(_line("as much smaller elsewhere", controlled, "vermillion", "dashed", "hollow_square", 0.22))
        without = [(i, part.without) for i, part in enumerate(info.parts)]
        marks.append(_line("without the part", without, "blue", "solid", "circle", 0.0))
        told = [
            f"{part.label} {typeset(part.without.delta, info.digits, sign=True)}"
            + (f" ({part.beyond})" if part.beyond else "")
            for part in info.parts
        ]
        panel = Panel(
            x=Axis(f"Δ {info.metric} vs {info.against}"),
            y=Axis(
                low=-0.6, high=len(info.parts) - 0.4, reverse=True,
                ticks=tuple((float(i), with_minus(part.label)) for i, part in enumerate(info.parts)),
            ),
            marks=tuple(marks),
            height=0.6 + 0.26 * len(info.parts),
            side=(Column("", tuple((float(i), numbers(p.without, info.digits)) for i, p in enumerate(info.parts))),),
        )  # fmt: skip
        return Scene(
            title=f"{info.study}: {info.metric} without each part",
            caption=_caption(info),
            alt=f"Differences in {info.metric} of {len(info.parts)} parts along the depth: {in_words(told)}.",
            panels=(panel,),
        )


def _of(row: Row) -> tuple[str, str | None]:
    return row.design, row.compared_with


def _both(part: PartLoss) -> list[Loss]:
    return [part.without, *([part.control] if part.control is not None else [])]


def _loss(row: Row) -> Loss | None:
    if row.delta is None:
        return None
    return Loss(row.delta, row.delta_ci_low, row.delta_ci_high, row.judged)


def _line(
    label: str, losses: Sequence[tuple[int, Loss]], colour: Colour, dash: Dash, marker: Marker, below: float
) -> Series:
    return Series(
        x=tuple(loss.delta for _, loss in losses),
        y=tuple(i + below for i, _ in losses),
        low=tuple(loss.low for _, loss in losses),
        high=tuple(loss.high for _, loss in losses),
        along="x",
        label=label,
        colour=colour,
        dash=dash,
        marker=marker,
        width=1.0,
    )


def _caption(info: Depth) -> str:
    sentences = [
        f"Differences in {info.metric} ({info.better} is better) from {info.against}, the first part at the top, each "
        f"with its own {info.covers} interval where there is one. n: {len(info.seeds)} seeds planned."
    ]
    if any(part.control is not None for part in info.parts):
        sentences.append(
            "Dashed: the part is there, and the others lack as much as it holds; what separates the two is what the "
            "part does beyond its size."
        )
    if info.minimum_effect:
        sentences.append(f"Shaded: within the minimum effect of ±{number(info.minimum_effect)}.")
    if info.missing:
        sentences.append(f"Without a result: {in_words(info.missing)}.")
    if info.left_out:
        sentences.append(f"The {len(info.parts)} largest of {len(info.parts) + info.left_out} parts.")
    return " ".join(sentences)
