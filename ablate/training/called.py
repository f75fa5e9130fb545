"""Whether a function can be called as a task is, `function(config, run)`: read from its source, nothing is imported."""

from __future__ import annotations

import ast
from pathlib import Path

from ablate.errors import ConfigError
from ablate.text import did_you_mean

_MAPPINGS = frozenset({"dict", "Dict", "Mapping", "MutableMapping", "Any", "object", "Json", "None"})
"""What a configuration is anyway; any other annotation may be a class that it is to be."""

_COMMANDS = ("hydra.main", "click.command", "click.group", "app.command", "typer.command", "command", "main")
"""Decorators that make a function read the command line."""


def check(path: Path, function: str, target: str) -> str:
    """The annotation of the first parameter, as text; empty where it says nothing of a class. ConfigError (key `task`)
    where the file does not define the function, or it does not take (config, run)."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise ConfigError([("task", f"{path}:{error.lineno}: {error.msg}")]) from None
    defined = [name for node in tree.body for name in _names(node)]
    if function not in defined and not any(
        isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in tree.body
    ):
        hint = did_you_mean(function, defined)
        raise ConfigError([("task", f"is {target!r}, but {path} defines no {function!r}.{hint}")])
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    node = next((node for node in reversed(found) if node.name == function), None)
    if node is None:
        return ""  # a class, an import, an assignment: what it takes a run will tell
    _check_parameters(node, path, target)
    first = [*node.args.posonlyargs, *node.args.args][:1]
    return _annotation(first[0].annotation) if first and not node.decorator_list else ""


def _check_parameters(node: ast.FunctionDef | ast.AsyncFunctionDef, path: Path, target: str) -> None:
    where = f"is {target!r}, and {path}:{node.lineno} "
    reads = [name for one in node.decorator_list if (name := _dotted(one)) in _COMMANDS]
    if isinstance(node, ast.AsyncFunctionDef):
        raise ConfigError([("task", f"{where}is `async`; a task's function is called as it is, without a loop.")])
    takes = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
    if reads or (not takes and not node.args.vararg):
        why = f"reads the command line (@{reads[0]})" if reads else "takes nothing"
        raise ConfigError(
            [("task", f"{where}{why}; a task's function takes (config, run). A script is run as it lies there by "
              f"`task: {{command: python {path.name} {{flags}}}}`.")]
        )  # fmt: skip
    if node.decorator_list:
        return  # it may give the function other parameters
    required = len(takes) - len(node.args.defaults)
    named = [one.arg for one, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if not default]
    if required > 2 or named or (len(takes) < 2 and not node.args.vararg):
        listed = ", ".join([*takes, *(f"{name}=" for name in named)])
        raise ConfigError([("task", f"{where}takes ({listed}); a task's function takes (config, run).")])


def _annotation(node: ast.expr | None) -> str:
    text = "" if node is None else str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)
    plain = text.partition("[")[0].rpartition(".")[2].strip()
    return "" if plain in _MAPPINGS else text


def _dotted(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node)


def _names(node: ast.stmt) -> list[str]:
    """The names that a statement at a module's top level binds."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
