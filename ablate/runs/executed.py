"""Files that runs were found to execute although no import of theirs names them: an edit of one asks anew.

A task may put a folder on sys.path, or be told at run time what to import: its key cannot hold such a file before it
ran. The worker tells what it executed, with hashes; the store keeps them with the attempt. Where one is another now,
its hash enters the key of the runs that executed it, and of those alone. Undone, the edit gives back the first results.
A file that is gone says nothing: tasks write modules that live as long as they do.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ablate.identity import sha256_file
from ablate.store.reader import Reader
from ablate.study.keyed import run_of
from ablate.study.plan import Plan


def current(plan: Plan, folder: Path, store: Reader) -> Plan:
    """The plan with the keys that its runs have now. folder: the study's, from which paths are meant."""
    now = functools.cache(lambda name: _hash(folder / name))
    edits: dict[str, Mapping[str, str]] = {}
    known: set[str] = set()
    while unknown := _keys(plan) - known:
        known |= unknown
        before = {run.key: run.edited for run in plan.runs}
        for key, executed in store.executed(unknown).items():
            changed = {name: now(name) for name, was in executed.items() if now(name) not in ("", was)}
            if changed:
                edits[key] = {**before.get(key, {}), **changed}
        if edits:
            runs = (run_of(plan.study, plan.variant(run.variant), run.seed, edits) for run in plan.runs)
            plan = replace(plan, runs=tuple(runs))
    return plan


def _keys(plan: Plan) -> set[str]:
    return {key for run in plan.runs for key in (run.key, run.evaluates) if key}


def _hash(file: Path) -> str:
    with suppress(OSError):
        return sha256_file(file)
    return ""
