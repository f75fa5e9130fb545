"""tyro: fields of a dataclass, or parameters of a function, by `tyro.cli`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.scripts.fields import Field, Leaf, leaves, parameters
from ablate.scripts.interpreter import Program
from ablate.scripts.modules import StandIn
from ablate.scripts.script import Option
from ablate.scripts.style import FieldReader, Reader, Style
from ablate.scripts.values import Call, Class, Function, Unknown


@dataclass(frozen=True)
class Tyro(Style):
    """Underscores are dashes, dataclasses within dataclasses dots; a boolean is `--ema` and `--no-ema`."""

    words: ClassVar[tuple[str, ...]] = ("tyro.", "from tyro")

    def reader(self, program: Program) -> Reader:
        return _Reader(program)


class _Reader(FieldReader):
    @property
    def stand_ins(self) -> Mapping[str, StandIn]:
        return {"tyro.cli": self._cli}

    def _cli(self, call: Call) -> Unknown:
        value: Any = call.argument(0, "f")
        words = "FlagConversionOff" in ast.unparse(call.node)  # then a boolean takes a word
        if isinstance(value, Class):
            every = list(leaves(self.program, value))
        elif isinstance(value, Function):
            every = [
                (path, field)
                for parameter in parameters(self.program, value)
                for path, field in self._of_parameter(parameter)
            ]
        else:
            every = []
            self.miss(call)
        self.add(every, lambda path, field: _option(path, field, words))
        return Unknown("args")

    def _of_parameter(self, parameter: Field) -> list[Leaf]:
        nested = parameter.shape.nested
        if nested is None or parameter.shape.several:
            return [((parameter.name,), parameter)]
        return [((parameter.name, *path), field) for path, field in leaves(self.program, nested)]


def _option(path: tuple[str, ...], field: Field, words: bool) -> Option:
    name = ".".join(path).replace("_", "-")
    aliases = (f"--{'.'.join(path)}",) if "_" in ".".join(path) else ()
    if field.annotation is not None and "Positional" in ast.unparse(field.annotation):
        return field.option(field.name, field.name, "position")
    if field.shape.type == "bool" and field.shape.nargs is None and not words:
        before, dot, last = name.rpartition(".")
        return field.option(name, f"--{name}", "no", negation=f"--{before}{dot}no-{last}", aliases=aliases)
    return field.option(name, f"--{name}", "value", aliases=aliases)
