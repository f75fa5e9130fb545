"""How often verdicts on one half of a dev set contradict those on the other, of a study that kept what runs said.

    ablate run studies/batchnorm.yaml --set "seeds=[300, ..., 339]"
    ablate export batchnorm --examples -o examples.csv
    python tests/benchmarks/halves.py examples.csv full dev_accuracy dev_loss

The examples are split in two at random, 1,000 times, and the first so many seeds taken. A row contradicts itself where
the 95 % intervals of the two halves do not meet: both are examples like these, so that hardly any split should. The
standard error is that of so many splits of these examples and these seeds.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from ablate.analysis import comparisons, components
from ablate.analysis.comparisons import ALPHA, Array
from ablate.analysis.judge import by_both, by_t

SPLITS, SEEDS = 1000, (5, 10, 20, 30, 40)
FEW, LEAST_DRAWN = (3, 5, 10), 30
"""Seeds that are drawn anew from those there are, where there are enough."""
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


def missed(means: Array, seeds: int) -> float:
    """How often the t interval of so few seeds, drawn anew from those there are, leaves out the mean of them all."""
    rng = np.random.default_rng(2)
    drawn = rng.choice(means, size=(20 * SPLITS, seeds))
    found = comparisons.compare(drawn, np.zeros_like(drawn))
    return float(((found.ci_low > means.mean()) | (found.ci_high < means.mean())).mean())


def _drawn_anew(found: Mapping[str, Mapping[str, Mapping[int, Array]]], reference: str, most: int) -> None:
    print(
        f"\nDrawn anew from the {most} seeds: in how many of {20 * SPLITS:,} studies the interval over seeds leaves out the "
        f"mean of them all, in %.\n\n| metric | row | {' | '.join(f'{n} seeds' for n in FEW)} |\n|:--|:--|{'--:|' * len(FEW)}"
    )
    for metric, values in found.items():
        for variant in (name for name in values if name != reference):
            shared = values[variant].keys() & values[reference].keys()
            means = np.array([(values[variant][seed] - values[reference][seed]).mean() for seed in sorted(shared)])
            print(f"| {metric} | {variant} | {' | '.join(f'{100 * missed(means, n):.1f}' for n in FEW)} |")


def _share(value: float) -> str:
    return f"{100 * value:.1f} ± {100 * np.sqrt(value * (1 - value) / SPLITS):.1f}"


def report(file: str, reference: str, metrics: Sequence[str]) -> list[str]:
    """Print a table; the rows that break the promise."""
    found = {metric: read(file, metric) for metric in metrics}
    most = max(len(of) for values in found.values() for of in values.values())
    sizes = [n for n in SEEDS if n <= most]
    print(f"| metric | row | {' | '.join(f'{n} seeds: seeds only | both' for n in sizes)} |")
    print(f"|:--|:--|{'--:|--:|' * len(sizes)}")
    wrong = []
    for metric, values in found.items():
        for variant in (name for name in values if name != reference):
            shared = sorted(values[variant].keys() & values[reference].keys())
            cells = []
            for n in sizes:
                each = np.stack([values[variant][seed] - values[reference][seed] for seed in shared[:n]])
                alone, both = contradictions(each)
                cells += [_share(alone), _share(both)]
                if both > LIMIT:
                    wrong.append(f"{metric}, {variant}, {n} seeds: {_share(both)} % with both")
            print(f"| {metric} | {variant} | {' | '.join(cells)} |", flush=True)
    if most >= LEAST_DRAWN:
        _drawn_anew(found, reference, most)
    return wrong


if __name__ == "__main__":
    broken = report(sys.argv[1], sys.argv[2], sys.argv[3:])
    print("\nevery row holds" if not broken else "\n".join(["", "broken:", *broken]))
    sys.exit(bool(broken))
