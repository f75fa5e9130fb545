"""Which files of the user's a module executes: followed from import to import, and nothing is imported for it.

The user's are those that are neither Python's own, nor installed in site-packages, nor ablate's: beside the study, on
PYTHONPATH, in an editable install. What a module imports by name at run time (importlib, pkgutil) cannot be read; such
a module is taken to need every file of the package that it names, or else of its own. What a run executed in the end,
`note_executed` tells: a task may put a folder on sys.path, or find a file in ways that nobody can read.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ablate.identity import sha256_file

_BY_NAME = ("import_module", "__import__")
"""Calls that import what their first argument names, which the run may put together."""

_BY_FILE = ("iter_modules", "walk_packages", "spec_from_file_location", "run_path", "run_module")
"""Calls that find modules in some other way."""

_MOST = 2000
"""Files of a package that are taken for a call by name; more are no package but a disk."""


def closure(start: Path, folders: Sequence[Path]) -> set[Path]:
    """`start` and every module of the user's that it imports, directly or not. folders: looked in before sys.path."""
    files: set[Path] = set()
    waiting = [start]
    find = cache(located)  # for this call alone: another study has another sys.path
    while waiting:
        path = waiting.pop()
        if path in files:
            continue
        files.add(path)
        if is_foreign(path):  # a task in an installed package: what that imports is installed, too
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except SyntaxError:
            continue  # executing it will say so, with its place
        root, package = package_of(path, folders)
        places = (*folders, root) if package else tuple(folders)
        for name in _imported(tree, package):
            waiting += find(name, places)
        for name in _by_name(tree, package):
            waiting += _whole(name, path, places)
    return files


def module_file(module: str, folder: Path) -> Path | None:
    """The file of `a.b` below `folder`: `a/b.py` or `a/b/__init__.py`."""
    stem = folder.joinpath(*module.split("."))
    for path in (stem.with_name(stem.name + ".py"), stem / "__init__.py"):
        if path.is_file():
            return path.resolve()
    return None


def located(name: str, folders: Sequence[Path]) -> tuple[Path, ...]:
    """The user's files that importing `a.b.c` executes, in this order: those of a, of a.b and of a.b.c."""
    parts = name.split(".")
    depths = range(1, len(parts) + 1)
    for folder in folders:
        files = [module_file(".".join(parts[:depth]), folder) for depth in depths]
        if any(files):
            return tuple(file for file in files if file is not None)
    top, places = _found(parts[0])
    if any(is_foreign(path) for path in (*places, top) if path is not None):
        return ()
    below = [module_file(".".join(parts[1:depth]), place) for place in places for depth in depths[1:]]
    return tuple(file for file in (top, *below) if file is not None)


def module_at(module: str, folders: Sequence[Path]) -> Path | None:
    """The file of a module, the user's or an installed one, found without importing the packages that it is in."""
    for folder in folders:
        file = module_file(module, folder)
        if file is not None:
            return file
    top, _, rest = module.partition(".")
    file, places = _found(top)
    return next((below for place in places if (below := module_file(rest, place))), None) if rest else file


def _found(name: str) -> tuple[Path | None, tuple[Path, ...]]:
    """Where Python finds a top-level module, and the folders of the package; (None, ()) where it is no Python file.

    `find_spec` of a name without a dot asks every finder, those of editable installs too, and imports nothing.
    """
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return None, ()
    file = Path(spec.origin).resolve() if spec.origin and spec.origin.endswith(".py") else None
    places = tuple(Path(place).resolve() for place in spec.submodule_search_locations or ())
    return file, places


def note_executed() -> dict[str, str]:
    """A mapping that from now on holds every file of the user's that this process executes, by import or otherwise:
    path, as it was named and as it is without links, to the SHA-256 that it had then. A forked child fills its own copy
    further. What listens (an audit hook) cannot be taken away again, so this is for processes that execute runs.
    """
    hashes: dict[str, str] = {}
    others = tuple(f"{folder}{os.sep}" for folder in _others())

    def heard(event: str, said: tuple[Any, ...]) -> None:
        file = getattr(said[0], "co_filename", "") if event == "exec" else ""
        if not file.endswith(".py") or file.startswith(others):
            return
        real = os.path.realpath(file)
        if not is_foreign(Path(real)):
            with suppress(OSError):  # a name that code was compiled under, and no file
                hashes[file] = hashes[real] = sha256_file(Path(real))

    sys.addaudithook(heard)
    return hashes


def is_foreign(path: Path) -> bool:
    """Whether a file is Python's own, installed, or ablate's."""
    if not _INSTALLED.isdisjoint(path.parts):
        return True
    return any(path.is_relative_to(folder) for folder in _others())


_INSTALLED = frozenset({"site-packages", "dist-packages"})
"""Folders in which installed packages lie, also those of another Python that PYTHONPATH names."""


@cache
def _others() -> tuple[Path, ...]:
    """Folders whose code is not the user's: Python's, what is installed, ablate's."""
    named = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    named += [*site.getsitepackages(), site.getusersitepackages()]
    return (*(Path(name).resolve() for name in named), Path(__file__).resolve().parents[1])


def package_of(path: Path, folders: Sequence[Path]) -> tuple[Path, list[str]]:
    """The folder that a module's imports start from, and the package that it is in."""
    home = next((folder for folder in path.parents if folder.name in _INSTALLED), None)
    if home is not None:  # the folders of an installed package need no __init__.py
        return home, list(path.relative_to(home).parent.parts)
    package: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").is_file():
        package.insert(0, folder.name)
        folder = folder.parent
    for given in folders:  # a package without an __init__.py
        if not package and path.is_relative_to(given.resolve()):
            return given, list(path.relative_to(given.resolve()).parent.parts)
    return folder, package


def _imported(tree: ast.AST, package: Sequence[str]) -> Iterator[str]:
    """Dotted names that a module may import, as absolute names; `from a import b` may mean the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _by_name(tree: ast.AST, package: Sequence[str]) -> Iterator[str]:
    """What calls that import by name have to do with: `models.` of f"models.{name}", empty where that is unknown."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in _BY_FILE:
            yield ""
        if called not in _BY_NAME:
            continue
        first = node.args[0] if node.args else None
        if isinstance(first, ast.JoinedStr) and first.values:
            first = first.values[0]
        text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
        yield ".".join([*package, text.lstrip(".")]) if text.startswith(".") else text


def _whole(name: str, path: Path, folders: Sequence[Path]) -> Sequence[Path]:
    """Every file that a call by name may mean: of the module or package that it names, else of the caller's own."""
    if name and not name.endswith("."):
        return located(name, folders)
    named = [folder.joinpath(*name.strip(".").split(".")) for folder in folders] if name else []
    home = next((folder for folder in named if folder.is_dir()), path.parent)
    deep = home in named or (home / "__init__.py").is_file()
    files = sorted(home.rglob("*.py") if deep else home.glob("*.py"))
    return [file.resolve() for file in files[:_MOST]]
