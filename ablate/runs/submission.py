"""The test set, once: predict it with a trained variant, and write or check the file that a competition expects.

Everything is chosen on the dev set; here the chosen variant's stored weights are used as they are, the ones that the
study's `metric.at` speaks of. Every use of the test set is recorded, because a second look is one too many.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ablate.analysis.results import Results
from ablate.errors import AblateError, DataError
from ablate.identity import sha256
from ablate.registry import Registry
from ablate.runs import winners
from ablate.runs.planned import Planned, find, specs
from ablate.store.store import Store
from ablate.text import did_you_mean, one_of
from ablate.training.task import Run

LABELS = ("numbers", "from-1", "names")
"""How classes are written: by number from 0, from 1, or by name."""

_whole = re.compile(r"[-+]?[0-9]+(?:\.0*)?").fullmatch
"""A class number as people and pandas write it: `3`, `3.0`."""


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _number(name: str) -> str:
    return str(int(name)) if name.strip().isdecimal() else name


def _from_1(name: str) -> str:
    return str(int(name) - 1) if name.strip().isdecimal() else name


IDS: Mapping[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "stem": (_stem, _stem),
    "number": (_number, _number),
    "from-1": (_from_1, _number),
}
"""How a sample's ids may mean the test set's: what each side is compared by. `0017.jpg` and `0017`; `17` and `0017`;
1 to N for rows that are numbered from 0."""


@dataclass(frozen=True)
class Sample:
    """What a submission must look like: the sample's header, its ids in order, and how its labels are written.

    labels: "numbers" or "names"; "" where the sample does not say (empty cells, or numbers that are no class).
    shown: the labels that it has.
    """

    header: tuple[str, str]
    ids: tuple[str, ...]
    labels: str
    shown: tuple[str, ...] = ()


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
        if loaded.settings:
            raise AblateError(
                f"no variant is the best of several settings; name one, such as --variant {loaded.rows[0].variant}."
            )
        if loaded.best is None:
            raise AblateError(
                "no variant has all its planned seeds done, so none is best yet; name one with --variant."
            )
        return loaded.best.variant
    names = list(dict.fromkeys(row.variant for row in (*loaded.rows, *loaded.tuned_rows)))
    if variant not in names:
        raise AblateError(f"no variant is called {variant!r}; there is {one_of(names)}.{did_you_mean(variant, names)}")
    return variant


def predict(
    planned: Planned,
    store: Store,
    variant: str,
    seed: int | None,
    sample: Sample | None,
    ids: str | None = None,
    labels: str | None = None,
) -> Submission:
    """Predict the test set with `variant`: one seed, or (None) the mean of the softmax over all finished seeds.

    The file's ids are in the sample's order, else in the data set's. ids, labels: of IDS and LABELS, where the sample
    does not tell. AblateError where a run is not done, its weights
    are not kept, or the data set has no test images.
    """
    at = planned.study.metric.at
    if at not in ("last", "best"):
        raise AblateError(
            f"metric.at is epoch {at}, whose weights are not kept; predict needs `at: last` or `at: best`."
        )
    if variant not in {one.name for one in planned.plan.variants}:
        planned = winners.confirmation(planned, store)
    chosen = _finished(planned, store, variant, seed)
    registry = Registry(planned.registry.folders, planned.registry.beside)
    total: dict[str, list[float]] = {}
    classes: tuple[str, ...] = ()
    specs_of, kept = specs(planned, store.folder), store.kept(chosen.values())
    for key in chosen.values():
        weights = kept[key].folder / f"{at}.pt" if key in kept else None
        if weights is None or not weights.is_file():
            raise AblateError(
                f"the weights of {variant} are not {f'at {weights}' if weights else 'here'}: the study says `weights: "
                f"{planned.study.weights}`, or they were removed, or trained elsewhere. `ablate retry "
                "--weights` trains them again."
            )
        predicted = planned.task.predict(Run(specs_of[key], registry, outputs=dict(kept[key].outputs)), weights)
        classes = predicted.class_names
        for name, row in zip(predicted.ids, predicted.probabilities, strict=True):
            total[name] = [a + b for a, b in zip(total.get(name, [0.0] * len(row)), row, strict=True)]
    if not total:
        raise DataError(
            "the data set has no test images, so there is nothing to predict; see `ablate list datasets`.",
            page="course-brief",
        )
    likeliest = {name: max(range(len(row)), key=row.__getitem__) for name, row in total.items()}
    text = render(likeliest, classes, sample, ids, labels)
    return Submission(variant, tuple(chosen), str(at), len(likeliest), text)


def _finished(planned: Planned, store: Store, variant: str, seed: int | None) -> dict[int, str]:
    """The keys of the variant's finished runs, by seed."""
    cells = [cell for cell in store.cells(planned.study.name, ("ablation", "confirm")) if cell.variant == variant]
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


def render(
    predicted: Mapping[str, int],
    classes: Sequence[str],
    sample: Sample | None,
    ids: str | None = None,
    labels: str | None = None,
) -> str:
    """The submission file: ids in the sample's order; labels as the sample writes them, or as asked."""
    header = sample.header if sample else ("id", "label")
    meant = _matched(sample.ids, tuple(predicted), ids) if sample else {name: name for name in predicted}
    written = labels or (_written(sample, classes) if sample else "numbers")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for name, test_id in meant.items():
        number = predicted[test_id]
        writer.writerow((name, classes[number] if written == "names" else number + (written == "from-1")))
    return out.getvalue()


def _matched(ids: Sequence[str], test_ids: Sequence[str], how: str | None) -> dict[str, str]:
    """Which test image each id of the sample means: the one of that name, or by `how` of IDS."""
    meant = _by(ids, test_ids, how)
    if set(meant) == set(ids) and len(set(meant.values())) == len(test_ids) == len(ids):
        return meant
    missing, more = sorted(set(test_ids) - set(meant.values())), [name for name in ids if name not in meant]
    ways = [
        way for way in IDS if way != how and len(set(_by(ids, test_ids, way).values())) == len(test_ids) == len(ids)
    ]
    hint = f" `--ids {ways[0]}` matches them all." if ways else ""
    raise DataError(
        f"the sample submission has {len(ids)} ids and the test set {len(test_ids)}: "
        f"{len(missing)} are missing{_first(missing)}, {len(more)} are not in the test set{_first(more)}.{hint}",
        page="course-brief",
    )


def _by(ids: Sequence[str], test_ids: Sequence[str], how: str | None) -> dict[str, str]:
    of_sample, of_test = IDS[how] if how else (str, str)
    tests = {of_test(name): name for name in test_ids}
    return {name: tests[of_sample(name)] for name in ids if of_sample(name) in tests}


def _written(sample: Sample, classes: Sequence[str]) -> str:
    """How the sample writes classes; DataError where it does not say, or writes what is no class here."""
    shown = ", ".join(map(repr, sample.shown[:3]))
    ask = "say how with `--labels numbers`, `from-1` or `names`"
    if not sample.labels:
        raise DataError(
            f"the sample's labels ({shown}) are neither class numbers nor names; {ask}.", page="course-brief"
        )
    if sample.labels == "numbers":
        strange = [label for label in sample.shown if float(label) >= len(classes)]
        known = f"0 to {len(classes) - 1}"
    else:
        strange, known = [label for label in sample.shown if label not in classes], one_of(classes[:12])
    if strange:
        raise DataError(
            f"the sample's label {strange[0]!r} is no class; the classes are {known}."
            f"{did_you_mean(strange[0], classes)} If it only holds the place, {ask}.",
            page="course-brief",
        )
    return sample.labels


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
    shown = tuple(dict.fromkeys(label.strip() for _, (_, label) in rows))
    return Sample(header, tuple(seen), _kind_of(shown), shown)


def _kind_of(labels: Sequence[str]) -> str:
    """How a sample writes classes; "" for empty cells, probabilities, and numbers beside words."""
    numbers = [label for label in labels if re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+\.?(?:[eE][-+]?[0-9]+)?", label)]
    if all(map(_whole, labels)):
        return "numbers"
    return "" if numbers or not all(labels) else "names"


def classes_of(study: str | None, db: str, overrides: Sequence[str]) -> tuple[str, ...] | None:
    """The names of the classes of a study's data; None where there is no such study, or its data are not here."""
    try:
        planned = find(study, db, overrides)
        return tuple(planned.task.class_names(planned.plan.variants[0].completed.config, planned.registry)) or None
    except AblateError:
        if study is not None:
            raise
        return None


def check(path: Path, sample: Sample, classes: Sequence[str] | None = None, labels: str | None = None) -> list[str]:
    """What is wrong with a submission, in its own order; an empty list where it fits the sample.

    Header, number of rows, ids and their order, and that every label is a class, by number or name as the sample (or
    `labels`) has them. classes: their names; None where they are not known.
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
        allowed = _not_a_class(label.strip(), labels or sample.labels, classes)
        if allowed:
            hint = did_you_mean(label.strip(), classes or ())
            wrong.append(f"{path}:{line}: the label is {label!r}; it must be {allowed}.{hint}")
            break
    return wrong


def _not_a_class(label: str, written: str, classes: Sequence[str] | None) -> str:
    """What a label that is no class should have been; empty for a class."""
    names = list(classes or ())
    if written == "names" or (not written and label in names):
        fits = bool(label) and (not names or label in names)
        return "" if fits else one_of(names[:12]) or "a class name"
    least = 1 if written == "from-1" else 0
    number = float(label) if _whole(label) else math.nan
    if number >= least and not (names and number >= len(names) + least):
        return ""
    return f"a whole number from {least}" + (f" to {len(names) + least - 1}" if names else "")


def _read(path: Path) -> tuple[tuple[str, str], list[tuple[int, tuple[str, str]]]]:
    """The header and the numbered rows of a file of two columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text; a submission is a CSV file of two columns.", page="course-brief") from None
    reader = csv.reader(io.StringIO(text))
    rows = [(reader.line_num, tuple(row)) for row in reader if row]
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
