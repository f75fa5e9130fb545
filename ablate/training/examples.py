"""What a run got right, and at what loss, example by example: packed small, and unpacked again.

A set of examples is kept once, under its fingerprint; of each run a column for each metric that is a mean over the set.
A predicted class is kept as (class - label) mod K, which is 0 nearly always and zlib makes next to nothing of; a loss
as a float16 times a power of two, so that the largest of a run still fits and the small ones keep their digits.

From a child to its dispatcher the two travel as one file in the run's folder (`write`, `read`). No torch here, and
numpy only when something is packed or unpacked.
"""

from __future__ import annotations

import json
import math
import secrets
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from ablate.errors import DataError
from ablate.identity import canonical_json, sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Numbers = NDArray[np.int64]

At = Literal["last", "best"]
"""Whose results: of the final weights, or of the run's best epoch."""

Kind = Literal["classes", "wide classes", "flags", "numbers"]
"""How a column is packed. classes: (class - label) mod K, a byte each; wide classes: two, for K > 256, all low ones
first; flags: 0 where an example is right, 1 where it is not; numbers: float16. All but numbers are compressed."""

LEVEL = 1
"""zlib's: the others take 2 to 4 times as long for a quarter of the bytes."""

PARTS = ("ids", "labels", "groups", "classes")
"""What a set of examples is made of."""

PRECISION = 2.0**-10
"""How far a stored mean may be from the metric, as a share of the mean size of the values: a float16 has 11 bits."""


# ----------------------------------------------------------------------------------------------------------- records


@dataclass(frozen=True)
class ExampleSet:
    """What runs are measured on, example by example, in one order.

    ids: a name for each, no two equal: by them, and by nothing else, two runs are paired. labels: the class of each, by
    its place in `classes`, their names. groups: what each belongs to (a patient, say). Empty where there are none.
    """

    ids: tuple[str, ...]
    labels: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @cached_property
    def text(self) -> bytes:
        """As it travels and is hashed: canonical JSON."""
        return canonical_json({name: getattr(self, name) for name in PARTS}).encode()

    @cached_property
    def fingerprint(self) -> str:
        return sha256(self.text)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place of each id."""
        return {name: i for i, name in enumerate(self.ids)}

    @classmethod
    def of(cls, text: bytes) -> Self:
        """The set that `text` holds."""
        return cls(**{name: tuple(held) for name, held in json.loads(text).items()})


@dataclass(frozen=True)
class Column:
    """One metric of one run, example by example, packed. Its value for an example is `factor` times what is packed, so
    that the mean over the set is the metric in its own unit: 100 for an accuracy in percent."""

    metric: str
    at: At
    kind: Kind
    factor: float
    data: bytes

    def values(self) -> Values:
        """(examples,) the metric of each example, in the set's order and the metric's unit."""
        import numpy as np

        if self.kind == "numbers":
            return np.frombuffer(self.data, "<f2").astype(np.float64) * self.factor
        return self.right().astype(np.float64) * self.factor

    def right(self) -> NDArray[np.bool_]:
        """(examples,) whether each is right. AssertionError for a column of numbers."""
        assert self.kind != "numbers", self.metric
        right: NDArray[np.bool_] = self._packed() == 0
        return right

    def predicted(self, labels: Numbers, classes: int) -> Numbers:
        """(examples,) the class that the run gave each. AssertionError for a column that holds none."""
        assert "classes" in self.kind, self.metric
        return (self._packed() + labels) % classes

    def _packed(self) -> NDArray[Any]:
        import numpy as np

        plain = np.frombuffer(zlib.decompress(self.data), np.uint8)
        if self.kind != "wide classes":
            return plain
        low, high = plain.reshape(2, -1).astype(np.uint16)
        return low + 256 * high


@dataclass(frozen=True)
class Examples:
    """What one run hands over. text: its set's, of that fingerprint; empty where it lies in the file `kept`."""

    fingerprint: str
    text: bytes
    columns: tuple[Column, ...] = ()
    kept: str = ""

    def whole(self) -> ExampleSet:
        """The set. DataError where the file that it was kept in is gone."""
        if self.text:
            return ExampleSet.of(self.text)
        try:
            return ExampleSet.of(Path(self.kept).read_bytes().partition(b"\n")[2])
        except OSError as error:
            raise DataError(f"{self.kept}, the examples that runs are measured on: {error.strerror}.") from None


# ----------------------------------------------------------------------------------------------------------- packing


def of_classes(
    metric: str, predicted: NDArray[Any], labels: NDArray[Any], classes: int, factor: float, at: At = "last"
) -> Column:
    """The column of an accuracy. predicted, labels: (examples,) whole numbers from 0, below `classes`."""
    import numpy as np

    # Small arrays: a child packs once, and what it allocates is new pages.
    shifts: NDArray[Any] = predicted.astype(np.int32) - labels.astype(np.int32)
    shifts[shifts < 0] += classes
    if classes <= 256:
        return Column(metric, at, "classes", factor, zlib.compress(shifts.astype(np.uint8).tobytes(), LEVEL))
    # Each half has few values of its own, so each gets codes of its own: 1.25 bytes for 1,000 classes told at random.
    packer = zlib.compressobj(LEVEL)
    halves = (shifts.astype(np.uint8), (shifts >> 8).astype(np.uint8))
    low = packer.compress(halves[0].tobytes()) + packer.flush(zlib.Z_FULL_FLUSH)
    return Column(metric, at, "wide classes", factor, low + packer.compress(halves[1].tobytes()) + packer.flush())


def of_numbers(metric: str, values: NDArray[np.floating[Any]], factor: float = 1.0, at: At = "last") -> Column:
    """The column of any metric: of 0 and 1 as flags, else as float16. values: (examples,) finite."""
    import numpy as np

    if values[0] in (0, 1) and ((values == 0) | (values == 1)).all():
        return Column(metric, at, "flags", factor, zlib.compress((values == 0).astype(np.uint8), LEVEL))
    # The largest lands in [16384, 32768): a float16 ends at 65504, and below 2**-14 it begins to lose digits.
    largest = max(float(values.max()), -float(values.min()))
    power = 2.0 ** (15 - max(math.frexp(largest)[1], -1000))
    return Column(metric, at, "numbers", factor / power, (values * np.float64(power)).astype("<f2").tobytes())


def far(column: Column, value: float) -> str:
    """How far the mean of a column is from the run's metric, as a sentence; empty where it is that metric."""
    import numpy as np

    if column.kind == "numbers":
        values = column.values()
        mean, size = float(values.mean()), float(np.abs(values).mean())
    else:
        right = column.right()
        mean = size = column.factor * np.count_nonzero(right) / len(right)
    if abs(mean - value) <= PRECISION * size + 1e-12:
        return ""
    return f"their mean is {mean:.6g}, and the run's {column.metric} is {value:.6g}"


# -------------------------------------------------------------------------------------------------- what a task gives


@dataclass(frozen=True)
class Given:
    """What a task of the user's gave, not looked at yet: anything that numpy makes an array of."""

    ids: Any
    correct: Any = None
    loss: Any = None
    groups: Any = None


def settled(given: Given | Examples, values: Mapping[str, float], asked: Sequence[str]) -> Examples:
    """The same, checked and packed. values: the run's metrics; asked: those that the study asks for, its own first.

    Whose mean `correct` is, in the same unit or in percent, and whose `loss`, is found among the metrics; what is
    packed already is of its own. DataError where the arrays do not fit together, or a mean is no metric of the run.
    """
    if isinstance(given, Examples):
        wrong = [far(column, values[column.metric]) for column in given.columns if column.at == "last"]
        if any(wrong):
            raise DataError(f"of the examples: {next(filter(None, wrong))}.")
        return given
    ids = _names("ids", given.ids, None)
    groups = () if given.groups is None else _names("groups", given.groups, len(ids))
    if len(set(ids)) < len(ids):
        twice = next(name for i, name in enumerate(ids) if name in ids[:i])
        raise DataError(f"the id {twice!r} stands twice among the {len(ids)} ids of the examples.")
    of_set = ExampleSet(ids, groups=groups)
    columns: list[Column] = []
    for name, array in (("correct", given.correct), ("loss", given.loss)):
        if array is not None:
            left = [metric for metric in dict.fromkeys((*asked, *values)) if metric in values]
            left = [metric for metric in left if metric not in {column.metric for column in columns}]
            among = {metric: values[metric] for metric in left}
            columns.append(found_metric(name, numbers(name, array, len(ids)), among, percent=name == "correct"))
    if not columns:
        raise DataError("neither `correct` nor `loss` of the examples is given.")
    return Examples(of_set.fingerprint, of_set.text, tuple(columns))


def found_metric(name: str, array: Values, metrics: Mapping[str, float], *, percent: bool) -> Column:
    """The column of the first of these metrics that is the mean of an array, or that in percent. DataError: none is."""
    for metric, value in metrics.items():
        for factor in (1.0, 100.0) if percent else (1.0,):
            column = of_numbers(metric, array, factor)
            if not far(column, value):
                return column
    mean = float(array.mean())
    shown = f"{mean:.6g} (in percent {100 * mean:.6g})" if percent else f"{mean:.6g}"
    told = ", ".join(f"{metric} {value:.6g}" for metric, value in metrics.items()) or "no metric"
    raise DataError(f"the mean of `{name}` over {len(array)} examples is {shown}, and no metric is that: {told}.")


def _names(what: str, given: Any, count: int | None) -> tuple[str, ...]:
    import numpy as np

    # Texts that a database takes: no NUL, no half of a character.
    listed = [given] if isinstance(given, str | bytes) or not np.iterable(given) else list(given)
    names = tuple(str(name).encode("utf-8", "backslashreplace").decode().replace("\0", "\\0") for name in listed)
    if not names or len(names) != (count or len(names)):
        raise DataError(f"{what} of the examples are {len(names)}, and there are {count or 'none'}.")
    return names


def numbers(what: str, given: Any, count: int) -> Values:
    """(count,) finite numbers. DataError where `given` is something else."""
    import numpy as np

    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"`{what}` of the examples are no numbers: {error}.") from None
    if array.shape != (count,):
        raise DataError(f"`{what}` of the examples has shape {array.shape}, and there are {count} ids.")
    if not np.isfinite(array).all():
        raise DataError(f"`{what}` of the examples is not finite for {int((~np.isfinite(array)).sum())} of {count}.")
    return array


# ------------------------------------------------------------------------------------------------------------- images


def of_images(images: NDArray[Any], labels: NDArray[Any], classes: Sequence[str], folder: Path | None) -> Examples:
    """The set of labelled images, no column yet. An image is called by its content and its class, so that it is found
    again in another split or order of the same data; the second of two equal ones has `-2` behind its name.

    folder: where the set is kept beside the arrays, for 10,000 images take 50 ms to hash; None: nowhere.
    """
    kept = None if folder is None else folder / "dev_examples"
    if kept is not None and kept.is_file():
        with kept.open("rb") as file:
            return Examples(file.readline().decode().strip(), b"", (), str(kept))
    seen: dict[str, int] = {}
    ids = []
    for image, label in zip(images, labels.tolist(), strict=True):
        head = f"{image.shape} {classes[label]} ".encode()
        name = blake2b(head + image.tobytes(), digest_size=8).hexdigest()
        seen[name] = seen.get(name, 0) + 1
        ids.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    made = ExampleSet(tuple(ids), tuple(labels.tolist()), (), tuple(classes))
    if kept is not None:
        temporary = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
        temporary.write_bytes(made.fingerprint.encode() + b"\n" + made.text)
        temporary.replace(kept)
    return Examples(made.fingerprint, made.text)


# ------------------------------------------------------------------------------------------- from child to dispatcher


def write(examples: Examples, folder: Path) -> str:
    """Leave them in a run's folder, in a file of a new name, which comes back. Not flushed to the disk: it is read at
    once, and lost with the attempt where it is not."""
    columns = [{**vars(column), "data": len(column.data)} for column in examples.columns]
    head = {"fingerprint": examples.fingerprint, "kept": examples.kept, "columns": columns}
    name = f".examples.{secrets.token_hex(8)}"
    parts = [json.dumps(head).encode(), b"\n", *(column.data for column in examples.columns), examples.text]
    (folder / name).write_bytes(b"".join(parts))
    return name


def read(folder: Path, name: str) -> Examples:
    """What `write` left. DataError where it is no such file."""
    try:
        first, _, rest = (folder / Path(name).name).read_bytes().partition(b"\n")
        head, at, columns = json.loads(first), 0, []
        for column in head["columns"]:
            columns.append(Column(**{**column, "data": rest[at : at + column["data"]]}))
            at += column["data"]
        return Examples(head["fingerprint"], rest[at:], tuple(columns), head["kept"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"the run's results for each example cannot be read: {error}.") from None


def drop(folder: Path, name: str) -> None:
    """Remove what `write` left: it is in the database now. name: empty where nothing was left."""
    if name:
        with suppress(OSError):
            (folder / Path(name).name).unlink()
