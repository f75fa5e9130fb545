"""CSV: one line per row at full precision, for other programs. An empty field is a number that n forbids.

Names stand as they are, quoted where CSV asks for it; `tricks`, `differs` and `collapsed` are JSON lists and `failures`
a JSON object, so that no name can be mistaken for a separator. The notes are in the JSON twin only.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.tables.table import Format, TableData, TableOptions, ViewData, named, records


@dataclass(frozen=True)
class Csv(Format):
    """The rows of `table --format json`, `also` spread over a column for each mean and std."""

    endings: ClassVar[tuple[str, ...]] = (".csv",)

    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        every = records(data)
        parts = _parts(every)
        lines = [_flat(record, parts) for record in every]  # at full precision, whatever digits are asked for
        if options.columns and lines:
            lines = [{name: line[named(name, _names(line), "--columns")] for name in options.columns} for line in lines]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(lines[0] if lines else [])
        writer.writerows(map(_field, line.values()) for line in lines)
        return out.getvalue()


def _names(line: dict[str, Any]) -> dict[str, str]:
    return {name: name for name in line}


def _parts(every: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The parts of each estimate of a view. A row without it has the same columns, empty."""
    columns: dict[str, dict[str, None]] = {}
    for record in every:
        for name, value in record.items():
            if isinstance(value, dict) and name not in ("failures", "also"):
                columns.setdefault(name, {}).update(dict.fromkeys(value))
    return {name: list(parts) for name, parts in columns.items()}


def _flat(record: dict[str, Any], parts: dict[str, list[str]]) -> dict[str, Any]:
    """A record on one level: `also` as columns NAME_mean and NAME_std, a view's estimates as NAME_ci_low and so on."""
    also = record.pop("also", {})
    flat: dict[str, Any] = {}
    for name, value in record.items():
        spread = {f"{name}_{part}": (value or {}).get(part) for part in parts.get(name, ())}
        flat |= spread or {name: value}
    return flat | {
        f"{name}_{part}": value[part] for name, value in also.items() for part in ("mean", "std")
    }  # fmt: skip


def _field(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else value
