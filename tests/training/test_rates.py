"""A learning-rate range test: where a made-up loss falls fastest and is lowest, and that nothing is stored."""

import math

import called
import pytest

from ablate.training.rates import judged, rising


def test_the_rates_rise_by_the_same_factor_from_the_first_to_the_last():
    assert rising(1e-4, 1.0, 5) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])


def test_a_loss_that_falls_once_and_then_grows_is_found_and_ends_the_test():
    rates = rising(1e-5, 10.0, 100)
    losses = [1 + 1 / (1 + (rate / 0.01) ** 2) + (rate / 0.3) ** 2 for rate in rates]
    found = judged(zip(rates, losses, strict=True))
    assert found.ended
    assert len(found.rates) < 100
    assert 0.01 < found.steepest < 0.1 < found.lowest < 0.5


def test_a_loss_that_is_no_number_ends_the_test_and_does_not_count():
    found = judged([(0.1, 2.0), (0.2, 1.0), (0.4, math.nan), (0.8, 0.0)])
    assert (found.rates, found.losses, found.ended) == ((0.1, 0.2), (2.0, 1.0), True)


STUDY = """
base: {model: {name: vgg, width: 2, depth: 1, stages: 1}, data: {name: digits, train_size: 100}, epochs: 1}
tricks: {mixup: }
"""


def test_the_command_prints_a_table_draws_a_figure_and_stores_nothing(tmp_path):
    (tmp_path / "s.yaml").write_text(STUDY)
    done = called.ablate(tmp_path, "lr", "s.yaml", "--steps", "20", "-o", "lr.svg")
    assert done.returncode == 0, done.stderr
    assert "lowest at" in done.stdout
    assert {"s.yaml", "lr.svg"} == {path.name for path in tmp_path.iterdir()}
    wrong = called.ablate(tmp_path, "lr", "s.yaml", "--variant", "bse")
    assert wrong.returncode == 2
    assert "Did you mean 'base'?" in wrong.stderr
