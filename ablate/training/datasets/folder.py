"""A folder per class: `root/train/CLASS/*.png`, `root/dev/CLASS/*.png`, and `root/test/*.png` without classes.

PNG and JPEG, read with Pillow. Classes are the folders' names in order (by number where all are numbers); test images
go by their file's name without its ending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ablate.errors import DataError
from ablate.identity import canonical_json, sha256
from ablate.registry import Count
from ablate.text import did_you_mean
from ablate.training.datafile import distinct, file_sha256, found
from ablate.training.dataset import Raw, Subset

if TYPE_CHECKING:
    from ablate.training.dataset import Images

_ENDINGS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Folder(Subset):
    """root: the folder of train, dev and test. Without root/dev, `dev_fraction` takes dev images from root/train.

    size: every image is resized to size x size pixels (bilinear, smoothed); needed where images differ in size.
    channels: 3 for colour, 1 for grey.
    """

    version: ClassVar[int] = 1
    infrastructure: ClassVar[frozenset[str]] = frozenset({"root"})

    root: str
    size: Count | None = None
    channels: Literal[1, 3] = 3

    def contents(self) -> dict[str, str]:
        """Names and bytes of the image files of every part."""
        parts = {"train": _classes(self._part("train")), "test": {"": _test_files(Path(self.root).expanduser())}}
        if self.dev_fraction is None:
            parts["dev"] = _classes(self._part("dev"))
        return {
            part: sha256(
                canonical_json([[name, p.name, file_sha256(p)] for name, paths in classes.items() for p in paths])
            )
            for part, classes in parts.items()
        }

    def _part(self, name: str) -> Path:
        path = found(self.root)
        if name == "dev" and not (path / name).is_dir():
            raise DataError(
                f"{path} has no folder 'dev'; `dev_fraction: 0.1` takes a tenth of the training images.",
                page="course-brief",
            )
        return found(self.root, name)

    def read(self) -> Raw:
        import numpy as np

        train = _classes(self._part("train"))
        names = tuple(train)
        parts = (
            {"train": train} if self.dev_fraction is not None else {"train": train, "dev": _classes(self._part("dev"))}
        )
        for name in parts.get("dev", {}):
            if name not in train:
                raise DataError(
                    f"{self._part('dev') / name}: no class of the training images is called so."
                    f"{did_you_mean(name, names)}"
                )
        read = {}
        for part, classes in parts.items():
            labels = [names.index(name) for name, paths in classes.items() for _ in paths]
            images = self._read([path for paths in classes.values() for path in paths])
            read[part] = images, np.array(labels, np.int64)
        paths = _test_files(found(self.root))
        test = (self._read(paths), distinct([path.stem for path in paths], self.root)) if paths else None
        return Raw(read["train"], read.get("dev"), test, names)

    def _read(self, paths: Sequence[Path]) -> Images:
        """The images of one part, all of one size."""
        import numpy as np

        images: Images | None = None
        for row, path in enumerate(paths):
            image = self._image(path)
            if images is None:
                images = np.empty((len(paths), *image.shape), np.uint8)
            if image.shape != images.shape[1:]:
                (height, width), (high, wide) = image.shape[:2], images.shape[1:3]
                raise DataError(
                    f"{path} is {width} x {height} pixels and {paths[0]} {wide} x {high}; `size: {min(wide, high)}` "
                    "resizes all."
                )
            images[row] = image
        assert images is not None, "a part without images was refused before"
        return images

    def _image(self, path: Path) -> Images:
        import numpy as np
        from PIL import Image

        try:
            with Image.open(path, formats=("PNG", "JPEG")) as file:
                if file.mode.startswith(("I", "F")):
                    raise DataError(f"{path} has more than 8 bits a channel ({file.mode}); save it with 8.")
                image = file.convert("RGB" if self.channels == 3 else "L")
                if self.size is not None:
                    image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
                return np.asarray(image).reshape(image.height, image.width, self.channels)
        # Pillow raises these for broken files, SyntaxError for broken PNG chunks.
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise DataError(f"{path} cannot be read as a PNG or JPEG image: {error}.") from error


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The image files of every class folder, sorted by name; other files and hidden ones are refused or passed over."""
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    if not folders:
        raise DataError(f"{folder} has no folders; it must have one for each class, with its images.")
    by_number = all(path.name.isdecimal() for path in folders)
    folders.sort(key=lambda path: (int(path.name) if by_number else 0, path.name))
    classes = {path.name: _files(path) for path in folders}
    for path in folders:
        if not classes[path.name]:
            raise DataError(f"{path} has no PNG or JPEG image.")
    return classes


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS and path.is_file())


def _test_files(root: Path) -> list[Path]:
    folder = root / "test"
    if not folder.is_dir():
        return []
    files = _files(folder)
    if not files:
        raise DataError(f"{folder} has no PNG or JPEG image; test images lie in it without class folders.")
    return files
