"""Numbers in prose held against the database: `\\ablate{STUDY/ROW/QUANTITY}{91.7}`, or in Markdown and HTML the number
with `<!-- ablate: STUDY/ROW/QUANTITY -->` behind it.

How a number is set is no matter: spaces, signs, bold, mathematics, units, grouping of thousands, fewer decimals that
round to the same. What differs is a digit, a word, or a row that is not there. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

from ablate.errors import AblateError
from ablate.reports.cited import Known, Reference

BOUNDS = tuple(Decimal(text) for text in ("0.1", "0.05", "0.01", "0.001", "0.0001", "0.00001"))
"""What `p <` may name: the smallest of these that is true."""


@dataclass(frozen=True)
class Bound:
    """A number of a text that is bound to the database. at: where it stands (line, column), from 1."""

    key: str
    text: str
    at: tuple[int, int]


@dataclass(frozen=True)
class Wrong:
    """at: (line, column). message: what stands there, what the database has, the runs behind it."""

    at: tuple[int, int]
    message: str


# ------------------------------------------------------------------------------------------------------- what is bound

_MACRO = re.compile(r"\\ablate\s*(?:%[^\n]*\n\s*)*\{")
_COMMENT = re.compile(r"<!--\s*ablate:\s*(?P<key>.*?)\s*-->", re.DOTALL)


def bound(text: str) -> list[Bound]:
    """Every number of a text that is bound, in order."""
    return sorted([*_macros(_without_comments(text)), *_comments(text)], key=lambda one: one.at)


def _without_comments(text: str) -> str:
    """LaTeX without what is commented out, each character at its place."""
    return re.sub(r"(?<!\\)((?:\\\\)*)%[^\n]*", lambda m: m[1] + " " * (len(m[0]) - len(m[1])), text)


def _macros(text: str) -> Iterator[Bound]:
    for match in _MACRO.finditer(text):
        key, end = _argument(text, match.end() - 1)
        start = re.compile(r"\s*").match(text, end)
        opens = start.end() if start else end
        if key is None or text[opens : opens + 1] != "{":
            continue
        value, _ = _argument(text, opens)
        if value is not None:
            yield Bound(" ".join(key.split()), value, _at(text, opens + 1))


def _argument(text: str, opens: int) -> tuple[str | None, int]:
    """What stands between a brace and the one that closes it, and where that ends."""
    depth = 0
    for i in range(opens, len(text)):
        if text[i] in "{}" and text[i - 1] != "\\":
            depth += 1 if text[i] == "{" else -1
            if depth == 0:
                return text[opens + 1 : i], i + 1
    return None, len(text)


_TAIL = 80
"""So many characters before a comment may hold its number."""


def _comments(text: str) -> Iterator[Bound]:
    last = 0
    for match in _COMMENT.finditer(text):
        before = text[max(last, match.start() - _TAIL) : match.start()]
        before = re.split(r"\n\s*\n|\||<!--.*?-->", before)[-1]
        last_word = re.search(r"\S+\s*$", before)
        at = match.start() - (len(last_word[0]) if last_word else 0)
        yield Bound(" ".join(match["key"].split()), before, _at(text, at))
        last = match.end()


def _at(text: str, place: int) -> tuple[int, int]:
    line = text.count("\n", 0, place) + 1
    return line, place - (text.rfind("\n", 0, place) + 1) + 1


# ----------------------------------------------------------------------------------------------------- what it comes to


def wrong(one: Bound, look_up: Callable[[Reference], Known]) -> Wrong | None:
    """What is wrong with a bound number; None where the database has the same."""
    try:
        reference = Reference.of(one.key)
    except ValueError:
        return Wrong(one.at, f"{one.key!r} is no STUDY/ROW/QUANTITY.")
    try:
        known = look_up(reference)
    except AblateError as error:
        return Wrong(one.at, f"{one.key}: {str(error).splitlines()[0]}")
    stands = " ".join(one.text.split())
    if known.why:
        return Wrong(one.at, f"{one.key}: {stands!r} stands here, and the database has no such number: {known.why}.")
    same = _same_word(one.text, known) if not known.values else _same_numbers(one.text, known)
    if same:
        return None
    return Wrong(
        one.at, f"{one.key}: {_seen(one.text, known)!r} stands here, the database has {known.shown} ({known.behind})."
    )


def _seen(text: str, known: Known) -> str:
    """The number or word that was compared."""
    if not known.values:
        return " ".join(_plain(text).split()[-len(known.shown.split()) :])
    return " ".join(match[0].strip() for match in _NUMBER.finditer(_plain(text)) if match)[-40:] or " ".join(
        text.split()
    )


_NUMBER = re.compile(r"(?P<sign>[<>≤≥]\s*)?(?P<number>[-+]?\s*(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?)")
_SPACES = "\u00a0\u2009\u202f\u2007\u2006\u2005\u2004\u200a"


def _plain(text: str) -> str:
    """Prose without its setting: one minus, no grouping, no commands, a power of ten as an exponent."""
    plain = re.sub(r"<[^<>\d]*?>|&(?:nbsp|thinsp|ensp);", " ", text.replace("&minus;", "-").replace("&lt;", "<"))
    plain = re.sub(r"\\(?:textless|lt|less)\b(?:\{\})?", "<", plain)
    plain = re.sub(r"\\(?:textminus|textendash|minus)\b(?:\{\})?", "-", plain)
    plain = re.sub(r"(\\times|\\cdot|×|·)\s*10\s*\^?\s*\{?\s*([-−–+]?\d+)\}?", r"e\2", plain)
    plain = re.sub(r"\s*e\s*(?=[-−–+]?\d)", "e", plain)
    plain = re.sub(r"\\pm\b|±", " ", plain)
    plain = re.sub(r"\\[,;:!> ]|~", "\u2009", plain)
    plain = re.sub(r"\\[a-zA-Z]+\*?|[{}$*_`\\]", "", plain)
    plain = re.sub(r"---?|[−–‒—]", "-", plain)
    plain = re.sub(rf"(?<=\d)[{_SPACES}',](?=\d{{3}}(?!\d))", "", plain)
    return re.sub(r"(?<=\d),(?=\d{1,2}(?!\d))", ".", plain)


def _same_numbers(text: str, known: Known) -> bool:
    plain = _plain(text)
    found = list(_NUMBER.finditer(_spans(plain) if len(known.values) == 2 else plain))
    wanted = len(known.values)
    if len(found) < wanted:
        return False
    stated = found[-wanted:]
    return all(_same(match, value, known, "%" in text) for match, value in zip(stated, known.values, strict=True))


def _spans(plain: str) -> str:
    """A dash between two numbers separates them, and is the sign of neither: 1.2-3.4; but not in -3.8 to -2.1."""
    return re.sub(r"(?<=\d)\s*-\s*(?=[-+]?\d)", " ", plain)


def _same(stated: re.Match[str], value: float, known: Known, percent: bool) -> bool:
    number = Decimal(re.sub(r"\s", "", stated["number"]))
    sign = (stated["sign"] or "").strip()
    if sign:
        tightest = next((bound for bound in reversed(BOUNDS) if Decimal(repr(value)) < bound), None)
        return known.bound and sign in "<≤" and number == tightest
    scales = (1, 100) if percent and known.unit != "%" else (1,)
    return any(_rounds(Decimal(repr(value)) * scale, number) for scale in scales)


def _rounds(value: Decimal, stated: Decimal) -> bool:
    """Whether a value, at the decimals that are stated, is what is stated; a tie may go either way."""
    exponent = stated.as_tuple().exponent
    step = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    return any(
        value.quantize(step, rounding=way) == stated for way in (ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_HALF_DOWN)
    )


def _same_word(text: str, known: Known) -> bool:
    """The verdict's word alone, or all of it with what it holds for."""
    said = re.sub(r"[^\w.%+-]+", " ", _plain(text)).strip().lower()
    whole = re.sub(r"[^\w.%+-]+", " ", known.shown).strip().lower()
    word = known.shown.split(" ")[0].rstrip(",").lower()
    return said == whole or said.endswith(f" {whole}") or said.split(" ")[-1:] == [word]
