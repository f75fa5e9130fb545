"""How a command is started for one run: its words, working folder, environment, preload. And what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ablate.identity import sha256
from ablate.programs import preload, rendering
from ablate.programs.attribution import KEPT, Life, Trace, trace_of
from ablate.programs.capturing import SAID, matches, normal
from ablate.programs.commanded import OF_RUN, Command
from ablate.programs.launch import Launch
from ablate.programs.printed import numbers_in
from ablate.programs.program import Program
from ablate.programs.template import filled
from ablate.programs.wanted import Wanted
from ablate.records import Json
from ablate.text import did_you_mean, listed, many, one_of
from ablate.training.task import Run

_WORK = "work"


def working_folder(command: Command, folder: Path) -> Path:
    """Where the command is to run; made, with its links, where it is the run's own."""
    if command.cwd != OF_RUN:
        return (command.home / command.cwd).resolve()
    work = folder / _WORK
    work.mkdir(exist_ok=True)
    for name in command.links:
        link = work / Path(name).name
        with suppress(FileExistsError):
            link.symlink_to((command.home / name).resolve())
    return work


def launch(command: Command, run: Run, folder: Path, cwd: Path, life: Life, shared: Path) -> Launch:
    """What is executed for a run."""
    made = command.render(run.config, run.seed)
    places = _places(command, run, folder)
    if made.file or command.flags == "file":
        Path(places["config"]).write_text(made.file)
    words = command.words(run.config, places)
    if command.program.called_python:
        words[0] = str(command.program.python)
    words += _resumed(command, run, folder, places)
    words = _located(words, command, cwd)
    environment = _environment(command, run, folder, places, made.environment)
    settings: dict[str, Json] = {"constants": dict(made.constants), "script": str(command.program.script)}
    if made.constants:
        words = _with_constants(words, command.program, run.spec.cache)
    if command.preload:
        settings |= {"trace": str(trace_of(folder)), "project": str(command.home.resolve()), "folder": str(folder)}
        settings |= {"token": life.token, "writers": str(shared)}
    if command.binding.how == "inject":
        settings["seed"] = run.seed
    if command.preload or made.constants or "seed" in settings:
        environment[preload.SETTINGS] = json.dumps(settings)
        paths = [str(_preloaded(Path(run.spec.cache))), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    else:
        environment.setdefault("PYTHONUNBUFFERED", "1")
    return Launch(words, cwd, environment)


def _places(command: Command, run: Run, folder: Path) -> dict[str, str]:
    gpus = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return {
        "seed": str(run.seed), "folder": str(folder), "python": str(command.program.python), "device": run.device,
        "gpus": str(len(gpus) if run.device != "cpu" else 0), "threads": str(run.spec.threads),
        "config": str(folder / KEPT / f"config.{command.file}"),
    }  # fmt: skip


def _resumed(command: Command, run: Run, folder: Path, places: Mapping[str, str]) -> list[str]:
    """Arguments of a further attempt."""
    if not command.resume:
        return []
    values = {**command.values(run.config), **places}
    when = Path(filled(str(command.resume["when"]), values))
    there = (folder / when).exists() or (folder / _WORK / when).exists()
    return [filled(word, values) for word in command.resume["args"]] if there else []


def _located(words: list[str], command: Command, cwd: Path) -> list[str]:
    """Words that name files of the study's folder, where the command runs in another: by their whole paths."""
    if command.cwd != OF_RUN:
        return words
    home = command.home.resolve()
    return [
        str(home / word) if not os.path.isabs(word) and (home / word).is_file() and not (cwd / word).exists() else word
        for word in words
    ]


def _environment(
    command: Command, run: Run, folder: Path, places: Mapping[str, str], options: Mapping[str, str]
) -> dict[str, str]:
    environment = dict(os.environ)
    if command.style == "env":
        for name in run.config:  # null leaves an option out, also where the caller's environment has it
            environment.pop(name, None)
    if command.env_file:
        from dotenv import dotenv_values

        environment |= {name: value or "" for name, value in dotenv_values(command.home / command.env_file).items()}
    values = {**command.values(run.config), **places}
    environment |= {name: filled(rendering.text(value, lower=True), values) for name, value in command.env.items()}
    environment |= options
    environment |= {
        "PATH": command.program.path,
        "ABLATE_METRICS": str(folder / KEPT / SAID),
        "ABLATE_FOLDER": str(folder),
    }
    environment.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    if command.cwd == OF_RUN and command.program.is_module:
        paths = [str(command.home.resolve()), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def preload_name() -> str:
    """The name of the folder in the cache that holds the preload."""
    return f"preload-{sha256(Path(preload.__file__).read_bytes())[:12]}"


def _preloaded(cache: Path) -> Path:
    """The folder that holds the preload, called as Python looks for it; runs share it, and what is compiled of it."""
    folder = cache.resolve() / preload_name()
    file = folder / "sitecustomize.py"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{os.getpid()}"
        part.write_bytes(Path(preload.__file__).read_bytes())
        part.replace(file)
    return folder


def _with_constants(words: list[str], program: Program, cache: str) -> list[str]:
    """The script called by way of the preload, which replaces its constants in memory."""
    at = program.script_at
    assert at is not None, "a plan refuses constants where no script is seen"
    return [*words[:at], str(_preloaded(Path(cache)) / "sitecustomize.py"), str(program.script), *words[at + 1 :]]


def discard(globs: str | Sequence[str], folder: Path) -> None:
    """Remove what a finished run need not keep."""
    for glob in [globs] if isinstance(globs, str) else globs:
        for path in sorted(folder.rglob("*"), reverse=True):
            relative = path.relative_to(folder).as_posix()
            if matches(glob, relative) and not relative.startswith(KEPT) and relative != "log.txt":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def _end_of(log: Path) -> str:
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 100_000))
        return file.read().decode("utf-8", "replace")
    return ""


ENDED_WELL = "the command ended well"
"""How a message begins, which then stands in the log below what the program printed."""


def without(
    name: str, values: Mapping[str, float], problems: Sequence[str], wanted: Wanted, trace: Trace, folder: Path
) -> str:
    """Why a run has no number of a name that the study asks for, and what to do."""
    text = f"{ENDED_WELL}, and {name} was found nowhere"
    if problems:
        text = f"{ENDED_WELL}, but {'; '.join(problems)}."
    elif values:
        near = did_you_mean(name, values) or did_you_mean(normal(name), values)
        text += f"; there is {listed(sorted(values))}.{near}"
    elif printed := numbers_in(_end_of(folder / "log.txt")):
        near = did_you_mean(name, printed) or did_you_mean(normal(name), map(normal, printed))
        text += f"; it prints {listed(printed, most=8)}.{near}"
    else:
        places = one_of(source.where for source in wanted.sources) if wanted.sources else "its files, standard output"
        text += f", and no other number in {places}."
    if not problems and not values:
        written = [path for path in trace.written() if not Path(path).is_relative_to(folder)]
        text += f" It wrote {many(len(written), 'file')} elsewhere." if written else ""
    return f"{text} `ablate show RUN --log` has its output; after a change of `metrics:`, `ablate recapture` reads anew"
