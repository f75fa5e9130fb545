"""Why results that a study had are no results of what is asked now: `ablate plan` says it before it costs anything."""

from __future__ import annotations

from ablate.errors import StoreError
from ablate.runs.planned import Planned, described
from ablate.store.store import Store
from ablate.study.changes import differences


def not_reused(planned: Planned, db: str) -> list[str]:
    """A line for each cause: how many finished runs of the study, as it was last run, it makes to be run anew.

    Seeds of a variant differ in nothing else, so the first of them speaks for all.
    """
    asked = {(run.variant, run.seed): run for run in planned.plan.runs if run.key}
    counts: dict[str, int] = {}
    causes: dict[str, str] = {}
    try:
        with Store.open(db) as store:
            known = store.states({run.key for run in asked.values()})
            for cell in store.cells(planned.study.name):
                run = asked.get((cell.variant, cell.seed))
                if cell.state != "done" or run is None or run.key == cell.run:
                    continue
                if run.key in known and known[run.key].state == "done":
                    continue
                if run.variant not in causes:
                    found = differences(store.run_config(cell.run), described(planned.plan, run))
                    causes[run.variant] = "; ".join(found) or "the way in which ablate makes keys changed"
                counts[causes[run.variant]] = counts.get(causes[run.variant], 0) + 1
    except StoreError:
        return []  # no database yet: there is nothing to reuse
    return [
        f"{count} finished {'run is' if count == 1 else 'runs are'} not reused: {cause}."
        for cause, count in counts.items()
    ]
