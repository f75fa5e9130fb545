"""Which runs keep their weights on the disk (`weights: all | best | none`), and how much that takes.

With `none` a run writes none, unless another run measures them anew; with `best` every run writes them, for nobody can
know the best before the end, and after a `run` that left nothing to do those of the other variants are removed. Runs
that another study asks for, too, keep theirs. What is missing or damaged is trained again in retrained.py.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from ablate.runs.planned import Planned
from ablate.store.reader import Reader
from ablate.store.store import Store
from ablate.text import file_size

HASHES = {"best.pt": "best_weights", "last.pt": "weights"}
"""Files of weights, and under which name the database has the hash of what is in them."""
FILES = tuple(HASHES)


def told(planned: Planned, store: Reader | None) -> list[str]:
    """What the weights take and will take, from those that are there; nothing before the first run."""
    if store is None:
        return []
    keys = {run.key for run in planned.plan.runs if run.key}
    sizes = [size for kept in store.kept(keys, hashed="weights").values() if (size := _size(kept.folder))]
    if not sizes:
        return []
    least = sum(sizes)
    mean, kept = least / len(sizes), planned.study.weights
    seeds = len(planned.study.seeds)
    end = {"all": f"{file_size(mean * len(keys))} when all {len(keys)} runs are done", "none": "no run writes any"}
    end["best"] = f"{file_size(mean * seeds)} when all is done and only the best variant keeps them"
    if kept == "all" and len(sizes) == len(keys):
        return [f"Weights of all {len(keys)} runs take {file_size(least)} (weights: all)."]
    return [f"Weights of {len(sizes)} runs take {file_size(least)} now; {end[kept]} (weights: {kept})."]


def prune(planned: Planned, db: str) -> float:
    """Remove the weights that `weights: best` does not keep, once a variant is best; the bytes that were freed."""
    if planned.study.weights != "best":
        return 0
    from ablate.analysis import results  # numpy and scipy, which a plan does not need

    with Store.open(db) as store:
        name = planned.study.name
        best = results.load(store, name).best
        if best is None:
            return 0
        cells = store.cells(name)
        kept = {cell.run for cell in cells if cell.variant == best.variant}
        kept |= {cell.run for other in store.studies() if other != name for cell in store.cells(other)}
        freed = 0
        for left in store.kept({cell.run for cell in cells} - kept).values():
            freed += _size(left.folder)
            for file in FILES:
                (left.folder / file).unlink(missing_ok=True)
        return freed


def _size(folder: Path) -> int:
    return sum((folder / file).stat().st_size for file in FILES if (folder / file).is_file())


def is_whole(path: Path) -> bool:
    """Whether a file of weights is there, and every byte as it was written, by the checksums in it; torch is not loaded
    for that."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, ValueError, EOFError, NotImplementedError):
        return False
