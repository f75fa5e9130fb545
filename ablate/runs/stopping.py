"""`ablate stop`: cancel what was handed over to an engine, is queued or runs there, and nobody looks after."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from ablate.errors import AblateError
from ablate.pool import host
from ablate.pool.books import Work, written
from ablate.pool.executor import Executor, Finished, Needs, Slot
from ablate.pool.mailbox import Mailbox
from ablate.pool.mailed import folder_for
from ablate.records import Limits, RunSpec, TaskUse
from ablate.registry import Registry
from ablate.runs.planned import folder_name
from ablate.store.store import Store
from ablate.store.stored import LiveAttempt

WAIT_S = 60.0


@dataclass(frozen=True)
class Stopped:
    """cancelled: runs that are to do again. done: those that had ended, and count. held: those that a living command
    looks after."""

    cancelled: int
    done: int
    held: int


def stop(study: str, db: str, say: Callable[[str], None]) -> Stopped:
    """Cancel the runs of a stored study that were left at engines."""
    with Store.open(db, write=True) as store:
        mine = {cell.run for cell in store.cells(study, ("ablation", "tune", "confirm", "pretrain"))}
        live = [a for a in store.live() if a.run in mine and host.keeps(a.host)]
        held = [attempt for attempt in live if host.fate(attempt) != "left"]
        cancelled = done = 0
        for place in sorted({a.host for a in live} - {a.host for a in held} | _places(store, study)):
            left = [attempt for attempt in live if attempt.host == place and attempt not in held]
            executor = _opened(place, study, store, say)
            if executor is None:
                raise AblateError(f"there is no folder of {place} beside {store.shown}, so nothing can be stopped.")
            some = _stopped(left, store, executor)
            cancelled, done = cancelled + len(left) - some, done + some
    return Stopped(cancelled, done, len(held))


def _places(store: Store, study: str) -> set[str]:
    """Engines that were used for the study, and may still have jobs in their queue."""
    home = store.folder / folder_name(study)
    engines = [name for name in Registry().names("executors") if (home / name / "plan.json").is_file()]
    held = {a.host for a in store.live() if host.keeps(a.host) and host.fate(a) == "held"}
    return {f"{engine}:{study}" for engine in engines} - held


def _opened(place: str, study: str, store: Store, say: Callable[[str], None]) -> Executor | None:
    """The engine over the folder as it is; None where there is none."""
    engine = place.partition(":")[0]
    home = (store.folder / folder_name(study)).resolve()
    plan = Mailbox(folder_for(home / engine, store.identity)).plan()
    if plan is None:
        return None
    executor: Executor = Registry().make("executors", engine, {})
    return executor.open(plan.setup, Needs(study, str(home), say=say))


def _stopped(left: list[LiveAttempt], store: Store, executor: Executor) -> int:
    """Stop these; how many had a result before they heard of it."""
    working: dict[str, Work] = {}
    owner = str(host.this_process())
    done = 0
    try:
        for attempt in left:
            if store.adopt(attempt.token, owner=owner, boot=host.boot(), lease_s=2 * WAIT_S, before=attempt.owner):
                spec = RunSpec(attempt.run, TaskUse(""), {}, (), 0, 1, str(store.path_of(attempt.log)), "")
                slot = Slot(attempt.device, attempt.slot)
                working[attempt.token] = Work(attempt.run, attempt.token, slot, math.inf, spec)
        for token in working:
            executor.adopt(token)
            executor.stop(token, "cancelled", "stopped by the user")
        until_s = time.monotonic() + WAIT_S
        waiting = set(working)
        while waiting and time.monotonic() < until_s:
            events = [event for event in executor.poll(0.5) if event.token in waiting]
            ended = written(store, events, working, attempts={}, limits=Limits(), made={})
            done += sum(isinstance(event, Finished) for _, event, _ in ended)
            waiting -= {work.token for work, _, _ in ended}
    finally:
        executor.close()
    return done
