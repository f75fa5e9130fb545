"""The mean row of a trick that stands in several bases, listed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from ablate.analysis import across, settings
from ablate.analysis.bases import MEAN, over_bases
from ablate.analysis.measured import Measured
from ablate.analysis.verdicts import rows
from ablate.records import Metric
from ablate.study.record import RowRecord
from ablate.tables import views

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


def with_controls():
    """One part, its control and the part against it, in two bases."""
    values = 90 + np.random.default_rng(3).normal(size=(6, 4))
    names = [f"{base}{end}" for base in "AB" for end in ("", "-x", " control")]
    asked = [row for base in "AB" for row in (
        RowRecord("leave_one_out", base, None, (), base),
        RowRecord("leave_one_out", f"{base}-x", base, ("x",), "- x", across="- x"),
        RowRecord("leave_one_out", f"{base} control", base, (), "control of x", kind="control", across="control of x"),
        RowRecord("beyond size", f"{base}-x", f"{base} control", ("x",), "- x", kind="beyond", across="- x"),
    )]  # fmt: skip
    tricks = (("x",), (), ("x",)) * 2
    return Measured(
        tuple(names), tricks, (0, 1, 2, 3), {"acc": values}, (4,) * 6, ({},) * 6, tuple(asked), Metric("acc")
    )


def test_means_of_parts_and_of_parts_against_their_controls_are_families_of_their_own():
    of = with_controls()
    means = over_bases(of, rows(of))
    assert [mean.kind for mean in means] == ["", "beyond"]
    assert [mean.p_adjusted for mean in means] == [mean.p for mean in means]
    (told,) = views._of_means(means)
    assert "over the 2 such rows, which are families of 1 and 1: parts, parts against their controls" in told


def test_rows_over_settings_are_corrected_by_what_they_ask_as_within_one():
    of = with_controls()
    parts = {
        base: replace(of, asked=tuple(row for row in of.asked if row.variant[0] == base)) for base in "AB"
    }  # fmt: skip
    found = settings.over(parts, {base: rows(part) for base, part in parts.items()}, {"A": {}, "B": {}}, {})
    assert found.families == {"": 1, "control": 1, "beyond": 1} == parts["A"].sizes
    assert [row.p_adjusted for row in found.rows] == [row.p for row in found.rows]


def test_with_one_seed_a_mean_over_bases_speaks_of_no_test():
    of = replace(measured(), seeds=(0,), values={"acc": measured().values["acc"][:, :1]}, planned=(1,) * 7)
    (told,) = views._of_means(over_bases(of, rows(of)))
    assert told.endswith("Nothing is tested.")
    assert "Holm" not in told.line
