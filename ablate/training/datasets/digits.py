"""Handwritten digits: the 1,797 images of 8x8 pixels that come with scikit-learn. Nothing is downloaded.

Read from scikit-learn's file, without importing scikit-learn. From UCI's "Optical Recognition of Handwritten Digits"
(Alpaydin & Kaynak 1998). The images are shuffled once, by a seed of their own: training images are taken from the
front, test images are the last, dev images stand before them, so a larger `train_size` adds images and moves none.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from ablate.errors import DataError
from ablate.identity import canonical_json, sha256, sha256_file
from ablate.registry import Count, Size
from ablate.training.dataset import Arrays, Dataset

_IMAGES = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
"""How many there are of each digit; 1,797 together."""
_SPLIT_SEED = 0

Digit = Annotated[int, Ge(0), Le(9)]


@dataclass(frozen=True)
class Digits(Dataset):
    """Sizes of the three splits, 1,797 images together. classes: keep these digits only, renumbered in this order; all
    if empty."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, UCI"
    license: ClassVar[str] = "CC BY 4.0"  # UCI's, by its donation policy: archive.ics.uci.edu/donation

    train_size: Count = 1000
    dev_size: Count = 500
    test_size: Size = 297
    classes: tuple[Digit, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes) or len(self.classes) == 1:
            raise ValueError(f"classes is {list(self.classes)}; it must list two or more different digits.")
        asked = self.train_size + self.dev_size + self.test_size
        if asked > self._images:
            raise ValueError(f"train_size + dev_size + test_size is {asked}; there are {self._images} images.")

    @property
    def _digits(self) -> tuple[int, ...]:
        return self.classes or tuple(range(10))

    @property
    def _images(self) -> int:
        return sum(_IMAGES[digit] for digit in self._digits)

    def fingerprint(self) -> str:
        return sha256(canonical_json({"digits": _source_hash(), **self.asked()}))

    def arrays(self) -> Arrays:
        import numpy as np

        table = np.loadtxt(_source(), delimiter=",", dtype=np.int64)
        table = table[np.random.default_rng(_SPLIT_SEED).permutation(len(table))]
        table = table[np.isin(table[:, 64], self._digits)]
        images = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
        labels = np.array([self._digits.index(digit) for digit in table[:, 64]])
        test = len(table) - self.test_size
        dev = test - self.dev_size
        return Arrays.of(
            (images[: self.train_size], labels[: self.train_size]),
            (images[dev:test], labels[dev:test]),
            tuple(map(str, self._digits)),
            (images[test:], tuple(str(number) for number in range(test, len(table)))),
        )


def _source() -> Path:
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError(
            "the data set 'digits' comes with scikit-learn, which is not installed: pip install scikit-learn"
        )
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise DataError(f"{path} is missing; install scikit-learn again.")
    return path


@cache
def _source_hash() -> str:
    return sha256_file(_source())
