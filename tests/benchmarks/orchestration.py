"""`make bench`: what ablate itself costs, as CPU figures of whole processes beside a plain limit.

Each figure is the CPU time (user + system, children included) of a fresh process doing what a user does. The limit is a
multiprocessing pool that forks one child per task, and one SQLite commit (synchronous=FULL) per result: no plan, no
leases, no isolation from what ran before in the parent.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ablate.store.store import Store
from ablate.training.examples import (
    PARTS,
    Examples,
    ExampleSet,
    drop,
    of_classes,
    of_numbers,
    read,
    settled,
    write,
)
from ablate.training.provenance import provenance

RUNS, WORKERS = 2000, 1
COMMANDS = 200
TASK = "def noop(config, run):\n    return {'score': config['x'] + run.seed}\n"
ABLATE = [sys.executable, "-m", "ablate"]

LIMIT = """
import multiprocessing, sqlite3, sys

def noop(seed):
    return seed, 1.5 + seed

c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA synchronous=FULL")
c.execute("CREATE TABLE result (seed INTEGER PRIMARY KEY, score REAL)")
with multiprocessing.get_context("fork").Pool(int(sys.argv[3]), maxtasksperchild=1) as pool:
    for row in pool.imap_unordered(noop, range(int(sys.argv[2])), chunksize=1):
        c.execute("INSERT INTO result VALUES (?, ?)", row)
"""


STUDY_OF_2048 = (
    f"base: {{{', '.join(f't{i}: false' for i in range(11))}}}\n"
    f"tricks:\n{''.join(f'  t{i}: {{set: {{t{i}: true}}}}' + chr(10) for i in range(11))}"
    "designs: factorial\nseeds: 10\n"
)
STEPS = "def main(config, run):\n    for i in range(50_000):\n        yield {'loss': 1 / (i + 1)}\n"
STEPPING = """
import resource, sys
from ablate.pool.dispatcher import Dispatcher
from ablate.pool.executor import Slot
from ablate.pool.executors.local import LocalExecutor
from ablate.pool.messages import Setup
from ablate.records import Limits, RunSpec, TaskUse
from ablate.store.store import Store
from ablate.study.record import PlanRecord
from ablate.terminal.live import View

def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

class Deaf(View):
    def changed(self, dispatcher): pass

folder, task = sys.argv[1], TaskUse.of("steps:main")
spec = RunSpec("k", task, {}, (), 0, 1, folder + "/k", "", path=(folder,), metric="loss")
with Store.open(folder + "/steps.db", write=True) as store:
    store.add_cells("s", [("v", 0, "ablation", "k")], {"k": "{}"})
    executor = LocalExecutor().open(Setup(task, path=(folder,), database=store.identity))
    before = used()
    Dispatcher(store, executor, [Slot("cpu", 0)], {"k": spec}, Limits(), listener=Deaf(quiet=True)).run()
    print(20 * (used() - before))
executor.close()
"""
"""50,000 steps as fast as a task can say them; what a million would take of the dispatcher."""


def cpu_s(command: list[str], folder: Path, **environment: str) -> float:
    """CPU seconds of a command and all that it started and waited for. Its modules are compiled, as an installed
    ablate's are."""
    import resource

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env={**given, **environment})
    return used() - before


def study(folder: Path, name: str, text: str) -> str:
    (folder / "noop_task.py").write_text(TASK)
    (folder / f"{name}.yaml").write_text("task: noop_task:noop\nmetric: {name: score, better: higher}\n" + text)
    return f"{name}.yaml"


def of_a_command(folder: Path) -> float:
    """CPU seconds of one run of a command that does nothing, less those of the command and of a `run` that has nothing
    to do."""
    (folder / "noop.sh").write_text('echo "score: $X$SEED" $Y\n')
    (folder / "shell.yaml").write_text(
        "task: {command: sh noop.sh, flags: env, seed: SEED}\nmetric: {name: score, better: higher}\n"
        "base: {X: 1.5, Y: 0}\ntricks: {a: {set: {X: 2.5}}, b: {set: {Y: 1}}}\n"
        f"designs: factorial\nseeds: {COMMANDS // 4}\n"
    )
    run = [*ABLATE, "--quiet", "run", "shell.yaml", "--workers", str(WORKERS)]
    first, again = cpu_s(run, folder), cpu_s(run, folder)
    program = (
        f"import subprocess\nfor _ in range({COMMANDS}): subprocess.run(['sh', 'noop.sh'], stdout=subprocess.PIPE)"
    )
    return (first - again - cpu_s([sys.executable, "-c", program], folder)) / COMMANDS


def best_of(times: int, measure: object) -> float:
    return min(measure() for _ in range(times))  # type: ignore[operator]


def report(what: str, value: float, unit: str, allowed: float | None = None, beside: str = "") -> None:
    target = f"(at most {allowed:g})" if allowed is not None else ""
    print(f"{what:<58} {value:9.2f} {unit:<12} {target:<16} {beside}", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        help_s = best_of(3, lambda: cpu_s([*ABLATE, "--help"], folder))
        report("ablate --help", help_s, "CPU s", 0.3)

        tricks = "tricks: {a: {set: {x: 2.5}}, b: {set: {y: 1}}}\ndesigns: factorial\n"
        one = study(folder, "noop", f"base: {{x: 1.5, y: 0}}\n{tricks}seeds: {RUNS // 4}\n")
        ours = cpu_s([*ABLATE, "--quiet", "run", one, "--workers", str(WORKERS)], folder)
        limit = cpu_s([sys.executable, "-c", LIMIT, str(folder / "limit.db"), str(RUNS), str(WORKERS)], folder)
        beside = f"limit {1e3 * limit / RUNS:.2f} ms, ratio {ours / limit:.2f}"
        report(f"{RUNS} no-op runs, one child each, all included", 1e3 * ours / RUNS, "CPU ms/run", 60, beside)
        again = cpu_s([*ABLATE, "--quiet", "run", one], folder)
        report("the same command again: nothing to train", again, "CPU s")
        what = f"{COMMANDS} runs of a shell command that does nothing, beside it"
        report(what, 1e3 * of_a_command(folder), "CPU ms/run", 30)

        toggles = "".join(f"  t{i}: {{set: {{t{i}: true}}}}\n" for i in range(10))
        base = ", ".join(f"t{i}: false" for i in range(10))
        many = study(folder, "many", f"base: {{{base}}}\ntricks:\n{toggles}designs: factorial\nseeds: 10\n")
        planned = cpu_s([*ABLATE, "plan", many, "--format", "json"], folder)
        report("plan of 1,024 variants x 10 seeds", planned, "CPU s")
        enqueue = "from ablate.runs import saving, planned as planner; from ablate.store.store import Store; p = planner.find(sys.argv[1], 'q.db');"
        enqueue += "s = Store.open('q.db', write=True); saving.save(p, s); s.close()"
        queued = cpu_s([sys.executable, "-c", f"import sys; {enqueue}", many], folder)
        report("plan and enqueue them in the database", queued, "CPU s", 5)

        fill(folder / "q.db")
        table = best_of(3, lambda: cpu_s([*ABLATE, "--db", "q.db", "table", "many"], folder))
        report("table of 1,024 variants x 10 seeds x 3 metrics", table, "CPU s", 3)
        without = peak_mib([*ABLATE, "--db", "q.db", "table", "many"], folder)
        tell(folder / "q.db")
        told_s = best_of(3, lambda: cpu_s([*ABLATE, "--db", "q.db", "table", "many"], folder)) - table
        report("the same with 10,000 examples of each run: more", told_s, "CPU s", 3)
        more = peak_mib([*ABLATE, "--db", "q.db", "table", "many"], folder) - without
        report("and memory: more", more, "MiB", 200)
        report("10,000 images of a run, class and loss, kept", storing(folder), "CPU ms", 0.5)
        large = study(folder, "large", STUDY_OF_2048)
        cpu_s([sys.executable, "-c", f"import sys; {enqueue.replace('q.db', 'l.db')}", large], folder)
        fill(folder / "l.db")
        for words in (["table", "large"], ["status", "large"], ["export", "large"], ["plan", large]):
            took = best_of(3, lambda words=words: cpu_s([*ABLATE, "--db", "l.db", *words], folder))
            report(f"{words[0]} of 20,480 finished runs", took, "CPU s", 2.5)
        (folder / "steps.py").write_text(STEPS)
        told = subprocess.run([sys.executable, "-c", STEPPING, str(folder)], cwd=folder, capture_output=True, text=True)
        report("a million steps of one number: the dispatcher alone", float(told.stdout.split()[-1]), "CPU s", 60)
        toggles = "".join(f"  t{i}: {{set: {{t{i}: true}}}}\n" for i in range(199))
        base = ", ".join(f"t{i}: false" for i in range(199))
        wide = study(folder, "wide", f"base: {{{base}}}\ntricks:\n{toggles}designs: add_one_in\nseeds: 10\n")
        cpu_s([sys.executable, "-c", f"import sys; {enqueue.replace('q.db', 'w.db')}", wide], folder)
        fill(folder / "w.db", steps=20)
        for ending in ("html", "pdf"):
            wrote = cpu_s([*ABLATE, "--db", "w.db", "report", "wide", "-o", f"r.{ending}"], folder)
            report(f"report of 200 variants x 10 seeds x 20 epochs as {ending}", wrote, "CPU s", 20)
        print(
            json.dumps(
                {"processors": os.cpu_count(), "python": sys.version.split()[0], "sqlite": sqlite3.sqlite_version}
            )
        )


def fill(database: Path, steps: int = 0) -> None:
    """Results for every run, as if each had been trained: rows as a run of noop leaves them, with what it was made with.

    steps: of a curve of each metric.
    """
    connection = sqlite3.connect(database)
    keys = [key for (key,) in connection.execute("SELECT run FROM cell GROUP BY run ORDER BY min(position)")]
    made = provenance()
    for number, key in enumerate(keys, 1):
        token = f"{number:016x}"
        told = json.dumps({**made, "cpu_seconds": number % 97 / 1000, "process_peak_mib": 26.5})
        connection.execute(
            "INSERT INTO attempt (id, run, token, host, boot, pid, pid_started, device, slot, owner, lease_until,"
            " started_at, ended_at, outcome, log, outputs, provenance)"
            " VALUES (?, ?, ?, 'h', 'b', ?, ?, 'cpu', 0, '1:1', 0, 0, 1, 'done', ?, '{}', ?)",
            (number, key, token, number, number, f"s/runs/{key[:16]}-0123abcd-{token}", told),
        )
        values = [
            (number, name, (number * k % 100_003) / 1000) for name, k in (("score", 7), ("loss", 11), ("cost", 13))
        ]
        connection.executemany("INSERT INTO metric VALUES (?, ?, ?)", values)
        curve = [(number, name, step, v * step / steps) for step in range(1, steps + 1) for _, name, v in values]
        connection.executemany("INSERT INTO curve VALUES (?, ?, ?, ?)", curve)
        connection.execute("UPDATE run SET state = 'done', counted_attempt = ? WHERE key = ?", (number, key))
    connection.execute(
        'UPDATE study SET resolved = json_set(resolved, \'$.also\', json(\'{"loss":"lower","cost":"lower"}\'))'
    )
    connection.commit()
    connection.close()


def peak_mib(command: list[str], folder: Path) -> float:
    """The memory that a command takes at most."""
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    made = subprocess.run([sys.executable, "-c", program, *command], cwd=folder, check=True, capture_output=True)
    return float(made.stdout)


def tell(database: Path, examples: int = 10_000) -> None:
    """What every run of a filled database got right: 19 of 20, others in each."""
    rng = np.random.default_rng(0)
    of_set = ExampleSet(tuple(map(str, range(examples))))
    connection = sqlite3.connect(database)
    parts = [json.dumps(getattr(of_set, name)) for name in PARTS]
    names = f"fingerprint, {', '.join(PARTS)}"
    connection.execute(f"INSERT INTO example_set ({names}) VALUES (?, ?, ?, ?, ?)", (of_set.fingerprint, *parts))
    for (attempt,) in connection.execute("SELECT id FROM attempt").fetchall():
        column = of_numbers("score", (rng.random(examples) < 0.95).astype(float), 100.0)
        row = (attempt, "score", "last", of_set.fingerprint, column.kind, column.factor, column.data)
        names = "attempt, metric, at, examples, kind, factor, data"
        connection.execute(f"INSERT INTO example ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()


def storing(folder: Path, images: int = 10_000, runs: int = 200) -> float:
    """CPU ms a run: packed, checked against the metrics, left in a file, read by the dispatcher, in the database. In one
    process: what a child pays for doing each of it for the first time is not in it."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, images)
    predicted = np.where(rng.random(images) < 0.95, labels, rng.integers(0, 10, images))
    losses = rng.exponential(0.1, images).astype(np.float32)
    values = {"dev_accuracy": 100 * float((predicted == labels).mean()), "dev_loss": float(losses.mean())}
    of_set = ExampleSet(tuple(map(str, range(images))), tuple(labels.tolist()), (), tuple("0123456789"))
    told = Examples(of_set.fingerprint, of_set.text)

    def kept() -> Examples:
        columns = of_classes("dev_accuracy", predicted, labels, 10, 100.0), of_numbers("dev_loss", losses)
        name = write(settled(replace(told, columns=columns), values, tuple(values)), folder)
        found = read(folder, name)
        drop(folder, name)
        return found

    def spent(begin: int, each: Callable[[], Examples | None]) -> float:
        before = time.process_time()
        for number in range(begin, begin + runs):
            store.finish(f"{number}", values, {}, {}, each())
        return 1000 * (time.process_time() - before) / runs

    with Store.open(folder / "e.db", write=True) as store:
        keys = [f"{number}" for number in range(2 * runs + 1)]
        store.add_cells("s", [("v", int(key), "ablation", key) for key in keys], dict.fromkeys(keys, "{}"))
        for key in keys:
            store.claim(key, key, host="h", boot="b", owner="o", device="cpu", slot=int(key), lease_s=1e6, log="")
        store.finish(keys[-1], values, {}, {}, kept())
        told = replace(told, text=b"", kept=str(folder))  # the set is there: of a study's runs one brings it
        return spent(0, kept) - spent(runs, lambda: None)


if __name__ == "__main__":
    main()
