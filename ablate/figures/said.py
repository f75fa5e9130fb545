"""What the figures of single examples are made from: which class was taken for which, and the images got wrong.

The images come from the arrays that runs keep in the cache, found by the fingerprint of the examples: no data set is
read and no code of the user's imported.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablate.analysis.classes import Predictions, Said
from ablate.analysis.results import Results
from ablate.errors import FigureError
from ablate.figures.figure import Confusion, WrongImage
from ablate.figures.pixels import Pixels, png
from ablate.training.examples import ExampleSet


def confusion(loaded: Results, variant: str) -> Confusion:
    """FigureError where no run of the variant told its classes, or not all of the same examples."""
    examples, said = _said(loaded, variant)
    n = np.bincount(np.asarray(examples.labels), minlength=len(examples.classes))
    counts = {seed: of.confusion() for seed, of in said.items()}
    return Confusion(examples.fingerprint, examples.classes, tuple(n.tolist()), counts)


def mistakes(loaded: Results, cache: Path, variant: str, limit: int) -> tuple[tuple[WrongImage, ...], int, int, int]:
    """What `Source.mistakes` promises; ties in the set's order."""
    if any((made.config.get("data") or {}).get("private") for made in loaded.record.variants):
        raise FigureError("`data.private` is true: no figure shows an image of it. `--figure confusion` shows none.")
    examples, said = _said(loaded, variant)
    labels, predicted = np.asarray(examples.labels), np.stack([of.predicted for of in said.values()])
    times = (predicted != labels).sum(axis=0)
    chosen = [int(i) for i in np.argsort(-times, kind="stable")[:limit] if times[i]]
    images = _images(cache, examples)
    wrong = []
    for i in chosen:
        most = int(np.bincount(predicted[:, i][predicted[:, i] != labels[i]]).argmax())
        names = examples.classes[labels[i]], examples.classes[most]
        wrong.append(WrongImage(png(images[i]), *names, int(times[i])))
    return tuple(wrong), int((times > 0).sum()), len(labels), len(said)


def _said(loaded: Results, variant: str) -> tuple[ExampleSet, dict[int, Said]]:
    known: Predictions | None = loaded.predictions()
    said = {} if known is None else known.of(variant)
    sets = {of.of.fingerprint: of.of for of in said.values()}
    if len(sets) != 1:
        raise FigureError(
            f"the runs of {variant} were measured on different examples."
            if sets
            else f"no run of {variant} told which class it gives each example; `ablate examples {loaded.study}` finds "
            "it out from the weights of `classify`."
        )
    return next(iter(sets.values())), dict(sorted(said.items()))


def _images(cache: Path, examples: ExampleSet) -> Pixels:
    """The images of a set, (examples, height, width, channels), mapped from the cache."""
    for file in sorted(cache.glob("*/dev_examples")):
        with file.open("rb") as kept:
            if kept.readline().decode().strip() == examples.fingerprint:
                images: Pixels = np.load(file.with_name("dev_images.npy"), mmap_mode="r")
                return images
    raise FigureError(f"the images are no longer in {cache}; the next run that reads the data keeps them there again.")
