"""Runs trained elsewhere: from a file's text to the same tables, and every bad cell by its line and column."""

import json

import called
import pytest

from ablate.analysis import results
from ablate.errors import AblateError
from ablate.runs import importer
from ablate.runs.columns import Columns
from ablate.store.store import Store
from ablate.tables import views


@pytest.fixture
def load(tmp_path):
    """Import a text as the study `s`; gives its results."""
    stores = []

    def loaded(text, replace=False, study="s", **columns):
        file = tmp_path / "runs.csv"
        file.write_text(text)
        asked = Columns(**{"metric": "acc", "better": "higher"} | columns)
        found = importer.read_file(file, asked)
        stores.append(Store.open(tmp_path / "a.db", write=True))
        importer.save(found, stores[-1], study, asked, replace=replace)
        return results.load(stores[-1], study)

    yield loaded
    for store in stores:
        store.close()


def rows(found):
    return {row.variant: row for row in views.table_data(found).rows}


def refusal(text, **columns):
    with pytest.raises(AblateError) as caught:
        importer.read(text, "runs.csv", Columns(**{"metric": "acc", "better": "higher"} | columns))
    return str(caught.value)


# Student 1908, Biometrika 6, the sleep data: R's t.test(paired = TRUE) prints t = -4.0621, df = 9, p-value = 0.002833.
DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
SLEEP = "# Student 1908\ndrug,patient,extra\n" + "".join(
    f"{drug},{i},{x}\n" for drug, sample in (("one", DRUG_1), ("two", DRUG_2)) for i, x in enumerate(sample)
)


def test_shared_seeds_are_pairs(load):
    found = rows(load(SLEEP, variant="drug", baseline="two", seed="patient", metric="extra"))["one"]
    assert ("paired t", 10, 0.002833) == (found.test, found.pairs, round(found.p, 6))
    assert -1.58 == pytest.approx(found.delta)


def test_without_a_seed_column_nothing_is_paired(load):
    # R: t.test(extra ~ group, data = sleep) prints df = 17.776, p-value = 0.07939.
    data = load(SLEEP, variant="drug", metric="extra")
    found = rows(data)["two"]
    assert ("Welch t", 0, 0.07939) == (found.test, found.pairs, round(found.p, 5))
    assert "one" == found.compared_with, "the first label"
    assert any("no seeds, so no pairs" in note for note in views.table_data(data).notes)


def test_means_with_sd_and_n_give_the_same_test_and_intervals_as_their_runs(load):
    import statistics as s

    text = "drug,m,s,k\n" + "".join(
        f"{name},{s.mean(x)!r},{s.stdev(x)!r},10\n" for name, x in (("one", DRUG_1), ("two", DRUG_2))
    )
    summary = rows(load(text, variant="drug", metric="extra", mean="m", sd="s", n="k"))
    single = rows(load(SLEEP, study="t", variant="drug", metric="extra"))
    for name in ("one", "two"):
        a, b = summary[name], single[name]
        assert (a.n, a.planned, a.test, a.verdict) == (b.n, b.planned, b.test, b.verdict)
        for field in ("mean", "std", "ci_low", "ci_high", "delta", "delta_ci_low", "delta_ci_high", "p", "more_seeds"):
            assert getattr(a, field) == (None if getattr(b, field) is None else pytest.approx(getattr(b, field)))


def test_an_sd_may_be_empty_where_n_is_1_and_two_runs_have_no_p(load):
    text = "v,m,s,k\nbase,90,,1\na,91,0.5,2\nb,95,0.1,5\n"
    data = load(text, variant="v", mean="m", sd="s", n="k")
    found = rows(data)
    assert [(1, None), (2, 0.5), (5, 0.1)] == [(found[v].n, found[v].std) for v in ("base", "a", "b")]
    assert [None, None] == [found[v].p for v in ("a", "b")], "the baseline is one run"
    assert any("Only means, standard deviations and n" in note for note in views.table_data(data).notes)
    assert "no standard deviation of n = 1" in refusal(
        text.replace(",,1", ",2,1"), variant="v", mean="m", sd="s", n="k"
    )
    assert "line 3, column s: the cell is empty" in refusal(
        text.replace("0.5", ""), variant="v", mean="m", sd="s", n="k"
    )


# Montgomery, Design and Analysis of Experiments, section 6.2: effects 8.33, -5.00, 1.67.
YIELD = "conc,catalyst,block,acc\n" + "".join(
    f"{a},{b},{i},{y}\n"
    for (a, b), ys in {(0, 0): (28, 25, 27), (1, 0): (36, 32, 32), (0, 1): (18, 19, 23), (1, 1): (31, 30, 29)}.items()
    for i, y in enumerate(ys)
)


def test_factors_name_their_variants_and_have_effects(load):
    data = load(YIELD, factors=("conc", "catalyst"), seed="block")
    assert ["base", "base+conc", "base+catalyst", "full"] == list(rows(data))
    assert {None, "base"} == {row.compared_with for row in rows(data).values()}
    effects = views.view(data, "effects").records + views.view(data, "interactions").records
    assert [8.33, -5.0, 1.67] == [round(effect["estimate"], 2) for effect in effects]
    assert [0.0302, 0.0579] == [round(effect["p"], 4) for effect in effects[:2]], "each by its own three blocks"


def test_effects_work_on_means_alone(load):
    import statistics as s

    cells = {"0,0": (28, 25, 27), "1,0": (36, 32, 32), "0,1": (18, 19, 23), "1,1": (31, 30, 29)}
    text = "a,b,m,s,k\n" + "".join(f"{cell},{s.mean(y)!r},{s.stdev(y)!r},3\n" for cell, y in cells.items())
    data = load(text, factors=("a", "b"), mean="m", sd="s", n="k")
    # Table 6.1, without blocks: P 0.0001 and 0.0024.
    assert [0.0001, 0.0024] == [round(effect["p"], 4) for effect in views.view(data, "effects").records]
    assert [True, True] == [share["se"] > 0 for share in views.view(data, "shapley").records]
    assert 2 == len(views.view(data, "compare").records)


@pytest.mark.parametrize(
    ("off", "on"), [("0", "1"), ("-1", "1"), ("-1", "+1"), ("0.0", "1.0"), ("False", "True"), ("off", "on")]
)
def test_a_factor_may_be_spelt_in_many_ways(off, on):
    found = importer.read(f"a,acc\n{off},1\n{on},2\n", "f", Columns("acc", "higher", factors=("a",)))
    assert {"base": 0, "base+a": 1} == {name: len(choices) for name, choices in found.variants.items()}


def test_a_factor_of_several_levels_has_one_variant_each():
    text = "opt,acc\nnone,1\nadam,2\nnesterov,3\n"
    found = importer.read(text, "f", Columns("acc", "higher", factors=("opt",)))
    assert ["base", "base+opt=adam", "base+opt=nesterov"] == list(found.variants)
    assert "column opt: none of adam or nesterov means off" in refusal(text.replace("none,1\n", ""), factors=("opt",))


def test_a_fraction_without_a_base_compares_with_its_first_line(load):
    text = "a,b,c,acc\n0,0,1,1\n1,0,0,2\n0,1,0,3\n1,1,1,5\n"
    data = load(text, factors=("a", "b", "c"))
    assert "base+c" == data.record.baseline
    assert [["a"], ["b"], ["c"]] == [term["tricks"] for term in views.view(data, "effects").records]


GOOD = "v,s,acc\nbase,0,90.5\na,0,91\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("90.5", "ninety"), "line 2, column acc: 'ninety' is no number"),
        (GOOD.replace("90.5", "n/a").replace("91", "nan"), "no line has a result; acc is n/a in line 2"),
        (GOOD.replace("91", "1e999"), "line 3, column acc: '1e999' is no number"),
        (GOOD.replace("91", "91%"), "line 2, column acc: '90.5' has no percent sign and '91%' in line 3 has"),
        (GOOD.replace("91", "91 ± 2"), "column acc: '91 ± 2' is a mean with a spread; name it by --mean acc"),
        (GOOD.replace("91", "9_1"), "column acc: '9_1'"),
        (GOOD.replace("a,0", "a,0.5"), "line 3, column s: '0.5' is no whole number"),
        (GOOD.replace("a,0", ",0"), "line 3, column v: the cell is empty"),
        (GOOD.replace("a,0", "a\x1b[31m,0"), "column v:"),
        (GOOD + "a,0,92\n", "line 4: variant a with seed 0 stands in line 3 already. Remove one of them; where"),
        (GOOD + "a,1\n", "line 4: 2 cells, but the header names 3"),
        ("# one\n\n# two\n" + GOOD.replace("90.5", "x"), "line 5, column acc"),
        (GOOD.replace("acc", "ac"), "no column is called 'acc'; there is v, s or ac. Did you mean 'ac'?"),
        (GOOD.replace("s,acc", "acc,acc"), "two columns are called 'acc'"),
        (GOOD.replace(",", ";"), "separated by commas"),
        ('v,s,acc\n"base,0,1\n', "no CSV"),
        ("", "no header"),
        ("v,s,acc\n", "no line below"),
        ("v,s,acc\n# nothing\n", "line 2: 1 cells, but the header names 3 columns. If it is a comment, `--comments`"),
        ("#v,s,ac\n" + GOOD[8:], "no column is called 'v'; there is base, 0 or 90.5. Lines above that begin with # (1)"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_at_its_line_and_column(text, said):
    assert said in refusal(text, variant="v", seed="s" if "acc,acc" not in text else None)


def test_every_bad_cell_is_named_at_once():
    said = refusal("v,s,acc\n,x,y\n", variant="v", seed="s")
    assert ["column v", "column s", "column acc"] == sorted(
        (f"column {c}" for c in ("v", "s", "acc") if f"column {c}" in said),
        key=["column v", "column s", "column acc"].index,
    )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "name the variants by --variant COL"),
        ({"variant": "v", "mean": "acc"}, "--sd or --n is missing"),
        ({"variant": "v", "seed": "s", "mean": "a", "sd": "b", "n": "c"}, "--seed"),
        ({"variant": "v", "baseline": "bse"}, "Did you mean 'base'"),
        ({"variant": "v", "seed": "v"}, "named twice"),
    ],
)
def test_options_that_do_not_go_together_say_what_does(columns, said):
    assert said in refusal(GOOD, **columns)


LABELLED = "v,a,acc,cost\nplain,0,1.0,5\nours,1,2.0,\n"


def test_labels_name_what_factors_switch_on_and_further_metrics_have_their_direction(load):
    found = load(LABELLED, variant="v", factors=("a",), also={"cost": "lower"})
    data = views.table_data(found)
    assert [("plain", ()), ("ours", ("a",))] == [(row.variant, row.tricks) for row in data.rows]
    assert [5.0, None] == [row.also["cost"].mean for row in data.rows]
    assert {"cost": "lower"} == data.also


def test_a_label_of_two_combinations_and_a_combination_of_two_labels_are_named():
    said = refusal("v,a,acc\nx,0,1\nx,1,2\ny,0,3\n", variant="v", factors=("a",))
    assert "line 3, column v: 'x' has other factors" in said
    assert "line 4, column v: 'y' has the factors of 'x'" in said


def test_a_quoted_line_that_looks_like_a_comment_is_none():
    found = importer.read('v,s,acc\n"ba\n# se",0,1\nb,0,2\n'.replace("\n# ", " # "), "f", Columns("acc", "higher", "v"))
    assert ["ba # se", "b"] == list(found.variants)


def test_a_bad_file_stores_nothing_and_a_known_study_is_refused_unless_replaced(load, tmp_path):
    load(GOOD, variant="v", seed="s")
    with pytest.raises(AblateError, match="--replace"):
        load(GOOD.replace("91", "93"), variant="v", seed="s")
    with pytest.raises(AblateError, match="nothing was imported"):
        load(GOOD.replace("91", "x"), variant="v", seed="s", replace=True)
    with Store.open(tmp_path / "a.db") as store:
        assert 91.0 == rows(results.load(store, "s"))["a"].mean
    assert 93.0 == rows(load(GOOD.replace("91", "93"), variant="v", seed="s", replace=True))["a"].mean
    assert 91.0 == rows(load(GOOD, variant="v", seed="s", replace=True))["a"].mean, "known lines have their results"


def test_equal_values_are_identical_and_never_inert(load):
    text = "v,s,acc\n" + "".join(f"{v},{s},{90 + s}\n" for v in ("base", "a") for s in range(3))
    found = rows(load(text, variant="v", seed="s"))["a"]
    assert (True, "inconclusive") == (found.identical, found.verdict)


def test_the_commands_import_show_export_and_refuse_to_run(tmp_path):
    def ablate(*words):
        return called.ablate(tmp_path, *words)

    (tmp_path / "runs.csv").write_text(YIELD)
    words = ["import", "runs.csv", "--study", "mine", "--metric", "acc", "--better", "higher"]
    done = ablate(*words, "--factors", "conc,catalyst", "--seed", "block")
    assert (0, "") == (done.returncode, done.stdout), done.stderr
    effects = json.loads(ablate("table", "mine", "--view", "effects", "--format", "json").stdout)["effects"]
    assert [8.33, -5.0] == [round(effect["estimate"], 2) for effect in effects]
    assert 13 == len(ablate("export", "mine").stdout.splitlines())
    done = ablate("plan", "mine")
    assert 2 == done.returncode
    assert "imported from runs.csv" in done.stderr
    done = ablate(*words, "--variant", "conc", "--replace", "--baseline", "7")
    assert 2 == done.returncode
    assert "--baseline is '7'" in done.stderr
