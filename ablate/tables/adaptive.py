"""The sentences about adaptive seeds (looks.py): under a table, under its other views, and in a plan. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ablate.analysis.comparisons import ALPHA
from ablate.analysis.looks import levels
from ablate.records import Row
from ablate.text import Note, in_words, joined, listed, percent

if TYPE_CHECKING:
    from ablate.analysis.measured import Measured


def level(measured: Measured) -> str:
    """The level of one test as text: `0.05`, and of three looks `0.0034, 0.0093 and 0.037`."""
    if len(measured.looks) < 2:
        return f"{ALPHA:g}"
    return in_levels([len(part.seeds) for part in measured.looks])


def in_levels(sizes: Sequence[int]) -> str:
    return in_words([f"{at:.2g}" for at in levels(sizes)], most=len(sizes))


def interval(measured: Measured) -> str:
    """What the intervals cover: `95 %`, and of adaptive seeds `99.7 %, 99.1 % or 96.3 % (by look)`."""
    if len(measured.looks) < 2:
        return percent(1 - measured.alpha)
    covers = [percent(1 - part.alpha) for part in measured.looks]
    return f"{', '.join(covers[:-1])} or {covers[-1]} (by look)"


def under_table(rows: Sequence[Row], measured: Measured, saved: int, runs: int) -> list[str]:
    """How an adaptive study was tested, which rows stopped early and what that means; [] for any other study.

    rows: each comparison once. saved: how many of the `runs` of the full plan are not needed.
    """
    if not measured.looks:
        return []
    sizes = [len(part.seeds) for part in measured.looks]
    count, course = len(sizes), measured.course
    of_its, of_a = (f" of {whose} family" * (len(measured.families) > 1) for whose in ("its", "a"))
    sentences: list[str] = [
        Note(
            f"Adaptive seeds, looks at {joined(sizes)}: a row whose verdict a look settles gets no further seeds and "
            "stands as at that look; the others, and what they are compared with, go on to the next. The looks test at "
            f"{level(measured)}, by the squares of their seeds: p is Holm's over the comparisons{of_its} that no "
            f"earlier look found different, divided by the look's share of {ALPHA:g}, and intervals cover "
            f"{interval(measured)}, so that over all rows{of_a} and looks the chance of any false helps or hurts is at "
            f"most {percent(ALPHA)}, whatever stops a row."
        )
    ]
    stopped = [row for row in rows if row.stopped_early]
    if stopped:
        at = [f"{row.named} at look {row.look} ({row.planned} seeds)" for row in stopped]
        names = listed((row.spoken for row in stopped), most=4)
        sentences.append(
            Note(
                f"¶ stopped early: {listed(at)}. A difference that stopped its row is biased: outward where the "
                "verdict is helps or hurts, towards zero where it is equivalent.",
                f"¶ stopped early, so its difference is biased: {names}",
            )
        )
    if course.current is not None:
        before = "nothing is tested before it is over" if course.current == 0 else "open rows show the look before"
        said = f"ook {course.current + 1} of {count} ({sizes[course.current]} seeds) is under way; {before}"
        sentences.append(Note(f"L{said}.", f"! l{said}"))
    if saved:
        so_far = "" if course.current is None else " so far"
        sentences.append(
            Note(
                f"Seeds saved{so_far}: {saved} of the {runs} runs of the full plan ({sizes[-1]} seeds per variant) "
                "are not needed."
            )
        )
    return [*sentences, *_beyond(rows, measured)]


def _beyond(rows: Sequence[Row], measured: Measured) -> list[str]:
    """Which settled rows have runs that they do not show."""
    done = np.isfinite(measured.values[measured.metric.name]).sum(axis=1)
    counted = dict(zip(measured.variants, done.tolist(), strict=True))
    more = [
        f"{row.variant} ({counted[row.variant]})" for row in rows if row.stopped_early and counted[row.variant] > row.n
    ]
    return [
        Note(
            "Seeds run after the look that settled a row, for the sake of other rows, change nothing in it: "
            f"{listed(more)}."
        )
    ] * bool(more)


def each_trained_with(measured: Measured) -> str:
    """`3, 5 or 10 seeds`; empty where seeds are not adaptive."""
    sizes = [str(len(part.seeds)) for part in measured.looks]
    return f"{', '.join(sizes[:-1])} or {sizes[-1]} seeds" if len(sizes) > 1 else ""


def in_methods(measured: Measured) -> list[str]:
    """What the statistics paragraph of an adaptive study must say."""
    count = len(measured.looks)
    if count < 2:
        return []
    return [
        f"Seeds were added at {count} looks: a variant stopped at the look that settled its verdict and is shown as at "
        f"that look. Holm's method is applied to the comparisons not yet established, at {level(measured)} at one look "
        f"after the other (p is divided by the look's share of {ALPHA:g}), which keeps the family-wise error over all "
        f"looks at {ALPHA:g}."
    ]


def under_view(measured: Measured) -> list[str]:
    """What every other view of an adaptive study must say."""
    if not measured.looks:
        return []
    sizes = joined(len(part.seeds) for part in measured.looks)
    return [
        f"Seeds were added look by look ({sizes}) by the verdicts of the table's rows: variants have different numbers "
        "of seeds, and no p and no interval but that table's own allows for it. Exploratory."
    ]


def in_plan(looks: Sequence[int], least: int, most: int) -> str:
    """What a plan says. least, most: runs, where every verdict is settled at the first look, and where none is."""
    tests = f"the looks test at {in_levels(looks)}, {ALPHA:g} in all." if len(looks) > 1 else "one look."
    return (
        f"Adaptive seeds, looks at {joined(looks)}: {least} runs at least, where the first look settles every row, "
        f"{most} at most; {tests}"
    )
