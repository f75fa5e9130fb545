"""What the tricks that change a network make of it: the same parameters under the same names, and the paper's formula."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ablate.errors import ConfigError
from ablate.registry import Registry
from ablate.testing.training import TINY
from ablate.training import layers, trainer
from ablate.training.recipe import parse
from ablate.training.tricks.blurpool import with_blurpool
from ablate.training.tricks.dirac_init import with_dirac_init
from ablate.training.tricks.dropout import with_dropout
from ablate.training.tricks.ghost_batchnorm import with_ghost_batchnorm
from ablate.training.tricks.orthogonal_init import orthogonal
from ablate.training.tricks.rezero import with_rezero
from ablate.training.tricks.spatial_dropout import with_spatial_dropout
from ablate.training.tricks.squeeze_excitation import with_squeeze_excitation
from ablate.training.tricks.stochastic_depth import with_stochastic_depth
from ablate.training.tricks.weight_standardisation import with_standardised_weights


def net(name="vgg", **given):
    given = {"depth": 2 if name == "vgg" else 8, "width": 4} | given
    return Registry().make("models", name, given).build((3, 8, 8), 4)


def make(name, **given):
    return Registry().make("tricks", name, given)


def recipe(**changes):
    return parse({**TINY, **changes}, Registry())


IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("change", "model"),
    [
        (lambda m: with_dropout(m, 0.5), {}),
        (lambda m: with_spatial_dropout(m, 0.5), {}),
        (lambda m: with_stochastic_depth(m, 0.5), {"name": "resnet"}),
        (lambda m: with_ghost_batchnorm(m, 2), {"norm": "batch"}),
        (with_standardised_weights, {"norm": "batch"}),
        (with_blurpool, {}),
        (with_dirac_init, {}),
    ],
)
def test_surgery_renames_no_parameter(change, model):
    before = net(**model)
    names = {name: value.shape for name, value in before.state_dict().items()}
    assert {name: value.shape for name, value in change(before).state_dict().items()} == names


# --------------------------------------------------------------------------------------------------------------- dropout


def test_dropout_stands_before_the_last_linear_layer_and_a_copy_of_the_net_has_its_own():
    model = with_dropout(nn.Sequential(nn.Linear(1000, 1000), nn.Linear(1000, 1)), 0.25)
    nn.init.ones_(model[1].weight)
    seen = []
    model[1].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(torch.randn(8, 1000))
    assert float((seen[0] == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    other = copy.deepcopy(model).eval()
    other(torch.randn(8, 1000))
    assert model[1].dropout.training
    assert not bool((seen[1] == 0).any())


def test_spatial_dropout_drops_whole_channels_and_scales_the_rest():
    layer = layers.SpatialDropout(0.3)
    out = layer(torch.ones(200, 50, 3, 3))
    assert torch.equal(out, out[:, :, :1, :1].expand_as(out))
    assert sorted(set(out.flatten().tolist())) == pytest.approx([0, 1 / 0.7])
    assert float((out == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert layer.eval()(out) is out


def test_spatial_dropout_leaves_images_and_1x1_convolutions_alone():
    model = with_spatial_dropout(net("resnet", shortcut="projection"), 0.1)
    having = [name for name, module in model.named_modules() if hasattr(module, "spatial_dropout")]
    assert having
    assert not [name for name in having if "shortcut" in name or "stem" in name]


def test_a_dropout_switched_on_twice_says_so():
    for change in (with_dropout, with_spatial_dropout):
        with pytest.raises(ConfigError, match="use this trick once"):
            change(change(net(), 0.1), 0.1)


def test_stochastic_depth_grows_linearly_to_the_last_block():
    model = with_stochastic_depth(net("resnet"), 0.6)
    drops = [module.drop.p for module in model.modules() if isinstance(module, layers.Residual)]
    assert drops == pytest.approx([0.2, 0.4, 0.6])


def test_stochastic_depth_refuses_a_net_without_skip_connections():
    for model in ({"name": "vgg"}, {"name": "resnet", "skip": False}):
        with pytest.raises(ConfigError, match="needs a model with skip connections"):
            make("stochastic_depth").recipe(recipe(model=model))
    with pytest.raises(ConfigError, match=r"blocks of ablate.layers.Residual"):
        with_stochastic_depth(net(), 0.5)


# ----------------------------------------------------------------------------------------------------------------- norms


def test_ghost_batch_norm_is_batch_norm_of_each_part_and_its_statistics_take_one_after_the_other():
    usual, ghost = nn.BatchNorm2d(3), with_ghost_batchnorm(nn.Sequential(nn.BatchNorm2d(3)), 2)[0]
    expected = torch.cat([usual(part) for part in IMAGES.split(2)])
    torch.testing.assert_close(ghost(IMAGES), expected)
    torch.testing.assert_close(ghost.running_mean, usual.running_mean)
    torch.testing.assert_close(ghost.running_var, usual.running_var)
    torch.testing.assert_close(ghost.eval()(IMAGES), usual.eval()(IMAGES))


def test_a_rest_of_a_batch_joins_the_parts():
    ghost = layers.GhostBatchNorm(3)
    ghost.size = 4
    torch.testing.assert_close(ghost(IMAGES), nn.BatchNorm2d(3)(IMAGES))  # six images are one part of at least four
    ghost.size = 2
    torch.testing.assert_close(ghost(IMAGES[:5])[:3], nn.BatchNorm2d(3)(IMAGES[:3]))


def test_ghost_batch_norm_refuses_a_batch_that_has_no_two_parts_and_a_net_without_batch_norm():
    with pytest.raises(ConfigError, match="there are no two parts"):
        make("ghost_batchnorm", size=32).recipe(recipe(batch_size=32))
    with pytest.raises(ConfigError, match=r"needs batch norm; model.norm is group"):
        make("ghost_batchnorm").recipe(recipe(model={"name": "vgg", "norm": "group"}))


def test_standardised_filters_have_mean_0_and_standard_deviation_1():
    model = with_standardised_weights(nn.Sequential(nn.Conv2d(3, 5, 3)))
    weight = model[0].weight.detach()
    by_hand = torch.stack([(f - f.mean()) / f.std() for f in weight])
    torch.testing.assert_close(model(IMAGES), F.conv2d(IMAGES, by_hand, model[0].bias), atol=1e-3, rtol=1e-3)


def test_weight_standardisation_without_a_norm_is_refused():
    with pytest.raises(ConfigError, match="needs a norm after each convolution"):
        make("weight_standardisation").recipe(recipe(model={"name": "vgg", "norm": "none"}))


@pytest.mark.parametrize(("trick", "norm"), [("batchnorm", "batch"), ("groupnorm", "group")])
def test_a_norm_is_the_model_s_own_and_what_cannot_be_changed_is_refused(trick, norm):
    changed = make(trick).recipe(recipe(model={"name": "vgg", "norm": "none"}))
    assert changed.model.norm == norm
    with pytest.raises(ConfigError, match=f"changes nothing: model.norm is {norm} already"):
        make(trick).recipe(changed)
    with pytest.raises(ConfigError, match="needs a model with a parameter 'norm'; torchvision has net or small_images"):
        make(trick).recipe(recipe(model={"name": "torchvision"}))


# ----------------------------------------------------------------------------------------------- skips, attention, pools


def test_rezero_s_blocks_begin_as_their_shortcuts():
    model = with_rezero(net("resnet"), 0.0)
    block = next(module for module in model.modules() if isinstance(module, layers.Residual))
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(block(x), x.relu())
    assert block.branch.rezero.weight.requires_grad


def test_squeeze_excitation_ends_every_branch_as_the_model_s_own_does():
    ours, theirs = with_squeeze_excitation(net("resnet"), 8), net("resnet", squeeze_excite=True)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours.eval()(IMAGES), theirs.eval()(IMAGES))
    with pytest.raises(ConfigError, match="set squeeze_excite to false"):
        with_squeeze_excitation(theirs, 8)


def test_squeeze_excitation_follows_every_activation_of_a_plain_net():
    model = with_squeeze_excitation(net(), 8)
    blocks = [m for m in model.modules() if isinstance(m, nn.Sequential) and "conv" in dict(m.named_children())]
    assert [list(dict(block.named_children())) for block in blocks] == [["conv", "norm", "act", "squeeze_excite"]] * 2


def test_a_blurred_max_pool_is_the_maxima_under_a_binomial_filter():
    model = with_blurpool(nn.Sequential(nn.MaxPool2d(2)))
    maxima = F.max_pool2d(IMAGES, 2, stride=1)
    padded = F.pad(maxima, (1, 1, 1, 1), mode="replicate")
    kernel = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1])) / 16
    expected = F.conv2d(padded, kernel.expand(3, 1, 3, 3), groups=3, stride=2)
    torch.testing.assert_close(model(IMAGES), expected)


@pytest.mark.parametrize("change", [with_blurpool, with_dirac_init, with_standardised_weights])
def test_a_trick_that_finds_nothing_to_change_says_so(change):
    with pytest.raises(ConfigError, match=r"the model has none|there is none|this one has none"):
        change(nn.Sequential(nn.Linear(3, 3)))


# --------------------------------------------------------------------------------------------------------- first weights


@pytest.mark.parametrize("shape", [(8, 4, 3, 3), (40, 4, 3, 3), (6, 6), (3, 9)])
def test_orthogonal_weights_are_orthonormal_and_near_to_those_that_were_drawn(shape):
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    matrix = orthogonal(drawn).flatten(1)
    rows = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), atol=1e-5, rtol=0)
    assert float((matrix * drawn.flatten(1)).sum()) > 0


def test_the_first_filters_of_a_dirac_convolution_pass_their_inputs_on():
    model = with_dirac_init(nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False)))
    before = model[0].weight.detach()[3:].clone()
    out = with_dirac_init(model)(IMAGES)
    torch.testing.assert_close(out[:, :3], IMAGES)
    assert torch.equal(model[0].weight[3:], before)


def test_an_initialisation_changes_first_weights_and_draws_nothing():
    plain, ours = (
        trainer.prepare(recipe(), tricks, recipe().data.arrays(), 0, "cpu").model.state_dict()
        for tricks in ([], [("orthogonal_init", make("orthogonal_init"))])
    )
    torch.testing.assert_close(ours["linear.weight"], orthogonal(plain["linear.weight"]) * 2**0.5)
    assert torch.equal(ours["linear.bias"], plain["linear.bias"])


def test_progressive_resizing_refuses_a_net_that_takes_one_size_only():
    training = {"model": {"name": "vgg", "width": 4}}
    with pytest.raises(ConfigError, match="starts at 4x4 pixels, which the net does not take"):
        trainer.prepare(recipe(**training), [("it", make("progressive_resizing"))], recipe().data.arrays(), 0, "cpu")


def test_views_may_not_be_shifted_out_of_the_image():
    with pytest.raises(ConfigError, match="shifts by 8, as much as the image has pixels"):
        trick = make("test_time_augmentation", shift=8)
        trainer.prepare(recipe(), [("it", trick)], recipe().data.arrays(), 0, "cpu")
