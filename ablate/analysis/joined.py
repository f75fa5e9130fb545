"""What several settings measured of the same rows, side by side: which cells there are, their errors, shared examples.

A row is the same in every setting by its name across them, whatever its variants are called there. What a row's cells
say together: settings.py. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.across import Beyond
from ablate.analysis.comparisons import MINIMUM_N, Array
from ablate.analysis.examples import Deviations, deviations
from ablate.analysis.measured import Measured, sides_of
from ablate.records import Row
from ablate.text import listed

Key = tuple[str, str]
"""A design, and what a row is called in every setting."""

WAITING = "no seed is done on both sides"
"""Why a setting has no difference yet, in a row that it will have; any other reason stays."""


@dataclass(frozen=True)
class Table:
    """Arrays (rows, settings), NaN where a row has none. places: of each in its setting's family, -1. judged_p: what
    its setting's own verdict goes by, uncorrected."""

    places: Array
    estimate: Array
    v: Array
    df: Array
    judged_p: Array
    seeds: Array


def cells_of(parts: Mapping[str, Measured], rows: Mapping[str, Sequence[Row]]) -> dict[Key, dict[str, Row]]:
    """Of each compared row the settings that have it."""
    cells: dict[Key, dict[str, Row]] = {}
    for setting, measured in parts.items():
        for asked, row in zip(measured.asked, rows[setting], strict=True):
            if asked.compared_with is not None:
                cells.setdefault((asked.design, asked.across or asked.variant), {})[setting] = row
    return {key: {name: there[name] for name in parts if name in there} for key, there in cells.items()}


def missing_from(there: Mapping[str, Row], left_out: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The settings without a difference of a row, or with one of other tricks, and why."""
    most = max((row.differs for row in there.values()), key=len)
    tricks = {choice.partition("=")[0] for row in there.values() for choice in row.tricks}
    why = {}
    for setting, away in left_out.items():
        gone = [f"{choice} cannot act there ({because})" for choice, because in away.items()
                if choice.partition("=")[0] in (*most, *tricks)]  # fmt: skip
        row = there.get(setting)
        if row is None:
            why[setting] = "; ".join(gone) or "it is left out there"
        elif row.delta is None:
            why[setting] = WAITING
        elif set(row.differs) != set(most):
            why[setting] = "; ".join(gone) or f"it differs by {listed(row.differs)} alone there"
    return why


def table_of(parts: Mapping[str, Measured], cells: Mapping[Key, Mapping[str, Row]]) -> Table:
    shape = (len(cells), len(parts))
    places = np.full(shape, -1)
    estimate, v, df, p = (np.full(shape, np.nan) for _ in range(4))
    seeds = np.zeros(shape)
    for k, (setting, measured) in enumerate(parts.items()):
        index = {pair: i for i, pair in enumerate(measured.family)}
        tested = measured.tested.differences
        for r, there in enumerate(cells.values()):
            row = there.get(setting)
            if row is None or row.compared_with is None:
                continue
            i = places[r, k] = index[row.variant, row.compared_with]
            estimate[r, k], p[r, k] = tested.estimate[i], measured.tested.judged.p[i]
            seeds[r, k] = tested.pairs[i] or row.n
            # Equal in every seed, a row differs by nothing and varies by nothing; equal and not 0, its spread is
            # unknown.
            same = bool(tested.identical[i]) and seeds[r, k] >= MINIMUM_N
            v[r, k] = 0.0 if same else tested.se[i] ** 2
            df[r, k] = seeds[r, k] - 1 if same else tested.df[i]
            p[r, k] = 1.0 if same else p[r, k]
    return Table(places, estimate, v, df, p, seeds)


def fewest(table: Table) -> int:
    counted = table.seeds[table.seeds > 0]
    return int(counted.min()) if counted.size else 0


# ------------------------------------------------------------------------------------------------------------- examples


def sharing_of(parts: Mapping[str, Measured]) -> list[list[str]]:
    """The groups of settings that were measured on some examples in common, by their ids."""
    ids = {name: {one for of in _sets(measured) for one in of} for name, measured in parts.items()}
    groups: list[list[str]] = []
    for name in parts:
        near = [group for group in groups if any(not ids[name].isdisjoint(ids[other]) for other in group)]
        groups = [group for group in groups if group not in near] + [[*(n for group in near for n in group), name]]
    return [group for group in groups if len(group) > 1]


def _sets(measured: Measured) -> list[tuple[str, ...]]:
    source = measured.source
    return [] if source is None else [source.sets[fingerprint].ids for fingerprint in set(source.of.values())]


def beyond_of(parts: Mapping[str, Measured], table: Table, sharing: Sequence[Sequence[str]]) -> Beyond:
    """What examples say of each row's mean, by blocks of settings that share some: deviations of one example in several
    settings are averaged before they are squared."""
    count = len(parts)
    names = list(parts)
    blocks = [*sharing, *([name] for name in names if not any(name in group for group in sharing))]
    v, noise = (np.full((len(table.estimate), len(blocks)), np.nan) for _ in range(2))
    df = np.zeros(len(blocks))
    for b, block in enumerate(blocks):
        columns = [names.index(name) for name in block]
        evidence = [parts[name].tested.evidence.parts for name in block]
        df[b] = min(float(one.units.max(initial=2.0)) for one in evidence) - 1
        apart = [_deviations(parts[name]) for name in block] if len(block) > 1 else []
        for r in range(len(table.estimate)):
            at = table.places[r, columns].astype(int)
            if (at < 0).any():
                continue
            noise[r, b] = sum(float(np.nan_to_num(e.v_noise[i])) for e, i in zip(evidence, at, strict=True)) / count**2
            if apart:
                v[r, b] = squares([(one.units, one.of[i]) for one, i in zip(apart, at, strict=True)]) / count**2
            else:
                v[r, b] = float(evidence[0].v_examples[at[0]]) / count**2
    return Beyond(v, noise, df)


def _deviations(measured: Measured) -> Deviations:
    assert measured.source is not None, "there is evidence"
    return deviations(measured.source, measured.family, sides_of(measured, measured.tested.differences))


def squares(each: Sequence[tuple[tuple[str, ...], Array]]) -> float:
    """Of deviations by unit the sum over settings, squared and summed."""
    place = {unit: i for i, unit in enumerate(dict.fromkeys(unit for units, _ in each for unit in units))}
    total = np.zeros(len(place))
    for units, deviation in each:
        total[[place[unit] for unit in units]] += deviation
    return float(total @ total)


def errors_of(parts: Mapping[str, Measured], table: Table, beyond: Beyond | None) -> Array:
    """V of each cell, with what its examples add where the mean speaks of them."""
    v = table.v.copy()
    for k, measured in enumerate(parts.values()) if beyond is not None else ():
        at = table.places[:, k].astype(int)
        further = measured.tested.evidence.parts.v_beyond
        v[:, k] += np.where(at >= 0, further[np.maximum(at, 0)], np.nan)
    return v
