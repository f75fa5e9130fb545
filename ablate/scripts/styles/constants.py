"""Constants at the top level of the script: `LR = 0.1`."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import ClassVar

from ablate.records import Json
from ablate.scripts.defaults import as_json
from ablate.scripts.interpreter import Program
from ablate.scripts.script import Option, Type
from ablate.scripts.slices import assigned
from ablate.scripts.style import Found, Reader, Style


@dataclass(frozen=True)
class Constants(Style):
    """A name that is assigned outside of every function, class, loop and condition, and begins with no underscore."""

    last: ClassVar[bool] = True

    def reader(self, program: Program) -> Reader:
        return _Reader(program)


class _Reader(Reader):
    def found(self) -> Found | None:
        script = self.program.script
        options: dict[str, Option] = {}
        for name, value in assigned(script.tree) if script.tree else ():
            if name.startswith("_"):
                continue
            default, computed = _literal(value)
            options[name] = Option(
                name, name, "globals", _type(default), default, computed, file=str(script.path), line=value.lineno
            )
        return Found(list(options.values())) if options else None


def _literal(node: ast.expr) -> tuple[Json, str]:
    """(value, ""), or (None, the expression) where it is no literal that JSON can hold."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None, ast.unparse(node)
    found, computed = as_json(value)
    return (None, ast.unparse(node)) if computed or isinstance(value, set) else (found, "")


def _type(value: Json) -> Type:
    """A number where it is one: a constant that is 0 may well be set to 0.1."""
    if isinstance(value, bool):
        return "bool"
    return "float" if isinstance(value, int | float) else "text" if isinstance(value, str) else ""
