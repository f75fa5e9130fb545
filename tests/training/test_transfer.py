"""Starting from trained weights: files, torchvision's, another study's run; freezing and slowing what was pretrained."""

import json
import os
import pickle
from pathlib import Path

import called
import pytest
import torch

from ablate.errors import AblateError, ConfigError
from ablate.identity import sha256_file
from ablate.registry import Registry
from ablate.study.file import parse as study
from ablate.study.file import task_of
from ablate.study.plan import make_plan
from ablate.testing.training import TINY, trained
from ablate.training import checkpoint, completing, initial, trainer, transfer
from ablate.training.recipe import parse
from ablate.training.task import Completed
from ablate.training.tasks.classify import Classify
from ablate.training.tricks.backbone_lr import BackboneLR
from ablate.training.tricks.freeze import Freeze


def net(norm="batch", classes=4, seed=0, width=4):
    config = {"model": {"name": "vgg", "width": width, "depth": 1, "norm": norm}}
    model = parse(config, Registry()).model.build((1, 8, 8), classes)
    initial.initialise(model, seed, {})
    return model


@pytest.fixture
def weights(tmp_path):
    """The weights of a net of another seed, as a file."""
    path = tmp_path / "net.pt"
    torch.save(net(seed=1).state_dict(), path)
    return path


def complete(init, **changes) -> Completed:
    return Classify().complete({**TINY, **changes, "init": init}, (), Registry())


def read(path: Path):
    return transfer.read(path, sha256_file(path))


# ------------------------------------------------------------------------------------------------------------- fitting


def test_what_fits_is_loaded_and_the_head_of_other_classes_keeps_its_own_values(weights):
    model, drawn = net(classes=7), net(classes=7).state_dict()
    report = transfer.fit(model, read(weights))
    conv = "stage1_block1.conv.weight"
    assert torch.equal(model.state_dict()[conv], net(seed=1).state_dict()[conv])
    assert torch.equal(model.state_dict()["linear.weight"], drawn["linear.weight"])
    assert str(report) == "loaded 7 of 9 tensors; the head linear is new, drawn from its own stream"


def test_a_head_of_as_many_classes_is_loaded_unless_a_new_one_is_asked_for(weights):
    loaded = net(seed=1).state_dict()["linear.weight"]
    model = net()
    transfer.fit(model, read(weights))
    assert torch.equal(model.state_dict()["linear.weight"], loaded)
    model = net()
    transfer.fit(model, read(weights), "new")
    assert torch.equal(model.state_dict()["linear.weight"], net().state_dict()["linear.weight"])


def test_a_head_to_be_kept_must_fit(weights):
    with pytest.raises(AblateError, match="the last linear layer, linear, is 4x64 in the file and 7x64 here"):
        transfer.fit(net(classes=7), read(weights), "keep")


def test_what_has_another_shape_or_is_missing_or_unused_is_listed():
    state = {
        **net(norm="batch").state_dict(),
        "stage1_block1.conv.weight": torch.zeros(4, 3, 3, 3),
        "old": torch.zeros(1),
    }
    del state["stage1_block1.norm.bias"]
    report = transfer.fit(net(), state)
    assert {"stage1_block1.conv.weight": ((4, 3, 3, 3), (4, 1, 3, 3))} == report.shapes
    assert ("stage1_block1.norm.bias",) == report.missing
    assert ("old",) == report.unused
    assert "stage1_block1.conv.weight (4x3x3x3 there, 4x1x3x3 here)" in str(report)


def test_to_load_nothing_but_a_head_is_an_error():
    with pytest.raises(AblateError, match="nothing was loaded"):
        transfer.fit(net(), {"fc.weight": torch.zeros(1)})
    head = {name: value for name, value in net().state_dict().items() if name.startswith("linear")}
    with pytest.raises(AblateError, match="nothing was loaded"):
        transfer.fit(net(), head)


def test_a_checkpoint_that_holds_a_state_dict_and_data_parallels_prefix_are_understood(tmp_path):
    state = {f"module.{name}": value for name, value in net(seed=1).state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "c.pt")
    assert read(tmp_path / "c.pt").keys() == net().state_dict().keys()


# --------------------------------------------------------------------------------------------------------- wrong files


class Hostile:
    def __reduce__(self):
        return (os.mkdir, ("/tmp/ablate-was-here",))


def write(path: Path, kind: str):
    if kind == "text":
        path.write_text("weights")
    elif kind == "code":
        torch.save({"a": Hostile()}, path)
    elif kind == "plain pickle":
        path.write_bytes(pickle.dumps({"a": Hostile()}))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        torch.save(net().state_dict(), path)
        path.write_bytes(path.read_bytes()[:900])
    elif kind == "a list":
        torch.save([torch.zeros(3)], path)
    elif kind == "a whole checkpoint":
        torch.save({"epoch": 3, "lr": 0.1}, path)
    else:
        torch.save({"a": torch.tensor([float("nan")])}, path)
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("text", "no file of weights"), ("code", "could execute code"), ("plain pickle", "no file of weights"),
        ("empty", "no file of weights"), ("truncated", "only a part of one"), ("a list", "holds list"),
        ("a whole checkpoint", "a mapping of epoch, lr"), ("nan", "NaN or infinity"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_state_dict_is_refused_by_name_and_nothing_in_it_is_executed(tmp_path, kind, says):
    path = write(tmp_path / "net.pt", kind)
    with pytest.raises(AblateError, match=says) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert not Path("/tmp/ablate-was-here").exists()


def test_a_file_that_changed_since_the_plan_is_refused(weights):
    with pytest.raises(AblateError, match="no longer the file that the plan was made from"):
        transfer.read(weights, "0" * 64)


# ---------------------------------------------------------------------------------------------------- the configuration


@pytest.mark.parametrize(
    ("init", "key", "says"),
    [
        ({}, "init", "give one of"),
        ({"weights": "a.pt", "study": "b"}, "init", "give one of"),
        ({"weights": "a.pt", "variant": "best"}, "init", "variant and seed go with a study"),
        ({"study": "b", "download": True}, "init", "only torchvision's"),
        ({"wieghts": "a.pt"}, "init.wieghts", "Did you mean 'weights'?"),
        ({"weights": "no/such.pt"}, "init.weights", "No such file"),
        ({"torchvision": "resnet81"}, "init.torchvision", "Did you mean 'resnet18'?"),
        ("net.pt", "init", "it must be a mapping"),
    ],
)
def test_a_mistake_in_init_is_told_at_its_key(init, key, says):
    with pytest.raises(ConfigError) as caught:
        complete(init)
    assert any(key == found and says in message for found, message in caught.value.problems), caught.value.problems


def test_without_init_no_key_changes():
    assert complete(None) == Classify().complete(TINY, (), Registry())
    assert "init" not in complete(None).config


def test_torchvisions_weights_are_never_fetched_unasked_and_one_is_told_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        complete({"torchvision": "resnet18"}, model={"name": "torchvision", "net": "resnet18"})
    message = str(caught.value)
    assert str(tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth") in message
    assert "`download: true`" in message


def test_torchvisions_weights_are_read_from_where_torchvision_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    from torchvision.models import resnet18

    torch.save(resnet18().state_dict(), tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    done = complete({"torchvision": "resnet18"}, model={"name": "torchvision", "net": "resnet18"})
    here = parse(done.config, Registry()).model.build((3, 32, 32), 4)
    report = transfer.fit(here, read(Path(done.start.file)))
    assert ["conv1.weight"] == list(report.shapes)  # 3x3 for small images
    assert report.new_head
    assert 120 == len(report.loaded) + 1


def keys(text, folder):
    planned = study(text, "s.yaml", folder=folder)
    plan = make_plan(planned, Registry(), task_of(planned))
    return {run.variant: run.key for run in plan.runs}


def test_a_key_carries_what_is_in_the_file_and_not_where_it_lies(weights, tmp_path):
    text = "tricks: {t: {set: {init: {weights: FILE}}}}\nseeds: 1\nmetric: {name: dev_accuracy}"
    first = keys(text.replace("FILE", str(weights)), tmp_path)
    moved = weights.rename(tmp_path / "elsewhere.pt")
    assert first == keys(text.replace("FILE", str(moved)), tmp_path)
    torch.save(net(seed=2).state_dict(), moved)
    changed = keys(text.replace("FILE", str(moved)), tmp_path)
    assert first["base"] == changed["base"]
    assert first["base+t"] != changed["base+t"]


def test_a_training_starts_from_the_files_weights(weights):
    one = {**TINY, "model": {"name": "vgg", "width": 4, "depth": 1, "norm": "batch"}, "data": {"name": "digits"}}
    one |= {"init": {"weights": str(weights)}, "optimizer": {"name": "sgd", "lr": 1e-12, "momentum": 0.0}, "epochs": 1}
    done = trained(one)
    assert "loaded 7 of 9 tensors; the head linear is new, drawn from its own stream" == done.outputs["start"]
    assert trained({**one, "init": None}).outputs["weights"] != done.outputs["weights"]


# ------------------------------------------------------------------------------------------------- freezing and slowing

FROZEN = {**TINY, "model": {"name": "vgg", "width": 4, "depth": 1, "norm": "batch"}, "epochs": 4}


def states(trick, epochs=4, optimizer="sgd"):
    """The network's state before the training and after each epoch."""
    config = {**FROZEN, "epochs": epochs, "optimizer": {"name": optimizer}}
    recipe = parse(config, Registry())
    trainer.settle("cpu")
    training = trainer.prepare(recipe, [("it", trick)], recipe.data.arrays(), 0, "cpu")
    yield checkpoint.state_of(training.model)
    for epoch in trainer.train(training):
        yield checkpoint.state_of(epoch.model)


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_frozen_layers_stay_bit_for_bit_batch_statistics_included_until_they_are_thawed(optimizer):
    start, first, second, third = states(Freeze(unfreeze_at=2), 3, optimizer)
    assert {"linear.weight", "linear.bias"} == changed(start, first) == changed(first, second)
    assert set(start) == changed(second, third)


def test_layers_frozen_for_good_never_move_and_named_ones_alone_are_frozen():
    start, *_, last = states(Freeze())
    assert {"linear.weight", "linear.bias"} == changed(start, last)
    start, *_, last = states(Freeze(layers=("stage1_*",)))
    assert changed(start, last)
    assert not any(name.startswith("stage1") for name in changed(start, last))


def test_a_layer_that_is_not_there_is_named_with_its_neighbour():
    with pytest.raises(AblateError, match="no pretrained parameter lies in a layer called 'stage9'"):
        list(states(Freeze(layers=("stage9",))))


def test_only_what_was_loaded_is_frozen():
    model = net()
    loaded = frozenset({"stage1_block1.conv.weight", "linear.weight"})
    assert ["stage1_block1.conv.weight"] == list(transfer.backbone(model, loaded))


def test_the_backbone_has_its_own_rate_and_keeps_what_its_group_has():
    model = net()
    optimizer = torch.optim.SGD(
        [{"params": model.linear.parameters()}, {"params": model.stage1_block1.parameters(), "weight_decay": 0.5}],
        lr=0.2,
    )
    transfer.regroup(optimizer, transfer.backbone(model, frozenset()).values(), 0.1)
    rates = {id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
    assert (0.2, 0) == rates[id(model.linear.weight)]
    assert (pytest.approx(0.02), 0.5) == rates[id(model.stage1_block1.conv.weight)]
    assert 0.2 == optimizer.param_groups[0]["lr"]


def test_a_tenth_of_the_rate_moves_the_backbone_a_tenth_as_far():
    conv = "stage1_block1.conv.weight"

    def moved(trick):
        start, end = states(trick, 1)
        return float((end[conv] - start[conv]).norm())

    assert moved(BackboneLR(factor=1e-3)) < 0.01 * moved(BackboneLR(factor=1.0))


# ------------------------------------------------------------------------------------------------------ another study

PRETRAIN = """
study: pre
base: {model: {name: vgg, width: 4, depth: 1}, data: {name: digits, train_size: 64, test_size: 0, classes: [0, 1, 2, 3, 4]}, epochs: EPOCHS}
tricks: {norm: {set: {model.norm: batch}}}
seeds: [3, 4]
metric: {name: dev_accuracy}
"""
TRANSFER = """
study: after
base: {model: {name: vgg, width: 4, depth: 1, norm: batch}, data: {name: digits, train_size: 64, dev_size: 100}, epochs: 1}
tricks: {start: {set: {init: {study: pre, variant: VARIANT}}}}
seeds: 2
metric: {name: dev_accuracy}
"""


def written(tmp_path):
    (tmp_path / "pre.yaml").write_text(PRETRAIN.replace("EPOCHS", "1"))
    (tmp_path / "after.yaml").write_text(TRANSFER.replace("VARIANT", "best"))
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    return written(tmp_path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder in which after.yaml was planned, then run: (folder, runs and JSON of the plan before, the table)."""
    folder = written(tmp_path_factory.mktemp("ran"))
    before = planned(folder)
    return folder, before, ablate(folder, "run", "after.yaml")


def ablate(folder, *words, code=0):
    done = called.ablate(folder, *words)
    assert code == done.returncode, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def planned(folder):
    told = json.loads(ablate(folder, "plan", "after.yaml", "--format", "json"))
    return {(run["variant"], run["seed"]): (run["key"], run["state"]) for run in told["runs"]}, told


def test_the_other_study_is_trained_first_then_its_run_is_fixed_in_the_plan(ran):
    folder, (runs, told), table = ran
    assert (None, "pending") == runs["base+start", 0] == runs["base+start", 1]
    assert 4 == told["counts"]["total"] == told["counts"]["todo"]
    assert "Pending" in " ".join(told["notes"])
    assert "(best) of study pre, seed 3 (run " in table
    runs, told = planned(folder)
    assert {"done"} == {state for _, state in runs.values()}
    assert ["after", "pre"] == json.loads(ablate(folder, "list", "studies", "--format", "json"))
    shown = ablate(folder, "show", "base+start:0")
    assert '"starts_from": {' in shown
    assert "the head linear is new" in shown
    assert table == ablate(folder, "run", "after.yaml")  # nothing is trained again


@pytest.mark.slow
def test_a_pretraining_study_that_changes_makes_its_children_pending_and_their_runs_new(folder):
    ablate(folder, "run", "after.yaml")
    before, _ = planned(folder)
    (folder / "pre.yaml").write_text(PRETRAIN.replace("EPOCHS", "2"))
    runs, told = planned(folder)
    assert (None, "pending") == runs["base+start", 0]
    assert before["base", 0] == runs["base", 0]
    assert "pre changed since it was last run, 4 of its 4 runs are to do" in " ".join(told["notes"])
    ablate(folder, "run", "after.yaml")
    after, _ = planned(folder)
    assert before["base+start", 0][0] != after["base+start", 0][0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("study: pre, variant: VARIANT", "study: pre, variant: base+nrom"), "Did you mean 'base+norm'?"),
        (("study: pre, variant: VARIANT", "study: per"), "no study is called 'per'"),
        (("study: pre, variant: VARIANT", "study: other"), "a circle"),
        (("variant: VARIANT", "seed: 7"), "study pre has no seed 7; it has 3 or 4"),
    ],
)
def test_what_cannot_be_found_is_told_at_the_line_that_asks_for_it(ran, change, says):
    folder, _, _ = ran
    (folder / "other.yaml").write_text(TRANSFER.replace("study: after", "study: other").replace(*change))
    told = ablate(folder, "plan", "other.yaml", code=2)
    assert told.startswith("other.yaml:4:")
    assert says in told


def test_weights_that_were_removed_are_missed_by_name(ran):
    folder, _, _ = ran
    (folder / "results" / "pre").rename(folder / "results" / "gone")
    try:
        assert "they were removed, or trained elsewhere" in ablate(folder, "plan", "after.yaml", code=2)
    finally:
        (folder / "results" / "gone").rename(folder / "results" / "pre")


def test_another_runs_weights_in_their_place_are_refused(ran):
    folder, _, _ = ran
    files = sorted((folder / "results" / "pre").rglob("last.pt"))
    held = [file.read_bytes() for file in files]
    try:
        for file, others in zip(files, held[1:] + held[:1], strict=True):
            file.write_bytes(others)
        told = ablate(folder, "plan", "after.yaml", code=2)
        assert "holds other weights than those that were trained: `ablate retry --weights` trains them again" in told
    finally:
        for file, own in zip(files, held, strict=True):
            file.write_bytes(own)


def test_a_broken_weights_file_stops_a_run_before_anything_is_trained(folder):
    (folder / "net.pt").write_text("no weights")
    (folder / "after.yaml").write_text(TRANSFER.replace("study: pre, variant: VARIANT", "weights: net.pt"))
    assert "no file of weights" in ablate(folder, "run", "after.yaml", code=2)


def test_a_torch_that_executes_made_files_is_given_none_from_others(weights, monkeypatch):
    monkeypatch.setattr(completing, "torch_version", lambda: (2, 9))
    with pytest.raises(ConfigError, match=r"may execute what is in it; from 2\.10 on it does not"):
        Classify().complete({**TINY, "init": {"weights": str(weights)}}, (), Registry())
