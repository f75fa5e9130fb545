"""What a task gives back, step by step or at its end, as plain numbers; and how it is asked to end before."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ablate.errors import PausedError
from ablate.pool.messages import Said
from ablate.pool.reasons import BadResultError, DivergedError
from ablate.pool.signals import handle
from ablate.training.task import Report, Run, Task

LONGEST = 100_000
"""Characters that are kept of a text that a task gives as a metric."""

Say = Callable[[Said], None]


class TerminatedError(SystemExit):
    """SIGTERM. As other programs do, a task leaves by it: `finally` runs, and no traceback is its fault."""


class ToldToEnd(contextlib.AbstractContextManager["ToldToEnd"]):
    """What SIGTERM means to a run, unless its task has a handler of its own. A function gets TerminatedError where it
    is. A generator is asked to pause at its next step, and gets the error where it is after half of the grace."""

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self.asked = self.late = self.by_steps = False

    def __enter__(self) -> ToldToEnd:
        handle(signal.SIGTERM, self._heard)
        # What a task forks (a loader's workers) is ended by SIGTERM as everywhere, without a word of Python.
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
        return self

    def __exit__(self, *_: object) -> None:
        handle(signal.SIGTERM, signal.SIG_IGN)

    def _heard(self, *_: object) -> None:
        first, self.asked = not self.asked, True
        if self.late or (first and not self.by_steps):
            self.by_steps = True  # once
            self.late = False
            raise TerminatedError(128 + signal.SIGTERM)
        if first:
            timer = threading.Timer(self.grace_s / 2, self._no_step_came, [threading.get_ident()])
            timer.daemon = True
            timer.start()

    def _no_step_came(self, thread: int) -> None:
        self.late = True
        signal.pthread_kill(thread, signal.SIGTERM)


def values_of(task: Task, run: Run, say: Say, pause_asked: Callable[[], str], told: ToldToEnd) -> dict[str, float]:
    """The final metrics of a task that returns them, or yields them step by step (steps count from 1): of each the last
    value that there is.

    A pause is thrown into it after a step. What it yields in answer, if anything, is not taken: it stops either way.
    """
    asked = _Asked(pause_asked, told)
    run.report, run.stop_asked = partial(_logged_step, task, run, say), asked.by_task
    result = task.execute(run)
    if not isinstance(result, Iterator):
        values = _heard(task, result, run)
        asked.check()
        return run.logged | values
    values = {}
    step = 0
    told.by_steps = True
    while True:
        try:
            given = next(result)
        except StopIteration as end:
            asked.check()
            return run.logged | values | (_heard(task, end.value, run) if end.value is not None else {})
        if isinstance(given, Report):
            step, reported = given.number, _heard(task, given.values, run)
        else:
            step, reported = step + 1, _heard(task, given, run)
            values |= reported
        say(Said(step, reported))
        why = asked()
        if why:
            getattr(result, "throw", _raise)(PausedError(why))
            raise PausedError(why)


class _Asked:
    """Why the run is to stop, once somebody asked; a request is read from its channel once. heeded: the task knows."""

    def __init__(self, pause_asked: Callable[[], str], told: ToldToEnd) -> None:
        self.pause_asked, self.told = pause_asked, told
        self.why = ""
        self.heeded = False

    def __call__(self) -> str:
        self.why = self.why or self.pause_asked() or ("told to end by SIGTERM" if self.told.asked else "")
        return self.why

    def by_task(self) -> bool:
        """A task that looks is not interrupted by SIGTERM, unless it takes too long."""
        self.told.by_steps = True
        self.heeded = bool(self())
        return self.heeded

    def check(self) -> None:
        """A task that ended because it was to has no result."""
        if self.heeded:
            raise PausedError(self.why)


def _logged_step(task: Task, run: Run, say: Say, step: int, numbers: Mapping[str, float]) -> dict[str, float]:
    values = _heard(task, numbers, run)
    say(Said(step, values))
    return values


def _heard(task: Task, result: Any, run: Run) -> dict[str, float]:
    """A task's mapping as plain floats. Only what the study asks for, and what its task calls vital, ends a run as
    diverged; elsewhere a value that is not finite is a gap, and a text a note of the run."""
    values, texts = numbers(result)
    run.outputs.update({f"note:{name}": text for name, text in texts.items()})
    for name in (run.spec.metric, *run.spec.also, *task.vital):
        if not math.isfinite(values.get(name, 0.0)):
            raise DivergedError(f"metric {name!r} is {values[name]}")
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _raise(error: Exception) -> None:
    raise error


def numbers(result: Any) -> tuple[dict[str, float], dict[str, str]]:
    """A task's mapping as plain floats, nested ones with dots, and its texts. BadResultError for anything else."""
    if not isinstance(result, Mapping):
        raise BadResultError(
            f"the task gave {type(result).__name__} {str(result)[:80]!r}; it must give metric names with numbers"
        )
    values: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, value in _flat(result, ""):
        if isinstance(value, str):
            texts[name] = value[:LONGEST]
        elif isinstance(value, bytes) or not hasattr(value, "__float__"):
            raise BadResultError(f"metric {name!r} is {value!r:.80}; it must be a number")
        else:
            try:
                values[name] = float(value)
            except (TypeError, ValueError, OverflowError) as error:
                raise BadResultError(f"metric {name!r} cannot be read as one number: {error}") from None
    return values, texts


def _flat(result: Mapping[Any, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, value in result.items():
        if not isinstance(name, str):
            raise BadResultError(f"the task gave a metric called {name!r}; names are text")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value
