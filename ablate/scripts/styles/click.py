"""click: decorators of the function that trains."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ablate.scripts.defaults import as_json, help_line
from ablate.scripts.interpreter import Program
from ablate.scripts.modules import StandIn
from ablate.scripts.script import Kind, Option, Type
from ablate.scripts.style import Found, Reader, Style
from ablate.scripts.values import Call, External, Function, Stand, Unknown

_TYPES: dict[str, Type] = {
    "click.INT": "int", "click.FLOAT": "float", "click.STRING": "text", "click.BOOL": "bool", "click.Path": "text",
    "click.IntRange": "int", "click.FloatRange": "float", "click.File": "text", "click.DateTime": "text",
}  # fmt: skip


@dataclass(frozen=True)
class Click(Style):
    """Commands and groups of them; `--ema/--no-ema` is one option."""

    words: ClassVar[tuple[str, ...]] = ("click.", "from click")

    def reader(self, program: Program) -> Reader:
        return _Reader(program)


class _Reader(Reader):
    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.commands: list[_Command] = []

    @property
    def stand_ins(self) -> Mapping[str, StandIn]:
        found: dict[str, StandIn] = {
            "click.command": lambda call: _Making(self, None, call),
            "click.group": lambda call: _Making(self, None, call),
            "click.option": lambda call: _Marking(self, call, named=True),
            "click.argument": lambda call: _Marking(self, call, named=False),
            "click.Choice": _Choice,
        }
        return found | dict.fromkeys(_TYPES, _Typed)

    def found(self) -> Found | None:
        options = [option for command in self.commands for option in self._of(command)]
        return Found(options, self.unread) if self.commands or self.unread else None

    def _of(self, command: _Command) -> list[Option]:
        place, found = 0, []
        for call, named in reversed(command.function.marks.get("click", [])):
            option = self._option(call, named, command.path, place)
            place += not named
            found += [option] if option is not None else []
        return found

    def _option(self, call: Call, named: bool, command: tuple[str, ...], place: int) -> Option | None:
        names = [name for name in call.args if isinstance(name, str)]
        if call.unknown or not names:
            self.miss(call)
            return None
        given = call.kwargs
        dashed = [name for name in names if name.startswith("-")]
        whole = next((name for name in dashed if name.startswith("--")), dashed[0] if dashed else names[0])
        typed, _, negation = (part.strip() for part in whole.partition("/"))
        default, computed = as_json(given.get("default"))
        type_ = _type(given.get("type"), default)
        kind: Kind = "value" if named else "position"
        if negation:
            kind, type_ = "no", "bool"
        elif given.get("is_flag") is True or "flag_value" in given:
            kind, type_ = "flag", "bool"
            default = default is True
        elif given.get("count") is True:
            kind, type_, default = "count", "int", default or 0
        elif given.get("multiple") is True:
            kind, default = "repeat", default or []
        choices = given.get("type").choices if isinstance(given.get("type"), _Choice) else ()  # type: ignore[union-attr]
        nargs = given.get("nargs")
        return Option(
            typed.lstrip("-"), typed, kind, type_, default, computed, choices,
            nargs={-1: "*", 1: None}.get(nargs, nargs) if isinstance(nargs, int) else None,
            required=given.get("required") is True, help=help_line(given.get("help"), {}), negation=negation,
            aliases=tuple(name for name in dashed if name != whole), command=command, place=place,
            file=str(call.space.path), line=call.line,
        )  # fmt: skip


class _Choice(Stand):
    def __init__(self, call: Call) -> None:
        given = call.argument(0, "choices", ())
        plain = [as_json(value) for value in given] if isinstance(given, list | tuple) else []
        self.choices = () if any(text for _, text in plain) else tuple(value for value, _ in plain)


class _Typed(Stand):
    """A type with parameters."""

    def __init__(self, call: Call) -> None:
        self.name = f"click.{ast.unparse(getattr(call.node, 'func', call.node)).rpartition('.')[2]}"


class _Marking(Stand):
    """`@click.option(...)`: notes the option at the function."""

    def __init__(self, reader: _Reader, told: Call, named: bool) -> None:
        self.reader = reader
        self.told = told
        self.named = named

    def call(self, call: Call) -> Any:
        target = call.args[0]
        function = target.function if isinstance(target, _Command) else target
        if isinstance(function, Function):
            function.marks.setdefault("click", []).append((self.told, self.named))
        return target


@dataclass(eq=False)
class _Command(Stand):
    """A function that is a command, or a group of commands."""

    reader: _Reader
    function: Function
    path: tuple[str, ...] = ()
    below: list[_Command] = field(default_factory=list)

    def attribute(self, name: str) -> Any:
        made: dict[str, Callable[[Call], Any]] = {"command": self.command, "group": self.command}
        return made.get(name, Unknown(name))

    def command(self, call: Call) -> _Making:
        return _Making(self.reader, self, call)

    def call(self, call: Call) -> Unknown:
        return Unknown("run")


class _Making(Stand):
    """`@click.command()`, or `@group.command()`: makes a command of the function."""

    def __init__(self, reader: _Reader, group: _Command | None, told: Call) -> None:
        self.reader = reader
        self.group = group
        self.told = told

    def call(self, call: Call) -> Any:
        function = call.args[0]
        if not isinstance(function, Function):
            return function
        given = self.told.argument(0, "name")
        name = given if isinstance(given, str) else function.name.replace("_", "-")
        path = (*self.group.path, name) if self.group is not None else ()
        command = _Command(self.reader, function, path)
        self.reader.commands.append(command)
        return command


def _type(given: Any, default: Any) -> Type:
    if isinstance(given, _Choice):
        return "text"
    if given in (int, float, str, bool):
        return {int: "int", float: "float", str: "text", bool: "bool"}[given]  # type: ignore[return-value]
    if isinstance(given, External | _Typed):
        return _TYPES.get(given.name, "")
    if given is not None:
        return ""
    if isinstance(default, bool):
        return "bool"
    return "int" if isinstance(default, int) else "float" if isinstance(default, float) else "text"
