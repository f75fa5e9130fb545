"""CIFAR-100: 50,000 training and 10,000 test images of 32 x 32 pixels in 100 classes, in the python layout.

Read from `root/cifar-100-python`, where torchvision puts it; downloaded only when asked. Krizhevsky 2009, "Learning
Multiple Layers of Features from Tiny Images". The files are pickles and are read without executing anything in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from ablate.training.datafile import cifar_folder, cifar_images, cifar_names, file_sha256, found
from ablate.training.dataset import Raw, Subset

_FOLDER = "cifar-100-python"


@dataclass(frozen=True)
class Cifar100(Subset):
    """root: the folder that holds cifar-100-python. download: fetch it with torchvision where it is not there.

    dev: `split` takes `dev_fraction` (a tenth by default) of the training images and leaves the official test set for
    the end; `test` makes the official test set the dev set, and there are no test images.
    labels: 100 fine or 20 coarse classes.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"
    license: ClassVar[str] = "none stated by its authors, who ask to be cited"  # www.cs.toronto.edu/~kriz/cifar.html
    infrastructure: ClassVar[frozenset[str]] = frozenset({"root", "download"})

    root: str
    dev: Literal["split", "test"] = "split"
    labels: Literal["fine", "coarse"] = "fine"
    download: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dev == "test" and self.dev_fraction is not None:
            raise ValueError(f"dev is 'test' and dev_fraction {self.dev_fraction}; give one of them.")
        if self.dev == "split" and self.dev_fraction is None:
            object.__setattr__(self, "dev_fraction", 0.1)  # so that the default is written out in the plan

    def _files(self) -> dict[str, Path]:
        folder = cifar_folder(self.root, _FOLDER, "CIFAR100", self.download)
        return {name: found(str(folder), name) for name in ("train", "test", "meta")}

    def contents(self) -> dict[str, str]:
        return {name: file_sha256(path) for name, path in self._files().items()}

    def read(self) -> Raw:
        files = self._files()
        names = cifar_names(files["meta"], [f"{self.labels}_label_names"])
        train, official = (
            cifar_images(files[name], [f"{self.labels}_labels"], len(names)) for name in ("train", "test")
        )
        if self.dev == "test":
            return Raw(train, official, class_names=names)
        return Raw(train, test=(official[0], tuple(map(str, range(len(official[0]))))), class_names=names)
