"""Where the names of a notebook or a script come from: the text of its cells, or of the file that is executed.

Nothing is executed to learn it; what a name stands for now is looked up in the namespace itself.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from ablate.scripts.sources import is_foreign, module_file

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_ABSENT = object()


@dataclass(frozen=True)
class Origins:
    """The namespace in which a function was defined, and the texts that were executed in it, the oldest first."""

    namespace: Mapping[str, Any]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        return tuple(_texts(self.namespace))

    @cached_property
    def _trees(self) -> tuple[tuple[str, ast.Module], ...]:
        return tuple((text, tree) for text in self.texts if (tree := _parsed(text)) is not None)

    def definition(self, name: str, value: Any) -> str:
        """The text of the function or class that `name` is bound to, decorators included; empty where it is unknown.

        By the place that its code names: a cell may have been executed again, and not as the last one. A class that has
        no code of its own is the last one that was defined under its name.
        """
        code = code_of(value)
        if code is not None:
            lines = linecache.getlines(code.co_filename)
            for text in ["".join(lines)] if lines else self.texts:
                tree = _parsed(text)
                for node in _statements(tree.body if tree else ()):
                    if isinstance(node, _DEFINITIONS) and _encloses(node, code):
                        return _segment(text, node)
            return ""
        for text, tree in reversed(self._trees):
            for node in reversed(list(_statements(tree.body))):
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return _segment(text, node)
        return ""

    def imports(self, name: str, value: Any) -> tuple[str, ...]:
        """The import statements that bind `name` to this very value, one name each, the oldest first."""
        found: dict[str, None] = {}
        for _, tree in self._trees:
            for node in _statements(tree.body):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    found |= dict.fromkeys(_binding(node, name, value))
        return tuple(found)


def is_known(name: str) -> bool:
    """Whether Python itself has the name, wherever a module is executed."""
    return hasattr(builtins, name) and getattr(getattr(builtins, name), "__module__", "builtins") in ("builtins", "_io")


def code_of(value: Any) -> CodeType | None:
    """The code that tells where a function, or a method of a class, was written."""
    if inspect.isclass(value):
        of_methods = (code_of(inspect.unwrap(one)) for one in vars(value).values() if inspect.isfunction(one))
        return next((code for code in of_methods if code is not None and code.co_filename != "<string>"), None)
    code = getattr(inspect.unwrap(value), "__code__", None)
    return code if isinstance(code, CodeType) else None


def _encloses(node: Definition, code: CodeType) -> bool:
    """Whether a definition is, or as a class holds, the function of this code, whose first line is a decorator's."""
    if isinstance(node, ast.ClassDef):
        return any(_encloses(inner, code) for inner in _statements(node.body) if isinstance(inner, _DEFINITIONS))
    return node.name == code.co_name and _first(node) == code.co_firstlineno


def _first(node: Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _segment(text: str, node: Definition) -> str:
    return textwrap.dedent("".join(text.splitlines(keepends=True)[_first(node) - 1 : node.end_lineno])).rstrip("\n")


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """What a module executes at its top level, also below an `if`, a `try` or a `with`."""
    for node in body:
        yield node
        if not isinstance(node, _DEFINITIONS):
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, part, ()))
            for handler in getattr(node, "handlers", ()):
                yield from _statements(handler.body)


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None  # a cell that did not run either


def _binding(node: ast.Import | ast.ImportFrom, name: str, value: Any) -> Iterator[str]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            bound, module = (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
            if bound == name and sys.modules.get(module) is value:
                yield ast.unparse(ast.Import([alias]))
        elif (alias.asname or alias.name) == name and not node.level and node.module:
            whole = sys.modules.get(f"{node.module}.{alias.name}", _ABSENT)
            if value is whole or value is getattr(sys.modules.get(node.module), alias.name, _ABSENT):
                yield ast.unparse(ast.ImportFrom(node.module, [alias], 0))


def import_of(name: str, value: Any) -> str:
    """An import statement that binds `name` to a module, or to what a module has under its own name; empty: there is
    none. For names that a `*`, a magic of the notebook or a package brought in."""
    if isinstance(value, ModuleType):
        if sys.modules.get(value.__name__) is not value:
            return ""
        return f"import {value.__name__}" + (f" as {name}" if name != value.__name__ else "")
    module, own = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if not isinstance(module, str) or module in ("__main__", "builtins") or not isinstance(own, str):
        return ""
    if not own.isidentifier() or getattr(sys.modules.get(module), own, _ABSENT) is not value:
        return ""
    return f"from {module} import {own}" + (f" as {name}" if name != own else "")


def _texts(namespace: Mapping[str, Any]) -> Iterator[str]:
    """What was executed in a namespace: a notebook's cells, the file of a script, the text behind `python -c`."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None and shell.user_ns is namespace:
        yield from map(str, shell.history_manager.input_hist_parsed)
        return
    file = namespace.get("__file__")
    if isinstance(file, str) and Path(file).is_file():
        yield "".join(linecache.getlines(file))
    elif "-c" in sys.orig_argv[:-1]:
        yield sys.orig_argv[sys.orig_argv.index("-c") + 1]
    else:  # the console of Python 3.13 and later keeps its lines
        yield from ("".join(linecache.getlines(name)) for name in list(linecache.cache) if "python-input" in name)


def out_of_reach(statement: str) -> str:
    """The folder of the user's module that an import statement names, where another process finds none or another of
    that name; empty where all is well. What this process put on its `sys.path`, a run's does not have."""
    node = ast.parse(statement).body[0]
    assert isinstance(node, (ast.Import, ast.ImportFrom))
    top = (node.names[0].name if isinstance(node, ast.Import) else str(node.module)).partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None)
    if file is None or is_foreign(Path(file).resolve()) or module_file(top, Path.cwd()) == Path(file).resolve():
        return ""
    code = "import importlib.util, sys; print(getattr(importlib.util.find_spec(sys.argv[1]), 'origin', None))"
    found = subprocess.run([sys.executable, "-P", "-c", code, top], capture_output=True, text=True, check=False)
    root = Path(file).resolve().parent
    return "" if found.stdout.strip() == file else str(root.parent if Path(file).name == "__init__.py" else root)
