"""What calls return and a notebook shows: a plan, a table, a figure. Each is text where it is printed, HTML in a
notebook, and writes itself into a file whose ending decides the format.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.analysis.results import Results
from ablate.figures import files
from ablate.figures.scene import Scene
from ablate.python import frames
from ablate.python.called import all_spoken
from ablate.registry import Registry
from ablate.tables import views
from ablate.tables.table import Format, TableData, TableOptions, ViewData, arranged, flat
from ablate.terminal.options import Terminal, kind_of, say_lacking
from ablate.terminal.printed import FORETOLD, Foretold

if TYPE_CHECKING:
    import pandas as pd

_STYLE = """<style scoped>
.ablate table { border-collapse: collapse; }
.ablate caption { caption-side: top; text-align: left; font-weight: bold; padding: 0 0 .5em; color: inherit; }
.ablate th, .ablate td { padding: .2em .8em; text-align: left; font-weight: normal; }
.ablate th[scope=rowgroup] { font-style: italic; }
.ablate strong { font-weight: bold; }
.ablate thead th { border-bottom: 1px solid; vertical-align: bottom; }
.ablate .number { text-align: right; font-variant-numeric: tabular-nums; }
.ablate td.number { white-space: nowrap; }
.ablate .tick { text-align: center; }
.ablate ul { font-size: 90%; margin: .5em 0 0; padding-left: 1.2em; max-width: 60em; }
.ablate figcaption { font-size: 90%; max-width: 50em; }
</style>"""


def boxed(inner: str) -> str:
    """HTML with ablate's own style, which touches nothing else of the page."""
    return f'<div class="ablate">{_STYLE}\n{inner}</div>'


def write(content: str | bytes, path: str | Path) -> Path:
    """Into a file, its folder made; returns its path. AblateError where it cannot be written."""
    file = Path(path)
    Terminal("", quiet=True).write(content, file)
    return file


def html() -> Format:
    """The format that writes names as text."""
    made: Format = Registry().make("tables", "html", {})
    return made


@all_spoken
@dataclass(frozen=True, repr=False)
class Plan:
    """What would be trained, against what the database has: what `ablate plan` prints."""

    foretold: Foretold

    def __str__(self) -> str:
        return str(self.foretold)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        text = html().text
        head = "".join(f'<th scope="col">{text(title)}</th>' for title in FORETOLD)
        rows = ("".join(f"<td>{text(cell)}</td>" for cell in row) for row in self.foretold.rows)
        notes = "".join(f"<li>{text(note)}</li>" for note in self.foretold.notes)
        body = "\n".join(f"<tr>{row}</tr>" for row in rows)
        return boxed(
            f"<p>{text(self.foretold.head)}</p>\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n"
            f"</table>\n{f'<ul>{notes}</ul>' if notes else ''}"
        )

    @property
    def total(self) -> int:
        """Runs of the plan."""
        return self.foretold.counts.total

    @property
    def todo(self) -> int:
        """Runs that `run` would execute."""
        return self.foretold.counts.todo

    def runs(self) -> pd.DataFrame:
        """A line for each run: its key, variant, seed and state (todo, done, failed, ...)."""
        states, planned = self.foretold.states, self.foretold.planned.plan.runs
        rows = ((run.key or None, run.variant, run.seed, states.get(run.key, "todo")) for run in planned)
        return frames.framed(rows, frames.PLAN)


@all_spoken
@dataclass(frozen=True, repr=False)
class Table:
    """A view of a study's results. columns: those that are shown, all where empty; `df` has every number."""

    data: TableData | ViewData
    columns: tuple[str, ...] = ()
    digits: int | None = None

    def _text(
        self, kind: str, *, standalone: bool = False, caption: str | None = None, label: str | None = None
    ) -> str:
        options = TableOptions(self.digits, caption, label, standalone, self.columns)
        rendered: str = Registry().make("tables", kind, {}).render(self.data, options)
        return rendered

    @property
    def df(self) -> pd.DataFrame:
        """Every row at full precision, with all columns of `ablate table --format csv`."""
        return frames.table(flat(self.data))

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentences below the table."""
        return tuple(map(str, self.data.notes))

    def markdown(self) -> str:
        return self._text("markdown")

    def latex(self, *, caption: str | None = None, label: str | None = None, standalone: bool = False) -> str:
        return self._text("latex", standalone=standalone, caption=caption, label=label)

    def html(self, *, standalone: bool = False) -> str:
        return self._text("html", standalone=standalone)

    def save(self, path: str | Path) -> Path:
        """Into a file; its ending decides the format: .md, .tex, .html, .csv, .json or .typ."""
        kind = views.format_of(Path(path), must=True)
        return write(self._text(kind), path)

    def __str__(self) -> str:
        return self.markdown()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return boxed(self.html())


def table(
    loaded: Results, view: str, columns: Iterable[str] | str | None, sort: str | None, digits: int | None
) -> Table:
    """A view as a table. AblateError where there is no such view, column or order."""
    chosen = () if columns is None else (columns,) if isinstance(columns, str) else tuple(columns)
    made = Table(arranged(views.view(loaded, view), sort), chosen, digits)
    made.markdown()  # so that a column that does not exist is said now, not where it is shown
    return made


@all_spoken
@dataclass(frozen=True, repr=False)
class Figure:
    """A figure of a study. `scene.caption` belongs below it: n, what the intervals mean, the seeds."""

    name: str
    scene: Scene
    wide: bool = False

    def save(self, path: str | Path, *, fonts: Iterable[str | Path] = ()) -> Path:
        """Into a file; its ending decides the format: .html, .pdf, .svg or .png. fonts: files, for scripts that no font
        here has."""
        kind = kind_of(Path(path), None, files.KINDS, "svg")
        drawing = files.drawn(self.scene, kind, 1 + self.wide, tuple(map(Path, fonts)))
        say_lacking(Terminal(""), drawing.lacking, drawing.unjoined)
        return write(drawing.content, path)

    def __repr__(self) -> str:
        return f"{self.name}: {self.scene.caption}"

    def _repr_html_(self) -> str:
        text = html().text
        # As an image of its own: two SVG drawings in one page share their names of clips and glyphs.
        drawing = base64.b64encode(files.drawn(self.scene, "svg", 1 + self.wide).content).decode()
        image = f'<img src="data:image/svg+xml;base64,{drawing}" alt="{text(self.scene.alt)}">'
        return boxed(f"<figure>{image}<figcaption>{text(self.scene.caption)}</figcaption></figure>")
