"""What executing took: every attempt of a database that has ended, whatever became of it and whoever asked for it."""

from __future__ import annotations

import json
import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ablate.store import schema
from ablate.store.stored import Spent


def spent(connection: Connection) -> list[Spent]:
    """Every attempt that has ended, oldest first."""
    attempt, run, cell = schema.attempt.c, schema.run.c, schema.cell.c
    asked: dict[str, set[tuple[str, str, str]]] = {}
    for key, study, role, variant in connection.execute(sa.select(cell.run, cell.study, cell.role, cell.variant)):
        asked.setdefault(key, set()).add((study, role, variant))
    query = sa.select(
        attempt.run, attempt.device, attempt.ended_at - attempt.started_at, attempt.outcome, attempt.reason,
        attempt.id == run.counted_attempt, run.config, attempt.provenance,
    ).join(schema.run, run.key == attempt.run)  # fmt: skip
    ended = connection.execute(query.where(attempt.outcome.is_not(None)).order_by(attempt.id))
    return [
        Spent(
            key, device, max(seconds or 0.0, 0.0), outcome, reason, bool(counted), frozenset(asked.get(key, ())),
            int(json.loads(config).get("threads") or 1), *_told(device, provenance),
        )
        for key, device, seconds, outcome, reason, counted, config, provenance in ended
    ]  # fmt: skip


def _told(device: str, provenance: str | None) -> tuple[int, dict[str, Any], float]:
    """How many GPUs an attempt had, what it took of electricity, and of memory. At an engine's place the device says
    nothing."""
    named = sum(name.startswith(("cuda", "mps", "xpu")) for name in re.split("[,+]", device))
    told = json.loads(provenance or "{}")
    return int(told.get("gpus", named)), told.get("energy", {}), float(told.get("process_peak_mib") or 0.0)
