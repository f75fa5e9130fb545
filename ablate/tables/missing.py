"""The sentences under a table about runs that are in no mean: those that failed, and those that are to do. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ablate.analysis.arrays import NO_VALUE
from ablate.analysis.measured import Measured
from ablate.records import Row
from ablate.text import Note, listed, many

if TYPE_CHECKING:
    from ablate.store.stored import StoredCell


def failures(cells: Sequence[StoredCell], measured: Measured) -> list[str]:
    """Which runs failed and why; a done run without the metric among them."""
    failed: dict[str, dict[str, list[int]]] = {}
    for cell in cells:
        if cell.state == "failed":
            failed.setdefault(cell.variant, {}).setdefault(cell.reason or "error", []).append(cell.seed)
    sentences: list[str] = []
    texts = []
    for variant, reasons in failed.items():
        what = "; ".join(f"{reason}: {_seeds(seeds)}" for reason, seeds in sorted(reasons.items()))
        texts.append(f"{variant} ({what})")
    if texts:
        short = [f"{v} {_reasons({why: len(seeds) for why, seeds in of.items()})}" for v, of in failed.items()]
        count = many(sum(len(seeds) for of in failed.values() for seeds in of.values()), "failed run")
        sentences.append(
            Note(
                f"† Failed runs are not in n, mean or test: {listed(texts)}.",
                f"† {count} in no mean: {listed(short, most=6)}",
            )
        )
    missing = [(v, f[NO_VALUE]) for v, f in zip(measured.variants, measured.failures, strict=True) if f.get(NO_VALUE)]
    if missing:
        at = "" if measured.metric.at == "last" else f" in their curves (at: {measured.metric.at})"
        texts = [f"{variant} ({many(count, 'run')})" for variant, count in missing]
        said = f"one, but without {measured.metric.name}{at}, so not in n: "
        sentences.append(Note(f"† D{said}{listed(texts)}.", f"† d{said}{listed(texts, most=3)}"))
    return sentences


def _reasons(counts: Mapping[str, int]) -> str:
    """`2 (oom, error)`."""
    return f"{sum(counts.values())} ({', '.join(sorted(counts))})"


def lopsided(rows: Sequence[Row]) -> list[str]:
    """Which verdicts hold only for the runs that came to an end."""
    named = [row for row in rows if row.lopsided]
    short = listed((row.spoken for row in named), most=4)
    return [
        Note(
            "More runs failed on one side of a comparison than on the other, so what is said of it holds among "
            f"finished runs only and is not bold: {listed(row.named for row in named)}.",
            f"! more runs failed on one side: {short}",
        )
    ] * bool(named)


def unfinished(cells: Sequence[StoredCell]) -> list[str]:
    """How many runs are still to do."""
    states = Counter(state for _, state in {(cell.run, cell.state) for cell in cells})
    runs = sum(states.values())
    if not states["todo"] + states["running"]:
        return []
    running = f", {states['running']} running" if states["running"] else ""
    text = f"nfinished: {states['todo']} of {many(runs, 'run')} to do{running}"
    return [Note(f"U{text}.", f"! u{text}")]


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {listed(map(str, seeds))}"
