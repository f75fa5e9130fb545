"""One study's rows as a database of their own: plan, cells, runs, every attempt, values, curves and examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ablate.store import schema
from ablate.store.opened import parts
from ablate.store.reader import Reader
from ablate.store.store import Store

Row = Mapping[str, Any]
Change = Callable[[str, Row], Row]
"""What becomes of a row of a table on its way."""

IDENTITY = "evidence"


def extract(
    store: Reader,
    study: str,
    path: Path,
    change: Change = lambda _, row: row,
    look: Callable[[str, Row], None] = lambda _, row: None,  # noqa: ARG005
) -> None:
    """Write a study into a new SQLite file. Attempts that have not ended are left out: nothing of them is a result.
    look: sees every row before the first is changed."""
    rows = _rows(store, study)
    for table, of in rows.items():
        for row in of:
            look(table.name, row)
    with Store.open(path, write=True) as new, new._engine.begin() as connection:
        connection.execute(schema.identity.update().values(id=IDENTITY))
        for table, of in rows.items():
            changed = [dict(change(table.name, row)) for row in of]
            for start in range(0, len(changed), 1000):
                connection.execute(table.insert(), changed[start : start + 1000])


def _rows(store: Reader, study: str) -> dict[sa.Table, list[Row]]:
    """In an order that depends on what is stored alone."""
    cell, attempt = schema.cell.c, schema.attempt.c
    with store._reading() as connection:

        def some(table: sa.Table, column: sa.ColumnElement[Any], values: Sequence[Any]) -> list[Row]:
            order = list(table.primary_key.columns)
            return [
                dict(row._mapping)
                for part in parts(values)
                for row in connection.execute(sa.select(table).where(column.in_(part)).order_by(*order))
            ]

        cells = some(schema.cell, cell.study, [study])
        keys = sorted({row["run"] for row in cells})
        attempts = [row for row in some(schema.attempt, attempt.run, keys) if row["outcome"] is not None]
        ids = sorted(row["id"] for row in attempts)
        examples = some(schema.example, schema.example.c.attempt, ids)
        sets = sorted({row["examples"] for row in examples})
        return {
            schema.study: some(schema.study, schema.study.c.name, [study]),
            schema.run: some(schema.run, schema.run.c.key, keys),
            schema.cell: cells,
            schema.attempt: attempts,
            schema.metric: some(schema.metric, schema.metric.c.attempt, ids),
            schema.curve: some(schema.curve, schema.curve.c.attempt, ids),
            schema.example_set: some(schema.example_set, schema.example_set.c.fingerprint, sets),
            schema.example: examples,
            schema.test_use: some(schema.test_use, schema.test_use.c.study, [study]),
        }
