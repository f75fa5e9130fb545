"""Pickle files: CIFAR's python batches, and dictionaries with `images` and `labels`. Executes nothing that is in them.

A batch has `data` (n x 3072: the red plane, then green, then blue) and `labels` or `fine_labels`; keys may be the bytes
of Python 2. Only arrays, numbers, text, bytes and containers are read, whatever else a pickle asks for. Test images
without `ids` are numbered; their labels are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from ablate.training.datafile import (
    as_ids,
    batch_images,
    cifar_batch,
    cifar_images,
    cifar_names,
    file_sha256,
    found,
    names_in,
)
from ablate.training.dataset import Raw, Subset


@dataclass(frozen=True)
class Pickle(Subset):
    """root: the folder. train, dev, test: files in it; without dev, `dev_fraction` takes a part of train.

    labels: which labels of CIFAR-100's batches (20 coarse or 100 fine classes). names: class names by label, in a text
    file, one a line, or in CIFAR's `batches.meta` or `meta`.
    """

    version: ClassVar[int] = 1
    infrastructure: ClassVar[frozenset[str]] = frozenset({"root", "train", "dev", "test", "names"})

    root: str
    train: str = "train"
    dev: str | None = None
    test: str | None = None
    names: str | None = None
    labels: Literal["fine", "coarse"] = "fine"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.dev is None) == (self.dev_fraction is None):
            what = "neither is given" if self.dev is None else "both are given"
            raise ValueError(f"dev images come from a file, `dev`, or from train, by `dev_fraction`; {what}.")

    def _files(self) -> dict[str, Path]:
        files = {"train": self.train, "dev": self.dev, "test": self.test, "names": self.names}
        return {part: found(self.root, name) for part, name in files.items() if name is not None}

    def contents(self) -> dict[str, str]:
        return {part: file_sha256(path) for part, path in self._files().items()}

    def read(self) -> Raw:
        files = self._files()
        names: tuple[str, ...] = ()
        if "names" in files:
            keys = ["coarse_label_names"] if self.labels == "coarse" else ["label_names", "fine_label_names"]
            names = names_in(files["names"]) if files["names"].suffix == ".txt" else cifar_names(files["names"], keys)
        keys = ["coarse_labels"] if self.labels == "coarse" else ["labels", "fine_labels"]
        train = cifar_images(files["train"], keys, len(names) or None)
        classes = len(names) or int(train[1].max(initial=-1)) + 1
        dev = cifar_images(files["dev"], keys, classes) if "dev" in files else None
        test = None
        if "test" in files:
            batch = cifar_batch(files["test"])
            images = batch_images(batch, files["test"])
            ids = batch.get("ids", range(len(images)))
            test = images, as_ids(ids, f"{files['test']}: ids", len(images))
        return Raw(train, dev, test, names)
