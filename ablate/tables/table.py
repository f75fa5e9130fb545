"""The contract of a table: rows and notes, in which order, and as records. Files in `tables/` turn them into text.

`TableData` is what every format shows; grid.py lays it out for the formats that people read. Nothing here computes a
statistic; nothing here knows a format's syntax.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain, groupby
from typing import ClassVar, TypeVar

from ablate.errors import AblateError
from ablate.records import Better, Json, Row
from ablate.registry import Plugin
from ablate.text import did_you_mean, one_line, one_of


@dataclass(frozen=True)
class Switch:
    """A trick as a column of ticks. levels: empty where it is on or off."""

    name: str
    label: str = ""
    category: str = ""
    levels: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.label or self.name

    def shown(self, tricks: Sequence[str]) -> str:
        """What stands in its column for a variant with these tricks on: a tick, a level's name, or nothing."""
        if not self.levels:
            return "✓" if self.name in tricks else ""
        return next((level for level in self.levels if f"{self.name}={level}" in tricks), "")


@dataclass(frozen=True)
class TableData:
    """A table: rows in the plan's order (grouped by design), the metric's name, direction and unit, and notes.

    notes: sentences, in a fixed order. units: of the metric and of the further ones (`also`), by name, where known.
    switches: the study's tricks. matrix: they are columns with ticks. best: of a metric, the variant whose mean is the
    best and is known to be. minimum_effect: the study's smallest effect that matters, in the metric's unit.
    stages: of tricks that are parts of the network, which of them stand together (stages.py).
    differences: of a comparison (variant, compared_with) each shared seed's, where single runs are known.
    speaks_of: what verdicts, p and intervals speak of, `seeds` or `seeds_and_examples`; speaks_of_why: why of seeds
    alone.
    """

    study: str
    metric: str
    better: Better
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    also: Mapping[str, Better] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    switches: tuple[Switch, ...] = ()
    matrix: bool = False
    best: Mapping[str, str] = field(default_factory=dict)
    minimum_effect: float | None = None
    stages: Mapping[str, str] = field(default_factory=dict)
    differences: Mapping[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)
    speaks_of: str = "seeds"
    speaks_of_why: str = ""

    @property
    def title(self) -> str:
        """What a caption says where none is given."""
        return f"{self.study}: ablation by {self.metric}"

    @property
    def anchor(self) -> str:
        """What LaTeX's \\ref calls it where no label is given."""
        return f"tab:{self.study}"


@dataclass(frozen=True)
class Measure:
    """A number of a view, in the metric's unit, with its interval or its standard error. None: not known. mark: what
    stands behind it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    se: float | None = None
    bold: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Chance:
    """A p-value of a view. why: what stands in its place where there is none."""

    p: float | None
    why: str = ""


@dataclass(frozen=True)
class ViewData:
    """Another way to look at a study: plain columns for people, records for programs.

    view: its name, under which JSON has the records; of: what it shows, for the caption. rows: names as text, numbers
    as Measure or Chance; numeric: which columns hold numbers. spans: titles over columns next to each other: title,
    first column, how many. key: under which JSON has the records, where it is not the view's name; more: what else it
    has. long: it may take more than a page.
    """

    view: str
    of: str
    study: str
    metric: str
    better: Better
    header: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str | Measure | Chance, ...], ...]
    records: tuple[Mapping[str, Json], ...]
    notes: tuple[str, ...] = ()
    spans: tuple[tuple[str, int, int], ...] = ()
    key: str = ""
    more: Mapping[str, Json] = field(default_factory=dict)
    long: bool = False

    @property
    def title(self) -> str:
        return f"{self.study}: {self.of}"

    @property
    def anchor(self) -> str:
        return f"tab:{self.study}-{self.view}"


@dataclass(frozen=True)
class TableOptions:
    """How a table is drawn. digits: decimals of the metric (None: as many as show its spread).

    columns: the names of those to show, in that order; empty: the view's own. caption and label: for LaTeX and HTML.
    standalone: a whole document instead of a piece of one.
    """

    digits: int | None = None
    caption: str | None = None
    label: str | None = None
    standalone: bool = False
    columns: tuple[str, ...] = ()


class Format(Plugin):
    """One output format. endings: of files that hold a table in it."""

    endings: ClassVar[tuple[str, ...]] = ()
    preamble: ClassVar[str] = ""
    """What a document has to begin with that holds `text` of this format outside a table."""

    @abstractmethod
    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        """The table as text that ends in a newline. Equal data give equal bytes. Every name comes out as text: nothing
        in a study can inject markup."""

    def text(self, text: str) -> str:
        """`text` as this format's markup that reads as `text`, on one line."""
        return one_line(text)


# -------------------------------------------------------------------------------------------------------------- records


def as_json(data: TableData | ViewData) -> dict[str, Json]:
    """`table --format json` (CONTRACT, "Machine-readable output"): full precision, null where n forbids a number."""
    return {
        "study": data.study,
        "metric": data.metric,
        "better": data.better,
        "rows" if isinstance(data, TableData) else data.key or data.view: records(data),
        **({"speaks_of": data.speaks_of, "speaks_of_why": data.speaks_of_why} if isinstance(data, TableData) else {}),
        **({} if isinstance(data, TableData) else data.more),
        "notes": list(data.notes),
    }


def records(data: TableData | ViewData) -> list[dict[str, Json]]:
    """The table's rows as JSON can hold them."""
    if isinstance(data, ViewData):
        return [dict(record) for record in data.records]
    return [_record(row) for row in data.rows]


def _record(row: Row) -> dict[str, Json]:
    """A row as JSON can hold it (dataclasses.asdict copies deeply: a third of the time of a table of 1,000 rows)."""
    record: dict[str, Json] = {item.name: getattr(row, item.name) for item in fields(row)}
    for name in ("here", "examples"):
        record[name] = None if record[name] is None else dict(vars(record[name]))
    for name in ("tricks", "collapsed", "differs"):
        record[name] = list(record[name])
    record["also"] = {
        name: {"mean": value.mean, "std": value.std, "better": value.better} for name, value in row.also.items()
    }
    record["failures"] = dict(sorted(row.failures.items()))
    return record


def flat(data: TableData | ViewData, columns: Sequence[str] = ()) -> list[dict[str, Json]]:
    """The records on one level, all with the same names: `also` as NAME_mean and NAME_std, a view's estimates as
    NAME_ci_low and so on. columns: only these, in this order."""
    every = [_one_level(record) for record in records(data)]
    parts = _parts(every)
    lines = [_flat(record, parts) for record in every]
    if columns and lines:
        names = {name: name for name in lines[0]}
        lines = [{name: line[named(name, names, "--columns")] for name in columns} for line in lines]
    return lines


def _one_level(record: Mapping[str, Json]) -> dict[str, Json]:
    """A record without mappings of mappings: `settings: {digits: {...}}` as `settings_digits: {...}`."""
    flat: dict[str, Json] = {}
    for name, value in record.items():
        nested = name != "also" and isinstance(value, dict) and any(isinstance(part, dict) for part in value.values())
        flat |= {f"{name}_{key}": part for key, part in value.items()} if nested else {name: value}
    return flat


def _parts(every: Sequence[Mapping[str, Json]]) -> dict[str, list[str]]:
    """The parts of each estimate of a view. A row without it has the same columns, empty."""
    columns: dict[str, dict[str, None]] = {}
    for record in every:
        for name, value in record.items():
            if isinstance(value, dict) and name not in ("failures", "also"):
                columns.setdefault(name, {}).update(dict.fromkeys(value))
    return {name: list(parts) for name, parts in columns.items()}


def _flat(record: Mapping[str, Json], parts: Mapping[str, Sequence[str]]) -> dict[str, Json]:
    line: dict[str, Json] = {}
    for name, value in record.items():
        if name != "also":
            spread = {f"{name}_{part}": (value or {}).get(part) for part in parts.get(name, ())}
            line |= spread or {name: value}
    also = record.get("also", {})
    return line | {f"{name}_{part}": value[part] for name, value in also.items() for part in ("mean", "std")}


# ---------------------------------------------------------------------------------------------------- columns and order

T = TypeVar("T")

CORE = ("variant", "vs", "n", "delta", "p", "verdict")
"""Columns of a table besides its metrics and tricks."""


def column_names(data: TableData) -> dict[str, str]:
    """How `--columns` and `--sort` call the columns of metrics and tricks: by their own names, prefixed where a column
    has that name already. The name as `metric:X`, `also:X` or `trick:X` -> the column's."""
    names: dict[str, str] = {}
    own = [("metric", data.metric), *(("also", name) for name in data.also)]
    for kind, name in own + [("trick", switch.name) for switch in data.switches]:
        taken = name in CORE or name in names.values()
        names[f"{kind}:{name}"] = f"{kind}:{name}" if taken else name
    return names


def named(column: str, columns: Mapping[str, T], option: str) -> T:
    """The column that `--columns` or `--sort` calls `asked`."""
    if column in columns:
        return columns[column]
    hint = " `--view cost` has it." if column in OF_COST else did_you_mean(column, list(columns))
    raise AblateError(f"{option}: no column is called {column!r}; there is {one_of(columns)}.{hint}")


OF_COST = ("cpu_hours", "gpu_hours", "energy_kwh", "flops")
"""Columns that a view of their own has, for they are no metrics."""


def view_columns(data: ViewData) -> dict[str, int]:
    """The columns of a view by name: their titles, without what stands in parentheses where one is left alone so."""
    short = [re.sub(r" \(.*\)$", "", title) for title in data.header]
    names = (s if short.count(s) == 1 else title for s, title in zip(short, data.header, strict=True))
    return {name: i for i, name in enumerate(names)}


Known = tuple[int, float, str]
"""What a row is sorted by: -1 first, 0 by the number or the text that follow, 1 last."""


def sort_keys(data: TableData) -> dict[str, Callable[[Row], Known]]:
    """By which columns the rows of a table can be sorted, and how; the best, the surest, the most come first."""
    sign = -1 if data.better == "higher" else 1

    def number(value: float | None, better: int, *, first: bool = False) -> Known:
        return (-1 if first else 1, 0.0, "") if value is None else (0, better * value, "")

    def of(name: str) -> Callable[[Row], Known]:
        up = -1 if data.also[name] == "higher" else 1
        return lambda row: number(row.also[name].mean, up)

    def ticks(switch: Switch) -> Callable[[Row], Known]:
        return lambda row: (0, float(switch.shown(row.tricks) == ""), switch.shown(row.tricks))

    # A row that is compared with nothing is the one that the others are held against: it stays on top.
    names = column_names(data)
    return {
        "variant": lambda row: (0, 0.0, row.label or row.variant),
        "n": lambda row: number(row.n, -1),
        names[f"metric:{data.metric}"]: lambda row: number(row.mean, sign),
        "delta": lambda row: number(row.delta, sign, first=row.compared_with is None),
        "p": lambda row: number(row.p_adjusted, 1, first=row.compared_with is None),
        "verdict": lambda row: (0, 0.0, row.verdict or ""),
        **{names[f"also:{name}"]: of(name) for name in data.also},
        **{names[f"trick:{switch.name}"]: ticks(switch) for switch in data.switches},
    }


def arranged(data: TableData | ViewData, sort: str | None) -> TableData | ViewData:
    """The rows by a column, best first, each within its design; `-NAME` turns that around. Ties keep their order.

    None, "plan": as they are. What is missing comes last either way.
    """
    if sort is None or sort == "plan":
        return data
    if isinstance(data, ViewData):
        return _arranged_view(data, sort)
    keys = sort_keys(data)
    down = sort not in keys and sort.startswith("-")
    by = named(sort.removeprefix("-") if down else sort, keys, "--sort")
    groups = (_sorted(rows, by, down) for _, rows in groupby(data.rows, lambda row: row.design))
    return replace(data, rows=tuple(chain.from_iterable(groups)))


def _sorted(rows: Iterable[T], by: Callable[[T], Known], down: bool) -> list[T]:
    every = [(by(row), row) for row in rows]
    middle = [pair for pair in every if pair[0][0] == 0]
    middle.sort(key=lambda pair: pair[0], reverse=down)  # equals keep their order when it reverses, too
    first = [pair for pair in every if pair[0][0] < 0]
    last = [pair for pair in every if pair[0][0] > 0]
    return [row for _, row in (*first, *middle, *last)]


def _arranged_view(data: ViewData, sort: str) -> ViewData:
    columns = view_columns(data)
    down = sort not in columns and sort.startswith("-")
    at = named(sort.removeprefix("-") if down else sort, columns, "--sort")
    sign = -1 if data.better == "higher" else 1

    def by(i: int) -> Known:
        shown = data.rows[i][at]
        if isinstance(shown, str):
            return (0, float(shown), "") if re.fullmatch(r"\d{1,9}", shown) else (0, 0.0, shown)
        value = shown.p if isinstance(shown, Chance) else shown.value
        return (1, 0.0, "") if value is None else (0, value if isinstance(shown, Chance) else sign * value, "")

    order = _sorted(range(len(data.rows)), by, down)
    rows = tuple(data.rows[i] for i in order)
    return replace(data, rows=rows, records=tuple(data.records[i] for i in order))
