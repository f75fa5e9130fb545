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

from ablate.tables.table import Format, TableData, TableOptions, ViewData, flat


@dataclass(frozen=True)
class Csv(Format):
    """The rows of `table --format json`, `also` spread over a column for each mean and std."""

    endings: ClassVar[tuple[str, ...]] = (".csv",)

    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        lines = flat(data, options.columns)  # at full precision, whatever digits are asked for
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(lines[0] if lines else [])
        writer.writerows(map(_field, line.values()) for line in lines)
        return out.getvalue()


def _field(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else value
