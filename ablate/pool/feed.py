"""The contract of a feed: who says which runs a dispatcher is to see through, and changes that with what comes out.

`ablate run` feeds its plan, which is fixed; adaptive seeds and searches feed runs as results come in. How runs are
ordered on slots, retried and stopped is scheduler.py's; a feed only wants and unwants.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Protocol

from ablate.records import Reason, RunSpec


@dataclass(frozen=True)
class Seen:
    """Which of the runs that its feed has wanted so far have ended, here or elsewhere: keys. A look at the dispatcher's
    own books, which change; copied they would cost every run the size of the plan.

    failed: given up, and why.
    """

    done: Set[str]
    failed: Mapping[str, Reason]


class Feed(Protocol):
    """Who says which runs a dispatcher is to see through, and may change that with what comes out: adaptive seeds, a
    search. Asked in the dispatcher's loop, so it must be quick. It may write to the dispatcher's store; there a run
    must be known (`run` table) before it is wanted."""

    def wanted(self, seen: Seen) -> Mapping[str, RunSpec]:
        """Every run that is wanted now (key -> specification), in the order in which to start them.

        Asked at the start, after every run that ended here for good and whenever the dispatcher looks around; not while
        it is stopping. The same object again means that nothing changed, and costs nothing. A key that is missing is
        not started any more; one that works goes on. A failed run starts again once it is to do again in the store
        (`Store.requeue`). Where everything has ended and nothing else is wanted, the dispatcher is finished.
        """

    def progressed(self, key: str, step: int, values: Mapping[str, float]) -> tuple[Reason, str] | None:
        """A run said something. Why it is to be stopped (reason, message), or None to let it go on."""


@dataclass(frozen=True)
class Fixed:
    """The feed of `ablate run`: what was planned, and nothing else."""

    specs: Mapping[str, RunSpec]

    def wanted(self, seen: Seen) -> Mapping[str, RunSpec]:  # noqa: ARG002
        return self.specs

    def progressed(self, key: str, step: int, values: Mapping[str, float]) -> None:
        pass
