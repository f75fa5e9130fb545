"""What stays on the disk, as files."""

import json
import shutil

import called
import pytest
import torch

from ablate.figures import source as plots
from ablate.figures.kinds.best_variant import BestVariantFigure
from ablate.runs import retrained
from ablate.store.store import Store
from ablate.store.stored import Kept
from ablate.training.checkpoint import save, tensors_sha256, weights

STUDY = """
base:
  model: {name: vgg, width: 2, stages: 1, depth: 1}
  data: {name: synthetic, classes: 3, train_size: 60, dev_size: 30}
  epochs: 2
  batch_size: 20
  optimizer: {name: sgd, lr: 0.2}
tricks:
  slow: {set: {optimizer.lr: 1e-7}, category: optimization}
  views: {use: test_time_augmentation}
designs: add_one_in
seeds: 1
metric: {name: dev_accuracy, better: higher}
"""


def ablate(folder, *words, code=0):
    done = called.ablate(folder, *words)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def with_weights(folder):
    """(variant, seed) of the runs that have weights."""
    runs = json.loads(ablate(folder, "plan", "mine", "--format", "json"))["runs"]
    with Store.open(folder / "results" / "ablate.db") as store:
        kept = [
            key for key, left in store.kept(run["key"] for run in runs).items() if (left.folder / "last.pt").exists()
        ]
    assert len(kept) == len(list(folder.rglob("last.pt"))), "weights that no counted attempt has"
    return {(run["variant"], run["seed"]) for run in runs if run["key"] in kept}


@pytest.mark.slow
def test_all_keep_their_weights_or_the_best_variant_alone_or_none(tmp_path):
    (tmp_path / "mine.yaml").write_text(STUDY)
    ablate(tmp_path, "run", "mine.yaml")
    assert {("base", 0), ("base+slow", 0), ("base+views", 0)} == with_weights(tmp_path)
    assert "Weights of all 3 runs take" in ablate(tmp_path, "plan", "mine.yaml")
    ablate(tmp_path, "run", "mine.yaml", "--set", "weights=best")
    rows = json.loads(ablate(tmp_path, "table", "--format", "json"))["rows"]
    best = max(rows, key=lambda row: (row["mean"], -len(row["tricks"])))["variant"]
    assert best != "base+slow", "this shows nothing where the hopeless variant is best"
    assert {(best, 0)} == with_weights(tmp_path)
    ablate(tmp_path, "run", "mine.yaml", "--set", "weights=none", "--set", "seeds=2")
    measured = ("base", 1)  # base+views measures it, so its weights are needed
    assert {(best, 0), measured} == with_weights(tmp_path)
    refused = ablate(tmp_path, "predict", "--variant", "base+slow", "--seed", "1", code=2)
    assert "the study says `weights: none`" in refused


@pytest.mark.slow
def test_what_another_study_asks_for_too_stays(tmp_path):
    (tmp_path / "mine.yaml").write_text(STUDY)
    (tmp_path / "other.yaml").write_text(STUDY)
    ablate(tmp_path, "run", "other.yaml")
    ablate(tmp_path, "run", "mine.yaml")  # trains nothing: the same runs
    before = set(tmp_path.rglob("last.pt"))
    assert len(before) == 3
    ablate(tmp_path, "run", "other.yaml", "--set", "weights=best")
    assert before == set(tmp_path.rglob("last.pt"))


def test_the_curves_of_a_variant_that_trained_nothing_are_those_of_the_training_that_it_evaluates(tmp_path):
    (tmp_path / "mine.yaml").write_text(STUDY)
    ablate(tmp_path, "run", "mine.yaml")
    with Store.open(tmp_path / "results" / "ablate.db") as store:
        source = plots.source(store)
    info = BestVariantFigure(variant="base+views").info(source)
    assert ("base with test-time augmentation", "base") == (info.variant, info.trained)
    assert [(1, 2), (1, 2)] == [curve.steps for curve in info.curves]
    assert "The training is that of base, whose final weights base with test-time augmentation evaluates." in (
        plots.draw(source, "best_variant", {"variant": "base+views"}).caption
    )


@pytest.mark.slow
def test_weights_that_are_gone_or_damaged_are_trained_again_and_come_to_the_same_hash(tmp_path):
    (tmp_path / "mine.yaml").write_text(STUDY)
    ablate(tmp_path, "run", "mine.yaml")
    files = {path: tensors_sha256(weights(path)) for path in tmp_path.rglob("*.pt")}
    last = [path for path in files if path.name == "last.pt"]
    last[0].write_bytes(b"")
    last[1].write_bytes(last[1].read_bytes()[:-100])
    shutil.rmtree(last[2].parent)
    assert "the weights of 3 runs are there again" in ablate(tmp_path, "retry", "mine", "--weights")
    assert files == {path: tensors_sha256(weights(path)) for path in tmp_path.rglob("*.pt")}
    assert "no finished run lacks its weights" in ablate(tmp_path, "retry", "mine", "--weights")


def test_weights_that_come_to_another_hash_are_not_put_in_the_place_of_those_that_count(tmp_path):
    (tmp_path / "new").mkdir()
    save({"a": torch.zeros(2)}, tmp_path / "new" / "last.pt")
    assert "another hash" in retrained._put_back(tmp_path / "new", Kept(tmp_path / "old", {"weights": "0" * 64}))
    assert not (tmp_path / "old").exists()
