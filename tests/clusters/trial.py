"""A study that is executed somewhere while something goes wrong, and what it came to.

Each execution leaves a line in a file beside the study, so that executions are counted without asking the database.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

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
FAST = {"ABLATE_BEAT_S": "1", "ABLATE_LEASE_S": "6"}


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

    def call(self, *words: str, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def local(self) -> str:
        """The table of the same study as the local pool has it, in a folder of its own. Nothing of it takes time."""
        other = Trial(self.folder.with_name(f"{self.folder.name}-local"), self.seeds, self.seconds)
        (other.folder / "mine.py").write_text(TASK.replace("time.sleep(", "float("))
        done = other.call("run", "s.yaml", "--workers", "2")
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def executions(self) -> int:
        with suppress(FileNotFoundError):
            return len((self.folder / "executions").read_text().splitlines())
        return 0

    def until(self, wanted: Callable[[], object], seconds: float = 90) -> float:
        """Wait until something is true; how long that took."""
        began_s = time.monotonic()
        while not wanted():
            assert time.monotonic() - began_s < seconds, "it never came"
            time.sleep(0.1)
        return time.monotonic() - began_s

    def some_ran(self, count: int = 4) -> None:
        self.until(lambda: self.executions >= count)

    def reasons(self) -> list[str]:
        """How attempts ended that have no result."""
        with Store.open(self._where) as store:
            return [a.reason or "" for c in store.cells("s") for a in store.attempts(c.run) if a.outcome == "failed"]

    @property
    def _where(self) -> str | Path:
        return self.db if "://" in self.db else self.folder / self.db

    def check(self, table: str, most_more: int = 0) -> None:
        """The table is the local pool's, every run counts once, nothing is live, and nobody is left."""
        assert table == self.local()
        with Store.open(self._where) as store:
            cells = store.cells("s")
            counted = [sum(a.counted for a in store.attempts(cell.run)) for cell in cells]
            assert counted == [1] * self.runs
            assert store.live() == []
        assert self.runs <= self.executions <= self.runs + most_more, (self.runs, self.executions, self.reasons())
        self.until(lambda: not self.left(), 20)

    def left(self) -> list[str]:
        """Processes that have this study's folder in their command line or work in it."""
        found = []
        for process in psutil.process_iter(["cmdline", "pid"]):
            with suppress(psutil.Error):
                words = " ".join(process.info["cmdline"] or ())
                if str(self.folder) in words and process.pid != os.getpid() and "ablate" in words:
                    found.append(words)
        return found
