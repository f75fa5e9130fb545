"""An author's own paragraphs for a report: a subset of Markdown into blocks. Nothing in it becomes markup unasked.

Headings, paragraphs, lists of one level, emphasis, strong, `code`, blocks of code, links to http(s) addresses and
formulas between dollars ($ with a blank inside of it, or before a digit at the end, is a sign of money).
Anything else (images, tables, quotes, lists in lists) is refused with its line; HTML is read as the text that it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NoReturn

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from ablate.errors import AblateError
from ablate.reports import equations, formula
from ablate.reports.document import Block, Bullets, Code, Heading, Line, Paragraph, Span

ALLOWED = (
    "paragraphs, headings, lists of one level, *emphasis*, **strong**, `code`, blocks of code, $formulas$ and "
    "[links](https://...)"
)


def read(path: Path) -> tuple[Block, ...]:
    """The blocks of a file. AblateError where it cannot be read or holds what a report does not take."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise AblateError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise AblateError(f"{path} is not UTF-8 text (byte {error.start}).") from None
    return parse(text, str(path))


def parse(text: str, file: str = "notes") -> tuple[Block, ...]:
    """The blocks of a text. AblateError names the file and the line of what is refused."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.inline.ruler.before("escape", "formula", _dollars)
    tokens = reader.parse(text)
    return tuple(_blocks(tokens, file))


def _blocks(tokens: Sequence[Token], file: str) -> Iterator[Block]:
    at = 0
    while at < len(tokens):
        token = tokens[at]
        match token.type:
            case "heading_open":
                yield Heading(_inline(tokens[at + 1], file))
                at += 3
            case "paragraph_open":
                yield Paragraph(_inline(tokens[at + 1], file))
                at += 3
            case "fence" | "code_block":
                yield Code(token.content.rstrip("\n"))
                at += 1
            case "bullet_list_open" | "ordered_list_open":
                end = next(
                    i
                    for i in range(at, len(tokens))
                    if tokens[i].type == token.type.replace("open", "close") and tokens[i].level == token.level
                )
                yield Bullets(tuple(_items(tokens[at + 1 : end], file)), numbered=token.type.startswith("ordered"))
                at = end + 1
            case "hr":
                at += 1
            case _:
                _refuse(token, file)


def _items(tokens: Sequence[Token], file: str) -> Iterator[Line]:
    """The items of a list, each of one paragraph."""
    parts: list[Line] = []
    for token in tokens:
        if token.type == "list_item_open":
            parts = []
        elif token.type == "list_item_close":
            yield tuple(span for i, part in enumerate(parts) for span in ((Span(" "),) if i else ()) + part)
        elif token.type == "inline":
            parts.append(_inline(token, file))
        elif token.type not in ("paragraph_open", "paragraph_close"):
            _refuse(token, file)


def _inline(token: Token, file: str) -> Line:
    spans: list[Span] = []
    style: list[Literal["strong", "emphasis"]] = []
    href = ""
    for child in token.children or ():
        match child.type:
            case "text" | "text_special":
                spans.append(Span(child.content, style[-1] if style else "", href))
            case "softbreak" | "hardbreak":
                spans.append(Span(" "))
            case "formula":
                spans.append(_formula(child, file, (token.map or [0])[0] + 1))
            case "code_inline":
                spans.append(Span(child.content, "code", href))
            case "strong_open":
                style.append("strong")
            case "em_open":
                style.append("emphasis")
            case "strong_close" | "em_close":
                style.pop()
            case "link_open":
                href = str(child.attrs.get("href", ""))
                if not href.startswith(("https://", "http://")):
                    line = (token.map or [0])[0] + 1
                    raise AblateError(
                        f"{file}:{line}: a link leads to {href!r}; it must begin with https:// or http://."
                    )
            case "link_close":
                href = ""
            case _:
                _refuse(child, file, (token.map or [0])[0] + 1)
    return tuple(span for span in spans if span.text)


_FORMULA = re.compile(r"\$\$(?P<display>[^$]+)\$\$|\$(?P<inline>(?!\s)(?:[^$\\]|\\.)*(?<!\s))\$(?!\d)", re.S)


def _dollars(state: StateInline, silent: bool) -> bool:
    """Markdown-it's rule of a formula, before backslashes and underscores in it are taken for Markdown."""
    found = _FORMULA.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content = (found["display"] or found["inline"]).strip()
        token.markup = "$$" if found["display"] else "$"
    state.pos = found.end()
    return True


def _formula(token: Token, file: str, line: int) -> Span:
    try:
        read_ = formula.read(token.content, token.markup == "$$")
    except AblateError as error:
        said = f"{token.markup}{token.content}{token.markup}"
        raise AblateError(f"{file}:{line}: the formula {said} {error}") from None
    return Span(equations.plain(read_), formula=read_)


_NAMES = {
    "image": "image", "table_open": "table", "blockquote_open": "quotation", "bullet_list_open": "list in a list",
    "ordered_list_open": "list in a list", "fence": "code in a list", "code_block": "code in a list",
    "heading_open": "heading in a list",
}  # fmt: skip


def _refuse(token: Token, file: str, line: int = 0) -> NoReturn:
    line = line or (token.map or [0])[0] + 1
    raise AblateError(f"{file}:{line}: notes take no {_NAMES.get(token.type, token.type)}; they may hold {ALLOWED}.")
