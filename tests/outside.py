"""Faults of the world outside: `python tests/reliability.py --only NAME --times N` tries one of them, N times.

Two dispatchers or one execute runs that start processes of their own, in sessions of their own. Meanwhile something
happens to them: kills, a suspended machine, a clock that jumps, a host without processes or files left, SIGTERM to all,
a closed terminal, containers of one host name. Then the next dispatcher runs, and database, folders and the system's
processes are asked what became of it. Whatever is injected is injected in these drivers; ablate knows nothing of it.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import psutil
from plans import bare
from reliability import Reports, children, kill

from ablate.errors import AblateError
from ablate.pool import ending
from ablate.pool.dispatcher import Dispatcher
from ablate.pool.executor import Slot
from ablate.pool.executors.local import LocalExecutor
from ablate.pool.messages import Setup
from ablate.records import Limits, RunSpec, TaskUse
from ablate.store import schema
from ablate.store.store import Store

RUNS = 4
TASK = """
import os, subprocess, sys, time
from pathlib import Path

REFUSALS = Path(__file__).with_name("refusals")
fork = os.fork

def refused():
    left = int(REFUSALS.read_text()) if REFUSALS.exists() else 0
    if left:
        REFUSALS.write_text(str(left - 1))
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()

os.fork = refused

def starts():
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    subprocess.Popen(["sh", "-c", "setsid sleep 600 & setsid sleep 600 & wait"])
    if fork() == 0:
        os.setsid()
        if fork() == 0:
            time.sleep(600)
        os._exit(0)

def main(config, run):
    starts()
    for step in range(8):
        yield {"score": config["x"] + run.seed}
        time.sleep(0.1)
    part = run.folder / "made.part"
    part.write_text(os.environ["ABLATE_RUN"][-16:])
    part.rename(run.folder / "made")

def brief(config, run):
    return {"score": config["x"] + run.seed}

def tight(config, run):
    go = Path(__file__).with_name("go")
    while not go.exists():
        yield {"score": config["x"] + run.seed}
    yield {"score": config["x"] + run.seed}
"""


@dataclass(frozen=True)
class Outcome:
    """What one fault did. hits: processes that it hit. lost: results reported done and not counted; twice: runs counted
    or reported more than once; wrong: counted runs whose folder holds another attempt's file; spent: attempts that
    count against a run although nobody killed it; left: runs not done in the end; orphans: processes of runs that are
    still there; hours: attempts that seem to have taken more than a minute, or less than nothing."""

    hits: int = 0
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    spent: int = 0
    left: int = 0
    orphans: int = 0
    hours: int = 0
    seconds: float = 0.0

    @property
    def promises_kept(self) -> bool:
        return not any((self.lost, self.twice, self.wrong, self.spent, self.left, self.orphans, self.hours))


COUNTED = ("hits", "lost", "twice", "wrong", "spent", "left", "orphans", "hours")

# --------------------------------------------------------------------------------------------------------- dispatchers


def database(folder: Path) -> str:
    """The path of the folder's database, or the address that stands in it."""
    address = folder / "address"
    return address.read_text() if address.exists() else str(folder / "a.db")


COMMANDS: dict[str, str] = {}
"""Programs that may be executed in place of a function of TASK, by name."""


def task_of(function: str) -> TaskUse:
    command = COMMANDS.get(function)
    return TaskUse.of(f"outside_task:{function}") if command is None else TaskUse("command", {"command": command})


def specs(folder: Path, count: int, function: str) -> dict[str, RunSpec]:
    spec = RunSpec(
        key="", task=task_of(function), config={"x": 0.5}, tricks=(), seed=0, threads=1, folder="",
        cache=str(folder / ".cache"), path=(str(folder),), metric="score",
    )  # fmt: skip
    return {f"k{i}": replace(spec, key=f"k{i}", seed=i, folder=str(folder / f"k{i}")) for i in range(count)}


def execute(folder: Path, count: int = RUNS, slots: int = 2, function: str = "main", *, say: bool = False) -> None:
    """What `ablate run` does, without a study file. `say`: that the server is there."""
    wanted = specs(folder, count, function)
    with Store.open(database(folder), write=True) as store:
        ending.sweep(store.identity)
        cells = [("v", spec.seed, "ablation", key) for key, spec in wanted.items()]
        store.save_plan(bare(), "", cells, dict.fromkeys(wanted, "{}"))
        setup = Setup(task_of(function), path=(str(folder),), database=store.identity, grace_s=1.0)
    executor = LocalExecutor().open(setup)
    if say:
        print("ready", flush=True)
    try:
        with Store.open(database(folder), write=True) as store:
            pool, timeout = [Slot("cpu", i) for i in range(slots)], folder / "timeout"
            limits = Limits(attempts=3, timeout_s=float(timeout.read_text()) if timeout.exists() else None, grace_s=1.0)
            Dispatcher(store, executor, pool, wanted, limits, listener=Reports(folder / "reported")).run()
    finally:
        executor.close()


def drive(folder: Path, count: int, slots: int, function: str) -> None:
    """A driver process. Its database's clock is off by what the file `clock` says; while it starts its first runs, as
    many as the file `files` says, it may open no file more."""
    clock, files = folder / "clock", folder / "files"
    told = schema.clock
    schema.clock = lambda engine: f"({told(engine)} + {float(clock.read_text() or 0) if clock.exists() else 0.0})"
    if files.exists():
        start, left = LocalExecutor.start, iter(range(int(files.read_text())))

        def starved(*given, **named):
            if next(left, None) is None:
                start(*given, **named)
                return
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) - 1, hard))
            try:
                start(*given, **named)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        LocalExecutor.start = starved
    execute(folder, count, slots, function, say=True)


@dataclass
class Driver:
    """A dispatcher in a process of its own, forked from this one, which has imported all of it."""

    pid: int
    said: IO[str]

    @classmethod
    def start(
        cls, folder: Path, *, lease_s: float = 600.0, inside: tuple[str, ...] = (), ignore: int | None = None,
        count: int = RUNS, slots: int = 2, function: str = "main",
    ) -> Driver:  # fmt: skip
        """inside: what its command is put behind, which costs its imports."""
        reader, writer = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(writer, 1)
                os.environ["ABLATE_LEASE_S"] = str(lease_s)
                # Behind a shell's `&` these are inherited as ignored, and ablate leaves them alone then: nobody would be
                # interrupted.
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.signal(signal.SIGHUP, signal.SIG_DFL)
                if ignore is not None:
                    signal.signal(ignore, signal.SIG_IGN)
                if inside:
                    words = [str(folder), str(count), str(slots), function]
                    os.execvp(inside[0], [*inside, sys.executable, __file__, *words])
                drive(folder, count, slots, function)
            finally:
                os._exit(0)
        os.close(writer)
        return cls(pid, open(reader))

    def ready(self) -> Driver:
        """Returns when its server is there."""
        with self.said:
            assert self.said.readline() == "ready\n"
        return self

    @property
    def family(self) -> list[psutil.Process]:
        """It, its server, its workers and what they started."""
        return [psutil.Process(self.pid), *children(self.pid, recursive=True)]

    def end(self) -> None:
        os.waitpid(self.pid, 0)


def both(started: Iterable[Driver]) -> list[Driver]:
    """All are begun before one is waited for."""
    return [driver.ready() for driver in list(started)]


def send(processes: list[psutil.Process], number: int) -> int:
    """To each that is still there; to how many that was."""
    hit = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
            hit += 1
    return hit


def stopped(process: psutil.Process, db: Path) -> int:
    """SIGSTOP at a moment at which it holds no lock of the file: one that does keeps everybody waiting, and `run` says
    who it is."""
    while True:
        hit = send([process], signal.SIGSTOP)
        if process.pid not in schema.lock_holders(db, Path("/proc/locks").read_text()):
            return hit
        send([process], signal.SIGCONT)
        time.sleep(0.002)


def executing(folder: Path, count: int = 1) -> None:
    """Return when so many runs are under way."""
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        with contextlib.suppress(AblateError), Store.open(database(folder)) as store:
            if sum(attempt.pid is not None for attempt in store.live()) >= count:
                return
        time.sleep(0.01)


def judged(folder: Path, hits: int, *, count: int = RUNS, files: bool = True, mine: bool = False) -> Outcome:
    """What is so after the last dispatcher. mine: attempts were killed, which count against their runs."""
    reported = folder / "reported"
    reports = [line.split() for line in reported.read_text().splitlines()] if reported.exists() else []
    with Store.open(database(folder)) as store:
        attempts = [attempt for i in range(count) for attempt in store.attempts(f"k{i}")]
        counted = {f"k{i}": a.token for i in range(count) for a in store.attempts(f"k{i}") if a.counted}
        made = [(Path(a.log, "made"), a.token) for a in attempts if a.counted and files]
        wrong = sum(path.read_text() != token for path, token in made)
        right = {f"k{i}" for i in range(count) for a in store.attempts(f"k{i}") if a.metrics.get("score") == 0.5 + i}
        spent = sum(a.outcome == "failed" and a.reason not in ("cancelled", "infrastructure") for a in attempts)
        hours = sum(a.seconds is not None and not -0.001 <= a.seconds < 60 for a in attempts)
        live, identity = store.live(), store.identity
    return Outcome(
        hits,
        lost=sum(counted.get(key) != token for key, token in reports),
        twice=len(reports) - len({key for key, _ in reports}),
        wrong=wrong,
        spent=0 if mine else spent,
        left=count - len(counted.keys() & right) + len(live),
        orphans=len(ending.found(lambda cookie: cookie.database == identity)),
        hours=hours,
    )


# -------------------------------------------------------------------------------------------------------------- faults


def processes(folder: Path, draw: random.Random) -> Outcome:
    """A SIGKILL of somebody while runs have processes in four kinds of session."""
    driver = Driver.start(folder).ready()
    executing(folder)
    time.sleep(draw.uniform(0, 0.6))  # the moment of the fault
    hits = kill(driver.pid, draw.choice(["dispatcher", "workers", "server", "both"]))
    driver.end()
    execute(folder)
    return judged(folder, hits, mine=True)


def sigterm(folder: Path, draw: random.Random) -> Outcome:
    """SIGTERM to every process, in any order, as scancel and systemctl stop send it."""
    driver = Driver.start(folder).ready()
    executing(folder)
    time.sleep(draw.uniform(0, 0.3))
    everybody = driver.family
    draw.shuffle(everybody)
    hits = send(everybody, signal.SIGTERM)
    driver.end()
    execute(folder)
    return judged(folder, hits)


def hangup(folder: Path, draw: random.Random) -> Outcome:
    """A terminal that is closed, under nohup and without."""
    nohup = draw.random() < 0.5
    driver = Driver.start(folder, ignore=signal.SIGHUP if nohup else None).ready()
    executing(folder)
    time.sleep(draw.uniform(0, 0.3))
    hits = send([psutil.Process(driver.pid)], signal.SIGHUP)
    driver.end()
    if not nohup:
        execute(folder)
    return judged(folder, hits)


def suspend(folder: Path, draw: random.Random) -> Outcome:
    """Two dispatchers and all that they started stand still for longer than a lease, and wake in any order."""
    drivers = both(Driver.start(folder, lease_s=1.0) for _ in range(2))
    executing(folder)
    everybody = [process for driver in drivers for process in driver.family]
    hits = send(everybody, signal.SIGSTOP)
    time.sleep(1.6)
    draw.shuffle(everybody)
    send(everybody, signal.SIGCONT)
    for driver in drivers:
        driver.end()
    return judged(folder, hits)


def clock(folder: Path, draw: random.Random) -> Outcome:
    """The database's clock jumps by an hour, forward or back, while two dispatchers execute."""
    (folder / "clock").write_text("0")
    drivers = both(Driver.start(folder, lease_s=5.0) for _ in range(2))
    executing(folder)
    time.sleep(draw.uniform(0, 0.3))
    part = folder / "clock.part"
    part.write_text(str(draw.choice([-3600, 3600])))
    part.rename(folder / "clock")
    for driver in drivers:
        driver.end()
    return judged(folder, 1)


def containers(folder: Path, draw: random.Random) -> Outcome:
    """Two containers of one host name on one database: neither sees the other's processes."""
    inside = ("unshare", "-pf", "--mount-proc", "--kill-child")
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        raise SystemExit("containers: not tried, for `unshare -pf --mount-proc` is not permitted here")
    drivers = both(Driver.start(folder, lease_s=6.0, inside=inside, slots=slots) for slots in (1, 2))
    executing(folder)
    time.sleep(draw.uniform(0, 0.3))
    for driver in drivers:
        driver.end()
    return judged(folder, 2)


def refused(folder: Path, draw: random.Random) -> Outcome:
    """EAGAIN at fork in the server, or EMFILE in the dispatcher, a few times."""
    if draw.random() < 0.5:
        (folder / "refusals").write_text("2")
    else:
        (folder / "files").write_text("2")
    driver = Driver.start(folder).ready()
    driver.end()
    return judged(folder, 2)


def taken(folder: Path, draw: random.Random) -> Outcome:
    """A dispatcher stands still, its workers go on; another takes its runs over; then it wakes."""
    driver = Driver.start(folder, lease_s=1.0).ready()
    executing(folder, 2)
    time.sleep(draw.uniform(0, 0.3))
    sleeper = psutil.Process(driver.pid)
    hits = stopped(sleeper, folder / "a.db")
    other = Driver.start(folder, lease_s=1.0).ready()
    other.end()
    send([sleeper], signal.SIGCONT)
    driver.end()
    return judged(folder, hits, mine=True)


def many(folder: Path, draw: random.Random) -> Outcome:
    """600 runs at a time."""
    began = time.monotonic()
    driver = Driver.start(folder, count=600, slots=600, function="brief").ready()
    driver.end()
    seconds = time.monotonic() - began
    return replace(judged(folder, 600, count=600, files=False), seconds=seconds)


def tight(folder: Path, draw: random.Random) -> Outcome:
    """Ctrl-C while 64 runs report steps as fast as they can; how long that takes."""
    driver = Driver.start(folder, count=64, slots=64, function="tight").ready()
    executing(folder, 64)
    time.sleep(draw.uniform(0, 2))
    began = time.monotonic()
    hits = send([psutil.Process(driver.pid)], signal.SIGINT)
    driver.end()
    seconds = time.monotonic() - began
    (folder / "go").touch()
    execute(folder, 64, 64, "tight")
    return replace(judged(folder, hits, count=64, files=False), seconds=seconds)


FAULTS: dict[str, Callable[[Path, random.Random], Outcome]] = {
    fault.__name__: fault
    for fault in (processes, sigterm, hangup, suspend, clock, containers, refused, taken, many, tight)
}  # fmt: skip


def tried(name: str, times: int, folder: Path, seed: int = 0) -> Iterator[Outcome]:
    """One fault, so often, each time in a folder of its own."""
    draw = random.Random(f"{name} {seed}")
    for i in range(times):
        place = folder / f"{name}{i}"
        place.mkdir()
        (place / "outside_task.py").write_text(TASK)
        began = time.monotonic()
        made = FAULTS[name](place, draw)
        yield replace(made, seconds=made.seconds or time.monotonic() - began)


if __name__ == "__main__":
    drive(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
