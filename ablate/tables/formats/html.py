"""HTML: one accessible table (caption, scopes, a body per design), or a page (`--standalone`). Needs no script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape as _escape
from typing import ClassVar

from ablate.tables.grid import Entry, Grid, Group, grid
from ablate.tables.table import Format, TableData, TableOptions, ViewData
from ablate.text import one_line

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.4 sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; }}
caption {{ text-align: left; font-weight: bold; padding-bottom: 0.5em; }}
th, td {{ padding: 0.2em 0.8em; text-align: left; font-weight: normal; }}
thead th {{ border-bottom: 1px solid; }}
thead tr:first-child > * {{ border-top: 2px solid; }}
tbody + tbody tr:first-child > * {{ border-top: 1px solid; }}
tbody th[scope=rowgroup] {{ font-style: italic; }}
tbody:last-of-type tr:last-child > * {{ border-bottom: 2px solid; }}
tbody th[scope=row] {{ min-width: 9em; }}
.apart > * {{ border-top: 1px solid #999; }}
.tick {{ text-align: center; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
td.number {{ white-space: nowrap; }}
</style>
</head>
<body>
{table}</body>
</html>
"""


@dataclass(frozen=True)
class Html(Format):
    """A table element and a list of notes."""

    endings: ClassVar[tuple[str, ...]] = (".html", ".htm")

    def text(self, text: str) -> str:
        return escape(text)

    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        laid_out = grid(data, options)
        caption = escape(options.caption or data.title)
        name = re.sub(r"[^A-Za-z0-9:.-]+", "-", options.label or "").strip("-")
        lines = [f'<table id="{name}">' if name else "<table>", f"<caption>{caption}</caption>", "<thead>"]
        lines += [*_header(laid_out), "</thead>"]
        kinds = [_kind(numeric, tick) for numeric, tick in _columns(laid_out)]
        for group in laid_out.groups:
            lines += _body(group, kinds)
        lines.append("</table>")
        if data.notes:
            lines += ["<ul>", *(f"<li>{escape(note)}</li>" for note in data.notes), "</ul>"]
        table = "\n".join(lines) + "\n"
        return _PAGE.format(title=caption, table=table) if options.standalone else table


def _columns(laid_out: Grid) -> list[tuple[bool, bool]]:
    return list(zip(laid_out.numeric, laid_out.ticks or [False] * len(laid_out.numeric), strict=True))


def _header(laid_out: Grid) -> list[str]:
    """One line of titles; two where some stand together under a title of their own."""
    spans = {span.start: span for span in laid_out.spans}
    under = {i for span in laid_out.spans for i in range(span.start, span.start + span.size)}
    two_lines = ' rowspan="2"' if spans else ""
    upper, lower = [], []
    for i, (title, (numeric, tick)) in enumerate(zip(laid_out.header, _columns(laid_out), strict=True)):
        cell = f"{_kind(numeric, tick)}>{escape(title)}</th>"
        if i in spans:
            upper.append(f'<th scope="colgroup" colspan="{spans[i].size}" class="tick">{escape(spans[i].title)}</th>')
        if i in under:
            lower.append(f'<th scope="col"{cell}')
        else:
            upper.append(f'<th scope="col"{two_lines}{cell}')
    return ["<tr>", *upper, "</tr>", *(["<tr>", *lower, "</tr>"] if spans else [])]


def _body(group: Group, kinds: Sequence[str]) -> list[str]:
    """One body per design. A row keeps its whole name, also among the levels of one trick: it is read out alone."""
    lines = ["<tbody>"]
    if group.title:
        lines.append(f'<tr><th scope="rowgroup" colspan="{len(kinds)}">{escape(group.title)}</th></tr>')
    for block, rows in group.parts:
        for i, (name, *rest) in enumerate(rows):
            cells = "".join(f"<td{kind}>{_cell(cell)}</td>" for cell, kind in zip(rest, kinds[1:], strict=True))
            row = '<tr class="apart">' if block.apart and i == 0 else "<tr>"
            lines.append(f'{row}<th scope="row">{_cell(name)}</th>{cells}</tr>')
    return [*lines, "</tbody>"]


def _kind(numeric: bool, tick: bool) -> str:
    return ' class="number"' if numeric else ' class="tick"' if tick else ""


def _cell(cell: Entry) -> str:
    text = escape(cell.text)
    return f"<strong>{text}</strong>" if cell.bold and text else text


def escape(text: str) -> str:
    """`text` as HTML that reads as `text`, in an element or in a quoted attribute."""
    return _escape(one_line(text), quote=True)
