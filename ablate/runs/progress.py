"""How far a study is, and which run a name means: what the reading commands ask of the database. Changes nothing."""

from __future__ import annotations

import re

from ablate.errors import AblateError
from ablate.pool.dispatcher import fate
from ablate.records import Json, Role
from ablate.store.reader import Reader
from ablate.text import did_you_mean, one_of


def standing(store: Reader, study: str, role: Role = "ablation") -> dict[str, Json]:
    """How far a study is (`status --format json`): counts of runs, and what is running. Reads only.

    role: of the runs that are meant: its ablation, or its search.
    With adaptive seeds `todo` are all that may still be asked for, and `saved` those that are not needed any more.
    """
    cells = {cell.run: cell for cell in reversed(store.cells(study, (role,)))}
    live = [attempt for attempt in store.live() if attempt.run in cells]
    lost = {attempt.run for attempt in live if fate(attempt) != "held"}
    steps = store.latest_steps([attempt.token for attempt in live])
    counts = {
        state: sum(cell.state == state for cell in cells.values()) for state in ("todo", "running", "done", "failed")
    }
    counts |= {"running": counts["running"] - len(lost), "lost": len(lost)}
    paused = sum(cell.reason == "pruned" for cell in cells.values())
    if paused:
        counts |= {"failed": counts["failed"] - paused, "paused": paused}
    stored = store.study(study)
    if role == "ablation" and stored is not None and (stored.resolved.get("analysis") or {}).get("looks"):
        from ablate.analysis import results  # it loads numpy and scipy, which no other study's standing needs

        saved = len(results.load(store, study).saved)
        counts |= {"todo": counts["todo"] - saved, "saved": saved}
    running = []
    for attempt in live:
        if attempt.run not in lost:
            cell, (step, values) = cells[attempt.run], steps.get(attempt.token, (0, {}))
            running.append(
                {
                    "key": attempt.run,
                    "variant": cell.variant,
                    "seed": cell.seed,
                    "device": f"{attempt.device}/{attempt.slot}",
                    "seconds": round(attempt.seconds, 1),
                    "progress": {"step": step, **values},
                }
            )
    return {"study": study, "counts": counts, "running": running}


def find_run(store: Reader, name: str) -> str:
    """The key of the run that `name` means: a key, its first digits, or VARIANT:SEED of the study last run."""
    keys = store.run_keys(name) if re.fullmatch("[0-9a-f]{4,64}", name) else []
    if len(keys) == 1:
        return keys[0]
    if keys:
        shown = one_of(key[: len(name) + 6] for key in keys[:5])
        raise AblateError(
            f"{len(keys)} runs start with {name!r}: {shown}{', ...' if len(keys) > 5 else ''}; give more digits."
        )
    variant, _, seed = name.rpartition(":")
    stored = store.study(None)
    cells = store.cells(stored.name) if stored else []
    for cell in cells:
        if (cell.variant, str(cell.seed)) == (variant, seed):
            return cell.run
    hint = did_you_mean(name, [f"{cell.variant}:{cell.seed}" for cell in cells])
    raise AblateError(
        f"no run is called {name!r}; give a key's first digits, or VARIANT:SEED of the study last run.{hint}"
    )
