"""Results example by example in the database. What is kept, and what it means: training/examples.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ablate.store import schema
from ablate.store.stored import RunExamples
from ablate.training.examples import PARTS, Column, Examples, ExampleSet

AT_A_TIME = 50
"""Runs that are read in one go: 1 MB where each has a loss of 10,000 examples."""


_SET = f"""INSERT INTO example_set (fingerprint, {", ".join(f'"{name}"' for name in PARTS)}) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""
_COLUMN = """INSERT INTO example (attempt, metric, "at", examples, kind, factor, data) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (attempt, metric, "at") DO UPDATE SET
examples = excluded.examples, kind = excluded.kind, factor = excluded.factor, data = excluded.data"""


class Writing(Protocol):
    """What a store writes and reads with in a transaction, `?` for a value."""

    def _rows(self, connection: Connection, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]: ...
    def _each(self, connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None: ...


def keep(store: Writing, connection: Connection, attempt: int, told: Examples) -> None:
    """Keep what an attempt got right. What was kept of the same metrics is replaced."""
    known = "SELECT 1 FROM example_set WHERE fingerprint = ?"
    if not store._rows(connection, known, (told.fingerprint,)):
        of_set = told.whole()
        texts = [json.dumps(getattr(of_set, name), ensure_ascii=False) for name in PARTS]
        store._each(connection, _SET, [(told.fingerprint, *texts)])
    columns = [(attempt, c.metric, c.at, told.fingerprint, c.kind, c.factor, c.data) for c in told.columns]
    store._each(connection, _COLUMN, columns)


def of_runs(connection: Connection, keys: Sequence[str], metric: str, at: str) -> list[RunExamples]:
    """A metric of counted attempts in the order of `keys`, where it is kept."""
    query = _counted(*schema.example.c).where(schema.example.c.metric == metric, schema.example.c.at == at)
    rows = {row.key: row for row in connection.execute(query.where(schema.run.c.key.in_(keys)))}
    return [
        RunExamples(row.key, row.examples, Column(row.metric, row.at, row.kind, row.factor, row.data))
        for row in (rows[key] for key in keys if key in rows)
    ]


def there() -> sa.Select[Any]:
    """The query for (run, metric, at, set) of what is kept of counted attempts."""
    return _counted(schema.example.c.metric, schema.example.c.at, schema.example.c.examples)


def sets(connection: Connection, fingerprints: Sequence[str]) -> Iterator[tuple[str, ExampleSet]]:
    table = schema.example_set
    for row in connection.execute(sa.select(table).where(table.c.fingerprint.in_(fingerprints))):
        yield row.fingerprint, ExampleSet(**{name: tuple(json.loads(getattr(row, name))) for name in PARTS})


def _counted(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(schema.run.c.key, *columns).join(
        schema.example, schema.run.c.counted_attempt == schema.example.c.attempt
    )
