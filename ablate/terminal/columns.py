"""Any other view on a terminal: plain columns, none wider than the screen, and its notes.

Pure but for `put`. Nothing is cut: long cells take several lines, and columns for which there is no room follow
below, each part with the rows' names. Files and pipes get Markdown; the table itself is drawn with bars (drawn.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from ablate.tables.grid import Entry, Grid, Group, grid
from ablate.tables.table import TableData, TableOptions, ViewData
from ablate.terminal.bars import Glyphs, fitted, glyphs_for
from ablate.text import MINUS, Note, many, one_line

GAP = "  "
LEAST_WORDS = 24
MOST_NAME = 0.4
"""Of the screen, for the names of rows."""


def put(drawn: Callable[[int, Glyphs], Iterable[Text]], *, ascii_: bool = False) -> None:
    """What is drawn for a width and glyphs on standard output, as wide as the terminal is."""
    console = Console(highlight=False, soft_wrap=True, no_color=ascii_ or None)
    for line in drawn(console.width, glyphs_for(sys.stdout.encoding, ascii_=ascii_)):
        console.print(line)


def lines(data: TableData | ViewData, width: int, glyphs: Glyphs, options: TableOptions, *, notes: bool) -> list[Text]:
    """A view in lines of at most `width` cells. notes: every sentence, instead of those that limit a claim."""
    said = " - " if glyphs.rule == "-" else " · "
    better = f"{one_line(data.metric).replace('_', ' ')}, {data.better} is better"
    title = f"{one_line(data.study)}{said}{better}" if isinstance(data, TableData) else one_line(data.title)
    made = [*(Text(line, "bold") for line in wrapped(title, width)), Text()]
    made += _laid(grid(data, options), width, glyphs)
    below = sentences(data.notes, glyphs, width) if notes else _short(data, glyphs, width)
    return [fitted(line, width, glyphs) for line in (*made, *[Text()] * bool(below), *below)]


def listing(
    head: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Iterable[str], width: int, glyphs: Glyphs
) -> list[Text]:
    """What is no view and has columns, a plan: a sentence, its rows, its notes, in lines of at most `width` cells."""
    group = Group("", tuple(tuple(Entry(one_line(text)) for text in row) for row in rows))
    made = [Text(line) for line in wrapped(glyphs.spelled(head), width)]
    made += _laid(Grid(tuple(header), (False,) * len(header), (group,)), width, glyphs)
    below = sentences(notes, glyphs, width)
    return [fitted(line, width, glyphs) for line in (*made, *[Text()] * bool(below), *below)]


def _laid(laid_out: Grid, width: int, glyphs: Glyphs) -> list[Text]:
    """Header and rows of every group, in as many parts as the width asks for."""
    rows = [row for group in laid_out.groups for row in group.rows]
    titles = [Entry(title) for title in laid_out.header]
    columns = [[_spelled(entry, glyphs) for entry in column] for column in zip(titles, *rows, strict=True)]
    widths = [max(cell_len(entry.text) for entry in column) for column in columns]
    first = min(widths[0], max(int(MOST_NAME * width), 12)) if len(widths) > 1 else min(widths[0], width)
    widths = [first, *(min(wide, width - first - len(GAP)) for wide in widths[1:])]
    made: list[Text] = []
    for part in _parts(widths, laid_out.numeric, width):
        made += [Text()] * bool(made)
        made += _row([columns[i][0] for i in part], [widths[i] for i in part], [laid_out.numeric[i] for i in part])
        made.append(Text(glyphs.rule * (sum(widths[i] + len(GAP) for i in part) - len(GAP)), "dim"))
        at = 1
        for group in laid_out.groups:
            made += [Text(line, "bold") for line in wrapped(group.title, width)] if group.title else []
            for _ in group.rows:
                cells = [columns[i][at] for i in part]
                made += _row(cells, [widths[i] for i in part], [laid_out.numeric[i] for i in part])
                at += 1
            made += [Text()] * (group is not laid_out.groups[-1])
    return made


def _spelled(entry: Entry, glyphs: Glyphs) -> Entry:
    """With a true minus in numbers, and before the trick that a row lacks."""
    minus = entry.text.replace("-", MINUS) if entry.number else entry.text
    text = MINUS + entry.text[1:] if entry.text.startswith("- ") else minus
    return replace(entry, text=glyphs.spelled(text))


def _parts(widths: list[int], numeric: Sequence[bool], width: int) -> list[list[int]]:
    """Which columns stand beside each other; the first, which names the row, in every part. Words that take more room
    than is left are given that, to wrap in, where it is LEAST_WORDS: their width in `widths` becomes it."""
    parts, room = [[0]], width - widths[0]
    for i in range(1, len(widths)):
        wide = widths[i]
        if wide + len(GAP) > room >= LEAST_WORDS + len(GAP) and not numeric[i]:
            wide = widths[i] = room - len(GAP)
        if wide + len(GAP) > room and len(parts[-1]) > 1:
            parts.append([0])
            room = width - widths[0]
        parts[-1].append(i)
        room -= wide + len(GAP)
    return parts


def _row(cells: Sequence[Entry], widths: Sequence[int], numeric: Sequence[bool]) -> list[Text]:
    """A row, in as many lines as its longest cell takes."""
    parts = [_folded(cell.text, wide) for cell, wide in zip(cells, widths, strict=True)]
    made = []
    for at in range(max(map(len, parts))):
        line = Text()
        for cell, of, wide, right in zip(cells, parts, widths, numeric, strict=True):
            text = of[at] if at < len(of) else ""
            space = " " * (wide - cell_len(text))
            line.append((space + text if right else text + space), "bold" * cell.bold).append(GAP)
        line.rstrip()
        made.append(line)
    return made


def _folded(text: str, wide: int) -> list[str]:
    """A cell in lines of at most `wide` cells, between words where there are some."""
    return [part for line in wrapped(text, wide) for part in chop_cells(line, wide) or [""]]


def _short(data: TableData | ViewData, glyphs: Glyphs, width: int) -> list[Text]:
    """What limits a claim, and how many notes there are besides."""
    said = [note.line if isinstance(note, Note) else f"- {one_line(note)}" for note in data.notes]
    limits = [line for text in said if text for line in text.split("\n")]
    below = [Text(line) for text in limits for line in wrapped(glyphs.spelled(text), width)]
    rest = sum(not text for text in said)
    view = "" if isinstance(data, TableData) else f" --view {data.view}"
    more = wrapped(f"  {many(rest, 'more note')}: ablate table{view} --notes", width) if rest else []
    return [*below, *(Text(line, "dim") for line in more)]


# ---------------------------------------------------------------------------------------------------------------- lines


def sentences(notes: Iterable[str], glyphs: Glyphs, width: int) -> list[Text]:
    """Every note in full."""
    return [Text(line) for note in notes for line in wrapped(glyphs.spelled(f"- {one_line(note)}"), width)]


def filled(parts: Iterable[str], glyphs: Glyphs, width: int) -> list[str]:
    """Parts in as few lines as they fit, two cells from the left."""
    made: list[str] = []
    between = glyphs.spelled(" · ")
    for part in map(glyphs.spelled, filter(None, parts)):
        if made and cell_len(made[-1] + between + part) <= width:
            made[-1] += between + part
        else:
            made += wrapped(part, width)
    return [f"  {line}" for line in made]


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, which are not characters: a Chinese one takes two."""
    made, start = [""], True
    for word in text.split(" "):
        if not start and cell_len(f"{made[-1]} {word}") > width:
            made.append("  " + word)
        else:
            made[-1] += word if start else f" {word}"
        start = False
    return made
