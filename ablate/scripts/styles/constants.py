"""Constants at the top level of the script: `LR = 0.1`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ablate.records import Json
from ablate.scripts.interpreter import Program
from ablate.scripts.script import Option, Type
from ablate.scripts.style import Found, Reader, Style


@dataclass(frozen=True)
class Constants(Style):
    """A name that is assigned once, outside of every function, class, loop and condition."""

    last: ClassVar[bool] = True

    def reader(self, program: Program) -> Reader:
        return _Reader(program)


class _Reader(Reader):
    def found(self) -> Found | None:
        script = self.program.script
        options: dict[str, Option] = {}
        for name, value in _assigned(script.tree) if script.tree else ():
            default, computed = _literal(value)
            options[name] = Option(
                name, name, "globals", _type(default), default, computed, file=str(script.path), line=value.lineno
            )
        return Found(list(options.values())) if options else None


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if value is not None and len(targets) == 1 and isinstance(targets[0], ast.Name):
            name = targets[0].id
            if not name.startswith("_"):
                yield name, value


def _literal(node: ast.expr) -> tuple[Json, str]:
    """(value, ""), or (None, the expression) where it is no literal that JSON can hold."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None, ast.unparse(node)
    value = list(value) if isinstance(value, tuple) else value
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value, ""
    return None, ast.unparse(node)


def _type(value: Json) -> Type:
    """A number where it is one: a constant that is 0 may well be set to 0.1."""
    if isinstance(value, bool):
        return "bool"
    return "float" if isinstance(value, int | float) else "text" if isinstance(value, str) else ""
