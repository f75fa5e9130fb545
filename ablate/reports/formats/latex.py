r"""A report as a LaTeX document that compiles by itself with pdflatex, its figures as PDF files beside it.

Every name is escaped by the table format's rule; code is set as text, never as `verbatim`, which a name could end.
Tables shrink to the width of the page, and long ones go on in further tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import ClassVar
from urllib.parse import quote

from ablate.figures import paper
from ablate.registry import Registry
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
from ablate.tables.table import Format, TableData, TableOptions, ViewData

ROWS = 40
"""Rows of one table; LaTeX cannot break a floating one."""


_SIGNS = {
    "helps": r"[$\bullet$]", "hurts": r"[$\blacksquare$]", "equivalent": r"[$\blacklozenge$]", "inert": r"[$\lozenge$]",
    "inconclusive": r"[$\circ$]", "unstable": r"[$\blacktriangle$]", "": "",
}  # fmt: skip
"""What stands before an item that says a verdict."""


@dataclass(frozen=True)
class Latex(ReportFormat):
    """A document and its figures beside it."""

    ending: ClassVar[str] = ".tex"

    def files(self, document: Document, name: str) -> dict[str, bytes]:
        """The report and its figures, by the names of their files. Equal documents give equal bytes."""
        stem = PurePath(name).stem
        drawings: dict[str, bytes] = {}
        table: Format = Registry().make("tables", "latex", {})
        parts = [part for section in document.sections for part in _section(section, stem, table, drawings)]
        text = _DOCUMENT % {
            "glyph": table.preamble,
            "title": table.text(document.title),
            "subtitle": table.text(document.subtitle),
            "body": "\n\n".join(parts),
        }
        return {name: text.encode("utf-8"), **drawings}

    def paragraph(self, text: str) -> str:
        table: Format = Registry().make("tables", "latex", {})
        return table.text(text)


def _section(section: Section, stem: str, table: Format, drawings: dict[str, bytes]) -> Iterator[str]:
    yield rf"\section{{{table.text(section.title)}}}"
    for block in section.blocks:
        yield _block(block, stem, table, drawings)


def _block(block: Block, stem: str, table: Format, drawings: dict[str, bytes]) -> str:
    """One block; what it draws is added to `drawings`."""
    match block:
        case Paragraph(text):
            return _line(text, table)
        case Heading(text):
            return rf"\subsection*{{{_line(text, table)}}}"
        case Bullets(items, numbered, minor):
            kind = "enumerate" if numbered else "itemize"
            signs = block.signs or ("",) * len(items)
            listed = "\n".join(
                rf"\item{_SIGNS[sign]} {_line(item, table)}" for sign, item in zip(signs, items, strict=True)
            )
            made_list = f"\\begin{{{kind}}}\n{listed}\n\\end{{{kind}}}"
            return f"{{\\footnotesize\n{made_list}\n}}" if minor else made_list
        case Models(models):
            parts = []
            for one in models:
                parts.append(rf"\subsection*{{{table.text(one.name)}}}")
                parts += [table.text(one.said)] * bool(one.said)
                parts += [_block(part, stem, table, drawings) for part in one.blocks]
            return "\n\n".join(parts)
        case Code(text):
            lines = "\\\\\n".join(_code(line, table) for line in text.split("\n"))
            return f"\\begin{{flushleft}}\\small\\ttfamily\n{lines}\n\\end{{flushleft}}"
        case Terms(items):
            listed = "\n".join(rf"\item[{{{table.text(term)}}}] {_line(explained, table)}" for term, explained in items)
            return f"\\begin{{description}}\n{listed}\n\\end{{description}}"
        case Table():
            return _table(block, table)
        case Picture(name, scene):
            file = f"{''.join(c if c.isalnum() and c.isascii() else '-' for c in stem)}-{name.replace('_', '-')}.pdf"
            drawings[file] = paper.draw(scene, "pdf", 2)
            return (
                "\\begin{figure}[htbp]\n\\centering\n"
                f"\\includegraphics[width=\\linewidth]{{{file}}}\n"
                f"\\caption{{{table.text(block.caption)}}}\n\\label{{fig:{name.replace('_', '-')}}}\n\\end{{figure}}"
            )


def _table(block: Table, table: Format) -> str:
    """One table, or several that go on."""
    rows = block.data.rows
    tables = []
    for start in range(0, max(len(rows), 1), ROWS):
        part = _rows(block.data, start)
        go_on = f" (rows {start + 1} to {start + len(part.rows)} of {len(rows)})" if len(rows) > ROWS else ""
        label = f"tab:{block.label}" + (f"-{start // ROWS + 1}" if start else "")
        options = TableOptions(caption=block.caption + go_on, label=label)
        tables.append(table.render(part, options).rstrip())
    return "\n\n".join(tables)


def _rows(data: TableData | ViewData, start: int) -> TableData | ViewData:
    if isinstance(data, ViewData):
        return replace(data, rows=data.rows[start : start + ROWS])
    return replace(data, rows=data.rows[start : start + ROWS])


def _code(line: str, table: Format) -> str:
    line = line.replace("\t", "    ")
    indent = len(line) - len(line.lstrip(" "))
    return "~" * indent + (table.text(line) or "~")


def _line(text: Line, table: Format) -> str:
    return "".join(_span(span, table) for span in text)


def _span(span: Span, table: Format) -> str:
    before = " " * span.text[:1].isspace()
    after = " " * (span.text[-1:].isspace() and bool(span.text.strip()))
    if span.formula is not None:
        return rf"\[{span.formula.source}\]" if span.formula.display else f"${span.formula.source}$"
    text = table.text(span.text)
    command = {"strong": "textbf", "emphasis": "emph", "code": "texttt"}.get(span.style)
    text = rf"\{command}{{{text}}}" if command and text else text
    if span.href:
        address = quote(span.href, safe=":/?=&@;,+!*()~.-_%#").replace("%", r"\%").replace("#", r"\#")
        text = rf"\href{{{address}}}{{{text}}}"
    return before + text + after


_DOCUMENT = r"""\documentclass[10pt]{article}
\ifdefined\Umathcode\usepackage{fontspec}\else\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}\fi
\usepackage[a4paper,margin=22mm]{geometry}
\usepackage{amsmath,amssymb}
\usepackage{booktabs}
\usepackage{graphicx}
%% Without siunitx numbers are set flush right.
\usepackage{array}\makeatletter
\IfFileExists{siunitx.sty}{\usepackage{siunitx}}{\newcolumntype{S}{}\renewcommand*\NC@rewrite@S[1][]{%%
  \@temptokena\expandafter{\the\@temptokena>{$}r<{$}}\NC@find}}
\makeatother
\usepackage[hidelinks]{hyperref}
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.5em}
\emergencystretch=3em
%% A table that is wider than the page shrinks to it.
\newsavebox{\widetable}
\let\plaintabular\tabular
\let\endplaintabular\endtabular
\renewenvironment{tabular}[2][c]{\begin{lrbox}{\widetable}\plaintabular[#1]{#2}}{\endplaintabular\end{lrbox}%%
  \ifdim\wd\widetable>\linewidth\resizebox{\linewidth}{!}{\usebox{\widetable}}\else\usebox{\widetable}\fi}
%(glyph)s
\title{%(title)s}
\author{}
\date{%(subtitle)s}
\begin{document}
\maketitle

%(body)s

\end{document}
"""
