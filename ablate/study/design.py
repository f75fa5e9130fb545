"""The contract of a design: the rule that chooses variants. Pure functions of the study's tricks; files in `designs/`.

A design says which cells to train and which cell each row is compared with. It never sees a configuration, a seed or a
metric. A cell that `requires` or `conflicts` forbid is left out and named, never replaced by another one.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from ablate.errors import AblateError
from ablate.records import Cell
from ablate.registry import Plugin
from ablate.study.cells import Space


class DesignError(AblateError):
    """A design that cannot be made from these tricks. The message says what to write instead."""


@dataclass(frozen=True)
class DesignRow:
    """One row: a cell and the cell it is compared with (None for the reference, or where the study's baseline decides).

    `of` names the hand-listed variant that the cell is a change of; the row is then called `A-batchnorm`.
    """

    cell: Cell
    compared_with: Cell | None
    of: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A cell of the design that `requires` or `conflicts` forbid. `of` as in DesignRow."""

    cell: Cell
    why: str
    of: str = ""


@dataclass(frozen=True)
class Chosen:
    """What a design chose. `notes` go into the plan (for example the alias list of a fraction)."""

    rows: tuple[DesignRow, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


class Design(Plugin):
    """A design. Its fields are its options (`designs: {name: fractional, resolution: 4}`)."""

    by_baseline: ClassVar[bool] = False
    """Whether every row is compared with the study's `baseline`, in place of a cell of the design's own choice."""

    @abstractmethod
    def choose(self, space: Space) -> Chosen:
        """The rows of this design, reference first. Pure. Raises DesignError where it cannot be made."""
