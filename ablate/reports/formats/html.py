"""A report as one HTML file: read on a screen, a phone or paper, in light or dark, without network or any other file.

Everything but sorting and pointing works without a script: bars and figures are SVG in the page (reports/rows.py and
figures/inline.py), their colours the variables of page.css. Every name is escaped; should one slip through, the page's
Content-Security-Policy runs only the one script written here (by its hash) and loads nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import ClassVar

from ablate.figures import inline
from ablate.registry import Registry
from ablate.reports import equations, rows
from ablate.reports.document import (
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
from ablate.reports.widths import CARDS, Columns
from ablate.tables.table import Format, TableData, TableOptions

SHOWN = 30
"""Items of a list, or lines of code, that are open; more unfold."""

IN_THE_TABLE = frozenset({"effects"})
"""Figures that the page's table draws in its rows."""


@dataclass(frozen=True)
class Html(ReportFormat):
    """One page that a browser shows without network."""

    ending: ClassVar[str] = ".html"
    roomy: ClassVar[bool] = True

    def files(self, document: Document, name: str) -> dict[str, bytes]:
        """The report as one file. Equal documents give equal bytes."""
        return {name: page(document).encode("utf-8")}

    def paragraph(self, text: str) -> str:
        table: Format = Registry().make("tables", "html", {})
        return table.text(text)


def page(document: Document) -> str:
    table = Registry().make("tables", "html", {})
    sections = [replace(section, blocks=_shown(section)) for section in document.sections]
    sections = [section for section in sections if section.blocks]
    drawn = {
        panel.of
        for section in sections
        for block in section.blocks
        if isinstance(block, Picture)
        for panel in block.scene.panels
        if panel.of
    }
    fits: list[Columns] = []
    parts = [part for section in sections for part in _section(section, table, drawn, fits)]
    links = [f'<li><a href="#{_name(s.key)}">{table.text(s.title)}</a></li>' for s in sections]
    script = _part("page.js")
    return _PAGE.format(
        policy=_policy([script]),
        title=table.text(document.title),
        # Each part by itself, for an author's name may run from right to left.
        subtitle=" · ".join(f"<bdi>{table.text(part)}</bdi>" for part in document.subtitle.split(" · ")),
        style=_fitted(_part("page.css"), fits),
        links="\n".join(links),
        main="\n".join(parts),
        script=script,
    )


@cache
def _part(name: str) -> str:
    return resources.files("ablate.reports").joinpath(name).read_text(encoding="utf-8")


def _fitted(style: str, fits: Sequence[Columns]) -> str:
    """The style with the widths of screen at which the ablation table changes its shape."""
    cards = max((one.cards() for one in fits), default=CARDS)
    style = style.replace(f"(max-width: {CARDS}px)", f"(max-width: {cards}px)")
    return "\n".join([style, *(one.rules() for one in fits)])


def _shown(section: Section) -> tuple[Block, ...]:
    return tuple(block for block in section.blocks if not isinstance(block, Picture) or block.name not in IN_THE_TABLE)


def _policy(scripts: Sequence[str]) -> str:
    """Nothing is loaded, and only these scripts run."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode() for script in scripts)
    run = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return f"default-src 'none'; script-src {run}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


# --------------------------------------------------------------------------------------------------------------- blocks


def _section(section: Section, table: Format, drawn: Collection[str], fits: list[Columns]) -> Iterator[str]:
    yield f'<section id="{_name(section.key)}">\n<h2>{table.text(section.title)}</h2>'
    for before, block in zip((None, *section.blocks), section.blocks, strict=False):
        if isinstance(before, Table) and isinstance(before.data, TableData) and isinstance(block, Bullets):
            yield rows.limits([item[0].text for item in block.items], table.text)
        else:
            yield from _block(block, table, drawn, fits)
    yield "</section>"


def _block(block: Block, table: Format, drawn: Collection[str], fits: list[Columns]) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield f"<p>{_line(text, table)}</p>"
        case Heading(text):
            yield f"<h3>{_line(text, table)}</h3>"
        case Bullets():
            yield from _bullets(block, table)
        case Code(text):
            lines = "\n".join(_indented(line, table) for line in text.split("\n"))
            listing = f'<pre tabindex="0"><code>{lines}</code></pre>'
            count = text.count("\n") + 1
            yield f"<details><summary>{count} lines</summary>\n{listing}\n</details>" if count > SHOWN else listing
        case Models(models):
            yield '<div class="models">'
            for model in models:
                said = f" <small>{table.text(model.said)}</small>" if model.said else ""
                yield f"<div><h3>{table.text(model.name)}{said}</h3>"
                for part in model.blocks:
                    yield from _block(part, table, drawn, fits)
                yield "</div>"
            yield "</div>"
        case Terms(items):
            yield "<dl>"
            for term, explained in items:
                yield f"<dt>{table.text(term)}</dt><dd>{_line(explained, table)}</dd>"
            yield "</dl>"
        case Table():
            yield _table(block, table, drawn, fits)
        case Picture():
            yield _picture(block, table)


def _indented(line: str, table: Format) -> str:
    """A line of code with the blanks at its start, which `text` would strip."""
    line = line.replace("\t", "    ")
    return " " * (len(line) - len(line.lstrip(" "))) + table.text(line)


def _bullets(block: Bullets, table: Format) -> Iterator[str]:
    if block.folded:
        yield f"<details><summary>{table.text(block.folded)}</summary>"
    tag = "ol" if block.numbered else "ul"
    kind = ' class="minor"' if block.minor else ""
    items = [f"<li>{_line(item, table)}</li>" for item in block.items]
    if block.signs:
        kind = ' class="signs"'
        items = [
            f"<li>{rows.sign(sign)}<span>{_line(item, table)}</span></li>"
            for sign, item in zip(block.signs, block.items, strict=True)
        ]
    yield f"<{tag}{kind}>\n" + "\n".join(items[:SHOWN]) + f"\n</{tag}>"
    rest = items[SHOWN:]
    if rest:
        start = f' start="{SHOWN + 1}"' if block.numbered else ""
        yield f"<details><summary>{len(rest)} more</summary>\n<{tag}{start}{kind}>\n" + "\n".join(rest)
        yield f"</{tag}>\n</details>"
    if block.folded:
        yield "</details>"


def _table(block: Table, table: Format, drawn: Collection[str], fits: list[Columns]) -> str:
    if isinstance(block.data, TableData):
        drawing, wide = rows.table(block, table.text, drawn)
        fits.append(wide)
        return drawing
    rendered = table.render(block.data, TableOptions(caption=block.caption, label=block.label))
    return f'<div class="plain" role="region" aria-label="{table.text(block.caption)}" tabindex="0">\n{rendered}</div>'


def _picture(block: Picture, table: Format) -> str:
    scene = block.scene
    first, rest = _parted(block.caption)
    told = f"<b>{table.text(first)}</b> {table.text(rest)}".rstrip()
    drawn = inline.figure(scene, table.text)
    return f'<figure id="figure-{_name(block.name)}">\n{drawn}\n<figcaption>{told}</figcaption>\n</figure>'


def _parted(caption: str) -> tuple[str, str]:
    """A caption up to where its first clause ends, which says what is shown, and the rest; a study's name is above."""
    end = re.search(r"[.:;](?= )|[.:;]$", caption)
    at = end.end() if end else len(caption)
    first = caption[: at - bool(end)]
    rest = caption[at:].strip()
    return f"{first[:1].upper()}{first[1:]}.", f"{rest[:1].upper()}{rest[1:]}"


def _line(text: Line, table: Format) -> str:
    return "".join(_span(span, table) for span in text)


_TAGS = {"strong": "strong", "emphasis": "em", "code": "code"}


def _span(span: Span, table: Format) -> str:
    if span.formula is not None:
        return equations.mathml(span.formula)
    # One_line strips the blanks around a span, which part it from its neighbours.
    before = " " if span.text[:1].isspace() else ""
    after = " " if span.text[-1:].isspace() and span.text.strip() else ""
    text = before + table.text(span.text) + after
    tag = _TAGS.get(span.style)
    text = f"<{tag}>{text}</{tag}>" if tag else text
    return f'<a href="{table.text(span.href)}" rel="noreferrer">{text}</a>' if span.href else text


def _name(text: str) -> str:
    """For an id and for a link to it."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div class="wrap">
<header>
<h1>{title}</h1>
<p>{subtitle}</p>
</header>
<nav aria-label="Sections"><ul>
{links}
</ul></nav>
<main>
{main}
</main>
</div>
<script>{script}</script>
</body>
</html>
"""
