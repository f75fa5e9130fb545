"""trackio: a run for each run, in the project that is called as the study; `TRACKIO_DIR=DIR trackio show` shows them.

A run is written in one transaction, so that it is there as a whole or not at all. Nothing is sent from here. Its
verdict is the one that it was exported with.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ablate.errors import AblateError
from ablate.runs.exporter import Exported, Exporter


@dataclass(frozen=True)
class Trackio(Exporter):
    needs: ClassVar[str] = "trackio"

    def prepare(self, place: str) -> None:
        # It looks where its files lie when it is imported, and never again.
        os.environ["TRACKIO_DIR"] = str(Path(place).resolve())

    def complete(self, place: str, study: str) -> Collection[str]:
        return [str(record.get("id")) for record in _storage(place).get_run_records(_project(study))]

    def write(self, place: str, run: Exported) -> None:
        steps = dict(run.by_step)
        last = max(steps, default=0)
        steps[last] = {**steps.get(last, {}), **{f"final/{name}": value for name, value in run.values.items()}}
        at = [datetime.datetime.fromtimestamp(run.at_s + step, datetime.UTC).isoformat() for step in steps]
        asked = {**run.config, "variant": run.variant, "seed": run.seed, "ablate.key": run.key, **run.tags}
        _storage(place).bulk_log(
            _project(run.study), run.name, list(steps.values()), list(steps), at, asked,
            log_ids=[f"{run.key}-{step}" for step in steps], run_id=run.key,
        )  # fmt: skip


def _storage(place: str) -> Any:
    from trackio.sqlite_storage import SQLiteStorage
    from trackio.utils import TRACKIO_DIR

    if Path(TRACKIO_DIR).resolve() != Path(place).resolve():
        raise AblateError(f"this process uses trackio in {TRACKIO_DIR} already; export to {place} from another one.")
    return SQLiteStorage


def _project(study: str) -> str:
    return re.sub(r"[^\w-]+", "-", study, flags=re.ASCII).strip("-") or "study"
