"""A study at one moment, as plain data: how far each row is, what runs where and how it compares, what failed.

For what is drawn while runs execute (terminal/live.py). Reads the database alone, so it is the same whoever executes.
Nothing here is judged: a mean so far has no interval and no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Literal

from ablate.analysis import tuned
from ablate.records import INTERRUPTED, Better, Metric, Role
from ablate.runs.progress import standing
from ablate.store.reader import Reader
from ablate.store.stored import StoredCell
from ablate.study.record import PlanRecord, RowRecord

Sign = Literal["done", "running", "todo", "failed", "collapsed", "absent"]
"""Where a run of a row stands; absent: the row has no run of that seed, or needs none any more."""


@dataclass(frozen=True)
class Beside:
    """A running run against what its variant is compared with, at the same step. n: runs in `value`; paired: one, of
    the same seed."""

    variant: str
    value: float
    n: int
    paired: bool


@dataclass(frozen=True)
class Running:
    """One run that executes. since: seconds on this machine's clock; steps: of a whole run, where known;
    note: what is odd about it."""

    device: str
    variant: str
    seed: int
    step: int
    steps: int | None
    value: float | None
    beside: Beside | None
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class RowSoFar:
    """A row while its runs execute. signs: of each of the moment's seeds. mean, std (ddof 1): over the n runs that are
    done; delta: mean difference over the seeds that are done on both sides; None where there is none. remark: what went
    wrong. kind: as of a Row."""

    design: str
    variant: str
    compared_with: str | None
    label: str
    signs: tuple[Sign, ...]
    mean: float | None
    std: float | None
    delta: float | None
    n: int
    remark: str = ""
    kind: str = ""

    @property
    def quiet(self) -> bool:
        """Whether nothing of it runs, and nothing went wrong."""
        return not {"running", "failed", "collapsed"} & {*self.signs}


@dataclass(frozen=True)
class Moment:
    """A study at one moment. left_s: seconds until all is done, by `basis`; None where nothing tells. rows: each
    variant once, under its base; seeds: of their signs."""

    study: str
    metric: str
    better: Better
    counts: Mapping[str, int]
    running: tuple[Running, ...]
    failures: tuple[str, ...]
    left_s: float | None
    basis: str
    rows: tuple[RowSoFar, ...] = ()
    seeds: tuple[int, ...] = ()

    @property
    def ended(self) -> int:
        """Runs that nothing more will happen to."""
        return self.counts["done"] + self.counts["failed"] + self.counts.get("paused", 0)

    @property
    def total(self) -> int:
        """All runs but those that adaptive seeds do not need any more."""
        return sum(count for state, count in self.counts.items() if state != "saved")

    @property
    def waits(self) -> bool:
        """Whether something is still to come."""
        return self.counts["todo"] + self.counts["running"] + self.counts["lost"] > 0


_SEARCHED = re.compile(r" (\[trial \d+\]|\((un)?tuned\))$")
"""What a search puts behind the name of its variant."""


def moment(store: Reader, study: str, slots: int | None = None, role: Role = "ablation") -> Moment:
    """A stored study now. slots: runs at a time; None: as many as are running. role: its ablation, or its search."""
    stored = store.study(study)
    assert stored is not None, study
    record = stored.record
    told = standing(store, study, role)
    cells = store.cells(study, (role,))
    metric = record.metric.name
    asked = _asked(record, role)
    compared = {row.variant: row.compared_with for row in reversed(asked) if row.compared_with}
    epochs = record.facts.epochs
    whole = {v.name: v.config.get(epochs) for v in record.variants} if epochs else {}
    running = []
    for run in told["running"]:
        progress, variant = dict(run["progress"]), run["variant"]
        step = progress["step"]
        beside = _beside(store, cells, compared.get(variant), run["seed"], metric, step)
        steps = whole.get(variant, whole.get(_SEARCHED.sub("", variant)))
        value, note = progress.get(metric), run.get("note", "")
        running.append(Running(run["device"], variant, run["seed"], step, steps, value, beside, run["seconds"], note))
    failed = [cell for cell in cells if cell.state == "failed" and cell.reason not in INTERRUPTED]
    failures = [f"{cell.variant}, seed {cell.seed}: {cell.reason}" for cell in failed]
    left_s, basis = _left(store.durations(cells), cells, running, told["counts"], slots or len(running))
    seeds = tuple(dict.fromkeys([*(s for s in record.seeds if role == "ablation"), *sorted(c.seed for c in cells)]))
    active = {(run.variant, run.seed) for run in running}
    rows = _rows(asked, cells, seeds, active, _values(store, cells, record.metric), record.metric)
    return Moment(
        study, metric, record.metric.better, told["counts"], tuple(running), tuple(failures), left_s, basis, rows, seeds
    )


# ----------------------------------------------------------------------------------------------------------------- rows


def _asked(record: PlanRecord, role: Role) -> tuple[RowRecord, ...]:
    if role == "confirm":
        return tuple(row for row in tuned.asked_rows(record.tuned, record.rows) if row.design == tuned.TUNED)
    return record.rows if role == "ablation" else ()


def _values(store: Reader, cells: Sequence[StoredCell], metric: Metric) -> dict[tuple[str, int], float]:
    if metric.at == "last":
        every = store.values(cells, [metric.name])
        return {(variant, seed): value for variant, seed, _, value in every if value is not None}
    curves: dict[tuple[str, int], dict[int, float]] = {}
    for variant, seed, _, step, value in store.curve_values(cells, [metric.name]):
        curves.setdefault((variant, seed), {})[step] = value
    judged = {point: value_at(curve, metric) for point, curve in curves.items()}
    return {point: value for point, value in judged.items() if value is not None}


def value_at(curve: Mapping[int, float], metric: Metric) -> float | None:
    """A curve's value at the epoch that the study judges; None where it has none there."""
    if metric.at == "best":
        return (max if metric.better == "higher" else min)(curve.values(), default=None)
    return curve.get(max(curve, default=0) if metric.at == "last" else int(metric.at))


def _rows(
    asked: Sequence[RowRecord],
    cells: Sequence[StoredCell],
    seeds: Sequence[int],
    active: set[tuple[str, int]],
    values: Mapping[tuple[str, int], float],
    metric: Metric,
) -> tuple[RowSoFar, ...]:
    of = {(cell.variant, cell.seed): cell for cell in cells}
    fallen = _fallen([row.variant for row in asked], seeds, values, metric)
    made: dict[str, RowSoFar] = {}
    for row in asked:
        if row.variant in made:
            continue
        done = {seed: values[row.variant, seed] for seed in seeds if (row.variant, seed) in values}
        against = row.compared_with
        pairs = [done[seed] - values[against, seed] for seed in done if against and (against, seed) in values]
        signs = tuple(_sign(of.get((row.variant, seed)), active, (row.variant, seed) in fallen) for seed in seeds)
        mean, delta = fmean(done.values()) if done else None, fmean(pairs) if pairs else None
        std = stdev(done.values()) if len(done) > 1 else None
        remark = _remark(row.variant, seeds, signs, of, values)
        made[row.variant] = RowSoFar(
            row.design, row.variant, against, row.label, signs, mean, std, delta, len(done), remark, row.kind
        )  # fmt: skip
    return tuple(made.values())


def _sign(cell: StoredCell | None, active: set[tuple[str, int]], fell: bool) -> Sign:
    if cell is None:
        return "absent"
    if (cell.variant, cell.seed) in active:
        return "running"
    if cell.state == "done":
        return "collapsed" if fell else "done"
    return "failed" if cell.state == "failed" and cell.reason not in INTERRUPTED else "todo"


def _fallen(
    variants: Sequence[str], seeds: Sequence[int], values: Mapping[tuple[str, int], float], metric: Metric
) -> set[tuple[str, int]]:
    """Runs that collapsed, by the table's own rule; it needs three runs of a row."""
    names = list(dict.fromkeys(variants))
    if len(values) < 3:
        return set()
    import numpy as np  # what is drawn before the third run ends needs neither it nor scipy

    from ablate.analysis.assumptions import at_chance, collapsed

    array = np.array([[values.get((name, seed), np.nan) for seed in seeds] for name in names], dtype=float)
    array = array.reshape(len(names), len(seeds))
    fell = collapsed(array, metric.better) | (at_chance(array, metric.name)[:, None] & np.isfinite(array))
    return {(names[i], seeds[j]) for i, j in np.argwhere(fell)}


def _remark(
    variant: str,
    seeds: Sequence[int],
    signs: Sequence[Sign],
    of: Mapping[tuple[str, int], StoredCell],
    values: Mapping[tuple[str, int], float],
) -> str:
    """`seed 303 collapsed: 10.2`, `seed 1: oom`; of several how many there are more."""
    said = []
    for seed, sign in zip(seeds, signs, strict=True):
        if sign == "failed":
            said.append(f"seed {seed}: {_REASONS.get(of[variant, seed].reason or 'error', of[variant, seed].reason)}")
        elif sign == "collapsed":
            said.append(f"seed {seed} collapsed: {values[variant, seed]:.4g}")
    return (said[0] if said else "") + (f", and {len(said) - 1} more" if len(said) > 1 else "")


_REASONS = {"oom": "out of memory", "bad_result": "bad result", "code_changed": "code changed"}


# -------------------------------------------------------------------------------------------------------- what runs now


def _beside(
    store: Reader, cells: Sequence[StoredCell], other: str | None, seed: int, metric: str, step: int
) -> Beside | None:
    """What `other` had at this step: its run of the same seed, else the mean of its finished runs."""
    if other is None or not step:
        return None
    runs = {cell.run: cell.seed for cell in cells if cell.variant == other and cell.state == "done"}
    values = store.at_step(runs, metric, step)
    pair = [value for run, value in values.items() if runs[run] == seed]
    if pair:
        return Beside(other, pair[0], 1, True)
    return Beside(other, fmean(values.values()), len(values), False) if values else None


def _left(
    durations: Sequence[tuple[str, float]],
    cells: Sequence[StoredCell],
    running: Sequence[Running],
    counts: Mapping[str, int],
    slots: int,
) -> tuple[float | None, str]:
    """Seconds until all is done, and what that is told from: finished runs of the same variant, else of any; before
    the first has finished, the steps that running ones have made."""
    took: dict[str, list[float]] = {}
    for variant, seconds in durations:
        took.setdefault(variant, []).append(seconds)
    usual_of = {variant: median(seconds) for variant, seconds in took.items()}
    basis = f"median of {len(durations)} finished run{'s' if len(durations) > 1 else ''}"
    if not usual_of:
        usual_of = {r.variant: r.seconds * r.steps / r.step for r in running if r.step and r.steps}
        basis = "by the epochs so far"
    if not usual_of or not slots:
        return None, ""
    usual = median(usual_of.values())
    todo = {cell.run: cell.variant for cell in cells if cell.state == "todo"}
    expected = sum(usual_of.get(variant, usual) for variant in todo.values())
    expected *= counts["todo"] / max(len(todo), 1)  # of adaptive seeds some are not needed any more
    expected += sum(max(usual_of.get(r.variant, usual) - r.seconds, 0) for r in running)
    return expected / slots, basis
