"""Numbers in what a program prints: by a study's patterns, or by the names that a study asks for.

Colour codes and carriage returns are understood. Text comes in pieces of any size; a piece without a name that is
looked for is passed over whole, so that five million lines cost nothing.
"""

from __future__ import annotations

import ast
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablate.programs.capture import STEPS, Reading, counts_nothing, flat, number, step_of

_COLOUR = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_LINE_END = re.compile(r"[\n\r]")
_LONGEST_LINE = 20_000
"""Characters of a line that are looked at."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf|-inf"
_STEP = re.compile(
    r"(?<!/)\b(epoch|(?:global[ _]?)?step|iter(?:ation)?|update|round)s?\b\W{0,12}(\d{1,12})(?![\d.]*\d)", re.IGNORECASE
)
_BACK = 4000
"""Characters before a line in which the step that it belongs to may be said: `Epoch 3` as a heading."""


def plain(text: str) -> str:
    """Text without colour codes."""
    return _COLOUR.sub("", text) if "\x1b" in text else text


class Reader(ABC):
    """Reads lines of one kind. where: how it is called where it is said what a number was taken from."""

    @abstractmethod
    def may_have(self, lowered: str) -> bool:
        """Whether a piece of text, in lower case, may hold a number for this reader: cheap, and never wrongly False."""

    @abstractmethod
    def line(self, text: str, before: str) -> Iterator[tuple[Reading, str]]:
        """The numbers of one line, each with where it was taken from. before: text that stands above the line."""


@dataclass
class Stream:
    """What a program prints, cut into lines as it comes."""

    readers: Sequence[Reader]
    _rest: str = ""
    _before: str = ""

    def feed(self, data: bytes, *, last: bool = False) -> Iterator[tuple[int, Reading, str]]:
        """Numbers of the lines that are now complete: the reader's number, the reading, where it was taken from."""
        text = self._rest + data.decode("utf-8", "replace")
        end = len(text) if last else max(text.rfind("\n"), text.rfind("\r")) + 1
        done, self._rest = plain(text[:end]), text[end:][-_LONGEST_LINE:]
        lowered = done.lower()
        wanted = [i for i, reader in enumerate(self.readers) if reader.may_have(lowered)]
        if wanted:
            position = 0
            for raw in _LINE_END.split(done):
                line = raw[:_LONGEST_LINE]
                if line.strip():
                    before = self._before + done[max(0, position - _BACK) : position]
                    for i in wanted:
                        for reading, where in self.readers[i].line(line, before):
                            yield i, reading, where
                position += len(raw) + 1
        self._before = (self._before + done[-_BACK:])[-_BACK:]


def step_in(line: str, before: str) -> int | None:
    """The step that a line says, or the last that was said above it."""
    for text in (line, before):
        found = _STEP.findall(text)
        if found:
            named = [count for word, count in found if word.lower().startswith("epoch")] if text is line else []
            return int(named[0] if named else found[0][1] if text is line else found[-1][1])
    return None


# --------------------------------------------------------------------------------------------- as a study says it


@dataclass
class JsonReader(Reader):
    """One JSON object, or a Python dict, a line."""

    step: str = ""

    def may_have(self, lowered: str) -> bool:
        return "{" in lowered

    def line(self, text: str, before: str) -> Iterator[tuple[Reading, str]]:
        start, end = text.find("{"), text.rfind("}")
        if start < 0 or end < start:
            return
        row = _object(text[start : end + 1])
        numbers = dict(flat(row))
        at = step_of(numbers, self.step)
        if at is None:
            at = step_in(text[:start], before)
        for name, value in numbers.items():
            if counts_nothing(name, self.step):
                yield Reading(name, value, at), "stdout json"


def _object(text: str) -> Mapping[str, Any]:
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, Mapping):
            return {str(name): value for name, value in found.items()}
    return {}


@dataclass
class PatternReader(Reader):
    """A pattern of the `parse` library, or a regular expression with named groups (`regex`). ValueError where it is
    none, or names nothing."""

    pattern: str
    regex: bool = False
    step: str = ""

    def __post_init__(self) -> None:
        try:
            names = self._compile()
        except (re.error, ValueError, NotImplementedError, IndexError, KeyError) as error:
            raise ValueError(f"it cannot be read as a pattern: {error}") from None
        if not names:
            example = "(?P<loss>...)" if self.regex else "{loss:f}"
            raise ValueError(f"it names no number; write {example} where one stands")
        literals = [] if self.regex else re.split(r"\{[^{}]*\}", self.pattern)
        self._literal = max(literals, key=len, default="").strip().lower()

    def _compile(self) -> Sequence[str]:
        """The names of the pattern."""
        self._search: Callable[[str], Mapping[str, Any]]
        if self.regex:
            expression = re.compile(self.pattern)
            self._search = lambda text: match.groupdict() if (match := expression.search(text)) else {}
            return list(expression.groupindex)
        import parse

        parser = parse.compile(self.pattern)
        self._search = lambda text: found.named if (found := parser.search(text)) else {}
        return list(parser.named_fields)

    def may_have(self, lowered: str) -> bool:
        return self._literal in lowered

    def line(self, text: str, before: str) -> Iterator[tuple[Reading, str]]:
        numbers = {name: value for name, given in self._search(text).items() if (value := _number(given)) is not None}
        at = step_of(numbers, self.step)
        if at is None:
            at = step_in(text, before)
        for name, value in numbers.items():
            if counts_nothing(name, self.step):
                yield Reading(name, value, at), f"stdout {self.pattern!r}"


def _number(given: Any) -> float | None:
    return number(given.strip().rstrip("%") if isinstance(given, str) else given)


# ------------------------------------------------------------------------------------------------- by name alone


class NameReader(Reader):
    """The names that a study asks for, wherever a line says `name: number`. Never part of a ratio, path or version."""

    def __init__(self, names: Sequence[str], step: str = "") -> None:
        self.step = step
        self._patterns = {name: _by_name(name) for name in names}
        parts = {name: [part for part in _NO_WORD.split(name.lower()) if part] for name in names}
        self._needles = [max(found, key=len) for found in parts.values() if found]

    def may_have(self, lowered: str) -> bool:
        return any(needle in lowered for needle in self._needles)

    def line(self, text: str, before: str) -> Iterator[tuple[Reading, str]]:
        for name, pattern in self._patterns.items():
            for where, start, value in _said(pattern, text):
                if not _in_path(text, start):
                    at = step_in(text, before) if name not in STEPS else None
                    yield Reading(name, value, at), f"stdout {where!r}"


def _by_name(name: str) -> re.Pattern[str]:
    """`name`, with any of space, underscore, dash, slash and dot between its parts. What stands around it is no part of
    the pattern: every run compiles its own, and of the rest it would take ten times as long."""
    parts = [re.escape(part) for part in _BETWEEN.split(name) if part] or [re.escape(name)]
    return re.compile(r"[ _/.-]{0,2}".join(parts), re.IGNORECASE)


_NO_WORD = re.compile(r"[\W_]+")
_BETWEEN = re.compile(r"[\s_/.-]+")
_VALUE = re.compile(
    r"(?![A-Za-z0-9_@-])"
    r"""(?:["'\])]?\s{0,20}(?:=>|->|[:=|│┃]|\bis\b|\bof\b)?\s{0,20}(?:tensor\()?["'\[(]?)"""
    rf"(?<![\d.-])(?P<value>{_NUMBER})(?![\w/\\:]|[.,]\d|\.[A-Za-z]|\s*/\s*\d)",
    re.IGNORECASE,
)
"""What follows a name: signs, then the number."""


def _said(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, int, float]]:
    """Each place where a line says a name and a number: the name with the words that qualify it (`train acc`), where
    the name begins, the number."""
    done = here = 0
    while match := pattern.search(text, here):
        here = match.start() + 1
        start = _qualified(text, done, match.start())
        found = _VALUE.match(text, match.end()) if start is not None else None
        if found is not None:
            words = text[start : match.start()].strip(" _-/.")
            yield f"{words} {match[0]}".strip(), match.start(), float(found["value"])
            done = here = found.end()


def _qualified(text: str, floor: int, at: int) -> int | None:
    """Where the words that qualify a name at `at` begin: the first of those that stand before it without a break, none
    further left than `floor`. None where the name is the end of a longer word."""
    first = None
    while True:
        before, second = text[at - 1 : at], text[at - 2 : at - 1] if at > 1 else ""
        if not (_is_word(before) or before == "@" or (before == "'" and _is_word(second))):
            first = at
        if at <= floor or before not in " _/.-":
            return first
        start = end = at - 1
        while start > floor and text[start - 1].isascii() and text[start - 1].isalnum():
            start -= 1
        if start == end or not text[start].isalpha():
            return first
        at = start


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def _in_path(text: str, start: int) -> bool:
    """Whether the word that holds a name is a path: it begins with a slash, a dot or a tilde."""
    word = text.rfind(" ", 0, start) + 1
    return text[word : word + 1] in ("/", "~") or text[word : word + 2] in ("./", "..")


# ---------------------------------------------------------------------------------------- whatever has a name

_PRINTED = re.compile(
    r"(?P<name>[A-Za-z_][\w./@-]*(?: (?!is\s)[A-Za-z_][\w./@-]*)?)(?:\s*[:=]\s*|\s+(?:is\s+)?)"
    r"(?P<value>[-+]?\d+\.\d+(?:[eE][-+]?\d+)?|[-+]?\d+(?=\s|$|,|%))"
)
"""A name and a number in a line that a program prints."""

_CALL = re.compile(r"\b[A-Z]\w*\(\w+=.*")
"""A record or a network, printed: `Namespace(lr=0.1, ...)`, `Linear(in_features=64, ...)`."""

_COUNTS = ("epoch", "step", "iter", "iteration", "batch", "eta")


def numbers_in(text: str) -> dict[str, float]:
    """Names that a program prints, with the number that stands there last; what was printed last comes first."""
    found: dict[str, float] = {}
    for line in reversed(plain(text).splitlines()):
        said = {match["name"].strip(): float(match["value"]) for match in _PRINTED.finditer(_CALL.sub("", line))}
        for name, value in said.items():
            found.setdefault(name, value)
    return {name: value for name, value in found.items() if name.lower().split()[0] not in _COUNTS}
