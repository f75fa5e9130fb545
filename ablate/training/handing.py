"""The process that handed.py asks: it runs a function up to `run.model`, and keeps the network that it got there."""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from ablate.errors import AblateError, ConfigError, TogetherError
from ablate.records import Json, RunSpec, TaskUse
from ablate.registry import Registry
from ablate.text import one_line
from ablate.training import removal
from ablate.training.answers import serve
from ablate.training.configured import class_of, configured
from ablate.training.handed import CALL
from ablate.training.replacement import ready
from ablate.training.surgery import Theatre
from ablate.training.task import Run


class _HandedError(BaseException):
    """Ends the function at `run.model`, past every `except Exception` of its own."""

    def __init__(self, model: Any, example: Any) -> None:
        super().__init__()
        self.model, self.example = model, example


def main() -> None:
    """Arguments are module, function, the limit in seconds, folders of plug-ins as JSON, folders of modules."""
    module, function, limit_s, plugins, *folders = sys.argv[1:]
    registry = Registry([Path(folder) for folder in json.loads(plugins)], folders)
    sys.argv[:] = [module]
    # It lives as long as the command that planned: what it took of a GPU the runs would lack.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

    @lru_cache(maxsize=8)  # networks: what a search plans is not kept for good
    def handed(config: str) -> Theatre | ConfigError:
        signal.alarm(int(limit_s))  # ends the process whatever the function does, also where the plan is gone
        theatre = _theatre(module, function, folders, json.loads(config))
        signal.alarm(0)
        return theatre

    def answer(question: Any) -> Json:
        what, config, of = question
        theatre = handed(json.dumps(config))
        try:
            if isinstance(theatre, ConfigError):
                raise theatre
            return {"found": _ANSWERS[what](theatre, of, registry)}
        except ConfigError as error:
            return {"problems": list(error.problems), "together": isinstance(error, TogetherError)}

    serve(answer)


def _decided(theatre: Theatre, asked: Sequence[Mapping[str, Json]], registry: Registry) -> Json:
    found = removal.decide(theatre, ready(asked, registry))
    return [list(found.parts), list(found.notes), {part: list(place) for part, place in found.places.items()}]


def _able(theatre: Theatre, asked: Mapping[str, Json], registry: Registry) -> Json:
    return removal.able(theatre, ready([asked], registry)[0])


def _sizes(theatre: Theatre, parts: Sequence[Mapping[str, Json]], registry: Registry) -> Json:
    sizes = removal.sizes_of(theatre, ready(parts, registry))
    return [[one.path, one.kind, one.made, one.parameters, one.flops] for one in sizes]


_ANSWERS: Mapping[str, Callable[[Theatre, Any, Registry], Json]] = {
    "decided": _decided,
    "able": _able,
    "sizes": _sizes,
}


def _theatre(module: str, function: str, folders: Sequence[str], config: Mapping[str, Json]) -> Theatre | ConfigError:
    try:
        handed = _handed(module, function, folders, config)
    except ConfigError as error:
        return error
    except (Exception, SystemExit) as error:
        why = f"{function} failed before it called `run.model`: {_said(error, folders)}"
        gpu = any(word in why.lower() for word in ("cuda", "nvidia"))
        return ConfigError([("task", why + "; the plan runs it without a GPU, and `run.device` is cpu." * gpu)])
    if handed is None:
        why = f"{function} never calls {CALL}, so no part of its network can go; call it before the optimizer is made."
        return ConfigError([("task", why)])
    try:
        theatre = Theatre(handed.model, handed.example)
        assert theatre.whole, "it is asked for its mistakes"
    except AblateError as error:
        return ConfigError([("task", f"{function} calls `run.model`, and {error}")])
    except Exception as error:
        why = f"{function} calls `run.model`, and with its example the network does not run: {_said(error, folders)}"
        return ConfigError([("task", why)])
    return theatre


def _handed(module: str, function: str, folders: Sequence[str], config: Mapping[str, Json]) -> _HandedError | None:
    """The network and the example that the function hands over; None where it ends without."""
    if sys.path[: len(folders)] != list(folders):
        sys.path[:0] = folders
    called = getattr(importlib.import_module(module), function)
    kind = class_of(called)
    # One that seeds nothing hands over the same network whenever it is asked, so that a plan stays what it is.
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)

    def hand(model: Any, example: Any) -> NoReturn:
        raise _HandedError(model, example)

    with tempfile.TemporaryDirectory(prefix="ablate-handing-") as folder:
        spec = RunSpec("", TaskUse.of(f"{module}:{function}"), dict(config), (), 0, 1, folder, folder)
        run = Run(spec, Registry(), remover=hand)
        try:
            made = called(run.config if kind is None else configured(kind, run.config), run)
            for _ in made if isinstance(made, Iterator) else ():
                pass
        except _HandedError as handed:
            return handed
    return None


def _said(error: BaseException, folders: Sequence[str]) -> str:
    """An error, and the last line of the user's own code on the way to it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(tuple(folders))]
    at = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {one_line(str(error))}{at}"
