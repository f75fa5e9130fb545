"""The electricity that runs take, by the counters of this host: RAPL's of processors, NVML's of GPUs.

A counter speaks of a whole processor or GPU, so what one run took is an estimate. Of a processor, its memory included
where that has a counter: the run's CPU seconds at the price that a CPU second had while it ran, joules counted over all
that the host computed. Idle power is in the price, other programs pay their own share. Of a GPU: equal shares for the
runs of this dispatcher that are on it. Counters in joules, results in kWh. Linux only: elsewhere, in most containers
and where only root may read them there is no processor's; then it is said why.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ablate.records import Json

POWERCAP = Path("/sys/class/powercap")
STAT = Path("/proc/stat")
LOOK_S = 20.0
"""How often counters are read while nothing begins or ends: a package's may start again at 0 after 262 kJ, which takes
one of 400 W 11 minutes, and each is taken to have done so once at most between two looks."""
JOULES = 3.6e6
"""In a kWh."""


@dataclass
class _Counter:
    """A counter that only grows, in microjoules, and starts again at 0 after `range_uj`."""

    file: Path
    range_uj: int
    last_uj: int

    def joules(self) -> float:
        """Since the last call."""
        now_uj, last_uj = int(self.file.read_text()), self.last_uj
        self.last_uj = now_uj
        return (now_uj - last_uj + (self.range_uj if now_uj < last_uj else 0)) / 1e6


@dataclass
class _Run:
    """Of a run on these GPUs: what processors had taken, and computed, when it began; what was its share of GPUs."""

    joules: float
    busy_s: float
    gpus: tuple[str, ...]
    of_gpus: float = 0.0


Joules = Callable[[str], float]
"""What a GPU has taken since its driver was loaded, by the name that CUDA_VISIBLE_DEVICES has for it. OSError where it
does not tell."""


@dataclass
class Meter:
    """Reads the counters while runs begin and end, and in between when it is asked to look."""

    powercap: Path = field(default_factory=lambda: POWERCAP)
    stat: Path = field(default_factory=lambda: STAT)
    gpu: Joules = field(default_factory=lambda: gpu_joules)

    def __post_init__(self) -> None:
        self.why, self.why_gpu = "", ""
        self._counters: list[_Counter] = []
        self._joules = 0.0
        self._gpus: dict[str, float] = {}
        self._runs: dict[str, _Run] = {}
        self._looked_s = float("-inf")

    def begin(self, token: str, gpus: Sequence[str] = ()) -> None:
        """A run begins; gpus: those that it may use."""
        if not self._counters and not self.why:
            self._find()
        self.look()
        for gpu in gpus:
            if gpu not in self._gpus and not self.why_gpu:
                with self._telling():
                    self._gpus[gpu] = self.gpu(gpu)
        self._runs[token] = _Run(self._joules, self._busy_s() if self._counters else 0.0, tuple(gpus))

    def end(self, token: str, cpu_s: float | None) -> dict[str, Json]:
        """What an ended run took: `{"cpu_kwh": ..., "gpu_kwh": ...}`, and as `unread` why one of them is not known.

        cpu_s: its CPU seconds, what it started included; None where nobody knows.
        """
        if token not in self._runs:
            return {}
        self.look()
        run = self._runs.pop(token)
        told: dict[str, Json] = {}
        if self._counters and cpu_s is not None and (busy_s := self._busy_s() - run.busy_s) > 0:
            told["cpu_kwh"] = _kwh((self._joules - run.joules) * min(1.0, cpu_s / busy_s))
        if run.gpus and not self.why_gpu:
            told["gpu_kwh"] = _kwh(run.of_gpus)
        lacks = [self.why] if self.why else []
        lacks += [self.why_gpu] if run.gpus and self.why_gpu else []
        return told | ({"unread": "; ".join(lacks)} if lacks else {})

    def look(self, every_s: float = 0.0) -> None:
        """Read the counters, unless they were read less than `every_s` ago."""
        now_s = time.monotonic()
        if now_s - self._looked_s < every_s:
            return
        self._looked_s = now_s
        try:
            self._joules += sum(counter.joules() for counter in self._counters)
        except (OSError, ValueError):
            self.why, self._counters = "the counters of the processors could not be read to the end", []
        for gpu, before in self._gpus.items():
            with self._telling():
                self._gpus[gpu] = self.gpu(gpu)
                users = [run for run in self._runs.values() if gpu in run.gpus]
                for run in users:
                    run.of_gpus += (self._gpus[gpu] - before) / len(users)

    def _find(self) -> None:
        """The counters of every processor, and of memory that has one of its own; else why there are none."""
        try:
            self._counters = [_counter(zone) for zone in sorted(self.powercap.glob("intel-rapl:*")) if _counts(zone)]
            self.why = "" if self._counters else f"this host has no counters of its processors in {self.powercap}"
        except PermissionError:
            self.why = f"the counters of the processors in {self.powercap} are for root alone"
        except (OSError, ValueError):
            self.why = f"the counters of the processors in {self.powercap} cannot be read"

    def _busy_s(self) -> float:
        """CPU seconds that everything on the host has taken since it started; 0 where nobody tells."""
        with suppress(OSError, ValueError, IndexError):
            # user, nice, system, idle, iowait, irq, softirq; time as a guest stands in `user`, too.
            ticks = [int(number) for number in self.stat.read_text().splitlines()[0].split()[1:8]]
            return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        return 0.0

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """A GPU that does not tell ends the counting of GPUs, never a run."""
        try:
            yield
        except OSError as error:
            self.why_gpu = str(error)


def _counts(zone: Path) -> bool:
    """Whether a zone of powercap counts what no other one does: a processor (its cores and its graphics are zones in
    it), or the memory at it. The whole machine's, where there is one (psys), holds the processors again."""
    name = (zone / "name").read_text().strip()
    return name.startswith("package") or name == "dram"


def _counter(zone: Path) -> _Counter:
    file = zone / "energy_uj"
    return _Counter(file, int((zone / "max_energy_range_uj").read_text()), int(file.read_text()))


def _kwh(joules: float) -> float:
    return round(joules / JOULES, 12)


def gpu_joules(gpu: str) -> float:
    """By NVML, which has a counter from Volta on."""
    import pynvml

    try:
        pynvml.nvmlInit()  # counted by NVML, and cheap from the second time on
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByUUID(gpu.encode()))) / 1e3
    except pynvml.NVMLError as error:
        raise OSError(f"a GPU tells no energy ({error})") from None
