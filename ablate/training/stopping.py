"""Early stopping: when a training ends before its last epoch. Pure: a function of what the epochs so far reported.

So a training that goes on from a checkpoint, whose history it has, ends where an unbroken one ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ablate.registry import Count, NonNegative

Watched = Literal["dev_loss", "dev_accuracy", "train_loss"]
SIGNS: Mapping[str, int] = {"dev_loss": 1, "dev_accuracy": -1, "train_loss": 1}
"""What a metric that a training may watch is multiplied by so that lower is better."""


@dataclass(frozen=True)
class Stopping:
    """The training ends with the epoch in which `metric` was not better than its best for `patience` epochs.

    Better is by more than `minimum_delta`. The schedule is that of all `epochs`. The study's `metric.at: last` is then
    the epoch in which a run stopped, `best` its best one, and a numbered epoch is refused; the further metric
    `epochs_trained` says how many there were. A metric of dev lets the dev images choose when to stop.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    metric: Watched = "dev_loss"
    patience: Count = 5
    minimum_delta: NonNegative = 0.0

    def best(self, values: Sequence[float]) -> int:
        """The place of the best epoch by `values`, from 0."""
        at, sign = 0, SIGNS[self.metric]
        for epoch, value in enumerate(values):
            if sign * value < sign * values[at] - self.minimum_delta:
                at = epoch
        return at

    def stops(self, values: Sequence[float]) -> bool:
        """Whether the training ends after epochs in which the metric was `values`."""
        return bool(values) and len(values) - 1 - self.best(values) >= self.patience

    def said(self, values: Sequence[float], epochs: int) -> str:
        """Why a training that was to have so many epochs stopped after these."""
        best = self.best(values)
        return (
            f"stopped after epoch {len(values)} of {epochs}: {self.metric} was best after epoch {best + 1} "
            f"({values[best]:.6g}) and not better for {self.patience} epochs"
        )
