"""Which variant a line of an imported file belongs to: by its label, by the factors that it switches on, or by both."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ablate.errors import AblateError
from ablate.records import Cell, Choice, StudyTrick, TrickLevel
from ablate.runs.columns import Columns
from ablate.runs.csv_file import Cells
from ablate.study.cells import Space, name_of
from ablate.text import did_you_mean, one_of, read_as

OFF = frozenset({"0", "-1", "off", "no", "false", "none"})
ON = frozenset({"1", "on", "yes", "true"})
"""What switches a trick off and on in a column of `--factors`; any other word is the name of a level."""

Variants = tuple[tuple[StudyTrick, ...], list[tuple[Choice, ...]], list[str]]
"""The tricks; of each record the choices that are on, and its variant's name."""


def variants_of(rows: Sequence[Cells], columns: Columns) -> Variants:
    if not columns.factors:
        return _by_label(rows, columns)
    tricks, cells, names = _by_factors(rows, columns)
    return tricks, cells, names if columns.variant is None else _labels(rows, columns, cells)


def within_settings(rows: Sequence[Cells], names: Sequence[str], columns: Columns) -> list[str]:
    """The variants' names behind their settings, where the lines have some."""
    if columns.across is None:
        return list(names)
    settings = _names(rows, columns.across, columns)
    for row, setting in zip(rows, settings, strict=True):
        if "/" in setting:
            row.bad(columns.across, f"{setting!r} holds a slash, which stands between a setting and a variant.")
    return [f"{setting}/{name}" for setting, name in zip(settings, names, strict=True)]


def _names(rows: Sequence[Cells], column: str, columns: Columns) -> list[str]:
    """The words of a column, which are told apart by more than spelling: `0.1` and `0.10` are one number, and two
    spellings of one letter look the same."""
    names = [row.text(column, columns.empty) for row in rows]
    first: dict[object, tuple[str, int]] = {}
    for row, name in zip(rows, names, strict=True):
        raw = row.cells[column] or name
        spelt, line = first.setdefault(read_as(name), (raw, row.line))
        if spelt != raw:
            row.bad(column, f"{raw!r} reads like {spelt!r} in line {line}; write them alike, or so that they differ.")
    return names


def _by_label(rows: Sequence[Cells], columns: Columns) -> Variants:
    """A label is the variant's name and, unless it is the baseline's, a trick of its own."""
    labels = _names(rows, columns.variant or "", columns)
    baseline = columns.baseline or ("base" if "base" in labels else labels[0] if labels else "")
    others = [label for label in dict.fromkeys(labels) if label != baseline]
    tricks = tuple(StudyTrick(label, (TrickLevel(),)) for label in others)
    return tricks, [() if label == baseline else (Choice(label),) for label in labels], labels


def _labels(rows: Sequence[Cells], columns: Columns, cells: Sequence[tuple[Choice, ...]]) -> list[str]:
    """The labels of variants that factors describe: each label one combination, each combination one label."""
    column = columns.variant or ""
    labels = _names(rows, column, columns)
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
    off = _off_levels(rows, columns)
    switched = {name: _switches(rows, name, columns, off.get(name)) for name in columns.factors}
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
    names = {on: name_of(Cell(on), space) for on in dict.fromkeys(cells)}
    return tricks, cells, [names[on] for on in cells]


def _off_levels(rows: Sequence[Cells], columns: Columns) -> dict[str, str]:
    """The level of each factor that stands for off: as `--baseline opt=sgd,norm=none` says, or, where no word of a
    column means off, the one that the variant labelled by --baseline has."""
    given = _pairs(columns)
    if given or columns.variant is None:
        return given
    labelled = [row for row in rows if row[columns.variant] == columns.baseline][:1]
    levels = {name: {row[name] or columns.empty or "" for row in rows} for name in columns.factors}
    without = [name for name in columns.factors if not OFF & set(map(_plain, levels[name]))]
    return {name: row[name] or columns.empty or "" for row in labelled for name in without if len(levels[name]) > 1}


def _pairs(columns: Columns) -> dict[str, str]:
    """`--baseline COL=LEVEL,COL=LEVEL` by column; empty where it is a variant's name."""
    pairs = [pair.partition("=") for pair in (columns.baseline or "").split(",")]
    if not all(equals and name.strip() in columns.factors for name, equals, _ in pairs):
        return {}
    return {name.strip(): level.strip() for name, _, level in pairs}


def _switches(
    rows: Sequence[Cells], name: str, columns: Columns, off: str | None
) -> tuple[list[str], list[bool | str]]:
    """The levels of a factor ([] where it is on or off), and its setting in each record. off: its level that is off."""
    texts = [row.text(name, columns.empty) for row in rows]
    plain = [_plain(text) for text in texts]
    if off is None and {"0", "-1"} <= set(plain):
        rows[plain.index("-1")].bad(name, "both 0 and -1 occur, and each can mean off; write 0 and 1, or words.")
    if off is None and all(word in OFF | ON for word in plain):
        return [], [word in ON for word in plain]
    is_off = [word in OFF if off is None else text == off for word, text in zip(plain, texts, strict=True)]
    _names([row for row, without in zip(rows, is_off, strict=True) if off is not None or not without], name, columns)
    if not any(is_off):
        rows[0].bad(name, _no_off_level(name, texts, off))
    settings: list[bool | str] = [False if without else text for without, text in zip(is_off, texts, strict=True)]
    return list(dict.fromkeys(s for s in settings if isinstance(s, str))), settings


def _no_off_level(name: str, texts: Sequence[str], off: str | None) -> str:
    levels = list(dict.fromkeys(texts))
    if off is not None:
        allowed = f"it has {one_of(levels[:6])}.{did_you_mean(off, levels)}"
        return f"--baseline says {name}={off}, and no line has that; {allowed}"
    return (
        f"none of {one_of(levels[:6])} means off; write 0, off or none for the lines without this trick, or say which "
        f"stands for it: --baseline {name}={levels[0]}."
    )


def _plain(text: str) -> str:
    """A setting as OFF and ON spell it: `1.0`, `+1` and `True` are there."""
    return re.sub(r"^\+|(?<=\d)\.0*$", "", text.lower())


def baseline_of(variants: dict[str, tuple[Choice, ...]], columns: Columns, file: str) -> str:
    """What the others are compared with: as asked, else the one without any factor, else the first."""
    named = columns.baseline
    plain = next((name for name, on in variants.items() if not on), next(iter(variants)))
    if named is None or named in variants:
        return named or plain
    if _pairs(columns):
        return plain
    names = list(variants)
    raise AblateError(
        f"--baseline is {named!r}, but {file} has no such variant; it has {one_of(names[:12])}."
        f"{did_you_mean(named, names)}"
    )
