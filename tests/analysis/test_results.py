"""From a real database to rows, notes and exported lines."""

import csv
import io
import json
import math

import numpy as np
import pytest

from ablate.analysis import assumptions, comparisons, results
from ablate.analysis.inert import real
from ablate.errors import AblateError
from ablate.registry import Registry
from ablate.runs import export
from ablate.store.store import Store
from ablate.study.changes import SEEDS_ADDED
from ablate.study.record import PlanRecord
from ablate.tables import cautions, views
from ablate.tables.notes import listed
from ablate.tables.table import TableOptions
from ablate.training.examples import Examples, ExampleSet, of_numbers

HERE = {"host": "h", "boot": "b", "owner": "1:1", "log": "l", "lease_s": 30.0, "device": "cpu", "slot": 0}
SPREAD = (0.0, 0.3, -0.2, 0.1, -0.1)
"""What each of five seeds adds."""

FULL = [90.0, 90.4, 89.9, 90.2, 90.1]
WORSE = [86.4, 86.9, 86.5, 86.6, 86.7]


def plan(variants, rows=None, **more):
    """The stored form of a plan. variants: name -> tricks that are on; all are compared with the first."""
    first = next(iter(variants))
    if rows is None:
        rows = [(name, None if name == first else first) for name in variants]
    asked = [
        {
            "design": "leave_one_out", "variant": name, "compared_with": reference, "label": name,
            "differs": sorted(set(variants[name]) ^ set(variants[reference])) if reference else [],
        }
        for name, reference in rows
    ]  # fmt: skip
    return {
        "study": "demo", "question": "", "task": "m:f", "analysis": {}, "baseline": None, "seeds": [0, 1, 2, 3, 4],
        "metric": {"name": "acc", "better": "higher", "at": "last", "minimum_effect": None}, "also": {}, "tricks": [],
        "variants": [{"name": n, "tricks": list(t), "designs": [], "config": {}, "uses": []} for n, t in variants.items()],
        "rows": asked, "left_out": [], "notes": [],
    } | more  # fmt: skip


def run(store, key, result, curve=(), outputs=(), provenance=()):
    """Execute a run: metrics, or the reason why there are none."""
    store.claim(key, f"t-{key}", **HERE)
    for step, values in enumerate(curve, 1):
        store.progress([(f"t-{key}", step, values)])
    if isinstance(result, str):
        store.fail(f"t-{key}", result, "said", again=False)
    else:
        store.finish(f"t-{key}", result, dict(outputs), dict(provenance))


@pytest.fixture
def fill(tmp_path):
    """Store a plan and its runs. ran: variant -> a list by seed of a value of acc, metrics, a reason, or None (to do).

    `of(variant, seed)` gives curve, outputs and provenance of a run.
    """
    opened = []

    def filled(resolved, ran, of=lambda *_: {}):
        store = Store.open(tmp_path / f"{len(opened)}.db", write=True)
        opened.append(store)
        cells = [(v, s, "ablation", f"{v}:{s}") for s in range(5) for v in ran if s < len(ran[v])]
        store.save_plan(PlanRecord.of(resolved), "", cells, {key: "{}" for *_, key in cells})
        for variant, seed, _, key in cells:
            result = ran[variant][seed]
            if result is not None:
                result = result if isinstance(result, dict | str) else {"acc": result}
                run(store, key, result, **of(variant, seed))
        return store

    yield filled
    for store in opened:
        store.close()


def rows(store):
    return {row.variant: row for row in views.table_data(results.load(store)).rows}


def note(store, start):
    """The one note that holds `start`; an empty text where there is none."""
    found = [note for note in views.table_data(results.load(store, "demo")).notes if start in note]
    assert len(found) <= 1
    return found[0] if found else ""


TWO = {"full": ["bn"], "full-bn": []}


def test_a_finished_study_becomes_rows_in_the_plans_order(fill):
    store = fill(plan(TWO), {"full": FULL, "full-bn": WORSE})
    data = views.table_data(results.load(store, None))
    assert [("full", 5, None), ("full-bn", 5, "helps")] == [(r.variant, r.n, r.verdict) for r in data.rows]
    assert data.rows[1].delta == pytest.approx(-3.5)
    assert data.rows[1].p < 1e-4


def test_verdicts_speak_of_other_examples_once_every_run_of_the_database_tells_what_it_made_of_them(fill):
    rng = np.random.default_rng(0)
    right = {(v, s): rng.random(200) < {"full": 0.95, "full-bn": 0.7}[v] for v in TWO for s in range(5)}
    ran = {v: [{"acc": 100 * float(right[v, s].mean()), "seconds": 1.0} for s in range(5)] for v in TWO}
    store = fill(plan(TWO), ran)
    of_set = ExampleSet(tuple(map(str, range(200))))
    kept = {
        f"{v}:{s}": Examples(of_set.fingerprint, of_set.text, (of_numbers("acc", ones.astype(float), 100.0),))
        for (v, s), ones in right.items()
    }
    last = "full-bn:4"
    store.keep_examples({key: examples for key, examples in kept.items() if key != last})
    assert note(store, "speak of other seeds").endswith(
        "for 1 counted run without results for each of them: full-bn (seed 4)."
    )
    store.keep_examples({last: kept[last]})
    data = json.loads(
        Registry().make("tables", "json", {}).render(views.table_data(results.load(store)), TableOptions())
    )
    assert ("seeds_and_examples", "") == (data["speaks_of"], data["speaks_of_why"])
    row = data["rows"][1]
    assert ("helps", "helps", 200) == (row["verdict"], row["here"]["verdict"], row["examples"]["n"])
    assert row["p"] >= row["here"]["p"]
    other = fill(plan(TWO, metric={"name": "seconds", "better": "lower", "at": "last", "minimum_effect": None}), ran)
    other.keep_examples(kept)
    assert "seconds is no mean over them" == views.table_data(results.load(other)).speaks_of_why


def test_an_unknown_study_names_the_nearest(fill):
    store = fill(plan(TWO), {"full": [], "full-bn": []})
    with pytest.raises(AblateError, match=r"'dmeo'.*Did you mean 'demo'"):
        results.load(store, "dmeo")


def test_an_empty_database_says_what_to_do(tmp_path):
    Store.open(tmp_path / "e.db", write=True).close()
    with Store.open(tmp_path / "e.db") as store, pytest.raises(AblateError, match=r"no study yet.*ablate run"):
        results.load(store)


def test_failed_runs_are_out_of_n_and_named_with_their_reason(fill):
    store = fill(plan(TWO), {"full": FULL, "full-bn": [*WORSE[:3], "diverged", "oom"]})
    row = rows(store)["full-bn"]
    assert (3, 5, 2, {"diverged": 1, "oom": 1}) == (row.n, row.planned, row.failed, row.failures)
    assert "full-bn (diverged: seed 3; oom: seed 4)" in note(store, "† Failed")


def test_a_done_run_without_the_metric_is_no_result(fill):
    store = fill(plan(TWO), {"full": FULL, "full-bn": [*WORSE[:4], {"loss": 1.0}]})
    row = rows(store)["full-bn"]
    assert (4, 1, {"no value": 1}) == (row.n, row.failed, row.failures)
    assert "full-bn (1 run)" in note(store, "without acc")


def test_an_unfinished_study_says_how_much_is_to_do(fill):
    store = fill(plan(TWO), {"full": FULL, "full-bn": [*WORSE[:3], None, None]})
    store.claim("full-bn:3", "t", **HERE)
    assert note(store, "Unfinished") == "Unfinished: 1 of 10 runs to do, 1 running."
    assert rows(store)["full-bn"].failed == 0


def test_the_family_is_every_declared_comparison_and_stands_in_the_notes(fill):
    variants = {"full": ["a", "b"], "full-a": ["b"], "full-b": ["a"]}
    store = fill(plan(variants), {"full": FULL, "full-a": WORSE, "full-b": [None] * 5})
    assert "the 2 comparisons of acc" in note(store, "Holm")
    row = rows(store)["full-a"]
    assert row.p_adjusted == pytest.approx(2 * row.p)


def test_seeds_that_are_not_shared_are_compared_by_welch_and_the_notes_say_so(fill):
    ran = {"full": ["oom", "oom", *FULL[2:]], "full-bn": [*WORSE[:2], "oom", "oom", "oom"]}
    store = fill(plan(TWO), ran)
    assert rows(store)["full-bn"].test == "Welch t"
    assert rows(store)["full-bn"].p is None, "two values forbid it"
    assert note(store, "Welch").startswith("Each row is tested by Welch's two-sided t test over all runs of it")
    variants = {"full": ["a", "b"], "full-a": ["b"], "full-b": ["a"]}
    one = {"full": ["oom", "oom", *FULL[2:]], "full-a": WORSE, "full-b": [*WORSE[:3], "oom", "oom"]}
    assert "Fewer than 3 seeds shared" in note(fill(plan(variants), one), "over all runs of both: full-b (1).")


def curves(variant, seed):
    """A curve that is best at epoch 2 of 3."""
    shift = SPREAD[seed] + (0 if variant == "full" else -3)
    return {
        "curve": [{"acc": 70 + shift, "loss": 3.0}, {"acc": 90 + shift, "loss": 2.0}, {"acc": 80 + shift, "loss": 1.0}]
    }


@pytest.mark.parametrize(("at", "mean", "loss"), [("last", 80.02, 1.0), ("best", 90.02, 2.0), (1, 70.02, 3.0)])
def test_every_metric_is_taken_at_the_epoch_that_is_asked_for(fill, at, mean, loss):
    metric = {"name": "acc", "better": "higher", "at": at, "minimum_effect": None}
    resolved = plan(TWO, metric=metric, also={"loss": "lower", "parameters": "lower"})
    last = {v: [curves(v, s)["curve"][-1] | {"parameters": 7.0} for s in range(5)] for v in TWO}
    store = fill(resolved, last, curves)
    row = rows(store)["full"]
    assert (mean, loss, 7.0) == pytest.approx((row.mean, row.also["loss"].mean, row.also["parameters"].mean))
    assert ("optimistic" in note(store, "planned per variant")) == (at == "best")


def test_an_epoch_that_no_run_reached_gives_no_value(fill):
    metric = {"name": "acc", "better": "higher", "at": 9, "minimum_effect": None}
    store = fill(plan(TWO, metric=metric), {"full": FULL, "full-bn": WORSE}, curves)
    assert (0, 5) == (rows(store)["full"].n, rows(store)["full"].failed)
    assert "(at: 9)" in note(store, "without acc")


def hashed(variant, seed):
    return {"outputs": {"weights": f"{seed}", "predictions": f"{seed}" if variant != "full-bn" else f"x{seed}"}}


def test_inert_means_that_every_shared_seed_has_the_same_hashes(fill):
    variants = {"full": ["bn", "ls"], "full-bn": ["ls"], "full-ls": ["bn"]}
    store = fill(plan(variants), {"full": FULL, "full-bn": FULL, "full-ls": FULL}, hashed)
    found = rows(store)
    assert ("inconclusive", "inert") == (found["full-bn"].verdict, found["full-ls"].verdict)
    assert "full-ls and full." in note(store, "inert")


def test_a_task_without_hashes_is_inert_where_twenty_real_numbers_of_each_run_are_equal(fill):
    def logged(variant, seed):
        losses = [math.exp(-step / 3 - seed / 7 - 0.1) + (step == 1 and variant == "full-bn") for step in range(20)]
        return {"curve": [{"acc": FULL[seed], "loss": loss, "train_seconds": seed} for loss in losses]}

    variants = {"full": ["bn", "ls"], "full-bn": ["ls"], "full-ls": ["bn"]}
    ran = {name: [{"acc": v, "train_seconds": i + len(name)} for i, v in enumerate(FULL)] for name in variants}
    found = rows(fill(plan(variants), ran, logged))
    assert ("inconclusive", "inert") == (found["full-bn"].verdict, found["full-ls"].verdict)


def test_a_coarse_accuracy_that_ties_is_identical_and_told_what_would_tell(fill):
    def logged(variant, seed):
        rate = [{"acc": (80 + seed) / 100, "lr": math.cos(step)} for step in range(30)]
        return {"curve": rate}

    store = fill(plan(TWO), {name: [(80 + seed) / 100 for seed in range(5)] for name in TWO}, logged)
    row = rows(store)["full-bn"]
    assert ("inconclusive", True) == (row.verdict, row.identical)
    assert "full-bn. 20 real numbers of each run would tell" in note(store, "identical =")


def test_a_number_is_real_where_it_is_no_share_of_a_count():
    for share in (
        0.87,
        87.0,
        1 / 3,
        8712 / 10_000,
        100 * 8712 / 10_000,
        float(np.float32(0.87)),
        float(np.float32(87.12)),
        3.0,
        0.0,
        49_999 / 50_000,
    ):
        assert not real(share), share
    draw = np.random.default_rng(1).random(500)
    assert all(map(real, draw.tolist()))
    assert np.mean([real(float(np.float32(x))) for x in draw]) > 0.8


def test_a_metric_at_chance_is_degenerate_and_nothing_is_called_best(fill):
    store = fill(plan(TWO), {"full": [10.0] * 5, "full-bn": [10.0] * 5}, hashed)
    assert "every counted run reports 10" in note(store, "Degenerate")
    assert note(store, "Best mean") == ""


def test_the_best_row_has_every_seed_done(fill):
    store = fill(plan(TWO), {"full": [95.0, 95.1, 95.2, 95.3, "diverged"], "full-bn": WORSE})
    assert "full-bn" in note(store, "Best mean")


def test_the_best_mean_has_the_digits_that_the_table_shows(fill):
    store = fill(plan(TWO), {"full": [95.0, 95.1, 95.2, 95.3, 95.33], "full-bn": WORSE})
    table = Registry().make("tables", "markdown", {}).render(views.table_data(results.load(store)), TableOptions())
    assert "(95.19, n=5)" in note(store, "Best mean")
    assert "95.19 ± 0.14" in table


def test_a_collapsed_seed_gets_a_sign_count_beside_t(fill):
    store = fill(plan(TWO), {"full": FULL, "full-bn": [*WORSE[:4], 37.0]})
    assert "full-bn: 5 of 5 seeds worse; seed 4 at 37" in note(store, "collapsed")


def test_mixed_versions_are_marked_and_equal_ones_are_not(fill):
    def made(variant, seed):
        return {"provenance": {"torch": "2.5" if seed else "2.4", "git": "a" * 40, "processor": "x"}}

    store = fill(plan(TWO), {"full": FULL, "full-bn": WORSE}, made)
    assert note(store, "Mixed") == "Mixed: the runs were made with 2 torch versions (2.4: 2 runs, 2.5: 8 runs)."


def test_a_measured_cost_is_marked_as_such(fill):
    ran = {name: [{"acc": v, "train_seconds": 1.5} for v in FULL] for name in TWO}
    store = fill(plan(TWO, also={"train_seconds": "lower"}), ran)
    assert "train_seconds" in note(store, "Measured cost")


def test_what_the_plan_left_out_and_its_notes_are_shown(fill):
    resolved = plan(TWO, left_out=["full-bn of x: skip requires bn"], notes=["a = b*c"])
    notes = views.table_data(results.load(fill(resolved, {"full": FULL, "full-bn": WORSE}))).notes
    assert notes[-2:] == ("Left out: full-bn of x: skip requires bn.", "a = b*c")


def test_long_lists_are_cut_and_say_by_how_many():
    assert listed(map(str, range(5)), most=3) == "0, 1, 2 and 2 more"


@pytest.mark.parametrize("format_", ["markdown", "latex", "html", "csv", "json"])
def test_the_same_rows_give_the_same_bytes_however_they_came_about(fill, format_):
    resolved = plan(TWO, also={"loss": "lower"})
    ran = {name: [{"acc": a, "loss": a / 3} for a in v] for name, v in {"full": FULL, "full-bn": WORSE}.items()}
    straight = fill(resolved, ran)
    broken = fill(resolved, {"full": ran["full"], "full-bn": [*ran["full-bn"][:2], None, None, None]})
    broken.claim("full-bn:4", "lost", **HERE)
    broken.fail("lost", "lost", "its worker is gone", again=True)
    for seed in (4, 2, 3):
        run(broken, f"full-bn:{seed}", ran["full-bn"][seed])
    draw = Registry().make("tables", format_, {}).render
    texts = [draw(views.table_data(results.load(store)), TableOptions()) for store in (straight, broken)]
    assert texts[0] == texts[1]
    assert "NaN" not in texts[0]
    assert "nan" not in texts[0]


def test_export_has_a_line_per_cell_and_a_column_per_metric(fill):
    ran = {"full": [{"acc": 0.1 + 0.2, "train_seconds": 3.0}, "oom", None], "full-bn": [{"loss": 1.0}]}
    store = fill(plan(TWO), ran)
    lines = list(csv.reader(io.StringIO(export.text(store, "demo"))))
    assert lines == [
        ["key", "study", "variant", "seed", "role", "state", "reason", "attempts", "acc", "loss"],
        ["full:0", "demo", "full", "0", "ablation", "done", "", "1", "0.30000000000000004", ""],
        ["full-bn:0", "demo", "full-bn", "0", "ablation", "done", "", "1", "", "1.0"],
        ["full:1", "demo", "full", "1", "ablation", "failed", "oom", "1", "", ""],
        ["full:2", "demo", "full", "2", "ablation", "todo", "", "0", "", ""],
    ]
    records = json.loads(export.text(store, "demo", "json"))
    assert (0.1 + 0.2, None) == (records[0]["acc"], records[2]["acc"])


def test_export_shows_a_measured_cost_where_the_study_asks_for_it(fill):
    ran = {"full": [{"acc": 1.0, "train_seconds": 3.0}], "full-bn": []}
    assert "train_seconds" in export.text(fill(plan(TWO, also={"train_seconds": "lower"}), ran), "demo")


def test_no_cell_of_a_half_finished_table_is_nan(fill):
    store = fill(plan(TWO), {"full": [90.0, None, None, None, None], "full-bn": [None] * 5})
    for row in rows(store).values():
        assert not any(isinstance(value, float) and math.isnan(value) for value in vars(row).values())


def test_a_pooled_error_says_so_and_warns_where_spreads_differ_by_more_than_2_x(fill):
    pooled = plan({"full": ["a", "b"], "full-a": ["b"], "full-b": ["a"]}, analysis={"error": "pooled"})
    wild = [90.0, 20.0, 95.0, -70.0, 199.0]
    store = fill(pooled, {"full": FULL, "full-a": WORSE, "full-b": wild})
    assert "8 degrees of freedom" in note(store, "`error: pooled`; cell means, seeds as blocks")
    assert "full-b" in note(store, "Spreads differ by more than 2 x")
    even = fill(pooled, {"full": FULL, "full-a": WORSE, "full-b": [90.1, 90.3, 90.0, 90.1, 90.1]})
    assert note(even, "Spreads differ") == ""


def test_the_table_says_when_its_plan_was_made(fill):
    registered = {"known": 0, "added": {"seeds": [3, 4]}, "dropped": {}, "changed": []}
    store = fill(plan(TWO, registered=registered), {"full": FULL, "full-bn": WORSE})
    assert f"2 seeds added after results were seen. {SEEDS_ADDED}" == note(store, "after results were seen")


def test_a_pairing_that_buys_nothing_is_said_and_one_that_does_is_not(fill):
    against = [86.9, 86.4, 86.92, 86.61, 86.7]  # r = -0.99 with FULL
    assert "correlate by r = -0.99" in note(fill(plan(TWO), {"full": FULL, "full-bn": against}), "Pairing by seed")
    apart = [86.9, 86.4, 86.6, 86.7, 86.5]  # r = -0.29, which five seeds cannot tell from 0.5
    assert "" == note(fill(plan(TWO), {"full": FULL, "full-bn": apart}), "Pairing by seed")
    along = [86.4, 86.9, 86.2, 86.6, 86.5]
    assert "" == note(fill(plan(TWO), {"full": FULL, "full-bn": along}), "Pairing by seed")


def test_failures_on_one_side_leave_a_verdict_among_finished_runs_and_never_bold(fill):
    store = fill(plan(TWO), {"full": FULL, "full-bn": [*WORSE[:3], "diverged", "diverged"]})
    assert "helps among finished runs" == rows(store)["full-bn"].judged
    assert note(store, "failed on one side").endswith("is not bold: full-bn.")
    draw = Registry().make("tables", "markdown", {}).render
    assert "**" not in draw(views.table_data(results.load(store)), TableOptions())


def test_an_interval_without_0_beside_inconclusive_is_marked_and_explained(fill):
    variants = {"full": ["a", "b"], "full-a": ["b"], "full-b": ["a"]}
    slightly = [FULL[i] - d for i, d in enumerate((0.1, 0.5, 0.2, 0.1, 0.3))]  # p = 0.03, of two comparisons 0.06
    store = fill(plan(variants), {"full": FULL, "full-a": slightly, "full-b": [90.2, 90.1, 90.0, 90.3, 90.1]})
    assert rows(store)["full-a"].corrected_away
    assert "p corrected for 2 comparisons is no evidence: the correction decides (full-a)." in note(store, "°")


def test_a_row_without_a_collapse_is_told_to_leave_one_open(fill):
    store = fill(plan(TWO), {"full": FULL, "full-bn": [*WORSE[:4], 37.0]})
    assert "leaves open up to 45 % of seeds (n = 5)" in note(store, "may have one yet")


def test_a_placebo_is_never_the_best_and_part_of_no_factorial(fill):
    from ablate.tables import views

    resolved = plan({"base": [], "a": ["a"], "placebo": []})
    resolved["tricks"] = [{"name": "a", "label": "", "category": "", "levels": []}]
    resolved["variants"][2]["placebo"] = resolved["rows"][2]["placebo"] = True
    store = fill(resolved, {"base": WORSE, "a": FULL, "placebo": [99.0, 99.4, 99.1, 99.2, 99.3]})
    assert "a (90.12, n=5)" in note(store, "Best mean")
    assert rows(store)["placebo"].placebo
    assert ["a"] == [effect["tricks"][0] for effect in views.view(results.load(store), "effects").records]


def test_what_rounding_leaves_of_equal_values_is_no_spread_to_warn_of():
    def told(stds, n):
        means, counts = np.zeros(len(stds)), np.full(len(stds), n)
        return cautions.spreads(
            "abcdefgh"[: len(stds)], comparisons.from_summaries(means, np.array(stds), counts), np.array(stds)
        )

    assert "" == told([6.8e-16, 1.6e-16], 10)
    assert told([6.8, 1.6], 10).startswith("Spreads differ by more than 2 x")
    assert "" == told([6.8, 1.6], 3), "so much do equal spreads of three values differ"


def test_equal_spreads_are_said_to_differ_in_one_study_of_twenty():
    values = np.random.default_rng(3).normal(size=(1000, 6, 5))
    told = [bool(cautions.spreads("abcdef", comparisons.fit(study), study.std(axis=1, ddof=1))) for study in values]
    assert 0.03 < np.mean(told) < 0.07


def test_pairs_at_a_correlation_of_one_half_are_never_said_to_buy_nothing():
    rng = np.random.default_rng(4)
    row, other, common = rng.normal(size=(3, 2000, 10))
    r = assumptions.seed_correlation(row + common, other + common)
    told = [assumptions.correlation_at_most(x, 10) < assumptions.pairs_pay_from(10) for x in r]
    assert np.mean(told) < 0.01
