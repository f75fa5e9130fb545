"""Results example by example in the database. What is kept, and what it means: training/examples.py."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ablate.store import schema
from ablate.store.stored import RunExamples
from ablate.training.examples import PARTS, Column, Examples, ExampleSet

AT_A_TIME = 50
"""Runs that are read in one go: 1 MB where each has a loss of 10,000 examples."""


def keep(connection: Connection, insert: Callable[[sa.Table], Any], attempt: int, examples: Examples) -> None:
    """Keep what an attempt got right. What was kept of the same metrics is replaced. insert: the database's own."""
    known = schema.example_set.c.fingerprint
    if connection.execute(sa.select(known).where(known == examples.fingerprint)).first() is None:
        of_set = examples.whole()
        texts = {name: json.dumps(getattr(of_set, name), ensure_ascii=False) for name in PARTS}
        row = {"fingerprint": examples.fingerprint, **texts}
        connection.execute(insert(schema.example_set).on_conflict_do_nothing(), row)
    rows = [{"attempt": attempt, "examples": examples.fingerprint, **vars(column)} for column in examples.columns]
    kind: Any = type(insert(schema.example))
    connection.execute(_replacing(kind), rows)


@functools.cache
def _replacing(kind: Any) -> Any:
    """An insert of columns that replaces those that are there. Made once: it takes longer than its execution."""
    statement = kind(schema.example)
    new = {name: statement.excluded[name] for name in ("examples", "kind", "factor", "data")}
    return statement.on_conflict_do_update(index_elements=["attempt", "metric", "at"], set_=new)


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
