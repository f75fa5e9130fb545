"""The door for authors of plug-ins: every name that a private file needs, wherever the house keeps it.

    from ablate.plugins import Step, Trick

These names stay where rooms move; nothing else of ablate is promised to plug-ins. A name is fetched when it is asked
for, so that a data set that a plan looks at loads no torch. This file and `surgery` are the two at the root that are no
words: they may import every room, and nothing in ablate imports them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time it is __getattr__ that answers
    from ablate.errors import ConfigError, DataError
    from ablate.figures.figure import Figure
    from ablate.records import Json, Meaning, TrickUse
    from ablate.registry import Count, NonNegative, Positive, Registry, Share, ShareBelowOne, Size
    from ablate.study.cells import Space
    from ablate.study.design import Chosen, Design, DesignError, DesignRow, LeftOut
    from ablate.tables.table import Format
    from ablate.testing.suite import cases
    from ablate.training.datafile import as_images, as_labels, file_sha256
    from ablate.training.dataset import Arrays, Dataset, Raw, Subset
    from ablate.training.layers import Dropout
    from ablate.training.model import Model
    from ablate.training.replacement import Replacement
    from ablate.training.task import Completed, Run, Task
    from ablate.training.trick import Facts, Step, Trick

__all__ = [
    "Arrays",
    "Chosen",
    "Completed",
    "ConfigError",
    "Count",
    "DataError",
    "Dataset",
    "Design",
    "DesignError",
    "DesignRow",
    "Dropout",
    "Facts",
    "Figure",
    "Format",
    "Json",
    "LeftOut",
    "Meaning",
    "Model",
    "NonNegative",
    "Positive",
    "Raw",
    "Registry",
    "Replacement",
    "Run",
    "Share",
    "ShareBelowOne",
    "Size",
    "Space",
    "Step",
    "Subset",
    "Task",
    "Trick",
    "TrickUse",
    "as_images",
    "as_labels",
    "cases",
    "file_sha256",
]

_HOMES = {
    "errors": "ConfigError DataError",
    "figures.figure": "Figure",
    "records": "Json Meaning TrickUse",
    "registry": "Count NonNegative Positive Registry Share ShareBelowOne Size",
    "study.cells": "Space",
    "study.design": "Chosen Design DesignError DesignRow LeftOut",
    "tables.table": "Format",
    "testing.suite": "cases",
    "training.datafile": "as_images as_labels file_sha256",
    "training.dataset": "Arrays Dataset Raw Subset",
    "training.layers": "Dropout",
    "training.model": "Model",
    "training.replacement": "Replacement",
    "training.task": "Completed Run Task",
    "training.trick": "Facts Step Trick",
}
"""The file of each name: a move inside the house changes a line here and above, and no plug-in."""


if not TYPE_CHECKING:  # or a type checker would take any name for one of these

    def __getattr__(name: str) -> Any:
        for home, names in _HOMES.items():
            if name in names.split():
                return getattr(import_module(f"ablate.{home}"), name)
        raise AttributeError(f"ablate.plugins has no {name!r}; it has {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return __all__
