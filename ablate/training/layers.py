"""Layers and choices that several models share. torch's own where they will do; ours where torch's draw from no stream.

Models of the shelf may not import one another; what two of them need is here. Nothing here knows a model.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablate.training.model import Activation, Halving, Norm, Pooling

_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}


class Dropout(nn.Module):
    """Dropout whose mask depends on (the run's seed, this layer's name, the step) and on nothing else.

    torch's takes no generator: switching a second one on would change the masks of the first. In a loop that sets no
    `stream` it draws from torch's global generator, as torch's does.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.stream: Callable[[torch.device], torch.Generator] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        generator = self.stream(x.device) if self.stream else None
        order = torch.channels_last if x.dim() == 4 else torch.contiguous_format  # one mask, however x lies in memory
        kept = torch.empty_like(x, memory_format=order).bernoulli_(1 - self.p, generator=generator)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class StochasticDepth(nn.Module):
    """Drops whole images' branches, each with probability p, and scales the rest by 1/(1-p); draws as Dropout does.

    Huang et al. 2016, arXiv:1603.09382, which scales at evaluation instead.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.stream: Callable[[torch.device], torch.Generator] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        generator = self.stream(x.device) if self.stream else None
        kept = x.new_empty(len(x), *(1,) * (x.dim() - 1)).bernoulli_(1 - self.p, generator=generator)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class SpatialDropout(nn.Module):
    """Drops whole channels of single images, each with probability p (Tompson et al. 2015); draws as Dropout does."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.stream: Callable[[torch.device], torch.Generator] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        generator = self.stream(x.device) if self.stream else None
        kept = x.new_empty(x.shape[0], x.shape[1], 1, 1).bernoulli_(1 - self.p, generator=generator)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Residual(nn.Module):
    """`branch(x)` added to what the shortcut makes of x, then `after`; without `skip` the branch alone.

    Taking the connection away renames nothing. drop: probability that an image goes without the branch in training.
    """

    def __init__(
        self,
        branch: nn.Module,
        shortcut: nn.Module | None = None,
        after: nn.Module | None = None,
        skip: bool = True,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.branch = branch
        self.drop = StochasticDepth(drop)
        self.shortcut = (shortcut or nn.Identity()) if skip else None
        self.after = after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.drop(self.branch(x))
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        return self.after(out)  # type: ignore[no-any-return]


class PadShortcut(nn.Module):
    """Every `stride`-th pixel, with channels of zeros appended: He et al. 2016's option A, without parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.added, self.stride = outputs - inputs, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


class SqueezeExcite(nn.Module):
    """Scales every channel by a number in (0, 1) that is computed from the means of all (Hu et al. 2018)."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(channels // reduction, 4))
        self.excite = nn.Linear(max(channels // reduction, 4), channels)

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.excite(self.squeeze(x.mean((2, 3))).relu()).sigmoid()
        return x * scale[:, :, None, None]


class GhostBatchNorm(nn.BatchNorm2d):
    """Batch norm of each part of about `size` images by itself; the running mean takes one part after the other.

    Hoffer et al. 2017, algorithm 1. size: None for the whole batch, which is batch norm.
    """

    size: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        parts = 1 if self.size is None or not self.training else max(len(x) // self.size, 1)
        if parts == 1:
            return super().forward(x)
        return torch.cat([super(GhostBatchNorm, self).forward(part) for part in x.tensor_split(parts)])


class StandardisedConv2d(nn.Conv2d):
    """A convolution whose weights have mean 0 and standard deviation 1 in each filter (Qiao et al. 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        std, mean = torch.std_mean(self.weight, (1, 2, 3), keepdim=True)
        out: Tensor = self._conv_forward(x, (self.weight - mean) / (std + 1e-5), self.bias)
        return out


class PixelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel, as in ConvNeXt; a view and no copy where memory is channels_last."""

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = super().forward(x.permute(0, 2, 3, 1))
        return normed.permute(0, 3, 1, 2)


class BlurPool(nn.Module):
    """Halves height and width after a 3x3 binomial blur, edges repeated (Zhang 2019, arXiv:1904.11486).

    The blur is two 2x2 means one after the other, the second of stride 2.
    """

    def forward(self, x: Tensor) -> Tensor:
        means = F.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False)
        return F.avg_pool2d(means, 2)


class GlobalPool(nn.Module):
    """(n, channels, height, width) to (n, channels): the mean or the maximum over all pixels."""

    def __init__(self, kind: Pooling) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) if self.kind == "average" else x.amax((2, 3))

    def extra_repr(self) -> str:
        return self.kind


class LayerScale(nn.Module):
    """Multiplies every channel by a learned number that is `start` at first (Touvron et al. 2021, CaiT)."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class Scale(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor}"


def norm(kind: Norm, channels: int) -> nn.Module:
    """A normalisation of (n, channels, height, width).

    "group" is over at most 8 groups of channels, "layer" over all channels and pixels, "pixel" over each pixel's
    channels.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(math.gcd(8, channels), channels)
    if kind == "layer":
        return nn.GroupNorm(1, channels)
    if kind == "pixel":
        return PixelNorm(channels)
    return nn.Identity()


def activation(kind: Activation) -> nn.Module:
    return _ACTIVATIONS[kind]()


def halving(kind: Halving) -> nn.Module:
    """Pooling to half the height and width, rounded down. "blur": maxima at every pixel, then BlurPool."""
    if kind == "blur":
        return nn.Sequential(nn.MaxPool2d(2, stride=1), BlurPool())
    return nn.MaxPool2d(2) if kind == "max" else nn.AvgPool2d(2)


def conv_block(
    inputs: int,
    outputs: int,
    norm_kind: Norm,
    activation_kind: Activation | None,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    pool: Halving | None = None,
) -> nn.Sequential:
    """Convolution, pooling, normalisation, activation, under the names conv, pool, norm and act, whichever they are.

    The convolution always has a bias. Batch norm makes it redundant, but leaving it out there would let a comparison
    "with and without batch norm" differ in a second thing; so the two share every parameter but the norm's own.
    activation_kind, pool: None for none. kernel: odd, for the padding keeps height and width at stride 1.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups)
    )
    if pool is not None:
        parts["pool"] = halving(pool)
    parts["norm"] = norm(norm_kind, outputs)
    if activation_kind is not None:
        parts["act"] = activation(activation_kind)
    return nn.Sequential(parts)
