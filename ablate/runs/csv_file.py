"""CSV files of other programs: their lines, cells and numbers, each with the line at which it stands.

The csv module alone decides where a cell and a record end. `#` at the start of a line is data, as in any CSV; it opens
a comment above the header only, or everywhere where the user says so.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ablate.errors import AblateError

LONGEST_CELL = 2**31 - 1
"""What a cell may hold; csv's own 131,072 characters are fewer than a logged configuration or a learning curve has."""
LONGEST_NAME = 1000

MOST_PROBLEMS = 20
"""Bad cells that one message names."""


@dataclass(frozen=True)
class Table:
    """A file as it stands. records: (line, cells), the line where the record begins, counted from 1.

    comments, empty: how many lines were passed over because they begin with `#`, or hold nothing.
    """

    file: str
    line: int
    header: tuple[str, ...]
    records: tuple[tuple[int, list[str]], ...]
    comments: int = 0
    empty: int = 0


def read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise AblateError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise AblateError(f"{path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8.") from None


def read_table(text: str, file: str, named: Sequence[str], *, comments: bool = False) -> Table:
    """The header and the records of a text. named: columns by which a header that begins with `#` is told from a
    comment. comments: whether lines below the header that begin with `#` are comments, too."""
    lines = _Lines(text, named, comments)
    records = [(line, cells) for line, cells in _records(lines, file) if any(cell.strip() for cell in cells)]
    if not records:
        raise AblateError(f"{file} holds no header: its first line that is no comment names the columns.")
    at, cells = records.pop(0)
    header = lines.marked_header or tuple(cell.strip() for cell in cells)
    return Table(file, at, header, tuple(records), lines.comments, lines.records - len(records) - 1)


class _Lines:
    """The lines of a text, for the csv module to take; comments are passed over.

    Only what opens a record can be a comment: csv tells when one has ended (`end`). start: the line at which the record
    that is being read began. marked_header: the header's columns, where its line begins with `#`.
    """

    def __init__(self, text: str, named: Sequence[str], comments: bool) -> None:
        self.lines = io.StringIO(text, newline="")
        self.named, self.anywhere = named, comments
        self.at = self.start = self.comments = self.records = 0
        self.above = True
        self.marked_header: tuple[str, ...] | None = None

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.at += 1
            if not self.start and line.startswith("#") and self._is_comment(line):
                self.comments += 1
                continue
            self.start = self.start or self.at
            yield line

    def _is_comment(self, line: str) -> bool:
        if not self.above:
            return self.anywhere
        self.marked_header = _marked_header(line, self.named)
        return self.marked_header is None

    def end(self, cells: Sequence[str]) -> None:
        """A record is whole: the next line begins another."""
        self.start = 0
        self.records += 1
        self.above &= not any(cell.strip() for cell in cells)


def _records(lines: _Lines, file: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every record; an empty line is a record without cells."""
    with _long_cells():
        try:
            for cells in csv.reader(lines, strict=True):
                yield lines.start, cells
                lines.end(cells)
        except csv.Error as error:
            raise AblateError(
                f"{file}, line {lines.start}: this is no CSV: {error}. A cell that opens with a quote ends with one, "
                'and a quote inside it is written twice ("5"" crop").'
            ) from None


@contextmanager
def _long_cells() -> Iterator[None]:
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _marked_header(line: str, named: Sequence[str]) -> tuple[str, ...] | None:
    """The columns of a line that begins with `#` and names all that are asked for, the `#` as its mark or as a part of
    the first name; None for a comment, whatever quotes it holds."""
    for text in (line, line.lstrip("# \t")):
        try:
            cells = tuple(cell.strip() for cell in next(csv.reader([text]), ()))
        except csv.Error:
            return None
        if set(named) <= set(cells):
            return cells
    return None


# ---------------------------------------------------------------------------------------------------------------- cells


Problem = tuple[int, str]
"""A line, and what is wrong there."""


class Cells:
    """The cells of one record by column name. A bad one is a problem, and the reading goes on to find the others."""

    def __init__(self, file: str, line: int, cells: Mapping[str, str], problems: list[Problem]) -> None:
        self.file, self.line, self.cells, self.problems = file, line, cells, problems

    def bad(self, column: str, what: str) -> None:
        self.problems.append((self.line, f"{self.file}, line {self.line}, column {column}: {what}"))

    def __getitem__(self, column: str) -> str:
        """A cell without the spaces around it."""
        return self.cells[column].strip()

    def text(self, column: str, empty: str | None = None) -> str:
        """A name. empty: what an empty cell is called."""
        text = self[column] or empty or ""
        if not text:
            self.bad(column, "the cell is empty; --empty WORD says what such a cell means.")
        elif len(text) > LONGEST_NAME or any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text):
            what = f"at most {LONGEST_NAME} characters and none that controls a terminal or ends a line"
            self.bad(column, f"{text[:40]!r} is no name: {what}.")
        return text

    def whole(self, column: str, least: int) -> int:
        """A whole number, which a spreadsheet may have written as `3.0`."""
        text = self[column]
        plain = re.sub(r"\.0*$", "", text)
        if not re.fullmatch(r"[-+]?\d{1,20}", plain, re.ASCII) or not least <= int(plain) < 2**64:
            lowest = f" of at least {least}" if least > 0 else ""
            self.bad(column, f"{text!r} is no whole number{lowest}." if text else "the cell is empty.")
            return max(least, 0)
        return int(plain)


def rows_of(table: Table, problems: list[Problem]) -> list[Cells]:
    """The records by column name; one of another length is a problem."""
    rows = []
    for line, cells in table.records:
        if len(cells) != len(table.header):
            what = f"{len(cells)} cells, but the header names {len(table.header)} columns."
            hint = " If it is a comment, `--comments` passes over such lines." if cells[0].startswith("#") else ""
            problems.append((line, f"{table.file}, line {line}: {what}{hint}"))
            continue
        rows.append(Cells(table.file, line, dict(zip(table.header, cells, strict=True)), problems))
    return rows


def refuse(problems: Sequence[Problem]) -> None:
    if problems:
        problems = list(dict.fromkeys(problems))  # a cell that is read twice is wrong once
        more = len(problems) - MOST_PROBLEMS
        rest = [f"... and {more} more."] if more > 0 else []
        raise AblateError(
            "\n".join(["nothing was imported:", *(t for _, t in sorted(problems)[:MOST_PROBLEMS]), *rest])
        )
