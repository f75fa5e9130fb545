"""A Ray cluster of a test's own on loopback: a head without processors and some nodes, in a process of its own.

with running() as one: one.address, one.tell("kill 0")        a node dies without a word; `add`: one more
with one.joined([python]): ...      one more, by another Python or where a folder is not seen
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
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
NODE = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20, "include_dashboard": False, "wait": False}
"""Each is waited for by `_await`, which may take longer."""
START_S = 600.0
ENDS_S = 60.0
"""How long what was told to end may take before it is killed."""


def missing() -> str:
    return "" if importlib.util.find_spec("ray") else "ray is not installed (pip install ray)"


@dataclass
class Nodes:
    """environment: of drivers of this cluster, whose files lie in a folder of their own: /tmp/ray is one user's."""

    address: str
    process: subprocess.Popen[str]
    told: IO[str]
    environment: dict[str, str] = field(default_factory=lambda: dict(LOOPBACK))

    def tell(self, line: str) -> None:
        with suppress(OSError):  # it has ended: what it said last is told
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        assert self._said().startswith("ok"), line

    @contextmanager
    def joined(self, python: Sequence[str]) -> Iterator[None]:
        """One more node, started by these words before what Python is told."""
        self.tell(f"join {json.dumps(list(python))}")
        try:
            yield
        finally:
            self.tell("leave")

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
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile("w+") as told, tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        ours = {**LOOPBACK, "RAY_TMPDIR": folder}  # short, for sockets lie in it
        environment = {**os.environ, **ours, **_HEALTH}
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=told, text=True, env=environment)
        one = Nodes("", process, told, ours)
        try:
            one.address = one._said().partition(" ")[2]
            yield one
        finally:
            _end(one)


def _end(one: Nodes) -> None:
    below: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(one.process.pid).children(recursive=True)
    with suppress(OSError, ValueError, AssertionError):
        one.tell("end")
    with suppress(subprocess.TimeoutExpired):
        one.process.wait(20)
    for left in below:
        with suppress(psutil.Error):
            left.kill()
    one.process.kill()
    one.process.wait()
    with suppress(OSError):
        one.process.stdin.close()
    one.process.stdout.close()


# ---------------------------------------------------------------------------------------------- the cluster's process


def main() -> None:
    from ray.cluster_utils import Cluster

    count, cpus = map(int, sys.argv[1:])
    with _watched():
        cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0})
        nodes = [cluster.add_node(num_cpus=cpus, **NODE) for _ in range(count)]
        _await(cluster)
    print(f"address {cluster.address}", flush=True)
    joined: subprocess.Popen[bytes] | None = None
    for line in sys.stdin:
        word, _, which = line.strip().partition(" ")
        if word == "kill":
            cluster.remove_node(nodes[int(which)], allow_graceful=False)
        elif word == "add":
            with _watched():
                nodes.append(cluster.add_node(num_cpus=cpus, **NODE))
                _await(cluster)
        elif word == "join":
            command = [*json.loads(which), __file__, cluster.address]
            joined = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr)
            _await(cluster, joined)
        elif word == "leave":
            _leave(joined)
            _await(cluster)
        print(f"ok {word}", flush=True)
        if word == "end":
            break
    cluster.shutdown()


def _join(address: str) -> None:
    """One node, in this process, until standard input ends. `ray start` would have it at the outward address."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    cluster.head_node, cluster.redis_address = SimpleNamespace(gcs_address=address), address
    with _watched():
        node = cluster.add_node(num_cpus=1, **NODE)
        sys.stdin.read()
    node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)


def _leave(joined: subprocess.Popen[bytes]) -> None:
    joined.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        joined.wait(ENDS_S)
    joined.kill()
    joined.wait()


def _await(cluster, joined: subprocess.Popen[bytes] | None = None) -> None:
    """Until all nodes are there, and the one that joined; one whose process ended will never be."""
    until_s = time.monotonic() + START_S
    while len(cluster.global_state._live_node_ids()) != len(cluster.list_all_nodes()) + (joined is not None):
        assert time.monotonic() < until_s, "the nodes of Ray never came"
        assert joined is None or joined.poll() is None, "a node that was to join has ended"
        time.sleep(0.1)


@contextmanager
def _watched() -> Iterator[None]:
    """Ray waits for a raylet that has died for as long as for a slow one. Who dies meanwhile ends this process, which
    says what it said last."""
    over, me = threading.Event(), psutil.Process()

    def watch() -> None:
        while not over.wait(0.5):
            children = [(one.name(), one.status()) for one in me.children()]
            for ended in ("raylet", "gcs_server"):
                if (ended, psutil.STATUS_ZOMBIE) in children:
                    print(f"{_logs(ended)}\n{ended} of a node of Ray's ended", file=sys.stderr, flush=True)
                    os._exit(1)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    yield
    over.set()
    watching.join()


def _logs(kind: str) -> str:
    files = sorted((Path(os.environ["RAY_TMPDIR"]) / "ray" / "session_latest" / "logs").glob(f"{kind}*"))
    return "\n".join(f"{file.name}: {file.read_text(errors='replace')[-1000:]}" for file in files)


if __name__ == "__main__":
    main() if sys.argv[1].isdigit() else _join(sys.argv[1])
