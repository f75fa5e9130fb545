"""`make bench`: what looking after runs costs, whoever executes them: the dispatcher's own CPU time, its longest hold of
the write lock, its memory, and what a run takes of the database.

The study, its plan, the store and the dispatcher are the real ones, each measurement in a process of its own; only the
runs are not executed. Their executor has 1,000 slots and says of each run that it started and, one after another, that
it ended: each end alone, as if nothing else came for a while, which is the dearest way for a dispatcher to hear it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestration import report, study

from ablate.pool.dispatcher import POLL_S, Dispatcher
from ablate.pool.executor import Event, Executor, Finished, Progressed, Slot, Started
from ablate.records import Json, RunSpec
from ablate.runs import planned, saving
from ablate.store.store import Store
from ablate.store.stored import Claim, Result
from ablate.terminal.live import View
from ablate.training.provenance import provenance

SLOTS = 1000
LARGE = 100_000
METRICS = ("loss", "accuracy", "score")


@dataclass
class Case:
    """runs: of the study; ends: how many of them end while it is measured, from when all slots are taken; all but these
    and SLOTS more were done before. steps: that each reports; gap_s: between two ends, None for each alone; idle_s:
    instead, nothing happens for so long."""

    runs: int
    ends: int = 1000
    steps: int = 0
    gap_s: float | None = None
    idle_s: float = 0.0


@dataclass
class Cost:
    """cpu_s: while it is measured; look_s: the first look, which reads every run; hold_s: of the longest write
    transaction, on the clock, and hold_cpu_s of this process; peak_mib: of the process; bytes: of the database at the
    end, begun: when the measurement began."""

    cpu_s: float
    wall_s: float
    look_s: float
    ended: int
    hold_s: float
    hold_cpu_s: float
    commits: int
    peak_mib: float
    begun: int
    bytes: int


class EnoughError(Exception):
    """As many runs ended as were to."""


class Trickling(Executor):
    """Slots of no host, in which nothing is executed."""

    place, engine = "nowhere", True

    def open(self, case: Case) -> Trickling:  # type: ignore[override]
        self.case = case
        self._slots = tuple(Slot(f"nowhere-{index}", 0) for index in range(SLOTS))
        self._begun: list[str] = []
        self._at_work: deque[str] = deque()
        self._steps: dict[str, int] = {}
        self.ended = 0
        self.from_s: float | None = None
        return self

    @property
    def room(self) -> int:
        return SLOTS

    def slots(self, here: Sequence[Slot], wanted: int) -> Sequence[Slot]:
        return self._slots

    def start(self, token: str, spec: RunSpec, slot: Slot, *, canary: bool = False, alone: bool = False) -> None:
        self._begun.append(token)

    def poll(self, timeout_s: float) -> Sequence[Event]:
        started: list[Event] = [Started(token, 4711, 1, {"node": "n1", "worker": "w1"}) for token in self._begun]
        self._at_work += self._begun
        self._begun = []
        if self.from_s is None:
            if len(self._at_work) < SLOTS or started:
                return started
            self.from_s = self._next_s = time.monotonic()
            self.cpu_from_s, self.bytes_from = cpu_s(), size()
        if self.case.idle_s:
            if time.monotonic() - self.from_s >= self.case.idle_s:
                raise EnoughError
            time.sleep(timeout_s)
            return ()
        if self.ended >= self.case.ends:
            raise EnoughError
        if self.case.gap_s is None:
            return started if timeout_s < POLL_S else [*started, *self._next()]
        events = started
        while self._next_s <= time.monotonic() and self.ended < self.case.ends:
            events += self._next()
            self._next_s += self.case.gap_s
        if not events:
            time.sleep(max(0.0, min(timeout_s, self._next_s - time.monotonic())))
        return events

    def _next(self) -> list[Event]:
        """The end of the run that began first, and a step each of as many others as a run has steps."""
        said: list[Event] = []
        for _ in range(self.case.steps):
            self._at_work.rotate(-1)
            token = self._at_work[0]
            step = self._steps[token] = self._steps.get(token, 0) + 1
            said.append(Progressed(token, step, dict.fromkeys(METRICS, step / 7)))
        self.ended += 1
        token = self._at_work.popleft()
        return [*said, Finished(token, {"score": 1.0}, {}, {"cpu_seconds": 0.01, "process_peak_mib": 100.0})]

    def stop(self, token: str, reason: Any, message: str) -> None: ...

    def close(self) -> None: ...


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measured(folder: Path, case: Case) -> Cost:
    """In this process: plan, store, dispatch."""
    os.chdir(folder)
    factors = 10 if case.runs >= 10_000 else 3
    toggles = "".join(f"  t{i}: {{set: {{t{i}: true}}}}\n" for i in range(factors))
    base = ", ".join(f"t{i}: false" for i in range(factors))
    seeds = -(-case.runs // 2**factors)
    name = study(folder, "big", f"base: {{{base}}}\ntricks:\n{toggles}designs: factorial\nseeds: {seeds}\n")
    plan = planned.find(name, "big.db")
    made = provenance(plan.study.path)
    holds: list[tuple[float, float]] = []
    with Store.open("big.db", write=True) as store:
        saving.save(plan, store)
        wanted = planned.specs(plan, store.folder)
        finish_before(store, list(wanted.values())[: max(0, len(wanted) - case.ends - SLOTS)], made)
        executor = Trickling().open(case)
        watch_holds(store, holds)
        view = View(quiet=True)
        dispatcher = Dispatcher(store, executor, (), wanted, plan.study.limits, listener=view, provenance=made)
        before_s = cpu_s()
        dispatcher.look_around()
        look_s = cpu_s() - before_s
        with suppress(EnoughError):
            dispatcher.run()
        assert executor.from_s is not None
        spent_s, wall_s = cpu_s() - executor.cpu_from_s, time.monotonic() - executor.from_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    longest = max(h[0] for h in holds), max(h[1] for h in holds)
    return Cost(spent_s, wall_s, look_s, executor.ended, *longest, len(holds), peak, executor.bytes_from, size())


def finish_before(store: Store, specs: Sequence[RunSpec], made: Mapping[str, Json]) -> None:
    """Results for these runs, as a dispatcher would have stored them."""
    for first in range(0, len(specs), 500):
        some = specs[first : first + 500]
        log = f"big/runs/{'0' * 16}-{store.identity}-{'0' * 16}"
        claims = [Claim(spec.key, f"{first + i:016x}", f"nowhere-{i}", 0, log) for i, spec in enumerate(some)]
        with store.transaction():
            store.claim_all(claims, host="nowhere", boot="b" * 48, owner="4711:123456", lease_s=30.0)
            given = {**made, "cpu_seconds": 0.01, "process_peak_mib": 100.0}
            store.finish_all([Result(claim.token, {"score": 1.0}, {}, given) for claim in claims])


def size() -> int:
    return sum(path.stat().st_size for path in Path().glob("big.db*"))


def watch_holds(store: Store, holds: list[tuple[float, float]]) -> None:
    """Note how long each write transaction held the lock: on the clock, and of this process's CPU time."""
    original = store.transaction

    @contextmanager
    def watched() -> Iterator[Any]:
        if store._joined is not None:
            with original() as connection:
                yield connection
            return
        with original() as connection:
            began = time.monotonic(), time.process_time()
            yield connection
        holds.append((time.monotonic() - began[0], time.process_time() - began[1]))

    store.transaction = watched  # type: ignore[method-assign]


def measure(case: Case) -> Cost:
    """In a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, folder, json.dumps(asdict(case))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps(asdict(measured(Path(sys.argv[1]), Case(**json.loads(sys.argv[2]))))))
        return
    small, large = measure(Case(2 * SLOTS)), measure(Case(LARGE))
    ms, at_small = 1e3 * large.cpu_s / large.ended, 1e3 * small.cpu_s / small.ended
    report("100,000 runs, 1,000 slots, each end alone: dispatcher", ms, "CPU ms/run", 5, f"{ms / at_small:.2f} x 2,000")
    report("its first look at 100,000 runs", large.look_s, "CPU s")
    steps = measure(Case(LARGE, steps=20))
    more = 1e3 * steps.cpu_s / steps.ended - ms
    report("20 steps of 3 metrics more", more, "CPU ms/run", 2)
    often = measure(Case(LARGE, gap_s=0.005))
    report("200 ends a second instead", 1e3 * often.cpu_s / often.ended, "CPU ms/run", None, f"{often.commits} commits")
    idle = measure(Case(LARGE, idle_s=60.0))
    report("1,000 of 100,000 runs at work, and nothing happens", 100 * idle.cpu_s / idle.wall_s, "% of a core", 1)
    report(
        "longest hold of the write lock, 1,000 handed over", large.hold_cpu_s, "CPU s", 0.25, f"{large.hold_s:.2f} s"
    )
    report("database at 100,000 runs", large.bytes / LARGE / 1e3, "KB/run", 2.5)
    values = steps.ended * 20 * len(METRICS)
    grown = (steps.bytes - steps.begun) - (large.bytes - large.begun)
    report("a value of a curve", grown / values, "B", 30)
    report("memory of the dispatcher at 100,000 runs", large.peak_mib * 2**20 / 1e6, "MB", 300)


if __name__ == "__main__":
    main()
