"""Dataclasses by HfArgumentParser, draccus, pyrallis and simple-parsing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.scripts.fields import Field, leaves, shaped
from ablate.scripts.interpreter import Program
from ablate.scripts.modules import StandIn
from ablate.scripts.script import Option
from ablate.scripts.style import FieldReader, Reader, Style
from ablate.scripts.values import Call, Class, Function, Stand, Unknown


@dataclass(frozen=True)
class Dataclasses(Style):
    """Underscores stay. Hugging Face's and simple-parsing's booleans are `--ema True`, draccus' `--ema=True`."""

    words: ClassVar[tuple[str, ...]] = (
        "HfArgumentParser",
        "TrlParser",
        "draccus",
        "pyrallis",
        "simple_parsing",
        "add_arguments",
    )

    def reader(self, program: Program) -> Reader:
        return _Reader(program)


class _Reader(FieldReader):
    @property
    def stand_ins(self) -> Mapping[str, StandIn]:
        hugging = dict.fromkeys(("transformers.HfArgumentParser", "trl.TrlParser"), self._hugging_face)
        wraps = dict.fromkeys(("draccus.wrap", "pyrallis.wrap"), lambda call: _Wrap(self))
        parses = dict.fromkeys(("draccus.parse", "pyrallis.parse"), self._draccus)
        return {
            **hugging,
            **wraps,
            **parses,
            "simple_parsing.ArgumentParser": lambda call: _Simple(self),
            "simple_parsing.parse": self._simple,
        }

    def _hugging_face(self, call: Call) -> Stand:
        given = call.argument(0, "dataclass_types")
        for cls in given if isinstance(given, list | tuple) else [given]:
            self.take(cls, call, "value")
        return _Parsing()

    def _draccus(self, call: Call) -> Unknown:
        self.take(call.argument(0, "config_class"), call, "equals")
        return Unknown("config")

    def _simple(self, call: Call) -> Unknown:
        self.take(call.argument(0, "config_class"), call, "simple")
        return Unknown("config")

    def take(self, cls: Any, call: Call, kind: str) -> None:
        """The options that a library makes of a dataclass."""
        cls = cls if isinstance(cls, Class) else self.program.installed(cls)
        if not isinstance(cls, Class):
            self.miss(call)
        every = leaves(self.program, cls) if isinstance(cls, Class) else ()
        self.add(every, lambda path, field: _option(path, field, kind))


class _Wrap(Stand):
    """draccus' decorator: the dataclass is the annotation of the function's first parameter."""

    def __init__(self, reader: _Reader) -> None:
        self.reader = reader

    def call(self, call: Call) -> Any:
        function = call.args[0]
        if isinstance(function, Function) and function.node.args.args:
            shape = shaped(self.reader.program, function.node.args.args[0].annotation, function.frame)
            self.reader.take(shape.nested, call, "equals")
        return function


class _Parsing(Stand):
    """A parser whose dataclasses are known."""


class _Simple(Stand):
    def __init__(self, reader: _Reader) -> None:
        self.reader = reader

    def attribute(self, name: str) -> Any:
        return self.add_arguments if name == "add_arguments" else Unknown(name)

    def add_arguments(self, call: Call) -> None:
        self.reader.take(call.argument(0, "dataclass"), call, "simple")


def _option(path: tuple[str, ...], field: Field, kind: str) -> Option:
    if kind == "equals":
        name = ".".join(path)
        return field.option(name, f"--{name}", "equals")
    dashed = field.name.replace("_", "-")
    aliases = (f"--{dashed}",) if dashed != field.name and kind == "value" else ()
    more: dict[str, Any] = {"aliases": aliases, "by_value": kind == "value"}
    if field.shape.type == "bool" and field.shape.nargs is None:
        more |= {"nargs": "?", "const": True}
        more |= {"negation": f"--no_{field.name}"} if kind == "value" and field.default is True else {}
    return field.option(field.name, f"--{field.name}", "value", **more)
