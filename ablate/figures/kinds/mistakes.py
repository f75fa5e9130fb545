"""The images that the best variant gets wrong most often over its seeds, with what it said."""

from __future__ import annotations

from dataclasses import dataclass

from ablate.errors import FigureError
from ablate.figures.figure import Figure, Source, WrongImage
from ablate.figures.scene import Axis, Label, Mark, Panel, Picture, Scene
from ablate.registry import Count
from ablate.text import many

_ACROSS = 5
_LINE = 0.19
"""Of a picture's place, a line of 7 points on one column of a paper."""
_TALL = 1.5


@dataclass(frozen=True)
class Mistakes:
    """wrong: the images, the one that most seeds get wrong first. of: how many any seed got wrong, n: how many there
    are, seeds: how many runs looked at them."""

    study: str
    variant: str
    wrong: tuple[WrongImage, ...]
    of: int
    n: int
    seeds: int


@dataclass(frozen=True)
class MistakesFigure(Figure):
    """variant: None for the one that the table calls best. limit: images that are shown at most."""

    variant: str | None = None
    limit: Count = 20

    def info(self, source: Source) -> Mistakes:
        if self.variant is None and source.best is None:
            raise FigureError("no variant is best yet: none has a result for every planned seed.")
        variant = source.find(self.variant or source.best or "")
        wrong, of, n, seeds = source.mistakes(variant, self.limit)
        if not wrong:
            raise FigureError(f"no seed of {variant} gets any of the {n} images wrong.")
        return Mistakes(source.study, source.spoken(variant), wrong, of, n, seeds)

    def scene(self, info: Mistakes) -> Scene:
        rows = -(-len(info.wrong) // _ACROSS)
        marks: list[Mark] = []
        for place, image in enumerate(info.wrong):
            x, y = place % _ACROSS, _TALL * (rows - place // _ACROSS)
            marks.append(Picture(x + 0.08, y - 0.04, 0.84, 0.84, image.png))
            lines = (image.true, f"→ {image.said}", f"{image.times} of {info.seeds}")
            marks += [Label(x + 0.5, y - 1.0 - _LINE * i, text, "centre", 0.96) for i, text in enumerate(lines)]
        first, images = info.wrong[0], many(len(info.wrong), "image")
        return Scene(
            title=f"{info.study}: what {info.variant} gets wrong most often",
            caption=f"The {images} that most seeds of {info.variant} get wrong, of {info.of} that any gets wrong and "
            f"{info.n} in all: the true class, → what was said most often, and by how many of "
            f"{many(info.seeds, 'seed')} it was got wrong. Chosen for being wrong: they say nothing of how often.",
            alt=f"{images} with their true class and what was said; the first is a {first.true} that {first.times} of "
            f"{info.seeds} took for another, most often {first.said}.",
            panels=(
                Panel(
                    x=Axis("images, the one got wrong most often first", 0.0, float(_ACROSS)),
                    y=Axis("", 0.0, _TALL * rows),
                    marks=tuple(marks),
                    height=0.62 * _TALL * rows,
                    bare=True,
                ),
            ),
        )
