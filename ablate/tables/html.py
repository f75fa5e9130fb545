"""HTML: one accessible table (caption, scopes, a body per design), or a page (`--standalone`). Needs no script."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape as _escape

from ablate.table import Cell, Format, Group, TableData, TableOptions, ViewData, grid, one_line

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
thead th {{ border-top: 2px solid; border-bottom: 1px solid; }}
tbody th[scope=rowgroup] {{ font-style: italic; }}
tbody:last-of-type tr:last-child > * {{ border-bottom: 2px solid; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
</style>
</head>
<body>
{table}</body>
</html>
"""


@dataclass(frozen=True)
class Html(Format):
    """A table element and a list of notes."""

    def text(self, text: str) -> str:
        return escape(text)

    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        laid_out = grid(data, options)
        caption = escape(options.caption or data.title)
        name = re.sub(r"[^A-Za-z0-9:.-]+", "-", options.label or "").strip("-")
        lines = [f'<table id="{name}">' if name else "<table>", f"<caption>{caption}</caption>", "<thead>", "<tr>"]
        for title, numeric in zip(laid_out.header, laid_out.numeric, strict=True):
            lines.append(f'<th scope="col"{_kind(numeric)}>{escape(title)}</th>')
        lines += ["</tr>", "</thead>"]
        for group in laid_out.groups:
            lines += _body(group, len(laid_out.header), laid_out.numeric)
        lines.append("</table>")
        if data.notes:
            lines += ["<ul>", *(f"<li>{escape(note)}</li>" for note in data.notes), "</ul>"]
        table = "\n".join(lines) + "\n"
        return _PAGE.format(title=caption, table=table) if options.standalone else table


def _body(group: Group, columns: int, numeric: tuple[bool, ...]) -> list[str]:
    lines = ["<tbody>"]
    if group.title:
        lines.append(f'<tr><th scope="rowgroup" colspan="{columns}">{escape(group.title)}</th></tr>')
    for name, *rest in group.rows:
        cells = "".join(f"<td{_kind(n)}>{_cell(cell)}</td>" for cell, n in zip(rest, numeric[1:], strict=True))
        lines.append(f'<tr><th scope="row">{_cell(name)}</th>{cells}</tr>')
    return [*lines, "</tbody>"]


def _kind(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    return f"<strong>{text}</strong>" if cell.bold and text else text


def escape(text: str) -> str:
    """`text` as HTML that reads as `text`, in an element or in a quoted attribute."""
    return _escape(one_line(text), quote=True)
