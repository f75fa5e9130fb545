"""YAML 1.2 with the place of every key and value: text in, a tree of plain values out, problems by line and column.

Beside `study` because positions, duplicate keys, tags and aliases are gone once a YAML library has made plain objects;
this module builds them from the library's events itself. It knows nothing of studies: what keys mean is study's matter.

Stricter than YAML where a study must be safe and storable: no tags, no merge keys, keys are text, numbers are finite
and fit 64 bits, text has no NUL and no half surrogate, one document, at most LIMIT_NODES values, aliases expanded.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.reader import ReaderError

from ablate.errors import Problem, StudyError
from ablate.records import Json

LIMIT_BYTES = 1_000_000
LIMIT_NODES = 100_000
LIMIT_DEPTH = 32

Trail = tuple[str | int, ...]
"""A place inside a document: keys and list indices from the root."""

# The core schema of YAML 1.2 (chapter 10.3.2): what a plain scalar is, if not text.
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: Mapping[str, Json] = dict.fromkeys(("", "~", "null", "Null", "NULL")) | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
_GROUPED = re.compile(r"[-+]?[0-9]{1,3}(_[0-9]{3})+(\.[0-9]+)?")
"""Digits in threes, 1_000_000: a number in Python and YAML 1.1, and nothing else to a reader. 2024_01 is text."""
_NUMERAL = re.compile(
    r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9_]+)?|[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?)"
    r"|0[bB][01_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+"
)
"""What people and Python read as a number (1_0, 1,000, 0b101), and YAML 1.2 as text."""
SWITCHES = {"on": True, "yes": True, "off": False, "no": False}


@dataclass(frozen=True)
class Place:
    """Where something was written; line and column count from 1, line 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def problem(self, path: Trail, message: str, page: str = "") -> Problem:
        return Problem(self.file, self.line, self.column, dotted(path), message, page)


@dataclass(frozen=True)
class Node:
    """A value and its place. value: a JSON scalar, a list of nodes, or a mapping of keys to (key's place, node).

    switch: what a bare on, off, yes or no means where a boolean is wanted (its value is text). numeral: whether it is a
    bare text such as 0b101. weight: nodes below and including this one, aliases expanded.
    """

    place: Place
    value: Any
    switch: bool | None = None
    numeral: bool = False
    weight: int = 1


@dataclass(frozen=True)
class Unfolded:
    """A tree as plain values, with the place of each path. switches: bare words and the booleans they may mean;
    numerals: bare texts that read like numbers."""

    value: Json
    keys: Mapping[Trail, Place]
    values: Mapping[Trail, Place]
    switches: Mapping[Trail, bool]
    numerals: tuple[Trail, ...] = ()

    def at(self, path: Trail, on_key: bool = False) -> Place:
        """Where `path` was written, or the nearest thing above it that was."""
        for end in range(len(path), -1, -1):
            place = (self.keys if on_key or end < len(path) else self.values).get(path[:end])
            place = place or self.values.get(path[:end])
            if place is not None:
                return place
        raise AssertionError("a document has a root")

    def get(self, path: Trail) -> Json:
        value = self.value
        for part in path:
            value = value[part]
        return value

    def places(self) -> Iterator[tuple[Trail, Place]]:
        """Every path but the root, and where its key stands, or the item of a list."""
        for path, place in self.values.items():
            if path:
                yield path, self.keys.get(path, place)


def dotted(path: Trail) -> str:
    return printable(".".join(map(str, path)))


def said(value: Json) -> str:
    """A value as messages show it."""
    if value is None:
        return "empty"
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 60 else f"{text[:50]}..."


def printable(text: str) -> str:
    """Text that stays on its line and cannot steer a terminal: control characters as escapes."""
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", lambda c: f"\\u{ord(c[0]):04x}", text)


def decoded(data: bytes, file: str) -> str:
    """The text of a file's bytes. StudyError where they are too many or no UTF-8 text."""
    whole = Place(file)
    if len(data) > LIMIT_BYTES:
        problem = whole.problem((), f"is larger than {LIMIT_BYTES:,} bytes; a study file has a few thousand.")
        raise StudyError([problem])
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise StudyError([whole.problem((), "is UTF-16 text; save it as UTF-8.")])
    if b"\0" in data:
        raise StudyError([whole.problem((), "is a binary file; a study is a YAML file, that is, UTF-8 text.")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        place = _place_of(before, len(before), file)
        what = f"byte {data[error.start]:#04x} is not UTF-8"
        raise StudyError([place.problem((), f"{what}; save the file as UTF-8 text.")]) from None


def read(text: str, file: str, *, located: bool = True) -> tuple[Node | None, list[Problem]]:
    """The tree of a document (None: empty) and what is wrong with it. StudyError where one cannot read on.

    located: False for text that is no file, whose places then have no line.
    """
    builder = _Builder(file, located)
    try:
        return builder.document(text), builder.problems
    except ReaderError as error:
        place = _place_of(text, error.position, file) if located else Place(file)
        what = f"the control character U+{error.character:04X} stands here"
        stop = place.problem((), f"{what}; remove it, or write it as an escape in double quotes.")
    except MarkedYAMLError as error:
        mark, message = _in_words(error)
        stop = builder.place(mark).problem((), message)
    except (YAMLError, ValueError, OverflowError) as error:  # chr() of an impossible escape, for one
        stop = Place(file).problem((), f"is no YAML: {' '.join(str(error).split())}.")
    raise StudyError([*builder.problems, stop])


def unfold(root: Node, booleans: Collection[Trail] = ()) -> Unfolded:
    """Plain values of a tree, with the place of every path in it. booleans: paths of bare words that mean a boolean."""
    keys: dict[Trail, Place] = {}
    values: dict[Trail, Place] = {}
    switches: dict[Trail, bool] = {}
    numerals: list[Trail] = []

    def plain(node: Node, path: Trail) -> Json:
        values[path] = node.place
        if node.numeral:
            numerals.append(path)
        if node.switch is not None:
            if path in booleans:
                return node.switch
            switches[path] = node.switch
        if isinstance(node.value, dict):
            keys.update({(*path, key): place for key, (place, _) in node.value.items()})
            return {key: plain(child, (*path, key)) for key, (_, child) in node.value.items()}
        if isinstance(node.value, list):
            return [plain(child, (*path, index)) for index, child in enumerate(node.value)]
        return node.value

    value = plain(root, ())
    return Unfolded(value, keys, values, switches, tuple(numerals))


def replaced(node: Node, parts: Sequence[str], new: Node) -> Node:
    """`node` with `new` at a dotted path; a key that itself holds dots is found, what is missing is made.

    Raises KeyError with the dotted path of what is in the way where that is no mapping.
    """
    if not parts:
        return new
    entries = {} if node.value is None else node.value
    if not isinstance(entries, dict):
        raise KeyError("")
    length = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in entries), 1)
    key = ".".join(parts[:length])
    place, child = entries.get(key, (new.place, Node(new.place, None)))
    try:
        changed = replaced(child, parts[length:], new)
    except KeyError as error:
        raise KeyError(f"{key}.{error.args[0]}".rstrip(".")) from None
    return replace(
        node,
        value={**entries, key: (new.place if length == len(parts) else place, changed)},
        switch=None,
        numeral=False,
    )


def edited(text: str, changes: Mapping[Trail, Json], noted: str, note: str) -> str:
    """The text with values changed at these places; comments and layout stay as far as the library can keep them.

    A trail's last part may be a dotted key: what is there of it is followed, the rest is made as one key. note: a
    comment above the key `noted` of the root.
    """
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 10_000, True
    root = yaml.load(text)
    for trail, value in changes.items():
        inner = root
        for part in trail[:-1]:
            if inner.get(part) is None:
                inner[part] = {}
            inner = inner[part]
        parts = str(trail[-1]).split(".")
        while len(parts) > 1:
            existing = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in inner), 0)
            if not existing or existing == len(parts) or not isinstance(inner[".".join(parts[:existing])], dict):
                break
            inner, parts = inner[".".join(parts[:existing])], parts[existing:]
        _put(inner, ".".join(parts), value)
    if noted in root:
        root.yaml_set_comment_before_after_key(noted, before=note)
    out = io.StringIO()
    yaml.dump(root, out)
    return out.getvalue()


def _put(inner: Any, key: str, value: Json) -> None:
    """A key's value; a new one goes before the last where lines of comments follow, which are of what comes next."""
    last = next(reversed(inner), None)
    after = inner.ca.items.get(last, [])[2:3] if isinstance(inner, CommentedMap) else []
    if key not in inner and after and after[0] is not None and "\n" in after[0].value.rstrip("\n"):
        inner.insert(len(inner) - 1, key, value)
    else:
        inner[key] = value


# ------------------------------------------------------------------------------------------------------------- reading


class _Builder:
    """Builds the tree from the parser's events; problems that one can read past are collected."""

    def __init__(self, file: str, located: bool) -> None:
        self.file = file
        self.located = located
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node] = {}
        self.open: set[str] = set()
        self.nodes = 0

    def place(self, mark: Any) -> Place:
        return Place(self.file, mark.line + 1, mark.column + 1) if self.located and mark else Place(self.file)

    def wrong(self, event: Any, path: Trail, message: str) -> None:
        self.problems.append(self.place(event.start_mark).problem(path, message))

    def stop(self, event: Any, path: Trail, message: str) -> StudyError:
        self.wrong(event, path, message)
        return StudyError(self.problems)

    def document(self, text: str) -> Node | None:
        root, documents = None, 0
        events: Iterator[Any] = YAML(typ="safe", pure=True).parse(text)
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.stop(event, (), "a second document begins here; a study file holds one.")
            elif isinstance(event, (AliasEvent, ScalarEvent, SequenceStartEvent, MappingStartEvent)):
                root = self.node(event, events, ())
            elif isinstance(event, StreamEndEvent):
                break
        return root

    def node(self, event: Any, events: Iterator[Any], path: Trail) -> Node:
        if isinstance(event, AliasEvent):
            return self.alias(event, path)
        self.count(1, event, path)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.wrong(event, path, f"has the tag {_short(tag)}; tags are not allowed, write the value alone.")
        place = self.place(event.start_mark)
        if isinstance(event, ScalarEvent):
            node = self.scalar(event, place, path)
        else:
            if len(path) >= LIMIT_DEPTH:
                raise self.stop(event, path[:3], f"is nested more than {LIMIT_DEPTH} levels deep.")
            if event.anchor:
                self.anchors.pop(event.anchor, None)
                self.open.add(event.anchor)
            is_list = isinstance(event, SequenceStartEvent)
            node = self.items(place, events, path) if is_list else self.entries(place, events, path)
            self.open.discard(event.anchor)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def items(self, place: Place, events: Iterator[Any], path: Trail) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self.node(event, events, (*path, len(items))))
        return Node(place, items, weight=1 + sum(item.weight for item in items))

    def entries(self, place: Place, events: Iterator[Any], path: Trail) -> Node:
        entries: dict[str, tuple[Place, Node]] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key_node = self.node(event, events, path if isinstance(event, ScalarEvent) else (*path, "?"))
            key, key_place = key_node.value, self.place(event.start_mark)
            child = self.node(next(events), events, (*path, key if isinstance(key, str) else "?"))
            if not isinstance(key, str):
                self.wrong(event, path, _no_key(key))
            elif key == "<<" and event.style is None:
                self.wrong(event, path, "`<<` is not part of YAML 1.2; write the keys here, or alias a whole value.")
            elif key in entries:
                first = entries[key][0]
                before = f" (first in line {first.line})" if first.line else ""
                self.wrong(event, (*path, key), f"the key {key!r} is written twice{before}; keep one.")
            else:
                entries[key] = (key_place, child)
        return Node(place, entries, weight=1 + sum(child.weight for _, child in entries.values()))

    def alias(self, event: Any, path: Trail) -> Node:
        name = event.anchor
        if name in self.open:
            self.wrong(event, path, f"the alias *{name} stands inside the value that it names, which has no end.")
        elif name not in self.anchors:
            quoted = f' A pattern goes in quotes: "*{name}".' if name[0] in "*." else ""
            self.wrong(
                event, path, f"the alias *{name} names nothing; `&{name}` must stand before a value above.{quoted}"
            )
        else:
            self.count(self.anchors[name].weight, event, path)
            return self.anchors[name]
        return Node(self.place(event.start_mark), None)

    def count(self, nodes: int, event: Any, path: Trail) -> None:
        self.nodes += nodes
        if self.nodes > LIMIT_NODES:
            raise self.stop(
                event, path, f"is too much: more than {LIMIT_NODES:,} values, counting what aliases repeat."
            )

    def scalar(self, event: Any, place: Place, path: Trail) -> Node:
        text: str = event.value
        if event.style is not None or not event.implicit[0]:
            return Node(place, self.text(event, path))
        if text in _WORDS:
            return Node(place, _WORDS[text])
        if text.lower() in SWITCHES:
            return Node(place, text, switch=SWITCHES[text.lower()])
        if _GROUPED.fullmatch(text):
            text = text.replace("_", "")
        if _INT.fullmatch(text):
            # int() refuses more digits than it can read quickly; nothing that long fits anyway
            value = int(text, 0 if text[:2] in ("0o", "0x") else 10) if len(text) <= 40 else 1 << 64
            if not -(1 << 63) <= value < 1 << 63:
                self.wrong(event, path, f"is {_short(text)}; a whole number must fit 64 bits.")
                value = 0
            return Node(place, value)
        number = float(text) if _FLOAT.fullmatch(text) else None
        if _NOT_FINITE.fullmatch(text) or (number is not None and math.isinf(number)):
            self.wrong(event, path, f"is {_short(text)}; a number must be finite (at most about 1.8e308).")
            number = 0.0
        if number is None:
            return Node(place, self.text(event, path), numeral=_NUMERAL.fullmatch(text) is not None)
        return Node(place, number)

    def text(self, event: Any, path: Trail) -> str:
        text: str = event.value
        bad = next((c for c in text if c == "\0" or "\ud800" <= c <= "\udfff"), None)
        if bad is None:
            return text
        self.wrong(event, path, f"holds the character U+{ord(bad):04X}, which no text can; remove it.")
        return text.replace(bad, "").encode("utf-8", "ignore").decode()


def _no_key(key: Any) -> str:
    """What is said of a key that is no text."""
    if isinstance(key, (list, dict)):
        return "a list or a mapping stands where a key must; keys are text."
    if key is None:
        return 'a key is empty or null; keys are text: write a name, in quotes ("null") if null is the name.'
    written = str(key).lower() if isinstance(key, bool) else str(key)
    kind = "a boolean" if isinstance(key, bool) else "a number"
    return f'the key {written} is {kind}; keys are text: write "{written}" in quotes.'


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:30]}... ({len(text)} characters)"


def _place_of(text: str, index: int, file: str) -> Place:
    before = text[:index]
    return Place(file, before.count("\n") + 1, index - before.rfind("\n"))


_IN_WORDS = (
    (r"found character '\\t'", "a tab stands here; YAML is indented with spaces."),
    (r"found character '(.)' that", "a value cannot begin with {0}; write it in quotes."),
    (
        "mapping values are not allowed here",
        "this ':' fits neither its line nor its indentation; give each `key: value` a line of its own, indented like "
        "its neighbours, see that the line above has its ':', and write text that holds ': ' in quotes.",
    ),
    ("sequence entries are not allowed here", "a list cannot begin here; begin it on the next line, or write [a, b]."),
    ("expected <block end>", "this line's indentation fits no line above; keys of one mapping begin in one column."),
    ("expected ',' or '(.)'", "a ',' or '{0}' is missing before this; what it should end begins at {start}."),
    ("expected the node content, but found '(.*)'", "a value is missing before '{0}'."),
    ("found unknown escape character '(.)'", r"\{0} means nothing in double quotes; use single quotes."),
    ("found undefined tag handle", "tags are not allowed, write the value alone."),
)
_IN_WORDS_AT_START = (
    ("could not find expected ':'", "this line is no `key: value`; a ':' and a space must follow the key."),
    ("found unexpected (end of stream|document separator)", "the quote that opens here is never closed."),
)


def _in_words(error: MarkedYAMLError) -> tuple[Any, str]:
    """The mark and the message of a syntax error, in a student's words."""
    start, problem = error.context_mark, str(error.problem)
    for pattern, message in _IN_WORDS_AT_START:
        if start and re.search(pattern, problem):
            return start, message
    opened = f"{start.line + 1}:{start.column + 1}" if start else "the start"
    for pattern, message in _IN_WORDS:
        match = re.search(pattern, problem)
        if match:
            return error.problem_mark, message.replace("{start}", opened).format(*match.groups())
    return error.problem_mark or start, f"is no YAML: {problem}."
