"""Parts of trained networks: what is measured without them equals a reference by hooks, and nothing else changes."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from ablate.errors import ConfigError
from ablate.records import TRAINED, RunSpec, TaskUse, TrickUse
from ablate.registry import Registry
from ablate.surgery import SurgeryError, remove
from ablate.testing.training import trained
from ablate.training import checkpoint, trainer
from ablate.training.surgery import Theatre
from ablate.training.task import Run
from ablate.training.tasks import classify

CLASSIFY = classify.Classify()
CONFIG = {
    "model": {"name": "resnet", "depth": 8, "width": 4}, "data": {"name": "digits", "train_size": 64}, "epochs": 2,
    "batch_size": 32,
}  # fmt: skip
PART = "stage2_block1.branch"


def run_of(folder, tricks=(), config=CONFIG, **spec):
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    done = CLASSIFY.complete(config, tricks, Registry())
    asked = RunSpec("", TaskUse.of("classify"), done.config, done.tricks, 0, 1, str(folder), "", metric="dev_accuracy")
    return Run(dataclasses.replace(asked, **spec), Registry())


def result(run):
    made, steps = CLASSIFY.execute(run), []
    while True:
        try:
            steps.append(next(made))
        except StopIteration as end:
            return steps, end.value


def away(**asked):
    anew = {"recalibrate": True} if asked.pop("recalibrate", False) else {}
    return TrickUse(TRAINED, {"parts": [{"part": PART, **asked}], **anew})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A trained run's folder, its results, and its training with the trained weights in it."""
    folder = tmp_path_factory.mktemp("whole")
    run = run_of(folder)
    _, values = result(run)
    training, _ = classify._prepared(run)
    training.model.load_state_dict(checkpoint.weights(folder / "last.pt", run.outputs["weights"], "cpu"))
    return folder, values, training


def measured(whole, folder, **asked):
    run = run_of(folder, [away(**asked)], evaluates="k" * 64, evaluates_in=str(whole[0]))
    steps, values = result(run)
    assert [set(step) & {"dev_accuracy"} for step in steps] == [set(), {"dev_accuracy"}]
    return values, run


def images(training):
    return trainer._normalised(training, training.images)


def by_hook(training, put):
    """dev loss where a hook puts something in the place of what the part makes."""
    hook = training.model.get_submodule(PART).register_forward_hook(lambda _module, _given, made: put(made))
    with torch.inference_mode():
        logits = training.model.eval()(trainer._normalised(training, training.dev_images))
    hook.remove()
    return float(F.cross_entropy(logits, training.dev_labels))


def test_the_trained_weights_are_measured_without_the_part_and_kept_as_they_were(whole, tmp_path):
    values, run = measured(whole, tmp_path / "run")
    assert values["dev_loss"] == pytest.approx(by_hook(whole[2], torch.zeros_like), rel=1e-5)
    assert values["dev_loss"] != whole[1]["dev_loss"]
    assert values["train_loss"] == whole[1]["train_loss"]
    assert (tmp_path / "run" / "last.pt").read_bytes() == (whole[0] / "last.pt").read_bytes()
    assert run.outputs["evaluates"] == "k" * 64
    again = CLASSIFY.examine(run, {"last": tmp_path / "run" / "last.pt"})
    right = next(column for column in again.columns if column.metric == "dev_accuracy")
    kept = next(column for column in run.per_example.columns if column.metric == "dev_accuracy")
    assert (right.data, right.at) == (kept.data, kept.at)


def test_the_mean_is_of_training_images_in_evaluation_mode(whole, tmp_path):
    training, made = whole[2], []
    hook = training.model.get_submodule(PART).register_forward_hook(lambda _module, _given, out: made.append(out))
    with torch.inference_mode():
        training.model.eval()(images(training))
    hook.remove()
    mean = made[0].mean(0)
    values, _ = measured(whole, tmp_path / "run", instead="mean")
    assert values["dev_loss"] == pytest.approx(by_hook(training, lambda out: mean.expand_as(out)), rel=1e-5)


def test_statistics_that_are_taken_anew_are_those_of_swa_over_training_images(whole, tmp_path):
    network = remove(classify._prepared(run_of(tmp_path / "other"))[0].model, PART, images(whole[2])[:2])
    network.load_state_dict(whole[2].model.state_dict())
    update_bn(torch.split(images(whole[2]), 32), network)
    with torch.inference_mode():
        logits = network.eval()(trainer._normalised(whole[2], whole[2].dev_images))
    values, _ = measured(whole, tmp_path / "run", recalibrate=True)
    assert values["dev_loss"] == pytest.approx(float(F.cross_entropy(logits, whole[2].dev_labels)), rel=1e-4)
    assert values["dev_loss"] != measured(whole, tmp_path / "plain")[0]["dev_loss"]


def test_statistics_are_taken_anew_also_where_one_image_is_left_over_and_a_norm_sees_one_number_of_it():
    config = {**CONFIG, "model": {"name": "resnet9", "width": 4}, "data": {"name": "digits", "train_size": 33}}
    anew = TrickUse(TRAINED, {"parts": [], "recalibrate": True})
    assert trained({**config, "epochs": 1}, [anew]).values["dev_loss"] > 0


def test_where_no_training_was_left_the_run_trains_it_as_it_was_asked_and_comes_to_the_same_numbers(tmp_path, capsys):
    # By dev loss, which the trick changes: had it steered the training, that would have been another one.
    config = {**CONFIG, "epochs": 6, "early_stopping": {"metric": "dev_loss", "patience": 1}}
    result(run_of(tmp_path / "whole", config=config))
    runs = [
        run_of(
            tmp_path / name, [away()], config, evaluates="k" * 64, evaluates_in=str(tmp_path / of), keep=name == "left"
        )
        for name, of in (("left", "whole"), ("alone", "nowhere"))
    ]
    (steps, left), (others, alone) = map(result, runs)
    timed = ("train_seconds", "peak_mib", "flops")
    assert [{k: v for k, v in values.items() if k not in timed} for values in (left, alone)] == [
        {k: v for k, v in left.items() if k not in timed}
    ] * 2
    assert steps == others
    assert runs[0].outputs["predictions"] == runs[1].outputs["predictions"]
    assert "training anew" in capsys.readouterr().out
    assert not list((tmp_path / "alone").glob("*.pt")), "it keeps no weights"


def refused(asked, config=CONFIG):
    with pytest.raises(ConfigError) as error:
        CLASSIFY.complete(config, [asked], Registry())
    return dict(error.value.problems)


def test_a_mean_needs_one_thing_for_each_image_and_statistics_a_batch_norm():
    config = {**CONFIG, "model": {**CONFIG["model"], "norm": "group"}}
    assert "no batch norm with statistics" in refused(away(recalibrate=True), config)["tricks.0.recalibrate"]
    norms = TrickUse(TRAINED, {"parts": [{"part": "**", "kind": "BatchNorm2d"}], "recalibrate": True})
    assert "would change nothing" in refused(norms)["tricks.0.recalibrate"]
    parameter = TrickUse(TRAINED, {"parts": [{"part": "linear.bias", "instead": "mean"}]})
    assert "which is not one thing for each image" in refused(parameter)["tricks.0.parts.0"]
    with pytest.raises(SurgeryError, match="needs training images; a study has them"):
        remove(torch.nn.Sequential(torch.nn.Linear(2, 2)), "0", torch.ones(1, 2), instead="mean")


class TokensFirst(nn.Module):
    """Two tokens of each image, before the images."""

    def __init__(self):
        super().__init__()
        self.stem, self.mix, self.head = nn.Linear(16, 6), nn.Linear(3, 3), nn.Linear(3, 4)

    def forward(self, x):
        tokens = self.stem(x.flatten(1)).unflatten(1, (2, 3)).transpose(0, 1)
        return self.head(self.mix(tokens).mean(0))


def test_two_tokens_before_the_images_are_not_taken_for_two_images():
    theatre = Theatre(TokensFirst(), torch.randn(2, 1, 4, 4))
    with pytest.raises(SurgeryError, match=r"mix \(Linear\): it makes 2x2x3, which is not one thing for each image"):
        theatre.cuts("mix", instead="mean")
    assert theatre.cuts("stem", instead="mean")[0][0].off == "mean"


def test_parts_go_from_trained_weights_beside_averages_of_weights_and_other_parts():
    config = {**CONFIG, "epochs": 1}
    with_ema = [TrickUse("ema"), TrickUse("without", {"parts": [{"part": "stage1_block1.branch"}]})]
    one, other = trained(config, with_ema), trained(config, [*with_ema, away(instead="mean", recalibrate=True)])
    assert one.outputs["weights"] == other.outputs["weights"]
    assert one.outputs["predictions"] != other.outputs["predictions"]
