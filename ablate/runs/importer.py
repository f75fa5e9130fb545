"""`ablate import`: runs trained elsewhere, from a CSV file into a study that table, effects and export work on.

One line per run (its variant by a label or by its factors, its seed where seeds are shared), or one line per variant
with mean, standard deviation and n, as papers print them. Every value is checked before anything is stored: a bad cell
is an error with its line and column name. Nothing is guessed from names; `#` begins a comment line.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ablate.analysis.results import count_name, spread_name
from ablate.errors import AblateError
from ablate.identity import canonical_json, sha256
from ablate.records import Better, Cell, Choice, Json, Role, StudyTrick, TrickLevel
from ablate.store.store import Store
from ablate.study.cells import Space, name_of
from ablate.text import did_you_mean, one_of

OFF = frozenset({"0", "-1", "off", "no", "false", "none"})
ON = frozenset({"1", "on", "yes", "true"})
"""What switches a trick off and on in a column of `--factors`; any other word is the name of a level."""

MOST_PROBLEMS = 20
"""Bad cells that one message names."""


@dataclass(frozen=True)
class Columns:
    """The command's options: which column is what. `variant`, `factors` or both: then the label names what the factors
    switch on. `mean`, `sd` and `n` together. also: columns of further metrics, and which way each is better."""

    metric: str
    better: Better
    variant: str | None = None
    baseline: str | None = None
    factors: tuple[str, ...] = ()
    seed: str | None = None
    mean: str | None = None
    sd: str | None = None
    n: str | None = None
    also: Mapping[str, Better] = field(default_factory=dict)

    @property
    def named(self) -> list[str]:
        """Every column that must be in the file."""
        summary = [name for name in (self.mean, self.sd, self.n) if name is not None]
        others = [name for name in (self.variant, self.seed) if name is not None]
        return [*others, *self.factors, *(summary or [self.metric]), *self.also]


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

    file, sha: where it came from, and the SHA-256 of its text.
    """

    tricks: tuple[StudyTrick, ...]
    variants: dict[str, tuple[Choice, ...]]
    runs: tuple[ImportedRun, ...]
    baseline: str
    file: Path = Path()
    sha: str = ""


def read_file(path: Path, columns: Columns) -> Imported:
    """Read and check a file. AblateError names every bad cell."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise AblateError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise AblateError(f"{path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8.") from None
    return replace(read(text, str(path), columns), file=path, sha=sha256(text))


# -------------------------------------------------------------------------------------------------------- reading


Problem = tuple[int, str]
"""A line, and what is wrong there."""


class _Lines:
    """The lines of a text without comments; knows at which line the record that is being read starts."""

    def __init__(self, text: str) -> None:
        self.lines = io.StringIO(text, newline="")
        self.at = self.start = 0

    def __iter__(self) -> Iterator[str]:
        inside = False  # a quoted cell goes on: what looks like a comment is its text
        for line in self.lines:
            self.at += 1
            if not inside and line.startswith("#"):
                continue
            if not inside:
                self.start = self.at
            inside ^= line.count('"') % 2 == 1
            yield line


def _records(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of the header and of every record that is not empty."""
    lines = _Lines(text)
    try:
        for cells in csv.reader(lines, strict=True):
            if any(cell.strip() for cell in cells):
                yield lines.start, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise AblateError(f"{file}, line {lines.at}: this is no CSV: {error}.") from None


class _Cells:
    """The cells of one record by column name. A bad one is a problem, and the reading goes on to find the others."""

    def __init__(self, file: str, line: int, cells: dict[str, str], problems: list[Problem]) -> None:
        self.file, self.line, self.cells, self.problems = file, line, cells, problems

    def bad(self, column: str, what: str) -> None:
        self.problems.append((self.line, f"{self.file}, line {self.line}, column {column}: {what}"))

    def text(self, column: str) -> str:
        text = self.cells[column]
        if not text:
            self.bad(column, "the cell is empty.")
        elif len(text) > 200 or not text.isprintable():
            self.bad(column, f"{text[:40]!r} is no name: at most 200 characters and none that controls a terminal.")
        return text

    def number(self, column: str) -> float:
        text = self.cells[column]
        plain = re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text, re.ASCII)
        value = float(text) if plain else math.nan
        if not math.isfinite(value):
            self.bad(column, f"{text!r} is no number such as 91.4." if text else "the cell is empty.")
            return 0.0
        return value

    def whole(self, column: str, least: int) -> int:
        text = self.cells[column]
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or int(text) < least:
            lowest = f" of at least {least}" if least > 0 else ""
            self.bad(column, f"{text!r} is no whole number{lowest}." if text else "the cell is empty.")
            return least
        return int(text)


def read(text: str, file: str, columns: Columns) -> Imported:
    """Check a file's text. AblateError names every bad cell, the first MOST_PROBLEMS of them."""
    _check_options(columns)
    records = _records(text, file)
    line, header = next(records, (0, []))
    if not header:
        raise AblateError(f"{file} holds no header: its first line that is no comment names the columns.")
    _check_header(header, file, line, columns)
    problems: list[Problem] = []
    rows = []
    for line, cells in records:
        if len(cells) != len(header):
            what = f"{file}, line {line}: {len(cells)} cells, but the header names {len(header)} columns."
            problems.append((line, what))
            continue
        rows.append(_Cells(file, line, dict(zip(header, cells, strict=True)), problems))
    values = [_values(row, columns) for row in rows]
    # Without --seed every line has a seed of its own: no two runs are pairs.
    seeds = [i if columns.seed is None else row.whole(columns.seed, -(10**18)) for i, row in enumerate(rows)]
    tricks, cells_of, names = _by_factors(rows, columns) if columns.factors else _by_label(rows, columns)
    if columns.factors and columns.variant is not None:
        names = _labels(rows, columns.variant, cells_of)
    _refuse(problems)
    if not rows:
        raise AblateError(f"{file} has a header and no line below it.")
    runs = tuple(
        ImportedRun(row.line, name, seed, value)
        for row, name, seed, value in zip(rows, names, seeds, values, strict=True)
    )
    _refuse(_repeated(runs, file, columns))
    variants = dict(zip(names, cells_of, strict=True))
    return Imported(tricks, variants, runs, _baseline(variants, columns, file))


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        more = len(problems) - MOST_PROBLEMS
        rest = [f"... and {more} more."] if more > 0 else []
        raise AblateError(
            "\n".join(["nothing was imported:", *(t for _, t in sorted(problems)[:MOST_PROBLEMS]), *rest])
        )


def _check_options(columns: Columns) -> None:
    summary = {"--mean": columns.mean, "--sd": columns.sd, "--n": columns.n}
    if columns.variant is None and not columns.factors:
        raise AblateError(
            "name the variants by --variant COL (labels), by --factors COL,COL (0/1 or levels), or by both."
        )
    if any(summary.values()) and not all(summary.values()):
        missing = [option for option, column in summary.items() if column is None]
        raise AblateError(f"--mean, --sd and --n go together; {one_of(missing)} is missing.")
    if columns.mean is not None and columns.seed is not None:
        raise AblateError("--seed names the seed of a single run, and --mean has none; leave one of them out.")


def _check_header(header: Sequence[str], file: str, line: int, columns: Columns) -> None:
    for name in columns.named:
        if header.count(name) > 1:
            raise AblateError(f"{file}, line {line}: two columns are called {name!r}.")
        if name not in header:
            split = (
                " Its cells must be separated by commas." if len(header) == 1 and re.search(r"[;\t]", header[0]) else ""
            )
            raise AblateError(
                f"{file}, line {line}: no column is called {name!r}; there is {one_of(header)}."
                f"{did_you_mean(name, header)}{split}"
            )
    if len(set(columns.named)) < len(columns.named):
        twice = next(name for name in columns.named if columns.named.count(name) > 1)
        raise AblateError(f"column {twice!r} is named twice in the options; each is one thing.")


def _values(row: _Cells, columns: Columns) -> dict[str, float]:
    """A record's numbers, under the names by which they are stored."""
    metric = columns.metric
    also = {name: row.number(name) for name in columns.also if row.cells[name]}  # a paper need not give every number
    if columns.mean is None or columns.sd is None or columns.n is None:
        return {metric: row.number(metric)} | also
    n = row.whole(columns.n, 1)
    values = {metric: row.number(columns.mean), count_name(metric): float(n)} | also
    if row.cells[columns.sd] or n > 1:
        sd = row.number(columns.sd)
        if sd < 0 or (n == 1 and sd):
            row.bad(columns.sd, f"{row.cells[columns.sd]!r} is no standard deviation of n = {n}.")
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


# -------------------------------------------------------------------------------------------------------- variants


Variants = tuple[tuple[StudyTrick, ...], list[tuple[Choice, ...]], list[str]]
"""The tricks; of each record the choices that are on, and its variant's name."""


def _by_label(rows: Sequence[_Cells], columns: Columns) -> Variants:
    """A label is the variant's name and, unless it is the baseline's, a trick of its own."""
    labels = [row.text(columns.variant or "") for row in rows]
    baseline = columns.baseline or ("base" if "base" in labels else labels[0] if labels else "")
    others = [label for label in dict.fromkeys(labels) if label != baseline]
    tricks = tuple(StudyTrick(label, (TrickLevel(),)) for label in others)
    return tricks, [() if label == baseline else (Choice(label),) for label in labels], labels


def _labels(rows: Sequence[_Cells], column: str, cells: Sequence[tuple[Choice, ...]]) -> list[str]:
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


def _by_factors(rows: Sequence[_Cells], columns: Columns) -> Variants:
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


def _switches(rows: Sequence[_Cells], name: str) -> tuple[list[str], list[bool | str]]:
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


def _baseline(variants: dict[str, tuple[Choice, ...]], columns: Columns, file: str) -> str:
    """What the others are compared with: as asked, else the one without any factor, else the first."""
    asked = columns.baseline
    if asked is not None and asked not in variants:
        known = list(variants)
        raise AblateError(
            f"--baseline is {asked!r}, but {file} has no such variant; it has {one_of(known[:12])}."
            f"{did_you_mean(asked, known)}"
        )
    return asked or next((name for name, on in variants.items() if not on), next(iter(variants)))


# -------------------------------------------------------------------------------------------------------- storing


def save(imported: Imported, store: Store, study: str, columns: Columns, *, replace: bool = False) -> None:
    """Store a file that was read as a study, in one transaction: all or nothing."""
    if not re.fullmatch(r"[^\W_][\w.+ -]{0,63}", study):
        raise AblateError(
            f"--study is {study!r}; a study's name has 1 to 64 letters, digits and . _ + - or spaces, and begins with "
            "a letter or digit."
        )
    resolved = _resolved(imported, study, columns)
    file, sha = imported.file.name, imported.sha
    role: Role = "ablation"
    cells, configs, made = [], {}, []
    for run in imported.runs:
        asked = {
            "imported": file, "sha256": sha, "line": run.line, "columns": columns.named, "metric": columns.metric,
        }  # fmt: skip
        key = sha256(canonical_json(asked))
        cells.append((run.variant, run.seed, role, key))
        configs[key] = canonical_json(asked)
        made.append((key, run, {"imported": file, "sha256": sha, "line": run.line}))
    with store.transaction():
        if store.study(study) is not None and not replace:
            raise AblateError(
                f"the database has a study called {study!r} already; choose another name, or --replace it."
            )
        store.save_plan(study, "", resolved, sha256(canonical_json(resolved)), cells, configs)
        for key, run, provenance in made:
            # A line that is known already, from the same bytes, has its result: claim says no.
            if store.claim(
                key, f"import-{key}", host="imported", boot="", owner="import", device="imported", slot=0, lease_s=1.0,
                log="",
            ):  # fmt: skip
                store.finish(f"import-{key}", run.values, {}, provenance)


def _resolved(imported: Imported, study: str, columns: Columns) -> dict[str, Json]:
    """The plan that such a study would have had (Plan.resolved)."""
    order = {trick.name: i for i, trick in enumerate(imported.tricks)}
    on = {name: set(choices) for name, choices in imported.variants.items()}
    names = [imported.baseline, *(name for name in imported.variants if name != imported.baseline)]
    differs = {name: {choice.trick for choice in on[name] ^ on[imported.baseline]} for name in names}
    kind = "means, standard deviations and n" if columns.mean is not None else "runs"
    paired = "; no seeds, so no pairs" if columns.seed is None and columns.mean is None else ""
    path, sha = imported.file, imported.sha
    note = f"Imported from {path.name} (SHA-256 {sha[:10]}): {len(imported.runs)} {kind}, trained elsewhere{paired}."
    return {
        "study": study, "question": "", "task": "import", "analysis": {}, "baseline": imported.baseline,
        "also": dict(columns.also),
        "imported": {"file": path.name, "sha256": sha}, "file": str(path.resolve()), "overrides": [],
        "metric": {"name": columns.metric, "better": columns.better, "at": "last", "minimum_effect": None},
        "seeds": list(dict.fromkeys(run.seed for run in imported.runs)),
        "tricks": [
            {
                "name": trick.name, "label": "", "category": "",
                "levels": [level.name for level in trick.levels if level.name is not None],
            }
            for trick in imported.tricks
        ],
        "variants": [
            {"name": name, "tricks": list(map(str, choices)), "designs": ["import"], "config": {}, "uses": []}
            for name, choices in imported.variants.items()
        ],
        "rows": [
            {
                "design": "import", "variant": name, "label": name,
                "compared_with": None if name == imported.baseline else imported.baseline,
                "differs": sorted(differs[name], key=lambda trick: order[trick]),
            }
            for name in names
        ],
        "left_out": [], "notes": [note],
    }  # fmt: skip
