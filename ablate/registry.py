"""Where plug-ins are found: one file on a shelf is one plug-in, its name is its registration.

Finding imports nothing: names come from the folder. A study's `plugins: [folder]` adds private shelves, laid out as
ablate's own (`folder/tricks/mine.py`), installed packages add others (installed.py). A plug-in file holds one class
that derives from its shelf's contract; it is a frozen dataclass, and its fields are the parameters that a study file
may give, validated by pydantic in strict mode.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from ablate.errors import ConfigError, PluginError
from ablate.identity import sha256, sha256_file
from ablate.installed import packages
from ablate.records import Json
from ablate.text import did_you_mean, one_of, some_of

HOMES = {
    "designs": "study.designs", "tricks": "training.tricks", "models": "training.models",
    "datasets": "training.datasets", "replacements": "training.replacements",
    "tasks": "training.tasks", "executors": "pool.executors",
    "tables": "tables.formats", "figures": "figures.kinds", "reports": "reports.formats",
    "styles": "scripts.styles", "captures": "programs.captures", "exporters": "runs.exporters",
}  # fmt: skip
"""Every shelf, and the folder of ablate in which ours lie; a private one lies in `folder/SHELF`."""

SHELVES = tuple(HOMES)
PRIVATE = ("designs", "tricks", "models", "datasets", "replacements", "tasks")
"""The shelves that a study's own folder may have: what a study names. The others belong to commands, not to a study."""
_SINGULAR = {shelf: shelf.removesuffix("s") for shelf in SHELVES} | {"datasets": "data set", "reports": "report format"}

Count = Annotated[int, Ge(1)]
Size = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
ShareBelowOne = Annotated[float, Ge(0), Lt(1)]
"""Types of parameters that say their range; every one is finite."""


class Plugin:
    """What every plug-in class derives from, through its shelf's contract. Subclasses are frozen dataclasses.

    version: raised when the same parameters give other numbers (it is part of the run's key).
    paper: where it comes from ("Zhang et al. 2018, mixup, arXiv:1710.09412"); empty for folklore.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {
        "extra": "forbid",
        "arbitrary_types_allowed": True,
        "allow_inf_nan": False,
    }

    version: ClassVar[int] = 1
    paper: ClassVar[str] = ""


@dataclass(frozen=True)
class Entry:
    """A plug-in that was found, not yet imported. private: it is not ablate's own, so keys hash its file. package: the
    one that it lies in, where it is installed, of this distribution."""

    shelf: str
    name: str
    path: Path
    private: bool
    package: str = ""
    distribution: str = ""

    @property
    def summary(self) -> str:
        """The first line of the file's docstring, read without importing it."""
        match = re.match(r'\s*(?:#[^\n]*\n|\s)*[rR]?"""\s*(.*?)(?:\n|""")', self.path.read_text(encoding="utf-8"))
        return match.group(1).strip() if match else ""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a plug-in, for messages and `ablate list`."""

    name: str
    type: str
    default: Json
    required: bool


class Registry:
    """The plug-ins of ablate and of a study's private folders.

    beside: where modules that the study names (`load: module:function`) are looked for, before the working directory.
    """

    def __init__(self, folders: Sequence[Path] = (), beside: Sequence[str | Path] = ()) -> None:
        self.folders = tuple(Path(folder).resolve() for folder in folders)
        self.beside = tuple(map(str, beside))
        self._entries: dict[str, dict[str, Entry]] = {}
        for folder in self.folders:
            if not folder.is_dir():
                raise PluginError(f"the plug-in folder {str(folder)!r} does not exist; `plugins:` lists folders.")

    def entries(self, shelf: str) -> dict[str, Entry]:
        """Every plug-in of a shelf by name, sorted; no two files may have one name.

        Looked up once per registry: a plan of 1,000 variants asks for every name 1,000 times.
        """
        assert shelf in SHELVES, shelf
        if shelf in self._entries:
            return self._entries[shelf]
        entries: dict[str, Entry] = {}
        ours = Path(__file__).parent.joinpath(*HOMES[shelf].split("."))
        places = [(ours, False, "", "")]
        places += [(one.folder / shelf, True, one.module, one.distribution) for one in packages()]
        places += [(folder / shelf, True, "", "") for folder in self.folders if shelf in PRIVATE]
        for place, private, package, distribution in places:
            for path in sorted(place.glob("[!_]*.py")):
                entry = Entry(shelf, path.stem, path, private, package, distribution)
                other = entries.setdefault(path.stem, entry)
                if other is not entry:
                    whose = f" of {other.distribution}" if other.distribution else ""
                    mend = f"uninstall {distribution.partition(' ')[0]}" if distribution else "rename the file"
                    raise PluginError(
                        f"{path}{f' of {distribution}' if distribution else ''}: there is already a "
                        f"{_SINGULAR[shelf]} called {path.stem!r} ({other.path}{whose}); {mend}."
                    )
        return self._entries.setdefault(shelf, dict(sorted(entries.items())))

    def unused(self) -> tuple[Path, ...]:
        """Files of private folders that lie on shelves which only ablate itself may have: no command finds them."""
        shelves = [folder / shelf for folder in self.folders for shelf in SHELVES if shelf not in PRIVATE]
        return tuple(path for shelf in shelves for path in sorted(shelf.glob("[!_]*.py")))

    def names(self, shelf: str) -> tuple[str, ...]:
        return tuple(self.entries(shelf))

    def entry(self, shelf: str, name: str) -> Entry:
        """The plug-in called `name`; PluginError with the nearest name where there is none."""
        entries = self.entries(shelf)
        if name not in entries:
            raise PluginError(unknown(_SINGULAR[shelf], name, entries) + self.unnamed(shelf, name))
        return entries[name]

    def unnamed(self, shelf: str, name: str) -> str:
        """For messages: that a file of this name lies beside the study, in a folder that it does not name."""
        for place in self.beside if shelf in PRIVATE else ():
            file = Path(place, "plugins", shelf, f"{name}.py")
            if file.is_file():
                return f" {file} is one, but its folder is not named: `plugins: [plugins]` in the study does."
        return ""

    def load(self, shelf: str, name: str) -> type[Plugin]:
        """Import a plug-in and return its class."""
        entry = self.entry(shelf, name)
        module = _imported(entry) if entry.private else importlib.import_module(f"ablate.{HOMES[shelf]}.{name}")
        classes = [
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, Plugin)
            and value.__module__ == module.__name__
            and not value.__name__.startswith("_")
        ]
        if len(classes) != 1:
            names = ", ".join(sorted(c.__name__ for c in classes)) or "none"
            raise PluginError(f"{entry.path}: a plug-in file holds one public plug-in class; found {names}.")
        return _decorated(classes[0], entry)

    def make(self, shelf: str, name: str, params: Mapping[str, Json], at: str = "") -> Any:
        """An instance with validated parameters. ConfigError names each bad one below the dotted key `at`."""
        return build(self.load(shelf, name), params, f"{_SINGULAR[shelf]} {name!r}", at)

    def parameters(self, shelf: str, name: str) -> tuple[Parameter, ...]:
        return parameters(self.load(shelf, name))

    def code(self, shelf: str, name: str) -> Json:
        """What a key says of a plug-in's code: its `version`, or for a private one the hash of its source."""
        entry = self.entry(shelf, name)
        return sha256_file(entry.path) if entry.private else self.load(shelf, name).version


def _decorated(cls: type[Plugin], entry: Entry) -> type[Plugin]:
    """PluginError where its parameters are none, for nothing has made a dataclass of it."""
    own = [name for name, kind in vars(cls).get("__annotations__", {}).items() if "ClassVar" not in str(kind)]
    if "__dataclass_fields__" in vars(cls) or (hasattr(cls, "__dataclass_fields__") and not own):
        return cls
    line = inspect.getsourcelines(cls)[1]
    lost = f", so {', '.join(own)} {'is no parameter' if len(own) == 1 else 'are no parameters'}" if own else ""
    raise PluginError(f"{entry.path}:{line}: {cls.__name__} has no `@dataclass(frozen=True)` above it{lost}.")


def unknown(kind: str, name: str, allowed: Mapping[str, Any] | Sequence[str]) -> str:
    """The message for a name that does not exist."""
    return f"no {kind} is called {name!r}; there is {some_of(allowed) or 'none yet'}.{did_you_mean(name, allowed)}"


def parameters(cls: type[Any]) -> tuple[Parameter, ...]:
    """The parameters of a plug-in class, in the order in which it declares them."""
    found = []
    for item in dataclasses.fields(cls):
        default = item.default if item.default_factory is dataclasses.MISSING else item.default_factory()
        required = default is dataclasses.MISSING
        name = item.name.removesuffix("_")  # `pass_` is written `pass`
        found.append(Parameter(name, str(item.type), None if required else default, required))
    return tuple(found)


def build(cls: type[Any], params: Mapping[str, Json], what: str, at: str = "") -> Any:
    """`cls(**params)`, strictly validated: no text for numbers, nothing unknown. ConfigError lists every problem."""
    import pydantic

    prefix = f"{at}." if at else ""
    fields = {item.name.removesuffix("_"): item.name for item in dataclasses.fields(cls)}
    names = list(fields)
    problems = [
        (
            f"{prefix}{key}",
            f"{what} has no parameter {key!r}; it has {one_of(names) or 'none'}.{did_you_mean(key, names)}",
        )
        for key in params
        if key not in names
    ]
    plugin = None
    try:
        text = json.dumps({fields[key]: value for key, value in params.items() if key in names})
        plugin = _adapter(cls).validate_json(text, strict=True)  # type: ignore[arg-type]  # mypy: a class is hashable
    except pydantic.ValidationError as error:
        problems += [
            (prefix + ".".join(str(part).removesuffix("_") for part in item["loc"]) if item["loc"] else at, says(item))
            for item in error.errors()
        ]
    if problems:
        raise ConfigError(problems)
    return plugin


@cache
def _adapter(cls: type[Any]) -> Any:
    """The validator of a class; making one costs 100 times what using it does."""
    import pydantic

    return pydantic.TypeAdapter(cls)


def says(item: Any) -> str:
    """pydantic's finding in our words: what was found; what is allowed."""
    if item["type"] == "missing":
        return "is missing; it has no default."
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "it must be").rstrip(".")
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    return f"is {json.dumps(item['input'], default=str)}; {message}.{nearest(item)}"


def nearest(item: Any) -> str:
    """`" Did you mean 'max'?"` of pydantic's finding where one of a few words must stand and a text does."""
    if item["type"] != "literal_error" or not isinstance(item["input"], str):
        return ""
    return did_you_mean(item["input"], re.findall(r"'([^']*)'", item["ctx"]["expected"]))


_WORDS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid string": "text",
    "a valid array": "a list",
    "a valid dictionary": "a mapping",
    "an object": "a mapping",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}
"""pydantic's words and a student's; longer ones before those that they hold."""


def _imported(entry: Entry) -> ModuleType:
    """Import a plug-in that is not ablate's own. PluginError where it cannot be."""
    try:
        if entry.package:
            return importlib.import_module(f"{entry.package}.{entry.shelf}.{entry.name}")
        return _import_private(entry)
    except Exception as error:
        of = f" of {entry.distribution}" if entry.distribution else ""
        raise PluginError(
            f"{entry.path}{of}: the plug-in cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _import_private(entry: Entry) -> ModuleType:
    """Import a plug-in of a study's own folder under a name that no other file has."""
    name = f"ablate_private_{sha256(str(entry.path.parent))[:12]}.{entry.shelf}_{entry.name}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, entry.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
