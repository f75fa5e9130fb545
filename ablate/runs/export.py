"""Every run of a study with all its metrics, for a spreadsheet or for somebody's own analysis: CSV or JSON.

What `ablate export` prints. Read through the store's read side only; the same stored values give the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
from typing import get_args

from ablate.analysis import results
from ablate.records import COSTS, Json, Role
from ablate.store.reader import Reader, StoredStudy


def text(store: Reader, study: str | None = None, format_: str = "csv") -> str:
    """`export --format csv`: a header, then a line per (study, variant, seed); `json`: a list of the same records.

    A metric that a run does not report, and every metric of a run that is not done, is empty (null). Runs that adaptive
    seeds do not need any more are left out. What a run cost (train_seconds, peak_mib) differs from one execution to the
    next: it is there where the study asks for it.
    """
    names, records = _exported(store, results.find(store, study))
    if format_ == "json":
        named = [dict(zip(names, record, strict=True)) for record in records]
        return json.dumps(named, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(records)  # csv writes None as an empty field
    return out.getvalue()


def _exported(store: Reader, stored: StoredStudy) -> tuple[list[str], list[list[Json]]]:
    """The names of the columns, and of every cell of the study a value for each."""
    roles = get_args(Role)
    asked = {stored.resolved["metric"]["name"], *(stored.resolved.get("also") or ())}
    measured: dict[tuple[str, int], dict[str, float]] = {}
    for variant, seed, name, value in store.values(stored.name, None, roles):
        if name in asked or name not in COSTS:
            measured.setdefault((variant, seed), {})[name] = value
    metrics = sorted({name for values in measured.values() for name in values})
    records: list[list[Json]] = []
    adaptive = (stored.resolved.get("analysis") or {}).get("looks")
    saved = results.load(store, stored.name).saved if adaptive else frozenset()
    for cell in store.cells(stored.name, roles):
        if cell.run in saved:
            continue
        values = measured.get((cell.variant, cell.seed), {})
        where = [cell.run, stored.name, cell.variant, cell.seed, cell.role, cell.state, cell.reason, cell.attempts]
        records.append(where + [values.get(name) for name in metrics])
    return ["key", "study", "variant", "seed", "role", "state", "reason", "attempts", *metrics], records
