"""Two steps of every variant before hours are spent on one: what fails at once is told by name, and comes last.

A variant that fails stops no other: its runs stand at the end of the queue, where each fails with a record of its own.
Where no comparison is left, nothing is trained.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ablate.errors import AblateError
from ablate.pool.backoff import FIRST_S
from ablate.pool.dispatcher import POLL_S
from ablate.pool.executor import Executor, Failed, Finished, Refused, Slot
from ablate.records import RunSpec
from ablate.runs.planned import Planned, folder_name
from ablate.runs.progress import Watcher
from ablate.store.stored import RunState
from ablate.study.plan import Plan
from ablate.text import in_words


def tried(
    planned: Planned,
    executor: Executor,
    slots: Sequence[Slot],
    wanted: Mapping[str, RunSpec],
    states: Mapping[str, RunState],
    folder: Path,
    watcher: Watcher,
) -> Mapping[str, RunSpec]:
    """What is wanted, after two steps of every variant without a finished run; runs of those that fail come last.

    AblateError where they leave nothing to compare: hours would fail as well.
    """
    first = untried(planned.plan, wanted, states)
    scratch = folder / folder_name(planned.study.name) / "canary"
    try:
        trial = {name: replace(wanted[key], folder=str(scratch / key)) for name, key in first.items()}
        watcher.trying(0, len(trial))
        ended = canaries(executor, slots, trial, progress=lambda done: watcher.trying(done, len(trial)))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    failed = {name: event for name, event in ended.items() if isinstance(event, Failed)}
    if failed:
        _heed(failed, planned.plan, watcher)
        late = {run.key for run in planned.plan.runs if run.variant in failed}
        wanted = dict(sorted(wanted.items(), key=lambda item: item[0] in late))
    for row in planned.plan.rows:
        ours, theirs = ended.get(row.variant), ended.get(row.compared_with or "")
        if (
            isinstance(ours, Finished)
            and isinstance(theirs, Finished)
            and ours.outputs
            and ours.outputs == theirs.outputs
        ):
            watcher.warn(
                f"{row.variant} is bit-identical to {row.compared_with} after two steps: "
                f"{' and '.join(row.differs)} may do nothing here."
            )
    return wanted


def untried(plan: Plan, wanted: Collection[str], states: Mapping[str, RunState]) -> dict[str, str]:
    """Of every variant without a finished run the first run that is wanted, by its key."""
    first: dict[str, str] = {}
    proven = {run.variant for run in plan.runs if run.key in states and states[run.key].state == "done"}
    for run in plan.runs:
        if run.variant not in proven and run.key in wanted:
            first.setdefault(run.variant, run.key)
    return first


def _heed(failed: Mapping[str, Failed], plan: Plan, watcher: Watcher) -> None:
    lines = "\n".join(f"  {name}: {event.reason}: {event.message}" for name, event in failed.items())
    left = [row for row in plan.rows if row.variant not in failed and row.compared_with not in failed]
    if not any(row.compared_with for row in left) and (len(plan.rows) > 1 or not left):
        detail = next(iter(failed.values())).detail
        raise AblateError(
            f"nothing was trained: two steps on one batch already fail for\n{lines}"
            + (f"\n{detail.rstrip()}" if detail else "")
            + "\nMend the study, or train the other variants with --no-canary.",
            page="own-tricks",
        )
    watcher.warn(
        f"two steps on one batch already fail for\n{lines}\n"
        f"The other variants are trained; runs of {'this one' if len(failed) == 1 else 'these'} come last and fail by "
        f"themselves.{_unheld(failed, plan)}"
    )


def _unheld(failed: Collection[str], plan: Plan) -> str:
    """Which of the others have nothing to be held against."""
    alone = [row.variant for row in plan.rows if row.variant not in failed and row.compared_with in failed]
    return f" Nothing can be said of {in_words(list(dict.fromkeys(alone)))}, compared with one of them." * bool(alone)


def canaries(
    executor: Executor,
    slots: Sequence[Slot],
    specs: Mapping[str, RunSpec],
    *,
    progress: Callable[[int], None] | None = None,
    whole: bool = False,
) -> dict[str, Finished | Failed]:
    """Two steps of each specification (name -> spec), or (whole) all of it, as many at a time as there are slots;
    nothing is stored."""
    waiting = deque(specs.items())
    free = deque(slots)
    running: dict[str, Slot] = {}
    ended: dict[str, Finished | Failed] = {}
    while waiting or running:
        while waiting and free:
            name, spec = waiting.popleft()
            running[name] = free.popleft()
            executor.start(name, spec, running[name], canary=not whole)
        for event in executor.poll(POLL_S):
            if isinstance(event, Refused):
                # This host has no room for as many at once: with one place less, and never without any.
                place = running.pop(event.token)
                free.extend([] if running or free else [place])
                waiting.append((event.token, specs[event.token]))
                time.sleep(FIRST_S)
            if isinstance(event, (Finished, Failed)):
                free.append(running.pop(event.token))
                ended[event.token] = event
                if progress is not None:
                    progress(len(ended))
    return ended
