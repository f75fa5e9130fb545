"""`make bench`: what a trial of `ablate tune` costs beside a no-op run, and beside Optuna alone on the same space.

CPU time (user + system, children included) of fresh processes; a trial's cost is the difference of a longer and a
shorter search, so that what is paid once (imports, the plan) is not counted. Optuna alone runs no process per trial.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from orchestration import ABLATE, cpu_s, report

FEW, MANY = 20, 220
TASK = "def noop(config, run):\n    return {'score': -(config['x'] - 0.3) ** 2 - (config['y'] - 0.7) ** 2}\n"
STUDY = """\
task: noop_task:noop
base: {x: 0.9, y: 0.1, z: 0}
tricks: {a: {set: {z: 1}}}
metric: {name: score, better: higher}
tune:
  variant: base
  fresh_seeds: 1
  space: {x: {low: 0.0, high: 1.0}, y: {low: 0.0, high: 1.0}}
"""
ALONE = """
import sys, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
name, count = sys.argv[1:]
if name.endswith(".db"):
    storage = optuna.storages.RDBStorage(f"sqlite:///{name}")
else:
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(name))
study = optuna.create_study(storage=storage, direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
for _ in range(int(count)):
    trial = study.ask()
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    study.tell(trial, -(x - 0.3) ** 2 - (y - 0.7) ** 2)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "noop_task.py").write_text(TASK)
        (folder / "noop.yaml").write_text(STUDY)

        def runs(count: int) -> float:
            return cpu_s([*ABLATE, "--db", f"r{count}.db", "run", "noop.yaml", "--set", f"seeds={count // 2}",
                          "--workers", "1"], folder)  # fmt: skip

        def trials(count: int, sampler: str) -> float:
            return cpu_s([*ABLATE, "--db", f"{sampler}{count}/a.db", "tune", "noop.yaml", "--trials", str(count),
                          "--set", f"tune.sampler={sampler}", "--workers", "1"], folder)  # fmt: skip

        def alone(name: str, count: int) -> float:
            return cpu_s([sys.executable, "-c", ALONE, name.format(count), str(count)], folder)

        def each(longer: float, shorter: float) -> float:
            return 1e3 * (longer - shorter) / (MANY - FEW)

        run = each(runs(MANY), runs(FEW))
        report("a no-op run", run, "CPU ms")
        for sampler in ("tpe", "random"):
            trial = each(trials(MANY, sampler), trials(FEW, sampler))
            report(f"a no-op trial, {sampler}", trial, "CPU ms", run + 25, f"{trial - run:+.1f} ms beside the run")
        journal = each(alone("j{}", MANY), alone("j{}", FEW))
        sqlite = each(alone("s{}.db", MANY), alone("s{}.db", FEW))
        report("Optuna alone, tpe, journal file", journal, "CPU ms", None, f"SQLite {sqlite:.1f} ms")


if __name__ == "__main__":
    main()
