"""`ablate import`: runs trained elsewhere, from a CSV file into a study that table, effects and export work on.

One line per run (its variant by a label or by its factors, its seed where seeds are shared), or one line per variant
with mean, standard deviation and n, as papers print them. Every value is checked before anything is stored: a bad cell
is an error with its line and column name. Nothing is guessed from names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ablate.analysis.results import count_name, spread_name
from ablate.errors import AblateError
from ablate.identity import canonical_json, sha256
from ablate.records import Choice, Metric, Role, StudyTrick
from ablate.runs.columns import Columns, check_header, check_options
from ablate.runs.csv_file import Cells, Problem, Table, read_table, read_text, refuse, rows_of
from ablate.runs.factors import baseline_of, variants_of
from ablate.store.store import Store
from ablate.store.stored import Elsewhere
from ablate.study.record import ImportRecord, PlanRecord, RowRecord, TrickRecord, VariantRecord
from ablate.text import joined, many


@dataclass(frozen=True)
class ImportedRun:
    """A line of the file. values: metrics by name. line: where it starts, from 1."""

    line: int
    variant: str
    seed: int
    values: dict[str, float]


@dataclass(frozen=True)
class Imported:
    """A file, read and checked. tricks: what its variants switch on; variants: name -> choices, in the file's order.

    passed_over: how many lines are no run, by what they are. file, sha: where it came from, the SHA-256 of its text.
    """

    tricks: tuple[StudyTrick, ...]
    variants: dict[str, tuple[Choice, ...]]
    runs: tuple[ImportedRun, ...]
    baseline: str
    passed_over: Mapping[str, int] = field(default_factory=dict)
    file: Path = Path()
    sha: str = ""

    def summary(self, study: str) -> str:
        """What became of the file's lines, for whoever imports it."""
        count = 1 + len(self.runs) + sum(self.passed_over.values())
        passed = joined(many(count, what) for what, count in self.passed_over.items())
        return (
            f"read {many(count, 'line')} of {self.file.name}: the header, {many(len(self.runs), 'line')} imported, "
            f"{passed or 'none'} passed over.\n{many(len(self.variants), 'variant')} of {study}, compared with "
            f"{self.baseline}."
        )


def read_file(path: Path, columns: Columns) -> Imported:
    """Read and check a file. AblateError names every bad cell."""
    text = read_text(path)
    return replace(read(text, str(path), columns), file=path, sha=sha256(text))


# -------------------------------------------------------------------------------------------------------- reading


def read(text: str, file: str, columns: Columns) -> Imported:
    """Check a file's text. AblateError names every bad cell, the first MOST_PROBLEMS of them."""
    check_options(columns)
    table = read_table(text, file, columns.named, comments=columns.comments)
    check_header(table, columns)
    problems: list[Problem] = []
    rows = rows_of(table, problems)
    values = [_values(row, columns) for row in rows]
    # Without --seed every line has a seed of its own: no two runs are pairs.
    seeds = [i if columns.seed is None else row.whole(columns.seed, -(10**18)) for i, row in enumerate(rows)]
    tricks, cells_of, names = variants_of(rows, columns)
    refuse(problems)
    if not rows:
        raise AblateError(f"{file} has a header and no line below it.")
    runs = tuple(
        ImportedRun(row.line, name, seed, value)
        for row, name, seed, value in zip(rows, names, seeds, values, strict=True)
    )
    refuse(_repeated(runs, file, columns))
    variants = dict(zip(names, cells_of, strict=True))
    return Imported(tricks, variants, runs, baseline_of(variants, columns, file), passed_over=_passed_over(table))


def _passed_over(table: Table) -> dict[str, int]:
    counts = {"comment": table.comments, "empty line": table.empty}
    return {what: count for what, count in counts.items() if count}


def _values(row: Cells, columns: Columns) -> dict[str, float]:
    """A record's numbers, under the names by which they are stored."""
    metric = columns.metric
    also = {name: row.number(name) for name in columns.also if row[name]}  # a paper need not give every number
    if columns.mean is None or columns.sd is None or columns.n is None:
        return {metric: row.number(metric)} | also
    n = row.whole(columns.n, 1)
    values = {metric: row.number(columns.mean), count_name(metric): float(n)} | also
    if row[columns.sd] or n > 1:
        sd = row.number(columns.sd)
        if sd < 0 or (n == 1 and sd):
            row.bad(columns.sd, f"{row[columns.sd]!r} is no standard deviation of n = {n}.")
        values |= {spread_name(metric): sd} if n > 1 else {}
    return values


def _repeated(runs: Sequence[ImportedRun], file: str, columns: Columns) -> list[Problem]:
    """The same variant with the same seed (or, of summaries, at all) in two lines."""
    first: dict[tuple[str, int], int] = {}
    found = []
    for run in runs:
        key = (run.variant, 0 if columns.mean is not None else run.seed)
        if key in first:
            what = f"variant {run.variant}" + ("" if columns.mean is not None else f" with seed {run.seed}")
            found.append((run.line, f"{file}, line {run.line}: {what} stands in line {first[key]} already."))
        first.setdefault(key, run.line)
    return found


# -------------------------------------------------------------------------------------------------------- storing


def save(imported: Imported, store: Store, study: str, columns: Columns, *, replace: bool = False) -> None:
    """Store a file that was read as a study, in one transaction: all or nothing."""
    if not re.fullmatch(r"[^\W_][\w.+ -]{0,63}", study):
        raise AblateError(
            f"--study is {study!r}; a study's name has 1 to 64 letters, digits and . _ + - or spaces, and begins with "
            "a letter or digit."
        )
    record = record_of(imported, study, columns)
    file, sha = imported.file.name, imported.sha
    role: Role = "ablation"
    cells, configs, ended = [], {}, []
    for run in imported.runs:
        asked = {
            "imported": file, "sha256": sha, "line": run.line, "columns": columns.named, "metric": columns.metric,
        }  # fmt: skip
        key = sha256(canonical_json(asked))
        cells.append((run.variant, run.seed, role, key))
        configs[key] = canonical_json(asked)
        ended.append(Elsewhere(key, "import", run.values, {"imported": file, "sha256": sha, "line": run.line}))
    with store.transaction():
        if store.study(study) is not None and not replace:
            raise AblateError(
                f"the database has a study called {study!r} already; choose another name, or --replace it."
            )
        store.save_plan(record, "", cells, configs)
        store.keep_elsewhere(ended)


def record_of(imported: Imported, study: str, columns: Columns) -> PlanRecord:
    """The plan that such a study would have had."""
    order = {trick.name: i for i, trick in enumerate(imported.tricks)}
    on = {name: set(choices) for name, choices in imported.variants.items()}
    names = [imported.baseline, *(name for name in imported.variants if name != imported.baseline)]
    differs = {name: {choice.trick for choice in on[name] ^ on[imported.baseline]} for name in names}
    kind = "means, standard deviations and n" if columns.mean is not None else "runs"
    paired = "; no seeds, so no pairs" if columns.seed is None and columns.mean is None else ""
    path, sha = imported.file, imported.sha
    note = f"Imported from {path.name} (SHA-256 {sha[:10]}): {len(imported.runs)} {kind}, trained elsewhere{paired}."
    return PlanRecord(
        study=study,
        task="import",
        metric=Metric(columns.metric, columns.better),
        also=columns.also,
        baseline=imported.baseline,
        seeds=tuple(dict.fromkeys(run.seed for run in imported.runs)),
        tricks=tuple(
            TrickRecord(name=trick.name, levels=tuple(level.name for level in trick.levels if level.name is not None))
            for trick in imported.tricks
        ),
        variants=tuple(
            VariantRecord(name=name, tricks=tuple(map(str, choices)), designs=("import",), config={})
            for name, choices in imported.variants.items()
        ),
        rows=tuple(
            RowRecord(
                "import",
                name,
                None if name == imported.baseline else imported.baseline,
                tuple(sorted(differs[name], key=lambda trick: order[trick])),
                name,
            )
            for name in names
        ),
        notes=(note,),
        imported=ImportRecord(file=path.name, sha256=sha),
        file=str(path.resolve()),
    )
