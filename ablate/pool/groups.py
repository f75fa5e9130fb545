"""A control group for each run, where this process may make some: what a run starts cannot leave it, whatever it does
to its environment and its session.

Of cgroup v2 only membership is used, no controller. Groups are made where they were delegated (`systemd-run --user`,
`Delegate=yes`, a container's root): below the group that the process is in. Elsewhere everything here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

PREFIX = "ablate-"


@cache
def home() -> Path | None:
    """The folder below which groups may be made; None where there is none."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        inside = _path("self")
    except OSError:
        return None
    for _, point, kind, *_ in mounts:
        folder = Path(point) / inside.lstrip("/")
        if kind == "cgroup2" and (folder / "cgroup.procs").is_file():
            return _above_own(folder) if _is_delegated(folder, inside) else None
    return None


def enter(name: str) -> None:
    """Put this process, and so whatever it starts, into a group called so."""
    folder = home()
    if folder is not None:
        # Not by Path: every child comes here, and each page of it that is touched is a page to copy.
        group = f"{folder}/{PREFIX}{name}"
        with suppress(OSError):  # no room for another group: its processes are found by their environment
            with suppress(FileExistsError):
                os.mkdir(group)
            members = os.open(f"{group}/cgroup.procs", os.O_WRONLY)
            try:
                os.write(members, b"0")
            finally:
                os.close(members)


def of(pid: int) -> str:
    """The name of the group that a process is in; empty where it is in none of ours."""
    try:
        parts = _path(str(pid)).split("/") if home() is not None else []
    except OSError:
        return ""
    return next((part.removeprefix(PREFIX) for part in reversed(parts) if part.startswith(PREFIX)), "")


def there() -> Iterator[str]:
    """The names of the groups that there are."""
    folder = home()
    if folder is not None:
        with suppress(OSError):
            yield from [path.name.removeprefix(PREFIX) for path in folder.iterdir() if path.name.startswith(PREFIX)]


def is_empty(name: str) -> bool:
    """Whether nobody is in a group, nor in one that was made in it; False where that cannot be told."""
    folder = home()
    try:
        return folder is not None and "populated 0" in (folder / f"{PREFIX}{name}" / "cgroup.events").read_text()
    except OSError:
        return False


def remove(name: str) -> None:
    """Remove a group, and those that its processes made in it, where nobody is in them any more."""
    folder = home()
    if folder is not None:
        try:
            os.rmdir(f"{folder}/{PREFIX}{name}")  # not by Path, as above
            return
        except FileNotFoundError:
            return
        except OSError:  # somebody is in it still, or made groups in it
            pass
        group = folder / f"{PREFIX}{name}"
        for below in sorted(group.rglob("*"), reverse=True):
            if below.is_dir():
                with suppress(OSError):
                    below.rmdir()
        with suppress(OSError):
            group.rmdir()


def _path(process: str) -> str:
    """A process's group, from the root that this process sees."""
    lines = Path(f"/proc/{process}/cgroup").read_text().splitlines()
    return next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "")


def _above_own(folder: Path) -> Path:
    """An ablate that a run starts makes its groups beside that run's, or they would have to go before it."""
    ours = [place for place in (folder, *folder.parents) if place.name.startswith(PREFIX)]
    return ours[-1].parent if ours else folder


def _is_delegated(folder: Path, inside: str) -> bool:
    """Root may write everywhere, and still everything but what systemd delegates is systemd's to arrange."""
    if not (os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)):
        return False
    if os.geteuid() or inside in ("", "/") or f"/{PREFIX}" in inside:
        return True
    for name in ("user.delegate", "trusted.delegate"):
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False
