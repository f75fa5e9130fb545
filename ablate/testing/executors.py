"""What every executor must keep, as checks: for ablate's own, and for one that is added.

A check gets a `Site`, which says how the executor is opened in a folder and how what executes its runs is killed. It
raises AssertionError that says what does not hold. Tasks are functions of a few milliseconds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from ablate.pool.executor import Event, Executor, Failed, Finished, Needs, Progressed, Refused, Returned, Slot, Started
from ablate.pool.messages import Setup
from ablate.records import RunSpec, TaskUse
from ablate.training.provenance import provenance

T = TypeVar("T")
PATIENCE_S = 600.0
"""What takes longer hangs, however busy the machine or the queue is. Nothing here is judged by how fast it is."""
TASKS = '''"""Tasks of the executors' checks."""

import os
import sys
import time


def well(config, run):
    return {"score": 1.0 + run.seed}


def steps(config, run):
    for i in range(20):
        yield {"score": float(i)}


def badly(config, run):
    raise ValueError("the shapes do not match")


def leaves(config, run):
    os._exit(3)


def long(config, run):
    (run.folder / "pid").write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)
        yield {"score": 1.0}


def noise(config, run):
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.write(int(name), b"something else\\n")
            except OSError:
                pass
    return {"score": 1.0}
'''


@dataclass(frozen=True)
class Site:
    """opened: the executor, ready, for this setup and these needs. kill: end at once, without a word, whatever executes
    its runs; None where nothing can be killed but the dispatcher."""

    opened: Callable[[Setup, Needs], Executor]
    kill: Callable[[], None] | None = None


@dataclass
class _Ran:
    """An executor at work, and everything that it has told."""

    executor: Executor
    folder: Path
    events: list[Event]

    def start(self, token: str, function: str) -> None:
        spec = RunSpec(
            token, TaskUse.of(f"tasks_of_checks:{function}"), {}, (), 0, 1, str(self.folder / "runs" / token),
            str(self.folder), path=(str(self.folder),), metric="score",
        )  # fmt: skip
        slots = self.until(lambda: self.executor.slots([Slot("cpu", i) for i in range(4)], 200))
        self.executor.start(token, spec, slots[0])

    def until(self, wanted: Callable[[], T], seconds: float = PATIENCE_S) -> T:
        """What `wanted` gives once it is true, while events are heard."""
        until_s = time.monotonic() + seconds
        while not (given := wanted()):
            assert time.monotonic() < until_s, f"nothing came of it in {seconds:g} s; heard: {self.events[-3:]}"
            self.executor.slots((), 1)
            self.events += self.executor.poll(0.05)
        return given

    def of(self, token: str, *kinds: type[Event]) -> list[Event]:
        return [event for event in self.events if event.token == token and isinstance(event, kinds)]

    def end(self, *tokens: str) -> list[Event]:
        """The endings of these runs, each exactly one, also after a while in which another could come."""
        self.until(lambda: all(self.of(token, Finished, Failed, Refused) for token in tokens))
        self.events += self.executor.poll(0.3)
        counts = Counter(e.token for e in self.events if isinstance(e, Finished | Failed | Refused))
        assert all(counts[token] == 1 for token in tokens), f"endings of a token: {counts}"
        return [self.of(token, Finished, Failed, Refused)[0] for token in tokens]


def _begin(site: Site, folder: Path) -> _Ran:
    folder.mkdir(exist_ok=True)
    (folder / "tasks_of_checks.py").write_text(TASKS)
    setup = Setup(TaskUse.of("tasks_of_checks:well"), path=(str(folder),), database="checks", grace_s=2.0)
    return _Ran(site.opened(setup, Needs("checks", str(folder), made=provenance(), say=lambda _: None)), folder, [])


@contextmanager
def _begun(site: Site, folder: Path) -> Iterator[_Ran]:
    ran = _begin(site, folder)
    try:
        yield ran
    finally:
        ran.executor.close()


def _pid(ran: _Ran, token: str) -> psutil.Process:
    file = ran.folder / "runs" / token / "pid"
    return psutil.Process(int(ran.until(lambda: file.read_text() if file.is_file() else "")))


def every_run_ends_in_exactly_one_way(site: Site, folder: Path) -> None:
    with _begun(site, folder) as ran:
        wanted = {"well": "done", "badly": "error", "leaves": "error"}
        for function in wanted:
            ran.start(function, function)
        ended = ran.end(*wanted)
        told = {event.token: event.reason if isinstance(event, Failed) else "done" for event in ended}
        assert told == wanted, told
        assert all(ran.of(token, Started) for token in wanted), f"a run did not say that it started: {ran.events}"


def progress_comes_in_order_and_before_the_end(site: Site, folder: Path) -> None:
    with _begun(site, folder) as ran:
        ran.start("steps", "steps")
        ran.end("steps")
        told = [event.step if isinstance(event, Progressed) else 99 for event in ran.of("steps", Progressed, Finished)]
        assert told == [*range(1, 21), 99], told


def a_text_that_is_not_ours_ends_one_run_at_most(site: Site, folder: Path) -> None:
    with _begun(site, folder) as ran:
        ran.start("noise", "noise")
        ran.start("well", "well")
        noise, well = ran.end("noise", "well")
        assert isinstance(well, Finished), well
        assert isinstance(noise, Finished) or noise.reason == "bad_result", noise  # type: ignore[union-attr]


def two_hundred_that_start_at_once_all_end(site: Site, folder: Path) -> None:
    with _begun(site, folder) as ran:
        tokens = [f"many{i}" for i in range(200)]
        for token in tokens:
            ran.start(token, "well")
        assert all(isinstance(event, Finished) for event in ran.end(*tokens))


def a_run_is_stopped_while_it_runs_and_while_it_waits(site: Site, folder: Path) -> None:
    with _begun(site, folder) as ran:
        ran.start("runs", "long")
        process = _pid(ran, "runs")
        ran.start("waits", "long")
        for token in ("waits", "runs"):
            ran.executor.stop(token, "timeout", "took too long")
        for event in ran.end("waits", "runs"):
            assert isinstance(event, Failed), event
            assert (event.reason, event.message) == ("timeout", "took too long"), event
        assert not _lives(process), "a stopped run is gone when its end is told"


def a_run_that_is_stopped_as_it_starts_leaves_no_process(site: Site, folder: Path) -> None:
    with _begun(site, folder) as ran:
        ran.start("first", "well")  # after it nothing is to be imported any more, so that others begin at once
        ran.end("first")
        tokens = [f"early{i}" for i in range(6)]
        for i, token in enumerate(tokens):
            ran.start(token, "long")
            time.sleep(0.1 * i)
            ran.executor.stop(token, "timeout", "took too long")
            (event,) = ran.end(token)
            assert isinstance(event, Failed), event
            assert (event.reason, event.message) == ("timeout", "took too long"), event
        begun = [ran.folder / "runs" / token / "pid" for token in tokens]
        assert not [file for file in begun if _lives_still(file)], "what was stopped goes on"


def a_poll_waits_where_nothing_happens(site: Site, folder: Path) -> None:
    with _begun(site, folder) as ran:
        ran.start("long", "long")
        _pid(ran, "long")
        for what, done in (("something is at work", False), ("nothing is", True)):
            if done:
                ran.executor.stop("long", "cancelled", "enough")
                ran.end("long")
            began, polls = time.monotonic(), 0
            while time.monotonic() < began + 1:
                polls += not ran.executor.poll(0.1)
            # It may wake up for what is no event, at its own end of a channel, say.
            assert polls <= 100, f"{polls} polls of 0.1 s in a second gave nothing while {what}"


def close_leaves_no_run(site: Site, folder: Path) -> None:
    ran = _begin(site, folder)
    ran.start("long", "long")
    process = _pid(ran, "long")
    ran.executor.close()
    ran.until(lambda: not _lives(process))


def what_is_killed_without_a_word_is_lost_once(site: Site, folder: Path) -> None:
    if site.kill is None:
        return
    with _begun(site, folder) as ran:
        ran.start("long", "long")
        process = _pid(ran, "long")
        site.kill()
        (event,) = ran.end("long")
        assert isinstance(event, Failed), event
        assert event.reason == "lost", event
        ran.until(lambda: not _lives(process))


def what_is_left_goes_on_and_is_told_once_to_who_adopts_it(site: Site, folder: Path) -> None:
    first = _begin(site, folder)
    if not first.executor.keeps:
        first.executor.close()
        return
    first.start("long", "long")
    process = _pid(first, "long")
    first.start("well", "well")
    first.executor.leave()
    first.executor.close()
    time.sleep(0.5)
    assert _lives(process), "leaving ends nothing"
    second = _begin(site, folder)
    try:
        for token in ("long", "well"):
            second.executor.adopt(token)
        assert isinstance(second.end("well")[0], Finished)
        second.until(lambda: second.of("long", Progressed))
        second.executor.stop("long", "cancelled", "enough")
        (event,) = second.end("long")
        assert isinstance(event, Failed), event
        assert not second.of("long", Returned), "nobody gave it back"
    finally:
        second.executor.close()


def _lives_still(pid: Path) -> bool:
    try:
        return _lives(psutil.Process(int(pid.read_text())))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


CHECKS: Sequence[Callable[[Site, Path], None]] = (
    every_run_ends_in_exactly_one_way,
    progress_comes_in_order_and_before_the_end,
    a_text_that_is_not_ours_ends_one_run_at_most,
    two_hundred_that_start_at_once_all_end,
    a_run_is_stopped_while_it_runs_and_while_it_waits,
    a_run_that_is_stopped_as_it_starts_leaves_no_process,
    a_poll_waits_where_nothing_happens,
    close_leaves_no_run,
    what_is_killed_without_a_word_is_lost_once,
    what_is_left_goes_on_and_is_told_once_to_who_adopts_it,
)
"""A check's name is the sentence that would be false."""
