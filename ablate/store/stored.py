"""What comes back from the database, as plain records: no SQLAlchemy here, so anyone may import it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from ablate.errors import AblateError
from ablate.records import AHEAD, Json, Reason, Role, State
from ablate.study.record import PlanRecord
from ablate.training.examples import Column, Examples


@dataclass(frozen=True)
class StoredStudy:
    name: str
    text: str
    record: PlanRecord
    sha: str
    planned_at: float

    def refuse_another(self, file: Path) -> None:
        """AblateError where the study is that of another file than this one. A file that is gone was moved here; one
        that says the same, in a second clone, say, asks the same."""
        record = self.record
        if record.imported is not None:
            whose = f"was imported from {record.imported.file}"
        elif record.file and Path(record.file) != file.resolve() and self._is_another(file):
            whose = f"is that of {record.file}"
        else:
            return
        raise AblateError(
            f"{file}: the study {self.name!r} of this database {whose}, and one would replace the other. Give this "
            f"file a name of its own, such as `study: {_own_name(file)}`, or another database with --db.",
            page="study-file",
        )

    def _is_another(self, file: Path) -> bool:
        theirs = Path(self.record.file)
        return theirs.is_file() and not (file.is_file() and file.read_bytes() == theirs.read_bytes())


class StoredCell(NamedTuple):
    """A cell and its run. attempts: executions that ended, interrupted ones left out. counted: the number of the
    attempt whose result counts. (A tuple is made in a fifth of the time, and a study may have 20,000.)"""

    variant: str
    seed: int
    role: Role
    run: str
    state: State
    reason: Reason | None
    attempts: int
    counted: int | None = None


class StoredAttempt(NamedTuple):
    """A counted attempt of a study's cell; seconds: from claim to result."""

    run: str
    variant: str
    seed: int
    outputs: dict[str, str]
    provenance: dict[str, Json]
    seconds: float


@dataclass(frozen=True)
class RunExamples:
    """A metric of a counted run, example by example. examples: the fingerprint of what it was measured on."""

    run: str
    examples: str
    column: Column


@dataclass(frozen=True)
class Kept:
    """What a finished run left: the folder of the attempt that counts, and the hashes of what it made."""

    folder: Path
    outputs: Mapping[str, str]


Fate = Literal["held", "gone", "expired", "left"]
"""What became of another dispatcher's attempt (pool/host.py)."""


@dataclass(frozen=True)
class LiveAttempt:
    """An attempt that has not ended. host: the place at which it is booked. seconds: since its start, and before that
    since its claim. expired: its lease, until `lease_until`, is over by the database's clock. note: what is odd about
    it. provenance: as JSON, what is known of where it is. log: its folder, as the database keeps it."""

    token: str
    run: str
    host: str
    boot: str
    pid: int | None
    pid_started: int | None
    owner: str
    device: str
    slot: int
    lease_until: float
    expired: bool
    seconds: float
    note: str | None = None
    provenance: str | None = None
    log: str = ""

    @property
    def where(self) -> dict[str, Json]:
        """What an engine said of where it is: nothing before it started, nor of one on a host of ours."""
        told = json.loads(self.provenance or "{}")
        return told if isinstance(told, dict) else {}

    @property
    def is_ahead(self) -> bool:
        """Whether it waits for one to end that executes now."""
        return self.device.startswith(AHEAD)

    @property
    def place(self) -> str:
        """Where it is, for people: a slot of a host, a node and its worker, or nowhere yet."""
        if self.device.startswith(("cpu", "cuda")):
            return f"{self.device}/{self.slot} of {self.host}"
        return f"{self.where['node']} ({self.where['worker']})" if "node" in self.where else f"the queue of {self.host}"


@dataclass(frozen=True)
class Claim:
    """A run that is to be executed in a slot, under a token. log: the attempt's folder, as the database keeps it."""

    run: str
    token: str
    device: str
    slot: int
    log: str


@dataclass(frozen=True)
class Begun:
    """The process of an attempt, by which a later dispatcher on its host knows whether it still lives, and where an
    engine has it. ago_s: how long ago it began, for what happened is written a little later."""

    token: str
    pid: int
    pid_started: int
    where: Mapping[str, Json] = field(default_factory=dict)
    ago_s: float = 0.0


@dataclass(frozen=True)
class Result:
    """What an attempt came to. seconds: what it took, by a clock that never jumps; None: by the database's."""

    token: str
    values: Mapping[str, float]
    outputs: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Json] = field(default_factory=dict)
    per_example: Examples | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Elsewhere:
    """What became of a run that was executed elsewhere. owner: who brings it in. reason: None where it has a result."""

    key: str
    owner: str
    values: Mapping[str, float]
    provenance: Mapping[str, Json] = field(default_factory=dict)
    reason: Reason | None = None
    message: str = ""


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt as `ablate show` and `why` print it. log: its folder's path; empty for one from elsewhere."""

    token: str
    device: str
    slot: int
    host: str
    seconds: float | None
    outcome: str | None
    reason: str | None
    message: str | None
    detail: str | None
    late: str | None
    log: str
    outputs: dict[str, str]
    provenance: dict[str, Json]
    counted: bool
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class Unasked:
    """A run that nothing needs any more. seconds: of all its attempts. size: bytes that its rows take, about."""

    key: str
    state: State
    seconds: float
    size: int


@dataclass(frozen=True)
class AttemptFolder:
    """An attempt and its folder. counts: whether its result is its run's. ended_s: how long ago it ended."""

    run: str
    live: bool
    counts: bool
    folder: Path
    ended_s: float
    whose: LiveAttempt


@dataclass(frozen=True)
class Spent:
    """An attempt that has ended: how long it took, on which device, what became of it, and whether its result counts.
    asked: (study, role, variant) of every cell that its run serves; empty where no study asks for it any more. gpus:
    how many it had; energy: what it took, in kWh, of processors (`cpu_kwh`) and of GPUs (`gpu_kwh`), and why one of
    them is not known (`unread`); empty where nobody looked. peak_mib: the most memory of its process; 0: not known."""

    run: str
    device: str
    seconds: float
    outcome: str
    reason: str | None
    counted: bool
    asked: frozenset[tuple[str, str, str]]
    threads: int
    gpus: int = 0
    energy: Mapping[str, Json] = field(default_factory=dict)
    peak_mib: float = 0.0


@dataclass(frozen=True)
class TestUse:
    """One prediction of the test set: which variant's weights, of which seeds."""

    variant: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class RunState:
    state: State
    reason: Reason | None
    attempts: int


def _own_name(file: Path) -> str:
    """The file's folder and stem, as a study may be called."""
    return re.sub(r"[^\w.+-]+", "-", f"{file.resolve().parent.name}-{file.stem}", flags=re.ASCII).strip("-.+_")[:64]
