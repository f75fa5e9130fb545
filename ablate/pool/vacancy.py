"""Which slots are free, kept up to date, so that a step of the loop costs what happened and not the number of slots.

For places where any run may go into any free slot. Where devices are shared by memory, scheduler.pack says which.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from ablate.pool.executor import Slot


class Vacancy:
    """The free ones of `slots`, in their order. taken: those that are not free now. shared: whether two slots have one
    device."""

    def __init__(self, slots: Sequence[Slot], taken: Iterable[Slot] = ()) -> None:
        self.slots = slots
        self._place = {slot: place for place, slot in enumerate(slots)}
        held = set(taken)
        self._free = [place for place, slot in enumerate(slots) if slot not in held]
        self.shared = len({slot.device for slot in slots}) < len(slots)

    def take(self, slot: Slot) -> None:
        place = self._place.get(slot)
        if place is not None and self._is_free(place):
            del self._free[bisect_left(self._free, place)]

    def give(self, slot: Slot) -> None:
        place = self._place.get(slot)
        if place is not None and not self._is_free(place):
            insort(self._free, place)

    def first(self, count: int) -> list[Slot]:
        """The first free ones, so many at most."""
        return [self.slots[place] for place in self._free[:count]]

    def _is_free(self, place: int) -> bool:
        at = bisect_left(self._free, place)
        return at < len(self._free) and self._free[at] == place
