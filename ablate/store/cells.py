"""What became of a study's cells: states, values, curves, and the attempts that count.

A study of 2,048 variants has 20,480 runs, whose keys lie anywhere in the database: each is looked for once, and what
its attempt reported is then found by the attempt's number. Where most of the database is asked for, all of it is read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ablate.records import INTERRUPTED, Json, Role
from ablate.store import schema
from ablate.store.opened import json_object, parts
from ablate.store.stored import RunState, StoredAttempt, StoredCell
from ablate.store.studies import Studies

FEW = 500
"""Up to so many are asked for by name, however many there are."""

ABLATION: tuple[Role, ...] = ("ablation",)


class Cells(Studies):
    """An open database, asked for a study's cells. Where a method takes `study`, that may also be cells of one, which
    were read before."""

    def cells(self, study: str, roles: Sequence[Role] = ABLATION) -> list[StoredCell]:
        """The study's cells in the plan's order, each with the state of its run."""
        cell, run = schema.cell.c, schema.run.c
        query = sa.select(cell.variant, cell.seed, cell.role, cell.run).where(cell.study == study, cell.role.in_(roles))
        states = sa.select(run.key, run.state, run.reason, run.counted_attempt)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(cell.position)).all()
            keys = {key for *_, key in rows}
            known = {key: of for key, *of in _some(connection, states, run.key, keys)}
            attempts = _attempts_by_run(connection, keys)
        return [
            StoredCell(variant, seed, role, key, state, reason, attempts[key], counted)
            for variant, seed, role, key in rows
            if key in known
            for state, reason, counted in [known[key]]
        ]

    def states(self, keys: Iterable[str]) -> dict[str, RunState]:
        """The state of each run that is known."""
        run, listed = schema.run.c, list(keys)
        query = sa.select(run.key, run.state, run.reason)
        with self._reading() as connection:
            known = {key: (state, reason) for key, state, reason in _some(connection, query, run.key, listed)}
            attempts = _attempts_by_run(connection, listed)
        return {key: RunState(*known[key], attempts[key]) for key in listed if key in known}

    def values(
        self, study: str | Sequence[StoredCell], names: Sequence[str] | None = None, roles: Sequence[Role] = ABLATION
    ) -> list[tuple[str, int, str, float]]:
        """(variant, seed, metric, value) of counted attempts, in the plan's order."""
        m = schema.metric.c
        query = sa.select(m.attempt, m.name, m.value).order_by(m.attempt, m.name)
        query = query if names is None else query.where(m.name.in_(names))
        cells, rows = self._counted(query, m.attempt, study, roles)
        return [
            (cell.variant, cell.seed, name, value) for cell in cells for _, name, value in rows.get(cell.counted, ())
        ]

    def curve_values(
        self, study: str | Sequence[StoredCell], names: Sequence[str] | None = None, roles: Sequence[Role] = ABLATION
    ) -> list[tuple[str, int, str, int, float]]:
        """(variant, seed, metric, step, value) of counted attempts, in the plan's order."""
        c = schema.curve.c
        query = sa.select(c.attempt, c.name, c.step, c.value).order_by(c.attempt, c.name, c.step)
        query = query if names is None else query.where(c.name.in_(names))
        cells, rows = self._counted(query, c.attempt, study, roles)
        return [
            (cell.variant, cell.seed, name, step, value)
            for cell in cells
            for _, name, step, value in rows.get(cell.counted, ())
        ]

    def counted(self, study: str | Sequence[StoredCell], roles: Sequence[Role] = ABLATION) -> list[StoredAttempt]:
        """The counted attempts of a study's cells: hashes of outputs, provenance, duration."""
        a = schema.attempt.c
        query = sa.select(a.id, a.outputs, a.provenance, a.ended_at - a.started_at)
        read = lru_cache(maxsize=64)(json_object)  # runs of one study were mostly made with the same
        cells, rows = self._counted(query, a.id, study, roles)
        return [
            StoredAttempt(cell.run, cell.variant, cell.seed, read(outputs), read(provenance), seconds)
            for cell in cells
            for _, outputs, provenance, seconds in rows.get(cell.counted, ())
        ]

    def durations(self, study: str | Sequence[StoredCell], roles: Sequence[Role] = ABLATION) -> list[tuple[str, float]]:
        """(variant, seconds) of every counted attempt."""
        a = schema.attempt.c
        cells, rows = self._counted(sa.select(a.id, a.ended_at - a.started_at), a.id, study, roles)
        return [(cell.variant, seconds) for cell in cells for _, seconds in rows.get(cell.counted, ())]

    def _counted(
        self,
        query: sa.Select[Any],
        attempt: sa.ColumnElement[int],
        study: str | Sequence[StoredCell],
        roles: Sequence[Role],
    ) -> tuple[Sequence[StoredCell], dict[int | None, list[Any]]]:
        """A study's cells; and of those that count, by attempt, the rows of a query whose first column is one."""
        cells = self.cells(study, roles) if isinstance(study, str) else study
        ids = sorted({cell.counted for cell in cells if cell.counted is not None})
        rows: dict[int | None, list[Any]] = {}
        with self._reading() as connection:
            close = len(ids) > FEW and ids[-1] - ids[0] < 4 * len(ids)
            for part in [ids] if close else parts(ids):
                of_part = attempt.between(part[0], part[-1]) if close else attempt.in_(part)
                for row in connection.execute(query.where(of_part)).all():
                    rows.setdefault(row[0], []).append(row)
        return cells, rows

    def failed_curve_values(
        self, study: str, names: Sequence[str], roles: Sequence[Role] = ABLATION
    ) -> list[tuple[str, int, str, int, float]]:
        """(variant, seed, metric, step, value) of the last attempt of each run that failed: how far it came."""
        a = schema.attempt.c
        last = sa.select(a.run, sa.func.max(a.id).label("id")).group_by(a.run).subquery()
        query = (
            sa.select(
                schema.cell.c.variant, schema.cell.c.seed,
                schema.curve.c.name, schema.curve.c.step, schema.curve.c.value,
            )
            .join(schema.run, schema.run.c.key == schema.cell.c.run)
            .join(last, last.c.run == schema.run.c.key)
            .join(schema.curve, schema.curve.c.attempt == last.c.id)
            .where(schema.cell.c.study == study, schema.cell.c.role.in_(roles), schema.run.c.state == "failed")
            .where(schema.curve.c.name.in_(names))
        )  # fmt: skip
        order = (schema.cell.c.position, schema.curve.c.name, schema.curve.c.step)
        with self._reading() as connection:
            return [(*row,) for row in connection.execute(query.order_by(*order))]

    def configs(self, study: str, roles: Sequence[Role] = ABLATION) -> dict[str, dict[str, Json]]:
        """What each run of a study was asked, by key, in the plan's order."""
        query = (
            sa.select(schema.run.c.key, schema.run.c.config)
            .join(schema.cell, schema.run.c.key == schema.cell.c.run)
            .where(schema.cell.c.study == study, schema.cell.c.role.in_(roles))
            .order_by(schema.cell.c.position)
        )
        with self._reading() as connection:
            return {key: json.loads(config) for key, config in connection.execute(query)}

    def failure_messages(self, study: str, roles: Sequence[Role] = ABLATION) -> dict[str, str]:
        """Of each failed run of a study, what its last attempt said, by key."""
        a = schema.attempt.c
        query = (
            sa.select(a.run, a.message)
            .join(schema.run, schema.run.c.key == a.run)
            .join(schema.cell, schema.cell.c.run == a.run)
            .where(schema.cell.c.study == study, schema.cell.c.role.in_(roles), schema.run.c.state == "failed")
            .order_by(a.id)
        )
        with self._reading() as connection:
            return {run: message or "" for run, message in connection.execute(query)}

    def _of_runs(self, query: sa.Select[Any], keys: Iterable[str]) -> list[Any]:
        """The rows of a query whose first column is a run's key, of these runs."""
        with self._reading() as connection:
            return _some(connection, query, schema.run.c.key, list(keys))


def _some(
    connection: Connection, query: sa.Select[Any], key: sa.ColumnElement[str], wanted: Collection[str]
) -> list[Any]:
    """The rows of a query whose first column is `key`, a run's, of these runs."""
    if len(wanted) > FEW:
        runs = connection.execute(sa.select(sa.func.count()).select_from(schema.run)).scalar_one()
        if runs < 4 * len(wanted):  # a search for a key costs about as much as four rows that are read in order
            asked = set(wanted)
            return [row for row in connection.execute(query).all() if row[0] in asked]
    return [row for part in parts(wanted) for row in connection.execute(query.where(key.in_(part))).all()]


def _attempts_by_run(connection: Connection, keys: Collection[str]) -> Counter[str]:
    """Executions that ended and count against `limits.attempts`: all but those that were only interrupted."""
    a = schema.attempt.c
    ended = sa.select(a.run).where(a.outcome.is_not(None), sa.or_(a.reason.is_(None), a.reason.not_in(INTERRUPTED)))
    return Counter(run for (run,) in _some(connection, ended, a.run, keys))
