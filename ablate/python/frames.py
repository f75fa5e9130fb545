"""Results as data frames, their columns and kinds always the same: texts `string`, counts `Int64`, numbers `float64`.

A number that is not there is NaN, a text <NA>.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from ablate.analysis.results import Results
from ablate.records import Row
from ablate.runs import export
from ablate.store.reader import Reader

Kind = Literal["string", "Int64", "float64", "boolean"]

EFFECTS: Mapping[str, Kind] = {
    "design": "string", "variant": "string", "compared_with": "string", "tricks": "string", "pairs": "Int64",
    "effect": "float64", "ci_low": "float64", "ci_high": "float64", "p": "float64", "p_adjusted": "float64",
    "verdict": "string",
}  # fmt: skip
RUNS: Mapping[str, Kind] = {
    "key": "string", "study": "string", "variant": "string", "seed": "Int64", "role": "string", "state": "string",
    "reason": "string", "attempts": "Int64",
}  # fmt: skip
"""Beside these a column of each metric, `float64`."""
CURVES: Mapping[str, Kind] = {
    "variant": "string", "seed": "Int64", "metric": "string", "step": "Int64", "value": "float64",
}  # fmt: skip
PLAN: Mapping[str, Kind] = {"key": "string", "variant": "string", "seed": "Int64", "state": "string"}


def framed(rows: Iterable[Sequence[Any]], columns: Mapping[str, Kind]) -> pd.DataFrame:
    """Rows as a frame with these columns, whatever they hold, also where there is none."""
    listed = list(rows)
    made = {name: pd.array([row[i] for row in listed], dtype=kind) for i, (name, kind) in enumerate(columns.items())}
    return pd.DataFrame(made)


def effects(loaded: Results) -> pd.DataFrame:
    """A line for each comparison of the study: the row minus what it is compared with, in the metric's unit."""
    compared = (row for row in (*loaded.rows, *loaded.tuned_rows) if row.compared_with is not None)
    return framed(map(_effect, compared), EFFECTS)


def _effect(row: Row) -> tuple[Any, ...]:
    return (
        row.design, row.variant, row.compared_with, ", ".join(row.differs), row.pairs, row.delta, row.delta_ci_low,
        row.delta_ci_high, row.p, row.p_adjusted, row.judged or None,
    )  # fmt: skip


def runs(store: Reader, study: str) -> pd.DataFrame:
    """A line for each run, with all its metrics (`ablate export`)."""
    names, records = export.records(store, store.find(study))
    return framed(records, {name: RUNS.get(name, "float64") for name in names})


def curves(store: Reader, study: str, metrics: Sequence[str] | None) -> pd.DataFrame:
    """A line for each step of each finished run and metric."""
    rows = store.curve_values(study, metrics)
    return framed(((variant, seed, name, step, value) for variant, seed, name, step, value in rows), CURVES)


def table(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The lines of a table at full precision. A column's kind is that of the row's field, else of its values."""
    names = [name for name in lines[0] if name not in ("here", "examples")] if lines else []
    columns = {name: _kind(name, [line[name] for line in lines]) for name in names}
    return framed(([_cell(line[name]) for name in names] for line in lines), columns)


_KINDS: Mapping[str, Kind] = {"bool": "boolean", "int": "Int64", "float": "float64", "str": "string"}
_OF_ROW: Mapping[str, Kind] = {
    name: _KINDS[declared]
    for name, written in Row.__annotations__.items()
    if (declared := written.removesuffix(" | None")) in _KINDS
}


def _kind(name: str, values: Iterable[Any]) -> Kind:
    if name in _OF_ROW:
        return _OF_ROW[name]
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "boolean"
    return "Int64" if kinds == {int} else "float64" if kinds <= {int, float} else "string"


def _cell(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value) if isinstance(value, dict) else value
