"""The database's tables, and how a connection to it is opened. Names and meanings: CONTRACT, "Database".

A SQLite file or a PostgreSQL server. Refusals come out in the user's words. What is written and read: store.py.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from ablate.errors import AwayError, StoreError

SCHEMA_VERSION = 3
"""The last revision of migrations/."""
BUSY_TIMEOUT_S = 60.0
STOPPED_S = 30.0
"""How long a database server lets a transaction stand idle, before it undoes it and cuts its program off."""
WRITERS = 7283
"""The number of the advisory lock that writers to a database server take in turns, as SQLite's writers do."""

tables = sa.MetaData()
version = sa.Table("schema_version", tables, sa.Column("version", sa.Integer, primary_key=True))
identity = sa.Table("identity", tables, sa.Column("id", sa.Text, primary_key=True))  # one row
study = sa.Table(
    "study",
    tables,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("resolved", sa.Text, nullable=False),
    sa.Column("sha", sa.Text, nullable=False),
    sa.Column("planned_at", sa.Float, nullable=False),
)
cell = sa.Table(
    "cell",
    tables,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("seed", sa.BigInteger, primary_key=True),
    sa.Column("role", sa.Text, primary_key=True),
    sa.Column("run", sa.Text, nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
)
run = sa.Table(
    "run",
    tables,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("counted_attempt", sa.Integer),
)
attempt = sa.Table(
    "attempt",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run", sa.Text, nullable=False, index=True),
    sa.Column("token", sa.Text, nullable=False, unique=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("boot", sa.Text, nullable=False),
    sa.Column("pid", sa.BigInteger),
    sa.Column("pid_started", sa.BigInteger),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("outcome", sa.Text),  # null: live; done; failed
    sa.Column("reason", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("detail", sa.Text),
    sa.Column("late", sa.Text),  # what a fenced writer still wanted to say
    sa.Column("log", sa.Text, nullable=False),  # its folder, from the database's
    sa.Column("outputs", sa.Text),
    sa.Column("provenance", sa.Text),
)
sa.Index(
    "one_live_attempt_per_slot",
    attempt.c.host,
    attempt.c.device,
    attempt.c.slot,
    unique=True,
    sqlite_where=attempt.c.outcome.is_(None),
    postgresql_where=attempt.c.outcome.is_(None),
)
sa.Index(
    "one_live_attempt_per_run",
    attempt.c.run,
    unique=True,
    sqlite_where=attempt.c.outcome.is_(None),
    postgresql_where=attempt.c.outcome.is_(None),
)
test_use = sa.Table(
    "test_use",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("seeds", sa.Text, nullable=False),
    sa.Column("sha", sa.Text, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
)
metric = sa.Table(
    "metric",
    tables,
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Float),
    sqlite_with_rowid=False,
)
curve = sa.Table(
    "curve",
    tables,
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True),
    sa.Column("value", sa.Float),
    sqlite_with_rowid=False,
)
example_set = sa.Table(
    "example_set",
    tables,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("ids", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("groups", sa.Text, nullable=False),
    sa.Column("classes", sa.Text, nullable=False),
)
example = sa.Table(
    "example",
    tables,
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("metric", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, primary_key=True),
    sa.Column("examples", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("factor", sa.Float, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

LAST_WRITER = sa.select(sa.literal_column("xmin::text", sa.Text)).select_from(identity)
"""On a database server: which transaction wrote last (Opened.version)."""
WRITES = sa.text(
    "WITH before AS (SELECT xmin::text AS last FROM identity) "
    "UPDATE identity SET id = id RETURNING (SELECT last FROM before), xmin::text"
)
"""This transaction writes; which one wrote before it, and the number of this one."""


# ------------------------------------------------------------------------------------------------------------- opening


def database_url(where: str | Path) -> URL:
    text = str(where)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
        return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgres", "postgresql") else url
    except (sa.exc.ArgumentError, ValueError):  # ValueError: a port that is no number
        raise StoreError("--db is neither a path nor a URL such as postgresql://host/name.") from None


def make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the database's folder {path.parent} cannot be made: {error.strerror}.") from None


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether this SQLite is free of the WAL-reset bug (fixed in 3.44.6, 3.50.7 and 3.51.3)."""
    fixed = {(3, 44): 6, (3, 50): 7, (3, 51): 3}
    return version >= (3, 52) or version[2] >= fixed.get((version[0], version[1]), 10**6)


NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs"}
    | {"lustre", "ncpfs", "nfs", "nfs4", "orangefs", "smb3", "smbfs"}
)
"""File systems whose locks and shared memory SQLite cannot rely on between hosts, as /proc/mounts names them; and
whatever a program mounts (`fuse`, `fuse.NAME`), for nobody knows what that does with a lock."""


def network_kind(path: Path, mounts: str) -> str | None:
    """The kind of network file system that an absolute path lies on, by /proc/mounts' text; None for a local one."""
    kind, deepest = None, -1
    for line in mounts.splitlines():
        _, point, file_system, *_ = line.split()
        point = point.replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= deepest:
            kind, deepest = file_system, len(point)
    return kind if kind in NETWORK or (kind or "").startswith("fuse.") or kind == "fuse" else None


def network_of(path: Path) -> str | None:
    """The kind of network file system that a file lies on, or will; None for a local one, or an untold one."""
    try:
        return network_kind(path.resolve(), Path("/proc/mounts").read_text())
    except OSError:
        return None


def journal_mode(path: Path) -> str:
    """The journal that a file is written with. WAL needs shared memory, so it is for local files.

    A new file gets it where this SQLite is free of its bug. Another keeps what it has: two Pythons with different
    SQLite builds may have it open at once, and neither must change the journal under the other.
    """
    if network_of(path) is not None:
        return "TRUNCATE"
    has_wal = _has_wal(path)
    if has_wal is None:
        has_wal = wal_is_safe(sqlite3.sqlite_version_info)
    return "WAL" if has_wal else "TRUNCATE"


def _has_wal(path: Path) -> bool | None:
    """Whether a SQLite file says that it is written with WAL (byte 18 of its header is 2); None where it is new."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            header = file.read(20)
    except OSError:
        return None  # whoever opens it says what is wrong
    return header[18] == 2 if len(header) == 20 else None


def _is_frozen(path: Path) -> bool:
    """Whether a database can be read only as a file that nobody changes: it is written with WAL, whose shared memory is
    a file beside it, and its folder may not be written.

    Where that memory lies there, somebody works on it, and SQLite reads along. A log that is not empty holds commits
    that the file lacks: they must not be left out without a word.
    """
    memory, log = Path(f"{path}-shm"), Path(f"{path}-wal")
    whole = not memory.exists() and not (log.exists() and log.stat().st_size)
    return whole and bool(_has_wal(path)) and not os.access(path.parent, os.W_OK)


def lock_holders(path: Path, locks: str) -> list[int]:
    """The processes that hold a lock of the file for writing, by the text of /proc/locks (waiting ones left out)."""
    inode = f":{path.stat().st_ino}"
    lines = [line.split() for line in locks.splitlines() if "->" not in line]
    return sorted({int(words[4]) for words in lines if words[3] == "WRITE" and words[5].endswith(inode)})


def sqlite_engine(path: Path, write: bool) -> Engine:
    """Connections that begin explicitly (pysqlite's own BEGIN is deferred, and a later upgrade may not wait)."""

    def connect() -> sqlite3.Connection:
        mode = "rwc" if write else "ro&immutable=1" if _is_frozen(path.resolve()) else "rw"
        uri = f"{path.resolve().as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        connection.execute("PRAGMA synchronous=FULL")
        if write:
            connection.execute(f"PRAGMA journal_mode={journal_mode(path)}")
        else:
            connection.execute("PRAGMA query_only=ON")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.QueuePool, pool_size=1, max_overflow=1)
    begin = "BEGIN IMMEDIATE" if write else "BEGIN"
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def server_engine(url: URL, write: bool) -> Engine:
    """Connections to a database server. StoreError where its driver is not installed or not known.

    Whoever is stopped inside a transaction is cut off by the server, so that the others are not kept waiting for ever.
    """
    if url.drivername != "postgresql+psycopg":
        raise StoreError(f"--db names {url.drivername!r}; ablate knows sqlite and postgresql.")
    try:
        engine = sa.create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError:
        raise StoreError(
            "PostgreSQL needs its driver: pip install 'ablate-studies[postgresql]'.", page="clusters"
        ) from None

    def limit(connection: Any, _: object) -> None:
        for name, seconds in (("lock_timeout", BUSY_TIMEOUT_S), ("idle_in_transaction_session_timeout", STOPPED_S)):
            connection.execute(f"SET {name} = {int(seconds * 1000)}")
        if not write:
            connection.execute("SET default_transaction_read_only = on")
        connection.commit()

    sa.event.listen(engine, "connect", limit)
    return engine


SQLITE_CLOCK = "((julianday('now') - 2440587.5) * 86400.0)"
SERVER_CLOCK = "extract(epoch from clock_timestamp())::float8"


def clock(engine: Engine) -> str:
    """The database's clock, in seconds since 1970, as it is written in a statement."""
    return SQLITE_CLOCK if engine.dialect.name == "sqlite" else SERVER_CLOCK


@contextmanager
def alone(engine: Engine) -> Iterator[Connection]:
    """One transaction beside which nobody else writes. What makes or changes tables begins here, with BEGIN EXCLUSIVE:
    of twenty dispatchers that start at once, one does it, and the others wait and find it done."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("COMMIT")
            # A table that is changed is built anew and the old one dropped: what points at it must not go with it. The
            # pragma does nothing inside a transaction.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITERS)))
        yield connection
        connection.commit()


@contextmanager
def explained(shown: str) -> Iterator[None]:
    """The database's refusals in the user's words; whatever else goes wrong stays a traceback."""
    try:
        yield
    except (sa.exc.DatabaseError, sa.exc.InterfaceError, sqlite3.Error) as error:
        text = str(getattr(error, "orig", None) or error).strip()
        for kind, refusals in ((StoreError, _LASTING), (AwayError, _PASSING)):
            for pattern, advice in refusals.items():
                if re.search(pattern, text):
                    who = _who_holds(shown) if pattern.startswith("locked") else ""
                    raise kind(f"{shown}: {advice} ({text}{who})") from error
        raise


def _who_holds(shown: str) -> str:
    """`; process 4711 holds it`: a stopped one (Ctrl-Z) keeps its lock, and nobody can take it away."""
    try:
        pids = lock_holders(Path(shown), Path("/proc/locks").read_text())
    except OSError:
        return ""
    return f"; process {' and '.join(map(str, pids))} holds it" if pids else ""


_LASTING = {
    "not a database": "this file is no SQLite database; name another with --db",
    "malformed": "the database is damaged; restore a copy, or `sqlite3 FILE .recover` saves what is readable",
    "read-only transaction": "it was opened to be read",
    "readonly|read-only": "the database may not be written; check the file's and its folder's permissions",
    "no such table|no such column": "the database is not one of this ablate's; name another with --db",
    "permission denied": "this user of the database server may not do that",
}
"""What a database refuses whoever asks again."""

_PASSING = {
    "unable to open": "the database cannot be opened; check that the path is a file you may read and write; with a "
    "file of its name and -wal beside it, copy both into a folder that you may write",
    "disk is full|disk I/O error|No space left": "the disk refused a write; free some space and run the same command "
    "again: what was reported done is kept",
    "locked|lock timeout": f"another program has held the database for {BUSY_TIMEOUT_S:.0f} s; stop it and try again",
    "terminating connection|closed the connection|closed unexpectedly|connection is (lost|closed|bad)|EOF detected|"
    "consuming input failed": "the database server ended the connection; run the same command again: what was reported "
    "done is kept",
    "connection (to server )?.*failed|could not connect|refused|starting up|shutting down|recovery mode|too many "
    "clients": "the database server cannot be reached",
}
"""What it may grant a while later."""
