"""What people write into a cell: crashed runs, percent signs, spreads of means, seeds of pandas, levels that look alike."""

import math

import pytest

from ablate.analysis import results
from ablate.errors import AblateError
from ablate.runs import importer
from ablate.runs.columns import Columns
from ablate.store.store import Store
from ablate.tables import views


def read(text, **columns):
    return importer.read(text, "f", Columns(**{"metric": "acc", "better": "higher", "variant": "v"} | columns))


def refusal(text, **columns):
    with pytest.raises(AblateError) as caught:
        read(text, **columns)
    return str(caught.value)


def ends(text, **columns):
    return [(run.variant, run.values.get("acc"), run.outcome.reason) for run in read(text, **columns).runs]


# ------------------------------------------------------------------------------------------------ runs without a result


@pytest.mark.parametrize(
    ("cell", "reason"), [("", "error"), ("N/A", "error"), ("nan", "diverged"), ("-inf", "diverged"), ("None", "error")]
)
def test_a_run_without_a_number_comes_in_as_failed(cell, reason):
    assert [("base", 90.0, None), ("a", None, reason)] == ends(f"v,s,acc\nbase,0,90\na,0,{cell}\n", seed="s")


def test_a_failed_run_counts_as_planned_and_its_reason_is_told(tmp_path):
    (tmp_path / "f.csv").write_text(
        "v,s,acc\n" + "".join(f"{v},{s},9{s}\n" for v in "ab" for s in range(3)) + "b,3,nan\n"
    )
    asked = Columns("acc", "higher", "v", seed="s")
    with Store.open(tmp_path / "a.db", write=True) as store:
        importer.save(importer.read_file(tmp_path / "f.csv", asked), store, "s", asked)
        row = results.load(store, "s").rows[1]
        assert (4, 3, 1) == (row.planned, row.n, row.failed)
        assert ["acc is nan"] == list(store.failure_messages("s").values())


def test_the_smallest_effect_that_matters_and_what_the_file_leaves_open_reach_the_table(tmp_path):
    text = "v,s,lr,acc\n" + "".join(f"{v},{s},{lr},9{s}.5\n" for v, lr in (("a", 1), ("b", 2)) for s in range(4))
    (tmp_path / "f.csv").write_text(text)
    asked = Columns("acc", "higher", "v", seed="s", minimum_effect=0.25)
    with Store.open(tmp_path / "a.db", write=True) as store:
        importer.save(importer.read_file(tmp_path / "f.csv", asked), store, "s", asked)
        found = results.load(store, "s")
    assert 0.25 == found.measured.metric.minimum_effect
    assert any("were not named: lr (1, 2)" in note for note in views.table_data(found).notes)


STATES = "v,s,acc,state\nbase,0,90,finished\na,0,12,crashed\na,1,91,COMPLETE\na,2,,running\na,3,5,OUT_OF_MEMORY\n"


def test_a_state_decides_whether_a_number_counts():
    assert [("base", 90.0, None), ("a", None, "error"), ("a", 91.0, None), ("a", None, "oom")] == ends(
        STATES, seed="s", state="state"
    )
    assert {"under way": 1} == read(STATES, seed="s", state="state").passed_over
    assert "'finised' is no end of a run such as finished, crashed or running. Did you mean 'finished'?" in refusal(
        STATES.replace("finished", "finised"), seed="s", state="state"
    )


def test_a_history_is_asked_for_its_last_epoch_and_a_bad_cell_is_told_once():
    lines = [f"{v},0,{epoch},{90 + epoch}" for v in "ab" for epoch in (1, 2)]
    assert "one at a time: --where epoch=2" in refusal("\n".join(["v,s,epoch,acc", *lines]), seed="s")
    assert 1 == refusal("v,drop,s,acc\n,,0,1\n,0.1,0,1\n", variant=None, factors=("drop",), seed="s").count(
        "line 2, column drop: the cell is empty"
    )


@pytest.mark.parametrize("order", [("a,1,", "a,1,91"), ("a,1,91", "a,1,")])
def test_a_run_that_crashed_and_was_trained_again_is_one_run(order):
    found = read("\n".join(["v,s,acc", "base,1,90", *order]), seed="s")
    assert [("base", 90.0), ("a", 91.0)] == [(run.variant, run.values["acc"]) for run in found.runs]
    assert {"failed and trained again": 1} == found.passed_over


def test_two_results_of_one_run_are_refused_and_the_column_that_tells_them_apart_is_named():
    text = "v,s,data,acc\nbase,0,cifar,90\nbase,0,svhn,95\na,0,cifar,91\na,0,svhn,96\n"
    assert "line 3: variant base with seed 0 stands in line 2 already. Their data differs; one at a time: --where " in (
        refusal(text, seed="s")
    )
    assert [("base", 95.0, None), ("a", 96.0, None)] == ends(text, seed="s", where=(("data", "svhn"),))
    assert "no line has that; data is cifar, svhn" in refusal(text, seed="s", where=(("data", "mnist"),))


def test_a_column_that_differs_with_the_variant_and_is_not_named_is_told():
    text = "v,s,lr,host,acc\n" + "".join(
        f"{v},{s},{lr},h,{90 + s / 7}\n" for v, lr in (("base", 0.1), ("a", 0.2)) for s in range(4)
    )
    (note,) = read(text, seed="s").notes
    assert note.startswith("Columns that differ between lines and were not named: lr (0.1, 0.2). ")


def test_an_empty_label_is_what_the_user_says_it_is():
    text = "v,acc\n,90\nbatch,91\n"
    assert "line 2, column v: the cell is empty; --empty WORD says what such a cell means" in refusal(text)
    assert ["none", "batch"] == list(read(text, empty="none").variants)
    assert {"base": 0, "base+v=batch": 1} == {
        name: len(on) for name, on in read(text, variant=None, factors=("v",), empty="none").variants.items()
    }


# ------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("cell", ["-1.2%", "-1.2 %", "−1.2%", r"$-1.2\%$"])
def test_a_percent_sign_and_a_typeset_minus_are_read(cell):
    assert [("base", -1.2, None), ("a", 2.0, None)] == ends(f"v,acc\nbase,{cell}\na,2%\n")


@pytest.mark.parametrize(
    ("seed", "stored"), [("0.0", 0), ("3.", 3), ("18446744073709551615", -1), ("9223372036854775807", 2**63 - 1)]
)
def test_seeds_of_pandas_and_of_64_bits_are_read(seed, stored):
    assert [stored] == [run.seed for run in read(f"v,s,acc\nbase,{seed},1\n", seed="s").runs]


@pytest.mark.parametrize("seed", ["0.5", "18446744073709551616", "1e3", "x", ""])
def test_what_is_no_seed_is_refused(seed):
    assert "line 2, column s:" in refusal(f"v,s,acc\nbase,{seed},1\n", seed="s")


# A mean of 91.2 over 4 runs with sd 0.4: standard error 0.2, 95 % interval 91.2 +- 3.1824 * 0.2 (t table, 3 df).
@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("sd", "91.2,0.4"),
        ("se", "91.2,0.2"),
        ("ci", "91.2,0.63649"),
        ("ci", '91.2,"[90.56351, 91.83649]"'),
        ("ci", "91.2,90.56351–91.83649"),
    ],
)
def test_a_spread_is_turned_into_the_standard_deviation_of_single_runs(kind, cells):
    (run,) = read(f"v,m,x,k\nbase,{cells},4\n", mean="m", n="k", **{kind: "x"}).runs
    assert (91.2, 4.0) == (run.values["acc"], run.values["acc (n)"])
    assert 0.4 == pytest.approx(run.values["acc (sd)"], abs=1e-5)


@pytest.mark.parametrize(
    "cell", ["91.2 ± 0.4", "91.2±0.4", r"$91.2 \pm 0.4$", "91.2 +/- 0.4", "91.2 (0.4)", "91.2% ± 0.4%"]
)
def test_a_mean_and_its_spread_may_stand_in_one_cell(cell):
    (run,) = read(f"v,m\nbase,{cell}\n", mean="m", sd="m", n="4").runs
    assert {"acc": 91.2, "acc (sd)": 0.4, "acc (n)": 4.0} == run.values


def test_an_interval_that_is_not_even_about_its_mean_gives_no_standard_deviation():
    said = refusal('v,m,x\nbase,91.2,"[90, 91.3]"\n', mean="m", ci="x", n="4")
    assert "column x: '[90, 91.3]' does not lie evenly about 91.2" in said


def test_a_row_of_a_paper_without_n_is_one_number_and_one_without_a_mean_is_none():
    found = read("v,m,x,k\nbase,90,1,5\na,91,1,\nb,-,-,-\n", mean="m", sd="x", n="k")
    assert [{"acc": 90.0, "acc (sd)": 1.0, "acc (n)": 5.0}, {"acc": 91.0, "acc (n)": 1.0}] == [
        run.values for run in found.runs
    ]
    assert {"without m": 1} == found.passed_over
    assert ("1 line without n: such a mean stands as one number, without spread or test.",) == found.notes


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"mean": "m", "sd": "x", "se": "x", "n": "4"}, "three ways to give one thing"),
        ({"mean": "m", "n": "4"}, "--mean, --sd (or --se, --ci) and --n go together; --sd is missing"),
        ({"minimum_effect": math.nan}, "--minimum-effect is nan; it must be a number above 0"),
        ({"state": "stat"}, "no column is called 'stat'"),
    ],
)
def test_options_that_do_not_fit_say_what_does(columns, said):
    assert said in refusal("v,acc,m,x\nbase,1,2,3\n", **columns)


# ---------------------------------------------------------------------------------------------------- labels and levels


@pytest.mark.parametrize(
    ("one", "other"), [("0.1", "0.10"), ("1e-1", "0.1"), ("caf\xe9", "cafe\u0301"), ("a b", "a\xa0b"), ("a", " a")]
)
def test_labels_and_levels_that_cannot_be_told_apart_are_refused_by_line(one, other):
    said = f"line 4, column v: {other!r} reads like {one!r} in line 3; write them alike"
    assert said in refusal(f"v,acc\nnone,1\n{one},2\n{other},3\n")
    assert said in refusal(f"v,acc\nnone,1\n{one},2\n{other},3\n", variant=None, factors=("v",))


OPT = "v,opt,acc\nplain,sgd,1\nours,adam,2\nmore,nesterov,3\n"


def test_the_baseline_says_which_level_of_a_factor_is_off():
    found = read(OPT, variant=None, factors=("opt",), baseline="opt=sgd")
    assert (["base", "base+opt=adam", "base+opt=nesterov"], "base") == (list(found.variants), found.baseline)
    assert "none of sgd, adam or nesterov means off" in refusal(OPT, variant=None, factors=("opt",))
    assert "--baseline opt=sgd" in refusal(OPT, variant=None, factors=("opt",))
    assert "Did you mean 'sgd'?" in refusal(OPT, variant=None, factors=("opt",), baseline="opt=sdg")


def test_the_variant_that_the_baseline_labels_says_it_too():
    found = read(OPT, factors=("opt",), baseline="ours")
    assert {"plain": ["opt=sgd"], "ours": [], "more": ["opt=nesterov"]} == {
        name: list(map(str, on)) for name, on in found.variants.items()
    }
