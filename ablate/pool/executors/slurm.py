"""Slurm: one array of jobs that are workers (mailbox.py, pilot.py), by three programs: sbatch, squeue and scancel.

No sacct, which many clusters have switched off, no pickles and no job for each run. Nothing is believed of the queue
but that a job waits: whether a worker lives is told by the worker.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from ablate.errors import AblateError
from ablate.pool.executor import NOTHING_MORE, Needs
from ablate.pool.mailbox import LEFT, Alive
from ablate.pool.mailed import Mailed, this_user
from ablate.pool.messages import Setup
from ablate.registry import Count

PROGRAMS = ("sbatch", "squeue", "scancel")
LOOK_S = 5.0
"""How often the queue is asked, and once more where a worker came or went: it is busy with everybody's jobs."""
FRUITLESS = 3
"""Jobs that ended without a word before it is given up, where no worker ever came, or before their node is left out."""
_HOME = str(Path(__file__).resolve().parents[3])
_BEGIN = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import ablate; del sys.path[0]; "
    "from ablate.terminal.cli import main; main()"
)
_OVER = re.compile(
    r"COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|PREEMPTED|BOOT_FAIL|DEADLINE|OUT_OF_MEMORY|COMPLETING"
)


@dataclass(frozen=True)
class _Job:
    state: str
    node: str

    @property
    def over(self) -> bool:
        return _OVER.match(self.state) is not None


@dataclass(eq=False)
class Slurm(Mailed):
    """jobs: workers at a time. sbatch: arguments for it. before: lines of shell that each job runs first. python: the
    program that a job runs ablate with; empty: this one."""

    jobs: Count = 1
    sbatch: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    python: str = ""

    called: ClassVar[str] = "slurm"

    def open(self, setup: Setup, needs: Needs = NOTHING_MORE) -> Self:
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            raise AblateError(
                f"--executor slurm: there is no {' and no '.join(missing)} here; run it where jobs are submitted.",
                page="slurm",
            )
        self.expected = self.jobs
        self.name = _name(needs.study, setup.database)
        self.submitted: list[str] = []
        self._asked_s = float("-inf")
        self._listed: dict[str, _Job] = {}
        self._nodes: dict[str, str] = {}
        self._fruitless: dict[str, str] = {}
        self._largest = self.jobs
        self._excluded: set[str] = set()
        self._lived = 0
        return super().open(setup, needs)

    def tend(self, wanted: int) -> None:
        if not wanted:
            return
        lived = len(self.living)
        now_s = time.monotonic()
        if now_s - self._asked_s < (LOOK_S if lived == self._lived else 1.0):
            return
        self._asked_s, self._lived = now_s, lived
        self._listed = self._queue()
        self._count_fruitless()
        each = max((watch.alive.slots for watch in self.living.values()), default=1)
        known = {job for job, of in self._listed.items() if not of.over}
        known |= {watch.alive.job for watch in self.living.values() if watch.alive.job}
        more = min(self.jobs, -(-wanted // each)) - len(known)
        if more > 0:
            self._exclude()
            self._submit(more)

    def gone(self, worker: Alive) -> bool:
        job = self._listed.get(worker.job)
        return bool(worker.job) and self._asked_s > 0 and (job is None or job.over)

    def queued(self, study: str, database: str) -> int:
        done = _asked(_name(study, database))
        if done.returncode:
            raise AblateError(f"Slurm's queue cannot be asked: {' '.join(done.stderr.split())}", page="slurm")
        return sum(not job.over for job in _listed(done.stdout).values())

    def dismiss(self) -> None:
        """Who else looks after runs of this study has its workers from the same queue: then only ours go."""
        whose = self.submitted if self.others() else [f"--name={self.name}", f"--user={this_user()}"]
        done = _called(["scancel", "--quiet", *whose]) if whose else None
        if done is not None and done.returncode:
            self.needs.say(f"scancel refused, so jobs may be left in the queue: {' '.join(done.stderr.split())}")

    # ------------------------------------------------------------------------------------------------------- the queue

    def _queue(self) -> dict[str, _Job]:
        """Our jobs, by their names in the queue (`17_3`), also some that are over. Arrays are written out."""
        done = _asked(self.name)
        if done.returncode:
            return self._listed  # it is busy, or away: what it said last holds
        listed = _listed(done.stdout)
        self._nodes |= {job: of.node for job, of in listed.items() if of.node}
        return listed

    def _count_fruitless(self) -> None:
        """Jobs of which no worker ever came. AblateError where that is all that comes."""
        came = {worker.rpartition(".")[0] for worker in self.appeared}
        for job, of in self._listed.items():
            mine = job.partition("_")[0] in self.submitted
            if not mine or not of.over or job in came or job in self._fruitless or "CANCEL" in of.state:
                continue
            if self._said_last(job).startswith(LEFT):  # between two looks of ours: we slept, or got no processor
                self.appeared.add(f"{job}.0")
                came.add(job)
            else:
                node = self._nodes.get(job, "")
                self._fruitless[job] = node
                self.deaths[node] += bool(node)
        refused = [why for worker, why in self.box.refusals().items() if worker.rpartition(".")[0] in self._fruitless]
        if not self._fruitful and (len(self._fruitless) >= min(FRUITLESS, self.jobs) or refused):
            self.dismiss()
            raise AblateError(self._why_fruitless(refused), page="slurm")

    @property
    def _fruitful(self) -> bool:
        """Whether workers came that jobs of ours are. Those of an earlier command, of which the folder tells as well,
        had other arguments."""
        jobs = {worker.rpartition(".")[0] for worker in self.appeared}
        return bool(self.living) or any(job.partition("_")[0] in self.submitted for job in jobs)

    def _tell_refusals(self) -> None:
        if self._fruitful:  # else one of them is the error that ends the command
            super()._tell_refusals()

    def _why_fruitless(self, refused: list[str]) -> str:
        if refused:
            return f"nothing was started: {refused[0]}"
        job = next(iter(self._fruitless))
        nodes = sorted({node for node in self._fruitless.values() if node}) or ["their node"]
        said = self._said_last(job)
        why = (
            f"its last line: {said} ({self._out(job)})"
            if said
            else f"and it left no output: does {' and does '.join(nodes)} see {self.box.folder}? Mount it there"
        )
        count = len(self._fruitless)
        return f"nothing was started: {count} jobs ended on {' and '.join(nodes)} before a worker came; {why}."

    def _out(self, job: str) -> Path:
        return self.box.folder / "jobs" / f"{job}.out"

    def _said_last(self, job: str) -> str:
        """The last line of a job's output; empty where it left none."""
        with suppress(OSError):
            return "".join(self._out(job).read_text(errors="replace").strip().splitlines()[-1:])
        return ""

    def _exclude(self) -> None:
        for node, deaths in self.deaths.items():
            if node and deaths >= FRUITLESS and node not in self._excluded:
                self._excluded.add(node)
                self.needs.say(f"{deaths} workers on node {node} ended without a word; further jobs exclude it.")

    def _submit(self, jobs: int) -> None:
        """Arrays of as many as the cluster allows in one. AblateError in Slurm's words where it refuses."""
        exclude = [f"--exclude={','.join(sorted(self._excluded))}"] if self._excluded else []
        while jobs > 0:
            size = min(jobs, self._largest)
            ours = ["--parsable", f"--job-name={self.name}", f"--array=0-{size - 1}", "--open-mode=append"]
            command = ["sbatch", *ours, f"--output={self.box.folder}/jobs/%A_%a.out", *self.sbatch, *exclude]
            done = _called(command, self.script())
            if done.returncode == 0:
                self.submitted.append(done.stdout.strip().partition(";")[0])
                jobs -= size
            elif "array" in done.stderr and size > 1:  # MaxArraySize: no program of the three tells it
                self._largest = (size + 1) // 2
            else:
                refusal = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
                used = shlex.join([*self.sbatch, *exclude]) or "none"
                raise AblateError(f"{refusal} (arguments: {used})", page="slurm")
        self._asked_s = float("-inf")

    def script(self) -> str:
        """What each job executes."""
        python = [self.python or sys.executable, "-P", "-c", _BEGIN, _HOME]
        worker = ["worker", str(self.box.folder), "--sees", self.seen, "--wait", f"{max(2 * self.beat_s, 5):g}"]
        job = '"${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"'
        left = f'--time "$(squeue --noheader --job {job} --format=%L)"'
        return "\n".join(["#!/bin/sh", *self.before, f"exec {shlex.join([*python, *worker])} {left}", ""])


def _name(study: str, database: str) -> str:
    """What the jobs of a study are called in the queue."""
    return f"ablate-{study}-{database}"


def _asked(name: str) -> subprocess.CompletedProcess[str]:
    """The queue, about this user's jobs of that name, also some that are over."""
    command = ["squeue", "--noheader", "--array", "--states=all", f"--name={name}", f"--user={this_user()}"]
    return _called([*command, "--format=%i|%T|%N"])


def _listed(answer: str) -> dict[str, _Job]:
    rows = (line.split("|") for line in answer.splitlines() if line.count("|") == 2)
    return {job.strip(): _Job(state.strip(), node.strip()) for job, state, node in rows}


def _called(command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SBATCH_", "SLURM_JOB"))}
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
