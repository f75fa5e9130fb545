"""How long to wait after what is not a run's fault: a host without room for one more process, an attempt that got lost,
a disk that is full.

Pure: the time comes in. A host that refuses is asked for one run more at a time, ever later while it refuses; a run
that got lost waits twice as long each time, for what took its worker may still be about. After a run that met a full
disk, or the like, none is started for a while, for it would fare alike.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from ablate.text import duration

FIRST_S = 1.0
LONGEST_S = 60.0
LONGEST_TROUBLE_S = 300.0


@dataclass
class Backoff:
    """asked: how many runs may be at work at most. most: how many of them this host has room for, where it refused
    more."""

    asked: int
    most: int | None = None
    _why: str = ""
    _wait_s: float = 0.0
    _until_s: float = 0.0
    _later: dict[str, float] = field(default_factory=dict)
    _trouble_s: float = 0.0
    _from_s: float = 0.0

    def refused(self, why: str, working: int, now_s: float) -> None:
        """The host had no room beside so many runs. Many that were asked for at once are refused at once: one reason to
        wait."""
        if now_s < self._until_s:
            self.most = working
            return
        self._wait_s = min(2 * self._wait_s, LONGEST_S) if self._wait_s else FIRST_S
        self._why, self.most, self._until_s = why, working, now_s + self._wait_s

    def started(self, working: int, now_s: float) -> None:
        """The host took a run. If that was more than it had room for, it is asked for the next one soon."""
        if self.most is not None and working > self.most:
            self._wait_s, self.most, self._until_s = 0.0, working, now_s + FIRST_S
            if working >= self.asked:
                self.most = None

    def workers(self, now_s: float) -> int:
        """How many runs may be at work now."""
        if now_s < self._from_s:
            return 0
        if self.most is None:
            return self.asked
        return min(self.asked, self.most + (now_s >= self._until_s))

    def troubled(self, now_s: float) -> float:
        """A run met a full disk, or the like: how many seconds none is started; 0 where that was known."""
        if now_s < self._from_s:
            return 0.0
        self._trouble_s = min(2 * self._trouble_s, LONGEST_TROUBLE_S) if self._trouble_s else FIRST_S
        self._from_s = now_s + self._trouble_s
        return self._trouble_s

    def worked(self) -> None:
        """A run has finished, so the next trouble is a new one."""
        self._trouble_s = 0.0

    def lost(self, key: str, times: int, now_s: float) -> None:
        """A run's attempt got lost, so many in all."""
        self._later[key] = now_s + min(FIRST_S * 2 ** (times - 1), LONGEST_S)

    def early(self, now_s: float) -> Set[str]:
        """The runs that are still to wait."""
        self._later = {key: until_s for key, until_s in self._later.items() if until_s > now_s}
        return self._later.keys()

    def awaited(self, now_s: float) -> str:
        """What the host refuses; empty where it does not."""
        if now_s < self._from_s:
            return f"{duration(self._from_s - now_s)}, for a run met a full disk or the like"
        if self.most is None:
            return ""
        return (
            f"room for another run on this host ({self._why}); asked again after {duration(max(self._wait_s, FIRST_S))}"
        )
