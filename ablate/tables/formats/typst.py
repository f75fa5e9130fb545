"""Typst: a `figure` with the table, its caption and label, its notes below; or a whole document (`--standalone`).

Every name stands in a string literal, in code and never in markup, so nothing in a study can be read as Typst.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from ablate.tables.grid import Entry, Grid, Group, grid
from ablate.tables.table import Format, TableData, TableOptions, ViewData
from ablate.text import one_line

_DOCUMENT = """#set page(paper: "a4", flipped: true, margin: 15mm)
#set text(size: 9pt)
%s"""


@dataclass(frozen=True)
class Typst(Format):
    """A figure of kind table, with rules as booktabs draws them."""

    endings: ClassVar[tuple[str, ...]] = (".typ",)

    def text(self, text: str) -> str:
        return literal(text)

    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        laid_out = grid(data, options)
        ticks = laid_out.ticks or [False] * len(laid_out.numeric)
        align = ", ".join(
            "right" if numeric else "center" if tick else "left"
            for numeric, tick in zip(laid_out.numeric, ticks, strict=True)
        )
        label = re.sub(r"[^A-Za-z0-9:.-]+", "-", options.label or data.anchor).strip("-:.")
        lines = [
            "#figure(",
            "  table(",
            f"    columns: {len(laid_out.header)},",
            f"    align: ({align},),",
            "    stroke: none,",
            "    inset: (x: 0.45em, y: 0.28em),",
            "    table.hline(stroke: 0.08em),",
            f"    table.header({', '.join([*_spans(laid_out), *map(literal, laid_out.header)])}),",
        ]
        for group in laid_out.groups:
            lines += ["    table.hline(stroke: 0.05em),", *_group(group, len(laid_out.header))]
        lines += ["    table.hline(stroke: 0.08em),", "  ),", f"  caption: {literal(options.caption or data.title)},"]
        lines += ["  kind: table,", f") <{label}>" if label else ")"]
        lines += [f"#par(text(size: 0.85em, {literal(note)}))" for note in data.notes]
        table = "\n".join(lines) + "\n"
        return _DOCUMENT % table if options.standalone else table


def _spans(laid_out: Grid) -> list[str]:
    """The cells of a line of titles over the header's; none where there are no such titles."""
    cells, at = [], 0
    for span in laid_out.spans:
        cells += ['""'] * (span.start - at) + [
            f"table.cell(colspan: {span.size}, align: center, {literal(span.title)})"
        ]
        at = span.start + span.size
    return cells + ['""'] * (len(laid_out.header) - at) if cells else []


def _group(group: Group, columns: int) -> list[str]:
    lines = [_across(f"emph({literal(group.title)})", columns)] if group.title else []
    for block, rows in group.parts:
        lines += ["    table.hline(stroke: 0.03em),"] if block.apart else []
        lines += [_across(literal(block.title), columns)] if block.title else []
        for i, row in enumerate(rows):
            cells = [*map(_cell, row)]
            first = [f'"\u2003" + {literal(block.names[i])}'] if block.title else cells[:1]
            lines.append(f"    {', '.join([*first, *cells[1:]])},")
    return lines


def _across(made: str, columns: int) -> str:
    return f"    table.cell(colspan: {columns}, {made}),"


def _cell(cell: Entry) -> str:
    """Numbers have true minus signs and stay on one line."""
    text = literal(cell.text)
    if cell.number:
        text = text.replace("-", "−").replace(" ", "\u00a0")
    return f"strong({text})" if cell.bold and cell.text else text


def literal(text: str) -> str:
    """`text` as a string of Typst's, on one line."""
    return '"' + one_line(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
