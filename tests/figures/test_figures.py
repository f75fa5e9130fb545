"""What each figure shows (its info), and that paper and screen draw all of it."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import called
import pytest
from browser import CHROMIUM, browser
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from test_tables import row
from test_views import YIELD, factorial

from ablate.analysis import results
from ablate.errors import FigureError
from ablate.figures import files, glyphs, inline, paper, screen
from ablate.figures import source as plots
from ablate.figures.figure import Curve, SeedCurve, Source
from ablate.figures.scene import Label, Series
from ablate.figures.source import curve
from ablate.registry import Registry
from ablate.store.store import Store
from ablate.tables import factorials
from ablate.terminal import cli
from ablate.testing.figures import SOURCE
from ablate.text import shortened


def info(name, source, **params):
    return Registry().make("figures", name, params).info(source)


def source(*rows, values=None, **more):
    return Source("demo", "acc", "higher", (0, 1, 2), rows, {"acc": values or {}}, **more)


def compared(variant, delta, half=0.5, **more):
    at = {"delta": delta, "delta_ci_low": delta - half, "delta_ci_high": delta + half, "pairs": 3, "verdict": None}
    return row(variant, "full", **(at | more))


# -------------------------------------------------------------------------------------------------------------- effects


def test_effects_are_the_tables_own_numbers():
    found = info("effects", source(row("full"), compared("base", -3.5, 0.6, verdict="helps", p_adjusted=2e-6)))
    (only,) = found.rows
    assert ("base", -3.5, -4.1, -2.9, "helps") == (only.label, only.delta, only.low, only.high, only.verdict)


def test_a_row_of_two_pairs_has_no_interval_and_no_verdict():
    two = compared(
        "base", -3.5, pairs=2, delta_ci_low=None, delta_ci_high=None, p_adjusted=None, verdict="inconclusive"
    )
    (only,) = info("effects", source(row("full"), two)).rows
    assert (None, None, "n < 3: no interval") == (only.low, only.high, only.verdict)


def test_a_difference_without_spread_has_no_interval_and_the_caption_says_why():
    flat = compared("base", -3.5, delta_ci_low=None, delta_ci_high=None, p_adjusted=None, verdict="inconclusive")
    flat = replace(flat, no_spread=True)
    assert "no difference varies" in plots.draw(source(row("full"), flat), "effects").caption
    few = replace(flat, pairs=2)
    assert "for which it takes three" in plots.draw(source(row("full"), few), "effects").caption


def test_one_wild_row_does_not_squeeze_the_others_and_its_arrows_are_explained():
    rows = [compared(f"r{i}", 0.1 * i) for i in range(5)]
    wild = source(row("full"), *rows, compared("wild", -11.0, 40.0))
    scene = plots.draw(wild, "effects")
    axis = scene.panels[0].x
    assert -14 < axis.low < -11
    assert axis.high < 4
    assert ["left", "right"] == [
        mark.marker for mark in scene.panels[0].marks if isinstance(mark, Series) and not mark.low
    ]
    assert "Arrows" in scene.caption
    assert "Arrows" not in plots.draw(source(row("full"), *rows), "effects").caption


def test_of_many_rows_the_decided_and_the_largest_stay_and_the_caption_counts_the_others():
    rows = [compared(f"r{i}", 0.1 * i, verdict="inconclusive") for i in range(9)]
    rows[1] = replace(rows[1], verdict="hurts", p_adjusted=0.01)
    found = info("effects", source(row("full"), *rows), limit=3)
    assert ["r1", "r7", "r8"] == [one.label for one in found.rows]
    assert "3 most telling of 9" in plots.draw(source(row("full"), *rows), "effects", {"limit": 3}).caption


def test_rows_that_share_no_seed_are_said_to_be_differences_of_means():
    alone = plots.draw(source(row("full"), compared("base", -3.5, pairs=0, test="Welch t")), "effects")
    assert "which share no seed" in alone.caption
    assert "base (n=10)" == alone.panels[0].y.ticks[0][1]


def test_failed_collapsed_and_missing_rows_are_named():
    caption = plots.draw(SOURCE, "effects").caption
    assert "failed runs are left out of the means: - 100% _under" in caption
    assert "▲ collapsed" in caption
    assert "Without a result: ]]>" in caption


@pytest.mark.parametrize(
    ("name", "params", "complaint"),
    [
        ("effects", {}, "compared with another"),
        ("learning_curves", {}, "nothing is reported by step"),
        ("best_variant", {}, "no variant is best yet"),
        ("interactions", {}, "a factorial"),
        ("pareto", {}, "no run of demo reports parameters, flops or train_seconds"),
        ("depth", {}, "needs parts with controls"),
        ("pareto", {"cost": "acc"}, "the metric itself"),
        ("seeds", {}, "no finished run of demo has a value of 'acc'"),
        ("tuning", {}, "has not been tuned"),
        ("effects", {"variants": ["ful"]}, "Did you mean 'full'"),
    ],
)
def test_a_figure_that_does_not_apply_says_why(name, params, complaint):
    with pytest.raises(FigureError, match=complaint):
        plots.draw(source(row("full"), no_interactions="it takes a factorial"), name, params)


# --------------------------------------------------------------------------------------------------------------- curves


def test_a_failed_run_is_carried_along_and_in_no_mean():
    points = {0: ([1, 2], [10.0, 20.0]), 1: ([1, 2], [12.0, 24.0]), 2: ([1], [0.0])}
    found = curve("full", "acc", points, {2: "diverged"})
    assert (11.0, 22.0) == found.mean
    assert (2, 2) == found.n
    assert (10.0, 12.0) == (found.low[0], found.high[0]), "two seeds: their range"
    assert SeedCurve(2, (1,), (0.0,), "diverged") == found.seeds[2]
    scene = plots.draw(source(row("full"), curves={"acc": {"full": found}}), "learning_curves")
    assert "a run failed" in {mark.label for mark in scene.legend}
    assert "full seed 2" in scene.caption


def test_the_band_is_the_t_interval_of_the_mean():
    found = curve("full", "acc", {seed: ([1], [float(seed)]) for seed in range(5)}, {})
    half = 2.7764451051977987 * math.sqrt(2.5) / math.sqrt(5)  # t(0.975, 4) by a table
    assert (2.0, 2.0 - half, 2.0 + half) == pytest.approx((found.mean[0], found.low[0], found.high[0]))


def test_of_more_rows_than_panels_the_decided_and_the_best_are_drawn_each_against_its_base():
    rows = [row("full"), *(compared(f"r{i}", -0.1 * i, mean=90 - 0.1 * i) for i in range(40))]
    rows[36] = replace(rows[36], verdict="hurts")
    flat = {one.variant: Curve(one.variant, "acc", (1,), (3,), (1.0,), (None,), (None,)) for one in rows}
    found = info("learning_curves", source(*rows, curves={"acc": flat}, best="r0"))
    assert [*(f"r{i}" for i in range(23)), "r35"] == [one.variant for one in found.rows]
    assert {"full"} == {one.base.variant for one in found.rows}, "which has no panel of its own"
    assert 16 == found.left_out


def test_curves_share_an_axis_that_holds_the_second_half_of_the_training():
    steps = (1, 2, 3, 4)
    rising = Curve("full", "acc", steps, (3,) * 4, (10.0, 80.0, 88.0, 90.0), (None,) * 4, (None,) * 4)
    found = info("learning_curves", source(row("full"), curves={"acc": {"full": rising}}))
    assert (79.4, 90.6) == pytest.approx((found.low, found.high))
    assert (
        "what lies beyond it is cut"
        in plots.draw(source(row("full"), curves={"acc": {"full": rising}}), "learning_curves").caption
    )


def test_a_curve_at_100_percent_is_not_cut_by_the_frame():
    full = Curve("full", "acc", (1, 2, 3), (3,) * 3, (60.0, 98.0, 100.0), (None,) * 3, (None,) * 3)
    found = info("learning_curves", source(row("full"), curves={"acc": {"full": full}}, units={"acc": "%"}))
    assert 100 + 0.03 * (100 - found.low) < found.high < 102
    found = source(row("full"), curves={"acc": {"full": full}}, units={"acc": "%"}, best="full")
    drawn = plots.draw(found, "best_variant")
    assert 90 < drawn.panels[0].y.low < 98, "the first epoch would squeeze the others"
    assert 100 < drawn.panels[0].y.high < 101
    assert "the second half of the training" in drawn.caption


@pytest.mark.parametrize("name", ["best_variant", "learning_curves"])
def test_the_only_seed_is_one_line_with_one_name(name):
    only = SeedCurve(0, (1, 2), (1.0, 2.0))
    full = Curve("full", "acc", (1, 2), (1, 1), (1.0, 2.0), (None,) * 2, (None,) * 2, (only,))
    scene = plots.draw(source(row("full"), curves={"acc": {"full": full}}, best="full"), name)
    assert ["one seed"] == [mark.label for panel in scene.panels for mark in panel.marks]


def test_of_six_seeds_the_band_is_drawn_and_no_single_one_though_one_failed_and_an_inert_row_is_called_so():
    runs = tuple(SeedCurve(seed, (1, 2), (80.0, 90.0), "diverged" if seed == 5 else "") for seed in range(6))
    six = Curve("full", "acc", (1, 2), (5, 5), (80.0, 90.0), (79.0, 89.0), (81.0, 91.0), runs)
    rows = (row("full"), compared("base", 0.0, verdict="inert"))
    scene = plots.draw(
        source(*rows, curves={"acc": {"full": six, "base": replace(six, variant="base")}}), "learning_curves"
    )
    assert ["its base", "inert", "a run failed"] == [mark.label for mark in scene.legend]
    assert "the shaded band" in scene.caption
    assert [True] == [mark.band for mark in scene.panels[0].marks if isinstance(mark, Series) and mark.low]


# ------------------------------------------------------------------------------------------------- seeds, cost, factorial


def test_collapsed_seeds_stand_at_the_edge_with_their_value():
    values = {"full": (90.0, 91.0, 92.0), "base": (89.0, 88.0, 10.0)}
    found = source(row("full"), compared("base", -3, collapsed=(2,)), values=values)
    assert (88.0, 92.0) == (info("seeds", found).low, info("seeds", found).high)
    marks = plots.draw(found, "seeds").panels[0].marks
    assert ["10 (seed 2)"] == [mark.text for mark in marks if isinstance(mark, Label)]
    values |= {"base": (89.0, 11.5, 10.0)}
    fallen = source(row("full"), compared("base", -3, collapsed=(1, 2)), values=values)
    texts = [mark.text for mark in plots.draw(fallen, "seeds").panels[0].marks if isinstance(mark, Label)]
    assert ["10 to 11.5 (seeds 1 and 2)"] == texts, "one text, for two would lie on each other"


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=12), st.booleans())
def test_the_front_is_what_no_other_variant_beats_in_both(found, higher):
    rows = [row(f"v{i}", mean=float(value)) for i, (_, value) in enumerate(found)]
    costs = {f"v{i}": (float(cost),) * 3 for i, (cost, _) in enumerate(found)}
    study = replace(source(*rows), better="higher" if higher else "lower")
    points = info("pareto", replace(study, values={"parameters": costs})).points
    sign = 1 if higher else -1
    for point in points:
        beaten = any(
            other.cost <= point.cost
            and sign * other.value >= sign * point.value
            and (other.cost, other.value) != (point.cost, point.value)
            for other in points
        )
        assert point.front != beaten or (not point.front and _twin(point, points))


def _twin(point, points):
    return any(o.front and (o.cost, o.value) == (point.cost, point.value) for o in points)


def test_the_quarters_of_an_interaction_plot_give_the_estimate():
    (pair,) = factorials.interactions_of(factorial(("a", "b"), YIELD))
    mean = {(q.first, q.second): q.mean for q in pair.quarters}
    assert {(False, False): 80 / 3, (True, False): 100 / 3, (False, True): 20, (True, True): 30} == pytest.approx(mean)
    gain = {on: mean[True, on] - mean[False, on] for on in (True, False)}
    assert (gain[True] - gain[False]) / 2 == pytest.approx(pair.estimate)
    assert 5 / 3 == pytest.approx(pair.estimate), "Montgomery, section 6.2: AB = 1.67"


def test_the_best_so_far_of_a_search_never_gets_worse():
    found = info("tuning", SOURCE)
    assert sorted(found.best) == list(found.best)
    assert ("<script>alert('ran')</script>", "$x^2$ and $") == found.sliced[:2], "the most important first"


def test_the_default_cost_is_the_first_that_differs():
    rows = [row("full"), compared("base", -1)]
    costs = {"parameters": {"full": (100.0,) * 3, "base": (101.0,) * 3}}
    times = {"train_seconds": {"full": (3.0,) * 3, "base": (2.0,) * 3}}
    assert "train seconds" == info("pareto", replace(source(*rows), values={**costs, **times})).cost
    costs["parameters"]["base"] = (50.0,) * 3
    assert "parameters" == info("pareto", replace(source(*rows), values={**costs, **times})).cost


def test_rows_of_several_bases_have_their_curves_under_a_heading_each():
    rows = [row("A"), compared("A-x", -1, label="- x"), row("B")]
    rows += [replace(compared(f"B-{name}", -1, label=f"- {name}"), compared_with="B") for name in "xy"]
    rows[1] = replace(rows[1], compared_with="A")
    flat = {one.variant: Curve(one.variant, "acc", (1,), (3,), (1.0,), (None,), (None,)) for one in rows}
    panels = plots.draw(source(*rows, curves={"acc": flat}), "learning_curves")
    assert [("A", "○ − x"), ("B", "○ − x"), ("B", "○ − y")] == [(one.group, one.title) for one in panels.panels]
    assert [1, 2] == [len(line) for line in panels.rows(4)]


def test_a_title_has_a_colour_only_where_it_begins_with_a_sign():
    rows = [row("full"), compared("full-x", -1, label="- x", verdict="helps")]
    curves = {one.variant: Curve(one.variant, "acc", (1,), (3,), (1.0,), (None,), (None,)) for one in rows}
    for names, title, colour in ((("full", "full-x"), "● − x", "blue"), (("full-x",), "− x", "ink")):
        found = source(*rows, curves={"acc": {name: curves[name] for name in names}})
        (panel,) = plots.draw(found, "learning_curves").panels
        assert (title, colour) == (panel.title, panel.colour)


def test_every_mark_on_the_front_is_named_beside_it_and_no_name_lies_on_another():
    rows = [row("full"), *(compared(f"row {i}", -1, mean=90.0 + i % 7) for i in range(30))]
    costs = {one.variant: (100.0 + 37 * i % 101,) * 3 for i, one in enumerate(rows)}
    found = replace(source(*rows), values={"parameters": costs})
    labels = [mark for mark in plots.draw(found, "pareto").panels[0].marks if isinstance(mark, Label)]
    front = {point.label for point in info("pareto", found).points if point.front}
    assert front <= {label.text for label in labels}
    assert len({(label.x, label.y, label.side) for label in labels}) == len(labels) < len(rows)


def test_a_front_speaks_of_bars_and_of_a_line_only_where_they_are_drawn():
    barred = {"ci_low": 89.0, "ci_high": 93.0}
    for count, dear, said in (
        (3, True, ("bars", "Line")),
        (20, True, ("Line",)),
        (3, False, ("bars", "No other beats")),
    ):
        rows = [row("full", **barred), *(compared(f"row {i}", -1, mean=60.0 + i, **barred) for i in range(count))]
        costs = {one.variant: (200.0 if dear and one is rows[0] else 100.0 + (one is not rows[0]),) * 3 for one in rows}
        drawn = plots.draw(replace(source(*rows), values={"parameters": costs}), "pareto")
        series = [mark for mark in drawn.panels[0].marks if isinstance(mark, Series)]
        assert ("bars" in said) == any(mark.low for mark in series)
        assert ("Line" in said) == any(mark.dash for mark in series)
        assert said == tuple(word for word in ("bars", "Line", "No other beats") if word in drawn.caption)
    bare = replace(source(*(replace(one, ci_low=None, ci_high=None) for one in rows)), values={"parameters": costs})
    assert "bars" not in plots.draw(bare, "pareto").caption


def test_energy_says_where_only_one_kind_of_counter_was_read():
    rows = [row("full"), compared("base", -1)]
    took = {"energy_kwh": {"full": (3.0,) * 3, "base": (2.0,) * 3}}
    found = replace(source(*rows), spent=lambda: took, metered=lambda: "processors")
    caption = plots.draw(found, "pareto", {"cost": "energy_kwh"}).caption
    assert "Energy is that of processors alone" in caption


def test_what_runs_took_is_a_cost_too():
    rows = [row("full"), compared("base", -1)]
    took = {"energy_kwh": {"full": (3.0, None, 5.0), "base": (2.0,) * 3}}
    found = info("pareto", replace(source(*rows), spent=lambda: took), cost="energy_kwh")
    assert {"full": 4.0, "base": 2.0} == {point.variant: point.cost for point in found.points}


# ------------------------------------------------------------------------------------------------------------- drawings


@given(st.lists(st.text(max_size=40), max_size=8), st.integers(5, 20))
def test_names_that_differ_stay_different_when_they_are_shortened(names, most):
    short = shortened(names, most)
    assert len(set(names)) == len(set(short))


@given(st.text(max_size=30), st.floats(30, 200))
def test_any_text_is_drawn_with_one_font_and_fits(name, points):
    drawn = glyphs.drawable(name)
    assert "\n" not in drawn
    (fits,) = glyphs.fitted([name], points, 7)
    assert glyphs.text_width(fits, 7) <= points or len(fits) <= 8


def test_plotly_knows_every_property_that_is_set():
    from plotly.graph_objects import Figure

    for name in Registry().names("figures"):
        for narrow in (False, True):
            Figure(screen.figure(plots.draw(SOURCE, name), narrow=narrow))  # raises on an unknown one


@pytest.mark.parametrize("name", Registry().names("figures"))
def test_a_page_draws_every_figure_well_formed_inside_its_panels_and_no_name_as_markup(name):
    made = inline.figure(plots.draw(SOURCE, name), Registry().make("tables", "html", {}).text)
    drawing = ElementTree.fromstring(made)
    assert drawing.get("aria-label")
    assert {"div", "svg", "g", "path", "circle", "line", "rect", "text", "span", "i", "ul", "li", "a", "h3"} >= {
        element.tag for element in drawing.iter()
    }
    for path in drawing.iter("path"):
        points = [float(number) for number in re.findall(r"-?[\d.]+", path.get("d"))]
        assert all(-1500 < number < 2500 for number in points), "an interval may leave its panel, but not far"


def test_a_long_curve_keeps_every_extreme_of_a_column_its_ends_and_its_breaks():
    y = [math.sin(i / 50) for i in range(5000)]
    y[1234], y[3001] = 9.0, -9.0
    line = Series(tuple(map(float, range(5000))), (*y[:4000], None, *y[4001:]), dash="solid", every=1000, first=300)
    low, high = tuple(v - 1 for v in y), tuple(v + 1 for v in y)
    thin = replace(line, low=low, high=high, band=True, hover=tuple(map(str, range(5000)))).thinned(100)
    assert {9.0, -9.0, None, y[0], y[-1]} <= set(thin.y)
    assert ({10.0}, {-10.0}) == ({10.0} & set(thin.high), {-10.0} & set(thin.low))
    assert (True, list(map(float, thin.hover))) == (200 <= len(thin.x) <= 602, list(thin.x))
    marked = [thin.x[i] for i in range(thin.first, len(thin.x), thin.every)]
    assert all(abs(at - meant) < 200 for at, meant in zip(marked, range(300, 5000, 1000), strict=True))
    for i in range(100):
        part = y[50 * i : 50 * i + 50]
        assert {min(part), max(part)} <= set(thin.y), "what a column shows of the whole line, it shows of this one"


def test_a_short_line_points_and_a_line_that_turns_back_stay_as_they_are():
    far = tuple(map(float, range(5000)))
    for series in (Series(far[:200], far[:200], dash="solid"), Series(far, far), Series(far[::-1], far, dash="solid")):
        assert series is series.thinned(100)


def test_rows_of_different_bases_have_different_names():
    rows = (row("A"), row("B"), *(row(f"{of}-bn", of, label="- batch norm", delta=1.0) for of in "AB"))
    found = source(*rows, row("A-crop", "A", label="- crops", delta=1.0))
    assert ["A", "B", "A - batch norm", "B - batch norm", "A - crops"] == [found.label(name) for name in found.variants]
    assert "B-bn" == found.find("B - batch norm")
    effects = info("effects", found).rows
    assert ["A - batch norm", "A - crops", "B - batch norm"] == [of.label for of in effects], "each under its base"
    (panel,) = plots.draw(found, "effects").panels
    assert ["A", "B"] == [name for at, name in panel.y.ticks if not name.startswith("\N{EN SPACE}")]
    assert [("Δ", True), ("95 % interval", False)] == [(column.title, column.narrow) for column in panel.side[:2]]


def test_a_pdf_holds_its_fonts_as_truetype():
    assert b"/CIDFontType2" in paper.draw(plots.draw(SOURCE, "effects"), "pdf")


def test_an_svg_says_what_it_shows():
    made = paper.draw(plots.draw(SOURCE, "effects"), "svg").decode()
    assert 'role="img"' in made
    assert "<desc>Forest plot" in made


def test_nobodys_matplotlibrc_changes_a_figure(tmp_path):
    code = (
        "from ablate.figures import paper, source; from ablate.testing.figures import SOURCE; import sys;"
        "sys.stdout.buffer.write(paper.draw(source.draw(SOURCE, 'pareto'), 'svg'))"
    )
    (tmp_path / "matplotlibrc").write_text("font.size: 30\naxes.facecolor: red\nsvg.fonttype: none\n")
    there = {**os.environ, "MPLBACKEND": "agg"}
    made = [
        subprocess.run([sys.executable, "-c", code], env=there | more, capture_output=True, check=True).stdout
        for more in ({}, {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc")})
    ]
    assert made[0] == made[1]


# -------------------------------------------------------------------------------------------------------------- command

STUDY = """
task: noisy:main
base: {shift: 0}
tricks:
  up: {set: {shift: 2}}
  boom: {set: {shift: -1}}
  "<b>$x$": {set: {shift: 1}}
designs: add_one_in
seeds: 3
metric: {name: acc, better: higher, minimum_effect: 1}
limits: {attempts: 1}
"""
TASK = """
def main(config, run):
    for epoch in range(4):
        if config["shift"] == -1 and run.seed == 1 and epoch == 2:
            raise RuntimeError("boom")
        yield {"acc": 50 + 10 * epoch + config["shift"] + 0.1 * run.seed * epoch, "cost": 3 + config["shift"]}
"""


def ablate(folder, *words):
    done = called.ablate(folder, *words)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a study that ran; one of its runs failed."""
    made = tmp_path_factory.mktemp("plot")
    (made / "demo.yaml").write_text(STUDY)
    (made / "noisy.py").write_text(TASK)
    code, _, said = ablate(made, "--quiet", "run", "demo.yaml")
    assert 1 == code, said
    return made


def test_plot_writes_every_figure_that_applies_and_says_why_not_of_the_others(folder):
    code, captions, said = ablate(folder, "plot", "demo")
    assert 0 == code, said
    written = {path.stem for path in (folder / "results" / "demo").glob("*.svg")}
    assert {"best_variant", "effects", "learning_curves", "seeds"} == written
    assert "left out: tuning: demo has not been tuned" in said
    assert "left out: interactions: interactions need a factorial" in said
    assert "n = 2 to 3" in captions


@pytest.mark.parametrize(
    ("name", "begins"), [("f.pdf", b"%PDF"), ("f.png", b"\x89PNG"), ("f.html", b"<!DOCTYPE html>")]
)
def test_the_files_ending_decides_its_format(folder, name, begins):
    code, caption, said = ablate(folder, "plot", "demo", "--figure", "pareto", "--with", "cost=cost", "-o", name)
    assert 0 == code, said
    assert (folder / name).read_bytes().startswith(begins)
    assert "Acc (higher is better) against cost" in caption


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--figure", "efects"), "Did you mean 'effects'?"),
        (("--figure", "effects", "-o", "x.jpg"), "must be .html, .pdf, .svg or .png"),
        (("-o", "x.pdf"), "say which with --figure"),
        (("--figure", "effects", "--with", "limt=3"), "Did you mean 'limit'?"),
        (("--figure", "effects", "--with", "limit"), "must be KEY=VALUE"),
        (("--figure", "effects", "--with", "limit=0"), "limit"),
        (("--figure", "seeds", "--metric", "ac"), "Did you mean 'acc'?"),
        (("--figure", "seeds", "--variant", "bse"), "Did you mean 'base'?"),
        (("--figure", "effects", "--format", "pfd"), "Did you mean 'pdf'?"),
        (("--figure", "tuning"), "has not been tuned"),
    ],
)
def test_a_mistake_is_answered_with_what_is_allowed(folder, words, complaint, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as end:
        cli.main(["plot", "demo", *words])
    assert 2 == end.value.code
    assert complaint in capsys.readouterr().err


def test_the_failed_run_of_a_stored_study_is_drawn_as_far_as_it_came(folder):
    with Store.open(folder / "results" / "ablate.db") as store:
        found = plots.source(store, "demo")
    failed = [run for run in found.curves["acc"]["base+boom"].seeds if run.failed]
    assert [SeedCurve(1, (1, 2), (49.0, 59.1), "error")] == failed
    assert {"base+boom": {1: "error"}} == found.failed
    assert 2 == found.curves["acc"]["base+boom"].n[-1]


def test_the_screens_axes_and_names_are_those_of_the_scene(folder):
    with Store.open(folder / "results" / "ablate.db") as store:
        data = plots.source_of(store, results.load(store, "demo"))
    drawn = screen.figure(plots.draw(data, "effects"))
    assert "+ &lt;b&gt;$x$" in drawn["layout"]["yaxis"]["ticktext"]
    json.dumps(drawn, allow_nan=False)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")
@pytest.mark.parametrize("name", Registry().names("figures"))
def test_a_page_in_a_browser_draws_runs_no_name_and_asks_the_network_for_nothing(tmp_path, name):
    page = screen.page(plots.draw(SOURCE, name))
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    with browser(tmp_path / "profile") as shown:
        shown.open(tmp_path / "page.html")
        assert [] == shown.console()
        assert [(tmp_path / "page.html").as_uri()] == shown.requests()
        shown.run("document.querySelectorAll('script').forEach((one) => one.remove())")
        drawn = shown.run("return document.documentElement.outerHTML")
    assert "<svg" in drawn, "nothing was drawn"
    assert "<script>alert" not in drawn
    assert "<b>bold" not in drawn


# ---------------------------------------------------------------------------------------------------------------- depth


def test_depth_draws_trained_weights_without_each_part_and_not_the_whole_with_other_statistics():
    anew = compared("full recalibrated", 2.0, kind="trained")
    gone = [compared(f"full-{x}", -2.0, kind="trained", differs=(x,)) for x in "ab"]
    gone = [replace(row, compared_with="full recalibrated") for row in gone]
    found = info("depth", source(row("full"), anew, *gone))
    assert found.against == "full recalibrated"
    assert [part.without.delta for part in found.parts] == [-2.0, -2.0]


def test_depth_draws_each_part_in_its_order_with_the_network_that_is_as_much_smaller():
    gone = {"differs": ("a",), "label": "- a"}
    rows = [
        row("full"),
        compared("full-a", -6.0, verdict="helps", **gone),
        compared("full-a:control", -0.4, kind="control", verdict="inconclusive"),
        compared("full-b", -1.0, differs=("b",), label="- b", verdict="inconclusive"),
        replace(compared("full-a", -5.6, verdict="helps", kind="beyond", **gone), compared_with="full-a:control"),
    ]
    found = info("depth", source(*rows))
    assert [(part.label, part.without.delta, part.beyond) for part in found.parts] == [
        ("- a", -6.0, "matters beyond its size"), ("- b", -1.0, ""),
    ]  # fmt: skip
    assert (-0.4, None) == (found.parts[0].control.delta, found.parts[1].control)
    assert "beyond its size" in plots.draw(source(*rows), "depth").caption


@pytest.mark.slow
def test_arabic_is_joined_greek_is_there_and_chinese_comes_by_a_font():
    """What libraqm makes of a word: its letters take less room than the same letters held apart."""
    if not glyphs.SHAPES:
        pytest.skip("needs matplotlib 3.11")
    joined, apart = "بدون", "\u200c".join("بدون")
    prop = FontProperties(paper.FAMILY)
    wide, wider = (TextPath((0, 0), word, size=100, prop=prop).get_extents().width for word in (joined, apart))
    assert wide < 0.9 * wider
    assert (
        frozenset()
        == files.drawn(plots.draw(source(row("full"), compared("χωρίς " + joined, -1)), "effects"), "pdf").lacking
    )
    chinese = plots.draw(source(row("full"), compared("去掉", -1)), "effects")
    assert set("去掉") == files.drawn(chinese, "pdf").lacking
    told = ["fc-list", "--format=%{file}\n", ":lang=zh"]
    there = subprocess.run(told, capture_output=True, text=True, check=True).stdout if shutil.which(told[0]) else ""
    if not there:
        pytest.skip("needs a font of Chinese: apt-get install fonts-wqy-zenhei")
    font = Path(there.splitlines()[0])
    assert frozenset() == files.drawn(chinese, "pdf", 1, (font,)).lacking
