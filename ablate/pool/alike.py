"""Whether runs fail alike. Where none is done that is a mistake in what they have in common: the others would, too."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field

from ablate.pool.executor import Failed
from ablate.records import Reason

_VARIES = re.compile(r"[0-9a-f]{8,}|\d+(\.\d+)?")
"""A loss, a key, a pid: what differs from run to run in what is the same failure."""


@dataclass
class Alike:
    """Counts failures. enough: of one kind; excused: reasons that are not counted."""

    enough: int
    excused: Set[Reason]
    _failures: Counter[tuple[str, str]] = field(default_factory=Counter)

    def counted(self, failed: Failed) -> bool:
        """Count a failure for good; whether there are enough of its kind."""
        if failed.reason in self.excused:
            return False
        same = (failed.reason, _VARIES.sub("#", failed.message))
        self._failures[same] += 1
        return self._failures[same] >= self.enough
