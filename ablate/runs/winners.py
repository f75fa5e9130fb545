"""Variants with the settings that a search found, as runs that anyone may plan.

A winner is called `C (tuned)`, what it is held against `C (untuned)`; both have runs on fresh seeds (tune.py trains
them). Whoever predicts with a winner, verifies or retries it finds them here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ablate.analysis import tuned
from ablate.runs import executed
from ablate.runs.planned import Planned
from ablate.store.reader import Reader
from ablate.study import search
from ablate.study.keyed import PlannedRun, PlannedVariant, run_of
from ablate.study.plan import Plan


def settled(planned: Planned, variant: PlannedVariant, settings: search.Settings, name: str) -> PlannedVariant:
    """A variant with these settings, under another name. ConfigError where the task refuses them."""
    before = variant.completed
    done = search.complete(planned.study, variant.cell, settings, planned.task, planned.registry, before)
    return replace(variant, name=name, designs=(), completed=done, placebo=False)


def of_variants(planned: Planned, variants: Sequence[PlannedVariant], seeds: Sequence[int], store: Reader) -> Plan:
    """A plan of these variants and seeds alone, seed by seed."""
    runs = tuple(run_of(planned.study, variant, seed) for seed in seeds for variant in variants)
    plan = replace(planned.plan, variants=tuple(variants), rows=(), runs=runs)
    return executed.current(plan, Path(planned.path[0]), store)


def rivals(planned: Planned, variant: PlannedVariant, settings: search.Settings) -> Iterator[PlannedVariant]:
    """A searched variant as it is untuned, and with the settings that won."""
    yield replace(variant, name=tuned.untuned_name(variant.name), designs=())
    yield settled(planned, variant, settings, tuned.tuned_name(variant.name))


def confirmation(planned: Planned, store: Reader) -> Planned:
    """The study with the plan of its tuned variants on fresh seeds: those of its searches whose variants are as they
    were then. Without any, a plan of nothing."""
    stored = store.study(planned.study.name)
    variants: list[PlannedVariant] = []
    runs: list[PlannedRun] = []
    now = {variant.name: variant for variant in planned.plan.variants}
    for entry in stored.record.tuned if stored is not None else ():
        variant = now.get(entry.variant)
        if variant is not None and variant.record.identity == entry.of:
            plan = of_variants(planned, list(rivals(planned, variant, entry.settings)), entry.fresh, store)
            variants += plan.variants
            runs += plan.runs
    return replace(planned, plan=replace(planned.plan, variants=tuple(variants), rows=(), runs=tuple(runs)))
