"""Which waiting run takes which free slot: by count, and by memory where the study asks for it.

`pack` is pure: no clock, no store, no device. Its rules:
* Free slots take waiting runs in order, each the first slot whose device has memory left for it.
* A run that ran out of memory, and one whose memory is still to be learned, gets an idle device to itself.
* The first run that fits nowhere has a device kept for it: nothing is started there until it fits. So whatever is small
  and comes later never keeps it waiting beyond the runs that were there before it.
* What another dispatcher executes counts with what its run takes where that is known, else with the whole device.

What runs take is learned as they end (`Sizes`); a run of another study is never known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field

from ablate.pool.executor import Slot
from ablate.records import Json, RunSpec

SHARE = 0.95
"""Of a device's memory, what runs may take: the driver, the screen and fragments have the rest."""
MARGIN = 1.1
"""A run is given a tenth more than its variant was seen to take, for seeds differ a little."""


@dataclass(frozen=True)
class Memory:
    """room: MiB that runs may take of each device. needs: MiB that a run takes, by key; one that is missing is not
    known yet."""

    room: Mapping[str, int]
    needs: Mapping[str, int]


@dataclass(frozen=True)
class Held:
    """A slot that is in use, and the run in it. others: another dispatcher's."""

    slot: Slot
    key: str
    others: bool = False


@dataclass
class _Place:
    """A device while slots are given out. closed: nothing is to be started on it."""

    room: int
    left: int
    runs: int = 0
    closed: bool = False
    others: bool = False

    def takes(self, need: int | None) -> bool:
        return not self.closed and (self.runs == 0 if need is None else need <= self.left)

    def hold(self, need: int | None) -> None:
        self.runs += 1
        if need is None:
            self.closed = True
        else:
            self.left -= need


def pack(
    waiting: Iterable[str],
    slots: Sequence[Slot],
    held: Sequence[Held] = (),
    alone: Set[str] = frozenset(),
    memory: Memory | None = None,
) -> list[tuple[str, Slot]]:
    """What to start where now. alone: keys that ran out of memory, waiting or at work; memory: None to go by count."""
    room = memory.room if memory is not None else {}
    places = {slot.device: _Place(room.get(slot.device, 0), room.get(slot.device, 0)) for slot in slots}
    most = max((place.room for place in places.values()), default=0)

    def need(key: str) -> int | None:
        """None: the whole of a device."""
        if key in alone:
            return None
        if memory is None:
            return 0
        known = memory.needs.get(key)
        return known if known is not None and known <= most else None

    for one in held:
        if one.slot.device in places:
            places[one.slot.device].hold(need(one.key))
            places[one.slot.device].others |= one.others
    taken = {one.slot for one in held}
    free = [slot for slot in slots if slot not in taken]
    placed: list[tuple[str, Slot]] = []
    kept = False
    for key in waiting:
        if all(places[slot.device].closed for slot in free):
            break
        wanted = need(key)
        slot = next((slot for slot in free if places[slot.device].takes(wanted)), None)
        if slot is not None:
            placed.append((key, slot))
            free.remove(slot)
            places[slot.device].hold(wanted)
        elif not kept:
            # Always the same one for the same run, whatever ends meanwhile: one that changed might never become free.
            # Where another dispatcher has runs, it may start more of them, so such a device is the last resort.
            large = [place for place in places.values() if wanted is None or wanted <= place.room]
            min(large, key=lambda place: place.others).closed = kept = True
    return placed


# ------------------------------------------------------------------------------------------------------------ learning


@dataclass
class Sizes:
    """What runs take, by variant: the most that any of its runs was seen to take, and at least what the study says.

    room: MiB of each device. asked_mib: what the study says of every run; None: it is to be learned.
    """

    room: Mapping[str, int]
    asked_mib: int | None = None
    _seen: dict[str, float] = field(default_factory=dict)
    _variants: dict[str, str] = field(default_factory=dict)

    def learn(self, spec: RunSpec, provenance: Mapping[str, Json]) -> bool:
        """Take in what a finished run was seen to take, on the kind of device that these runs are for; whether that was
        news."""
        peak = provenance.get("process_peak_mib" if "cpu" in self.room else "device_peak_mib")
        if isinstance(peak, (int, float)):
            variant = self._variant(spec)
            if peak > self._seen.get(variant, 0.0):
                self._seen[variant] = peak
                return True
        return False

    def memory(self, specs: Mapping[str, RunSpec]) -> Memory:
        """What `pack` is to know of these runs."""
        needs: dict[str, int] = {}
        for key, spec in specs.items():
            seen = self._seen.get(self._variant(spec))
            known = [self.asked_mib, None if seen is None else int(seen * MARGIN)]
            if any(size is not None for size in known):
                needs[key] = max(size for size in known if size is not None)
        return Memory({name: int(mib * SHARE) for name, mib in self.room.items()}, needs)

    def _variant(self, spec: RunSpec) -> str:
        """What the runs of a variant have in common: all but their seeds."""
        if spec.key not in self._variants:
            common = [spec.task, spec.config, [asdict(use) for use in spec.tricks]]
            self._variants[spec.key] = json.dumps(common, sort_keys=True)
        return self._variants[spec.key]
