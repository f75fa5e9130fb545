"""A scene as the bytes of a file: HTML to hover over, or PDF, SVG and PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ablate.figures.scene import Scene

KINDS: Mapping[str, str] = {kind: f".{kind}" for kind in ("html", "pdf", "svg", "png")}
"""Each format and its file's ending."""


@dataclass(frozen=True)
class Drawing:
    """lacking: characters that no font has; unjoined: those that are drawn one by one and should not be."""

    content: bytes
    lacking: frozenset[str] = frozenset()
    unjoined: frozenset[str] = frozenset()


def drawn(scene: Scene, kind: str, columns: int = 1, fonts: Sequence[Path] = ()) -> Drawing:
    """One of KINDS. columns: as wide as one column of a paper, or as both; fonts: files of further fonts, for paper.
    What draws is loaded only now."""
    if kind == "html":
        from ablate.figures import screen

        return Drawing(screen.page(scene).encode("utf-8"))
    from ablate.figures import glyphs, paper

    with glyphs.fonts(fonts) as chosen:
        content = paper.draw(scene, cast("paper.Kind", kind), columns)
    return Drawing(content, frozenset(chosen.lacking), frozenset(chosen.unjoined))
