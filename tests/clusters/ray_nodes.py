"""A Ray cluster of a test's own on loopback: a head without processors and some nodes, in a process of its own.

with running() as one: one.address, one.tell("kill 0")        a node dies without a word; `add`: one more
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

import psutil

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""Without the first Ray rewrites 127.0.0.1 to the outward address, in drivers too, and waits for ever."""
_HEALTH = {
    "RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_timeout_ms": "60000", "RAY_health_check_initial_delay_ms": "1000",
    "RAY_worker_niceness": "0", "RAY_worker_register_timeout_seconds": "600", "RAY_raylet_start_wait_time_s": "600",
    "RAY_agent_register_timeout_ms": "600000",
}  # fmt: skip
"""A node that is dead refuses three checks in as many seconds; one that is only slow, on a busy machine, has a minute
for each. Workers are not nice (Ray's default is 15): beside other work they would starve."""
START_S = 600.0


def missing() -> str:
    return "" if importlib.util.find_spec("ray") else "ray is not installed (pip install ray)"


@dataclass
class Nodes:
    address: str
    process: subprocess.Popen[str]
    told: IO[str]

    def tell(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self._said().startswith("ok"), line

    def _said(self) -> str:
        while True:  # Ray prints what it likes to standard output
            line = self.process.stdout.readline()
            assert line, f"the cluster ended: {self._why()}"
            if line.startswith(("ok", "address ")):
                return line.strip()

    def _why(self) -> str:
        self.told.seek(0)
        return self.told.read()[-3000:]


@contextmanager
def running(nodes: int = 3, cpus: int = 2) -> Iterator[Nodes]:
    command = [sys.executable, __file__, str(nodes), str(cpus)]
    environment = {**os.environ, **LOOPBACK, **_HEALTH}
    pipe = subprocess.PIPE
    told = tempfile.TemporaryFile("w+")  # noqa: SIM115
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=told, text=True, env=environment)
    one = Nodes("", process, told)
    try:
        one.address = one._said().partition(" ")[2]
        yield one
    finally:
        below: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(process.pid).children(recursive=True)
        with suppress(OSError, AssertionError):
            one.tell("end")
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        for left in below:
            with suppress(psutil.Error):
                left.kill()
        process.kill()
        process.wait()
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        told.close()


def main() -> None:
    from ray.cluster_utils import Cluster

    count, cpus = map(int, sys.argv[1:])
    each = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20, "include_dashboard": False}
    each["wait"] = False  # by `wait_for_nodes`, which may be told how long
    cluster = Cluster(initialize_head=True, head_node_args={**each, "num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=cpus, **each) for _ in range(count)]
    cluster.wait_for_nodes(START_S)
    print(f"address {cluster.address}", flush=True)
    for line in sys.stdin:
        word, _, which = line.strip().partition(" ")
        if word == "kill":
            cluster.remove_node(nodes[int(which)], allow_graceful=False)
        elif word == "add":
            nodes.append(cluster.add_node(num_cpus=cpus, **each))
            cluster.wait_for_nodes(START_S)
        print(f"ok {word}", flush=True)
        if word == "end":
            break
    cluster.shutdown()


if __name__ == "__main__":
    main()
