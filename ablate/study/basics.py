"""What `base:` of classify may hold that is no plug-in, as `ablate list` tells it: optimizers, schedules, settings."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from typing import Any

from ablate.training import recipe
from ablate.training.schedules import SCHEDULES
from ablate.training.stopping import Stopping

KINDS = ("optimizers", "schedules", "settings")


def described(kind: str) -> list[dict[str, Any]]:
    """Each with name, summary and parameters with their defaults, as plug-ins are described."""
    every: dict[str, Mapping[str, Any]] = {
        "optimizers": recipe.OPTIMIZERS,
        "schedules": SCHEDULES,
        "settings": {"loop": recipe.Loop, "init": recipe.Init, "early_stopping": Stopping},
    }
    return [_described(name, made) for name, made in every[kind].items()]


def _described(name: str, made: Any) -> dict[str, Any]:
    said = " ".join(inspect.cleandoc(made.__doc__ or "").split())
    parameters = {of.name: {"type": str(of.type), "default": of.default} for of in dataclasses.fields(made)}
    summary = re.split(r"(?<=[a-z)`])\. ", said, maxsplit=1)[0].rstrip(".")
    where = " These are keys of `base:` itself." if made is recipe.Loop else ""
    return {"name": name, "category": None, "paper": None, "parameters": parameters, "summary": f"{summary}.{where}"}
