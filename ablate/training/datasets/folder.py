"""A folder per class: `root/train/CLASS/*.png`, `root/dev/CLASS/*.png`, and `root/test/*.png` without classes.

What torchvision's ImageFolder reads, in folders below a class, too: PNG, JPEG, PPM, PGM, BMP, TIFF and WebP, by Pillow.
Classes are the folders' names in order (by number where all are numbers); test images go by their file's name without
its ending. What is no image is passed over, and the plan says how much of it there is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ablate.errors import DataError
from ablate.identity import canonical_json, sha256
from ablate.registry import Count
from ablate.text import did_you_mean, listed, many
from ablate.training.datafile import distinct, file_sha256, found
from ablate.training.dataset import Raw, Subset

if TYPE_CHECKING:
    from ablate.training.dataset import Images

_ENDINGS = (".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp")
_FORMATS = ("PNG", "JPEG", "PPM", "BMP", "TIFF", "WEBP")
_KINDS = "PNG, JPEG, PPM, PGM, BMP, TIFF or WebP"
_LEFTOVERS = ("._*", ".DS_Store", "__MACOSX", "Thumbs.db", "desktop.ini")
"""What systems leave in folders: nobody's data, so nobody is told."""


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
        test = Path(self.root).expanduser() / "test"
        parts = {"train": (self._part("train"), _classes(self._part("train"))), "test": (test, {"": _test_files(test)})}
        if self.dev_fraction is None:
            parts["dev"] = self._part("dev"), _classes(self._part("dev"))
        return {
            part: sha256(
                canonical_json(
                    [
                        [name, path.relative_to(folder / name).as_posix(), file_sha256(path)]
                        for name, paths in classes.items()
                        for path in paths
                    ]
                )
            )
            for part, (folder, classes) in parts.items()
        }

    def passed_over(self) -> tuple[str, ...]:
        parts = ["train", *(["dev", "val"] if self.dev_fraction is None else []), "test"]
        parts = [part for part in parts if part != "val" or not (Path(self.root).expanduser() / "dev").is_dir()]
        folders = [path for part in parts if (path := Path(self.root).expanduser() / part).is_dir()]
        said = ((folder, _passed_over(folder, below=folder.name != "test")) for folder in folders)
        return tuple(f"Of {folder}, {what}." for folder, what in said if what)

    def _part(self, name: str) -> Path:
        path = found(self.root)
        if name == "dev" and not (path / name).is_dir() and (path / "val").is_dir():
            return path / "val"
        if name == "dev" and not (path / name).is_dir():
            raise DataError(
                f"{path} has no folder 'dev' or 'val'; `dev_fraction: 0.1` takes a tenth of the training images.",
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
        number = {_composed(name): i for i, name in enumerate(names)}
        for name in parts.get("dev", {}):
            if _composed(name) not in number:
                raise DataError(
                    f"{self._part('dev') / name}: no class of the training images is called so."
                    f"{did_you_mean(name, names)}"
                )
        read = {}
        for part, classes in parts.items():
            labels = [number[_composed(name)] for name, paths in classes.items() for _ in paths]
            images = self._read([path for paths in classes.values() for path in paths])
            read[part] = images, np.array(labels, np.int64)
        paths = _test_files(found(self.root) / "test")
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
            with Image.open(path, formats=_FORMATS) as file:
                if file.format in ("TIFF", "WEBP") and (count := getattr(file, "n_frames", 1)) > 1:
                    raise DataError(f"{path} holds {count} images; save each in a file of its own.")
                if file.mode.startswith(("I", "F")):
                    raise DataError(f"{path} has more than 8 bits a channel ({file.mode}); save it with 8.")
                image = file.convert("RGB" if self.channels == 3 else "L")
                if self.size is not None:
                    image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
                return np.asarray(image).reshape(image.height, image.width, self.channels)
        # Pillow raises these for broken files, SyntaxError for broken PNG chunks.
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise DataError(f"{path} cannot be read as an image ({_KINDS}): {error}.") from error


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The image files of every class folder, sorted by name."""
    folders = [path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path)]
    if not folders:
        raise DataError(f"{folder} has no folders; it must have one for each class, with its images.")
    by_number = all(path.name.isdecimal() for path in folders)
    folders.sort(key=lambda path: (int(path.name) if by_number else 0, path.name))
    distinct([_composed(path.name) for path in folders], str(folder))
    classes = {path.name: _files(path) for path in folders}
    for path in folders:
        if not classes[path.name]:
            others = _passed_over(path, below=False)
            raise DataError(f"{path} has no image ({_KINDS}){f'; {others}' if others else ''}.")
    return classes


def _files(folder: Path) -> list[Path]:
    return [path for path in _walk(folder) if _is_image(path) and path.is_file()]


def _test_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = [path for path in _files(folder) if path.parent == folder]
    if not files:
        raise DataError(f"{folder} has no image ({_KINDS}); test images lie in it without class folders.")
    return files


def _walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files of a folder, sorted, then those of each folder in it. A link to a folder above leads nowhere new."""
    here = folder.resolve()
    if here in above:
        return
    entries = sorted(path for path in folder.iterdir() if not _is_leftover(path))
    folders = [path for path in entries if path.is_dir()]
    inner = set(folders)
    yield from (path for path in entries if path not in inner)
    for path in folders:
        if not _is_hidden(path):
            yield from _walk(path, (*above, here))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _ENDINGS


def _is_leftover(path: Path) -> bool:
    return any(fnmatchcase(path.name, pattern) for pattern in _LEFTOVERS)


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or _is_leftover(path)


def _composed(name: str) -> str:
    """A name as most systems write it: a Mac's `e` and its accent are two letters, and the same name."""
    return unicodedata.normalize("NFC", name)


def _passed_over(folder: Path, below: bool) -> str:
    """How many files of a part are not read, and which. below: whether its images lie in folders."""
    broken, others = [], []
    for path in _walk(folder):
        if not path.exists():
            broken.append(path.relative_to(folder))
        elif not _is_image(path) or (path.parent != folder) != below:
            others.append(path.relative_to(folder))
    what = []
    if broken:
        links = many(len(broken), "link")
        what.append(f"{links} without a target, which DVC or git-annex may fetch ({listed(broken, most=3)})")
    if others:
        what.append(f"{many(len(others), 'file')} that are no images in their place ({listed(others, most=3)})")
    return f"passed over: {' and '.join(what)}" if what else ""
