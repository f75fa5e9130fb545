"""A learning-rate range test of one variant of a study. Nothing is stored: no run, no result, no cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ablate.errors import AblateError
from ablate.registry import Registry, unknown
from ablate.runs.planned import Planned, specs
from ablate.text import one_of
from ablate.training.rates import WORSE, RateTest, judged, rising
from ablate.training.task import Run


@dataclass(frozen=True)
class Tested:
    """own: the variant's learning rate as the study has it."""

    study: str
    variant: str
    seed: int
    own: float
    found: RateTest


def range_test(
    planned: Planned,
    variant: str | None = None,
    seed: int | None = None,
    *,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 100,
    device: str = "cpu",
) -> Tested:
    """variant: the study's baseline unless it is named; seed: its first. AblateError for what is not there, and for a
    task that has no loop of ablate's."""
    if not 0 < low < high:
        raise AblateError(f"--low is {low:g} and --high {high:g}; it must be 0 < low < high.")
    names = [one.name for one in planned.plan.variants]
    chosen = variant or ("base" if "base" in names else names[0])
    if chosen not in names:
        raise AblateError(unknown("variant", chosen, names))
    runs = {run.seed: run.key for run in planned.plan.runs if run.variant == chosen}
    if not runs:
        raise AblateError(f"{planned.study.name} plans no run of {chosen} yet: what it starts from is not trained.")
    of = min(runs) if seed is None else seed
    if of not in runs:
        raise AblateError(f"seed {of} is not planned; the seeds of {chosen} are {one_of(map(str, runs))}.")
    spec = replace(specs(planned, Path())[runs[of]], cache="")
    run = Run(spec, Registry(planned.registry.folders, planned.registry.beside), device)
    found = judged(planned.task.rising(run, rising(low, high, steps)))
    if not found.rates:
        raise AblateError(f"the loss of the first batch is no number at the rate {low:g}; begin lower with --low.")
    return Tested(planned.study.name, chosen, of, float(run.config["optimizer"]["lr"]), found)


def advice(tested: Tested) -> str:
    """What to make of it, in words."""
    found = tested.found
    grown = (
        f"it is {WORSE:g} times that at {found.rates[-1]:.2g}" if found.ended else f"it never is {WORSE:g} times that"
    )
    return (
        f"{tested.study}, {tested.variant}, seed {tested.seed}: the loss falls fastest at {found.steepest:.2g} and is "
        f"lowest at {found.lowest:.2g}; {grown}. To try: {found.lowest / 10:.2g} to {found.lowest / 3:.2g}; the study "
        f"has {tested.own:g}. A hint of where to search, of one seed and a few steps: `ablate tune` compares trainings."
    )


def table(tested: Tested, rows: int = 20) -> str:
    """About so many rows of a Markdown table, and the step of the lowest loss among them."""
    found = tested.found
    every = max(len(found.rates) // rows, 1)
    best = found.rates.index(found.lowest)
    shown = sorted({*range(0, len(found.rates), every), best, len(found.rates) - 1})
    lines = [
        f"| {step:>4} | {found.rates[step]:>8.2e} | {found.losses[step]:>9.4f} | {found.smooth[step]:>8.4f} |"
        + " lowest" * (step == best)
        for step in shown
    ]
    return "\n".join(
        ["| step |       lr | loss      | smoothed |", "|-----:|---------:|----------:|---------:|", *lines]
    )
