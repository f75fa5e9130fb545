"""A Python function as the task: `task: package.module:function`, called as `function(config, run)`.

It returns a mapping of metrics or yields one mapping per step. The module is found beside the study file and in the
working directory, then wherever Python finds modules. Its configuration is free-form: whatever `base:` holds.

The plan reads the sources and does not import them: the key holds a hash of the module and of every module of the
user's that it imports (sources.py). A process of its own imports the module where `config` is annotated with a class,
to check every variant against it (configured.py), and where parts are taken away, to run the function until it hands
its network over (handed.py).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ablate.errors import AblateError, ConfigError, TogetherError
from ablate.identity import sha256_file
from ablate.records import TRAINED, WITHOUT, Json, TrickUse
from ablate.registry import Registry
from ablate.scripts.sources import closure, module_at
from ablate.text import did_you_mean, one_of
from ablate.training.called import check
from ablate.training.configured import check as check_class
from ablate.training.configured import class_of, configured
from ablate.training.handed import Handed
from ablate.training.replacement import names_of, ready
from ablate.training.task import Completed, Function, PartSize, Place, Run, Task, Values

_TRAINED = (
    "is of trained weights, and a function hands ablate none; leave `when` out, and it trains without the part. To "
    "measure trained weights without it, write a function that loads them before `run.model` and then evaluates."
)

_DRAWN = 2
"""In the key of what has `instead: linear`; raised when that is drawn otherwise. 2: by the run's seed."""


@dataclass(frozen=True)
class FunctionTask(Task):
    """target: `package.module:function`. Its module is looked for in `folders` first."""

    free_form: ClassVar[bool] = True

    target: str

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    @property
    def function(self) -> str:
        return self.target.partition(":")[2]

    def complete(self, config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry) -> Completed:
        """The configuration as it is. ConfigError (key `task`) where there is no such function, or for a trick with
        `use:`, which belongs to `classify`."""
        after = [i for i, use in enumerate(tricks) if use.name == TRAINED]
        if after:
            raise ConfigError((f"tricks.{i}.when", _TRAINED) for i in after)
        strange = [(i, use) for i, use in enumerate(tricks) if use.name != WITHOUT]
        if strange:
            raise ConfigError(
                (f"tricks.{i}", f"{use.name!r} is a trick of the task classify; a function task is changed by `set:`.")
                for i, use in strange
            )
        made = [registry.make("tricks", WITHOUT, use.params, f"tricks.{i}") for i, use in enumerate(tricks)]
        away = {f"tricks.{i}.parts.{j}": part for i, one in enumerate(made) for j, part in enumerate(one.parts)}
        annotation, hashes = self._annotation, self.sources()
        if annotation:
            check_class(config, self.module, self.function, self.folders, hashes)
        tricks, notes, stand = self._decided(config, away, registry)
        root = {path: Path(path).name for path in hashes}
        asked = deepcopy(dict(config))  # nothing is filled in, so both are the same
        return Completed(
            config=asked,
            asked=asked,
            tricks=tuple(tricks),
            code={
                "task": sorted([root[path], sha] for path, sha in hashes.items()),
                **({f"trick:{WITHOUT}": registry.code("tricks", WITHOUT)} if tricks else {}),
                **{f"replacement:{name}": registry.code("replacements", name) for name in names_of(tricks)},
                **({"drawn": _DRAWN} if _has_projection(tricks) else {}),
            },
            notes=notes,
            places=stand,
        )

    def _decided(
        self, config: Mapping[str, Json], asked: Mapping[str, Mapping[str, Json]], registry: Registry
    ) -> tuple[Sequence[TrickUse], tuple[str, ...], Mapping[str, Place]]:
        """What the function's network goes without, as its own says: one use, notes, and where these parts stand.
        asked: the parts by their keys. ConfigError at the part."""
        if not asked:
            return (), (), {}
        places = list(asked)
        try:
            parts, notes, stand = self._handed(registry).decided(config, list(asked.values()))
        except TogetherError:
            raise
        except ConfigError as error:
            raise ConfigError((_placed(key, places), why) for key, why in error.problems) from None
        return [TrickUse(WITHOUT, {"parts": parts})], tuple(notes), stand

    def _handed(self, registry: Registry) -> Handed:
        own = [entry.path for entry in registry.entries("replacements").values() if entry.private]
        sources = {**self.sources(), **{str(path): sha256_file(path) for path in own}}
        return Handed(self.module, self.function, self.folders, tuple(map(str, registry.folders)), sources)

    def parts(
        self, config: Mapping[str, Json], asked: Mapping[str, Json], registry: Registry
    ) -> tuple[Sequence[str], Sequence[str]]:
        if asked.get("when"):
            raise ConfigError([("0.when", _TRAINED)])
        return self._handed(registry).able(config, asked)

    def network(self, config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry) -> Sequence[PartSize]:
        """As `run.model` is given it, without parts that were decided."""
        return self._handed(registry).sizes(config, [part for use in tricks for part in use.params["parts"]])

    @cached_property
    def _annotation(self) -> str:
        return check(self._file(), self.function, self.target)  # once: a parse for every variant made a plan slow

    def sources(self) -> dict[str, str]:
        """The user's files that the task is made of: absolute path to SHA-256. Read once: a plan is of one moment."""
        return self._hashes

    @cached_property
    def _hashes(self) -> dict[str, str]:
        start = self._file()
        return {str(path): sha256_file(path) for path in sorted(closure(start, [Path(p) for p in self.folders]))}

    def _file(self) -> Path:
        if not self.function.isidentifier() or not all(part.isidentifier() for part in self.module.split(".")):
            raise ConfigError([("task", f"is {self.target!r}; it must be a task's name or `package.module:function`.")])
        file = self._at()
        if file is None:
            near = sorted({p.stem for folder in self.folders for p in Path(folder).glob("*.py")})
            places = one_of(dict.fromkeys(self.folders)) or "sys.path"
            hint = did_you_mean(self.module, near)
            raise ConfigError([("task", f"there is no module {self.module!r} in {places} or installed.{hint}")])
        return file

    def _at(self) -> Path | None:
        return module_at(self.module, [Path(folder) for folder in self.folders])

    def warm(self) -> None:
        # What a module that reads its arguments finds: its own file, and nothing of ours.
        sys.argv[:] = [str(self._at() or self.module)]
        self._load()
        if "torch" in sys.modules:
            with suppress(ImportError):
                importlib.import_module("torch._dynamo")  # an optimizer imports it in every run else (1.2 CPU s)

    def execute(self, run: Run) -> Any:
        function = self._load()
        kind = class_of(function)
        config = run.config if kind is None else configured(kind, run.config)
        parts = [part for use in run.tricks for part in use.params["parts"]]
        made = _without(parts, function, config, run) if parts else function(config, run)
        return dict(run.logged) if made is None and run.logged else made

    def _load(self) -> Function:
        # Only now, when ablate and torch are imported: a random.py beside a study is the task's own, not torch's.
        if sys.path[: len(self.folders)] != list(self.folders):  # a child inherits them from its server
            sys.path[:0] = self.folders
        function: Function = getattr(importlib.import_module(self.module), self.function)
        return function


def _placed(key: str, places: Sequence[str]) -> str:
    """The key of a problem, whose first name may be the number of a part."""
    number, dot, below = key.partition(".")
    return f"{places[int(number)]}{dot}{below}" if number.isdecimal() else key


def _has_projection(tricks: Sequence[TrickUse]) -> bool:
    return any(part.get("instead") == "linear" for use in tricks for part in use.params["parts"])


def _without(
    parts: Sequence[Mapping[str, Json]], function: Function, config: Any, run: Run
) -> Values | Iterator[Values] | None:
    """The function, whose network goes without parts. AblateError where it never hands one over."""
    taken: list[bool] = []

    def remove(model: Any, example: Any) -> Any:
        from ablate.training import removal

        taken.append(True)
        return removal.take_tried(model, ready(parts, run.registry), example, run.seed)

    run.remover = remove
    made = function(config, run)
    if made is not None and not isinstance(made, Mapping):
        return _followed(made, taken)
    _check_taken(taken)
    return made


def _followed(made: Any, taken: Sequence[bool]) -> Generator[Values, Any, Any]:
    result = yield from made
    _check_taken(taken)
    return result  # of a generator: further metrics


def _check_taken(taken: Sequence[bool]) -> None:
    if not taken:
        raise AblateError(
            "this run is asked for a network without some parts, and the function never called "
            "`model = run.model(model, example)`, so nothing was taken away.",
            page="parts",
        )
