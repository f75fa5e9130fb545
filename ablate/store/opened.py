"""An open database: its connection, its name, and where its runs' files lie. What is read: studies.py and reader.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ablate.errors import StoreError
from ablate.records import Json
from ablate.store import schema


class Opened:
    """An open database, to be read. `folder`: where its runs' files lie; `shown`: its name without any password;
    `network`: the kind of network file system that the file lies on, if it does."""

    def __init__(self, engine: Engine, folder: Path, shown: str, network: str | None = None) -> None:
        self._engine = engine
        self._joined: Connection | None = None
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
        return schema.clock(self._engine)


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


def parts(keys: Iterable[str], size: int = 500) -> Iterator[list[str]]:
    """Keys in pieces that fit the database's limit on bound parameters."""
    listed = list(keys)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]
