"""typer: parameters of the function that trains."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ablate.scripts.defaults import help_line
from ablate.scripts.fields import MISSING, Field, parameters
from ablate.scripts.interpreter import Program
from ablate.scripts.modules import StandIn
from ablate.scripts.script import Option
from ablate.scripts.style import Found, Reader, Style
from ablate.scripts.values import Call, Function, Stand, Unknown


@dataclass(frozen=True)
class Typer(Style):
    """A parameter without a default is an argument; a boolean is `--ema` and `--no-ema`."""

    words: ClassVar[tuple[str, ...]] = ("typer.", "from typer")

    def reader(self, program: Program) -> Reader:
        return _Reader(program)


class _Reader(Reader):
    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.commands: list[tuple[str, Function]] = []

    @property
    def stand_ins(self) -> Mapping[str, StandIn]:
        return {
            "typer.run": self._run,
            "typer.Typer": lambda call: _App(self),
            "typer.Option": lambda call: _Told(call, named=True),
            "typer.Argument": lambda call: _Told(call, named=False),
        }

    def _run(self, call: Call) -> Unknown:
        if isinstance(call.argument(0, "function"), Function):
            self.commands.append(("", call.argument(0, "function")))
        else:
            self.miss(call)
        return Unknown("run")

    def found(self) -> Found | None:
        if not self.commands and not self.unread:
            return None
        options = []
        for name, function in self.commands:
            path = (name,) if len(self.commands) > 1 else ()
            place = 0
            for parameter in parameters(self.program, function):
                option = self._option(parameter, path, place)
                place += option.kind == "position" if option else 0
                options += [option] if option else []
        return Found(options, self.unread)

    def _option(self, field: Field, command: tuple[str, ...], place: int) -> Option | None:
        """The option, or the argument, that a parameter is; None for the context."""
        written = ast.unparse(field.annotation) if field.annotation is not None else ""
        if written.endswith("Context"):
            return None
        told = field.default if isinstance(field.default, _Told) else self._annotated(field)
        if isinstance(field.default, _Told):
            first = field.default.told.argument(0, "default", MISSING)
            field = replace(field, default=MISSING if first is Ellipsis else first)
        given = told.told.kwargs if told is not None else {}
        field = replace(field, help=help_line(given.get("help"), {}))
        more: dict[str, Any] = {"command": command, "by_value": True}
        if not (told.named if told is not None else field.default is not MISSING):
            return field.option(field.name, field.name, "position", place=place, **more)
        names = told.names if told is not None else []
        whole = next(
            (n for n in names if n.startswith("--")), names[0] if names else f"--{field.name.replace('_', '-')}"
        )
        typed, _, negation = whole.partition("/")
        more["aliases"] = tuple(name for name in names if name != whole)
        name = typed.lstrip("-")
        if field.shape.type == "bool" and field.shape.nargs is None:
            if negation or not names:
                return field.option(name, typed, "no", negation=negation or f"--no-{name}", **more)
            return field.option(name, typed, "flag", **more)
        if field.shape.nargs == "*":
            return field.option(name, typed, "repeat", **more)
        return field.option(name, typed, "count" if given.get("count") is True else "value", **more)

    def _annotated(self, field: Field) -> _Told | None:
        """`typer.Option(...)` within `Annotated[...]`."""
        node = field.annotation
        if not (isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Annotated")):
            return None
        parts = node.slice.elts[1:] if isinstance(node.slice, ast.Tuple) else []
        frame = self.program.frame_of(field.file)
        values = [self.program.evaluate(part, frame) for part in parts] if frame is not None else []
        told = next((value for value in values if isinstance(value, _Told)), None)
        return _Told(told.told, told.named, written=True) if told is not None else None


class _Told(Stand):
    """`typer.Option(...)` or `typer.Argument(...)`. written: in an annotation, where the first text is no default."""

    def __init__(self, told: Call, named: bool, written: bool = False) -> None:
        self.told = told
        self.named = named
        every = told.args if written else told.args[1:]
        self.names = [name for name in every if isinstance(name, str) and name.startswith("-")]


class _App(Stand):
    def __init__(self, reader: _Reader) -> None:
        self.reader = reader

    def attribute(self, name: str) -> Any:
        if name == "add_typer":
            return self.add_typer
        return self.command if name in ("command", "callback") else Unknown(name)

    def command(self, call: Call) -> _Commanding:
        return _Commanding(self.reader, call)

    def add_typer(self, call: Call) -> None:
        self.reader.miss(call)


class _Commanding(Stand):
    def __init__(self, reader: _Reader, told: Call) -> None:
        self.reader = reader
        self.told = told

    def call(self, call: Call) -> Any:
        function = call.args[0]
        if isinstance(function, Function):
            name = self.told.argument(0, "name")
            self.reader.commands.append((name if isinstance(name, str) else function.name.replace("_", "-"), function))
        return function
