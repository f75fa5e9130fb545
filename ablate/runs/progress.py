"""How far a study is: what the reading commands ask of the database, and who is told while runs execute. Changes
nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from statistics import fmean, median
from typing import Protocol

from ablate.pool.dispatcher import Listener
from ablate.pool.executor import Slot
from ablate.pool.host import fate
from ablate.records import INTERRUPTED, Better, Json, Role
from ablate.runs.planned import Planned, described
from ablate.store.reader import Reader
from ablate.store.stored import RunState, StoredCell
from ablate.study import plan as planning
from ablate.study.changes import differences
from ablate.text import listed


def standing(store: Reader, study: str, role: Role = "ablation") -> dict[str, Json]:
    """How far a study is (`status --format json`): counts of runs, and what is running. Reads only.

    role: of the runs that are meant: its ablation, or its search.
    With adaptive seeds `todo` are all that may still be asked for, and `saved` those that are not needed any more.
    waits_for: what may keep those to do from being executed now, as sentences.
    """
    cells = {cell.run: cell for cell in reversed(store.cells(study, (role,)))}
    live = [attempt for attempt in store.live() if attempt.run in cells]
    lost = {attempt.run for attempt in live if fate(attempt) != "held"}
    steps = store.latest_steps([attempt.token for attempt in live])
    counts = {
        state: sum(cell.state == state for cell in cells.values()) for state in ("todo", "running", "done", "failed")
    }
    counts |= {"running": counts["running"] - len(lost), "lost": len(lost)}
    paused = sum(cell.reason == "pruned" for cell in cells.values())
    if paused:
        counts |= {"failed": counts["failed"] - paused, "paused": paused}
    stored = store.study(study)
    if role == "ablation" and stored is not None and stored.record.looks:
        from ablate.analysis import results  # it loads numpy and scipy, which no other study's standing needs

        saved = len(results.load(store, study).saved)
        counts |= {"todo": counts["todo"] - saved, "saved": saved}
    running = []
    for attempt in live:
        if attempt.run not in lost:
            cell, (step, values) = cells[attempt.run], steps.get(attempt.token, (0, {}))
            running.append(
                {
                    "key": attempt.run,
                    "variant": cell.variant,
                    "seed": cell.seed,
                    "device": f"{attempt.device}/{attempt.slot}",
                    "seconds": round(attempt.seconds, 1),
                    "progress": {"step": step, **values},
                    **({"note": attempt.note} if attempt.note else {}),
                }
            )
    todo = {key: f"{cell.variant}, seed {cell.seed}" for key, cell in cells.items() if cell.state == "todo"}
    return {"study": study, "counts": counts, "running": running, "waits_for": waits_for(store, todo, cells)}


def waits_for(store: Reader, todo: Mapping[str, str], of_study: Collection[str]) -> list[str]:
    """What may keep runs that are to do (key -> what it is called) from being executed now, as far as the database
    tells. of_study: the keys of all runs of their study."""
    theirs = [a for a in store.live() if a.run not in of_study and fate(a) == "held"] if todo else []
    others = {f"{a.device}/{a.slot} of {a.host} ({_called(store, a.run)})" for a in theirs}
    lonely = store.out_of_memory() if todo else set()
    alone = [name for key, name in todo.items() if key in lonely]
    return [
        *[f"Slots that runs of other studies use: {listed(sorted(others), most=4)}."] * bool(others),
        *[f"Waiting for a device that nothing else uses, after they ran out of memory: {listed(alone, '; ')}."]
        * bool(alone),
    ]


def _called(store: Reader, key: str) -> str:
    study, variant, seed = next(iter(store.cells_of(key)), ("no study", "a run that nobody asks for any more", 0))
    return f"{study}: {variant}, seed {seed}"


@dataclass(frozen=True)
class Counts:
    """How far a plan is. seconds: what the rest may take, from `past` finished runs; None where there is none.

    pending: runs, among those to do, that wait for another study. saved: runs that adaptive seeds do not need any more;
    how many of those to do they will need is not known yet, for the plan takes at `least` so many.
    """

    total: int
    done: int
    failed: int
    seconds: float | None
    past: int
    pending: int = 0
    saved: int = 0
    least: int = 0

    @property
    def todo(self) -> int:
        return self.total - self.done - self.failed - self.saved


class Watcher(Listener, Protocol):
    """Who is told how a run or a search goes, besides what a dispatcher's listener hears."""

    def planned(self, planned: Planned, counts: Counts, changes: Sequence[str], slots: Sequence[Slot]) -> None:
        """A study's plan is stored; it is executed next."""

    def trying(self, done: int, of: int) -> None:
        """So many variants were tried for two steps."""

    def beginning(self, study: str, role: Role, text: str, slots: Sequence[Slot]) -> None:
        """A part of a search begins: the search itself (role tune) or the confirmation."""

    def naming(self, names: Mapping[str, tuple[str, int]]) -> None:
        """What the runs of a search are called: key -> variant and seed."""

    def warn(self, text: str) -> None:
        """Something that a person should know, and that stops nothing."""


def known_states(plan: planning.Plan, store: Reader | None) -> tuple[dict[str, RunState], list[float], frozenset[str]]:
    """The state of each planned run that the database knows, how long the study's finished runs took, and the keys of
    runs that adaptive seeds do not need any more."""
    if store is None:
        return {}, [], frozenset()
    seconds = [took for _, took in store.durations(plan.study.name)]
    return store.states({run.key for run in plan.runs}), seconds, saved_of(plan, store)


def count(
    plan: planning.Plan,
    states: Mapping[str, RunState],
    seconds: Sequence[float],
    workers: int,
    saved: Set[str] = frozenset(),
) -> Counts:
    keys = {run.key for run in plan.runs if run.key}
    pending = sum(not run.key for run in plan.runs)
    done = sum(states[key].state == "done" for key in keys if key in states)
    failed = sum(states[key].state == "failed" for key in keys if key in states)
    rest = (len(keys) + pending - done - failed - len(saved)) * median(seconds) / workers if seconds else None
    return Counts(len(keys) + pending, done, failed, rest, len(seconds), pending, len(saved), _least(plan))


def _least(plan: planning.Plan) -> int:
    """How many runs the plan takes where the first look of adaptive seeds settles every row; else all of them."""
    looks = plan.study.analysis.get("looks") or [len(plan.study.seeds)]
    keys = [run.key for run in plan.runs if run.seed in plan.study.seeds[: looks[0]]]
    return len(set(keys) - {""}) + keys.count("")


def saved_of(plan: planning.Plan, store: Reader) -> frozenset[str]:
    """The keys of the plan's runs that adaptive seeds do not need any more."""
    if "looks" not in plan.study.analysis:
        return frozenset()
    from ablate.runs import adaptive

    return adaptive.saved(store, plan)


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
class Moment:
    """A study at one moment. left_s: seconds until all is done, by `basis`; None where nothing tells."""

    study: str
    metric: str
    better: Better
    counts: Mapping[str, int]
    running: tuple[Running, ...]
    failures: tuple[str, ...]
    left_s: float | None
    basis: str

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


def moment(store: Reader, study: str, slots: int | None = None, role: Role = "ablation") -> Moment:
    """A stored study now. slots: runs at a time; None: as many as are running. role: its ablation, or its search."""
    stored = store.study(study)
    assert stored is not None, study
    record = stored.record
    told = standing(store, study, role)
    cells = store.cells(study, (role,))
    metric = record.metric.name
    epochs = record.facts.epochs
    whole = {v.name: v.config.get(epochs) for v in record.variants} if epochs else {}
    compared = {row.variant: row.compared_with for row in reversed(record.rows) if row.compared_with}
    running = []
    for run in told["running"]:
        progress = dict(run["progress"])
        step, variant = progress["step"], run["variant"]
        beside = _beside(store, cells, compared.get(variant), run["seed"], metric, step)
        value = progress.get(metric)
        running.append(
            Running(
                run["device"],
                variant,
                run["seed"],
                step,
                whole.get(variant),
                value,
                beside,
                run["seconds"],
                run.get("note", ""),
            )
        )
    failed = [cell for cell in cells if cell.state == "failed" and cell.reason not in INTERRUPTED]
    failures = [f"{cell.variant}, seed {cell.seed}: {cell.reason}" for cell in failed]
    left_s, basis = _left(store.durations(study), cells, running, told["counts"], slots or len(running))
    return Moment(study, metric, record.metric.better, told["counts"], tuple(running), tuple(failures), left_s, basis)


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


def not_reused(planned: Planned, store: Reader | None) -> list[str]:
    """A line for each cause: how many finished runs of the study, as it was last run, it makes to be run anew.

    Seeds of a variant differ in nothing else, so the first of them speaks for all.
    """
    if store is None:
        return []
    runs = {(run.variant, run.seed): run for run in planned.plan.runs if run.key}
    counts: dict[str, int] = {}
    causes: dict[str, str] = {}
    states = store.states({run.key for run in runs.values()})
    for cell in store.cells(planned.study.name):
        run = runs.get((cell.variant, cell.seed))
        if cell.state != "done" or run is None or run.key == cell.run:
            continue
        if run.key in states and states[run.key].state == "done":
            continue
        if run.variant not in causes:
            differing = differences(store.run_config(cell.run), described(planned.plan, run))
            causes[run.variant] = "; ".join(differing) or "the way in which ablate makes keys changed"
        counts[causes[run.variant]] = counts.get(causes[run.variant], 0) + 1
    return [
        f"{count} finished {'run is' if count == 1 else 'runs are'} not reused: {cause}."
        for cause, count in counts.items()
    ]
