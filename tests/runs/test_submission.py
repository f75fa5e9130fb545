"""The submission file: written from trained weights, held against the competition's sample."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ablate.errors import DataError
from ablate.runs.submission import Sample, check, read_sample, render

SAMPLE = Sample(("id", "label"), ("b", "a"), numbers=True)


def write(folder: Path, text: str) -> Path:
    path = folder / "s.csv"
    path.write_text(text)
    return path


def test_ids_stand_in_the_samples_order_whatever_the_data_sets():
    assert "id,label\nb,2\na,1\n" == render({"a": 1, "b": 2}, ("x", "y", "z"), SAMPLE)


def test_a_sample_with_names_gets_names():
    names = Sample(("Image", "Class"), ("a",), numbers=False)
    assert "Image,Class\na,frog\n" == render({"a": 1}, ("cat", "frog"), names)


def test_a_sample_of_other_images_is_refused():
    with pytest.raises(DataError, match=r"1 are missing \('c' for one\), 1 are not in the test set \('b' for one\)"):
        render({"a": 1, "c": 1}, ("x", "y"), SAMPLE)


def test_a_fitting_file_has_nothing_wrong(tmp_path):
    assert [] == check(write(tmp_path, "id,label\nb,0\na,1\n"), SAMPLE, classes=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,class\nb,0\na,1\n", ":1: the header is 'id,class'; the sample's is 'id,label'."),
        ("id,label\nb,0\n", ": 1 rows; the sample has 2."),
        ("id,label\na,0\nb,1\n", ":2: the id is 'a'; the sample has 'b' here."),
        ("id,label\nb,0\na,2\n", ":3: the label is '2'; it must be a whole number from 0 to 1."),
        ("id,label\nb,0\na,-1\n", ":3: the label is '-1'; it must be a whole number from 0 to 1."),
        ("id,label\nb,0\na,1.0\n", ":3: the label is '1.0'; it must be a whole number from 0 to 1."),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path, text, message):
    path = write(tmp_path, text)
    assert [f"{path}{message}"] == check(path, SAMPLE, classes=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("id,label\n", "no row below the header"),
        ("id,label\na,1\na,2\n", "the id 'a' stands in line 2 already"),
        ("id,label\na\n", "1 columns; a submission has two"),
    ],
)
def test_a_broken_sample_is_refused_in_words(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_sample(write(tmp_path, text))


STUDY = """
base: {data: {name: digits, train_size: 400}, model: {name: vgg, width: 8}, epochs: 6}
tricks: {batchnorm: {set: {model.norm: batch}}}
seeds: 2
metric: dev_accuracy
"""


def ablate(folder, *words, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "ablate", *words], cwd=folder, capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == code, done.stderr
    return done


def test_the_best_variants_weights_predict_digits_they_never_saw(tmp_path):
    """The digits data set has 297 test images; its labels are scikit-learn's, so the prediction can be marked here."""
    (tmp_path / "s.yaml").write_text(STUDY)
    ablate(tmp_path, "run", "s.yaml")
    ablate(tmp_path, "predict")
    rows = list(csv.reader((tmp_path / "submission.csv").read_text().splitlines()))
    assert ["id", "label"] == rows[0]
    assert 297 == len(rows) - 1
    ablate(tmp_path, "predict", "--check", "submission.csv")
    single = ablate(tmp_path, "predict", "--seed", "1", "-o", "one.csv")
    assert "predicted 2 times" in single.stderr
    assert "seed 9 of" in ablate(tmp_path, "predict", "--seed", "9", code=2).stderr
    assert "Did you mean 'base+batchnorm'?" in ablate(tmp_path, "predict", "--variant", "base+batchnrm", code=2).stderr
    kept = json.loads(ablate(tmp_path, "table", "--format", "json").stdout)["rows"]
    best = max(kept, key=lambda row: row["mean"])
    assert best["mean"] > 50
    assert agreement(rows, tmp_path) > best["mean"] - 15


def agreement(rows, folder):
    """Accuracy (%) of a submission for the digits data set, against labels found by the images themselves."""
    import numpy as np
    from sklearn.datasets import load_digits

    from ablate.registry import Registry

    arrays = Registry().make("datasets", "digits", {"train_size": 400}).arrays()
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype("uint8")
    label = {image.tobytes(): int(y) for image, y in zip(pixels, digits.target, strict=True)}
    truth = {name: label[image.tobytes()] for name, image in zip(arrays.test_ids, arrays.test_images, strict=True)}
    return 100 * sum(truth[name] == int(given) for name, given in rows[1:]) / len(truth)
