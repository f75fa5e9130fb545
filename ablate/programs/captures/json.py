"""json: one JSON document: an object of numbers, a list of them, or the `trainer_state.json` of transformers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ablate.programs.capture import Capture, Reading, flat, number, readings
from ablate.records import Json as Value


@dataclass(frozen=True)
class Json(Capture):
    label: ClassVar[str] = "json"

    def recognises(self, path: Path, head: bytes) -> bool:
        text = head.decode("utf-8", "replace").strip()
        return text[:1] in ("{", "[") and not _is_lines(head) and (path.suffix == ".json" or _begins(text))

    def read(self, path: Path, step: str) -> Iterator[Reading]:
        document = json.loads(path.read_bytes())
        if isinstance(document, list):
            yield from readings([row for row in document if isinstance(row, Mapping)], step)
        elif isinstance(document, Mapping):
            yield from _of_object(document, step)


def _of_object(document: Mapping[str, Value], step: str) -> Iterator[Reading]:
    history = document.get("log_history")
    if isinstance(history, list):
        yield from readings([row for row in history if isinstance(row, Mapping)], step)
        return
    for name, value in document.items():  # a history: a list of numbers for each name, as Keras keeps it
        numbers = [number(item) for item in value] if isinstance(value, list) else []
        if numbers and None not in numbers:
            yield from (Reading(name, one, i) for i, one in enumerate(numbers, 1) if one is not None)
    yield from (Reading(name, value) for name, value in flat(document))


def _begins(text: str) -> bool:
    """Whether a text is a document, or the first part of one; a log that begins with `[2026-12-01]` is not."""
    try:
        json.loads(text)
    except RecursionError:
        return True
    except json.JSONDecodeError as error:
        cut = error.msg.startswith(("Unterminated string", "Invalid \\uXXXX"))
        return cut or bool(_CUT.fullmatch(text, error.pos))
    return True


_CUT = re.compile(r"[-\d.eE+]*|t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?|Na?|I[a-z]*")
"""What the end of the first part of a document may hold: nothing, or a value that is cut."""


def _is_lines(head: bytes) -> bool:
    """Whether a second document follows the first line."""
    first, _, rest = head.strip().partition(b"\n")
    try:
        json.loads(first)
    except ValueError:
        return False
    return bool(rest.strip())
