"""The mean row of a trick that stands in several bases, listed by hand."""

import numpy as np
import pytest

from ablate.analysis import across
from ablate.analysis.bases import MEAN, over_bases
from ablate.analysis.measured import Measured
from ablate.analysis.verdicts import rows
from ablate.records import Metric
from ablate.study.record import RowRecord

NAMES = ("A", "A-bn", "A-mix", "B", "B-bn", "C", "C-bn")
TRICKS = (("bn", "mix"), ("mix",), ("bn",), ("bn",), (), ("bn",), ())


def measured():
    rng = np.random.default_rng(3)
    values = 90 + 0.3 * rng.normal(size=(7, 4))
    values[[1, 4, 6]] -= 2.0
    asked = [
        RowRecord("leave_one_out", name, name[0] if "-" in name else None, (name[2:],) if "-" in name else (), f"- {name[2:]}" if "-" in name else name)
        for name in NAMES
    ]  # fmt: skip
    return Measured(NAMES, TRICKS, (0, 1, 2, 3), {"acc": values}, (4,) * 7, ({},) * 7, tuple(asked), Metric("acc"))


def test_a_trick_in_several_bases_has_the_mean_of_its_differences_and_one_in_a_single_base_none():
    of = measured()
    (mean,) = over_bases(of, rows(of))
    assert ("- bn, in A, B and C", MEAN, "helps") == (mean.label, mean.design, mean.verdict)
    values = of.values["acc"]
    d = np.stack([values[1] - values[0], values[4] - values[3], values[6] - values[5]])
    expected = across.mean(d.mean(axis=1)[None], d.var(axis=1, ddof=1)[None] / 4, np.full((1, 3), 3.0))
    assert [expected.estimate[0], expected.p[0]] == pytest.approx([mean.delta, mean.p])
    assert expected.ci_low[0] == pytest.approx(mean.delta_ci_low)
