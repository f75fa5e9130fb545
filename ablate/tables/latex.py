r"""LaTeX with booktabs: a `table` to be put into a paper with `\input`, or a whole document (`--standalone`).

It needs `\usepackage{booktabs}` and nothing else. Every name is escaped to text. Characters that pdfLaTeX has no glyph
for are written as their code point (`U+6F22`), so that a hostile name cannot stop the paper from compiling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ablate.table import Cell, Format, Group, TableData, TableOptions, ViewData, grid, one_line

_TEXT = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"{\char34}", "`": r"\textasciigrave{}", "'": "{'}",
    # After the end of a row, [ and * would be arguments of \\; two hyphens would join to a dash.
    "[": "{[}", "]": "{]}", "*": "{*}", "-": "{-}", "–": r"\textendash{}",
    "±": r"$\pm$", "Δ": r"$\Delta$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "†": r"$^\dagger$", "‡": r"$^\ddagger$",
    "§": r"\textsection{}", "×": r"$\times$", "✓": r"$\surd$", "≥": r"$\geq$", "≤": r"$\leq$", "µ": r"$\mu$",
    "→": r"$\rightarrow$", "−": "$-$", "…": r"\ldots{}",
}  # fmt: skip
_DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{booktabs}
\begin{document}
%s\end{document}
"""


@dataclass(frozen=True)
class Latex(Format):
    """A floating table: caption, label, booktabs rules, notes below."""

    def text(self, text: str) -> str:
        return escape(text)

    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        laid_out = grid(data, options)
        columns = "".join("r" if numeric else "l" for numeric in laid_out.numeric)
        caption = options.caption or data.title
        label = re.sub(r"[^A-Za-z0-9:.-]+", "-", options.label or data.anchor).strip("-")
        lines = [
            r"% needs \usepackage{booktabs}; where the table is too wide: table* or \resizebox (graphicx)",
            r"\begin{table}[htbp]",
            r"\centering\small",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"\toprule",
            _row(escape(title) for title in laid_out.header),
        ]
        for group in laid_out.groups:
            lines += [r"\midrule", *_group(group, len(columns))]
        lines += [r"\bottomrule", r"\end{tabular}"]
        if data.notes:
            lines += [r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
            lines += [rf"{escape(note)}\par" for note in data.notes]
            lines += [r"\end{minipage}"]
        table = "\n".join([*lines, r"\end{table}"]) + "\n"
        return _DOCUMENT % table if options.standalone else table


def _group(group: Group, columns: int) -> list[str]:
    title = [rf"\multicolumn{{{columns}}}{{@{{}}l}}{{\textit{{{escape(group.title)}}}}} \\"] if group.title else []
    return title + [_row(_cell(cell) for cell in row) for row in group.rows]


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.number:
        text = text.replace("{-}", "$-$")
    return rf"\textbf{{{text}}}" if cell.bold and text else text


def escape(text: str) -> str:
    """`text` as LaTeX that prints `text`, on one line."""
    return "".join(map(_character, one_line(text)))


def _character(character: str) -> str:
    if character in _TEXT:
        return _TEXT[character]
    # T1 fonts have every letter of Latin-1 and Latin Extended-A; of the rest nothing is sure.
    known = character.isascii() or ("À" <= character <= "ž")
    return character if known else f"U+{ord(character):04X}"
