"""How long to wait after what is not a run's fault: a host without room for one more process, an attempt that got lost,
a disk that is full.

Pure: the time comes in. A host that refuses is asked for one run more at a time, ever later while it refuses; a run
that got lost waits twice as long each time, for what took its worker may still be about. After a run that met a full
disk, or the like, none is started for a while, for it would fare alike. Where others finish meanwhile it is that run's
own trouble: it waits alone. One that met nothing else for `limits.infrastructure` is given up until the next command.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Set
from dataclasses import dataclass, field

from ablate.text import duration

FIRST_S = 1.0
LONGEST_S = 60.0
LONGEST_TROUBLE_S = 300.0


@dataclass
class _Trouble:
    """What a run met, and nothing else, since when: how often, and what it was the last time."""

    since_s: float
    last_s: float
    times: int = 0
    why: str = ""


@dataclass
class Backoff:
    """asked: how many runs may be at work at most. patience_s: how long a run in trouble is tried again. most: how many
    runs this host has room for, where it refused more. given_up: runs that are not tried again."""

    asked: int
    patience_s: float = math.inf
    most: int | None = None
    given_up: set[str] = field(default_factory=set)
    _why: str = ""
    _wait_s: float = 0.0
    _until_s: float = 0.0
    _later: dict[str, float] = field(default_factory=dict)
    _trouble_s: float = 0.0
    _from_s: float = 0.0
    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    _worked_s: float = -math.inf

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

    def troubled(self, key: str, why: str, now_s: float) -> str:
        """A run met a full disk, or the like: what to say of it; empty where that was said."""
        trouble = self._troubles.setdefault(key, _Trouble(now_s, now_s))
        alone = self._worked_s > trouble.last_s
        trouble.times, trouble.last_s, trouble.why = trouble.times + 1, now_s, why
        own_s = min(FIRST_S * 2 ** min(trouble.times - 1, 20), LONGEST_TROUBLE_S)
        self._later[key] = now_s + own_s
        if now_s - trouble.since_s >= self.patience_s:
            self.given_up.add(key)
            return f"for {duration(now_s - trouble.since_s)} it met nothing else, so it is left to do"
        if alone:
            return f"others finish, so it alone is tried again after {own_s:g} s" if trouble.times == 2 else ""
        if now_s < self._from_s:
            return ""
        self._trouble_s = min(2 * self._trouble_s, LONGEST_TROUBLE_S) if self._trouble_s else FIRST_S
        self._from_s = now_s + self._trouble_s
        return f"it is tried again, and nothing else is started for {self._trouble_s:g} s"

    def ended(self, key: str) -> None:
        """A run ended, and not by what its host lacks."""
        self._troubles.pop(key, None)

    def worked(self, now_s: float) -> None:
        """A run has finished, so the next trouble is a new one."""
        self._trouble_s, self._worked_s = 0.0, now_s

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
            return f"{duration(self._from_s - now_s)}, for {self._met(now_s)}"
        if self.most is None:
            return ""
        return (
            f"room for another run on this host ({self._why}); asked again after {duration(max(self._wait_s, FIRST_S))}"
        )

    def in_trouble(self, keys: Collection[str], now_s: float) -> str:
        """What all of these runs wait for, where that is a disk with room or the like; else empty."""
        if not keys or not self._troubles.keys() >= set(keys):
            return ""
        return f"{duration(max(min(self._later[key] for key in keys) - now_s, 0.0))}, for {self._met(now_s)}"

    def _met(self, now_s: float) -> str:
        last = max(self._troubles.values(), key=lambda trouble: trouble.last_s, default=None)
        if last is None:
            return "a run met a full disk or the like"
        left = "" if math.isinf(self.patience_s) else f"; given up after {duration(self.patience_s)} of it"
        return f"a run met: {last.why} (since {duration(now_s - last.since_s)}{left})"
