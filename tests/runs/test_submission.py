"""The submission file: written from trained weights, held against the competition's sample."""

import csv
import json
import re
from pathlib import Path

import called
import pytest

from ablate.errors import DataError
from ablate.runs.submission import Sample, check, read_sample, render

SAMPLE = Sample(("id", "label"), ("b", "a"), "numbers", ("0",))


def write(folder: Path, text: str) -> Path:
    path = folder / "s.csv"
    path.write_text(text)
    return path


def test_ids_stand_in_the_samples_order_whatever_the_data_sets():
    assert "id,label\nb,2\na,1\n" == render({"a": 1, "b": 2}, ("x", "y", "z"), SAMPLE)


def test_a_sample_with_names_gets_names():
    names = Sample(("Image", "Class"), ("a",), "names", ("cat",))
    assert "Image,Class\na,frog\n" == render({"a": 1}, ("cat", "frog"), names)


def test_a_sample_of_other_images_is_refused():
    with pytest.raises(DataError, match=r"1 are missing \('c' for one\), 1 are not in the test set \('b' for one\)"):
        render({"a": 1, "c": 1}, ("x", "y"), SAMPLE)


def test_a_fitting_file_has_nothing_wrong(tmp_path):
    assert [] == check(write(tmp_path, "id,label\nb,0\na,1\n"), SAMPLE, classes=("x", "y"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,class\nb,0\na,1\n", ":1: the header is 'id,class'; the sample's is 'id,label'."),
        ("id,label\nb,0\n", ": 1 rows; the sample has 2."),
        ("id,label\na,0\nb,1\n", ":2: the id is 'a'; the sample has 'b' here."),
        ("id,label\nb,0\na,2\n", ":3: the label is '2'; it must be a whole number from 0 to 1."),
        ("id,label\nb,0\na,-1\n", ":3: the label is '-1'; it must be a whole number from 0 to 1."),
        ("id,label\nb,0\na,0.5\n", ":3: the label is '0.5'; it must be a whole number from 0 to 1."),
        ("id,label\nb,0\na,\n", ":3: the label is ''; it must be a whole number from 0 to 1."),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path, text, message):
    path = write(tmp_path, text)
    assert [f"{path}{message}"] == check(path, SAMPLE, classes=("x", "y"))


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


def sample_of(tmp_path, labels, ids=("0", "1")):
    return read_sample(write(tmp_path, "id,label\n" + "".join(f"{i},{y}\n" for i, y in zip(ids, labels, strict=True))))


CLASSES = ("cat", "dog", "frog")
PREDICTED = {"0": 2, "1": 0}


@pytest.mark.parametrize(
    ("labels", "last"),
    [(("0", "0"), "0,2"), (("0.0", "2."), "0,2"), (("-1", "-1"), "0,2"), (("cat", "dog"), "0,frog")],
)
def test_labels_are_written_as_the_sample_writes_them(labels, last, tmp_path):
    assert f"id,label\n{last}\n" == render(PREDICTED, CLASSES, sample_of(tmp_path, labels))[: 10 + len(last)]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("", ""), "the sample's labels ('') are neither class numbers nor names; say how with `--labels numbers`"),
        (("0.5", "0.5"), "('0.5') are neither class numbers nor names"),
        (("cat", "1"), "('cat', '1') are neither class numbers nor names"),
        (("1", "3"), "the sample's label '3' is no class; the classes are 0 to 2"),
        (("cat", "dgo"), "the sample's label 'dgo' is no class; the classes are cat, dog or frog. Did you mean 'dog'"),
    ],
)
def test_labels_that_are_no_classes_are_refused_until_somebody_says_how_to_write_them(labels, message, tmp_path):
    sample = sample_of(tmp_path, labels)
    with pytest.raises(DataError) as caught:
        render(PREDICTED, CLASSES, sample)
    assert message in str(caught.value)
    assert "id,label\n0,3\n1,1\n" == render(PREDICTED, CLASSES, sample, labels="from-1")


@pytest.mark.parametrize(
    ("ids", "tests", "way"),
    [
        (("0.jpg", "1.jpg"), ("0", "1"), "stem"),
        (("test/b.png", "test/a.png"), ("b.png", "a.png"), "stem"),
        (("1", "2"), ("0", "1"), "from-1"),
        (("00000", "00001"), ("0", "1"), "number"),
        (("0", "1"), ("0000", "0001"), "number"),
    ],
)
def test_ids_of_another_spelling_are_matched_as_asked_and_the_refusal_says_how(ids, tests, way, tmp_path):
    sample = sample_of(tmp_path, ("0", "0"), ids)
    predicted = {name: i for i, name in enumerate(tests)}
    with pytest.raises(DataError, match=f"`--ids {way}` matches them all"):
        render(predicted, CLASSES, sample)
    assert f"id,label\n{ids[0]},0\n{ids[1]},1\n" == render(predicted, CLASSES, sample, ids=way)


def test_two_ids_that_mean_one_image_match_nothing(tmp_path):
    with pytest.raises(DataError, match="1 are missing"):
        render(PREDICTED, CLASSES, sample_of(tmp_path, ("0", "0"), ("0.jpg", "0.png")), ids="stem")


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [
        ("numbers", "77", "a whole number from 0 to 2"),
        ("numbers", "2.0", ""),
        ("from-1", "0", "a whole number from 1 to 3"),
        ("from-1", "3", ""),
        ("names", "owl", "cat, dog or frog"),
        ("names", "dog", ""),
        ("", "", "a whole number from 0 to 2"),
        ("", "frog", ""),
    ],
)
def test_the_check_knows_the_classes(labels, given, message, tmp_path):
    sample = Sample(("id", "label"), ("b",), labels)
    said = check(write(tmp_path, f"id,label\nb,{given}\n"), sample, CLASSES)
    assert [f"{tmp_path / 's.csv'}:2: the label is {given!r}; it must be {message}."] * bool(message) == said


STUDY = """
base: {data: {name: digits, train_size: 400}, model: {name: vgg, width: 8}, epochs: 6}
tricks: {batchnorm: {set: {model.norm: batch}}}
seeds: 2
metric: dev_accuracy
"""


def ablate(folder, *words, code=0):
    done = called.ablate(folder, *words)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.slow
def test_the_best_variants_weights_predict_digits_they_never_saw(tmp_path):
    """The digits data set has 297 test images; its labels are scikit-learn's, so the prediction can be marked here."""
    (tmp_path / "s.yaml").write_text(STUDY)
    ablate(tmp_path, "run", "s.yaml")
    ablate(tmp_path, "predict")
    rows = list(csv.reader((tmp_path / "submission.csv").read_text().splitlines()))
    assert ["id", "label"] == rows[0]
    assert 297 == len(rows) - 1
    (tmp_path / "sample.csv").write_text(re.sub(r",\d\n", ",0\n", (tmp_path / "submission.csv").read_text()))
    assert "fits sample.csv\n" in ablate(tmp_path, "predict", "--check", "sample.csv").stdout
    both = ablate(tmp_path, "predict", "--check", "submission.csv", "--sample", "sample.csv").stdout
    assert both == "submission.csv fits sample.csv\n"
    itself = ablate(tmp_path, "predict", "--check", "submission.csv", code=2).stderr
    assert "submission.csv is held against itself: --check names the competition's sample" in itself
    (tmp_path / "wrong.csv").write_text((tmp_path / "submission.csv").read_text().replace(",3\n", ",77\n"))
    refused = ablate(tmp_path, "predict", "--check", "submission.csv", "-o", "wrong.csv", code=2).stderr
    assert "the label is '77'; it must be a whole number from 0 to 9" in refused
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
