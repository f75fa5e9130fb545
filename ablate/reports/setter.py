"""A report set by Typst, in whatever layout it is asked for: its sections on two pages, its figures, its table.

Print gets smaller, parts say the same in fewer words, what matters least is left out, and the foot of each page says
what, and where it is. No date is written and only Typst's own fonts are used, so equal documents give equal bytes.
Which layout it is to be: layouts.py.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

import typst

from ablate.figures import paper
from ablate.figures.glyphs import chosen_fonts, drawable, text_width
from ablate.figures.scene import Scene
from ablate.records import Row
from ablate.registry import Registry
from ablate.reports import equations, printed, rows
from ablate.reports.document import (
    Block,
    Bullets,
    Code,
    Document,
    Heading,
    Line,
    Model,
    Models,
    Paragraph,
    Picture,
    Section,
    Span,
    Table,
    Terms,
    code,
    line,
    strong,
)
from ablate.reports.layouts import Layout, layout_of
from ablate.tables.grid import grid
from ablate.tables.table import Format, TableData, TableOptions, ViewData
from ablate.text import in_words, many

LOW = frozenset({"best_variant"})
"""Figures that give way in height, too."""

VIEW_ROWS = 20
"""Rows of a table that stands in one column."""

IN_THE_TABLE = frozenset({"effects"})
"""Figures that the table draws in its rows."""

WIDE = frozenset({"learning_curves"})
"""Sections of the whole width, at the top or the foot of a page."""

SMALL = frozenset({"methods", "reproduce", "papers", "failures"})
"""Sections in smaller print."""


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
        self._notes = 0
        """How many notes it leaves out."""

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
        page, share = json.loads(reached)
        return float(page - 1 + share)

    def _written(self, layout: Layout) -> Path:
        file = self._folder / "report.typ"
        file.write_text(self.text(layout), encoding="utf-8")
        return file

    def text(self, layout: Layout) -> str:
        """The document in Typst's language; its figures lie in the folder."""
        self._cut, self._notes = [], 0
        shown = {
            section.key: section
            for section in self.document.sections
            if section.key not in layout.without and self._blocks(section, layout)
        }
        left_out = [section.title for section in self.document.sections if section.key in layout.without]
        brief = [
            one.title
            for key, one in shown.items()
            if key in layout.brief and one.brief and key not in layout_of(()).brief
        ]
        parts = [self._opening(shown.pop("question", None), shown.get("variants"), layout)]
        whole = [key for key, one in shown.items() if key == "models" or _is_of_rows(one) or _is_wide(one, layout)]
        for key in sorted(whole, key="models".__eq__):
            parts.append(self._section(shown.pop(key), layout, titled=key != "table"))
        # Words come first: where a column begins with what no page break divides, both begin on the next page.
        first = [key for key in ("best", "support") if key in shown]
        beside = [self._section(shown[key], layout) for key in first]
        wide = [self._section(section, layout) for key, section in shown.items() if key in WIDE]
        beside += [self._section(shown[key], layout) for key in shown if key not in WIDE and key not in first]
        parts += [
            f"#place(auto, float: true, clearance: 1em, block(width: 100%)[#set align(left)\n{one}])" for one in wide
        ]
        parts = [_page(self.document, layout, self._table, self._rest(left_out, brief)), *parts, _flow(beside), _END]
        # Typst's own fonts lack what ours lack, about; a box would tell nobody which character it was.
        return "\n".join(drawable(row) for part in parts for row in part.split("\n"))

    def _blocks(self, section: Section, layout: Layout) -> list[Block]:
        """What is set of a section."""
        brief = section.key in layout.brief and section.brief
        return [
            block
            for block in (section.brief if brief else section.blocks)
            if (layout.own or block not in self.document.own)
            and not (isinstance(block, Picture) and block.name in IN_THE_TABLE)
        ]

    def _section(self, section: Section, layout: Layout, *, titled: bool = True) -> str:
        blocks = self._blocks(section, layout)
        if section.key == "variants":  # the settings stand beside the answer
            blocks = [block for block in blocks if not isinstance(block, Terms)]
        title = [self._heading(section.title)] * (titled and bool(blocks))
        if _is_of_rows(section):
            return "\n".join([*title, self._ablation(blocks, layout)])
        small = [f"#set text(size: {layout.minor}pt)"] * (section.key in SMALL)
        return "\n".join([*title, *small, *(self._block(block, layout) for block in blocks)])

    def _heading(self, title: str) -> str:
        return f"#heading(level: 1, {self._table.text(title)})"

    def _opening(self, top: Section | None, variants: Section | None, layout: Layout) -> str:
        """The answer; beside it what was asked, in the authors' words too, and the setting."""
        blocks = [] if top is None else self._blocks(top, layout)
        asked = [block for block in blocks if block in self.document.own or isinstance(block, Paragraph)]
        if top is not None and blocks and blocks[-1] in asked and blocks[-1] not in self.document.own:
            asked.remove(blocks[-1])  # the best mean
        answer = [self._block(block, layout) for block in blocks if block not in asked]
        left = [self._heading(top.title), *answer] if top is not None and answer else []
        right = [self._heading("The question"), *(self._block(block, layout) for block in asked)] if asked else []
        setting = self._setting(variants, layout)
        right += [setting] * bool(setting)
        if not left or not right:
            return "\n".join([*left, *right])
        wide = "1.2fr" if asked else "1.62fr"
        both = ", ".join("[" + "\n".join(part) + "]" for part in (left, right))
        return f"#grid(columns: ({wide}, 1fr), gutter: 7mm, {both})"

    def _setting(self, section: Section | None, layout: Layout) -> str:
        terms = [block for block in section.blocks if isinstance(block, Terms)] if section is not None else []
        if not terms:
            return ""
        cells = [f"dim({self._table.text(term)}), {self._line(said)}" for block in terms for term, said in block.items]
        return (
            '#heading(level: 1, "Setting")\n'
            f"#text(size: {layout.minor}pt, grid(columns: (auto, 1fr), column-gutter: 0.8em, row-gutter: 0.55em, "
            f"{', '.join(cells)}))"
        )

    def _ablation(self, blocks: Sequence[Block], layout: Layout) -> str:
        """The table over the whole width, how it is read, and what limits its claims."""
        parts = []
        for block in blocks:
            if isinstance(block, Table) and isinstance(block.data, TableData):
                data = shortened(block.data, layout.rows)
                gone = len(block.data.rows) - len(data.rows)
                self._cut += ["columns of further metrics"] * (not layout.also and bool(block.data.also))
                self._cut += ["some rows of tables"] * bool(gone)
                some = f" {len(data.rows)} of {len(block.data.rows)} rows: first the decided, then the largest."
                parts.append(printed.table(replace(block, data=data), self._table.text, layout.table, also=layout.also))
                told = self._line(line(f" {block.legend or f'{block.caption}.'}{some * bool(gone)}"))
                parts.append("#counter(figure.where(kind: table)).step()")
                parts.append(f"#block(above: 0.6em, text(size: {layout.minor}pt, {{table_number; {told}}}))")
            elif isinstance(block, Bullets):
                lines = [rows.in_lines(item[0].text) for item in block.items]
                gone = sum(not kept for kept in lines)
                self._notes += gone
                said = "  ".join(_sentence(text) for kept in lines for text in kept)
                care = self._line(line(strong("Read with care. "), said))
                parts += [f"#care(text(size: {layout.minor}pt, {care}))"] * bool(said)
            else:
                parts.append(self._block(block, layout))
        return "\n".join(parts)

    def _rest(self, left_out: Sequence[str], brief: Sequence[str]) -> str:
        """What each page's foot says: all that is cut, and where it is."""
        notes = [f"{many(self._notes, 'note')} on how the table was made"] * bool(self._notes)
        every = [*left_out, *dict.fromkeys(self._cut), *notes]
        cut = [in_words(every, 30)] * bool(every)
        cut += [f"shortened: {in_words(brief, 20)}"] * bool(brief)
        if not cut or not self.document.more:
            return '""'
        return self._line(line(f"Cut for two pages: {'; '.join(cut)}. In full: ", code(self.document.more)))

    # ------------------------------------------------------------------------------------------------------ blocks

    def _block(self, block: Block, layout: Layout) -> str:
        """One block; what it draws lies in the folder."""
        match block:
            case Paragraph(text):
                lines = any(span.formula is not None and span.formula.display for span in text)
                return f"#{self._line(text)}\n" if lines else f"#par({self._line(text)})"  # a par drops what is a block
            case Heading(text):
                return f"#heading(level: 2, {self._line(text)})"
            case Bullets():
                return self._bullets(block, layout)
            case Code(text):
                return f"#listing({_string(text)})"
            case Models(models):
                return self._models(models, layout)
            case Terms(items):
                terms = ", ".join(
                    f"terms.item({self._table.text(term)}, {self._line(explained)})" for term, explained in items
                )
                return f"#terms({terms})"
            case Table():
                return self._table_of(block, layout)
            case Picture():
                return self._picture(block, layout)

    def _models(self, models: Sequence[Model], layout: Layout) -> str:
        """Side by side; below them, where some have words, those without, a line each."""
        worded = [model for model in models if model.blocks] or models
        cells = [f"[{self._model(model, layout)}]" for model in worded]
        columns = 2 if len(cells) == 4 else min(len(cells), 3)
        across = f"columns: (1fr,) * {columns}, column-gutter: 6mm, row-gutter: 0.8em"
        rest = [self._model(model, layout) for model in models if model not in worded]
        return "\n".join([f"#grid({across}, {', '.join(cells)})", *rest])

    def _model(self, model: Model, layout: Layout) -> str:
        said = f"; h(0.5em); text(size: {layout.minor}pt, dim({self._table.text(model.said)}))" if model.said else ""
        blocks = [self._block(block, layout) for block in model.blocks if layout.own or block not in self.document.own]
        return "\n".join(
            [f"#block(below: 0.5em, sticky: true, {{strong({self._table.text(model.name)}){said}}})", *blocks]
        )

    def _bullets(self, block: Bullets, layout: Layout) -> str:
        if block.signs:
            cells = [
                f"sign({self._table.text(sign)}, 0.6em), {self._line(item)}"
                for sign, item in zip(block.signs, block.items, strict=True)
            ]
            return f"#grid(columns: (auto, 1fr), column-gutter: 0.6em, row-gutter: 0.55em, {', '.join(cells)})"
        bullets = f"#{'enum' if block.numbered else 'list'}({', '.join(map(self._line, block.items))})"
        return f"#text(size: {layout.minor}pt)[{bullets}]" if block.minor else bullets

    def _table_of(self, block: Table, layout: Layout) -> str:
        cut = shortened(block.data, min(layout.rows, VIEW_ROWS))
        gone = len(block.data.rows) - len(cut.rows)
        self._cut += ["some rows of tables"] * bool(gone)
        caption = f"{block.caption}. {len(cut.rows)} of {len(block.data.rows)} rows" if gone else block.caption
        rendered = self._table.render(cut, TableOptions(caption=caption, label=block.label))
        least = _least(cut) * layout.table
        return f"#fitted({least:.0f}pt)[#set text(size: {layout.table}pt)\n{rendered}]"

    def _picture(self, block: Picture, layout: Layout) -> str:
        wide, low = block.name in WIDE, block.name in LOW
        scene = _lower(block.scene, layout.curves / 100) if wide or low else block.scene
        name = f"{block.name}-{layout.curves}.svg" if wide or low else f"{block.name}.svg"
        if not (self._folder / name).exists():
            (self._folder / name).write_bytes(paper.draw(scene, "svg", 2 if wide else 1))
        image = f'image("{name}", width: 100%, alt: {self._table.text(scene.alt)})'
        return f"#figure({image}, numbering: as_read, caption: {self._table.text(block.caption)})"

    def _line(self, text: Line) -> str:
        """Text in code, its stretches joined."""
        return "{" + "; ".join(map(self._span, text)) + "}" if text else '""'

    def _span(self, span: Span) -> str:
        before = "[ ]; " if span.text[:1].isspace() else ""
        after = "; [ ]" if span.text[-1:].isspace() and span.text.strip() else ""
        if span.formula is not None:
            return equations.typst(span.formula)
        text = self._table.text(span.text)
        function = {"strong": "strong", "emphasis": "emph", "code": "raw"}.get(span.style)
        text = f"{function}({text})" if function else text
        return before + (f"link({self._table.text(span.href)}, {text})" if span.href else text) + after


def _sentence(said: str) -> str:
    """A line of what limits a claim, in running text: without the sign of those that have none of their own."""
    text = said.strip().removeprefix("! ")
    return text[:1].upper() + text[1:] + "." * (not text.endswith("."))


def _string(text: str) -> str:
    """A string of Typst's that keeps its lines."""
    kept = "".join(c for c in text.replace("\t", "    ") if c == "\n" or c.isprintable())
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _least(data: TableData | ViewData) -> float:
    """The width below which columns overlap, in em, for no word and no number is broken. Typst's serif is a sixth
    narrower than the sans that is measured here."""
    if isinstance(data, TableData):
        return 0.0
    shown = grid(data, TableOptions())
    rows = [[entry.text for entry in row] for group in shown.groups for row in group.rows]
    longest = []
    for i, title in enumerate(shown.header):
        cells = [title.split(), *([row[i]] if shown.numeric[i] else row[i].split() for row in rows)]
        longest.append(max((text_width(drawable(word), 0.85) for cell in cells for word in cell), default=0.0))
    return sum(longest) + 0.9 * len(longest)


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


def _is_wide(section: Section, layout: Layout) -> bool:
    """Whether it has a table that would be half as large in a column."""
    column_mm = (210 - 2 * layout.margin_mm - 6) / 2
    tables = [block for block in section.blocks if isinstance(block, Table)]
    return any(_least(block.data) * layout.table > 1.2 * column_mm / 25.4 * 72 for block in tables)


def _is_of_rows(section: Section) -> bool:
    """Whether it has a table with a bar in each row, which needs the whole width."""
    return any(isinstance(block, Table) and isinstance(block.data, TableData) for block in section.blocks)


def _lower(scene: Scene, share: float) -> Scene:
    """With lower panels, side by side in one column, too."""
    panels = tuple(replace(panel, height=panel.height * share) for panel in scene.panels)
    return replace(scene, panels=panels, across_narrow=min(scene.across, 2))


def _flow(parts: Sequence[str]) -> str:
    """Sections in two columns of about one length."""
    told = [f"[{part}]" for part in parts if part.strip()]
    return f"#v(0.6em)\n#flow(({', '.join(told)},))" if told else ""


def _page(document: Document, layout: Layout, table: Format, foot: str) -> str:
    """How the pages are set. foot: what stands at the end of each, in Typst's language."""
    fonts = ", ".join(json.dumps(name, ensure_ascii=False) for name in chosen_fonts().names)
    values = {
        "title": table.text(document.title),
        "subtitle": table.text(document.subtitle),
        "margin": f"{layout.margin_mm}mm",
        "size": f"{layout.text}pt",
        "small": f"{layout.minor}pt",
        "foot": foot,
        "fonts": f"({fonts},)" if fonts else "()",
    }
    style = resources.files("ablate.reports").joinpath("page.typ").read_text(encoding="utf-8")
    return "\n".join([*(f"#let {name} = {value}" for name, value in values.items()), style])


_END = """#context {
  let at = here().position()
  [#metadata((here().page(), at.y / page.height)) <end>]
}
"""
