"""What is going on, drawn: a study's runs while they execute, for `ablate run` and for `ablate status --watch`.

`look` reads it from the database as plain data, `drawn` lays it out for a terminal. Nothing is decided or stored here.
Both commands show the same, so what other dispatchers execute is there, too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablate.pool.executor import Failed, Finished, Slot
from ablate.records import INTERRUPTED, Better, Role
from ablate.runs.progress import Moment, Running, moment
from ablate.store.reader import Reader
from ablate.terminal.printed import standing_line, summary
from ablate.text import duration

if TYPE_CHECKING:
    from ablate.pool.books import Work
    from ablate.pool.dispatcher import Dispatcher
    from ablate.runs.planned import Planned
    from ablate.runs.progress import Counts

LAST = 3
"""So many failures are named; the others are counted."""

LOOK_S = 2.0
"""How often the database is read at most."""

LINE_S = 60.0
"""How often `run` says a line where it is not on a terminal."""


# -------------------------------------------------------------------------------------------------------------- drawing


def drawn(seen: Moment, *, stopping: bool = False, waits_for: str = "") -> RenderableType:
    """For a terminal: how far, what runs where since when and how it compares, what failed."""
    bar = ProgressBar(total=max(seen.total, 1), completed=seen.ended, width=30)
    head = Table.grid(padding=(0, 2))
    head.add_row(bar, _headline(seen, stopping=stopping, waits_for=waits_for))
    lines = Table.grid(padding=(0, 2))
    for run in seen.running:
        lines.add_row(
            Text(run.device, style="dim"), Text(run.variant), Text(f"seed {run.seed}"),
            Text(_progress(run), style="dim"), Text("" if run.value is None else f"{seen.metric} {run.value:.4g}"),
            _against(run, seen.better), Text(f"since {_clock(run.seconds)}, {duration(run.seconds)}", style="dim"),
            Text(run.note, style="yellow"),
        )  # fmt: skip
    parts: list[RenderableType] = [head, lines]
    if seen.failures:
        more = f" and {len(seen.failures) - LAST} more" if len(seen.failures) > LAST else ""
        parts.append(Text(f"failed: {'; '.join(seen.failures[-LAST:])}{more}", style="red"))
    return Group(*parts)


def _headline(seen: Moment, *, stopping: bool = False, waits_for: str = "") -> Text:
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
    if waits_for:
        text.append(f", waiting: {waits_for}", style="yellow")
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
        self._idle_s = time.monotonic()
        self._waited_for = ""

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
        for note in (*planned.study.notes, *planned.plan.of_data, *changes):
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
        if self._live is None and not self._silent:
            self._say_waiting(dispatcher, now_s)
        if now_s < (self._next_s if self._live is not None else self._line_s) or (self._live is None and self._silent):
            return
        seen = moment(dispatcher.store, self._study, self._slots, self._role)
        self._next_s, self._line_s = _next_look(now_s), now_s + LINE_S
        if self._live is None:
            self._say(f"{self._study}: {_headline(seen, waits_for=dispatcher.waits_for)}")
            return
        with suppress(OSError):
            self._live.update(drawn(seen, stopping=dispatcher.stopped_by is not None, waits_for=dispatcher.waits_for))

    def _say_waiting(self, dispatcher: Dispatcher, now_s: float) -> None:
        """In a log, once and soon: whoever executes nothing must not do so without a word."""
        if dispatcher.working:
            self._idle_s = now_s
        elif now_s - self._idle_s > LOOK_S and (waits_for := dispatcher.waits_for) not in ("", self._waited_for):
            self._waited_for = waits_for
            self._say(f"{self._study}: waiting: {waits_for}")

    def ended(self, work: Work, event: Finished | Failed, *, again: bool) -> None:
        if isinstance(event, Failed) and event.reason not in INTERRUPTED:
            variant, seed = self._names[work.key]
            what_next = "It will be tried again." if again else f"`ablate show {work.key[:8]}` tells more."
            self._say(f"{variant}, seed {seed}: {event.reason}: {event.message}. {what_next}", style="red")

    def _say(self, text: str, style: str = "") -> None:
        with suppress(OSError):
            self._console.print(Text(text, style=style))


def watch(store: Reader, study: str, console: Console, idle_s: float) -> Moment:
    """Draw a study until nothing is to come, or nothing has been running for `idle_s`; off a terminal a line at every
    change of the counts. Returns the last look; Ctrl-C ends it early."""
    printed: Mapping[str, int] = {}
    alive_s = time.monotonic()
    with Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else nullcontext() as live:
        while True:
            now_s = time.monotonic()
            seen = moment(store, study)
            if live is not None:
                live.update(drawn(seen))
            elif seen.counts != printed:
                printed = seen.counts
                console.print(Text(standing_line(study, printed)), soft_wrap=True)
            alive_s = now_s if seen.counts["running"] else alive_s
            if not seen.waits or now_s - alive_s > idle_s:
                return seen
            time.sleep(_next_look(now_s) - time.monotonic())


def _next_look(began_s: float) -> float:
    """When to look again after a look that began then: in 2 s, or later where looking costs more than a twentieth."""
    took_s = time.monotonic() - began_s
    return began_s + max(LOOK_S, 20 * took_s)
