"""What dispatcher, server and worker say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate.records import RunSpec, Start, TrickUse


def storable(message: Any) -> Any:
    """The same with every text one that any database takes: no NUL, and no half of a character, as file names that are
    no UTF-8 have them. One such text would end the dispatcher, and every run with it."""
    if isinstance(message, str):
        return message.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    if isinstance(message, Mapping):
        return {storable(name): storable(value) for name, value in message.items()}
    return message


def read_spec(data: Mapping[str, Any]) -> RunSpec:
    """A RunSpec from its JSON."""
    tricks = tuple(TrickUse(use["name"], use["params"]) for use in data["tricks"])
    start = Start(**data["start"]) if data.get("start") else None
    lists = {name: tuple(data[name]) for name in ("plugins", "path")}
    return RunSpec(**{**data, **lists, "tricks": tricks, "start": start})
