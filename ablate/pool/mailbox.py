"""A folder on shared storage through which a dispatcher and its workers speak, wherever either of them is.

    plan.json                    what runs import, what every place must have alike, how often a sign of life is due
    todo/SEQ-TOKEN.json          a run to execute: written under another name, then renamed, so what is listed is whole
    taken/TOKEN@WORKER.json      the same, renamed by the worker that has it: one winner, and no lock
    said/WORKER.jsonl            what a worker says, appended by nobody else; only whole lines count
    alive/WORKER                 touched every beat by its worker, with who it is; gone when it leaves politely
    refused/WORKER               why a worker did not begin
    stop/TOKEN                   the dispatcher asks for an end, and why

No clock is compared with another: ages are differences of times that the file server gave. Of a network file system
nothing is believed that it does not promise: attributes may be cached, a listing and a file opened anew are not; a
rename that was sent twice says that its source is missing, so it is checked where the file is.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ablate.errors import AblateError, GarbledError
from ablate.pool import host
from ablate.pool.executor import Event, Failed, Finished, Progressed, Refused, Returned, Started
from ablate.pool.messages import Setup, decode, encode
from ablate.records import Json, Limits, Reason, RunSpec

BEAT_S = 5.0
"""How often a worker gives a sign of life: a file's time, so also what it costs the file server ($ABLATE_BEAT_S)."""
SILENT_BEATS = 5
"""After so many without one a worker is given up, and its runs with it. One may be late because its disk or its machine
is busy, not four in a row: a worker gives it between any two things that it does. The rest of the seven beats within
which a death is to be told is for the look that finds it and the commit that says so."""
FOLDERS = ("todo", "taken", "said", "alive", "refused", "stop", "jobs")
PLAN = "plan.json"
LEFT = "left after "
"""How the last line of a worker begins that left in good order."""
_ENDED = re.compile(rb'^{"(?:Finished|Failed)": {"token": "([^"]+)"', re.MULTILINE)
"""An end as `say` writes it: who only counts ends need not decode what may be many steps."""
VERSIONS = ("ablate", "python", "torch", "numpy")
"""What every place must have as the plan has it (training/provenance.py)."""

EVENTS: tuple[type[Event], ...] = (Started, Progressed, Finished, Failed, Refused, Returned)


def beat_s() -> float:
    return float(os.environ.get("ABLATE_BEAT_S", BEAT_S))


@dataclass(frozen=True)
class Plan:
    """What a worker is to know before it takes a run. seen: drawn anew each time, so that who was told it and reads
    another here looks at another folder."""

    setup: Setup
    study: str
    versions: Mapping[str, str]
    gpus: int | None = None
    runs_per_gpu: int = 1
    memory_gib: float | None = None
    limits: Limits = field(default_factory=Limits)
    beat_s: float = BEAT_S
    seen: str = ""


@dataclass(frozen=True)
class Order:
    """A run to execute. alone: nothing else may execute beside it."""

    token: str
    spec: RunSpec
    alone: bool = False


@dataclass(frozen=True)
class Alive:
    """Who a worker is. job: of the queue that started it, and how often that was started again; node: its machine;
    slots: runs at a time."""

    worker: str
    node: str
    slots: int
    job: str = ""
    again: int = 0


@dataclass
class Mailbox:
    """The folder, from either end. Its disk may be full and its server away: then what is to be written or listed is an
    OSError, and whoever wanted it tries again."""

    folder: Path
    _read: dict[str, int] = field(default_factory=dict)
    _cut: bool = False

    # --------------------------------------------------------------------------------------------- the dispatcher's end

    def make(self, plan: Plan) -> None:
        """AblateError where the folder cannot be made."""
        try:
            for name in FOLDERS:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            self._write(PLAN, encode(plan))
        except OSError as error:
            raise AblateError(f"{self.folder} cannot be written: {error.strerror}.") from None

    def hand_over(self, order: Order, sequence: int) -> str:
        """Let a run wait for a worker; its name in todo/."""
        name = f"{sequence:09d}-{order.token}{'.alone' * order.alone}.json"
        self._write(f"todo/{name}", encode(order))
        return name

    def ask_to_stop(self, token: str, reason: Reason, message: str) -> None:
        self._write(f"stop/{token}", json.dumps([reason, message]).encode())

    def withdraw(self, name: str) -> bool:
        """Take back a run that waits; False where a worker was first, or nobody can tell."""
        try:
            (self.folder / "todo" / name).unlink()
        except OSError:
            return False
        return True

    def forget(self, token: str, worker: str) -> None:
        """A run is over: what is left of it goes, and with it the worker's right to it."""
        self.take_away(token, worker)
        with suppress(OSError):  # what stays means nothing any more: a token is drawn for one run
            (self.folder / "stop" / token).unlink()

    def take_away(self, token: str, worker: str) -> bool:
        """End a worker's right to a run; False where it has given it back, or nobody can tell. One of the two wins."""
        try:
            self._taken(token, worker).unlink()
        except OSError:
            return False
        return True

    def folder_of(self, token: str, worker: str) -> Path | None:
        """Where a run's files are; None where the worker does not have it any more."""
        with suppress(OSError, GarbledError):
            return Path(decode(self._taken(token, worker).read_bytes(), Order).spec.folder)
        return None

    def news(self) -> list[tuple[str, Event]]:
        """What workers have said since the last call, each with its worker. Lines of others are passed over."""
        told: list[tuple[str, Event]] = []
        for name in self.names("said"):
            if not name.endswith(".jsonl"):
                continue
            try:
                with (self.folder / "said" / name).open("rb") as file:  # anew: close-to-open
                    file.seek(self._read.get(name, 0))
                    whole, _, _ = file.read().rpartition(b"\n")
            except OSError:
                continue
            if not whole:
                continue
            self._read[name] = self._read.get(name, 0) + len(whole) + 1
            for line in whole.split(b"\n"):
                with suppress(GarbledError):
                    told.append((name.removesuffix(".jsonl"), decode(line, *EVENTS)))
        return told

    def ended(self) -> set[str]:
        """Runs whose end a worker has told of, whether anybody has heard it or not."""
        tokens: set[str] = set()
        for name in self.names("said"):
            with suppress(OSError):
                tokens |= {token.decode() for token in _ENDED.findall((self.folder / "said" / name).read_bytes())}
        return tokens

    def pulse(self, name: str) -> float:
        """The file server's time now, by touching a file of our own, which says whose it is."""
        path = self.folder / "alive" / f".{name}"
        try:
            os.utime(path)
        except FileNotFoundError:  # whole when it is listed: who reads half of it takes nobody to be about
            self._write(f"alive/.{name}", f"{host.boot()} {host.this_process()}".encode())
        return path.stat().st_mtime

    def dispatchers(self, now: float, within_s: float) -> list[str]:
        """Who looks after runs of this folder, by a sign of life of late. Of this host the process itself is asked."""
        names = []
        for path in (self.folder / "alive").glob(".dispatcher-*"):
            with suppress(OSError, ValueError):
                boot, _, process = path.read_text().partition(" ")
                pid, started = map(int, process.split(":"))
                lives = boot != host.boot() or host.Process(pid, started).lives
                if lives and now - path.stat().st_mtime < within_s:
                    names.append(path.name.removeprefix("."))
        return names

    def living(self) -> dict[str, tuple[Alive, float]]:
        """Every worker that has not left, and when it gave its last sign of life, by the file server's time."""
        workers = {}
        for name in self.names("alive"):
            with suppress(OSError, GarbledError), (self.folder / "alive" / name).open("rb") as file:
                workers[name] = (decode(file.read(), Alive), os.fstat(file.fileno()).st_mtime)
        return workers

    def refusals(self) -> dict[str, str]:
        """Workers that did not begin, and why."""
        told = {}
        for name in self.names("refused"):
            with suppress(OSError):
                told[name] = (self.folder / "refused" / name).read_text()
        return told

    # ------------------------------------------------------------------------------------------------ the worker's end

    def plan(self) -> Plan | None:
        """None where there is none yet."""
        try:
            return decode((self.folder / PLAN).read_bytes(), Plan)
        except FileNotFoundError:
            return None
        except GarbledError:
            raise AblateError(f"{self.folder / PLAN} is not what this ablate writes; is it an older one's?") from None

    def todo(self) -> list[str]:
        """The runs that wait, in their order, as names of files."""
        return [name for name in self.names("todo") if name.endswith(".json")]

    def take(self, name: str, worker: str) -> Order | None:
        """Have a run that waits; None where another has it."""
        mine = self._taken(token_of(name), worker)
        with suppress(FileNotFoundError):
            (self.folder / "todo" / name).rename(mine)
        try:
            return decode(mine.read_bytes(), Order)  # asked for: a rename that was sent twice says that it failed
        except FileNotFoundError:
            return None

    def give_back(self, order: Order, worker: str) -> None:
        """First in the queue: it has waited before."""
        with suppress(FileNotFoundError):  # somebody gave it up
            name = f"{0:09d}-{order.token}{'.alone' * order.alone}.json"
            self._taken(order.token, worker).rename(self.folder / "todo" / name)

    def taken(self) -> dict[str, str]:
        """Token -> worker."""
        held = (name.removesuffix(".json").partition("@") for name in self.names("taken"))
        return {token: worker for token, _, worker in held if worker}

    def stops(self) -> dict[str, tuple[Reason, str]]:
        """Runs that are to end: reason and message, by token."""
        told = {}
        for token in self.names("stop"):
            with suppress(OSError, ValueError):
                reason, message = json.loads((self.folder / "stop" / token).read_bytes())
                told[token] = (reason, message)
        return told

    def say(self, worker: str, events: Sequence[Event]) -> None:
        """Append what happened; an ending is on the disk when this returns. Where it fails it may be said once more."""
        lines = b"".join(encode(event) + b"\n" for event in events)
        before, self._cut = b"\n" * self._cut, True  # a full disk takes half a line, and the next is to be whole
        with (self.folder / "said" / f"{worker}.jsonl").open("ab") as file:
            file.write(before + lines)
            if any(isinstance(event, Finished | Failed | Returned) for event in events):
                file.flush()
                os.fsync(file.fileno())
        self._cut = False

    def live(self, alive: Alive) -> None:
        """The first sign of life, which says who it is."""
        self._write(f"alive/{alive.worker}", encode(alive))

    def beat(self, worker: str) -> bool:
        """A sign of life; False where nobody believes in this worker any more."""
        try:
            os.utime(self.folder / "alive" / worker)  # without a time: the file server's
        except FileNotFoundError:
            return False
        return True

    def refuse(self, worker: str, why: str) -> None:
        with suppress(OSError):
            self._write(f"refused/{worker}", why.encode())

    def part(self, worker: str) -> None:
        """A worker leaves, or is given up."""
        (self.folder / "alive" / worker).unlink(missing_ok=True)

    # ---------------------------------------------------------------------------------------------------------- files

    def names(self, folder: str) -> list[str]:
        """Sorted, without what is still being written."""
        try:
            return sorted(name for name in os.listdir(self.folder / folder) if not name.startswith("."))
        except FileNotFoundError:
            return []

    def _taken(self, token: str, worker: str) -> Path:
        return self.folder / "taken" / f"{token}@{worker}.json"

    def _write(self, name: str, data: bytes) -> None:
        """Whole or not at all, under a name that nobody lists before."""
        path = self.folder / name
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            part.write_bytes(data)
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink()
            raise


def token_of(name: str) -> str:
    """The token in the name of a file of todo/."""
    return name.partition("-")[2].removesuffix(".json").removesuffix(".alone")


def versions_of(made: Mapping[str, Json]) -> dict[str, str]:
    """What must be alike of what results are made with."""
    return {name: str(made[name]) for name in VERSIONS if name in made}


def differing(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """What this place has otherwise than the plan, in words."""
    shown = {name: (theirs.get(name, "none"), ours.get(name, "none")) for name in {**theirs, **ours}}
    return [
        f"{name} {_short(here)}, the plan {_short(plan)}"
        for name, (plan, here) in sorted(shown.items())
        if plan != here
    ]


def _short(version: str) -> str:
    return version[:12] if len(version) == 64 else version


def this_node() -> str:
    """What people call this machine: a cluster's name for it, where it has one."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()
