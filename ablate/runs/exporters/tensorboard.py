"""tensorboard: a folder of event files for each run, with its hyperparameters, curves and final numbers.

Scalars are float32 there. What the table says of a run is among its hyperparameters as it was when it was exported.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ablate.runs.exporter import Exported, Exporter


@dataclass(frozen=True)
class TensorBoard(Exporter):
    needs: ClassVar[str] = "tensorboard.summary.writer.event_file_writer"

    def complete(self, place: str, study: str) -> Collection[str]:
        return [path.read_text() for path in Path(place).glob(f"{_plain(study)}/*/ablate.key")]

    def write(self, place: str, run: Exported) -> None:
        from tensorboard.plugins.hparams import summary_v2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder = Path(place) / _plain(run.study) / f"{_plain(run.variant)}-seed{run.seed}-{run.key[:8]}"
        part = folder.with_name(f".{folder.name}.part")
        for left in (part, folder):  # of an export that was interrupted
            shutil.rmtree(left, ignore_errors=True)
        writer = EventFileWriter(str(part))
        asked = {**run.config, "variant": run.variant, "seed": run.seed, **run.tags}
        known = {name: value if isinstance(value, bool | int | float) else str(value) for name, value in asked.items()}
        writer.add_event(_event(run.at_s, 0, summary_v2.hparams_pb(known, run.key, run.at_s)))
        for step, values in run.by_step:
            for name, value in values.items():
                writer.add_event(_scalar(run.at_s, step, name, value))
        last = max((step for step, _ in run.by_step), default=0)
        for name, value in run.values.items():
            writer.add_event(_scalar(run.at_s, last, f"final/{name}", value))
        writer.close()
        (part / "ablate.key").write_text(run.key)
        os.replace(part, folder)


def _event(at_s: float, step: int, summary: Any) -> Any:
    from tensorboard.compat.proto import event_pb2

    return event_pb2.Event(wall_time=at_s + step, step=step, summary=summary)


def _scalar(at_s: float, step: int, name: str, value: float) -> Any:
    from tensorboard.compat.proto import summary_pb2

    one = summary_pb2.Summary.Value(tag=name, simple_value=value)
    return _event(at_s, step, summary_pb2.Summary(value=[one]))


def _plain(name: str) -> str:
    """A name as the name of a folder, which TensorBoard shows."""
    return re.sub(r"[^\w.=+-]+", "_", name).strip(".") or "_"
