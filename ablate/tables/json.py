"""JSON: `{study, metric, better, rows, notes}`, numbers at full precision, null where n forbids one."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ablate.table import Format, TableData, TableOptions, ViewData, as_json


@dataclass(frozen=True)
class Json(Format):
    """The machine-readable twin of the table."""

    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        del options  # full precision has no digits, and JSON no caption
        return json.dumps(as_json(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
