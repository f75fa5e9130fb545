"""The half of the store that writes what `run` was asked: studies, their cells, and the runs that these need.

Every write is one short transaction, begun with BEGIN IMMEDIATE. What attempts report: store.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from ablate.records import Role
from ablate.store import schema, unasked
from ablate.store.opened import parts
from ablate.store.reader import Reader
from ablate.study.record import PlanRecord, Tuned


class Planner(Reader):
    """An open database, told what is to be executed."""

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One write transaction; a nested one joins it, so that a batch of events costs one commit."""
        if self._joined is not None:
            yield self._joined
            return
        with schema.explained(self.shown), self._engine.begin() as connection:
            self._joined = connection
            before = mine = ""
            try:
                if not self._is_sqlite:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(schema.WRITERS)))
                    before, mine = connection.execute(schema.WRITES).one()
                yield connection
            finally:
                self._joined = None
        if mine:  # committed, or this is not reached: then the next to look takes our own for another's, and looks
            self._follows(before)
            self._last_writer = mine

    def _insert(self, table: sa.Table) -> Any:
        return (sqlite.insert if self._is_sqlite else postgresql.insert)(table)

    def save_plan(
        self,
        record: PlanRecord,
        text: str,
        cells: Iterable[tuple[str, int, Role, str]],
        runs: Mapping[str, str],
    ) -> None:
        """Store what `run` was asked: the study, its cells (variant, seed, role, run key) and runs not yet known. text:
        the study file's.

        Cells of these roles that are no longer asked for are dropped from the study; their results stay.
        """
        rows = [
            {"study": record.study, "variant": variant, "seed": seed, "role": role, "run": key, "position": position}
            for position, (variant, seed, role, key) in enumerate(cells)
        ]
        roles = {row["role"] for row in rows}
        with self.transaction() as connection:
            values: dict[str, Any] = {"text": text, "resolved": json.dumps(record.to_json()), "sha": record.sha}
            values |= {"planned_at": self._now()}
            upsert = self._insert(schema.study).values(name=record.study, **values)
            connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=values))
            connection.execute(
                schema.cell.delete().where(schema.cell.c.study == record.study, schema.cell.c.role.in_(roles))
            )
            if rows:
                connection.execute(schema.cell.insert(), rows)
            if runs:
                connection.execute(
                    self._insert(schema.run).on_conflict_do_nothing(),
                    [{"key": key, "config": config, "state": "todo"} for key, config in runs.items()],
                )

    def add_cells(
        self, study: str, cells: Sequence[tuple[str, int, Role, str]], runs: Mapping[str, str], *, afresh: bool = False
    ) -> None:
        """Add cells (variant, seed, role, run key) below what the study has, and runs not yet known. A cell that is
        there already gets this run. afresh: whatever else these variants have in these roles is dropped first."""
        with self.transaction() as connection:
            table, c = schema.cell, schema.cell.c
            if afresh:
                for variant, role in {(variant, role) for variant, _, role, _ in cells}:
                    same = (c.study == study) & (c.variant == variant) & (c.role == role)
                    connection.execute(table.delete().where(same))
            last = connection.execute(sa.select(sa.func.max(c.position)).where(c.study == study)).scalar()
            first = 0 if last is None else last + 1
            insert = self._insert(table)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["study", "variant", "seed", "role"], set_={"run": insert.excluded.run}
                ),
                [
                    {"study": study, "variant": variant, "seed": seed, "role": role, "run": key, "position": first + i}
                    for i, (variant, seed, role, key) in enumerate(cells)
                ],
            )
            connection.execute(
                self._insert(schema.run).on_conflict_do_nothing(),
                [{"key": key, "config": config, "state": "todo"} for key, config in runs.items()],
            )

    def drop_todo(self, study: str, variant: str, role: Role) -> None:
        """Drop a variant's cells of this role whose runs were never begun: nobody wants them any more."""
        c = schema.cell.c
        todo = sa.select(schema.run.c.key).where(schema.run.c.state == "todo")
        with self.transaction() as connection:
            same = (c.study == study) & (c.variant == variant) & (c.role == role) & c.run.in_(todo)
            connection.execute(schema.cell.delete().where(same))

    def keep_tuned(self, study: str, tuned: Sequence[Tuned]) -> None:
        """Replace what a study's stored plan keeps of its searches; what it was planned from stays."""
        with self.transaction() as connection:
            of = schema.study.c.name == study
            stored = json.loads(connection.execute(sa.select(schema.study.c.resolved).where(of)).scalar_one())
            record = replace(PlanRecord.of(stored, study), tuned=tuple(tuned))
            connection.execute(schema.study.update().where(of).values(resolved=json.dumps(record.to_json())))

    def save_test_use(self, study: str, variant: str, seeds: Sequence[int], sha: str) -> int:
        """Record that the test set was predicted; returns how many other predictions of this study came before.

        sha: of the submission. The same file made again is no further look.
        """
        use = schema.test_use
        with self.transaction() as connection:
            query = sa.select(use.c.sha).where(use.c.study == study).distinct()
            before = set(connection.execute(query).scalars())
            if sha not in before:
                values = {"study": study, "variant": variant, "seeds": json.dumps(list(seeds)), "sha": sha}
                connection.execute(use.insert().values(made_at=self._now(), **values))
            return len(before - {sha})

    def requeue(self, keys: Iterable[str]) -> None:
        """Failed runs that may be tried again are to do again. Their attempts stay on record."""
        with self.transaction() as connection:
            for part in parts(keys):
                connection.execute(
                    schema.run.update()
                    .where(schema.run.c.key.in_(part), schema.run.c.state == "failed")
                    .values(state="todo", reason=None)
                )

    def forget(self, keys: Sequence[str]) -> set[str]:
        """Delete what is known of these runs, but for those that are needed again by now; which were deleted."""
        with self.transaction() as connection:
            return unasked.forget(connection, keys)
