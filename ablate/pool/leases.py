"""Whether another dispatcher's lease is over, believed only of one that was watched.

A lease is a time of the database's clock, which may jump, and this process may have been asleep together with the
owner. So one that looks over is watched first: for half of its length, by this process's own clock and without a gap.
Who lives renews it meanwhile. Pure: the time comes in.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from ablate.store.stored import LiveAttempt


def lease_s() -> float:
    """Seconds that a lease lasts without a sign of life ($ABLATE_LEASE_S; 30)."""
    return float(os.environ.get("ABLATE_LEASE_S", "30"))


@dataclass
class Leases:
    lease_s: float
    _seen: dict[str, tuple[float, float]] = field(default_factory=dict)
    _turned_s: float | None = None

    def turn(self, now_s: float) -> None:
        """A turn of the loop begins. One that took longer than a lease was none: this process was stopped, and whoever
        was stopped with it is to be heard before anything is taken from him."""
        if self._turned_s is not None and now_s - self._turned_s > self.lease_s:
            self._seen.clear()
        self._turned_s = now_s

    def over(self, attempts: Iterable[LiveAttempt], now_s: float) -> set[str]:
        """The tokens of those whose lease is over."""
        before, self._seen = self._seen, {}
        for attempt in attempts:
            if attempt.expired:
                until, since_s = before.get(attempt.token, (None, now_s))
                self._seen[attempt.token] = (attempt.lease_until, since_s if until == attempt.lease_until else now_s)
        return {token for token, (_, since_s) in self._seen.items() if now_s - since_s >= self.lease_s / 2}
