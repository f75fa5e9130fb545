"""What a dispatcher does while the database is away: try again, ever less often, and say so.

Meanwhile it hears nobody, so its runs go on until the channel to it is full, and then wait: that is all that piles up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from ablate.errors import AwayError
from ablate.text import duration

FIRST_S, LONGEST_S = 0.1, 15.0
"""The first and the longest pause between two tries. Chosen: a server that restarts is back in seconds."""

T = TypeVar("T")


def pauses(first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> Iterator[float]:
    """Seconds to wait before each further try: twice as long each time."""
    while True:
        yield first_s
        first_s = min(2 * first_s, longest_s)


class Patience:
    """Tries again for `limit_s` what the database refuses for the moment. say: tells people; stopped: whether somebody
    asked to stop, which ends the waiting; it is asked twice a second."""

    def __init__(self, limit_s: float, say: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        self.limit_s = limit_s
        self._say, self._stopped = say, stopped

    def over(self, act: Callable[[], T]) -> tuple[T, float]:
        """What `act` gives, and how many seconds the database was away before. `act` is called again as a whole, so it
        must not have changed anything where it fails. AwayError when the limit is over."""
        began_s = time.monotonic()
        tries = pauses()
        told = False
        while True:
            try:
                given = act()
            except AwayError as error:
                away_s = time.monotonic() - began_s
                if away_s >= self.limit_s or self._stopped():
                    raise
                if not told:
                    self._say(f"{error} It is tried again for {duration(self.limit_s)}; what runs goes on.")
                    told = True
                self._sleep(min(next(tries), self.limit_s - away_s))
            else:
                away_s = time.monotonic() - began_s if told else 0.0
                if told:
                    self._say(f"the database is back after {duration(away_s)}.")
                return given, away_s

    def _sleep(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0 and not self._stopped():
            time.sleep(min(left_s, 0.5))
