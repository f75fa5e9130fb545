"""Who watches a run that was called from Python: in a notebook one place that is drawn again and again, with how far it
is, what runs where, and below it what a person should know; elsewhere what `ablate run` shows.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from ablate.pool.executor import Slot
from ablate.python.shown import boxed, html
from ablate.runs.moment import moment
from ablate.terminal import moments
from ablate.terminal.bars import UNICODE
from ablate.terminal.live import View, next_look
from ablate.terminal.printed import summary

if TYPE_CHECKING:
    from ablate.pool.dispatcher import Dispatcher
    from ablate.runs.planned import Planned
    from ablate.runs.progress import Counts

WIDTH, HEIGHT = 100, 40
"""Characters and lines of a notebook's output that are used."""


def view(*, quiet: bool) -> View:
    """The one for where this is called."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return Notebook(quiet=quiet) if hasattr(shell, "kernel") else View(quiet=quiet)


class Notebook(View):
    """The listener in a notebook's output. `quiet`: warnings and failures alone, as elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._quiet = quiet
        self._now: list[str] = []
        self._said: list[str] = []
        self._place: Any = None

    def __exit__(self, *of: object) -> None:
        super().__exit__(*of)
        self._now = self._now[:1]  # nothing runs any more
        self._draw()

    def planned(self, planned: Planned, counts: Counts, changes: Sequence[str], slots: Sequence[Slot]) -> None:
        self._names = {run.key: (run.variant, run.seed) for run in reversed(planned.plan.runs)}
        self._study, self._slots, self._role = planned.study.name, len(slots), "ablation"
        if self._quiet:
            return
        self._now = [f"{planned.study.name}: {summary(planned, counts, slots)}"]
        self._said += [*planned.study.notes, *planned.plan.of_data, *changes]
        self._draw()

    def trying(self, done: int, of: int) -> None:
        if not self._quiet:
            self._now = [*self._now[:1], f"two steps of every variant: {done} of {of}"]
            self._draw()

    def changed(self, dispatcher: Dispatcher) -> None:
        now_s = time.monotonic()
        if self._quiet or now_s < self._next_s:
            return
        seen = moment(dispatcher.store, self._study, self._slots, self._role)
        self._next_s = next_look(now_s)
        stopping = dispatcher.stopped_by is not None
        lines = moments.drawn(seen, WIDTH, HEIGHT, UNICODE, stopping=stopping, waits_for=dispatcher.waits_for)
        self._now = [line.plain.rstrip() for line in lines]
        self._draw()

    def end(self, text: str) -> None:
        """The last line of what was drawn."""
        if not self._quiet:
            self._now = [text]
            self._draw()

    def _say(self, text: str, style: str = "") -> None:  # noqa: ARG002  # a notebook has its own colours
        self._said.append(text)
        self._draw()

    def _draw(self) -> None:
        from IPython.display import display

        lines = [*self._now, *self._said]
        if not lines:
            return
        first = [f"<pre>{escape(chr(10).join(self._now))}</pre>"] * bool(self._now)
        said = "".join(f"<li>{html().text(line)}</li>" for line in self._said)
        page = boxed("\n".join([*first, f"<ul>{said}</ul>" if said else ""]))
        bundle = {"text/plain": "\n".join(lines), "text/html": page}
        if self._place is None:
            self._place = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._place.update(bundle, raw=True)
