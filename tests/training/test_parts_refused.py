"""What of a part is refused, each with its message; the rule's own refusals stand in test_surgery.py."""

import itertools
import re
import threading
from types import SimpleNamespace

import networks
import pytest
import torch
from networks import Net
from torch import nn

from ablate import surgery
from ablate.errors import ConfigError
from ablate.records import WITHOUT, TrickUse
from ablate.registry import Registry
from ablate.surgery import SurgeryError
from ablate.testing.training import TINY
from ablate.training.surgery import Theatre
from ablate.training.tasks.classify import Classify

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def why(model, example, part, **options):
    with pytest.raises(SurgeryError) as refused:
        surgery.remove(model, part, example, **options)
    return str(refused.value)


@pytest.mark.parametrize(
    ("part", "key", "says"),
    [
        ({"prt": "stem"}, "", "a part has no 'prt'; it has part, kind, instead or heads. Did you mean 'part'?"),
        ({"part": "stem", "insted": "zero"}, "", "a part has no 'insted'; .* Did you mean 'instead'?"),
        ({"part": []}, "", r"part of a part is \[\]; it must be a path or a pattern, or several"),
        ({"part": "stem", "instead": 3}, "", "instead of a part is 3; it must be identity, zero, "),
        ({"part": "stem", "heads": 2}, "", r"heads of a part is 2; it must be a list such as \[0, 2\]"),
        ({"part": "stem", "instead": {"use": "bottelneck"}}, ".instead.use", "Did you mean 'bottleneck'?"),
        ({"part": "stem", "instead": {"use": "bottleneck", "with": 3}}, ".instead.with", "is 3; it must be a mapping"),
    ],
)
def test_what_is_written_of_a_part_beside_use_without_is_checked_as_a_studys_keys_are(part, key, says):
    with pytest.raises(ConfigError) as refused:
        Classify().complete(TINY, [TrickUse(WITHOUT, {"parts": [part]})], Registry())
    ((place, message),) = refused.value.problems
    assert f"tricks.0.parts.0{key}" == place
    assert re.search(says, message)


def test_a_parameter_may_be_zero_or_one_and_has_no_heads():
    vit, example = networks.ViT(), networks.images()
    assert "positions is a parameter: instead may be zero or one, not identity." in why(
        vit, example, "positions", instead="identity"
    )
    assert "positions is a parameter; heads are of an attention." in why(vit, example, "positions", heads=[0])
    assert "it is no constant that is added to or multiplied with something" in why(vit, example, "embed.weight")


def test_what_is_put_instead_must_find_its_input_and_fit():
    one = Net(lambda net, x: net.made() + x, made=Made())
    assert "made (Made) gets no tensor that relu could use." in why(one, X, "made", instead="relu")
    net = Net(lambda net, x: net.split(x).mean((1, 2))[:, None] + x, split=nn.Unflatten(1, (2, 2)))
    assert "no linear map of the channels leads from (3, 4) to (3, 2, 2)." in why(net, X, "split", instead="linear")
    assert "instead is {'input': 1}; it may be {input: N} with N from 0 to 0." in why(
        net, X, "first", instead={"input": 1}
    )
    ways = Net(lambda net, x: net.mix(x, other=net.mix(2, other=x)), mix=Mix())
    assert "mix (Mix): it is called in different ways: " in why(ways, X, "mix", instead="zero")


class Made(nn.Module):
    def forward(self):
        return torch.ones(4)


class Mix(nn.Module):
    def forward(self, x, other):
        return x * other


def test_a_network_that_does_not_run_without_a_part_or_gives_other_shapes_is_refused():
    net = Net(lambda net, x: net.wide(x) @ torch.ones(6, 4) + x, wide=nn.Linear(4, 6))
    said = why(net, X, "wide", instead="identity")
    assert "without wide the network does not run: RuntimeError: " in said
    pooled = Net(lambda net, x: net.pool(x), pool=nn.AvgPool1d(2))
    pooled.head = nn.ReLU()
    assert "without pool the network gives 2x4, 2x4 instead of 2x2, 2x2." in why(pooled, X, "pool", instead="identity")


def test_a_network_that_cannot_be_copied_or_tells_no_two_inputs_apart_is_refused():
    locked = Net(lambda net, x: x)
    locked.lock = threading.Lock()
    assert "a Net cannot be copied, and so not be tried: " in why(locked, X, "first")
    blind = Net(lambda net, x: net.first(x) * 0, act=nn.ReLU())
    assert "two inputs give one output as built, so no check would see what cuts the inputs off." in why(
        blind, X, "first"
    )


def test_a_network_whose_result_holds_no_tensor_that_can_be_seen_says_so():
    hidden = Net(lambda net, x: x)
    hidden.head = Hiding()
    assert "what the network returns holds no tensor; a tuple, a list or a dict" in why(hidden, X, "first")


class Hiding(nn.Module):
    def forward(self, x):
        return SimpleNamespace(logits=x)


def test_a_layer_that_has_two_names_goes_in_both_places_and_that_is_said():
    layer = nn.LeakyReLU()  # two ReLUs with -1 between give 0 for one draw of inputs in sixteen
    net = Net(lambda net, x: net.second(net.act(x) - 1), act=layer, second=layer)
    _, found = Theatre(net, X).cuts("act")
    assert found.notes == ("act is also second; it goes in all places.",)
    surgery.remove(net, "act", X)
    assert net.act is net.second


def test_a_control_that_whole_channels_do_not_come_near_is_refused():
    sizes = [4, 8, 8, 8, 2]
    layers = [nn.Linear(*two) for two in itertools.pairwise(sizes)]
    theatre = Theatre(nn.Sequential(*layers), X)
    with pytest.raises(SurgeryError, match="it holds 72 parameters, and the nearest that whole channels come to is 77"):
        theatre.control(theatre.cuts("1")[0], "parameters")
