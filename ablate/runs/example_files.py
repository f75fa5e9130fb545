"""Results example by example as CSV, a line for each run and example: written by `export`, read by `import`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ablate.analysis.classes import Said
from ablate.errors import AblateError, DataError
from ablate.records import Json
from ablate.runs.columns import Columns
from ablate.runs.csv_file import Cells, Problem, read_table, read_text, refuse, rows_of
from ablate.runs.factors import variants_of, within_settings
from ablate.store.reader import Reader
from ablate.store.store import Store
from ablate.text import listed, many, one_of
from ablate.training.examples import At, Column, Examples, ExampleSet, found_metric, numbers

Run = tuple[str, int]
"""A variant and a seed."""


# ------------------------------------------------------------------------------------------------------------- written


def text(store: Reader, study: str) -> str:
    """A header, then of each finished run a line for each example: its id, group and class, what the run said, and its
    value of each metric that is a mean over them, at the epoch of the study's metric. AblateError: none is kept."""
    at: At = "best" if store.find(study).record.metric.at == "best" else "last"
    cells = [cell for cell in store.cells(study) if cell.state == "done"]
    kept = store.with_examples({cell.run for cell in cells})
    metrics = sorted({metric for of in kept.values() for metric, epoch in of if epoch == at})
    if not metrics:
        raise AblateError(
            f"no run of {study} has results for each example; `ablate examples {study}` finds them out from the "
            "weights of `classify`, a function tells them by `run.examples(...)`.",
            page="own-code",
        )
    sets = store.example_sets({fingerprint for of in kept.values() for fingerprint in of.values()})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["study", "variant", "seed", "id", "group", "label", "predicted", *metrics])
    for cell in cells:
        columns = {one.column.metric: one for metric in metrics for one in store.examples([cell.run], metric, at)}
        if columns:
            of_set = sets[next(iter(columns.values())).examples]
            shown = {metric: one.column for metric, one in columns.items()}
            where = [study, cell.variant, cell.seed]
            writer.writerows([*where, *line] for line in _lines(of_set, [shown.get(metric) for metric in metrics]))
    return out.getvalue()


def _lines(of_set: ExampleSet, columns: Sequence[Column | None]) -> list[list[Json]]:
    """Of each example what stands behind the run's name."""
    count = len(of_set.ids)
    nothing: list[Json] = [None] * count
    said = next((Said(of_set, column) for column in columns if column and "classes" in column.kind), None)
    labels: list[Json] = [of_set.classes[label] for label in of_set.labels] or nothing
    predicted: list[Json] = nothing if said is None else [of_set.classes[k] for k in said.predicted.tolist()]
    values = [nothing if column is None else column.values().tolist() for column in columns]
    return [list(line) for line in zip(of_set.ids, of_set.groups or nothing, labels, predicted, *values, strict=True)]


# ---------------------------------------------------------------------------------------------------------------- read


def read(path: Path, columns: Columns, runs: Mapping[Run, Mapping[str, float]]) -> dict[Run, Examples]:
    """The examples of runs that are being imported. runs: the metrics of each that has a result.

    Columns: those that name a run among the runs, `id`, perhaps `group`, and what the run made of each example: under a
    metric's own name, or `correct` and `loss`. AblateError where a cell is bad, a run is none of these, or a mean is
    not the run's metric; then nothing is imported.
    """
    if columns.seed is None or columns.mean is not None:
        raise AblateError("--examples needs single runs, each named by its variant and --seed.")
    naming = [name for name in (columns.across, columns.variant, columns.seed) if name is not None]
    naming += columns.factors
    table = read_table(read_text(path), str(path), [*naming, "id"], comments=columns.comments)
    values = [name for name in ("correct", "loss", columns.metric, *columns.also) if name in table.header]
    for name in (*naming, "id"):
        if name not in table.header:
            raise AblateError(
                f"{path}, line {table.line}: no column is called {name!r}; there is {one_of(table.header)}."
            )
    if not values:
        wanted = one_of(["correct", "loss", columns.metric, *columns.also])
        raise AblateError(f"{path}, line {table.line}: no column holds results; one must be called {wanted}.")
    problems: list[Problem] = []
    rows = rows_of(table, problems)
    names = within_settings(rows, variants_of(rows, columns)[2], columns)
    by_run: dict[Run, list[Cells]] = {}
    for row, name in zip(rows, names, strict=True):
        by_run.setdefault((name, row.whole(columns.seed, -(2**63))), []).append(row)
    numbers_of = {run: {name: [_number(row, name) for row in each] for name in values} for run, each in by_run.items()}
    refuse(problems)
    unknown = [f"{variant} with seed {seed}" for variant, seed in by_run if (variant, seed) not in runs]
    if unknown:
        raise AblateError(
            f"{path} has examples of {listed(unknown, most=3)}, and no such run with a result is imported."
        )
    grouped = "group" in table.header
    return {run: _examples(path, run, each, numbers_of[run], runs[run], grouped) for run, each in by_run.items()}


def keep(told: Mapping[Run, Examples], store: Store, study: str) -> None:
    """Keep the examples of runs that were imported as a study."""
    keys = {(cell.variant, cell.seed): cell.run for cell in store.cells(study)}
    store.keep_examples({keys[run]: examples for run, examples in told.items()})


def _examples(
    path: Path, run: Run, rows: Sequence[Cells], given: Mapping[str, Sequence[float]], metrics: Mapping[str, float],
    grouped: bool,
) -> Examples:  # fmt: skip
    ids = tuple(row["id"] for row in rows)
    try:
        if len(set(ids)) < len(ids):
            raise DataError(f"the id {next(name for i, name in enumerate(ids) if name in ids[:i])!r} stands twice")
        of_set = ExampleSet(ids, groups=tuple(row["group"] for row in rows) if grouped else ())
        packed: dict[str, Column] = {}
        for name, array in given.items():
            among = {name: metrics[name]} if name in metrics else {m: v for m, v in metrics.items() if m not in given}
            column = found_metric(name, numbers(name, array, len(ids)), among, percent=name != "loss")
            packed[column.metric] = column
    except DataError as error:
        variant, seed = run
        raise AblateError(f"{path}: {variant} with seed {seed}, {many(len(ids), 'example')}: {error}") from None
    return Examples(of_set.fingerprint, of_set.text, tuple(packed.values()))


def _number(row: Cells, column: str) -> float:
    """A number, or `true` and `false`."""
    word = row[column].lower()
    try:
        value = float({"true": "1", "false": "0"}.get(word, word))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        row.bad(column, f"{row[column]!r} is no number such as 0, 1 or 0.27.")
    return value
