"""A training that was cut off ends with the same bits as an unbroken one; a damaged checkpoint falls back."""

import pickle

import pytest
import torch

from ablate import checkpoint
from ablate.errors import PausedError
from ablate.records import RunSpec, TrickUse
from ablate.registry import Registry
from ablate.task import Run
from ablate.tasks.classify import Classify
from ablate.testing import TINY, base_for

BASE = {**TINY, "epochs": 6}
CLASSIFY = Classify()


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)


def run_of(folder, base=BASE, tricks=()):
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    done = CLASSIFY.complete(base, tricks, Registry())
    spec = RunSpec("", "classify", done.config, done.tricks, 0, 1, str(folder), "", metric="dev_accuracy")
    return Run(spec, Registry())


def execute(run, epochs=None):
    """Execute a run, or its first epochs only; gives hashes and curve."""
    told = []
    for values in CLASSIFY.execute(run):
        told.append(dict(values))
        if len(told) == epochs:
            break
    return run.outputs, told


def checkpoints(folder):
    return sorted(path.name for path in folder.glob("*checkpoint*"))


def test_a_resumed_training_ends_with_the_bits_and_the_curve_of_an_unbroken_one(tmp_path):
    unbroken = execute(run_of(tmp_path / "a"))
    execute(run_of(tmp_path / "b"), epochs=4)
    assert ["checkpoint-000003.pt", "checkpoint-000004.pt"] == checkpoints(tmp_path / "b")
    assert unbroken == execute(run_of(tmp_path / "b"))
    for name in ("best.pt", "last.pt"):
        ours, theirs = (torch.load(tmp_path / folder / name, weights_only=True) for folder in "ab")
        assert all(torch.equal(ours[key], theirs[key]) for key in {*ours, *theirs})
    assert [] == checkpoints(tmp_path / "b")


def test_a_run_that_is_asked_to_pause_leaves_a_checkpoint_and_goes_on_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 1e9)
    unbroken = execute(run_of(tmp_path / "a"))
    training = CLASSIFY.execute(run_of(tmp_path / "b"))
    for _ in range(2):
        next(training)
    with pytest.raises(PausedError):
        training.throw(PausedError("not among the best"))
    assert ["checkpoint-000002.pt"] == checkpoints(tmp_path / "b")
    assert unbroken == execute(run_of(tmp_path / "b"))


@pytest.mark.parametrize("name", sorted(set(Registry().names("tricks")) - {"freeze", "backbone_lr"}))
def test_every_trick_goes_on_from_a_checkpoint_bit_for_bit(tmp_path, name):
    trick = Registry().load("tricks", name)
    base = {**base_for(trick), "epochs": 3}
    use = [TrickUse(name, getattr(trick, "tried_with", {}))]
    unbroken = execute(run_of(tmp_path / "a", base, use))
    execute(run_of(tmp_path / "b", base, use), epochs=2)
    assert checkpoints(tmp_path / "b")
    assert unbroken == execute(run_of(tmp_path / "b", base, use))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop"])
def test_every_optimizer_and_schedule_goes_on_from_a_checkpoint_bit_for_bit(tmp_path, optimizer):
    base = {**BASE, "epochs": 3, "optimizer": {"name": optimizer, "lr": 0.01}, "schedule": {"name": "onecycle"}}
    unbroken = execute(run_of(tmp_path / "a", base))
    execute(run_of(tmp_path / "b", base), epochs=2)
    assert unbroken == execute(run_of(tmp_path / "b", base))


def damaged(data, how):
    middle = len(data) // 2
    return {"truncated": data[:middle], "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]}[how]


@pytest.mark.parametrize("how", ["truncated", "flipped"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_then_to_the_start(tmp_path, how, capsys):
    unbroken = execute(run_of(tmp_path / "a"))
    execute(run_of(tmp_path / "b"), epochs=4)
    newest = tmp_path / "b/checkpoint-000004.pt"
    newest.write_bytes(damaged(newest.read_bytes(), how))
    execute(run_of(tmp_path / "b"), epochs=4)
    said = capsys.readouterr().out
    assert "checkpoint-000004.pt is damaged" in said
    assert "going on after epoch 3" in said
    for path in (tmp_path / "b").glob("checkpoint-*"):
        path.write_bytes(damaged(path.read_bytes(), how))
    assert unbroken == execute(run_of(tmp_path / "b"))


def test_a_checkpoint_of_other_versions_is_not_used(tmp_path, monkeypatch, capsys):
    execute(run_of(tmp_path / "b"), epochs=3)
    monkeypatch.setattr(checkpoint, "_made_with", lambda: {"torch": "9"})
    execute(run_of(tmp_path / "b"), epochs=1)
    assert "made by other versions" in capsys.readouterr().out


def test_a_training_of_less_than_a_minute_writes_none(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 60.0)
    execute(run_of(tmp_path / "a"), epochs=4)
    assert [] == checkpoints(tmp_path / "a")


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_checkpoint_executes_nothing(tmp_path, capsys):
    import hashlib

    run = run_of(tmp_path / "a", {**BASE, "epochs": 1})
    data = pickle.dumps(Evil())
    (tmp_path / "a/checkpoint-000001.pt").write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
    execute(run)
    assert "executed" not in capsys.readouterr().out
