"""A report as Markdown, as GitHub renders it, with its figures as SVG files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import ClassVar

from ablate.figures import paper
from ablate.registry import Registry
from ablate.reports.document import (
    SIGNS,
    Block,
    Bullets,
    Code,
    Document,
    Heading,
    Line,
    Models,
    Paragraph,
    Picture,
    ReportFormat,
    Section,
    Span,
    Table,
    Terms,
)
from ablate.tables.table import Format, TableOptions
from ablate.text import code_span


@dataclass(frozen=True)
class Markdown(ReportFormat):
    """A text and its figures beside it."""

    ending: ClassVar[str] = ".md"

    def files(self, document: Document, name: str) -> dict[str, bytes]:
        """The report and its figures, by the names of their files. Equal documents give equal bytes."""
        stem = PurePath(name).stem
        drawings: dict[str, bytes] = {}
        table = Registry().make("tables", "markdown", {})
        parts = [f"# {table.text(document.title)}", table.text(document.subtitle)]
        for section in document.sections:
            parts += _section(section, stem, table, drawings)
        return {name: ("\n\n".join(parts) + "\n").encode("utf-8"), **drawings}

    def paragraph(self, text: str) -> str:
        table: Format = Registry().make("tables", "markdown", {})
        return table.text(text)


def _section(section: Section, stem: str, table: Format, drawings: dict[str, bytes]) -> Iterator[str]:
    yield f"## {table.text(section.title)}"
    for block in section.blocks:
        yield _block(block, stem, table, drawings)


def _block(block: Block, stem: str, table: Format, drawings: dict[str, bytes]) -> str:
    """One block; what it draws is added to `drawings`."""
    match block:
        case Paragraph(text):
            return _item(text, table)
        case Heading(text):
            return f"### {_line(text, table)}"
        case Bullets(items, signs=signs) if signs:
            return "\n".join(f"- {SIGNS[sign]} {_line(item, table)}" for sign, item in zip(signs, items, strict=True))
        case Bullets(items, numbered):
            return "\n".join(f"{f'{i}.' if numbered else '-'} {_item(item, table)}" for i, item in enumerate(items, 1))
        case Code(text):
            return code_block(text)
        case Models(models):
            parts = []
            for one in models:
                parts += [f"### {table.text(one.name)}", *filter(None, [table.text(one.said)])]
                parts += [_block(part, stem, table, drawings) for part in one.blocks]
            return "\n\n".join(parts)
        case Terms(items):
            return "\n".join(f"- **{table.text(term)}**: {_line(explained, table)}" for term, explained in items)
        case Table(data, caption, _):
            return table.render(data, TableOptions(caption=caption)).rstrip("\n")
        case Picture(name, scene):
            file = f"{stem}-{name}.svg"
            drawings[file] = paper.draw(scene, "svg", 2)
            title = f"**{table.text(scene.title)}.** {table.text(scene.caption)}"
            return f"![{table.text(scene.alt)}]({file.replace(' ', '%20')})\n\n{title}"


def code_block(text: str) -> str:
    """Fenced by more backticks than any that it holds."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _item(text: Line, table: Format) -> str:
    """A line as a paragraph or an item: what would start a list, a heading or a quotation there is escaped."""
    escaped = _line(text, table)
    if escaped[:1] in "-+#=" or (escaped[:1].isdigit() and escaped.lstrip("0123456789")[:1] in (".", ")")):
        digits = len(escaped) - len(escaped.lstrip("0123456789"))
        return f"{escaped[:digits]}\\{escaped[digits:]}"
    return escaped


def _line(text: Line, table: Format) -> str:
    return "".join(_span(span, table) for span in text).strip()


def _span(span: Span, table: Format) -> str:
    inner = span.text.strip()
    if not inner:
        return " " if span.text else ""
    before, after = " " * span.text[:1].isspace(), " " * span.text[-1:].isspace()
    if span.formula is not None:
        source = span.formula.source.replace("<", r"\lt ").replace(">", r"\gt ")  # no reader of Markdown sees a tag
        text = f"$${source}$$" if span.formula.display else f"${source}$"
    elif span.style == "code":
        text = code_span(inner)
    else:
        text = table.text(inner)
        mark = {"strong": "**", "emphasis": "*"}.get(span.style, "")
        text = f"{mark}{text}{mark}"
    text = f"[{text}](<{span.href.replace('<', '%3C').replace('>', '%3E')}>)" if span.href else text
    return before + text + after
