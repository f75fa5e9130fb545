"""How lists, counts, near names, numbers, percentages, times and sizes read. Words only."""

from __future__ import annotations

import difflib
import math
import re
import statistics
import unicodedata
from collections.abc import Iterable, Sequence

MOST = 12
"""Names that a sentence lists before it counts the rest."""

MINUS = "−"
"""The true minus, as wide as a plus."""

THIN = "\u202f"
"""A thin space at which no line ends, between thousands."""


class Note(str):
    """A sentence under a table. line: the same in a few words, for where there is room for no more; empty where it
    tells how and limits no claim, so that such a place leaves it out. A plain text is never left out."""

    line: str

    def __new__(cls, sentence: str, line: str = "") -> Note:
        note = super().__new__(cls, sentence)
        note.line = line
        return note


def joined(names: Iterable[object]) -> str:
    """`a, b and c`."""
    every = [str(name) for name in names]
    return " and ".join([", ".join(every[:-1]), every[-1]]) if len(every) > 1 else "".join(every)


def listed(names: Iterable[object], between: str = ", ", most: int = MOST) -> str:
    """`a, b, c and 9 more`."""
    every = [str(name) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return between.join(every[:most]) + more


def many(count: int, what: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """`" Did you mean 'cutmix'?"` for the nearest allowed name, or an empty string when none is near. Near is also the
    one that is a word of several: `skip` of `skip connections`."""
    names = [str(a) for a in allowed]
    said = re.findall(r"\w+", str(name).lower())
    words = [one for one in names if one.lower() in said] if len(said) > 1 else []
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6) or (words if len(words) == 1 else [])
    return f" Did you mean {near[0]!r}?" if near else ""


def one_of(allowed: Iterable[str]) -> str:
    """The allowed names as a phrase: `a, b or c`."""
    names = list(allowed)
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def some_of(allowed: Iterable[str]) -> str:
    """The allowed names where a sentence has room for them all, else the first dozen: `a, b, c and 30 more`."""
    names = list(allowed)
    return listed(names) if len(names) > MOST else one_of(names)


def read_as(name: str) -> object:
    """What a reader takes a name for: `0.1`, `0.10` and `1e-1` are one number; two ways to store one letter, and two
    kinds of space, look the same."""
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", name, re.ASCII):
        return float(name)
    return unicodedata.normalize("NFC", " ".join(name.split()))


def percent(share: float) -> str:
    """What an interval covers: `95 %`, `98.3 %`."""
    return f"{100 * share:.3g} %"


def chance(p: float) -> str:
    """A p-value: `<0.001`, `0.025`; with the digits that keep it on its side of 0.05: `0.0498`."""
    if p < 0.001:
        return "<0.001"
    return next(text for digits in range(3, 20) if (float(text := f"{p:.{digits}f}") < 0.05) == (p < 0.05))


def equals(p: float) -> str:
    """The same behind its `p`: `< 0.001`, `= 0.025`."""
    text = chance(p)
    return f"< {text[1:]}" if text[0] == "<" else f"= {text}"


def in_words(names: Sequence[str], most: int = 6) -> str:
    """`a, b and c`; `a, b and 9 more`."""
    every = list(names)
    return joined(every if len(every) <= most else [*every[:most], f"{len(every) - most} more"])


def seeds_in_words(seeds: Sequence[int]) -> str:
    """`seeds 0 to 9`, `seeds 1, 5 and 7`, `seed 3`."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {in_words([str(seed) for seed in seeds], most=12)}"


def shortened(names: Sequence[str], most: int) -> list[str]:
    """Each name in at most about `most` characters, its middle left out; names that differ stay different."""
    half = max(most - 1, 4) // 2
    cut = [name if len(name) <= most else f"{name[: most - 1 - half]}…{name[-half:]}" for name in names]
    owners: dict[str, list[str]] = {}
    for short, name in zip(cut, names, strict=True):
        owners.setdefault(short, [])
        if name not in owners[short]:
            owners[short].append(name)
    places = [(short, owners[short].index(name)) for short, name in zip(cut, names, strict=True)]
    return [f"{short} #{place + 1}" if place else short for short, place in places]


def number(value: float) -> str:
    """A number as it was written: `0.5`, `1e-05`."""
    return f"{value:.4g}".replace("-", MINUS, 1) if value < 0 else f"{value:.4g}"


def rough(value: float) -> str:
    """A count where its size is all that matters: `830`, `24 k`, `33.2 M`."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g} {name}"
    return f"{value:.3g}"


def with_minus(name: str) -> str:
    """A row's name with the sign of what is taken away as it is printed: `B − batch norm`."""
    return re.sub("(^| )- ", rf"\1{MINUS} ", name, count=1)


def one_line(text: str) -> str:
    """Text without control characters: whatever ends a line or steers a terminal becomes one space."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).strip()


def code_span(text: str) -> str:
    """A text as code of Markdown: between more backticks than stand in a row in it, so that it never ends early."""
    line = one_line(text)
    ticks = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    pad = " " * (line.startswith("`") or line.endswith("`"))
    return f"{ticks}{pad}{line}{pad}{ticks}" if line else ""


def decimals(spreads: Iterable[float | None], numbers: Iterable[float | None] = ()) -> int:
    """As many decimals as show two digits of the median spread (0 to 8); without any, as the numbers have (0 to 2)."""
    values = [value for value in numbers if value is not None]
    spread = [abs(value) for value in spreads if value]
    if spread:
        return min(max(1 - math.floor(math.log10(statistics.median(spread))), 0), 8)
    # A parameter count of 63.7 million, or an accuracy that a paper prints as 81.8, has no more digits than that.
    shown = (places for places in (0, 1) if all(math.isclose(value, round(value, places)) for value in values))
    return next(shown, 2) if values else 2


def fixed(value: float, digits: int, *, sign: bool = False, minus: str = "-") -> str:
    """A number with its decimals; never `-0.00`. Numbers too large or too small for that get an exponent.

    sign: whether a positive number gets its plus.
    """
    size = abs(value)
    if size >= 1e9 or (size > 0 and digits >= 8 and size < 10 ** (1 - digits)):
        text = f"{size:.3g}"
    else:
        text = f"{size:.{digits}f}"
        if float(text) == 0:
            return text
    return (minus if value < 0 else "+" if sign and value > 0 else "") + text


def typeset(value: float, digits: int, *, sign: bool = False) -> str:
    """The same as figures and prose have it: with a true minus, and from 10,000 on a thin space between thousands."""
    text = fixed(value, digits, sign=sign, minus=MINUS)
    if abs(value) < 10_000 or "e" in text:
        return text
    whole, point, rest = text.partition(".")
    return re.sub(r"(?<=\d)(?=(\d{3})+$)", THIN, whole) + point + rest


def duration(seconds: float) -> str:
    """A duration in words: `42 s`, `4 min`, `2 h 5 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 / 60:.0f} min"


def file_size(size: float) -> str:
    """Bytes in words: `41.2 MiB`."""
    for unit in ("KiB", "MiB"):
        size /= 1024
        if size < 1000:
            return f"{size:.3g} {unit}"
    return f"{size / 1024:.3g} GiB"
