"""What is going on, drawn: a study's runs while they execute, for `ablate run` and for `ablate status --watch`.

`look` reads it from the database as plain data, `drawn` lays it out for a terminal. Nothing is decided or stored here.
Both commands show the same, so what other dispatchers execute is there, too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablate.pool.executor import Failed, Finished, Slot
from ablate.records import INTERRUPTED, Better, Role
from ablate.runs.progress import standing
from ablate.store.reader import Reader, StoredCell
from ablate.terminal.printed import standing_line, summary
from ablate.text import duration

if TYPE_CHECKING:
    from ablate.pool.dispatcher import Dispatcher, Work
    from ablate.runs.planned import Counts, Planned

LAST = 3
"""So many failures are named; the others are counted."""

LOOK_S = 2.0
"""How often the database is read at most."""

LINE_S = 60.0
"""How often `run` says a line where it is not on a terminal."""


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
    """One run that executes. since: seconds on this machine's clock; steps: of a whole run, where known."""

    device: str
    variant: str
    seed: int
    step: int
    steps: int | None
    value: float | None
    beside: Beside | None
    seconds: float


@dataclass(frozen=True)
class Look:
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


def look(store: Reader, study: str, slots: int | None = None, role: Role = "ablation") -> Look:
    """A stored study now. slots: runs at a time; None: as many as are running. role: its ablation, or its search."""
    stored = store.study(study)
    assert stored is not None, study
    resolved = stored.resolved
    told = standing(store, study, role)
    cells = store.cells(study, (role,))
    metric = resolved["metric"]["name"]
    whole = (
        {v["name"]: v["config"].get("epochs") for v in resolved["variants"]} if resolved["task"] == "classify" else {}
    )
    compared = {row["variant"]: row["compared_with"] for row in reversed(resolved["rows"]) if row["compared_with"]}
    running = []
    for run in told["running"]:
        progress = dict(run["progress"])
        step, variant = progress["step"], run["variant"]
        beside = _beside(store, cells, compared.get(variant), run["seed"], metric, step)
        value = progress.get(metric)
        running.append(
            Running(run["device"], variant, run["seed"], step, whole.get(variant), value, beside, run["seconds"])
        )
    failed = [cell for cell in cells if cell.state == "failed" and cell.reason not in INTERRUPTED]
    failures = [f"{cell.variant}, seed {cell.seed}: {cell.reason}" for cell in failed]
    left_s, basis = _left(store.durations(study), cells, running, told["counts"], slots or len(running))
    better = resolved["metric"]["better"]
    return Look(study, metric, better, told["counts"], tuple(running), tuple(failures), left_s, basis)


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
    known = {variant: median(seconds) for variant, seconds in took.items()}
    basis = f"median of {len(durations)} finished run{'s' if len(durations) > 1 else ''}"
    if not known:
        known = {r.variant: r.seconds * r.steps / r.step for r in running if r.step and r.steps}
        basis = "by the epochs so far"
    if not known or not slots:
        return None, ""
    usual = median(known.values())
    todo = {cell.run: cell.variant for cell in cells if cell.state == "todo"}
    expected = sum(known.get(variant, usual) for variant in todo.values())
    expected *= counts["todo"] / max(len(todo), 1)  # of adaptive seeds some are not needed any more
    expected += sum(max(known.get(r.variant, usual) - r.seconds, 0) for r in running)
    return expected / slots, basis


# -------------------------------------------------------------------------------------------------------------- drawing


def drawn(seen: Look, *, stopping: bool = False) -> RenderableType:
    """For a terminal: how far, what runs where since when and how it compares, what failed."""
    bar = ProgressBar(total=max(seen.total, 1), completed=seen.ended, width=30)
    head = Table.grid(padding=(0, 2))
    head.add_row(bar, _headline(seen, stopping=stopping))
    lines = Table.grid(padding=(0, 2))
    for run in seen.running:
        lines.add_row(
            Text(run.device, style="dim"), Text(run.variant), Text(f"seed {run.seed}"),
            Text(_progress(run), style="dim"), Text("" if run.value is None else f"{seen.metric} {run.value:.4g}"),
            _against(run, seen.better), Text(f"since {_clock(run.seconds)}, {duration(run.seconds)}", style="dim"),
        )  # fmt: skip
    parts: list[RenderableType] = [head, lines]
    if seen.failures:
        more = f" and {len(seen.failures) - LAST} more" if len(seen.failures) > LAST else ""
        parts.append(Text(f"failed: {'; '.join(seen.failures[-LAST:])}{more}", style="red"))
    return Group(*parts)


def _headline(seen: Look, *, stopping: bool = False) -> Text:
    text = Text(f"{seen.ended} of {seen.total} runs")
    if seen.counts["failed"]:
        text.append(f", {seen.counts['failed']} failed", style="red")
    if seen.counts["lost"]:
        text.append(f", {seen.counts['lost']} lost", style="red")
    if seen.left_s is not None and seen.waits:
        finish = f", at {_clock(-seen.left_s)}" if seen.left_s > 600 else ""
        text.append(f", about {duration(seen.left_s)} left{finish} ({seen.basis})", style="dim")
    if stopping:
        text.append(", stopping", style="yellow")
    return text


def _progress(run: Running) -> str:
    if not run.step:
        return "starting"
    return f"epoch {run.step}/{run.steps}" if run.steps else f"step {run.step}"


def _against(run: Running, better: Better) -> Text:
    """`+0.8 vs full here`: the difference at the same step; of the same seed, or of a mean over n."""
    if run.beside is None or run.value is None:
        return Text("")
    difference = run.value - run.beside.value
    good = difference > 0 if better == "higher" else difference < 0
    of = "same seed" if run.beside.paired else f"mean of {run.beside.n}"
    style = "" if not difference else "green" if good else "yellow"
    return Text(f"{difference:+.3g} vs {run.beside.variant} ({of})", style=style)


def _clock(ago_s: float) -> str:
    """The time of day so many seconds ago; with the weekday where that is another day."""
    then = time.localtime(time.time() - ago_s)
    same = then.tm_yday == time.localtime().tm_yday
    return time.strftime("%H:%M" if same else "%a %H:%M", then)


# ------------------------------------------------------------------------------------------------------------- watching


class View:
    """The listener of `ablate run`. On a terminal it draws; elsewhere it says a line every LINE_S, so that a log shows
    how far a long study is. `quiet`: nothing but warnings and failures.

    A terminal that was closed refuses every write; the runs must be stopped and their leases released all the same.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet or not sys.stderr.isatty()
        self._silent = quiet
        self._line_s = time.monotonic() + LINE_S
        self._live: Live | None = None
        self._names: dict[str, tuple[str, int]] = {}
        self._study = ""
        self._slots = 1
        self._next_s = 0.0
        self._role: Role = "ablation"

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
        self._study, self._slots, self._role = planned.study.name, len(slots), "ablation"
        if self._quiet:
            return
        for note in (*planned.study.notes, *changes):
            self._say(note)
        self._say(f"{planned.study.name}: {summary(planned, counts, slots)}")
        if counts.todo and self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def beginning(self, study: str, role: Role, text: str, slots: Sequence[Slot]) -> None:
        """A part of `ablate tune` begins."""
        self.__exit__()
        self._study, self._slots, self._role = study, len(slots), role
        if self._quiet:
            return
        self._say(text)
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def naming(self, names: Mapping[str, tuple[str, int]]) -> None:
        """What runs are called that no plan has: key -> variant and seed."""
        self._names.update(names)

    def trying(self, done: int, of: int) -> None:
        if self._live is not None:
            self._live.update(Text(f"two steps of every variant: {done} of {of}", style="dim"))

    def warn(self, text: str) -> None:
        self._say(f"warning: {text}", style="yellow")

    def changed(self, dispatcher: Dispatcher) -> None:
        now_s = time.monotonic()
        if now_s < (self._next_s if self._live is not None else self._line_s) or (self._live is None and self._silent):
            return
        seen = look(dispatcher.store, self._study, self._slots, self._role)
        self._next_s, self._line_s = _next_look(now_s), now_s + LINE_S
        if self._live is None:
            self._say(f"{self._study}: {_headline(seen)}")
            return
        with suppress(OSError):
            self._live.update(drawn(seen, stopping=dispatcher.stopped_by is not None))

    def ended(self, work: Work, event: Finished | Failed, *, again: bool) -> None:
        if isinstance(event, Failed) and event.reason not in INTERRUPTED:
            variant, seed = self._names[work.key]
            what_next = "It will be tried again." if again else f"`ablate show {work.key[:8]}` tells more."
            self._say(f"{variant}, seed {seed}: {event.reason}: {event.message}. {what_next}", style="red")

    def _say(self, text: str, style: str = "") -> None:
        with suppress(OSError):
            self._console.print(Text(text, style=style))


def watch(store: Reader, study: str, console: Console, idle_s: float) -> Look:
    """Draw a study until nothing is to come, or nothing has been running for `idle_s`; off a terminal a line at every
    change of the counts. Returns the last look; Ctrl-C ends it early."""
    said: Mapping[str, int] = {}
    alive_s = time.monotonic()
    with Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else nullcontext() as live:
        while True:
            now_s = time.monotonic()
            seen = look(store, study)
            if live is not None:
                live.update(drawn(seen))
            elif seen.counts != said:
                said = seen.counts
                console.print(Text(standing_line(study, said)), soft_wrap=True)
            alive_s = now_s if seen.counts["running"] else alive_s
            if not seen.waits or now_s - alive_s > idle_s:
                return seen
            time.sleep(_next_look(now_s) - time.monotonic())


def _next_look(began_s: float) -> float:
    """When to look again after a look that began then: in 2 s, or later where looking costs more than a twentieth."""
    took_s = time.monotonic() - began_s
    return began_s + max(LOOK_S, 20 * took_s)
