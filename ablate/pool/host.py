"""What this host has: processors, GPUs, slots for runs, and which processes live.

GPUs come from NVML, so that nobody but a child that trains ever touches CUDA. Nothing here starts or stops a run.
A slot on several GPUs at once, for a command, is called by all of them: `cuda:0+cuda:1`.
"""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from ablate.errors import AblateError, ConfigError
from ablate.pool.executor import Slot
from ablate.store.stored import Fate, LiveAttempt
from ablate.text import did_you_mean, one_of

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What libraries of numbers read once, when they are loaded. Another number of threads gives other bits."""


@dataclass(frozen=True)
class Device:
    """A place for runs. name: "cpu" or "cuda:0"; memory_mib: of a GPU; visible: what CUDA_VISIBLE_DEVICES is to say."""

    name: str
    kind: str
    memory_mib: int | None = None
    visible: str = ""


# ---------------------------------------------------------------------------------------------------------- devices


@cache
def gpus() -> tuple[Device, ...]:
    """The GPUs that a child may use, numbered as CUDA numbers them under this process's CUDA_VISIBLE_DEVICES."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver or no device
        return ()
    devices = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        name, uuid = (
            text.decode() if isinstance(text, bytes) else text
            for text in (pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetUUID(handle))
        )
        devices.append(Device(str(index), name, pynvml.nvmlDeviceGetMemoryInfo(handle).total >> 20, uuid))
    pynvml.nvmlShutdown()
    return visible(devices, os.environ.get("CUDA_VISIBLE_DEVICES"))


def visible(devices: Sequence[Device], setting: str | None) -> tuple[Device, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves (indices or UUID prefixes), renamed cuda:0, cuda:1 in its order.

    As in CUDA, the first entry that names no device ends the list.
    """
    chosen = list(devices)
    if setting is not None:
        chosen = []
        for entry in (part.strip() for part in setting.split(",")):
            match = [
                d for d in devices if d.name == entry or (entry.startswith("GPU-") and d.visible.startswith(entry))
            ]
            if not match:
                break
            chosen.append(match[0])
    return tuple(
        Device(f"cuda:{i}", device.kind, device.memory_mib, device.visible or device.name)
        for i, device in enumerate(chosen)
    )


def memory_mib(name: str) -> int:
    """The memory of a device: for "cpu" of the host, or what its control group or its allocation leaves of it."""
    if name != "cpu":
        return sum(device.memory_mib or 0 for device in gpus() if device.name in name.split(JOINED))
    limits = [int(psutil.virtual_memory().total) >> 20]
    for folder in _control_groups():
        with suppress(OSError, ValueError):  # "max" is no number
            limits.append(int((folder / "memory.max").read_text()) >> 20)
    with suppress(ValueError):  # 0 means all of the node's
        limits.append(int(os.environ.get("SLURM_MEM_PER_NODE", "")) or limits[0])
    return min(limits)


def processors() -> int:
    """Processors that this process may use. Where Slurm binds no tasks, affinity shows all of a node's, and only the
    allocation tells."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(ValueError):
        mine = min(mine, int(os.environ.get("SLURM_CPUS_ON_NODE", "")))
    return max(1, mine)


@cache
def _control_groups() -> tuple[Path, ...]:
    """The folders of this process's control group and of those around it, the innermost first."""
    root = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return ()
    inner = next((line.split(":", 2)[2] for line in lines if line.startswith("0::")), "/")
    folder = root / inner.lstrip("/")
    return tuple(path for path in (folder, *folder.parents) if path.is_relative_to(root))


JOINED = "+"
"""Between the GPUs of a slot that has several."""


def share(one: str, other: str) -> bool:
    """Whether two slots' devices have a GPU in common, and are not the same."""
    return one != other and not set(one.split(JOINED)).isdisjoint(other.split(JOINED))


def slots(
    *,
    gpus_per_run: int,
    runs_per_gpu: int,
    threads: int,
    workers: int | None,
    devices: Sequence[str] = (),
    several: bool = False,
) -> tuple[Slot, ...]:
    """Where runs may execute: each GPU `runs_per_gpu` times, or one slot per `threads` processors.

    devices: by name (--devices); all where empty. several: whether a run may take more than one GPU: then as many
    together as it asks for, one run at a time. AblateError for a device that is not there, ConfigError where a run
    wants more than there is.
    """
    present = gpus()
    names = [device.name for device in present]
    for name in devices:
        if name not in [*names, "cpu"]:
            allowed = one_of(["cpu", *names])
            raise AblateError(
                f"--devices: there is no device {name!r}; there is {allowed}.{did_you_mean(name, names)}",
                page="clusters",
            )
    if gpus_per_run > len(present):
        has = "no GPU" if not present else f"{len(present)} GPU" + "s" * (len(present) > 1)
        raise ConfigError(
            [("resources.gpus", f"is {gpus_per_run}, but this host has {has}; set it to {len(present)}.")]
        )
    chosen = [name for name in names if not devices or name in devices]
    if gpus_per_run > 1 and not several:
        message = f"is {gpus_per_run}; a run takes one GPU or none, and only a command may take several."
        raise ConfigError([("resources.gpus", message)])
    if gpus_per_run > len(chosen) and "cpu" not in devices:
        raise ConfigError([("resources.gpus", f"is {gpus_per_run}, and --devices names {len(chosen)}.")])
    if gpus_per_run > 1 and "cpu" not in devices:
        firsts = range(0, len(chosen) - gpus_per_run + 1, gpus_per_run)
        places = [Slot(JOINED.join(chosen[first : first + gpus_per_run]), 0) for first in firsts]
    elif gpus_per_run == 1 and "cpu" not in devices:
        places = [Slot(name, index) for index in range(runs_per_gpu) for name in chosen]
    else:
        places = [Slot("cpu", index) for index in range(workers or max(1, processors() // threads))]
    return tuple(places[:workers] if workers else places)


KEPT_FILES = 48
"""Open files that a dispatcher needs beside one for each run: database, server, modules, terminal."""


def most_runs(wanted: int) -> int:
    """How many of these runs this process may execute at a time by the files that it may open, one at least. Its limit
    is raised as far as they need and the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + KEPT_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - KEPT_FILES))


def environment(slot: Slot) -> dict[str, str]:
    """What a child in this slot sees: its own GPUs and no other, or none."""
    mine = [device.visible for device in gpus() if device.name in slot.device.split(JOINED)]
    return {"CUDA_VISIBLE_DEVICES": ",".join(mine)}


# -------------------------------------------------------------------------------------------------------- processes


@dataclass(frozen=True)
class Process:
    """A process of this host. `started` (the kernel's units) tells a reused pid apart."""

    pid: int
    started: int

    @property
    def lives(self) -> bool:
        return process_started(self.pid) == self.started

    @property
    def stopped(self) -> bool:
        """Whether it lives and does nothing (Ctrl-Z, SIGSTOP)."""
        try:
            return self.lives and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        except psutil.Error:
            return False

    def __str__(self) -> str:
        return f"{self.pid}:{self.started}"


_HAS_PROC = os.path.exists("/proc/self/stat")


def process_started(pid: int) -> int | None:
    """When a process started (clock ticks since boot on Linux); None where it is gone or a zombie."""
    if _HAS_PROC:
        try:
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as stat:
                fields = stat.read().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time() * 1000)
    except psutil.Error:
        return None


def this_process() -> Process:
    started = process_started(os.getpid())
    assert started is not None, "this process does not live"
    return Process(os.getpid(), started)


@cache
def host() -> str:
    return socket.gethostname()


@cache
def boot() -> str:
    """Where and when a process number of this host means something: this start of it, this process's pid namespace and
    allocation. Two containers may have one host's name, and the same numbers in each."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        start = f"{host()}@{int(psutil.boot_time())}"
    return "/".join([start, pid_space(), os.environ.get("SLURM_JOB_ID", "")]).rstrip("/")


@cache
def place() -> str:
    """The name under which this host's slots are booked: two Slurm jobs on one node have slots of their own each."""
    return "/".join([host(), os.environ.get("SLURM_JOB_ID", "")]).rstrip("/")


def keeps(place: str) -> bool:
    """Whether a place's runs go on without their dispatcher: it is called ENGINE:NAME, which no host is."""
    return ":" in place


@cache
def pid_space() -> str:
    """The number of this process's pid namespace; empty where the system has none."""
    try:
        return "".join(letter for letter in os.readlink("/proc/self/ns/pid") if letter.isdigit())
    except OSError:
        return ""


def kernel_oom_kills() -> int:
    """How many processes the kernel has killed for want of memory, in this process's control group where that tells
    (another user's are not ours), else on the host; 0 where nobody does."""
    for file in (*(folder / "memory.events" for folder in _control_groups()[:1]), Path("/proc/vmstat")):
        with suppress(OSError):
            for line in file.read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


# ------------------------------------------------------------------------------------------- another dispatcher's runs


def sees(attempt: LiveAttempt) -> bool:
    """Whether the attempt's processes would be seen from here if they lived."""
    return attempt.host == place() and sees_owner(attempt)


def sees_owner(attempt: LiveAttempt) -> bool:
    """Whether its dispatcher would be. An engine's runs are elsewhere, and their dispatcher may be here."""
    return attempt.boot == boot()


def fate(attempt: LiveAttempt) -> Fate:
    """What became of another dispatcher's attempt. Where its processes can be seen they tell, whatever clocks say: who
    lives holds its runs, unless it is stopped for longer than its lease. Elsewhere only the lease tells. At a place
    that keeps its runs a lease is one of looking after: once it is over the attempt is left, and nobody's to rescue."""
    if not attempt.owner:  # who left said so
        return "left" if keeps(attempt.host) else "expired"
    if sees_owner(attempt) and not owner_of(attempt).stopped:
        lives = owner_of(attempt).lives or (sees(attempt) and _worker(attempt).lives)
        seen: Fate = "held" if lives else "gone"
    else:
        seen = "expired" if attempt.expired else "held"
    return "left" if seen != "held" and keeps(attempt.host) else seen


def is_over(attempt: LiveAttempt) -> bool:
    """Whether an attempt's worker is known to be gone, so that its files are nobody's."""
    return sees(attempt) and not _worker(attempt).lives


def owner_of(attempt: LiveAttempt) -> Process:
    """The dispatcher that claimed it, or adopted it since."""
    pid, _, started = attempt.owner.partition(":")
    return Process(int(pid or 0), int(started or 0))


def _worker(attempt: LiveAttempt) -> Process:
    return Process(attempt.pid or 0, attempt.pid_started or 0)
