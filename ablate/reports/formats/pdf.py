"""A report as a PDF of at most two pages, set by Typst: the layout gives way until everything that matters fits.

Print gets smaller, parts say the same in fewer words, what matters least is left out, and the last line says what and
where it is. Pages are counted on the finished layout. An author's notes are never cut: where they make two pages
impossible, that is an error which says by how much. No date is written and only Typst's own fonts are used, so equal
documents give equal bytes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import typst

from ablate.errors import AblateError
from ablate.figures import paper
from ablate.figures.paper import chosen_fonts, drawable
from ablate.records import Row
from ablate.registry import Registry
from ablate.reports.document import (
    Block,
    Bullets,
    Code,
    Document,
    Heading,
    Line,
    Paragraph,
    Picture,
    ReportFormat,
    Span,
    Table,
    Terms,
    code,
    line,
    plain,
)
from ablate.tables.grid import grid
from ablate.tables.table import Format, TableData, TableOptions, ViewData
from ablate.text import Note, in_words, many

PAGES = 2
VIEW_ROWS = 20
"""Rows of a table that stands in one column, which cannot break it."""

NOTES = "notes"
"""The section that is the author's own."""


@dataclass(frozen=True)
class Layout:
    """How a report is set. text, table, minor: sizes of print in points. rows: the most that a table shows.

    picture: width of figures, in percent of what there is.
    brief: sections in their short form; without: sections left out; also: whether further metrics have columns;
    lines: whether of the notes below a table only those stay that limit a claim, each in a line.
    """

    text: float = 9.0
    table: float = 8.0
    minor: float = 7.5
    margin_mm: float = 16.0
    rows: int = 40
    picture: int = 100
    brief: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    also: bool = True
    lines: bool = False


STEPS: tuple[Mapping[str, Any], ...] = (
    {"text": 8.5, "table": 7.5, "minor": 7.0, "margin_mm": 14.0},
    {"without": {"methods"}},
    {"picture": 85, "rows": 30},
    {"brief": {"support", "failures"}},
    {"text": 8.0, "table": 7.0, "minor": 6.5, "margin_mm": 13.0},
    {"brief": {"effects", "question"}, "picture": 75},
    {"lines": True},
    {"brief": {"papers", "reproduce"}},
    {"also": False, "rows": 20},
    {"without": {"variants"}, "rows": 15},
    {"without": {"effects"}},
    {"without": {"papers"}, "rows": 10},
)
"""What is given up, one after the other: what matters least of what is left comes first."""


def layout_of(steps: Collection[int]) -> Layout:
    """The layout in which these steps are taken. The long forms of variants and of the study file are for a screen."""
    layout = Layout(brief=frozenset({"variants"}), without=frozenset({"study"}))
    for step in sorted(steps):
        change = dict(STEPS[step])
        brief = layout.brief | change.pop("brief", set())
        without = layout.without | change.pop("without", set())
        layout = replace(layout, brief=brief, without=without, **change)
    return layout


def fitting(length: Callable[[Layout], float]) -> Layout | None:
    """The layout that fits and gives up least: steps are taken until it fits, then those that were not needed undone.

    None where even the tightest is too long.
    """
    taken: set[int] = set()
    while length(layout_of(taken)) > PAGES:
        if len(taken) == len(STEPS):
            return None
        taken.add(len(taken))
    for step in sorted(taken, reverse=True)[1:]:
        if length(layout_of(taken - {step})) <= PAGES:
            taken.remove(step)
    return layout_of(taken)


@dataclass(frozen=True)
class Pdf(ReportFormat):
    """Two pages at most, set by Typst."""

    ending: ClassVar[str] = ".pdf"
    effects: ClassVar[int] = 24  # the figure has one column there

    def files(self, document: Document, name: str) -> dict[str, bytes]:
        """The report as one PDF. AblateError where the author's notes leave no room for two pages."""
        with tempfile.TemporaryDirectory() as folder:
            setter = Setter(document, Path(folder))
            layout = fitting(setter.length)
            if layout is None:
                raise AblateError(_too_long(setter))
            return {name: setter.pdf(layout)}


def _too_long(setter: Setter) -> str:
    """What the error says: how long the notes are, and how much has to go."""
    tightest = layout_of(range(len(STEPS)))
    long = setter.length(tightest)
    own = next((section for section in setter.document.sections if section.key == NOTES), None)
    if own is None:
        return (
            f"the report of {setter.document.study} takes {long:.1f} pages at its shortest; write it as HTML instead."
        )
    words = sum(len(plain(text).split()) for block in own.blocks for text in _texts(block))
    bare = setter.length(replace(tightest, without=tightest.without | {NOTES}))
    share = min((long - PAGES) / max(long - bare, 0.01), 1.0)
    over = max(10 * round(words * share / 10), 10)
    return (
        f"with these notes the PDF takes {long:.1f} pages, and it may have {PAGES}, even with everything else at its "
        f"shortest: the notes' {words} words are about {over} too many. Shorten them, "
        "or write HTML, Markdown or LaTeX, which have no limit."
    )


def _texts(block: Block) -> list[Line]:
    match block:
        case Paragraph(text) | Heading(text):
            return [text]
        case Bullets(items):
            return list(items)
        case Code(text):
            return [(Span(text),)]
    return []


# -------------------------------------------------------------------------------------------------------------- setting


class Setter:
    """Sets one document in several layouts; drawings are made once. folder: empty, all that Typst may read."""

    def __init__(self, document: Document, folder: Path) -> None:
        self.document = document
        self._folder = folder
        self._table: Format = Registry().make("tables", "typst", {})
        self._fonts = [folder / "fonts"]
        self._fonts[0].mkdir(exist_ok=True)
        for file in chosen_fonts().files:
            shutil.copy(file, self._fonts[0])
        self._cut: list[str] = []
        """What the layout that is being set gives up, in words."""

    def pdf(self, layout: Layout) -> bytes:
        return typst.compile(
            self._written(layout), root=self._folder, format="pdf", ignore_system_fonts=True, font_paths=self._fonts
        )

    def length(self, layout: Layout) -> float:
        """In pages: the last one counts as far as its print reaches."""
        reached = typst.query(
            self._written(layout),
            "<end>",
            field="value",
            one=True,
            root=self._folder,
            ignore_system_fonts=True,
            font_paths=self._fonts,
        )
        pages, page, column, share = json.loads(reached)
        if page < pages:  # what floats stands behind the end of the text
            return float(pages)
        return float(page - 1 + (column + share) / 2)

    def _written(self, layout: Layout) -> Path:
        file = self._folder / "report.typ"
        file.write_text(self.text(layout), encoding="utf-8")
        return file

    def text(self, layout: Layout) -> str:
        """The document in Typst's language; its figures lie in the folder."""
        parts = [_page(self.document, layout, self._table)]
        shortened, left_out = [], []
        self._cut = []
        for section in self.document.sections:
            if section.key in layout.without:
                left_out.append(section.title)
                continue
            short = section.key in layout.brief and section.brief
            shortened += [section.title] if short else []
            parts.append(f"#heading(level: 1, {self._table.text(section.title)})")
            for block in section.brief if short else section.blocks:
                parts.append(self._block(block, layout))
        parts.append(self._rest(left_out, shortened, layout))
        parts.append(_END)
        # Typst's own fonts lack what ours lack, about; a box would tell nobody which character it was.
        return "\n".join(drawable(row) for part in parts for row in part.split("\n"))

    def _rest(self, left_out: Sequence[str], shortened: Sequence[str], layout: Layout) -> str:
        sentences = [f"Left out: {in_words(left_out, 20)}."] * bool(left_out)
        sentences += [f"Shortened: {in_words(shortened, 20)}."] * bool(shortened)
        sentences += [f"Not printed: {in_words(list(dict.fromkeys(self._cut)), 20)}."] * bool(self._cut)
        if not sentences or not self.document.more:
            return ""
        text = line(f"For two pages. {' '.join(sentences)} In full: ", code(self.document.more), ".")
        return f"#par(text(size: {layout.minor}pt, {self._line(text)}))"

    # ------------------------------------------------------------------------------------------------------ blocks

    def _block(self, block: Block, layout: Layout) -> str:
        """One block; what it draws lies in the folder."""
        match block:
            case Paragraph(text):
                return f"#par({self._line(text)})"
            case Heading(text):
                return f"#heading(level: 2, {self._line(text)})"
            case Bullets():
                return self._bullets(block, layout)
            case Code(text):
                return f"#listing({_string(text)})"
            case Terms(items):
                terms = ", ".join(
                    f"terms.item({self._table.text(term)}, {self._line(explained)})" for term, explained in items
                )
                return f"#terms({terms})"
            case Table():
                return self._table_of(block, layout)
            case Picture():
                return self._picture(block, layout)

    def _bullets(self, block: Bullets, layout: Layout) -> str:
        items = block.items
        if block.minor and layout.lines:
            kept = [in_lines(item[0].text) for item in items]
            items = tuple(line(text) for lines in kept for text in lines)
            gone = sum(not lines for lines in kept)
            self._cut += [f"{many(gone, 'note')} on how the tables were made"] * bool(gone)
        bullets = f"#{'enum' if block.numbered else 'list'}({', '.join(map(self._line, items))})"
        return f"#text(size: {layout.minor}pt)[{bullets}]" if block.minor else bullets

    def _table_of(self, block: Table, layout: Layout) -> str:
        data = block.data if layout.also or isinstance(block.data, ViewData) else replace(block.data, also={})
        cut = shortened(data, layout.rows if isinstance(data, TableData) else min(layout.rows, VIEW_ROWS))
        gone = len(data.rows) - len(cut.rows)
        self._cut += ["columns of further metrics"] * (data is not block.data and bool(_also(block.data)))
        self._cut += ["some rows of tables"] * bool(gone)
        why = "" if isinstance(data, ViewData) else ": those decided first, then the largest differences"
        caption = f"{block.caption}. {len(cut.rows)} of {len(data.rows)} rows{why}" if gone else block.caption
        rendered = self._table.render(cut, TableOptions(caption=caption, label=block.label))
        fitted = f"#fitted[#set text(size: {layout.table}pt)\n{rendered}]"
        wide = _characters(cut) * 0.46 * layout.table > (210 - 2 * layout.margin_mm - 5) / 2 * 72 / 25.4
        return f'#place(auto, scope: "parent", float: true, block(width: 100%)[{fitted}])' if wide else fitted

    def _picture(self, block: Picture, layout: Layout) -> str:
        name = f"{block.name}.svg"
        if not (self._folder / name).exists():
            (self._folder / name).write_bytes(paper.draw(block.scene, "svg", 2 if block.wide else 1))
        caption = self._table.text(block.scene.caption)
        image = f'image("{name}", width: {layout.picture}%, alt: {self._table.text(block.scene.alt)})'
        figure = f"#figure({image}, caption: {caption})"
        return f'#place(auto, scope: "parent", float: true, {figure[1:]})' if block.wide else figure

    def _line(self, text: Line) -> str:
        """Text in code, its stretches joined."""
        return "{" + "; ".join(map(self._span, text)) + "}" if text else '""'

    def _span(self, span: Span) -> str:
        before = "[ ]; " if span.text[:1].isspace() else ""
        after = "; [ ]" if span.text[-1:].isspace() and span.text.strip() else ""
        text = self._table.text(span.text)
        function = {"strong": "strong", "emphasis": "emph", "code": "raw"}.get(span.style)
        text = f"{function}({text})" if function else text
        return before + (f"link({self._table.text(span.href)}, {text})" if span.href else text) + after


def _also(data: TableData | ViewData) -> Mapping[str, Any]:
    return {} if isinstance(data, ViewData) else data.also


def in_lines(note: str) -> list[str]:
    """What stays of a note where only what limits a claim does: its lines, and all of one that is not known to have
    any."""
    if not isinstance(note, Note):
        return [note]
    return [text.strip() for text in note.line.split("\n") if text]


def _string(text: str) -> str:
    """A string of Typst's that keeps its lines."""
    kept = "".join(c for c in text.replace("\t", "    ") if c == "\n" or c.isprintable())
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def shortened(data: TableData | ViewData, most: int) -> TableData | ViewData:
    """At most `most` rows, in their order: what others are compared with, then the decided, then the largest."""
    if len(data.rows) <= most:
        return data
    if isinstance(data, ViewData):
        return replace(data, rows=data.rows[:most])
    rank = sorted(range(len(data.rows)), key=lambda i: _rank(data.rows[i]))
    return replace(data, rows=tuple(data.rows[i] for i in sorted(rank[:most])))


def _rank(row: Row) -> tuple[bool, bool, float]:
    return row.compared_with is not None, row.verdict not in ("helps", "hurts"), -abs(row.delta or 0.0)


def _characters(data: TableData | ViewData) -> int:
    """About how many characters wide a table is."""
    laid_out = grid(data, TableOptions())
    rows = [[len(cell.text) for cell in row] for group in laid_out.groups for row in group.rows]
    rows.append([max(map(len, title.split()), default=0) for title in laid_out.header])
    return sum(max(column) + 3 for column in zip(*rows, strict=True))


def _page(document: Document, layout: Layout, table: Format) -> str:
    return _PREAMBLE % {
        "title": table.text(document.title),
        "subtitle": table.text(document.subtitle),
        "margin": f"{layout.margin_mm}mm",
        "text": f"{layout.text}pt",
        "caption": f"{layout.minor}pt",
        "fonts": "".join(f", {json.dumps(name, ensure_ascii=False)}" for name in chosen_fonts().names),
    }


_PREAMBLE = """#set document(title: %(title)s, date: none)
#set page(paper: "a4", columns: 2, margin: (x: %(margin)s, top: %(margin)s, bottom: %(margin)s + 3mm), numbering: "1")
#set columns(gutter: 5mm)
#set text(font: ("Libertinus Serif"%(fonts)s,), size: %(text)s, lang: "en")
#set par(justify: true, leading: 0.52em, spacing: 0.75em)
#set list(tight: true, indent: 0pt, body-indent: 0.5em, marker: [•])
#set enum(tight: true)
#set terms(tight: true, hanging-indent: 1em, separator: [: ])
#set heading(numbering: none)
#show heading: it => {
  let size = if it.level == 1 { 1.2 } else { 1 } * %(text)s
  block(above: 1.25em, below: 0.6em, text(size: size, it.body))
}
#show table: set text(hyphenate: false)
#show table: set par(justify: false)
#show list: set par(justify: false)
#show terms: set par(justify: false)
#show figure.where(kind: table): set figure.caption(position: top)
#show figure.caption: set text(size: %(caption)s)
#show figure.caption: set par(justify: false)
#show raw: set text(size: 0.92em)
#show link: set text(fill: rgb("#0a5a9c"))
#set place(clearance: 0.9em)
#let listing(code) = block(width: 100%%, fill: luma(245), inset: 0.5em, radius: 2pt, {
  set par(justify: false)
  raw(code, block: true)
})
#let fitted(body) = layout(size => {
  let width = measure(width: size.width, body).width
  if width > size.width { scale(size.width / width * 100%%, reflow: true, origin: left, body) } else { body }
})
#place(top, scope: "parent", float: true, {
  text(size: 1.6em, weight: "bold", %(title)s)
  linebreak()
  text(fill: luma(35%%), %(subtitle)s)
})
"""

_END = """#context {
  let at = here().position()
  let column = if at.x > page.width / 2 { 1 } else { 0 }
  [#metadata((counter(page).final().first(), here().page(), column, at.y / page.height)) <end>]
}
"""
