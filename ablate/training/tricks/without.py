"""Parts of the network are taken away: layers, branches, heads, parameters, each by its path.

When: to learn which parts a network needs. A study's `{part: layer3.1}` is this the other way round: there the trick is
on while the part is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Without(Trick):
    """parts: mappings with `part` (a path or a pattern) and, where wanted, `kind`, `instead` and `heads`."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Meyes et al. 2019, Ablation studies in artificial neural networks, arXiv:1901.08644"
    label: ClassVar[str] = "without parts"
    category: ClassVar[str] = "other"
    order: ClassVar[int] = 100  # after whatever else changes the network
    neutral: ClassVar[Mapping[str, object]] = {"parts": []}
    imports: ClassVar[tuple[str, ...]] = ("ablate.training.removal",)  # 0.2 CPU s

    parts: tuple[Mapping[str, Any], ...] = ({"part": "**.act"},)

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        from ablate.training import removal

        return removal.take(model, self.parts, removal.example_of(facts.image)) if self.parts else model
