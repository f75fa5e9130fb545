"""A study at one moment, drawn: how far it is, a sign for each run by row and seed, what runs where and against what.

Pure: a moment in, styled lines out, none wider than asked; no verdict, interval or colour of one, for the seeds are not
all there yet. Where the rows are more than the screen has lines, those stay that run or went wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ablate.runs.moment import Moment, RowSoFar, Running, Sign
from ablate.tables import forest
from ablate.terminal.bars import Glyphs, fitted
from ablate.text import MINUS, decimals, duration, fixed, listed, one_line, seeds_in_words

GAP = "  "
NOW = "color(32)"
WRONG = "color(166)"
"""The table's two strongest colours, which hold on white and on black."""

MOST_SEEDS = 40
"""Of more seeds than this a row counts its runs instead of showing each."""

LAST = 3
"""So many failures are named; the others are counted."""

_UNICODE: Mapping[Sign, str] = {
    "done": "●", "running": "◐", "todo": "·", "failed": "✕", "collapsed": "▲", "absent": " "
}  # fmt: skip
_ASCII: Mapping[Sign, str] = {
    "done": "*", "running": "/", "todo": ".", "failed": "x", "collapsed": "!", "absent": " "
}  # fmt: skip
_STYLES: Mapping[Sign, str] = {
    "done": "", "running": NOW, "todo": "dim", "failed": WRONG, "collapsed": WRONG, "absent": ""
}  # fmt: skip


GOES_ON = "Ctrl-C stops; the same command goes on."


def drawn(
    seen: Moment,
    width: int,
    height: int,
    glyphs: Glyphs,
    *,
    stopping: bool = False,
    waits_for: str = "",
    hint: str = GOES_ON,
) -> list[Text]:
    """Lines of at most `width` cells, about `height` of them. hint: what Ctrl-C does here."""
    digits = decimals([row.std for row in seen.rows], [row.mean for row in seen.rows])
    below = [*_runs(seen, glyphs, digits, width), *_failures(seen)]
    rows = _grid(seen, glyphs, digits, width, height - len(below) - 5)
    said = [headline(seen, glyphs, width, stopping=stopping, waits_for=waits_for)]
    for part in (rows, below):
        said += [Text(), *part] if part else []
    if seen.waits and width >= 60 and any(row.n for row in seen.rows):
        text = "Verdicts come when all planned seeds are done."
        text += f" {hint}" if len(text) + len(hint) + 2 <= width else ""
        said += [Text(), Text(f" {text}", style="dim")]
    return [fitted(line, width, glyphs) for line in said]


def bar(share: float, cells: int, glyphs: Glyphs) -> Text:
    full = round(min(max(share, 0.0), 1.0) * cells)
    done, rest = ("━", "─") if glyphs.rule != "-" else ("=", "-")
    return Text().append(done * full, style=NOW).append(rest * (cells - full), style="dim")


def headline(seen: Moment, glyphs: Glyphs, width: int, *, stopping: bool = False, waits_for: str = "") -> Text:
    """The study, how far it is as a bar and in counts, how long it takes: as much of that as there is room for."""
    wide = max(min(width // 3, 40), 8)
    for cells, until, left in ((wide, True, True), (8, True, True), (8, False, True), (8, False, False)):
        text = Text().append(one_line(seen.study), style="bold").append(GAP)
        text.append_text(bar(seen.ended / max(seen.total, 1), cells, glyphs)).append(GAP)
        text.append_text(counted(seen, glyphs, until=until, left=left, stopping=stopping, waits_for=waits_for))
        if text.cell_len <= width:
            break
    return text


def counted(
    seen: Moment,
    glyphs: Glyphs,
    *,
    basis: bool = False,
    until: bool = True,
    left: bool = True,
    stopping: bool = False,
    waits_for: str = "",
) -> Text:
    """`30 of 70 runs, 1 failed · about 24 min left, until 10:47 (median of 30 finished runs)`. left, until, basis:
    whether it is said how long it takes, when that is over, and what it is told from."""
    text = Text(f"{seen.ended} of {seen.total} runs")
    for state in ("failed", "lost"):
        if seen.counts[state]:
            text.append(f", {seen.counts[state]} {state}", style=WRONG)
    if seen.left_s is not None and seen.waits and left:
        when = f", until {clock(-seen.left_s)}" if seen.left_s > 90 and until else ""
        text.append(glyphs.spelled(f" · about {duration(seen.left_s)} left{when}"))
        text.append(f" ({seen.basis})" * basis, style="dim")
    if stopping:
        text.append(", stopping", style=WRONG)
    if waits_for:
        text.append(f", waiting: {waits_for}", style=WRONG)
    return text


def clock(ago_s: float) -> str:
    """The time of day so many seconds ago; with the weekday where that is another day."""
    then = time.localtime(time.time() - ago_s)
    same = then.tm_yday == time.localtime().tm_yday
    return time.strftime("%H:%M" if same else "%a %H:%M", then)


# ----------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True)
class _Column:
    title: str
    of: Callable[[RowSoFar], Text]
    right: bool = True


def _grid(seen: Moment, glyphs: Glyphs, digits: int, width: int, most: int) -> list[Text]:
    """Header and rows, at most about `most` of them; how many were left out, and why."""
    if not seen.rows:
        return []
    groups = forest.groups(seen.rows)
    every = [row for group in groups for row in group.every]
    shown = [row for row in every if not row.quiet or row.compared_with is None] if len(every) + 1 > most else every
    shown = [row for row in shown if not row.quiet] if len(shown) + 2 > most else shown
    shown = shown[: max(most - 2, 3)]
    names = {row.variant: _name(row, glyphs, max(3 * width // 10, 12)) for row in shown}
    first = max(text.cell_len for text in names.values()) if names else 0
    columns, widths = _fitting(seen, shown, glyphs, digits, width - first)
    head = Text(" " * first, style="dim")
    for column, wide in zip(columns, widths, strict=True):
        head.append(GAP + (column.title.rjust(wide) if column.right else column.title.ljust(wide)))
    made = [head] + [_line(row, names[row.variant], first, columns, widths) for row in shown]
    rest = [row for row in every if row not in shown]
    return [*made, *_resting(rest)]


def _fitting(
    seen: Moment, shown: Sequence[RowSoFar], glyphs: Glyphs, digits: int, room: int
) -> tuple[list[_Column], list[int]]:
    """The columns and how wide they are: all, with short titles where there is no room, without n and then without
    differences where there is still none."""
    for so_far, least in ((" so far", 3), ("", 3), ("", 2), ("", 1)):
        runs = _titled(seen.seeds) if so_far else "runs"
        numbers = [
            _Column(f"mean{so_far}", lambda row: Text(_number(row.mean, digits, glyphs))),
            _Column(glyphs.spelled(f"Δ{so_far}"), lambda row: Text(_number(row.delta, digits, glyphs, sign=True))),
            _Column("n", lambda row: Text(str(row.n) if row.n else "")),
        ]
        columns = [_Column(runs, lambda row: _signs(row, glyphs), right=False), *numbers[:least]]
        columns.append(_Column("", lambda row: Text(row.remark, style=WRONG), right=False))
        widths = [max([cell_len(c.title), *(c.of(row).cell_len for row in shown)]) for c in columns]
        if sum(widths[:-1]) + len(GAP) * (len(widths) - 1) <= room:
            break
    return columns, widths


def _line(row: RowSoFar, name: Text, first: int, columns: Sequence[_Column], widths: Sequence[int]) -> Text:
    line = name.copy()
    line.append(" " * (first - name.cell_len))
    for column, wide in zip(columns, widths, strict=True):
        cell = column.of(row)
        space = " " * (wide - cell.cell_len)
        line.append(GAP + space * column.right).append_text(cell).append(space * (not column.right))
    line.rstrip()
    return line


def _resting(rows: Sequence[RowSoFar]) -> list[Text]:
    """`20 rows more are done, 15 wait`."""
    if not rows:
        return []
    done = sum("todo" not in row.signs for row in rows)
    parts = [f"{done} {'are' if done > 1 else 'is'} done"] * (done > 0)
    waits = len(rows) - done
    parts += [f"{waits} wait{'s' * (waits == 1)}"] * (waits > 0)
    return [Text(f" {len(rows)} row{'s' * (len(rows) > 1)} more: {', '.join(parts)}", style="dim")]


def _name(row: RowSoFar, glyphs: Glyphs, most: int) -> Text:
    label = forest.name(row)
    text = " " * forest.indented(row) + glyphs.spelled(label[:1]) + label[1:]
    text = text if cell_len(text) <= most else set_cell_size(text, most - 1).rstrip() + "…"
    return Text().append(text, style="bold" if row.compared_with is None else "")


def _titled(seeds: Sequence[int]) -> str:
    return "runs" if len(seeds) > MOST_SEEDS else seeds_in_words(seeds) if _short(seeds) else f"{len(seeds)} seeds"


def _short(seeds: Sequence[int]) -> bool:
    return len(seeds_in_words(seeds)) <= 16


def _signs(row: RowSoFar, glyphs: Glyphs) -> Text:
    if len(row.signs) > MOST_SEEDS:
        counts = {sign: row.signs.count(sign) for sign in _UNICODE}
        planned = len(row.signs) - counts["absent"]
        return Text(f"{counts['done'] + counts['collapsed'] + counts['failed']} of {planned}")
    signs = _UNICODE if glyphs.rule != "-" else _ASCII
    text = Text()
    for sign in row.signs:
        text.append(signs[sign], style=_STYLES[sign])
    return text


def _number(value: float | None, digits: int, glyphs: Glyphs, *, sign: bool = False) -> str:
    return "" if value is None else fixed(value, digits, sign=sign, minus=glyphs.spelled(MINUS))


# -------------------------------------------------------------------------------------------------------- what runs now


_DEVICE, _BAR, _AGAINST, _SECONDS = 0, 3, 6, 7
"""Of a run's cells those that give way on a narrow screen."""


def _runs(seen: Moment, glyphs: Glyphs, digits: int, width: int) -> list[Text]:
    """What runs where, how far, and against the same seed of its base at the same epoch."""
    names = {row.variant: forest.name(row) for row in seen.rows}
    cells = [_cells(run, names, glyphs, digits, width) for run in seen.running]
    if not cells:
        return []
    widths = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    right = (False, False, False, False, True, True, False, False)
    odd = any(run.note for run in seen.running)
    for column in (_BAR, _AGAINST if odd else _SECONDS, _SECONDS if odd else _AGAINST, _DEVICE):
        if sum(wide + len(GAP) for wide in widths if wide) - 1 <= width:
            break
        widths[column] = 0
    made = []
    for of in cells:
        line = Text(" ")
        for cell, wide, to_right in zip(of, widths, right, strict=True):
            space = " " * (wide - cell.cell_len)
            if wide:
                line.append(space * to_right).append_text(cell).append(space * (not to_right) + GAP)
        line.rstrip()
        made.append(line)
    return made


def _cells(run: Running, names: Mapping[str, str], glyphs: Glyphs, digits: int, width: int) -> list[Text]:
    name = one_line(names.get(run.variant, run.variant))
    name = name.replace(MINUS, glyphs.spelled(MINUS), 1)
    most = max(3 * width // 10, 12)
    name = name if cell_len(name) <= most else set_cell_size(name, most - 1).rstrip() + "…"
    share = bar(run.step / run.steps, 12 if width >= 100 else 8, glyphs) if run.steps else Text()
    return [
        Text(run.device, style="dim"), Text(name), Text(f"seed {run.seed}", style="dim"), share,
        Text(progress(run)), Text("" if run.value is None else fixed(run.value, digits, minus=glyphs.spelled(MINUS))),
        _against(run, names, glyphs, digits),
        Text(duration(run.seconds) + (f", {run.note}" if run.note else ""), style=WRONG if run.note else "dim"),
    ]  # fmt: skip


def progress(run: Running) -> str:
    if not run.step:
        return "starting"
    return f"{run.step}/{run.steps}" if run.steps else f"step {run.step}"


def _against(run: Running, names: Mapping[str, str], glyphs: Glyphs, digits: int) -> Text:
    """`+0.8 vs full here, same seed`: the difference at the same step; of the same seed, or of a mean over n."""
    if run.beside is None or run.value is None:
        return Text()
    difference = _number(run.value - run.beside.value, digits, glyphs, sign=True)
    of = "same seed" if run.beside.paired else f"mean of {run.beside.n}"
    other = one_line(names.get(run.beside.variant, run.beside.variant))
    return Text(f"{difference} vs {other} here, {of}", style="dim")


def _failures(seen: Moment) -> list[Text]:
    """Failed runs that no row above names: those of a search."""
    if seen.rows or not seen.failures:
        return []
    text = listed(seen.failures[-LAST:], "; ")
    more = f" and {len(seen.failures) - LAST} more" if len(seen.failures) > LAST else ""
    return [Text(f" failed: {text}{more}", style=WRONG)]
