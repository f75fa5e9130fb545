"""Parts of a trained network are taken away before it is measured; nothing is trained without them.

When: to learn what trained weights rely on, which is another question than what a training can do without (`without`).
A study's `{part: layer3.1, when: trained}` is this the other way round: there the trick is on while the part is there.
Only final weights are measured so, those of the run that has the part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class TrainedWithout(Trick):
    """parts: mappings with `part` (a path or a pattern) and, where wanted, `kind`, `instead` and `heads`. recalibrate:
    batch statistics once over the training images, before the network is measured."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Meyes et al. 2019, Ablation studies in artificial neural networks, arXiv:1901.08644"
    label: ClassVar[str] = "without parts after training"
    category: ClassVar[str] = "other"
    order: ClassVar[int] = 100
    evaluation_only: ClassVar[bool] = True
    neutral: ClassVar[Mapping[str, object]] = {"parts": []}
    imports: ClassVar[tuple[str, ...]] = ("ablate.training.removal",)  # 0.2 CPU s

    parts: tuple[Mapping[str, Any], ...] = ({"part": "**.act"},)
    recalibrate: bool = False

    def measured(self, model: nn.Module, facts: Facts, batches: Callable[[], Iterator[Tensor]]) -> nn.Module:
        from ablate.training import removal

        if not self.parts and not self.recalibrate:
            return model
        return removal.measured(model, self.parts, facts.image, batches, recalibrate=self.recalibrate)
