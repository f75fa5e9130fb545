"""Faults injected on purpose, and what became of the results: `make reliability` prints the figures of the README.

A driver process runs a real dispatcher over tiny function tasks; it, its warm server or its workers are killed by
SIGKILL, either at the Nth of its ticks (statements, commits, and calls of the executor) or at a random moment. Then the
next dispatcher runs, and the database is asked: was a result lost that had been reported, was a run counted twice, is
anything left running. The hooks are installed in the driver only; ablate knows nothing of them.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import hostile_corpus
import psutil
import sqlalchemy as sa
from plans import bare

from ablate.pool.dispatcher import Dispatcher
from ablate.pool.executor import Finished, Slot
from ablate.pool.executors.local import LocalExecutor
from ablate.pool.known import Known
from ablate.pool.messages import Setup
from ablate.pool.pace import Pace
from ablate.records import Limits, RunSpec, TaskUse
from ablate.store import schema
from ablate.store.opened import Opened
from ablate.store.store import Store

WHO = ("dispatcher", "workers", "server", "both")
HEARTBEAT = "heartbeat"
"""The dispatcher, in the middle of renewing its leases."""
RUNS = 6
MOMENTS = 400
"""Random ones at which somebody is killed: with those at every third tick more than 400 kills hit."""
LEASE_S = 600.0
"""Far longer than any test: what is recovered is recovered because its process is gone."""
TASK = """
import os

def main(config, run):
    for step in range(2):
        yield {"score": config["x"] + run.seed}
    made = run.folder / "made.part"
    made.write_text(str(run.seed))
    made.rename(run.folder / "made")
"""


# ------------------------------------------------------------------------------------------------------- the dispatcher


class Reports:
    """A listener that notes every result it is told of, as a user who reads the live view would."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def changed(self, dispatcher: Dispatcher) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def ended(self, work, event, *, again) -> None:
        if isinstance(event, Finished):
            os.write(self.file, f"{work.key} {work.token}\n".encode())


def specs(folder: Path, runs: int = RUNS) -> dict[str, RunSpec]:
    spec = RunSpec(
        key="", task=TaskUse.of("tiny_task:main"), config={"x": 0.5}, tricks=(), seed=0, threads=1,
        folder="", cache="", metric="score",
    )  # fmt: skip
    return {f"k{i}": replace(spec, key=f"k{i}", seed=i, folder=str(folder / f"k{i}")) for i in range(runs)}


def dispatch(
    folder: Path, executor: LocalExecutor, runs: int = RUNS, database: str = "a.db", patience_s: float = 900.0
) -> None:
    """What `ablate run` does, without a study file. patience_s: for a database that is away."""
    wanted = specs(folder, runs)
    with Store.open(where(folder, database), write=True) as store:
        cells = [("v", spec.seed, "ablation", key) for key, spec in wanted.items()]
        store.save_plan(bare(), "", cells, dict.fromkeys(wanted, "{}"))
        pool = [Slot("cpu", 0), Slot("cpu", 1)]
        Dispatcher(
            store,
            executor,
            pool,
            wanted,
            Limits(attempts=20, database_s=patience_s),
            listener=Reports(folder / "reported"),
        ).run()


def where(folder: Path, database: str) -> str:
    """A database's address, or the path of its file in `folder`."""
    return database if "://" in database else str(folder / database)


def setup(folder: Path) -> Setup:
    return Setup(task=TaskUse.of("tiny_task:main"), path=(str(folder),))


def drive(folder: Path, who: str, at: int, database: str) -> None:
    """The driver: kill `who` at tick number `at` (0: nobody), then say how many ticks there were, how many
    processes were hit, and how many seconds it took."""
    ticks = hits = 0
    renewing = False
    renew, snapshot = Store.renew, Known.snapshot

    def tick(*_: object) -> None:
        nonlocal ticks, hits
        ticks += who != HEARTBEAT or renewing
        if ticks == at and not hits:
            hits = kill(os.getpid(), "dispatcher" if who == HEARTBEAT else who)

    def renewed(*given) -> set[str]:
        nonlocal renewing
        renewing = True
        try:
            return renew(*given)
        finally:
            renewing = False

    if who == HEARTBEAT:
        Store.renew = renewed
        Known.snapshot = lambda self: replace(snapshot(self), renewed_s=float("-inf"))  # at every turn

    class Ticking(LocalExecutor):
        def start(self, *given, **named) -> None:
            tick()
            super().start(*given, **named)
            tick()

        def poll(self, timeout_s):
            events = super().poll(timeout_s)
            tick()
            return events

    if at % 2 and who != HEARTBEAT:  # with runs that wait for those at work to end
        Pace.ahead = lambda self, waits, slots: 2 - waits if slots else 0
    executor = Ticking().open(setup(folder))
    listen(tick)
    print("ready", flush=True)
    began = time.monotonic()
    dispatch(folder, executor, database=database)
    executor.close()
    print(ticks, hits, time.monotonic() - began)


def listen(tick: Callable[..., None]) -> None:
    """Call `tick` before every statement, those of SQLite's own driver among them, and around every commit."""
    for event in ("before_cursor_execute", "commit"):
        sa.event.listen(sa.engine.Engine, event, tick)
    sa.event.listen(sa.pool.Pool, "checkin", tick)  # after the commit
    for name in ("_rows", "_each"):  # what SQLAlchemy does not see

        def ticking(*given, _to=getattr(Opened, name)):
            tick()
            return _to(*given)

        setattr(Opened, name, ticking)


def kill(dispatcher: int, who: str) -> int:
    """SIGKILL a dispatcher, its server, its workers or all of them; returns how many processes were hit."""
    servers = children(dispatcher)
    workers = [child for server in servers for child in children(server.pid, recursive=True)]
    chosen = {"dispatcher": [], "workers": workers, "server": servers, "both": [*workers, *servers]}[who]
    hit = 0
    for process in chosen:
        try:
            process.kill()
            hit += 1
        except psutil.NoSuchProcess:
            pass
    if who in ("dispatcher", "both"):
        os.kill(dispatcher, signal.SIGKILL)
        hit += 1
    return hit


def children(pid: int, *, recursive: bool = False) -> list[psutil.Process]:
    """A process's children; none where it has ended meanwhile."""
    try:
        return psutil.Process(pid).children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []


# ------------------------------------------------------------------------------------------------------------ the trial


@dataclass(frozen=True)
class Trial:
    """What one fault did. ticks, seconds: of a driver that was not killed itself. hit: somebody was killed. lost: results
    reported done and not counted; twice: runs counted or reported more than once; left: runs not done after the next
    dispatcher; orphans: processes that outlived the dispatcher; recovery_s: from the start of the next dispatcher until
    every abandoned run was free again, None where none was."""

    lost: int
    twice: int
    left: int
    recovery_s: float | None
    orphans: int = 0
    hit: bool = False
    ticks: int = 0
    seconds: float = 0.0

    @property
    def promises_kept(self) -> bool:
        return (self.lost, self.twice, self.left, self.orphans) == (0, 0, 0, 0)


def trial(
    folder: Path, who: str = "dispatcher", at: int = 0, *, after_s: float | None = None, database: str = "a.db"
) -> Trial:
    """One driver, killed at tick `at`, or `after_s` seconds after it was ready; then the next dispatcher."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny_task.py").write_text(TASK)
    command = [sys.executable, __file__, "drive", str(folder), who, str(at), database]
    driver = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "ABLATE_LEASE_S": str(LEASE_S)}
    )
    family: list[psutil.Process] = []
    assert driver.stdout is not None
    with driver, driver.stdout as said:
        assert said.readline() == "ready\n"
        family = children(driver.pid, recursive=True)
        hits = 0
        if after_s is not None:
            time.sleep(after_s)  # the moment of the fault, not a wait for anything
            if driver.poll() is None:
                hits = kill(driver.pid, who)
        told = said.readline().split() or ["0", "1", "0"]
    hits += int(told[1])
    orphans = len(psutil.wait_procs(family, timeout=10)[1])
    began = time.time()
    executor = LocalExecutor().open(setup(folder))
    ready = time.time() - began
    try:
        dispatch(folder, executor, database=database)
    finally:
        executor.close()
    seen = judged(folder, began + ready, database=database)
    return replace(seen, ticks=int(told[0]), seconds=float(told[2]), hit=hits > 0, orphans=orphans)


def judged(folder: Path, began: float = 0.0, runs: int = RUNS, database: str = "a.db") -> Trial:
    """What the database says after the last dispatcher, which began at `began`, held against what was reported."""
    reported = folder / "reported"
    reports = [line.split() for line in reported.read_text().splitlines()] if reported.exists() else []
    engine = sa.create_engine(schema.database_url(where(folder, database)))
    with engine.connect() as connection:

        def rows(query: str) -> list[tuple]:
            return [tuple(row) for row in connection.execute(sa.text(query))]

        counted = dict(
            rows(
                "SELECT run.key, token FROM run JOIN attempt ON attempt.id = counted_attempt JOIN metric ON attempt = id"
                " WHERE run.state = 'done' AND outcome = 'done' AND value = 0.5 + CAST(substr(run.key, 2) AS INTEGER)"
            )
        )
        done = dict(rows("SELECT run, count(*) FROM attempt WHERE outcome = 'done' GROUP BY run"))
        ((live,),) = rows("SELECT count(*) FROM attempt WHERE outcome IS NULL")
        ((last,),) = rows("SELECT max(ended_at) FROM attempt WHERE message = 'its worker is gone'")
        ((waited,),) = rows("SELECT count(*) FROM attempt WHERE message LIKE 'its lease ended%'")
    engine.dispose()
    return Trial(
        lost=sum(counted.get(key) != token for key, token in reports),
        twice=sum(number > 1 for number in done.values()) + len(reports) - len({key for key, _ in reports}),
        left=runs - len(counted) + live + waited,
        recovery_s=None if last is None else max(0.0, last - began),
    )


def random_trials(folder: Path, count: int, seed: int) -> Iterator[Trial]:
    """Kills at random moments of a dispatch, evenly over the time that an unbroken one takes."""
    draw = random.Random(seed)
    whole_s = trial(folder / "unbroken").seconds
    for i in range(count):
        yield trial(folder / f"random{i}", draw.choice(WHO), after_s=draw.uniform(0, whole_s))


def faults(folder: Path) -> Iterator[Trial]:
    """Every third tick of a dispatcher, then kills at random moments."""
    unbroken = trial(folder / "unbroken")
    for at in range(1, unbroken.ticks + 1, 3):
        yield trial(folder / f"tick{at}", "dispatcher", at)
    yield from random_trials(folder, MOMENTS, seed=0)


def kills(seconds: float) -> None:
    """Print the figures: kills tried, results lost, counted twice, recovery time. Progress goes to standard error."""
    until_s = time.monotonic() + seconds
    made: list[Trial] = []
    with tempfile.TemporaryDirectory() as name:
        for one in faults(Path(name)):
            made.append(one)
            print(f"{len(made)} {'kept' if one.promises_kept else one}", file=sys.stderr, flush=True)
            if time.monotonic() > until_s:
                break
    recoveries = sorted(one.recovery_s for one in made if one.recovery_s is not None)
    rows = {
        "SIGKILLs that hit": sum(one.hit for one in made),
        "reported results lost": sum(one.lost for one in made),
        "runs counted twice": sum(one.twice for one in made),
        "runs left over": sum(one.left for one in made),
        "orphan processes after 10 s": sum(one.orphans for one in made),
    }
    if recoveries:
        rows["recovery, seconds: median"] = f"{recoveries[len(recoveries) // 2]:.2f}"
        rows["recovery, seconds: longest"] = f"{recoveries[-1]:.2f}"
    inputs, missed = hostile_corpus.tried()
    rows |= {"bad inputs tried": inputs, "told wrongly": missed}
    print("\n".join(f"{name:<32}{value}" for name, value in rows.items()))


def outside(name: str, times: int, seconds: float) -> bool:
    """Print what one fault of the world outside did, tried so often, or for so long; whether every promise was kept."""
    import outside

    made = []
    until_s = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        try:
            for one in outside.tried(name, times, Path(folder)):
                made.append(one)
                print(f"{name} {len(made)} {'kept' if one.promises_kept else one}", file=sys.stderr, flush=True)
                if time.monotonic() > until_s:
                    break
        except SystemExit as untried:  # this machine does not allow it: told, and the others go on
            print(untried, flush=True)
            return True
    sums = [f"{field} {sum(getattr(one, field) for one in made)}" for field in outside.COUNTED]
    print(
        f"{name:<15}tried {len(made)}, {', '.join(sums)}, longest {max(one.seconds for one in made):.1f} s", flush=True
    )
    return all(one.promises_kept for one in made)


def main() -> None:
    """Every fault, or the one that is named: `--only processes --times 20`; `--only kills` are those of ablate's own
    processes at every third tick."""
    import disks  # noqa: F401  # which adds its faults to those of the world, as the next one does
    import killed_commands  # noqa: F401
    import outside as world

    words = argparse.ArgumentParser(description=main.__doc__)
    words.add_argument("--only", choices=["kills", *world.FAULTS])
    words.add_argument("--times", type=int, default=20)
    words.add_argument("--seconds", type=float, default=float("inf"), help="of each fault; it ends after a trial")
    asked = words.parse_args()
    if asked.only in (None, "kills"):
        kills(asked.seconds)
    names = [name for name in world.FAULTS if asked.only in (None, name)]
    kept = [outside(name, asked.times, asked.seconds) for name in names]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["drive"]:
        drive(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
    else:
        main()
