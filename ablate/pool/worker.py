"""What a child process does: execute one run and say over its channel what happens. It never opens the database.

On the channel, a message a line (messages.py). In: a Job, and perhaps later a Pause, which is heeded after a step. Out:
Said any number of times, then Done or Broken. A write blocks while the dispatcher is busy: that is the back-pressure
which keeps finished results from piling up unsaved.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import io
import math
import os
import select
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from ablate.errors import AblateError, ChangedError, DataError, NoResultError, PausedError
from ablate.pool import words
from ablate.pool.folders import LOG, take_over
from ablate.pool.messages import Broken, Done, Job, Pause, Said, decode, encode
from ablate.pool.seeding import own_modules, seed_everything, set_threads
from ablate.pool.signals import handle
from ablate.records import Reason, RunSpec, TaskUse
from ablate.registry import Registry
from ablate.training import examples
from ablate.training.task import Report, Run, Task, resolve

_LONGEST = 100_000
"""Characters of a traceback that are kept, the last ones."""

_NOT_ITS_FAULT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENFILE, errno.ESTALE})
"""A disk that is full, broken or gone, or a host without files left: another run would fare alike, and this one better
later. Not EMFILE and EROFS: files that a task never closes and a folder that it may not write are so next time, too,
and it would be tried again for ever."""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "Unable to allocate")

_REHEARSALS = 60
"""Python specialises what it has executed some 50 times."""

ENDING_S = 10.0
"""How long the handlers of a task's end may take before its result is told."""

Say = Callable[[Said], None]


class BadResultError(Exception):
    """The task gave something that is no set of metrics."""


class DivergedError(Exception):
    """A metric is NaN or infinite."""


def main(descriptor: int, loaded: Mapping[str, str], threads: int, job: Job | None = None) -> int:
    """Execute the run that arrives on `descriptor`, or `job`, for which that is the channel. `loaded`: hashes of the
    user's files as they were when loaded, by the server and, from now on, by this process."""
    channel = _Channel(descriptor)
    if job is None:
        line = channel.hear()
        if not line:
            return 1
        job = decode(line, Job)
    os.environ.update(job.environment)
    told = False
    try:
        take_over(job.spec)
        _log_to(job.spec.folder)
        last = _execute(job, loaded, threads, channel.say, channel.pause_asked)
        with contextlib.suppress(OSError):  # a full disk: then it is only said
            words.keep(job.spec.folder, job.token, last)
        # First, for whatever comes after it (a logger's handlers, a flush, a crash) takes nothing back.
        channel.say(last)
        told = True
        _leave(job.spec)
    except BrokenPipeError:
        return 1  # the dispatcher is gone, and nobody else may be told
    except OSError as error:  # the run's folder or its log: a full disk, say
        if not told:
            channel.say(Broken(reason_of(error), _last_line(error), traceback.format_exc()))
    return 0


class _Channel:
    """The channel to the dispatcher. Not a socket, whose methods are written in Python: each page of code that a child
    touches is copied. For the same reason a file is made of it only when something comes in."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._incoming: BinaryIO | None = None

    def hear(self) -> bytes:
        """The next line; empty where there is none any more."""
        if self._incoming is None:
            self._incoming = open(self._descriptor, "rb", closefd=False)  # noqa: SIM115  # as long as the process
        return self._incoming.readline()

    def say(self, message: Said | Done | Broken) -> None:
        data = encode(message) + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]

    def pause_asked(self) -> str:
        readable, _, _ = select.select([self._descriptor], [], [], 0)
        line = self.hear() if readable else b""
        return decode(line, Pause).why if line else ""


_made: list[tuple[object, Registry, Task]] = []


def made(use: TaskUse, plugins: Sequence[str], path: Sequence[str]) -> tuple[Registry, Task]:
    """A task, and the plug-ins that it may ask for. Made once by the server, so that its children find what it read and
    checked: the options of a script, say."""
    asked = (use, tuple(plugins), tuple(path))
    for known, registry, task in _made:
        if known == asked:
            return registry, task
    registry = Registry([Path(folder) for folder in plugins], path)
    _made.append((asked, registry, resolve(use, registry, path)))
    return _made[-1][1:]


class _Nothing:
    """The task of a rehearsal."""

    vital = ()

    def execute(self, run: Run) -> Mapping[str, float]:  # noqa: ARG002
        return {"score": 1.0}


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


def _execute(
    job: Job, loaded: Mapping[str, str], threads: int, say: Say, pause_asked: Callable[[], str]
) -> Done | Broken:
    """Run the job and return its last message. Whatever the task raises is stored with the run."""
    spec, told = job.spec, ToldToEnd(job.grace_s)
    try:
        _check_sources(spec, loaded)
        set_threads(threads)
        seed_everything(spec.seed, threads, spec.sources)
        registry, task = made(spec.task, spec.plugins, spec.path)
        run = Run(spec, registry, job.device)
        if job.canary:
            return Done({}, _as_text(task.canary(run)))
        with told:
            values = _values(task, run, say, pause_asked, told)
        if spec.metric and spec.metric not in values:
            has = ", ".join(sorted(values)) or "none"
            text = run.outputs.get(f"note:{spec.metric}")
            said = "" if text is None else f" (it came back as the text {text!r:.80})"
            raise BadResultError(
                f"the study's metric {spec.metric!r} is not among the metrics that came back: {has}{said}"
            )
        _check_sources(spec, loaded)
        seen = {**_seen(values, job.device), **run.provenance}
        kept = _examples(run, values)  # first, for what it refuses is a note among the outputs
        return Done(values, _as_text(run.outputs), seen, {**_unplanned(spec, loaded), **run.executed}, kept)
    except BrokenPipeError:
        raise
    except BaseException as error:
        # What a person can mend is said in its message; a traceback would only hide it.
        detail = "" if isinstance(error, AblateError) else traceback.format_exc()[-_LONGEST:]
        with contextlib.suppress(OSError):  # a full disk has no room for the log either
            print(detail or error, file=sys.stderr)
        if told.asked:  # a loader whose workers were ended with it fails, too
            return Broken("lost", "the worker was told to end by SIGTERM", detail)
        return Broken(reason_of(error), _last_line(error), detail)


def rehearse() -> None:
    """What every child does, often enough for Python to have specialised its code and filled its caches. What it writes
    for that is then on the server's pages, and no child copies those for it."""
    spec = RunSpec("", TaskUse.of("a:b"), {"x": 1.0}, (), 0, 1, "", "", sources={"a": "b"}, metric="score")
    job, told = Job("", spec, "cpu", {"A": ""}), ToldToEnd(1.0)
    nothing = cast("Task", _Nothing())
    for _ in range(_REHEARSALS):
        run = Run(job.spec, Registry(), job.device)
        _check_sources(spec, spec.sources)
        values = _values(nothing, run, lambda _: None, str, told)
        encode(
            Done(
                values,
                _as_text(run.outputs),
                _seen(values, "cpu"),
                _unplanned(spec, spec.sources),
                _examples(run, values),
            )
        )


def _examples(run: Run, values: Mapping[str, float]) -> str:
    """The file in which the run's results example by example wait for the dispatcher; empty where there are none. What
    does not fit together ends no run: it is refused, and that is a note of the run."""
    if run.per_example is None:
        return ""
    try:
        settled = examples.settled(run.per_example, values, (run.spec.metric, *run.spec.also))
        return examples.write(settled, run.folder)
    except (DataError, OSError) as error:
        run.outputs["note:examples"] = f"refused: {error}"
        print(f"the results for each example are not kept: {error}", file=sys.stderr)
        return ""


def _as_text(outputs: Mapping[Any, Any]) -> dict[str, str]:
    """A task of the user's may put anything there."""
    return {str(name): str(value) for name, value in outputs.items()}


def reason_of(error: BaseException) -> Reason:
    """Why the run failed, told from what the task raised."""
    if isinstance(error, BadResultError | NoResultError):
        return "bad_result"
    if isinstance(error, DivergedError):
        return "diverged"
    if isinstance(error, ChangedError):
        return "code_changed"
    if isinstance(error, PausedError):
        return "pruned"
    if isinstance(error, MemoryError) or any(text in _text(error) for text in _OUT_OF_MEMORY):
        return "oom"
    if _not_its_fault(error):
        return "infrastructure"
    return "error"


def _not_its_fault(error: BaseException) -> bool:
    """Whether this, or what it was raised for, came from the host. Libraries that write files say it in their words."""
    seen: BaseException | None = error
    for _ in range(20):
        if seen is None:
            break
        if isinstance(seen, OSError) and seen.errno in _NOT_ITS_FAULT:
            return True
        seen = seen.__cause__ or seen.__context__
    return os.strerror(errno.ENOSPC) in _text(error)


def _last_line(error: BaseException) -> str:
    if isinstance(error, (BadResultError, DivergedError, AblateError)):
        return str(error)
    return f"{type(error).__name__}: {_text(error)}".strip().removesuffix(":")[:2000]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # what a user's class does when it is asked for its text is the user's
        return f"(its text cannot be told: {type(second).__name__})"


# -------------------------------------------------------------------------------------------------------- the result


def _values(task: Task, run: Run, say: Say, pause_asked: Callable[[], str], told: ToldToEnd) -> dict[str, float]:
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
            texts[name] = value[:_LONGEST]
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


CUDA_CONTEXT_MIB = 600
"""Allowed for what a process takes of a GPU beside its tensors: a careful guess, measured on no card yet."""


def _seen(values: Mapping[str, float], device: str) -> dict[str, float]:
    """What the run took of its GPU at most, in MiB: what torch held, or what a metric called `peak_mib` says."""
    if device == "cpu":
        return {}  # of a CPU's, the system tells (warm.py)
    peak = values.get("peak_mib", 0.0)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        peak = max(peak, torch.cuda.max_memory_reserved() / 2**20 + CUDA_CONTEXT_MIB)
    return {"device_peak_mib": peak} if peak else {}


# ------------------------------------------------------------------------------------------------------- the process


def _check_sources(spec: RunSpec, loaded: Mapping[str, str]) -> None:
    changed = [path for path, planned in spec.sources.items() if loaded.get(path) != planned]
    changed += [path for path, planned in spec.edited.items() if loaded.get(path, planned) != planned]
    if changed:
        raise ChangedError(f"{changed[0]} changed since the plan was made; run the same command again to plan anew")


def _unplanned(spec: RunSpec, loaded: Mapping[str, str]) -> dict[str, str]:
    """The user's files that this run executed and that its plan could not read from its imports, by their path from the
    study's folder. What lies in the run's own folder it has written itself, and in the temporary one a library (the
    kernels of torch.compile, say), unless the study lies there, too."""
    if loaded.keys() <= spec.sources.keys():
        return {}
    planned = {os.path.realpath(path) for path in spec.sources}
    from_here = os.path.realpath(spec.path[0]) if spec.path else os.sep
    folders = [os.path.realpath(folder) + os.sep for folder in (spec.folder, spec.cache, tempfile.gettempdir())]
    written = tuple(folder for folder in folders if not from_here.startswith(folder))
    return {
        os.path.relpath(path, from_here): sha
        for path, sha in sorted(loaded.items())
        if path not in planned and os.path.realpath(path) == path and not path.startswith(written)
    }


def _log_to(folder: str) -> None:
    """What the task prints goes to `log.txt` in the run's folder, not to the terminal."""
    log = os.open(os.path.join(folder, LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


_WRITERS = (io.TextIOWrapper, io.BufferedWriter)


def _leave(spec: RunSpec) -> None:
    """What Python does at a process's end, for os._exit, which ends a child, does none of it: the handlers that the
    task registered, and whatever its open files still hold. No failure in it undoes the run."""
    # What the server imported is frozen out of the collector's sight; there the names of the task's modules tell. To
    # unfreeze it would copy every page that the children share.
    held = [*gc.get_objects(), *(v for module, _ in own_modules(spec.sources) for v in vars(module).values())]
    try:
        with _within(ENDING_S):
            atexit._run_exitfuncs()
    except BaseException:  # SystemExit among them: the run is over, whatever its end says
        with contextlib.suppress(OSError):
            traceback.print_exc()
    for stream in (*held, sys.stdout, sys.stderr):
        if not isinstance(stream, _WRITERS):
            continue
        with contextlib.suppress(ValueError, OSError):
            stream.flush()


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """TimeoutError in the main thread after so long, whatever it waits for."""

    def over(*_: object) -> None:
        raise TimeoutError(f"the task's exit handlers took more than {seconds:g} s")

    handle(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
