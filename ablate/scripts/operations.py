"""What may be computed while a program is read: Python's operators, and functions that read only their arguments."""

from __future__ import annotations

import ast
import math
import operator
import os
import string
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any

from ablate.scripts.values import Class, External, Function, Member, Value

MOST = 2000
"""Items that a loop is followed through, and characters or items that an operator may make times 50."""

REFUSALS = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, MemoryError)
"""What Python raises where an operation does not take the values that it is given."""

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.BitOr: operator.or_, ast.BitAnd: operator.and_, ast.BitXor: operator.xor,
    ast.UAdd: operator.pos, ast.USub: operator.neg, ast.Invert: operator.invert, ast.Not: operator.not_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
PURE: set[Any] = {
    int, float, str, bool, bytes, complex, list, tuple, dict, set, frozenset, len, range, sorted, enumerate, zip, min,
    max, sum, abs, round, any, all, reversed, repr, divmod, chr, ord, hex, bin, oct,
}  # fmt: skip
"""What may be called with values that are known: it reads and changes nothing."""
BUILTINS = {function.__name__: function for function in PURE} | {"object": object, "type": type}

PLAIN = (str, bytes, int, float, complex, bool, list, tuple, dict, set, frozenset, range, PurePath)
HARMLESS_PATH = ("joinpath", "with_suffix", "with_name", "as_posix", "relative_to", "is_absolute")
PATH_PARTS = ("parent", "name", "stem", "suffix", "parts")
CHANGING = {
    "append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "update", "setdefault", "popitem", "add",
    "discard",
}  # fmt: skip
_EXTERNALS: dict[str, Any] = {
    "math.pi": math.pi, "math.e": math.e, "math.inf": math.inf, "math.nan": math.nan, "numpy.inf": math.inf,
    "numpy.pi": math.pi, "sys.version_info": tuple(sys.version_info), "sys.platform": sys.platform, "os.name": os.name,
    "sys.maxsize": sys.maxsize, "os.sep": os.sep, "os.pathsep": os.pathsep, "os.linesep": os.linesep,
    "os.path.sep": os.sep, "os.curdir": os.curdir, "os.path.curdir": os.curdir, "os.devnull": os.devnull,
    "string.ascii_letters": string.ascii_letters,
    "string.digits": string.digits, "string.ascii_lowercase": string.ascii_lowercase, "typing.TYPE_CHECKING": False,
}  # fmt: skip
EXTERNAL_CALLS: dict[str, Callable[..., Any]] = {
    "os.path.join": os.path.join, "os.path.basename": os.path.basename, "os.path.dirname": os.path.dirname,
    "os.path.splitext": os.path.splitext, "os.path.normpath": os.path.normpath, "pathlib.Path": PurePath,
    "pathlib.PurePath": PurePath, "textwrap.dedent": textwrap.dedent, "collections.OrderedDict": dict,
    "math.log": math.log, "math.sqrt": math.sqrt, "math.exp": math.exp,
}  # fmt: skip
"""Functions of libraries that are computed: they read nothing but their arguments."""


def external(name: str) -> Any:
    """What a dotted name of a library means: a value that is the same everywhere on this machine, or External."""
    return _EXTERNALS[name] if name in _EXTERNALS else External(name)


SAME = (Function, Class, Member)
"""What is equal to itself and to nothing else."""


def any_unknown(values: Iterable[Any], but: tuple[type, ...] = ()) -> bool:
    """Whether any value, or any within it, is not a plain one. but: kinds that do not count."""
    for value in values:
        if isinstance(value, Value) and not isinstance(value, but):
            return True
        if isinstance(value, list | tuple | set) and any_unknown(value, but):
            return True
        if isinstance(value, dict) and (any_unknown(value, but) or any_unknown(value.values(), but)):
            return True
    return False


def unknown_within(value: Any) -> bool:
    return any_unknown([value])


def too_large(op: ast.operator, left: Any, right: Any) -> bool:
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if isinstance(op, ast.Pow | ast.LShift):
        return not numbers or abs(right) > 1000 or (isinstance(left, int) and left.bit_length() > 1000)
    if isinstance(op, ast.Mult) and not numbers:
        size, times = (left, right) if isinstance(right, int) else (right, left)
        return not isinstance(times, int) or len(size) * times > 50 * MOST
    return False


def sized(value: Any) -> Any:
    if isinstance(value, str | bytes | list | tuple) and len(value) > 50 * MOST:
        raise MemoryError
    return value
