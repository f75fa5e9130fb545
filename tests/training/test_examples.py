"""What a run got right, packed and unpacked; what does not fit together is refused by name."""

import numpy as np
import pytest

from ablate.errors import DataError
from ablate.training import examples
from ablate.training.examples import ExampleSet, Given

IDS = [f"i{n}" for n in range(8)]
RIGHT = [1, 1, 0, 1, 1, 0, 1, 1]


@pytest.mark.parametrize(("classes", "most"), [(10, 0.51), (256, 1.1), (257, 1.4), (1000, 1.5)])
def test_predicted_classes_come_back_and_take_few_bytes_even_where_they_are_guessed(classes, most):
    draws = np.random.default_rng(0)
    labels, guessed = draws.integers(0, classes, (2, 10_000))
    column = examples.of_classes("accuracy", guessed, labels, classes, 100.0)
    assert (guessed == column.predicted(labels, classes)).all()
    assert 100.0 * (guessed == labels).mean() == pytest.approx(column.values().mean(), abs=1e-9)
    assert len(column.data) < most * 10_000


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e12])
def test_a_loss_of_any_size_keeps_three_digits_from_its_largest_value_to_a_millionth_of_it(scale):
    losses = scale * 10 ** np.linspace(-6, 0, 500)
    column = examples.of_numbers("loss", losses)
    assert 2 * len(losses) == len(column.data)
    assert column.values() == pytest.approx(losses, rel=2**-11, abs=0.0) or scale == 1e-300
    assert not examples.far(column, losses.mean())


def test_a_file_of_examples_is_read_as_it_was_written_and_dropped(tmp_path):
    of_set = ExampleSet(("a", "b"), (0, 1), (), ("cat", "dog"))
    column = examples.of_numbers("loss", np.array([0.5, 2.0]))
    given = examples.Examples(of_set.fingerprint, of_set.text, (column,))
    name = examples.write(given, tmp_path)
    read = examples.read(tmp_path, name)
    assert (given, of_set) == (read, read.whole())
    examples.drop(tmp_path, name)
    assert [] == list(tmp_path.iterdir())
    with pytest.raises(DataError, match="cannot be read"):
        examples.read(tmp_path, name)


def test_an_image_is_found_again_in_another_order_and_its_twin_has_a_name_of_its_own(tmp_path):
    images = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2, 1)
    images, labels = images[[0, 1, 2, 0]], np.array([0, 1, 1, 0])
    one = examples.of_images(images, labels, ("cat", "dog"), tmp_path).whole()
    other = examples.of_images(images[[2, 1]], labels[[2, 1]], ("cat", "dog"), None).whole()
    assert (one.ids[2], one.ids[1]) == other.ids
    assert one.ids[0] + "-2" == one.ids[3]
    assert one == examples.of_images(images, labels, ("cat", "dog"), tmp_path).whole(), "from the file"


@pytest.mark.parametrize(("reported", "factor"), [({"f1": 0.75, "accuracy": 0.75}, 1.0), ({"accuracy": 75.0}, 100.0)])
def test_correct_is_the_first_metric_that_is_its_mean_as_a_share_or_in_percent(reported, factor):
    given = examples.settled(
        Given(IDS, correct=np.array(RIGHT) == 1, loss=[0.5] * 8), {"loss": 0.5, **reported}, ["accuracy"]
    )
    assert [("accuracy", factor), ("loss", pytest.approx(2.0**-15))] == [(c.metric, c.factor) for c in given.columns]
    assert (factor * np.array(RIGHT)).tolist() == given.columns[0].values().tolist()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            Given(IDS, RIGHT),
            r"the mean of `correct` over 8 examples is 0.75 \(in percent 75\), and no metric is that: ",
        ),
        (Given(IDS, loss=[0.1] * 8), "the mean of `loss` over 8 examples is 0.1, and no metric is that: acc 0.7"),
        (Given(IDS, RIGHT[1:]), r"`correct` of the examples has shape \(7,\), and there are 8 ids"),
        (Given(IDS, loss=[float("nan")] * 8), "`loss` of the examples is not finite for 8 of 8"),
        (Given(IDS, loss=["x"] * 8), "`loss` of the examples are no numbers"),
        (Given([*IDS[:7], "i0"], RIGHT), "the id 'i0' stands twice among the 8 ids"),
        (Given(IDS, RIGHT, groups=["p"]), "groups of the examples are 1, and there are 8"),
        (Given([], []), "ids of the examples are 0"),
        (Given(IDS), "neither `correct` nor `loss`"),
    ],
)
def test_examples_that_do_not_fit_are_refused_by_name(given, said):
    with pytest.raises(DataError, match=said):
        examples.settled(given, {"acc": 0.7}, ["acc"])
