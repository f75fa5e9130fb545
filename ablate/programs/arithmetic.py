"""Arithmetic over captured numbers: `100 * correct / total`, and nothing else. No code of the user's is executed."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}  # fmt: skip
_DEEPEST = 50


@dataclass(frozen=True)
class Formula:
    """A formula and the names that it takes."""

    text: str
    tree: ast.expr
    names: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Formula:
        """ValueError says what is allowed."""
        try:
            tree = ast.parse(text, mode="eval").body
            names = tuple(dict.fromkeys(_names(tree)))
        except (SyntaxError, RecursionError):
            raise ValueError("it must be arithmetic such as 100 * correct / total") from None
        return cls(text, tree, names)

    def value(self, numbers: Mapping[str, float]) -> float | None:
        """NaN for what has no value, such as a division by 0; None where a name has none yet."""
        if not all(name in numbers for name in self.names):
            return None
        try:
            found = _value(self.tree, numbers)
        except (ArithmeticError, ValueError):
            return math.nan
        return float(found) if isinstance(found, int | float) else math.nan  # a root of a negative number


def _names(node: ast.expr, depth: int = 0) -> list[str]:
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return []
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return _names(node.operand, depth + 1)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _names(node.left, depth + 1) + _names(node.right, depth + 1)
    what = "a function" if isinstance(node, ast.Call) else ast.unparse(node)[:40]
    raise ValueError(f"it must be arithmetic (+ - * / **) over captured names and numbers, and has {what}")


def _value(node: ast.expr, numbers: Mapping[str, float]) -> float:
    if isinstance(node, ast.Name):
        return numbers[node.id]
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, numbers)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left, numbers), _value(node.right, numbers))
    assert isinstance(node, ast.Constant)
    return float(node.value)  # type: ignore[arg-type]
