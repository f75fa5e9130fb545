"""The form of a database's tables: which it has; made where there are none, brought up to today's where it is older.

The form stands in the table `schema_version`, which every release has read since the first. An older database lacks
some of the revisions in `migrations/`; they are applied one after the other, in one transaction, so that a kill leaves
the old form whole. Alembic orders the revisions and changes the tables, and keeps no table of its own. It is loaded
when a database is older, and at no other time.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ablate.errors import NoDatabaseError, StoreError
from ablate.store import schema
from ablate.text import in_words, listed, many

FOLDER = Path(__file__).parent / "migrations"
FIRST = frozenset({"schema_version", "study", "cell", "run", "attempt"})
"""Tables that every form of the database has."""


def check(engine: Engine, shown: str, write: bool) -> None:
    """See that the tables have today's form, and where `write` give it to them. StoreError where they are of no use."""
    try:
        version = checked(engine, shown, write)
    except NoDatabaseError:
        if not write:
            raise
        _create(engine)
        return
    if version < schema.SCHEMA_VERSION:
        if not write:
            raise StoreError(
                f"{_older(shown, version)}. `ablate migrate` brings it up to date, and so does the next `ablate run`."
            )
        _migrate(engine, shown)


def checked(engine: Engine, shown: str, write: bool) -> int:
    """The form that the tables have. StoreError: there are none, they are another program's, or too new to write."""
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        names = {*inspector.get_table_names(), *inspector.get_view_names()}
    if engine.dialect.name != "sqlite":  # a server's database may be shared with other programs, a file is not
        names &= set(schema.tables.tables)
    if not names:  # a dispatcher has made the file and is about to fill it
        raise NoDatabaseError(f"there is no database at {shown} yet: it is empty; `ablate run STUDY` fills it.")
    version = None
    if names >= FIRST:
        with engine.connect() as connection:
            version = _version(connection)
    if not isinstance(version, int):
        raise StoreError(
            f"{shown} is a database, but not one of ablate's: it holds {listed(sorted(names), most=5)}. It was left as "
            "it is; --db names another."
        )
    if version > schema.SCHEMA_VERSION and write:
        raise StoreError(
            f"{shown} was written by a newer ablate (schema {version}; this one: {schema.SCHEMA_VERSION}). "
            "It can be read, not written: upgrade ablate, or name another file with --db."
        )
    return version


def _version(connection: Connection) -> Any:
    """The number in `schema_version`; another program's table of that name may hold anything."""
    return connection.execute(sa.select(sa.func.max(schema.version.c.version))).scalar_one()


def _older(shown: str, version: int) -> str:
    return f"{shown} was written by an older ablate (schema {version}; this one: {schema.SCHEMA_VERSION})"


def _create(engine: Engine) -> None:
    with schema.alone(engine) as connection:
        if not sa.inspect(connection).has_table("schema_version"):
            schema.tables.create_all(connection, checkfirst=False)
            connection.execute(schema.version.insert().values(version=schema.SCHEMA_VERSION))
            connection.execute(schema.identity.insert().values(id=secrets.token_hex(4)))


def _migrate(engine: Engine, shown: str) -> None:
    with schema.alone(engine) as connection:
        version = _version(connection)
        if version >= schema.SCHEMA_VERSION:
            return  # another process was first
        a = schema.attempt.c
        living = a.outcome.is_(None) & (a.lease_until >= sa.literal_column(schema.clock(engine), sa.Float))
        hosts = list(connection.execute(sa.select(a.host).where(living)).scalars())
        if hosts:  # their dispatcher knows the old form only
            raise StoreError(
                f"{_older(shown, version)}, and still executes {many(len(hosts), 'run')} on "
                f"{in_words(sorted(set(hosts)))}. Wait for it or stop it, then give the same command again."
            )
        apply(connection, version)


# ---------------------------------------------------------------------------------------------------------- revisions


def apply(connection: Connection, since: int) -> None:
    """Bring the tables from the form `since` (0: there are none) to today's, in the connection's own transaction."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    # SQLite can undo a change of a table. Alembic takes it for a database that cannot, for pysqlite by itself begins a
    # transaction only before the first change of a row; here the caller has begun it.
    context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
    with Operations.context(context):
        for revision in revisions(since, schema.SCHEMA_VERSION):
            revision.upgrade()
    connection.execute(schema.version.delete())
    connection.execute(schema.version.insert().values(version=schema.SCHEMA_VERSION))


def revisions(since: int = 0, to: int | None = None) -> Iterator[ModuleType]:
    """The revision files above the form `since`, up to `to` or all that there are, the oldest first."""
    from alembic.script import ScriptDirectory

    shelf = ScriptDirectory(str(FOLDER), version_locations=[str(FOLDER)])
    newest, oldest = "head" if to is None else f"{to:04d}", f"{since:04d}" if since else "base"
    newest_first = shelf.iterate_revisions(newest, oldest)
    yield from (script.module for script in reversed(list(newest_first)))
