"""What the tricks' pure functions compute, against the plainest way to say it."""

import pytest
import torch
from torch.nn import functional as F

from ablate import trainer
from ablate.recipe import parse
from ablate.registry import Registry
from ablate.testing import TINY
from ablate.trick import Facts, Step
from ablate.tricks.crop_flip import CropFlip, crop, flip
from ablate.tricks.cutout import Cutout, cutout
from ablate.tricks.label_smoothing import smooth
from ablate.tricks.mixup import Mixup, mixup

IMAGES = torch.randn(5, 3, 6, 8, generator=torch.Generator().manual_seed(0))
BLACK = torch.tensor([-1.0, -2.0, -3.0]).view(1, 3, 1, 1)


def step(number=0, image=(3, 8, 8), classes=4):
    facts = Facts(image, classes, steps=10, epochs=1, black=BLACK, device=torch.device("cpu"))
    return Step(number, facts, seed=0, trick="it")


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_crop_is_padding_with_the_fill_and_a_slice_of_every_image(padding, layout):
    top = torch.randint(0, 2 * padding + 1, (5,))
    left = torch.randint(0, 2 * padding + 1, (5,))
    padded = F.pad(IMAGES - BLACK, (padding,) * 4) + BLACK
    expected = torch.stack([padded[i, :, t : t + 6, x : x + 8] for i, (t, x) in enumerate(zip(top, left, strict=True))])
    ours = crop(IMAGES.contiguous(memory_format=layout), padding, top, left, BLACK)
    assert torch.allclose(ours, expected, atol=1e-6)
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_flip_mirrors_those_that_are_marked():
    ours = flip(IMAGES, torch.tensor([True, False, False, True, False]))
    assert torch.equal(ours[0], IMAGES[0].flip(-1))
    assert torch.equal(ours[1], IMAGES[1])


def test_half_of_the_images_are_mirrored_and_every_window_is_used():
    ramp = torch.arange(8.0).expand(4000, 3, 8, 8).clone()
    mirrored, _ = CropFlip(padding=0).batch(ramp, torch.ones(4000, 1), step())
    assert 0.47 < float((mirrored[:, 0, 0, 0] == 7).float().mean()) < 0.53
    moved, _ = CropFlip(padding=1, flip=False).batch(ramp, torch.ones(4000, 1), step())
    assert set(moved[:, 0, 4, 4].tolist()) == {3.0, 4.0, 5.0}


def test_padding_that_is_not_given_is_an_eighth_of_the_image():
    ramp = torch.arange(32.0).expand(2000, 3, 32, 32).clone()
    moved, _ = CropFlip(flip=False).batch(ramp, torch.ones(2000, 1), step())
    assert set(moved[:, 0, 16, 16].tolist()) == set(range(12, 21))


def test_cutout_clears_a_square_around_its_centre_as_far_as_it_lies_inside():
    ours = cutout(torch.ones(2, 1, 6, 6), 4, row=torch.tensor([3, 0]), column=torch.tensor([3, 5]))
    inside, corner = torch.ones(6, 6), torch.ones(6, 6)
    inside[1:5, 1:5] = 0
    corner[0:2, 3:6] = 0
    assert torch.equal(ours[0, 0], inside)
    assert torch.equal(ours[1, 0], corner)


def test_cutout_takes_half_of_the_side_where_no_length_is_given():
    ours, _ = Cutout().batch(torch.ones(500, 3, 8, 8), torch.ones(500, 1), step())
    assert int((ours[:, 0] == 0).sum((1, 2)).max()) == 16


def test_smoothing_gives_the_loss_of_torch_s_label_smoothing():
    logits, labels = torch.randn(6, 4), torch.arange(6) % 4
    ours = F.cross_entropy(logits, smooth(F.one_hot(labels, 4).float(), 0.1))
    assert float(ours) == pytest.approx(float(F.cross_entropy(logits, labels, label_smoothing=0.1)), rel=1e-6)


def test_mixup_mixes_images_and_targets_alike():
    targets, others = torch.eye(5), torch.tensor([1, 2, 3, 4, 0])
    images, mixed = mixup(IMAGES, targets, 0.25, others)
    assert torch.allclose(images[0], 0.25 * IMAGES[0] + 0.75 * IMAGES[1])
    assert torch.equal(mixed[0], torch.tensor([0.25, 0.75, 0, 0, 0]))


def test_mixup_s_weights_follow_the_beta_distribution():
    one_hot = torch.eye(2)
    weights = []
    for number in range(2000):
        _, targets = Mixup(alpha=1.0).batch(torch.zeros(2, 1, 1, 1), one_hot, step(number))
        weights.append(float(targets[0, 0]))
    swapped = torch.tensor([w for w in weights if w != 1])  # half of the permutations of two leave them in place
    assert float(swapped.mean()) == pytest.approx(0.5, abs=0.03)  # Beta(1, 1) is uniform
    assert float(swapped.std()) == pytest.approx(12**-0.5, abs=0.02)


def test_black_is_what_a_black_pixel_becomes():
    recipe = parse(TINY, Registry())
    training = trainer.prepare(recipe, [], recipe.data.arrays(), 0, "cpu")
    black = trainer._normalised(training, torch.zeros(1, 8, 8, 3, dtype=torch.uint8))
    assert torch.equal(black, training.facts.black.expand(1, 3, 8, 8))
