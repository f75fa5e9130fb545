"""An open database: its connection, its name, and where its runs' files lie. What is read: studies.py and reader.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ablate.errors import StoreError
from ablate.records import Json
from ablate.store import schema

T = TypeVar("T")


class Opened:
    """An open database, to be read. `folder`: where its runs' files lie; `shown`: its name without any password;
    `network`: the kind of network file system that the file lies on, if it does."""

    def __init__(self, engine: Engine, folder: Path, shown: str, network: str | None = None) -> None:
        self._engine = engine
        self._joined: Connection | None = None
        self._last_writer: str | None = None
        self._foreign = 0
        self.folder = folder
        self.shown = shown
        self.network = network

    @property
    def _is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._joined is not None:
            yield self._joined
            return
        with schema.explained(self.shown), self._engine.connect() as connection:
            if not self._is_sqlite:  # one snapshot for all statements, as SQLite gives anyway
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Whatever is read inside is of one moment. Nothing is to be written there."""
        if self._joined is not None:
            yield
            return
        with self._reading() as connection:
            self._joined = connection
            try:
                yield
            finally:
                self._joined = None

    def version(self) -> object:
        """Another value than before, whenever another connection has committed since; our own commits change nothing.

        SQLite counts the commits of others that a connection sees (`PRAGMA data_version`). The number means nothing to
        another connection, so it goes with something that only this one has. On a server every writer touches one row,
        and the system says which transaction did it last. Writers take turns (schema.WRITERS) and each of ours asks
        whom it follows (`_follows`), so none can come in between unseen: it would have left its number there."""
        with schema.explained(self.shown), ExitStack() as stack:
            connection = self._joined or stack.enter_context(self._engine.connect())
            if self._is_sqlite:
                # Of the driver: SQLAlchemy would begin a transaction first, which takes the lock of writers.
                (commits,) = connection.connection.cursor().execute("PRAGMA data_version").fetchone()
                return connection.info.setdefault("ablate", object()), commits
            self._follows(connection.execute(schema.LAST_WRITER).scalar_one())
            return self._foreign

    def _follows(self, last: str) -> None:
        """Count another's commits where the last writer is not the one that we know."""
        if last != self._last_writer:
            self._last_writer = last
            self._foreign += 1

    @property
    def file(self) -> Path | None:
        """The file that it lies in; None for a server's."""
        return Path(self.shown).resolve() if self._is_sqlite else None

    @cached_property
    def identity(self) -> str:
        """What tells this database from another in the same folder: 8 hexadecimal digits."""
        with self._reading() as connection:
            return str(connection.execute(sa.select(schema.identity.c.id)).scalar_one())

    def log_of(self, folder: Path) -> str:
        """A folder as attempts keep it: from the database's own, so that both may be moved together. A server has none,
        so there it is a whole path."""
        inside = self._is_sqlite and folder.is_relative_to(self.folder)
        return folder.relative_to(self.folder).as_posix() if inside else str(folder)

    def path_of(self, log: str) -> Path:
        """The folder that an attempt keeps. Databases of 0.1.0 hold whole paths, whose end is found after a move."""
        path = self.folder / log
        moved = self.folder.joinpath(*path.parts[-3:])  # STUDY/runs/KEY
        return moved if Path(log).is_absolute() and not path.exists() and moved.exists() else path

    def _now(self) -> sa.ColumnElement[float]:
        return sa.literal_column(self._clock, sa.Float)

    @property
    def _clock(self) -> str:
        """The database's clock, in seconds since 1970."""
        return schema.clock(self._engine)

    # ------------------------------------------------------------------------------------- statements of the driver's

    def _of(
        self, connection: Connection, select: str, names: Iterable[str], before: tuple[Any, ...] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement that ends in a column's name, where that is among these. `?` stands for a value, of
        `before` where it comes before the names."""
        for part in parts(names):
            marks = ", ".join("?" * len(part))
            yield from self._rows(connection, f"{select} IN ({marks})", (*before, *part))

    def _rows(self, connection: Connection, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """What a statement gives; nothing where it only writes."""
        if self._is_sqlite and connection.in_transaction():
            return list(connection.connection.cursor().execute(statement, values))
        result = connection.exec_driver_sql(self._marked(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []

    def _each(self, connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """The statement once for each row."""
        if rows and self._is_sqlite and connection.in_transaction():
            # What SQLAlchemy adds, it adds for any database: of a statement's time here, two thirds.
            connection.connection.cursor().executemany(statement, rows)
        elif rows:
            connection.exec_driver_sql(self._marked(statement), list(rows))

    def _marked(self, statement: str) -> str:
        return statement if self._is_sqlite else statement.replace("?", "%s")


def json_object(text: str | None) -> dict[str, Json]:
    """A JSON object as it was stored. StoreError for anything else: another program wrote that."""
    try:
        value = json.loads(text or "{}") if text != "" else None
    except (ValueError, TypeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise StoreError(
            "the database is damaged: a stored plan or result is not what ablate writes; restore a copy, or name "
            "another with --db"
        )
    return value


def parts(keys: Iterable[T], size: int = 500) -> Iterator[list[T]]:
    """Keys in pieces that fit the database's limit on bound parameters."""
    listed = list(keys)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]
