"""A learning-rate range test: one short training whose rate rises at every step, and what its loss makes of that.

Smith 2017, Cyclical learning rates for training neural networks, arXiv:1506.01186, with the exponential rise, the
smoothing and the end of fastai's `lr_find`. What a batch's loss is at a rate hangs on the steps before: it is a hint of
where to search, and no comparison. Pure: the steps are the task's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

KEPT = 0.9
"""Of the smoothed loss at each step; fastai has 0.98, which lags some 50 of 100 steps behind."""
WORSE = 4.0
"""The test ends where the smoothed loss is so many times its lowest, as fastai's."""


@dataclass(frozen=True)
class RateTest:
    """rates, losses: of each step, the losses as the batches had them. smooth: their mean so far, weighted by how
    recent they are, corrected for its beginning. ended: whether it diverged before the highest rate."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]
    ended: bool

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss is lowest."""
        return self.rates[min(range(len(self.smooth)), key=self.smooth.__getitem__)]

    @property
    def steepest(self) -> float:
        """The rate up to the lowest at which the smoothed loss falls fastest by the logarithm of the rate."""
        last = self.rates.index(self.lowest)
        slopes = [self.smooth[i + 1] - self.smooth[i] for i in range(last)]  # the logarithms are equally far apart
        return self.rates[slopes.index(min(slopes))] if slopes else self.rates[0]


def rising(low: float, high: float, steps: int) -> list[float]:
    """Rates from low to high, each the same multiple of the one before."""
    return [low * (high / low) ** (step / (steps - 1)) for step in range(steps)]


def judged(stepped: Iterable[tuple[float, float]]) -> RateTest:
    """stepped: (rate, loss of the batch before its step), consumed until the test ends. A loss that is no number ends
    it, and does not count."""
    rates: list[float] = []
    losses: list[float] = []
    smooth: list[float] = []
    average, ended = 0.0, False
    for rate, loss in stepped:
        ended = not math.isfinite(loss)
        if ended:
            break
        average = KEPT * average + (1 - KEPT) * loss
        rates.append(rate)
        losses.append(loss)
        smooth.append(average / (1 - KEPT ** len(rates)))
        ended = len(rates) > 10 and smooth[-1] > WORSE * min(smooth)
        if ended:
            break
    return RateTest(tuple(rates), tuple(losses), tuple(smooth), ended)
