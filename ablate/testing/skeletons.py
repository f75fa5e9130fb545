"""What `ablate new` writes: a plug-in that works and passes the conformance suite, to be changed into your own."""

from __future__ import annotations

import keyword
from pathlib import Path

from ablate.errors import AblateError
from ablate.registry import Registry

TRICK = '''\
"""CLASS: noise of standard deviation sigma on every image.

When: say here what it is for, and what it goes well with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CLASS(Trick):
    """The fields are what `with: {sigma: 0.2}` may give; their types are checked."""

    paper: ClassVar[str] = ""                              # "Somebody et al. 2026, Title, arXiv:2601.00001"
    label: ClassVar[str] = "LABEL"                         # how tables call it
    category: ClassVar[str] = "augmentation"
    neutral: ClassVar[Mapping[str, object]] = {"sigma": 0.0}  # where it does nothing, bit for bit

    sigma: Annotated[float, Ge(0)] = 0.1

    # Other hooks (training/trick.py): recipe, model, optimizer, loss, gradients, after_step, eval_model, predict.
    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        import torch

        # The step's own stream: whatever is drawn here, no other random number of the training moves.
        noise = torch.randn(images.shape, generator=step.generator("noise"), device=images.device)
        return images + self.sigma * noise, targets
'''

MODEL = '''\
"""CLASS: three convolutions and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ablate.training.model import Model
from ablate.records import Json
from ablate.registry import Count

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class CLASS(Model):
    """The fields are what `model: {name: NAME, width: 16}` may give; their types are checked."""

    paper: ClassVar[str] = ""
    toggles: ClassVar[Mapping[str, tuple[Json, ...]]] = {"norm": ("none", "batch")}  # these rename no other layer

    width: Count = 16
    norm: Literal["none", "batch"] = "none"

    def build(self, image: tuple[int, int, int], classes: int) -> nn.Module:
        """From (n, channels, height, width) to (n, classes). Nothing is seeded here: weights come from their names."""
        from collections import OrderedDict

        from torch import nn

        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = image[0]
        for number, width in enumerate((self.width, 2 * self.width, 4 * self.width)):
            layers[f"conv{number}"] = nn.Conv2d(channels, width, 3, padding=1, bias=False)
            if self.norm == "batch":
                layers[f"norm{number}"] = nn.BatchNorm2d(width)
            layers[f"relu{number}"] = nn.ReLU()
            channels = width
        layers["pool"] = nn.AdaptiveAvgPool2d(1)
        layers["flat"] = nn.Flatten()
        layers["head"] = nn.Linear(channels, classes)
        return nn.Sequential(layers)
'''

DATASET = '''\
"""CLASS: arrays in images.npy and labels.npy; dev images are a part of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ablate.training.datafile import as_images, as_labels, found, file_sha256
from ablate.training.dataset import Raw, Subset


@dataclass(frozen=True)
class CLASS(Subset):
    """The fields are what `data: {name: NAME, root: FOLDER}` may give, beside those of every `Subset`."""

    infrastructure: ClassVar[frozenset[str]] = frozenset({"root"})  # where, not what: no part of a run's key

    root: str = "."

    def _files(self) -> dict[str, Path]:
        return {part: found(self.root, f"{part}.npy") for part in ("images", "labels")}

    def contents(self) -> dict[str, str]:
        """A hash of everything that `read` reads."""
        return {part: file_sha256(path) for part, path in self._files().items()}

    def read(self) -> Raw:
        import numpy as np

        files = self._files()
        arrays = {part: np.load(path, allow_pickle=False) for part, path in files.items()}
        images = as_images(arrays["images"], str(files["images"]))
        return Raw((images, as_labels(arrays["labels"], str(files["labels"]), len(images), None)))
'''

KINDS = {"trick": ("tricks", TRICK), "model": ("models", MODEL), "dataset": ("datasets", DATASET)}
_USE = {
    "trick": "tricks:\n      {name}: {{use: {name}}}",
    "model": "base:\n      model: {{name: {name}}}",
    "dataset": "base:\n      data: {{name: {name}, root: FOLDER, dev_fraction: 0.2}}",
}


def write(kind: str, name: str, folder: Path) -> tuple[Path, str]:
    """Write `folder`/SHELF/`name`.py; where it lies, and what to do next. AblateError where the name will not do."""
    shelf, text = KINDS[kind]
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_") or not name.islower():
        raise AblateError(
            f"{name!r} cannot be a {kind}'s name: it is a file's, and how studies call it; small letters, digits and _."
        )
    if name in Registry().names(shelf):
        raise AblateError(f"ablate has a {kind} called {name!r} already (`ablate list {shelf}`); choose another name.")
    path = folder / shelf / f"{name}.py"
    class_name = "".join(part.capitalize() for part in name.split("_"))
    text = text.replace("CLASS", class_name).replace("LABEL", name.replace("_", " ")).replace("NAME", name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise AblateError(f"{path} exists already; choose another name or remove it.") from None
    except OSError as error:
        raise AblateError(f"{path} cannot be written: {error.strerror}.") from None
    return path, (
        f"Change it into yours. In a study beside {folder}:\n\n    plugins: [{folder}]\n    "
        + _USE[kind].format(name=name)
        + "\n\nAnd a test that comparisons with it can be trusted:\n\n    import pytest\n"
        "    from ablate.testing.training import cases\n\n"
        f'    @pytest.mark.parametrize("case", cases("{folder}"), ids=str)\n'
        "    def test_my_plugins_conform(case):\n        case.check()"
    )
