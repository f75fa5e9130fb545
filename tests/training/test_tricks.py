"""What the tricks that change images, targets and predictions compute, against the plainest way to say it."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.nn import functional as F
from torchvision.transforms import v2

from ablate.registry import Registry
from ablate.testing.training import TINY
from ablate.training import trainer
from ablate.training.recipe import parse
from ablate.training.trick import Facts, Step
from ablate.training.tricks.alternating_flip import AlternatingFlip
from ablate.training.tricks.color_jitter import ColorJitter, jitter
from ablate.training.tricks.crop_flip import CropFlip, crop, flip
from ablate.training.tricks.cutmix import CutMix, cutmix, rectangle
from ablate.training.tricks.cutout import Cutout, cutout
from ablate.training.tricks.label_smoothing import smooth
from ablate.training.tricks.mixup import Mixup, mixup
from ablate.training.tricks.progressive_resizing import resize, size_at
from ablate.training.tricks.random_erasing import RandomErasing, rectangles
from ablate.training.tricks.test_time_augmentation import averaged
from ablate.training.tricks.trivial_augment import CHANGES, TrivialAugment

IMAGES = torch.randn(5, 3, 6, 8, generator=torch.Generator().manual_seed(0))
BLACK = torch.tensor([-1.0, -2.0, -3.0]).view(1, 3, 1, 1)
WHITE = torch.tensor([1.0, 2.0, 2.0]).view(1, 3, 1, 1)


def step(number=0, image=(3, 8, 8), classes=4, index=None, epochs=1):
    cpu = torch.device("cpu")
    facts = Facts(image, classes, steps=10, epochs=epochs, black=BLACK, white=WHITE, train_size=1000, device=cpu)
    return Step(number, facts, seed=0, trick="it", index=index)


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


def test_white_is_what_a_white_pixel_becomes():
    recipe = parse(TINY, Registry())
    training = trainer.prepare(recipe, [], recipe.data.arrays(), 0, "cpu")
    white = trainer._normalised(training, torch.full((1, 8, 8, 3), 255, dtype=torch.uint8))
    torch.testing.assert_close(white, training.facts.white.expand(1, 3, 8, 8))


# ------------------------------------------------------------------------------------------- cutmix and random erasing


def test_cutmix_puts_the_box_of_another_image_and_weighs_targets_by_its_area():
    images, targets = cutmix(IMAGES, torch.eye(5), (1, 4, 2, 8), torch.tensor([1, 2, 3, 4, 0]))
    assert torch.equal(images[0, :, 1:4, 2:8], IMAGES[1, :, 1:4, 2:8])
    assert int((images[0] != IMAGES[0]).sum()) == 3 * 3 * 6
    torch.testing.assert_close(targets[0], torch.tensor([1 - 18 / 48, 18 / 48, 0, 0, 0]))


def test_cutmix_s_box_has_the_share_that_is_not_kept_and_is_cut_at_the_border():
    assert rectangle(0.75, 8, 8, row=4, column=4) == (2, 6, 2, 6)  # a quarter of 64 pixels
    assert rectangle(0.75, 8, 8, row=0, column=7) == (0, 2, 5, 8)
    assert rectangle(1.0, 8, 8, row=3, column=3) == (3, 3, 3, 3)


def test_cutmix_leaves_as_many_batches_alone_as_it_is_told_to():
    one_hot = torch.eye(5).repeat(4, 1)
    images = torch.arange(20.0).view(20, 1, 1, 1).expand(20, 3, 8, 8)
    changed = [
        not torch.equal(CutMix(probability=0.3).batch(images, one_hot, step(number))[0], images)
        for number in range(400)
    ]
    assert 0.2 < sum(changed) / 400 < 0.35  # some boxes have no pixel


def test_an_erased_rectangle_has_its_area_and_shape_and_lies_inside():
    one = torch.tensor([1.0])
    chosen = rectangles(IMAGES[:1], one > 0, area=one / 4, aspect=one * 4 / 3, top=one * 0, left=one * 0.999)
    expected = torch.zeros(6, 8, dtype=torch.bool)
    expected[:4, -3:] = True  # 12 of 48 pixels, 4 high and 3 wide
    assert torch.equal(chosen[0, 0], expected)


def test_random_erasing_erases_as_often_and_as_much_as_it_says():
    images = torch.full((4000, 3, 32, 32), 9.0)
    erased, _ = RandomErasing(fill="mean").batch(images, torch.ones(4000, 1), step())
    share = (erased[:, 0] == 0).float().mean((1, 2))
    hit = share[share > 0]
    assert len(hit) / 4000 == pytest.approx(0.5, abs=0.03)
    assert 0.01 < float(hit.min()) < 0.03
    assert 0.37 < float(hit.max()) < 0.43
    assert float(hit.mean()) == pytest.approx(0.21, abs=0.01)


def test_noise_is_drawn_for_every_erased_pixel():
    images = torch.full((2000, 3, 8, 8), 99.0)
    erased, _ = RandomErasing(probability=1.0).batch(images, torch.ones(2000, 1), step())
    noise = erased[erased != 99]
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float(noise.std()) == pytest.approx(1, abs=0.01)


# -------------------------------------------------------------------------------------------------------------- colours

LIGHT = torch.randint(0, 256, (4, 3, 20, 20), generator=torch.Generator().manual_seed(1)) / 255
FACTORS = [0.5, 1.0, 1.4, 1.9]


@pytest.mark.parametrize("which", ["brightness", "contrast", "saturation"])
def test_jitter_is_torchvision_s_adjustment_with_a_factor_for_every_image(which):
    theirs = getattr(v2.functional, f"adjust_{which}")
    expected = torch.stack([theirs(image, factor) for image, factor in zip(LIGHT, FACTORS, strict=True)])
    given = {name: torch.ones(4) for name in ("brightness", "contrast", "saturation")} | {which: torch.tensor(FACTORS)}
    torch.testing.assert_close(jitter(LIGHT, **given), expected, atol=1e-3, rtol=0)


def test_jittered_images_stay_between_black_and_white():
    images = (LIGHT * (WHITE - BLACK) + BLACK).repeat(50, 1, 1, 1)
    ours, _ = ColorJitter(brightness=1.0, contrast=1.0, saturation=1.0).batch(images, torch.ones(200, 1), step())
    assert bool((ours >= BLACK - 1e-5).all())
    assert bool((ours <= WHITE + 1e-5).all())
    assert not torch.allclose(ours, images, atol=0.1)


def changed(name, strength, sign=1.0, images=LIGHT):
    count = len(images)
    return CHANGES[name](images, torch.full((count,), strength), torch.full((count,), sign))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("name", "theirs"), [("brightness", "brightness"), ("contrast", "contrast"), ("saturation", "saturation"), ("sharpness", "sharpness")]
)  # fmt: skip
def test_a_change_of_colour_is_that_of_torchvision(name, theirs, sign):
    expected = getattr(v2.functional, f"adjust_{theirs}")(LIGHT, 1 + sign * 0.5 * 0.99)
    torch.testing.assert_close(changed(name, 0.5, sign), expected, atol=1e-3, rtol=0)


def bytes_of(images):
    return (images * 255).round().to(torch.uint8)


@pytest.mark.parametrize("bin_", [0, 7, 15, 30])
def test_posterize_and_solarize_are_torchvision_s_in_trivial_augment(bin_):
    bits = int(8 - (torch.arange(31) / (30 / 6)).round().int()[bin_])
    assert torch.equal(bytes_of(changed("posterize", bin_ / 30)), v2.functional.posterize(bytes_of(LIGHT), bits))
    threshold = float(torch.linspace(255, 0, 31)[bin_])
    assert torch.equal(bytes_of(changed("solarize", bin_ / 30)), v2.functional.solarize(bytes_of(LIGHT), threshold))


def test_autocontrast_and_equalize_are_pillow_s():
    dim = (LIGHT * 0.5 + 0.2).mul(255).round() / 255
    dim[0, 1] = 0.4  # a constant channel
    for name in ("autocontrast", "equalize"):
        ours = bytes_of(changed(name, 0.5, images=dim))
        for image, got in zip(bytes_of(dim), ours, strict=True):
            expected = getattr(ImageOps, name)(Image.fromarray(image.permute(1, 2, 0).numpy()))
            assert int(np.abs(np.asarray(expected).astype(int) - got.permute(1, 2, 0).numpy()).max()) <= (
                1 if name == "autocontrast" else 0  # Pillow cuts off what we round
            )


def pillow_affine(images, matrix):
    moved = [
        np.asarray(Image.fromarray(i.permute(1, 2, 0).numpy()).transform((20, 20), Image.Transform.AFFINE, matrix))
        for i in bytes_of(images)
    ]
    return torch.from_numpy(np.stack(moved)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_shears_and_translations_are_those_of_the_authors_code_in_pillow(sign):
    strength = 0.34
    shear, shift = sign * strength * 0.99, sign * strength * 20
    expected = {
        "shear_x": (1, shear, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, shear, 1, 0),
        "translate_x": (1, 0, shift, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, shift),
    }
    for name, matrix in expected.items():
        same = (bytes_of(changed(name, strength, sign)) == pillow_affine(LIGHT, matrix)).float().mean()
        assert float(same) > 0.99, name  # a pixel half-way between two may go either way


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rotation_is_that_of_pillow(sign):
    angle = sign * 0.3 * 135
    for image, got in zip(bytes_of(LIGHT), bytes_of(changed("rotate", 0.3, sign)), strict=True):
        expected = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).rotate(angle))
        assert float((torch.from_numpy(expected.copy()).permute(2, 0, 1) == got).float().mean()) > 0.97


def test_the_identity_keeps_every_bit_and_as_many_images_more_are_left_alone_as_is_asked_for():
    images = ((LIGHT[:1] / 2 + 0.2) * (WHITE - BLACK) + BLACK).expand(2800, -1, -1, -1)
    ours, _ = TrivialAugment().batch(images, torch.ones(2800, 1), step(image=(3, 20, 20)))
    untouched = (ours == images).flatten(1).all(1).float().mean()
    # A fourteenth; of the others' 31 strengths the first changes nothing, and solarize's first third not this image.
    assert float(untouched) == pytest.approx(1 / 14 + 9 / 14 / 31 + 0.3 / 14, abs=0.02)
    kept, _ = TrivialAugment(probability=0.5).batch(images, torch.ones(2800, 1), step(image=(3, 20, 20)))
    assert float((kept == images).flatten(1).all(1).float().mean()) == pytest.approx(
        0.5 + float(untouched) / 2, abs=0.03
    )


def test_changed_images_stay_between_black_and_white():
    images = (LIGHT * (WHITE - BLACK) + BLACK).repeat(100, 1, 1, 1)
    ours, _ = TrivialAugment().batch(images, torch.ones(400, 1), step())
    assert bool((ours >= BLACK - 1e-4).all())
    assert bool((ours <= WHITE + 1e-4).all())


# --------------------------------------------------------------------------------------------------- flips, sizes, views


def test_an_image_is_mirrored_in_every_second_epoch_wherever_its_batch_places_it():
    ramp = torch.arange(8.0).expand(1000, 3, 8, 8)
    mirrored = {}
    for number in (0, 5):
        index = torch.randperm(1000, generator=torch.Generator().manual_seed(number))
        ours, _ = AlternatingFlip().batch(ramp, torch.ones(1000, 1), step(number, index=index, epochs=2))
        mirrored[number] = torch.zeros(1000).index_copy(0, index, (ours[:, 0, 0, 0] == 7).float())
    assert torch.equal(mirrored[0], 1 - mirrored[5])
    assert 0.45 < float(mirrored[0].mean()) < 0.55


def test_sizes_grow_from_the_first_to_the_full_one_in_steps_of_four():
    assert [size_at(n / 8, 0.5, 0.75, 32) for n in range(9)] == [16, 20, 20, 24, 28, 28, 32, 32, 32]
    assert [size_at(n / 4, 0.5, 0.5, 8) for n in range(4)] == [4, 8, 8, 8]
    assert size_at(0.0, 0.1, 1.0, 28) == 4
    assert size_at(0.0, 1.0, 0.5, 30) == 30  # full where there is nothing to grow, multiple of 4 or not


def test_a_resized_image_is_smooth_and_one_of_full_size_is_itself():
    torch.testing.assert_close(resize(torch.full((2, 3, 8, 8), 0.7), 4, 4), torch.full((2, 3, 4, 4), 0.7))
    assert resize(IMAGES, 6, 8) is IMAGES
    theirs = v2.functional.resize(LIGHT, [10, 10], antialias=True)
    torch.testing.assert_close(resize(LIGHT, 10, 10), theirs)


def test_views_weigh_half_a_quarter_and_a_quarter_each_half_mirrored():
    def predict(images):
        return images[:, :, 2, 3].double()

    by_hand = torch.zeros(5, 3, dtype=torch.float64)
    padded = F.pad(IMAGES, (1, 1, 1, 1), mode="reflect")
    for weight, view in ((0.5, IMAGES), (0.25, padded[:, :, 2:, 2:]), (0.25, padded[:, :, :-2, :-2])):
        by_hand += weight * (predict(view) + predict(view.flip(-1))) / 2
    torch.testing.assert_close(averaged(predict, IMAGES, mirror=True, shift=1), by_hand, atol=1e-6, rtol=0)
    assert torch.equal(averaged(predict, IMAGES, mirror=False, shift=0), predict(IMAGES))
