"""A command as a study writes it: its keys, what is wrong with them, and the words that a configuration makes of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ablate.errors import ConfigError
from ablate.identity import sha256_file
from ablate.programs import examples, rendering
from ablate.programs.binding import Binding, bound
from ablate.programs.program import Program, interpreter, split
from ablate.programs.rendering import ON_THE_LINE, FileFormat, Flags, Rendered, rendered
from ablate.programs.template import filled, placeholders, unknown
from ablate.programs.wanted import Wanted, wanted
from ablate.records import Json
from ablate.scripts import style, variables
from ablate.scripts.script import Script
from ablate.text import did_you_mean, one_of

OF_RUN = "run"
"""`cwd: run`: a working folder of the run's own."""

_RESUME = ("when", "args")
_ALONE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Command:
    """The keys of `task:`. Paths start from the study's folder."""

    command: str | list[str]
    flags: Flags = "auto"
    seed: str = ""
    cwd: str = "."
    links: list[str] = field(default_factory=list)
    python: str = ""
    env: dict[str, str | bool | int | float] = field(default_factory=dict)
    pass_: list[str] = field(default_factory=list)
    env_file: str = ""
    sources_: str | list[str] = field(default_factory=list)
    data: str | list[str] = field(default_factory=list)
    metrics_: list[dict[str, Json]] = field(default_factory=list)
    derive: dict[str, str] = field(default_factory=dict)
    step: str = ""
    examples_: dict[str, str] = field(default_factory=dict)
    resume: dict[str, Json] = field(default_factory=dict)
    discard: str | list[str] = field(default_factory=list)
    costs: list[str] = field(default_factory=list)
    file: FileFormat = "yaml"
    preload: bool = True
    known_only: bool = True

    @property
    def home(self) -> Path:
        """The study's folder."""
        folders: Sequence[str] = getattr(self, "folders", ())
        return Path(folders[0] if folders else ".")

    @cached_property
    def program(self) -> Program:
        start = self.home if self.cwd == OF_RUN else self.home / self.cwd
        return Program(split(self.command), start, self.home, interpreter(self.python, self.home))

    @cached_property
    def read(self) -> Script:
        """The script's options, as far as its source tells them."""
        script = self.program.script
        if script is None or script.suffix != ".py":
            return Script("")
        kind = self.flags if self.flags == "hydra" else ""
        read = style.read(script, [self.program.cwd.resolve(), self.home.resolve()], kind)
        read = read.within(self.program.words[(self.program.script_at or 0) + 1 :])
        constants = all(option.kind == "globals" for option in read.options)
        return read if self.flags in ("auto", "globals", "hydra") or not constants else Script(str(script))

    @cached_property
    def variables(self) -> Script:
        """The variables that the program reads, for `flags: env`."""
        script = self.program.script
        if script is None:
            return Script("")
        read = variables.read(script.resolve(), sorted(self.program.code(self.program.words)))
        options = [option for option in read.options if not variables.LIBRARIES.fullmatch(option.name)]
        return replace(read, options=tuple(options))

    @property
    def style(self) -> Flags:
        """How options are written; of `auto` what the script itself says, where all are of a kind."""
        if self.flags != "auto":
            return self.flags
        kinds = {option.kind for option in self.read.options}
        return "hydra" if kinds == {"hydra"} else "globals" if kinds == {"globals"} else "auto"

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything in which a placeholder reaches the program."""
        return (*self.program.words, *(str(value) for value in self.env.values()))

    @cached_property
    def binding(self) -> Binding:
        return bound(self.seed, self.style, self.program, self.texts, lambda: _own_seed(self))

    @property
    def asked(self) -> dict[str, Json]:
        """What a key hashes of the task: all that reaches the program, but where it runs and how numbers are read."""
        first = "python" if self.program.called_python else self.program.words[0]
        said: dict[str, Json] = {"command": [first, *self.program.words[1:]], "flags": self.flags, "seed": self.seed}
        said |= {"cwd": self.cwd, "links": self.links, "env": self.env, "file": self.file}
        return {name: value for name, value in said.items() if value != _DEFAULTS.get(name)}

    def wanted(self, asked: Sequence[str]) -> Wanted:
        """Where its numbers are. asked: the names that the study's table shows."""
        besides = self.examples_.get("file", "")
        return replace(wanted(self.metrics_, self.derive, self.step, asked), besides=besides)

    @property
    def examples(self) -> examples.Columns | None:
        """Where it says what it made of each example. ConfigError."""
        return examples.columns(self.examples_)

    # ------------------------------------------------------------------------------------------------------- mistakes

    @cached_property
    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """What is wrong with the command itself, by dotted key: the same for every variant."""
        problems: list[tuple[str, str]] = []
        later = (self._check_places, lambda: self.wanted(()), lambda: self.examples, lambda: self.binding)
        for check in (self._check_program, *later):
            try:
                check()
            except ConfigError as error:
                problems += error.problems
                if check == self._check_program:
                    break
        return tuple(problems)

    def _check_program(self) -> None:
        if self.cwd != OF_RUN and not (self.home / self.cwd).is_dir():
            raise ConfigError([("task.cwd", f"is {self.cwd!r}, and {self.home / self.cwd} is no folder.")])
        self.program.check()

    def _check_places(self) -> None:
        problems = []
        if self.links and self.cwd != OF_RUN:
            problems.append(("task.links", "are made in a folder of the run's own; say `cwd: run`, too."))
        problems += [
            (f"task.links.{i}", f"is {name!r}, and there is no {self.home / name}.")
            for i, name in enumerate(self.links)
            if not (self.home / name).exists()
        ]
        problems += [
            (f"task.pass.{i}", f"is {name!r}, which the environment does not have; set it, or leave it out.")
            for i, name in enumerate(self.pass_)
            if name not in os.environ
        ]
        if self.env_file and not (self.home / self.env_file).is_file():
            problems.append(("task.env_file", f"is {self.env_file!r}, and there is no such file in {self.home}."))
        for key in self.resume:
            if key not in _RESUME:
                near = did_you_mean(key, _RESUME)
                problems.append((f"task.resume.{key}", f"is no key of resume; it has {one_of(_RESUME)}.{near}"))
        if self.resume and not (isinstance(self.resume.get("when"), str) and _is_words(self.resume.get("args"))):
            problems.append(("task.resume", "must look like {when: FILE, args: [--resume, '{folder}/last.pt']}."))
        if problems:
            raise ConfigError(problems)

    def check(self, config: Mapping[str, Json]) -> None:
        """ConfigError for placeholders that are none, and for options that do not reach the program."""
        problems = list(self.mistakes)
        if not problems:
            problems += self._unknown(config)
        if not problems:
            problems += self._unreachable(config)
        if not problems and self.known_only and self.style in (*ON_THE_LINE, "env"):
            named = {name for text in self.texts for name in placeholders(text)}
            left = {key: value for key, value in config.items() if key not in named}
            problems += self._of_variables(left) if self.style == "env" else self.read.problems(left)
        if problems:
            raise ConfigError(problems)

    def _of_variables(self, given: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        """What is wrong with variables of the environment, the seed's among them."""
        yield from self.variables.problems({k: v for k, v in given.items() if not variables.LIBRARIES.fullmatch(k)})
        if self.seed and self.binding.how == "key":
            yield from (("task.seed", why) for _, why in self.variables.problems({self.binding.name: None}))

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What whoever reads the plan must know: that options of a script of Python were not read."""
        read = self.variables if self.style == "env" else self.read
        if not self.known_only or self.style not in (*ON_THE_LINE, "env") or read.complete:
            return ()
        if not read.path.endswith((".py", ".sh", ".bash")):
            return ()
        why = f" ({read.unread[0]})" if read.unread else ""
        what, name = "variable" if self.style == "env" else "option", Path(read.path).name
        return (f"Not every {what} of {name} was read{why}: a name that it does not know is no mistake here.",)

    def _unknown(self, config: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        listed = isinstance(self.command, list)
        texts = [(f"task.command.{i}" if listed else "task.command", word) for i, word in enumerate(self.program.words)]
        texts += [(f"task.env.{name}", str(value)) for name, value in self.env.items()]
        texts += [("task.resume.args", word) for word in self.resume.get("args", ())]
        for key, text in texts:
            wrong = unknown(text, config)
            if wrong:
                yield key, wrong
        for i, place in enumerate(self.metrics_):
            wrong = unknown(place["file"], config) if "file" in place else ""
            if wrong:
                yield f"task.metrics.{i}.file", wrong
        own = self.binding.name.lstrip("-")
        if own in config:
            yield own, "is the seed, which each run gets; leave it out of the base."

    def _unreachable(self, config: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        named = {name for text in self.texts for name in placeholders(text)}
        left = [key for key in config if key not in named]
        if "flags" in named and self.style not in ON_THE_LINE:
            yield "task.command", f"has {{flags}}, and `flags: {self.style}` makes no arguments; take one of them out."
        if self.style in (*ON_THE_LINE, "none") and "flags" not in named:
            for key in left:
                yield key, f"reaches no argument: the command has neither {{flags}} nor {{{key}}}."
            if self.binding.how == "option":
                yield (
                    "task.command",
                    f"has no place for {self.binding.name}: write {{flags}}, or {{seed}} where it goes.",
                )
        if self.flags == "file" and "config" not in named:
            yield "task.command", "has no {config}, which is the file that `flags: file` writes."
        if self.style == "globals":
            known = self.program.constants
            for key in left:
                if key not in known:
                    has = f"the script assigns no {key!r} at its top level.{did_you_mean(key, known)}"
                    yield key, f"cannot be replaced: {has}"
        if (self.style == "globals" or self.binding.how == "constant") and not self._replaces:
            yield "task.command", "must call a script of Python by its file, for constants are replaced in it."
        try:
            self.words(config, {"seed": "0"})
        except ConfigError as error:
            yield from error.problems

    @property
    def _replaces(self) -> bool:
        script, at = self.program.script, self.program.script_at
        return script is not None and script.suffix == ".py" and at is not None and not self.program.is_module

    # ---------------------------------------------------------------------------------------------------------- words

    def render(self, config: Mapping[str, Json], seed: int) -> Rendered:
        """What `{flags}` stands for and what goes other ways, without the keys that have a place of their own."""
        named = {name for text in self.texts for name in placeholders(text)}
        options = {key: value for key, value in config.items() if key not in named}
        if self.binding.how == "key":
            options[self.binding.name] = seed
        made = rendered(self.style, options, self.file, self.read if self.style == "auto" else None)
        constants = dict(made.constants)
        if self.binding.how == "constant":
            constants[self.binding.name] = seed
        return Rendered((*made.arguments, *self.binding.words(seed)), made.environment, constants, made.file)

    def words(self, config: Mapping[str, Json], places: Mapping[str, str]) -> list[str]:
        """The command's words with everything filled in that `places` and the configuration say."""
        flags = self.render(config, int(places["seed"])).arguments
        values = {**self.values(config), **places}
        words: list[str] = []
        for word in self.program.words:
            alone = _ALONE.fullmatch(word)
            key = alone[1] if alone else ""
            if key == "flags":
                words += flags
            elif key in config and key not in places:
                value = config[key]
                items = value if isinstance(value, list) else [value]
                words += [rendering.text(item, lower=self._lower) for item in items if item is not None]
            else:
                words.append(filled(word, values))
        return words

    @property
    def _lower(self) -> bool:
        return self.style in ("hydra", "env")

    def values(self, config: Mapping[str, Json]) -> dict[str, str]:
        """Keys of the base that stand in the command, as text. ConfigError for null inside a word."""
        named = {name for text in self.texts for name in placeholders(text) if f"{{{name}}}" != text}
        empty = [key for key in config if key in named and config[key] is None]
        if empty:
            raise ConfigError(
                (key, "is null, and it stands inside a word of the command; give it a value.") for key in empty
            )
        return {key: rendering.text(value, lower=self._lower) for key, value in config.items() if value is not None}


_DEFAULTS: Mapping[str, Json] = {"flags": "auto", "seed": "", "cwd": ".", "links": [], "env": {}, "file": "yaml"}


def _is_words(given: Json) -> bool:
    return isinstance(given, list) and all(isinstance(word, str) for word in given)


def _own_seed(command: Command) -> str:
    """What the script calls its own seed: an option, a key, a constant, a variable; empty where none is seen."""
    program = command.program
    if command.flags == "globals":
        return next((name for name in ("SEED", "seed") if name in program.constants), "")
    seed = command.read.seed
    if command.flags != "env" and (seed is not None or command.read.style):
        return "" if seed is None else seed.typed
    try:
        source = program.script.read_text(errors="replace") if program.script is not None else ""
    except OSError:
        source = ""
    names = ("SEED", "seed") if command.flags == "env" else ("--seed",)
    return next((name for name in names if re.search(rf"(?<![\w-]){name}(?![\w-])", source)), "")


# --------------------------------------------------------------------------------------------------------------- files


def globbed(given: str | Sequence[str], folder: Path, key: str) -> Iterator[Path]:
    """Files that globs of `sources:` or `data:` name. ConfigError where one names none."""
    for i, glob in enumerate([given] if isinstance(given, str) else given):
        place = f"task.{key}" if isinstance(given, str) else f"task.{key}.{i}"
        try:
            found = sorted(folder.glob(glob)) if not os.path.isabs(glob) else sorted(Path("/").glob(glob.lstrip("/")))
        except ValueError as error:
            raise ConfigError([(place, f"is {glob!r}: {error}.")]) from None
        files = [file for path in found for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
        files = [file.resolve() for file in files if file.is_file()]
        if not files:
            raise ConfigError([(place, f"is {glob!r}, which names no file in {folder}.")])
        yield from files


def hashed(files: Sequence[Path]) -> dict[Path, str]:
    """The SHA-256 of large files: taken once, and again where size or time changed."""
    if not files:
        return {}
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ablate" / "hashes.json"
    try:
        known: dict[str, list[Json]] = json.loads(home.read_text())
    except (OSError, ValueError):
        known = {}
    hashes, learnt = {}, False
    for file in files:
        stat = file.stat()
        before = known.get(str(file), [])
        if before[:2] != [stat.st_size, stat.st_mtime_ns]:
            known[str(file)] = before = [stat.st_size, stat.st_mtime_ns, sha256_file(file)]
            learnt = True
        hashes[file] = str(before[2])
    if learnt:
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            part = home.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(known))
            part.replace(home)
        except OSError:
            pass  # it is a saving of time, no more
    return hashes
