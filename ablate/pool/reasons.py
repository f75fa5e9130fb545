"""Why a run failed, told from what its task raised."""

from __future__ import annotations

import errno
import os

from ablate.errors import AblateError, ChangedError, NoResultError, PausedError
from ablate.records import Reason

_NOT_ITS_FAULT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENFILE, errno.ESTALE})
"""A disk that is full, broken or gone, or a host without files left: another run would fare alike, and this one better
later. Not EMFILE and EROFS: files that a task never closes and a folder that it may not write are so next time, too,
and it would be tried again for ever."""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "Unable to allocate")


class BadResultError(Exception):
    """The task gave something that is no set of metrics."""


class DivergedError(Exception):
    """A metric is NaN or infinite."""


def reason_of(error: BaseException) -> Reason:
    """Why the run failed, told from what the task raised."""
    if isinstance(error, BadResultError | NoResultError):
        return "bad_result"
    if isinstance(error, DivergedError):
        return "diverged"
    if isinstance(error, ChangedError):
        return "code_changed"
    if isinstance(error, PausedError):
        return "pruned"
    if isinstance(error, MemoryError) or any(text in _text(error) for text in _OUT_OF_MEMORY):
        return "oom"
    if _not_its_fault(error):
        return "infrastructure"
    return "error"


def _not_its_fault(error: BaseException) -> bool:
    """Whether this, or what it was raised for, came from the host. Libraries that write files say it in their words."""
    seen: BaseException | None = error
    for _ in range(20):
        if seen is None:
            break
        if isinstance(seen, OSError) and seen.errno in _NOT_ITS_FAULT:
            return True
        seen = seen.__cause__ or seen.__context__
    return os.strerror(errno.ENOSPC) in _text(error)


def last_line(error: BaseException) -> str:
    if isinstance(error, (BadResultError, DivergedError, AblateError)):
        return str(error)
    return f"{type(error).__name__}: {_text(error)}".strip().removesuffix(":")[:2000]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # what a user's class does when it is asked for its text is the user's
        return f"(its text cannot be told: {type(second).__name__})"
