"""The folder of an attempt: how it is called, and how it takes over what an attempt before it left.

Each attempt has one for itself, for a worker that was fenced off may go on writing until it hears of it: a dispatcher
that slept, another host that was given up. It becomes the run's own in the moment in which its result is counted, by
the database alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.pool import host
from ablate.records import Left, RunSpec
from ablate.text import file_size

if TYPE_CHECKING:  # a worker never opens the database, and must not load what does
    from ablate.store.reader import Reader
    from ablate.store.stored import LiveAttempt


def of_attempt(
    spec: RunSpec, token: str, store: Reader, ended: Sequence[tuple[LiveAttempt, Path]] | None = None
) -> RunSpec:
    """A run's specification for one attempt: its folder, what is there to take over, and the weights that it measures.
    ended: its attempts before, where that was asked (Reader.ended_of).

    The folder stands beside the one that the plan names, which was that of every attempt before 0.2. Its name holds the
    database's identity: two databases in one folder may execute the same run.
    """
    before = store.ended(spec.key) if ended is None else ended
    earlier = tuple(_left(path, host.is_over(attempt), store) for attempt, path in before)
    folder = os.path.join(os.path.dirname(spec.folder), f"{spec.key[:16]}-{store.identity}-{token}")
    return replace(measuring(spec, store), folder=folder, earlier=earlier)


def measuring(spec: RunSpec, store: Reader) -> RunSpec:
    """A run's specification with the weights that it measures anew, where it does and where they were left."""
    left = store.kept([spec.evaluates]).get(spec.evaluates) if spec.evaluates else None
    if left is None:
        return spec
    return replace(spec, evaluates_in=str(left.folder), evaluates_weights=left.outputs.get("weights", ""))


def _left(path: Path, over: bool, store: Reader) -> Left:
    # A folder without this database's identity may be another one's as well: of it only a copy is ours to take.
    return Left(str(path), over and f"-{store.identity}-" in path.name)


def take_over(spec: RunSpec) -> None:
    """Make the attempt's folder, with what the newest attempt before it left. OSError where that cannot be.

    A rename, where nobody writes there any more. Else a copy: who is fenced off may have files open, and would write
    into those that this attempt goes on with. Either appears whole or not at all, so a kill loses nothing.
    """
    earlier = next((left for left in spec.earlier if Path(left.folder).is_dir()), None)
    if earlier is None:
        try:
            os.mkdir(spec.folder)
        except OSError:  # that of all runs is not there yet, or this one is
            os.makedirs(spec.folder, exist_ok=True)
        return
    folder = Path(spec.folder)
    if earlier.gone:
        Path(earlier.folder).rename(folder)
    else:
        copy = folder.with_name(f".{folder.name}")
        shutil.copytree(earlier.folder, copy, symlinks=True)
        copy.rename(folder)


def was_begun(folder: Path | str) -> bool:
    """Whether anything of an attempt was executed: a worker begins by making its folder (`take_over`)."""
    return os.path.isdir(folder)


LOG = "log.txt"


def shorten(log: Path | str, most: int, cut: int = 0) -> int:
    """Cut a log that is longer than `most` bytes in the middle: its first half stays, and the last quarter. Returns how
    many bytes of it are gone, `cut` of them since before.

    It may be written meanwhile: who does appends, so what comes next follows. What comes between the reading of the end
    and the cut is lost with the rest.
    """
    try:
        if os.stat(log).st_size <= most:
            return cut
        with open(log, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            end = file.seek(size - most // 4)
            kept = file.read()
            file.truncate(most // 2)
        cut += end - most // 2
        with open(log, "ab") as file:
            file.write(f"\n[{file_size(cut)} of output are cut out here: limits.log]\n".encode() + kept)
    except OSError:  # it is gone, or a full disk has no room: the next look tries again
        pass
    return cut
