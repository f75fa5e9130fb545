"""Adaptive seeds in a `run`: the feed that wants the next look's runs, and which runs of a plan are needed no more.

What a look settles is decided in looks.py from the stored results; here that becomes runs. Several dispatchers read the
same results and so want the same runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from ablate.analysis import results
from ablate.pool.feed import Seen
from ablate.records import RunSpec
from ablate.store.reader import Reader
from ablate.store.store import Store
from ablate.study.plan import Plan


class ByLook:
    """The feed of a study whose seeds are added look by look. specs: of all runs of the plan, in its order."""

    def __init__(self, store: Store, study: str, specs: Mapping[str, RunSpec]) -> None:
        self._store, self._study, self._specs = store, study, specs
        self._now: Mapping[str, RunSpec] = {}

    def wanted(self, seen: Seen) -> Mapping[str, RunSpec]:
        """The runs of the looks so far and of the one under way; what they measure anew is among them."""
        if len(seen.done) + len(seen.failed) < len(self._now):
            return self._now
        keys = set(results.load(self._store, self._study).wanted)
        keys |= {self._specs[key].evaluates for key in keys}
        if keys != self._now.keys():
            self._now = {key: spec for key, spec in self._specs.items() if key in keys}
        return self._now

    def progressed(self, key: str, step: int, values: Mapping[str, float]) -> None:
        pass


def saved(store: Reader, plan: Plan) -> frozenset[str]:
    """The keys of runs of this plan that adaptive seeds do not need any more; what was stored of another plan says
    nothing."""
    stored = store.study(plan.study.name) if "looks" in plan.study.analysis else None
    if stored is None:
        return frozenset()
    was, now = stored.record, plan.record
    same = (was.metric, was.analysis, was.rows) == (now.metric, now.analysis, now.rows)
    cells = [(cell.variant, cell.seed, cell.run) for cell in store.cells(plan.study.name)]
    if not same or cells != [(run.variant, run.seed, run.key) for run in plan.runs]:
        return frozenset()
    return results.load(store, plan.study.name).saved
