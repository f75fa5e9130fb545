"""Fields of dataclasses and parameters of functions as options: what libraries make a command line of.

Their types are read from annotations, their help from metadata, from the text below a field or the comment beside it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ablate.scripts.defaults import as_json
from ablate.scripts.interpreter import Program
from ablate.scripts.script import Kind, Option, Type
from ablate.scripts.values import Class, Frame, Function, Member, Unknown

_PLAIN: dict[str, Type] = {"int": "int", "float": "float", "str": "text", "bool": "bool", "Path": "text"}
_LISTS = ("list", "List", "Sequence", "Iterable", "tuple", "Tuple", "set", "Set")
MISSING = object()
"""In place of a default where there is none."""


@dataclass(frozen=True)
class Shape:
    """What an annotation says: the type of a value, how many, which; nested: the dataclass whose fields are meant."""

    type: Type = ""
    nargs: int | str | None = None
    choices: tuple[Any, ...] = ()
    members: tuple[Member, ...] = ()
    """Those of an enumeration, whose names are the choices."""
    nested: Class | None = None
    several: bool = False
    """Whether several dataclasses may stand there."""


@dataclass(frozen=True)
class Field:
    """A field of a dataclass, or a parameter of a function. default: MISSING where it has to be given."""

    name: str
    shape: Shape
    default: Any
    help: str
    annotation: ast.expr | None
    line: int
    file: str

    def option(self, name: str, typed: str, kind: Kind, by_value: bool = False, **more: Any) -> Option:
        """The option that a library makes of it. by_value: whether members of an enumeration are typed by value."""
        default, computed = (None, "") if self.default is MISSING else as_json(self.default, self.shape.type)
        if isinstance(self.default, Member) and not by_value:
            default, computed = self.default.name, ""
        choices = tuple(member.value for member in self.shape.members) if by_value else ()
        several = isinstance(default, list) and self.shape.nargs is None
        return Option(
            name=name,
            typed=typed,
            kind=kind,
            **{
                "type": self.shape.type or _type_of(default),
                "default": default,
                "computed": computed,
                "choices": choices or self.shape.choices,
                "nargs": "*" if several else self.shape.nargs,
                "required": self.default is MISSING,
                "help": self.help,
                "line": self.line,
                "file": self.file,
                **more,
            },
        )


Leaf = tuple[tuple[str, ...], Field]
"""A field that holds no dataclass, after the path to it."""


def fields(program: Program, cls: Class) -> list[Field]:
    """The fields of a dataclass, those of its bases first."""
    found: dict[str, Field] = {}
    for each in reversed(cls.ancestry()):
        for place, node in enumerate(each.node.body):
            if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
                continue
            if not any(name in ast.unparse(node.annotation) for name in ("ClassVar", "InitVar")):
                after = each.node.body[place + 1] if place + 1 < len(each.node.body) else None
                found[node.target.id] = _field(program, each, node, after)
    return list(found.values())


def parameters(program: Program, function: Function) -> list[Field]:
    """The parameters of a function that is no lambda."""
    spec = function.node.args
    every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    first: list[ast.expr | None] = [None] * (len(spec.posonlyargs) + len(spec.args) - len(spec.defaults))
    found = []
    for arg, node in zip(every, [*first, *spec.defaults, *spec.kw_defaults], strict=True):
        default = MISSING if node is None else _asked(program, node, function.frame)
        shape = shaped(program, arg.annotation, function.frame)
        path = str(function.frame.space.path)
        found.append(Field(arg.arg, shape, default, "", arg.annotation, arg.lineno, path))
    return found


def leaves(program: Program, cls: Class, prefix: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Every field below a dataclass."""
    for each in fields(program, cls):
        if each.shape.nested is not None and not each.shape.several and len(prefix) < 8:
            yield from leaves(program, each.shape.nested, (*prefix, each.name))
        else:
            yield (*prefix, each.name), each


def _field(program: Program, cls: Class, node: ast.AnnAssign, after: ast.stmt | None) -> Field:
    assert isinstance(node.target, ast.Name)
    frame = Frame(cls.frame.space, cls.frame)
    shape = shaped(program, node.annotation, frame)
    default, told = MISSING, ""
    if node.value is not None:
        default, told = _default(program, node.value, program.body(cls))
    if (
        not told
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    ):
        told = " ".join(after.value.value.split())
    told = told or _comment(cls.frame.space.text, node.lineno)
    return Field(node.target.id, shape, default, told, node.annotation, node.lineno, str(cls.frame.space.path))


def _default(program: Program, node: ast.expr, frame: Frame) -> tuple[Any, str]:
    """(the default, the help) of `field(...)` and its like, or of a plain value."""
    if not (
        isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("field", "HfArg", "mutable_field")
    ):
        return _asked(program, node, frame), ""
    given = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    told = _asked(program, given["help"], frame) if "help" in given else ""
    if "metadata" in given:
        metadata = _asked(program, given["metadata"], frame)
        told = metadata.get("help", told) if isinstance(metadata, dict) else told
    default: Any = MISSING
    factory = given.get("default_factory")
    if "default" in given or (node.args and factory is None):
        default = _asked(program, given.get("default", node.args[0] if node.args else ast.Constant(None)), frame)
    elif isinstance(factory, ast.Lambda):
        default = _asked(program, factory.body, frame)
    elif factory is not None:
        default = _asked(program, ast.Call(func=factory, args=[], keywords=[]), frame)
        default = Unknown(f"{ast.unparse(factory)}()") if isinstance(default, Unknown) else default
    return default, " ".join(told.split()) if isinstance(told, str) else ""


def _asked(program: Program, node: ast.expr, frame: Frame) -> Any:
    program.asked += 1
    value = program.settled(program.evaluate(node, frame))
    program.asked -= 1
    return value


def shaped(program: Program, node: ast.expr | None, frame: Frame) -> Shape:
    """What an annotation says."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return Shape()
    if node is None:
        return Shape()
    if isinstance(node, ast.BinOp):
        return _one_of(program, [node.left, node.right], frame)
    if isinstance(node, ast.Subscript):
        return _of_generic(program, node, frame)
    name = ast.unparse(node).rpartition(".")[2]
    if name in _PLAIN:
        return Shape(_PLAIN[name])
    if name in _LISTS:
        return Shape(nargs="*")
    value = _asked(program, node, frame)
    if isinstance(value, Class):
        if value.outside().startswith("enum."):
            members = tuple(program.items(value) or ())
            return Shape("text", choices=tuple(member.name for member in members), members=members)
        return Shape(nested=value) if _is_dataclass(value) else Shape()
    return Shape()


def _of_generic(program: Program, node: ast.Subscript, frame: Frame) -> Shape:
    name = ast.unparse(node.value).rpartition(".")[2]
    inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name in ("Optional", "Annotated", "Final", "Required", "NotRequired", "Positional", "Suppress"):
        return shaped(program, inner[0], frame)
    if name == "Union":
        return _one_of(program, inner, frame)
    if name == "Literal":
        values = tuple(value.value for value in inner if isinstance(value, ast.Constant) and value.value is not None)
        types = {_type_of(value) for value in values}
        return Shape(types.pop() if len(types) == 1 else "", choices=values)
    if name in _LISTS:
        each = shaped(program, inner[0], frame)
        fixed = name in ("tuple", "Tuple") and not (len(inner) > 1 and ast.unparse(inner[-1]) == "...")
        return Shape(each.type, len(inner) if fixed else "*", each.choices)
    return Shape()


def _one_of(program: Program, nodes: Sequence[ast.expr], frame: Frame) -> Shape:
    """`A | B`: what both agree in. None among them says only that a value may be left out."""
    shapes = [shaped(program, node, frame) for node in nodes if ast.unparse(node) != "None"]
    if len(shapes) == 1:
        return shapes[0]
    nested = next((shape.nested for shape in shapes if shape.nested is not None), None)
    if nested is not None:
        return Shape(nested=nested, several=True)
    if {shape.type for shape in shapes} == {"int", "float"}:
        return Shape("float")
    return Shape()


def _is_dataclass(cls: Class) -> bool:
    return any(
        "dataclass" in ast.unparse(d) or "define" in ast.unparse(d)
        for c in cls.ancestry()
        for d in c.node.decorator_list
    )


def _type_of(value: Any) -> Type:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "int" if isinstance(value, int) else "float"
    return "text" if isinstance(value, str) else ""


def _comment(text: str, line: int) -> str:
    """The comment beside a line, or the one above it."""
    lines = text.splitlines()
    _, mark, beside = lines[line - 1].partition("  # ")
    above = lines[line - 2].strip() if line > 1 else ""
    return beside.strip() if mark else above.removeprefix("#").strip() if above.startswith("#") else ""
