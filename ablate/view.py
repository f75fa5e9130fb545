"""What `ablate run` shows while it runs: on a terminal a live view, elsewhere a few plain lines. Always standard error.

Overall bar, one line per run that is executing (variant, seed, step, the study's metric so far, time), what failed, and
how long the rest may take. Nothing is decided or stored here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from tabulate import tabulate

from ablate.executor import Failed, Finished, Slot

if TYPE_CHECKING:
    from ablate.dispatcher import Dispatcher, Work
    from ablate.runner import Counts, Planned
    from ablate.store import Store


def duration(seconds: float) -> str:
    """A duration in words: `42 s`, `4 min`, `2 h 5 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 / 60:.0f} min"


def slots_in_words(slots: Sequence[Slot]) -> str:
    """`2 x cpu`, or `1 x cuda:0 and 1 x cuda:1`."""
    devices = dict.fromkeys(slot.device for slot in slots)
    return " and ".join(f"{sum(slot.device == name for slot in slots)} x {name}" for name in devices)


def summary(planned: Planned, counts: Counts, slots: Sequence[Slot]) -> str:
    """`6 variants x 3 seeds = 18 runs: 12 done, 6 to do, about 4 min on 2 x cpu (median of 12 past runs).`"""
    variants, seeds = len(planned.plan.variants), len(planned.study.seeds)
    shared = variants * seeds - counts.total
    looks = planned.study.analysis.get("looks")
    each = f"{looks[0]} to {_many(seeds, 'seed')}" if looks and len(looks) > 1 else _many(seeds, "seed")
    runs = (
        f"{counts.least} to {_many(counts.total, 'run')}" if counts.least < counts.total else _many(counts.total, "run")
    )
    text = f"{_many(variants, 'variant')} x {each} = {runs}"
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
    from ablate import adaptive  # it loads numpy, which the plan of no other study needs

    return [adaptive.in_plan(looks, counts.least, counts.total)]


def _many(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


class View:
    """The listener of `ablate run`. `quiet` says nothing but warnings and failures.

    A terminal that was closed refuses every write; the runs must be stopped and their leases released all the same.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._live: Live | None = None
        self._names: dict[str, tuple[str, int]] = {}
        self._metric = ""
        self._epochs: dict[str, int] = {}
        self._took: list[float] = []
        self._slots = 1
        self._total = 0
        self._last: Dispatcher | None = None

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            with suppress(OSError):
                self._live.stop()
            self._live = None

    def planned(self, planned: Planned, counts: Counts, changes: Sequence[str], slots: Sequence[Slot]) -> None:
        self.__exit__()  # another study was trained first
        self._names = {run.key: (run.variant, run.seed) for run in reversed(planned.plan.runs)}
        self._metric = planned.study.metric.name
        self._slots, self._total = len(slots), counts.total - counts.saved
        if planned.study.task == "classify":
            self._epochs = {v.name: v.completed.config["epochs"] for v in planned.plan.variants}
        if self._quiet:
            return
        for note in (*planned.study.notes, *changes):
            self._say(note)
        self._say(f"{planned.study.name}: {summary(planned, counts, slots)}")
        if counts.todo and self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def trying(self, done: int, of: int) -> None:
        if self._live is not None:
            self._live.update(Text(f"two steps of every variant: {done} of {of}", style="dim"))

    def warn(self, text: str) -> None:
        self._say(f"warning: {text}", style="yellow")

    def changed(self, dispatcher: Dispatcher) -> None:
        if self._live is not None:
            with suppress(OSError):
                self._live.update(self._drawn(dispatcher))

    def ended(self, work: Work, event: Finished | Failed, *, again: bool) -> None:
        if isinstance(event, Finished):
            self._took.append(time.monotonic() - work.since_s)
        elif event.reason != "cancelled":
            variant, seed = self._names[work.key]
            what_next = "It will be tried again." if again else f"`ablate show {work.key[:8]}` tells more."
            self._say(f"{variant}, seed {seed}: {event.reason}: {event.message}. {what_next}", style="red")

    def _say(self, text: str, style: str = "") -> None:
        with suppress(OSError):
            self._console.print(Text(text, style=style))

    def _drawn(self, dispatcher: Dispatcher) -> RenderableType:
        ended = len(dispatcher.done) + len(dispatcher.failed)
        grid = Table.grid(padding=(0, 2))
        grid.add_row(ProgressBar(total=self._total, completed=ended, width=40), self._headline(dispatcher, ended))
        lines = Table.grid(padding=(0, 2))
        for work in sorted(dispatcher.working.values(), key=lambda w: (w.slot.device, w.slot.index)):
            variant, seed = self._names[work.key]
            value = work.values.get(self._metric)
            so_far = "" if value is None else f"{self._metric} {value:.2f}"
            lines.add_row(
                Text(f"{work.slot.device}/{work.slot.index}", style="dim"),
                Text(variant),
                Text(f"seed {seed}"),
                Text(self._progress(variant, work.step), style="dim"),
                Text(so_far),
                Text(duration(time.monotonic() - work.since_s), style="dim"),
            )
        return Group(grid, lines)

    def _progress(self, variant: str, step: int) -> str:
        if not step:
            return "starting"
        epochs = self._epochs.get(variant)
        return f"epoch {step}/{epochs}" if epochs else f"step {step}"

    def _headline(self, dispatcher: Dispatcher, ended: int) -> Text:
        text = Text(f"{ended} of {self._total} runs")
        if dispatcher.failed:
            text.append(f", {len(dispatcher.failed)} failed", style="red")
        if self._took:
            rest_s = (self._total - ended) * median(self._took) / self._slots
            text.append(f", about {duration(rest_s)} left (median of {len(self._took)} runs)", style="dim")
        if dispatcher.stopped_by is not None:
            text.append(", stopping", style="yellow")
        return text


# ------------------------------------------------------------------------------------------------- what commands print


def standing_text(told: Mapping[str, Any]) -> str:
    """`ablate status` for a person."""
    counts = told["counts"]
    total = sum(counts.values())
    parts = [
        f"{counts[state]} {word}" for state, word in _STATES.items() if counts.get(state) or state in ("done", "todo")
    ]
    lines = [f"{told['study']}: {_many(total, 'run')}: {', '.join(parts)}."]
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
    if counts["lost"]:
        lines.append("Lost runs have no worker any more; the next `ablate run` takes them up again.")
    return "\n".join(lines)


_STATES = {
    "done": "done", "running": "running", "todo": "to do", "failed": "failed", "lost": "lost", "saved": "not needed",
}  # fmt: skip


def run_text(store: Store, key: str) -> str:
    """`ablate show`: what was asked, every attempt, its metrics, and the traceback of a failure."""
    asked = store.run_config(key)
    lines = [f"run {key}"]
    lines += [f"  {study}: {variant}, seed {seed}" for study, variant, seed in store.cells_of(key)]
    lines += ["", "asked:", _indented(json.dumps(asked, indent=2, ensure_ascii=False))]
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
        for kind in (attempt.metrics, attempt.outputs, attempt.provenance):
            rows = [[name, value] for name, value in sorted(kind.items())]
            lines += [_indented(tabulate(rows, tablefmt="plain", disable_numparse=True))] if rows else []
        lines += [f"  files: {attempt.log}"]
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def plugins_text(found: Sequence[Mapping[str, Any]]) -> str:
    """`ablate list tricks` for a person: name, what it is, parameters with defaults, paper."""
    blocks = []
    for one in found:
        category = f" ({one['category']})" if one["category"] else ""
        lines = [f"{one['name']}{category}", f"    {one['summary'].removeprefix(one['name'] + ': ')}"]
        parameters = ", ".join(
            name if said.get("required") else f"{name}={json.dumps(said['default'], default=str)}"
            for name, said in one["parameters"].items()
        )
        lines += [f"    {parameters}"] if parameters else []
        lines += [f"    {one['paper']}"] if one["paper"] else []
        blocks.append("\n".join(lines))
    return "\n".join(blocks)
