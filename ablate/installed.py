"""Which installed packages bring plug-ins: those with an entry point of the group `ablate.plugins`.

An entry point names a package that is laid out as shelves: `shine = ablate_shine.shelves`, with `tricks/mine.py` in it.
Nothing is imported to find it: what is installed says so in a file beside it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

GROUP = "ablate.plugins"


@dataclass(frozen=True)
class Package:
    """module: the package with the shelves; folder: where it lies; distribution: its name and version, for people."""

    module: str
    folder: Path
    distribution: str


@cache
def packages() -> tuple[Package, ...]:
    """Looked up once in a process: what is installed meanwhile is found by the next one."""
    found: dict[str, Package] = {}
    for distribution in metadata.distributions():
        # Asked of the text first: parsing the entry points of all that is installed takes five times as long.
        if f"[{GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
            continue
        for point in distribution.entry_points:
            folder = _folder(point.value) if point.group == GROUP else None
            if folder is not None:
                named = f"{distribution.metadata['Name']} {distribution.version}"
                found.setdefault(point.value, Package(point.value, folder, named))
    return tuple(sorted(found.values(), key=lambda package: package.distribution))


def _folder(module: str) -> Path | None:
    """The folder of a package; only a finder of top-level names is asked, which imports nothing."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    places = () if spec is None else spec.submodule_search_locations or ()
    return next((at for place in places if (at := Path(place).joinpath(*rest)).is_dir()), None)
