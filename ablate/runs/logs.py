"""What a run printed: `ablate show RUN --log`, and followed while it works."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ablate.errors import AblateError
from ablate.programs.printed import plain
from ablate.store.reader import Reader

_PIECE = 1 << 16
LOOK_S = 0.3


def of_run(store: Reader, key: str, *, coloured: bool, follow: bool) -> Iterator[str]:
    """The lines of a run's last attempt. follow: as long as it runs."""
    attempts = store.attempts(key)
    if not attempts:
        raise AblateError(f"run {key[:12]} has printed nothing yet; it was not executed.")

    def goes_on() -> bool:
        return store.states([key])[key].state == "running"

    return printed(Path(attempts[-1].log), coloured=coloured, goes_on=goes_on if follow else None)


def printed(folder: Path, *, coloured: bool, goes_on: Callable[[], bool] | None = None) -> Iterator[str]:
    """The lines of a run's log. Of what a carriage return replaced only the last is shown, as on a terminal.

    goes_on: followed for as long as it says so. AblateError where there is no log.
    """
    path = folder / "log.txt"
    if not path.is_file():
        raise AblateError(f"there is no log in {folder}; what it kept was removed, or it lies on another host.")
    rest = b""
    with path.open("rb") as file:
        while True:
            piece = file.read(_PIECE)
            if not piece:
                if goes_on is None or not goes_on():
                    break
                if path.stat().st_size < file.tell():  # it was cut in the middle
                    file.seek(0, 2)
                time.sleep(LOOK_S)
                continue
            *lines, rest = (rest + piece).split(b"\n")
            yield from (_shown(line, coloured) for line in lines)
    if rest:
        yield _shown(rest, coloured)


def _shown(line: bytes, coloured: bool) -> str:
    parts = [part for part in re.split(r"\r+", line.decode("utf-8", "replace")) if part]
    last = parts[-1] if parts else ""
    return last if coloured else plain(last)
