"""Which statements of a function or module have to be followed: those that declare options, and what they depend on."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ablate.scripts.operations import CHANGING

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.With, ast.AsyncWith)
_ALWAYS = (ast.Raise, ast.Return, ast.Break, ast.Continue)
_BLOCKS = ("body", "orelse", "finalbody")
_PARTS = ("add_subparsers", "add_parser", "add_argument_group", "add_mutually_exclusive_group")


def marked(
    body: Sequence[ast.stmt],
    matters: Callable[[ast.AST], bool],
    returns: bool = False,
    outermost: bool = False,
    given: frozenset[str] = frozenset(),
) -> dict[int, bool]:
    """The ids of the statements to follow: those that matter, those that bind what they use, and whatever holds one; of
    each, whether somebody asks for the values that it binds.

    returns: whether what a function returns matters as well. outermost: whether it is a module, whose definitions ask
    for what they use when they are called. given: parameters that options are added to.
    """
    simple: list[tuple[ast.stmt, tuple[ast.stmt, ...]]] = list(_simple(body, ()))
    found: dict[int, bool] = {}
    needed: set[str] = set()
    bound: dict[str, list[int]] = {}
    besides: list[tuple[ast.stmt, tuple[ast.stmt, ...]]] = []
    for place, (statement, around) in enumerate(simple):
        if outermost and isinstance(statement, _DEFINITIONS):
            continue
        first = (returns and isinstance(statement, ast.Return)) or matters(statement) or _makes(statement)
        if first or (given and not given.isdisjoint(loaded(statement))):
            _follow(statement, around, found, needed, asked=False)
            if _grows(statement):  # whoever is given it may add options
                needed |= set(_bindings(statement))
            continue
        for name in _bindings(statement):
            bound.setdefault(name, []).append(place)
        if isinstance(statement, _ALWAYS) or _of_an_object(statement):
            besides.append((statement, around))
    done: set[str] = set()
    while needed - done:
        name = (needed - done).pop()
        done.add(name)
        for place in bound.get(name, ()):
            statement, around = simple[place]
            if id(statement) not in found:
                _follow(statement, around, found, needed, asked=True)
    for statement, around in besides:  # they end what is followed anyway, or keep what it made
        if all(id(outer) in found for outer in around):
            found.setdefault(id(statement), False)
    return found


def _follow(
    statement: ast.stmt, around: Sequence[ast.stmt], found: dict[int, bool], needed: set[str], asked: bool
) -> None:
    found[id(statement)] = asked
    needed |= loaded(statement)
    for outer in around:
        if id(outer) not in found:
            found[id(outer)] = False
            for header in _headers(outer):
                needed |= loaded(header)


def _makes(statement: ast.stmt) -> bool:
    """Whether it calls the constructor of a class that an object derives from."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"


def _grows(statement: ast.stmt) -> bool:
    """Whether it binds a parser, or a part of one."""
    call = statement.value if isinstance(statement, ast.Assign) else None
    if not isinstance(call, ast.Call):
        return False
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in _PARTS or name.endswith("ArgumentParser")


def _of_an_object(statement: ast.stmt) -> bool:
    """Whether it sets an attribute, which other functions may ask for."""
    return isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute)


def bindings(body: Sequence[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """By name, the statements of a module's top level that bind or change it, each whole: a loop, a condition."""
    found: dict[str, list[ast.stmt]] = {}
    for outermost in body:
        for statement, _ in _simple([outermost], ()):
            for name in _bindings(statement):
                places = found.setdefault(name, [])
                if not places or places[-1] is not outermost:
                    places.append(outermost)
    return found


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names that a module assigns at its top level, outside of loops and conditions, each with what it is assigned."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id, node.value


def _simple(body: Sequence[ast.stmt], around: tuple[ast.stmt, ...]) -> Iterator[tuple[ast.stmt, tuple[ast.stmt, ...]]]:
    """Statements that hold no others (definitions count as such), each with those around it, in order."""
    for statement in body:
        if isinstance(statement, _DEFINITIONS) or not (hasattr(statement, "body") or isinstance(statement, ast.Match)):
            yield statement, around
            continue
        if isinstance(statement, _LOOPS):
            yield statement, around  # it binds names itself
        inner = (*around, statement)
        for block in _BLOCKS:
            yield from _simple(getattr(statement, block, ()), inner)
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            yield from _simple(part.body, inner)


def _headers(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expressions of a statement that holds others."""
    for name in ("test", "iter", "subject"):
        if hasattr(statement, name):
            yield getattr(statement, name)
    yield from (item.context_expr for item in getattr(statement, "items", ()))


def loaded(node: ast.AST) -> set[str]:
    """Names that a statement uses; of attributes `.name`. Of one that holds others only its header's."""
    found: set[str] = set()
    compound = hasattr(node, "body") and isinstance(node, ast.stmt) and not isinstance(node, _DEFINITIONS)
    waiting: list[Any] = list(_headers(node)) if compound and isinstance(node, ast.stmt) else [node]
    while waiting:
        here = waiting.pop()
        kind = type(here)
        if kind is ast.Name:
            if type(here.ctx) is ast.Load:
                found.add(here.id)
        elif kind is list:
            waiting += here
        elif kind is ast.Attribute:
            found.add(f".{here.attr}")
            waiting.append(here.value)
        elif kind is not ast.Constant and isinstance(here, ast.AST):
            waiting += vars(here).values()
    return found


def _bindings(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement binds, or may change."""
    match statement:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _targets(target)
            yield from _given(value)
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            yield from _targets(target)
        case ast.For(target=target) | ast.AsyncFor(target=target):
            yield from _targets(target)
        case ast.With(items=items) | ast.AsyncWith(items=items):
            for item in items:
                if item.optional_vars is not None:
                    yield from _targets(item.optional_vars)
        case ast.Import(names=names):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in names)
        case ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name for alias in names)
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Expr(value=value):
            yield from _given(value)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names


def _given(value: ast.expr) -> Iterator[str]:
    """Names that a call may change: what a changing method is called on, and what a function is given."""
    if isinstance(value, ast.Call):
        if isinstance(value.func, ast.Attribute) and value.func.attr in CHANGING:
            yield from _targets(value.func.value)
        yield from (arg.id for arg in value.args if isinstance(arg, ast.Name))


def _targets(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for each in elements:
                yield from _targets(each)
        case ast.Starred(value=value) | ast.Subscript(value=value):
            yield from _targets(value)
        case ast.Attribute(attr=name):
            yield f".{name}"
