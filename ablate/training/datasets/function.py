"""The arrays that a function returns: `load: module:function`, the loading snippet that a course hands out, as it is.

The function is the user's own code, and `ablate plan` calls it too, since its arrays are part of a run's key: it is
called to plan a study and by every process that trains. A loader that takes long is better written to .npz files
and read by `name: npz`. It must return the same arrays every time, before any normalisation or augmentation, or it is
refused. Its module is looked for in `path`, beside the study file, in the working directory, and wherever Python finds
modules.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

from ablate.errors import DataError
from ablate.identity import canonical_json
from ablate.text import did_you_mean
from ablate.training.datafile import as_ids, as_images, as_labels, distinct, file_sha256
from ablate.training.dataset import Raw, Subset

_FORMS = (
    "a mapping or an object with `train` and `dev`, each (images, labels) or a torchvision data set, and where there "
    "are some `test` (images, or images and ids) and `class_names`; or a tuple (train_images, train_labels, "
    "dev_images, dev_labels[, test_images]); or a tuple (train, dev[, test]); or with `dev_fraction` train alone"
)
_contents: dict[str, dict[str, str]] = {}
"""Hashes of what the functions returned in this process, so that the variants of a plan call each of them once."""

_modules: dict[tuple[str, ...], dict[str, ModuleType]] = {}
"""The user's modules by the folders that they were looked for in. They are among sys.modules only while one of these
functions works: two studies of one process may each have a `loader.py`."""


@dataclass(frozen=True)
class Function(Subset):
    """load: `module:function`. options: what the function is called with, by name. path: folders to find its module in.

    The function returns arrays, tensors, lists of images or torchvision data sets; labels are integers from 0. It may
    return no dev images with `dev_fraction`.
    """

    version: ClassVar[int] = 1
    infrastructure: ClassVar[frozenset[str]] = frozenset({"path"})

    load: str
    options: dict[str, Any] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    _beside: ClassVar[tuple[str, ...]] = ()  # of an instance: no parameter, for a study does not say where it lies

    def __post_init__(self) -> None:
        super().__post_init__()
        module, _, function = self.load.partition(":")
        if not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            raise ValueError(f"load is {self.load!r}; it must be `module:function`.")

    def looking_in(self, folders: Sequence[str]) -> Self:
        placed = copy(self)
        object.__setattr__(placed, "_beside", tuple(folders))
        return placed

    def contents(self) -> dict[str, str]:
        """Hashes of the arrays and of the module's source."""
        with self._found():
            file = sys.modules[self.load.partition(":")[0]].__file__
            code = file_sha256(Path(file)) if file else ""
        question = canonical_json([self.load, code, self.options, self._folders()])
        if question not in _contents:
            _contents[question] = {"code": code, **_hashed(self._called())}
        return _contents[question]

    def read(self) -> Raw:
        source = self._called()
        returned = _hashed(source)
        planned = self.contents()
        changed = [
            part for part in {**planned, **returned} if part != "code" and planned.get(part) != returned.get(part)
        ]
        if changed:
            raise DataError(
                f"{self.load} returned other {changed[0]} arrays than the last time; it must return the same ones: "
                "fix its seed, and leave augmentation to ablate."
            )
        return source

    def _folders(self) -> list[str]:
        folders = (*self.path, *self._beside, os.getcwd())
        return list(dict.fromkeys(str(Path(folder).expanduser().absolute()) for folder in folders))

    @contextmanager
    def _found(self) -> Iterator[Callable[..., Any]]:
        """The function, with its folders on sys.path for as long as it may import from them."""
        name, _, attribute = self.load.partition(":")
        folders = self._folders()
        with _importing_from(folders):
            module = self._imported(name, folders)
            function = getattr(module, attribute, None)
            if not callable(function):
                near = [key for key, value in vars(module).items() if callable(value)]
                raise DataError(f"{module.__file__} defines no function {attribute!r}.{did_you_mean(attribute, near)}")
            yield function

    def _imported(self, name: str, folders: Sequence[str]) -> ModuleType:
        try:
            _check_not_another(name, folders)
            with redirect_stdout(sys.stderr):
                return importlib.import_module(name)
        except DataError:
            raise
        except ModuleNotFoundError as error:
            if error.name != name.partition(".")[0]:
                raise DataError(f"{self.load} cannot be imported: {error}.") from error
            near = [path.stem for folder in folders for path in Path(folder).glob("*.py")]
            raise DataError(
                f"there is no module {name!r} in {' or '.join(folders)} or installed.{did_you_mean(name, near)} "
                "`data.path: [FOLDER]` names other folders."
            ) from error
        except (Exception, SystemExit) as error:
            raise DataError(f"{self.load} cannot be imported: {_raised(error)}.") from error

    def _called(self) -> Raw:
        with self._found() as function:
            try:
                with redirect_stdout(sys.stderr):  # standard output belongs to the plan
                    returned = function(**self.options)
            except (Exception, SystemExit) as error:
                raise DataError(f"{self.load} failed: {_raised(error)}.") from error
            return self._source(returned)

    def _source(self, returned: Any) -> Raw:
        """What the function returned, as checked arrays."""
        parts = _parts(returned, self.load)
        names = distinct([str(name) for name in parts.get("class_names") or ()], f"{self.load}: class_names")
        train = _labelled(parts["train"], f"{self.load}: train", len(names) or None)
        dev = None
        if parts.get("dev") is not None and self.dev_fraction is None:
            classes = len(names) or int(train[1].max(initial=-1)) + 1
            dev = _labelled(parts["dev"], f"{self.load}: dev", classes)
        test = None
        if parts.get("test") is not None:
            test = _unlabelled(parts["test"], f"{self.load}: test")
        return Raw(train, dev, test, names)


@contextmanager
def _importing_from(folders: Sequence[str]) -> Iterator[None]:
    """Modules are found in these folders first; those that come from there leave sys.modules again at the end."""
    mine = _modules.setdefault(tuple(folders), {})
    path_before, before = list(sys.path), set(sys.modules)
    sys.modules.update({name: module for name, module in mine.items() if name not in before})
    sys.path[:0] = folders
    try:
        yield
    finally:
        sys.path[:] = path_before
        for name in sys.modules.keys() - before:
            if name.partition(".")[0] not in before and _lies_in(folders, name, sys.modules[name]):
                mine[name] = sys.modules.pop(name)


def _lies_in(folders: Sequence[str], name: str, module: ModuleType) -> bool:
    """Whether a module was found in one of these folders; one of an environment that lies below them was not."""
    file, top = getattr(module, "__file__", None), name.partition(".")[0]
    places = [Path(folder, part) for folder in folders for part in (top, f"{top}.py")]
    return file is not None and any(Path(file).is_relative_to(place) for place in places)


def _check_not_another(name: str, folders: Sequence[str]) -> None:
    """A module of that name that is already loaded must be the one that would be found now."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    parts = name.split(".")
    files = [Path(folder, *parts[:-1], f"{parts[-1]}.py").resolve() for folder in folders]
    meant = next((file for file in files if file.is_file()), None)
    if loaded and meant and Path(loaded).resolve() != meant:
        raise DataError(
            f"the module {name!r} means {meant}, and {loaded} is loaded under that name; rename one of them."
        )


def _raised(error: BaseException) -> str:
    """An exception of the user's code and the line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace is not None else ""
    return f"{type(error).__name__}: {error}{place}"


def _hashed(source: Raw) -> dict[str, str]:
    hashes = {}
    for part in ("train", "dev", "test"):
        pair = getattr(source, part)
        if pair is not None:
            images, other = pair
            digest = hashlib.sha256(canonical_json(images.shape).encode())
            digest.update(images)
            digest.update(canonical_json(other).encode() if part == "test" else other)
            hashes[part] = digest.hexdigest()
    return {**hashes, "class_names": hashlib.sha256(canonical_json(source.class_names).encode()).hexdigest()}


def _parts(returned: Any, where: str) -> Mapping[str, Any]:
    """train, dev, test and class_names from any of the forms that loaders have."""
    if isinstance(returned, Mapping):
        parts = dict(returned)
    elif _is_dataset(returned) or (
        isinstance(returned, tuple) and len(returned) == 2 and hasattr(returned[0], "shape")
    ):
        parts = {"train": returned}
    elif isinstance(returned, tuple) and len(returned) in (4, 5):
        parts = {"train": returned[:2], "dev": returned[2:4], "test": returned[4] if len(returned) == 5 else None}
    elif isinstance(returned, tuple) and len(returned) in (2, 3):
        parts = dict(zip(("train", "dev", "test"), returned, strict=False))
    else:
        parts = {
            key: getattr(returned, key) for key in ("train", "dev", "test", "class_names") if hasattr(returned, key)
        }
    if parts.get("train") is None:
        raise DataError(f"{where} returned a {type(returned).__name__} without `train`; it must return {_FORMS}.")
    unknown = [str(key) for key in parts if key not in ("train", "dev", "test", "class_names")]
    if unknown:
        raise DataError(f"{where} returned {unknown[0]!r}; it must return {_FORMS}.")
    return parts


def _labelled(part: Any, where: str, classes: int | None) -> Any:
    if _is_dataset(part):
        part = _rows(part, where)
    if not isinstance(part, Sequence) or len(part) != 2:
        raise DataError(
            f"{where} is a {type(part).__name__}; it must be (images, labels) or a torchvision data set"
            f"{'; return its `.dataset`, a loader shuffles' if type(part).__name__ == 'DataLoader' else ''}."
        )
    images = as_images(_pixels(part[0]), f"{where} images")
    return images, as_labels(part[1], f"{where} labels", len(images), classes)


def _unlabelled(part: Any, where: str) -> Any:
    ids = None
    if isinstance(part, tuple) and len(part) == 2:
        part, ids = part
    elif _is_dataset(part):
        part = _rows(part, where)[0]
    images = as_images(_pixels(part), f"{where} images")
    return images, as_ids(range(len(images)) if ids is None else ids, f"{where} ids", len(images))


def _is_dataset(value: Any) -> bool:
    """Has rows, and is neither an array nor a plain container: a torch data set."""
    plain = isinstance(value, Sequence | Mapping) or hasattr(value, "shape")
    return not plain and hasattr(value, "__getitem__") and hasattr(value, "__len__")


def _rows(dataset: Any, where: str) -> tuple[list[Any], list[Any]]:
    """All items of a torchvision data set, its own transform applied."""
    items = [dataset[row] for row in range(len(dataset))]
    for row, item in enumerate(items):
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(f"{where}, row {row}: the data set gives a {type(item).__name__}, not (image, label).")
    return [image for image, _ in items], [label for _, label in items]


def _pixels(images: Any) -> Any:
    """Images of Pillow as arrays: with a palette or an alpha channel they are made plain colour first."""
    if not isinstance(images, list | tuple):
        return images
    return [
        image if not hasattr(image, "convert") or image.mode in ("L", "RGB") else image.convert("RGB")
        for image in images
    ]
