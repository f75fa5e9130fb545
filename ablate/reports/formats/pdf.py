"""A report as a PDF of at most two pages, set by Typst: the layout gives way until everything that matters fits.

Pages are counted on the finished layout. An author's notes are never cut: where they make two pages impossible, that is
an error which says by how much.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from ablate.errors import AblateError
from ablate.reports.document import Block, Bullets, Code, Document, Heading, Line, Paragraph, ReportFormat, Span, plain
from ablate.reports.layouts import PAGES, STEPS, fitting, layout_of
from ablate.reports.setter import Setter


@dataclass(frozen=True)
class Pdf(ReportFormat):
    """Two pages at most, set by Typst."""

    ending: ClassVar[str] = ".pdf"
    roomy: ClassVar[bool] = True

    def files(self, document: Document, name: str) -> dict[str, bytes]:
        """The report as one PDF. AblateError where the author's notes leave no room for two pages."""
        with tempfile.TemporaryDirectory() as folder:
            setter = Setter(document, Path(folder))
            layout = fitting(setter.length)
            if layout is None:
                raise AblateError(_too_long(setter))
            return {name: setter.pdf(layout)}


def _too_long(setter: Setter) -> str:
    """What the error says: how long the notes are, and how much has to go."""
    tightest = layout_of(range(len(STEPS)))
    long = setter.length(tightest)
    own = setter.document.own
    if not own:
        return (
            f"the report of {setter.document.study} takes {long:.1f} pages at its shortest; write it as HTML instead."
        )
    words = sum(len(plain(text).split()) for block in own for text in _texts(block))
    bare = setter.length(replace(tightest, own=False))
    share = min((long - PAGES) / max(long - bare, 0.01), 1.0)
    over = max(10 * round(words * share / 10), 10)
    return (
        f"with these notes the PDF takes {long:.1f} pages, and it may have {PAGES}, even with everything else at its "
        f"shortest: the notes' {words} words are about {over} too many. Shorten them, "
        "or write HTML, Markdown or LaTeX, which have no limit."
    )


def _texts(block: Block) -> list[Line]:
    match block:
        case Paragraph(text) | Heading(text):
            return [text]
        case Bullets(items):
            return list(items)
        case Code(text):
            return [(Span(text),)]
    return []
