"""The program that a command names: its script, the files of the project that it is made of, and their hashes.

Nothing is executed or imported to learn this.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ablate.errors import ConfigError
from ablate.programs.template import placeholders
from ablate.scripts.slices import assigned
from ablate.scripts.sources import closure, module_at, module_file
from ablate.text import did_you_mean

_PYTHON = re.compile(r"(?:.*/)?python[0-9.]*$|\{python\}$")
_TARGET = re.compile(r"_target_['\"]?\s*[:=]\s*['\"]?([A-Za-z_]\w*(?:\.\w+)+)")
_SHELL = (".sh", ".bash")
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


@dataclass(frozen=True)
class Program:
    """A command's words, before placeholders are filled. cwd: the folder that its paths start from, before it runs.

    folder: the study's, by which files are called in keys. python: the interpreter that `python` means.
    """

    words: tuple[str, ...]
    cwd: Path
    folder: Path
    python: Path

    @property
    def is_python(self) -> bool:
        """Whether an interpreter of Python is called, directly or by a launcher such as torchrun."""
        return bool(_PYTHON.match(self.words[0])) or (self.script or Path()).suffix == ".py"

    @property
    def called_python(self) -> bool:
        """Whether the first word is the interpreter."""
        return bool(_PYTHON.match(self.words[0]))

    @cached_property
    def script_at(self) -> int | None:
        """The word that is the script, or the name of the module after `-m`; None where neither is seen."""
        words = self.words
        if self.called_python:
            i = 1
            while i < len(words) and words[i].startswith("-") and words[i] not in ("-m", "-c"):
                i += 1 + (words[i] in _WITH_VALUE)
            if i < len(words) and words[i] in ("-m", "-c"):
                return i + 1 if words[i] == "-m" and i + 1 < len(words) else None
            return i if i < len(words) else None
        return next((i for i, word in enumerate(words) if word.endswith((".py", ".sh"))), None)

    @property
    def is_module(self) -> bool:
        return self.script_at is not None and self.script_at > 0 and self.words[self.script_at - 1] == "-m"

    @cached_property
    def script(self) -> Path | None:
        """The script's file, or the module's of `-m`."""
        if self.script_at is None or placeholders(self.words[self.script_at]):
            own = self.cwd / self.words[0]
            return (own if own.is_file() else None) if "/" in self.words[0] else self._entry_point
        word = self.words[self.script_at]
        if self.is_module:
            return self._module_at(word, [self.cwd, *self._installed])
        return self.cwd / word

    @property
    def _entry_point(self) -> Path | None:
        """The module that a program of an installed package calls: `train` of `[project.scripts]`."""
        file = shutil.which(self.words[0], path=self.path)
        try:
            text = Path(file).read_bytes()[:1000] if file is not None else b""
        except OSError:
            return None
        calls = re.search(rb"^from ([\w.]+) import ", text, re.MULTILINE) if b"python" in text[:200] else None
        return self._module_at(calls[1].decode(), self._installed) if calls else None

    @property
    def _installed(self) -> list[Path]:
        """Where packages of the interpreter lie, where it is not the one that runs ablate."""
        if self.python == Path(sys.executable):
            return []
        return sorted(self.python.parent.parent.glob("lib/python3*/site-packages"))

    def _module_at(self, name: str, folders: Sequence[Path]) -> Path | None:
        """The module that `python -m` executes: the user's, or an installed one."""
        if (package := module_at(f"{name}.__main__", folders)) is not None:
            return package
        return module_at(name, folders)

    def check(self) -> None:
        """ConfigError (key `task.command`) where there is no such script or program."""
        script = self.script
        if script is not None and not script.is_file():
            beside = [path.name for path in script.parent.glob("*.py")] if script.parent.is_dir() else []
            name = self.words[self.script_at or 0]
            where = "here" if self.cwd == Path() else f"in {self.cwd}"
            raise ConfigError(
                [("task.command", f"there is no file {name!r} {where}.{did_you_mean(script.name, beside)}")]
            )
        first = self.words[0]
        if self.called_python or placeholders(first):
            return
        name, equals, value = first.partition("=")
        if equals and name.isidentifier():
            sets = f"{first!r} sets a variable, as a shell does, and no shell runs"
            remedy = f"set it before `ablate`, or write `env: {{{name}: {value}}}` under task"
            raise ConfigError([("task.command", f"{sets}; {remedy}.")])
        of_path = "/" not in first
        found = shutil.which(first, path=self.path) if of_path else os.access(self.cwd / first, os.X_OK)
        if not found:
            where = f"PATH or beside {self.python}" if of_path else f"{self.cwd}, or it cannot be executed"
            raise ConfigError([("task.command", f"there is no program {first!r} in {where}.")])

    @property
    def path(self) -> str:
        """PATH with the interpreter's programs first."""
        return os.pathsep.join([str(self.python.parent), os.environ.get("PATH", os.defpath)])

    # what it is made of

    def named(self, words: Iterable[str]) -> Iterator[Path]:
        """The project's files that words name, also as `--config=FILE`; none that lies outside the study's folder."""
        root = self.folder.resolve()
        for word in words:
            for name in dict.fromkeys([word, word.partition("=")[2]]):
                if not name or placeholders(name) or len(name) > 1000:
                    continue
                path = self.cwd / name
                if path.is_file() and path.resolve().is_relative_to(root):
                    yield path.resolve()

    def code(self, words: Iterable[str]) -> set[Path]:
        """The script with every module of the project's that it imports, the files that words name, those that a shell
        script names, a Hydra application's configuration, and the modules of its `_target_` classes."""
        given = list(words)
        files = set(self.named(given))
        if self.script is not None:
            files.add(self.script.resolve())
        files |= self._of_shell(files)
        modules = set().union(*(self._targets(word) for word in given))
        configuration = set(self._hydra_words())
        for path in sorted(path for path in files if path.suffix == ".py"):
            configuration |= set(_hydra_files(path))
        for path in files | configuration:
            if path.suffix in (".yaml", ".yml"):
                modules |= self._targets(path.read_text(encoding="utf-8", errors="replace"))
        files |= configuration
        for path in sorted({path for path in files if path.suffix == ".py"} | modules):
            files |= closure(path, [path.parent, self.cwd.resolve()])
        return files

    def _of_shell(self, files: Iterable[Path]) -> set[Path]:
        """The project's files that shell scripts among `files` name, also those of scripts that these call."""
        found: set[Path] = set()
        waiting = [path for path in files if path.suffix in _SHELL]
        while waiting:
            here = waiting.pop()
            words = list(_shell_words(here.read_text(encoding="utf-8", errors="replace")))
            for before, word in zip(["", *words], words, strict=False):
                for path in (*self.named([word]), *(self._module(word) if before == "-m" else ())):
                    if path not in found:
                        found.add(path)
                        waiting += [path] if path.suffix in _SHELL else []
        return found

    def _module(self, word: str) -> Iterator[Path]:
        """A module of the project's, as `python -m` names it."""
        files = (module_file(name, self.cwd) for name in (word, f"{word}.__main__"))
        yield from (file for file in files if file is not None)

    def _targets(self, text: str) -> set[Path]:
        """The project's modules of classes and functions that Hydra is told by `_target_`."""
        script = self.script
        homes = [self.cwd, *([script.parent] if script is not None else [])]
        found: set[Path] = set()
        for match in _TARGET.finditer(text):
            parts = match[1].split(".")
            names = [".".join(parts[:depth]) for depth in range(len(parts) - 1, 0, -1)]
            files = (module_file(name, home) for home in homes for name in names)
            found |= set(filter(None, [next((file for file in files if file is not None), None)]))
        return found

    def _hydra_words(self) -> Iterator[Path]:
        """What --config-dir and --config-path name."""
        for word, following in zip(self.words, (*self.words[1:], ""), strict=True):
            option, _, value = word.partition("=")
            if option in ("--config-dir", "--config-path", "-cd", "-cp"):
                folder = self.cwd / (value or following)
                yield from _yaml_below(folder) if folder.is_dir() else ()

    def called(self, path: Path) -> str:
        """A file as keys call it: by its path from the study's folder, or from the script's."""
        homes = [self.folder.resolve(), *([self.script.resolve().parent] if self.script is not None else [])]
        for home in homes:
            if path.is_relative_to(home):
                return path.relative_to(home).as_posix()
        return os.path.relpath(path, homes[0]) if len(path.parts) < 40 else path.name

    @cached_property
    def constants(self) -> frozenset[str]:
        """Names that the script assigns at its top level."""
        if self.script is None or self.script.suffix != ".py":
            return frozenset()
        try:
            tree = ast.parse(self.script.read_bytes())
        except (SyntaxError, OSError):
            return frozenset()
        return frozenset(name for name, _ in assigned(tree))


def split(command: str | Sequence[str]) -> tuple[str, ...]:
    """The words of a command. ConfigError (key `task.command`) where a quote is not closed, or there is none."""
    try:
        words = tuple(shlex.split(command)) if isinstance(command, str) else tuple(command)
    except ValueError as error:
        raise ConfigError([("task.command", f"cannot be split into words: {str(error).lower()}.")]) from None
    if not words:
        raise ConfigError([("task.command", "is empty; write what you type, such as python train.py {flags}.")])
    return words


def interpreter(given: str, folder: Path) -> Path:
    """The interpreter of `python:`, ablate's own where it is empty. ConfigError (`task.python`) where there is none."""
    if not given:
        return Path(sys.executable)
    found = str(folder / given) if "/" in given else shutil.which(given)
    if found is None or not os.access(found, os.X_OK):
        raise ConfigError([("task.python", f"is {given!r}, and there is no such program; name an interpreter.")])
    return Path(os.path.abspath(found))  # not resolved: a virtual environment's is a link


def _shell_words(text: str) -> Iterator[str]:
    """The words of a shell script, without its comments; of `"$HERE/fit.py"` what follows the folder, too."""
    for line in text.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a quote that a later line closes
            words = line.split()
        for word in words:
            yield word
            yield from re.findall(r"^\$\{?\w+\}?/([\w./-]+)$", word)


def _hydra_files(script: Path) -> Iterator[Path]:
    """The configuration folder of `@hydra.main(config_path="conf")`."""
    source = script.read_bytes()
    if b"hydra" not in source:
        return
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "main":
            given = [word.value for word in node.keywords if word.arg == "config_path"] + node.args[:1]
            for value in given[:1]:
                name = value.value if isinstance(value, ast.Constant) else None
                if isinstance(name, str) and (script.parent / name).is_dir():
                    yield from _yaml_below(script.parent / name)


def _yaml_below(folder: Path) -> Iterator[Path]:
    yield from (path.resolve() for path in sorted(folder.rglob("*")) if path.suffix in (".yaml", ".yml"))
