"""What the network of a function is, asked by the plan: a process runs the function up to `run.model` and no further.

There (handing.py) parts of the network are decided and tried, as those of a network of the shelf are in the plan
itself; here torch is not loaded. Nothing that the function does before that call is kept: its run has a folder that
goes, and no number of it is a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablate.errors import ConfigError, TogetherError
from ablate.identity import canonical_json
from ablate.records import Json
from ablate.training.answers import EndedError, answers
from ablate.training.task import PartSize, Place

LIMIT_S = 120
"""How long a function may take until it calls `run.model`, with the import of its module."""

CALL = "`model = run.model(model, example)`"


class Handed:
    """The plan's side: a function, and what its network is like under a configuration."""

    def __init__(
        self, module: str, function: str, folders: Sequence[str], plugins: Sequence[str], sources: Mapping[str, str]
    ) -> None:
        """folders: where modules lie, and plugins: where plug-ins do."""
        self._function = function
        arguments = (module, function, str(LIMIT_S), canonical_json([*plugins]), *folders)
        self._answers = answers("handing", arguments, sources)

    def decided(
        self, config: Mapping[str, Json], asked: Sequence[Mapping[str, Json]]
    ) -> tuple[list[Mapping[str, Json]], list[str], dict[str, Place]]:
        """What taking parts away means: a path and what stands there, of each; notes; and where they stand, by
        `task.asked_part`. ConfigError (keys `task`, or 0, 1: which part), TogetherError."""
        parts, notes, places = self._ask("decided", config, list(asked))
        return parts, notes, {part: (number, path) for part, (number, path) in places.items()}

    def able(self, config: Mapping[str, Json], asked: Mapping[str, Json]) -> tuple[list[str], list[str]]:
        """The paths of the parts that a pattern names and that can go, and why others cannot."""
        paths, refused = self._ask("able", config, dict(asked))
        return paths, refused

    def sizes(self, config: Mapping[str, Json], parts: Sequence[Mapping[str, Json]]) -> list[PartSize]:
        return [
            PartSize(path, kind, tuple(made), *of) for path, kind, made, *of in self._ask("sizes", config, list(parts))
        ]

    def _ask(self, what: str, config: Mapping[str, Json], of: Json) -> Any:
        try:
            answer = self._answers.ask([what, dict(config), of])
        except EndedError as error:
            why = f"{self._function} was run up to `run.model`, for what its network is, and {error}."
            if error.late:
                why = f"{self._function} did not call {CALL} within {LIMIT_S} s, so nobody knows its parts; call it "
                why += "before long work: one batch will do as the example."
            raise ConfigError([("task", why)]) from None
        if "problems" in answer:
            kind = TogetherError if answer["together"] else ConfigError
            raise kind((key, message) for key, message in answer["problems"])
        return answer["found"]
