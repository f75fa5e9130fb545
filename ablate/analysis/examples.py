"""What per-example results say of a study's comparisons: the differences of each example, and whether they may be used.

A verdict speaks of other examples only where every counted run of the family tells what it made of the same ones, and
then every row does: a table is of one kind. Runs are paired by example by ids alone. Columns are read a variant at a
time and not kept, because 10,000 runs of 10,000 examples are 100 million numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.comparisons import MINIMUM_N, Array
from ablate.analysis.components import LEAST_UNITS, NOTHING, Components, by_groups, of_layout, of_two
from ablate.text import listed, many

if TYPE_CHECKING:
    from ablate.training.examples import Column, ExampleSet

Point = tuple[str, int]
"""A variant and a seed."""

LEAST_SHARED = 0.5
"""Runs that share a smaller part of their examples are not paired: what is left is no sample of either's."""


@dataclass(frozen=True)
class Source:
    """Per-example results of a study's counted runs, of its metric.

    word: what an example is called, `image`. sets: by fingerprint. of: of each run the set that it was measured on.
    read: the columns of a variant, by seed. why: why there are none that could be used, where it is known beforehand.
    """

    word: str
    sets: Mapping[str, ExampleSet]
    of: Mapping[Point, str]
    read: Callable[[str], Mapping[int, Column]]
    why: str = ""


@dataclass(frozen=True)
class Tally:
    """On how many examples a row and its comparison are right, on average over shared seeds. helped: the row alone;
    broken: the comparison alone."""

    helped: float
    broken: float
    both: float
    neither: float


@dataclass(frozen=True)
class Evidence:
    """What the examples say of every comparison of a family, in its order.

    why: why the verdicts speak of seeds alone; empty where they speak of examples too. n: examples that every run was
    measured on, in `groups` groups (0: none are told); most: of the largest set. ids: what tells these examples from
    others. word: what one is called.
    """

    why: str
    word: str = "example"
    n: int = 0
    most: int = 0
    groups: int = 0
    ids: str = ""
    parts: Components = NOTHING
    tallies: tuple[Tally | None, ...] = ()

    @property
    def of_both(self) -> bool:
        return not self.why

    @property
    def counted(self) -> str:
        """`500`, `500 in 40 groups`."""
        return f"{self.n} in {many(self.groups, 'group')}" if self.groups else str(self.n)


@dataclass(frozen=True)
class Sides:
    """Which seeds of a row and of its comparison are compared. paired: the same ones."""

    row: tuple[int, ...]
    reference: tuple[int, ...]
    paired: bool

    def runs(self, pair: tuple[str, str]) -> list[Point]:
        variant, reference = pair
        return [*((variant, seed) for seed in self.row), *((reference, seed) for seed in self.reference)]


def gather(source: Source, family: Sequence[tuple[str, str]], shared: Sequence[Sides]) -> Evidence:
    """The evidence on a family of comparisons (variant, compared_with). shared: of each, which seeds are compared."""
    runs = {(name, seed) for pair, sides in zip(family, shared, strict=True) for name, seed in sides.runs(pair)}
    why = source.why or _missing(source, runs)
    if why:
        return Evidence(why, source.word)
    common = _common({source.of[run] for run in runs}, source)
    if isinstance(common, str):
        return Evidence(common, source.word)
    columns = functools.lru_cache(maxsize=3)(functools.partial(_columns, source, common))
    parts, tallies = [], []
    for (variant, reference), sides in zip(family, shared, strict=True):
        row, against = columns(variant), columns(reference)
        parts.append(_compared(row, against, sides, common))
        tallies.append(_tally(row, against, sides))
    return Evidence(
        "", source.word, len(common.ids), common.most, common.count, common.fingerprint, Components.stacked(parts),
        tuple(tallies),
    )  # fmt: skip


@dataclass(frozen=True)
class Deviations:
    """How far each example, or group of them, lies from the mean of a comparison, seeds averaged, scaled so that the
    squares sum to V_e. units: their ids, or the groups' names; of: a row of numbers for each comparison."""

    units: tuple[str, ...]
    of: tuple[Array, ...]


def deviations(source: Source, family: Sequence[tuple[str, str]], shared: Sequence[Sides]) -> Deviations:
    """Of a family that `gather` found evidence on; for what is averaged over several sets of runs."""
    common = _common({source.of[run] for pair, of in zip(family, shared, strict=True) for run in of.runs(pair)}, source)
    assert not isinstance(common, str), "gather says so first"
    columns = functools.lru_cache(maxsize=3)(functools.partial(_columns, source, common))
    each = []
    for (variant, reference), sides in zip(family, shared, strict=True):
        row, against = columns(variant).values, columns(reference).values
        if not sides.row or not sides.reference:
            each.append(np.full(common.count or len(common.ids), np.nan))
            continue
        b = np.mean([row[seed] for seed in sides.row], axis=0) - np.mean([against[s] for s in sides.reference], axis=0)
        b = np.asarray(_grouped([b], common)[0])
        each.append((b - b.mean()) / len(b) * np.sqrt(len(b) / max(len(b) - 1, 1)))
    return Deviations(common.group_names or common.ids, tuple(each))


@dataclass(frozen=True)
class _Common:
    """The examples that every run has. places: by fingerprint of a set, where they stand in it; None: it is whole.

    groups: of each its group, from 0; None where none are told. count: of groups. most: examples of the largest set.
    group_names: of each group; empty where none are told.
    """

    ids: tuple[str, ...]
    places: Mapping[str, NDArray[np.int64] | None]
    groups: NDArray[np.int64] | None
    count: int
    most: int
    fingerprint: str
    group_names: tuple[str, ...] = ()


def _missing(source: Source, runs: set[Point]) -> str:
    """Why the family has no evidence: runs without per-example results."""
    lacking = sorted(run for run in runs if run not in source.of)
    if not lacking:
        return ""
    if len(lacking) == len(runs):
        return "no run has results for each of them"
    named = listed(f"{variant} (seed {seed})" for variant, seed in lacking)
    return f"{many(len(lacking), 'counted run')} without results for each of them: {named}"


def _common(fingerprints: set[str], source: Source) -> _Common | str:
    """What all these sets share; why they cannot be paired where that is too little."""
    sets = [source.sets[fingerprint] for fingerprint in sorted(fingerprints)]
    if not sets:
        return "no comparison has a counted run on both sides"
    first, *others = sets
    ids, most = first.ids, max(len(one.ids) for one in sets)
    for other in others:
        ids = tuple(name for name in ids if name in other.places)
    if len(ids) < LEAST_SHARED * most:
        return (
            f"the runs were measured on different {source.word}s: of up to {most} only {len(ids)} have an id that "
            "every run has"
        )
    places = {
        one.fingerprint: None if one.ids == ids else np.array([one.places[name] for name in ids]) for one in sets
    }  # fmt: skip
    groups, count, names = None, 0, np.array([], dtype=str)
    if first.groups:
        names, groups = np.unique([first.groups[first.places[name]] for name in ids], return_inverse=True)
        count = len(names)
    units = count or len(ids)
    if units < LEAST_UNITS:
        what = many(units, "group" if count else source.word)
        return f"there are {what}, and fewer than {LEAST_UNITS} give no interval over them"
    fingerprint = first.fingerprint if len(ids) == most else ""
    return _Common(ids, places, groups, count, most, fingerprint, tuple(names.tolist()))


@dataclass(frozen=True)
class _Values:
    """A variant's runs by seed: values in the metric's unit, and whether each example is right where that is told."""

    values: Mapping[int, Array]
    right: Mapping[int, NDArray[np.bool_]]


def _columns(source: Source, common: _Common, variant: str) -> _Values:
    values, right = {}, {}
    for seed, column in source.read(variant).items():
        places = common.places.get(source.of.get((variant, seed), ""))
        chosen = slice(None) if places is None else places
        if column.kind == "numbers":
            values[seed] = column.values()[chosen]
        else:
            right[seed] = column.right()[chosen]
            values[seed] = np.multiply(right[seed], column.factor, dtype=np.float64)
    return _Values(values, right)


def _compared(row: _Values, reference: _Values, sides: Sides, common: _Common) -> Components:
    """The components of one comparison."""
    if not sides.row or not sides.reference:
        return NOTHING
    if not sides.paired:
        tables = ([side.values[seed] for seed in of] for side, of in ((row, sides.row), (reference, sides.reference)))
        return of_two(*(_grouped(table, common) for table in tables))
    difference = [row.values[seed] - reference.values[seed] for seed in sides.row]
    made = of_layout(_grouped(difference, common))
    if common.groups is None or len(difference) >= MINIMUM_N:
        return made
    return replace(made, discordant=np.array([float(np.any([one != 0 for one in difference], axis=0).sum())]))


def _grouped(table: list[Array], common: _Common) -> Sequence[Array]:
    return table if common.groups is None else list(by_groups(table, common.groups))


def _tally(row: _Values, reference: _Values, sides: Sides) -> Tally | None:
    if not sides.paired or not sides.row or not row.right or not reference.right:
        return None
    counts = np.zeros(4)
    for seed in sides.row:
        one, other = row.right[seed], reference.right[seed]
        together = int((one & other).sum())
        alone, without = int(one.sum()) - together, int(other.sum()) - together
        counts += (alone, without, together, len(one) - alone - without - together)
    return Tally(*(counts / len(sides.row)).tolist())


# ------------------------------------------------------------------------------------------------------------ contrasts

_AT_A_TIME = 16
"""Cells that are multiplied in one go: 13 MB of 10 seeds and 10,000 examples."""


def contrasts(source: Source, names: Sequence[str], seeds: Sequence[int]) -> Callable[[Array], Components] | None:
    """What the examples say of contrasts of these variants over seeds that all of them have, from their weights
    (contrasts, variants); None where a run has no examples, or they cannot be paired."""
    runs = {(name, seed) for name in names for seed in seeds}
    common = None if source.why or _missing(source, runs) else _common({source.of[run] for run in runs}, source)
    if not isinstance(common, _Common):
        return None

    def of(weights: Array) -> Components:
        tables = np.zeros((len(weights), len(seeds) * len(common.ids)))
        for start in range(0, len(names), _AT_A_TIME):
            some = names[start : start + _AT_A_TIME]
            columns = [_columns(source, common, name).values for name in some]
            cells = np.stack([np.concatenate([column[seed] for seed in seeds]) for column in columns])
            tables += weights[:, start : start + _AT_A_TIME] @ cells
        each = (table.reshape(len(seeds), -1) for table in tables)
        return Components.stacked([of_layout(_grouped(list(table), common)) for table in each])

    return of
