"""What a study took: hours of GPU and of processor cores, by what they were for, failed and superseded runs included.

An attempt that is executed for two studies is counted in both; the total of a database counts each once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field

from ablate.store.stored import Spent

KINDS = {
    "counted": "runs that the tables show",
    "search": "trials of the search",
    "confirm": "tuned and untuned on fresh seeds",
    "pretrain": "runs that others start from",
    "failed": "failed and interrupted attempts",
    "superseded": "repeated runs whose result does not count",
}
"""What an attempt of a study was for; the first that fits."""


@dataclass(frozen=True)
class Hours:
    """attempts: executions. wall_s: how long they took, one after the other. gpu_s, core_s: times devices: GPUs, and
    for those on processors the threads that each was given. cpu_kwh, gpu_kwh: electricity of processors and of GPUs,
    as far as it was measured: of `cpu_metered` and `gpu_metered` of the attempts."""

    attempts: int = 0
    wall_s: float = 0.0
    gpu_s: float = 0.0
    core_s: float = 0.0
    cpu_kwh: float = 0.0
    gpu_kwh: float = 0.0
    cpu_metered: int = 0
    gpu_metered: int = 0

    def __add__(self, other: Hours) -> Hours:
        return Hours(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def kwh(self) -> float | None:
        """All that was measured; None where nothing was."""
        return self.cpu_kwh + self.gpu_kwh if self.cpu_metered or self.gpu_metered else None


@dataclass(frozen=True)
class Compute:
    """by_kind: of the study, KINDS in order. by_variant: of its table's variants, every attempt. others: of other
    studies of the database alone; nobodys: of runs that no study asks for any more, of plans that were edited, say.
    unread: why energy of the study's attempts is not known, and of how many each."""

    by_kind: dict[str, Hours]
    by_variant: dict[str, Hours] = field(default_factory=dict)
    others: Hours = Hours()
    nobodys: Hours = Hours()
    unread: Mapping[str, int] = field(default_factory=dict)

    @property
    def study(self) -> Hours:
        return sum(self.by_kind.values(), Hours())

    @property
    def total(self) -> Hours:
        """Of the whole database."""
        return self.study + self.others + self.nobodys


def compute(attempts: Iterable[Spent], study: str) -> Compute:
    kinds = {kind: Hours() for kind in KINDS}
    variants: dict[str, Hours] = {}
    others = nobodys = Hours()
    unread: Counter[str] = Counter()
    for one in attempts:
        took = hours(one)
        roles = {role for name, role, _ in one.asked if name == study}
        if roles:
            unread[one.energy.get("unread", "" if one.energy else NOBODY)] += 1
            kinds[_kind(one, roles)] += took
            for name in {variant for of, role, variant in one.asked if of == study and role == "ablation"}:
                variants[name] = variants.get(name, Hours()) + took
        elif one.asked:
            others += took
        else:
            nobodys += took
    return Compute(kinds, variants, others, nobodys, {why: n for why, n in unread.items() if why})


NOBODY = "nobody looked: it was executed by an older ablate, or its process was lost"


def hours(one: Spent) -> Hours:
    gpus, energy = one.gpus, one.energy
    return Hours(
        1, one.seconds, one.seconds * gpus, 0.0 if gpus else one.seconds * one.threads,
        energy.get("cpu_kwh", 0.0), energy.get("gpu_kwh", 0.0), int("cpu_kwh" in energy), int("gpu_kwh" in energy),
    )  # fmt: skip


def _kind(one: Spent, roles: set[str]) -> str:
    if one.outcome != "done":
        return "failed"
    if not one.counted:
        return "superseded"
    return next((kind for role, kind in _OF_ROLES.items() if role in roles), "counted")


_OF_ROLES = {"ablation": "counted", "tune": "search", "confirm": "confirm", "pretrain": "pretrain"}


def in_words(of: Hours) -> str:
    """`1.2 GPU hours`, `40 core minutes`, or both."""
    parts = [(of.gpu_s, "GPU"), (of.core_s, "core")]
    said = [
        f"{amount(seconds)} of {'a GPU' if what == 'GPU' else 'a processor core'}" for seconds, what in parts if seconds
    ]
    return " and ".join(said) or "0 s"


def energy(kwh: float) -> str:
    """`1.2 kWh`; small amounts in Wh."""
    return f"{kwh:.3g} kWh" if kwh >= 0.1 else f"{kwh * 1000:.3g} Wh"


def amount(seconds: float) -> str:
    """`3.8 s`, `12 min`, `2.5 h`."""
    if seconds < 600:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
