"""A command's process: in the run's own group, its output kept and handed on as it comes, its end understood."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ablate.errors import AblateError
from ablate.programs.printed import plain
from ablate.records import GRACE_S

_PIPE_BYTES = 1 << 20
_BUSY_S = 0.02
"""How long output is left to gather: a program that prints line by line would else wake us for every line."""

LOOK_S = 0.5
"""How often whoever reads is asked to look around where nothing is printed."""


@dataclass(frozen=True)
class Launch:
    """What is executed: words, where, and the whole environment."""

    words: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]


def output_of(log: Path, start: int) -> bytes:
    """What one attempt printed. start: where its output begins, unless the log was cut since."""
    with log.open("rb") as file:
        file.seek(start if log.stat().st_size >= start else 0)
        return file.read()


def executed(launch: Launch, log: BinaryIO) -> Generator[bytes, None, None]:
    """What the program prints, as it comes, and into the log; b"" every LOOK_S where it prints nothing.

    Closing the iterator ends the program: SIGTERM, then SIGKILL after GRACE_S. AblateError where it cannot be started
    or fails.
    """
    try:
        process = subprocess.Popen(
            list(launch.words), cwd=launch.cwd, env=dict(launch.environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
        )  # fmt: skip
    except OSError as error:
        raise AblateError(f"{launch.words[0]} cannot be executed: {error.strerror}.", page="own-code") from None
    last = b""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        ended = False
        while not ended:
            ended = process.poll() is not None  # asked first: what it printed before it ended is then all there
            data = _read(pipe, 0.0 if ended else LOOK_S)
            if data:
                log.write(data)
                last = (last + data)[-20_000:]
                ended = False
            if data is None and not ended:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_S)
            yield data or b""
    finally:
        process.stdout.close()
        if process.poll() is None:
            _end(process)
    if process.returncode:
        raise AblateError(_why(process.returncode, last.decode("utf-8", "replace")))


def _read(pipe: int, wait_s: float) -> bytes | None:
    """What is there, b"" where nothing came in time, None where the other end is closed."""
    readable, _, _ = select.select([pipe], [], [], wait_s)
    if not readable:
        return b""
    if wait_s:
        time.sleep(_BUSY_S)
    try:
        return os.read(pipe, _PIPE_BYTES) or None
    except BlockingIOError:
        return b""


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _why(code: int, printed: str) -> str:
    """How a program failed, with what it said last, which is what tells runs that fail alike."""
    lines = [line.strip() for line in re.split(r"[\r\n]", plain(printed)) if line.strip()]
    said = lines[-1][:500] if lines else "it printed nothing"
    # Where memory runs out the last line is often another process's complaint.
    of_memory = next((line for line in reversed(lines) if "out of memory" in line.lower()), "")
    if said.startswith("MemoryError"):
        said = f"out of memory: {said}"
    elif of_memory and of_memory not in said:
        said = f"{of_memory[:500]} ... {said}"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"the command was ended by {name}: {said}"
    return f"the command left with exit status {code}: {said}"
