"""How the calls answer: a wrong argument is a mistake like any other, and messages speak of arguments, not options."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ablate.errors import AblateError, StudyError
from ablate.text import did_you_mean, listed

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")

_OPTION = re.compile(
    r"`?--(view|setting|sort|columns|digits|metric|db|seeds|workers|devices|executor|retry-failed)\b`?"
)
_COMMAND = re.compile(r"(`ablate [^`]*`)")
_VALUE = re.compile(r"--(view|setting) (?!is\b)([\w.-]*\w)")


def spoken(function: Callable[P, R], of: str = "ablate") -> Callable[P, R]:
    """A public call. of: whose it is, in words."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def called(*given: P.args, **named: P.kwargs) -> R:
        try:
            signature.bind(*given, **named)
        except TypeError as error:
            raise AblateError(_refused(signature, f"{of}.{function.__name__}", named, error), page="python") from None
        try:
            return function(*given, **named)
        except StudyError:
            raise
        except AblateError as error:
            error.args = tuple(in_python(one) if isinstance(one, str) else one for one in error.args)
            raise

    return called


def all_spoken(cls: type[C]) -> type[C]:
    """A class whose public methods are such calls."""
    for name, held in list(vars(cls).items()):
        if inspect.isfunction(held) and not name.startswith("_"):
            setattr(cls, name, spoken(held, cls.__name__))
    return cls


def in_python(message: str) -> str:
    """A message of the command line's, in the words of a call: `--setting a` is `setting="a"`. A command that it names
    whole (`ablate run x --db a.db`) is one to type, and stays."""
    return "".join(part if _COMMAND.fullmatch(part) else _argued(part) for part in _COMMAND.split(message))


def _argued(text: str) -> str:
    return _OPTION.sub(lambda match: match[1].replace("-", "_") + "=", _VALUE.sub(r'\1="\2"', text)).replace(
        "= is ", " is "
    )


def _refused(signature: inspect.Signature, called: str, named: dict[str, Any], error: TypeError) -> str:
    known = [name for name in signature.parameters if name != "self"]
    for name in named:
        if name not in known:
            return f"{called} has no argument {name!r}; it has {listed(known)}.{did_you_mean(name, known)}"
    return f"{called} was called wrongly: {error}; it has {listed(known)}."
