"""Hydra: the configuration folder of `@hydra.main`, its groups and keys, and dataclasses in its store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, ClassVar

from ablate.records import Json
from ablate.scripts.defaults import as_json
from ablate.scripts.fields import leaves
from ablate.scripts.interpreter import Program
from ablate.scripts.modules import StandIn
from ablate.scripts.script import Option, Type
from ablate.scripts.style import Found, Reader, Style
from ablate.scripts.values import Call, Class, Stand, Unknown


@dataclass(frozen=True)
class Hydra(Style):
    """A key is an option, and so is a group: its choices are the files of its folder."""

    words: ClassVar[tuple[str, ...]] = ("hydra.main", "from hydra", "ConfigStore", ".store(")

    def reader(self, program: Program) -> Reader:
        return _Reader(program)


@dataclass
class _Folder:
    """A configuration folder as it is read. stored: dataclasses of the store by (group, name)."""

    root: Path
    stored: dict[tuple[str, str], Class]
    program: Program
    options: dict[str, Option] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def take(self, group: str, name: str, package: str) -> None:
        """One configuration: what its defaults list names, then its own keys. A later key wins."""
        cls = self.stored.get((group, name))
        path = self.root / group / f"{name.removesuffix('.yaml')}.yaml"
        if cls is not None and not path.is_file():
            for parts, each in leaves(self.program, cls):
                key = ".".join([*([package] if package else []), *parts])
                self.options[key] = each.option(key, key, "hydra")
            return
        from ruamel.yaml import YAML  # 30 ms, which only Hydra's scripts cost
        from ruamel.yaml.error import YAMLError

        try:
            text = path.read_text(encoding="utf-8")
            values = YAML(typ="safe", pure=True).load(text) or {}
        except (OSError, UnicodeDecodeError, YAMLError) as error:
            self.unread.append(f"{path}: {str(error).splitlines()[0]}")
            return
        if str(path) in self.files:
            return
        self.files.append(str(path))
        package = _package(text, package)
        defaults = (values.pop("defaults", None) if isinstance(values, dict) else None) or []
        own_last = "_self_" in defaults[-1:] or "_self_" not in defaults
        if not own_last:
            self._keys(values, package, path)
        for entry in defaults:
            self._default(entry, group)
        if own_last:
            self._keys(values, package, path)

    def _default(self, entry: Json, group: str) -> None:
        if entry == "_self_":
            return
        if isinstance(entry, str):
            inner, _, name = entry.removeprefix("/").rpartition("/")
            self.take(
                "/".join(filter(None, [group if not entry.startswith("/") else "", inner])),
                name,
                group.replace("/", "."),
            )
            return
        if not isinstance(entry, dict) or len(entry) != 1:
            return
        ((key, chosen),) = entry.items()
        words = str(key).split()
        key, at, package = words[-1].partition("@")
        whole = key.removeprefix("/") if key.startswith("/") or not group else f"{group}/{key}"
        if whole.split("/")[0] == "hydra":
            return
        if "override" not in words or whole in self.options:
            self.group(whole, chosen if isinstance(chosen, str | list) else None)
        if isinstance(chosen, str):
            self.take(whole, chosen, package if at else whole.replace("/", "."))

    def group(self, name: str, chosen: Json) -> None:
        """A group as an option."""
        choices = sorted({p.stem for p in (self.root / name).glob("*.yaml")} | {n for g, n in self.stored if g == name})
        self.options[name] = Option(
            name, name, "hydra", "text", chosen, choices=tuple(choices), file=str(self.root / name), help="a group"
        )

    def _keys(self, values: Json, package: str, path: Path) -> None:
        for key, value in _flat(values, package):
            kept = self.options.get(key)
            if kept is None or kept.help != "a group":
                open_ = isinstance(value, str) and "${" in value
                default, computed = (None, value) if open_ else as_json(None if value == "???" else value)
                self.options[key] = Option(
                    key, key, "hydra", _type(value), default, computed, required=value == "???", file=str(path)
                )


class _Reader(Reader):
    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.mains: list[Call] = []
        self.stored: dict[tuple[str, str], Class] = {}

    @property
    def stand_ins(self) -> Mapping[str, StandIn]:
        return {
            "hydra.main": self._main,
            "hydra.core.config_store.ConfigStore.instance": lambda call: _Store(self),
        }

    def _main(self, call: Call) -> Stand:
        self.mains.append(call)
        return Stand()

    def found(self) -> Found | None:
        if not self.mains:
            return None
        call = self.mains[0]
        given, name = call.argument(0, "config_path"), call.argument(1, "config_name")
        if not isinstance(given, str | PurePath | None) or not isinstance(name, str):
            self.miss(call, f"{call.text}: its configuration is not known before it runs")
            return Found([], self.unread)
        root = (call.space.path.parent / (given or ".")).resolve()
        folder = _Folder(root, self.stored, self.program)
        folder.take("", name, "")
        for path in sorted(p for p in root.rglob("*") if p.is_dir() and given is not None):
            group = path.relative_to(root).as_posix()
            if group not in folder.options and group.split("/")[0] != "hydra" and any(path.glob("*.yaml")):
                folder.group(group, None)
        files = [*folder.files, *map(str, sorted(root.rglob("*.yaml")))] if given is not None else folder.files
        return Found(list(folder.options.values()), folder.unread, files)


class _Store(Stand):
    """Hydra's store of dataclasses."""

    def __init__(self, reader: _Reader) -> None:
        self.reader = reader

    def attribute(self, name: str) -> Any:
        return self.store if name == "store" else Unknown(name)

    def store(self, call: Call) -> None:
        name, node, group = call.argument(0, "name"), call.argument(1, "node"), call.argument(2, "group")
        if isinstance(name, str) and isinstance(node, Class):
            self.reader.stored[group if isinstance(group, str) else "", name] = node


def _package(text: str, package: str) -> str:
    """Where a file's keys go, by its `# @package` line."""
    for line in text.splitlines()[:10]:
        if line.startswith("# @package"):
            named = line.removeprefix("# @package").strip()
            return (
                "" if named in ("_global_", "") else package if named == "_group_" else named.removeprefix("_global_.")
            )
    return package


def _flat(values: Json, package: str) -> Iterator[tuple[str, Json]]:
    for key, value in values.items() if isinstance(values, dict) else ():
        whole = f"{package}.{key}" if package else str(key)
        if isinstance(value, dict) and value:
            yield from _flat(value, whole)
        else:
            yield whole, value


def _type(value: Json) -> Type:
    """Hydra gives any key any value; a number is asked for where one stands, since a text there is a slip."""
    if isinstance(value, bool):
        return "bool"
    return "float" if isinstance(value, int | float) else ""
