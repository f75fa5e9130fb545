"""A Slurm of a test's own on this machine: a controller and a few slurmd over loopback, as root or not.

It needs slurmctld, slurmd, munged and the three programs of slurm-client; no systemd, no control groups, no accounting
(so no sacct, as on many clusters). Everything lies in one temporary folder and ends with it.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from unseen import blind

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel", "sinfo")
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
PropagateResourceLimits=NONE
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,default_queue_depth=1000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=3
SlurmdTimeout=5
SlurmctldTimeout=10
MessageTimeout=10
MinJobAge=300
MaxArraySize={most}
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=low Nodes=n[1-{nodes}] Default=YES MaxTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0 State=UP
PartitionName=high Nodes=n[1-{nodes}] MaxTime=60 PriorityTier=10 PreemptMode=OFF State=UP
"""


def missing() -> str:
    """Why no Slurm can be started here; empty where one can."""
    absent = [name for name in PROGRAMS if program(name) is None]
    return f"there is no {' and no '.join(absent)} (apt-get install slurm-wlm munge)" if absent else ""


def program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


@dataclass
class Slurm:
    """folder: with slurm.conf, logs and process numbers. nodes: n1, n2, ..., of two processors each."""

    folder: Path
    nodes: int

    @property
    def user(self) -> str:
        return getpass.getuser()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def call(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def start_node(self, node: str, unseen: Path | None = None) -> None:
        """unseen: a folder that is empty on this node."""
        command = [program("slurmd"), "-N", node]
        subprocess.run(command if unseen is None else blind(unseen, command), env=self.environment, check=True)

    def jobs(self) -> list[tuple[str, str, str]]:
        """(job, state, node) of everything that is queued or runs."""
        rows = self.call("squeue", "--noheader", "--array", "--format=%i|%T|%N").splitlines()
        return [tuple(row.split("|")) for row in rows]

    def submitted(self) -> set[str]:
        """Every job that there ever was, arrays written out."""
        return set(self.call("squeue", "--noheader", "--array", "--states=all", "--format=%i").split())

    def kill_daemon(self, node: str) -> None:
        """slurmd alone dies; its jobs live on, and Slurm starts them once more elsewhere."""
        file = self.folder / f"slurmd-{node}.pid"
        os.kill(int(file.read_text()), signal.SIGKILL)
        file.unlink()

    def cut_power(self, node: str) -> None:
        """slurmd, its steps and everything below them, at once."""
        doomed = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                told = process.environ()
                ours = told.get("SLURM_CONF") == self.environment["SLURM_CONF"]
                if (ours and told.get("SLURMD_NODENAME") == node) or self._serves(process, node):
                    doomed += [process, *process.children(recursive=True)]
        with suppress(OSError):
            self.kill_daemon(node)
        for process in doomed:
            with suppress(psutil.Error):
                process.kill()

    def _serves(self, process: psutil.Process, node: str) -> bool:
        """Whether it is a step's keeper, which has its node's log or spool folder open."""
        if not process.name().startswith("slurmstepd"):
            return False
        places = (f"{self.folder}/slurmd-{node}.log", f"{self.folder}/spool-{node}")
        return any(any(place in file.path for place in places) for file in process.open_files())

    def stop(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(["scancel", "-u", getpass.getuser()], env=self.environment, timeout=10, capture_output=True)
        time.sleep(0.5)
        numbers = [int(file.read_text()) for file in (*self.folder.glob("*.pid"), *self.folder.glob("munge/pid"))]
        mine = [psutil.Process(number) for number in numbers if psutil.pid_exists(number)]
        below = [child for process in mine for child in process.children(recursive=True)]
        all_steps = [p for p in psutil.process_iter(["name"]) if (p.info["name"] or "").startswith("slurmstepd")]
        steps = [process for process in all_steps if self._is_mine(process)]
        for process in (*mine, *below, *steps):
            with suppress(psutil.Error):
                process.kill()

    def _is_mine(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return any(str(self.folder) in file.path for file in process.open_files())
        return False


@contextmanager
def running(nodes: int = 3, most: int = 1001) -> Iterator[Slurm]:
    """A Slurm whose nodes are idle. most: MaxArraySize."""
    folder = Path(tempfile.mkdtemp(prefix="ablate-slurm-"))
    folder.chmod(0o755)
    for name in ("state", "munge", *(f"spool-n{i + 1}" for i in range(nodes))):
        (folder / name).mkdir(mode=0o755)
    (folder / "munge" / "key").write_bytes(secrets.token_bytes(128))
    (folder / "munge" / "key").chmod(0o600)
    port = _free_ports(nodes + 1)
    conf = CONF.format(
        host=socket.gethostname().partition(".")[0], port=port, folder=folder, user=getpass.getuser(), most=most,
        nodes=nodes, first=port + 1, last=port + nodes,
    )  # fmt: skip
    (folder / "slurm.conf").write_text(conf)
    one = Slurm(folder, nodes)
    try:
        munge = [f"--{name}={folder}/munge/{file}" for name, file in MUNGE.items()]
        subprocess.run([program("munged"), *munge, "--num-threads=2", "--force"], check=True, capture_output=True)
        subprocess.run([program("slurmctld"), "-c"], env=one.environment, check=True, capture_output=True)
        for i in range(nodes):
            one.start_node(f"n{i + 1}")
        _wait(one)
        yield one
    finally:
        one.stop()
        shutil.rmtree(folder, ignore_errors=True)


MUNGE = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}


def _free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody uses."""
    for first in range(20000 + os.getpid() % 5000, 60000, 50):
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
    raise AssertionError("no free ports")


def _wait(one: Slurm) -> None:
    until_s = time.monotonic() + 600
    while time.monotonic() < until_s:
        done = subprocess.run(
            ["sinfo", "--noheader", "-p", "low", "--format=%T%D"], env=one.environment, capture_output=True, text=True
        )
        if done.stdout.strip() == f"idle{one.nodes}":
            return
        time.sleep(0.2)
    logs = "\n".join(file.read_text()[-1500:] for file in one.folder.glob("*.log"))
    raise AssertionError(f"Slurm did not start: {done.stdout} {done.stderr}\n{logs}")


if __name__ == "__main__":  # for a person who wants to try something on it
    with running() as cluster:
        print(f"export SLURM_CONF={cluster.folder}/slurm.conf", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
