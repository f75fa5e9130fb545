"""wandb: an offline run for each run, below DIR/wandb; `wandb sync DIR/wandb/offline-run-*` uploads them.

Nothing is sent from here. A run that is there is not changed: its verdict is the one that it was exported with.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ablate.runs.exporter import Exported, Exporter

_DONE = "ablate.key"
"""A file beside the run's own, written when all of it is there."""


@dataclass(frozen=True)
class WandB(Exporter):
    needs: ClassVar[str] = "wandb"

    def complete(self, place: str, study: str) -> Collection[str]:
        del study
        return [path.read_text() for path in Path(place).glob(f"wandb/offline-run-*/{_DONE}")]

    def write(self, place: str, run: Exported) -> None:
        import wandb

        name = run.key[:16]
        for left in Path(place).glob(f"wandb/offline-run-*-{name}"):  # of an export that was interrupted
            shutil.rmtree(left)
        Path(place).mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True
        )
        verdict = run.tags.get("verdict", "")
        asked: dict[str, Any] = {**run.config, "seed": run.seed, "variant": run.variant, "ablate.key": run.key}
        made = wandb.init(
            project=run.study, id=name, name=run.name, dir=place, mode="offline", reinit="create_new", config=asked,
            tags=[verdict[:64]] if verdict else None, notes="; ".join(f"{k}: {v}" for k, v in run.tags.items()),
            settings=settings,
        )  # fmt: skip
        for step, values in run.by_step:
            made.log(values, step=step)
        made.summary.update({**{f"final/{name}": value for name, value in run.values.items()}, **run.tags})
        folder = Path(made.dir).parent
        made.finish()
        wandb.teardown()  # its service writes the file some time later, and all of it by its own end
        (folder / _DONE).write_text(run.key)
