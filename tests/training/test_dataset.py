"""Arrays, their checks and the cache that children share; the two data sets of the shelf."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from ablate.errors import ConfigError, DataError
from ablate.registry import Registry
from ablate.training.dataset import Arrays, load_cached
from ablate.training.datasets.digits import Digits
from ablate.training.datasets.synthetic import Synthetic

FIELDS = (
    "train_images",
    "train_labels",
    "dev_images",
    "dev_labels",
    "test_images",
    "test_ids",
    "class_names",
    "mean",
    "std",
)


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    theirs = {(image.tobytes(), label) for image, label in zip(*load_digits(return_X_y=True), strict=True)}
    arrays = Digits().arrays()
    images = np.concatenate([arrays.train_images, arrays.dev_images])
    labels = np.concatenate([arrays.train_labels, arrays.dev_labels])
    ours = {
        (np.rint(image.reshape(64) / (255 / 16)).astype(float).tobytes(), label)
        for image, label in zip(images, labels, strict=True)
    }
    assert ours <= theirs
    assert len(images) == 1500
    assert arrays.test_images.shape == (297, 8, 8, 1)


def test_a_larger_training_set_keeps_the_images_of_a_smaller_one_and_the_same_dev_images():
    small, large = Digits(train_size=400).arrays(), Digits(train_size=900).arrays()
    assert np.array_equal(large.train_images[:400], small.train_images)
    assert np.array_equal(large.dev_images, small.dev_images)


def test_more_digits_than_there_are_is_a_mistake_in_the_configuration():
    with pytest.raises(ConfigError, match="train_size \\+ dev_size \\+ test_size is 5797; there are 1797 images"):
        Registry().make("datasets", "digits", {"train_size": 5000}, at="data")


def test_mean_and_std_are_of_the_training_images_alone():
    train = np.array([0, 100, 200, 100], np.uint8).reshape(4, 1, 1, 1)
    arrays = Arrays.of((train, np.zeros(4, np.int64)), (train[:1], np.zeros(1, np.int64)), ("only",))
    assert arrays.mean == (100.0,)
    assert arrays.std == (pytest.approx(np.std(train)),)


def test_a_constant_channel_is_not_divided_by_zero():
    train = np.full((4, 2, 2, 1), 7, np.uint8)
    assert Arrays.of((train, np.zeros(4, np.int64)), (train, np.zeros(4, np.int64)), ("only",)).std == (1.0,)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 4, 4, 1), np.float32), np.zeros(2, np.int64), "must be uint8"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int64), r"must be int64 of shape \(2,\)"),
        (np.zeros((0, 4, 4, 1), np.uint8), np.zeros(0, np.int64), "no train images"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 3]), "run from 0 to 3; there are 2 class names"),
    ],
)
def test_arrays_that_no_loop_could_train_on_are_refused(images, labels, message):
    with pytest.raises(DataError, match=message):
        Arrays.of((images, labels), (images, labels), ("a", "b"))


def test_what_comes_from_the_cache_is_what_was_loaded(tmp_path):
    loaded = Digits().arrays()
    assert same(load_cached(Digits(), 1, tmp_path), loaded)
    assert same(load_cached(Digits(), 1, tmp_path), loaded)
    assert isinstance(load_cached(Digits(), 1, tmp_path).train_images, np.memmap)


def test_another_version_of_the_reader_or_another_option_is_another_entry(tmp_path):
    for dataset, code in ((Digits(), 1), (Digits(), 2), (Digits(train_size=400), 1)):
        load_cached(dataset, code, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_writing_to_the_arrays_leaves_the_cache_as_it_is(tmp_path):
    load_cached(Digits(), 1, tmp_path).train_images[:] = 0
    assert load_cached(Digits(), 1, tmp_path).train_images.any()


def load_when_all_are_here(barrier, folder, sums):
    barrier.wait()
    sums.put(int(load_cached(Synthetic(), 1, Path(folder)).train_images.sum()))


def test_children_that_load_at_once_share_one_whole_entry(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, sums = context.Barrier(4), context.Queue()
    children = [context.Process(target=load_when_all_are_here, args=(barrier, tmp_path, sums)) for _ in range(4)]
    for child in children:
        child.start()
    assert {sums.get(timeout=60) for _ in children} == {int(Synthetic().arrays().train_images.sum())}
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("left", [b"", b"half of i"])
def test_a_damaged_entry_of_the_cache_is_told_and_made_anew(tmp_path, capsys, left):
    load_cached(Digits(), 1, tmp_path)
    next(tmp_path.rglob("train_images.npy")).write_bytes(left)
    assert same(load_cached(Digits(), 1, tmp_path), Digits().arrays())
    assert "are made anew" in capsys.readouterr().out
    assert same(load_cached(Digits(), 1, tmp_path), Digits().arrays())
    assert not capsys.readouterr().out


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert same(load_cached(Digits(), 1, tmp_path / "file" / "cache"), Digits().arrays())
    assert "the data cannot be cached" in capsys.readouterr().out
