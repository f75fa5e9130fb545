"""Verdicts that speak of other examples: what a table of one kind is, and each sentence that says of what it speaks."""

import dataclasses

import numpy as np
import pytest
from plans import measured as study

from ablate.analysis import comparisons, components, factorial, power, verdicts
from ablate.analysis.crossed import Factor, layout
from ablate.analysis.examples import Source, contrasts
from ablate.tables import beyond, notes
from ablate.tables.grid import no_chance
from ablate.training.examples import ExampleSet, of_numbers


def flags(right):
    """The column of an accuracy in percent."""
    return of_numbers("m", right.astype(float), 100.0)


def names(count, first=0):
    return tuple(f"image-{first + i}" for i in range(count))


def drawn(seeds, examples=400, *, persistent=40, helped=24, noise=0.01, seed=0):
    """Right or wrong of a base and of a trick: on so many examples they disagree in every seed, the trick being right on
    `helped` of these; `noise`: the share that a seed turns over."""
    rng = np.random.default_rng(seed)
    base = rng.random(examples) < 0.9
    base[:persistent] = np.arange(persistent) >= helped
    other = base.copy()
    other[:persistent] ^= True
    return {
        name: [flags(right ^ (rng.random(examples) < noise)) for _ in range(seeds)]
        for name, right in (("base", base), ("trick", other))
    }


def told(columns, *, sets=None, minimum_effect=None, of=None, **more):
    """A study of these columns. sets: of each variant; None: one and the same."""
    count = len(columns["base"][0].right())
    sets = sets or {name: ExampleSet(names(count)) for name in columns}
    of = of or {(name, seed): sets[name].fingerprint for name, runs in columns.items() for seed in range(len(runs))}
    source = Source(
        "image", {one.fingerprint: one for one in sets.values()}, of, lambda name: dict(enumerate(columns[name]))
    )
    values = {name: [float(column.values().mean()) for column in runs] for name, runs in columns.items()}
    return study(values, minimum_effect=minimum_effect, source=source, **more)


def sentences(measured):
    return beyond.under_table([row for row in verdicts.rows(measured) if row.compared_with], measured)


def row_of(measured, variant="trick"):
    return next(row for row in verdicts.rows(measured) if row.variant == variant)


def test_a_row_that_holds_on_these_images_alone_says_so_first_and_is_never_called_a_help():
    measured = told(drawn(10, noise=0.002))
    row = row_of(measured)
    assert ("inconclusive", "helps") == (row.verdict, row.here.verdict)
    assert "inconclusive (here: helps)" == row.judged
    assert row.here.p < 0.05 < row.p
    assert row.delta_ci_low < row.here.delta_ci_low < row.here.delta_ci_high < row.delta_ci_high
    speaks, here, more = sentences(measured)
    assert speaks.startswith("Verdicts, p and intervals speak of other seeds and of other images like these 400:")
    assert speaks.endswith("They do not speak of another training set.")
    assert here.startswith("here: on these 400 images the seeds alone decide (adjusted p < 0.05)")
    assert "trick, on these images +" in here
    expected = "with twice the seeds, four times the images, any number of seeds on these 400: trick ±"
    assert more.startswith(f"What to expect of open rows' half-widths {expected}")
    assert "settle" not in more


def test_json_has_what_the_examples_say_of_a_row():
    row = row_of(told(drawn(4)))
    counts = row.examples
    assert (ExampleSet(names(400)).fingerprint, 400, 0) == (counts.ids, counts.n, counts.groups)
    assert 400 == pytest.approx(counts.helped + counts.broken + counts.both + counts.neither)
    assert row.delta == pytest.approx((counts.helped - counts.broken) / 4)
    assert counts.share == pytest.approx(counts.se_seeds**2 / (counts.se_seeds**2 + max(counts.se_examples**2 - counts.se_noise**2, 0)))  # fmt: skip


def test_a_declared_study_of_seeds_speaks_of_these_images_alone():
    measured = told(drawn(5), analysis={"generalise": "seeds"})
    row = row_of(measured)
    assert (None, None) == (row.here, row.examples)
    assert [
        "Verdicts, p and intervals speak of other seeds on these same examples, for the study declares it "
        "(`analysis: {generalise: seeds}`)."
    ] == sentences(measured)


def test_one_run_without_examples_makes_the_whole_table_one_of_seeds():
    measured = told(drawn(5))
    of = {run: one for run, one in measured.source.of.items() if run != ("trick", 3)}
    measured = dataclasses.replace(measured, source=dataclasses.replace(measured.source, of=of))
    assert [
        "Verdicts, p and intervals speak of other seeds on these same images, for 1 counted run without results for "
        "each of them: trick (seed 3)."
    ] == sentences(measured)


def test_images_are_paired_by_their_ids_whatever_order_they_stand_in():
    columns = drawn(5)
    order = np.random.default_rng(3).permutation(400)
    turned = {**columns, "trick": [flags(column.right()[order]) for column in columns["trick"]]}
    sets = {"base": ExampleSet(names(400)), "trick": ExampleSet(tuple(np.array(names(400))[order]))}
    assert row_of(told(columns)).p == pytest.approx(row_of(told(turned, sets=sets)).p)
    assert sentences(told(columns)) == sentences(told(turned, sets=sets))
    assert row_of(told(turned)).examples.helped > 24, "by their places, without ids, they would be other images"


def test_sets_that_agree_in_part_are_paired_on_what_they_share_and_less_than_half_is_not():
    columns = drawn(5)
    most = told(columns, sets={"base": ExampleSet(names(400)), "trick": ExampleSet(names(400, 100))})
    assert 300 == row_of(most).examples.n
    assert (
        "The runs were measured on different sets of up to 400 images; they are paired on the 300 whose ids every run "
        "has."
    ) in sentences(most)
    half = told(columns, sets={"base": ExampleSet(names(400)), "trick": ExampleSet(names(400, 200))})
    assert 200 == row_of(half).examples.n
    for first, shared in ((201, 199), (400, 0)):
        least = told(columns, sets={"base": ExampleSet(names(400)), "trick": ExampleSet(names(400, first))})
        assert [
            "Verdicts, p and intervals speak of other seeds on these same images, for the runs were measured on "
            f"different images: of up to 400 only {shared} have an id that every run has."
        ] == sentences(least)


def test_images_of_one_group_are_one_draw_and_fewer_than_twenty_groups_give_no_interval():
    columns = drawn(5, seed=2)
    grouped = {name: [flags(np.repeat(c.right()[:40], 10)) for c in runs] for name, runs in columns.items()}
    groups = tuple(f"patient {i // 10}" for i in range(400))
    alone, together = (
        row_of(told(grouped, sets=dict.fromkeys(grouped, ExampleSet(names(400), groups=of)))) for of in ((), groups)
    )
    assert 40 == together.examples.groups
    assert together.examples.se_examples == pytest.approx(
        alone.examples.se_examples * np.sqrt(399 * 400 / (10 * 39 * 40))
    )
    few = told(
        grouped, sets=dict.fromkeys(grouped, ExampleSet(names(400), groups=tuple(f"{i // 30}" for i in range(400))))
    )
    assert sentences(few)[0].endswith("for there are 14 groups, and fewer than 20 give no interval over them.")


def test_groups_of_one_change_nothing():
    columns = drawn(5)
    alone, ones = (
        told(columns, sets=dict.fromkeys(columns, ExampleSet(names(400), groups=groups))) for groups in ((), names(400))
    )
    assert row_of(alone).p == pytest.approx(row_of(ones).p)
    assert "images like these 400 in 400 groups" in sentences(ones)[0]


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_or_two_seeds_speak_of_these_weights_on_new_images_and_decide_nothing(seeds):
    measured = told(drawn(seeds))
    row = row_of(measured)
    assert (None, None) == (row.p, row.delta_ci_low)
    assert "inconclusive" == row.verdict
    assert row.examples.ci_low < row.delta < row.examples.ci_high
    assert [text for text in sentences(measured) if text.startswith("These weights, new images (95 % interval over")]
    assert sentences(measured)[-1].endswith("Other seeds may do otherwise, so no verdict and no p comes from it.")


def test_identical_predictions_have_no_p_and_no_interval():
    same = drawn(5)["base"]
    row = row_of(told({"base": same, "trick": same}))
    assert row.identical
    assert "identical" == no_chance(row)
    assert (None, None, None) == (row.p, row.here.p, row.examples.ci_low)
    assert (0.0, 0.0) == (row.examples.helped, row.examples.broken)


def test_a_difference_without_spread_over_seeds_has_no_p_however_many_images_there_are():
    one = {name: runs * 5 for name, runs in drawn(1).items()}
    row = row_of(told(one))
    assert row.no_spread
    assert (None, None) == (row.p, row.delta_ci_low)
    assert [
        "no spread = the difference is the same for every seed, so there is no t test; do these runs depend on their "
        "seed? trick."
    ] == notes._without_spread([row], told(one))


def test_rows_of_other_seeds_than_their_comparison_keep_welchs_error_and_pair_their_images():
    columns, nan = drawn(4, noise=0.03), float("nan")
    base, trick = ([float(column.values().mean()) for column in columns[name]] for name in ("base", "trick"))
    shifted = {"base": lambda: dict(enumerate(columns["base"])), "trick": lambda: dict(enumerate(columns["trick"], 4))}
    one = ExampleSet(names(400))
    source = Source(
        "image",
        {one.fingerprint: one},
        {(n, s): one.fingerprint for n in shifted for s in range(8)},
        lambda n: shifted[n](),
    )
    measured = study({"base": base + [nan] * 4, "trick": [nan] * 4 + trick}, source=source)
    row = row_of(measured)
    assert "Welch t" == row.test
    assert row.here.p <= row.p
    both = components.of_two(*(np.stack([c.values() for c in columns[name]]) for name in ("trick", "base")))
    assert row.examples.se_examples == pytest.approx(np.sqrt(both.v_examples[0]))


def test_more_seeds_are_not_asked_for_where_the_images_alone_leave_more_than_the_minimum_effect():
    measured = told(drawn(10, helped=20, noise=0.06), minimum_effect=0.5)
    over_seeds = dataclasses.replace(measured, analysis={"generalise": "seeds"})
    assert 1 <= row_of(over_seeds).more_seeds
    assert ("inconclusive", None) == (row_of(measured).verdict, row_of(measured).more_seeds)


def looked(columns, sizes=(3, 5, 10), **more):
    """The same as adaptive seeds have it, every run done."""
    whole = told(columns, analysis={"looks": list(sizes)}, **more)
    parts = tuple(
        dataclasses.replace(
            whole, seeds=whole.seeds[:n], values={"m": whole.values["m"][:, :n]}, planned=(n,) * len(columns),
            over=np.ones((len(columns), n), dtype=bool),
        )
        for n in sizes
    )  # fmt: skip
    return dataclasses.replace(whole, looks=parts)


def test_a_row_that_stands_here_and_that_no_seed_can_settle_gets_no_further_seeds():
    measured = looked(drawn(10, noise=0.0005))
    row = row_of(measured)
    assert ("inconclusive (here: helps)", True) == (row.judged, row.stopped_early)
    assert measured.course.stuck.tolist() == [True]
    assert any(
        text.startswith("More seeds cannot settle it, so these rows get none: trick.") for text in sentences(measured)
    )


def test_an_effect_of_a_factorial_goes_by_its_own_contrast_of_the_examples():
    columns = drawn(5, noise=0.03)
    design = layout([Factor("trick")], np.array([[0], [1]]))
    values = np.array([[column.values().mean() for column in columns[name]] for name in columns])
    beyond = contrasts(told(columns).source, list(columns), range(5))
    effect = factorial.estimate(design, comparisons.fit(values), values, beyond=beyond).effects[0]
    row = row_of(told(columns))
    assert (row.p, row.delta_ci_low) == pytest.approx((effect.p, effect.ci_low))
    share = factorial.shapley(design, comparisons.fit(values), values, beyond)[0]
    assert effect.se == pytest.approx(share.se)


def test_what_stays_invisible_on_these_images_no_number_of_seeds_shows():
    parts = components.of_layout(
        np.stack([a.values() - b.values() for a, b in zip(*reversed(drawn(6, noise=0.02).values()), strict=True)])
    )
    std = float(np.sqrt(6 * parts.v_seeds[0]))
    alone = power.visible([("trick", "base", std, 6)], 900, None)[0]
    found = power.visible_beyond(alone, parts, 900, alone.alone, 1)
    assert found.floor == pytest.approx(2.8 * np.sqrt(parts.v_beyond[0]), rel=0.001)
    assert found.alone == pytest.approx(found.floor, rel=0.05)
    assert (None, True) == (found.seeds, alone.alone < 0.2 * found.alone)
