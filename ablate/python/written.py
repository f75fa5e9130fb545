"""A function of a notebook or a script as a module of its own: imports, constants and definitions that it uses.

That text is what a study runs and what its runs' keys hash: the same cell in another kernel asks for the same runs, a
changed constant asks anew. Nothing is pickled; what cannot be written as text is refused by name.
"""

from __future__ import annotations

import ast
import inspect
import symtable
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from types import CodeType
from typing import Any

from ablate.errors import ConfigError
from ablate.python.origins import Origins, code_of, import_of, is_known, out_of_reach
from ablate.text import many

LONGEST = 20_000
"""Characters of a constant: more is data, which belongs into a file."""

_ANNOTATIONS = 0x1000000
"""The flag of code below `from __future__ import annotations` (inspect has no name for it)."""


@dataclass(frozen=True)
class Written:
    """A module's name and text, and the function in it that is the task."""

    module: str
    function: str
    text: str

    @property
    def target(self) -> str:
        """As a study names it."""
        return f"{self.module}:{self.function}"


def written(function: Callable[..., Any]) -> Written:
    """The module of a function. ConfigError (key `task`), with a line for everything that cannot be written."""
    name = function.__name__
    writer = _Writer(Origins(function.__globals__))
    writer.add(name, function)
    if writer.problems:
        raise ConfigError([("task", f"{name!r} cannot be written as a module: {why}") for why in writer.problems])
    module = f"{name}_code"
    while any(module in line.replace(".", " ").split() for line in writer.imports):
        module += "_"
    return Written(module, name, writer.text(name))


@dataclass
class _Writer:
    """Collects what a function needs, each name once."""

    origins: Origins
    imports: dict[str, None] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    definitions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    postponed: bool = False

    def text(self, name: str) -> str:
        blocks = [f'"""`{name}` and what it uses, written by ablate from where it is defined; edit it there."""']
        blocks += ["from __future__ import annotations"] if self.postponed else []
        blocks += (
            ["\n".join(sorted(self.imports, key=lambda line: (line.startswith("from"), line)))] if self.imports else []
        )
        blocks += ["\n".join(f"{name} = {value}" for name, value in sorted(self.constants.items()))] * bool(
            self.constants
        )
        return "\n\n".join(blocks) + "".join(f"\n\n\n{definition}" for definition in self.definitions) + "\n"

    def add(self, name: str, value: Any) -> None:
        """Write what `name` stands for, and first what that uses."""
        if name in self.seen:
            return
        self.seen.add(name)
        bound = self.origins.imports(name, value) or ((line,) if (line := import_of(name, value)) else ())
        if bound:
            self.imports |= dict.fromkeys(bound)
            far = out_of_reach(bound[-1])
            if far:
                self.problems.append(
                    f"`{bound[-1]}` finds a module in {far}, and a run would not: start there, install it "
                    "(`pip install -e`), or put that folder on PYTHONPATH before Python starts."
                )
        elif inspect.isfunction(value) or inspect.isclass(value):
            self._define(name, value)
        elif (constant := literal(value)) is not None:
            if len(constant) > LONGEST:
                what = many(len(constant), "character")
                self.problems.append(f"{name!r} is a constant of {what}; write it into a file and read that inside.")
            self.constants[name] = constant
            if "pathlib." in constant:
                self.imports["import pathlib"] = None
        else:
            self.problems.append(f"it uses {name!r}, {what_is(value)}; {_remedy(value)}")

    def _define(self, name: str, value: Any) -> None:
        refused = _refused(name, value)
        if refused:
            self.problems.append(refused)
            return
        text = self.origins.definition(name, value)
        if not text:
            self.problems.append(
                f"the source of {name!r} is not there (it was typed at a console, or edited since it was executed); "
                "execute its cell again, or write it into a module and import it."
            )
            return
        code = code_of(value)
        if isinstance(code, CodeType) and code.co_flags & _ANNOTATIONS:
            self.postponed = True
        for used in used_in(text):
            if used in self.origins.namespace:
                self.add(used, self.origins.namespace[used])
            elif not is_known(used):
                self.problems.append(f"{name!r} uses {used!r}, which is not defined.")
        self.definitions.append(text)
        defined = ast.parse(text).body[0]
        if isinstance(defined, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and defined.name != name:
            self.definitions[-1] += f"\n\n\n{name} = {defined.name}"


def _refused(name: str, value: Any) -> str:
    """Why a function or class cannot be written although its source may be known; empty where it can."""
    own = inspect.unwrap(value)
    if getattr(own, "__name__", "") == "<lambda>":
        return f"{name!r} is a lambda; write it with `def`."
    free = [one for one in getattr(getattr(own, "__code__", None), "co_freevars", ()) if one != "__class__"]
    if free:
        return f"{name!r} uses {', '.join(map(repr, free))} of the function around it; make them keys of `base`."
    if "<locals>" in own.__qualname__:
        return f"{name!r} is defined inside a function; define it at the top level."
    return ""


def used_in(text: str) -> list[str]:
    """The global names that a definition uses, its own left out, as they first appear in it."""
    tree = ast.parse(text)
    wanted = set(_globals(symtable.symtable(text, "<definition>", "exec")))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    ordered = [node.id for node in sorted(names, key=lambda node: (node.lineno, node.col_offset))]
    own = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    every = dict.fromkeys([*ordered, *sorted(wanted)])
    return [name for name in every if name in wanted and name not in own and not name.startswith("__")]


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        free = symbol.is_global() or (top and not symbol.is_assigned())
        if (symbol.is_referenced() and free) or symbol.is_declared_global():
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _globals(inner)


# ----------------------------------------------------------------------------------------------------------- constants


def literal(value: Any) -> str | None:
    """A constant as Python writes it, equal constants alike; None where it is none."""
    kind = type(value)
    if kind is float and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    if kind in (type(None), bool, int, float, complex, str, bytes, range, type(...)):
        return repr(value)
    if isinstance(value, PurePath):
        return f"pathlib.{'Path' if hasattr(value, 'exists') else kind.__name__}({str(value)!r})"
    if kind not in (tuple, list, set, frozenset, dict):
        return None
    if kind is dict:
        pairs = [(literal(key), literal(inner)) for key, inner in value.items()]
        return None if any(None in pair for pair in pairs) else f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
    items = [literal(item) for item in value]
    known = [item for item in items if item is not None]
    if len(known) < len(items):
        return None
    if kind is tuple:
        return f"({', '.join(known)}{',' * (len(known) == 1)})"
    if kind is list:
        return f"[{', '.join(known)}]"
    inside = ", ".join(sorted(known))  # a set has another order in every process
    if kind is frozenset:
        return f"frozenset({{{inside}}})" if known else "frozenset()"
    return f"{{{inside}}}" if known else "set()"


def what_is(value: Any) -> str:
    """A value by its class, as messages call it: `a torch.Tensor of shape (3, 4)`."""
    kind = type(value)
    name = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    shape = getattr(value, "shape", None)
    size = f" of shape {tuple(shape)}" if isinstance(shape, tuple) and shape else ""
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}{size}"


def _remedy(value: Any) -> str:
    if hasattr(value, "state_dict"):
        return "make it inside the function, so that every run starts anew."
    if hasattr(value, "shape") and not getattr(value, "shape", None):
        return "write it as a plain number: int(...) or float(...)."
    if hasattr(value, "__array__") or hasattr(value, "shape"):
        return "make or load it inside the function, from a file where it is large."
    return "make it inside the function, or in a module of yours that is imported."
