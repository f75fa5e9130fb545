"""mlflow: the database of MLflow, read as the SQLite file that it is."""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ablate.programs.capture import Capture, Reading


@dataclass(frozen=True)
class MlFlow(Capture):
    label: ClassVar[str] = "mlflow"

    def recognises(self, path: Path, head: bytes) -> bool:
        if not head.startswith(b"SQLite format 3\0"):
            return False
        try:
            return bool(_rows(path, "select 1 from pragma_table_info('metrics') where name = 'is_nan'"))
        except ValueError:
            return True  # it is just being written: the next look tells

    def read(self, path: Path, step: str) -> Iterator[Reading]:
        del step
        for name, value, at, is_nan in _rows(
            path, "select key, value, step, is_nan from metrics order by timestamp, step"
        ):
            yield Reading(str(name), _number(value, is_nan=is_nan), int(at))


def _number(value: float, *, is_nan: bool) -> float:
    """MLflow keeps NaN as 0 with a mark, and infinity as the largest number that there is."""
    if is_nan:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else float(value)


def _rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()
    except sqlite3.Error as error:
        raise ValueError(str(error)) from error
