"""Numbers in prose held against the database: `\\ablate{STUDY/ROW/QUANTITY}{91.7}`, or in Markdown and HTML the number
with `<!-- ablate: STUDY/ROW/QUANTITY -->` behind it.

How a number is set is no matter: spaces, signs, bold, mathematics, another unit, grouping of thousands, fewer decimals
that round to the same. What differs is a digit, a word, or a row that is not there. Pure.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

from ablate.errors import AblateError
from ablate.reports.cited import Known, Reference

BOUNDS = tuple(Decimal(text) for text in ("0.1", "0.05", "0.01", "0.001", "0.0001", "0.00001"))
"""What `p <` may name: the smallest of these that is true, or one that is TABLES_BOUND or less."""
TABLES_BOUND = Decimal("0.001")
"""Tables print smaller p-values as below this."""


@dataclass(frozen=True)
class Bound:
    """A number of a text that is bound to the database. at: where it stands (line, column), from 1. fault: why there is
    no number. alone: in a macro's braces, where nothing else has to stand; else it is the last of the text."""

    key: str
    text: str
    at: tuple[int, int]
    fault: str = ""
    alone: bool = True


@dataclass(frozen=True)
class Wrong:
    """at: (line, column). message: what stands there, what the database has, the runs behind it; and these three."""

    at: tuple[int, int]
    message: str
    stands: str = ""
    has: str = ""
    behind: str = ""


# ------------------------------------------------------------------------------------------------------- what is bound

_MACRO = re.compile(r"\\ablate\s*(?:%[^\n]*\n\s*)*\{")
_COMMENT = re.compile(r"<!--\s*ablate\b\s*:?\s*(?P<key>.*?)\s*-->", re.DOTALL | re.IGNORECASE)
_VERBATIM = re.compile(
    r"\\begin\{(verbatim\*?|Verbatim|lstlisting|minted|comment)\}.*?\\end\{\1\}|\\(?:verb\*?|lstinline)([^\w\s{]).*?\2",
    re.DOTALL,
)
_FENCE = re.compile(r"^(?P<fence> {0,3}(`{3,}|~{3,})).*?(?:^ {0,3}\2[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)")
_HIDDEN = re.compile(r"<!--(?!\s*ablate\b).*?-->", re.DOTALL | re.IGNORECASE)


def bound(text: str, *, markdown: bool = False) -> list[Bound]:
    """Every number of a text that is bound, in order; none of what it shows as code or comments out. markdown: a % is a
    sign like others, and between fences stands code."""
    shown = _blank(_CODE_SPAN, _blank(_FENCE, text), with_="ablate") if markdown else text
    prose = _blank(_HIDDEN, shown) if markdown else _without_comments(text)
    return sorted([*_macros(prose), *_comments(shown)], key=lambda one: one.at)


def inputs(text: str) -> list[str]:
    """Files that a LaTeX text takes in, as it names them."""
    return re.findall(r"\\(?:input|include|subfile)\s*\{\s*([^{}#\\]+?)\s*\}", _without_comments(text))


def _blank(pattern: re.Pattern[str], text: str, with_: str = "") -> str:
    """A text whose matches (those that hold a word) are blanks, each character at its place."""
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]) if with_ in m[0] else m[0], text)


def _without_comments(text: str) -> str:
    """LaTeX without what is commented out or shown as it is, each character at its place."""
    text = _blank(_VERBATIM, text)
    return re.sub(r"(?<!\\)((?:\\\\)*)%[^\n]*", lambda m: m[1] + " " * (len(m[0]) - len(m[1])), text)


def _macros(text: str) -> Iterator[Bound]:
    for match in _MACRO.finditer(text):
        key, end = _argument(text, match.end() - 1)
        start = re.compile(r"\s*").match(text, end)
        opens = start.end() if start else end
        if key is not None and "#" in key:  # in a macro of the author's own
            continue
        value = _argument(text, opens)[0] if text[opens : opens + 1] == "{" else None
        name = " ".join(re.sub(r"\\(?=[_&%#$])", "", key or "").split())
        if value is None:
            fault = "the braces do not close" if key is None else "no number stands in braces behind it"
            yield Bound(name, "", _at(text, match.start()), fault)
        else:
            yield Bound(name, value, _at(text, opens + 1))


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
        yield Bound(" ".join(match["key"].split()), before, _at(text, at), alone=False)
        last = match.end()


def _at(text: str, place: int) -> tuple[int, int]:
    line = text.count("\n", 0, place) + 1
    return line, place - (text.rfind("\n", 0, place) + 1) + 1


# ----------------------------------------------------------------------------------------------------- what it comes to


def wrong(one: Bound, look_up: Callable[[Reference], Known]) -> Wrong | None:
    """What is wrong with a bound number; None where the database has the same."""
    if one.fault:
        return Wrong(one.at, f"{one.key or 'ablate'}: {one.fault}.")
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
        message = f"{one.key}: {stands!r} stands here, and the database has no such number: {known.why}."
        return Wrong(one.at, message, stands, "", known.behind)
    same = _same_word(one.text, known) if not known.values else _same_numbers(one.text, known)
    if same:
        return None
    seen, has = _seen(one, known), known.shown + _finer(one.text, known)
    message = f"{one.key}: {seen!r} stands here, the database has {has} ({known.behind})."
    return Wrong(one.at, message, seen, known.shown, known.behind)


def _finer(text: str, known: Known) -> str:
    """The number once more where the text has more decimals than tables do, or has rounded what tables had rounded."""
    stated = [match["number"].replace(" ", "") for match in _NUMBER.finditer(_plain(text))]
    if len(known.values) != 1 or not stated or known.shown.startswith("<"):
        return ""
    places, shown = len(stated[-1].partition(".")[2]), len(known.shown.partition(".")[2])
    if places <= shown and not _rounds(Decimal(known.shown), Decimal(stated[-1])):
        return ""
    return f", or {known.values[0]:.{min(max(places, shown + 2), 12)}f}"


def _seen(one: Bound, known: Known) -> str:
    """The number or word that was compared, with a unit that made it another."""
    if not known.values:
        return " ".join(_plain(one.text).split()[-len(known.shown.split()) :])
    found = [match[0].strip() for match in _NUMBER.finditer(_plain(one.text))]
    numbers = " ".join(found if one.alone else found[-len(known.values) :])[-40:]
    return numbers + " %" * ("%" in one.text and known.unit != "%") if numbers else " ".join(one.text.split())


_NUMBER = re.compile(r"(?P<sign>[<>≤≥]\s*)?(?P<number>[-+]?\s*(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?)")
_SPACES = "\u00a0\u2009\u202f\u2007\u2006\u2005\u2004\u200a"


_END = "(?![a-zA-Z])"
"""Behind the name of a command of LaTeX."""
_ASIDE = re.compile(
    r"<su[bp]>.*?</su[bp]>|\[\^[^\]]*\]|(?<=\])\([^()]*\)"  # notes and links of Markdown
    rf"|\\(?:footnote|footnotemark|tnote|textsuperscript|textsubscript|cite\w*|ref|label|hyperlink|cellcolor|rowcolor|color"
    rf"|textcolor|colorbox|hspace|vspace|[hv]?phantom|rotatebox|scalebox|raisebox|makebox){_END}\*?(?:\[[^\]]*\])*(?:\{{[^{{}}]*\}})?"
    rf"|\\(?:multirow|multicolumn|fontsize|resizebox){_END}\*?(?:\[[^\]]*\])*(?:\{{[^{{}}]*\}}){{2}}"
    rf"|\\(?:m?kern|[hm]skip){_END}\s*-?[\d.]+\s*[a-z]{{2}}|\\[a-zA-Z]+\*?\[[^\]]*\](?=\{{)"
)
"""What stands at a number and is none of it: notes, references, colours, room."""


def _plain(text: str) -> str:
    """Prose without its setting: one minus, no grouping, no commands, a power of ten as an exponent."""
    plain = re.sub(r"</?[a-zA-Z][^<>]*>", " ", _ASIDE.sub("", html.unescape(text)))
    plain = re.sub(rf"\\(?:textless|lt|less){_END}(?:\{{\}})?", "<", plain)
    plain = re.sub(rf"\\(?:textminus|textendash|minus){_END}(?:\{{\}})?", "-", plain)
    plain = re.sub(rf"(\\(?:times|cdot){_END}|×|·)\s*10\s*\^?\s*\{{?\s*([-−–+]?\d+)\}}?", r"e\2", plain)
    plain = re.sub(r"(?<![\d.])10\s*\^\s*\{?\s*([-−–+]?\d+)\}?", r"1e\1", plain)
    plain = re.sub(r"\s*e\s*(?=[-−–+]?\d)", "e", plain)
    plain = re.sub(r"\^(?:\{[^{}]*\}|.)", "", plain)
    plain = re.sub(rf"\\(?:text)?pm{_END}|±|\+/-", " ", plain)
    plain = re.sub(r"\\[,;:!> ]|~", "\u2009", plain)
    # A dash behind a number and before one joins them; what is left of them is a sign.
    plain = re.sub(r"(\d[$}\s]*(?:\\?%)?[$}\s]*)(?:-{2,3}|[–—])(?=\s*[$\\{]*\s*[-−+\d.])", r"\1 to ", plain)
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
    scales = _scales(text, plain[found[-1].end() :], known)
    return all(_same(match, value, known, scales) for match, value in zip(stated, known.values, strict=True))


_UNITS: Mapping[str, Mapping[str, Decimal]] = {
    "s": {"ms": Decimal(1000), "min": 1 / Decimal(60), "minutes": 1 / Decimal(60), "h": 1 / Decimal(3600),
          "hours": 1 / Decimal(3600)},
    "MiB": {"GiB": 1 / Decimal(1024), "GB": Decimal(2**20) / 10**9, "MB": Decimal(2**20) / 10**6},
    "": {"k": Decimal("1e-3"), "K": Decimal("1e-3"), "M": Decimal("1e-6"), "million": Decimal("1e-6"),
         "B": Decimal("1e-9"), "billion": Decimal("1e-9"), "G": Decimal("1e-9")},
}  # fmt: skip
"""What a number is multiplied by where a text gives it another unit than tables do."""


def _scales(text: str, after: str, known: Known) -> tuple[Decimal, ...]:
    """What the database's number may be multiplied by to be what the text says: none where it has another unit."""
    if re.search(r"%|\\percent\b|\bpercent\b|\bpoints?\b|\bpp\b", text):
        return (Decimal(1),) if known.unit == "%" else tuple(map(Decimal, known.percent))
    word = re.match(r"\s*([A-Za-z]+)", after)
    return (_UNITS.get(known.unit, {}).get(word[1] if word else "", Decimal(1)),)


def _spans(plain: str) -> str:
    """A dash between two numbers separates them, and is the sign of neither: 1.2-3.4; but not in -3.8 to -2.1."""
    return re.sub(r"(?<=\d)\s*-\s*(?=[-+]?\d)", " ", plain)


def _same(stated: re.Match[str], value: float, known: Known, scales: Sequence[Decimal]) -> bool:
    number, exact = Decimal(re.sub(r"\s", "", stated["number"])), Decimal(repr(value))
    sign = (stated["sign"] or "").strip()
    if sign:
        if not known.bound or sign not in "<≤":
            return False
        true = [bound for bound in BOUNDS if exact < bound]
        # From 0.001 on tables print a bound themselves, so any true one will do there.
        return number in true and (number == true[-1] or number <= TABLES_BOUND)
    return any(_rounds(exact * scale, number) for scale in scales)


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
    return said == whole or said.endswith(f" {whole}") or said.split(" ")[-1] in (word, word.removesuffix("s"))
