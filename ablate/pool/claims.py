"""What a dispatcher does to runs, as the database is to have it: claims, leases, adoptions, rescues, in one commit.

What is to be started is started after the commit only (dispatcher.py): nobody could end a process that the database
does not know.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ablate.pool import host, scheduler
from ablate.pool.books import Work, finished_unheard, never_begun
from ablate.pool.executor import Slot
from ablate.pool.folders import of_attempt
from ablate.pool.known import Known
from ablate.pool.scheduler import Adopt, Finish, Launch, Renew, Rescue, Stop
from ablate.records import Json
from ablate.store.stored import Claim, LiveAttempt


def carried_out(
    known: Known, actions: Sequence[scheduler.Action], made: Mapping[str, Json]
) -> tuple[list[Work], list[Work], bool]:
    """Actions as the database is to have them, in one commit: what was claimed, what adopted, and whether to look
    around. made: what results are made with."""
    claimed: list[Work] = []
    adopted: list[Work] = []
    refused = False
    with known.store.transaction():
        if any(isinstance(action, Launch) for action in actions) and _may_be_shared(known):
            # Another dispatcher may have started runs on these devices since we looked; from here on it cannot.
            known.see_others()
            actions = scheduler.decide(known.snapshot(), time.monotonic())
        launches = [action for action in actions if isinstance(action, Launch)]
        if launches:
            claimed = _claimed(known, launches)
            lost = {launch.key for launch in launches} - {work.key for work in claimed}
            known.doubted |= lost
            refused |= bool(lost)
        for action in actions:
            match action:
                case Renew(tokens):
                    held = known.store.renew(tokens, known.lease_s, known.owner)
                    known.renewed_s = time.monotonic()
                    # This process slept past its lease (a laptop's lid, SIGSTOP), and another took the run over:
                    # with its executor, where it keeps runs, and then it goes on.
                    for token in set(tokens) - held:
                        if known.executor.keeps:
                            known.doubted.add(known.lets_go(token).key)
                            refused = True
                        else:
                            known.executor.stop(token, "lost", "another dispatcher took the run over")
                case Adopt(token):
                    work = _adopt(known, known.others[token])
                    refused |= work is None
                    adopted += [work] if work is not None else []
                case Rescue(token, message, again):
                    run = next(other.run for other in known.elsewhere if other.token == token)
                    if never_begun(known.store, known.others[token]):
                        known.store.fail(token, "cancelled", "its dispatcher died before it began", again=True)
                    elif not finished_unheard(known.store, run, token, made):
                        known.store.fail(token, "lost", message, again=again)
                    refused = True
                case Stop(token, reason, message) if token in known.working:
                    known.unwanted.pop(token, None)
                    known.working[token].stopping = reason != "pruned"  # that is a request: limits still hold
                    known.executor.stop(token, reason, message)
                case Stop() | Finish() | Launch():
                    pass
    return claimed, adopted, refused


def _may_be_shared(known: Known) -> bool:
    """Whether runs of others may be beside ours on a device in ways that no index keeps apart: by memory, beside one
    that needs the device to itself, on devices joined for one run. Each slot of an engine is a device of its own."""
    if known.executor.engine:
        return False
    return bool(known.memory or known.alone) or any(host.JOINED in slot.device for slot in known.slots)


def _claimed(known: Known, launches: Sequence[Launch]) -> list[Work]:
    """What is ours from now on: others may have been first with a run or a slot."""
    store, works = known.store, {}
    ended = store.ended_of([launch.key for launch in launches])
    for key, slot in ((launch.key, launch.slot) for launch in launches):
        # Drawn, not counted: it fences off whoever held the run before, and no two dispatchers can agree on a count.
        token = secrets.token_hex(8)
        spec = of_attempt(known.specs[key], token, store, ended.get(key, ()))
        works[token] = Work(key, token, slot, math.inf, spec)
    claims = [
        Claim(work.key, work.token, work.slot.device, work.slot.index, store.log_of(Path(work.spec.folder)))
        for work in works.values()
    ]
    held = store.claim_all(claims, host=known.place, boot=host.boot(), owner=known.owner, lease_s=known.lease_s)
    return [work for work in works.values() if work.token in held]


def _adopt(known: Known, attempt: LiveAttempt) -> Work | None:
    """Look after what was left; None where another was first."""
    mine, before = known.owner, attempt.owner
    if not known.store.adopt(attempt.token, owner=mine, boot=host.boot(), lease_s=known.lease_s, before=before):
        return None
    spec = replace(known.specs[attempt.run], folder=str(known.store.path_of(attempt.log)))
    since_s = math.inf if attempt.pid is None else time.monotonic() - attempt.seconds
    return Work(attempt.run, attempt.token, Slot(attempt.device, attempt.slot), since_s, spec)
