"""Images drawn from parameters: every class has a coarse pattern, shifted and buried in noise. For tests and timing.

A small net learns part of it in a second. Nothing about real images follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.identity import canonical_json, sha256
from ablate.registry import Count, NonNegative, Size
from ablate.training.dataset import Arrays, Dataset

if TYPE_CHECKING:
    import numpy as np

    from ablate.training.dataset import Images, Labels


@dataclass(frozen=True)
class Synthetic(Dataset):
    """noise: standard deviation in grey levels (the patterns' own is 40). shift: pixels that a pattern moves, at most.

    seed: of the data set itself; a run's seed never changes an image.
    """

    version: ClassVar[int] = 1

    classes: Count = 10
    train_size: Count = 512
    dev_size: Count = 256
    test_size: Size = 0
    image_size: Count = 8
    channels: Count = 3
    noise: NonNegative = 60.0
    shift: Size = 1
    seed: Size = 0

    def fingerprint(self) -> str:
        return sha256(canonical_json({"synthetic": self.asked()}))

    def arrays(self) -> Arrays:
        import numpy as np

        rng = np.random.default_rng(self.seed)
        coarse = rng.normal(0, 40, (self.classes, 4, 4, self.channels))
        scale = -(-self.image_size // 4)
        patterns = coarse.repeat(scale, axis=1).repeat(scale, axis=2)[:, : self.image_size, : self.image_size]
        train, dev, test = (self._draw(rng, patterns, n) for n in (self.train_size, self.dev_size, self.test_size))
        names = tuple(f"class {number}" for number in range(self.classes))
        return Arrays.of(train, dev, names, (test[0], tuple(str(number) for number in range(self.test_size))))

    def _draw(self, rng: np.random.Generator, patterns: np.ndarray, count: int) -> tuple[Images, Labels]:
        import numpy as np

        labels = rng.integers(0, self.classes, count, dtype=np.int64)
        images = patterns[labels]
        moves = rng.integers(-self.shift, self.shift + 1, (count, 2))
        for image, (down, right) in zip(images, moves, strict=True):
            image[:] = np.roll(image, (down, right), axis=(0, 1))
        images = images + rng.normal(128, self.noise, images.shape)
        return images.clip(0, 255).astype(np.uint8), labels
