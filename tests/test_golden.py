"""Numbers of every part of ablate that a run's key names: they change only together with the part's `version`.

A run that was done stays done as long as its parts' versions stay. So whoever changes what a part computes raises its
`version` (then old results are asked for anew) and records the new numbers:

    python tests/test_golden.py
"""

import json
from pathlib import Path

import pytest

from ablate.records import TrickUse
from ablate.registry import Registry
from ablate.tasks.classify import Classify
from ablate.testing import TINY, base_for, trained

FILE = Path(__file__).with_name("golden.json")
TOLERANCE = 1e-3  # kinds of CPU round differently; six steps amplify that to about 1e-6, a changed formula to far more

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


def measured(config, tricks):
    values = trained(config, tricks).values
    return {name: values[name] for name in ("train_loss", "dev_loss")}


def version(part):
    kind, _, name = part.partition(":")
    shelf = {"model": "models", "data": "datasets", "trick": "tricks"}
    return Classify.version if kind == "loop" else Registry().load(shelf[kind], name).version


CASES = {f"{part} {tried}".strip(): (part, config, tricks) for part, tried, config, tricks in parts()}


@pytest.mark.parametrize("case", CASES)
def test_a_part_gives_the_numbers_of_its_version(case):
    part, config, tricks = CASES[case]
    golden = json.loads(FILE.read_text())
    assert case in golden, f"{case} is new: record its numbers with `python tests/test_golden.py`"
    assert golden[case]["version"] == version(part), f"{part} has a new version: record its numbers"
    assert measured(config, tricks) == pytest.approx(golden[case]["values"], rel=TOLERANCE), (
        f"{part} gives other numbers than its version {version(part)} did. If that is meant, raise its `version`, "
        "so that stored results of the old one are not taken for the new one, and record the new numbers."
    )


def test_no_number_is_kept_for_what_is_gone():
    assert set(json.loads(FILE.read_text())) == set(CASES)


def recorded(old):
    """The file anew. Numbers of a version that is recorded stay as they are; others for it are refused."""
    record = {}
    for case, (part, config, tricks) in CASES.items():
        now = {"version": version(part), "values": measured(config, tricks)}
        before = old.get(case)
        if before and before["version"] == now["version"]:
            if now["values"] != pytest.approx(before["values"], rel=TOLERANCE):
                raise SystemExit(f"{case}: other numbers, but still version {now['version']}; raise it first.")
            now = before
        record[case] = now
    return record


if __name__ == "__main__":
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps(recorded(kept), indent=1) + "\n")
