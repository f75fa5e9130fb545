"""The results of a stored study: tables, data frames, figures, a report. Everything is read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.analysis import results as stored
from ablate.errors import AblateError, ConfigError
from ablate.figures import source as figures
from ablate.python import frames, shown
from ablate.python.called import all_spoken
from ablate.registry import Registry
from ablate.runs.planned import folder_name
from ablate.store.store import Store
from ablate.terminal.options import check_choice, kind_of

if TYPE_CHECKING:
    import pandas as pd


@all_spoken
class Results:
    """What a study's runs came to, as far as they are: every call reads the database."""

    def __init__(self, db: str, name: str, setting: str | None = None) -> None:
        self.db = db
        self.name = name
        self.setting = setting
        if setting is not None:
            self._loaded()

    def within(self, setting: str) -> Results:
        """The results in one setting of a study with `across:`. AblateError where there is no such setting."""
        return Results(self.db, self.name, setting)

    def _loaded(self, setting: str | None = None) -> stored.Results:
        with self._store() as store:
            return stored.load(store, self.name).within(setting or self.setting)

    def _store(self) -> Store:
        return Store.open(self.db)

    def table(
        self,
        view: str = "variants",
        columns: Iterable[str] | str | None = None,
        *,
        sort: str | None = None,
        digits: int | None = None,
        setting: str | None = None,
    ) -> shown.Table:
        """A view of the results; `ablate table --help` has their names.

        columns: the names of those to show. sort: by a column, best first; `-NAME`: worst first. digits: decimals.
        setting: of a study with `across:` the one that is shown; None: all of them together.
        """
        with self._store() as store:  # what each example says is read when a table asks for it
            loaded = stored.load(store, self.name).within(setting or self.setting)
            return shown.table(loaded, view, columns, sort, digits)

    def effects(self) -> pd.DataFrame:
        """A line for each comparison: design, variant, compared_with, tricks (in which they differ), pairs, effect (the
        row minus what it is compared with, in the metric's unit), ci_low, ci_high, p, p_adjusted, verdict.
        Of a study with `across:` the rows of all settings; `results.within("cifar10").effects()` has those of one."""
        return frames.effects(self._loaded())

    def runs(self) -> pd.DataFrame:
        """A line for each run: key, study, variant, seed, role, state, reason, attempts, and each metric."""
        with self._store() as store:
            return frames.runs(store, self.name)

    def curves(self, metrics: Sequence[str] | str | None = None) -> pd.DataFrame:
        """A line for each step of each finished run: variant, seed, metric, step, value. metrics: only these."""
        named = [metrics] if isinstance(metrics, str) else metrics
        with self._store() as store:
            return frames.curves(store, self.name, named)

    def figure(self, name: str, *, columns: int = 1, **parameters: Any) -> shown.Figure:
        """A figure (`ablate list figures`), with its parameters. columns: as wide as one column of a paper, or two."""
        check_choice("the figure", name, Registry().names("figures"))
        metric = parameters.get("metric")
        with self._store() as store:
            search = None
            if name == "tuning":
                search = figures.search_of(store.find(self.name).record, store.folder / folder_name(self.name))
            curves = [metric] if isinstance(metric, str) else ()
            source = figures.source(store, self.name, curves, search, self.setting)
            try:
                scene = figures.draw(source, name, parameters)
            except ConfigError as error:
                raise AblateError(f"figure {name}: {error}", page="figures-and-reports") from None
        return shown.Figure(name, scene, columns == 2)

    def report(self, path: str | Path, *, notes: str | Path | None = None) -> Path:
        """Write the report; the file's ending decides the format. notes: a Markdown file of your own paragraphs."""
        from ablate.reports import author, material, report

        shelf = Registry()
        formats = {name: shelf.make("reports", name, {}) for name in shelf.names("reports")}
        file = Path(path)
        chosen = formats[kind_of(file, None, {name: one.ending for name, one in formats.items()}, "html")]
        own = author.read(Path(notes)) if notes is not None else ()
        with self._store() as store:
            document = report.document(material.read(store, self.name), own, chosen.effects, roomy=chosen.roomy)
        for part, content in chosen.files(document, file.name).items():
            shown.write(content, file.parent / part)
        return file

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        where = f", setting {self.setting!r}" if self.setting else ""
        return f"results of {self.name!r} in {self.db}{where}\n{self}"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@all_spoken
class Database:
    """The stored studies of a database, by name, the one last run first."""

    def __init__(self, db: str) -> None:
        self.db = db
        with Store.open(db):  # so that a file that is none is said at once
            pass

    def __getitem__(self, name: str) -> Results:
        with Store.open(self.db) as store:
            return Results(self.db, store.find(name).name)

    def names(self) -> list[str]:
        with Store.open(self.db) as store:
            return store.studies()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __repr__(self) -> str:
        return f"{self.db}: {', '.join(self.names()) or 'no study yet'}"
