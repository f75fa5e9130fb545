"""The warm server: a process that has imported torch and the task's modules once and forks a child for every run.

Both ends are here: `WarmServer` is the dispatcher's handle, `serve` the process (`main`).
The server decides nothing and stores nothing. It is started before the database is opened, runs no tensor operation (a
forked child of a process that has used torch's threads hangs), never touches CUDA, and freezes what it imported out of
the collector's sight, so that children share its pages. It ends when its socket does, and with it every child and
whatever a child started: it adopts what they leave behind, and kills that before it tells of a run's end.

Measured on one core: 26 CPU ms per child against 3.5 s for importing torch in each. multiprocessing's forkserver was
tried and left: its children outlive a killed dispatcher and re-import the caller's main module.

The Setup arrives on standard input, everything else on a socket (SOCK_SEQPACKET, a message of messages.py a packet; a
Fork has the child's channel with it, as a descriptor).
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from ablate.errors import AblateError
from ablate.pool import ending, groups, host, signals
from ablate.pool.messages import Drop, Exited, Fork, Forked, Job, Ready, Setup, Unable, Unforked, decode, encode, learn

_PACKET = 1 << 17
_LONGEST = _PACKET // 8
"""Characters of a text that fit into a packet: one takes 7 bytes at most (`\\udcff`, its backslash escaped)."""
_HOME = str(Path(__file__).resolve().parents[2])
_BEGIN = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import ablate; del sys.path[0]; "
    "from ablate.pool.warm import main; main()"
)
"""The server's program: this very ablate, which may be a packed study's and not installed. Its folder is on the path
for that one import alone, for a packed study's own modules lie beside it."""

_OF_ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

LEFT_S = 5.0
"""How long the end of a run is held back for what it left behind and what does not go when it is killed."""

_NOT_BEGUN = "its turn did not come"
"""Why there is no child for an attempt that was asked for ahead."""

_ENDED = "the process that starts runs ended while it was starting."

_ONE_THREAD = dict.fromkeys(host.THREADS, "1")
"""While the server imports: an operation of torch or numpy at a module's top level would else start a pool of threads,
which a forked child does not have and waits for, for ever. A child sets the number that its study asks for."""


class WarmServer:
    """The dispatcher's handle on its server. `start` returns when the server can fork."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self.process = process
        self.channel = channel

    @classmethod
    def start(cls, setup: Setup) -> WarmServer:
        """Start a server and wait until it has imported everything. AblateError with the traceback where it cannot."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            # -P: else a script called ablate.py or random.py in the working directory is run in the place of ours.
            [sys.executable, "-P", "-c", _BEGIN, _HOME, str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            env={
                "PYTHONHASHSEED": "0",
                **os.environ,
                **_ONE_THREAD,
                "PYTHONUNBUFFERED": "1",
                ending.VARIABLE: ending.of_server(setup.database),
            },
            # Ctrl-C reaches every process of the terminal's group. What it means is for the dispatcher to say, so
            # nothing of the pool is in that group.
            start_new_session=True,
        )
        # Else the server's death would be no end of file here: this process would hold the other end open itself.
        theirs.close()
        server = cls(process, ours)
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(encode(setup))
            packet = server._packet()
            answer = decode(packet, Ready, Unable) if packet else Unable(_ENDED)
        except BaseException:
            server.close()
            raise
        if isinstance(answer, Unable):
            server.close()
            raise AblateError(answer.text)
        return server

    def fork(self, token: str, child_end: socket.socket, job: Job, *, after: int | None = None) -> bool:
        """Ask for a child whose channel is `child_end`: now, or when more than `after` others are gone. Whether its job
        went with that, decoded once for all here: else it is too long, and to be said on the channel.
        BlockingIOError where the server has no ear for it now."""
        # Not send_fds, which before Python 3.13 forgets the flags.
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [child_end.fileno()]))]
        packet = encode(Fork(token, job, after is not None, after or 0))
        fits = len(packet) <= _LONGEST
        if not fits:
            packet = encode(Fork(token, None, after is not None, after or 0))
        self.channel.sendmsg([packet], passed, socket.MSG_DONTWAIT)
        return fits

    def drop(self, token: str) -> None:
        """Ask for no child after all. Where it exists by now nothing comes of this, and the caller hears of it."""
        with contextlib.suppress(OSError):
            self.channel.send(encode(Drop(token)), socket.MSG_DONTWAIT)

    def receive(self) -> Forked | Unforked | Exited | None:
        """What became of a child; None where the server is gone. BlockingIOError where it has said nothing more."""
        packet = self._packet(socket.MSG_DONTWAIT)
        return decode(packet, Forked, Unforked, Exited) if packet else None

    def _packet(self, flags: int = 0) -> bytes:
        try:
            return self.channel.recv(_PACKET, flags)
        except ConnectionResetError:
            return self.channel.recv(_PACKET, flags)  # said once; what it had sent before it died comes now

    def close(self) -> None:
        """End the server and with it every child. Returns when the server is gone."""
        self.channel.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the kernel; it ends when that lets go
                self.process.wait(timeout=5)


# ------------------------------------------------------------------------------------------------------- the process


def main() -> None:
    """The server: its arguments are the socket's descriptor and the dispatcher's pid."""
    descriptor, dispatcher = int(sys.argv[1]), int(sys.argv[2])
    die_with(dispatcher)
    ending.adopt_orphans()
    # A signal to all (scancel, systemctl stop) is the dispatcher's to hear: it ends the runs, then this server.
    for number in _OF_ALL:
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)
    written = sys.stdin.buffer.read()
    if written:  # else the dispatcher died before it had written
        # A child that asks for input is to read an end of file, not to wait for somebody at a terminal.
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        serve(socket.socket(fileno=descriptor), decode(written, Setup))


def serve(channel: socket.socket, setup: Setup) -> None:
    """Import, say so, then fork on request until the dispatcher's end of `channel` is closed."""
    loaded: Mapping[str, str] = {}
    if setup.spawn:
        mistake = _tried(setup)
    else:
        loaded, mistake = _imported(setup)
    if mistake:
        channel.send(encode(Unable(mistake)))
        return
    gc.collect()
    gc.freeze()
    # Inside, for a Ctrl-C while torch is imported leaves nobody to hear it.
    _Server(channel, loaded, setup).run()


class _Server:
    """The server once it has imported everything. children: the runs at work, by pid; ended: those of which something
    may be left; waiting: those that were asked for ahead, with their channels; told: how many are gone; vacant: of how
    many of these nobody has the place, the last ones."""

    def __init__(self, channel: socket.socket, loaded: Mapping[str, str], setup: Setup) -> None:
        self.channel, self.loaded, self.setup = channel, loaded, setup
        self.children: dict[int, str] = {}
        self.ended: list[Exited] = []
        self.waiting: deque[tuple[Fork, list[int]]] = deque()
        self.told = self.vacant = 0
        self.wake, self.woken = os.pipe()

    def run(self) -> None:
        """Until the dispatcher's end of the channel is closed."""
        os.set_blocking(self.woken, False)
        # A pipe that the signal writes to: a child that ends between two looks is then no wake-up missed by select. It
        # needs a handler of its own (the default one writes nothing), and must not block when it is full.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.woken, warn_on_full_buffer=False)
        try:
            self.channel.send(encode(Ready(os.getpid())))
            # From here on the end of the socket is heard, and this process ends its children before itself. Were it
            # killed, what they started would live on.
            die_with(None)
            while self._turn():
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            for pid in self.children:
                _kill_group(pid)
            ending.end_descendants()

    def _turn(self) -> bool:
        """Wait for the dispatcher or the end of a child, and do what is due; False where the dispatcher is gone."""
        ends: list[socket.socket | int] = [self.channel, self.wake]
        readable, _, _ = select.select(ends, [], [], 0.02 if self.ended else None)
        if self.wake in readable:
            os.read(self.wake, 4096)
            self.ended += _reap(self.children)
        for exited in _all_gone(self.ended, self.children) if self.ended else ():
            self.channel.send(encode(exited))
            self.told += 1
            if self.waiting:
                self._begin(*self.waiting.popleft())
            else:
                self.vacant += 1
        if self.channel in readable:
            packet, descriptors, _, _ = socket.recv_fds(self.channel, _PACKET, 1)
            if not packet:
                return False
            self._do(decode(packet, Fork, Drop), descriptors)
        if self.waiting and not self.children and not self.ended:  # whom they were to follow is gone
            for asked, _ in list(self.waiting):
                self._dismiss(asked.token)
        return True

    def _do(self, asked: Fork | Drop, descriptors: list[int]) -> None:
        if isinstance(asked, Drop):
            self._dismiss(asked.token)
        elif not asked.ahead:
            self._begin(asked, descriptors)
        else:
            # The places of those that the dispatcher had heard of are its own again.
            self.vacant = min(self.vacant, self.told - asked.heard)
            self.waiting.append((asked, descriptors))
            if self.vacant:
                self.vacant -= 1
                self._begin(*self.waiting.popleft())

    def _begin(self, asked: Fork, descriptors: Sequence[int]) -> None:
        token = asked.token
        ours = [self.channel.fileno(), self.wake, self.woken, *(held for _, others in self.waiting for held in others)]
        try:
            pid = _fork(ours, descriptors, self.loaded, self.setup, asked)
        except OSError as error:  # no process, no memory, no open file: of this host, not of the run
            self.channel.send(encode(Unforked(token, error.strerror or str(error))))
            return
        # Forked is sent before the loop comes round to _reap, so before Exited, however short the run.
        self.children[pid] = token
        self.channel.send(encode(Forked(token, pid, host.process_started(pid) or 0)))

    def _dismiss(self, token: str) -> None:
        """One that waits is not begun; one that does not wait any more goes on."""
        for one in [one for one in self.waiting if one[0].token == token]:
            self.waiting.remove(one)
            for descriptor in one[1]:
                os.close(descriptor)
            self.channel.send(encode(Unforked(token, _NOT_BEGUN)))


def _all_gone(ended: list[Exited], children: Mapping[int, str]) -> list[Exited]:
    """The runs of which nothing is left, taken out of `ended`. What is left of others is killed."""
    left = ending.left_behind(children, {ending.stamp(token) for token in children.values()})
    for process, _ in left or ():
        with contextlib.suppress(psutil.Error):
            process.kill()
    kept = {attempt for _, attempt in left or ()}
    late = time.monotonic() - LEFT_S
    gone = [
        exited
        for exited in ended
        if exited.at_s < late or (left is not None and ending.stamp(exited.token) not in kept)
    ]
    for exited in gone:
        ending.forget(exited.token)
        ended.remove(exited)
    return gone


def _imported(setup: Setup) -> tuple[Mapping[str, str], str]:
    """Import everything: hashes of the user's files as they were loaded, and why it cannot be or must not be forked."""
    loaded: Mapping[str, str] = {}
    try:
        loaded = _import_all(setup)
        text = "" if setup.spawn else _threads()
    except (Exception, SystemExit) as error:  # argparse at a module's top level exits
        text = traceback.format_exc() if not isinstance(error, AblateError) else str(error)
    return loaded, f"the task {str(setup.task)!r} cannot be loaded:\n{text}"[-_LONGEST:] if text else ""


def _tried(setup: Setup) -> str:
    """Why the task cannot be loaded, found out in a child, for this process is to import nothing; empty if it can."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            with open(writer, "w") as said:
                said.write(_imported(setup)[1])
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as said:
        mistake = said.read()
    os.waitpid(pid, 0)
    return mistake


def _threads() -> str:
    """Which threads of Python run after importing, and whose they are; empty where none does. A forked child has none
    of them, and waits for ever for the locks that they held."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if not others:
        return ""
    started = ", ".join(f"{thread.name!r} ({_module_of(thread)})" for thread in others)
    return (
        f"importing it started {'a thread' if len(others) == 1 else 'threads'}: {started}. A process forked beside it "
        "may wait for ever for what it holds. Start it in the task's function, or give each run a process that imports "
        "everything itself: `resources: {start: spawn}`."
    )


def _module_of(thread: threading.Thread) -> str:
    """The module whose code a thread runs."""
    run = getattr(thread, "_target", None) or type(thread).run
    return f"of module {getattr(run, '__module__', '?')}"


def _import_all(setup: Setup) -> dict[str, str]:
    """Import the task's modules and plug-ins; returns the hashes of the user's files as they were when loaded, which
    each child goes on filling with what it loads itself."""
    from ablate.identity import sha256_file
    from ablate.pool import worker  # what every child runs: imported in each, it costs 10 CPU ms a run
    from ablate.pool.seeding import note_modules, unseeded_in
    from ablate.scripts.sources import note_executed

    for name in setup.imports:
        importlib.import_module(name)
    loaded = note_executed()
    hashes = {path: sha256_file(Path(path)) for path in setup.sources if Path(path).is_file()}
    loaded.update(hashes)
    registry, task = worker.made(setup.task, setup.plugins, setup.path)
    for shelf, name in setup.shelf_files:
        registry.load(shelf, name)
    for path in hashes:
        unseeded_in(path)
    task.warm()
    # What every child would else find out for itself, on pages that it then has to copy.
    note_modules(hashes)
    learn(Fork)
    worker.rehearse()
    groups.home()
    return loaded


def _fork(ours: Sequence[int], channels: Sequence[int], loaded: Mapping[str, str], setup: Setup, asked: Fork) -> int:
    """Fork a child that runs one run on the one channel and never returns; gives its pid. OSError where the system
    refuses it, the channel among it: a descriptor for which there is no room is dropped on its way."""
    if not channels:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    server, (channel,) = os.getpid(), channels
    try:
        pid = os.fork()
    except OSError:
        os.close(channel)
        raise
    if pid:
        os.close(channel)
        return pid
    status = 1
    try:
        # A session of its own, so that killing its group takes whatever it started along and nobody else.
        os.setsid()
        signal.set_wakeup_fd(-1)
        ending.mark(asked.token)
        signals.handle(signal.SIGCHLD, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signals.handle(number, signal.SIG_DFL)
        # A copy of the server's socket in a child would keep the dispatcher from hearing that the server died.
        for descriptor in ours:
            os.close(descriptor)
        # Asked again, for fork clears it.
        die_with(server)
        from ablate.pool import worker

        if setup.spawn:
            loaded = _import_all(setup)
        status = worker.main(channel, loaded, setup.threads, asked.job)
    except BaseException:  # a mistake of ours: the run's log has it
        traceback.print_exc()
    finally:
        # Not by return or exception: those would lead into serve(), whose `finally` kills this child's siblings.
        os._exit(status)


def _reap(children: dict[int, str]) -> Iterator[Exited]:
    """Children that ended, and what they left behind. A run's group is killed before its pid is given back, so it
    cannot be another's."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None:
            return
        pid = ended.si_pid
        if pid in children:
            _kill_group(pid)
        _, status, usage = os.wait4(pid, 0)
        token = children.pop(pid, None)
        if token is not None:
            seconds = round(usage.ru_utime + usage.ru_stime, 3)
            peak = usage.ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)
            yield Exited(token, status, round(peak, 1), seconds, time.monotonic())


def _kill_group(pid: int) -> None:
    """A child leads its own group, so what it started (a loader's workers, say) goes with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def die_with(parent: int | None) -> None:
    """Be killed when the parent dies (Linux), also when it died before this was asked; None: no more."""
    if sys.platform == "linux":
        ending.prctl(1, signal.SIGKILL if parent is not None else 0, 0, 0, 0)  # PR_SET_PDEATHSIG
    if parent is not None and os.getppid() != parent:
        os._exit(1)
