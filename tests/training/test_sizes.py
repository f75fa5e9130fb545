"""How large parts are, and what goes with them: FLOPs counted by hand, and networks with and without."""

import copy

import networks
import pytest
import torch
import torchvision
from torch import nn

from ablate.registry import Registry
from ablate.training.cuts import operate
from ablate.training.sizes import sizes, taken
from ablate.training.surgery import Theatre
from ablate.training.trace import trace


def by_hand(model, example):
    """Two FLOPs for every multiplication of a convolution or linear layer, from the shapes that hooks see."""
    count = []

    def seen(layer, given, made):
        if isinstance(layer, nn.Conv2d):
            count.append(2 * made.numel() * layer.weight[0].numel())
        elif isinstance(layer, nn.Linear):
            count.append(2 * made.numel() * layer.in_features)

    for layer in model.modules():
        layer.register_forward_hook(seen)
    model(example)
    return sum(count)


@pytest.mark.parametrize("name", ["vgg", "resnet", "resnet9", "wide_resnet", "convnext", "mobilenet"])
def test_flops_of_a_network_of_the_shelf_are_those_of_its_layers(name):
    model, example = Registry().make("models", name, {"width": 4}).build((3, 16, 16), 5), networks.images(2, 16)
    whole = next(sizes(trace(model, example)))
    assert whole.flops == by_hand(model, example)
    assert whole.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_attention_is_counted_as_plain_products():
    model, example = networks.Attending(networks.FusedAttention()), networks.tokens(n=4, length=6)
    products = 2 * (2 * 4 * 4 * 6 * 6 * 4)  # queries with keys, and weights with values: 4 heads of 4, 6 tokens
    assert next(sizes(trace(model, example))).flops == by_hand(copy.deepcopy(model), example) + products


@pytest.mark.slow
def test_a_vision_transformer_has_as_many_flops_as_it_should():
    model = torchvision.models.vit_b_16(weights=None, image_size=64, num_classes=10)
    assert next(sizes(trace(model, torch.randn(2, 3, 64, 64)))).flops == 5_834_643_456


@pytest.mark.parametrize(
    ("make", "part", "instead", "dead"),
    [
        (networks.Inception, "dense1", None, 0),
        (networks.Inception, "after", "linear", 0),
        (networks.ViT, "blocks.0.mlp.2", "zero", 16 * 32 + 32 + 2 * 16),
        (networks.ViT, "blocks.0.mlp", None, 2 * 16),
        (networks.ViT, "positions", None, 0),
    ],
)
def test_what_goes_with_a_part_is_what_the_network_without_it_lacks(make, part, instead, dead):
    model = make()
    theatre = Theatre(model, networks.images())
    cuts, _ = theatre.cuts(part, instead=instead)
    before, after, goes = next(sizes(theatre.trace)), next(sizes(theatre.after(cuts))), taken(theatre.trace, cuts)
    without = copy.deepcopy(model)
    operate(without, cuts, 0)
    assert goes.flops == before.flops - after.flops
    assert goes.parameters - goes.dead == before.parameters - sum(p.numel() for p in without.parameters())
    assert dead == goes.dead


def test_heads_take_their_columns_of_the_output_projection():
    model = networks.Attending(networks.FusedAttention())
    theatre = Theatre(model, networks.tokens())
    assert taken(theatre.trace, theatre.cuts("attention", heads=[0, 2])[0]).parameters == 16 * 8
