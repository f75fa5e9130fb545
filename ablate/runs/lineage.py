"""Which run of another study a variant starts from (`init: {study, variant}`), and whether its weights are there.

One fixed run is meant: of the variant that is named, or the best one by the table's own rule, the study's first seed
unless another is named. Every seed of the new variant starts from it, which keeps equal seeds pairs. It reads the
database and hashes a file; the other study is found, planned and trained in execute.py.
"""

from __future__ import annotations

from pathlib import Path

from ablate.analysis import results
from ablate.errors import AblateError, ConfigError
from ablate.identity import sha256_file
from ablate.records import Parent, Start
from ablate.runs import adaptive
from ablate.store.store import Store
from ablate.study.plan import Plan
from ablate.study.record import PlanRecord
from ablate.text import did_you_mean, one_of


def start(plan: Plan, store: Store, wanted: Parent) -> Start | str:
    """The weights that `wanted` means, or why there are none yet. plan: the other study as it is now.

    AblateError where waiting will not help: no such variant, no best one, a failed run, weights that were removed.
    """
    name, at = plan.study.name, plan.study.metric.at
    if at not in ("last", "best"):
        raise AblateError(f"study {name} measures at epoch {at}, whose weights are not kept; say `at: last` or best.")
    if plan.pending:
        return f"{name} waits for another study itself"
    keys = {run.key for run in plan.runs}
    states = store.states(keys)
    over = {key for key in keys if key in states and states[key].state in ("done", "failed")}
    missing = len(keys - over - adaptive.saved(store, plan))
    stored = store.study(name)
    if missing or stored is None:
        changed = stored is not None and _changed(plan, stored.record, store)
        why = f"{name} changed since it was last run, " if changed else ""
        return why + f"{missing} of its {len(keys)} runs are to do" if missing else f"{name} was not run by this name"
    if _changed(plan, stored.record, store):
        return f"{name} changed since it was last run"
    variant = _variant(plan, store, wanted)
    seed = plan.study.seeds[0] if wanted.seed is None else wanted.seed
    key = next((run.key for run in plan.runs if (run.variant, run.seed) == (variant, seed)), None)
    if key is None:
        raise AblateError(f"study {name} has no seed {seed}; it has {one_of(map(str, plan.study.seeds))}.")
    if states[key].state == "failed":
        raise AblateError(f"seed {seed} of {variant} of study {name} failed, so it has no weights; name another seed.")
    called = f"{variant} (best)" if wanted.variant == "best" else variant
    path, sha = _weights(store, key, at, f"{called} of study {name}")
    return Start(str(path.resolve()), sha, f"{called} of study {name}, seed {seed} (run {key[:8]})", key)


_HASHES = {"last": "weights", "best": "best_weights"}
"""Of the epoch whose weights are meant, the name under which a run's outputs hold their hash."""


def _weights(store: Store, key: str, at: str, called: str) -> tuple[Path, str]:
    """Where the weights of a run lie, under whatever study's name it was trained, and the SHA-256 of their file.
    AblateError where they do not, or are not those that the database has the hash of.

    That hash is of what is in the file, and takes torch. A file that runs were asked to start from was held against it
    then; as long as its bytes are those, it is not again.
    """
    kept = store.kept([key]).get(key)
    path = kept.folder / f"{at}.pt" if kept else None
    if path is None or not path.is_file():
        where = f"at {path}" if path else "here"
        raise AblateError(
            f"the weights of {called} are not {where}; they were removed, or trained elsewhere. `ablate retry "
            "--weights` trains them again."
        )
    sha = sha256_file(path)
    if sha not in store.starts_from(key):
        from ablate.training import checkpoint  # it loads torch, which no other plan needs

        assert kept is not None, "the path is that of what was kept"
        checkpoint.weights(path, kept.outputs.get(_HASHES[at], ""))
    return path, sha


def _changed(plan: Plan, was: PlanRecord, store: Store) -> bool:
    """Whether the study last run under this name is another one than the file says now: other runs, another choice."""
    cells = [(cell.variant, cell.seed, cell.run) for cell in store.cells(plan.study.name)]
    now = plan.record
    choice = (was.metric, was.seeds, was.rows) == (now.metric, now.seeds, now.rows)
    return cells != [(run.variant, run.seed, run.key) for run in plan.runs] or not choice


def _variant(plan: Plan, store: Store, wanted: Parent) -> str:
    """The variant's name; `best` is chosen among rows with all planned seeds done, as in the table."""
    name = plan.study.name
    if wanted.variant == "best":
        loaded = results.load(store, name)
        row = loaded.best
        if loaded.settings:
            raise AblateError(f"no variant of study {name} is the best of its several settings; name one.")
        if row is None:
            raise AblateError(f"no variant of study {name} has all its seeds done, so none is best; name one.")
        return row.variant
    names = [variant.name for variant in plan.variants]
    if wanted.variant not in names:
        near = did_you_mean(wanted.variant, names)
        message = f"is {wanted.variant!r}; study {name} has {one_of(names)} or best.{near}"
        raise ConfigError([("init.variant", message)])
    return wanted.variant
