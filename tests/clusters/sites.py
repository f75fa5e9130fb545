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

from ablate.registry import Registry
from ablate.testing.executors import Site

BEAT_S = "0.5"


def start_worker(folder: Path, *words: str, environment: dict[str, str] | None = None) -> subprocess.Popen:
    """A worker by hand, in a session of its own."""
    command = [sys.executable, "-m", "ablate", "worker", str(folder), *words]
    folder.parent.mkdir(parents=True, exist_ok=True)
    said = (folder.parent / "worker.txt").open("ab")
    with said:
        return subprocess.Popen(
            command, env={**os.environ, **(environment or {})}, stdout=said, stderr=said, start_new_session=True
        )


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

    before = os.environ.get("ABLATE_BEAT_S")
    os.environ["ABLATE_BEAT_S"] = BEAT_S
    try:
        yield Site(opened, lambda: kill(started[-1]))
    finally:
        os.environ.pop("ABLATE_BEAT_S") if before is None else os.environ.update(ABLATE_BEAT_S=before)
        for process in started:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            kill(process)
            process.wait()
