"""The contract of a design: the rule that chooses variants. Pure functions of the study's tricks; files in `designs/`.

A design says which cells to train and which cell each row is compared with. It never sees a configuration, a seed or a
metric. A cell that `requires` or `conflicts` forbid is left out and named, never replaced by another one.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

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
        return next(trick for trick in self.tricks if trick.name == name)

    @property
    def base(self) -> Cell:
        return Cell()

    @property
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
    """One row: a cell and the cell it is compared with (None for the reference).

    `of` names the hand-listed variant that the cell is a change of; the row is then called `A-batchnorm`.
    """

    cell: Cell
    compared_with: Cell | None
    of: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A cell of the design that `requires` or `conflicts` forbid."""

    cell: Cell
    why: str


@dataclass(frozen=True)
class Chosen:
    """What a design chose. `notes` go into the plan (for example the alias list of a fraction)."""

    rows: tuple[DesignRow, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


class Design(Plugin):
    """A design. Its fields are its options (`designs: {name: fractional, resolution: 4}`)."""

    @abstractmethod
    def choose(self, space: Space) -> Chosen:
        """The rows of this design, reference first. Pure. Raises DesignError where it cannot be made."""


# ------------------------------------------------------------------------------------------------------------- names


def quoted(name: str) -> str:
    """A trick's name as part of a joined name: quoted where it holds a character that joins names."""
    return "'" + name.replace("'", "''") + "'" if re.search(r"[-+='\s]", name) else name


def _token(choice: Choice) -> str:
    return quoted(choice.trick) if choice.level is None else f"{quoted(choice.trick)}={quoted(choice.level)}"


def name_of(cell: Cell, space: Space, of: str = "") -> str:
    """The name of a cell (CONTRACT, "Names"): `base`, `full`, `base+a+b`, `full-a`, `full+optimizer=nesterov`.

    A name given by hand wins. A change of the hand-listed variant A (`of`) is named from A: `A-batchnorm`. Otherwise
    whichever of base and full lists fewer tricks, base on a tie; a trick at another level than its first counts as
    listed. With fewer than two tricks there is no `full`: the row is `base+a`.
    """
    for name, named in space.named.items():
        if named == cell:
            return name
    if of or cell.of:
        return _from(cell, of or cell.of, space.named[of or cell.of], space)
    from_base = _from(cell, "base", space.base, space)
    if len(space.tricks) < 2:
        return from_base
    return min(from_base, _from(cell, "full", space.full, space), key=lambda name: _listed(cell, name, space))


def _from(cell: Cell, name: str, start: Cell, space: Space) -> str:
    parts = [name]
    for trick in space.tricks:
        now, before = cell.level(trick.name), start.level(trick.name)
        if now == before:
            continue
        parts.append(f"-{quoted(trick.name)}" if now is False else f"+{_token(Choice(trick.name, now))}")
    return "".join(parts)


def _listed(cell: Cell, name: str, space: Space) -> tuple[int, bool]:
    """How many tricks a name lists; base wins a tie."""
    start = space.full if name.startswith("full") else space.base
    listed = sum(cell.level(trick.name) != start.level(trick.name) for trick in space.tricks)
    return listed, name.startswith("full")
