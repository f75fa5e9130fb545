"""Workers that people start: `ablate worker FOLDER` on any machine that sees the study's folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from ablate.pool.executor import NOTHING_MORE, Needs
from ablate.pool.mailed import Mailed
from ablate.pool.messages import Setup


@dataclass(eq=False)
class Workers(Mailed):
    """Waits for workers, however they are started: ssh, qsub, a Kubernetes job."""

    called: ClassVar[str] = "workers"

    def open(self, setup: Setup, needs: Needs = NOTHING_MORE) -> Self:
        super().open(setup, needs)
        if not self.living:
            needs.say(f"waiting for workers; on any machine that sees this folder: ablate worker {self.box.folder}")
        return self
