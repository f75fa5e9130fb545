"""`ablate retry --weights`: train weights again that were pruned, deleted or damaged.

They count only where they come to the hash that the database has: then nothing that was measured with them changes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ablate.errors import AblateError
from ablate.pool.executor import Failed
from ablate.pool.folders import measuring
from ablate.records import RunSpec
from ablate.runs import canary, execute
from ablate.runs.planned import Planned, folder_name, specs
from ablate.runs.weights import FILES, HASHES, is_whole
from ablate.store.store import Store
from ablate.store.stored import Kept
from ablate.text import many


@dataclass(frozen=True)
class Again:
    """What training weights again came to: the runs that have theirs again, and why others have not, by key."""

    made: tuple[str, ...]
    refused: Mapping[str, str]

    def text(self, names: Mapping[str, str]) -> str:
        """For whoever asked. names: of runs, by key."""
        if not self.made and not self.refused:
            return "no finished run lacks its weights."
        lines = [f"the weights of {many(len(self.made), 'run')} are there again, with the hashes that they had."]
        lines += [f"{names[key]}: {why}" for key, why in self.refused.items()]
        return "\n".join(lines)


def restore(planned: Planned, db: str, options: execute.Options, say: Callable[[str], None]) -> Again:
    """Train again the finished runs of a study whose weights are missing or damaged, and put them where they were.

    The results that count stay. say: tells how many there are. AblateError where the study's task leaves no weights.
    """
    executor = execute.executor_of(planned, options)
    if executor.engine:
        raise AblateError(
            f"--executor {options.executor}: weights are trained again on this host only; leave the option out, or run "
            "the command on the machine that is to train.",
            page="clusters",
        )
    with Store.open(db) as store:
        wanted, kept = specs(planned, store.folder), store.kept({run.key for run in planned.plan.runs if run.key})
        scratch, database = store.folder / folder_name(planned.study.name) / "weights", store.identity
    if kept and not any("weights" in left.outputs for left in kept.values()):
        raise AblateError(f"the task {str(planned.study.task)!r} leaves no weights whose hash the database has.")
    lacking = [key for key, left in kept.items() if _lacks(wanted[key], left)]
    made: list[str] = []
    refused: dict[str, str] = {}
    if not lacking:
        return Again((), {})
    say(f"{many(len(lacking), 'finished run')} without weights: training them again.")
    executor.open(execute.setup_of(planned, database))
    slots = execute.slots_for(planned.study, options)
    try:
        # Those first that others measure anew.
        for part in ([k for k in lacking if not wanted[k].evaluates], [k for k in lacking if wanted[k].evaluates]):
            with Store.open(db) as store:
                trial = {key: measuring(_in(wanted[key], scratch), store) for key in part}
            for key, event in canary.canaries(executor, slots, trial, whole=True).items():
                why = event.message if isinstance(event, Failed) else _put_back(Path(trial[key].folder), kept[key])
                refused |= {key: why} if why else {}
                made += [] if why else [key]
    finally:
        executor.close()
        shutil.rmtree(scratch, ignore_errors=True)
    return Again(tuple(made), refused)


def _in(spec: RunSpec, scratch: Path) -> RunSpec:
    return replace(spec, folder=str(scratch / spec.key), keep=True)


def _lacks(spec: RunSpec, left: Kept) -> bool:
    """Whether a file is missing or damaged. What measures other weights anew keeps those of the end alone."""
    return not all(is_whole(left.folder / file) for file in FILES if file == "last.pt" or not spec.evaluates)


def _put_back(folder: Path, left: Kept) -> str:
    """Move what was trained again to where it was; or why not."""
    from ablate.training import checkpoint

    files = [folder / file for file in FILES if (folder / file).exists()]
    try:
        for file in files:
            checkpoint.weights(file, left.outputs.get(HASHES[file.name], ""))
    except AblateError:
        return (
            f"{file.name} came to another hash: other versions, another kind of processor, or not all that is drawn is "
            "seeded; `ablate verify` tells which"
        )
    left.folder.mkdir(parents=True, exist_ok=True)
    for file in [*files, *folder.glob("training.json")]:
        file.replace(left.folder / file.name)
    return "" if files else "it left no weights"
