"""mlflow: the database of MLflow, read as the SQLite file that it is."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ablate.programs.capture import Capture, Reading


@dataclass(frozen=True)
class MlFlow(Capture):
    label: ClassVar[str] = "mlflow"

    def recognises(self, path: Path, head: bytes) -> bool:
        del path
        return head.startswith(b"SQLite format 3\0")

    def read(self, path: Path, step: str) -> Iterator[Reading]:
        del step
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                rows = database.execute(
                    "select key, value, step, is_nan from metrics order by timestamp, step"
                ).fetchall()
        except sqlite3.Error as error:
            raise ValueError(str(error)) from error
        for name, value, at, is_nan in rows:
            yield Reading(str(name), math.nan if is_nan else float(value), int(at))
