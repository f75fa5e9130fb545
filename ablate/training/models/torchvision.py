"""Any classification model of torchvision by name, untrained, fitted to small images and to the number of classes.

Below 64 pixels the first convolution loses its stride (and is 3x3 at most), and pooling right after it goes: made for
224 pixels, they would leave a CIFAR image one pixel. Dropout and stochastic depth become ablate's, which draw from
their own streams. Weights are drawn as those of every model here, not as torchvision would; `init:` loads trained ones.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.errors import ConfigError
from ablate.text import did_you_mean, listed
from ablate.training.model import Model

if TYPE_CHECKING:
    from torch import nn

_FIRST_POOLS = ("maxpool", "maxpool1", "features.pool0")
"""Where ResNets and ShuffleNets, GoogLeNet and Inception, DenseNets pool right after the first convolution."""


@functools.cache
def nets() -> list[str]:
    """What torchvision.models.list_models(module=torchvision.models) gives, read from its source: a plan knows a name
    that is none without the 2 CPU s of importing torch."""
    found = importlib.util.find_spec("torchvision")
    folder = Path(found.origin).parent / "models" if found and found.origin else Path()
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.py")))
    return sorted(re.findall(r"^@register_model\(\)\n(?:@.*\n(?:[ )].*\n)*)*def (\w+)", text, re.MULTILINE))


@dataclass(frozen=True)
class TorchVision(Model):
    """net: a name of torchvision.models.list_models(module=torchvision.models), `resnet18` or `convnext_tiny`.

    small_images: whether the stem is adapted as said above; null for: where images are below 64 pixels. Set it to
    false to load torchvision's trained weights whole.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "TorchVision maintainers 2016, TorchVision, github.com/pytorch/vision; a paper for each net"

    net: str = "resnet18"
    small_images: bool | None = None

    def __post_init__(self) -> None:
        names = nets()
        if self.net not in names:
            near = did_you_mean(self.net, names)
            raise ValueError(f"torchvision has no net of that name.{near} It has {len(names)}: {listed(names)}")

    def build(self, image: tuple[int, int, int], classes: int) -> nn.Module:
        import torch
        import torchvision.models

        channels, height, width = image
        options: dict[str, Any] = {"num_classes": classes}
        if self.net in ("googlenet", "inception_v3"):  # heads of the training only, and a slow init for nothing
            options |= {"aux_logits": False, "init_weights": False}
        if self.net.startswith("vit_"):
            options["image_size"] = height
        small = min(height, width) < 64 if self.small_images is None else self.small_images
        try:
            model: nn.Module = torchvision.models.get_model(self.net, weights=None, **options)
            _fit(model, channels, small and not self.net.startswith("vit_"))
            with torch.no_grad():
                model.eval()(torch.zeros(1, channels, height, width))
        except (RuntimeError, ValueError, AssertionError) as error:
            problem = f"is {self.net!r}, which does not take {height}x{width} images: {error}"
            raise ConfigError([("model.net", problem)]) from error
        return model.train()


def _fit(model: nn.Module, channels: int, small: bool) -> None:
    """Change in place what the images and ablate's streams ask for; every layer keeps its name."""
    from torch import nn
    from torchvision.ops import StochasticDepth

    from ablate.training import layers

    modules = dict(model.named_modules())
    first = next(name for name, module in modules.items() if isinstance(module, nn.Conv2d))
    for name, module in modules.items():
        new: nn.Module | None = None
        if name == first:
            new = _first_convolution(module, channels, small)
        elif small and name in _FIRST_POOLS:
            new = nn.Identity()
        elif isinstance(module, nn.Dropout):
            new = layers.Dropout(module.p)
        elif isinstance(module, StochasticDepth):
            new = layers.StochasticDepth(module.p)
        if new is not None:
            parent, _, child = name.rpartition(".")
            setattr(modules[parent], child, new)


def _first_convolution(old: Any, channels: int, small: bool) -> nn.Module:
    """`old` for images of `channels` channels; where they are small and it has a stride, without one."""
    from torch import nn

    kernel, stride, padding = old.kernel_size[0], old.stride[0], old.padding[0]
    if small and stride > 1:
        kernel, stride, padding = 3, 1, 1
    return nn.Conv2d(channels, old.out_channels, kernel, stride, padding, bias=old.bias is not None)
