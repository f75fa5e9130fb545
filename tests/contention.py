"""Many dispatchers and readers on one new database: `python tests/contention.py [SECONDS]` prints what happened.

Twenty processes call `ablate run` at once, half of them for one study and half for studies of their own, while three
more poll `status`, `table` and `export`. A run takes 20 ms. All are forked from one process that has imported ablate and
opened nothing, so that they meet within milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DISPATCHERS = 20
TASK = """
import time

def main(config, run):
    time.sleep(0.02)
    return {"score": config["x"] + run.seed % 7}
"""
STUDY = "task: brief:main\nbase: {x: 0, of: NUMBER}\ntricks:\n  ex: {set: {x: 1}}\nmetric: {name: score}\nseeds: 3\n"


@dataclass(frozen=True)
class Meeting:
    """failed: processes that did not end well, with what they said; twice: runs with more than one counted attempt."""

    transactions: int
    reads: int
    done: int
    twice: int
    left: int
    failed: tuple[str, ...]

    @property
    def locks(self) -> int:
        return sum("locked" in said or "has held the database" in said for said in self.failed)


def meet(folder: Path, seconds: float = 0.0) -> Meeting:
    """Let them all loose; each dispatcher runs new seeds until `seconds` are over, and at least once."""
    (folder / "brief.py").write_text(TASK)
    for number in range(DISPATCHERS // 2 + 1):
        (folder / f"s{number}.yaml").write_text(STUDY.replace("NUMBER", str(number)))
    _import_all()
    until = time.monotonic() + seconds
    stop = folder / "stop"
    dispatchers = [_forked(folder, f"d{i}", lambda i=i: _dispatch(max(0, i - 9), until)) for i in range(DISPATCHERS)]
    readers = [
        _forked(folder, words, lambda words=words: _poll(words, stop)) for words in ("status", "table", "export")
    ]
    failed = [name for pid, name in dispatchers if os.waitpid(pid, 0)[1] != 0]
    stop.touch()
    failed += [name for pid, name in readers if os.waitpid(pid, 0)[1] != 0]
    counts = [int((folder / f"{name}.count").read_text()) for _, name in dispatchers if name not in failed]
    reads = [int((folder / f"{name}.count").read_text()) for _, name in readers if name not in failed]
    with contextlib.closing(sqlite3.connect(folder / "results/ablate.db")) as connection:
        done = [n for (n,) in connection.execute("SELECT count(*) FROM attempt WHERE outcome = 'done' GROUP BY run")]
        left = connection.execute("SELECT count(*) FROM run WHERE state <> 'done'").fetchone()[0]
    said = tuple(f"{name}: {(folder / f'{name}.err').read_text()[-500:]}" for name in failed)
    return Meeting(sum(counts), sum(reads), len(done), sum(n > 1 for n in done), left, said)


def _import_all() -> None:
    """What the commands import when they are called; none of it opens a database or starts a thread."""
    import ablate.analysis.results
    import ablate.runs.execute
    import ablate.terminal.cli
    import ablate.terminal.printed
    from ablate.registry import Registry

    for name in ("markdown", "csv", "json"):
        Registry().load("tables", name)
    assert ablate.terminal.cli.app


def _forked(folder: Path, name: str, do: Callable[[], int]) -> tuple[int, str]:
    pid = os.fork()
    if pid:
        return pid, name
    status = 1
    try:
        os.chdir(folder)
        with open(f"{name}.err", "w") as err, open(os.devnull, "w") as out:
            sys.stdout, sys.stderr = out, err
            try:
                Path(f"{name}.count").write_text(str(do()))
                status = 0
            except BaseException:
                traceback.print_exc(file=err)
    finally:
        os._exit(status)


def _dispatch(study: int, until: float) -> int:
    """`ablate run` on the study, once and then with new seeds until the time is over; the transactions it committed."""
    import sqlalchemy as sa

    from ablate.terminal.cli import app

    committed = 0

    def count(*_: object) -> None:
        nonlocal committed
        committed += 1

    sa.event.listen(sa.engine.Engine, "commit", count)
    turn = 0
    while turn == 0 or time.monotonic() < until:
        seeds = ",".join(str(turn * 1000 + i) for i in range(5))
        app(["run", f"s{study}.yaml", "--workers", "4", "--set", f"seeds=[{seeds}]"], standalone_mode=False)
        turn += 1
    return committed


def _poll(command: str, stop: Path) -> int:
    from ablate.errors import AblateError
    from ablate.terminal.cli import app

    polls = 0
    while not stop.exists():
        try:
            app([command], standalone_mode=False)
            polls += 1
        except AblateError as error:
            if "there is no database" not in str(error) and "holds no study" not in str(error):
                raise
    return polls


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    with tempfile.TemporaryDirectory() as folder:
        met = meet(Path(folder), seconds)
    rows = {
        "dispatchers at once": DISPATCHERS,
        "write transactions": met.transactions,
        "reads beside them": met.reads,
        "runs done": met.done,
        '"database is locked"': met.locks,
        "counted twice": met.twice,
        "left over": met.left,
    }
    print("\n".join([f"{name:<32}{value}" for name, value in rows.items()] + list(met.failed)))


if __name__ == "__main__":
    main()
