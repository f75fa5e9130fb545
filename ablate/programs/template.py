"""Placeholders in a command's words: `{seed}`, `{folder}`, `{KEY}` of the base. Pure.

`{{` is a brace. `${...}` and braces that hold anything but one name stay as they are: a JSON argument, Hydra's
interpolation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache

from ablate.text import did_you_mean, one_of

PLACES = ("folder", "python", "device", "gpus")
"""Placeholders that say where a run executes, which no key holds."""

PLACEHOLDERS = ("flags", "seed", "folder", "config", "python", "device", "gpus", "threads")
"""What may stand in braces beside keys of the base."""

_PART = re.compile(r"\$\{[^{}]*\}|\{\{([\w.+~@/-]+)\}\}|\{\{|\{([A-Za-z_+~@][\w.+~@/-]*)\}")


@cache
def placeholders(text: str) -> tuple[str, ...]:
    """The names in braces, in their order."""
    return tuple(match[2] for match in _PART.finditer(text) if match[2])


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced; one that has no value stays."""

    def replaced(match: re.Match[str]) -> str:
        if match[2]:
            return values.get(match[2], match[0])
        return f"{{{match[1]}}}" if match[1] else "{" if match[0] == "{{" else match[0]

    return _PART.sub(replaced, text)


def unknown(text: str, keys: Collection[str], allowed: Collection[str] = PLACEHOLDERS) -> str:
    """What is wrong with the first name in braces that is no placeholder; empty where all are."""
    for name in placeholders(text):
        if name not in allowed and name not in keys:
            names = [*allowed, *keys]
            near = did_you_mean(name, names)
            listed = one_of(f"{{{one}}}" for one in names)
            return f"holds {{{name}}}, which is no placeholder; there is {listed}.{near} A brace is written {{{{."
    return ""
