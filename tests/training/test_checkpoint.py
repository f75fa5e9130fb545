"""A training that was cut off ends with the same bits as an unbroken one; a damaged checkpoint falls back."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
import torch

from ablate.errors import PausedError
from ablate.records import RunSpec, TaskUse, TrickUse
from ablate.registry import Registry
from ablate.store.store import Store
from ablate.testing.training import TINY, base_for
from ablate.training import checkpoint
from ablate.training.task import Run
from ablate.training.tasks.classify import Classify

BASE = {**TINY, "epochs": 6}
CLASSIFY = Classify()


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)


def run_of(folder, base=BASE, tricks=()):
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    done = CLASSIFY.complete(base, tricks, Registry())
    spec = RunSpec("", TaskUse.of("classify"), done.config, done.tricks, 0, 1, str(folder), "", metric="dev_accuracy")
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


def test_a_resumed_training_stops_early_and_eases_its_rate_where_an_unbroken_one_does(tmp_path, capfd):
    base = {
        **BASE, "epochs": 9, "schedule": {"name": "plateau", "patience": 0, "threshold": 0.99},
        "early_stopping": {"metric": "dev_loss", "patience": 3, "minimum_delta": 10.0},
    }  # fmt: skip
    unbroken, told = execute(run_of(tmp_path / "a", base))
    assert "stopped after epoch 4 of 9: dev_loss was best after epoch 1" in capfd.readouterr().out
    assert 4 == len(told), "with patience 3 no epoch was better than the first"
    assert told[-1]["lr"] < told[0]["lr"]
    execute(run_of(tmp_path / "b", base), epochs=len(told) - 1)
    assert (unbroken, told) == execute(run_of(tmp_path / "b", base))
    assert [] == checkpoints(tmp_path / "b")


def test_a_resumed_training_tells_of_its_best_epoch_what_an_unbroken_one_tells(tmp_path):
    unbroken, cut, resumed = (run_of(tmp_path / name) for name in "abb")
    for run in (unbroken, cut, resumed):
        run.spec = replace(run.spec, best=True)
    _, told = execute(unbroken)
    execute(cut, epochs=5)
    execute(resumed)
    assert unbroken.per_example == resumed.per_example
    at_best = max(values["dev_accuracy"] for values in told)
    assert {
        ("dev_accuracy", "last"): told[-1]["dev_accuracy"],
        ("dev_accuracy", "best"): at_best,
    } == {(c.metric, c.at): c.values().mean() for c in resumed.per_example.columns if c.metric == "dev_accuracy"}


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
    monkeypatch.setattr(checkpoint, "provenance", lambda: {"torch": "9"})
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


# ------------------------------------------------------------------------------------------- killed, as a user would be

HALTS = """
import os, time
from dataclasses import dataclass
from pathlib import Path
from ablate.training.trick import Trick

@dataclass(frozen=True)
class Halts(Trick):
    at: int = 11

    def after_step(self, memory, model, step):
        there = Path(os.environ["HALTS_IN"])
        with (there / "steps").open("a") as log:
            log.write(f"{step.number}\\n")
        while step.number == self.at and not (there / "go").exists():
            (there / "halted").touch()
            time.sleep(0.01)
"""
STUDY = """
plugins: [plugs]
base:
  model: {name: vgg, width: 4, depth: 1, norm: batch, dropout: 0.2}
  data: {name: synthetic, classes: 4, train_size: 96, dev_size: 64}
  epochs: 5
  batch_size: 32
tricks: {halts: {use: halts}, ema: {use: ema}}
variants: {only: [halts, ema]}
seeds: 1
metric: {name: dev_accuracy}
"""


@pytest.mark.slow
def test_a_training_whose_dispatcher_was_killed_goes_on_in_the_next_run_and_ends_with_the_same_bits(tmp_path):
    (tmp_path / "plugs" / "tricks").mkdir(parents=True)
    (tmp_path / "plugs" / "tricks" / "halts.py").write_text(HALTS)
    (tmp_path / "study.yaml").write_text(STUDY)
    environment = {**os.environ, "ABLATE_CHECKPOINT_S": "0", "HALTS_IN": str(tmp_path)}

    def command(db):
        return [sys.executable, "-m", "ablate", "--db", f"{db}/a.db", "run", "study.yaml", "--no-canary"]

    first = subprocess.Popen(command("killed"), cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    while not (tmp_path / "halted").exists():  # in the fourth of five epochs of three steps
        assert first.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    family = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    psutil.wait_procs(family, timeout=30)
    (tmp_path / "go").touch()
    (tmp_path / "steps").rename(tmp_path / "first")
    for db in ("killed", "unbroken"):
        subprocess.run(command(db), cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE)
        if db == "killed":
            assert "9" == (tmp_path / "steps").read_text().split()[0], "it began again, not after the third epoch"
    found = []
    for db in ("killed", "unbroken"):
        with Store.open(tmp_path / db / "a.db") as store:
            (attempt,) = store.counted("study")
            curve = store.curve_values("study")
            found.append(json.dumps([attempt.outputs, curve], sort_keys=True))
    assert found[0] == found[1]


def test_a_disk_without_room_costs_a_training_its_files_and_nothing_else(tmp_path, monkeypatch, capsys):
    unbroken = execute(run_of(tmp_path / "a"))

    def full(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_whole", full)
    assert unbroken == execute(run_of(tmp_path / "b"))
    said = capsys.readouterr().out
    assert (1, 1) == (said.count("no checkpoint can be written"), said.count("the weights cannot be written"))
    assert [] == list((tmp_path / "b").iterdir())


def test_a_file_that_could_not_be_written_whole_leaves_nothing(tmp_path):
    def half(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        checkpoint.write_whole(tmp_path / "x", half)
    assert [] == list(tmp_path.iterdir())
