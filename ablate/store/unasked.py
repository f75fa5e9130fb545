"""Runs that no study asks for any more, in the database: which they are, and how they are forgotten.

A study that is edited drops cells; the runs behind them stay, for the edit may be undone. Still needed are also runs
that are executing, whose weights another run measures, and of which an edited file made others (runs/executed.py asks
them what they executed). What lies in folders, and whether anything of it is deleted: runs/garbage.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ablate.identity import canonical_json
from ablate.records import Json
from ablate.store import schema
from ablate.store.opened import json_object, parts
from ablate.store.stored import Unasked

ROW_BYTES = 30
"""About what a number at a step takes beside its name."""


def asked(connection: Connection) -> set[str]:
    """The keys of the runs that something still needs."""
    attempt, run = schema.attempt.c, schema.run.c
    keys = set(connection.execute(sa.select(schema.cell.c.run).distinct()).scalars())
    keys |= set(connection.execute(sa.select(attempt.run).where(attempt.outcome.is_(None))).scalars())
    counted = sa.select(run.key, attempt.outputs).join(schema.attempt, attempt.id == run.counted_attempt)
    measuring = counted.where(attempt.outputs.contains('"evaluates"'))
    keys |= {json_object(outputs)["evaluates"] for key, outputs in connection.execute(measuring) if key in keys}
    return keys | _edited(connection, keys)


def _edited(connection: Connection, keys: set[str]) -> set[str]:
    """Runs in whose place an edited file has put others that are asked for: those alone know what they executed."""
    run, attempt = schema.run.c, schema.attempt.c
    query = sa.select(run.key, run.config).where(run.config.contains('"executed"'))
    now = {_unedited(config) for key, config in connection.execute(query) if key in keys}
    if not now:
        return set()
    executed = sa.select(run.key, run.config).join(schema.attempt, attempt.id == run.counted_attempt)
    executed = executed.where(attempt.provenance.contains('"executed"'))
    return {key for key, config in connection.execute(executed) if _unedited(config) in now}


def _unedited(config: str) -> str:
    asked: dict[str, Json] = json_object(config)
    code = asked.get("code")
    kept = {part: of for part, of in code.items() if part != "executed"} if isinstance(code, dict) else code
    return canonical_json({**asked, "code": kept})


def used(connection: Connection) -> set[str]:
    """Whatever other runs start from or measure: keys of runs, beside hashes of their weights."""
    config = schema.run.c.config
    query = sa.select(config).where(config.contains('"starts_from"') | config.contains('"evaluates"'))
    return {key for text in connection.execute(query).scalars() for key in re.findall("[0-9a-f]{64}", text)}


def runs(connection: Connection, kept: set[str]) -> Iterator[Unasked]:
    """Every run that is not among `kept`, with what its rows take."""
    run, attempt, curve, example = schema.run.c, schema.attempt.c, schema.curve.c, schema.example.c
    size = {key: len(config) for key, config in connection.execute(sa.select(run.key, run.config)) if key not in kept}
    seconds = sa.func.sum(attempt.ended_at - attempt.started_at)
    took = dict(map(tuple, connection.execute(sa.select(attempt.run, seconds).group_by(attempt.run)).all()))
    states = dict(map(tuple, connection.execute(sa.select(run.key, run.state)).all()))
    of_steps = sa.func.sum(sa.func.length(curve.name) + ROW_BYTES)
    for part in parts(size):
        for table, bytes_of in ((schema.curve, of_steps), (schema.example, sa.func.sum(sa.func.length(example.data)))):
            query = sa.select(attempt.run, bytes_of).join(table, table.c.attempt == attempt.id)
            for key, rows in connection.execute(query.where(attempt.run.in_(part)).group_by(attempt.run)):
                size[key] += int(rows or 0)
    for key in sorted(size):
        yield Unasked(key, states[key], took.get(key) or 0.0, size[key])


def data(connection: Connection, keys: Collection[str]) -> set[str]:
    """The fingerprints of the data, and of the sets of examples, that these runs are about."""
    run, attempt, example = schema.run.c, schema.attempt.c, schema.example.c
    query = sa.select(attempt.run, example.examples).join(schema.example, example.attempt == attempt.id).distinct()
    told = {fingerprint for key, fingerprint in connection.execute(query) if key in keys}
    for key, config in connection.execute(sa.select(run.key, run.config)):
        told |= {str(json_object(config).get("data"))} if key in keys else set()
    return told


def forget(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Delete what the database knows of these runs, of those that nothing needs now; which those are."""
    gone = set(keys) - asked(connection)
    for part in parts(sorted(gone)):
        attempts = sa.select(schema.attempt.c.id).where(schema.attempt.c.run.in_(part))
        for table in (schema.metric, schema.curve, schema.example):
            connection.execute(table.delete().where(table.c.attempt.in_(attempts)))
        connection.execute(schema.attempt.delete().where(schema.attempt.c.run.in_(part)))
        connection.execute(schema.run.delete().where(schema.run.c.key.in_(part)))
    used = sa.select(schema.example.c.examples)
    connection.execute(schema.example_set.delete().where(schema.example_set.c.fingerprint.not_in(used)))
    return gone
