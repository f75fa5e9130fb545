"""A program as the task: `task: {command: python train.py {flags}}`, any script as it lies there.

Its configuration is flat: a key of `base:` is an option of the program. The plan reads sources and executes nothing; a
run starts the program in a process of its own, and takes its numbers from the files and lines that it leaves.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, cast

from ablate.errors import AblateError, ChangedError, ConfigError, DataError, NoResultError
from ablate.identity import canonical_json, sha256, sha256_file
from ablate.programs import examples
from ablate.programs.attribution import Trace, living
from ablate.programs.capturing import Capturing, read_by
from ablate.programs.commanded import Command, globbed, hashed
from ablate.programs.launch import executed
from ablate.records import Json, TrickUse
from ablate.registry import Registry
from ablate.training import started
from ablate.training.examples import Given
from ablate.training.task import Completed, Report, Run, Task, Values


@dataclass(frozen=True)
class CommandTask(Command, Task):
    """A command with its keys; see `Command`."""

    flat: ClassVar[bool] = True

    @property
    def seeded(self) -> bool:
        return self.seed != "none"

    def complete(self, config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry) -> Completed:
        """The configuration as it is. ConfigError for what the command cannot be given, below `task` for what is wrong
        with the command itself."""
        del registry
        if tricks:
            raise ConfigError(
                (f"tricks.{i}", f"{use.name!r} is a trick of the task classify; a command is changed by `set:`.")
                for i, use in enumerate(tricks)
            )
        self.check(config)
        files = self.program.code(self.words(config, {"seed": "0"})) | self._named
        names = sorted([self.program.called(path), self._hash(path)] for path in files)
        return Completed(
            config=dict(config), asked=dict(config), tricks=(), code={"task": names}, data=self._data, task=self.asked,
            notes=self.unchecked,
        )  # fmt: skip

    @cached_property
    def _named(self) -> set[Path]:
        """Files of `sources:`."""
        return set(globbed(self.sources_, self.home, "sources"))

    @cached_property
    def _hashes(self) -> dict[Path, str]:
        return {}

    def _hash(self, path: Path) -> str:
        """Read once: a plan is of one moment."""
        if path not in self._hashes:
            self._hashes[path] = sha256_file(path)
        return self._hashes[path]

    @cached_property
    def _data(self) -> str | None:
        hashes = hashed(sorted(globbed(self.data, self.home, "data")))
        told = sorted([self.program.called(path), sha] for path, sha in hashes.items())
        return sha256(canonical_json(told)) if told else None

    def sources(self) -> Mapping[str, str]:
        if self.mistakes:  # `complete` says so, each at its place
            return {}
        return {str(path): self._hash(path) for path in sorted(self.program.code(self.program.words) | self._named)}

    def warm(self) -> None:
        # Each child would else import the shelf, make its validators, and read the script.
        read_by(Registry())
        with suppress(AblateError):  # a script that changed since the plan: the runs say so
            self.render({}, 0)

    def execute(self, run: Run) -> Generator[Values | Report, None, Values]:
        _check_sources(run)
        folder = run.folder.resolve()
        cwd = started.working_folder(self, folder)
        shared = Path(run.spec.cache).resolve() / "writers"
        names = tuple(dict.fromkeys(name for name in (run.spec.metric, *run.spec.also) if name))
        with ExitStack() as stack:
            log = stack.enter_context((folder / "log.txt").open("ab", buffering=0))
            life = stack.enter_context(living(folder, cwd, log.tell(), shared))
            trace = Trace(folder, life, shared)
            capturing = Capturing(self.wanted(names), run.registry, folder, life, trace)
            program = executed(started.launch(self, run, folder, cwd, life, shared), log)
            try:
                for data in program:
                    capturing.printed(data)
                    capturing.look()
                    yield from (Report(step, values) for step, values in capturing.fresh())
            finally:
                program.close()
            capturing.printed(b"\n", last=True)
            capturing.look(last=True)
            yield from (Report(step, values) for step, values in capturing.fresh())
            values, places, problems = capturing.result()
            capturing.keep(_note_examples(self, run, capturing))
        _check_sources(run)
        run.provenance |= {"captured": places, **_made_with(trace)}
        self._note_read(run, trace)
        if run.spec.metric and run.spec.metric not in values:
            why = started.without(run.spec.metric, values, problems, capturing.wanted, trace, folder)
            raise NoResultError(why)
        started.discard(self.discard, folder)
        return values

    def _note_read(self, run: Run, trace: Trace) -> None:
        """What was read below the study's folder and is not in the key: code and configuration by their hashes."""
        home, runs = self.home.resolve(), run.folder.resolve().parent
        known = {*map(os.path.realpath, run.spec.sources), *map(str, globbed(self.data, self.home, "data"))}
        read = [path for name in trace.read() if (path := Path(name)).is_file() and os.path.realpath(path) not in known]
        read = [path for path in read if not path.is_relative_to(runs)]
        for path in read[:_MOST_READ]:
            if path.suffix in _CODE and path.stat().st_size <= _LARGEST:
                run.executed[os.path.relpath(path, home)] = sha256_file(path)
        if read:
            run.provenance["read"] = sorted(os.path.relpath(path, home) for path in read)[:_MOST_READ]


def _note_examples(command: Command, run: Run, capturing: Capturing) -> list[Path]:
    """What it said of each example, noted with the run; the file. What cannot be read ends no run."""
    asked = command.examples
    if asked is None:
        return []
    files = capturing.own(asked.file)
    try:
        run.per_example = Given(*astuple(examples.read(asked, files)))
    except DataError as error:
        run.outputs["note:examples"] = f"refused: {error}"
    return files


_CODE = (".py", ".yaml", ".yml", ".json", ".toml", ".cfg", ".ini", ".sh")
_LARGEST = 1 << 20
"""Bytes of a file that is taken for code or configuration, not data."""
_MOST_READ = 200


def _made_with(trace: Trace) -> dict[str, Json]:
    """The program's interpreter and what is installed for it, which may not be what executes ablate."""
    told = trace.python
    if not told:
        return {}
    packages = cast(list[str], told["packages"])
    parts = [one.rpartition(".")[0].split("-") for one in packages]  # numpy-2.4.6.dist-info
    versions = {part[0]: part[1] for part in parts if len(part) > 1}
    installed = {name: versions.get(name) for name in ("torch", "numpy")}
    python = cast(str, told["python"])
    return {"python": python, "script_python": python, "packages": sha256(canonical_json(packages)), **installed}


def _check_sources(run: Run) -> None:
    for name, planned in run.spec.sources.items():
        path = Path(name)
        if not path.is_file() or sha256_file(path) != planned:
            raise ChangedError(f"{name} changed since the plan was made; run the same command again to plan anew")
