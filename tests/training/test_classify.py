"""The task around the loop: what a configuration becomes, what a run leaves, what the canary sees."""

import dataclasses
import subprocess
import sys

import pytest
import torch

from ablate.errors import ChangedError, ConfigError
from ablate.records import RunSpec, TaskUse, TrickUse
from ablate.registry import Registry
from ablate.testing.training import TINY, base_for, trained
from ablate.training import checkpoint, trainer
from ablate.training.recipe import parse
from ablate.training.task import Run
from ablate.training.tasks.classify import Classify

CLASSIFY = Classify()


def complete(config, tricks=(), registry=None):
    return CLASSIFY.complete(config, tricks, registry or Registry())


def run_of(folder, config, tricks=(), metric="dev_accuracy"):
    torch.set_num_threads(1)
    done = complete(config, tricks)
    return Run(
        RunSpec("", TaskUse.of("classify"), done.config, done.tricks, 0, 1, str(folder), "", metric=metric), Registry()
    )


def canary(config, tricks=(), folder="."):
    return CLASSIFY.canary(run_of(folder, config, tricks))


def test_a_plan_loads_neither_torch_nor_scikit_learn():
    code = (
        "import sys; from ablate.training.tasks.classify import Classify; from ablate.registry import Registry\n"
        "from ablate.errors import ConfigError; from ablate.records import TrickUse\n"
        "completed = []\n"
        "def complete(data, model, tricks):\n"
        "    try:\n"
        "        Classify().complete({'data': {'name': data}, 'model': {'name': model}}, tricks, Registry())\n"
        "        completed.extend(tricks)\n"
        "    except ConfigError:\n"
        "        assert tricks\n"
        "for data in ('digits', 'synthetic'):\n"
        "    for model in Registry().names('models'):\n"
        "        complete(data, model, [])\n"
        "from ablate.training.trick import Trick\n"
        "for name in Registry().names('tricks'):\n"
        "    trick = Registry().load('tricks', name)\n"
        "    if trick.model is not Trick.model or trick.measured is not Trick.measured:\n"
        "        continue\n"
        "    for model in ('vgg', 'resnet'):\n"
        "        complete('synthetic', model, [TrickUse(name)])\n"
        "assert len(completed) >= 10\n"
        "assert not {'torch', 'sklearn', 'scipy', 'pandas'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_code_names_every_part_and_tricks_stand_in_their_order():
    done = complete({}, [TrickUse("mixup"), TrickUse("crop_flip", {"flip": False})])
    assert done.code == {"loop": 1, "model:vgg": 1, "data:digits": 1, "trick:crop_flip": 1, "trick:mixup": 1}
    assert done.tricks == (
        TrickUse("crop_flip", {"padding": None, "flip": False}),
        TrickUse("mixup", {"alpha": 0.2}),
    )


PRIVATE = """'''Zeros.'''
from dataclasses import dataclass
import numpy as np
from ablate.training.dataset import Arrays, Dataset

@dataclass(frozen=True)
class Zeros(Dataset):
    infrastructure = frozenset({"root"})
    root: str = "here"
    size: int = 8
    def fingerprint(self):
        return f"zeros {self.size}"
    def arrays(self):
        images, labels = np.zeros((self.size, 8, 8, 1), np.uint8), np.zeros(self.size, np.int64)
        return Arrays.of((images, labels), (images, labels), ("only",))
"""


def test_where_the_data_lie_is_no_part_of_what_was_asked(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "zeros.py").write_text(PRIVATE)
    registry = Registry([tmp_path])
    here, there = (complete({"data": {"name": "zeros", "root": root}}, (), registry) for root in ("here", "there"))
    assert here.asked["data"] == {"name": "zeros", "size": 8}
    assert here.config["data"]["root"] == "here"
    assert (here.asked, here.data, here.code) == (there.asked, there.data, there.code)
    assert len(here.code["data:zeros"]) == 64, "a private part is known by the hash of its source"


def test_mistakes_in_tricks_are_named_beside_those_in_the_configuration():
    with pytest.raises(ConfigError) as caught:
        complete({"epochs": 0}, [TrickUse("mixup", {"alpha": -1}), TrickUse("cutmx")])
    found = dict(caught.value.problems)
    assert sorted(found) == ["epochs", "tricks.0.alpha", "tricks.1"]
    assert found["tricks.0.alpha"].startswith("is -1; it must be ")
    assert found["tricks.1"].startswith("no trick is called 'cutmx'; there is adamw, ")


def test_every_run_reports_the_metrics_that_the_task_declares():
    outcome = trained(TINY)
    assert set(Classify.metrics) <= set(outcome.values)
    assert outcome.values["dev_accuracy"] == outcome.curve[-1]["dev_accuracy"]
    assert len(outcome.curve) == 2
    assert outcome.values["parameters"] == 4 * 3 * 9 + 4 + 4 + 4 + 4 * 16 * 4 + 4
    assert outcome.values["peak_mib"] > 0


def test_a_net_learns_the_digits():
    config = {"model": {"name": "vgg", "norm": "batch"}, "data": {"name": "digits", "train_size": 300}, "epochs": 3}
    assert trained(config).values["dev_accuracy"] > 80


def weights(path):
    return torch.load(path, weights_only=True)


def test_last_and_best_weights_are_left_and_hold_no_code(tmp_path):
    run = run_of(tmp_path, {**TINY, "epochs": 4, "optimizer": {"name": "sgd", "lr": 0.3}}, metric="dev_loss")
    losses = [values["dev_loss"] for values in CLASSIFY.execute(run)]
    assert min(losses) != losses[-1], "the last epoch is the best one: this test would show nothing"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "last.pt", "training.json"]
    assert checkpoint.tensors_sha256(weights(tmp_path / "last.pt")) == run.outputs["weights"]
    recipe = parse(run.config, Registry())
    training = trainer.prepare(recipe, [], recipe.data.arrays(), 0, "cpu")
    training.model.load_state_dict(weights(tmp_path / "best.pt"))
    _, logits = trainer.evaluate(training, training.dev_images)
    loss = torch.nn.functional.cross_entropy(logits, training.dev_labels)
    assert float(loss) == pytest.approx(min(losses), rel=1e-6)


def test_the_best_weights_are_of_the_best_epoch_by_the_accuracy_in_training_where_the_study_asks_so(
    tmp_path, monkeypatch
):
    def falling(training, history, train=trainer.train):
        for number, epoch in enumerate(train(training, history)):
            found = {**epoch.values, "train_accuracy": float(-number), "dev_accuracy": float(number)}
            yield dataclasses.replace(epoch, values=found)

    monkeypatch.setattr(trainer, "train", falling)
    run = run_of(tmp_path, {**TINY, "epochs": 2}, metric="train_accuracy")
    list(CLASSIFY.execute(run))
    assert run.outputs["best_weights"] != run.outputs["weights"], "the last epoch is that of dev_accuracy"


def test_equal_variants_look_equal_to_the_canary_and_a_changed_one_does_not():
    base = canary(TINY)
    assert canary(TINY) == base
    changes = [
        {"model": {**TINY["model"], "norm": "none"}},
        {"model": {**TINY["model"], "dropout": 0.0}},
        {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True}},
        {"schedule": {"name": "step"}},
        {"schedule": {"name": "cosine"}},
        {"schedule": {"name": "onecycle"}},
        {"epochs": 3},
        {"batch_size": 16},
    ]
    for change in changes:
        assert canary({**TINY, **change}) != base, change
    for name in Registry().names("tricks"):
        config = base_for(Registry().make("tricks", name, {}))
        if name != "swa":  # the mean of the last steps' weights: of the canary's two, that is one
            assert canary(config, [TrickUse(name)]) != canary(config), name


def test_a_toggle_that_does_nothing_looks_equal_to_the_canary():
    assert canary(TINY, [TrickUse("mixup", {"alpha": 0})]) == canary(TINY)


def test_more_stages_than_the_image_allows_is_said_and_not_a_traceback():
    with pytest.raises(ConfigError, match=r"model\.stages: is 5; 8x8 images can be halved 3 times"):
        canary({**TINY, "model": {"name": "vgg", "stages": 5}})


def test_a_file_used_twice_draws_from_two_streams():
    once = [TrickUse("cutout", {"length": 2})]
    assert trained(TINY, once * 2).outputs != trained(TINY, once).outputs


def test_the_task_takes_no_parameters():
    assert dataclasses.fields(Classify) == ()


# ------------------------------------------------------------------------------------------- weights measured anew

TTA = TrickUse("test_time_augmentation")


def values_of(run):
    steps, made = [], CLASSIFY.execute(run)
    while True:
        try:
            steps.append(next(made))
        except StopIteration as end:
            return steps, end.value


def measuring(folder, tricks, of, key="k" * 64):
    run = run_of(folder, TINY, tricks)
    folder.mkdir(exist_ok=True)
    return dataclasses.replace(run, spec=dataclasses.replace(run.spec, evaluates=key, evaluates_in=str(of)), outputs={})


@pytest.mark.parametrize("other", [(), ("ema",), ("batchnorm", "crop_flip")])
def test_weights_that_are_measured_anew_give_the_bits_of_a_training_with_the_same_tricks(other, tmp_path):
    config = {**TINY, "epochs": 2}
    uses = [TrickUse(name) for name in other if name != "batchnorm"]
    config["model"] = {**TINY["model"], "norm": "batch" if "batchnorm" in other else "none"}
    for name, tricks in (("plain", uses), ("trained", [*uses, TTA])):
        (tmp_path / name).mkdir()
        run = run_of(tmp_path / name, config, tricks)
        steps, values = values_of(run)
    expected = ({k: values[k] for k in ("dev_accuracy", "dev_loss", "train_loss")}, run.outputs["predictions"])
    (tmp_path / "anew").mkdir()
    again = run_of(tmp_path / "anew", config, [*uses, TTA])
    again.spec = dataclasses.replace(again.spec, evaluates="k" * 64, evaluates_in=str(tmp_path / "plain"))
    steps, values = values_of(again)
    assert expected == ({k: values[k] for k in expected[0]}, again.outputs["predictions"])
    assert again.outputs["weights"] == run.outputs["weights"]
    trained = {"train_loss", "train_accuracy", "lr"}
    assert [set(step) for step in steps] == [trained, {*trained, "dev_accuracy", "dev_loss"}]
    assert not (tmp_path / "anew" / "training.json").exists(), "it trained"
    assert (tmp_path / "anew" / "last.pt").is_file(), "predict finds no weights"


def test_where_nothing_was_left_to_measure_the_run_trains_and_says_so(tmp_path, capsys):
    run = measuring(tmp_path / "run", [TTA], tmp_path / "nowhere")
    _, values = values_of(run)
    assert "dev_accuracy" in values
    assert "training anew" in capsys.readouterr().out
    assert (tmp_path / "run" / "training.json").is_file()


def test_damaged_weights_are_told_and_trained_anew(tmp_path, capsys):
    (tmp_path / "plain").mkdir()
    values_of(run_of(tmp_path / "plain", TINY))
    state = torch.load(tmp_path / "plain" / "last.pt", weights_only=True)
    first = next(iter(state))
    checkpoint.save({**state, first: state[first] + 1}, tmp_path / "plain" / "last.pt")
    right = values_of(measuring(tmp_path / "right", [TTA], tmp_path / "nowhere"))
    for data in (None, b"", (tmp_path / "plain" / "last.pt").read_bytes()[:-50]):
        if data is not None:
            (tmp_path / "plain" / "last.pt").write_bytes(data)
        capsys.readouterr()
        without_cost = values_of(measuring(tmp_path / "run", [TTA], tmp_path / "plain"))[0]
        assert right[0] == without_cost
        said = capsys.readouterr().out
        assert ("holds other weights" if data is None else "is damaged") in said
        assert "training anew" in said


# --------------------------------------------------------------------------------------------------- data and compiling


def test_data_that_changed_since_the_plan_was_made_are_not_trained_on(tmp_path):
    run = run_of(tmp_path, TINY)
    run.spec = dataclasses.replace(run.spec, data="another fingerprint")
    with pytest.raises(ChangedError, match="the data changed since the plan was made"):
        values_of(run)


def test_compiling_is_no_part_of_a_key_until_it_is_asked_for():
    assert "compile" not in complete(TINY).asked
    assert complete({**TINY, "compile": True}).asked["compile"] is True


@pytest.mark.slow
def test_a_compiled_network_learns_what_the_plain_one_learns(tmp_path):
    results = []
    for name in ("plain", "compiled"):
        (tmp_path / name).mkdir()
        _, values = values_of(run_of(tmp_path / name, {**TINY, "compile": name == "compiled"}))
        results.append(values["train_loss"])
    assert results[0] == pytest.approx(results[1], rel=1e-3)


def test_a_trick_of_ones_own_may_have_a_parameter_called_parts(tmp_path):
    (tmp_path / "tricks").mkdir()
    (tmp_path / "tricks" / "halves.py").write_text(
        "from dataclasses import dataclass\nfrom ablate.plugins import Trick\n"
        "@dataclass(frozen=True)\nclass Halves(Trick):\n    parts: int = 2\n"
    )
    registry = Registry([tmp_path])
    assert trained(TINY, [TrickUse("halves")], registry).values["flops"] > 0
