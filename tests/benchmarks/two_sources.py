"""How often verdicts about other seeds and other examples are wrong; printed by error_rates.py.

Binary examples: a share 2 (1 - accuracy) of the images is hard, of these a run's outcome is drawn anew in a fifth, with
a bias of the run's own; on a further share of all images a row and its comparison disagree in every seed, and either is
right equally often, so that no row is better on other images. Heavy-tailed losses: normal seeds and cells, images whose
differences are normal times lognormal (kurtosis above 100). Eight rows against one baseline; 3 and 5 seeds are the
first of the ten.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ablate.analysis import comparisons
from ablate.analysis.comparisons import ALPHA, Array
from ablate.analysis.components import Components, Spreads, advice, both, half_width, spreads
from ablate.analysis.judge import by_both, by_t
from ablate.analysis.looks import levels

ROWS, SEEDS = 8, (3, 5, 10)
ACCURACIES = (0.9, 0.975, 0.994)
DISAGREEMENT = (0.0, 0.003, 0.02, 0.04)
IMAGES = (200, 500, 2000, 10_000)
LOSSES = (0.0, 0.3, 1.0)
"""The spread of images' differences, times that of a cell, with 20 x fewer seeds' spread."""
EFFECT = 3.0
"""The true effect, in standard errors, of what is to be found, and the margin within which a row is equivalent."""
MATTERS = 1.25
"""Twice the seeds or four times the images: from this ratio of half-widths on it matters which."""
TESTS = ("both", "seeds", "satterthwaite")
CHUNK_CELLS = 40_000_000

Chunk = dict[int, tuple[Array, Components]]
"""By number of seeds: the means of each seed (rows of all studies, seeds), and the components."""


@dataclass
class Share:
    """Of so many studies how many rows (of `per`) reject; rows of one study share a baseline, so its error is over
    studies."""

    per: int = ROWS
    studies: int = 0
    hits: int = 0
    squares: int = 0

    def add(self, rejected: NDArray[np.bool_]) -> None:
        """rejected: (rows of all studies,)."""
        each = rejected.reshape(-1, self.per).sum(axis=1)
        self.studies += len(each)
        self.hits += int(each.sum())
        self.squares += int((each**2).sum())

    @property
    def value(self) -> float:
        return self.hits / self.studies / self.per

    @property
    def se(self) -> float:
        mean = self.hits / self.studies
        return float(np.sqrt(max(self.squares / self.studies - mean**2, 0.0) / self.studies)) / self.per

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} ± {100 * self.se:.1f}"


def _of_rows() -> dict[str, Share]:
    return {name: Share() for name in TESTS}


@dataclass
class Counted:
    """Of one line: the share that each test rejects; medians of predictions.

    single: at 0.05; strict: at Holm's first level; family: studies with any; looks: studies over three looks; alike:
    studies that call any row at the margin equivalent; found: rows with an effect.
    """

    single: dict[str, Share] = field(default_factory=_of_rows)
    strict: dict[str, Share] = field(default_factory=_of_rows)
    found: dict[str, Share] = field(default_factory=_of_rows)
    family: dict[str, Share] = field(default_factory=lambda: {name: Share(1) for name in TESTS})
    alike: Share = field(default_factory=lambda: Share(1))
    looks: Share = field(default_factory=lambda: Share(1))
    predicted: list[Array] = field(default_factory=list)


def judged(means: Array, parts: Components, shift: float, margin: float | None) -> dict[str, Array]:
    """p of each test; with a margin, of equivalence by the first. means: (comparisons, seeds), to which `shift` goes."""
    tested = comparisons.compare(means + shift, np.zeros_like(means))
    here = by_t(tested, ALPHA, margin)
    beyond = by_both(here, tested, parts, ALPHA, margin)
    if margin is not None:
        return {"both": beyond.p_equivalent}
    v, df = both(tested.se**2, tested.df, parts)
    plain = 2 * special.stdtr(df, -np.abs(tested.estimate) / np.sqrt(v))
    return {"both": beyond.p, "seeds": here.p, "satterthwaite": plain}


def components(means: Array, squares: Array, columns: Array, units: int) -> Components:
    """From sums: the means of each seed; the sum of all squared differences; the sum of squared column means."""
    seeds = means.shape[1]
    c = means.mean(axis=1)
    over_seeds = (means**2).sum(axis=1) - seeds * c**2
    over_units = columns - units * c**2
    rest = np.maximum(squares - units * (means**2).sum(axis=1) - seeds * over_units, 0.0)
    ones = np.ones(len(c))
    return Components(
        seeds * ones, units * ones, over_seeds / (seeds - 1) / seeds, np.maximum(over_units, 0) / (units - 1) / units,
        rest / ((seeds - 1) * (units - 1)) / (seeds * units), ones,
    )  # fmt: skip


def binary(accuracy: float, disagree: float, images: int, studies: int, seed: int) -> Iterator[Chunk]:
    """Chunks of studies, in percent."""
    rng = np.random.default_rng([20250201, seed, images])
    seeds = SEEDS[-1]
    hard = max(round(2 * (1 - accuracy) * images), 1)
    size = max(CHUNK_CELLS // ((ROWS + 1) * seeds * hard), 1)
    for begun in range(0, studies, size):
        count = min(size, studies - begun)
        base = rng.integers(0, 2, (count, 1, 1, hard), np.uint8)
        # Which images are persistently told otherwise: of all images a share, and they lie among the hard ones.
        apart = rng.random((count, ROWS, 1, hard), np.float32) < min(disagree * images / hard, 1.0)
        truth = np.concatenate([base, base ^ apart], axis=1)
        wrong = np.clip(np.rint(26 + 8 * rng.normal(size=(count, ROWS + 1, seeds, 1))), 0, 52).astype(np.uint8)
        drawn = rng.integers(0, 256, (count, ROWS + 1, seeds, hard), np.uint8)
        outcome = ((drawn >= wrong) & (truth | (drawn < 52)).astype(bool)).astype(np.int8)
        difference = outcome[:, 1:] - outcome[:, :1]
        sums = difference.sum(axis=3, dtype=np.int32).reshape(-1, seeds)
        unequal = np.count_nonzero(difference, axis=3).reshape(-1, seeds)
        chunk = {}
        for n in SEEDS:
            column = difference[:, :, :n].sum(axis=2, dtype=np.int16).reshape(-1, hard)
            squared = np.einsum("ij,ij->i", column, column, dtype=np.float64) / n**2
            means = 100 * sums[:, :n] / images
            chunk[n] = means, components(means, 1e4 * unequal[:, :n].sum(axis=1), 1e4 * squared, images)
        yield chunk


def losses(spread: float, images: int, studies: int, seed: int) -> Iterator[Chunk]:
    """The same of losses. Normal cells need no cell: their column means, row means and squares are drawn as they are."""
    rng = np.random.default_rng([20250202, seed, images])
    size = max(CHUNK_CELLS // (4 * ROWS * images), 1)
    for begun in range(0, studies, size):
        rows = min(size, studies - begun) * ROWS
        heavy = rng.normal(size=(rows, images)) * np.exp(rng.normal(size=(rows, images)))
        chunk = {}
        for n in SEEDS:
            column = spread * heavy + rng.normal(size=(rows, images)) / np.sqrt(n)
            c = column.mean(axis=1)
            # Seeds and the noise of their means, about the mean that the columns have.
            around = rng.normal(size=(rows, n)) * np.sqrt(0.05**2 + 1 / images)
            own = around - around.mean(axis=1, keepdims=True)
            means = c[:, None] + own + 0.05 * rng.normal(size=(rows, 1)) / np.sqrt(n)
            rest = rng.chisquare((n - 1) * (images - 1), rows)
            over_units = ((column - c[:, None]) ** 2).sum(axis=1)
            centre = means.mean(axis=1)
            squares = rest + n * over_units + images * (means**2).sum(axis=1)
            chunk[n] = means, components(means, squares, over_units + images * centre**2, images)
        yield chunk


def count(chunks: Iterable[Chunk]) -> dict[int, Counted]:
    """What each number of seeds comes to over all studies."""
    counted = {n: Counted() for n in SEEDS}
    shares = levels(SEEDS) / ALPHA
    for chunk in chunks:
        any_look = np.zeros(len(chunk[SEEDS[0]][0]) // ROWS, dtype=bool)
        for n, share in zip(SEEDS, shares, strict=True):
            means, parts = chunk[n]
            shift = EFFECT * float(means.mean(axis=1).std())
            at_margin = judged(means, parts, shift, shift)["both"] < ALPHA / ROWS
            counted[n].alike.add(at_margin.reshape(-1, ROWS).any(axis=1))
            there = judged(means, parts, shift, None)
            for name, p in judged(means, parts, 0.0, None).items():  # NaN, where there is no p, is below nothing
                counted[n].single[name].add(p < ALPHA)
                counted[n].strict[name].add(p < ALPHA / ROWS)
                counted[n].family[name].add((p < ALPHA / ROWS).reshape(-1, ROWS).any(axis=1))
                counted[n].found[name].add(there[name] < ALPHA)
                if name == "both":
                    any_look |= (p * ROWS / share < ALPHA).reshape(-1, ROWS).any(axis=1)
        counted[SEEDS[-1]].looks.add(any_look)
        (before, few), (after, many) = chunk[5], chunk[10]
        expected = spreads(before.var(axis=1, ddof=1) / 5, np.full(len(before), 4.0), few).half_width(10.0, few.units)
        came = half_width(after.var(axis=1, ddof=1) / 10, np.full(len(after), 9.0), many)
        counted[10].predicted.append(expected[came > 0] / came[came > 0])
    return counted


def lines(studies: int) -> Iterator[tuple[str, int, dict[int, Counted]]]:
    """(what, images, counted) of every case."""
    for i, accuracy in enumerate(ACCURACIES):
        for j, disagree in enumerate(DISAGREEMENT):
            for images in IMAGES:
                if disagree > 2 * (1 - accuracy):
                    continue  # two variants of this accuracy cannot disagree on so many
                fewer = studies if images < 10_000 else max(studies // 5, 1)
                yield (
                    f"{100 * accuracy:g} % right, {100 * disagree:g} % apart", images,
                    count(binary(accuracy, disagree, images, fewer, 10 * i + j)),
                )  # fmt: skip
    for j, spread in enumerate(LOSSES):
        for images in IMAGES:
            fewer = studies if images < 2000 else max(studies // 5, 1)
            yield f"losses, images {spread:g} x a cell", images, count(losses(spread, images, fewer, j))


def broken(one: Counted, seeds: int, looked: bool) -> list[str]:
    """Which promises a line breaks, in words; each figure has two standard errors of leave."""
    limits = [
        ("one test errs", one.single["both"], 0.055), ("at Holm's first level errs", one.strict["both"], 1.25 * ALPHA / ROWS),
        ("studies err", one.family["both"], 0.055), ("studies err in equivalence", one.alike, 0.055),
    ]  # fmt: skip
    limits += [("studies err over three looks", one.looks, 0.055)] * (looked and seeds == SEEDS[-1])
    return [f"{what} in {share} %" for what, share, most in limits if share.value > most + 2 * share.se]


def advised(studies: int, seed: int = 20250203) -> tuple[float, float, float, int]:
    """ "10 seeds or four times the images?", of 5 seeds and 500 images: how often the narrower prediction is the right
    one, how often it is named, not `either`, how often the other way is named; and of how many studies: those whose true
    half-widths differ by MATTERS or more. The share of seeds in the variance is anything from 3 to 97 % alike, a cell's
    noise 3 to 30 %."""
    rng = np.random.default_rng(seed)
    seeds, images, ones = 5, 500, np.ones(studies)
    share, cell = rng.uniform(0.03, 0.97, studies), np.exp(rng.uniform(np.log(0.03), np.log(0.3), studies))
    truth = Spreads(share * seeds, (1 - share) * images, cell * seeds * images, ones)
    more, wider, _ = advice(truth, truth.at(seeds * ones, float(images))[2])
    v_seeds = (share + cell) * rng.chisquare(seeds - 1, studies) / (seeds - 1)
    v_examples = (1 - share + cell) * rng.chisquare(images - 1, studies) / (images - 1)
    seen = Components(seeds * ones, images * ones, v_seeds, v_examples, cell, ones)
    by_seeds, by_images, told = advice(spreads(v_seeds, (seeds - 1.0) * ones, seen), seen)
    apart = np.maximum(more / wider, wider / more) >= MATTERS
    right = np.where(more < wider, "seeds", "examples")[apart]
    narrower, named = np.where(by_seeds < by_images, "seeds", "examples")[apart], np.array(told)[apart]
    other = (named != right) & (named != "either")
    return float((narrower == right).mean()), float((named == right).mean()), float(other.mean()), len(right)


def report(studies: int) -> list[str]:
    """Print it; the promises that do not hold."""
    print(
        "\nOther seeds and other examples (`tests/benchmarks/two_sources.py`), 8 rows that do nothing. In percent, ± standard "
        f"error; {studies:,} studies a line, a fifth of them at 10,000 images and of losses from 2,000 on. Both: the verdict's "
        'test. Level: at Holm\'s first level, 0.05 / 8, in multiples of it. Finds: an effect of 3 standard errors. "apart": '
        "of the images, those on which a row and its comparison disagree in every seed; more than two variants of an "
        "accuracy can disagree on is left out.\n"
    )
    print(
        "| examples | images | seeds | both: one test | level | 8 rows | three looks | equivalent | finds | "
        "seeds only: one test | 8 rows | finds | Satterthwaite: one test | level | 8 rows |"
    )
    print("|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    wrong, predicted = [], []
    for what, images, counted in lines(studies):
        for n, one in counted.items():
            looked = n == SEEDS[-1] and "losses" not in what
            level = {name: f"{share.value / (ALPHA / ROWS):.2f}" for name, share in one.strict.items()}
            cells = (
                what, images, n, one.single["both"], level["both"], one.family["both"], one.looks if looked else "",
                one.alike, one.found["both"], one.single["seeds"], one.family["seeds"], one.found["seeds"],
                one.single["satterthwaite"], level["satterthwaite"], one.family["satterthwaite"],
            )  # fmt: skip
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
            wrong += [f"{what}, {images} images, {n} seeds: {said}" for said in broken(one, n, looked)]
        if "losses" not in what:
            # Five seeds without any spread predict nothing.
            predicted.append(float(np.nanmedian(np.concatenate(counted[10].predicted))))
    share, outright, other, of = advised(20_000)
    print(
        f"\nThe half-width that 5 seeds predict for 10, over that which comes: in the median {min(predicted):.2f} to "
        f'{max(predicted):.2f}, by line. "Twice the seeds or four times the images?", of 5 seeds and 500 images: of '
        f"{of:,} studies in which the two differ by {MATTERS:g} or more the narrower prediction is the right one in "
        f'{share:.0%}; in {outright:.0%} it is named, in {other:.0%} the other way is, else the answer is "either".'
    )
    if outright < 0.8:
        wrong.append(f"advice is right in {outright:.0%} only")
    return wrong + [f"predictions are off by {x:.2f}" for x in predicted if not 0.75 <= x <= 1.25]


if __name__ == "__main__":
    sys.exit(bool(report(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)))
