"""How the processes of a run are found and ended, in whatever session or process group they are.

Every process of a run carries a cookie in its environment, which what it starts inherits: the database, the dispatcher
and the attempt that it works for. A run's own child is forked, and the system keeps showing the environment with which
its server began; so the server begins with a cookie of the same length, and `mark` writes over it in place.

Where control groups may be made, each run has one, called as its cookie (groups.py), which nothing that it starts can
throw away. Elsewhere not found: what was started with an environment made anew, beyond its run's process group. Such a
process ends with its server, or where nobody is left who could tell whose it is, not at all.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from ablate.pool import groups
from ablate.pool.host import Process, pid_space, process_started, this_process

VARIABLE = "ABLATE_RUN"
_WIDTH = 16
_SERVER = "-" * _WIDTH
"""In the place of an attempt: the server, and what is forked from it before it is marked."""
_COOKIE = re.compile(r"(\w+):(\w*):(\d+):(\d+):(.{16})", re.ASCII)
ENDING_S = 2.0
"""How long killed processes are waited for; one that hangs in the kernel ends when that lets go."""


@dataclass(frozen=True)
class Cookie:
    """Whose a process is. space: where the owner's number means something (host.pid_space). attempt: `stamp` of its
    token."""

    database: str
    space: str
    owner: Process
    attempt: str

    def __str__(self) -> str:
        return f"{self.database}:{self.space}:{self.owner}:{self.attempt}"

    @property
    def abandoned(self) -> bool:
        """Whether its dispatcher is known to be dead."""
        return self.space == pid_space() and not self.owner.lives


def stamp(token: str) -> str:
    """A token in the width that every cookie has."""
    return token if len(token) == _WIDTH else hashlib.sha256(token.encode()).hexdigest()[:_WIDTH]


def of_server(database: str) -> str:
    """The cookie with which a server of this dispatcher begins."""
    return str(Cookie(database or "none", pid_space(), this_process(), _SERVER))


_libc = ctypes.CDLL(None)
_getenv = _libc.getenv
_getenv.restype = ctypes.c_void_p


def prctl(*words: int) -> None:
    """Linux's prctl."""
    _libc.prctl(*words)


def mark(token: str) -> None:
    """Make this process, which a server forked, one of an attempt."""
    text = (os.environ[VARIABLE][:-_WIDTH] + stamp(token)).encode()
    ctypes.memmove(_getenv(VARIABLE.encode()), text, len(text))
    os.environ[VARIABLE] = text.decode()
    groups.enter(text.decode())


def cookie_of(process: psutil.Process) -> Cookie | None:
    """None where a process has none, is gone, or is another user's."""
    try:
        cookie = _read(process.environ().get(VARIABLE, ""))
    except (psutil.Error, OSError):
        cookie = None
    return cookie or _read(groups.of(process.pid))


def _read(text: str) -> Cookie | None:
    match = _COOKIE.fullmatch(text)
    if match is None:
        return None
    database, space, pid, started, attempt = match.groups()
    return Cookie(database, space, Process(int(pid), int(started)), attempt)


def found(wanted: Callable[[Cookie], bool]) -> list[psutil.Process]:
    """Every process of this host with such a cookie, this one left out."""
    mine = os.getpid()
    carried = ((process, cookie_of(process)) for process in psutil.process_iter() if process.pid != mine)
    return [process for process, cookie in carried if cookie is not None and wanted(cookie)]


def end(wanted: Callable[[Cookie], bool]) -> tuple[int, int]:
    """Kill every process with such a cookie; how many were killed, and how many of them are still there."""
    ended: set[int] = set()
    left: list[psutil.Process] = []
    # Again, for one may have started another before it died. One that hangs is waited for once.
    for _ in range(20):
        fresh = [process for process in found(wanted) if process.pid not in {one.pid for one in left}]
        if not fresh:
            break
        for process in fresh:
            with suppress(psutil.Error):  # it has ended, and psutil kills nobody else who has its number
                process.kill()
        ended |= {process.pid for process in fresh}
        left += psutil.wait_procs(fresh, timeout=ENDING_S)[1]
    return len(ended), sum(process.is_running() for process in left)


def end_attempts(tokens: Collection[str], owner: Process) -> int:
    """Kill every process of a dispatcher's attempts; how many are still there."""
    stamps, space = {stamp(token) for token in tokens}, pid_space()
    if not stamps:
        return 0
    return end(lambda cookie: cookie.attempt in stamps and cookie.owner == owner and cookie.space == space)[1]


def sweep(database: str) -> int:
    """Kill what dispatchers of this database that are dead have left on this host; how many processes that were."""

    ended, _ = end(lambda cookie: cookie.database == database and cookie.abandoned)
    for name in _abandoned_groups(database):
        groups.remove(name)
    return ended


def empty_groups(database: str) -> list[str]:
    """The control groups that dead dispatchers of this database left on this host, and in which nobody is any more."""
    return [name for name in _abandoned_groups(database) if groups.is_empty(name)]


def _abandoned_groups(database: str) -> Iterator[str]:
    for name in groups.there():
        cookie = _read(name)
        if cookie is not None and cookie.database == database and cookie.abandoned:
            yield name


def forget(token: str) -> None:
    """Remove the control group of an attempt of this process's children, of which nothing is left."""
    groups.remove(os.environ[VARIABLE][:-_WIDTH] + stamp(token))


# ----------------------------------------------------------------------------------------------------------- the server


def adopt_orphans() -> None:
    """Be the parent of whatever a descendant leaves behind (Linux), so that it is seen and can be waited for."""
    if sys.platform == "linux":
        prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def left_behind(runs: Collection[int], living: Collection[str]) -> list[tuple[psutil.Process, str]] | None:
    """This process's children that are neither a run's own process nor of a living attempt, each with its attempt.

    runs: pids of the runs' own. living: stamps. What a module of the task started while it was imported is every
    run's, and stays; one without a cookie is nobody's once no attempt lives. None where a child is about to die or not
    waited for yet: what it leaves in its turn may not have been handed over when this looked.
    """
    left = []
    for pid in _children():
        if pid in runs:
            continue
        if process_started(pid) is None:
            return None
        process = psutil.Process(pid)
        cookie = cookie_of(process)
        if cookie is None and _is_going(process):
            return None
        if cookie is None and not living:
            left.append((process, ""))
        elif cookie is not None and cookie.attempt not in living and cookie.attempt != _SERVER:
            left.append((process, cookie.attempt))
    return left


def _is_going(process: psutil.Process) -> bool:
    """Whether it has given back its memory, environment and all, as the first thing that a process does at its end."""
    try:
        return not process.memory_info().vms
    except psutil.Error:
        return True


def _children() -> list[int]:
    me = os.getpid()
    try:
        # Not by Path: a server asks after every run, and copies what it touches while a child shares it.
        with open(f"/proc/{me}/task/{me}/children", "rb", buffering=0) as children:
            return [int(pid) for pid in children.readall().split()]
    except OSError:  # not every kernel lists them
        return [process.pid for process in psutil.Process().children()]


def end_descendants() -> None:
    """Kill whatever descends from this process."""
    for _ in range(20):
        below = psutil.Process().children(recursive=True)
        for process in below:
            with suppress(psutil.Error):
                process.kill()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not psutil.wait_procs(below, timeout=ENDING_S)[0]:
            return


def signal_group(leader: Process, number: int) -> None:
    """Send a signal to a run's process and its group. One that was forked just now does not lead a group yet: it gets
    it by itself, or it would never hear of it."""
    if leader.lives:
        try:
            os.killpg(leader.pid, number)
        except ProcessLookupError:
            with suppress(ProcessLookupError):
                os.kill(leader.pid, number)
