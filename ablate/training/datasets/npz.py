"""Arrays in .npz files, as numpy.savez writes them: `images` and `labels`; test images with `ids` instead of labels.

Files are read with allow_pickle=False: nothing in them is executed. `ids` may be left out (rows are then numbered) and
labels of test images are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ablate.errors import DataError
from ablate.training.datafile import as_ids, as_images, as_labels, entry, file_sha256, found, names_in
from ablate.training.dataset import Raw, Subset


@dataclass(frozen=True)
class Npz(Subset):
    """root: the folder. train, dev, test: files in it; dev is dev.npz or val.npz, or with `dev_fraction` a part of
    train; test is test.npz where there is one.

    names: a text file of class names, one a line, by label.
    """

    version: ClassVar[int] = 1
    infrastructure: ClassVar[frozenset[str]] = frozenset({"root", "train", "dev", "test", "names"})

    root: str
    train: str = "train.npz"
    dev: str | None = None
    test: str | None = None
    names: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dev is not None and self.dev_fraction is not None:
            raise ValueError(f"dev is {self.dev!r} and dev_fraction {self.dev_fraction}; give one of them.")

    def _files(self) -> dict[str, Path]:
        dev = self.dev or (None if self.dev_fraction else self._there("dev.npz", "val.npz") or "dev.npz")
        files = {"train": self.train, "dev": dev, "test": self.test or self._there("test.npz"), "names": self.names}
        return {part: found(self.root, name) for part, name in files.items() if name is not None}

    def _there(self, *names: str) -> str | None:
        folder = Path(self.root).expanduser()
        return next((name for name in names if (folder / name).is_file()), None)

    def contents(self) -> dict[str, str]:
        # A test file that nobody named changes no run: what was trained beside one is not to be trained again.
        named = {part: path for part, path in self._files().items() if part != "test" or self.test is not None}
        return {part: file_sha256(path) for part, path in named.items()}

    def read(self) -> Raw:
        files = self._files()
        names = names_in(files["names"]) if "names" in files else ()
        train = _labelled(files["train"], len(names) or None)
        dev = _labelled(files["dev"], len(names) or int(train[1].max(initial=-1)) + 1) if "dev" in files else None
        return Raw(train, dev, _unlabelled(files["test"]) if "test" in files else None, names)


def _labelled(path: Path, classes: int | None) -> Any:
    arrays = _read(path, ("images", "labels"))
    images = as_images(entry(arrays, ["images"], str(path)), f"{path}: images")
    return images, as_labels(entry(arrays, ["labels"], str(path)), f"{path}: labels", len(images), classes)


def _unlabelled(path: Path) -> Any:
    arrays = _read(path, ("images", "ids"))
    images = as_images(entry(arrays, ["images"], str(path)), f"{path}: images")
    return images, as_ids(arrays.get("ids", range(len(images))), f"{path}: ids", len(images))


def _read(path: Path, wanted: tuple[str, ...]) -> dict[str, Any]:
    """The wanted arrays; other keys with None, so that a message can list them."""
    import numpy as np

    key = ""
    try:
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"{path} is a single array; npz wants several by name: numpy.savez(FILE, images=...).")
            arrays: dict[str, Any] = dict.fromkeys(file.files)
            for key in arrays:
                if key in wanted:
                    arrays[key] = file[key]
            return arrays
    except DataError:
        raise
    except Exception as error:  # the bytes are anybody's: they may make numpy and zipfile raise anything
        place = f"{path}: {key}" if key else str(path)
        if "allow_pickle" in str(error):
            raise DataError(f"{place}: this is pickled Python objects, which are not read from an npz file.") from None
        raise DataError(f"{place} cannot be read, the file is cut short or no npz file: {error}") from error
