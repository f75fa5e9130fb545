"""JSON: `{study, metric, better, rows, notes}`, numbers at full precision, null where n forbids one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from ablate.errors import AblateError
from ablate.tables.table import Format, TableData, TableOptions, ViewData, as_json


@dataclass(frozen=True)
class Json(Format):
    """The machine-readable twin of the table."""

    endings: ClassVar[tuple[str, ...]] = (".json",)

    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        if options.columns:  # digits and captions mean nothing here, but a program that asks for columns is mistaken
            raise AblateError("--columns chooses what people see; JSON always has every field.")
        return json.dumps(as_json(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
