"""argparse: the script's calls are made on a parser of argparse's own, which is asked what it came to."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ablate.scripts.defaults import as_json, help_line
from ablate.scripts.interpreter import Program
from ablate.scripts.modules import StandIn
from ablate.scripts.operations import unknown_within
from ablate.scripts.script import Kind, Option, Type
from ablate.scripts.style import Found, Reader, Style
from ablate.scripts.values import Call, Class, External, Function, Instance, Stand, Unknown, Value

_PARSERS = (
    "argparse.ArgumentParser",
    "configargparse.ArgumentParser",
    "configargparse.ArgParser",
    "configargparse.ArgParse",
)


@dataclass(frozen=True)
class Argparse(Style):
    """Groups, parents, subcommands, set_defaults, helper functions, loops over names that are known."""

    words: ClassVar[tuple[str, ...]] = (
        "ArgumentParser", "ArgParser(", "add_argument", "parse_args", "parse_known", "parse_intermixed", "set_defaults",
        "add_parser", "add_subparsers", "add_mutually",
    )  # fmt: skip

    def reader(self, program: Program) -> Reader:
        return _Reader(program)


class _Quick(argparse.ArgumentParser):
    """argparse makes a formatter, which asks for the terminal's width, for every option."""

    _one = argparse.HelpFormatter("", width=80)

    def _get_formatter(self) -> argparse.HelpFormatter:
        return self._one


class _Custom(argparse.Action):
    """In place of an action of the program's or of a library's."""

    def __init__(self, option_strings: Any, dest: str, **kwargs: Any) -> None:
        allowed = ("nargs", "const", "default", "type", "choices", "required", "help", "metavar")
        super().__init__(option_strings, dest, **{k: v for k, v in kwargs.items() if k in allowed})

    def __call__(self, *_: Any, **__: Any) -> None:
        raise AssertionError("no argument is parsed")


@dataclass
class _Note:
    """What is known of an action beside argparse's own record of it."""

    file: str
    line: int
    type: Any = None
    help: Any = None
    choices: Any = None
    custom: bool = False


class _Reader(Reader):
    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.parsers: list[_Parser] = []
        self.notes: dict[int, _Note] = {}
        self.called: set[tuple[Path, int]] = set()
        self._orphan: _Parser | None = None

    @property
    def stand_ins(self) -> Mapping[str, StandIn]:
        return {
            **dict.fromkeys(_PARSERS, self.parser),
            "argparse.Namespace": lambda call: Unknown("Namespace"),
            "argparse.FileType": lambda call: Unknown("FileType"),
            "argparse.Action": lambda call: Unknown("Action"),
            "?.add_argument": lambda call: self.orphan(call).add_argument(call),
            "?.set_defaults": lambda call: self.orphan(call).set_defaults(call),
            "?.add_parser": lambda call: self.orphan(call),
            "?.parse_args": lambda call: self.miss(call, f"{call.text}: of a parser that was not read"),
            "?.parse_known_args": lambda call: self.miss(call, f"{call.text}: its parser was not read"),
            "?.add_argument_group": lambda call: Unknown("group"),
            "?.add_mutually_exclusive_group": lambda call: Unknown("group"),
        }

    def orphan(self, call: Call) -> _Parser:
        """The parser of options that are added to what is not known."""
        self.miss(call, f"{call.text}: what it is added to was not read")
        if self._orphan is None:
            self._orphan = _Parser(self, _Quick(conflict_handler="resolve", add_help=False))
            self.parsers.append(self._orphan)
        return self._orphan

    def parser(self, call: Call, command: tuple[str, ...] = ()) -> _Parser:
        """A parser with the options of its parents."""
        given = {k: v for k, v in call.kwargs.items() if not unknown_within(v) and k in _OF_PARSERS}
        real = _Quick(**given)
        for parent in self.program.items(call.kwargs.get("parents", ())) or ():
            parent = parent.native if isinstance(parent, Instance) else parent
            if not isinstance(parent, _Parser):
                self.miss(call, "a parent that was not read")
                continue
            parent.used = True
            try:
                real._add_container_actions(parent.real)
                real._defaults.update(parent.real._defaults)
            except argparse.ArgumentError as error:
                self.miss(call, str(error))
        if call.unknown or self.program.items(call.kwargs.get("parents", ())) is None:
            self.miss(call, "a parser with parents that were not read")
        parser = _Parser(self, real, command)
        self.parsers.append(parser)
        return parser

    def found(self) -> Found | None:
        unread = [*self.unread, *self._passed_over()]
        options: dict[tuple[Any, ...], Option] = {}
        for parser in self.parsers:
            if parser.used:
                continue
            place = 0
            for action in parser.real._actions:
                option = self._option(action, parser.command, place)
                if option is not None:
                    place += option.kind == "position"
                    options.setdefault((option.command, option.typed), option)
        if not self.parsers and not unread:
            return None
        every = list(options.values())
        return Found([_with_twin(option, every) for option in every], unread)

    def _passed_over(self) -> Iterator[str]:
        """Lines of the script that add options and were not come by: nobody may be told that there are none."""
        script = self.program.script
        if script.tree is None or script.text.count(".add_argument(") <= len(self.called):
            return
        for node in ast.walk(script.tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr == "add_argument" and (script.path, node.func.end_lineno) not in self.called:
                yield f"{script.path.name}:{node.lineno}: {ast.unparse(node)[:80]}: it was not come by"

    def _option(self, action: argparse.Action, command: tuple[str, ...], place: int) -> Option | None:
        if isinstance(action, argparse._HelpAction | argparse._VersionAction | argparse._SubParsersAction):
            return None
        note = self.notes[id(action)]
        kind, type_ = _kind(action), _type(action, note)
        names = [name for name in action.option_strings if not (kind == "no" and name.startswith("--no-"))]
        names = names or list(action.option_strings)
        typed = next((name for name in names if name.startswith("--")), names[0] if names else action.dest)
        default, computed = as_json(action.default, type_)
        if kind == "flag" and not computed:  # as if it were given, or not
            default = action.default is not None and action.default == action.const
        choices = self.program.items(note.choices) if note.choices is not None else None
        plain = [as_json(choice) for choice in choices or ()]
        const, _ = as_json(action.const)
        return Option(
            name=typed.lstrip("-") or typed,
            typed=typed,
            kind=kind if names else "position",
            type=type_,
            default=default,
            computed=computed,
            choices=() if any(text for _, text in plain) else tuple(value for value, _ in plain),
            nargs=None if isinstance(action.nargs, Value) or action.nargs == 0 else action.nargs,
            const=const if action.nargs == "?" or isinstance(action, argparse._StoreConstAction) else None,
            required=action.required is True,
            help=help_line(note.help, {**vars(action), "default": default, "choices": note.choices, "prog": ""}),
            negation=next((name for name in action.option_strings if name.startswith("--no-")), "")
            if kind == "no"
            else "",
            aliases=tuple(name for name in names if name != typed),
            command=command,
            place=place if not names else 0,
            file=note.file,
            line=note.line,
        )


def _with_twin(option: Option, every: Sequence[Option]) -> Option:
    """A switch that another one turns off, as what it is: `--mixup` and `--no-mixup`."""
    twin = next((o for o in every if o.command == option.command and o.name == f"no-{option.name}"), None)
    if option.kind != "flag" or twin is None or twin.kind != "flag":
        return option
    return replace(option, kind="no", negation=twin.typed)


_OF_CONFIGARGPARSE = ("env_var", "is_config_file", "is_config_file_arg", "is_write_out_config_file_arg")
_OF_PARSERS = ("prefix_chars", "argument_default", "conflict_handler", "add_help")


class _Container(Stand):
    """A parser, or a group of one."""

    def __init__(self, reader: _Reader, real: Any) -> None:
        self.reader = reader
        self.real = real

    def attribute(self, name: str) -> Any:
        return getattr(self, name) if name in self.methods else Unknown(name)

    methods: ClassVar[tuple[str, ...]] = (
        "add_argument", "add_argument_group", "add_mutually_exclusive_group", "set_defaults", "get_default", "register",
    )  # fmt: skip

    def add_argument(self, call: Call) -> Any:
        if call.args and isinstance(call.args[0], argparse.Action):
            self.reader.miss(call, "an action that the program makes itself")
            return Unknown()
        names = call.args
        self.reader.called.add((call.space.path, getattr(getattr(call.node, "func", None), "end_lineno", call.line)))
        if (call.unknown and not names) or not all(isinstance(name, str) for name in names):
            self.reader.miss(call, f"{call.text}: the option's name is not known before it runs")
            return Unknown()
        if call.unknown:
            self.reader.miss(call, f"{call.text}: what it takes is not known before it runs")
        kwargs = dict(call.kwargs)
        note = _Note(
            str(call.space.path),
            call.line,
            kwargs.pop("type", None),
            kwargs.pop("help", None),
            kwargs.pop("choices", None),
        )
        for name in ("metavar", *_OF_CONFIGARGPARSE):
            kwargs.pop(name, None)
        self._action_of(kwargs, note)
        if isinstance(kwargs.get("nargs"), Value):
            kwargs["nargs"] = _NARGS.get(getattr(kwargs["nargs"], "name", ""))
        if isinstance(kwargs.get("required"), Value):
            kwargs["required"] = False
        try:
            action = self.real.add_argument(*names, **kwargs)
        except argparse.ArgumentError:
            self._again(names, kwargs)
            return Unknown()
        except (TypeError, ValueError) as error:
            self.reader.miss(call, f"{call.text}: {error}")
            return Unknown()
        self.reader.notes[id(action)] = note
        return _Added(self.reader, action, note)

    def _action_of(self, kwargs: dict[str, Any], note: _Note) -> None:
        """An action that argparse knows: its own, or a placeholder for one of the program's."""
        action = kwargs.get("action")
        if isinstance(action, Class) and action.outside().startswith("argparse."):
            own = getattr(argparse, action.outside().removeprefix("argparse."), None)
            note.custom = True
            kwargs["action"] = _made_by(self.reader, action, own)
        elif (
            isinstance(action, External) and action.name.startswith("argparse.") and hasattr(argparse, action.name[9:])
        ):
            kwargs["action"] = getattr(argparse, action.name[9:])
        elif isinstance(action, Value):
            note.custom = True
            kwargs["action"] = _Custom
        if kwargs.get("action") == "version":
            kwargs["version"] = ""
        if kwargs.get("action") in (None, "store", "append", "extend"):
            kwargs["type"] = None

    def _again(self, names: list[Any], kwargs: dict[str, Any]) -> None:
        """An option for the second time: of two branches one is taken, and the default is known where both agree."""
        for action in self.real._actions:
            if set(names) & set(action.option_strings) and repr(kwargs.get("default")) != repr(action.default):
                action.default = Unknown()

    def add_argument_group(self, call: Call) -> _Container:
        return _Container(self.reader, self.real.add_argument_group(""))

    def add_mutually_exclusive_group(self, call: Call) -> _Container:
        return _Container(self.reader, self.real.add_mutually_exclusive_group())

    def set_defaults(self, call: Call) -> None:
        if call.unknown and not call.unsure:  # of a file that only some runs are given
            self.reader.miss(call, f"{call.text}: defaults that are not known before it runs")
        self.real.set_defaults(**{k: Unknown(k) if call.unsure else v for k, v in call.kwargs.items()})

    def get_default(self, call: Call) -> Any:
        return self.real.get_default(call.argument(0, "dest"))

    def register(self, call: Call) -> None:
        """What a name of a type or an action stands for is asked for by nobody."""


class _Parser(_Container):
    methods: ClassVar[tuple[str, ...]] = (
        *_Container.methods, "add_subparsers", "parse_args", "parse_known_args", "parse_intermixed_args",
    )  # fmt: skip

    def __init__(self, reader: _Reader, real: _Quick, command: tuple[str, ...] = ()) -> None:
        super().__init__(reader, real)
        self.command = command
        self.used = False

    def add_subparsers(self, call: Call) -> _Subparsers:
        return _Subparsers(self)

    def parse_args(self, call: Call) -> Unknown:
        return Unknown("args")

    parse_known_args = parse_intermixed_args = parse_args


class _Subparsers(Stand):
    def __init__(self, parser: _Parser) -> None:
        self.parser = parser

    def attribute(self, name: str) -> Any:
        return self.add_parser if name == "add_parser" else Unknown(name)

    def add_parser(self, call: Call) -> Any:
        name = call.argument(0, "name")
        if not isinstance(name, str):
            self.parser.reader.miss(call, "a subcommand whose name is not known before it runs")
            name = "?"
        return self.parser.reader.parser(call, (*self.parser.command, name))


@dataclass(eq=False)
class _Added(Stand):
    """What add_argument returns: programs change it afterwards."""

    reader: _Reader
    action: argparse.Action
    note: _Note

    def attribute(self, name: str) -> Any:
        value = getattr(self.action, name, Unknown(name))
        return value if isinstance(value, str | int | float | bool | list | None) else Unknown(name)

    def set(self, name: str, value: Any) -> None:
        if name in ("default", "required", "const"):
            setattr(self.action, name, value)
        elif name in ("choices", "help", "type"):
            setattr(self.note, name, value)


def _made_by(reader: _Reader, cls: Class, own: Any) -> type[argparse.Action]:
    """The action that a class of the program stands for: what its constructor tells argparse's own."""
    base: type[argparse.Action] = own if isinstance(own, type) and own is not argparse.Action else _Custom
    found = reader.program.body(cls).names.get("__init__")
    if not isinstance(found, Function):
        return base
    init: Function = found

    class Told(base):  # type: ignore[misc, valid-type]
        def __init__(self, option_strings: Any, dest: str, **kwargs: Any) -> None:
            told = {"option_strings": option_strings, "dest": dest, **kwargs}
            instance = Instance(cls, native=_Telling(told))
            reader.program.called(
                Function(init.node, init.frame, (instance,), cls), Call([], dict(told), init.node, init.frame.space)
            )
            super().__init__(**told)

    return Told


@dataclass(eq=False)
class _Telling(Stand):
    """`super()` of an action's constructor: keeps what it is told."""

    told: dict[str, Any]

    def attribute(self, name: str) -> Any:
        return self.init if name == "__init__" else Unknown(name)

    def init(self, call: Call) -> None:
        given = (
            dict(zip(("option_strings", "dest", "nargs", "const", "default"), call.args, strict=False)) | call.kwargs
        )
        self.told |= {k: v for k, v in given.items() if k not in ("type", "choices", "help", "metavar")}


def _kind(action: argparse.Action) -> Kind:
    if isinstance(action, argparse.BooleanOptionalAction):
        return "no"
    if isinstance(action, argparse._CountAction):
        return "count"
    if isinstance(action, argparse._ExtendAction):
        return "value"
    if isinstance(action, argparse._AppendAction):
        return "repeat"
    return "flag" if action.nargs == 0 else "value"


_TYPES: dict[Any, Type] = {int: "int", float: "float", str: "text", None: "text"}
_NARGS = {"argparse.OPTIONAL": "?", "argparse.ZERO_OR_MORE": "*", "argparse.ONE_OR_MORE": "+",
          "argparse.REMAINDER": "...", "argparse.PARSER": "A..."}  # fmt: skip


def _type(action: argparse.Action, note: _Note) -> Type:
    if action.nargs == 0:
        return "bool" if not isinstance(action, argparse._CountAction) else "int"
    if note.custom and note.type is None:
        return ""
    if note.type is bool:
        return "truthy"
    if isinstance(note.type, Value) or callable(note.type):
        name = getattr(note.type, "name", "").rpartition(".")[2].lower()
        if note.type in _TYPES:
            return _TYPES[note.type]
        return "bool" if "bool" in name else ""
    return _TYPES.get(note.type, "bool" if note.type == "bool" else "") if isinstance(note.type, str | None) else ""
