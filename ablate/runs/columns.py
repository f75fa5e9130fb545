"""The options of `ablate import`: which column of a file is what, held against each other and against the header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ablate.errors import AblateError
from ablate.records import Better
from ablate.runs.csv_file import Table
from ablate.text import did_you_mean, one_of


@dataclass(frozen=True)
class Columns:
    """The command's options: which column is what. `variant`, `factors` or both: then the label names what the factors
    switch on. `mean`, `sd` and `n` together. also: columns of further metrics, and which way each is better.
    comments: whether lines below the header that begin with `#` are no runs."""

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

    @property
    def named(self) -> list[str]:
        """Every column that must be in the file."""
        summary = [name for name in (self.mean, self.sd, self.n) if name is not None]
        others = [name for name in (self.variant, self.seed) if name is not None]
        return [*others, *self.factors, *(summary or [self.metric]), *self.also]


def check_options(columns: Columns) -> None:
    summary = {"--mean": columns.mean, "--sd": columns.sd, "--n": columns.n}
    if columns.variant is None and not columns.factors:
        raise AblateError(
            "name the variants by --variant COL (labels), by --factors COL,COL (0/1 or levels), or by both."
        )
    if any(summary.values()) and not all(summary.values()):
        missing = [option for option, column in summary.items() if column is None]
        raise AblateError(f"--mean, --sd and --n go together; {one_of(missing)} is missing.")
    if columns.mean is not None and columns.seed is not None:
        raise AblateError("--seed names the seed of a single run, and --mean has none; leave one of them out.")


def check_header(table: Table, columns: Columns) -> None:
    header = table.header
    for name in columns.named:
        if header.count(name) > 1:
            raise AblateError(f"{table.file}, line {table.line}: two columns are called {name!r}.")
        if name not in header:
            raise AblateError(_no_column(table, name))
    if len(set(columns.named)) < len(columns.named):
        twice = next(name for name in columns.named if columns.named.count(name) > 1)
        raise AblateError(f"column {twice!r} is named twice in the options; each is one thing.")


def _no_column(table: Table, name: str) -> str:
    header = table.header
    said = f"{table.file}, line {table.line}: no column is called {name!r}; there is {one_of(header)}."
    said += did_you_mean(name, header)
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        said += " Its cells must be separated by commas."
    if table.comments:
        said += f" Lines above that begin with # ({table.comments}) are taken for comments."
    return said
