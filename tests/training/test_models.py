"""The nets of the shelf and the layers that they share: what the conformance suite does not know about each of them."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from ablate.errors import ConfigError
from ablate.registry import Registry
from ablate.testing.training import trained
from ablate.training import layers
from ablate.training.models.torchvision import nets

IMAGE = (3, 32, 32)


def network(name, image=IMAGE, classes=10, **params):
    return Registry().make("models", name, params, at="model").build(image, classes)


def parameters(net):
    """Without the convolutions' biases, which papers leave out before a norm."""
    biases = sum(m.bias.numel() for m in net.modules() if isinstance(m, nn.Conv2d) and m.bias is not None)
    return sum(p.numel() for p in net.parameters()) - biases


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------------------------------- the nets


@pytest.mark.parametrize(
    ("millions", "name", "params"),
    [
        ("0.27", "resnet", {"depth": 20}),  # He et al. 2016, table 6
        ("0.46", "resnet", {"depth": 32}),
        ("0.66", "resnet", {"depth": 44}),
        ("0.85", "resnet", {"depth": 56}),
        ("0.6", "wide_resnet", {"depth": 40, "widen": 1}),  # Zagoruyko & Komodakis 2016, table 4
        ("2.2", "wide_resnet", {"depth": 40, "widen": 2}),
        ("6.6", "resnet9", {"width": 64}),  # Page 2018
    ],
)
def test_a_net_has_as_many_parameters_as_in_its_paper(millions, name, params):
    digits = len(millions.partition(".")[2])
    assert millions == f"{parameters(network(name, **params)) / 1e6:.{digits}f}"


def test_resnet_18_with_projections_computes_what_torchvisions_does():
    theirs = network("torchvision", net="resnet18").eval()
    ours = network("resnet", depth=18, width=64, shortcut="projection").eval()
    for module in ours.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.bias)
    values = [v for name, v in ours.state_dict().items() if not name.endswith("conv.bias")]
    for mine, value in zip(values, theirs.state_dict().values(), strict=True):
        mine.copy_(value)
    images = noise(2, *IMAGE)
    torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize("name", ["resnet", "resnet9", "wide_resnet", "convnext", "mobilenet"])
def test_without_skip_connections_a_net_computes_something_else_with_the_same_weights(name):
    on, off = network(name, skip=True), network(name, skip=False)
    off.load_state_dict({key: value for key, value in on.state_dict().items() if "shortcut" not in key})
    images = noise(2, *IMAGE)
    assert not torch.allclose(on.eval()(images), off.eval()(images))


def test_a_resnet_without_skip_connections_has_every_parameter_that_it_has_with_them():
    assert list(network("resnet").state_dict()) == list(network("resnet", skip=False).state_dict())


@pytest.mark.parametrize("name", ["resnet", "convnext"])
def test_stochastic_depth_without_skip_connections_is_refused(name):
    with pytest.raises(ConfigError, match="needs skip connections"):
        network(name, skip=False, stochastic_depth=0.2)


@pytest.mark.parametrize("name", ["resnet", "convnext"])
def test_stochastic_depth_grows_from_block_to_block(name):
    depth = {"depth": 14} if name == "resnet" else {"depths": [1, 2, 1]}
    net = network(name, stochastic_depth=0.5, **depth)
    probabilities = [m.p for m in net.modules() if isinstance(m, layers.StochasticDepth)]
    assert probabilities == sorted(probabilities)
    assert probabilities[-1] == 0.5
    assert probabilities[0] == 0.5 / len(probabilities)


@pytest.mark.parametrize(
    ("name", "params", "key"),
    [("resnet9", {}, "model.name"), ("convnext", {"depths": [1, 1, 1, 1], "patch": 4}, "model.depths")],
)
def test_images_that_are_too_small_are_refused_with_their_size(name, params, key):
    with pytest.raises(ConfigError, match="4x4") as refusal:
        network(name, image=(3, 4, 4), **params)
    assert [key] == [at for at, _ in refusal.value.problems]


@pytest.mark.parametrize("name", ["resnet", "resnet9", "wide_resnet", "convnext", "mobilenet"])
def test_a_net_learns_to_read_digits(name):
    """Chance is 10 %; mobilenet reads 59 to 74 % by seed and processor, the others above 90 %."""
    small = {"resnet": {"depth": 8}, "resnet9": {"width": 8}, "convnext": {"width": 16}}.get(name, {"width": 8})
    base = {"model": {"name": name, **small}, "epochs": 4, "batch_size": 32}
    adam = {"name": "adamw", "lr": 0.005}
    data = {"name": "digits", "train_size": 400, "dev_size": 200}
    assert trained(base | {"optimizer": adam, "data": data}).values["dev_accuracy"] > 40


# ---------------------------------------------------------------------------------------------------------- torchvision


@pytest.mark.parametrize(
    "net", ["resnet18", "shufflenet_v2_x0_5", "mobilenet_v3_small", "squeezenet1_1", "densenet121"]
)
def test_a_net_of_torchvision_takes_small_gray_images(net):
    assert (2, 7) == network("torchvision", (1, 8, 8), 7, net=net)(noise(2, 1, 8, 8)).shape


def test_the_stem_of_a_torchvision_net_keeps_a_small_image_whole_and_halves_a_large_one():
    def after_stem(size, **params):
        net = network("torchvision", (3, size, size), **params)
        return tuple(net.maxpool(net.conv1(noise(1, 3, size, size))).shape[2:])

    assert after_stem(32) == (32, 32)
    assert after_stem(64) == (16, 16)
    assert after_stem(32, small_images=False) == (8, 8)


def test_dropout_and_stochastic_depth_of_torchvision_become_ablates():
    kinds = {type(module) for module in network("torchvision", net="efficientnet_b0").modules()}
    assert {layers.Dropout, layers.StochasticDepth} <= kinds
    assert not {kind for kind in kinds if kind.__name__ in ("Dropout", "StochasticDepth")} - {
        layers.Dropout,
        layers.StochasticDepth,
    }


def test_the_nets_that_a_plan_knows_are_those_that_torchvision_lists():
    assert torchvision.models.list_models(module=torchvision.models) == nets()


@pytest.mark.parametrize(
    ("net", "image", "said"),
    [
        ("resnet81", IMAGE, "Did you mean 'resnet18'"),
        ("fcn_resnet50", IMAGE, "torchvision has no net of that name"),
        ("vgg11", (3, 8, 8), "does not take 8x8 images"),
    ],
)
def test_a_net_that_torchvision_does_not_have_or_that_does_not_fit_is_refused(net, image, said):
    with pytest.raises(ConfigError, match=said):
        network("torchvision", image, net=net)


# ---------------------------------------------------------------------------------------------------------- the layers


def test_a_residual_adds_its_branch_to_its_input_and_without_skip_returns_the_branch_alone():
    x, double = noise(2, 3, 4, 4), layers.Scale(2.0)
    assert torch.equal(3 * x, layers.Residual(double)(x))
    assert torch.equal(2 * x, layers.Residual(double, skip=False)(x))
    assert torch.equal((3 * x).relu(), layers.Residual(double, after=nn.ReLU())(x))


def test_stochastic_depth_drops_whole_images_and_scales_the_others_in_training_only():
    layer = layers.StochasticDepth(0.75)
    layer.stream = lambda device: torch.Generator(device).manual_seed(0)
    seen = layer(torch.ones(400, 2, 3, 3))
    assert {0.0, 4.0} == set(seen.unique().tolist())
    assert torch.equal(seen, seen[:, :1, :1, :1].expand_as(seen))
    assert 1.0 == pytest.approx(float(seen.mean()), abs=0.35)
    assert torch.equal(torch.ones(4, 2, 3, 3), layer.eval()(torch.ones(4, 2, 3, 3)))


def test_a_dropout_mask_does_not_depend_on_how_the_images_lie_in_memory():
    layer = layers.Dropout(0.5)
    layer.stream = lambda device: torch.Generator(device).manual_seed(0)
    x = torch.ones(4, 3, 5, 5)
    assert torch.equal(layer(x), layer(x.contiguous(memory_format=torch.channels_last)))


def test_a_pad_shortcut_subsamples_and_appends_channels_of_zeros():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert [[[[0, 2], [8, 10]], [[0, 0], [0, 0]]]] == layers.PadShortcut(1, 2, 2)(x).tolist()


@pytest.mark.parametrize("size", [2, 7, 8])
def test_blur_pool_is_a_binomial_filter_of_stride_2(size):
    x = noise(2, 1, size, size)
    weights = torch.tensor([1.0, 2.0, 1.0])
    kernel = (weights[:, None] * weights / 16).view(1, 1, 3, 3)
    expected = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2)
    torch.testing.assert_close(layers.BlurPool()(x), expected)


@pytest.mark.parametrize("kind", ["max", "average", "blur"])
@pytest.mark.parametrize("size", [2, 7, 8])
def test_halving_halves_and_rounds_down(kind, size):
    x = torch.full((1, 2, size, size), 3.0)
    assert torch.equal(torch.full((1, 2, size // 2, size // 2), 3.0), layers.halving(kind)(x))


def test_pixel_norm_normalises_the_channels_of_every_pixel():
    normed = layers.norm("pixel", 64)(5 + 3 * noise(2, 64, 3, 3))
    torch.testing.assert_close(normed.mean(1), torch.zeros(2, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.var(1, correction=0), torch.ones(2, 3, 3), atol=1e-3, rtol=0)


def test_squeeze_excite_scales_each_channel_of_an_image_by_one_number_below_1():
    x = noise(2, 8, 4, 4)
    scale = layers.SqueezeExcite(8)(x) / x
    torch.testing.assert_close(scale, scale[:, :, :1, :1].expand_as(scale))
    assert 0 < scale.min()
    assert scale.max() < 1


def test_global_pooling_is_the_mean_or_the_maximum_over_all_pixels():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    assert [[3.0]] == layers.GlobalPool("average")(x).tolist()
    assert [[6.0]] == layers.GlobalPool("max")(x).tolist()
