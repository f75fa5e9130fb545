"""Numbers of every part of ablate that a run's key names: they change only together with the part's `version`.

A run that was done stays done as long as its parts' versions stay. So whoever changes what a part computes raises its
`version` (then old results are asked for anew) and records the new numbers:

    python tests/training/test_golden.py

Numbers must be the same on every kind of processor, so networks compute in float64 here, and what a nudge of the images
by one float32 ulp would move is not recorded: such a training needs a lower learning rate or fewer steps (`GENTLE`).
Where only what is tried changed, remove the case from golden.json first.
"""

import json
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from ablate.records import TrickUse
from ablate.registry import Registry
from ablate.testing.training import TINY, base_for, trained
from ablate.training import trainer
from ablate.training.tasks.classify import Classify

FILE = Path(__file__).with_name("golden.json")
# AVX2 and AVX-512 differ by 1e-11, and by 2e-6 from neither (a float32 rounding of first weights); the weakest trick,
# l1, changes 2e-5.
TOLERANCE = 1e-5
NUDGES = 4  # what a nudge of the images moves has a threshold near by (a ReLU, a tie of a max), which few nudges cross
MODERATE = 0.1, 10  # losses: beyond, a training has learnt all there is, or diverges

LOOP = {
    "sgd": {},
    "nesterov": {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True}},
    "adam": {"optimizer": {"name": "adam", "lr": 0.01}},
    "adamw": {"optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.1}},
    "rmsprop": {"optimizer": {"name": "rmsprop", "lr": 0.003}},
    "warm-up": {"schedule": {"name": "constant", "warmup_epochs": 1}},
    "cosine": {"schedule": {"name": "cosine"}},
    "step": {"schedule": {"name": "step", "milestones": [0.3]}},
    "onecycle": {"schedule": {"name": "onecycle"}},
}

GENTLE = {  # TINY's learning rate lets these diverge, or move under a nudge
    "model:mobilenet": {"optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.9}},
    "model:resnet": {"optimizer": {"name": "sgd", "lr": 0.0025, "momentum": 0.9}},
    "model:resnet9": {"optimizer": {"name": "sgd", "lr": 0.02, "momentum": 0.9}},
    "model:torchvision": {
        "optimizer": {"name": "sgd", "lr": 0.001, "momentum": 0.9},
        "data": {**TINY["data"], "train_size": 64},
    },
    # Equal pixels (2 % of the maxima), passed on by the identity, tie in vgg's max pooling; this has none.
    "trick:dirac_init": {"model": {"name": "resnet", "depth": 8, "width": 4}},
}


def parts():
    """(part as a key names it, what is tried, configuration, tricks)."""
    registry = Registry()
    for name, change in LOOP.items():
        yield "loop", name, {**TINY, **change}, ()
    for name in registry.names("models"):
        usual = registry.make("models", name, {})
        for key, values in {"": ("",), **usual.toggles}.items():
            for value in values:
                model = {"name": name, **({key: value} if key else {})}
                yield f"model:{name}", f"{key} {value}".strip(), {**TINY, "model": model}, ()
    for name in registry.names("datasets"):
        if not any(parameter.required for parameter in registry.parameters("datasets", name)):  # no files of the user's
            yield f"data:{name}", "", {**TINY, "data": {"name": name}}, ()
    for name in registry.names("tricks"):
        yield f"trick:{name}", "", base_for(registry.make("tricks", name, {})), (TrickUse(name),)


def cases():
    """(part, configuration, tricks) by name."""
    return {
        f"{part} {tried}".strip(): (part, config | GENTLE.get(part, {}), uses) for part, tried, config, uses in parts()
    }


@contextmanager
def float64(nudge=None):
    """Networks compute in float64; what is drawn and augmented stays float32, as runs have it.

    nudge: the seed of one float32 ulp, up or down, for every pixel of every batch.
    """
    prepare, normalised = trainer.prepare, trainer._normalised
    rng = np.random.default_rng(nudge)

    def prepared(*given):
        training = prepare(*given)
        training.model.double().register_forward_pre_hook(lambda _, images: images[0].double())
        training.one_hot = training.one_hot.double()
        return training

    def nudged(training, images):
        exact = normalised(training, images)
        if nudge is None:
            return exact
        return torch.nextafter(exact, torch.from_numpy(rng.choice(np.float32([-np.inf, np.inf]), exact.shape)))

    with (
        mock.patch.object(trainer, "prepare", prepared),
        mock.patch.object(trainer, "_normalised", nudged),
        mock.patch.object(torch.Tensor, "float", torch.Tensor.double),  # the loop's logits
    ):
        yield


def measured(config, tricks, nudge=None):
    with float64(nudge):
        values = trained(config, tricks).values
    return {name: values[name] for name in ("train_loss", "dev_loss")}


def version(part):
    kind, _, name = part.partition(":")
    shelf = {"model": "models", "data": "datasets", "trick": "tricks"}
    return Classify.version if kind == "loop" else Registry().load(shelf[kind], name).version


CASES = cases()


@pytest.mark.parametrize("case", CASES)
def test_a_part_gives_the_numbers_of_its_version(case):
    part, config, tricks = CASES[case]
    golden = json.loads(FILE.read_text())
    assert case in golden, f"{case} is new: record its numbers with `python tests/training/test_golden.py`"
    assert golden[case]["version"] == version(part), f"{part} has a new version: record its numbers"
    assert measured(config, tricks) == pytest.approx(golden[case]["values"], rel=TOLERANCE), (
        f"{part} gives other numbers than its version {version(part)} did. If that is meant, raise its `version`, "
        "so that stored results of the old one are not taken for the new one, and record the new numbers."
    )


def test_no_number_is_kept_for_what_is_gone():
    assert set(json.loads(FILE.read_text())) == set(CASES)


def moves(config, tricks):
    """How far nudges move the numbers, relatively; AssertionError where a loss is not of order one."""
    exact = measured(config, tricks)
    assert all(MODERATE[0] < loss < MODERATE[1] for loss in exact.values()), exact
    nudged = [measured(config, tricks, nudge) for nudge in range(NUDGES)]
    return max(abs(other[name] / loss - 1) for other in nudged for name, loss in exact.items())


def recorded(old):
    """The file anew. Numbers of a version that is recorded stay as they are; others for it are refused, and so are
    new ones that another processor's roundings could move.
    """
    record = {}
    for case, (part, config, tricks) in CASES.items():
        now = {"version": version(part), "values": measured(config, tricks)}
        before = old.get(case)
        if before and before["version"] == now["version"]:
            if now["values"] != pytest.approx(before["values"], rel=TOLERANCE):
                raise SystemExit(f"{case}: other numbers, but still version {now['version']}; raise it first.")
            now = before
        elif (moved := moves(config, tricks)) >= TOLERANCE:
            raise SystemExit(f"{case}: one ulp more in the images moves it by {moved:.0e}; try a gentler training.")
        record[case] = now
    return record


if __name__ == "__main__":
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps(recorded(kept), indent=1) + "\n")
