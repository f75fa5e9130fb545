"""What reading a program works with: plain Python values, and these in place of whatever only running would make."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MethodType
from typing import Any


class Value:
    """What is no plain Python value."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Never called; libraries ask whether something may be."""
        raise TypeError(f"{self!r} is read, not executed")


class Unknown(Value):
    """What only running the program would tell."""

    def __init__(self, text: str = "", node: ast.AST | None = None) -> None:
        self._text = text
        self.node = node

    @property
    def text(self) -> str:
        """The expression; made when it is asked for, which is seldom."""
        return self._text or (ast.unparse(self.node) if self.node is not None else "")


def unknown(node: ast.AST) -> Unknown:
    return Unknown(node=node)


@dataclass(eq=False)
class External(Value):
    """Something of a library, by its dotted name: `argparse.ArgumentParser`."""

    name: str


@dataclass(frozen=True)
class Member(Value):
    """A member of an enumeration."""

    enum: str
    name: str
    value: Any


class Frame:
    """Names and their values: of a module, a class's body, or one call of a function."""

    def __init__(self, space: Space, around: Frame | None = None) -> None:
        self.space = space
        self.around = around
        self.names: dict[str, Any] = {}
        self.globals: set[str] = set()
        self.returned: list[Any] = []
        self.asked = False
        """Whether somebody asks for what the function returns."""
        self.marked: dict[int, bool] | None = None
        """Ids of the statements to follow, and whether what each binds is asked for; None: all."""


@dataclass(eq=False)
class Function(Value):
    """A function of the program. first: what is passed before the arguments of a call; owner: the class that it is a
    method of."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: Frame
    first: tuple[Any, ...] = ()
    owner: Class | None = None
    marks: dict[str, Any] = field(default_factory=dict)
    """What decorators of libraries noted."""

    @property
    def name(self) -> str:
        return getattr(self.node, "name", "lambda")


@dataclass(eq=False)
class Class(Value):
    """A class of the program; its body is read when it is first asked for."""

    node: ast.ClassDef
    frame: Frame
    bases: tuple[Any, ...]
    body: Frame | None = None
    marks: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.node.name

    def ancestry(self) -> list[Class]:
        """The class and those of the program that it derives from, nearest first."""
        found = [self]
        for base in self.bases:
            found += base.ancestry() if isinstance(base, Class) else []
        return found

    def outside(self) -> str:
        """The library's class that it derives from; empty where there is none."""
        for cls in self.ancestry():
            for base in cls.bases:
                if isinstance(base, External):
                    return base.name
        return ""


@dataclass(eq=False)
class Instance(Value):
    """An object of a class of the program. native: the library's object that it is as well."""

    cls: Class
    attributes: dict[str, Any] = field(default_factory=dict)
    native: Any = None


@dataclass(eq=False)
class Above(Value):
    """`super()` within a method."""

    cls: Class
    instance: Any


@dataclass(eq=False)
class Reference(Value):
    """What an import names, before anybody asks for it. name: of the module's attribute; empty: the module itself."""

    module: str
    name: str = ""


@dataclass
class Call:
    """A call of something of a library, its arguments evaluated; unknown: whether `*` or `**` brought unknown ones."""

    args: list[Any]
    kwargs: dict[str, Any]
    node: ast.AST
    space: Space
    unknown: bool = False
    unsure: bool = False
    """Whether it stands in a branch that may not be taken."""

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    @property
    def line(self) -> int:
        return getattr(self.node, "lineno", 0)

    @property
    def place(self) -> str:
        """`train.py:3`."""
        return f"{self.space.path.name}:{self.line}"

    @property
    def text(self) -> str:
        """As it is written, as far as a line of a message has room."""
        return ast.unparse(self.node)[:80]


class Stand(Value):
    """An object that stands in for one of a library's."""

    def attribute(self, name: str) -> Any:
        return Unknown(name)

    def call(self, call: Call) -> Any:
        return Unknown("")

    def set(self, name: str, value: Any) -> None:
        """An attribute is assigned."""


def stands(values: Sequence[Any]) -> bool:
    """Whether a library's object that options are added to is among what a call is given."""
    return any(
        isinstance(v, Stand)
        or (isinstance(v, Instance) and v.native is not None)
        or (isinstance(v, list | tuple) and stands(v))
        or (isinstance(v, MethodType) and isinstance(v.__self__, Stand))
        for v in values
    )


class Space(Value):
    """A module of the program: its file, its text, its names."""

    def __init__(self, path: Path, name: str, text: str) -> None:
        self.path = path
        self.name = name
        self.text = text
        self.frame = Frame(self)
        self.tree: ast.Module | None = None
        self.direct: list[int] = []
        self.relevant: list[int] = []
        self.bindings: dict[str, list[ast.stmt]] | None = None
        self.demanded: dict[str, Any] = {}
        self.followed: set[int] = set()
        """Ids of the statements that were followed in their turn."""

    def find_relevant(self, words: Sequence[str], also: Mapping[str, bool]) -> None:
        """Note the lines that declare options, and those that call functions of this module which do. also: imported
        names that do."""
        assert self.tree is not None
        self.direct = lines = _lines_at(_places_of(words, self.text), self.text)
        waiting = {name for name, does in also.items() if does}
        known = set(waiting)
        blocks = [node for node in self.tree.body if isinstance(node, _DEFINITIONS)]
        blocks += [
            method
            for node in blocks
            if isinstance(node, ast.ClassDef)
            for method in node.body
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("__")
        ]
        while True:
            holding = {n.name for n in blocks if _within(lines, n.lineno, n.end_lineno or n.lineno)} - known
            waiting |= holding
            known |= holding
            if not waiting:
                break
            calls = [place for name in waiting for place in _calls_of(name, self.text)]
            lines = sorted({*lines, *_lines_at(sorted(calls), self.text)})
            waiting = set()
        self.relevant = lines

    def matters(self, node: ast.AST) -> bool:
        """Whether options may be declared within a piece of the module, or by what it calls."""
        first = getattr(node, "lineno", 0)
        return _within(self.relevant, first, getattr(node, "end_lineno", None) or first)

    def declares(self, node: ast.AST) -> bool:
        """Whether a piece of the module itself has the words that declare options."""
        first = getattr(node, "lineno", 0)
        return _within(self.direct, first, getattr(node, "end_lineno", None) or first)


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _calls_of(name: str, text: str) -> Iterator[int]:
    """Where a name is called, or an attribute of it is asked for."""
    for place in _places_of([f"{name}(", f"{name}."], text):
        before = text[place - 1 : place]
        if not (before.isidentifier() or before.isdigit()):
            yield place


def _places_of(words: Sequence[str], text: str) -> list[int]:
    """Where one of the words stands in a text. (Ten searches for words take a tenth of one for a pattern.)"""
    places = []
    for word in words:
        place = text.find(word)
        while place >= 0:
            places.append(place)
            place = text.find(word, place + len(word))
    return sorted(places)


def _lines_at(places: Sequence[int], text: str) -> list[int]:
    """The numbers of the lines in which places of a text lie, in order; places: in order."""
    lines: list[int] = []
    last, line = 0, 1
    for place in places:
        line += text.count("\n", last, place)
        last = place
        if not lines or lines[-1] != line:
            lines.append(line)
    return lines


def _within(lines: list[int], first: int, last: int) -> bool:
    place = bisect_left(lines, first)
    return place < len(lines) and lines[place] <= last
