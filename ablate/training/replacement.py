"""The contract of a replacement: what stands in a part's place while the part is off. Files in `replacements/`.

A study writes `instead: {use: bottleneck, with: {width: 8}}`. Its parameters are called `PATH.instead.NAME` and drawn,
like all others, each from the stream of its own name, so that nothing else of the network starts otherwise.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ablate.errors import ConfigError
from ablate.records import WITHOUT, Json, TrickUse
from ablate.registry import Plugin, Registry, unknown

if TYPE_CHECKING:
    from torch import nn

MADE = "made"
"""Where a part that was asked for holds its replacement, made with its parameters: beside what is asked, in no key."""


class Replacement(Plugin):
    """A layer in a part's place. Its fields are what `with: {width: 8}` may give."""

    @abstractmethod
    def build(self, given: tuple[int, ...], made: tuple[int, ...]) -> nn.Module:
        """A module that makes tensors of one shape of those of another, and is called with one tensor.

        given: the shape of the part's input for an example of two; made: of its output, which must come out. What it
        draws in training, it draws from a layer of ablate's (`ablate.plugins.Dropout`), not from torch's generator.
        Raises ConfigError (with an empty key) where it cannot lead from one to the other.
        """


def ready(parts: Iterable[Mapping[str, Json]], registry: Registry, at: str = "") -> tuple[Mapping[str, Any], ...]:
    """The parts, those with a replacement with it made. ConfigError (keys below `at`.N.instead)."""
    found: list[Mapping[str, Any]] = []
    for i, part in enumerate(parts):
        name, params = used(part)
        place = f"{at}.{i}.instead" if at else f"{i}.instead"
        if name and name not in (names := registry.names("replacements")):
            raise ConfigError([(f"{place}.use", unknown("replacement", name, names))])
        if not isinstance(params, Mapping):
            raise ConfigError([(f"{place}.with", f"is {params!r}; it must be a mapping.")])
        made = {MADE: registry.make("replacements", name, params, f"{place}.with")} if name else {}
        found.append({**part, **made})
    return tuple(found)


def used(part: Mapping[str, Json]) -> tuple[str, Mapping[str, Json]]:
    """The name and parameters of the replacement that a part asks for; none where it asks for none."""
    instead = part.get("instead")
    return (
        (instead["use"], instead.get("with") or {}) if isinstance(instead, Mapping) and "use" in instead else ("", {})
    )


def names_of(tricks: Iterable[TrickUse]) -> list[str]:
    """The replacements that parts of the network have."""
    parts = (part for use in tricks if use.name == WITHOUT for part in use.params["parts"])
    return sorted({name for part in parts if (name := used(part)[0])})


def made(use: TrickUse, registry: Registry) -> Any:
    """A trick as a run uses it; of the one that takes parts away, with its replacements."""
    trick = registry.make("tricks", use.name, use.params)
    return replace(trick, parts=ready(trick.parts, registry, "parts")) if use.name == WITHOUT else trick
