"""What is held against the numbers of a table: collapsed seeds, unequal spreads, pairs that buy nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.assumptions import correlation_at_most, pairs_pay_from, seed_correlation, spread_ratio_limit
from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array, CellMeans
from ablate.analysis.measured import Measured
from ablate.records import Row
from ablate.text import Note, listed, many

MOST_RATIO = 2.0
"""Standard deviations that differ by more than this, and by more than chance, are said wherever errors are pooled."""


def collapsed(rows: Sequence[Row], measured: Measured) -> list[str]:
    """A sign count beside t where a seed of the row or of its comparison collapsed."""
    values = measured.values[measured.metric.name]
    row_of = {name: i for i, name in enumerate(measured.variants)}
    column = {seed: i for i, seed in enumerate(measured.seeds)}
    fallen = {row.variant: row.collapsed for row in rows}
    counted = {row.variant: row.n for row in rows}
    texts = []
    for row in rows:
        sides = [(row.variant, "", row.collapsed)]
        sides.append((row.compared_with or "", f" of {row.compared_with}", fallen.get(row.compared_with or "", ())))
        if row.delta is None or not any(seeds for *_, seeds in sides):
            continue
        signs = max((row.seeds_worse, "worse"), (row.seeds_better, "better"))
        at = ", ".join(
            text
            for name, of, seeds in sides
            for text in _where(of, {seed: values[row_of[name], column[seed]] for seed in seeds}, counted.get(name, 0))
        )
        texts.append(f"{row.named}: {signs[0]} of {many(row.pairs, 'seed')} {signs[1]}; {at}")
    if not texts:
        return []
    said = f"A seed collapsed, so mean and t say little; signs against the comparison: {listed(texts, '. ')}."
    short = [_fallen(row, values[row_of[row.variant]], column) for row in rows if row.collapsed]
    return [Note(said, "\n".join(short)), *map(Note, _may_collapse(rows))]


def _fallen(row: Row, values: Array, column: Mapping[int, int]) -> str:
    """`▲ base: seed 306 at 10.2; 10 of 10 seeds worse than full`. values: by column, the seeds' places."""
    where = listed(_where("", {seed: values[column[seed]] for seed in row.collapsed}, row.n), most=3)
    text = f"▲ {row.spoken}: {where}"
    if not row.pairs:
        return text
    count, side = max((row.seeds_worse, "worse"), (row.seeds_better, "better"))
    return f"{text}; {count} of {many(row.pairs, 'seed')} {side} than {row.compared_with}"


def _where(of: str, at: Mapping[int, float], n: int) -> list[str]:
    """`seed 4 at 37`; of a row that stands at chance in all of its n seeds, that."""
    if at and len(at) == n:
        return [f"every seed{of} at chance ({next(iter(at.values())):.4g})"]
    return [f"seed {seed}{of} at {value:.4g}" for seed, value in at.items()]


def _may_collapse(rows: Sequence[Row]) -> list[str]:
    """How often rows may collapse that did not, where others did: 0 of n leave open 1 - 0.05^(1/n)."""
    counts = sorted({row.n for row in rows if row.n >= MINIMUM_N and not row.collapsed})
    rates = [f"{1 - ALPHA ** (1 / n):.0%} of seeds (n = {n})".replace("%", " %") for n in counts]
    return [
        f"A row without a collapse may have one yet: none in n seeds leaves open up to {listed(rates)}, with 95 % "
        "confidence."
    ] * bool(rates)


def unpaired(measured: Measured) -> list[str]:
    """Whether pairs by seed are worth anything: whether seeds that are good for one variant are good for another."""
    if measured.given is not None or not measured.family:
        return []
    index = {name: i for i, name in enumerate(measured.variants)}
    values = measured.values[measured.metric.name]
    of, against = ([index[pair[side]] for pair in measured.family] for side in (0, 1))
    r = seed_correlation(values[of], values[against])
    paired = r[np.isfinite(r)]
    if not len(paired):
        return []
    pairs = np.isfinite(values[of] + values[against]).sum(axis=1)[np.isfinite(r)].min()
    most = correlation_at_most(float(np.median(paired)), int(pairs))
    if most >= pairs_pay_from(int(pairs)):
        return []
    return [
        Note(
            f"Pairing by seed buys nothing here: a row and its comparison correlate by r = {median(paired):.2f} over "
            f"their seeds (median of {many(len(paired), 'comparison')}; at most {most:.2f}, with 95 % confidence), so "
            "the tests are no sharper than without pairs."
        )
    ]


ROUNDING = 1e-12
"""Standard deviations up to here are what adding up floats leaves of equal values, not a spread."""


def spreads(variants: Sequence[str], fitted: CellMeans, own: Array) -> str:
    """Which variants' standard deviations differ by more than MOST_RATIO and by more than equal ones do by chance.

    own: each variant's, with its seeds in. Where seeds are blocks those without them are looked at, too, each at half
    the level: a single wild row leaves its share in the residuals of all others.
    """
    if not fitted.blocks:
        return _spread(variants, own, fitted.n, False, ALPHA)
    how = " with the seeds taken out"
    return _spread(variants, fitted.residual_std, fitted.n, True, ALPHA / 2, how) or _spread(
        variants, own, fitted.n, False, ALPHA / 2
    )


def _spread(
    variants: Sequence[str], std: Array, n: NDArray[np.int64], blocks: bool, level: float, how: str = ""
) -> str:
    spreads = sorted((float(s), name) for s, name in zip(std, variants, strict=True) if s > ROUNDING)
    if len(spreads) < 2:
        return ""
    (low, least), (high, most) = spreads[0], spreads[-1]
    limit = spread_ratio_limit(len(spreads), int(n[n > 1].min()), blocks, level)
    if high <= max(MOST_RATIO, limit) * low:
        return ""
    return (
        f"Spreads differ by more than {MOST_RATIO:g} x, and by more than equal ones do in 5 % of studies: the standard "
        f"deviation{how} is {high:.3g} for {most} and {low:.3g} for {least}."
    )
