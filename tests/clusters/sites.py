"""How each executor is opened for the checks of executors, and how what executes its runs is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import ray_nodes
from slurm import Slurm
from unseen import blind

from ablate.registry import Registry
from ablate.testing.executors import Site

BEAT_S = "0.5"


def start_worker(
    folder: Path, *words: str, environment: dict[str, str] | None = None, unseen: Path | None = None
) -> subprocess.Popen:
    """A worker by hand, in a session of its own. unseen: a folder that it does not see."""
    command = [sys.executable, "-m", "ablate", "worker", str(folder), *words]
    folder.parent.mkdir(parents=True, exist_ok=True)
    said = (folder.parent / "worker.txt").open("ab")
    with said:
        return subprocess.Popen(
            command if unseen is None else blind(unseen, command), env={**os.environ, **(environment or {})},
            stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip


def tell_all(process: subprocess.Popen, number: int) -> None:
    """A signal to it and all below it."""
    root = psutil.Process(process.pid)
    for one in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            one.send_signal(number)


def kill(process: subprocess.Popen | psutil.Process) -> None:
    """It and all below it, at once and without a word: what a power cut does."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        for one in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.kill()


@contextmanager
def local() -> Iterator[Site]:
    yield Site(lambda setup, needs: Registry().make("executors", "local", {}).open(setup, needs))


@contextmanager
def workers() -> Iterator[Site]:
    """One worker by hand for all that is opened."""
    started: list[subprocess.Popen] = []

    def opened(setup, needs):
        executor = Registry().make("executors", "workers", {}).open(setup, needs)
        if not started or started[-1].poll() is not None:
            started.append(start_worker(executor.box.folder, "--wait", "60", "--workers", "2"))
        return executor

    try:
        with _environment({"ABLATE_BEAT_S": BEAT_S}):
            yield Site(opened, lambda: kill(started[-1]))
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            kill(process)
            process.wait()


@contextmanager
def slurm(cluster: Slurm) -> Iterator[Site]:
    """A job of two processors; what kills it is a power cut of its node."""

    def opened(setup, needs):
        parameters = {"jobs": 1, "sbatch": ["--cpus-per-task=2"]}
        return Registry().make("executors", "slurm", parameters).open(setup, needs)

    def cut() -> None:
        for _, _, node in [job for job in cluster.jobs() if job[1] == "RUNNING"]:
            cluster.cut_power(node)
            cluster.start_node(node)

    with _environment({"ABLATE_BEAT_S": BEAT_S, "SLURM_CONF": str(cluster.folder / "slurm.conf")}):
        yield Site(opened, cut)


@contextmanager
def ray(cluster: ray_nodes.Nodes) -> Iterator[Site]:
    """A node that is removed without a word, and another in its place."""

    def opened(setup, needs):
        return Registry().make("executors", "ray", {"address": cluster.address}).open(setup, needs)

    def remove() -> None:
        cluster.tell("kill -1")
        cluster.tell("add")

    with _environment(cluster.environment):
        yield Site(opened, remove)


@contextmanager
def _environment(told: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
