"""Where variants start from, in a plan: weights that are there, or another study's run that is still to be trained.

Pure: what the plan keeps, hashes and says of a start. The run is found in lineage.py, the file read in transfer.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ablate.records import Json, Parent, Start
from ablate.training.task import Completed

NOT_TRAINED = "it is not trained yet"

Starts = Mapping[Parent, Start | str]
"""The weights of other studies' runs; for those that are not there yet, why."""


def started(done: Completed, starts: Starts) -> Completed:
    """The configuration with the weights that it waits for, where they are there."""
    start = starts.get(done.parent) if done.parent is not None else None
    return replace(done, start=start) if isinstance(start, Start) else done


def pending(done: Completed) -> Parent | None:
    """The run of another study whose weights a configuration waits for."""
    return done.parent if done.start is None else None


def asked(done: Completed) -> Mapping[str, Json]:
    """The configuration that a key hashes: of weights that it starts from their content, not where they lie."""
    return done.asked if done.start is None else {**done.asked, "starts_from": done.start.sha256}


def kept(done: Completed) -> dict[str, Json]:
    """What the database keeps of a variant's start; nothing where its seed is the start."""
    if done.start is not None:
        return {"starts_from": {"origin": done.start.origin, "run": done.start.run, "sha256": done.start.sha256}}
    return {} if done.parent is None else {"starts_from": "pending"}


def notes(variants: Iterable[tuple[str, Completed]], starts: Starts) -> list[str]:
    """Which variants (name, configuration) start from which weights, and which wait for them."""
    found: dict[str, list[str]] = {}
    waiting: dict[Parent, list[str]] = {}
    for name, done in variants:
        parent = pending(done)
        if parent is not None:
            waiting.setdefault(parent, []).append(name)
        elif done.start is not None:
            found.setdefault(done.start.origin, []).append(name)
    lines = [f"Starting from the weights of {origin}: {', '.join(names)}." for origin, names in found.items()]
    if any(done.start is not None and done.start.run for _, done in variants):
        lines.append(
            "Every seed of such a variant starts from the same trained weights, so the spread over seeds says nothing "
            "of how another pretraining would have done."
        )
    for parent, names in waiting.items():
        why = starts.get(parent, NOT_TRAINED)
        lines.append(
            f"Pending, for they start from {parent.variant} of study {parent.study}: {', '.join(names)}. But {why}; "
            "`ablate run` trains that first, and these runs have no key before."
        )
    return lines
