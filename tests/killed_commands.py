"""Faults of runs that are programs, for `make reliability`: whatever ends one, nothing that it started lives on.

A shell script, a training with DataLoader workers and a launcher, whose workers lead sessions of their own, each ended
in five ways in turn. How other faults are judged: outside.py.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import outside
import psutil
from outside import Driver, Outcome, executing, judged, send
from reliability import kill

from ablate.pool import ending
from ablate.store.store import Store

RUNS = 2
ENDINGS = ("timeout", "interrupt", "workers", "server", "dispatcher")
PROGRAMS = {
    "shell": (
        "train.sh",
        """
sleep 600 &
setsid sleep 600 &
(setsid sh -c 'sleep 600 & setsid sleep 600 & wait' &)
i=0
while [ $i -lt 8 ]; do sleep 0.1; i=$((i + 1)); done
[ -e hang ] && sleep 600
echo "score: $2.5"
""",
    ),
    "loader": (
        "train.py",
        """
import os, sys, time
from torch.utils.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        time.sleep(0.1)
        return i

if __name__ == "__main__":
    for batch in DataLoader(Slow(), num_workers=2, persistent_workers=True):
        pass
    while os.path.exists("hang"):
        time.sleep(1)
    print(f"score: {int(sys.argv[2]) + 0.5}")
""",
    ),
    "launcher": (
        "launch.py",
        """
import os, signal, subprocess, sys, time

if sys.argv[3:]:  # a worker, which heeds no request to end
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "600"])
    time.sleep(0.8)
    while os.path.exists("hang"):
        time.sleep(1)
    if sys.argv[3] == "0":
        print(f"score: {int(sys.argv[2]) + 0.5}", flush=True)
else:
    ranks = [subprocess.Popen([sys.executable, *sys.argv, str(rank)], start_new_session=True) for rank in range(2)]
    for worker in ranks:
        worker.wait()
""",
    ),
}  # fmt: skip
outside.COMMANDS |= {
    name: f"{'sh' if file.endswith('.sh') else 'python'} {file} --seed {{seed}}" for name, (file, _) in PROGRAMS.items()
}


def mine(folder: Path) -> list[psutil.Process]:
    """Every process of this folder's runs."""
    with Store.open(outside.database(folder)) as store:
        identity = store.identity
    return ending.found(lambda cookie: cookie.database == identity)


def started(folder: Path) -> None:
    """Return when a run's program has started something itself."""
    executing(folder)
    until_s = time.monotonic() + 60
    while (
        time.monotonic() < until_s and len(mine(folder)) < 4
    ):  # the server, a worker, the program, and what it started
        time.sleep(0.05)


def ended(name: str, folder: Path, draw: random.Random) -> Outcome:
    """A program, and the ending whose turn it is. What then lives is looked for when the dispatcher has ended; where it
    was killed, when the next one has."""
    file, text = PROGRAMS[name]
    (folder / file).write_text(text)
    how = ENDINGS[int(folder.name.removeprefix(name)) % len(ENDINGS)]
    if how == "timeout":
        (folder / "timeout").write_text("8")
        (folder / "hang").touch()
    driver = Driver.start(folder, count=RUNS, function=name).ready()
    started(folder)
    time.sleep(draw.uniform(0, 0.6))  # the moment of the fault
    if how == "timeout":
        driver.end()
        with Store.open(outside.database(folder)) as store:
            reasons = [attempt.reason for i in range(RUNS) for attempt in store.attempts(f"k{i}")]
        return Outcome(hits=len(reasons), wrong=int(reasons != ["timeout"] * RUNS), orphans=len(mine(folder)))
    interrupted = how == "interrupt"
    hits = send([psutil.Process(driver.pid)], signal.SIGINT) if interrupted else kill(driver.pid, how)
    driver.end()
    orphans = len(mine(folder)) if how != "dispatcher" else 0
    outside.execute(folder, RUNS, function=name)
    seen = judged(folder, hits, count=RUNS, files=False, mine=not interrupted)
    return replace(seen, orphans=seen.orphans + orphans)


def _fault(name: str) -> Callable[[Path, random.Random], Outcome]:
    return lambda folder, draw: ended(name, folder, draw)


outside.FAULTS.update({name: _fault(name) for name in PROGRAMS})
