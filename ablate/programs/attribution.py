"""Which run wrote a file that lies outside its folder: what the preload noted, of this run and of those beside it.

A file counts as an attempt's own where its processes opened it for writing, and no other attempt that lived at any time
of its life did. Notes are made before a file is opened, so a number that was read before the notes were is safe.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from ablate.programs.preload import writers_file

KEPT = ".capture"
"""The folder inside a run's in which it keeps what is known of how it ran."""


@dataclass(frozen=True)
class Life:
    """One attempt of a command's run. began_ns: by the file system's clock; overlapping: attempts that lived when it
    began. log_from: where its output begins in the run's log."""

    token: str
    began_ns: int
    began_s: float
    cwd: str
    log_from: int
    overlapping: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        (folder / KEPT / "attempt.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> Life:
        """The last attempt's. FileNotFoundError where the folder is of no command's run."""
        told = json.loads((folder / KEPT / "attempt.json").read_text())
        return cls(**{**told, "overlapping": tuple(told["overlapping"])})


def trace_of(folder: Path) -> Path:
    return folder / KEPT / "trace.jsonl"


@contextmanager
def living(folder: Path, cwd: Path, log_from: int, shared: Path) -> Iterator[Life]:
    """The life of an attempt, known to those that share `shared` until it is over."""
    kept, live = folder / KEPT, shared / "live"
    kept.mkdir(parents=True, exist_ok=True)
    live.mkdir(parents=True, exist_ok=True)
    for old in (trace_of(folder), trace_of(folder).with_name("trace.jsonl.python"), kept / "metrics.jsonl"):
        old.unlink(missing_ok=True)
    token = secrets.token_hex(8)
    mine, began = live / token, kept / "began"
    began.write_text(token)
    with _locked(shared):
        mine.write_text(json.dumps([socket.gethostname(), os.getpid(), _started(os.getpid())]))
        others = tuple(path.name for path in live.iterdir() if path != mine and _lives(path))
        if not others:  # nobody lives whose notes could matter, and nobody can begin while this is held
            for path in (path for path in shared.iterdir() if path.is_file() and path.name != "lock"):
                path.unlink(missing_ok=True)
    try:
        life = Life(token, began.stat().st_mtime_ns, time.time(), str(cwd), log_from, others)
        life.save(folder)
        yield life
    finally:
        mine.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lives(path: Path) -> bool:
    """Whether an attempt's worker lives; one of another host does as long as it did not say otherwise."""
    try:
        host, pid, started = json.loads(path.read_text())
    except (OSError, ValueError):
        return path.exists()
    if host != socket.gethostname() or _started(pid) == started:
        return True
    path.unlink(missing_ok=True)
    return False


def _started(pid: int) -> str:
    """When a process started, so that a number that is used again tells; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        if Path("/proc/self").exists():
            return ""
    with suppress(OSError):
        os.kill(pid, 0)
        return "lives"
    return ""


class Trace:
    """What an attempt's processes opened, as far as they told."""

    def __init__(self, folder: Path, life: Life, shared: Path) -> None:
        self.file, self.life, self.shared = trace_of(folder), life, shared

    def _lines(self) -> Iterator[list[str | int]]:
        with suppress(OSError), self.file.open(errors="replace") as file:
            for line in file:
                with suppress(ValueError):
                    yield json.loads(line)

    def written(self) -> dict[str, int]:
        """Files that were opened for writing, and how many bytes each kept of before when it first was."""
        kept: dict[str, int] = {}
        for what, path, *before in self._lines():
            if what == "write":
                kept.setdefault(str(path), int(before[0]))
        return kept

    def read(self) -> tuple[str, ...]:
        """Files of the project that were read."""
        return tuple(dict.fromkeys(str(path) for what, path, *_ in self._lines() if what == "read"))

    @cached_property
    def python(self) -> dict[str, object]:
        """The interpreter and what is installed for it; nothing where no Python ran."""
        try:
            told: dict[str, object] = json.loads(self.file.with_name(self.file.name + ".python").read_text())
        except (OSError, ValueError):
            return {}
        return told

    def refused(self, path: str, kept: int) -> str:
        """Why a file outside the run's folder is not this run's alone; empty where it is."""
        if kept:
            return f"{path} held something before this run, and was appended to"
        for token, at in self._writers(path):
            if token != self.life.token and (at >= self.life.began_s or token in self.life.overlapping):
                return f"{path} was written by another run, too, while this one lived"
        return ""

    def _writers(self, path: str) -> Iterator[tuple[str, float]]:
        try:
            lines = Path(writers_file(str(self.shared), path)).read_text(errors="replace").splitlines()
        except OSError:
            return
        for line in lines:
            with suppress(ValueError):
                token, at, named = json.loads(line)
                if named == path:
                    yield token, at
