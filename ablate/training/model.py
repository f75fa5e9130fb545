"""The contract of a model: parameters in, a network out. Files in `models/`.

A model never seeds anything: the loop draws every parameter from the stream of the parameter's name, so two variants
start from equal values wherever their names and shapes agree. For that a layer must keep its name when norm, dropout or
skip connections are switched on or off (`toggles`); the conformance suite checks it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

from ablate.records import Json
from ablate.registry import Plugin
from ablate.text import many

if TYPE_CHECKING:
    import torch
    from torch import nn

Norm = Literal["none", "batch", "group", "layer", "pixel"]
Activation = Literal["relu", "leaky_relu", "gelu", "silu", "elu", "tanh"]
Halving = Literal["max", "average", "blur"]
Pooling = Literal["average", "max"]
"""Choices that several models offer; what each one makes is in layers.py."""


class Model(Plugin):
    """A network. Its fields are what `model: {name: ..., width: 16}` may give."""

    toggles: ClassVar[Mapping[str, tuple[Json, ...]]] = {}
    """Parameters that add or remove layers without renaming any, with values to try."""

    @abstractmethod
    def build(self, image: tuple[int, int, int], classes: int) -> nn.Module:
        """A network from (n, channels, height, width) images to (n, classes) logits; `image` is one image's shape.

        Raises ConfigError (keys `model.NAME`) where the parameters do not fit the images.
        """


@runtime_checkable
class Draws(Protocol):
    """A layer that draws random numbers in training (torch's Dropout takes no generator, so ablate has its own).

    The loop sets `stream`: given a device it returns the generator of (this layer's name, this step). None: not in
    ablate's loop.
    """

    stream: Callable[[torch.device], torch.Generator] | None


def misshaped(model: str, made: Sequence[int], wanted: Sequence[int]) -> str:
    """What is wrong with the shape of a network's outputs. model: the name of its class."""
    if len(made) == 2 and made[0] == wanted[0]:
        return f"{model} gives {many(made[1], 'output')}, the data has {wanted[1]} classes."
    shapes = (" x ".join(map(str, shape)) for shape in (made, wanted))
    return "{} makes {} of a batch, and must make {}: for each image a number a class.".format(model, *shapes)
