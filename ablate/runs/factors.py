"""Which variant a line of an imported file belongs to: by its label, by the factors that it switches on, or by both."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ablate.errors import AblateError
from ablate.records import Cell, Choice, StudyTrick, TrickLevel
from ablate.runs.columns import Columns
from ablate.runs.csv_file import Cells
from ablate.study.cells import Space, name_of
from ablate.text import did_you_mean, one_of

OFF = frozenset({"0", "-1", "off", "no", "false", "none"})
ON = frozenset({"1", "on", "yes", "true"})
"""What switches a trick off and on in a column of `--factors`; any other word is the name of a level."""

Variants = tuple[tuple[StudyTrick, ...], list[tuple[Choice, ...]], list[str]]
"""The tricks; of each record the choices that are on, and its variant's name."""


def variants_of(rows: Sequence[Cells], columns: Columns) -> Variants:
    if not columns.factors:
        return _by_label(rows, columns)
    tricks, cells, names = _by_factors(rows, columns)
    return tricks, cells, names if columns.variant is None else _labels(rows, columns.variant, cells)


def _by_label(rows: Sequence[Cells], columns: Columns) -> Variants:
    """A label is the variant's name and, unless it is the baseline's, a trick of its own."""
    labels = [row.text(columns.variant or "") for row in rows]
    baseline = columns.baseline or ("base" if "base" in labels else labels[0] if labels else "")
    others = [label for label in dict.fromkeys(labels) if label != baseline]
    tricks = tuple(StudyTrick(label, (TrickLevel(),)) for label in others)
    return tricks, [() if label == baseline else (Choice(label),) for label in labels], labels


def _labels(rows: Sequence[Cells], column: str, cells: Sequence[tuple[Choice, ...]]) -> list[str]:
    """The labels of variants that factors describe: each label one combination, each combination one label."""
    labels = [row.text(column) for row in rows]
    by_label: dict[str, tuple[Choice, ...]] = {}
    by_cell: dict[tuple[Choice, ...], str] = {}
    for row, label, cell in zip(rows, labels, cells, strict=True):
        if by_label.setdefault(label, cell) != cell:
            row.bad(column, f"{label!r} has other factors here than in the lines above.")
        elif by_cell.setdefault(cell, label) != label:
            row.bad(column, f"{label!r} has the factors of {by_cell[cell]!r}; one combination has one label.")
    return labels


def _by_factors(rows: Sequence[Cells], columns: Columns) -> Variants:
    """A column is a trick; a variant has the name that a design would give it."""
    switched = {name: _switches(rows, name) for name in columns.factors}
    tricks = tuple(
        StudyTrick(name, tuple(map(TrickLevel, levels)) or (TrickLevel(),)) for name, (levels, _) in switched.items()
    )
    cells = [
        tuple(
            Choice(name, None if setting is True else setting)
            for name, (_, settings) in switched.items()
            if (setting := settings[i]) is not False
        )
        for i in range(len(rows))
    ]
    space = Space(tricks)
    return tricks, cells, [name_of(Cell(on), space) for on in cells]


def _switches(rows: Sequence[Cells], name: str) -> tuple[list[str], list[bool | str]]:
    """The levels of a factor ([] where it is on or off), and its setting in each record."""
    texts = [row.text(name) for row in rows]
    plain = [_plain(text) for text in texts]
    if {"0", "-1"} <= set(plain):
        rows[plain.index("-1")].bad(name, "both 0 and -1 occur, and each can mean off; write 0 and 1, or words.")
    if all(word in OFF | ON for word in plain):
        return [], [word in ON for word in plain]
    if not any(word in OFF for word in plain):
        shown = one_of(list(dict.fromkeys(texts))[:6])
        rows[0].bad(name, f"none of {shown} means off; write 0, off or none for the lines without this trick.")
    settings: list[bool | str] = [False if word in OFF else text for word, text in zip(plain, texts, strict=True)]
    return list(dict.fromkeys(s for s in settings if isinstance(s, str))), settings


def _plain(text: str) -> str:
    """A setting as OFF and ON spell it: `1.0`, `+1` and `True` are there."""
    return re.sub(r"^\+|(?<=\d)\.0*$", "", text.lower())


def baseline_of(variants: dict[str, tuple[Choice, ...]], columns: Columns, file: str) -> str:
    """What the others are compared with: as asked, else the one without any factor, else the first."""
    asked = columns.baseline
    if asked is not None and asked not in variants:
        known = list(variants)
        raise AblateError(
            f"--baseline is {asked!r}, but {file} has no such variant; it has {one_of(known[:12])}."
            f"{did_you_mean(asked, known)}"
        )
    return asked or next((name for name, on in variants.items() if not on), next(iter(variants)))
