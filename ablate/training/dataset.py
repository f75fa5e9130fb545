"""The contract of a data set: images and labels as arrays, and a fingerprint that costs nothing. Files in `datasets/`.

The plan asks for the fingerprint only; a child loads. Arrays are kept as memory-mapped files in the cache folder, so
that the first child of a study reads the source and every later one maps pages that are already in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from annotated_types import Gt, Lt

from ablate.errors import ChangedError, DataError
from ablate.identity import canonical_json, sha256
from ablate.records import Json
from ablate.registry import Count, Plugin, Size
from ablate.rng import seed_for
from ablate.text import did_you_mean, one_of
from ablate.training.examples import Examples, of_images

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Images = NDArray[np.uint8]
    Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Arrays:
    """Images (n, height, width, channels) uint8; labels (n,) int64 from 0; test labels are nobody's business.

    mean, std: per channel over the training images only, in 0..255; a constant channel has std 1. folder: where they
    are kept; None: nowhere.
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
    folder: Path | None = None

    @property
    def dev_examples(self) -> Examples:
        """The dev images as a set of examples, without any run's results."""
        return of_images(self.dev_images, self.dev_labels, self.class_names, self.folder)

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

    license: ClassVar[str] = ""
    """Under which its images may be used, where that is known; a paper's checklist asks."""
    infrastructure: ClassVar[frozenset[str]] = frozenset()
    """Fields that say where the data lie or how they are read, not what they are: no part of a run's key, as `private`
    is none."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of the source and of every option that changes the arrays. Imports no torch, loads no image."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """The arrays; equal for equal fingerprints. The split is fixed: it never depends on a run's seed."""

    def passed_over(self) -> tuple[str, ...]:
        """What lies where the data are and is not read, counted and named: sentences for the plan."""
        return ()

    def looking_in(self, folders: Sequence[str]) -> Self:  # noqa: ARG002
        """The same data set, which also looks in these folders for code of the user's. Most need none."""
        return self

    def asked(self) -> dict[str, Json]:
        """The options without infrastructure."""
        left_out = {*self.infrastructure, "private"}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}  # type: ignore[arg-type]


@dataclass(frozen=True)
class Raw:
    """A data set as it was read, before any option is applied. Test images go with their ids.

    class_names: empty where the source has none; classes are then called by their numbers.
    """

    train: tuple[Images, Labels]
    dev: tuple[Images, Labels] | None = None
    test: tuple[Images, tuple[str, ...]] | None = None
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Subset(Dataset):
    """What every data set that is read from somewhere offers; a file of the shelf says only how to read it.

    classes: the classes to keep, by number or name, renumbered in this order; all if empty. per_class: training images
    kept of each class; a larger number adds images and moves none. dev_fraction: dev images are this share of every
    class of the training images. split_seed: fixes both choices; a run's seed never does. private: the images are
    nobody else's business, so no figure shows one.
    """

    classes: tuple[int | str, ...] = ()
    per_class: Count | None = None
    dev_fraction: Annotated[float, Gt(0), Lt(1)] | None = None
    split_seed: Size = 0
    private: bool = False

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes) or len(self.classes) == 1:
            raise ValueError(f"classes is {list(self.classes)}; it must list two or more different classes.")

    @abstractmethod
    def read(self) -> Raw:
        """The whole source. DataError names the file, and where there is one, the row."""

    @abstractmethod
    def contents(self) -> dict[str, str]:
        """A hash of everything that `read` reads, by what it is for ("train", "dev"), not by where it lies."""

    def fingerprint(self) -> str:
        return sha256(canonical_json({"kind": type(self).__name__, "contents": self.contents(), **self.asked()}))

    def arrays(self) -> Arrays:
        return subset(self.read(), self.classes, self.per_class, self.dev_fraction, self.split_seed)


def subset(
    source: Raw,
    classes: Sequence[int | str] = (),
    per_class: int | None = None,
    dev_fraction: float | None = None,
    split_seed: int = 0,
) -> Arrays:
    """The arrays that the options of `Subset` ask for; images keep the source's order.

    Every class is shuffled by a stream of its own, so leaving other classes out moves no image between train and dev.
    """
    import numpy as np

    images, labels = source.train
    if not len(images):
        raise DataError("there are no train images.")
    names = source.class_names or tuple(str(number) for number in range(int(labels.max(initial=-1)) + 1))
    numbers = _numbers(classes, names)
    train: list[Any] = []
    dev: list[Any] = []
    for number in numbers:
        rows = np.flatnonzero(labels == number)
        rows = np.random.default_rng(seed_for(split_seed, "split", number)).permutation(rows)
        held = 0 if dev_fraction is None else round(dev_fraction * len(rows))
        if dev_fraction is not None and len(rows) and not 0 < held < len(rows):
            raise DataError(
                f"class {names[number]!r} has {len(rows)} training images; dev_fraction {dev_fraction} would take "
                f"{held} of them, and at least one must be taken and one must stay."
            )
        kept = len(rows) - held if per_class is None else per_class
        if kept > len(rows) - held:
            raise DataError(
                f"class {names[number]!r} has {len(rows) - held} training images"
                f"{' beside its dev images' if held else ''}; per_class asks for {kept}."
            )
        dev.append(rows[:held])
        train.append(rows[held : held + kept])
    if dev_fraction is not None:
        chosen = _chosen(images, labels, np.concatenate(dev), numbers)
    elif source.dev is not None:
        chosen = _chosen(*source.dev, np.flatnonzero(np.isin(source.dev[1], numbers)), numbers)
    else:
        raise DataError(
            "there are no dev images; `dev_fraction: 0.1` takes a tenth of the training images.", page="course-brief"
        )
    for what, other in (("dev", chosen[0]), ("test", images if source.test is None else source.test[0])):
        if other.shape[1:] != images.shape[1:]:
            raise DataError(f"the {what} images are {_size(other)} and the training images {_size(images)} pixels.")
    kept_names = tuple(names[number] for number in numbers)
    return Arrays.of(_chosen(images, labels, np.concatenate(train), numbers), chosen, kept_names, source.test)


def _size(images: Images) -> str:
    return " x ".join(str(n) for n in images.shape[1:])


def _numbers(classes: Sequence[int | str], names: Sequence[str]) -> list[int]:
    """The classes' numbers in the order asked for; all where none is named."""
    for one in classes:
        if one not in names if isinstance(one, str) else not 0 <= one < len(names):
            listed = one_of(names) if len(names) <= 20 else f"{', '.join(names[:20])} and {len(names) - 20} more"
            raise DataError(
                f"the data set has no class {one!r}; it has {len(names)}: {listed}.{did_you_mean(str(one), names)}"
            )
    numbers = [names.index(one) if isinstance(one, str) else one for one in classes]
    if len(set(numbers)) != len(numbers):
        raise DataError(f"classes lists one class twice, by number and by name: {list(classes)}.")
    return numbers or list(range(len(names)))


def _chosen(images: Images, labels: Labels, rows: Any, numbers: Sequence[int]) -> tuple[Images, Labels]:
    """Rows in the source's order, their labels renumbered to the places in `numbers`; whole sources are not copied."""
    import numpy as np

    place = np.zeros(max(numbers, default=0) + 1, np.int64)
    place[list(numbers)] = np.arange(len(numbers))
    if len(rows) == len(images):
        return images, place[labels]
    rows = np.sort(rows)
    return images[rows], place[labels[rows]]


def warnings(arrays: Arrays) -> list[str]:
    """What a person should know before believing results on these arrays: leaked images and unequal classes.

    Only exact duplicates are found; a re-encoded or shifted copy is another image here.
    """
    sentences = []
    seen = _rows_by_hash(arrays.train_images)
    for name, images in (("dev", arrays.dev_images), ("test", arrays.test_images)):
        pairs = [(row, seen[key]) for key, row in _every_hash(images) if key in seen]
        if pairs:
            row, twin = pairs[0]
            sentences.append(
                f"{len(pairs)} of {len(images)} {name} images are exact duplicates of training images "
                f"(the first: {name} row {row} is training row {twin}); {name} results will be too good."
            )
    for name, labels in (("training", arrays.train_labels), ("dev", arrays.dev_labels)):
        sentences += _imbalance(name, labels, arrays.class_names)
    return sentences


def _every_hash(images: Images) -> list[tuple[bytes, int]]:
    return [(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), row) for row, image in enumerate(images)]


def _rows_by_hash(images: Images) -> dict[bytes, int]:
    """The first row of every distinct image."""
    return dict(reversed(_every_hash(images)))


IMBALANCE = 2.0
"""The ratio of the largest to the smallest class from which accuracy hides what happens to the small one."""


def _imbalance(name: str, labels: Labels, names: Sequence[str]) -> list[str]:
    import numpy as np

    counts = np.bincount(labels, minlength=len(names))
    empty = [name for name, count in zip(names, counts, strict=True) if not count]
    if empty:
        more = f" and {len(empty) - 5} more" if empty[5:] else ""
        return [f"no {name} image is of class {', '.join(map(repr, empty[:5]))}{more}."]
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = counts[most] / counts[least]
    if ratio < IMBALANCE:
        return []
    return [
        f"the {name} classes are unequal: {counts[most]} images of {names[most]!r}, {counts[least]} of "
        f"{names[least]!r} ({ratio:.1f} x); accuracy says little about the small ones."
    ]


def load_cached(dataset: Dataset, code: Json, folder: Path | None) -> Arrays:
    """`dataset.arrays()`, kept as .npy files below `folder` and mapped from there; None: not kept.

    code: version (or source hash) of the data set's class, so that another reading of the same source is another entry.
    Two children may load at once: each writes a folder of its own and renames it; the second rename fails, and it uses
    the first's. A child killed while it writes leaves a folder that nobody reads.
    """
    if folder is None:
        return dataset.arrays()
    fingerprint = dataset.fingerprint()
    name = sha256(canonical_json([type(dataset).__name__, code, fingerprint]))[:32]
    entry = folder / name
    if entry.is_dir():
        try:
            return _map(entry)
        except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
            print(f"the arrays in {entry} are damaged ({error}); they are made anew")
            shutil.rmtree(entry, ignore_errors=True)  # who has mapped its files keeps them
    arrays = dataset.arrays()
    if dataset.fingerprint() != fingerprint:
        raise ChangedError("the data changed while they were read; run the same command again.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder))
    except OSError as error:
        return _uncached(arrays, error)
    try:
        _write(arrays, temporary)
        (temporary / _OF).write_text(fingerprint)
        temporary.rename(entry)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if not entry.is_dir():
            return _uncached(arrays, error)
    return _map(entry)


def cached_of(entry: Path) -> set[str]:
    """The fingerprints of the data, and of the dev images as a set of examples, that an entry of the cache is about;
    what ablate 0.1.0 kept tells the latter alone."""
    told = set()
    for name in (_OF, "dev_examples"):
        with suppress(OSError, ValueError), (entry / name).open(encoding="utf-8") as file:
            told.add(file.readline().strip())
    return told


def _uncached(arrays: Arrays, error: OSError) -> Arrays:
    """A full disk has no room for the cache; it can be done without."""
    print(f"the data cannot be cached ({error.strerror}); every run reads them anew")
    return arrays


_OF = "fingerprint"
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
    return Arrays(**maps, **facts, folder=folder)


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
