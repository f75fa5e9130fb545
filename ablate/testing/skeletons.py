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
from typing import TYPE_CHECKING, ClassVar

from ablate.plugins import NonNegative, Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CLASS(Trick):
    """The fields are what `with: {sigma: 0.2}` may give; their types are checked."""

    paper: ClassVar[str] = ""                              # "Somebody et al. 2026, Title, arXiv:2601.00001"
    label: ClassVar[str] = "LABEL"                         # how tables call it
    category: ClassVar[str] = "augmentation"
    neutral: ClassVar[Mapping[str, object]] = {"sigma": 0.0}  # where it does nothing, bit for bit

    sigma: NonNegative = 0.1

    # Other hooks: recipe, model, optimizer, loss, gradients, after_step, eval_model, predict (ablate help own-tricks).
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

from ablate.plugins import Count, Json, Model

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

from ablate.plugins import Raw, Subset, as_images, as_labels, file_sha256


@dataclass(frozen=True)
class CLASS(Subset):
    """The fields are what `data: {name: NAME, root: FOLDER}` may give, beside those of every `Subset`."""

    infrastructure: ClassVar[frozenset[str]] = frozenset({"root"})  # where, not what: no part of a run's key

    root: str = "."

    def _files(self) -> dict[str, Path]:
        return {part: Path(self.root).expanduser() / f"{part}.npy" for part in ("images", "labels")}

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

REPLACEMENT = '''\
"""CLASS: one linear map of the channels and an activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.plugins import ConfigError, Replacement

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class CLASS(Replacement):
    """The fields are what `instead: {use: NAME, with: {bias: false}}` may give; their types are checked."""

    paper: ClassVar[str] = ""

    bias: bool = True

    def build(self, given: tuple[int, ...], made: tuple[int, ...]) -> nn.Module:
        """From one shape to another, for an example of two. Nothing is seeded here: weights come from their names."""
        from torch import nn

        if len(made) == 4 and given[2:] == made[2:]:
            return nn.Sequential(nn.Conv2d(given[1], made[1], 1, bias=self.bias), nn.ReLU())
        if len(made) != 4 and given[:-1] == made[:-1]:
            return nn.Sequential(nn.Linear(given[-1], made[-1], bias=self.bias), nn.ReLU())
        raise ConfigError([("", f"leads from {given} to no {made}.")])
'''

DESIGN = '''\
"""CLASS: the base, then every two tricks together: which of them work better side by side?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from ablate.plugins import Chosen, Design, DesignRow, LeftOut, Space


@dataclass(frozen=True)
class CLASS(Design):
    """Its fields, if it had any, are what `designs: {name: NAME, most: 3}` may give."""

    def choose(self, space: Space) -> Chosen:
        """The rows, the reference first, each with the cell that it is compared with. No number is known."""
        base = space.base
        rows, left_out = [DesignRow(base, None)], []
        for one, other in combinations(space.tricks, 2):
            cell = space.add(space.add(base, one.choices[0]), other.choices[0])
            why = space.forbidden(cell)  # by `requires` or `conflicts`
            if why is None:
                rows.append(DesignRow(cell, base))
            else:
                left_out.append(LeftOut(cell, why))
        return Chosen(tuple(rows), tuple(left_out))
'''

TASK = '''\
"""CLASS: steps down a noisy slope, in place of what you measure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ablate.plugins import Completed, ConfigError, Json, Meaning, Registry, Run, Task, TrickUse

DEFAULTS: Mapping[str, Json] = {"steps": 20, "rate": 0.3}


@dataclass(frozen=True)
class CLASS(Task):
    """Its fields, if it had any, are what `task: {name: NAME, count: 3}` may give; `base:` is checked in `complete`."""

    metrics = {"loss": Meaning("lower")}  # what every run reports; the first decides where a study names no metric

    def complete(self, config: Mapping[str, Json], tricks: Sequence[TrickUse], registry: Registry) -> Completed:
        """The configuration with its defaults, checked. Part of a plan: nothing is executed or loaded here."""
        problems = [(key, f"is no key of NAME; it has {', '.join(DEFAULTS)}.") for key in config if key not in DEFAULTS]
        problems += [(f"tricks.{i}", "is a file; tricks of NAME are changes: `set:`.") for i in range(len(tricks))]
        if problems:
            raise ConfigError(problems)
        full = {**DEFAULTS, **config}
        return Completed(config=full, asked=full, tricks=(), code={})  # this file is added

    def execute(self, run: Run) -> Iterator[Mapping[str, float]]:
        """One run: its metrics after every step; the last ones are its result."""
        noise = random.Random(run.seed_for("noise"))  # a stream of its own: the same seed gives the same numbers
        place = 1.0
        for _ in range(run.config["steps"]):
            place -= run.config["rate"] * (place + noise.gauss(0, 0.05))
            yield {"loss": place**2}
'''

KINDS = {
    "trick": ("tricks", TRICK),
    "model": ("models", MODEL),
    "dataset": ("datasets", DATASET),
    "replacement": ("replacements", REPLACEMENT),
    "design": ("designs", DESIGN),
    "task": ("tasks", TASK),
}
"""Every kind that may lie in a private folder: its shelf, and the file to begin with."""

_USE = {
    "trick": "tricks:\n      {name}: {{use: {name}}}",
    "model": "base:\n      model: {{name: {name}}}",
    "dataset": "base:\n      data: {{name: {name}, root: FOLDER, dev_fraction: 0.2}}",
    "replacement": "tricks:\n      block: {{part: PATH, instead: {{use: {name}}}}}",
    "design": "designs: {name}",
    "task": "task: {name}",
}
_GIVEN = {"dataset": ', {{"datasets/{name}": {{"root": "FOLDER", "dev_fraction": 0.2}}}}'}
"""What the suite needs to try a plug-in that has no defaults for all."""

_NEEDS = {
    "replacement": "PATH is a part of your network: `ablate show --model` lists them.\n\n",
    "dataset": "FOLDER is yours: as written, images.npy (n x height x width x channels, bytes) and labels.npy.\n\n",
}
"""What must lie there before a plug-in can be tried."""


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
    given = _GIVEN.get(kind, "").format(name=name)
    return path, (
        f"Change it into yours. In a study beside {folder}:\n\n    plugins: [{folder}]\n    "
        + _USE[kind].format(name=name)
        + "\n\n"
        + _NEEDS.get(kind, "")
        + "And a test that comparisons with it can be trusted:\n\n    import pytest\n"
        "    from ablate.plugins import cases\n\n"
        f'    @pytest.mark.parametrize("case", cases("{folder}"{given}), ids=str)\n'
        "    def test_my_plugins_conform(case):\n        case.check()"
    )
