"""Files of a data set: found, hashed and read without executing anything, and turned into checked arrays.

What has no plain reading is a DataError that names the file and the row; nothing is guessed or rounded away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.errors import DataError
from ablate.identity import sha256_file
from ablate.text import did_you_mean, in_words, one_of
from ablate.training.unpickle import text, unpickled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# ----------------------------------------------------------------------------------------------------- finding, hashing


def found(root: str, name: str = "") -> Path:
    """The file or folder `name` below `root`; DataError with the nearest name where it is not there."""
    path = Path(root).expanduser() / name
    if path.exists():
        return path
    gone = path
    while not gone.parent.is_dir():
        gone = gone.parent
    near = sorted(p.name for p in gone.parent.iterdir())
    here = f" ({path.absolute()})" if not path.is_absolute() else ""
    listed = in_words(near, 8) or "nothing"
    hint = did_you_mean(gone.name, near)
    raise DataError(
        f"{path} does not exist{here}; {gone.parent.absolute()} has {listed}.{hint} "
        "Relative paths start at the working directory; `--set data.root=FOLDER` names another."
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, computed once in a process for a path, size and time of change."""
    try:
        facts = path.stat()
        return _hash(str(path.absolute()), facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


@cache
def _hash(path: str, size: int, changed_ns: int) -> str:
    del size, changed_ns
    return sha256_file(Path(path))


def names_in(path: Path) -> tuple[str, ...]:
    """Class names, one a line, by label."""
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a list of class names, one a line: {error}.") from error
    return distinct(names, str(path))


def distinct(names: Sequence[str], where: str) -> tuple[str, ...]:
    """The names, which must differ: two rows of one name could not be told apart."""
    seen: dict[str, int] = {}
    for row, name in enumerate(names):
        if seen.setdefault(name, row) != row:
            raise DataError(f"{where}: rows {seen[name]} and {row} are both {name!r}; they must differ.")
    return tuple(names)


# -------------------------------------------------------------------------------------------------------------- arrays


def entry(data: Any, keys: Sequence[str], where: str) -> Any:
    """The value of the first of `keys` that a mapping has; DataError lists the keys that there are."""
    for key in keys:
        if key in data:
            return data[key]
    present = [str(key) for key in data]
    near = next(filter(None, (did_you_mean(key, present) for key in keys)), "")
    raise DataError(
        f"{where} has no key {one_of(map(repr, keys))}; it has {one_of(map(repr, present)) or 'none'}.{near}"
    )


def as_images(value: Any, where: str) -> NDArray[np.uint8]:
    """(n, height, width, channels) uint8 from grey levels 0..255, or from floats k/255, channels first or last.

    (n, 3 * side * side) are CIFAR's rows: the red plane, then green, then blue.
    """
    import numpy as np

    array = _channels_last(_array(value, where), where)
    if not array.size:
        raise DataError(f"{where}: there are no images; their shape is {array.shape}.")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind not in "iuf":
        raise DataError(f"{where}: the images are {array.dtype}; they must be uint8, or floats of 0..1.")
    low, high = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)  # NaN has its own message
    scale = 255 if array.dtype.kind == "f" and high <= 1 else 1
    # A half-precision k/255 is off by up to a quarter of a grey level, a single-precision one by next to nothing.
    tolerance = max(1e-3, 255 * float(np.finfo(array.dtype).eps)) if array.dtype.kind == "f" else 0
    levels = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), 1024):
        piece = array[start : start + 1024].astype(np.float64) * scale
        nearest = np.rint(piece)
        good = (abs(piece - nearest) <= tolerance) & (nearest >= 0) & (nearest <= 255)
        if not good.all():
            row = int((~good.reshape(len(good), -1).all(1)).argmax())
            bad = array[start + row][~good[row]][0]
            what = "is no number" if np.isnan(bad) else f"is not a grey level (the images run from {low} to {high})"
            raise DataError(
                f"{where}, row {start + row}: the value {bad} {what}. Images must be uint8, or floats that are k/255: "
                "give them before any normalisation or augmentation; ablate does both while it trains."
            )
        levels[start : start + 1024] = nearest
    return levels


def _channels_last(array: NDArray[Any], where: str) -> NDArray[Any]:
    n, *shape = array.shape if array.ndim else (0,)
    side = round((shape[0] / 3) ** 0.5) if len(shape) == 1 else 0
    if side > 1 and 3 * side * side == shape[0]:
        return array.reshape(n, 3, side, side).transpose(0, 2, 3, 1)
    if len(shape) == 2:
        return array[..., None]
    # Grey and colour first: tiny images may have 2 or 4 pixels a side.
    for channels in ((1, 3), (2, 4)):
        if len(shape) == 3 and shape[2] in channels:
            return array
        if len(shape) == 3 and shape[0] in channels:
            return array.transpose(0, 2, 3, 1)
    raise DataError(
        f"{where}: the images have shape {array.shape}; it must be (n, height, width, channels), "
        "(n, channels, height, width), (n, height, width) or (n, 3 * side * side)."
    )


def as_labels(value: Any, where: str, count: int, classes: int | None) -> NDArray[np.int64]:
    """(count,) int64 in 0..classes-1; None: as many classes as the largest label says."""
    import numpy as np

    array = _array(value, where)
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise DataError(f"{where}, row {int(np.isnan(array).argmax())}: the label is no number (NaN).")
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"{where}: the labels are {array.dtype} of shape {array.shape}; they must be integers, one for an image."
        )
    if len(array) != count:
        raise DataError(f"{where}: there are {len(array)} labels for {count} images.")
    # Without names a label far beyond any sensible count is a mistake, not a class.
    top = max(1000, count) if classes is None else classes
    bad = (array < 0) | (array >= top)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"{where}, row {row}: the label {array[row]} is out of range; it must be in 0..{top - 1}.")
    return array.astype(np.int64)


def as_ids(value: Any, where: str, count: int) -> tuple[str, ...]:
    """Names of test images, from integers or text; all different."""
    array = _array(value, where)
    if array.shape != (count,) or array.dtype.kind not in "iuUS":
        raise DataError(
            f"{where}: the ids are {array.dtype} of shape {array.shape}; "
            f"they must be integers or text, one for each of {count} images."
        )
    return distinct([text(item) for item in array.tolist()], where)


def _array(value: Any, where: str) -> NDArray[Any]:
    """As numpy reads it; an object array is read as the list that it is, so that rows of one shape are stacked."""
    import numpy as np

    try:
        array: NDArray[Any] = np.asarray(value)
        if array.dtype == object:
            array = np.array(array.tolist())
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        row = _first_other(value)
        place = where if row is None else f"{where}, row {row}: its shape is not that of row 0"
        raise DataError(f"{place}: this cannot be read as one array ({error}).") from error
    if array.dtype == object:
        raise DataError(f"{where}: this holds Python objects; it must hold numbers.")
    return array


def _first_other(rows: Any) -> int | None:
    """The first row whose shape is not that of row 0."""
    import numpy as np

    if not isinstance(rows, Sequence) or isinstance(rows, (str, bytes)) or not len(rows):
        return None
    try:
        shapes = [np.shape(row) for row in rows]
    except (ValueError, TypeError):
        return None
    return next((row for row, shape in enumerate(shapes) if shape != shapes[0]), None)


# --------------------------------------------------------------------------------------------------------------- CIFAR


def cifar_folder(root: str, folder: str, dataset: str, download: bool) -> Path:
    """`root/folder`, fetched by torchvision's class `dataset` where it is missing and a download was asked for."""
    path = Path(root).expanduser() / folder
    if path.is_dir():
        return path
    if not download:
        raise DataError(
            f"{path} does not exist; {dataset} is read from that folder, as its archive for Python unpacks. "
            f"Put it there, set `data.root` to the folder that holds {folder}, or ask for `download: true`."
        )
    import torchvision.datasets

    source = getattr(torchvision.datasets, dataset)
    try:
        torchvision.datasets.utils.download_and_extract_archive(
            source.url, str(path.parent), filename=source.filename, md5=source.tgz_md5
        )
    except (OSError, RuntimeError, EOFError) as error:
        raise DataError(
            f"{dataset} cannot be downloaded from {source.url} ({error}). Without network: fetch {source.filename} "
            f"elsewhere and unpack it, so that {path} exists."
        ) from error
    return found(str(path))


def cifar_batch(path: Path) -> Mapping[str, Any]:
    """A pickled dictionary with text keys, from one whose keys may be the bytes of Python 2."""
    data = unpickled(path)
    if not isinstance(data, Mapping):
        raise DataError(f"{path} holds a {type(data).__name__}; it must hold a dictionary.")
    return {text(key): value for key, value in data.items()}


def cifar_names(path: Path, keys: Sequence[str]) -> tuple[str, ...]:
    """Class names by label, from CIFAR's `batches.meta` or `meta`."""
    listed = entry(cifar_batch(path), keys, str(path))
    if not isinstance(listed, Sequence):
        raise DataError(f"{path}: the class names are a {type(listed).__name__}; they must be a list.")
    return distinct([text(name) for name in listed], str(path))


def cifar_images(path: Path, keys: Sequence[str], classes: int | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images of a batch (`data`, or `images`) and the labels under the first of `keys` that it has."""
    batch = cifar_batch(path)
    images = batch_images(batch, path)
    return images, as_labels(entry(batch, keys, str(path)), f"{path}: labels", len(images), classes)


def batch_images(batch: Mapping[str, Any], path: Path) -> NDArray[np.uint8]:
    key = "images" if "images" in batch and "data" not in batch else "data"
    return as_images(entry(batch, [key, "images"], str(path)), f"{path}: {key}")
