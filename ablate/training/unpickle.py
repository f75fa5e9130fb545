"""Pickles read without executing anything that they name.

A pickle may name any function of Python and have it called. Here it may name nothing: arrays are rebuilt from their
bytes by our own code, everything else is refused by name. It does not guard against a file made to exhaust memory.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DTYPE = re.compile(r"[|<>=]?(b1|[iu][1248]|f[248]|[SU][0-9]{1,6}|O8?)")
_ADVICE = (
    "only arrays, numbers, text, bytes and containers are read from a pickle, and nothing was executed. "
    "Save the arrays with numpy.savez and read them by `name: npz`"
)

_ONE = (
    "of several `pickle.dump` into one file only the first would be read. Dump one dictionary, or a file for each part"
)


def unpickled(path: Path) -> Any:
    """What a pickle holds, as dictionaries, lists, numbers, text and `PickledArray`s (numpy.asarray reads those).

    Text of Python 2 is read as latin-1, as its arrays need it.
    """
    try:
        with path.open("rb") as file:
            value = _Unpickler(file, encoding="latin1").load()
            if file.read(1):
                raise _RefusedError(f"goes on after its first object; {_ONE}")
            return value
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except _RefusedError as error:
        raise DataError(f"{path}: the pickle {error}.", page="course-brief") from None
    except Exception as error:  # the bytes are anybody's: they may make the unpickler raise anything
        raise DataError(
            f"{path} is no whole pickle ({type(error).__name__}: {error}); it may be cut short, or of another kind.",
            page="course-brief",
        ) from error


class _RefusedError(Exception):
    """What a pickle asks for and may not have."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        made = _ALLOWED.get((module, name))
        if made is None:
            raise _RefusedError(f"asks for {module}.{name}; {_ADVICE}")
        return made

    def persistent_load(self, pid: Any, /) -> Any:
        raise _RefusedError(f"refers to {pid!r}, outside itself; {_ADVICE}")


class _Allowed:
    """Stands for a global that a pickle may name. It can be called; its state cannot be set."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError(f"changes what a name means; {_ADVICE}")


class _Dtype:
    """numpy.dtype of numbers, booleans, text and bytes; a structured one could hold pointers in disguise."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = text(code)
        if not _DTYPE.fullmatch(self.code):
            raise _RefusedError(f"has an array of dtype {self.code!r}; {_ADVICE}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise _RefusedError(f"has an array with fields; {_ADVICE}")
        order = text(state[1])
        self.code = (order if order in "<>" else "") + self.code.lstrip("|<>=")

    def array(self, raw: Any) -> NDArray[Any]:
        import numpy as np

        if self.code.startswith("O"):
            return np.array(raw)
        return np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, np.dtype(self.code))


class PickledArray:
    """An array in a pickle: a shape and bytes that numpy reads without trusting them."""

    _value: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        assert isinstance(dtype, _Dtype), "the pickle has an array without a dtype"
        if dtype.code.startswith("O") and len(shape) == 1:
            self._value = dtype.array(raw)
        else:
            self._value = dtype.array(raw).reshape(_shape(shape), order="F" if fortran else "C")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        if self._value is None:
            raise DataError("the pickle has an array without contents.")
        return np.array(self._value, dtype=dtype, copy=bool(copy) or dtype is not None)


def _shape(shape: Any) -> tuple[int, ...]:
    assert all(isinstance(n, int) and n >= 0 for n in shape), f"the pickle has an array of shape {shape}"
    return tuple(shape)


def text(value: Any) -> str:
    """Text from text, bytes of Python 2 or a number."""
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _from_buffer(raw: Any, dtype: _Dtype, shape: Any, order: Any) -> NDArray[Any]:
    return dtype.array(raw).reshape(_shape(shape), order="F" if order == "F" else "C")


def _encode(letters: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise _RefusedError(f"encodes text as {encoding!r}; {_ADVICE}")
    return letters.encode("latin1")


def _nothing(*_: Any) -> Any:
    raise _RefusedError(f"makes an array in a way that is not numpy's; {_ADVICE}")


def _allowed() -> dict[tuple[str, str], _Allowed]:
    makers: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): _nothing,  # named as an argument of _reconstruct, never called
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
        ("collections", "OrderedDict"): dict,
    }
    for core in ("numpy.core", "numpy._core"):
        makers[f"{core}.multiarray", "_reconstruct"] = lambda *_: PickledArray()
        makers[f"{core}.multiarray", "scalar"] = lambda dtype, raw: dtype.array(raw)[0]
        makers[f"{core}.numeric", "_frombuffer"] = _from_buffer
    for builtins in ("builtins", "__builtin__"):
        for kind in (set, frozenset, bytearray, complex):
            makers[builtins, kind.__name__] = kind
        makers[builtins, "bytes"] = lambda *args: b"" if not args else bytes(list(args[0]))
    return {name: _Allowed(make) for name, make in makers.items()}


_ALLOWED = _allowed()
