"""How often verdicts on one half of a dev set contradict those on the other, of a study that kept what runs said.

    ablate run studies/batchnorm.yaml --set "seeds=[300, ..., 339]"
    ablate export batchnorm --examples -o examples.csv
    python tests/benchmarks/halves.py examples.csv full dev_accuracy dev_loss

The examples are split in two at random, 100 times, and the first so many seeds taken. A row contradicts itself where the
95 % intervals of the two halves do not meet: both are examples like these, so that hardly any split should.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ablate.analysis import comparisons, components
from ablate.analysis.comparisons import ALPHA, Array
from ablate.analysis.judge import by_both, by_t

SPLITS, SEEDS = 100, (10, 20, 30)
LIMIT = 0.06
"""Of splits, with both sources: what is promised of each row."""


def read(file: str, metric: str) -> dict[str, dict[int, Array]]:
    """What `ablate export --examples` wrote; every run's examples in the order of their ids."""
    found: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    with open(file, newline="", encoding="utf-8") as lines:
        for line in csv.DictReader(lines):
            found[line["variant"], int(line["seed"])][line["id"]] = float(line[metric])
    values: dict[str, dict[int, Array]] = defaultdict(dict)
    for (variant, seed), of in found.items():
        values[variant][seed] = np.array([of[name] for name in sorted(of)])
    return values


def intervals(difference: Array) -> list[tuple[float, float]]:
    """Of a comparison by seeds only and by both sources. (seeds, examples)."""
    means = difference.mean(axis=1)[None]
    tested = comparisons.compare(means, np.zeros_like(means))
    here = by_t(tested, ALPHA, None)
    both = by_both(here, tested, components.of_layout(difference), ALPHA, None)
    return [(float(one.ci_low[0]), float(one.ci_high[0])) for one in (here, both)]


def contradictions(difference: Array) -> Array:
    """Shares of splits, by seeds only and by both sources, in which the halves' intervals do not meet."""
    rng, found = np.random.default_rng(1), np.zeros(2)
    for _ in range(SPLITS):
        order = rng.permutation(difference.shape[1])
        half = len(order) // 2
        pairs = zip(intervals(difference[:, order[:half]]), intervals(difference[:, order[half:]]), strict=True)
        found += [one[1] < other[0] or other[1] < one[0] for one, other in pairs]
    return found / SPLITS


def report(file: str, reference: str, metrics: Sequence[str]) -> list[str]:
    """Print a table; the rows that break the promise."""
    wrong = []
    print("| metric | row | seeds | seeds only | both |\n|:--|:--|--:|--:|--:|")
    for metric in metrics:
        values = read(file, metric)
        for variant in values:
            shared = sorted(values[variant].keys() & values[reference].keys())
            for n in SEEDS if variant != reference else ():
                if n > len(shared):
                    continue
                each = np.stack([values[variant][seed] - values[reference][seed] for seed in shared[:n]])
                alone, both = contradictions(each)
                print(f"| {metric} | {variant} | {n} | {100 * alone:.0f} | {100 * both:.0f} |", flush=True)
                if both > LIMIT:
                    wrong.append(f"{metric}, {variant}, {n} seeds: {100 * both:.0f} % with both")
    return wrong


if __name__ == "__main__":
    broken = report(sys.argv[1], sys.argv[2], sys.argv[3:])
    print("\nevery row holds" if not broken else "\n".join(["", "broken:", *broken]))
    sys.exit(bool(broken))
