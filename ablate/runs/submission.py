"""The test set, once: predict it with a trained variant, and write or check the file that a competition expects.

Everything is chosen on the dev set; here the chosen variant's stored weights are used as they are, the ones that the
study's `metric.at` speaks of. Every use of the test set is recorded, because a second look is one too many.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate.analysis.results import Results
from ablate.errors import AblateError, DataError
from ablate.identity import sha256
from ablate.registry import Registry
from ablate.runs.planned import Planned, specs
from ablate.store.store import Store
from ablate.text import did_you_mean, one_of
from ablate.training.task import Run


@dataclass(frozen=True)
class Sample:
    """What a submission must look like: the sample's header, its ids in order, and whether its labels are numbers."""

    header: tuple[str, str]
    ids: tuple[str, ...]
    numbers: bool


@dataclass(frozen=True)
class Submission:
    """A finished prediction. variant, seeds: what was used; text: the file."""

    variant: str
    seeds: tuple[int, ...]
    weights: str
    rows: int
    text: str

    @property
    def sha(self) -> str:
        return sha256(self.text)


# ----------------------------------------------------------------------------------------------------------- predicting


def choose(loaded: Results, variant: str) -> str:
    """The variant that `variant` means: a name, or `best` by the table's own rule."""
    if variant == "best":
        if loaded.best is None:
            raise AblateError(
                "no variant has all its planned seeds done, so none is best yet; name one with --variant."
            )
        return loaded.best.variant
    names = list(dict.fromkeys(row.variant for row in loaded.rows))
    if variant not in names:
        raise AblateError(f"no variant is called {variant!r}; there is {one_of(names)}.{did_you_mean(variant, names)}")
    return variant


def predict(planned: Planned, store: Store, variant: str, seed: int | None, sample: Sample | None) -> Submission:
    """Predict the test set with `variant`: one seed, or (None) the mean of the softmax over all finished seeds.

    The file's ids are in the sample's order, else in the data set's. AblateError where a run is not done, its weights
    are not kept, or the data set has no test images.
    """
    at = planned.study.metric.at
    if at not in ("last", "best"):
        raise AblateError(
            f"metric.at is epoch {at}, whose weights are not kept; predict needs `at: last` or `at: best`."
        )
    chosen = _finished(planned, store, variant, seed)
    registry = Registry(planned.registry.folders, planned.registry.beside)
    total: dict[str, list[float]] = {}
    classes: tuple[str, ...] = ()
    for spec in (specs(planned, store.folder)[key] for key in chosen.values()):
        weights = Path(spec.folder) / f"{at}.pt"
        if not weights.is_file():
            raise AblateError(
                f"the weights of {variant} are not at {weights}: the study says `weights: {planned.study.weights}`, "
                "or they were removed, or trained elsewhere."
            )
        predicted = planned.task.predict(Run(spec, registry), weights)
        classes = predicted.class_names
        for name, row in zip(predicted.ids, predicted.probabilities, strict=True):
            total[name] = [a + b for a, b in zip(total.get(name, [0.0] * len(row)), row, strict=True)]
    if not total:
        raise DataError(
            "the data set has no test images, so there is nothing to predict; see `ablate list datasets`.",
            page="course-brief",
        )
    labels = {name: max(range(len(row)), key=row.__getitem__) for name, row in total.items()}
    text = render(labels, classes, sample)
    return Submission(variant, tuple(chosen), str(at), len(labels), text)


def _finished(planned: Planned, store: Store, variant: str, seed: int | None) -> dict[int, str]:
    """The keys of the variant's finished runs, by seed."""
    cells = [cell for cell in store.cells(planned.study.name) if cell.variant == variant]
    wanted = [cell for cell in cells if seed is None or cell.seed == seed]
    done = {cell.seed: cell.run for cell in wanted if cell.state == "done"}
    if seed is not None and not done:
        finished = one_of(str(cell.seed) for cell in cells if cell.state == "done") or "none"
        raise AblateError(f"seed {seed} of {variant} is not done; finished seeds: {finished}.")
    if not done:
        raise AblateError(f"no run of {variant} is done; `ablate run` trains it.")
    planned_keys = {run.key for run in planned.plan.runs}
    if not set(done.values()) <= planned_keys:
        raise AblateError(
            f"the study, its code or its data changed since {variant} was trained; `ablate run` trains it as it is now."
        )
    return done


def render(labels: Mapping[str, int], classes: Sequence[str], sample: Sample | None) -> str:
    """The submission file: ids in the sample's order; labels as numbers, or as names where the sample has names."""
    header = sample.header if sample else ("id", "label")
    ids = sample.ids if sample else tuple(labels)
    if set(ids) != set(labels):
        missing, more = sorted(set(labels) - set(ids)), sorted(set(ids) - set(labels))
        raise DataError(
            f"the sample submission has {len(ids)} ids and the test set {len(labels)}: "
            f"{len(missing)} are missing{_first(missing)}, {len(more)} are not in the test set{_first(more)}.",
            page="course-brief",
        )
    as_numbers = sample.numbers if sample else True
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows((name, labels[name] if as_numbers else classes[labels[name]]) for name in ids)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------------------- checking


def read_sample(path: Path) -> Sample:
    """The sample submission of a competition: a header of two columns (id, label), then a row for every test image."""
    header, rows = _read(path)
    if not rows:
        raise DataError(
            f"{path}: there is no row below the header; a sample submission lists every test image.",
            page="course-brief",
        )
    seen: dict[str, int] = {}
    for line, (name, _) in rows:
        if name in seen:
            raise DataError(f"{path}:{line}: the id {name!r} stands in line {seen[name]} already.", page="course-brief")
        seen[name] = line
    numbers = all(label.strip().lstrip("+-").isdigit() for _, (_, label) in rows)
    return Sample(header, tuple(seen), numbers)


def check(path: Path, sample: Sample, classes: int | None = None) -> list[str]:
    """What is wrong with a submission, in its own order; an empty list where it fits the sample.

    Header, number of rows, ids and their order, and that every label is a whole number in 0..classes-1 (or any text
    where the sample has text).
    """
    header, rows = _read(path)
    wrong = []
    if header != sample.header:
        wrong.append(f"{path}:1: the header is {','.join(header)!r}; the sample's is {','.join(sample.header)!r}.")
    if len(rows) != len(sample.ids):
        wrong.append(f"{path}: {len(rows)} rows; the sample has {len(sample.ids)}.")
    for (line, (name, _)), expected in zip(rows, sample.ids, strict=False):
        if name != expected:
            wrong.append(f"{path}:{line}: the id is {name!r}; the sample has {expected!r} here.")
            break
    for line, (_, label) in rows:
        if sample.numbers and not (label.isdigit() and (classes is None or int(label) < classes)):
            allowed = "a whole number from 0" + (f" to {classes - 1}" if classes is not None else "")
            wrong.append(f"{path}:{line}: the label is {label!r}; it must be {allowed}.")
            break
    return wrong


def _read(path: Path) -> tuple[tuple[str, str], list[tuple[int, tuple[str, str]]]]:
    """The header and the numbered rows of a file of two columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text; a submission is a CSV file of two columns.", page="course-brief") from None
    rows = [(line, tuple(row)) for line, row in enumerate(csv.reader(io.StringIO(text)), 1) if row]
    for line, row in rows:
        if len(row) != 2:
            raise DataError(
                f"{path}:{line}: {len(row)} columns; a submission has two, an id and a label.", page="course-brief"
            )
    if not rows:
        raise DataError(
            f"{path} is empty; a submission has a header and a row for every test image.", page="course-brief"
        )
    (_, (first, second)), *rest = rows
    return (first, second), [(line, (name, label)) for line, (name, label) in rest]


def _first(names: Sequence[str]) -> str:
    return f" ({names[0]!r} for one)" if names else ""
