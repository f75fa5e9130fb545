"""What a program says of each example in a table that it leaves: `task.examples`, which columns of which file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate.errors import ConfigError, DataError
from ablate.text import did_you_mean, listed, one_of

_KEYS = ("file", "id", "correct", "loss", "group")
_TRUTH = {"true": 1.0, "false": 0.0}
"""As pandas writes them."""


@dataclass(frozen=True)
class Columns:
    """Where results of each example are. file: a glob; the others: names of columns, empty where there is none."""

    file: str
    id: str
    correct: str = ""
    loss: str = ""
    group: str = ""


@dataclass(frozen=True)
class Said:
    """A column each, in the file's order; None where the study names none."""

    ids: Sequence[str]
    correct: Sequence[float] | None
    loss: Sequence[float] | None
    groups: Sequence[str] | None


def columns(given: Mapping[str, str]) -> Columns | None:
    """What `task.examples` says; None where it says nothing. ConfigError below `task`."""
    problems = []
    for key in given:
        if key not in _KEYS:
            near = did_you_mean(key, _KEYS)
            problems.append((f"task.examples.{key}", f"is no key of examples; it has {one_of(_KEYS)}.{near}"))
    lacking = [key for key in ("file", "id") if not given.get(key)]
    if given and not problems and (lacking or not (given.get("correct") or given.get("loss"))):
        form = "{file: preds.csv, id: COLUMN, correct: COLUMN, loss: COLUMN, group: COLUMN}"
        what = f"has no {' and no '.join(lacking)}" if lacking else "has neither `correct` nor `loss`"
        problems.append(("task.examples", f"{what}; it must look like {form}, with one of correct and loss at least."))
    if problems:
        raise ConfigError(problems)
    return Columns(**given) if given else None


def read(asked: Columns, files: Sequence[Path]) -> Said:
    """What the file holds. files: the run's own that the glob matches. DataError says what does not fit."""
    if len(files) != 1:
        many = f"{len(files)} files of the run match it: {listed(path.name for path in files)}"
        raise DataError(
            f"task.examples.file is {asked.file!r}, and {many if files else 'no file of the run matches it'}."
        )
    (path,) = files
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            header = file.readline()
            delimiter = max("\t;,", key=header.count)
            names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
            rows = [row for row in csv.reader(file, delimiter=delimiter) if row]
    except (OSError, csv.Error) as error:
        raise DataError(f"{path.name}, the examples of the run, cannot be read: {error}.") from None
    short = next((at for at, row in enumerate(rows, 2) if len(row) != len(names)), None)
    if short is not None:
        raise DataError(f"{path.name}:{short} has {len(rows[short - 2])} cells, and the header has {len(names)}.")

    def column(key: str) -> list[str] | None:
        name = getattr(asked, key)
        if not name:
            return None
        if name not in names:
            has = f"it has {listed(names)}.{did_you_mean(name, names)}"
            raise DataError(f"task.examples.{key} is {name!r}, and {path.name} has no such column; {has}")
        place = names.index(name)
        return [row[place].strip() for row in rows]

    ids = column("id") or []
    return Said(ids, _numbers(column("correct")), _numbers(column("loss")), column("group"))


def _numbers(cells: Sequence[str] | None) -> list[float] | None:
    """Cells as numbers; what is none is not finite, which is refused with the number of such cells."""
    return None if cells is None else [_number(cell) for cell in cells]


def _number(cell: str) -> float:
    try:
        return _TRUTH[cell.lower()] if cell.lower() in _TRUTH else float(cell)
    except ValueError:
        return float("nan")
