"""`ablate why`: why a run is in the state it is in, from its attempts, and what would change that. Reads only.

The rules that it puts into words are the scheduler's (scheduler.RETRIED, scheduler.try_again).
"""

from __future__ import annotations

from collections.abc import Sequence

from ablate.pool.host import fate
from ablate.pool.scheduler import RETRIED
from ablate.records import Reason
from ablate.runs.progress import waits_for
from ablate.store.store import Store
from ablate.store.stored import AttemptRecord, Fate, LiveAttempt, RunState
from ablate.text import many

_MEANINGS: dict[Reason, str] = {
    "error": "the task raised an exception, or its process crashed",
    "oom": "there was not enough memory; it was tried alone on its device, with the same batch",
    "diverged": "a metric was NaN or infinite",
    "timeout": "it took longer than limits.timeout",
    "stalled": "it reported no step and printed nothing for limits.silence",
    "lost": "its worker or its dispatcher was gone before it had a result",
    "infrastructure": "a disk that was full or broken, or the like, which costs no attempt",
    "cancelled": "it was stopped by a signal, which costs no attempt",
    "bad_result": "the task gave something that is no set of metrics, or not the study's metric",
    "code_changed": "a file that it executes was edited after the plan was made",
    "pruned": "its search paused it early, at a step at which others were better",
}


def why_text(store: Store, key: str) -> str:
    """The run's state, the reason, every attempt in a line each, what came late, and what to do."""
    state = store.states([key])[key]
    cells = store.cells_of(key)
    live = next((attempt for attempt in store.live() if attempt.run == key), None)
    lines = [f"run {key[:12]}"]
    lines += [f"  {study}: {variant}, seed {seed}" for study, variant, seed in cells]
    if not cells:
        lines.append("  no study asks for it any more; its results are kept")
    attempts = store.attempts(key)
    held = _held_back(store, key, [study for study, _, _ in cells]) if state.state == "todo" and not attempts else []
    lines += ["", *(held or because(state, attempts, live, fate(live) if live else None))]
    if state.state == "todo" and not held and cells:
        lines += _awaited(store, key, *cells[0])
    lines += [""] * bool(attempts) + [_line(number, attempt) for number, attempt in enumerate(attempts, 1)]
    lines += [
        f"  attempt {number} was fenced off, since another dispatcher had taken the run over: {attempt.late}"
        for number, attempt in enumerate(attempts, 1)
        if attempt.late
    ]
    return "\n".join(lines)


def _awaited(store: Store, key: str, study: str, variant: str, seed: int) -> list[str]:
    """What stands before a run that is to do: runs of its own study, and what else keeps it waiting."""
    of_study = {cell.run for cell in store.cells(study)}
    before = sum(attempt.run in of_study and fate(attempt) == "held" for attempt in store.live())
    turn = (
        f"{many(before, 'run')} of {study} {'is' if before == 1 else 'are'} executed now; the others take their turn."
    )
    return [turn] * bool(before) + waits_for(store, {key: f"{variant}, seed {seed}"}, of_study)


def _held_back(store: Store, key: str, studies: Sequence[str]) -> list[str]:
    """Why adaptive seeds do not execute it now; [] where a study asks for it."""
    lines = []
    for name in dict.fromkeys(studies):
        stored = store.study(name)
        if stored is None or not stored.record.looks:
            return []
        from ablate.analysis import results  # it loads numpy and scipy, which no other run's reason needs

        loaded = results.load(store, name)
        if key in loaded.wanted:
            return []
        if key in loaded.saved:
            lines.append(f"not needed: the looks of {name} settled every row that this seed would serve.")
        else:
            lines.append(
                f"to do if it is needed: a look of {name} at fewer seeds is not over yet, or left no row open."
            )
    return lines


def because(
    state: RunState,
    attempts: Sequence[AttemptRecord],
    live: LiveAttempt | None = None,
    fate: Fate | None = None,
) -> list[str]:
    """Why the run is in its state, and what to do about it where there is something to do."""
    last = attempts[-1] if attempts else None
    if state.state == "done":
        counted = next((number for number, attempt in enumerate(attempts, 1) if attempt.counted), 0)
        return [f"done: attempt {counted} of {len(attempts)} is the one that counts."]
    if state.state == "running" and live is not None:
        place = live.place
        if fate == "left":
            engine = live.host.partition(":")[0]
            comes = f"`ablate run --executor {engine}` collects it, `ablate stop` cancels it."
            return [f"left at {place}: it goes on, and no dispatcher looks after it.", comes]
        if fate == "held":
            return [f"running on {place} for {live.seconds:.0f} s; its dispatcher holds the lease."]
        gone = "its worker and its dispatcher are gone" if fate == "gone" else "its lease ended without a sign of life"
        return [f"lost on {place}: {gone}.", "The next `ablate run` takes it up again."]
    if state.state == "failed" and last is not None and "imported" in last.provenance:
        file, line = last.provenance["imported"], last.provenance.get("line")
        return [f"failed elsewhere: {file}, line {line}: {last.message}.", "A mended file can be imported again."]
    if state.state == "failed" and state.reason is not None:
        if state.reason == "pruned":
            goes_on = "It goes on where it stopped when `ablate tune` finds it among the best of its step after all."
            return [f"paused: {_MEANINGS['pruned']}.", goes_on]
        lines = [f"failed: {state.reason}: {_MEANINGS[state.reason]}."]
        if state.reason in RETRIED:
            lines.append(f"It was executed {state.attempts} times, and limits.attempts allows no more.")
        else:
            lines.append("That would only repeat itself, so it is not tried again unasked.")
        return [*lines, f"`ablate retry --failed --reason {state.reason}` tries it again."]
    if last is None:
        return ["to do: it was not executed yet.", "`ablate run` executes it."]
    if last.outcome == "done":
        return ["to do, though an attempt ended well: none of its results counts."]
    return [
        f"to do: its last attempt ended as {last.reason}, which says nothing against the run.",
        "`ablate run` goes on.",
    ]


def _line(number: int, attempt: AttemptRecord) -> str:
    how = "running" if attempt.outcome is None else attempt.reason or attempt.outcome
    said = f": {attempt.message}" if attempt.message else ""
    took = "" if attempt.seconds is None else f" after {attempt.seconds:.1f} s"
    return f"  attempt {number}, on {attempt.device}/{attempt.slot} of {attempt.host}: {how}{took}{said}"
