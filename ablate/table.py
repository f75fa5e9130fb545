"""The contract of a table: rows and notes, ready to be drawn. Files in `tables/` turn them into text.

`TableData` is what every format shows. Nothing here computes a statistic; nothing here knows a format.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from ablate.records import Better, Json, Row
from ablate.registry import Plugin


@dataclass(frozen=True)
class TableData:
    """A table: rows in the plan's order (grouped by design), the metric's name and direction, and notes.

    alpha: the level of the tests. notes: sentences, in a fixed order. extra: views other than `variants` (a name and
    records, drawn as a plain grid).
    """

    study: str
    metric: str
    better: Better
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    unit: str = ""
    also: Mapping[str, Better] = field(default_factory=dict)
    minimum_effect: float | None = None


@dataclass(frozen=True)
class TableOptions:
    """How a table is drawn. digits: decimals of the metric (None: 2). caption and label: for LaTeX and HTML."""

    digits: int | None = None
    caption: str | None = None
    label: str | None = None
    standalone: bool = False


class Format(Plugin):
    """One output format."""

    @abstractmethod
    def render(self, data: TableData, options: TableOptions) -> str:
        """The table as text that ends in a newline. Equal data give equal bytes. Every name comes out as text: nothing
        in a study can inject markup."""


def as_json(data: TableData) -> dict[str, Json]:
    """`table --format json` (CONTRACT, "Machine-readable output"): full precision, null where n forbids a number."""
    from dataclasses import asdict

    rows = []
    for row in data.rows:
        record = asdict(row)
        record["tricks"] = list(row.tricks)
        rows.append(record)
    return {
        "study": data.study,
        "metric": data.metric,
        "better": data.better,
        "rows": rows,
        "notes": list(data.notes),
    }
