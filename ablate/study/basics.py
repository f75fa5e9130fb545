"""What `base:` of classify may hold: what is no plug-in as `ablate list` tells it (optimizers, schedules, settings),
and all of it for the JSON Schema."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from ablate.records import Json
from ablate.registry import Registry
from ablate.text import listed
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


def offered(registry: Registry) -> dict[str, Json]:
    """For editors, what each key of `base:` may be: offered and not asked for, since other tasks have other bases."""
    shelves = {"model": "models", "data": "datasets"}
    parts: dict[str, Mapping[str, list[str]]] = {
        key: {name: [one.name for one in registry.parameters(shelf, name)] for name in registry.names(shelf)}
        for key, shelf in shelves.items()
    }
    for key, kind in (("optimizer", "optimizers"), ("schedule", "schedules")):
        parts[key] = {one["name"]: list(one["parameters"]) for one in described(kind)}
    made: dict[str, Json] = {key: _either(_named(key, choices)) for key, choices in parts.items()}
    for one in described("settings"):
        inner = {name: {"description": _shown(of)} for name, of in one["parameters"].items()}
        if one["name"] == "loop":
            made |= inner
        else:
            made[one["name"]] = _either({"description": one["summary"], "type": "object", "properties": inner})
    return made


def _named(key: str, choices: Mapping[str, list[str]]) -> dict[str, Json]:
    """A part by name, with the parameters of every choice."""
    of: dict[str, list[str]] = {}
    for name, parameters in choices.items():
        for parameter in parameters:
            of.setdefault(parameter, []).append(name)
    inner = {parameter: {"description": f"Of {listed(names)}."} for parameter, names in of.items()}
    which = {"description": f"Which {key}.", "anyOf": [{"enum": list(choices)}, {"type": "string"}]}
    return {"type": "object", "properties": {"name": which, **inner}}


def _shown(parameter: Mapping[str, Any]) -> str:
    choices = re.findall(r"'(\w+)'", parameter["type"]) if parameter["type"].startswith("Literal") else []
    of = f"One of {listed(choices)}; " if choices else ""
    return f"{of}{json.dumps(parameter['default'], default=str)} unless given."


def _either(first: Mapping[str, Json]) -> dict[str, Json]:
    return {"anyOf": [first, {}]}
