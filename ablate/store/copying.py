"""A whole database copied into an empty one: from a SQLite file to PostgreSQL, or back.

Everything that was stored comes along, with its ids and its identity; the runs' files stay where they lie. Where they
lie is written as the target writes it: from a file's own folder, or as a whole path on a server.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ablate.errors import StoreError
from ablate.store import schema
from ablate.store.store import Store
from ablate.text import many

AT_A_TIME = 500
"""Rows of one statement: of the widest table well below the parameters that a database takes."""


def copy(source: Store, target: Store) -> dict[str, int]:
    """How many rows of each table were copied. StoreError where runs are at work, or the target holds a study."""
    live = len(source.live())
    if live:
        raise StoreError(
            f"{source.shown}: {many(live, 'run')} queued, at work or not collected yet; `ablate status STUDY` says "
            "where, `ablate run` goes on with them, `ablate stop` cancels what was left."
        )
    if target.studies():
        raise StoreError(f"{target.shown} holds studies; it must be a new one.")
    copied: dict[str, int] = {}
    with source._reading() as reading, target.transaction() as writing:
        for table in schema.tables.sorted_tables:
            if table is schema.version:
                continue
            if table is schema.identity:
                writing.execute(table.delete())
            rows = reading.execution_options(yield_per=AT_A_TIME).execute(sa.select(table))
            count = 0
            for part in rows.mappings().partitions(AT_A_TIME):
                writing.execute(table.insert(), [_row(table, dict(row), source, target) for row in part])
                count += len(part)
            copied[table.name] = count
            _go_on_counting(writing, table)
    return copied


def _row(table: sa.Table, row: dict[str, Any], source: Store, target: Store) -> dict[str, Any]:
    if table is schema.attempt and row["log"]:
        row["log"] = target.log_of(source.path_of(row["log"]).resolve())
    return row


def _go_on_counting(connection: Connection, table: sa.Table) -> None:
    """A server numbers rows by a counter of its own, which rows that bring their numbers do not move."""
    if connection.dialect.name != "postgresql" or "id" not in table.c or not isinstance(table.c.id.type, sa.Integer):
        return
    most = connection.execute(sa.select(sa.func.max(table.c.id))).scalar()
    if most is not None:
        counter = sa.func.pg_get_serial_sequence(table.name, "id")
        connection.execute(sa.select(sa.func.setval(counter, most)))
