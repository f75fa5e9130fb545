"""Whether seeds reach a command: a feed that ends a `run` once two seeds of a variant came to the same numbers.

A script that ignores its seed repeats one training however many seeds are planned. Told by every number that was
logged, measured costs aside; where all of them are shares of a count, which tie by chance, three seeds must be equal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ablate.pool.feed import Feed, Fixed, Seen
from ablate.programs.binding import REMEDIES
from ablate.records import Reason, RunSpec, is_cost
from ablate.store.reader import Reader
from ablate.study.plan import Plan
from ablate.text import many, seeds_in_words

ENOUGH_SHARES = 3
"""Seeds that must tie where no logged number is a real one."""


class Heeding:
    """Feeds what another feed wants, until seeds are seen to be ignored. said: then, the sentence; else empty."""

    def __init__(self, feed: Mapping[str, RunSpec] | Feed, store: Reader, plan: Plan) -> None:
        self.feed: Feed = Fixed(feed) if isinstance(feed, Mapping) else feed
        self.store, self.plan, self.said = store, plan, ""
        self._seeds: dict[str, dict[int, str]] = defaultdict(dict)
        self._open: dict[str, set[str]] = defaultdict(set)  # of what was not done when last asked: key -> its variants
        for run in plan.runs:
            self._seeds[run.variant][run.seed] = run.key
            self._open[run.key].add(run.variant)
        self._judged: dict[str, int] = {}
        states = store.states({run.key for run in plan.runs if run.key})
        self._before = {key for key, state in states.items() if state.state == "done"}  # a feed is asked before a look
        self._left: Mapping[str, RunSpec] = {}

    def wanted(self, seen: Seen) -> Mapping[str, RunSpec]:
        wanted = self.feed.wanted(seen)
        if self.said:
            return self._left
        new = {key for done in (seen.done, self._before) for key in self._open.keys() & done}
        touched = {variant for key in new for variant in self._open[key]}
        for variant in [variant for variant in self._seeds if variant in touched] if touched else ():
            keys = self._seeds[variant]
            done = [seed for seed, key in keys.items() if key in seen.done or key in self._before][:ENOUGH_SHARES]
            if len(done) >= 2 and self._judged.get(variant, 0) < len(done):
                if self._ignored(keys, done):
                    ended = seen.done | self._before | seen.failed.keys()
                    self.said = _sentence(variant, done, len({run.key for run in self.plan.runs} - ended))
                    self._left = {key: spec for key, spec in wanted.items() if key in ended}
                    return self._left
                self._judged[variant] = len(done) if self._equal(keys, done) else ENOUGH_SHARES
                if self._judged[variant] == ENOUGH_SHARES:
                    self._close(variant)
        for key in new:  # only now: what the database interrupts is asked again
            self._open.pop(key, None)
        return wanted

    def progressed(self, key: str, step: int, values: Mapping[str, float]) -> tuple[Reason, str] | None:
        return self.feed.progressed(key, step, values)

    def _close(self, variant: str) -> None:
        """Nothing more of it matters."""
        for key in self._seeds[variant].values():
            if key in self._open:
                self._open[key].discard(variant)
                if not self._open[key]:
                    del self._open[key]

    def _equal(self, keys: Mapping[int, str], seeds: Sequence[int]) -> bool:
        ends = [self._ends(keys[seed]) for seed in seeds]
        return bool(ends[0]) and all(end == ends[0] for end in ends)

    def _ignored(self, keys: Mapping[int, str], seeds: Sequence[int]) -> bool:
        if not self._equal(keys, seeds):
            return False
        ends = self._ends(keys[seeds[0]])
        for name in ends:
            curves = self.store.curves_of([keys[seed] for seed in seeds], name)
            if any(curves.get(keys[seed], {}) != curves.get(keys[seeds[0]], {}) for seed in seeds):
                return False
        from ablate.analysis.inert import real  # it loads numpy, which a run whose seeds differ does not need

        return len(seeds) >= ENOUGH_SHARES or any(real(value) for value in ends.values())

    def _ends(self, key: str) -> dict[str, float]:
        counted = next((attempt for attempt in self.store.attempts(key) if attempt.counted), None)
        metrics = counted.metrics if counted is not None else {}
        costs = self.plan.study.task.costs
        return {name: value for name, value in metrics.items() if value is not None and not is_cost(name, costs)}


def _sentence(variant: str, seeds: Sequence[int], left: int) -> str:
    return (
        f"the script ignores its seed: {seeds_in_words(seeds)} of {variant} came to the same numbers to the last "
        f"bit, so {many(left, 'run')} more would only repeat what is there, and none was begun. Remedies: {REMEDIES}."
    )
