"""The contract of an executor: it starts runs somewhere, reports what happens, stops them. Files in `executors/`.

An executor decides nothing and stores nothing: the dispatcher tells it what to start where, and commits its reports.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from ablate.pool.messages import Done, Setup
from ablate.records import AHEAD, Json, Limits, Reason, RunSpec
from ablate.registry import Plugin


@dataclass(frozen=True)
class Slot:
    """Where one run at a time may execute: slot `index` of a device ("cpu", "cuda:0") of an executor's place. Each slot
    of an engine is a device of its own, for where it will be nobody knows when it is booked. So is that of a run that
    is handed over ahead: it takes the slot of a run that ends (`Placed`)."""

    device: str
    index: int

    @property
    def is_ahead(self) -> bool:
        """Whether it is none yet."""
        return self.device.startswith(AHEAD)


@dataclass(frozen=True)
class Placed:
    """A run that was handed over ahead has the slot of one that ended. asked_s: since when, by this host's monotonic
    clock."""

    token: str
    slot: Slot
    asked_s: float = field(compare=False)


@dataclass(frozen=True)
class Started:
    """The attempt's process exists. `pid_started`: its start time in the kernel's units, to tell a reused pid apart.
    where: of an engine's, what tells a person where it is ("node", "worker")."""

    token: str
    pid: int
    pid_started: int
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Progressed:
    """Metrics of one step (for `classify`: an epoch, counted from 1)."""

    token: str
    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Finished:
    """The task returned. `outputs`: hashes of what it made; `provenance`: where it ran (versions, CPU kind, device);
    `examples`: the file in the run's folder with its results example by example, if there is one. seconds: how long it
    took where it ran; None where the dispatcher saw both ends itself."""

    token: str
    values: Mapping[str, float]
    outputs: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Json] = field(default_factory=dict)
    examples: str = ""
    seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Failed:
    """The attempt ended without a result. `detail`: a traceback or what the kernel said; `message`: its last line."""

    token: str
    reason: Reason
    message: str
    detail: str = ""
    provenance: Mapping[str, Json] = field(default_factory=dict)
    seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Returned:
    """The attempt was given back, politely: where it ran is wanted for something else. It waits for another place under
    the same token, which costs no attempt, and goes on from its checkpoint."""

    token: str
    message: str


@dataclass(frozen=True)
class Refused:
    """This host had no room for the attempt (no process, no open file), and why. Nothing of the run was executed."""

    token: str
    message: str


Event = Placed | Started | Progressed | Finished | Failed | Refused | Returned


def finished(token: str, word: Done, provenance: Mapping[str, Json] = MappingProxyType({})) -> Finished:
    """A worker's last word as an event. provenance: what the system says of its process."""
    executed = {"executed": dict(word.executed)} if word.executed else {}
    return Finished(token, word.values, word.outputs, {**provenance, **word.seen, **executed}, word.examples)


@dataclass(frozen=True)
class Needs:
    """What an engine is to know besides what its runs import.

    study: whose runs these are. folder: where the study's files lie, which every place must see. gpus (None: one where
    there is one), runs_per_gpu, memory_gib: of `resources`. made: what results are made with in this process
    (training/provenance.py), which every place must have alike. detach: whether the dispatcher leaves as soon as all is
    handed over. say: tells people.
    """

    study: str = ""
    folder: str = ""
    gpus: int | None = None
    runs_per_gpu: int = 1
    memory_gib: float | None = None
    limits: Limits = field(default_factory=Limits)
    made: Mapping[str, Json] = field(default_factory=dict)
    detach: bool = False
    say: Callable[[str], None] = print


NOTHING_MORE = Needs()


class Executor(Plugin, ABC):
    """Starts runs. Every token that was started ends in a Finished, Failed or Refused, whatever becomes of the worker.

    Found by name, as `ablate run --executor NAME`. Unlike other plug-ins it has a state, so subclasses are dataclasses
    that are not frozen: fields are parameters, and what `open` makes is no field.

    place: the name under which its slots are booked; empty: this host. keeps: its runs go on without their dispatcher;
    then its place is called ENGINE:NAME, and `adopt` and `leave` mean something. engine: it executes elsewhere than on
    this host, so this host's processors and GPUs are not what it has. queues: it takes runs ahead (Slot.is_ahead), and
    starts each as soon as another has ended.
    """

    place: str = ""
    keeps: bool = False
    engine: bool = False
    queues: bool = False

    @abstractmethod
    def open(self, setup: Setup, needs: Needs = NOTHING_MORE) -> Self:
        """Get ready to start runs that need what `setup` names; the executor itself. AblateError where it cannot.

        Called once, before any other method, and while no database is open: no process that is started here may hold
        the file.
        """

    def slots(self, here: Sequence[Slot], wanted: int) -> Sequence[Slot]:  # noqa: ARG002
        """Where runs may be started now; the same object again where nothing changed. Asked at every turn.

        here: the slots of this host that the study may use. wanted: how many runs wait or work.
        """
        return here

    @property
    def room(self) -> int:
        """Of an engine: how many runs execute at a time now, or will once its first workers are there; 1 at least."""
        return 1

    @property
    def awaits(self) -> str:
        """What an engine waits for before it can start another run; empty where nothing."""
        return ""

    @abstractmethod
    def start(self, token: str, spec: RunSpec, slot: Slot, *, canary: bool = False, alone: bool = False) -> None:
        """Start `spec` in `slot` under `token`, or hand it over to who will; returns at once. Its time begins with
        Started. alone: nothing else of the study may execute where it does, for it ran out of memory."""

    @abstractmethod
    def poll(self, timeout_s: float) -> Sequence[Event]:
        """What happened since the last call, oldest first. Where nothing has, it waits for `timeout_s`, or until
        something happens, an event or not: it is asked again at once, and would spin the processor."""

    @abstractmethod
    def stop(self, token: str, reason: Reason, message: str) -> None:
        """Kill the worker of `token`; a Failed with this reason follows from `poll` once it is gone.

        `pruned` asks instead: the worker leaves a checkpoint after its next step. One that says nothing any more, or
        that was done before it heard, ends in its own way.
        """

    def adopt(self, token: str) -> None:
        """Report on a run that an earlier dispatcher started, as if it had been started here (`keeps`)."""
        raise NotImplementedError(f"{type(self).__name__} keeps no runs")

    def leave(self) -> None:
        """Go without stopping anything (`keeps`)."""
        raise NotImplementedError(f"{type(self).__name__} keeps no runs")

    def queued(self, study: str, database: str) -> int:  # noqa: ARG002
        """How many jobs for runs of a study its queue still holds, waiting or at work, whoever submitted them. Asked of
        one that was not opened. AblateError where the queue does not answer."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """Kill whatever still runs and wait until it is gone. After `leave` there is nothing of ours."""
