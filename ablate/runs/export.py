"""Every run of a study with all its metrics, for a spreadsheet or for somebody's own analysis: CSV or JSON.

What `ablate export` prints. Read through the store's read side only; the same stored values give the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
from typing import get_args

from ablate.analysis import results
from ablate.errors import AblateError
from ablate.records import COSTS, Json, Role
from ablate.store.reader import Reader
from ablate.store.stored import StoredStudy


def text(
    store: Reader,
    study: str | None = None,
    format_: str = "csv",
    *,
    spreadsheet: bool = False,
    epochs: bool = False,
) -> str:
    """`export --format csv`: a header, then a line per (study, variant, seed), in several settings per (study, setting,
    variant, seed); `json`: a list of the same records.

    A metric that a run does not report, and every metric of a run that is not done, is empty (null). Runs that adaptive
    seeds do not need any more are left out. What a run cost (train_seconds, peak_mib) differs from one execution to the
    next: it is there where the study asks for it.

    spreadsheet: names that a spreadsheet would take for formulas are quoted for it. Not by default, for then what is
    exported and imported again would not be the same. epochs: a line for each run and step instead.
    """
    names, lines = (by_epoch if epochs else records)(store, store.find(study))
    if spreadsheet:
        names, lines = [_quoted(name) for name in names], [[_quoted(cell) for cell in line] for line in lines]
    if format_ == "json":
        named = [dict(zip(names, line, strict=True)) for line in lines]
        return json.dumps(named, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(lines)  # csv writes None as an empty field
    return out.getvalue()


def _quoted(cell: Json) -> Json:
    """A text that begins like a formula, behind the apostrophe by which spreadsheets mean text. Numbers stay."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def records(store: Reader, stored: StoredStudy) -> tuple[list[str], list[list[Json]]]:
    """The names of the columns, and of every cell of the study a value for each."""
    roles = get_args(Role)
    wanted = {stored.record.metric.name, *stored.record.also}
    measured: dict[tuple[str, int], dict[str, float]] = {}
    cells = store.cells(stored.name, roles)
    for variant, seed, name, value in store.values(cells):
        if name in wanted or name not in COSTS:
            measured.setdefault((variant, seed), {})[name] = value
    metrics = sorted({name for values in measured.values() for name in values})
    made: list[list[Json]] = []
    setting = {variant.name: variant.setting for variant in stored.record.variants}
    several = bool(stored.record.across)
    saved = results.load(store, stored.name).saved if stored.record.looks else frozenset()
    for cell in cells:
        if cell.run in saved:
            continue
        values = measured.get((cell.variant, cell.seed), {})
        there = setting.get(cell.variant, "")
        name = cell.variant.removeprefix(f"{there}/" if several else "")
        where = [cell.run, stored.name, *([there] * several), name, cell.seed, cell.role, cell.state, cell.reason]
        made.append([*where, cell.attempts, *(values.get(name) for name in metrics)])
    head = ["key", "study", *(["setting"] * several), "variant", "seed", "role", "state", "reason", "attempts"]
    return [*head, *metrics], made


def by_epoch(store: Reader, stored: StoredStudy) -> tuple[list[str], list[list[Json]]]:
    """The names of the columns, and of every step of every finished run what it reported. AblateError where no run
    reports anything step by step."""
    roles = get_args(Role)
    steps: dict[tuple[str, int, int], dict[str, float]] = {}
    of_study = store.cells(stored.name, roles)
    for variant, seed, name, step, value in store.curve_values(of_study):
        steps.setdefault((variant, seed, step), {})[name] = value
    if not steps:
        raise AblateError(f"no finished run of {stored.name} reports a number step by step.")
    metrics = sorted({name for values in steps.values() for name in values if name not in COSTS})
    cells = {(cell.variant, cell.seed): cell for cell in of_study}
    lines = [
        [cells[variant, seed].run, stored.name, variant, seed, cells[variant, seed].role, step]
        + [values.get(name) for name in metrics]
        for (variant, seed, step), values in steps.items()
    ]
    return ["key", "study", "variant", "seed", "role", "epoch", *metrics], lines
