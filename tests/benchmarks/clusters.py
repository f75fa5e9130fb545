"""What ablate itself costs on Slurm and on Ray: CPU figures of whole processes, beside what they may be.

    python tests/benchmarks/clusters.py [slurm] [ray]

It starts the clusters that the tests start (tests/clusters). CPU time is user + system; the command's is that of
`ablate run` and all that it waited for, its start and its table included; beside it stands what the same command costs
with nothing left to execute. The workers' is that of the jobs, their start included. What Slurm and Ray themselves
spend is theirs.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "clusters"))
import ray_nodes
import slurm
from orchestration import ABLATE, cpu_s, report, study

RUNS, LEFT = 600, 1000
MEASURED = """#!/bin/bash
trap : TERM
TIMEFORMAT='%3U %3S'
{{ time {python} "$@" 2>&3 3>&- ; }} 3>&2 2>> {told}
"""
"""A program in Python's place that writes down what it cost, also where the queue ends it."""


def no_ops(folder: Path, name: str, runs: int) -> str:
    """A study whose runs no other study has: what is done counts in both."""
    return study(
        folder, name, f"base: {{x: 1.0, name: {name}}}\ntricks: {{a: {{set: {{x: 2.0}}}}}}\nseeds: {runs // 2}\n"
    )


def of_command(folder: Path, file: str, runs: int, words: list[str], environment: dict[str, str], most: float) -> None:
    """The command's figures."""
    command = [*ABLATE, "--quiet", "run", file, *words]
    took = cpu_s(command, folder, **environment)
    again = cpu_s(command, folder, **environment)
    beside = f"{1e3 * (took - again) / runs:.2f} without start and table ({again:.2f} CPU s)"
    report(f"{runs} no-op runs, {words[1]}: the command", 1e3 * took / runs, "CPU ms/run", most, beside)


def on_slurm(folder: Path) -> None:
    with slurm.running() as cluster:
        environment = {"SLURM_CONF": str(cluster.folder / "slurm.conf")}
        told = folder / "jobs.txt"
        wrapper = folder / "python"
        wrapper.write_text(MEASURED.format(python=shlex.quote(sys.executable), told=shlex.quote(str(told))))
        wrapper.chmod(0o755)
        words = ["--executor", "slurm", "--jobs", "6", "--set", f"engines.slurm.python={wrapper}"]
        began_s = time.monotonic()
        of_command(folder, no_ops(folder, "noop", RUNS), RUNS, words, environment, 5)
        awaited(lambda: not cluster.jobs())
        submitted = len(cluster.call("squeue", "--noheader", "--array", "--states=all", "--format=%i").splitlines())
        report("    jobs submitted", submitted, "jobs", 6, wall(began_s))
        jobs = [line for line in told.read_text().splitlines() if line.strip()]
        spent_s = sum(float(part) for line in jobs for part in line.split())
        beside = f"of {len(jobs)} jobs"
        report("    the workers, their start included", 1e3 * spent_s / RUNS, "CPU ms/run", 20, beside)

        file = no_ops(folder, "left", LEFT)
        command = [*ABLATE, "--quiet", "run", file, "--executor", "slurm", "--jobs", "6"]
        for what, words in (("handed over, and left", ["--detach"]), ("collected, and the table", [])):
            before_s = time.monotonic()
            took = cpu_s([*command, *words], folder, **environment)
            report(f"{LEFT} no-op runs {what}", took, "CPU s", 5 if words else 3, beside=wall(before_s))
            if words:
                awaited(lambda: not cluster.jobs())
        executed = (folder / "results" / "left" / "slurm" / "said").glob("*.jsonl")
        started = sum(said.read_text().count('{"Started"') for said in executed)
        report("    executed in all", started, "runs", LEFT)


def on_ray(folder: Path) -> None:
    with ray_nodes.running() as cluster:
        words = ["--executor", "ray", "--address", cluster.address]
        of_command(folder, no_ops(folder, "noop", RUNS), RUNS, words, cluster.environment, 12)


def awaited(wanted: Callable[[], object]) -> None:
    while not wanted():
        time.sleep(0.5)


def wall(since_s: float) -> str:
    return f"wall {time.monotonic() - since_s:.1f} s, load {os.getloadavg()[0]:.0f} on {os.cpu_count()} processors"


def main() -> None:
    for name, measure, module in (("slurm", on_slurm, slurm), ("ray", on_ray, ray_nodes)):
        if name not in (sys.argv[1:] or ["slurm", "ray"]):
            continue
        if module.missing():
            print(f"nothing was measured on {name}: {module.missing()}", flush=True)
            continue
        with tempfile.TemporaryDirectory() as made:
            measure(Path(made))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"{shlex.join(failed.cmd)} ended with {failed.returncode}")
