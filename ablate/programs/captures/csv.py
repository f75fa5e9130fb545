"""csv: a table with a header: a row a step, or long with columns metric and value; commas or tabs."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ablate.programs.capture import Capture, Reading, number, readings

_NAMES = ("metric", "name", "key")
_CODE = (".py", ".md", ".yaml", ".yml", ".toml", ".sh", ".log", ".html", ".js", ".css")


@dataclass(frozen=True)
class Csv(Capture):
    label: ClassVar[str] = "csv"

    def recognises(self, path: Path, head: bytes) -> bool:
        if path.suffix in _CODE or b"\0" in head:
            return False
        lines = head.decode("utf-8-sig", "replace").splitlines()
        if len(lines) < 2:
            return False
        header, first = (_cells(line, lines[0]) for line in lines[:2])
        named = all(re.fullmatch(r"[^\d\s{}\[\]:;][^{}\[\];]{0,99}", name) for name in header if name)
        return named and len(header) > 1 and len(header) == len(first) and any(number(one) is not None for one in first)

    def read(self, path: Path, step: str) -> Iterator[Reading]:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            lines = (line for line in file if line.endswith("\n") or line.strip())
            first = next(lines, "")
            header = _cells(first, first)
            rows = (
                dict(zip(header, (cell.strip() for cell in cells), strict=False))
                for cells in csv.reader(lines, delimiter=_delimiter(first))
            )
            name = next((name for name in _NAMES if name in header), None)
            yield from _long(rows, name, step) if name and "value" in header else readings(rows, step)


def _long(rows: Iterator[dict[str, str]], name: str, step: str) -> Iterator[Reading]:
    counts: dict[str, int] = {}
    for row in rows:
        metric, value = row.get(name, ""), row.get("value")
        counts[metric] = counts.get(metric, 0) + 1
        others = {key: cell for key, cell in row.items() if key not in (name, "value")}
        for reading in readings([{**others, "\0": value}], step):
            if reading.name == "\0" and metric:
                says = any(key in row for key in ("step", "epoch", "iteration", step))
                yield Reading(metric, reading.value, reading.step if says else counts[metric])


def _delimiter(line: str) -> str:
    return max("\t;,", key=line.count)


def _cells(line: str, header: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=_delimiter(header)), [])]
