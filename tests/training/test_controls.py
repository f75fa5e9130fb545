"""Controls of parts: widths read from the trace, as much taken from them as a part holds, what stays, what is refused."""

import copy

import networks
import pytest
import torch
from torch import nn

from ablate.errors import ConfigError
from ablate.records import WITHOUT, TrickUse
from ablate.registry import Registry
from ablate.surgery import SurgeryError
from ablate.testing.training import trained
from ablate.training.cuts import operate
from ablate.training.narrow import SMALLEST, narrow
from ablate.training.rule import decide
from ablate.training.sizes import sizes, taken
from ablate.training.surgery import Theatre
from ablate.training.tasks.classify import Classify
from ablate.training.trace import trace
from ablate.training.widths import widths

NETS = {
    "vgg": {}, "resnet": {"depth": 20}, "resnet9": {}, "wide_resnet": {"depth": 16}, "convnext": {"depths": [2, 2, 2]},
    "mobilenet": {"norm": "batch"},
}  # fmt: skip


def of_shelf(name, size=32, **params):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Registry().make("models", name, params).build((3, size, size), 10)


def theatre_of(name, size=32, **params):
    return Theatre(of_shelf(name, size, **params), networks.images(2, size))


def found(theatre):
    return {width.name: (width.units, width.channels) for width in theatre.widths}


def test_what_changes_together_is_a_width_and_images_and_classes_are_none():
    assert found(theatre_of("vgg", 8, width=4)) == {"stage1_block1.conv": (4, 1), "stage1_block2.conv": (4, 1)}
    ties = {width.name: width.tied for width in widths(theatre_of("vgg", 8, width=4).trace)}["stage1_block2.conv"]
    assert {key: indices.shape for key, indices in ties.items()} == {
        ("stage1_block2.conv.weight", 0): (4, 1),
        ("stage1_block2.conv.bias", 0): (4, 1),
        ("linear.weight", 1): (4, 16),  # of 4x4 pixels that are flattened behind their channel
    }
    padded = found(theatre_of("resnet", 16, depth=8, width=4))
    assert padded == {
        "stem.conv": (4, 1), "stage1_block1.branch.first.conv": (4, 1), "stage2_block1.branch.first.conv": (8, 1),
        "stage3_block1.branch.first.conv": (16, 1),
    }  # fmt: skip


def test_a_group_norm_gives_whole_groups_and_a_norm_over_all_channels_none():
    assert found(theatre_of("vgg", 8, width=16, norm="group")) == {
        "stage1_block1.conv": (8, 2),
        "stage1_block2.conv": (8, 2),
    }
    assert found(theatre_of("vgg", 8, width=16, norm="layer")) == {}


@pytest.mark.parametrize("norm", ["batch", "group", "pixel"])
def test_who_is_left_keeps_bits_names_and_order_and_the_network_trains(norm):
    model, example = of_shelf("mobilenet", 16, norm=norm, squeeze_excite=True), networks.images(2, 16)
    before = copy.deepcopy(model).state_dict()
    every = widths(trace(model, example))
    narrow(model, every, {width.name: width.units // 2 for width in every})
    after = model.state_dict()
    assert list(after) == list(before)
    assert sum(value.numel() for value in after.values()) < 0.5 * sum(value.numel() for value in before.values())
    for name, value in after.items():
        kept = before[name][tuple(slice(size) for size in value.shape)]
        assert value.numel() < 1 or torch.equal(value, kept), name
    model.train()(example).sum().backward()
    assert model.eval()(example).shape == (2, 10)


def errors(name, measure, size=32, **params):
    """How far each control is from its amount, as a share of it; and the parts that are refused one."""
    theatre, far, refused = theatre_of(name, size, **params), {}, {}
    for path in theatre.kinds:
        if not theatre.kinds[path] or decide(theatre.trace, path).off is None:
            continue
        cuts, _ = theatre.cuts(path)
        goes = taken(theatre.trace, cuts)
        holds, of = (goes.parameters, goes.of_parameters) if measure == "parameters" else (goes.flops, goes.of_flops)
        try:
            theatre.check(cuts)
            control = theatre.control(cuts, measure)
        except SurgeryError as error:
            if holds >= SMALLEST * of:
                refused[path] = str(error)
            continue
        network = copy.deepcopy(theatre.model)
        narrow(network, theatre.widths, control.kept)
        before, after = (next(sizes(one)) for one in (theatre.trace, trace(network, theatre.example)))
        assert getattr(before, measure) - getattr(after, measure) == control.goes
        far[path] = abs(control.goes - holds) / holds
    return far, refused


@pytest.mark.parametrize(
    ("name", "measure", "params"), [("wide_resnet", "parameters", {"width": 4}), ("vgg", "flops", {"width": 8})]
)
def test_a_control_lacks_what_the_part_holds_as_counted_on_the_network_made_smaller(name, measure, params):
    far, _ = errors(name, measure, 16, **params)
    assert far
    assert max(far.values()) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["parameters", "flops"])
def test_of_six_networks_95_percent_of_the_controls_are_within_2_percent_and_all_within_5(measure):
    far = [error for name, params in NETS.items() for error in errors(name, measure, **params)[0].values()]
    assert sum(error <= 0.02 for error in far) >= 0.95 * len(far)
    assert max(far) <= 0.05


def why(theatre, part, measure="parameters"):
    with pytest.raises(SurgeryError) as refused:
        theatre.control(theatre.cuts(part)[0], measure)
    return str(refused.value)


def test_a_part_that_holds_more_than_the_others_can_give_and_a_tiny_one_are_refused_with_what_can_be_had():
    theatre = theatre_of("vgg", 32)
    assert "it holds 36,928 parameters, and 4 widths of other parts can give 34,4" in why(theatre, "stage3_block2")
    assert "it holds 0 % of the FLOPs" in why(theatre, "stage1_block1.act", "flops")
    resnet = theatre_of("resnet", 16, depth=8, width=8)
    assert "below 0.5 % the network as it is would do as control" in why(resnet, "stage1_block1.branch.first.norm")


def test_another_part_of_the_same_class_role_and_size_is_drawn_by_the_seed_or_there_is_none():
    theatre = theatre_of("resnet", 16, depth=20, width=4)
    cuts, _ = theatre.cuts("stage2_block2")
    drawn = {theatre.another(cuts, seed).decision.path for seed in range(4)}
    assert drawn == {"stage2_block3"}
    first, _ = theatre.cuts("stage1_block1")
    assert {theatre.another(first, seed).decision.path for seed in range(8)} == {"stage1_block2", "stage1_block3"}
    alone = theatre_of("vgg", 8, width=16)
    with pytest.raises(SurgeryError, match="no other Conv2d has its role, 2,320 parameters and as many FLOPs"):
        alone.another(alone.cuts("stage1_block2.conv")[0], 0)


def test_what_its_code_holds_to_a_size_is_no_width_that_a_control_takes_from():
    theatre = Theatre(networks.ViT(depth=3), networks.images())
    control = theatre.control(theatre.cuts("blocks.0.mlp")[0], "parameters")
    assert set(control.kept) == {"blocks.1.mlp.0", "blocks.2.mlp.0"}


def test_a_part_that_goes_and_a_control_go_together():
    theatre = theatre_of("resnet", 16, depth=14, width=8)
    rest = theatre.without(theatre.cuts("stage1_block2")[0])
    control = rest.control(rest.cuts("stage2_block2")[0], "parameters")
    assert "stage1_block2.branch.first.conv" not in control.kept
    network = copy.deepcopy(theatre.model)
    operate(network, theatre.cuts("stage1_block2")[0], 0)
    narrow(network, widths(trace(network, theatre.example)), control.kept)
    assert network(theatre.example).shape == (2, 10)


class Twice(nn.Module):
    """Two parts alike, each with two inputs of its output's shape."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Bilinear(4, 4, 4), nn.Bilinear(4, 4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.second(self.first(x.cos(), x), x))


def test_another_part_gives_the_same_input_where_the_study_says_which():
    theatre = Theatre(Twice(), torch.randn(2, 4))
    other = theatre.another(theatre.cuts("first", instead={"input": 1})[0], 0)
    assert (other.decision.path, other.off, other.decision.input) == ("second", "identity", 1)


def test_a_part_and_another_part_alike_go_from_trained_weights_and_the_others_are_loaded(tmp_path):
    base = {
        "model": {"name": "resnet", "depth": 8, "width": 4},
        "data": {"name": "digits", "train_size": 60},
        "epochs": 1,
    }
    torch.save(of_shelf("resnet", 8, depth=8, width=4).state_dict(), tmp_path / "w.pt")
    asked = {"part": "stage1_block1.branch.first.act"}
    another = {**asked, "control": "another", "seed": 0}
    for part, gone in (
        (asked, ""),
        ({**asked, "part": "stage1_block1.branch"}, "stage1_block1.branch.first.conv"),
        (another, ""),
    ):
        config = {**base, "init": {"weights": str(tmp_path / "w.pt"), "head": "new"}}
        start = trained(config, [TrickUse(WITHOUT, {"parts": [part]})]).outputs["start"]
        assert ("not used: stage1_block1.branch" in start) is bool(gone), start
        assert "not in the file" not in start


@pytest.mark.parametrize("control", ["parameters", "flops"])
def test_smaller_widths_are_refused_where_the_training_starts_from_weights_of_the_full_ones(tmp_path, control):
    (tmp_path / "w.pt").write_bytes(b"weights")
    config = {"model": {"name": "resnet", "depth": 8}, "init": {"weights": str(tmp_path / "w.pt")}}
    asked = {"parts": [{"part": "stage1_block1.branch", "control": control}]}
    with pytest.raises(ConfigError, match=r"weights of `init:` would not fit there"):
        Classify().complete(config, [TrickUse(WITHOUT, asked)], Registry())
