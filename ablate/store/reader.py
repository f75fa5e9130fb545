"""What the database says of runs and attempts, whichever study asked for them, as plain frozen records.

The reading half of the store. Each method is one short transaction, and none is kept open, so that a reader never keeps
a writer waiting. Nothing is computed from results here (results.py).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ablate.records import Json
from ablate.store import costs, examples, schema, unasked
from ablate.store.cells import Cells
from ablate.store.opened import json_object, parts
from ablate.store.stored import (
    AttemptFolder,
    AttemptRecord,
    Kept,
    LiveAttempt,
    RunExamples,
    Spent,
    Unasked,
)
from ablate.training.examples import At, ExampleSet

# ---------------------------------------------------------------------------------------------------------- the reader


class Reader(Cells):
    """An open database, asked for anything that it holds."""

    def live(self) -> list[LiveAttempt]:
        """Every attempt of the database that has not ended, whoever owns it."""
        query = self._whose().where(schema.attempt.c.outcome.is_(None)).order_by(schema.attempt.c.id)
        with self._reading() as connection:
            return [LiveAttempt(*row) for row in connection.execute(query)]

    def ended(self, run: str) -> list[tuple[LiveAttempt, Path]]:
        """Every attempt of a run that has ended, the newest first: whose it was, and its folder."""
        return self.ended_of([run]).get(run, [])

    def ended_of(self, runs: Iterable[str]) -> dict[str, list[tuple[LiveAttempt, Path]]]:
        """The same of many runs; those without any are left out."""
        ended: dict[str, list[tuple[LiveAttempt, Path]]] = {}
        with self._reading() as connection:
            some = "SELECT DISTINCT run FROM attempt WHERE outcome IS NOT NULL AND log != '' AND run"
            tried = [run for (run,) in self._of(connection, some, runs)]  # most runs are tried once, and never here
            for part in parts(tried):
                a = schema.attempt.c
                query = self._whose().where(a.run.in_(part), a.outcome.is_not(None), a.log != "")
                for row in connection.execute(query.order_by(a.id.desc())):
                    attempt = LiveAttempt(*row)
                    ended.setdefault(attempt.run, []).append((attempt, self.path_of(attempt.log)))
        return ended

    def folders(self) -> list[AttemptFolder]:
        """Every attempt that has a folder, the oldest first."""
        a, now = schema.attempt.c, self._now()
        query = self._whose().add_columns(a.outcome, schema.run.c.counted_attempt == a.id, a.log, now - a.ended_at)
        query = query.join(schema.run, schema.run.c.key == a.run).where(a.log != "").order_by(a.id)
        with self._reading() as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        return [
            AttemptFolder(whose[1], outcome is None, bool(counts), self.path_of(log), since or 0.0, LiveAttempt(*whose))
            for *whose, outcome, counts, log, since in rows
        ]

    def asked(self) -> set[str]:
        """The keys of all runs that a study asks for, or that something else of this database still needs."""
        with self._reading() as connection:
            return unasked.asked(connection)

    def unasked(self, needed: Collection[str] = ()) -> list[Unasked]:
        """The other runs, but for those in `needed`."""
        with self._reading() as connection:
            return list(unasked.runs(connection, unasked.asked(connection) | set(needed)))

    def used(self) -> set[str]:
        """The keys of runs, among others, that other runs start from or measure."""
        with self._reading() as connection:
            return unasked.used(connection)

    def data_asked(self, keys: Collection[str]) -> set[str]:
        """The fingerprints of the data, and of the sets of examples, that these runs are about."""
        with self._reading() as connection:
            return unasked.data(connection, keys)

    def _whose(self) -> sa.Select[Any]:
        """Who executes an attempt, where, and since when: the fields of LiveAttempt."""
        a, now = schema.attempt.c, self._now()
        return sa.select(
            a.token, a.run, a.host, a.boot, a.pid, a.pid_started, a.owner, a.device, a.slot,
            a.lease_until, (a.lease_until < now).label("expired"), _not_negative(now - a.started_at).label("seconds"),
            a.message, a.provenance, a.log,
        )  # fmt: skip

    def newest_attempt(self) -> int:
        """The number of the attempt that was begun last; 0 where none was."""
        with self._reading() as connection:
            return connection.execute(sa.select(sa.func.max(schema.attempt.c.id))).scalar() or 0

    def begun(self, after: int, by_others_than: str) -> list[str]:
        """The runs of which others than this owner began attempts after the one of this number, in that order."""
        a = schema.attempt.c
        query = sa.select(a.run).where(a.id > after, a.owner != by_others_than).order_by(a.id)
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def out_of_memory(self, keys: Iterable[str] | None = None) -> set[str]:
        """The runs, of these or of all, that ran out of memory at least once and are not done: they get their device to
        themselves."""
        a = schema.attempt.c
        query = sa.select(a.run).join(schema.run, schema.run.c.key == a.run)
        query = query.where(a.reason == "oom", schema.run.c.state != "done")
        with self._reading() as connection:
            queries = [query] if keys is None else [query.where(a.run.in_(part)) for part in parts(keys)]
            return {run for one in queries for run in connection.execute(one).scalars()}

    def in_trouble(self) -> dict[str, tuple[str, float]]:
        """The runs that are to do again after what is not their fault: what that was, and how many seconds ago."""
        a = schema.attempt.c
        last = sa.select(sa.func.max(a.id)).where(a.outcome.is_not(None)).group_by(a.run)
        query = sa.select(a.run, a.message, _not_negative(self._now() - a.ended_at))
        query = query.join(schema.run, schema.run.c.key == a.run).where(schema.run.c.state == "todo", a.id.in_(last))
        with self._reading() as connection:
            rows = connection.execute(query.where(a.reason == "infrastructure"))
            return {run: (message or "", since) for run, message, since in rows}

    def values_of(self, keys: Sequence[str], name: str) -> dict[str, float]:
        """One metric of these runs, of those that have it: at the end."""
        query = (
            sa.select(schema.run.c.key, schema.metric.c.value)
            .join(schema.metric, schema.metric.c.attempt == schema.run.c.counted_attempt)
            .where(schema.metric.c.name == name)
        )
        return {key: value for key, value in self._of_runs(query, keys) if value is not None}

    def curves_of(self, keys: Sequence[str], name: str) -> dict[str, dict[int, float]]:
        """The same by step."""
        query = (
            sa.select(schema.run.c.key, schema.curve.c.step, schema.curve.c.value)
            .join(schema.curve, schema.curve.c.attempt == schema.run.c.counted_attempt)
            .where(schema.curve.c.name == name)
        )
        curves: dict[str, dict[int, float]] = {}
        with self._reading() as connection:
            for part in parts(keys):
                for key, step, value in connection.execute(query.where(schema.run.c.key.in_(part))):
                    curves.setdefault(key, {})[step] = value
        return curves

    def seconds_of(self, keys: Sequence[str]) -> float:
        """How long the attempts of these runs took together, whatever became of them; running ones are not counted."""
        a = schema.attempt.c
        query = sa.select(sa.func.sum(a.ended_at - a.started_at))
        with self._reading() as connection:
            return sum(connection.execute(query.where(a.run.in_(part))).scalar() or 0.0 for part in parts(keys))

    def executed(self, keys: Iterable[str]) -> dict[str, dict[str, str]]:
        """Of runs whose counted attempt executed files that no import names: those, path to SHA-256."""
        query = (
            sa.select(schema.run.c.key, schema.attempt.c.provenance)
            .join(schema.attempt, schema.attempt.c.id == schema.run.c.counted_attempt)
            .where(schema.attempt.c.provenance.contains('"executed"'))
        )
        return {key: json_object(provenance)["executed"] for key, provenance in self._of_runs(query, keys)}

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
            config: dict[str, Json] = json.loads(
                connection.execute(sa.select(schema.run.c.config).where(schema.run.c.key == key)).scalar_one()
            )
            return config

    def starts_from(self, key: str) -> set[str]:
        """The SHA-256 of the weights of a run that other runs were asked to start from."""
        query = sa.select(schema.run.c.config).where(schema.run.c.config.contains(key))
        with self._reading() as connection:
            starts = [json_object(config).get("starts_from") for config in connection.execute(query).scalars()]
        return {start["sha256"] for start in starts if isinstance(start, dict) and start.get("run") == key}

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
                    row.outcome, row.reason, row.message, row.detail, row.late,
                    str(self.path_of(row.log)) if row.log else "",
                    json_object(row.outputs), json_object(row.provenance),
                    row.id == row.counted_attempt, metrics.get(row.id, {}),
                )
                for row in connection.execute(query)
            ]  # fmt: skip

    def examples(self, keys: Iterable[str], metric: str, at: At = "last") -> Iterator[RunExamples]:
        """A metric of these runs' counted attempts, example by example, in this order; runs that have none of it are
        left out. A few runs are read at a time, so that of many runs no more than those are ever held."""
        for part in parts(keys, examples.AT_A_TIME):
            with self._reading() as connection:
                some = examples.of_runs(connection, part, metric, at)
            yield from some

    def example_sets(self, fingerprints: Iterable[str]) -> dict[str, ExampleSet]:
        """Sets of examples, by their fingerprints."""
        with self._reading() as connection:
            return {name: held for part in parts(fingerprints) for name, held in examples.sets(connection, part)}

    def with_examples(self, keys: Iterable[str]) -> dict[str, dict[tuple[str, str], str]]:
        """What is kept example by example of these runs' counted attempts, without the values: by run, of each metric
        and epoch (`last`, `best`) the fingerprint of the set. Runs that have nothing are left out."""
        kept: dict[str, dict[tuple[str, str], str]] = {}
        for key, metric, at, fingerprint in self._of_runs(examples.there(), keys):
            kept.setdefault(key, {})[metric, at] = fingerprint
        return kept

    def kept(self, keys: Iterable[str], hashed: str = "") -> dict[str, Kept]:
        """What each finished run left, whichever study it was trained for; nothing of runs executed elsewhere. hashed:
        only of runs with the hash of an output whose name ends so."""
        a = schema.attempt.c
        query = sa.select(schema.run.c.key, a.log, a.outputs).join(schema.attempt, a.id == schema.run.c.counted_attempt)
        query = query.where(a.log != "", a.outputs.contains(f'{hashed}"', autoescape=True) if hashed else sa.true())
        rows = self._of_runs(query, keys)
        return {key: Kept(self.path_of(log), json_object(outputs)) for key, log, outputs in rows}

    def latest_steps(self, tokens: Sequence[str]) -> dict[str, tuple[int, dict[str, float]]]:
        """The last step that each live attempt reported, with its values."""
        by_token: dict[str, tuple[int, dict[str, float]]] = {}
        with self._reading() as connection:
            for part in parts(tokens):
                for token, step, name, value in connection.execute(_latest(part)):
                    by_token.setdefault(token, (step, {}))[1][name] = value
        return by_token

    def spent(self) -> list[Spent]:
        """What executing took, of every attempt that has ended."""
        with self._reading() as connection:
            return costs.spent(connection)

    def at_step(self, runs: Iterable[str], name: str, step: int) -> dict[str, float]:
        """What a metric was at a step of counted attempts, by run."""
        values: dict[str, float] = {}
        with self._reading() as connection:
            for part in parts(list(runs)):
                query = (
                    sa.select(schema.run.c.key, schema.curve.c.value)
                    .join(schema.curve, schema.curve.c.attempt == schema.run.c.counted_attempt)
                    .where(schema.run.c.key.in_(part), schema.curve.c.name == name, schema.curve.c.step == step)
                )
                values |= {key: value for key, value in connection.execute(query) if value is not None}
        return values


# ------------------------------------------------------------------------------------------------------------- queries


def _latest(tokens: Sequence[str]) -> sa.Select[Any]:
    """Token, step, name and value of the last step of each of these attempts."""
    mine = sa.select(schema.attempt.c.id).where(schema.attempt.c.token.in_(tokens))
    latest = (
        sa.select(schema.curve.c.attempt, sa.func.max(schema.curve.c.step).label("step"))
        .where(schema.curve.c.attempt.in_(mine))
        .group_by(schema.curve.c.attempt)
        .subquery()
    )
    return (
        sa.select(schema.attempt.c.token, schema.curve.c.step, schema.curve.c.name, schema.curve.c.value)
        .join(latest, latest.c.attempt == schema.attempt.c.id)
        .join(schema.curve, (schema.curve.c.attempt == latest.c.attempt) & (schema.curve.c.step == latest.c.step))
        .where(schema.attempt.c.token.in_(tokens))
    )


def _not_negative(seconds: sa.ColumnElement[float]) -> sa.ColumnElement[float]:
    """A duration by a clock that may have been set back."""
    return sa.case((seconds > 0, seconds), else_=0.0)
