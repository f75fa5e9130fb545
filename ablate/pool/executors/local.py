"""Runs on this host: one child process per run, forked by the warm server (warm.py).

A run's last word is passed on only when its process is gone, so that a slot is never used twice. A run that is to end
gets SIGTERM, `grace_s` later SIGKILL; what it leaves behind ends with it (ending.py). A server that dies is started
anew for the runs that follow; the ones it took with it are reported as lost.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from ablate.errors import GarbledError
from ablate.pool import ending, host, words
from ablate.pool.energy import LOOK_S, Meter
from ablate.pool.executor import (
    NOTHING_MORE,
    Event,
    Executor,
    Failed,
    Needs,
    Placed,
    Progressed,
    Refused,
    Slot,
    Started,
    finished,
)
from ablate.pool.folders import was_begun
from ablate.pool.messages import Broken, Done, Exited, Forked, Job, Pause, Said, Setup, Unforked, decode, encode
from ablate.pool.warm import WarmServer
from ablate.records import Json, Reason, RunSpec

STUCK_S = 10.0
"""How long a server may take to tell that a child which was killed is gone."""

LEAVING_S = 15.0
"""How long a process may take to go after its last word, which counts whatever becomes of it: its exit handlers have
10 s of them."""

UNASKED_S = 1.0
"""How long the end of a run that somebody else sent SIGTERM is held back. Who ends everything at once (scancel,
systemctl stop) reaches the dispatcher, too: then the run was stopped, and nothing is against it."""

RECENT_S = 1.0
"""How old a count of the kernel's kills may be that a run begins with. To ask for it costs the dispatcher a tenth of
what a run that does nothing costs it."""


@dataclass
class _Child:
    """A child as this executor knows it. slot: where it is, or that it is to follow another. began_s: when it was asked
    for. stopped: why it is to end; asked_s, killed_s: when it got SIGTERM and SIGKILL; last: the final message it sent,
    at said_s; exited: it is gone. unsent: what it is still to be told. gpus: those that it sees; energy: what it took
    (Meter.end)."""

    job: Job
    slot: Slot
    gpus: tuple[str, ...] = ()
    began_s: float = 0.0
    channel: socket.socket | None = None
    process: host.Process | None = None
    unsent: bytes = b""
    pending: bytes = b""
    stopped: tuple[Reason, str] | None = None
    last: Done | Broken | None = None
    said_s: float | None = None
    asked_s: float | None = None
    killed_s: float | None = None
    ended_s: float | None = None
    exited: Exited | None = None
    energy: Mapping[str, Json] = field(default_factory=dict)
    oom_kills: int = field(default_factory=lambda: _oom_kills(RECENT_S))

    @property
    def token(self) -> str:
        return self.job.token

    @property
    def folder(self) -> str:
        return self.job.spec.folder


@dataclass(eq=False)
class LocalExecutor(Executor):
    """The pool of this host, with a warm server that has imported what `setup` names."""

    queues = True

    def open(self, setup: Setup, needs: Needs = NOTHING_MORE) -> Self:  # noqa: ARG002
        self._setup = setup
        self.place = host.place()
        self._selector = selectors.DefaultSelector()
        self._children: dict[str, _Child] = {}
        self._outbox: deque[_Child] = deque()
        self._events: list[Event] = []
        self._dying: list[_Child] = []
        self._unasked: list[tuple[float, _Child]] = []
        self._queue: deque[_Child] = deque()
        self._heard = 0
        self._server: WarmServer | None = None
        self._meter = Meter()
        self._serve()
        return self

    def _serve(self) -> WarmServer:
        if self._server is None:
            self._server = WarmServer.start(self._setup)
            self._selector.register(self._server.channel, selectors.EVENT_READ, None)
            self._heard = 0
        return self._server

    def start(self, token: str, spec: RunSpec, slot: Slot, *, canary: bool = False, alone: bool = False) -> None:
        del alone  # slots of one device are known when they are given out (scheduler.pack)
        environment = host.environment(slot)
        job = Job(token, spec, _inside(slot), environment, canary, self._setup.grace_s)
        gpus = tuple(filter(None, environment["CUDA_VISIBLE_DEVICES"].split(",")))
        child = self._children[token] = _Child(job, slot, gpus)
        self._outbox.append(child)
        self._ask_for_children()

    def poll(self, timeout_s: float) -> Sequence[Event]:
        self._go_on()
        self._ask_for_children()
        self._meter.look(LOOK_S)
        if not self._events:
            waits = self._dying or self._unasked or any(child.asked_s for child in self._children.values())
            for key, mask in self._selector.select(min(timeout_s, 0.05) if waits else timeout_s):
                if key.data is None:
                    self._hear_server()
                elif key.data in self._children:
                    child = self._children[key.data]
                    if mask & selectors.EVENT_WRITE:
                        self._tell(child)
                    if mask & selectors.EVENT_READ:
                        self._hear(child)
        events, self._events = self._events, []
        return events

    # ----------------------------------------------------------------------------------------------------- starting

    def _ask_for_children(self) -> None:
        """Ask the server for as many children as it takes now. It may be busy telling of others, and who waited for it
        here would not hear it: at 500 runs both would wait for ever."""
        while self._outbox:
            child = self._outbox[0]
            try:
                server = self._serve()
                asked = self._ask_for(child, server)
            except (BrokenPipeError, ConnectionResetError):
                self._server_died()
                continue
            except OSError as error:
                self._refuse(child, error.strerror or str(error))
                continue
            if not asked:
                break
            self._outbox.popleft()
            self._tell(child)
        if self._server is not None:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)
            self._selector.modify(self._server.channel, wanted, None)

    def _ask_for(self, child: _Child, server: WarmServer) -> bool:
        """Whether the server took it."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                told = server.fork(child.token, theirs, child.job, after=self._heard if child.slot.is_ahead else None)
        except BlockingIOError:
            ours.close()
            return False
        except OSError:
            ours.close()
            raise
        ours.setblocking(False)
        child.unsent += b"" if told else encode(child.job) + b"\n"
        child.channel, child.began_s = ours, time.monotonic()
        if child.slot.is_ahead:
            self._queue.append(child)
        self._selector.register(ours, selectors.EVENT_READ, child.token)
        return True

    def _refuse(self, child: _Child, why: str) -> None:
        for waits in (self._outbox, self._queue):
            if child in waits:
                waits.remove(child)
        self._forget(child)
        if child.stopped:
            self._events.append(Failed(child.token, *child.stopped))
        elif child.slot.is_ahead:
            self._events.append(Failed(child.token, "cancelled", why))
        else:
            self._events.append(Refused(child.token, f"no process could be started: {why}"))

    def _tell(self, child: _Child) -> None:
        """Send as much as its channel takes now; the rest when there is room."""
        if child.channel is None:
            return
        try:
            while child.unsent:
                child.unsent = child.unsent[child.channel.send(child.unsent) :]
        except BlockingIOError:
            pass
        except OSError:  # it has ended; its exit is on its way, and its last word counts
            child.unsent = b""
        with suppress(KeyError, ValueError):  # it closed its end
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.unsent else 0)
            self._selector.modify(child.channel, wanted, child.token)

    def _go_on(self) -> None:
        """What is due by now: a kill after the grace, the end of who was not asked to end, and burials."""
        now_s = time.monotonic()
        for child in self._children.values():
            asked, said = child.asked_s, child.said_s
            if (asked and now_s - asked >= self._setup.grace_s) or (said and now_s - said >= LEAVING_S):
                self._kill(child)
        for one in [one for one in self._unasked if one[1].stopped or now_s - one[0] >= UNASKED_S]:
            self._unasked.remove(one)
            self._events.append(_ending(one[1]))
        if not self._events:
            self._bury()

    def stop(self, token: str, reason: Reason, message: str) -> None:
        child = self._children.get(token) or next((c for _, c in self._unasked if c.token == token), None)
        if child is not None and reason == "pruned" and child.process is not None:
            child.unsent += encode(Pause(message)) + b"\n"
            self._tell(child)
        elif child is not None:
            child.stopped = child.stopped or (reason, message)
            self._ask_to_end(child)
            if child in self._outbox:
                self._refuse(child, message)
            elif child.slot.is_ahead and self._server is not None:
                self._server.drop(token)

    def close(self) -> None:
        """End the server; its children end with it."""
        if self._server is not None:
            self._selector.unregister(self._server.channel)
            self._server.close()
            self._server = None
            ending.end_attempts(self._children, host.this_process())
        for child in list(self._children.values()):
            self._forget(child)
        self._outbox.clear()
        self._selector.close()

    # ------------------------------------------------------------------------------------------------------ hearing

    def _hear_server(self) -> None:
        """Everything that the server has said by now."""
        with suppress(BlockingIOError):
            while self._server is not None:
                message = self._server.receive()
                if message is None:
                    self._server_died()
                elif isinstance(message, Forked):
                    self._forked(self._children[message.token], host.Process(message.pid, message.started))
                elif isinstance(message, Unforked):
                    self._refuse(self._children[message.token], message.why)
                else:
                    self._end(self._children[message.token], message)

    def _forked(self, child: _Child, process: host.Process) -> None:
        child.process = process
        self._meter.begin(child.token, child.gpus)
        self._events.append(Started(child.token, process.pid, process.started))
        if child.stopped:
            self._ask_to_end(child)

    def _hear(self, child: _Child) -> None:
        """Read what a child said; an empty read means that it closed its end, and its exit will be told."""
        assert child.channel is not None
        try:
            data = child.channel.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            self._selector.unregister(child.channel)
            return
        *lines, child.pending = (child.pending + data).split(b"\n")
        for line in lines:
            try:
                message: Said | Done | Broken = decode(line, Said, Done, Broken)
            except GarbledError:
                text = line[:2000].decode(errors="replace")
                message = Broken("bad_result", "something else than the worker wrote to the worker's channel", text)
            if isinstance(message, Said):
                self._events.append(Progressed(child.token, message.step, message.values))
            else:
                child.last, child.said_s = message, time.monotonic()

    def _end(self, child: _Child, exited: Exited) -> None:
        """The process is gone: read what it still had said, then pass on its last word."""
        self._hear_all(child)
        self._forget(child)
        child.exited, child.ended_s = exited, exited.at_s
        child.energy = self._meter.end(child.token, exited.cpu_s)
        if child.stopped is None and _was_asked(child):
            self._unasked.append((time.monotonic(), child))
        else:
            self._events.append(_ending(child))
        self._heard += 1
        if self._queue:  # the server has begun it
            after = self._queue.popleft()
            after.slot, after.began_s = child.slot, child.ended_s
            self._events.append(Placed(after.token, after.slot, after.began_s))

    def _hear_all(self, child: _Child) -> None:
        with suppress(BlockingIOError, ValueError, KeyError):  # nothing more is there, or its end was heard before
            while child.channel is not None and child.channel in self._selector.get_map():
                self._hear(child)

    def _server_died(self) -> None:
        """Its children die with it (or are killed here, where the system does not do that). What they started does
        not, and nobody is left to adopt it. Who was only to be asked for a child asks the next one."""
        assert self._server is not None
        self._selector.unregister(self._server.channel)
        self._server.close()
        self._server = None
        self._queue.clear()
        asked = [child for child in self._children.values() if child not in self._outbox]
        ending.end_attempts([child.token for child in asked], host.this_process())
        for child in asked:
            self._kill(child)
            self._hear_all(child)
            self._forget(child)
            child.energy = self._meter.end(child.token, None)
            self._dying.append(child)
        self._bury()

    def _bury(self) -> None:
        """Tell of children that died with their server, each once it is gone: one that hangs in the kernel keeps its
        slot, but nobody waits for it. A server that does not tell of a killed child is stuck, and is killed itself."""
        for child in [child for child in self._dying if child.process is None or not child.process.lives]:
            self._dying.remove(child)
            begun = child.process is not None or was_begun(child.folder)
            child.stopped = child.stopped or (
                "lost" if begun else "cancelled",
                "the process that starts runs was killed",
            )
            self._events.append(_ending(child))
        late = time.monotonic() - STUCK_S
        stuck = [child for child in self._children.values() if child.killed_s is not None and child.killed_s < late]
        if self._server is not None and any(child.process is None or not child.process.lives for child in stuck):
            self._server.process.kill()

    def _forget(self, child: _Child) -> None:
        if child.channel is not None:
            with suppress(KeyError, ValueError):
                self._selector.unregister(child.channel)
            child.channel.close()
        del self._children[child.token]

    @staticmethod
    def _ask_to_end(child: _Child) -> None:
        if child.process is not None and child.asked_s is None:
            child.asked_s = time.monotonic()
            ending.signal_group(child.process, signal.SIGTERM)

    @staticmethod
    def _kill(child: _Child) -> None:
        child.killed_s = child.killed_s or time.monotonic()
        if child.process is not None:
            ending.signal_group(child.process, signal.SIGKILL)


def _inside(slot: Slot) -> str:
    """The device's name as the child sees it: with CUDA_VISIBLE_DEVICES set, its GPU is number 0."""
    return "cpu" if slot.device == "cpu" or slot.is_ahead else "cuda:0"


def _was_asked(child: _Child) -> bool:
    """Whether it ended of a signal by which somebody asks processes to end."""
    assert child.exited is not None
    if isinstance(child.last, Broken):
        return child.last.reason == "lost"
    status = child.exited.status
    return child.last is None and os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGTERM, signal.SIGHUP)


def _ending(child: _Child) -> Event:
    exited = child.exited
    # A task that closed its channel, or wrote something else to it, has left its result all the same.
    last = child.last if isinstance(child.last, Done) else words.kept(Path(child.folder), child.token) or child.last
    # Of one that died with its server nobody knows what it took.
    provenance: dict[str, Json] = (
        {} if exited is None else {"cpu_seconds": exited.cpu_s, "process_peak_mib": exited.peak_mib}
    )
    provenance |= {"energy": dict(child.energy)} if child.energy else {}
    if child.gpus:
        kinds = sorted({gpu.kind for gpu in host.gpus() if gpu.visible in child.gpus})
        provenance |= {"gpus": len(child.gpus), "gpu": ", ".join(kinds)}
    seconds = max(0.0, (child.ended_s or time.monotonic()) - child.began_s) if child.began_s else 0.0
    if isinstance(last, Done):
        return replace(finished(child.token, last, provenance), seconds=seconds)
    # Before what it says itself: a task that is stopped in the midst of its work may fail of that.
    if child.stopped and not _failed_before(child, last):
        detail = last.detail if last is not None else ""
        return Failed(child.token, *child.stopped, detail, provenance, seconds)
    if last is not None:
        return Failed(child.token, last.reason, last.message, last.detail, provenance, seconds)
    assert exited is not None, "who dies with its server is stopped"
    return Failed(child.token, *_death(child, exited.status), provenance=provenance, seconds=seconds)


def _failed_before(child: _Child, last: Broken | None) -> bool:
    """Whether it had failed by itself, unheard, when it was to be stopped: that stands, and is not to do again."""
    if last is None or child.exited is None or last.reason == "lost":
        return False
    return child.asked_s is None or child.exited.at_s < child.asked_s


_counted: tuple[float, int] = (-math.inf, 0)


def _oom_kills(recent_s: float = 0.0) -> int:
    """The kernel's kills for want of memory, asked unless that was done so lately. Each death by SIGKILL asks, so none
    is counted for the run that follows it."""
    global _counted
    if time.monotonic() - _counted[0] > recent_s:
        _counted = time.monotonic(), host.kernel_oom_kills()
    return _counted[1]


def _death(child: _Child, status: int) -> tuple[Reason, str]:
    """Why a process ended without a last word, as far as the system tells."""
    if not os.WIFSIGNALED(status):
        return "error", f"the worker left with exit status {os.waitstatus_to_exitcode(status)} and no result"
    number = os.WTERMSIG(status)
    if number == signal.SIGKILL and _oom_kills() > child.oom_kills:
        return "oom", "the kernel killed the worker: the host ran out of memory"
    name = signal.Signals(number).name
    if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
        return "lost", f"the worker was killed by {name}"
    return "error", f"the worker crashed: {name}"
