"""How many runs are handed over ahead of their slots. Of runs that take milliseconds, to wait for a commit after each
takes longer than to execute it; so where all of late were short, a few are claimed in one commit, and each starts as
soon as another has ended. Whichever slot is free takes the next one, so none waits behind a long run while there is
room. Pure: what was measured comes in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

AHEAD_S = 0.2
"""How long what waits ahead keeps the slots busy: two commits on a slow disk, and the time that ends are gathered."""
MOST_AHEAD = 32
KNOWN = 8
"""So many runs must have been short, the last ones, one after another."""
BACK_S = 2.0
"""What waits ahead for so long is taken back, for others may have room for it: the runs before it take long after all.
"""


@dataclass
class Pace:
    _took_s: deque[float] = field(default_factory=lambda: deque(maxlen=KNOWN))

    def ended(self, seconds: float | None) -> None:
        """A run finished after so long. None: one failed, or nobody knows, and what follows may be otherwise."""
        if seconds is None:
            self._took_s.clear()
        else:
            self._took_s.append(seconds)

    def ahead(self, waits: int, slots: int) -> int:
        """How many more to hand over now, where so many wait ahead of so many slots in use. Many at once, for each time
        is a commit: not before half of them have begun."""
        if len(self._took_s) < KNOWN or not slots:
            return 0
        most = int(min(MOST_AHEAD, slots * AHEAD_S / max(*self._took_s, 1e-3)))
        return most - waits if waits <= most // 2 else 0
