"""A trick that stands in several variants listed by hand (`of: [A, B, C]`): the mean of its differences there. Pure.

The bases are settings as those of settings.py are, with one difference: their rows stand below those of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ablate.analysis.comparisons import holm_within
from ablate.analysis.joined import Key
from ablate.analysis.measured import Measured
from ablate.analysis.settings import Together, number, over
from ablate.analysis.verdicts import direction, verdict
from ablate.records import AlsoValue, Row
from ablate.study.record import RowRecord
from ablate.text import in_words

MEAN = "mean over bases"
"""The design of a row that averages a trick over the bases in which it stands."""


def over_bases(measured: Measured, rows: Sequence[Row]) -> tuple[Row, ...]:
    """A row for each trick that one design changes in several variants listed by hand: the mean of its differences.

    The bases share their examples, so that those are averaged first. Holm's families are these rows, by what they ask,
    as within a base. Of adaptive seeds none: their rows stop at different looks.
    """
    standing: dict[Key, dict[str, tuple[RowRecord, Row]]] = {}
    for asked, row in zip(measured.asked, rows, strict=True):
        if asked.compared_with is not None and len(asked.differs) == 1 and asked.label not in ("", asked.variant):
            standing.setdefault((asked.design, asked.label), {})[asked.compared_with] = (asked, row)
    by_bases: dict[tuple[str, ...], list[Key]] = {}
    for key, there in standing.items():
        if len(there) > 1 and not measured.looks:
            by_bases.setdefault(tuple(there), []).append(key)
    found: list[tuple[tuple[str, ...], Together]] = []
    for bases, keys in by_bases.items():
        each = {base: [standing[key][base] for key in keys] for base in bases}
        parts = {
            base: replace(measured, asked=tuple(replace(asked, across=asked.label) for asked, _ in of))
            for base, of in each.items()
        }
        shown = {base: [row for _, row in of] for base, of in each.items()}
        found += [(bases, row) for row in over(parts, shown, {base: {} for base in bases}, {}).rows]
    return _as_rows(found, measured)


def _as_rows(found: Sequence[tuple[tuple[str, ...], Together]], measured: Measured) -> tuple[Row, ...]:
    """Rows of the table, corrected together."""
    each = [
        [row.p, row.p_equivalent, *((None, None) if row.here is None else (row.here.p, row.here.p_equivalent))]
        for _, row in found
    ]
    p = np.array(each, dtype=np.float64).reshape(-1, 4)  # None becomes NaN
    kinds = [next(iter(row.cells.values())).kind for _, row in found]
    families = [[i for i, one in enumerate(kinds) if one == kind] for kind in dict.fromkeys(kinds)]
    adjusted, equivalent, here, here_equivalent = (holm_within(of, [(at, len(at)) for at in families]) for of in p.T)
    made: list[Row] = []
    better = 1 if measured.metric.better == "higher" else -1
    tricks = dict(zip(measured.variants, measured.tricks, strict=True))
    for i, (bases, row) in enumerate(found):
        first = next(iter(row.cells.values()))
        sign = better * direction(first.tricks, tricks[first.compared_with or ""], first.differs)
        inert, known = row.verdict == "inert", row.delta is not None
        on = None if row.here is None else replace(
            row.here, p_adjusted=number(here[i]), p_equivalent=number(here_equivalent[i]),
            verdict=verdict(sign * (row.delta or 0.0), here[i], here_equivalent[i], inert),
        )  # fmt: skip
        name = f"{row.name.lstrip('+- ')}, in {in_words(list(bases))}"
        made.append(
            Row(
                variant=name, design=MEAN, tricks=(), compared_with="each of them", planned=first.planned,
                n=min(cell.n for cell in row.cells.values()), failed=sum(cell.failed for cell in row.cells.values()),
                pairs=min(cell.pairs for cell in row.cells.values()), mean=None, std=None, ci_low=None, ci_high=None,
                delta=row.delta, delta_ci_low=row.ci_low, delta_ci_high=row.ci_high, p=row.p,
                p_adjusted=number(adjusted[i]), test="mean over bases" if known else "",
                verdict=verdict(sign * row.delta, adjusted[i], equivalent[i], inert) if row.delta is not None else None,
                p_equivalent=number(equivalent[i]), equivalence_ci_low=row.equivalence_ci_low,
                equivalence_ci_high=row.equivalence_ci_high, label=f"{row.name[:2]}{name}", differs=first.differs,
                confidence=1 - measured.alpha, here=on, kind=first.kind,
                also={name: AlsoValue(None, None, better) for name, better in measured.also.items()},
            )
        )  # fmt: skip
    return tuple(made)
