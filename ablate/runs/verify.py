"""`ablate verify`: execute one run again in a scratch folder and hold it against the result that counts.

How far the two are apart is kept with that result: the noise floor that the notes under a table tell (reruns.py). The
numbers that count stay. Measured costs (seconds, memory) are left out of the comparison: they belong to an attempt.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar, get_args

from ablate.analysis import reruns
from ablate.errors import AblateError
from ablate.pool.executor import Failed, Finished, Progressed, Refused
from ablate.pool.folders import measuring
from ablate.records import Json, Role, RunSpec, is_cost
from ablate.runs import execute, winners
from ablate.runs import planned as planner
from ablate.store.store import Store
from ablate.store.stored import AttemptRecord
from ablate.study.changes import differences
from ablate.training.provenance import provenance

ROUNDING = 1e-5
"""The largest relative difference that another processor or library version may explain by rounding alone."""

_Name = TypeVar("_Name")

Verdict = Literal["bit-identical", "rounding-level", "different"]


@dataclass(frozen=True)
class Result:
    """What one execution gave: metrics, curve as {(metric, step): value}, hashes of what it made."""

    values: Mapping[str, float]
    curve: Mapping[tuple[str, int], float]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Comparison:
    """differing: a line for each number that is not equal, the largest difference first; outputs: names of what was
    made and differs; machine: provenance that differs, as (name, then, now). end, any_step: how far the metrics that
    differ are apart, at the end and at any step."""

    verdict: Verdict
    compared: int
    differing: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    machine: tuple[tuple[str, Json, Json], ...] = ()
    end: Mapping[str, float] = field(default_factory=dict)
    any_step: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Asked:
    """A run with a result, and how it is executed once more."""

    counted: AttemptRecord
    stored: Result
    planned: planner.Planned
    spec: RunSpec
    database: str

    def executed(self, seed: int | None = None) -> tuple[Result, Mapping[str, Json]]:
        spec = self.spec if seed is None else replace(self.spec, seed=seed)
        return _executed(self.planned, spec, self.database)


def _asked(key: str, db: str) -> _Asked:
    """AblateError where the run has no result, or is no longer asked as it was."""
    with Store.open(db) as store:
        counted = next((attempt for attempt in store.attempts(key) if attempt.counted), None)
        cells = store.cells_of(key)
        if counted is None:
            raise AblateError(f"run {key[:12]} has no result to compare with; `ablate why {key[:12]}` says why.")
        if not cells:
            raise AblateError(f"run {key[:12]} belongs to no study any more, so its study file cannot be found.")
        study, variant, seed = cells[0]
        steps = store.curve_values(study, roles=get_args(Role))
        curve = {(row[2], row[3]): row[4] for row in steps if row[:2] == (variant, seed)}
        folder, config, database = store.folder, store.run_config(key), store.identity
    stored = Result({n: v for n, v in counted.metrics.items() if v is not None}, curve, counted.outputs)
    planned = planner.find(study, db)
    if variant not in {one.name for one in planned.plan.variants}:
        with Store.open(db) as store:
            planned = winners.confirmation(planned, store)
    spec = planner.specs(planned, folder).get(key)
    if spec is None:
        now = next((run for run in planned.plan.runs if (run.variant, run.seed) == (variant, seed)), None)
        changes = [] if now is None else differences(config, planner.described(planned.plan, now))
        why = "; ".join(changes) or "the study no longer asks for it"
        raise AblateError(f"run {key[:12]} ({variant}, seed {seed}) cannot be executed as it was: {why}.")
    with Store.open(db) as store:
        spec = measuring(spec, store)
    return _Asked(counted, stored, planned, spec, database)


def verify(key: str, db: str) -> Comparison:
    """Execute the run once more, compare, and keep how far the two are apart.

    AblateError where it has no result, or is no longer asked as it was.
    """
    asked = _asked(key, db)
    counted, stored = asked.counted, asked.stored
    repeated, executed_with = asked.executed()
    now_made = provenance() | dict(executed_with)
    machine = [(name, counted.provenance.get(name), now_made.get(name)) for name in _MACHINE]
    comparison = replace(
        compare(stored, repeated, asked.spec.task.costs), machine=tuple(one for one in machine if one[1] != one[2])
    )
    with Store.open(db, write=True) as store:
        store.save_rerun(
            counted.token,
            lambda before: reruns.merged(
                before, comparison.verdict, bool(comparison.machine), comparison.end, comparison.any_step
            ),
        )
    return comparison


SeedVerdict = Literal["reproducible", "noisy", "seed ignored", "seed ignored and noisy"]

NOISE = 3.0
"""How much farther than a repetition another seed must lead before it is more than noise."""


@dataclass(frozen=True)
class Seeding:
    """What a seed does to a run. same, other: how far its numbers are apart from those of the same seed once more, and
    of another seed, by name."""

    key: str
    verdict: SeedVerdict
    seed: int
    same: Mapping[str, float]
    other: Mapping[str, float]

    @property
    def text(self) -> str:
        what = {
            "reproducible": f"the same seed gives the same numbers to the last bit, and seed {self.seed} gives others.",
            "noisy": f"the same seed gives other numbers, so pairs are no pairs; seed {self.seed} goes farther.",
            "seed ignored": f"seed {self.seed} gives the same numbers to the last bit.",
            "seed ignored and noisy": f"seed {self.seed} leads no farther than the same seed once more.",
        }
        lines = [f"run {self.key[:12]}: {self.verdict}: {what[self.verdict]}"]
        for name in sorted({*self.same, *self.other}):
            same, other = self.same.get(name, 0.0), self.other.get(name, 0.0)
            lines.append(f"  {name}: {same:.3g} apart once more, {other:.3g} with seed {self.seed}")
        return "\n".join(lines)


def seeds(key: str, db: str) -> Seeding:
    """Execute the run with its seed once more, and with another one: what tells runs apart? Nothing is kept."""
    asked = _asked(key, db)
    others = [seed for seed in asked.planned.study.seeds if seed != asked.spec.seed]
    seed = others[0] if others else asked.spec.seed + 1
    again, other = asked.executed()[0], asked.executed(seed)[0]
    costs = asked.spec.task.costs
    same, far = (
        {name: d for name, d in _distances(asked.stored.values, one.values).items() if not is_cost(name, costs)}
        for one in (again, other)
    )
    equal = compare(asked.stored, again, costs).verdict == "bit-identical"
    ignored = compare(again if equal else asked.stored, other, costs).verdict == "bit-identical"
    verdict: SeedVerdict = "reproducible" if equal else "noisy"
    if ignored:
        verdict = "seed ignored"
    elif not equal and all(far.get(name, 0.0) <= NOISE * same.get(name, 0.0) for name in {*same, *far}):
        verdict = "seed ignored and noisy"
    return Seeding(key, verdict, seed, same, far)


_MACHINE = ("processor", "system", "torch", "numpy", "python", "ablate")


def _executed(planned: planner.Planned, spec: RunSpec, database: str) -> tuple[Result, Mapping[str, Json]]:
    scratch = Path(tempfile.mkdtemp(prefix="ablate-verify-"))
    options = execute.Options(workers=1)
    slot = execute.slots_for(planned.study, options)[0]
    executor = execute.executor_of(planned, options).open(execute.setup_of(planned, database))
    curve: dict[tuple[str, int], float] = {}
    try:
        executor.start("verify", replace(spec, folder=str(scratch)), slot)
        while True:
            for event in executor.poll(1.0):
                match event:
                    case Progressed(_, step, values):
                        curve |= {(name, step): value for name, value in values.items()}
                    case Finished(_, values, outputs, executed_with):
                        return Result(values, curve, outputs), executed_with
                    case Refused(_, message):
                        raise AblateError(f"it could not be executed now: {message}.")
                    case Failed(_, reason, message, detail):
                        raise AblateError(f"it failed this time: {reason}: {message}\n{detail}".rstrip())
    finally:
        executor.close()
        shutil.rmtree(scratch, ignore_errors=True)


def compare(stored: Result, repeated: Result, costs: Sequence[str] = ()) -> Comparison:
    """Every number of both, measured costs left out, also those that the study adds."""
    then, now = _numbers(stored, costs), _numbers(_measured_then(stored, repeated), costs)
    lines: list[tuple[float, str]] = []
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            far = _apart(then.get(name), now.get(name))
            lines.append((far, f"{name}: {then.get(name)} then, {now.get(name)} now"))
    # A hash that only one of them took (an older ablate took fewer) says nothing about the other.
    hashed = sorted({*stored.outputs} & {*repeated.outputs})
    outputs = tuple(name for name in hashed if stored.outputs[name] != repeated.outputs[name])
    lines.sort(key=lambda line: -line[0])
    verdict: Verdict = "bit-identical"
    if lines or outputs:
        verdict = "rounding-level" if not lines or lines[0][0] <= ROUNDING else "different"
    end = _distances(stored.values, repeated.values)
    any_step = dict(end)
    for (name, _), far in _distances(stored.curve, repeated.curve).items():
        any_step[name] = max(any_step.get(name, 0.0), far)
    end, any_step = ({name: far for name, far in each.items() if not is_cost(name, costs)} for each in (end, any_step))
    texts = tuple(text for _, text in lines)
    return Comparison(verdict, len(then) + len(hashed), texts, outputs, end=end, any_step=any_step)


def _measured_then(stored: Result, repeated: Result) -> Result:
    """Without numbers by names that the stored run has nowhere: an older ablate measured fewer."""
    known = {*stored.values, *(name for name, _ in stored.curve)}
    values = {name: value for name, value in repeated.values.items() if name in known}
    return replace(repeated, values=values, curve={at: value for at, value in repeated.curve.items() if at[0] in known})


def _distances(then: Mapping[_Name, float], now: Mapping[_Name, float]) -> dict[_Name, float]:
    """How far what both have, and differs, is apart."""
    return {name: abs(then[name] - now[name]) for name in then if name in now and then[name] != now[name]}


def _numbers(result: Result, costs: Sequence[str]) -> dict[str, float]:
    values = {name: value for name, value in result.values.items() if not is_cost(name, costs)}
    curve = {(name, step): value for (name, step), value in result.curve.items() if not is_cost(name, costs)}
    return values | {f"{name} at step {step}": value for (name, step), value in curve.items()}


def _apart(then: float | None, now: float | None) -> float:
    """The relative difference; infinite where one of them is missing."""
    if then is None or now is None:
        return float("inf")
    return abs(then - now) / max(abs(then), abs(now))


def comparison_text(key: str, comparison: Comparison) -> str:
    """What `ablate verify` prints."""
    first = f"run {key[:12]}: {comparison.verdict}: {comparison.compared} numbers and hashes compared"
    if comparison.verdict == "bit-identical":
        lines = [f"{first}, all equal."]
    else:
        lines = [f"{first}, {len(comparison.differing) + len(comparison.outputs)} differ."]
        lines += [f"  {line}" for line in comparison.differing[:10]]
        lines += [f"  and {len(comparison.differing) - 10} more"] * (len(comparison.differing) > 10)
        lines += [f"  the {name} differ" for name in comparison.outputs]
    lines += [
        f"  {name}: {json.dumps(then)} then, {json.dumps(now)} now" for name, then, now in _shown(comparison.machine)
    ]
    return "\n".join(lines)


def _shown(machine: Sequence[tuple[str, Json, Json]]) -> Sequence[tuple[str, Json, Json]]:
    return [(name, _short(then), _short(now)) for name, then, now in machine]


def _short(value: Json) -> Json:
    return value[:12] if isinstance(value, str) and len(value) == 64 else value
