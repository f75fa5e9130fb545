"""A search at one moment, drawn: how far, the best and what it gains, its trials with the best so far, its settings.

Pure: what is known in, styled lines out, none wider than asked. That the best of many flatters is always said.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ablate.records import Json
from ablate.runs.moment import Running
from ablate.terminal.bars import Glyphs, fitted
from ablate.terminal.columns import wrapped
from ablate.terminal.moments import GAP, NOW, WRONG, bar, progress
from ablate.text import MINUS, decimals, duration, fixed, one_line, seeds_in_words
from ablate.tuning.journal import Trial
from ablate.tuning.underway import SearchSoFar

HEIGHT = 6
"""Lines of the plot."""


def drawn(
    searches: Sequence[SearchSoFar], failures: Sequence[str], width: int, height: int, glyphs: Glyphs
) -> list[Text]:
    """The first search in full, the others in a line each. failures: runs of the search that failed, in words."""
    lines: list[Text] = []
    for i, search in enumerate(searches):
        lines += _whole(search, width, height, glyphs) if i == 0 else [Text(said(search, glyphs))]
    if failures:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        lines.append(Text(f" failed: {failures[-1]}{more}", style=WRONG))
    warning = "The best of many on one seed flatters. Afterwards winner and untuned are trained on fresh seeds."
    lines += [Text(), *(Text(f" {line}", style="dim") for line in wrapped(warning, width - 1))] if height > 12 else []
    return [fitted(line, width, glyphs) for line in lines]


def said(of: SearchSoFar, glyphs: Glyphs) -> str:
    """`full: trial 5 of 40, best 98.1 (trial 3, untuned 97.9) · about 3 min left`."""
    text, digits = f"{one_line(of.search.variant)}: trial {of.ended} of {of.search.asked}", _digits(of)
    if of.best is not None:
        untuned = "" if of.untuned is None else f", untuned {_number(of.untuned.value, digits, glyphs)}"
        text += f", best {_number(of.best.value, digits, glyphs)} (trial {of.best.number}{untuned})"
    return text + (_left(of, glyphs) if of.trying else "")


def _left(of: SearchSoFar, glyphs: Glyphs) -> str:
    return "" if of.left_s is None else glyphs.spelled(f" · about {duration(of.left_s)} left")


def _digits(of: SearchSoFar) -> int:
    return max(decimals([], [trial.value for trial in of.trials]), 1)


def _number(value: float | None, digits: int, glyphs: Glyphs, *, sign: bool = False) -> str:
    return "" if value is None else fixed(value, digits, sign=sign, minus=glyphs.spelled(MINUS))


def _whole(of: SearchSoFar, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    search, digits = of.search, _digits(of)
    each = "one run" if len(search.seeds) == 1 else f"{len(search.seeds)} runs"
    seeds = seeds_in_words(search.seeds)
    head = Text().append(f"tuning {one_line(search.variant)}", style="bold")
    head.append(glyphs.spelled(f" of {one_line(of.study)} · {search.sampler}, {each} a trial, {seeds}"), style="dim")
    line = bar(of.ended / max(search.asked, 1), max(min(width // 3, 40), 8), glyphs).append(GAP)
    line.append(f"trial {of.ended} of {search.asked}").append(_left(of, glyphs))
    lines = [head, line]
    if of.best is not None:
        lines += [Text(), _best(of, digits, glyphs, width)]
        lines += [Text(), *_plot(of, width, digits, glyphs)] if height >= 24 else []
    return [*lines, Text(), *_settings(of, width, digits, glyphs)]


def _best(of: SearchSoFar, digits: int, glyphs: Glyphs, width: int) -> Text:
    assert of.best is not None, "asked for with one"
    text = Text(" ").append(f"best  {_number(of.best.value, digits, glyphs)}", style="bold")
    text.append(f"  trial {of.best.number}")
    if of.gain is not None and of.untuned is not None:
        gain, untuned = (
            _number(of.gain, digits, glyphs, sign=True),
            _number(of.untuned.value, digits, glyphs),
        )
        same = "same seed" if len(of.search.seeds) == 1 else "same seeds"
        against = f"   {gain} against untuned ({untuned}, {same})"
        short = f"  {gain} against untuned"
        text.append(against if text.cell_len + len(against) <= width else short)
    return text


# ----------------------------------------------------------------------------------------------------------------- plot


def _plot(of: SearchSoFar, width: int, digits: int, glyphs: Glyphs) -> list[Text]:
    """Each trial as a dot at its value, the best so far as a line; what lies far below stands in the lowest line."""
    values = {trial.number: trial.value for trial in of.trials if trial.value is not None}
    higher = of.better == "higher"
    low, high = _range(list(values.values()), higher=higher)
    label = max(len(_number(value, digits, glyphs)) for value in (low, high))
    room = max(width - label - 20, 10)
    step = max(min(room // max(of.search.asked, len(of.trials)), 4), 1)
    each = -(-max(of.search.asked, len(of.trials)) * step // room)  # trials that share a column where there are many
    columns = min(room, max(of.search.asked, len(of.trials)) * step // each + 1)
    dot, point, rule, upright = ("•", "●", "─", "│") if glyphs.rule != "-" else ("o", "*", "-", "|")
    rows = [[(" ", "")] * columns for _ in range(HEIGHT)]

    def row(value: float) -> int:
        share = (value - low) / (high - low) if high > low else 1.0
        return min(max(round((1 - share) * (HEIGHT - 1)), 0), HEIGHT - 1)

    best: float | None = None
    last = of.trials[-1].number if of.trials else 0
    for number in range(last + 1):
        value = values.get(number)
        if value is not None and (best is None or (value > best if higher else value < best)):
            best = value
        at = number * step // each
        for column in range(at, min(at + max(step // each, 1), columns)):
            if best is not None and rows[row(best)][column][0] == " ":
                rows[row(best)][column] = (rule, "dim")
        if value is not None and at < columns:
            chosen = of.best is not None and number == of.best.number
            rows[row(value)][at] = (point, NOW) if chosen else (dot, "")
    lines = []
    marks = {0: high, HEIGHT // 2: (low + high) / 2, HEIGHT - 1: low}
    for i, cells in enumerate(rows):
        text = Text(" " + (_number(marks[i], digits, glyphs).rjust(label) if i in marks else " " * label), style="dim")
        line = Text().append_text(text).append(f" {upright}", style="dim")
        for sign, style in cells:
            line.append(sign, style=style)
        lines.append(line)
    best_row = row(best) if best is not None else 0
    lines[best_row].append(" best so far", style="dim")
    return [*lines, _axis(columns, step, each, label)]


def _range(values: Sequence[float], *, higher: bool) -> tuple[float, float]:
    """From the best to the worst that is no further from the quarter next to it than 3 times the middle half."""
    ordered = sorted(values)
    first, third = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    span = 3 * (third - first)
    if higher:
        return min(value for value in ordered if value >= first - span), ordered[-1]
    return ordered[0], max(value for value in ordered if value <= third + span)


def _axis(columns: int, step: int, each: int, label: int) -> Text:
    """Numbers of trials under their columns, as far as none touches another."""
    line, number = "", 0
    while (at := number * step // each) < columns - 1:
        text = str(number)
        if not line or at >= len(line) + 2:
            line = line.ljust(at) + text
        number += 1
    return Text(" " * (label + 3) + line + "  trial", style="dim")


# ------------------------------------------------------------------------------------------------------------ settings


def _settings(of: SearchSoFar, width: int, digits: int, glyphs: Glyphs) -> list[Text]:
    """The settings of the best, of the variant untuned and of what is being tried, with what came of them so far."""
    rows: list[tuple[str, str, Trial | None, Text]] = []
    if of.best is not None:
        rows.append(("best", "bold", of.best, Text(_number(of.best.value, digits, glyphs), style="bold")))
    if of.untuned is not None and of.untuned is not of.best:
        rows.append(("untuned", "", of.untuned, Text(_number(of.untuned.value, digits, glyphs))))
    for tried in of.trying:
        rows.append(("running", "", tried.trial, _now(tried.run, tried.best_had, digits, glyphs)))
    if not rows:
        return []
    keys = list(dict.fromkeys(key for *_, trial, _ in rows if trial for key in trial.settings))
    shown, cells = _fitting(rows, keys, width)
    metric = one_line(of.metric).replace("_", " ")
    body = [["", "", *shown.values()]] + [
        [what, f"trial {trial.number}" if trial else "", *(cells[trial.number, key] for key in shown)]
        for what, _, trial, _ in rows
        if trial
    ]
    widths = [max(cell_len(row[i]) for row in body) for i in range(len(body[0]))]
    lines = []
    for i, row in enumerate(body):
        text = GAP.join(
            cell.ljust(wide) if j < 2 else " " * (wide - cell_len(cell)) + cell
            for j, (cell, wide) in enumerate(zip(row, widths, strict=True))
        )
        line = Text(" ").append(text, style="dim" if i == 0 else rows[i - 1][1]).append(GAP)
        lines.append(line.append_text(Text(metric, style="dim") if i == 0 else rows[i - 1][3]))
    return lines


def _fitting(
    rows: Sequence[tuple[str, str, Trial | None, Text]], keys: Sequence[str], width: int
) -> tuple[dict[str, str], dict[tuple[int, str], str]]:
    """As many of the keys as there is room for, with their titles, and their cells by trial."""
    trials = [trial for *_, trial, _ in rows if trial]
    cells = {(trial.number, key): _short(trial.settings.get(key)) for trial in trials for key in keys}
    titles: dict[str, str] = {}
    room, ends = width - 60, [key.rpartition(".")[2] for key in keys]
    for key, end in zip(keys, ends, strict=True):
        title = one_line(end).replace("_", " ") if ends.count(end) == 1 else one_line(key)
        needs = len(GAP) + max([cell_len(title), *(cell_len(cells[trial.number, key]) for trial in trials)])
        if needs <= room or not titles:
            titles[key] = title
            room -= needs
    return titles, cells


def _short(value: Json) -> str:
    if value is None:
        return ""
    text = f"{value:.3g}" if isinstance(value, float) else one_line(str(value))
    return text if cell_len(text) <= 16 else set_cell_size(text, 15) + "…"


def _now(run: Running | None, best_had: float | None, digits: int, glyphs: Glyphs) -> Text:
    if run is None:
        return Text("waiting", style="dim")
    text = bar(run.step / run.steps, 6, glyphs).append(GAP) if run.steps else Text()
    text.append(progress(run))
    if run.value is not None:
        text.append(GAP + _number(run.value, digits, glyphs))
    if best_had is not None:
        text.append(f"{GAP}best had {_number(best_had, digits, glyphs)}", style="dim")
    return text
