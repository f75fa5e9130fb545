"""The database: studies, their cells, runs, attempts and what the attempts reported. SQLite embedded, or PostgreSQL.

One writer per `ablate run` (the dispatcher); workers never come here. Every write is one short transaction, begun with
BEGIN IMMEDIATE, and every write about an attempt carries the attempt's token: once another dispatcher has taken the run
over, the old token changes nothing. Readers open the file read-write with `query_only=ON`, because only such a
connection can roll back the hot journal that a SIGKILL leaves, and fetch in one short transaction.

Nothing is decided here (scheduler.py) and nothing is computed from results here (results.py); tables are in schema.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from ablate import schema
from ablate.errors import StoreError
from ablate.records import Json, Reason, Role, State

# ---------------------------------------------------------------------------------------------------- what comes back


@dataclass(frozen=True)
class StoredStudy:
    name: str
    text: str
    resolved: dict[str, Json]
    sha: str
    planned_at: float


@dataclass(frozen=True)
class StoredCell:
    """A cell and its run. attempts: executions that ended, cancelled ones left out."""

    variant: str
    seed: int
    role: Role
    run: str
    state: State
    reason: Reason | None
    attempts: int


@dataclass(frozen=True)
class StoredAttempt:
    """A counted attempt of a study's cell; seconds: from claim to result."""

    run: str
    variant: str
    seed: int
    outputs: dict[str, str]
    provenance: dict[str, Json]
    seconds: float


@dataclass(frozen=True)
class LiveAttempt:
    """An attempt that has not ended. seconds: since its claim. expired: its lease is over, by the database's clock."""

    token: str
    run: str
    host: str
    boot: str
    pid: int | None
    pid_started: int | None
    owner: str
    device: str
    slot: int
    expired: bool
    seconds: float


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt as `ablate show` and `why` print it."""

    token: str
    device: str
    slot: int
    host: str
    seconds: float | None
    outcome: str | None
    reason: str | None
    message: str | None
    detail: str | None
    late: str | None
    log: str
    outputs: dict[str, str]
    provenance: dict[str, Json]
    counted: bool
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class RunState:
    state: State
    reason: Reason | None
    attempts: int


# ----------------------------------------------------------------------------------------------------------- the store


class Store:
    """An open database. `Store.open(path, write=False)` for readers; `write=True` creates it where there is none."""

    def __init__(self, engine: Engine, folder: Path, shown: str) -> None:
        self._engine = engine
        self._joined: Connection | None = None
        self.folder = folder
        self.shown = shown

    @classmethod
    def open(cls, where: str | Path, *, write: bool = False) -> Store:
        """Open a SQLite file (path) or a database by its URL. StoreError where it is missing, broken or newer."""
        url = schema.database_url(where)
        shown = url.render_as_string(hide_password=True) if url.database is None else str(where)
        if url.get_backend_name() == "sqlite":
            path = Path(url.database or "")
            shown = str(path)
            if write:
                schema.make_folder(path)
            elif not path.exists():
                raise StoreError(f"there is no database at {shown}; `ablate run STUDY` makes one, --db names another.")
            store = cls(schema.sqlite_engine(path, write), path.resolve().parent, shown)
        else:
            shown = url.render_as_string(hide_password=True)
            store = cls(schema.server_engine(url), Path("results").resolve(), shown)
        try:
            with schema.explained(shown):
                store._check_schema(write)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One write transaction; a nested one joins it, so that a batch of events costs one commit."""
        if self._joined is not None:
            yield self._joined
            return
        with schema.explained(self.shown), self._engine.begin() as connection:
            self._joined = connection
            try:
                yield connection
            finally:
                self._joined = None

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._joined is not None:
            yield self._joined
            return
        with schema.explained(self.shown), self._engine.connect() as connection:
            yield connection

    def _check_schema(self, write: bool) -> None:
        with self._engine.connect() as connection:
            exists = sa.inspect(connection).has_table("schema_version")
        if not exists and write:
            self._create()
            exists = True
        if not exists:
            raise StoreError(f"{self.shown} is a database, but not one of ablate's; --db names another.")
        with self._engine.connect() as connection:
            version = connection.execute(sa.select(sa.func.max(schema.version.c.version))).scalar_one_or_none()
        if version is None or (version > schema.SCHEMA_VERSION and write):
            raise StoreError(
                f"{self.shown} was written by a newer ablate (schema {version}; this one: {schema.SCHEMA_VERSION}). "
                "It can be read, not written: upgrade ablate, or name another file with --db."
            )

    def _create(self) -> None:
        """Tables and version in one exclusive transaction: of twenty dispatchers that start at once, one makes them."""
        with self._engine.connect() as connection:
            if self._is_sqlite:
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql("BEGIN EXCLUSIVE")
            else:
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7283)")
            if not sa.inspect(connection).has_table("schema_version"):
                schema.tables.create_all(connection, checkfirst=False)
                connection.execute(schema.version.insert().values(version=schema.SCHEMA_VERSION))
            connection.commit()

    def _now(self) -> sa.ColumnElement[float]:
        """The database's clock, in seconds since 1970."""
        if self._is_sqlite:
            return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Float)
        return sa.literal_column("extract(epoch from clock_timestamp())::float8", sa.Float)

    def _insert(self, table: sa.Table) -> Any:
        return (sqlite.insert if self._is_sqlite else postgresql.insert)(table)

    # ------------------------------------------------------------------------------------------------------- planning

    def save_plan(
        self,
        name: str,
        text: str,
        resolved: Mapping[str, Json],
        sha: str,
        cells: Iterable[tuple[str, int, Role, str]],
        runs: Mapping[str, str],
    ) -> None:
        """Store what `run` was asked: the study, its cells (variant, seed, role, run key) and runs not yet known.

        Cells of these roles that are no longer asked for are dropped from the study; their results stay.
        """
        rows = [
            {"study": name, "variant": variant, "seed": seed, "role": role, "run": key, "position": position}
            for position, (variant, seed, role, key) in enumerate(cells)
        ]
        roles = {row["role"] for row in rows}
        with self.transaction() as connection:
            values = {"text": text, "resolved": json.dumps(resolved), "sha": sha, "planned_at": self._now()}
            upsert = self._insert(schema.study).values(name=name, **values)
            connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=values))
            connection.execute(schema.cell.delete().where(schema.cell.c.study == name, schema.cell.c.role.in_(roles)))
            if rows:
                connection.execute(schema.cell.insert(), rows)
            if runs:
                connection.execute(
                    self._insert(schema.run).on_conflict_do_nothing(),
                    [{"key": key, "config": config, "state": "todo"} for key, config in runs.items()],
                )

    def requeue(self, keys: Iterable[str]) -> None:
        """Failed runs that may be tried again are to do again. Their attempts stay on record."""
        with self.transaction() as connection:
            for part in _parts(keys):
                connection.execute(
                    schema.run.update()
                    .where(schema.run.c.key.in_(part), schema.run.c.state == "failed")
                    .values(state="todo", reason=None)
                )

    # ------------------------------------------------------------------------------------------------------- attempts

    def claim(
        self,
        run: str,
        token: str,
        *,
        host: str,
        boot: str,
        owner: str,
        device: str,
        slot: int,
        lease_s: float,
        log: str,
    ) -> bool:
        """Lease a run that is to do, and its slot, to `owner`; False where another was first with either."""
        with self.transaction() as connection:
            values: dict[str, Any] = {"run": run, "token": token, "host": host, "boot": boot, "owner": owner}
            values |= {"device": device, "slot": slot, "log": log, "started_at": self._now()}
            values |= {"lease_until": self._now() + lease_s}
            if (
                connection.execute(
                    schema.run.select().where(schema.run.c.key == run, schema.run.c.state == "todo")
                ).first()
                is None
            ):
                return False
            if connection.execute(self._insert(schema.attempt).values(**values).on_conflict_do_nothing()).rowcount != 1:
                return False
            connection.execute(schema.run.update().where(schema.run.c.key == run).values(state="running", reason=None))
            return True

    def started(self, token: str, pid: int, pid_started: int) -> None:
        """The attempt's process, by which a later dispatcher on this host knows whether it still lives."""
        with self.transaction() as connection:
            connection.execute(_live(token).values(pid=pid, pid_started=pid_started))

    def renew(self, tokens: Sequence[str], lease_s: float) -> set[str]:
        """Extend leases; returns the tokens still held. A missing one was taken over: its worker must be stopped."""
        with self.transaction() as connection:
            held = schema.attempt.c.token.in_(tokens) & schema.attempt.c.outcome.is_(None)
            connection.execute(schema.attempt.update().where(held).values(lease_until=self._now() + lease_s))
            return set(connection.execute(sa.select(schema.attempt.c.token).where(held)).scalars())

    def progress(self, token: str, step: int, values: Mapping[str, float]) -> None:
        """One step's values. A step reported again (a resumed run) replaces the earlier one."""
        with self.transaction() as connection:
            attempt = _id(connection, token)
            if attempt is None or not values:
                return
            insert = self._insert(schema.curve)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["attempt", "name", "step"], set_={"value": insert.excluded.value}
                ),
                [{"attempt": attempt, "name": name, "step": step, "value": value} for name, value in values.items()],
            )

    def finish(
        self, token: str, values: Mapping[str, float], outputs: Mapping[str, str], provenance: Mapping[str, Json]
    ) -> bool:
        """Count a result: attempt, metrics and run in one commit. False, and a note, where the token is fenced off."""
        with self.transaction() as connection:
            attempt = _id(connection, token)
            if attempt is None:
                return self._note_late(connection, token, f"a result that came late: {json.dumps(dict(values))}")
            connection.execute(
                _live(token).values(
                    outcome="done",
                    ended_at=self._now(),
                    outputs=json.dumps(dict(outputs)),
                    provenance=json.dumps(dict(provenance)),
                )
            )
            if values:
                connection.execute(
                    schema.metric.insert(),
                    [{"attempt": attempt, "name": name, "value": v} for name, v in values.items()],
                )
            done = schema.run.update().where(
                schema.run.c.key
                == sa.select(schema.attempt.c.run).where(schema.attempt.c.id == attempt).scalar_subquery()
            )
            connection.execute(done.values(state="done", reason=None, counted_attempt=attempt))
            return True

    def fail(
        self,
        token: str,
        reason: Reason,
        message: str,
        detail: str = "",
        provenance: Mapping[str, Json] | None = None,
        *,
        again: bool,
    ) -> bool:
        """End an attempt without a result; its run is to do again or failed. False where the token is fenced off."""
        with self.transaction() as connection:
            attempt = _id(connection, token)
            if attempt is None:
                return self._note_late(connection, token, f"a failure that came late: {reason}: {message}")
            connection.execute(
                _live(token).values(
                    outcome="failed",
                    reason=reason,
                    message=message,
                    detail=detail,
                    ended_at=self._now(),
                    provenance=json.dumps(dict(provenance or {})),
                )
            )
            key = sa.select(schema.attempt.c.run).where(schema.attempt.c.id == attempt).scalar_subquery()
            state = {"state": "todo", "reason": None} if again else {"state": "failed", "reason": reason}
            connection.execute(schema.run.update().where(schema.run.c.key == key).values(**state))
            return True

    @staticmethod
    def _note_late(connection: Connection, token: str, text: str) -> bool:
        connection.execute(schema.attempt.update().where(schema.attempt.c.token == token).values(late=text))
        return False

    def live(self) -> list[LiveAttempt]:
        """Every attempt of the database that has not ended, whoever owns it."""
        a, now = schema.attempt.c, self._now()
        query = sa.select(
            a.token, a.run, a.host, a.boot, a.pid, a.pid_started, a.owner, a.device, a.slot,
            (a.lease_until < now).label("expired"), (now - a.started_at).label("seconds"),
        ).where(a.outcome.is_(None))  # fmt: skip
        with self._reading() as connection:
            return [LiveAttempt(*row) for row in connection.execute(query.order_by(a.id))]

    # -------------------------------------------------------------------------------------------------------- reading

    def studies(self) -> list[str]:
        """The names of all stored studies, the one last run first."""
        with self._reading() as connection:
            query = sa.select(schema.study.c.name).order_by(schema.study.c.planned_at.desc(), schema.study.c.name)
            return list(connection.execute(query).scalars())

    def study(self, name: str | None) -> StoredStudy | None:
        """A stored study, or the one last run; None where there is none."""
        query = sa.select(schema.study).order_by(schema.study.c.planned_at.desc(), schema.study.c.name).limit(1)
        if name is not None:
            query = query.where(schema.study.c.name == name)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return (
            None if row is None else StoredStudy(row.name, row.text, json.loads(row.resolved), row.sha, row.planned_at)
        )

    def states(self, keys: Iterable[str]) -> dict[str, RunState]:
        """The state of each run that is known."""
        found = {}
        with self._reading() as connection:
            for part in _parts(keys):
                for row in connection.execute(
                    sa.select(schema.run.c.key, schema.run.c.state, schema.run.c.reason).where(
                        schema.run.c.key.in_(part)
                    )
                ):
                    found[row.key] = (row.state, row.reason)
            attempts = _attempts_by_run(connection)
        return {key: RunState(state, reason, attempts.get(key, 0)) for key, (state, reason) in found.items()}

    def cells(self, study: str, roles: Sequence[Role] = ("ablation",)) -> list[StoredCell]:
        """The study's cells in the plan's order, each with the state of its run."""
        query = (
            sa.select(
                schema.cell.c.variant,
                schema.cell.c.seed,
                schema.cell.c.role,
                schema.cell.c.run,
                schema.run.c.state,
                schema.run.c.reason,
            )
            .join(schema.run, schema.run.c.key == schema.cell.c.run)
            .where(schema.cell.c.study == study, schema.cell.c.role.in_(roles))
            .order_by(schema.cell.c.position)
        )
        with self._reading() as connection:
            attempts = _attempts_by_run(connection)
            return [StoredCell(*row, attempts=attempts.get(row.run, 0)) for row in connection.execute(query)]

    def values(
        self, study: str, names: Sequence[str] | None = None, roles: Sequence[Role] = ("ablation",)
    ) -> list[tuple[str, int, str, float]]:
        """(variant, seed, metric, value) of counted attempts, in the plan's order."""
        query = _counted(schema.metric.c.name, schema.metric.c.value, study=study, roles=roles, of=schema.metric)
        if names is not None:
            query = query.where(schema.metric.c.name.in_(names))
        with self._reading() as connection:
            return [
                tuple(row) for row in connection.execute(query.order_by(schema.cell.c.position, schema.metric.c.name))
            ]

    def curve_values(
        self, study: str, names: Sequence[str] | None = None, roles: Sequence[Role] = ("ablation",)
    ) -> list[tuple[str, int, str, int, float]]:
        """(variant, seed, metric, step, value) of counted attempts, in the plan's order."""
        query = _counted(
            schema.curve.c.name, schema.curve.c.step, schema.curve.c.value, study=study, roles=roles, of=schema.curve
        )
        if names is not None:
            query = query.where(schema.curve.c.name.in_(names))
        order = (schema.cell.c.position, schema.curve.c.name, schema.curve.c.step)
        with self._reading() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(*order))]

    def counted(self, study: str, roles: Sequence[Role] = ("ablation",)) -> list[StoredAttempt]:
        """The counted attempts of a study's cells: hashes of outputs, provenance, duration."""
        a = schema.attempt.c
        query = (
            sa.select(
                schema.cell.c.run,
                schema.cell.c.variant,
                schema.cell.c.seed,
                a.outputs,
                a.provenance,
                a.ended_at - a.started_at,
            )
            .join(schema.run, schema.run.c.key == schema.cell.c.run)
            .join(schema.attempt, a.id == schema.run.c.counted_attempt)
            .where(schema.cell.c.study == study, schema.cell.c.role.in_(roles))
            .order_by(schema.cell.c.position)
        )
        with self._reading() as connection:
            return [
                StoredAttempt(run, variant, seed, json.loads(outputs or "{}"), json.loads(provenance or "{}"), seconds)
                for run, variant, seed, outputs, provenance, seconds in connection.execute(query)
            ]

    def run_keys(self, prefix: str) -> list[str]:
        """The keys of runs that start with `prefix`, sorted."""
        with self._reading() as connection:
            query = (
                sa.select(schema.run.c.key)
                .where(schema.run.c.key.startswith(prefix, autoescape=True))
                .order_by(schema.run.c.key)
            )
            return list(connection.execute(query).scalars())

    def run_config(self, key: str) -> dict[str, Json]:
        """What the run was asked, as its key was made from."""
        with self._reading() as connection:
            found: dict[str, Json] = json.loads(
                connection.execute(sa.select(schema.run.c.config).where(schema.run.c.key == key)).scalar_one()
            )
            return found

    def cells_of(self, key: str) -> list[tuple[str, str, int]]:
        """(study, variant, seed) of every cell that the run serves."""
        query = sa.select(schema.cell.c.study, schema.cell.c.variant, schema.cell.c.seed).where(
            schema.cell.c.run == key
        )
        with self._reading() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(*query.selected_columns))]

    def attempts(self, key: str) -> list[AttemptRecord]:
        """Every attempt of a run, oldest first, with its metrics."""
        a = schema.attempt.c
        query = (
            sa.select(schema.attempt, schema.run.c.counted_attempt)
            .join(schema.run, schema.run.c.key == a.run)
            .where(a.run == key)
            .order_by(a.id)
        )
        with self._reading() as connection:
            metrics: dict[int, dict[str, float | None]] = {}
            values = sa.select(schema.metric).join(schema.attempt, a.id == schema.metric.c.attempt).where(a.run == key)
            for row in connection.execute(values.order_by(schema.metric.c.name)):
                metrics.setdefault(row.attempt, {})[row.name] = row.value
            return [
                AttemptRecord(
                    row.token, row.device, row.slot, row.host,
                    None if row.ended_at is None else row.ended_at - row.started_at,
                    row.outcome, row.reason, row.message, row.detail, row.late, row.log,
                    json.loads(row.outputs or "{}"), json.loads(row.provenance or "{}"),
                    row.id == row.counted_attempt, metrics.get(row.id, {}),
                )
                for row in connection.execute(query)
            ]  # fmt: skip

    def latest_steps(self, tokens: Sequence[str]) -> dict[str, tuple[int, dict[str, float]]]:
        """The last step that each live attempt reported, with its values."""
        latest = (
            sa.select(schema.curve.c.attempt, sa.func.max(schema.curve.c.step).label("step"))
            .group_by(schema.curve.c.attempt)
            .subquery()
        )
        query = (
            sa.select(schema.attempt.c.token, schema.curve.c.step, schema.curve.c.name, schema.curve.c.value)
            .join(latest, latest.c.attempt == schema.attempt.c.id)
            .join(schema.curve, (schema.curve.c.attempt == latest.c.attempt) & (schema.curve.c.step == latest.c.step))
            .where(schema.attempt.c.token.in_(tokens))
        )
        found: dict[str, tuple[int, dict[str, float]]] = {}
        with self._reading() as connection:
            for token, step, name, value in connection.execute(query):
                found.setdefault(token, (step, {}))[1][name] = value
        return found


# ------------------------------------------------------------------------------------------------------------- queries


def _live(token: str) -> sa.Update:
    return schema.attempt.update().where(schema.attempt.c.token == token, schema.attempt.c.outcome.is_(None))


def _id(connection: Connection, token: str) -> int | None:
    """The attempt's id while its token holds."""
    query = sa.select(schema.attempt.c.id).where(schema.attempt.c.token == token, schema.attempt.c.outcome.is_(None))
    return connection.execute(query).scalar_one_or_none()


def _attempts_by_run(connection: Connection) -> dict[str, int]:
    """Executions that ended and count against `limits.attempts`: all but cancelled ones."""
    counts = sa.func.count().label("executions")
    query = sa.select(schema.attempt.c.run, counts).where(
        schema.attempt.c.outcome.is_not(None),
        sa.or_(schema.attempt.c.reason.is_(None), schema.attempt.c.reason != "cancelled"),
    )
    return {row.run: row.executions for row in connection.execute(query.group_by(schema.attempt.c.run))}


def _counted(*columns: sa.ColumnElement[Any], study: str, roles: Sequence[Role], of: sa.Table) -> sa.Select[Any]:
    return (
        sa.select(schema.cell.c.variant, schema.cell.c.seed, *columns)
        .join(schema.run, schema.run.c.key == schema.cell.c.run)
        .join(of, of.c.attempt == schema.run.c.counted_attempt)
        .where(schema.cell.c.study == study, schema.cell.c.role.in_(roles))
    )


def _parts(keys: Iterable[str], size: int = 500) -> Iterator[list[str]]:
    """Keys in pieces that fit the database's limit on bound parameters."""
    listed = list(keys)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]
