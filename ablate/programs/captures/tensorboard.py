"""tensorboard: event files of TensorBoard, read by tensorboard's own reader, which is imported only for one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ablate.programs.capture import Capture, Reading


@dataclass(frozen=True)
class TensorBoard(Capture):
    label: ClassVar[str] = "tensorboard"

    def recognises(self, path: Path, head: bytes) -> bool:
        del path
        return b"brain.Event:" in head[:64]

    def read(self, path: Path, step: str) -> Iterator[Reading]:
        del step
        try:
            from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
            from tensorboard.util import tensor_util
        except ImportError:
            raise ValueError(
                "that takes tensorboard, which is not there beside ablate: pip install tensorboard, or "
                "'ablate-studies[tensorboard]'"
            ) from None
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                try:
                    made = value.HasField("tensor")
                    number = tensor_util.make_ndarray(value.tensor) if made else value.simple_value
                    yield Reading(value.tag, float(number), int(event.step))
                except (TypeError, ValueError):
                    continue  # a picture, a text, a histogram
