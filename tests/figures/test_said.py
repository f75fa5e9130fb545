"""Figures of single examples: the images that most seeds get wrong, and which class is taken for which."""

import base64
from types import SimpleNamespace

import numpy as np
import pytest

from ablate.analysis.classes import Said
from ablate.errors import FigureError
from ablate.figures import said
from ablate.figures.figure import Source
from ablate.figures.kinds.confusion import ConfusionFigure
from ablate.records import Row
from ablate.training.examples import ExampleSet, of_classes, of_images

LABELS = np.array([0, 0, 1, 1])
SAID = {7: [0, 1, 1, 0], 8: [0, 1, 1, 1], 9: [1, 1, 1, 0]}


@pytest.fixture
def images(tmp_path):
    """Four images in a cache, and the set that they are."""
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1)
    (tmp_path / "entry").mkdir()
    np.save(tmp_path / "entry/dev_images.npy", pixels)
    return tmp_path, of_images(pixels, LABELS, ("cat", "dog"), tmp_path / "entry").whole()


def loaded(of: ExampleSet, said=SAID, private=False):
    runs = {seed: Said(of, of_classes("acc", np.array(told), LABELS, 2, 100.0)) for seed, told in said.items()}
    record = SimpleNamespace(variants=[SimpleNamespace(config={"data": {"name": "npz", "private": private}})])
    return SimpleNamespace(study="s", record=record, predictions=lambda: SimpleNamespace(of=lambda _: runs))


def test_the_image_that_most_seeds_get_wrong_comes_first_with_what_they_said(images):
    wrong, any_wrong, n, seeds = said.mistakes(loaded(images[1]), images[0], "full", 2)
    assert [("cat", "dog", 3), ("dog", "cat", 2)] == [(image.true, image.said, image.times) for image in wrong]
    assert (3, 4, 3) == (any_wrong, n, seeds)
    assert base64.b64decode(wrong[0].png).startswith(b"\x89PNG")


def test_no_image_of_private_data_is_shown(images):
    with pytest.raises(FigureError, match=r"`data\.private` is true"):
        said.mistakes(loaded(images[1], private=True), images[0], "full", 2)


def test_images_that_the_cache_lacks_are_not_looked_for_elsewhere(images, tmp_path):
    with pytest.raises(FigureError, match="the next run that reads the data keeps them there again"):
        said.mistakes(loaded(images[1]), tmp_path / "empty", "full", 2)


def test_a_difference_of_two_is_over_the_seeds_that_both_have(images):
    rows = tuple(
        Row(name, "d", (), None, 3, 3, 0, 0, None, None, None, None, None, None, None, None, None, "", None)
        for name in ("full", "base")
    )
    other = {8: [1, 1, 1, 1], 9: [1, 1, 1, 1], 10: [0, 0, 1, 1]}
    of = {"full": loaded(images[1]), "base": loaded(images[1], other)}
    source = Source(
        "s", "acc", "higher", (7, 8, 9, 10), rows, {}, confusion=lambda name: said.confusion(of[name], name)
    )
    info = ConfusionFigure("full", "base").info(source)
    assert ((8, 9), ((25.0, -25.0), (25.0, -25.0))) == (info.seeds, info.shares)
