"""The contract of a table: rows and notes, and how they are laid out as cells. Files in `tables/` turn them into text.

`TableData` is what every format shows; `grid` lays it out once for the formats that people read, as plain text that
each format escapes. Nothing here computes a statistic; nothing here knows a format's syntax.
"""

from __future__ import annotations

import math
import re
import statistics
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import groupby

from ablate.records import AlsoValue, Better, Json, Row, percent
from ablate.registry import Plugin


@dataclass(frozen=True)
class TableData:
    """A table: rows in the plan's order (grouped by design), the metric's name, direction and unit, and notes.

    notes: sentences, in a fixed order. units: of the metric and of the further ones (`also`), by name, where known.
    """

    study: str
    metric: str
    better: Better
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    also: Mapping[str, Better] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

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
    """A number of a view, in the metric's unit, with its interval or its standard error. None: not known."""

    value: float | None
    low: float | None = None
    high: float | None = None
    se: float | None = None
    bold: bool = False


@dataclass(frozen=True)
class Chance:
    """A p-value of a view. why: what stands in its place where there is none."""

    p: float | None
    why: str = ""


@dataclass(frozen=True)
class ViewData:
    """Another way to look at a study: plain columns for people, records for programs.

    view: its name, under which JSON has the records; of: what it shows, for the caption. rows: names as text, numbers
    as Measure or Chance; numeric: which columns hold numbers.
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

    @property
    def title(self) -> str:
        return f"{self.study}: {self.of}"

    @property
    def anchor(self) -> str:
        return f"tab:{self.study}-{self.view}"


@dataclass(frozen=True)
class TableOptions:
    """How a table is drawn. digits: decimals of the metric (None: as many as show its spread).

    caption and label: for LaTeX and HTML. standalone: a whole document instead of a piece of one.
    """

    digits: int | None = None
    caption: str | None = None
    label: str | None = None
    standalone: bool = False


class Format(Plugin):
    """One output format."""

    @abstractmethod
    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        """The table as text that ends in a newline. Equal data give equal bytes. Every name comes out as text: nothing
        in a study can inject markup."""

    def text(self, text: str) -> str:
        """`text` as this format's markup that reads as `text`, on one line."""
        return one_line(text)


def as_json(data: TableData | ViewData) -> dict[str, Json]:
    """`table --format json` (CONTRACT, "Machine-readable output"): full precision, null where n forbids a number."""
    return {
        "study": data.study,
        "metric": data.metric,
        "better": data.better,
        "rows" if isinstance(data, TableData) else data.view: records(data),
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
    for name in ("tricks", "collapsed", "differs"):
        record[name] = list(record[name])
    record["also"] = {
        name: {"mean": value.mean, "std": value.std, "better": value.better} for name, value in row.also.items()
    }
    record["failures"] = dict(sorted(row.failures.items()))
    return record


# ----------------------------------------------------------------------------------------------------------------- grid


@dataclass(frozen=True)
class Cell:
    """What stands in one place. number: it holds numbers, so that a hyphen is a minus sign."""

    text: str
    number: bool = False
    bold: bool = False


@dataclass(frozen=True)
class Group:
    """The rows of one design. title: empty where the table has one group only."""

    title: str
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Grid:
    """A table as plain text: the first column names the row, numbers are to be aligned right."""

    header: tuple[str, ...]
    numeric: tuple[bool, ...]
    groups: tuple[Group, ...]


def one_line(text: str) -> str:
    """Text without control characters: whatever ends a line or steers a terminal becomes one space."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).strip()


def grid(data: TableData | ViewData, options: TableOptions) -> Grid:
    """`data` laid out for people. † marks failed runs, ‡ rows that differ from their comparison by several tricks,
    § rows that adaptive seeds stopped early. Bold is only what survives correction.
    """
    if isinstance(data, ViewData):
        return _view_grid(data, options)
    grouped = [(design, tuple(rows)) for design, rows in groupby(data.rows, lambda row: row.design)]
    against = [_compared_with(rows) for _, rows in grouped]
    several = any(len(names) > 1 for names in against)
    alone = against[0][0] if len(grouped) == 1 and len(against[0]) == 1 else None
    digits = decimals((row.mean for row in data.rows), (row.std for row in data.rows))
    digits = digits if options.digits is None else options.digits
    also = {
        name: decimals((row.also[name].mean for row in data.rows), (row.also[name].std for row in data.rows))
        for name in data.also
    }

    header = ["variant"] + ["vs"] * several + ["n", f"{_titled(data, data.metric, data.better)} (mean ± std)"]
    ci = f"({percent(max((row.confidence for row in data.rows), default=0.95))} CI)"
    header += [f"Δ vs {one_line(alone)} {ci}" if alone is not None else f"Δ {ci}", "p (Holm)", "verdict"]
    header += [_titled(data, name, better) for name, better in data.also.items()]
    numeric = [False] + [False] * several + [True, True, True, True, False] + [True] * len(data.also)

    groups = []
    for (design, rows), names in zip(grouped, against, strict=True):
        title = "" if len(grouped) == 1 else design if several or not names else f"{design} (Δ vs {names[0]})"
        cells = []
        for row in rows:
            versus = [Cell(one_line(row.compared_with or ""))] * several
            further = [Cell(_further(row.also[name], row.n, places), number=True) for name, places in also.items()]
            cells.append((_name(row), *versus, *_numbers(row, digits), *further))
        groups.append(Group(one_line(title), tuple(cells)))
    return Grid(tuple(header), tuple(numeric), tuple(groups))


def _view_grid(data: ViewData, options: TableOptions) -> Grid:
    measures = [shown for row in data.rows for shown in row if isinstance(shown, Measure)]
    spreads = (m.high - m.low if m.low is not None and m.high is not None else m.se for m in measures)
    digits = decimals((m.value for m in measures), spreads) if options.digits is None else options.digits
    rows = tuple(tuple(_view_cell(shown, digits) for shown in row) for row in data.rows)
    return Grid(tuple(map(one_line, data.header)), data.numeric, (Group("", rows),) if rows else ())


def _view_cell(shown: str | Measure | Chance, digits: int) -> Cell:
    if isinstance(shown, str):
        return Cell(one_line(shown))
    if isinstance(shown, Chance):
        return Cell(shown.why if shown.p is None else _chance(shown.p), number=True)
    if shown.value is None:
        return Cell("–", number=True)
    text = fixed(shown.value, digits, sign=True)
    if shown.low is not None and shown.high is not None:
        text += f" ({fixed(shown.low, digits, sign=True)} to {fixed(shown.high, digits, sign=True)})"
    elif shown.se is not None:
        text += f" ± {fixed(shown.se, digits)}"
    return Cell(text, number=True, bold=shown.bold)


def _compared_with(rows: Sequence[Row]) -> list[str]:
    """The names that these rows are compared with, in order."""
    return list(dict.fromkeys(row.compared_with for row in rows if row.compared_with is not None))


def _titled(data: TableData, name: str, better: Better) -> str:
    unit = f" ({data.units[name]})" if data.units.get(name) else ""
    return f"{one_line(name)}{unit} {'↑' if better == 'higher' else '↓'}"


def _name(row: Row) -> Cell:
    return Cell(one_line(row.label or row.variant) + (" ‡" if len(row.differs) > 1 else ""))


def _numbers(row: Row, digits: int) -> tuple[Cell, ...]:
    """n, mean ± std, delta with its interval, adjusted p, verdict."""
    done = str(row.n) if row.n == row.planned else f"{row.n}/{row.planned}"
    survives = row.verdict in ("helps", "hurts")
    return (
        Cell(done + "†" * bool(row.failed) + "§" * row.stopped_early, number=True),
        Cell(_mean(row, digits), number=True),
        Cell(_delta(row, digits), number=True, bold=survives),
        Cell(_p(row), number=True),
        Cell(_verdict(row), bold=survives),
    )


def _mean(row: Row, digits: int) -> str:
    if row.mean is None:
        return "–"
    if row.n == 1:
        return f"{fixed(row.mean, digits)} (n=1)"
    if row.n == 2 and row.low is not None and row.high is not None:
        return f"{fixed(row.low, digits)} to {fixed(row.high, digits)} (n=2)"
    return (
        f"{fixed(row.mean, digits)} ± {fixed(row.std, digits)}" if row.std else f"{fixed(row.mean, digits)} (identical)"
    )


def _delta(row: Row, digits: int) -> str:
    if row.delta is None:
        return "–" if row.compared_with is not None else ""
    text = fixed(row.delta, digits, sign=True)
    if row.delta_ci_low is not None and row.delta_ci_high is not None:
        low, high = (fixed(bound, digits, sign=True) for bound in (row.delta_ci_low, row.delta_ci_high))
        return f"{text} ({low} to {high})"
    if row.pairs == 2 and row.delta_low is not None and row.delta_high is not None:
        return f"{fixed(row.delta_low, digits, sign=True)} to {fixed(row.delta_high, digits, sign=True)} (n=2)"
    return f"{text} (n=1)" if row.pairs == 1 else text


def _p(row: Row) -> str:
    if row.p_adjusted is not None:
        return _chance(row.p_adjusted)
    if row.delta is None:
        return ""
    if row.look == 0:
        return "–"
    if row.identical:
        return "identical"
    return "no spread" if row.no_spread else "n<3"


def _chance(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _verdict(row: Row) -> str:
    if row.verdict == "inconclusive" and row.more_seeds is not None:
        return f"inconclusive (+{row.more_seeds} seed{'s' if row.more_seeds > 1 else ''})"
    return row.verdict or ""


def _further(value: AlsoValue, n: int, digits: int) -> str:
    if value.mean is None:
        return "–"
    if not value.std:
        return fixed(value.mean, digits)
    if n == 2:
        half = value.std / math.sqrt(2)  # of two values: half their distance
        return f"{fixed(value.mean - half, digits)} to {fixed(value.mean + half, digits)} (n=2)"
    return f"{fixed(value.mean, digits)} ± {fixed(value.std, digits)}"


def decimals(means: Iterable[float | None], stds: Iterable[float | None]) -> int:
    """As many decimals as show two digits of the median standard deviation, 0 to 8; 0 for whole numbers, else 2."""
    whole = [mean for mean in means if mean is not None]
    spread = [std for std in stds if std]
    if not spread:
        return 0 if whole and all(mean == int(mean) for mean in whole) else 2
    return min(max(1 - math.floor(math.log10(statistics.median(spread))), 0), 8)


def fixed(value: float, digits: int, *, sign: bool = False) -> str:
    """A number with its decimals; never `-0.00`. Numbers too large or too small for that get an exponent."""
    size = abs(value)
    if size >= 1e9 or (size > 0 and digits >= 8 and size < 10 ** (1 - digits)):
        return f"{value:+.3g}" if sign else f"{value:.3g}"
    text = f"{value:.{digits}f}"
    text = text.removeprefix("-") if float(text) == 0 else text
    return "+" + text if sign and float(text) > 0 else text
