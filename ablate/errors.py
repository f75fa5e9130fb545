"""What can go wrong, in the user's words. `AblateError` is for what a person can fix; a bug is an assertion.

AblateError             exit code 2, a message without a traceback
├── StudyError          the study file: all its problems, each `file:line:column: path: message`
├── ConfigError         a configuration that a task or plug-in refuses; study/file.py turns it into a StudyError
│   ├── OutputsError    a network that gives another number of outputs than there are classes
│   └── TogetherError   each of its parts may be, and not all of them at once
│       └── UnfitError  a trick that the network cannot take
├── PluginError         a plug-in file that is missing, broken or ambiguous
├── DataError           data files that are missing or broken
├── FigureError         a figure that these results do not allow
├── ChangedError        the user's code or data are no longer what the plan was made from
├── NoResultError       a command that ended well and left no number that the study asks for
├── GarbledError        something else than a message came from another process of ours
├── PausedError         no mistake: a run is asked to leave a checkpoint and to stop
└── StoreError          the database
    ├── NoDatabaseError there is none yet
    └── AwayError       it cannot be used now, and may be soon: a server that restarts, a full disk, a lock
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


class AblateError(Exception):
    """Something that a person can fix. The message says what was found, what is allowed, and what to do.

    page: the page of the manual that tells more, where one does; the command line names it once, below the message.
    """

    page = ""

    def __init__(self, message: str = "", page: str = "") -> None:
        super().__init__(message)
        self.page = page or self.page

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in the place of a traceback, which would hide what the message says."""
        return [f"{type(self).__name__}: {self}", *([see(self.page)] if self.page else [])]


def see(page: str) -> str:
    """How a page of the manual is named."""
    return f"See `ablate help {page}`."


class PluginError(AblateError):
    """A plug-in that is missing, broken or ambiguous."""

    page = "own-tricks"


class DataError(AblateError):
    """A data file that is missing or broken; the message names the file and, where there is one, the row."""


class FigureError(AblateError):
    """A figure that these results do not allow: why, and what would."""

    page = "figures-and-reports"


class ChangedError(AblateError):
    """A run meets other code or data than the plan was made from; its failure is called `code_changed`."""


class NoResultError(AblateError):
    """A command that ended well and left no number that the study asks for; its failure is called `bad_result`."""

    page = "own-code"


class GarbledError(AblateError):
    """Something else than a message came from another process of ours: code of the user's wrote to its channel, say."""


class PausedError(AblateError):
    """Thrown into a task's generator after a step: it may write what it needs to go on, and then lets this pass."""


class StoreError(AblateError):
    """A database that cannot be used as asked."""

    page = "database"


class NoDatabaseError(StoreError):
    """There is no database yet, which for some questions is an answer."""

    page = "quickstart"


class AwayError(StoreError):
    """A database that cannot be used now, and may be soon, so that trying again is worth it."""

    page = "reliability"


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a file. `line` and `column` count from 1; 0 where the file as a whole is meant.

    `path` is the dotted place inside the study (`tricks.mixup.with.alpha`), empty for the whole file. `page` of the
    manual: where it is not the one of the section that `path` lies in.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    page: str = field(default="", compare=False)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


SECTIONS = {"task": "own-code", "plugins": "own-tricks", "tune": "tuning", "resources.gpus": "clusters"}
"""Sections of a study file that have a page of their own beside study-file."""


class StudyError(AblateError):
    """Every problem of a study file, in the file's order, in one go. page: the one that all have, or study-file."""

    page = "study-file"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(sorted(problems)))
        pages = {problem.page or _section_page(problem.path) for problem in self.problems}
        super().__init__("\n".join(map(str, self.problems)), pages.pop() if len(pages) == 1 else "")


def _section_page(path: str) -> str:
    return next((page for key, page in SECTIONS.items() if f"{path}.".startswith(f"{key}.")), StudyError.page)


class ConfigError(AblateError):
    """A configuration that is refused: pairs of (dotted key, message), for example ("model.width", "must be >= 1").

    Whoever knows where each key was written (study/file.py) turns the keys into positions.
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{key}: {message}" if key else message for key, message in self.problems))


class TogetherError(ConfigError):
    """A configuration of which each part may be, and not all of them at once: a design leaves such a cell out."""


class OutputsError(ConfigError):
    """A network that gives another number of outputs than there are classes, which is no mistake as a base to which
    every variant gives another head."""


class UnfitError(TogetherError):
    """A trick that the network cannot take; others may well be tried on it."""
