"""The contract of an executor: it starts runs somewhere, reports what happens, stops them. Files in `executors/`.

An executor decides nothing and stores nothing: the dispatcher tells it what to start where, and commits its reports.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from ablate.pool.messages import Done, Setup
from ablate.records import Json, Reason, RunSpec
from ablate.registry import Plugin


@dataclass(frozen=True)
class Slot:
    """A place where one run at a time may execute: slot `index` of a device ("cpu", "cuda:0") of this host."""

    device: str
    index: int


@dataclass(frozen=True)
class Started:
    """The attempt's process exists. `pid_started`: its start time in the kernel's units, to tell a reused pid apart."""

    token: str
    pid: int
    pid_started: int


@dataclass(frozen=True)
class Progressed:
    """Metrics of one step (for `classify`: an epoch, counted from 1)."""

    token: str
    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Finished:
    """The task returned. `outputs`: hashes of what it made; `provenance`: where it ran (versions, CPU kind, device);
    `examples`: the file in the run's folder with its results example by example, if there is one."""

    token: str
    values: Mapping[str, float]
    outputs: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Json] = field(default_factory=dict)
    examples: str = ""


@dataclass(frozen=True)
class Failed:
    """The attempt ended without a result. `detail`: a traceback or what the kernel said; `message`: its last line."""

    token: str
    reason: Reason
    message: str
    detail: str = ""
    provenance: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """This host had no room for the attempt (no process, no open file), and why. Nothing of the run was executed."""

    token: str
    message: str


Event = Started | Progressed | Finished | Failed | Refused


def finished(token: str, word: Done, provenance: Mapping[str, Json] = MappingProxyType({})) -> Finished:
    """A worker's last word as an event. provenance: what the system says of its process."""
    executed = {"executed": dict(word.executed)} if word.executed else {}
    return Finished(token, word.values, word.outputs, {**provenance, **word.seen, **executed}, word.examples)


class Executor(Plugin, ABC):
    """Starts runs. Every token that was started ends in a Finished, Failed or Refused, whatever becomes of the worker.

    Found by name, as `ablate run --executor NAME`. Unlike other plug-ins it has a state, so subclasses are dataclasses
    that are not frozen: fields are parameters, and what `open` makes is no field.
    """

    @abstractmethod
    def open(self, setup: Setup) -> Self:
        """Get ready to start runs that need what `setup` names; the executor itself. AblateError where it cannot.

        Called once, before any other method, and while no database is open: no process that is started here may hold
        the file.
        """

    @abstractmethod
    def start(self, token: str, spec: RunSpec, slot: Slot, *, canary: bool = False) -> None:
        """Start `spec` in `slot` under `token`; returns at once."""

    @abstractmethod
    def poll(self, timeout_s: float) -> Sequence[Event]:
        """What happened since the last call, oldest first; waits up to `timeout_s` where nothing has."""

    @abstractmethod
    def stop(self, token: str, reason: Reason, message: str) -> None:
        """Kill the worker of `token`; a Failed with this reason follows from `poll` once it is gone.

        `pruned` asks instead: the worker leaves a checkpoint after its next step. One that says nothing any more, or
        that was done before it heard, ends in its own way.
        """

    @abstractmethod
    def close(self) -> None:
        """Kill whatever still runs and wait until it is gone."""
