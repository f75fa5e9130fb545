"""All that a study's report is made from, read once from the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ablate.analysis import results, verdicts
from ablate.analysis.bases import MEAN
from ablate.analysis.results import Results
from ablate.errors import AblateError, FigureError
from ablate.figures import source
from ablate.figures.figure import Source
from ablate.figures.scene import Scene
from ablate.records import Json, Row
from ablate.registry import unknown
from ablate.reports import claims, words
from ablate.reports.claims import Claim
from ablate.store.reader import Reader
from ablate.store.stored import TestUse
from ablate.study.rows import BY_HAND
from ablate.tables import views
from ablate.tables.table import TableData
from ablate.text import decimals, typeset


@dataclass(frozen=True)
class Material:
    """All that a report is made from. asked: of each run what it was asked, by key; said: what failed ones said.

    uses: predictions of the test set. tuned: hyperparameters were searched, too. text: the study file's.
    """

    found: Results
    table: TableData
    source: Source
    asked: Mapping[str, Mapping[str, Json]]
    said: Mapping[str, str]
    uses: tuple[TestUse, ...]
    tuned: bool
    text: str = ""
    chosen: str | None = None
    """The variant that the report is to show, where not the best."""
    words: words.Words = field(default_factory=dict)
    """The authors' own."""
    confusion: Scene | None = None
    """Of the row shown, where its runs told which class they gave each example."""

    @property
    def best(self) -> Row | None:
        """The row that the table's notes call best."""
        return None if self.found.measured.degenerate is not None else self.found.best

    @property
    def best_model(self) -> Row | None:
        """The best of the models, where there are several: a row that lacks a trick of one is none of them."""
        models = [row for row in self.models if row.mean is not None]
        return verdicts.best(models, self.table.better) if len(models) > 1 else None

    @property
    def shown(self) -> Row | None:
        """The row whose curves and examples the report shows."""
        if self.chosen is None:
            return None if self.best is None else self.best_model or self.best
        return next(row for row in self.table.rows if row.variant == self.chosen)

    @property
    def models(self) -> list[Row]:
        """Rows that are models of their own: listed by hand, else those that others are compared with."""
        by_hand = [row for row in self.table.rows if row.design == BY_HAND]
        return by_hand or [row for row in self.table.rows if row.compared_with is None]


def read(store: Reader, study: str, variant: str | None = None, setting: str | None = None) -> Material:
    """Read everything. variant: the one to show instead of the best. setting: of several, the one. AblateError where
    nothing of the study is done yet, for then there is nothing to report."""
    loaded = results.load(store, study).within(setting)
    if not any(cell.state == "done" for cell in loaded.cells):
        failed = sum(cell.state == "failed" for cell in loaded.cells)
        which = f"all {failed} that were made failed" if failed else "none was made yet"
        raise AblateError(
            f"{study} has no finished run: of {len(loaded.cells)} planned, {which}. `ablate run` makes them, "
            "`ablate status` says where they stand."
        )
    made = Material(
        loaded,
        views.ablation(loaded),
        source.source_of(store, loaded),
        {key: config for key, config in store.configs(study).items() if key not in loaded.saved},
        store.failure_messages(study),
        tuple(store.test_uses(study)),
        bool(store.cells(study, ("tune",))),
        store.find(study).text,
        _known(loaded, variant),
        words.current(loaded.record),
    )
    if made.shown is None:
        return made
    try:
        return replace(made, confusion=source.draw(made.source, "confusion", {"variant": made.shown.variant}))
    except FigureError:
        return made


def _known(loaded: Results, variant: str | None) -> str | None:
    names = [variant.name for variant in loaded.record.variants]
    if variant is None or variant in names:
        return variant
    raise AblateError(f"--variant: {unknown('variant', variant, names)}")


# ------------------------------------------------------------------------------------------------------ in words


def names(of: Material) -> claims.Names:
    """How sentences call the study's things."""
    return claims.words(of.found.record, of.table.units.get(of.table.metric, ""))


def comparisons(of: Material) -> tuple[Claim, ...]:
    """What may be said of the study's own rows."""
    return claims.claims(of.table.rows, names(of))


def after_tuning(of: Material) -> tuple[Claim, ...]:
    """What may be said of tuned rows, on fresh seeds."""
    rows = views.table_data(of.found).rows[len(of.table.rows) :]
    return claims.claims([row for row in rows if row.design != MEAN], names(of))


def over_models(of: Material) -> tuple[Claim, ...]:
    """What may be said of the mean of a trick's differences, where it stands in several models."""
    means = [row for row in views.table_data(of.found).rows if row.design == MEAN]
    several = {row.variant for row in means}
    return tuple(one for one in claims.claims((*of.table.rows, *means), names(of)) if one.variant in several)


def mean_of(of: Material, row: Row) -> str:
    """`98.52 ± 0.58 % (n = 10)`, which no line divides."""
    digits = decimals((r.std for r in of.table.rows), (r.mean for r in of.table.rows))
    unit = of.table.units.get(of.table.metric, "")
    spread = f" ± {typeset(row.std, digits)}" if row.std and row.n > 2 else ""
    return _undivided(f"{typeset(row.mean or 0.0, digits)}{spread}{f' {unit}' if unit else ''} (n = {row.n})")


def also_of(of: Material, row: Row) -> str:
    """The further numbers that the study shows, of one row: `; dev loss 0.843 ± 0.012`."""
    said = []
    for name in of.table.also:
        every, one = [other.also[name] for other in of.table.rows], row.also[name]
        digits = decimals((value.std for value in every), (value.mean for value in every))
        unit = of.table.units.get(name, "")
        spread = f" ± {typeset(one.std, digits)}" if one.std and row.n > 2 else ""
        if one.mean is not None:
            number = _undivided(f"{typeset(one.mean, digits)}{spread}{f' {unit}' if unit else ''}")
            said.append(f"; {name.replace('_', ' ')} {number}")
    return "".join(said)


def _undivided(text: str) -> str:
    """No line breaks inside of it."""
    return text.replace(" ", "\u00a0")
