"""Names beside their marks: each where it covers no mark and no other name. Pure; any unit, as long as it is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Side = Literal["left", "right", "above", "below"]
Box = tuple[float, float, float, float]

_AIR = 8.0
"""How far a name may reach out of the panel."""


def placed(
    points: Sequence[tuple[float, float]], names: Sequence[tuple[int, str]], room: tuple[float, float],
    letter: float, line: float,
) -> list[tuple[int, Side]]:  # fmt: skip
    """On which side of which point its name stands; of those for which there is none, nothing.

    points: every mark, from (0, 0) at the lower left to (1, 1). names: the point that each is of, those first that must
    not be lost. room: width and height of the panel; letter, line: of the text.
    """
    wide, high = room
    at = [(wide * x, high * y) for x, y in points]
    taken: list[Box] = [(x - 3, y - 3, x + 3, y + 3) for x, y in at]
    found: list[tuple[int, Side]] = []
    for i, name in names:
        for side, box in _sides(*at[i], letter * len(name), line):
            inside = box[0] >= -_AIR and box[2] <= wide + _AIR and box[1] >= -_AIR and box[3] <= high + _AIR
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                found.append((i, side))
                break
    return found


def _sides(x: float, y: float, wide: float, line: float) -> tuple[tuple[Side, Box], ...]:
    half = line / 2
    return (
        ("right", (x + 4, y - half, x + 6 + wide, y + half)), ("left", (x - 6 - wide, y - half, x - 4, y + half)),
        ("above", (x - wide / 2, y + 4, x + wide / 2, y + 5 + line)),
        ("below", (x - wide / 2, y - 5 - line, x + wide / 2, y - 4)),
    )  # fmt: skip


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
