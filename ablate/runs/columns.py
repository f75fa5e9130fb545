"""The options of `ablate import`: which column of a file is what, held against each other and against the header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ablate.errors import AblateError
from ablate.records import Better, Json
from ablate.runs.csv_file import Table
from ablate.study.values import wrong_limits
from ablate.text import did_you_mean, one_of


@dataclass(frozen=True)
class Columns:
    """The command's options: which column is what. `variant`, `factors` or both: then the label names what the factors
    switch on. `mean`, `n` and one of `sd`, `se` and `ci` together; n may be a number. also: columns of further metrics,
    and which way each is better. state: how each run ended. where: only lines with this word in this column. empty:
    what an empty label or factor means. comments: whether lines below the header that begin with `#` are no runs.
    across: in which setting (data set, network) a line's run stands. limits: what of the metric counts as 0 and as 1,
    by setting; of the empty name, in all others."""

    metric: str
    better: Better
    variant: str | None = None
    baseline: str | None = None
    factors: tuple[str, ...] = ()
    seed: str | None = None
    mean: str | None = None
    sd: str | None = None
    n: str | None = None
    also: Mapping[str, Better] = field(default_factory=dict)
    comments: bool = False
    se: str | None = None
    ci: str | None = None
    state: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    empty: str | None = None
    minimum_effect: float | None = None
    across: str | None = None
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def spread(self) -> tuple[str, str]:
        """What the spread of a mean is, and its column; sd where none is given."""
        given = {"sd": self.sd, "se": self.se, "ci": self.ci}
        return next(((kind, column) for kind, column in given.items() if column is not None), ("sd", ""))

    @property
    def named(self) -> list[str]:
        """Every column that a run's numbers and name come from; of these a line's key is made."""
        summary = [name for name in (self.mean, self.spread[1], self.n) if name]
        others = [name for name in (self.across, self.variant, self.seed) if name is not None]
        return [*others, *self.factors, *(summary or [self.metric]), *self.also]

    @property
    def needed(self) -> list[str]:
        """Every column that must be in the file."""
        ends = [self.state] if self.state is not None else []
        return [*(name for name in self.named if not self._is_count(name)), *ends, *(name for name, _ in self.where)]

    def _is_count(self, name: str) -> bool:
        return name == self.n and name.isdecimal()

    def asked(self) -> dict[str, Json]:
        """What decides a line's values; the options that came later only where they are used, so that keys stay."""
        kind = self.spread[0]
        later = {"spread": kind if kind != "sd" else None, "state": self.state}
        return {
            "columns": self.named, "metric": self.metric,
            **{name: value for name, value in later.items() if value is not None},
        }  # fmt: skip


def check_options(columns: Columns) -> None:
    spreads = [name for name in (columns.sd, columns.se, columns.ci) if name is not None]
    summary = {"--mean": columns.mean, "--sd": columns.spread[1] or None, "--n": columns.n}
    if columns.variant is None and not columns.factors:
        raise AblateError(
            "name the variants by --variant COL (labels), by --factors COL,COL (0/1 or levels), or by both."
        )
    if any(summary.values()) and not all(summary.values()):
        missing = [option for option, column in summary.items() if column is None]
        raise AblateError(f"--mean, --sd (or --se, --ci) and --n go together; {one_of(missing)} is missing.")
    if len(spreads) > 1:
        raise AblateError("--sd, --se and --ci are three ways to give one thing; leave all but one out.")
    if columns.mean is not None and columns.seed is not None:
        raise AblateError("--seed names the seed of a single run, and --mean has none; leave one of them out.")
    if columns.minimum_effect is not None and not 0 < columns.minimum_effect < float("inf"):
        raise AblateError(f"--minimum-effect is {columns.minimum_effect:g}; it must be a number above 0.")
    if columns.limits and columns.across is None:
        raise AblateError("--limits is for settings, and no --across says in which a run stands.")
    for name, (worst, best) in columns.limits.items():
        if wrong := wrong_limits(worst, best, columns.better):
            raise AblateError(f"--limits is {f'{name}=' * bool(name)}{worst:g}:{best:g}; {wrong}.")


def check_header(table: Table, columns: Columns) -> None:
    for name in columns.needed:
        if table.header.count(name) > 1:
            raise AblateError(f"{table.file}, line {table.line}: two columns are called {name!r}.")
        if name not in table.header:
            raise AblateError(_no_column(table, name))
    named = columns.named
    if columns.mean == columns.spread[1]:  # `91.2 ± 0.2` is a mean and its spread in one column
        named.remove(columns.mean)
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise AblateError(f"column {twice!r} is named twice in the options; each is one thing.")


def _no_column(table: Table, name: str) -> str:
    header = table.header
    message = f"{table.file}, line {table.line}: no column is called {name!r}; there is {one_of(header)}."
    message += did_you_mean(name, header)
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        message += " Its cells must be separated by commas."
    if table.comments:
        message += f" Lines above that begin with # ({table.comments}) are taken for comments."
    return message
