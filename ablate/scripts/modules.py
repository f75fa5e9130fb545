"""The modules of a program: found, read when a name of theirs is asked for, and never imported."""

from __future__ import annotations

import ast
import re
import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ablate.scripts.evaluator import Evaluator
from ablate.scripts.operations import external
from ablate.scripts.slices import bindings, marked
from ablate.scripts.sources import is_foreign, located, module_at, module_file, package_of
from ablate.scripts.values import Call, External, Frame, Reference, Space, Unknown

StandIn = Callable[[Call], Any]

MOST_FILES = 40
"""Modules of a program that are read for its options; those that declare options in so many are not known."""


class TooMuchError(Exception):
    """The program is longer than what is read."""


class Modules(Evaluator):
    """A script and those of its modules that are asked for.

    stand_ins: what calls of libraries come to, by dotted name; `?.NAME` for methods of what is not known. words: what
    the text of every function has that declares options. unread: what could not be read, with its place.
    """

    def __init__(
        self,
        path: Path,
        text: str,
        tree: ast.Module,
        folders: Sequence[Path],
        words: Sequence[str],
    ) -> None:
        self.path = path.resolve()
        self.stand_ins: dict[str, StandIn] = {}
        self.words = words
        self.unread: list[str] = []
        self._root, self.package = package_of(self.path, folders)
        self._places = () if is_foreign(self.path) else (self.path.parent, *folders)
        self.spaces: dict[Path, Space] = {}
        self.script = Space(self.path, "__main__", text)
        self.script.tree = tree
        self.spaces[self.path] = self.script
        self._found: dict[str, Path | None] = {}
        self._declaring: dict[str, bool] = {}
        self._far = False

    @abstractmethod
    def block(self, statements: Sequence[ast.stmt], frame: Frame) -> str:
        """Follow statements."""

    @cached_property
    def _libraries(self) -> set[str]:
        """Modules that are not looked for: Python's own that no file could stand in for, and those of the styles."""
        return {*sys.builtin_module_names, *(name.partition(".")[0] for name in self.stand_ins)}

    def look_further(self) -> None:
        """Take a module that imports one that declares options for one that does."""
        self._far, self._declaring = True, {}

    @property
    def files(self) -> list[str]:
        return [str(path) for path in self.spaces]

    def top_level(self, space: Space, name: str) -> Any:
        if name in space.frame.names:
            return space.frame.names[name]
        if space.tree is None or name in space.demanded:
            return space.demanded.get(name)
        if space.bindings is None:
            space.bindings = bindings(space.tree.body)
        space.demanded[name] = None  # where it is bound by itself
        marked_before, space.frame.marked = space.frame.marked, None
        statements = space.bindings.get(name, space.bindings.get("*", ()))
        self.block([each for each in statements if id(each) not in space.followed], space.frame)
        space.frame.marked = marked_before
        space.demanded[name] = space.frame.names.get(name)
        return space.demanded[name]

    def absolute(self, node: ast.ImportFrom, space: Space) -> str:
        if not node.level:
            return node.module or ""
        _, package = package_of(space.path, ())
        above = package[: len(package) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])

    def _locate(self, module: str) -> Path | None:
        """The file of a module of the user's; None for a library's."""
        if module not in self._found:
            self._found[module] = self._looked_up(module)
        return self._found[module]

    def _looked_up(self, module: str) -> Path | None:
        top = module.partition(".")[0]
        if top in self._libraries:
            return None
        for place in self._places:
            if (file := module_file(module, place)) is not None:
                return file
        if self.package and top == self.package[0]:
            return module_file(module, self._root)
        if top in sys.stdlib_module_names:
            return None
        files = located(module, ())
        depth = module.count(".") + 1
        return files[-1] if len(files) == depth else None

    def space(self, module: str) -> Space | None:
        """A module of the user's, read."""
        path = self._locate(module)
        if path is None:
            return None
        if path not in self.spaces:
            if len(self.spaces) >= MOST_FILES:
                raise TooMuchError
            space = self.spaces[path] = Space(path, module, "")
            try:
                data = path.read_bytes()
                space.text, space.tree = data.decode("utf-8", "replace"), ast.parse(data)
            except (OSError, SyntaxError, ValueError, RecursionError) as error:
                self.unread.append(f"{path.name}: {error}")
                return space
            self.find_relevant(space)
            space.frame.marked = marked(space.tree.body, space.matters, outermost=True)
            self.block(space.tree.body, space.frame)
        return self.spaces[path]

    def find_relevant(self, space: Space) -> None:
        assert space.tree is not None
        imported: dict[str, bool] = {}
        for node in space.tree.body:
            if isinstance(node, ast.ImportFrom | ast.Import):
                module = self.absolute(node, space) if isinstance(node, ast.ImportFrom) else ""
                for alias in node.names:
                    name = alias.asname or alias.name
                    imported[name] = self._declares_text(module or alias.name) or bool(
                        module and self._declares_text(f"{module}.{alias.name}")
                    )
        space.find_relevant(self.words, imported)

    def _declares_text(self, module: str) -> bool:
        """Whether a module of the user's has the words of one that declares options."""
        if module not in self._declaring:
            path = self._locate(module)
            self._declaring[module] = False  # while it is looked at, for modules that import each other
            if path is not None and path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                whole = path.name == "__init__.py"  # which hands out names of its modules
                named = _modules_named(text, f"{module}.__init__" if whole else module) if whole or self._far else ()
                self._declaring[module] = any(word in text for word in self.words) or any(
                    map(self._declares_text, named)
                )
        return self._declaring[module]

    def frame_of(self, file: str) -> Frame | None:
        """The top level of a module that was read."""
        space = self.spaces.get(Path(file))
        return space.frame if space is not None else None

    def installed(self, value: Any) -> Any:
        """A library's class, read from its source, for its fields may be options. `value` itself where that fails."""
        if not isinstance(value, External):
            return value
        module, _, name = value.name.rpartition(".")
        for _ in range(3):  # a package's name for it, the module that it is from
            path = module_at(module, ())
            if path is None:
                return value
            self._found[module] = path
            space = self.space(module)
            statements = bindings(space.tree.body).get(name, ()) if space is not None and space.tree is not None else ()
            imports = [n for s in statements for n in ast.walk(s) if isinstance(n, ast.ImportFrom)]
            source = next(((n, a.name) for n in imports for a in n.names if (a.asname or a.name) == name), None)
            if space is None or source is None:
                return self.top_level(space, name) if space is not None and statements else value
            module, name = self.absolute(source[0], space), source[1]
        return value

    def names_of(self, module: Reference) -> Any:
        space = self.space(f"{module.module}.{module.name}" if module.name else module.module)
        if space is None or space.tree is None:
            return Unknown("dir")
        for name in bindings(space.tree.body):
            self.top_level(space, name)
        return sorted(space.frame.names)

    def below(self, reference: Reference, name: str) -> Any:
        whole = f"{reference.module}.{reference.name}" if reference.name else reference.module
        if self._locate(whole) is not None:
            return Reference(whole, name)
        return None if self._locate(reference.module) is not None else external(f"{whole}.{name}")

    def resolved(self, reference: Reference) -> Any:
        whole = f"{reference.module}.{reference.name}" if reference.name else reference.module
        if not self.asked and not (self._declares_text(reference.module) or self._declares_text(whole)):
            return external(whole) if self._locate(reference.module) is None else Unknown(whole)
        if reference.name:
            space = self.space(reference.module)
            value = self.top_level(space, reference.name) if space is not None else None
            if isinstance(value, Reference) and (value.module, value.name) != (reference.module, reference.name):
                return self.resolved(value)
            if space is not None and reference.name in space.frame.names and not isinstance(value, Reference):
                return value
            if self._locate(whole) is not None:
                return Reference(whole)
            return external(whole) if space is None else Unknown(whole)
        return external(whole) if self._locate(whole) is None else reference


_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+(\.*)([\w.]*)", re.MULTILINE)


def _modules_named(text: str, module: str) -> list[str]:
    """Modules that a text imports, by a look at its lines; relative ones beside `module`."""
    found = []
    for match in _IMPORT.finditer(text):
        dots, name = match.groups()
        found.append(".".join([*module.split(".")[: -len(dots)], *([name] if name else [])]) if dots else name)
    return [name for name in found if name]
