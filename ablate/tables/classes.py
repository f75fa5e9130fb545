"""`table --view classes`: the accuracy of each class, and what a trick does to it."""

from __future__ import annotations

import numpy as np

from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array, compare, summarise
from ablate.analysis.results import Results
from ablate.errors import AblateError
from ablate.records import Json, Row
from ablate.tables.factorials import Shown, made
from ablate.tables.table import Measure, ViewData
from ablate.text import many


def classes_view(results: Results) -> ViewData:
    """A row a class: how many examples it has, the accuracy of what others are compared with, and their differences.

    AblateError where no run told the class of each example, or not all of the same examples.
    """
    known = results.predictions()
    if known is None:
        raise AblateError(
            f"no run of {results.study} told the class of each example; `ablate examples {results.study}` finds it out "
            "from the weights of `classify`, and other tasks have no classes.",
            page="figures-and-reports",
        )
    rows = list({(row.variant, row.compared_with): row for row in results.rows}.values())
    examples, said = known.one_set(list(dict.fromkeys(row.variant for row in rows)))
    seeds, missing = results.measured.seeds, np.full(len(examples.classes), np.nan)
    accuracy = {
        variant: np.stack([of[seed].accuracy() if seed in of else missing for seed in seeds])
        for variant, of in said.items()
    }
    counts = np.bincount(np.asarray(examples.labels), minlength=len(examples.classes))
    shown = [_column(row, accuracy) for row in rows]
    columns = [("class", False), ("n", True), *((title, True) for title, _, _ in shown)]
    made_rows: list[Shown] = [
        (name, str(counts[i]), *(measures[i] for _, measures, _ in shown)) for i, name in enumerate(examples.classes)
    ]
    records: list[dict[str, Json]] = [
        {"class": name, "n": int(counts[i]), "rows": [told[i] for _, _, told in shown]}
        for i, name in enumerate(examples.classes)
    ]
    return made(
        results, "classes", f"accuracy of each class, by {known.metric}", columns, made_rows, records,
        _sentences(results, known.metric, len(examples.ids), rows, len(examples.classes)),
    )  # fmt: skip


def _column(row: Row, accuracy: dict[str, Array]) -> tuple[str, list[str] | list[Measure], list[Json]]:
    """The title of a row's column; of each class its number, and its record. Accuracy is (seeds, classes)."""
    own = accuracy[row.variant].T
    mean = summarise(own).mean
    record = {"variant": row.variant, "compared_with": row.compared_with}
    if row.compared_with is None:
        return (
            row.label or row.variant,
            ["–" if np.isnan(value) else f"{value:.1f}" for value in mean],
            [{**record, "accuracy": _number(value), "delta": None} for value in mean],
        )
    tested = compare(own, accuracy[row.compared_with].T)
    measures = [
        Measure(_number(estimate), _number(low), _number(high))
        for estimate, low, high in zip(tested.estimate, tested.ci_low, tested.ci_high, strict=True)
    ]
    records = [
        {**record, "accuracy": _number(value), "delta": m.value, "ci_low": m.low, "ci_high": m.high, "pairs": int(n)}
        for value, m, n in zip(mean, measures, tested.pairs, strict=True)
    ]
    return f"Δ {row.label or row.variant}", measures, records


def _sentences(results: Results, metric: str, examples: int, rows: list[Row], classes: int) -> list[str]:
    compared = [row for row in rows if row.compared_with is not None]
    sentences = [
        f"n: examples of the class among the {examples} that {metric} is measured on. A row that others are compared "
        "with has its mean accuracy (%) over seeds; Δ is the mean difference from what the row is compared with, with "
        f"its own 95 % t interval over shared seeds (fewer than {MINIMUM_N}: none). It speaks of these examples."
    ]
    if compared:
        tests = len(compared) * classes
        sentences.append(
            f"Nothing is adjusted (exploratory): of {many(tests, 'difference')} without any effect about "
            f"{max(round(ALPHA * tests), 1)} would leave out 0."
        )
    return [
        *sentences,
        *(
            []
            if results.measured.metric.name == metric
            else [f"The study's verdicts are by {results.measured.metric.name}."]
        ),
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
