"""Which rows of a table are of the same stage of the network: parts whose paths begin alike. Pure.

Rows of parts stand in the order of the parts' calls (study/depth.py); between two stages a table leaves room.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

from ablate.records import Row


def stages(parts: Mapping[str, str]) -> dict[str, str]:
    """Of each trick that is a part the first name in which the paths of all differ, up to its first number: `layer1` of
    `layer1.0.bn1`, `stage2` of `stage2_block1.branch`. None where no two parts share one, or all do. parts: paths."""
    names = {trick: path.split(".") for trick, path in parts.items() if path}
    while names and len({path[0] for path in names.values()}) == 1 and min(map(len, names.values())) > 1:
        names = {trick: path[1:] for trick, path in names.items()}
    found = {trick: re.sub(r"(\d)_.*", r"\1", path[0]) for trick, path in names.items()}
    sizes = Counter(found.values())
    return found if len(sizes) > 1 and max(sizes.values()) > 1 else {}


def of_rows(rows: Sequence[Row], stage_of: Mapping[str, str]) -> list[str]:
    """The stage of each row, that of a control as of its part above it; empty for what is of no part. All empty where
    rows of a stage do not stand together: sorted by a column, they are mixed."""
    found: list[str] = []
    for row in rows:
        part = row.differs[0] if len(row.differs) == 1 else ""
        found.append(found[-1] if row.kind == "control" and found else stage_of.get(part, ""))
    runs = [stage for stage, _ in groupby(found) if stage]
    return found if len(runs) == len(set(runs)) else [""] * len(found)


def apart(above: str, below: str) -> bool:
    """Whether room is left between rows of two stages."""
    return above != below and bool(above and below)
