"""A plan becomes the study's: stored under its name, with what changed since the plan before. Executes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ablate import identity
from ablate.pool import scheduler
from ablate.records import Reason, Role
from ablate.runs.planned import Planned, described
from ablate.store.store import Store
from ablate.store.stored import RunState, StoredStudy
from ablate.study import changes as registration


def states(planned: Planned, store: Store, retried: Collection[Reason]) -> dict[str, RunState]:
    """The state of each run that is known, as it will be once the plan is stored: without what will be tried again."""
    known = store.states({run.key for run in planned.plan.runs})
    queued = set(_requeued(planned, known, retried))
    return {key: state for key, state in known.items() if key not in queued}


def changes(planned: Planned, store: Store) -> list[str]:
    """What the plan changes of the one that is stored; nothing is."""
    return _changes(planned, store.study(planned.plan.study.name))


def save(planned: Planned, store: Store, retried: Collection[Reason] = ()) -> list[str]:
    """Store the plan; failed runs that may be tried again are to do. Returns what changed since the last `run`.

    retried: reasons of failures to try again whatever the limits.
    """
    plan, record = planned.plan, planned.record
    asked = {run.key: run for run in plan.runs}
    configs = {key: identity.canonical_json(described(plan, run)) for key, run in asked.items()}
    with store.transaction():
        # Read in here: another `run` of the edited study may have registered its change a moment ago, and what we
        # would write from an earlier reading would drop it.
        before = store.study(plan.study.name)
        seen = len({cell.run for cell in store.cells(plan.study.name) if cell.state == "done"})
        known = sum(state.state == "done" for state in store.states(asked).values())
        earlier = None if before is None else before.record
        registered = registration.register(earlier, record, seen=seen, already=known)
        record = replace(record, registered=registered)
        if earlier is not None:  # whether what was tuned is still what it was is checked when it is shown
            record = replace(record, tuned=earlier.tuned)
        role: Role = "ablation"
        cells = [(run.variant, run.seed, role, run.key) for run in plan.runs]
        store.save_plan(record, plan.study.text, cells, configs)
        store.requeue(_requeued(planned, store.states(asked), retried))
    return _changes(planned, before)


def _changes(planned: Planned, before: StoredStudy | None) -> list[str]:
    if before is None:
        return []
    record, study = planned.record, planned.plan.study
    found = registration.diff(before.record, record)
    if before.record.file not in ("", record.file) and before.text != study.text:
        found.insert(0, f"the study was run from {before.record.file} before, which is gone.")
    return found


def _requeued(planned: Planned, known: Mapping[str, RunState], retried: Collection[Reason]) -> list[str]:
    failed = {key: (state.reason, state.attempts) for key, state in known.items() if state.state == "failed"}
    return scheduler.to_requeue(failed, planned.plan.study.limits, retried=retried)
