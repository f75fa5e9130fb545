"""The contract of a design: the rule that chooses variants. Pure functions of the study's tricks; files in `designs/`.

A design says which cells to train and which cell each row is compared with. It never sees a configuration, a seed or a
metric. A cell that `requires` or `conflicts` forbid is left out and named, never replaced by another one.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from ablate.errors import AblateError
from ablate.records import Cell, Choice, StudyTrick
from ablate.registry import Plugin


class DesignError(AblateError):
    """A design that cannot be made from these tricks. The message says what to write instead."""


@dataclass(frozen=True)
class Space:
    """What a design chooses from: the tricks in the file's order and the variants listed by hand."""

    tricks: tuple[StudyTrick, ...]
    named: Mapping[str, Cell] = field(default_factory=dict)

    def trick(self, name: str) -> StudyTrick:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, StudyTrick]:
        return {trick.name: trick for trick in self.tricks}

    @cached_property
    def given(self) -> dict[Cell, str]:
        """The name given by hand to each hand-listed cell; the first of two names for one cell."""
        return {cell: name for name, cell in reversed(list(self.named.items()))}

    @property
    def base(self) -> Cell:
        return Cell()

    @cached_property
    def full(self) -> Cell:
        """Every trick, each at its first level."""
        return Cell(tuple(trick.choices[0] for trick in self.tricks))

    def add(self, cell: Cell, choice: Choice) -> Cell:
        """`cell` with `choice` on (in place of another level of the same trick), in the file's order."""
        kept = {c.trick: c for c in cell.on} | {choice.trick: choice}
        return Cell(tuple(kept[t.name] for t in self.tricks if t.name in kept), cell.of)

    def forbidden(self, cell: Cell) -> str | None:
        """Why `cell` may not be, in words; None where it may."""
        on = set(cell.tricks)
        for name in cell.tricks:
            trick = self.trick(name)
            for other in trick.requires:
                if other not in on:
                    return f"{name} requires {other}"
            for other in trick.conflicts:
                if other in on:
                    return f"{name} conflicts with {other}"
        return None


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


# ------------------------------------------------------------------------------------------------------------- names


def quoted(name: str) -> str:
    """A name as part of a joined name: quoted where it holds a character that joins or quotes names."""
    return "'" + name.replace("'", "''") + "'" if re.search(r"[-+='\s]", name) else name


def name_of(cell: Cell, space: Space, of: str = "") -> str:
    """The name of a cell (CONTRACT, "Names"): `base`, `full`, `base+a+b`, `full-a`, `full+optimizer=nesterov`.

    A name given by hand wins, then `base` and `full`. A change of the hand-listed variant A (`of`, or the cell's own
    changed base) is named from A: `A-batchnorm`. Otherwise whichever of base and full lists fewer tricks, base on a
    tie; a trick at another level than its first counts as listed. With fewer than two tricks there is no `full`: the
    row is `base+a`. Distinct cells get distinct names, except where a name given by hand is one of these
    (`plan.make_plan` refuses that).
    """
    if cell in space.given:
        return space.given[cell]
    from_base, from_full = _changes(cell, space.base, space), _changes(cell, space.full, space)
    has_full = len(space.tricks) > 1
    of = cell.of or (of if from_base and (from_full or not has_full) else "")
    if of:
        return quoted(of) + "".join(_changes(cell, space.named[of], space))
    if has_full and len(from_full) < len(from_base):
        return "full" + "".join(from_full)
    return "base" + "".join(from_base)


def _changes(cell: Cell, start: Cell, space: Space) -> list[str]:
    """What leads from `start` to `cell`, in the file's order: `-a` for a trick now off, `+b`, `+optimizer=adamw`."""
    on, before = set(cell.on), set(start.on)
    differing = {choice.trick: f"-{quoted(choice.trick)}" for choice in before - on}
    differing |= {choice.trick: f"+{_token(choice)}" for choice in on - before}
    if len(differing) < 2:
        return list(differing.values())
    return [differing[trick.name] for trick in space.tricks if trick.name in differing]


def _token(choice: Choice) -> str:
    return quoted(choice.trick) if choice.level is None else f"{quoted(choice.trick)}={quoted(choice.level)}"
