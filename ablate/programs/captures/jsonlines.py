"""jsonlines: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ablate.programs.capture import Capture, Reading, readings
from ablate.records import Json


@dataclass(frozen=True)
class JsonLines(Capture):
    label: ClassVar[str] = "json lines"

    def recognises(self, path: Path, head: bytes) -> bool:
        first, line_break, rest = head.lstrip().partition(b"\n")
        try:
            is_object = bool(line_break) and isinstance(json.loads(first), dict)
        except ValueError:
            return False
        return is_object and (path.suffix in (".jsonl", ".ndjson") or bool(rest.strip()))

    def read(self, path: Path, step: str) -> Iterator[Reading]:
        with path.open("rb") as file:
            yield from readings(_rows(file), step)


def _rows(lines: Iterable[bytes]) -> Iterator[Mapping[str, Json]]:
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:  # the last line is just being written, or a program wrote something else
            continue
        if isinstance(row, Mapping):
            yield row
