"""The contract of a report: sections of plain blocks, which the files of `formats/` turn into what is read.

A document holds text, names and numbers as they are; every format escapes them in one place. It knows no syntax and
computes no statistic (report.py makes one from results, prose.py from an author's own Markdown).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ablate.errors import AblateError
from ablate.figures.scene import Scene
from ablate.registry import Plugin
from ablate.reports.formula import Formula
from ablate.tables.table import TableData, ViewData

# ---------------------------------------------------------------------------------------------------------------- text


@dataclass(frozen=True)
class Span:
    """A stretch of text. style: empty for plain text. href: a web address; empty where it is no link. formula: what
    the text says in plain signs, for formats that set mathematics."""

    text: str
    style: Literal["", "strong", "emphasis", "code"] = ""
    href: str = ""
    formula: Formula | None = None


Line = tuple[Span, ...]
"""Text that flows: one paragraph, one item of a list."""


def line(*parts: str | Span) -> Line:
    """Plain text and spans as one line."""
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def strong(text: str) -> Span:
    return Span(text, "strong")


def code(text: str) -> Span:
    return Span(text, "code")


def plain(text: Line) -> str:
    """A line without its styles."""
    return "".join(span.text for span in text)


# --------------------------------------------------------------------------------------------------------------- blocks


@dataclass(frozen=True)
class Paragraph:
    text: Line


@dataclass(frozen=True)
class Bullets:
    """A list. numbered: 1., 2. and so on. minor: notes below a table, in smaller print where a format has it. folded:
    what a page that can fold says in its place, for what the table beside it shows, too. signs: of each item the
    verdict whose sign stands before it, or `unstable`; empty where items have none."""

    items: tuple[Line, ...]
    numbered: bool = False
    minor: bool = False
    folded: str = ""
    signs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Code:
    """Lines to be typed as they stand."""

    text: str


@dataclass(frozen=True)
class Terms:
    """Terms and what is to be said of each."""

    items: tuple[tuple[str, Line], ...]


SIGNS: Mapping[str, str] = {
    "helps": "●", "hurts": "■", "equivalent": "◆", "inert": "◇", "inconclusive": "○", "unstable": "▲", "": "–",
}  # fmt: skip
"""What stands before an item that says a verdict, for formats of text."""


@dataclass(frozen=True)
class Model:
    """A model of the study: what it is in a few words, and what its authors say of it."""

    name: str
    said: str
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Models:
    """Models, side by side where a format has the room."""

    models: tuple[Model, ...]


@dataclass(frozen=True)
class Heading:
    """A heading inside a section: of an author's notes."""

    text: Line


@dataclass(frozen=True)
class Table:
    """A table or a view, drawn by the shelf `tables/`. Its notes are a list of their own, below.

    For formats with bars in the rows: bases, of each row that others are held against what it is, where its own bar
    would be; legend: how bars and verdicts are read and were made, in a few words.
    """

    data: TableData | ViewData
    caption: str
    label: str
    bases: Mapping[str, str] = field(default_factory=dict)
    legend: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure. name: of the file that draws it; wide: it needs the whole width of a page."""

    name: str
    scene: Scene
    wide: bool = False

    @property
    def caption(self) -> str:
        """The scene's, where a line divides no `n = 10`; for formats that are set in lines."""
        return re.sub(r"\bn = (?=\d)", "n\u00a0=\u00a0", self.scene.caption)


Block = Paragraph | Bullets | Code | Terms | Heading | Models | Table | Picture


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading.

    key: its name, for links and for what is left out. brief: the same in fewer words, where space is short; empty where
    there is no shorter form.
    """

    key: str
    title: str
    blocks: tuple[Block, ...]
    brief: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Document:
    """A report. subtitle: one line below the title. more: the command that makes the long form of a shortened one. own:
    the blocks that its authors wrote, wherever they stand."""

    study: str
    title: str
    subtitle: str
    sections: tuple[Section, ...]
    more: str = ""
    own: tuple[Block, ...] = ()

    def section(self, key: str) -> Section:
        """The section called `key`; KeyError where there is none."""
        return {section.key: section for section in self.sections}[key]


# ------------------------------------------------------------------------------------------------------------- formats


class ReportFormat(Plugin):
    """One format of reports. ending: of its file. effects: the most rows that it has room for in the figure of them.
    roomy: whether it has room for every figure that the results allow."""

    ending: ClassVar[str]
    effects: ClassVar[int] = 60
    roomy: ClassVar[bool] = False

    @abstractmethod
    def files(self, document: Document, name: str) -> Mapping[str, bytes]:
        """The report, and what lies beside it, by file name. name: of the report. Equal documents give equal bytes, and
        nothing in a study can inject markup."""

    def paragraph(self, text: str) -> str:
        """`text` alone, for another document of this format. AblateError where it is no format of texts."""
        del text
        raise AblateError("--methods is a paragraph of text: as markdown, latex or html, or without --format as it is.")
