"""What is going on, on a terminal: a study's runs while they execute, for `ablate run`, `tune` and `status --watch`.

What is known is read from the database as plain data (runs/moment.py, tuning/underway.py) and laid out by moments.py
and trials.py; here it is looked at again and again. Whoever looks sees the same, and what other dispatchers execute.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ablate.pool.executor import Failed, Finished, Slot
from ablate.records import INTERRUPTED, Role
from ablate.runs.moment import Moment, moment
from ablate.runs.planned import folder_name
from ablate.store.reader import Reader
from ablate.terminal import moments
from ablate.terminal.bars import UNICODE, glyphs_for
from ablate.terminal.printed import standing_line, summary

if TYPE_CHECKING:
    from ablate.pool.books import Work
    from ablate.pool.dispatcher import Dispatcher
    from ablate.runs.planned import Planned
    from ablate.runs.progress import Counts
    from ablate.tuning.underway import SearchSoFar

LOOK_S = 2.0
"""How often the database is read at most."""

LINE_S, LONGEST_LINE_S = 60.0, 600.0
"""How often `run` says a line where it is not on a terminal; less often where counting takes more than a 200th of that,
as it does from some 10,000 runs on."""

SETTLE_S = 10.0
"""How long a search may have nothing to do, before its watcher takes it for ended: it asks for the next setting, or
trains the winner on fresh seeds."""

ROLES: tuple[Role, ...] = ("confirm", "tune", "ablation")


def drawn(
    store: Reader,
    seen: Moment,
    role: Role,
    console: Console,
    slots: int | None = None,
    *,
    stopping: bool = False,
    waits_for: str = "",
    hint: str = moments.GOES_ON,
) -> Group:
    """A moment for a terminal, within its width and height. hint: what Ctrl-C does."""
    width, height = console.size
    glyphs = glyphs_for(console.encoding)
    searches = searching(store, seen, slots) if role == "tune" else []
    if not searches:
        return Group(*moments.drawn(seen, width, height, glyphs, stopping=stopping, waits_for=waits_for, hint=hint))
    from ablate.terminal import trials

    lines = trials.drawn(searches, seen.failures, width, height, glyphs)
    odd = ["stopping"] * stopping + [f"waiting: {waits_for}"] * bool(waits_for)
    return Group(*lines, *(Text(f" {text}", style=moments.WRONG) for text in odd))


def searching(store: Reader, seen: Moment, slots: int | None = None) -> list[SearchSoFar]:
    """The searches of a study that go on; seen: its moment of role tune."""
    from ablate.tuning import underway  # it loads Optuna, which nothing but a search needs

    return underway.so_far(store, seen, store.folder / folder_name(seen.study), slots)


# ------------------------------------------------------------------------------------------------------------- watching


class View:
    """The listener of `ablate run`. On a terminal it draws; elsewhere it says a line every LINE_S, so that a log shows
    how far a long study is. `quiet`: nothing but warnings and failures. `failures`: false for a command
    of one run, which says itself how that ended.

    A terminal that was closed refuses every write; the runs must be stopped and their leases released all the same.
    """

    def __init__(self, *, quiet: bool, failures: bool = True) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet or not sys.stderr.isatty()
        self._silent = quiet
        self._failures = failures
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
        store, waits_for = dispatcher.store, dispatcher.waits_for
        seen = moment(store, self._study, self._slots, self._role)
        took_s = time.monotonic() - now_s
        self._next_s, self._line_s = next_look(now_s), now_s + max(LINE_S, min(200 * took_s, LONGEST_LINE_S))
        if self._live is None:
            for line in _lines(store, seen, self._role, self._slots, waits_for):
                self._say(f"{self._study}: {line}")
            return
        stopping = dispatcher.stopped_by is not None
        shown = drawn(store, seen, self._role, self._console, self._slots, stopping=stopping, waits_for=waits_for)
        with suppress(OSError):
            self._live.update(shown)

    def _say_waiting(self, dispatcher: Dispatcher, now_s: float) -> None:
        """In a log, once and soon: whoever executes nothing must not do so without a word."""
        if dispatcher.working:
            self._idle_s = now_s
        elif now_s - self._idle_s > LOOK_S and (waits_for := dispatcher.waits_for) not in ("", self._waited_for):
            self._waited_for = waits_for
            self._say(f"{self._study}: waiting: {waits_for}")

    def ended(self, work: Work, event: Finished | Failed, *, again: bool) -> None:
        if self._failures and isinstance(event, Failed) and event.reason not in INTERRUPTED:
            variant, seed = self._names[work.key]
            what_next = "It will be tried again." if again else f"`ablate show {work.key[:8]}` tells more."
            self._say(f"{variant}, seed {seed}: {event.reason}: {event.message}. {what_next}", style="red")

    def _say(self, text: str, style: str = "") -> None:
        with suppress(OSError):
            self._console.print(Text(text, style=style))


def _lines(store: Reader, seen: Moment, role: Role, slots: int | None, waits_for: str = "") -> list[str]:
    """The same for a log."""
    searches = searching(store, seen, slots) if role == "tune" else []
    if not searches:
        return [moments.counted(seen, UNICODE, basis=True, waits_for=waits_for).plain]
    from ablate.terminal import trials

    return [trials.said(search, UNICODE) for search in searches]


def role_now(store: Reader, study: str) -> Role:
    """What of a study is executed now: its confirmation, its search, else its ablation."""
    live = {attempt.run for attempt in store.live()}
    for role in ROLES:
        if any(cell.run in live for cell in store.cells(study, (role,))):
            return role
    return "ablation"


def watch(store: Reader, study: str, console: Console, idle_s: float) -> Moment:
    """Draw a study until nothing is to come, or nothing has been running for `idle_s`; off a terminal a line at every
    change of the counts. A search is drawn while it is at work, whatever of the ablation is still to do. Returns the
    last look; Ctrl-C ends it early."""
    printed: tuple[Role, Mapping[str, int]] | None = None
    alive_s, role = time.monotonic(), role_now(store, study)
    with Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else nullcontext() as live:
        while True:
            now_s = time.monotonic()
            now = role_now(store, study)
            role = role if now == "ablation" and now_s - alive_s <= idle_s else now  # between two trials nothing runs
            seen = moment(store, study, role=role)
            if live is not None:
                live.update(drawn(store, seen, role, console, hint="Ctrl-C ends the looking only."))
            elif (role, seen.counts) != printed:
                printed = (role, seen.counts)
                lines = [f"{study}: {line}" for line in _lines(store, seen, role, None)]
                console.print(
                    Text("\n".join([standing_line(study, seen.counts)] if role == "ablation" else lines)),
                    soft_wrap=True,
                )
            alive_s = now_s if seen.counts["running"] else alive_s
            over = not seen.waits and (role == "ablation" or now_s - alive_s > min(SETTLE_S, idle_s))
            if over or now_s - alive_s > idle_s:
                return seen
            time.sleep(max(next_look(now_s) - time.monotonic(), 0.0))


def next_look(began_s: float) -> float:
    """When to look again after a look that began then: in 2 s, or later where looking costs more than a twentieth."""
    took_s = time.monotonic() - began_s
    return began_s + max(LOOK_S, 20 * took_s)
