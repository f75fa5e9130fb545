"""What finished runs said of each example: accuracy by class, and which class was taken for which. Reads when asked.

Only where a task keeps predicted classes (`classify` does); shares of right answers alone name no class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.comparisons import Array
from ablate.errors import AblateError
from ablate.records import Metric
from ablate.training.examples import At, Column, ExampleSet

if TYPE_CHECKING:
    from ablate.store.reader import Reader
    from ablate.store.stored import StoredCell


@dataclass(frozen=True)
class Said:
    """What one run said of a set of examples."""

    of: ExampleSet
    column: Column

    @property
    def labels(self) -> NDArray[np.int64]:
        """(examples,) the true class of each."""
        return np.asarray(self.of.labels, np.int64)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(examples,) the class that the run gave each."""
        return self.column.predicted(self.labels, len(self.of.classes))

    def accuracy(self) -> Array:
        """(classes,) percent of each class's examples that the run got right; NaN for a class without any."""
        count = len(self.of.classes)
        right = np.bincount(self.labels[self.column.right()], minlength=count)
        with np.errstate(invalid="ignore"):
            return np.asarray(100.0 * right / np.bincount(self.labels, minlength=count))

    def confusion(self) -> Array:
        """(true, said) the number of examples of one class that the run took for another."""
        count = len(self.of.classes)
        pairs = np.bincount(self.labels * count + self.predicted, minlength=count * count)
        return np.asarray(pairs.reshape(count, count), np.float64)


@dataclass(frozen=True)
class Predictions:
    """Where a study's finished runs told the class of each example. metric: of what; runs: (variant, seed) -> key.

    at: which epoch's, the study's own.
    """

    store: Reader
    metric: str
    at: At
    runs: Mapping[tuple[str, int], str]
    sets: Mapping[str, ExampleSet]

    def of(self, variant: str) -> dict[int, Said]:
        """What each seed of a variant said; seeds that told nothing are left out."""
        seeds = {key: seed for (name, seed), key in self.runs.items() if name == variant}
        read = self.store.examples(list(seeds), self.metric, self.at)
        return {seeds[one.run]: Said(self.sets[one.examples], one.column) for one in read}

    def one_set(self, variants: Sequence[str]) -> tuple[ExampleSet, dict[str, dict[int, Said]]]:
        """The same of several, all of the same examples. AblateError where they are not, or there are none."""
        said = {variant: self.of(variant) for variant in variants}
        sets = {of.of.fingerprint: of.of for each in said.values() for of in each.values()}
        if len(sets) != 1:
            raise AblateError(
                "the runs were measured on different examples." if sets else f"no run of {variants[0]} told any class."
            )
        return next(iter(sets.values())), said


def predictions(store: Reader, cells: Sequence[StoredCell], metric: Metric) -> Predictions | None:
    """None where no run told the class of an example."""
    runs = {(cell.variant, cell.seed): cell.run for cell in cells if cell.state == "done"}
    at: At = "best" if metric.at == "best" else "last"
    kept = store.with_examples(set(runs.values()))
    sets = store.example_sets({fingerprint for of in kept.values() for fingerprint in of.values()})
    with_classes = {name for name, of in sets.items() if of.classes}
    for key, of in kept.items():
        for name, epoch in of:
            if epoch == at and of[name, epoch] in with_classes:
                (one,) = store.examples([key], name, at)
                if "classes" in one.column.kind:
                    return Predictions(store, name, at, runs, sets)
    return None
