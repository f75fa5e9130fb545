"""Workers that people start: `ablate worker FOLDER` on any machine that sees the study's folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ablate.pool.mailed import Mailed


@dataclass(eq=False)
class Workers(Mailed):
    """Waits for workers, however they are started: ssh, qsub, a Kubernetes job."""

    called: ClassVar[str] = "workers"

    @property
    def awaits(self) -> str:
        return "" if self.living else f"a worker; on any machine that sees this folder: ablate worker {self.box.folder}"
