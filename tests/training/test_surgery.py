"""Parts taken away: the rule, the stand-ins against an independent reference by hooks, refusals, what stays untouched."""

import copy
import random

import networks
import pytest
import torch
import torchvision
from torch import nn

from ablate import surgery
from ablate.registry import Registry
from ablate.rng import seed_for
from ablate.surgery import SurgeryError
from ablate.training import removal, trainer
from ablate.training.cuts import operate
from ablate.training.parts import find
from ablate.training.rule import decide
from ablate.training.surgery import Theatre
from ablate.training.trace import trace

SHELF = {
    "vgg": {"width": 4}, "resnet": {"depth": 8, "width": 4}, "resnet9": {"width": 4}, "wide_resnet": {"depth": 10, "width": 1},
    "convnext": {"width": 4}, "mobilenet": {"width": 4, "squeeze_excite": True},
}  # fmt: skip
WHOLE = {
    "vgg": {}, "resnet": {"depth": 20}, "resnet9": {}, "wide_resnet": {"depth": 16}, "convnext": {"depths": [2, 2, 2]},
    "mobilenet": {"norm": "batch"},
}  # fmt: skip
"""The shelf in ordinary sizes, as those of the benchmark (tests/benchmarks/parts.py)."""

TORCHVISION = ("resnet18", "efficientnet_b0", "convnext_tiny", "vit_b_16", "swin_t", "densenet121")
NARROW = {
    "vit_b_16": lambda: torchvision.models.VisionTransformer(64, 16, 12, 12, hidden_dim=48, mlp_dim=192),
    "swin_t": lambda: torchvision.models.SwinTransformer(
        [4, 4], 24, [2, 2, 6, 2], [3, 6, 12, 24], [7, 7], stochastic_depth_prob=0.2
    ),
    "densenet121": lambda: torchvision.models.DenseNet(8, (6, 12, 24, 16), 16),
}
"""Those that take minutes, with a sixteenth or a quarter of their channels; all of a network's parts are there."""


def of_shelf(name, size=16, whole=False, **params):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        of = WHOLE if whole else SHELF
        return Registry().make("models", name, {**of[name], **params}).build((3, size, size), 5)


def of_torchvision(name, random=False, narrow=False):
    """Without random numbers in training: a part that is gone draws none, so torch's generator would go another way.
    random: as it is built."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if narrow and name in NARROW:
            model = NARROW[name]()
        else:
            model = getattr(torchvision.models, name)(
                weights=None, **({"image_size": 64} if name == "vit_b_16" else {})
            )
    for module in model.modules():
        if hasattr(module, "p") and not random:
            module.p = 0.0
    return model, networks.images(2, 64)


def offs(model, example, *paths):
    followed = trace(model, example)
    return {path: decide(followed, path).off for path in paths}


def why(model, example, part, **options):
    with pytest.raises(SurgeryError) as refused:
        surgery.remove(model, part, example, **options)
    return str(refused.value)


# ---------------------------------------------------------------------------------------------------------------- rule


def test_blocks_norms_activations_and_dropout_go_by_identity_and_branches_and_shortcuts_by_zero():
    model = of_shelf("resnet", depth=14, squeeze_excite=True, stochastic_depth=0.5, dropout=0.5, shortcut="projection")
    block = "stage1_block2"
    assert offs(
        model, networks.images(size=16), block, "stem.norm", "stem.act", "dropout", f"{block}.branch",
        f"{block}.shortcut", f"{block}.drop", f"{block}.branch.squeeze_excite", f"{block}.branch.second",
        f"{block}.after", "stage2_block1.branch", "stage2_block1.shortcut", "stage2_block1",
    ) == {
        block: "identity", "stem.norm": "identity", "stem.act": "identity", "dropout": "identity",
        f"{block}.branch": "zero", f"{block}.shortcut": "zero", f"{block}.drop": "identity",
        f"{block}.branch.squeeze_excite": "identity", f"{block}.branch.second": "identity", f"{block}.after": "identity",
        "stage2_block1.branch": "zero", "stage2_block1.shortcut": "zero", "stage2_block1": None,
    }  # fmt: skip


def test_a_block_that_changes_shape_is_refused_and_names_its_own_branch():
    said = why(of_shelf("resnet"), networks.images(size=16), "stage2_block1")
    assert "it makes 4x8x8x8 of 4x4x16x16. `instead: linear` would fit." in said
    assert "Its own stage2_block1.branch can be taken away." in said


def test_attention_and_mlp_are_zero_and_what_scales_or_norms_them_is_not():
    vit, example = networks.ViT(), networks.images()
    assert offs(vit, example, "blocks.0", "blocks.0.attn", "blocks.0.mlp", "blocks.0.norm1", "blocks.0.scale1") == {
        "blocks.0": "identity", "blocks.0.attn": "zero", "blocks.0.mlp": "zero", "blocks.0.norm1": "identity",
        "blocks.0.scale1": "one",
    }  # fmt: skip
    assert offs(vit, example, "positions", "norm.bias", "norm.weight") == {
        "positions": "zero", "norm.bias": "zero", "norm.weight": "one",
    }  # fmt: skip
    for model in (networks.Encoder(), networks.Encoder(norm_first=True)):
        layer = "encoder.layers.0"
        assert offs(model, networks.tokens(), layer, f"{layer}.self_attn", f"{layer}.norm2") == {
            layer: "identity", f"{layer}.self_attn": "zero", f"{layer}.norm2": "identity",
        }  # fmt: skip
    block = "stage1_block1"
    convnext = of_shelf("convnext")
    assert offs(convnext, networks.images(size=16), block, f"{block}.branch", f"{block}.branch.scale") == {
        block: "identity", f"{block}.branch": "zero", f"{block}.branch.scale": "identity",
    }  # fmt: skip


def test_a_factor_is_one_and_positions_a_query_and_a_norm_after_a_branch_are_what_their_use_says():
    layer = "layers.0"
    paths = [f"{layer}.{name}" for name in ("mlp.up", "mlp.act", "attention", "attention.q", "after", "mlp", "norm1")]
    expected = ["one", "identity", "zero", "identity", "identity", "zero", "identity"]
    assert list(offs(networks.Decoder(), networks.tokens(), *paths).values()) == expected
    paths = ["positions", "q", "out", "norm1", "act"]
    assert list(offs(networks.PostNorm(), networks.tokens(), *paths).values()) == ["zero", *["identity"] * 4]
    windowed = networks.Attending(networks.WindowedAttention())
    assert offs(windowed, networks.tokens(), "attention", "attention.bias_table") == {
        "attention": "zero", "attention.bias_table": "zero",
    }  # fmt: skip


def test_a_member_of_a_concatenation_is_zero_also_where_several_take_it():
    paths = ["one", "three", "three.0", "dense1", "dense2", "squeeze", "shared"]
    expected = ["zero", "zero", "zero", "zero", "zero", "one", "identity"]
    assert list(offs(networks.Inception(), networks.images(), *paths).values()) == expected


def test_a_member_of_a_stack_and_a_summand_inside_of_a_product_are_zero():
    x = torch.randn(3, 4)
    both = networks.Net(
        lambda net, x: torch.stack([net.one(x), net.two(x)]).mean(0), one=nn.Linear(4, 4), two=nn.Tanh()
    )
    assert offs(both, x, "one", "two") == {"one": "zero", "two": "zero"}
    added = networks.Net(lambda net, x: torch.addmm(net.bias(x), x, x.t() @ x), bias=nn.Linear(4, 4))
    assert offs(added, x, "bias") == {"bias": "zero"}
    assert every_default_agrees(both, x) == every_default_agrees(added, x) == []


class Masking(nn.Module):
    """Writes into what it is given and returns it."""

    def forward(self, x):
        x[:, 0] = 0
        return x


def test_a_part_that_writes_into_its_input_or_acts_in_evaluation_alone_does_something():
    x, masked = torch.randn(3, 4), networks.Net(lambda net, x: net.mask(x * 1), mask=Masking())
    assert offs(masked, x, "mask") == {"mask": "identity"}
    assert every_default_agrees(masked, x) == []
    cooled = networks.Net(lambda net, x: net.cool(x), cool=Cooled())
    surgery.remove(cooled, "cool", x)
    assert torch.equal(cooled.eval()(x), cooled.train()(x))


class Cooled(nn.Module):
    def forward(self, x):
        return x if self.training else x / 2


def test_one_value_that_comes_in_twice_by_two_names_is_one_input():
    x = torch.randn(3, 4)
    net = networks.Net(lambda net, x: net.mix(x, net.same(x)), mix=nn.Bilinear(4, 4, 4), same=nn.Identity())
    assert offs(net, x, "mix") == {"mix": "identity"}


# ----------------------------------------------------------------------------------------------------------- reference


def replaced(model, path, off, way=0):
    """The same by hooks: a pre-hook that clones what the part gets, a hook that replaces what it made."""
    model = copy.deepcopy(model)
    given = []

    def before(module, args, kwargs):
        given.append(next(a for a in (*args, *kwargs.values()) if torch.is_tensor(a) and a.is_floating_point()))
        clone = lambda a: a.clone() if torch.is_tensor(a) else a  # noqa: E731
        return tuple(map(clone, args)), {name: clone(value) for name, value in kwargs.items()}

    def after(module, args, kwargs, out):
        first = out[0] if isinstance(out, tuple) else out
        x = given.pop() if given else None
        new = x.clone() if off == "identity" else torch.full_like(first, float(off == "one"))
        return (new, *out[1:]) if isinstance(out, tuple) else new

    part = model.get_submodule(path)
    part.register_forward_pre_hook(before, with_kwargs=True) if off == "identity" else None
    part.register_forward_hook(after, with_kwargs=True)
    return model


def stepped(model, example):
    """Output in training, gradients by name, then the output under inference_mode in evaluation."""
    out = model.train()(example)
    out.square().mean().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    with torch.inference_mode():
        return out.detach(), gradients, model.eval()(example)


def agrees(model, example, theatre, path):
    """Taking a module away by its default makes a training step and an evaluation like the reference's."""
    cuts, _ = theatre.cuts(path)
    without = copy.deepcopy(model)
    operate(without, cuts, 0)
    ours, theirs = stepped(without, example), stepped(replaced(model, path, cuts[0].off), example)
    assert torch.equal(ours[0], theirs[0]), f"{path} in training"
    assert torch.equal(ours[2], theirs[2]), f"{path} in evaluation"
    mine = {name: g for name, g in ours[1].items() if not name.startswith(f"{path}.")}
    other = {name: g for name, g in theirs[1].items() if not name.startswith(f"{path}.") and name in mine}
    assert mine.keys() == other.keys()
    for name in mine:  # a copy of an input changes the order in which gradients are summed
        torch.testing.assert_close(mine[name], other[name], rtol=1e-3, atol=1e-6)


def every_default_agrees(model, example):
    """The parts whose default would cut the inputs off; the defaults of all others are held to the reference."""
    theatre = Theatre(model, example)
    decided = {path: decide(theatre.trace, path) for path, _ in model.named_modules() if path}
    assert all(decision.off or decision.reason for decision in decided.values())
    able = [path for path, decision in decided.items() if decision.off]
    return [path for path in able if not runs(theatre, path) or agrees(model, example, theatre, path)]


def runs(theatre, part):
    """Whether parts can go; any other refusal than that nothing reaches the output any more is an error."""
    try:
        theatre.check(theatre.cuts(part)[0])
    except SurgeryError as error:
        if "two inputs give one" not in str(error):
            raise
        return False
    return True


def network(name):
    if name in SHELF:
        return of_shelf(name), networks.images(2, 16)
    return of_torchvision(name) if name in TORCHVISION else networks.own()[name]


EVERY = (*SHELF, *networks.own(), *TORCHVISION)
CUT_OFF = {"vit_b_16": ["encoder", "encoder.layers"]}
"""Parts whose default would leave nothing of the inputs but the class token."""


@pytest.mark.parametrize("name", ["vit", "encoder, post", "inception"])
def test_every_default_of_a_small_network_is_like_a_hook_that_replaces(name):
    assert every_default_agrees(*network(name)) == []


def test_every_default_of_a_residual_network_is_like_a_hook_that_replaces():
    assert every_default_agrees(of_shelf("resnet", shortcut="projection"), networks.images(2, 16)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_every_default_of_every_network_is_like_a_hook_that_replaces(name):
    of = of_torchvision(name, narrow=True) if name in NARROW else network(name)
    assert every_default_agrees(*of) == CUT_OFF.get(name, [])


@pytest.mark.slow
@pytest.mark.parametrize("name", NARROW)
def test_a_narrow_network_has_the_parts_and_decisions_of_the_whole_one(name):
    def said(narrow):
        model, example = of_torchvision(name, random=True, narrow=narrow)
        followed = trace(model, example)
        decided = [decide(followed, path) for path, _ in model.named_modules() if path]
        return [(one.path, one.kind, one.off, one.why, one.input, one.output, one.places) for one in decided]

    assert said(narrow=True) == said(narrow=False)


@pytest.mark.slow
def test_three_parts_of_five_have_a_default_and_the_others_a_reason():
    """1,178 of 1,959, which is 60.1 %; 142 do nothing as built (Identity, dropout of 0)."""
    able, decided = 0, []
    for name in EVERY:
        if name in WHOLE:
            model, example = of_shelf(name, 32, whole=True), networks.images(2, 32)
        else:
            model, example = of_torchvision(name, random=True) if name in TORCHVISION else network(name)
        followed = trace(model, example)
        found = [decide(followed, path) for path, _ in model.named_modules() if path]
        decided += found
        able += sum(decision.off is not None for decision in found) - len(CUT_OFF.get(name, []))
    assert all(decision.off or (decision.reason and decision.why) for decision in decided)
    assert able >= 0.6 * len(decided)


# ------------------------------------------------------------------------------------------------------------- instead


def test_a_projection_is_drawn_from_its_name_and_the_seed_whatever_else_there_is():
    model, example = of_shelf("resnet"), networks.images(size=16)
    surgery.remove(model, "stage2_block1", example, instead="linear", seed=3)
    weight = model.state_dict()["stage2_block1.instead.weight"]
    assert weight.shape == (8, 4, 1, 1)
    assert model.stage2_block1.instead.stride == (2, 2)
    generator = torch.Generator().manual_seed(seed_for(3, "init", "stage2_block1.instead.weight"))
    assert torch.equal(weight, torch.empty_like(weight).uniform_(-0.5, 0.5, generator=generator))
    assert model(example).shape == (4, 5)


def test_instead_may_be_an_activation_an_input_a_module_or_identity_where_the_whole_net_keeps_its_output():
    model, example = of_shelf("resnet9"), networks.images(size=16)
    names = [path for path, _ in model.named_modules()]
    act = next(path for path in names if path.endswith(".act"))
    surgery.remove(model, act, example, instead="tanh")
    assert isinstance(model.get_submodule(act).instead, nn.Tanh)
    net = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])
    assert surgery.remove(net, "maxpool", networks.images(2, 32), instead="identity")(networks.images(2, 32)).shape == (
        2,
        1000,
    )
    inception = networks.Inception()
    surgery.remove(inception, "after", networks.images(), instead=nn.Conv2d(16, 16, 3, padding=1))
    assert inception.after.instead.weight.shape == (16, 16, 3, 3)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.mixed, self.head = nn.Linear(4, 4), nn.Bilinear(4, 4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.mixed(self.first(x), x))


def test_two_inputs_of_the_outputs_shape_are_refused_and_input_decides():
    x = torch.randn(3, 4)
    assert "2 inputs of its output's shape differ; `instead: {input: 0 or 1}` decides." in why(Two(), x, "mixed")
    model = Two()
    surgery.remove(model, "mixed", x, instead={"input": 1})
    assert torch.equal(model(x), model.head(x))
    decided = removal.decide(Theatre(Two(), x), [{"part": "mixed", "instead": {"input": 1}}])
    assert decided.parts == ({"part": "mixed", "instead": {"input": 1}},)  # which one is in the key
    model = removal.take(Two(), decided.parts, x)
    assert torch.equal(model(x), model.head(x))


# ------------------------------------------------------------------------------------------------------------ refusals


def test_what_cannot_go_is_refused_with_its_reason():
    vit, example = networks.ViT(), networks.images()
    assert "only iterated, never called; name its members: blocks.0, blocks.1." in why(vit, example, "blocks")
    assert "never called: its parameter weight is used by its parent." in why(vit, example, "blocks.0.attn.out_proj")
    assert "spare (Linear): it is never called." in why(networks.Inception(), example, "spare")
    assert "drop (Dropout): it does nothing as built." in why(networks.PostNorm(), networks.tokens(), "drop")
    assert "gives the network's output" in why(vit, example, "head")
    assert "no part is called 'blocks.0.atn'. Did you mean 'blocks.0.attn'?" in why(vit, example, "blocks.0.atn")
    assert "no part of '**' is a BatchNorm2d; there is" in why(vit, example, "**", kind="BatchNorm2d")
    assert "instead is 'zeros'; it may be identity, zero," in why(vit, example, "blocks.0", instead="zeros")


class Roles(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.pair, self.head = nn.Linear(4, 4), Pair(), nn.Linear(4, 2)

    def forward(self, x):
        x = self.layer(x)
        a, b = self.pair(x + self.layer(x))
        return self.head(a * b)


class Pair(nn.Module):
    def forward(self, x):
        return x + 1, x - 1


def test_different_roles_and_several_used_outputs_are_refused():
    x = torch.randn(3, 4)
    said = why(Roles(), x, "layer")
    assert "used 2 times in different roles: identity (it stands in series), zero (it is a summand" in said
    assert "several of its outputs are used" in why(Roles(), x, "pair")


def test_what_cuts_the_inputs_off_is_refused_also_where_tensors_still_flow():
    vit, example = networks.ViT(), networks.images()
    nn.init.zeros_(vit.head.weight)  # and the check is not blind behind it
    assert "nothing of the inputs reaches the output" in why(vit, example, "embed", instead="zero")
    assert "nothing of the inputs reaches the output" in why(vit, example, ["blocks.0", "blocks.1"])
    surgery.remove(vit, "blocks.1", example)


class Chosen(nn.Module):
    """Evaluation goes past a child, as fused layers do."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.layer(x) if self.training else x * 2)


def test_what_evaluation_goes_past_is_refused_and_torchs_fused_layers_take_the_long_way():
    assert "in evaluation the network goes past layer without calling it" in why(Chosen(), torch.randn(3, 4), "layer")
    model, example = networks.Encoder(), networks.tokens()
    surgery.remove(model, "encoder.layers.0.self_attn", example)
    surgery.remove(model, "encoder.layers.1.norm1", example)
    with torch.inference_mode():
        torch.testing.assert_close(model.eval()(example), model.train()(example))


def test_a_check_touches_no_buffer_and_no_generator_and_a_refusal_leaves_the_network_as_it_was():
    model, example = of_shelf("mobilenet"), networks.images(size=16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.get_rng_state(), random.getstate()
    why(model, example, "stem")
    surgery.remove(copy.deepcopy(model), "**.act", example)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# ------------------------------------------------------------------------------------------------------- what stays


@pytest.mark.parametrize(("choices", "every"), [(12, 3), pytest.param(60, 1, marks=pytest.mark.slow)])
def test_whatever_is_taken_away_every_other_tensor_keeps_bits_name_and_place_and_the_full_state_loads(choices, every):
    nets = [(of_shelf(name), networks.images(2, 16)) for name in SHELF] + list(networks.own().values())
    nets = nets[::every]
    theatres = [Theatre(*net) for net in nets]
    rng = random.Random(0)
    for _ in range(choices):
        at = rng.randrange(len(nets))
        (model, example), theatre = nets[at], theatres[at]
        able = [path for path in theatre.kinds if decide(theatre.trace, path).off]
        part = rng.sample(able, rng.choice((1, 2, 3)))
        cuts, found = theatre.cuts(part)
        if not runs(theatre, part):
            continue
        without = copy.deepcopy(model)
        operate(without, cuts, 0)
        gone = [place for cut in cuts for place in cut.decision.places]
        kept = {n: v for n, v in model.state_dict().items() if not any(f"{n}.".startswith(f"{p}.") for p in gone)}
        assert [(n, v.shape) for n, v in without.state_dict().items()] == [(n, v.shape) for n, v in kept.items()]
        assert all(torch.equal(v, kept[n]) for n, v in without.state_dict().items())
        without.load_state_dict(model.state_dict())
        twin = copy.deepcopy(without)
        assert torch.equal(twin.eval()(example), without.eval()(example))
        assert found.paths


@pytest.mark.parametrize("instead", ["zero", "linear"])
def test_what_stands_in_place_of_a_part_without_parameters_is_on_the_networks_device(instead):
    net, x = networks.Net(lambda net, x: x + net.act(x), act=nn.ReLU()), torch.randn(3, 4)
    cuts, _ = Theatre(net, x).cuts("act", instead=instead)
    operate(net.to("meta"), cuts, 0)
    assert {tensor.device.type for tensor in (*net.parameters(), *net.buffers())} == {"meta"}
    assert net(x.to("meta")).device.type == "meta"


def test_streams_of_other_layers_stay_when_a_part_goes():
    model, example = of_shelf("vgg", dropout=0.5), networks.images(size=16)
    surgery.remove(model, "**.act", example)
    streams = trainer.Streams(0)
    trainer.connect(model, streams)
    whole = of_shelf("vgg", dropout=0.5)
    trainer.connect(whole, streams)
    assert torch.equal(model.dropout(torch.ones(2, 64)), whole.dropout(torch.ones(2, 64)))


def test_fused_optimizers_leave_what_reaches_no_output_and_16_bits_and_channels_last_work():
    model, example = networks.ViT(), networks.images()
    surgery.remove(model, ["blocks.0.mlp", "blocks.1.attn"], example)
    model = model.to(memory_format=torch.channels_last)
    dead = surgery.remove(networks.ViT(), "blocks.0.mlp.2", example, instead="linear")
    optimizer = torch.optim.SGD(dead.parameters(), 0.1, momentum=0.9, weight_decay=0.1, fused=True)
    dead(example).square().mean().backward()
    optimizer.step()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(example.to(memory_format=torch.channels_last)).dtype == torch.bfloat16


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: of_shelf("resnet"), "stage2_block1.shortcut"),
        (lambda: of_shelf("resnet"), "stage1_block1"),
        (networks.Decoder, "layers.0.attention"),
    ],
)
def test_what_is_left_compiles_in_one_graph(make, part):
    model = make()
    example = networks.tokens() if isinstance(model, networks.Decoder) else networks.images(size=16)
    surgery.remove(model, part, example)
    torch.testing.assert_close(torch.compile(model, fullgraph=True)(example), model(example), rtol=1e-4, atol=1e-5)


# --------------------------------------------------------------------------------------------------------------- heads

ATTENTIONS = {
    "functional": (lambda: nn.MultiheadAttention(16, 4, batch_first=True), "out_proj"),
    "fused": (networks.FusedAttention, "proj"),
    "grouped, a tuple": (lambda: networks.GroupedAttention(16, 4, 2), "o"),
    "windowed": (networks.WindowedAttention, "proj"),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_heads_that_are_gone_are_columns_of_the_output_projection_that_read_as_zero(name):
    make, projection = ATTENTIONS[name]
    model, example = networks.Attending(make()), networks.tokens()
    zeroed = copy.deepcopy(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    surgery.remove(model, "attention", example, heads=[0, 2])
    columns = [*range(4), *range(8, 12)]
    with torch.no_grad():
        zeroed.get_submodule(f"attention.{projection}").weight[:, columns] = 0
    assert torch.equal(model(example), zeroed(example))
    assert torch.equal(model.eval()(example), zeroed.eval()(example))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert list(model.state_dict()) == list(before)
    model.train()(example).sum().backward()
    gradient = dict(model.named_parameters())[f"attention.{projection}.weight"].grad
    assert not gradient[:, columns].any()
    assert gradient[:, 4:8].any()


@pytest.mark.parametrize("norm_first", [False, True])
def test_heads_in_torchs_fused_encoder_layers_are_gone_in_training_and_in_evaluation(norm_first):
    model, tokens, attention = networks.Encoder(norm_first), networks.tokens(), "encoder.layers.0.self_attn"
    zeroed = copy.deepcopy(model)
    with torch.no_grad():
        zeroed.get_submodule(attention).out_proj.weight[:, [*range(4), *range(8, 12)]] = 0
    surgery.remove(model, attention, tokens, heads=[0, 2])
    with torch.inference_mode():
        torch.testing.assert_close(model.train()(tokens), zeroed.train()(tokens))
        torch.testing.assert_close(model.eval()(tokens), zeroed.eval()(tokens))
    assert "it has no num_heads. Name the attention in it: encoder.layers.0.self_attn." in why(
        networks.Encoder(norm_first), tokens, "encoder.layers.0", heads=[0]
    )


def test_what_goes_with_heads_is_said_of_them_and_not_of_the_attention():
    theatre = Theatre(networks.Attending(networks.FusedAttention()), networks.tokens())
    taken, size = removal.decide(theatre, [{"part": "attention", "heads": [0, 2]}]).notes
    assert taken == "taken away: attention (FusedAttention): heads 0 and 2."
    assert size.startswith("with heads 0 and 2 of attention go ")


def test_heads_that_an_attention_does_not_have_are_refused():
    model, example = networks.Attending(networks.FusedAttention()), networks.tokens()
    assert "there is no head 4; they are 0 to 3." in why(model, example, "attention", heads=[4])
    assert "these are all its heads" in why(model, example, "attention", heads=[0, 1, 2, 3])
    assert "it has no num_heads" in why(model, example, "head", heads=[0])


# ------------------------------------------------------------------------------------------------------------ patterns

KINDS = {
    "bn1": ("BatchNorm2d",), "bn1.weight": (), "layer1": ("Sequential",), "layer1.0": ("Block",),
    "layer1.0.bn1": ("GhostBatchNorm", "BatchNorm2d"), "layer1.0.scale": (), "layer2": ("Sequential",),
    "layer2.0": ("Block",), "layer2.0.down": ("Sequential",), "layer2.0.down.1": ("BatchNorm2d",),
}  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "kind", "paths"),
    [
        ("layer*.0", None, ["layer1.0", "layer2.0"]),
        ("**.bn1", None, ["bn1", "layer1.0.bn1"]),
        ("**", "BatchNorm2d", ["bn1", "layer1.0.bn1", "layer2.0.down.1"]),
        ("layer2.**", None, ["layer2"]),
        ("layer1.**.scale", None, ["layer1.0.scale"]),
        ("*.0", None, ["layer1.0", "layer2.0"]),
    ],
)
def test_one_star_is_within_a_name_and_two_are_any_number_of_names(pattern, kind, paths):
    assert list(find([pattern], KINDS, kind).paths) == paths


def test_a_match_inside_of_another_goes_with_it_and_a_class_of_which_some_are_left_is_said():
    assert find(["layer2.0", "**.1"], KINDS).notes[0] == "layer2.0.down.1 is inside of others and go with them."
    kinds = {**KINDS, "bn2": ("BatchNorm2d",)}
    assert find(["**.bn*"], kinds).notes == ("takes 2 of 3 BatchNorm2ds; left is layer2.0.down.1.",)
