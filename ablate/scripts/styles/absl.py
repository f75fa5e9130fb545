"""absl: `flags.DEFINE_float("lr", 0.1, "step size")`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.scripts.defaults import as_json, help_line
from ablate.scripts.interpreter import Program
from ablate.scripts.modules import StandIn
from ablate.scripts.script import Option, Type
from ablate.scripts.style import Found, Reader, Style
from ablate.scripts.values import Call, Unknown

_TYPES: dict[str, Type] = {
    "string": "text", "integer": "int", "float": "float", "bool": "bool", "boolean": "bool", "enum": "text",
    "list": "text", "spaceseplist": "text", "enum_class": "",
}  # fmt: skip


@dataclass(frozen=True)
class Absl(Style):
    """A boolean is `--ema=True`; lists and those that may be given again are `--sizes=1,2`."""

    words: ClassVar[tuple[str, ...]] = ("DEFINE_", "app.run")

    def reader(self, program: Program) -> Reader:
        return _Reader(program)


class _Reader(Reader):
    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.options: dict[str, Option] = {}

    @property
    def stand_ins(self) -> Mapping[str, StandIn]:
        found: dict[str, StandIn] = {}
        for kind in _TYPES:
            found[f"absl.flags.DEFINE_{kind}"] = self._defining(kind, several=kind in ("list", "spaceseplist"))
            found[f"absl.flags.DEFINE_multi_{kind}"] = self._defining(kind, several=True)
        found["ml_collections.config_flags.DEFINE_config_file"] = self._config
        return found

    def _config(self, call: Call) -> Unknown:
        self.miss(call, "a configuration file's keys are options, too")
        return Unknown("config")

    def _defining(self, kind: str, several: bool) -> Callable[[Call], Unknown]:
        def define(call: Call) -> Unknown:
            name = call.argument(0, "name")
            if not isinstance(name, str):
                self.miss(call, "the flag's name is not known before it runs")
                return Unknown("flag")
            self.options[name] = self._option(name, kind, several, call)
            return Unknown(name)

        return define

    def _option(self, name: str, kind: str, several: bool, call: Call) -> Option:
        listed = kind in ("enum", "enum_class")
        default, computed = as_json(call.argument(1, "default"))
        if isinstance(default, str) and kind in ("list", "spaceseplist"):
            default = default.split("," if kind == "list" else None)
        choices: Any = self.program.items(call.argument(2, "enum_values")) if kind == "enum" else ()
        help_ = call.argument(3 if listed else 2, "help")
        return Option(
            name, f"--{name}", "equals", _TYPES[kind], default, computed,
            choices=tuple(choices or ()), nargs="*" if several else None, help=help_line(help_, {}),
            negation=f"--no{name}" if kind in ("bool", "boolean") else "",
            file=str(call.space.path), line=call.line,
        )  # fmt: skip

    def found(self) -> Found | None:
        return Found(list(self.options.values()), self.unread) if self.options or self.unread else None
