"""The contract of an exporter, and what it is given: finished runs, to be written into another tool's own store.

A run is known there by its key: what is complete is not written again, what an interrupted export left half is written
anew. Each file of `exporters/` imports its tool when it is used.
"""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.analysis import results
from ablate.errors import AblateError
from ablate.records import COSTS, Json, Row
from ablate.registry import Plugin
from ablate.store.reader import Reader
from ablate.study.cells import leaves


@dataclass(frozen=True)
class Exported:
    """A finished run. config: dotted keys. values: its final numbers; curves: by name, (step, value) in order of steps.
    tags: texts: what the study's table says of its variant. at_s: seconds since 1970, a moment that stays the same."""

    key: str
    study: str
    variant: str
    seed: int
    config: Mapping[str, Json]
    values: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[int, float]]]
    tags: Mapping[str, str]
    at_s: float

    @property
    def name(self) -> str:
        return f"{self.variant}, seed {self.seed}"

    @property
    def by_step(self) -> list[tuple[int, dict[str, float]]]:
        """The curves, a step after the other."""
        steps: dict[int, dict[str, float]] = {}
        for name, curve in self.curves.items():
            for step, value in curve:
                steps.setdefault(step, {})[name] = value
        return sorted(steps.items())


class Exporter(Plugin):
    """Writes runs of a study to a place: a folder or an address."""

    needs: ClassVar[str] = ""
    """The module that it imports, which the extra of its own name installs."""

    def prepare(self, place: str) -> None:
        """What is due before its module is imported."""

    @abstractmethod
    def complete(self, place: str, study: str) -> Collection[str]:
        """The keys of runs that are there and whole."""

    @abstractmethod
    def write(self, place: str, run: Exported) -> None:
        """Write a run that is not there, or not whole."""

    def tag(self, place: str, run: Exported) -> None:
        """Renew the tags of a run that is there: verdicts change as results come. Where a tool's runs cannot be changed
        they stay as they were."""


@dataclass(frozen=True)
class Sent:
    """What an export did: runs that were written, and that were there."""

    written: int
    there: int


def send(store: Reader, study: str, exporter: Exporter, place: str) -> Sent:
    """Write every finished run of a study that is not there yet. AblateError where the tool is not installed."""
    if exporter.needs:
        exporter.prepare(place)
        try:
            importlib.import_module(exporter.needs)
        except ImportError:
            extra = type(exporter).__module__.rpartition(".")[2]
            raise AblateError(
                f"--to {extra} takes {exporter.needs.partition('.')[0]}, which is not there beside ablate: "
                f"pip install 'ablate-studies[{extra}]'."
            ) from None
    known, written, there = set(exporter.complete(place, study)), 0, 0
    for run in finished(store, study):
        if run.key in known:
            exporter.tag(place, run)
            there += 1
        else:
            exporter.write(place, run)
            written += 1
    return Sent(written, there)


def finished(store: Reader, study: str) -> Iterator[Exported]:
    """The finished runs of a study's ablation, each key once, in the plan's order."""
    stored = store.find(study)
    loaded = results.load(store, stored.name)
    wanted = {stored.record.metric.name, *stored.record.also}
    values: dict[tuple[str, int], dict[str, float]] = {}
    for variant, seed, name, value in store.values(loaded.cells):
        if name in wanted or name not in COSTS:  # what a run cost is another number each time
            values.setdefault((variant, seed), {})[name] = value
    curves: dict[tuple[str, int], dict[str, list[tuple[int, float]]]] = {}
    for variant, seed, name, step, value in store.curve_values(loaded.cells):
        curves.setdefault((variant, seed), {}).setdefault(name, []).append((step, value))
    said = {row.variant: _tags(row) for row in reversed(loaded.rows)}
    configs = {variant.name: variant.config for variant in stored.record.variants}
    seen: set[str] = set()
    for cell in loaded.cells:
        if cell.state != "done" or cell.run in seen:
            continue
        seen.add(cell.run)
        at = (cell.variant, cell.seed)
        config = {key: value for _, key, value in leaves(configs[cell.variant], ())}
        yield Exported(
            cell.run, stored.name, *at, config, values.get(at, {}), curves.get(at, {}), said.get(cell.variant, {}),
            stored.planned_at,
        )  # fmt: skip


def _tags(row: Row) -> dict[str, str]:
    """What the table says of a variant, as texts."""
    tags = {"design": row.design, "tricks": ", ".join(row.tricks), "n": str(row.n)}
    if row.compared_with is not None:
        tags |= {"compared_with": row.compared_with, "verdict": row.judged}
        numbers: dict[str, Any] = {"delta": row.delta, "p_adjusted": row.p_adjusted}
        tags |= {name: repr(float(number)) for name, number in numbers.items() if number is not None}
    return {name: text for name, text in tags.items() if text}
