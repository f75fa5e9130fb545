"""The table of a study in several settings, from a file of runs to what is printed."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from ablate.analysis import results
from ablate.errors import AblateError, FigureError
from ablate.figures import source
from ablate.registry import Registry
from ablate.reports import settings as reported
from ablate.runs import export, importer
from ablate.runs.columns import Columns
from ablate.store.store import Store
from ablate.tables import views
from ablate.terminal import cli

COLUMNS = Columns("acc", "higher", variant="variant", seed="seed", across="data")
SETTINGS = ("wine", "iris", "digits", "moons", "rings")
SHIFT = {"mixup": 1.0, "cutout": 0.0}


def lines(settings=SETTINGS, seeds=5, loud=None, shift=SHIFT):
    """A CSV file: three variants in each setting; in `loud` runs spread ten times as much."""
    rng = np.random.default_rng(0)
    out = ["data,variant,seed,acc"]
    for setting in settings:
        scale = 10 if setting == loud else 1
        for seed in range(seeds):
            for variant in ("base", *shift):
                value = 80 + shift.get(variant, 0.0) + 0.3 * scale * rng.normal()
                out.append(f"{setting},{variant},{seed},{value:.4f}")
    return out


@pytest.fixture
def load(tmp_path):
    opened = []

    def loaded(rows, analysis=(), units=(), columns=COLUMNS):
        imported = importer.read("\n".join(rows) + "\n", "runs.csv", columns)
        store = Store.open(tmp_path / f"{len(opened)}.db", write=True)
        opened.append(store)
        importer.save(imported, store, "demo", columns)
        stored = store.find("demo")
        named = tuple(replace(one, unit=dict(units).get(one.name, "")) for one in stored.record.across)
        record = replace(stored.record, analysis=dict(analysis), across=named)
        with store.transaction():
            store.save_plan(record, "", [(c.variant, c.seed, c.role, c.run) for c in store.cells("demo")], {})
        return store, results.load(store, "demo")

    yield loaded
    for store in opened:
        store.close()


def table(loaded, **options):
    return json.loads(views.text(loaded, "json", **options))


def figure(made, name):
    return Registry().make("figures", name, {}).info(made)


def test_a_row_a_trick_a_column_a_setting_and_their_mean(load):
    _, loaded = load(lines())
    found = table(loaded)
    mixup = next(row for row in found["rows"] if row["row"] == "mixup")
    deltas = [mixup["settings"][name]["delta"] for name in SETTINGS]
    assert list(SETTINGS) == found["settings"]
    assert np.mean(deltas) == pytest.approx(mixup["mean"]["delta"])
    assert "helps" == mixup["mean"]["verdict"]
    assert mixup["like_these"]["next_low"] < mixup["like_these"]["ci_low"]
    text = views.text(loaded)
    assert "mean: in these settings, on average" in text
    assert "like these: of settings like these, by a t over the 5 differences (4 degrees of freedom)" in text
    assert r"\multicolumn{10}{c}{$\Delta$ acc $\uparrow$}" in views.text(loaded, "latex")


def test_a_settings_own_table_is_the_one_it_would_have_alone(load):
    _, loaded = load(lines())
    alone = [line.partition(",")[2] for line in lines() if line.startswith(("data", "iris"))]
    _, single = load(alone, columns=replace(COLUMNS, across=None))
    within = table(loaded.within("iris"))["rows"]
    assert [row["p_adjusted"] for row in table(single)["rows"]] == [row["p_adjusted"] for row in within]
    mixup = next(row for row in table(loaded)["rows"] if row["row"] == "mixup")
    assert mixup["settings"]["iris"]["p_adjusted"] == within[1]["p_adjusted"]


def test_a_missing_cell_is_named_and_never_averaged_over(load):
    rows = [line for line in lines() if not line.startswith("moons,mixup")]
    _, loaded = load(rows)
    mixup = next(row for row in table(loaded)["rows"] if row["row"] == "mixup")
    assert [{"setting": "moons", "why": "it is left out there"}] == mixup["missing"]
    assert {None} == {mixup["mean"][name] for name in ("delta", "p", "ci_low", "verdict", "df")}
    assert "No mean, for a setting is missing: mixup: moons, for it is left out there." in views.text(loaded)


def test_who_carries_more_than_half_of_the_variance_is_named(load):
    _, loaded = load(lines(settings=SETTINGS[:3], loud="iris"))
    text = views.text(loaded)
    assert "iris carries more than half of the mean's variance: mixup 9" in text
    assert "The mean speaks of these 3 settings and of no others: 5 or more" in text


def test_different_units_have_no_mean_but_a_standardised_one(load):
    units = {"wine": "points", "iris": "k$"}
    _, loaded = load(lines(settings=("wine", "iris")), units=units)
    assert "There is no mean: its units differ between settings" in views.text(loaded)
    assert all(row["mean"]["p"] is None for row in table(loaded)["rows"])
    _, loaded = load(lines(settings=("wine", "iris")), {"across": "standardised"}, units)
    mixup = next(row for row in table(loaded)["rows"] if row["row"] == "mixup")
    assert mixup["mean"]["delta"] is None
    assert mixup["mean"]["z"] > 0
    assert "better in these settings taken together" in views.text(loaded)


def test_reml_is_there_when_it_is_asked_for_and_says_what_it_costs(load):
    _, loaded = load(lines(), {"across": "reml"})
    text = views.text(loaded)
    assert "(analysis: {across: reml}), of settings like these" in text
    assert "errs in up to 13 % of studies" in text
    assert 4 == table(loaded)["rows"][0]["mean"]["df"]


def test_other_views_are_of_one_setting_and_say_so(load):
    _, loaded = load(lines())
    for name in sorted({*views.VIEWS} - {"variants", "configurations", *views.OVER_SETTINGS}):
        with pytest.raises(AblateError, match=f"--view {name} is of one setting.*add --setting wine"):
            views.text(loaded, name=name)
    assert "cutout" in views.text(loaded.within("wine"), name="coverage")
    assert loaded.best is None
    with pytest.raises(AblateError, match="has one setting"):
        views.text(loaded.within("wine"), name="ranks")


def test_figure_and_report_are_of_all_settings_or_of_one(load):
    store, loaded = load(lines())
    scene = source.draw(source.source_of(store, loaded), "settings")
    assert ["mixup", "cutout"] == [panel.title for panel in scene.panels]
    assert [*SETTINGS, "mean", "like these"] == [label for _, label in scene.panels[0].y.ticks]
    with pytest.raises(FigureError, match="seeds is of one setting, and demo has wine"):
        source.draw(source.source_of(store, loaded), "seeds")
    assert source.draw(source.source_of(store, loaded.within("iris")), "seeds")
    document = reported.document(reported.material(store, loaded))
    assert ["question", "table", "effects", *(f"in-{name}" for name in SETTINGS)] == [
        s.key for s in document.sections[:8]
    ]
    (answer,) = document.section("question").blocks
    assert "mixup helps on the mean over 5 settings: " in "".join(span.text for span in answer.items[0])
    assert ("helps", "inconclusive") == answer.signs


def test_a_row_of_several_tricks_is_marked_in_the_figure_as_it_is_in_the_table(load):
    store, loaded = load(lines(settings=("wine", "iris")))
    made = source.source_of(store, loaded)
    mixup, cutout = made.over.rows
    both = {name: replace(cell, differs=("mixup", "cutout")) for name, cell in mixup.cells.items()}
    scene = source.draw(replace(made, over=replace(made.over, rows=(replace(mixup, cells=both), cutout))), "settings")
    assert ["mixup ‡", "cutout"] == [panel.title for panel in scene.panels]
    assert "‡: differs by several tricks." in scene.caption


def test_ranks_are_of_every_setting_with_friedman_and_each_against_the_base(load):
    found = table(load(lines())[1], name="ranks")
    assert {"mixup": 1.0}.items() <= {row["variant"]: row["mean_rank"] for row in found["ranks"]}.items()
    assert 0 < found["p"] < 1


def test_scores_stand_on_the_scale_that_limits_say_with_failed_runs_counted_out(load):
    rows = [line for line in lines(settings=("wine", "iris")) if not line.startswith("iris,mixup,4")]
    store, loaded = load(rows, columns=replace(COLUMNS, limits={"": (80.0, 90.0), "iris": (80.0, 82.0)}))
    found = {row["variant"]: row for row in table(loaded, name="iqm")["iqm"]}
    values = [float(line.rpartition(",")[2]) for line in rows if ",mixup," in line]
    own = sorted([(value - 80) / 10 for value in values[:5]] + [(value - 80) / 2 for value in values[5:]])
    assert np.mean(own[2:-2]) == pytest.approx(found["mixup"]["iqm"]["estimate"])
    assert (9, 10) == (found["mixup"]["n"], found["mixup"]["planned"])
    assert found["base"]["improvement"] is None
    assert found["mixup"]["improvement"]["estimate"] > 0.9
    assert "too narrow: in simulations they hold" in views.text(loaded, name="iqm")
    assert "weighs less: mixup (wine 5, iris 4)." in views.text(loaded, name="iqm")
    made = source.source_of(store, loaded)
    assert ["mixup", "base", "cutout"] == [one.variant for one in figure(made, "profiles").profiles]
    assert "mixup" == figure(made, "improvement").rows[0].variant


def test_scores_without_limits_or_over_one_setting_say_what_is_missing(load):
    _, loaded = load(lines(settings=("wine", "iris")), columns=replace(COLUMNS, limits={"iris": (0.0, 100.0)}))
    with pytest.raises(AblateError, match=r"what of acc counts as 0 and as 1 in wine.*limits: \{wine: \[0, 100\]\}"):
        views.text(loaded, name="iqm")
    with pytest.raises(AblateError, match="has one setting"):
        views.text(loaded.within("wine"), name="iqm")
    with pytest.raises(AblateError, match=r"no setting is called 'wien'.*Did you mean 'wine'"):
        load(lines(), columns=replace(COLUMNS, limits={"wien": (0.0, 100.0)}))
    with pytest.raises(AblateError, match="is 100:0; the first counts as 0, the second as 1, and higher is better"):
        load(lines(), columns=replace(COLUMNS, limits={"": (100.0, 0.0)}))


def test_the_figure_of_ranks_joins_what_is_not_told_apart(load):
    store, loaded = load(lines(shift={"mixup": 1.0, "cutout": 2.0, "both": 3.0, "four": 4.0}))
    shown = figure(source.source_of(store, loaded), "ranks")
    assert ("four", "both", "cutout", "mixup", "base") == shown.variants
    assert ((0, 2), (1, 3), (2, 4)) == shown.groups
    assert ("four", "both") == shown.apart
    caption = source.draw(source.source_of(store, loaded), "ranks").caption
    assert "(simulated: 5 settings, 5 seeds, 5 variants, equal spreads)" in caption


def test_all_figures_of_several_settings_are_drawn_and_the_others_named_once(load, tmp_path, capsys):
    load(lines(settings=("wine", "iris"), seeds=3), columns=replace(COLUMNS, limits={"": (0.0, 100.0)}))
    with pytest.raises(SystemExit):
        cli.main(["--db", str(tmp_path / "0.db"), "plot", "demo"])
    told = capsys.readouterr()
    assert "the other figures are of one setting: add --setting wine, say." in told.err
    assert ["improvement", "profiles", "ranks", "settings"] == [
        line.split(":")[0] for line in told.out.split("\n\n")[:4]
    ]


def test_what_is_exported_has_its_setting_and_comes_in_again(load):
    store, loaded = load(lines())
    text = export.text(store, "demo")
    first = next(csv.DictReader(io.StringIO(text)))
    assert ("wine", "base") == (first["setting"], first["variant"])
    _, again = load(text.splitlines(), columns=replace(COLUMNS, across="setting"))
    assert [row["mean"] for row in table(loaded)["rows"]] == [row["mean"] for row in table(again)["rows"]]


def test_commands_of_one_setting_take_its_name_and_the_note_names_each_without_examples(load, tmp_path, capsys):
    _, loaded = load(lines(settings=("wine", "iris"), seeds=3))
    for words in (["compare", "demo", "demo"], ["report", "demo", "--checklist", "mlrc", "-o", str(tmp_path / "c.md")]):
        for setting, code in (((), 2), (("--setting", "wine"), 0), (("--setting", "win"), 2)):
            with pytest.raises(SystemExit) as ended:
                cli.main(["--db", str(tmp_path / "0.db"), *words, *setting])
            assert code == (ended.value.code or 0), capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["--db", str(tmp_path / "0.db"), "cite", "demo", "wine/mixup", "n"])
    assert r"\ablate{demo/wine/mixup/n}{3}" in capsys.readouterr().out
    assert "these same examples: in wine and iris, for no run" in views.text(loaded)
