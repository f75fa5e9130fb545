"""The contract of a data set: images and labels as arrays, and a fingerprint that costs nothing. Files in `datasets/`.

The plan asks for the fingerprint only; a child loads. Arrays are kept as memory-mapped files in the cache folder, so
that the first child of a study reads the source and every later one maps pages that are already in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from abc import abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.errors import DataError
from ablate.identity import canonical_json, sha256
from ablate.records import Json
from ablate.registry import Plugin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Images = NDArray[np.uint8]
    Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Arrays:
    """Images (n, height, width, channels) uint8; labels (n,) int64 from 0; test labels are nobody's business.

    mean, std: per channel over the training images only, in 0..255; a constant channel has std 1.
    """

    train_images: Images
    train_labels: Labels
    dev_images: Images
    dev_labels: Labels
    test_images: Images
    test_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(
        cls,
        train: tuple[Images, Labels],
        dev: tuple[Images, Labels],
        class_names: tuple[str, ...],
        test: tuple[Images, tuple[str, ...]] | None = None,
    ) -> Arrays:
        """Checked arrays with the statistics of the training images. DataError for what no loop could train on."""
        for name, (images, labels) in (("train", train), ("dev", dev)):
            _check(name, images, labels, len(class_names))
        test_images, test_ids = (train[0][:0], ()) if test is None else test
        mean, std = _statistics(train[0])
        return cls(*train, *dev, test_images, test_ids, class_names, mean, std)


class Dataset(Plugin):
    """A data set. Its fields are what `data: {name: ..., train_size: 400}` may give."""

    infrastructure: ClassVar[frozenset[str]] = frozenset()
    """Fields that say where the data lie or how they are read, not what they are: no part of a run's key."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of the source and of every option that changes the arrays. Imports no torch, loads no image."""

    @abstractmethod
    def load(self) -> Arrays:
        """The arrays; equal for equal fingerprints. The split is fixed: it never depends on a run's seed."""

    def asked(self) -> dict[str, Json]:
        """The options without infrastructure."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.infrastructure}  # type: ignore[arg-type]


def load_cached(dataset: Dataset, code: Json, folder: Path | None) -> Arrays:
    """`dataset.load()`, kept as .npy files below `folder` and mapped from there; None: not kept.

    code: version (or source hash) of the data set's class, so that another reading of the same source is another entry.
    Two children may load at once: each writes a folder of its own and renames it; the second rename fails, and it uses
    the first's. A child killed while it writes leaves a folder that nobody reads.
    """
    if folder is None:
        return dataset.load()
    name = sha256(canonical_json([type(dataset).__name__, code, dataset.fingerprint()]))[:32]
    entry = folder / name
    if not entry.is_dir():
        arrays = dataset.load()
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder))
        _write(arrays, temporary)
        try:
            temporary.rename(entry)
        except OSError:
            if not entry.is_dir():
                raise
            shutil.rmtree(temporary)
    return _map(entry)


_FILES = ("train_images", "train_labels", "dev_images", "dev_labels", "test_images")


def _write(arrays: Arrays, folder: Path) -> None:
    """Write and flush to the disk: after a power cut an entry is whole or absent."""
    import numpy as np

    for name in _FILES:
        with (folder / f"{name}.npy").open("wb") as file:
            np.save(file, getattr(arrays, name))
            os.fsync(file.fileno())
    facts = {key: getattr(arrays, key) for key in ("test_ids", "class_names", "mean", "std")}
    with (folder / "facts.json").open("w", encoding="utf-8") as text:
        json.dump(facts, text)
        text.flush()
        os.fsync(text.fileno())


def _map(folder: Path) -> Arrays:
    """Copy-on-write maps: torch wants writable memory, the file stays as it is."""
    import numpy as np

    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    facts = {key: tuple(value) for key, value in facts.items()}
    maps: dict[str, Any] = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in _FILES}
    return Arrays(**maps, **facts)


def _check(name: str, images: Images, labels: Labels, classes: int) -> None:
    if images.dtype != "uint8" or images.ndim != 4:
        raise DataError(
            f"the {name} images are {images.dtype} of shape {images.shape}; "
            "they must be uint8 (n, height, width, channels)."
        )
    if labels.dtype != "int64" or labels.shape != images.shape[:1]:
        raise DataError(
            f"the {name} labels are {labels.dtype} of shape {labels.shape}; "
            f"they must be int64 of shape ({len(images)},)."
        )
    if len(images) == 0:
        raise DataError(f"there are no {name} images.")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"the {name} labels run from {labels.min()} to {labels.max()}; there are {classes} class names."
        )


def _statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, from counts of the 256 values: exact in any order of summation."""
    import numpy as np

    values = np.arange(256.0)
    means, stds = [], []
    for channel in range(images.shape[3]):
        counts = np.bincount(images[..., channel].reshape(-1), minlength=256)
        mean = float(counts @ values / counts.sum())
        variance = float(counts @ (values - mean) ** 2 / counts.sum())
        means.append(mean)
        stds.append(variance**0.5 or 1.0)
    return tuple(means), tuple(stds)
