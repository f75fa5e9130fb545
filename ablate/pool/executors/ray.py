"""Ray: a task for each run, on a cluster that is there. Ray retries nothing: what is tried again is decided here.

A task's process keeps a pool of its own (local.py), which forks the runs that it gets one after the other, so that what
they import is paid once for each process, and nothing leaks from one run into the next. Tasks die with their driver,
and so does what they forked; to leave a study running, submit the command itself: `ray job submit -- ablate run ...`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TextIO

from ablate.errors import AblateError
from ablate.pool import host
from ablate.pool.executor import NOTHING_MORE, Event, Executor, Failed, Finished, Needs, Refused, Slot, Started
from ablate.pool.mailbox import EVENTS, differing, versions_of
from ablate.pool.messages import Setup, decode, encode
from ablate.records import Json, Reason, RunSpec
from ablate.registry import Registry
from ablate.text import listed, many
from ablate.training.provenance import provenance

LOOK_S = 5.0
"""How often the cluster is asked how large it is."""
ANSWERS_S, NODES_S = 10.0, 600.0
"""How long a cluster's address may take to answer, and its nodes, where others may keep every processor busy."""
LATE_S = 20.0
"""How long a run that was asked to end may take beyond its grace, before its process is killed."""
_HOME = str(Path(__file__).resolve().parents[3])


@dataclass
class _Task:
    """A run as a task: its stream of events. folder: of the run, where it is asked to stop; kill_s: when it is killed
    if it has not ended; stopped: why it is to end."""

    stream: Any
    folder: Path
    started: bool = False
    stopped: tuple[Reason, str] | None = None
    kill_s: float | None = None


@dataclass(eq=False)
class Ray(Executor):
    """address: of the cluster; auto: the one of this machine."""

    address: str = "auto"

    engine = True

    def open(self, setup: Setup, needs: Needs = NOTHING_MORE) -> Self:
        self.place = f"{host.place()}/ray/{os.getpid()}"
        self._setup, self._needs = setup, needs
        self._tasks: dict[str, _Task] = {}
        self._events: list[Event] = []
        self._slots: tuple[Slot, ...] = ()
        self._asked_s = float("-inf")
        self._ray = _connected(self.address)
        # Ray prints deaths of nodes to its driver's standard output, where the table is to be.
        self._stdout: TextIO = sys.stdout
        sys.stdout = sys.stderr
        gpus = needs.gpus if needs.gpus is not None else int(self._ray.cluster_resources().get("GPU", 0) >= 1)
        self._takes: dict[str, float] = {"num_cpus": setup.threads, "num_gpus": gpus / needs.runs_per_gpu}
        if needs.memory_gib is not None and not gpus:
            self._takes["memory"] = needs.memory_gib * 2**30
        made = self._ray.remote(num_returns="streaming", max_retries=0, max_calls=0)  # GPU tasks have 1 else
        self._run = made(_execute).options(**self._takes)
        self._ask_nodes()
        return self

    def _ask_nodes(self) -> None:
        """Whether every node sees the study's folder and has what the plan asks for. AblateError where one does not."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        probe = Path(self._needs.folder) / f".probe-{os.getpid()}"
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_text(probe.name)
        ask = self._ray.remote(_wrong_here)
        versions = versions_of(self._needs.made)
        nodes = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]
        try:
            answers = [
                ask.options(
                    num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], False)
                ).remote(str(probe), versions, encode(self._setup))
                for node in nodes
            ]
            wrong = [text for text in self._ray.get(answers, timeout=NODES_S) if text]
        except self._ray.exceptions.RayError as error:
            raise AblateError(f"the Ray cluster does not answer: {_first_line(error)}", page="ray") from None
        finally:
            probe.unlink(missing_ok=True)
            if sys.exc_info()[0] is not None:
                self.close()
        if wrong:
            self.close()
            raise AblateError(f"nothing was started: {wrong[0]}", page="ray")

    def slots(self, here: Sequence[Slot], wanted: int) -> Sequence[Slot]:  # noqa: ARG002
        if time.monotonic() - self._asked_s >= LOOK_S:
            self._asked_s = time.monotonic()
            sizes = {"CPU": self._takes["num_cpus"], "GPU": self._takes["num_gpus"]}
            sizes["memory"] = self._takes.get("memory", 0.0)
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            room = sum(_fitting(node, sizes) for node in nodes)
            if 2 * room != len(self._slots):  # as many wait as run, so that no processor does
                self._slots = tuple(Slot(f"ray-{index}", 0) for index in range(2 * room))
        return self._slots

    @property
    def room(self) -> int:
        return max(1, len(self.slots((), 1)) // 2)

    @property
    def awaits(self) -> str:
        takes = [many(int(self._takes["num_cpus"]), "CPU")]
        takes += [f"{self._takes['num_gpus']:g} GPUs"] * bool(self._takes["num_gpus"])
        takes += [f"{self._takes.get('memory', 0) / 2**30:g} GiB"] * ("memory" in self._takes)
        return "" if self._slots else f"a node of the Ray cluster that has {listed(takes)}, which a run takes"

    def start(self, token: str, spec: RunSpec, slot: Slot, *, canary: bool = False, alone: bool = False) -> None:
        assert not canary, "two steps are tried where the command runs"
        del slot, alone  # each task has what it asks for to itself
        stream = self._run.remote(encode(self._setup), token, encode(spec), bool(self._takes["num_gpus"]))
        self._tasks[token] = _Task(stream, Path(spec.folder))

    def poll(self, timeout_s: float) -> Sequence[Event]:
        self._kill_late()
        if not self._events and self._tasks:
            by_stream = {task.stream: token for token, task in self._tasks.items()}
            ready, _ = self._ray.wait(list(by_stream), num_returns=len(by_stream), timeout=0, fetch_local=False)
            if not ready:
                ready, _ = self._ray.wait(list(by_stream), num_returns=1, timeout=timeout_s, fetch_local=False)
            for stream in ready:
                self._hear(by_stream[stream])
        elif not self._events:
            time.sleep(timeout_s)
        events, self._events = self._events, []
        return events

    def _hear(self, token: str) -> None:
        task = self._tasks[token]
        exceptions = self._ray.exceptions
        try:
            event = decode(self._ray.get(next(task.stream)), *EVENTS)
        except StopIteration:
            self._fail(token, "lost", "its Ray task ended without a word")
        except exceptions.TaskCancelledError:
            self._fail(token, "cancelled", "its Ray task was cancelled")
        except exceptions.OutOfMemoryError as error:
            self._fail(token, "oom", _first_line(error))
        except exceptions.RayTaskError as error:
            self._fail(token, "infrastructure", _first_line(error), str(error))
        except exceptions.RayError as error:
            self._fail(token, "lost", _first_line(error))
        else:
            if isinstance(event, Finished | Failed | Refused):
                self._end(event)
            else:
                task.started |= isinstance(event, Started)
                self._events.append(event)

    def _fail(self, token: str, reason: Reason, message: str, detail: str = "") -> None:
        """A task has ended without a last word. Where that was asked for, Ray tells it in whichever of its ways, by how
        far the task had come."""
        stopped = self._tasks[token].stopped
        self._end(Failed(token, *stopped) if stopped else Failed(token, reason, message, detail))

    def _end(self, event: Event) -> None:
        task = self._tasks.pop(event.token)
        with suppress(OSError):
            _stop_file(task.folder).unlink(missing_ok=True)
        self._events.append(event)

    def stop(self, token: str, reason: Reason, message: str) -> None:
        task = self._tasks.get(token)
        if task is None:
            return
        if reason != "pruned":
            task.stopped = task.stopped or (reason, message)
        if task.started:  # by the folder, which every node sees: it may leave a checkpoint
            with suppress(OSError):
                _stop_file(task.folder).write_text(json.dumps([reason, message]))
            if reason != "pruned":
                task.kill_s = task.kill_s or time.monotonic() + self._setup.grace_s + LATE_S
        elif reason != "pruned":
            self._ray.cancel(task.stream, force=False)

    def _kill_late(self) -> None:
        for task in self._tasks.values():
            if task.kill_s is not None and time.monotonic() >= task.kill_s:
                task.kill_s = None
                self._ray.cancel(task.stream, force=True)

    def close(self) -> None:
        for task in self._tasks.values():
            with suppress(self._ray.exceptions.RayError):
                self._ray.cancel(task.stream, force=True)
        self._tasks.clear()
        try:
            self._ray.shutdown()  # which prints what Ray has held back as repeated
        finally:
            sys.stdout = self._stdout


def _fitting(node: Mapping[str, float], sizes: Mapping[str, float]) -> int:
    """How many runs fit on a node; none spans two. Thirds of a GPU add up to one, but for rounding."""
    return min(int(node.get(name, 0) / size + 1e-6) for name, size in sizes.items() if size)


def _connected(address: str) -> Any:
    """Ray's module, as a driver of the cluster. AblateError where there is none."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports to the internet otherwise
    try:
        import ray
    except ModuleNotFoundError:
        raise AblateError("--executor ray needs Ray: pip install 'ablate-studies[ray]'.", page="ray") from None
    _check_answers(address)
    path = os.pathsep.join(filter(None, [_HOME, os.environ.get("PYTHONPATH", "")]))
    try:
        ray.init(
            address=address, log_to_driver=False, configure_logging=False, namespace="ablate",
            runtime_env={"env_vars": {"PYTHONPATH": path, "PYTHONHASHSEED": "0"}},
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise AblateError(f"there is no Ray cluster at {address!r}: {_first_line(error)}", page="ray") from None
    return ray


def _check_answers(address: str) -> None:
    """AblateError where nobody listens at HOST:PORT: Ray itself goes on trying for minutes."""
    name, _, port = address.rpartition(":")
    if name and port.isdigit() and "/" not in name:
        try:
            socket.create_connection((name.strip("[]"), int(port)), timeout=ANSWERS_S).close()
        except (OSError, OverflowError) as error:
            raise AblateError(f"there is no Ray cluster at {address!r}: {_first_line(error)}", page="ray") from None


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]


def _stop_file(folder: Path) -> Path:
    return folder.with_name(f".stop-{folder.name}")


# -------------------------------------------------------------------------------------------------------- on a node


def _wrong_here(probe: str, versions: dict[str, str], setup: bytes) -> str:
    """What is not as the plan wants it on this node; empty where nothing."""
    node = host.host()
    try:
        seen = Path(probe).read_text() == Path(probe).name
    except OSError:
        seen = False
    unseen = decode(setup, Setup).unseen if seen else Path(probe).parent
    if unseen:
        return f"node {node} does not see {unseen}, which runs need; mount it at the same path."
    differs = differing(versions, versions_of(provenance()))
    return f"node {node} is not what the plan was made with: {'; '.join(differs)}." if differs else ""


_POOLS: dict[bytes, Executor] = {}
"""The pool of this process of Ray's, which serves one task after the other."""


def _execute(setup: bytes, token: str, spec: bytes, gpu: bool) -> Iterator[bytes]:
    """One run: its events, as they come."""
    host.gpus.cache_clear()  # which GPU is this task's is said anew each time
    run = decode(spec, RunSpec)
    if setup not in _POOLS:
        try:
            _POOLS[setup] = Registry().make("executors", "local", {}).open(decode(setup, Setup))
        except AblateError as error:
            yield encode(Failed(token, "error", str(error).strip().splitlines()[-1], str(error)))
            return
    try:
        yield from _executed(_POOLS[setup], token, run, Slot("cuda:0" if gpu else "cpu", 0))
    except BaseException:  # cancelled, as a task may be whose beginning its driver has not heard of: nothing stays
        _POOLS.pop(setup).close()
        raise


def _executed(pool: Executor, token: str, run: RunSpec, slot: Slot) -> Iterator[bytes]:
    """What happens to a run in the pool of this process, until its end."""
    made: dict[str, Json] = {**provenance(), "node": host.host()}
    pool.start(token, run, slot)
    stop = _stop_file(Path(run.folder))
    asked = False
    while True:
        for event in pool.poll(0.25):
            told: Event = event
            if isinstance(event, Started):
                told = replace(event, where={"node": host.host(), "worker": f"process {os.getpid()}"})
            elif isinstance(event, Finished | Failed):
                told = replace(event, provenance={**made, **event.provenance})
            yield encode(told)
            if isinstance(event, Finished | Failed | Refused):
                return
        if not asked and stop.exists():
            with suppress(OSError, ValueError):
                reason, message = json.loads(stop.read_text())
                pool.stop(token, reason, message)
                asked = reason != "pruned"
                stop.unlink(missing_ok=True)
