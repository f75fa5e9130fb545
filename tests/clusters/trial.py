"""A study that is executed somewhere while something goes wrong, and what it came to.

Each execution leaves a line in a file beside the study, so that executions are counted without asking the database.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psutil

from ablate.pool import ending
from ablate.store.store import Store

TASK = """
import os, time

def score(config, run):
    with open(os.path.join(os.path.dirname(__file__), "executions"), "a") as file:
        file.write(f"{config['x']}-{run.seed}\\n")
    for i in range(3):
        time.sleep(config["seconds"] / 3)
        yield {"score": config["x"] * i + run.seed * 0.37 % 1}
"""
STUDY = """
study: s
task: mine:score
base: {{x: 1.0, seconds: {seconds}}}
tricks: {{more: {{set: {{x: 2.0}}}}}}
seeds: {seeds}
metric: {{name: score, better: higher}}
"""
TUNE = "tune: {variant: base, trials: 6, fresh_seeds: 2, space: {x: {low: 0.0, high: 1.0}}}\n"
FAST = {"ABLATE_BEAT_S": "1", "ABLATE_LEASE_S": "6"}
PAGE = "See `ablate help "
"""How the line begins that names a page of the manual."""
HANGS_S = 600.0
"""Who waits for so long waits for something that hangs, however busy the machine is; nothing else is judged by it."""
_tables: dict[int, str] = {}


def another_torch(folder: Path) -> dict[str, str]:
    """An environment in which torch is of another version, by what installers write about it."""
    pretend_torch(folder / "other")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder / "other"), os.environ.get("PYTHONPATH", "")]))}


def pretend_torch(folder: Path) -> None:
    """What installers write about a torch of another version, in a folder of Python's path."""
    about = folder / "torch-9.9.9.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9\n")


@dataclass(frozen=True)
class Called:
    """A command that has ended, and what it and all that it waited for cost."""

    returncode: int
    stdout: str
    stderr: str
    cpu_s: float

    def refusal(self) -> str:
        """The one line in which an input was refused."""
        assert self.returncode == 2, self.stderr
        assert "Traceback" not in self.stderr
        said = [line for line in self.stderr.splitlines() if line.strip() and ": waiting: " not in line]
        lines = [line for line in said if not line.startswith(PAGE)]
        assert len(lines) == 1, lines
        return lines[0]


def _children_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


@dataclass
class Trial:
    """A study of 2 x seeds runs in a folder; environment: of every command."""

    folder: Path
    seeds: int = 20
    seconds: float = 0.3
    environment: dict[str, str] = field(default_factory=dict)
    db: str = "results/ablate.db"

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "mine.py").write_text(TASK)
        (self.folder / "s.yaml").write_text(STUDY.format(seeds=self.seeds, seconds=self.seconds))

    @property
    def runs(self) -> int:
        return 2 * self.seeds

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ablate", "--db", self.db, *words]
        environment = {**os.environ, **FAST, **self.environment}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=pipe, stderr=pipe, text=True)

    def call(self, *words: str) -> Called:
        before_s = _children_s()
        process = self.start(*words)
        out, err = process.communicate(timeout=HANGS_S)
        return Called(process.returncode, out, err, _children_s() - before_s)

    def local(self) -> str:
        """The table of the same study as the local pool has it, in a folder of its own. Nothing of it takes time."""
        if self.seeds not in _tables:
            other = Trial(self.folder.with_name(f"{self.folder.name}-local"), self.seeds, self.seconds)
            (other.folder / "mine.py").write_text(TASK.replace("time.sleep(", "float("))
            done = other.call("run", "s.yaml", "--workers", "2")
            assert done.returncode == 0, done.stderr
            _tables[self.seeds] = done.stdout
        return _tables[self.seeds]

    @property
    def executions(self) -> int:
        with suppress(FileNotFoundError):
            return len((self.folder / "executions").read_text().splitlines())
        return 0

    def until(self, wanted: Callable[[], object], by: subprocess.Popen[str] | None = None) -> float:
        """Wait until something is true; how many seconds were slept meanwhile, which a busy machine stretches. by: who
        is to bring it about, so that nobody waits for a process that has ended."""
        slept_s, began_s = 0.0, time.monotonic()
        while not wanted():
            assert time.monotonic() - began_s < HANGS_S, f"it never came; {self.executions} executions"
            assert by is None or by.poll() is None or wanted(), by.communicate()
            time.sleep(0.1)
            slept_s += 0.1
        return slept_s

    def some_ran(self, count: int = 4, by: subprocess.Popen[str] | None = None) -> None:
        self.until(lambda: self.executions >= count, by)

    def beats_until(self, wanted: Callable[[], object], mailbox: str) -> int:
        """Wait until something is true; how many signs of life the liveliest worker gave meanwhile."""
        seen: dict[str, set[float]] = {}

        def look() -> bool:
            for file in (self.folder / "results" / "s" / mailbox / "alive").glob("[!.]*"):
                with suppress(FileNotFoundError):
                    seen.setdefault(file.name, set()).add(file.stat().st_mtime)
            return bool(wanted())

        self.until(look)
        return max((len(times) - 1 for times in seen.values()), default=0)

    def reasons(self) -> list[str]:
        """How attempts ended that have no result."""
        with Store.open(self._where) as store:
            return [a.reason or "" for c in store.cells("s") for a in store.attempts(c.run) if a.outcome == "failed"]

    @property
    def _where(self) -> str | Path:
        return self.db if "://" in self.db else self.folder / self.db

    def check(self, table: str, lost: int = 0, more: int | None = None) -> None:
        """The table is the local pool's, every run counts once, nothing is live, and nobody is left. lost: how many
        attempts may have ended so; none may have failed otherwise. more: how many more executions than runs there may
        be; without, as many as attempts were lost."""
        assert table == self.local()
        with Store.open(self._where) as store:
            cells = store.cells("s")
            counted = [sum(a.counted for a in store.attempts(cell.run)) for cell in cells]
            assert counted == [1] * self.runs
            assert store.live() == []
        reasons = self.reasons()
        assert set(reasons) <= {"lost"}, reasons
        assert len(reasons) <= lost, reasons
        most = self.runs + (len(reasons) if more is None else more)
        assert self.runs <= self.executions <= most, (self.executions, most, reasons)
        self.until(lambda: not self.left())

    def is_to_be_tuned(self) -> None:
        with (self.folder / "s.yaml").open("a") as study:
            study.write(TUNE)

    def check_tuned(self, done: subprocess.CompletedProcess[str]) -> None:
        """The search ended with its winner, and executed each of its runs once, also where it was killed between."""
        assert done.returncode == 0, done.stderr
        assert "base (tuned)" in done.stdout
        with Store.open(self._where) as store:
            attempts = {cell.run: store.attempts(cell.run) for cell in store.cells("s", ("tune", "confirm"))}
        assert {len(of_run) for of_run in attempts.values()} == {1}
        assert len(attempts) == self.executions

    def left(self) -> list[str]:
        """Processes that work in this study's folder or were told of it, and those of its database's runs."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words = " ".join(process.cmdline())
                if self._is_ours(process, words) and process.pid != os.getpid():
                    found.append(words)
        return found

    def _is_ours(self, process: psutil.Process, words: str) -> bool:
        if str(self.folder) in words and "ablate" in words:
            return True
        cookie = ending.cookie_of(process)  # a run's own child was told of nothing, and may work anywhere
        return (cookie is not None and cookie.database == self._identity) or process.cwd() == str(self.folder)

    @cached_property
    def _identity(self) -> str:
        with Store.open(self._where) as store:
            return store.identity
