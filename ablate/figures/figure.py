"""The contract of a figure: what it is made from (`Source`), and how that becomes what it shows. `kinds/` has them.

A figure turns a source into its `info`, plain numbers and names that tests look at, and the info into a scene
(scene.py). Nothing here reads a store or computes a statistic (source.py).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.across import Ranking
from ablate.analysis.scores import Scores
from ablate.analysis.settings import Over
from ablate.analysis.tuned import TuningHistory
from ablate.errors import FigureError
from ablate.figures.scene import Scene
from ablate.records import Better, Interaction, Row
from ablate.registry import Plugin
from ablate.text import did_you_mean, in_words

# ------------------------------------------------------------------------------------------------------------- sources


@dataclass(frozen=True)
class SeedCurve:
    """A metric of one run by step. failed: why the run failed, whose curve then ends early; empty where it is done."""

    seed: int
    steps: tuple[int, ...]
    values: tuple[float, ...]
    failed: str = ""


@dataclass(frozen=True)
class Curve:
    """A metric of one variant by step. n: counted runs at each step; mean over them.

    low, high: the 95 % t interval of the mean, where n is 2 the range; None where n is 1 or the values do not differ.
    """

    variant: str
    metric: str
    steps: tuple[int, ...]
    n: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    seeds: tuple[SeedCurve, ...] = ()


@dataclass(frozen=True)
class Confusion:
    """Which class a variant's runs took for which. examples: the fingerprint of what they were measured on; n: of each
    class how many. counts: by seed, true class, then class that was said."""

    examples: str
    classes: tuple[str, ...]
    n: tuple[int, ...]
    counts: Mapping[int, NDArray[np.float64]]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.counts)

    def shares(self, seeds: Sequence[int]) -> NDArray[np.float64]:
        """(true, said) percent of each true class, mean over these seeds; 0 for a class without examples."""
        mean = np.mean([self.counts[seed] for seed in seeds], axis=0)
        return np.asarray(100 * mean / np.maximum(np.array(self.n), 1)[:, None])


@dataclass(frozen=True)
class WrongImage:
    """An image that runs got wrong, as a PNG in base64. said: most often, of the times that it was got wrong."""

    png: str
    true: str
    said: str
    times: int


def _untold(variant: str, *_: object) -> Any:
    raise FigureError(f"no run of {variant} told which class it gives each example.")


def _one_setting() -> Any:
    raise FigureError("this figure is over the settings of `across:`, and the study has one setting.")


@dataclass(frozen=True)
class Source:
    """Everything of a study that a figure may show, as plain data.

    rows: the table's, in the plan's order; further: those of tuned variants on fresh seeds and of means over bases.
    differences: of a row and its comparison each shared seed's.

    values: metric -> variant -> value by seed (in the order of `seeds`), None
    where the run is not counted. units, directions: of metrics, where known. failed: variant -> seed -> reason.
    curves: metric -> variant -> curve, of the metrics that have any. interactions: of a factorial; where there is
    none, `no_interactions` says why. best: the variant that the table calls best. measures: of a variant that trains
    nothing, whose final weights it evaluates; what happened epoch by epoch is known of that one. confusion: of a
    variant. mistakes: of a variant the images that most of its seeds get wrong, at most so many; how many any seed got
    wrong; how many there are; and how many seeds looked. Both read when they are called, and raise FigureError. over:
    of a study in several settings its rows over them; then there are no other rows. spent: what each counted run took,
    as `values` has it, under the names of `table --view cost`; metered: whose electricity was read, where it was not
    that of all parts (`processors`). Both read when they are called. ranking, scores: of its variants
    over all settings; they raise FigureError, too.
    """

    study: str
    metric: str
    better: Better
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    values: Mapping[str, Mapping[str, tuple[float | None, ...]]]
    further: tuple[Row, ...] = ()
    minimum_effect: float | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    directions: Mapping[str, Better] = field(default_factory=dict)
    failed: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    interactions: tuple[Interaction, ...] | None = None
    no_interactions: str = ""
    tuning: TuningHistory | None = None
    best: str | None = None
    measures: Mapping[str, str] = field(default_factory=dict)
    confusion: Callable[[str], Confusion] = _untold
    mistakes: Callable[[str, int], tuple[tuple[WrongImage, ...], int, int, int]] = _untold
    over: Over | None = None
    differences: Mapping[tuple[str, str], Sequence[float]] = field(default_factory=dict)
    spent: Callable[[], Mapping[str, Mapping[str, tuple[float | None, ...]]]] = dict
    metered: Callable[[], str] = str
    ranking: Callable[[], Ranking] = _one_setting
    scores: Callable[[], Scores] = _one_setting

    @property
    def of_settings(self) -> bool:
        """Whether it is of several settings together."""
        return self.over is not None and not self.rows

    @property
    def variants(self) -> tuple[str, ...]:
        """Every variant once, in the plan's order."""
        return tuple(dict.fromkeys(row.variant for row in self.rows))

    def label(self, variant: str) -> str:
        """What the table calls a variant, where all its rows call it the same; else its name."""
        labels = {self.named(row) for row in self.rows if row.variant == variant and row.kind != "beyond"}
        return labels.pop() if len(labels) == 1 else variant

    def named(self, row: Row) -> str:
        """A row as it is called where it stands alone: `- batch norm`, and `B - batch norm` where rows stand under
        several bases, or beside its control."""
        label = row.label or row.variant
        one_base = len(self._bases) < 2 and row.kind != "beyond"
        alone = one_base or row.compared_with is None or label[:2] not in ("- ", "+ ")
        return label if alone else f"{row.compared_with} {label}"

    def spoken(self, variant: str) -> str:
        """A variant as a sentence calls it: `B without batch norm`."""
        return next((row.spoken for row in self.rows if row.variant == variant and row.kind != "beyond"), variant)

    @cached_property
    def _bases(self) -> frozenset[str]:
        """What rows are named by how they differ from."""
        named = (row for row in self.rows if (row.label or "")[:2] in ("- ", "+ ") and row.kind != "beyond")
        return frozenset(row.compared_with for row in named if row.compared_with is not None)

    def find(self, variant: str) -> str:
        """A variant by its name or by what the table calls it. FigureError with the nearest name."""
        if variant in self.variants:
            return variant
        for name in self.variants:
            if self.label(name) == variant:
                return name
        near = did_you_mean(variant, self.variants)
        raise FigureError(f"{self.study} has no variant {variant!r}; it has {in_words(self.variants, 12)}.{near}")

    def curves_of(self, metric: str | None) -> tuple[str, Mapping[str, Curve]]:
        """A metric by step, None: the study's own. FigureError where no run reports it by step."""
        name = metric or self.metric
        if name not in self.curves:
            reported = (
                f"by step there is {in_words(tuple(self.curves))}" if self.curves else "nothing is reported by step"
            )
            raise FigureError(
                f"no finished run of {self.study} reports {name!r} step by step; {reported}."
                f"{did_you_mean(name, self.curves)}"
            )
        return name, self.curves[name]

    def values_of(self, metric: str | None) -> tuple[str, Mapping[str, tuple[float | None, ...]]]:
        """A metric of every run, None: the study's own. FigureError where no run reports it."""
        if not self.values and any(row.mean is not None for row in self.rows):
            raise FigureError(f"of {self.study!r} only means are known, no single run: it was imported so.")
        name = metric or self.metric
        if not any(value is not None for values in self.values.get(name, {}).values() for value in values):
            reported = in_words(tuple(self.values), 12) or "nothing"
            near = did_you_mean(name, self.values)
            raise FigureError(f"no finished run of {self.study} has a value of {name!r}; there is {reported}.{near}")
        return name, self.values[name]

    def titled(self, metric: str) -> str:
        """`dev accuracy (%)`."""
        name = metric.replace("_", " ")
        return f"{name} ({self.units[metric]})" if self.units.get(metric) else name


# -------------------------------------------------------------------------------------------------------------- figures


class Figure(Plugin):
    """One kind of figure. Its fields are its parameters, with defaults for all.

    over_settings: it shows all settings of a study together; any other shows one.
    """

    over_settings: ClassVar[bool] = False

    @abstractmethod
    def info(self, source: Source) -> Any:
        """What the figure shows, as a frozen dataclass of plain values. FigureError where these results do not allow
        the figure: why, and what would."""

    @abstractmethod
    def scene(self, info: Any) -> Scene:
        """The same, laid out. Equal infos give equal scenes."""
