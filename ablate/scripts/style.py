"""The contract of a style: one way in which scripts declare options, read from their source.

`read` is what everybody calls. It follows the script and what it imports of the user's (`interpreter.py`), and executes
none of it: what a library would be told, it is told by way of the styles' stand-ins.
"""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, cast

from ablate.errors import AblateError
from ablate.registry import Plugin, Registry
from ablate.scripts.fields import Field, Leaf
from ablate.scripts.interpreter import Program
from ablate.scripts.modules import StandIn
from ablate.scripts.operations import REFUSALS
from ablate.scripts.script import Option, Script
from ablate.scripts.values import Call
from ablate.text import did_you_mean


@dataclass
class Found:
    """What a style found in a script: its options, and what it could not read."""

    options: list[Option] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class Reader:
    """A style at work on one script."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.unread: list[str] = []

    def miss(self, call: Call, why: str = "") -> None:
        """Note a call that could not be read; why: its text unless given."""
        self.unread.append(f"{call.place}: {why or call.text}")

    @property
    def stand_ins(self) -> Mapping[str, StandIn]:
        """What calls of the style's library come to, by dotted name."""
        return {}

    @abstractmethod
    def found(self) -> Found | None:
        """What there is after the script was followed; None where it declares no option in this way."""


class FieldReader(Reader):
    """At work where a library makes options of a dataclass's fields or of a function's parameters."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.options: list[Option] | None = None
        """None until the library is called."""

    def found(self) -> Found | None:
        return None if self.options is None else Found(self.options, self.unread)

    def add(self, every: Iterable[Leaf], option: Callable[[tuple[str, ...], Field], Option]) -> None:
        """The option of each field; of one that several dataclasses may stand for, only running tells which."""
        self.options = self.options or []
        for path, field_ in every:
            if field_.shape.several or field_.shape.nested is not None:
                place = f"{Path(field_.file).name}:{field_.line}"
                self.unread.append(f"{place}: {field_.name} chooses between several dataclasses")
            else:
                self.options.append(option(path, field_))


class Style(Plugin):
    """One way to declare options.

    words: the text of every function that declares options in this way has one of them. last: whether only a
    script of no other style is looked at.
    """

    words: ClassVar[tuple[str, ...]] = ()
    last: ClassVar[bool] = False

    @abstractmethod
    def reader(self, program: Program) -> Reader:
        """Reads one script."""


def check(path: Path) -> None:
    """AblateError where there is no such script, with the nearest name."""
    try:
        path.open("rb").close()
    except OSError as error:
        beside = sorted(file.name for file in path.parent.glob("*") if file.suffix in (".py", ".sh"))
        near = did_you_mean(path.name, beside)
        raise AblateError(f"the script {str(path)!r} cannot be read: {error.strerror}.{near}") from None


def read(path: Path, folders: Sequence[Path] = (), style: str = "") -> Script:
    """The options of the script at `path`. folders: where its modules are looked for after its own. style: the one that
    is meant, where a study names it; else the first that finds any. AblateError where the file cannot be read."""
    check(path)
    data = path.read_bytes()
    try:
        text, tree = data.decode("utf-8", "replace"), ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Script(str(path), unread=(f"{path}: {error}",), files=(str(path),))
    registry = Registry()
    names = [style] if style else list(registry.names("styles"))
    styles = {name: cast(Style, registry.make("styles", name, {})) for name in names}
    words = [word for known in styles.values() for word in known.words]
    program = Program(path, text, tree, folders, words)
    readers = {name: styles[name].reader(program) for name in sorted(styles, key=lambda name: styles[name].last)}
    for reader in readers.values():
        program.stand_ins.update(reader.stand_ins)
    program.follow()
    for name, reader in readers.items():
        try:
            found = reader.found()
        except REFUSALS as error:  # an argument of a kind that the library would not take either
            found = Found([], [f"{path.name}: its options in the style of {name}: {error}"])
        if found is not None:
            files = dict.fromkeys([*program.files, *found.files])
            unread = dict.fromkeys([*program.unread, *found.unread])
            return Script(str(path), name, tuple(found.options), tuple(unread), tuple(files))
    return Script(str(path), unread=tuple(program.unread), files=tuple(program.files))
