r"""LaTeX with booktabs and siunitx: a `table` to be put into a paper with `\input`, or a document (`--standalone`).

Every name is escaped to text; Greek letters are those of mathematics. Of other characters LuaLaTeX and XeLaTeX print
those that the paper's font has, or that xeCJK or luatexja find one for; pdfLaTeX prints the code point (`U+6F22`), so
that no name stops the paper from compiling. Numbers are aligned at their points by siunitx; what follows them (± 0.5,
an interval) by phantoms, so that brackets and signs stand below each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ablate.tables.grid import Entry, Grid, Group, Over, grid
from ablate.tables.table import Format, TableData, TableOptions, ViewData
from ablate.text import one_line

_TEXT = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"{\char34}", "`": r"\textasciigrave{}", "'": "{'}",
    # After the end of a row, [ and * would be arguments of \\; two hyphens would join to a dash.
    "[": "{[}", "]": "{]}", "*": "{*}", "-": "{-}", "–": r"\textendash{}",
    "±": r"$\pm$", "Δ": r"$\Delta$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "†": r"$^\dagger$", "‡": r"$^\ddagger$",
    "§": r"\textsection{}", "°": r"$^\circ$", "¶": r"\textparagraph{}", "×": r"$\times$",
    "✓": r"\ablatetick{}", "✗": r"$\times$", "≥": r"$\geq$", "≤": r"$\leq$", "µ": r"$\mu$",
    "→": r"$\rightarrow$", "−": "$-$", "\u202f": r"\,", "…": r"\ldots{}",
    "\u2009": r"\,", "\u00a0": r"\nobreakspace{}", "·": r"\textperiodcentered{}", "—": r"\textemdash{}",
    "≈": r"$\approx$", "“": "``", "”": "{''}", "‘": "{`}", "’": "{'}", "²": "$^2$", "³": "$^3$", "√": r"$\surd$",
    "‖": r"$\|$", "●": r"$\bullet$", "○": r"$\circ$", "▲": r"$\bigtriangleup$", "◆": r"$\diamond$",
    "■": r"\rule{1ex}{1ex}",
}  # fmt: skip
_DOCUMENT = r"""\documentclass{article}
\ifdefined\Umathcode\usepackage{fontspec}\else\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}\fi
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage{amssymb,booktabs,graphicx,longtable}
% Without siunitx numbers are set flush right.
\usepackage{array}\makeatletter
\IfFileExists{siunitx.sty}{\usepackage{siunitx}}{\newcolumntype{S}{}\renewcommand*\NC@rewrite@S[1][]{%
  \@temptokena\expandafter{\the\@temptokena>{$}r<{$}}\NC@find}}
\makeatother
% No wider than the page.
\newcommand{\ablatefit}[1]{\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{#1}}
% Its notes may be longer than the page.
\makeatletter\renewenvironment{table}[1][]{\par\def\@captype{table}}{\par}\makeatother
\renewenvironment{minipage}[1]{\par}{\par}
\begin{document}
TABLE\end{document}
"""
GLYPH = r"""% A character that its font may lack, and its code point.
\ifdefined\ablateglyph\else\DeclareRobustCommand{\ablateglyph}[2]{\ifdefined\Umathcode
  \iffontchar\font`#1 #1\else\ifdefined\xeCJKsetup #1\else\ifdefined\ltjsetparameter #1\else #2\fi\fi\fi
  \else #2\fi}\fi"""
_HEAD = (
    r"% needs \usepackage{booktabs,siunitx}; define \ablatefit, \ablatenote or \ablatetick before it to change them",
    r"\providecommand{\ablatefit}[1]{#1}",
    r"\providecommand{\ablatenote}[1]{\par\noindent #1\par}",
    r"\providecommand{\ablatetick}{\ifdefined\checkmark\checkmark\else$\surd$\fi}",
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?!\.?\d|e)")
"""A number as cells write it; `1.2e+09` is none, and is set as text."""
_Width = tuple[bool, int]
"""Whether some number in a place has a sign, and the most digits before the point."""

MOST_IN_A_LINE = 14
"""A longer title of numbers is set in two lines, broken before its last bracket."""


@dataclass(frozen=True)
class Latex(Format):
    """A floating table: caption, label, booktabs rules, numbers aligned at their points, notes below."""

    endings: ClassVar[tuple[str, ...]] = (".tex",)
    preamble: ClassVar[str] = GLYPH

    def render(self, data: TableData | ViewData, options: TableOptions) -> str:
        laid_out = grid(data, options)
        caption = options.caption or data.title
        label = re.sub(r"[^A-Za-z0-9:.-]+", "-", options.label or data.anchor).strip("-")
        long = isinstance(data, ViewData) and data.long
        if long:
            lines = _paged(laid_out, caption, label, LANDSCAPE if options.standalone else PORTRAIT)
        else:
            columns = _columns(laid_out)
            header = _row(column.header(title) for column, title in zip(columns, laid_out.header, strict=True))
            groups = [_group(group, columns) for group in laid_out.groups]
            named = rf"\caption{{{escape(caption)}}}", rf"\label{{{label}}}"
            lines = _floating(columns, named, [*_spans(laid_out.spans, columns), header], groups)
        if data.notes:
            lines += [r"\par\medskip\noindent" if long else r"\par\medskip"]
            lines += [r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
            lines += [rf"\ablatenote{{{escape(note)}}}" for note in data.notes]
            lines += [r"\end{minipage}"]
        table = "\n".join([*lines, r"\endgroup" if long else r"\end{table}"]) + "\n"
        table = f"{GLYPH}\n{table}" if r"\ablateglyph" in table else table
        return _DOCUMENT.replace("TABLE", table) if options.standalone else table

    def text(self, text: str) -> str:
        return escape(text)


def _floating(
    columns: Sequence[_Column], named: tuple[str, str], header: Sequence[str], groups: Sequence[Sequence[str]]
) -> list[str]:
    """A table that floats; it is to be ended."""
    lines = [*_HEAD, r"\begin{table}[htbp]", r"\centering\small", *named]
    lines += [rf"\ablatefit{{\begin{{tabular}}{{@{{}}{''.join(c.spec for c in columns)}@{{}}}}", r"\toprule", *header]
    for rows in groups:
        lines += [r"\midrule", *rows]
    return [*lines, r"\bottomrule", r"\end{tabular}}"]


PORTRAIT, LANDSCAPE = 84, 185
"""Characters of \\footnotesize in a line of an article, and of a page across."""
WRAPPED = 26
"""Text of more characters is set in lines of as many, which is 40 mm."""
_BETWEEN = 2
"""Characters that the room between two columns takes."""


def _paged(laid_out: Grid, caption: str, label: str, most: int) -> list[str]:
    """Tables over as many pages as it takes, the header on each; their group is to be ended. Columns that are wider
    than a line together stand in several tables below each other, each with the first column."""
    lines = [*_HEAD, r"% needs \usepackage{longtable}, too", r"\begingroup\footnotesize\setlength{\tabcolsep}{4pt}"]
    for part, kept in enumerate(_fitting(laid_out, most)):
        few = _only(laid_out, kept)
        columns: list[_Column] = [_in_lines(column, i, few) for i, column in enumerate(_columns(few))]
        header = _row(map(_stacked, few.header))
        width = sum(column.width for column in columns)
        named = rf"\caption{{{escape(caption)}}}\label{{{label}}}"
        if part:
            lines.append(r"\addtocounter{table}{-1}")
            named = rf"\caption[]{{{escape(caption)}, further columns}}"
        lines += [rf"\begin{{longtable}}{{@{{}}{''.join(c.spec for c in columns)}@{{}}}}", rf"{named}\\"]
        lines += [r"\toprule", header, r"\midrule\endfirsthead", r"\toprule", header, r"\midrule\endhead"]
        lines += [rf"\midrule\multicolumn{{{width}}}{{r@{{}}}}{{continued}}\\\endfoot", r"\bottomrule\endlastfoot"]
        for i, group in enumerate(few.groups):
            lines += [*([r"\midrule"] if i else []), *_group(group, columns)]
        lines += [r"\end{longtable}"]
    return lines


def _fitting(laid_out: Grid, most: int) -> list[list[int]]:
    """Columns by table: as many as fit a line beside the first, which is in each."""
    first, *widths = (_BETWEEN + _characters(laid_out, i) for i in range(len(laid_out.header)))
    tables, room = [[0]], most - first
    for i, width in enumerate(widths, 1):
        if width > room and len(tables[-1]) > 1:
            tables.append([0])
            room = most - first
        tables[-1].append(i)
        room -= width
    return tables


def _characters(laid_out: Grid, i: int) -> int:
    """How wide a column is set."""
    cells = max((len(row[i].text) for group in laid_out.groups for row in group.rows), default=0)
    return max(min(cells, WRAPPED), *map(len, _broken(laid_out.header[i])))


def _only(laid_out: Grid, kept: Sequence[int]) -> Grid:
    """Some columns of a table without spans and ticks."""
    groups = tuple(
        replace(group, rows=tuple(tuple(row[i] for i in kept) for row in group.rows)) for group in laid_out.groups
    )
    return Grid(tuple(laid_out.header[i] for i in kept), tuple(laid_out.numeric[i] for i in kept), groups)


def _in_lines(column: _Column, i: int, laid_out: Grid) -> _Column:
    """The column, its text set in lines where it is long."""
    long = any(len(row[i].text) > WRAPPED for group in laid_out.groups for row in group.rows)
    return _Lines(r">{\raggedright\arraybackslash}p{40mm}") if long and isinstance(column, _Text) else column


def _broken(title: str) -> list[str]:
    """A dotted key by its parts."""
    parts = title.split(".")
    return [*(f"{part}." for part in parts[:-1]), parts[-1]]


def _stacked(title: str) -> str:
    parts = _broken(title)
    return r"\shortstack[l]{" + r"\\".join(map(escape, parts)) + "}" if len(parts) > 1 else escape(title)


# -------------------------------------------------------------------------------------------------------------- columns


@dataclass(frozen=True)
class _Text:
    """A column of words, or of ticks."""

    spec: str
    width: int = 1

    def header(self, title: str) -> str:
        return escape(title)

    def cell(self, cell: Entry) -> str:
        minus = "$-$ " if cell.text.startswith("- ") else ""  # what was taken away
        return _bold(minus + escape(cell.text.removeprefix("- ") if minus else cell.text), cell.bold)


@dataclass(frozen=True)
class _Lines(_Text):
    """A column of texts that are set in lines, broken at blanks and at what joins parts of a name."""

    def cell(self, cell: Entry) -> str:
        return re.sub(r"(/|\\_|,|=|\{-\}|\.)(?=\S)", r"\1\\allowbreak{}", super().cell(cell))


@dataclass(frozen=True)
class _Numbers:
    """Numbers that siunitx aligns at their points, and in a column beside them what follows: ± 0.5, (-1.2 to +3.4).

    whole, places: digits before and after the point; sign: some have one. tails: of each shape of what follows, the
    width of every number in it.
    """

    whole: int
    places: int
    sign: bool
    tails: Mapping[str, Sequence[_Width]]

    @property
    def width(self) -> int:
        return 2 if self.tails else 1

    @property
    def spec(self) -> str:
        plus = "retain-explicit-plus," if self.sign else ""
        point = f".{self.places}" if self.places else ""
        return f"S[{plus}table-format={'-' * self.sign}{self.whole}{point}]" + "@{}l" * bool(self.tails)

    def header(self, title: str) -> str:
        name, bracket, rest = title.rpartition(" (")
        text = escape(title)
        if bracket and len(title) > MOST_IN_A_LINE:
            text = rf"\shortstack{{{escape(name)}\\{escape('(' + rest)}}}"
        return self._across(text)

    def cell(self, cell: Entry) -> str:
        head, tail = _parted(cell.text)
        if not head:
            return self._across(_bold(escape(cell.text), cell.bold)) if cell.text else " & " * (self.width - 1)
        number = f"{{{_bold(_padded(head, (self.sign, self.whole)), True)}}}" if cell.bold else head
        if not self.tails:
            return number
        widths = iter(self.tails[_shape(tail)])
        parts = re.split(f"({_NUMBER.pattern})", tail)
        text = "".join(_padded(part, next(widths)) if i % 2 else _literal(part) for i, part in enumerate(parts))
        return f"{number} & {_bold(re.sub('^ ', '~', text), cell.bold)}"

    def _across(self, text: str) -> str:
        return rf"\multicolumn{{{self.width}}}{{c}}{{{text}}}"


_Column = _Text | _Numbers


def _columns(laid_out: Grid) -> list[_Column]:
    columns: list[_Column] = []
    cells = [row for group in laid_out.groups for row in group.rows]
    for i, numeric in enumerate(laid_out.numeric):
        parted = [_parted(row[i].text) for row in cells] if numeric else []
        heads = [head for head, _ in parted if head]
        if not heads:
            tick = bool(laid_out.ticks) and laid_out.ticks[i]
            columns.append(_Text("c" if tick else "r" if numeric else "l"))
            continue
        (sign, whole), places = _width(heads), max(len(head.partition(".")[2]) for head in heads)
        columns.append(_Numbers(whole, places, sign, _tails([tail for head, tail in parted if head])))
    return columns


def _parted(text: str) -> tuple[str, str]:
    """The number that a cell begins with, and the rest; an empty number where it begins with none."""
    match = _NUMBER.match(text)
    return ("", text) if match is None else (match.group(), text[match.end() :])


def _tails(tails: Sequence[str]) -> dict[str, list[_Width]]:
    """Of every shape of what follows a number, the width of each number in it; empty where nothing follows anywhere."""
    if not any(tails):
        return {}
    by_shape: dict[str, list[list[str]]] = {}
    for tail in tails:
        by_shape.setdefault(_shape(tail), []).append(_NUMBER.findall(tail))
    return {shape: [_width(place) for place in zip(*numbers, strict=True)] for shape, numbers in by_shape.items()}


def _shape(tail: str) -> str:
    return _NUMBER.sub("0", tail)


def _width(numbers: Sequence[str]) -> _Width:
    return any(n[0] in "+-" for n in numbers), max(len(n.lstrip("+-").partition(".")[0]) for n in numbers)


def _padded(number: str, width: _Width) -> str:
    """A number as text, with room on its left for the sign and the digits that others in its place have."""
    signed, digits = width
    sign, size = (number[0], number[1:]) if number[0] in "+-" else ("", number)
    lacking = "0" * (digits - len(size.partition(".")[0]))
    room = (r"\phantom{$-$}" if signed and not sign else "") + (rf"\phantom{{{lacking}}}" if lacking else "")
    return room + ("$-$" if sign == "-" else sign) + size


def _spans(spans: Sequence[Over], columns: Sequence[_Column]) -> list[str]:
    """A line of titles over the header's, and the rules below them."""
    if not spans:
        return []
    starts = [1 + sum(column.width for column in columns[:i]) for i in range(len(columns) + 1)]
    cells, rules, at = [], [], 1
    for span in spans:
        start, stop = starts[span.start], starts[span.start + span.size]
        cells += [""] * (start - at) + [rf"\multicolumn{{{stop - start}}}{{c}}{{{escape(span.title)}}}"]
        rules.append(rf"\cmidrule(lr){{{start}-{stop - 1}}}")
        at = stop
    return [_row(cells + [""] * (starts[-1] - at)), " ".join(rules)]


# ----------------------------------------------------------------------------------------------------------------- rows


def _group(group: Group, columns: Sequence[_Column]) -> list[str]:
    across = sum(column.width for column in columns)
    lines = [rf"\multicolumn{{{across}}}{{@{{}}l}}{{\textit{{{escape(group.title)}}}}} \\"] if group.title else []
    for block, rows in group.parts:
        lines += [r"\addlinespace"] if block.apart else []
        lines += [rf"\multicolumn{{{across}}}{{@{{}}l}}{{{escape(block.title)}}} \\"] if block.title else []
        for i, row in enumerate(rows):
            cells = [column.cell(cell) for column, cell in zip(columns, row, strict=True)]
            lines.append(_row([rf"\quad {escape(block.names[i])}", *cells[1:]] if block.title else cells))
    return lines


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _bold(text: str, bold: bool) -> str:
    return rf"\textbf{{{text}}}" if bold and text else text


def escape(text: str) -> str:
    """`text` as LaTeX that prints `text`, on one line."""
    return _literal(one_line(text))


def _literal(text: str) -> str:
    return "".join(map(_character, text))


def _character(character: str) -> str:
    if character in _TEXT:
        return _TEXT[character]
    # T1 fonts have every letter of Latin-1 and Latin Extended-A; of the rest nothing is sure.
    if character.isascii() or "À" <= character <= "ž":
        return character
    parts = list(unicodedata.normalize("NFD", character))
    letter = _greek(parts[0])
    if letter:
        return rf"$\acute{{{letter}}}$" if "\u0301" in parts else f"${letter}$"
    code = f"U+{ord(character):04X}"
    return rf"\ablateglyph{{{character}}}{{{code}}}" if character.isprintable() else code


_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧ", "ABEZHIKMNOPTX", strict=True))
"""Greek capitals that mathematics has no sign for, because they look like these."""


def _greek(letter: str) -> str:
    """A Greek letter's name in mathematics; empty of any other."""
    if letter in _LATIN:
        return rf"\mathrm{{{_LATIN[letter]}}}"
    words = unicodedata.name(letter, "").lower().split()
    if len(words) < 4 or words[0] != "greek" or words[2] != "letter" or words[-1] not in _LETTERS:
        return ""
    if "final" in words:
        return r"\varsigma"
    name = {"lamda": "lambda"}.get(words[-1], words[-1])
    if words[1] == "capital":
        return rf"\{name.capitalize()}"
    return "o" if name == "omicron" else "\\" + {"epsilon": "varepsilon", "phi": "varphi"}.get(name, name)


_LETTERS = frozenset(unicodedata.name(chr(code)).lower().split()[-1] for code in range(0x3B1, 0x3CA))
