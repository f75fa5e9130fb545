"""What commands print of plans, runs and plug-ins, as plain text. Nothing is decided or stored here.

What is drawn while runs execute is live.py's.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from ablate.analysis import reruns
from ablate.errors import AblateError, see
from ablate.pool.executor import Slot
from ablate.records import COMMAND, Cell, Role
from ablate.text import duration, file_size, listed, many

if TYPE_CHECKING:
    from ablate.analysis.results import Results
    from ablate.runs.garbage import Garbage, Item
    from ablate.runs.planned import Planned
    from ablate.runs.progress import Counts
    from ablate.store.reader import Reader
    from ablate.store.store import Store
    from ablate.store.stored import StoredCell


def slots_in_words(slots: Sequence[Slot]) -> str:
    """`2 x cpu`, or `1 x cuda:0 and 1 x cuda:1`."""
    devices = dict.fromkeys(slot.device for slot in slots)
    return " and ".join(f"{sum(slot.device == name for slot in slots)} x {name}" for name in devices)


def summary(planned: Planned, counts: Counts, slots: Sequence[Slot]) -> str:
    """`6 variants x 3 seeds = 18 runs: 12 done, 6 to do, about 4 min on 2 x cpu (median of 12 past runs).`"""
    variants, seeds = len(planned.plan.variants), len(planned.study.seeds)
    shared = variants * seeds - counts.total
    looks = planned.study.analysis.get("looks")
    each = f"{looks[0]} to {many(seeds, 'seed')}" if looks and len(looks) > 1 else many(seeds, "seed")
    runs = (
        f"{counts.least} to {many(counts.total, 'run')}" if counts.least < counts.total else many(counts.total, "run")
    )
    text = f"{many(variants, 'variant')} x {each} = {runs}"
    text += f" ({shared} shared by equal variants)" if shared else ""
    most = "at most " * (counts.least < counts.total and counts.todo > 0)
    text += f": {counts.done} done, {most}{counts.todo} to do"
    text += f", {counts.saved} not needed" if counts.saved else ""
    text += f" ({counts.pending} of them pending)" if counts.pending else ""
    text += f", {counts.failed} failed" if counts.failed else ""
    if counts.todo and counts.seconds is not None:
        runs = "1 past run" if counts.past == 1 else f"median of {counts.past} past runs"
        text += f", {most or 'about '}{duration(counts.seconds)} on {slots_in_words(slots)} ({runs})"
    elif counts.todo:
        text += f" on {slots_in_words(slots)}"
    return text + "."


def adaptive_notes(planned: Planned, counts: Counts) -> list[str]:
    """What a plan says of adaptive seeds; [] where they are not."""
    looks = planned.study.analysis.get("looks")
    if not looks:
        return []
    from ablate.tables import adaptive  # it loads numpy, which the plan of no other study needs

    return [adaptive.in_plan(looks, counts.least, counts.total)]


def few_seeds(planned: Planned) -> list[str]:
    """That no verdict can come of so few seeds; [] where one can, or nothing is compared."""
    seeds = len(planned.study.seeds)
    if seeds > 2 or all(row.compared_with is None for row in planned.plan.rows):
        return []
    return [
        f"{many(seeds, 'seed')}: differences will have no interval, no p and no verdict; from 3 seeds on they have "
        "(`seeds: 3` is fixed, too: seeds 0, 1 and 2)."
    ]


@dataclass(frozen=True)
class Foretold:
    """A plan against what the database has: what `ablate plan` prints. states: of each run that is known, by key;
    changes: what is not reused and why, and other news."""

    planned: Planned
    counts: Counts
    slots: tuple[Slot, ...]
    states: Mapping[str, str]
    changes: tuple[str, ...]

    @classmethod
    def of(cls, planned: Planned, db: str) -> Foretold:
        from ablate.runs import execute, progress, weights
        from ablate.store.store import Store

        slots = execute.slots_for(planned.study, execute.Options())
        with Store.if_there(db) as store:
            changes = [*progress.not_reused(planned, store), *weights.told(planned, store)]
            states, seconds, saved = progress.known_states(planned.plan, store)
        counts = progress.count(planned.plan, states, seconds, len(slots), saved)
        state_of = {key: state.state for key, state in states.items()} | dict.fromkeys(saved, "saved")
        if planned.study.across:
            from ablate.runs import budget  # scipy, which no other plan needs

            changes += budget.over_settings(planned)
        return cls(planned, counts, slots, state_of, (*changes, *adaptive_notes(planned, counts), *few_seeds(planned)))

    @property
    def head(self) -> str:
        return f"{self.planned.study.name}: {summary(self.planned, self.counts, self.slots)}"

    @property
    def rows(self) -> list[list[str]]:
        """Of each row of the table to come: design, variant, what it is compared with, the tricks that differ."""
        return [
            [row.design, row.variant, row.compared_with or "(reference)", ", ".join(row.differs)]
            for row in self.planned.plan.rows
        ]

    @property
    def notes(self) -> list[str]:
        plan = self.planned.plan
        left_out = (f"left out: {line}" for line in plan.left_out)
        return [*self.changes, *plan.study.notes, *plan.notes, *left_out]

    def __str__(self) -> str:
        text = tabulate(self.rows, headers=FORETOLD, disable_numparse=True)
        return "\n".join([self.head, text, *([""] if self.notes else []), *(f"- {note}" for note in self.notes)])


FORETOLD = ("design", "variant", "compared with", "differs in")
"""The columns of a plan's rows."""


# ------------------------------------------------------------------------------------------------- what commands print


def standing_text(told: Mapping[str, Any]) -> str:
    """`ablate status` for a person."""
    counts = told["counts"]
    lines = [standing_line(told["study"], counts)]
    rows = []
    for run in told["running"]:
        progress = {**run["progress"]}
        step = progress.pop("step")
        values = ", ".join(f"{name} {value:.4g}" for name, value in progress.items())
        rows.append(
            [run["device"], run["variant"], f"seed {run['seed']}", f"step {step}", duration(run["seconds"]), values]
        )
    if rows:
        lines.append(tabulate(rows, tablefmt="plain", disable_numparse=True))
    lines += told["waits_for"]
    if counts["lost"]:
        lines.append("Lost runs have no worker any more; the next `ablate run` takes them up again.")
    return "\n".join(lines)


def places_text(parts: Sequence[Mapping[str, Any]]) -> str:
    """A line for each engine at which runs of a study are, each part's (its ablation, its search) counted together: the
    workers are the same."""
    places: dict[str, dict[str, Any]] = {}
    for place in (place for told in parts for place in told.get("places", ())):
        before = places.setdefault(
            place["place"], {**place, "queued": 0, "running": 0, "ended": 0, "looked_after": False}
        )
        before["looked_after"] |= place["looked_after"]
        for count in ("queued", "running", "ended"):
            before[count] += place[count]
    return "".join(f"{_place_line(place)}\n" for place in places.values())


def _place_line(place: Mapping[str, Any]) -> str:
    """`slurm:batchnorm: 3 workers on n1 and n2, 12 runs queued, 6 running; nobody looks after them.`"""
    workers, nodes = place["workers"], sorted({worker["node"] for worker in place["workers"]})
    there = f"{many(len(workers), 'worker')} on {listed(nodes, most=6)}" if workers else "no worker"
    text = f"{place['place']}: {there}, {many(place['queued'], 'run')} queued, {place['running']} running"
    text += f", {place['ended']} ended" * bool(place["ended"])
    engine = place["place"].partition(":")[0]
    if place["looked_after"]:
        return f"{text}; an `ablate run` looks after them."
    if place["queued"] + place["running"]:
        return f"{text}; nobody looks after them: `ablate run --executor {engine}` does, `ablate stop` cancels them."
    return f"{text}; `ablate run --executor {engine}` collects them." if place["ended"] else f"{text}."


def standing_line(study: str, counts: Mapping[str, int]) -> str:
    """`batchnorm: 70 runs: 12 done, 2 running, 56 to do.`"""
    shown = [state for state in _STATES if counts.get(state) or state in ("done", "todo")]
    parts = [f"{counts[state]} {_STATES[state]}" for state in shown]
    return f"{study}: {many(sum(counts.values()), 'run')}: {', '.join(parts)}."


_STATES = {
    "done": "done", "running": "running", "todo": "to do", "failed": "failed", "lost": "lost", "saved": "not needed",
    "paused": "paused", "queued": "queued",
}  # fmt: skip


def search_line(search: Mapping[str, Any]) -> str:
    """`  full: trial 5 of 40, best 98.1 (trial 3), untuned 97.9`."""
    best, untuned = search["best"], search["untuned"]
    text = f"  {search['variant']}: trial {search['trial']} of {search['trials']}"
    text += f", best {best['value']:.4g} (trial {best['trial']})" if best else ""
    return text + (f", untuned {untuned:.4g}" if untuned is not None else "")


def run_text(store: Store, key: str) -> str:
    """`ablate show`: what was asked, every attempt, its metrics, and the traceback of a failure."""
    config = store.run_config(key)
    lines = [f"run {key}"]
    lines += [f"  {study}: {variant}, seed {seed}" for study, variant, seed in store.cells_of(key)]
    lines += ["", "asked:", _indented(json.dumps(config, indent=2, ensure_ascii=False))]
    attempts = store.attempts(key)
    if not attempts:
        lines += ["", "not executed yet."]
    for number, attempt in enumerate(attempts, 1):
        took = "" if attempt.seconds is None else f", {duration(attempt.seconds)}"
        how = "running" if attempt.outcome is None else attempt.reason or attempt.outcome
        counted = ", counted" if attempt.counted else ""
        lines += ["", f"attempt {number}: {how}{counted}, on {attempt.device}/{attempt.slot} of {attempt.host}{took}"]
        lines += [f"  {attempt.message}"] if attempt.message else []
        lines += [_indented(attempt.detail.rstrip())] if attempt.detail else []
        lines += [f"  late: {attempt.late}"] if attempt.late else []
        executed = {f"executed {file}": sha for file, sha in attempt.provenance.get("executed", {}).items()}
        taken = {f"{name} from": place for name, place in attempt.provenance.get("captured", {}).items()}
        apart = ("reruns", "executed", "captured")
        kept = {name: value for name, value in attempt.provenance.items() if name not in apart}
        lines += [f"  {reruns.of_run(attempt.provenance['reruns'])}"] if "reruns" in attempt.provenance else []
        for kind in (attempt.metrics, taken, attempt.outputs, kept | executed):
            rows = [[name, value] for name, value in sorted(kind.items())]
            lines += [_indented(tabulate(rows, tablefmt="plain", disable_numparse=True))] if rows else []
        lines += [f"  files: {attempt.log}"] if attempt.log and Path(attempt.log).is_dir() else []
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def print_table(study: str, db: str, role: Role) -> bool:
    """The table that ends a `run` or a search; returns whether a run of this role failed or lacks the metric."""
    from ablate.analysis import results  # numpy, scipy and pandas, which the runs before it did not need
    from ablate.store.store import Store
    from ablate.tables import views
    from ablate.terminal import drawn

    with Store.open(db) as store:
        loaded, cells = results.load(store, study), store.cells(study, (role,))
        if sys.stdout.isatty():
            drawn.show(loaded)
        else:
            print(views.text(loaded), end="")
        lacks = role == "ablation" and _tell_lacking(loaded, store)
    return tell_failed(cells) or lacks


def _tell_lacking(loaded: Results, store: Reader) -> bool:
    """Whether runs are done without the study's metric; if so, what they told instead and what to do goes to standard
    error, --quiet or not. It may be named after they ran: it is in no run's key."""
    from ablate.analysis.arrays import NO_VALUE

    record, lacking = loaded.record, sum(counts.get(NO_VALUE, 0) for counts in loaded.measured.failures)
    if not lacking:
        return False
    metric, name = record.metric, shlex.quote(record.study)
    told = store.curve_values(record.study) if metric.at != "last" else store.values(record.study)
    there = listed(sorted({one[2] for one in told} - {metric.name}), most=8) or "nothing"
    at = f" at {metric.at}" if metric.at != "last" else ""
    # A command's output holds more numbers than were asked for when it ran; a function's are all there.
    remedy = (
        f"`ablate recapture {name}` reads anew what they left, by name or as `metrics:` says"
        if record.task.name == COMMAND
        else "Name one of these as the study's metric; an edit of the task's code asks its runs anew"
    )
    which = f"{many(lacking, 'run')} {'is' if lacking == 1 else 'are'} done without {metric.name}{at}"
    print(
        f"{which}; what was kept of them is {there}. {remedy}. {see('own-code')}",
        file=sys.stderr,
    )
    return True


def tell_failed(cells: Sequence[StoredCell]) -> bool:
    """Whether runs failed; if so, how many and where to look is said on standard error, --quiet or not."""
    failed = [shlex.quote(f"{cell.variant}:{cell.seed}") for cell in cells if cell.state == "failed"]
    if failed:
        why = f"`ablate why {failed[0]}` says why{' of the first' if failed[1:] else ''}"
        print(f"{many(len(failed), 'run')} failed: {why}. {see('reliability')}", file=sys.stderr)
    return bool(failed)


def plugins_text(plugins: Sequence[Mapping[str, Any]]) -> str:
    """`ablate list tricks` for a person: name, what it is, parameters with defaults, paper."""
    blocks = []
    for one in plugins:
        category = f" ({one['category']})" if one["category"] else ""
        category += f", of {one['distribution']}" if "distribution" in one else ""
        lines = [f"{one['name']}{category}", f"    {one['summary'].removeprefix(one['name'] + ': ')}"]
        parameters = ", ".join(
            name if parameter.get("required") else f"{name}={json.dumps(parameter['default'], default=str)}"
            for name, parameter in one["parameters"].items()
        )
        lines += [f"    {parameters}"] if parameters else []
        lines += [f"    {one['paper']}"] if one["paper"] else []
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def network_text(planned: Planned, name: str | None) -> str:
    """The parts of a variant's network, a line each, and what each trick that is a part takes. name: None for the
    first variant of those that have the most parts."""
    from ablate.registry import unknown
    from ablate.study.cells import configuration

    study, names = planned.study, [variant.name for variant in planned.plan.variants]
    if name is not None and name not in names:
        raise AblateError(unknown("variant", name, names))
    tricks = {trick.name for trick in study.tricks if trick.part}
    whole = max(planned.plan.variants, key=lambda one: (not one.cell.control, len(tricks & {*one.cell.tricks})))
    variant = whole if name is None else planned.plan.variant(name)
    parts = planned.task.network(variant.completed.config, variant.completed.tricks, planned.registry)
    rows = [
        (
            part.path or "the network",
            part.kind,
            "x".join(map(str, part.made)),
            f"{part.parameters:,}",
            f"{part.flops:,}",
        )
        for part in parts
    ]
    heads, sides = ["part", "class", "makes", "parameters", "FLOPs"], ("left", "left", "left", "right", "right")
    lines = [tabulate(rows, heads, tablefmt="simple", disable_numparse=True, colalign=sides)]
    every = Cell(tuple(trick.choices[0] for trick in study.tricks if trick.part))
    for trick in (trick for trick in study.tricks if trick.part):
        done = planned.task.completed(*configuration(study, every.without(trick.name)), planned.registry)
        lines += [f"{trick.name}: {note}" for note in done.notes]
    example = f"two {planned.task.example}s" if planned.task.example else "the example that `run.model` gets"
    return "\n".join([f"FLOPs: of one forward pass of {example}, in training mode.", *lines])


def garbage_text(found: Garbage, shown: str) -> str:
    """`ablate gc`: each thing with its size and why it may go, and what stays."""
    lines = [f"no study of {shown} asks for:"] if found.items else [f"every study of {shown} asks for what is there."]
    rows = [["", item.kind, file_size(item.size), item.what, f"{item.why}{_places(item)}"] for item in found.items]
    if rows:
        rows.append(["", "in all", file_size(found.size), "", ""])
        align = ("left", "left", "right", "left", "left")
        lines += tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=align).splitlines()
    lines += [f"left alone: {sentence}." for sentence in found.left]
    return "\n".join(line.rstrip() for line in lines)


def _places(item: Item) -> str:
    """The folders that it lies in."""
    places = sorted({os.path.relpath(path.parent) for path in item.paths})
    return f" ({listed(places, most=3)})" if places else ""
