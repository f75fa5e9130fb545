"""Schedules: the factor of the learning rate, and the momentum, at a step. Imports no torch.

Each is a pure function of the step, and Plateau of the epochs' values as well: nothing counts along, so that a training
goes on from a checkpoint as it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Gt, Lt

from ablate.registry import NonNegative, Positive, Share, Size
from ablate.training.stopping import SIGNS, Watched

_CONFIG = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True)
class Constant:
    """The learning rate as it is, after a linear warm-up of `warmup_epochs`."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _CONFIG

    warmup_epochs: NonNegative = 0.0

    def at(self, step: int, steps: int, steps_per_epoch: int) -> tuple[float, float | None]:
        """(factor of the learning rate, momentum or None: as it is) at `step`, counted from 0."""
        warmup = min(self.warmup_epochs * steps_per_epoch, steps)
        if step < warmup:
            return (step + 1) / (warmup + 1), None
        return self.decay((step - warmup) / max(steps - warmup, 1)), None

    def decay(self, progress: float) -> float:
        """The factor when the share `progress` of the steps after the warm-up is behind."""
        return 1.0


@dataclass(frozen=True)
class Cosine(Constant):
    """Half a cosine from 1 down to `final` (Loshchilov & Hutter 2017, without restarts)."""

    final: Share = 0.0

    def decay(self, progress: float) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class StepDown(Constant):
    """Multiplied by `factor` at each of `milestones`, which are shares of the steps after the warm-up."""

    milestones: tuple[Share, ...] = (0.5, 0.75)
    factor: Positive = 0.1

    def decay(self, progress: float) -> float:
        return self.factor ** sum(progress >= milestone for milestone in self.milestones)


@dataclass(frozen=True)
class MultiStep(Constant):
    """Multiplied by `factor` once each of `milestones`, which are epochs, is behind; as torch's MultiStepLR. They count
    from the training's begin, warm-up included."""

    milestones: tuple[NonNegative, ...] = (30.0, 60.0)
    factor: Positive = 0.1

    def at(self, step: int, steps: int, steps_per_epoch: int) -> tuple[float, float | None]:
        warm, momentum = super().at(step, steps, steps_per_epoch)
        return warm * self.factor ** sum(step >= epoch * steps_per_epoch for epoch in self.milestones), momentum


@dataclass(frozen=True)
class Plateau(Constant):
    """Multiplied by `factor` each time that `metric` was not better than its best for more than `patience` epochs.

    Better is by more than the share `threshold` of the best; as torch's ReduceLROnPlateau. A metric of dev lets the dev
    images steer the training.
    """

    metric: Watched = "dev_loss"
    factor: Annotated[float, Gt(0), Lt(1)] = 0.1
    patience: Size = 10
    threshold: NonNegative = 1e-4

    def eased(self, values: Sequence[float]) -> float:
        """The factor after epochs in which the metric was `values`."""
        factor, best, waited = 1.0, math.inf, 0
        for value in values:
            found = SIGNS[self.metric] * value  # lower is better from here on
            if found < best - self.threshold * abs(best) or best == math.inf:
                best, waited = found, 0
            else:
                waited += 1
            if waited > self.patience:
                factor, waited = factor * self.factor, 0
        return factor


@dataclass(frozen=True)
class OneCycle:
    """Up in a cosine from 1/start_divisor to 1 over the first `warmup` of the steps, then down to that / end_divisor.

    momentum_cycle: an optimizer with momentum (or Adam's first beta) goes 0.95, 0.85, 0.95 meanwhile. Smith & Topin
    2018; numbers and shape are torch's OneCycleLR, which a test compares it with.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _CONFIG

    warmup: Share = 0.3
    start_divisor: Positive = 25.0
    end_divisor: Positive = 1e4
    momentum_cycle: bool = True

    def at(self, step: int, steps: int, steps_per_epoch: int) -> tuple[float, float | None]:
        start = 1 / self.start_divisor
        top = self.warmup * steps - 1
        if step <= top:
            part, low, high = (step / top if top > 0 else 1.0), start, 1.0
            momentum = _cosine(0.95, 0.85, part)
        else:
            part, low, high = (step - top) / max(steps - 1 - top, 1e-9), 1.0, start / self.end_divisor
            momentum = _cosine(0.85, 0.95, part)
        return _cosine(low, high, part), momentum if self.momentum_cycle else None


@dataclass(frozen=True)
class Rising(Constant):
    """The factor of every step, listed: a range test's, which no study asks for."""

    factors: tuple[float, ...] = ()

    def at(self, step: int, steps: int, steps_per_epoch: int) -> tuple[float, float | None]:
        return self.factors[step], None


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


Schedule = Constant | Cosine | StepDown | MultiStep | Plateau | OneCycle
SCHEDULES: Mapping[str, type[Schedule]] = {
    "constant": Constant,
    "cosine": Cosine,
    "step": StepDown,
    "multistep": MultiStep,
    "plateau": Plateau,
    "onecycle": OneCycle,
}
