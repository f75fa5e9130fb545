"""What a child process does: execute one run and say over its channel what happens. It never opens the database.

On the channel, a message a line (messages.py). In: a Job, and perhaps later a Pause, which is heeded after a step. Out:
Said any number of times, then Done or Broken. A write blocks while the dispatcher is busy: that is the back-pressure
which keeps finished results from piling up unsaved.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from ablate.errors import AblateError, ChangedError, DataError
from ablate.pool import words
from ablate.pool.folders import LOG, take_over
from ablate.pool.messages import Broken, Done, Job, Pause, Said, decode, encode
from ablate.pool.reasons import BadResultError, last_line, reason_of
from ablate.pool.returned import Say, ToldToEnd, values_of
from ablate.pool.seeding import own_modules, seed_everything, set_threads
from ablate.pool.signals import handle
from ablate.records import RunSpec, TaskUse
from ablate.registry import Registry
from ablate.training import examples
from ablate.training.task import Run, Task, resolve

_LONGEST = 100_000
"""Characters of a traceback that are kept, the last ones."""

_REHEARSALS = 60
"""Python specialises what it has executed some 50 times."""

ENDING_S = 10.0
"""How long the handlers of a task's end may take before its result is told."""


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
            channel.say(Broken(reason_of(error), last_line(error), traceback.format_exc()))
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
            values = values_of(task, run, say, pause_asked, told)
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
        return Broken(reason_of(error), last_line(error), detail)


def rehearse() -> None:
    """What every child does, often enough for Python to have specialised its code and filled its caches. What it writes
    for that is then on the server's pages, and no child copies those for it."""
    spec = RunSpec("", TaskUse.of("a:b"), {"x": 1.0}, (), 0, 1, "", "", sources={"a": "b"}, metric="score")
    job, told = Job("", spec, "cpu", {"A": ""}), ToldToEnd(1.0)
    nothing = cast("Task", _Nothing())
    for _ in range(_REHEARSALS):
        run = Run(job.spec, Registry(), job.device)
        _check_sources(spec, spec.sources)
        values = values_of(nothing, run, lambda _: None, str, told)
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
