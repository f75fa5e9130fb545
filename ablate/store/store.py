"""The database: studies, their cells, runs, attempts and what the attempts reported. SQLite embedded, or PostgreSQL.

One writer per `ablate run` (the dispatcher); workers never come here. Every write is one short transaction, begun with
BEGIN IMMEDIATE, and every write about an attempt carries the attempt's token: once another dispatcher has taken the run
over, the old token changes nothing. Readers open the file read-write with `query_only=ON`, because only such a
connection can roll back the hot journal that a SIGKILL leaves, and fetch in one short transaction.

Nothing is decided here (scheduler.py). What was asked is written by planner.py; the tables are in schema.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ablate.errors import NoDatabaseError
from ablate.records import Json, Reason
from ablate.store import examples, migrate, schema
from ablate.store.attempts import Attempts
from ablate.store.opened import parts
from ablate.store.stored import Elsewhere
from ablate.training.examples import Examples

COMPACT_BYTES = 1 << 20
"""Less than that a database keeps for what comes next."""

# ----------------------------------------------------------------------------------------------------------- the store


class Store(Attempts):
    """An open database. `Store.open(path, write=False)` for readers; `write=True` creates it where there is none."""

    @classmethod
    def open(cls, where: str | Path, *, write: bool = False) -> Store:
        """Open a SQLite file (path) or a database by its URL. StoreError where it is missing, broken or newer.

        An older one is brought to today's form by who writes, and refused to who only reads."""
        store = cls._connected(where, write)
        try:
            with schema.explained(store.shown):
                migrate.check(store._engine, store.shown, write)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    @contextmanager
    def if_there(cls, where: str | Path) -> Iterator[Store | None]:
        """An open database, to be read; None where there is none yet, which for some questions is an answer."""
        try:
            store = cls.open(where)
        except NoDatabaseError:
            yield None
            return
        with store:
            yield store

    @classmethod
    def _connected(cls, where: str | Path, write: bool) -> Store:
        url = schema.database_url(where)
        shown = url.render_as_string(hide_password=True) if url.database is None else str(where)
        if url.get_backend_name() == "sqlite":
            path = Path(url.database or "")
            shown = str(path)
            if write:
                schema.make_folder(path)
            elif not path.exists():
                raise NoDatabaseError(
                    f"there is no database at {shown}; `ablate run STUDY` makes one, --db names another."
                )
            engine = schema.sqlite_engine(path, write)
            return cls(engine, path.resolve().parent, shown, schema.network_of(path))
        shown = url.render_as_string(hide_password=True)
        return cls(schema.server_engine(url, write), Path("results").resolve(), shown)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def migrate(cls, where: str | Path) -> tuple[str, int]:
        """Bring an older database to today's form. Returns its name without any password, and the form that it had.
        StoreError where it is newer."""
        with cls._connected(where, write=False) as store, schema.explained(store.shown):
            version = migrate.checked(store._engine, store.shown, write=True)
        if version < schema.SCHEMA_VERSION:
            cls.open(where, write=True).close()
        return store.shown, version

    def compact(self) -> int:
        """Give the disk back what deleted rows took, where that is worth writing the file anew; how many bytes. A
        database server does so by itself."""
        if not self._is_sqlite or self.file is None:
            return 0
        size = self.file.stat().st_size
        with schema.explained(self.shown), self._engine.connect() as connection:
            free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
            page = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
            if free * page < COMPACT_BYTES:
                return 0
            connection.exec_driver_sql("COMMIT")  # of the transaction in which no file can be written anew
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
        return max(0, size - self.file.stat().st_size)

    # ------------------------------------------------------------------------------------------------------- attempts

    def returned(self, token: str) -> None:
        """The attempt was given back, and waits under the same token for a place where to go on."""
        with self.transaction() as connection:
            connection.execute(_live(token).values(pid=None, pid_started=None, provenance=None))

    def adopt(self, token: str, *, owner: str, boot: str, lease_s: float, before: str) -> bool:
        """Look after an attempt that `before` has left; False where another was first, or it has ended."""
        with self.transaction() as connection:
            left = _live(token).where(schema.attempt.c.owner == before)
            held = {"owner": owner, "boot": boot, "lease_until": self._now() + lease_s}
            connection.execute(left.values(**held))
            a = schema.attempt.c
            mine = sa.select(a.id).where(a.token == token, a.owner == owner, a.outcome.is_(None))
            return connection.execute(mine).first() is not None

    def leave(self, tokens: Iterable[str], owner: str) -> None:
        """Look after these attempts no longer: they go on, and are whose that adopts them."""
        a = schema.attempt.c
        with self.transaction() as connection:
            for part in parts(tokens):
                mine = a.token.in_(part) & a.outcome.is_(None) & (a.owner == owner)
                connection.execute(schema.attempt.update().where(mine).values(owner="", lease_until=self._now()))

    def note(self, token: str, text: str) -> None:
        """What is to be said of an attempt while it is live; empty: nothing any more."""
        with self.transaction() as connection:
            connection.execute(_live(token).values(message=text or None))

    def recaptured(
        self,
        token: str,
        values: Mapping[str, float],
        curve: Mapping[int, Mapping[str, float]],
        told: Mapping[str, Json],
    ) -> None:
        """An attempt's numbers in place of those that it had, or of none: it counts now. told: of its provenance."""
        with self.transaction() as connection:
            found = schema.attempt.c.token == token
            columns = (schema.attempt.c.id, schema.attempt.c.run, schema.attempt.c.provenance)
            attempt, run, made_with = connection.execute(sa.select(*columns).where(found)).one()
            known = json.loads(made_with or "{}") | dict(told)
            done = {"outcome": "done", "reason": None, "message": None, "detail": None}
            connection.execute(schema.attempt.update().where(found).values(**done, provenance=json.dumps(known)))
            for table in (schema.metric, schema.curve):
                connection.execute(table.delete().where(table.c.attempt == attempt))
            ends = [{"attempt": attempt, "name": name, "value": value} for name, value in values.items()]
            steps = [
                {"attempt": attempt, "name": name, "step": step, "value": value}
                for step, at in curve.items()
                for name, value in at.items()
            ]
            for table, rows in ((schema.metric, ends), (schema.curve, steps)):
                if rows:
                    connection.execute(table.insert(), rows)
            counted = {"state": "done", "reason": None, "counted_attempt": attempt}
            connection.execute(schema.run.update().where(schema.run.c.key == run).values(**counted))

    def fail(
        self,
        token: str,
        reason: Reason,
        message: str,
        detail: str = "",
        provenance: Mapping[str, Json] | None = None,
        *,
        again: bool,
        seconds: float | None = None,
    ) -> bool:
        """End an attempt without a result; its run is to do again or failed. False where the token is fenced off.
        seconds: as for `finish`."""
        with self.transaction() as connection:
            attempt = _id(connection, token)
            if attempt is None:
                if _outcome(connection, token) == ("failed", reason, message):
                    return True
                return self._note_late(connection, token, f"a failure that came late: {reason}: {message}")
            connection.execute(
                _live(token).values(
                    outcome="failed",
                    reason=reason,
                    message=message,
                    detail=detail,
                    ended_at=self._end(seconds),
                    provenance=json.dumps(dict(provenance or {})),
                )
            )
            key = sa.select(schema.attempt.c.run).where(schema.attempt.c.id == attempt).scalar_subquery()
            state = {"state": "todo", "reason": None} if again else {"state": "failed", "reason": reason}
            connection.execute(schema.run.update().where(schema.run.c.key == key).values(**state))
            return True

    def save_rerun(self, token: str, merged: Callable[[Json], Json]) -> None:
        """Keep with an attempt what executing its run again showed. merged: from what is kept so far, None at first."""
        with self.transaction() as connection:
            where = schema.attempt.c.token == token
            text = connection.execute(sa.select(schema.attempt.c.provenance).where(where)).scalar_one()
            provenance = json.loads(text or "{}")
            provenance["reruns"] = merged(provenance.get("reruns"))
            connection.execute(schema.attempt.update().where(where).values(provenance=json.dumps(provenance)))

    def _end(self, seconds: float | None) -> sa.ColumnElement[float]:
        """When an attempt ended: never before it began, for clocks are set back."""
        began, now = schema.attempt.c.started_at, self._now()
        return began + seconds if seconds is not None else sa.case((now > began, now), else_=began)

    def keep_elsewhere(self, runs: Sequence[Elsewhere], configs: Mapping[str, str] = MappingProxyType({})) -> None:
        """Keep what became of runs that were executed elsewhere, many in one go; one that is known has its result.
        configs: what each was asked, of those that the database does not know yet."""
        with self.transaction() as connection:
            asked = [
                {"key": run.key, "config": configs[run.key], "state": "todo"} for run in runs if run.key in configs
            ]
            if asked:
                connection.execute(self._insert(schema.run).on_conflict_do_nothing(), asked)
            todo = set()
            for part in parts(run.key for run in runs):
                of_part = sa.select(schema.run.c.key).where(schema.run.c.key.in_(part), schema.run.c.state == "todo")
                todo |= set(connection.execute(of_part).scalars())
            new = {f"{run.owner}-{run.key}": run for run in runs if run.key in todo}
            if not new:
                return
            attempts = [_attempt_elsewhere(token, run) for token, run in new.items()]
            times = {name: self._now() for name in ("lease_until", "started_at", "ended_at")}
            connection.execute(schema.attempt.insert().values(**times), attempts)
            ids: dict[str, int] = {}
            for part in parts(new):
                query = sa.select(schema.attempt.c.token, schema.attempt.c.id).where(schema.attempt.c.token.in_(part))
                ids |= {row.token: row.id for row in connection.execute(query)}
            metrics = [
                {"attempt": ids[token], "name": name, "value": value}
                for token, run in new.items()
                for name, value in run.values.items()
            ]
            if metrics:
                connection.execute(schema.metric.insert(), metrics)
            over = schema.run.update().where(schema.run.c.key == sa.bindparam("of"))
            states = [
                {"of": run.key, "state": "failed" if run.reason else "done", "reason": run.reason,
                 "counted_attempt": None if run.reason else ids[token]}
                for token, run in new.items()
            ]  # fmt: skip
            connection.execute(over, states)

    def keep_examples(self, by_run: Mapping[str, Examples]) -> None:
        """Keep with the counted attempts of runs what they got right. What was kept of the same metrics is replaced."""
        run = schema.run.c
        with self.transaction() as connection:
            for part in parts(by_run):
                query = sa.select(run.key, run.counted_attempt).where(run.key.in_(part))
                counted = {key: attempt for key, attempt in connection.execute(query) if attempt is not None}
                for key, attempt in counted.items():
                    examples.keep(self, connection, attempt, by_run[key])

    @staticmethod
    def _note_late(connection: Connection, token: str, text: str) -> bool:
        connection.execute(schema.attempt.update().where(schema.attempt.c.token == token).values(late=text))
        return False


def _attempt_elsewhere(token: str, run: Elsewhere) -> dict[str, Json]:
    where = {"host": "imported", "boot": "", "device": "imported", "slot": 0, "owner": run.owner, "log": ""}
    outcome = {"outcome": "failed" if run.reason else "done", "reason": run.reason, "message": run.message or None}
    said = {"outputs": json.dumps({}), "provenance": json.dumps(dict(run.provenance))}
    return {"run": run.key, "token": token, **where, **outcome, **said}


def _live(token: str) -> sa.Update:
    return schema.attempt.update().where(schema.attempt.c.token == token, schema.attempt.c.outcome.is_(None))


def _outcome(connection: Connection, token: str) -> tuple[str | None, ...]:
    """How an attempt ended: outcome, reason and message."""
    a = schema.attempt.c
    row = connection.execute(sa.select(a.outcome, a.reason, a.message).where(a.token == token)).first()
    return tuple(row) if row is not None else ()


def _id(connection: Connection, token: str) -> int | None:
    """The attempt's id while its token holds."""
    query = sa.select(schema.attempt.c.id).where(schema.attempt.c.token == token, schema.attempt.c.outcome.is_(None))
    return connection.execute(query).scalar_one_or_none()
