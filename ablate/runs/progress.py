"""How far a study is: what the reading commands ask of the database, and who is told while runs execute. Changes
nothing."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from statistics import median
from typing import Protocol, cast

from ablate.pool.dispatcher import Listener
from ablate.pool.executor import Slot
from ablate.pool.host import fate, keeps
from ablate.pool.mailbox import PLAN, Mailbox, token_of
from ablate.records import Json, Role
from ablate.runs.planned import Planned, described, folder_name
from ablate.store.reader import Reader
from ablate.store.stored import LiveAttempt, RunState
from ablate.study import plan as planning
from ablate.study.changes import differences
from ablate.text import duration, listed, many

ABOUT_S = 60.0
"""How long ago the last sign of life of an `ablate run` may be, by this host's clock, for it to be about."""


def standing(store: Reader, study: str, role: Role = "ablation") -> dict[str, Json]:
    """How far a study is (`status --format json`): counts of runs, and what is running. Reads only.

    role: of the runs that are meant: its ablation, or its search.
    With adaptive seeds `todo` are all that may still be asked for, and `saved` those that are not needed any more.
    waits_for: what may keep those to do from being executed now, as sentences.
    """
    cells = {cell.run: cell for cell in reversed(store.cells(study, (role,)))}
    live = [attempt for attempt in store.live() if attempt.run in cells]
    lost = {attempt.run for attempt in live if fate(attempt) in ("gone", "expired")}
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
    waiting = {a.token for a in live if a.is_ahead or (keeps(a.host) and a.pid is None)}
    if waiting:
        counts |= {"running": counts["running"] - len(waiting), "queued": len(waiting)}
    running = []
    for attempt in live:
        if attempt.run not in lost and attempt.token not in waiting:
            cell, (step, values) = cells[attempt.run], steps.get(attempt.token, (0, {}))
            running.append(
                {
                    "key": attempt.run,
                    "variant": cell.variant,
                    "seed": cell.seed,
                    "device": attempt.place.removesuffix(f" of {attempt.host}"),
                    "seconds": round(attempt.seconds, 1),
                    "progress": {"step": step, **values},
                    **({"note": attempt.note} if attempt.note else {}),
                }
            )
    todo = {key: f"{cell.variant}, seed {cell.seed}" for key, cell in cells.items() if cell.state == "todo"}
    told = {"study": study, "counts": counts, "running": running, "waits_for": waits_for(store, todo, cells)}
    places = _places(store, study, live)
    return {**told, "places": places} if places else told


def kept_back(planned: Planned, store: Reader) -> str:
    """What of a study that was handed over and left could not be queued ahead, as a sentence; empty where nothing."""
    counts = cast(dict[str, int], standing(store, planned.study.name)["counts"])
    why = ["further seeds are asked for by what is seen"] * bool(planned.plan.record.looks)
    why += ["some measure the weights that others leave"] * any(run.evaluates for run in planned.plan.runs)
    reason = f": {listed(why)}" if why else ""
    return f"{many(counts['todo'], 'run')} of it will be handed over then{reason}." if counts["todo"] else ""


def _places(store: Reader, study: str, live: Sequence[LiveAttempt]) -> list[dict[str, Json]]:
    """The engines to which runs of a study were handed over: how many are queued, run, or have ended there without
    anybody having heard of it, which workers live, and whether an `ablate run` looks after them."""
    home = store.folder / folder_name(study)
    boxes = {path.parent.name: Mailbox(path.parent) for path in home.glob(f"*/{PLAN}")}
    told = []
    for name in sorted({a.host for a in live if keeps(a.host)} | {f"{engine}:{study}" for engine in boxes}):
        here = [attempt for attempt in live if attempt.host == name]
        box = boxes.get(name.partition(":")[0])
        workers = box.living() if box is not None else {}
        waits = box is not None and not here and bool(box.dispatchers(time.time(), ABOUT_S))
        if here or workers or waits:
            alive = [{"worker": worker, "node": of.node, "slots": of.slots} for worker, (of, _) in workers.items()]
            looked_after = waits or any(fate(attempt) == "held" for attempt in here)
            counts = _counts(here, None if looked_after else box)
            told.append({"place": name, **counts, "workers": alive, "looked_after": looked_after})
    return told


def _counts(here: Sequence[LiveAttempt], box: Mailbox | None) -> dict[str, int]:
    """How many runs wait, work and have ended at an engine: as the database has it, or as the engine's folder says,
    for what nobody looks after goes on."""
    if box is None:
        started = sum(attempt.pid is not None for attempt in here)
        return {"queued": len(here) - started, "running": started, "ended": 0}
    tokens = {attempt.token for attempt in here} - box.ended()
    waiting = tokens & {token_of(name) for name in box.todo()}
    running = tokens & set(box.taken()) - waiting
    return {"queued": len(waiting), "running": len(running), "ended": len(here) - len(waiting) - len(running)}


def waits_for(store: Reader, todo: Mapping[str, str], of_study: Collection[str]) -> list[str]:
    """What may keep runs that are to do (key -> what it is called) from being executed now, as far as the database
    tells. of_study: the keys of all runs of their study."""
    theirs = [a for a in store.live() if a.run not in of_study and fate(a) == "held"] if todo else []
    others = {f"{a.device}/{a.slot} of {a.host} ({_called(store, a.run)})" for a in theirs if not a.is_ahead}
    lonely = store.out_of_memory() if todo else set()
    alone = [name for key, name in todo.items() if key in lonely]
    troubled = {key: met for key, met in (store.in_trouble() if todo else {}).items() if key in todo}
    why, since = min(troubled.values(), key=lambda met: met[1], default=("", 0.0))
    return [
        *[
            f"{many(len(troubled), 'run')} to be tried again, ever less often, after what is not their fault: "
            f"{why} ({duration(since)} ago)."
        ]
        * bool(troubled),
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
        """How far a study is whose plan is executed next."""

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
    cells, asked = store.cells(plan.study.name), {run.key for run in plan.runs}
    known = {cell.run: RunState(cell.state, cell.reason, cell.attempts) for cell in cells if cell.run in asked}
    states = known | store.states(asked.difference(known))
    return states, [took for _, took in store.durations(cells)], saved_of(plan, store)


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


def not_reused(planned: Planned, store: Reader | None) -> list[str]:
    """A line for each cause: how many finished runs of the study, as it was last run, it makes to be run anew.

    Seeds of a variant differ in nothing else, so the first of them speaks for all.
    """
    if store is None:
        return []
    runs = {(run.variant, run.seed): run for run in planned.plan.runs if run.key}
    counts: dict[str, int] = {}
    causes: dict[str, str] = {}
    done = [cell for cell in store.cells(planned.study.name) if cell.state == "done"]
    pairs = [(cell, runs[cell.variant, cell.seed]) for cell in done if (cell.variant, cell.seed) in runs]
    anew = [(cell, run) for cell, run in pairs if run.key != cell.run]
    states = store.states({run.key for _, run in anew})
    for cell, run in anew:
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
