"""What is due when a study's runs are executed: results example by example, and weights that need not be kept."""

from __future__ import annotations

from collections.abc import Iterator

from ablate.runs import examples, weights
from ablate.runs.planned import Planned
from ablate.text import file_size


def settled(planned: Planned, db: str) -> Iterator[str]:
    """Do it; yields a sentence for each that changed something."""
    filled = examples.fill(planned, db)
    if filled.found or filled.refused:
        yield str(filled)
    freed = weights.prune(planned, db)
    if freed:
        yield f"removed {file_size(freed)} of weights: the study keeps those of the best variant."
