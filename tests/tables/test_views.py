"""What each view says of a study, in every format, and when it refuses."""

import csv
import io
import itertools
import json
import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from plans import bare

from ablate.analysis import sign_flip
from ablate.analysis.measured import Measured
from ablate.analysis.results import Results
from ablate.errors import AblateError
from ablate.records import Metric
from ablate.registry import Registry
from ablate.study.record import RowRecord, TrickRecord, VariantRecord
from ablate.tables import views
from ablate.tables.grid import grid
from ablate.tables.table import TableOptions

NAN = float("nan")
HOSTILE = ("C", "Q", "np", "a-b", "lr*2", "__import__('os')")


def study(
    cells, values, tricks, *, design="factorial", categories=(), rows=None, cells_of=(), provenance=(), pooled=False
):
    """Results of a study: cells are the tricks that are on in each variant; all are compared with the first."""
    names = ["base" if not on else "+".join(on) for on in cells]
    values = np.array(values, float)
    asked = rows or [
        RowRecord(design, name, None if i == 0 else names[0], tuple(sorted({*cells[i]} ^ {*cells[0]})), name)
        for i, name in enumerate(names)
    ]
    measured = Measured(
        variants=tuple(names),
        tricks=tuple(map(tuple, cells)),
        seeds=tuple(range(values.shape[1])),
        values={"acc": values},
        planned=(values.shape[1],) * len(names),
        failures=({},) * len(names),
        asked=tuple(asked),
        metric=Metric("acc"),
        analysis={"error": "pooled"} if pooled else {},
    )
    kinds = itertools.chain(categories, itertools.repeat("other"))
    record = bare(
        "demo",
        tricks=tuple(TrickRecord(name=t, category=k) for t, k in zip(tricks, kinds, strict=False)),
        variants=tuple(VariantRecord(name=name, tricks=on, config={}) for name, on in zip(names, cells, strict=True)),
    )
    return Results("demo", record, measured, tuple(cells_of), dict(provenance))


def factorial(tricks, values=None, seeds=3, **more):
    cells = [
        tuple(t for t, on in zip(tricks, reversed(switched), strict=True) if on)
        for switched in itertools.product((0, 1), repeat=len(tricks))
    ]
    if values is None:
        values = np.random.default_rng(3).normal(size=(len(cells), seeds))
    return study(cells, values, tricks, **more)


def as_json(found, view):
    data = views.view(found, view)
    return json.loads(Registry().make("tables", "json", {}).render(data, TableOptions()))


# Montgomery, Design and Analysis of Experiments, section 6.2 and table 7.1: a 2^2 in three blocks.
YIELD = [[28, 25, 27], [36, 32, 32], [18, 19, 23], [31, 30, 29]]


def test_effects_and_interactions_come_out_as_the_contract_names_them():
    found = factorial(("a", "b"), YIELD)
    effects, interactions = as_json(found, "effects")["effects"], as_json(found, "interactions")["interactions"]
    assert [["a"], ["b"]] == [effect["tricks"] for effect in effects]
    assert [["a", "b"]] == [effect["tricks"] for effect in interactions]
    assert {"tricks", "estimate", "ci_low", "ci_high", "p", "p_adjusted"} <= set(effects[0])
    assert [8.33, -5.0, 1.67] == [round(e["estimate"], 2) for e in effects + interactions]
    assert [0.0302, 0.0579] == [round(e["p"], 4) for e in effects]
    pooled = as_json(factorial(("a", "b"), YIELD, pooled=True), "effects")["effects"]
    assert [0.0004, 0.0053] == [round(e["p"], 4) for e in pooled], "as the book prints them"
    assert effects[0]["p_adjusted"] == pytest.approx(2 * effects[0]["p"]), "Holm over two effects"
    assert interactions[0]["p_adjusted"] == interactions[0]["p"], "a family of its own"


def test_the_notes_of_a_view_state_n_interval_error_and_family():
    notes = " ".join(as_json(factorial(("a", "b"), YIELD), "effects")["notes"])
    for said in ("4 variants, n = 3 each (12 runs), seeds as blocks", "95 % t", "2 degrees", "Holm over the 2 effects"):
        assert said in notes
    notes = " ".join(as_json(factorial(("a", "b"), YIELD), "interactions")["notes"])
    assert "Benjamini and Hochberg over the 1 interactions" in notes
    assert "exploratory" in notes


def test_shapley_values_sum_to_full_minus_base():
    found = as_json(factorial(("a", "b", "c")), "shapley")["shapley"]
    assert ["a", "b", "c"] == [share["trick"] for share in found]
    assert all(share["se"] > 0 for share in found)
    values = np.random.default_rng(3).normal(size=(8, 3)).mean(axis=1)
    assert sum(share["value"] for share in found) == pytest.approx(values[7] - values[0])


LEAVE_ONE_OUT = [("a", "b", "c"), ("b", "c"), ("a", "c"), ("a", "b"), ()]


@pytest.mark.parametrize("view", ["effects", "interactions", "shapley"])
def test_without_a_factorial_a_view_says_what_is_missing_and_what_to_write(view):
    found = study(LEAVE_ONE_OUT, np.arange(15).reshape(5, 3), "abc", design="leave_one_out")
    with pytest.raises(AblateError, match=r"designs: factorial.*lacks a, b, c"):
        views.view(found, view)


def test_a_fraction_has_effects_with_its_aliases_and_no_shapley_values():
    cells = [("c",), ("a",), ("b",), ("a", "b", "c")]
    found = study(cells, [[1, 1.1, 1], [2, 2.1, 2.2], [3, 3.3, 3], [5, 5, 5.1]], "abc", design="fractional")
    effects = as_json(found, "effects")
    assert [{"sign": 1, "tricks": ["b", "c"]}] == effects["effects"][0]["aliases"]
    assert any("a + b × c" in note for note in effects["notes"])
    with pytest.raises(AblateError, match="no full factorial"):
        views.view(found, "shapley")


def test_a_variant_without_any_result_is_named():
    found = factorial(("a", "b"), [[1, 2, 3], [NAN] * 3, [2, 3, 4], [3, 4, 6]])
    with pytest.raises(AblateError, match=r"no result yet of a:"):
        views.view(found, "effects")


def test_one_run_per_variant_is_judged_by_lenth_and_says_so():
    found = as_json(factorial(("a", "b", "c"), seeds=1), "effects")
    assert all(effect["p"] is not None for effect in found["effects"])
    assert any("Lenth" in note for note in found["notes"])


def test_runs_that_are_missing_leave_the_seeds_that_all_variants_have():
    values = np.random.default_rng(3).normal(size=(4, 5))
    values[1, 4] = NAN
    found = as_json(factorial("ab", values), "effects")
    assert any("everything here is of the 4 seeds that all these variants have" in note for note in found["notes"])
    assert found["effects"] == as_json(factorial("ab", values[:, :4]), "effects")["effects"]


def test_four_runs_can_show_nothing_and_say_so():
    found = as_json(factorial(("a", "b"), seeds=1), "effects")
    assert [None, None] == [effect["p"] for effect in found["effects"]]
    assert any("nothing here can be shown" in note for note in found["notes"])


def test_unequal_spreads_are_said_where_errors_are_pooled():
    values = np.random.default_rng(1).normal(size=(4, 8)) * np.array([[1], [1], [9], [1]])
    assert any(
        "Spreads differ by more than 2 x" in note
        for note in as_json(factorial("ab", values, pooled=True), "effects")["notes"]
    )


def test_variants_on_another_base_are_left_out_of_the_factorial_and_named():
    cells = [(), ("a",), ("b",), ("a", "b"), ("a",)]
    found = study(cells, np.random.default_rng(1).normal(size=(5, 3)), "ab")
    *others, last = found.record.variants
    found = replace(found, record=replace(found.record, variants=(*others, replace(last, of="A"))))
    data = as_json(found, "effects")
    assert 2 == len(data["effects"])
    assert any("Not part of it" in note for note in data["notes"])


def test_compare_flags_a_trick_whose_sign_depends_on_the_others():
    noise = np.array([0.0, 0.1, -0.1, 0.05])
    means = [[80], [83], [81], [82]]  # a: +3 alone, +1 with b; b: +1 alone, -1 with a
    wiggle = np.array([[1, 2, 0, 1], [0, 1, 2, 0], [2, 0, 1, 1], [1, 1, 0, 2]]) / 100
    found = as_json(factorial("ab", np.array(means) + noise + wiggle), "compare")["compare"]
    assert ["same", "depends"] == [trick["context"] for trick in found]
    a, b = found
    assert (1, 3, 3) == tuple(round(a[key]["estimate"]) for key in ("leave_one_out", "add_one_in", "cumulative"))
    assert (-1, 1, -1) == tuple(round(b[key]["estimate"]) for key in ("leave_one_out", "add_one_in", "cumulative"))
    assert 0 == round(b["shapley"]["estimate"])
    assert b["shapley"]["se"] > 0


def test_compare_works_on_a_leave_one_out_alone():
    values = [[90, 91, 92], [88, 89, 91], [89, 91, 91], [90, 92, 92], [80, 81, 83]]
    found = as_json(study(LEAVE_ONE_OUT, values, "abc"), "compare")["compare"]
    assert (5 / 3, None, None, None) == (
        pytest.approx(found[0]["leave_one_out"]["estimate"]),
        *(found[0][key] for key in ("add_one_in", "cumulative", "shapley")),
    )


def test_compare_says_the_n_of_its_differences_and_its_csv_has_the_same_columns_in_every_line():
    values = [[90, 91, 92], [88, 89, NAN], [89, 91, 91], [90, 92, 92], [80, 81, 83]]
    shown = views.view(study(LEAVE_ONE_OUT, values, "abc"), "compare")
    assert "n = 2 to 3 seeds for each difference. Fewer than 3 give no interval." in shown.notes
    lines = list(csv.reader(io.StringIO(Registry().make("tables", "csv", {}).render(shown, TableOptions()))))
    assert {len(lines[0])} == {len(line) for line in lines}, "c is the last cumulative step, a and b have none"
    a, c = (dict(zip(lines[0], line, strict=True)) for line in (lines[1], lines[3]))
    assert ("2", "", "3") == (a["leave_one_out_n"], a["cumulative_estimate"], c["cumulative_n"])


def test_compare_and_matrix_use_the_test_that_the_study_declares():
    values = np.array([[90.0] * 6, [91.0, 91, 91, 91, 91, 92]])
    values[1, :5] += 0.01 * np.arange(5)
    found = study([(), ("a",)], values, "a")
    flipped = replace(found, measured=replace(found.measured, analysis={"test": "sign_flip"}))
    low, high = sign_flip.interval(values[1] - values[0], 0.05)
    (of_a,) = as_json(flipped, "compare")["compare"]
    assert (low, high) == (of_a["add_one_in"]["ci_low"], of_a["add_one_in"]["ci_high"])
    assert any("95 % sign-flip interval" in note for note in views.view(flipped, "compare").notes)
    five = replace(flipped.measured, values={"acc": values[:, :5]}, seeds=tuple(range(5)), planned=(5, 5))
    assert ("a", "a") == tuple(views.view(one, "matrix").best.get("acc") for one in (found, flipped))
    assert {} == views.view(replace(flipped, measured=five), "matrix").best, "five pairs show nothing by their signs"


def test_cumulative_has_the_rows_of_that_design_alone_and_their_p_of_the_whole_family():
    rows = [RowRecord("x", "base", None), RowRecord("x", "a+b", "base", ("a", "b"))]
    rows += [RowRecord("cumulative", "base", None), RowRecord("cumulative", "a", "base", ("a",))]
    rows += [RowRecord("cumulative", "a+b", "a", ("b",))]
    found = study([(), ("a",), ("b",), ("a", "b")], YIELD, "ab", rows=rows)
    shown = as_json(found, "cumulative")["rows"]
    assert [("base", None), ("a", "base"), ("a+b", "a")] == [(r["variant"], r["compared_with"]) for r in shown]
    whole = as_json(found, "variants")["rows"]
    assert shown[1]["p_adjusted"] == whole[3]["p_adjusted"]


def test_a_chain_that_was_run_but_not_declared_is_shown_as_exploratory():
    shown = as_json(factorial("ab", YIELD), "cumulative")
    assert [("base", None), ("a", "base"), ("a+b", "a")] == [(r["variant"], r["compared_with"]) for r in shown["rows"]]
    assert "exploratory" in shown["notes"][0]
    with pytest.raises(AblateError, match=r"has not planned a\."):
        views.view(study(LEAVE_ONE_OUT, np.ones((5, 3)), "abc"), "cumulative")


def test_coverage_ticks_the_kinds_of_trick():
    found = study([(), ("bn",), ("bn", "do")], np.ones((3, 3)), ("do", "bn"), categories=("dropout", "batchnorm"))
    assert [
        {"variant": "base", "dropout": [], "batchnorm": []},
        {"variant": "bn", "dropout": [], "batchnorm": ["bn"]},
        {"variant": "bn+do", "dropout": ["do"], "batchnorm": ["bn"]},
    ] == as_json(found, "coverage")["coverage"]
    text = Registry().make("tables", "markdown", {}).render(views.view(found, "coverage"), TableOptions())
    assert "✓ bn" in text


def test_coverage_ends_with_a_line_for_each_rule():
    found = study([(), ("bn",), ("bn", "do")], np.ones((3, 3)), ("do", "bn"), categories=("dropout", "batchnorm"))
    rules = {"tricks_per_variant": 1, "categories_per_variant": 2, "categories_overall": 2, "forbid_data": ["cifar10"]}
    rows = tuple(RowRecord("variants", variant.name, None) for variant in found.record.variants)
    found = replace(found, record=replace(found.record, rules=rules, rows=rows))
    assert [
        "rules: at least 1 tricks: kept (bn 1, bn+do 2).",
        "rules: at least 2 kinds of trick: broken (bn 1, bn+do 2).",
        "rules: at least 2 kinds of trick overall: kept (all 2).",
        "rules: no data of cifar10: kept.",
    ] == [note for note in as_json(found, "coverage")["notes"] if note.startswith("rules")]


def test_what_failed_or_is_missing_stands_under_every_view():
    failed = SimpleNamespace(variant="a", seed=2, run="k", state="failed", reason="oom")
    found = study([(), ("a",)], [[1, 2, 3], [2, 3.5, NAN]], "a", cells_of=[failed])
    for view in ("effects", "compare", "coverage"):
        assert any("a (oom: seed 2)" in note for note in as_json(found, view)["notes"])


@pytest.mark.parametrize("format_", ["markdown", "latex", "html", "csv", "json"])
@pytest.mark.parametrize("view", sorted({*views.VIEWS} - {"classes", *views.OVER_SETTINGS}))
def test_every_view_renders_in_every_format_with_hostile_names_as_text(view, format_):
    found = factorial(HOSTILE, seeds=2)
    text = Registry().make("tables", format_, {}).render(views.view(found, view), TableOptions())
    shown = r"\_\_import\_\_" if format_ == "latex" else "import"
    assert shown in text.replace(r"\allowbreak{}", ""), "where a long text may be broken it says nothing else"
    assert text.endswith("\n")
    if format_ == "json":
        key = "rows" if view in ("variants", "matrix", "cumulative") else view
        assert "__import__('os')" in json.dumps(json.loads(text)[key])
    if format_ == "csv":
        lines = list(csv.reader(io.StringIO(text)))
        assert {len(lines[0])} == {len(line) for line in lines}


NAMES = ("C", "Q", "a_b%", r"\input{x}", "$", "# é 漢 😀")


@pytest.mark.slow
@pytest.mark.parametrize("program", ["pdflatex", "lualatex"])
@pytest.mark.parametrize("view", sorted({*views.VIEWS} - {"classes", *views.OVER_SETTINGS}))
def test_every_view_of_hostile_names_compiles(view, program, tmp_path):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install texlive-latex-recommended texlive-luatex")
    data = views.view(factorial(NAMES, seeds=3), view)
    options = TableOptions(standalone=True, caption="".join(NAMES))
    (tmp_path / "t.tex").write_text(Registry().make("tables", "latex", {}).render(data, options))
    command = [program, "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert 0 == done.returncode, done.stdout[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["pdflatex", "lualatex"])
def test_siunitx_itself_takes_the_numbers(program, tmp_path):
    if shutil.which(program) is None or not subprocess.run(["kpsewhich", "siunitx.sty"], capture_output=True).stdout:
        pytest.skip(f"{program} with siunitx is not installed: apt-get install texlive-science texlive-luatex")
    data = views.view(factorial(("a", "b"), YIELD), "variants")
    text = Registry().make("tables", "latex", {}).render(data, TableOptions(standalone=True))
    (tmp_path / "t.tex").write_text(text)
    command = [program, "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert 0 == done.returncode, done.stdout[-2000:]
    assert "siunitx.sty" in done.stdout


def test_the_matrix_ticks_each_trick_and_makes_only_a_best_bold_that_is_one():
    values = [[1, 1.1, 0.9, 1.0], [2, 2.1, 1.9, 2.0], [3, 3.1, 2.9, 3.05], [9, 9.1, 9.0, 8.9]]
    found = factorial(("a", "b"), values)
    data = views.view(found, "matrix")
    assert {"acc": "a+b"} == data.best
    shown = grid(data, TableOptions(columns=("variant", "a", "b", "acc")))
    ticks = {row[0].text.removesuffix(" ‡"): [cell.text for cell in row[1:3]] for row in shown.groups[0].rows}
    assert {"base": ["", ""], "a": ["✓", ""], "b": ["", "✓"], "a+b": ["✓", "✓"]} == ticks
    assert ["9.000 ± 0.082"] == [cell.text for row in shown.groups[0].rows for cell in row if cell.bold]


def test_a_best_that_one_rival_comes_near_is_not_bold():
    values = [[1, 1.1, 0.9, 1.0], [2, 2.1, 1.9, 2.0], [8.9, 9.1, 9.0, 9.0], [9, 9.1, 9.0, 8.9]]
    assert {} == views.view(factorial(("a", "b"), values), "matrix").best


def test_an_unknown_view_names_the_nearest():
    with pytest.raises(AblateError, match="Did you mean 'effects'"):
        views.view(factorial("ab"), "efects")
