"""Two studies row by row: the difference of differences, paired where seeds are shared, and what changed between them."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from plans import bare, measured
from reported import fill
from scipy import stats

from ablate.analysis.results import Results
from ablate.errors import AblateError
from ablate.records import Metric
from ablate.store.stored import StoredCell
from ablate.study.record import VariantRecord
from ablate.tables.between import between
from ablate.terminal import cli

CHANCE = np.random.default_rng(7)
FULL = CHANCE.normal(90, 0.5, 8)
OFF = FULL - 1 + CHANCE.normal(0, 0.1, 8)


def study(name, off, seeds=range(8), epochs=5, torch="2.9", extra=None):
    of = replace(measured({"full": list(FULL), "full-a": list(off)}), seeds=tuple(seeds))
    configs = {"full": {"epochs": epochs, "lr": 0.1}, "full-a": {"epochs": epochs, "lr": 0.1, **(extra or {})}}
    variants = tuple(VariantRecord(name=of, tricks=(), config=config) for of, config in configs.items())
    record = bare(study=name, variants=variants, seeds=tuple(seeds), metric=of.metric)
    return Results(name, record, of, (), {"torch": {torch: 16}})


def test_over_shared_seeds_the_difference_of_differences_is_a_paired_t_test():
    later = OFF - 2 + CHANCE.normal(0, 0.3, 8)
    data = between(study("one", OFF), study("two", later, epochs=9))
    (record,) = data.records
    told = stats.ttest_rel(later - FULL, OFF - FULL)
    assert (8, True) == (record["pairs"], record["paired"])
    assert pytest.approx(told.pvalue) == record["p_adjusted"]
    assert pytest.approx(tuple(told.confidence_interval())) == (record["ci_low"], record["ci_high"])
    assert "differs" == record["verdict"]
    assert any(note.startswith("epochs 5 → 9: of every row and what it is compared with") for note in data.notes)


def test_without_shared_seeds_it_is_welchs_and_a_change_of_one_side_is_another_trick():
    data = between(study("one", OFF), study("one", OFF, range(20, 28), torch="2.10", extra={"p": 0.2}))
    (record,) = data.records
    assert record["paired"] is False
    assert "not shown to differ" == record["verdict"]
    notes = "\n".join(data.notes)
    assert "full-a: p absent → 0.2: changed on one side of this row, so it is another trick." in notes
    assert "torch: 2.9 → 2.10: how runs were made" in notes
    assert "Δ one (2)" in data.header


def test_runs_that_are_the_same_in_both_are_told_and_so_are_other_data_and_code_under_the_same_names():
    def cells(of, *keys):
        return replace(of, cells=tuple(StoredCell(v, 0, "ablation", k, "done", None, 1) for v, k in keys))

    one = cells(study("one", OFF), ("full", "a"), ("full-a", "b"))
    assert any("same 2 runs in both, so nothing can differ" in note for note in between(one, one).notes)
    two = cells(study("two", OFF), ("full", "a"), ("full-a", "c"))
    asked = {"a": {"data": "1" * 64, "code": {"loop": 1, "task": [["t.py", "ab" * 32]]}}}
    later = {"a": {"data": "2" * 64, "code": {"loop": 2, "task": [["t.py", "cd" * 32]]}}}
    notes = "\n".join(between(one, two, (asked, later)).notes)
    assert "1 of 3 runs is the same in both, trained once" in notes
    assert "data: SHA-256 111111111111 → 222222222222: other images or another split" in notes
    assert "code: loop v1 → v2; task t.py abababab → t.py cdcdcdcd: can explain" in notes


def test_adaptive_seeds_and_too_few_seeds_are_told():
    looked = study("one", OFF)
    looked = replace(looked, record=replace(looked.record, analysis={"looks": [3, 8]}))
    assert any("one: adaptive seeds ended each row" in note for note in between(looked, study("two", OFF)).notes)
    once = replace(study("two", OFF), measured=replace(measured({"full": [90.0], "full-a": [89.0]}), seeds=(0,)))
    assert any("Fewer than 3 seeds, so no interval and no p: full-a." == note for note in between(looked, once).notes)


def test_the_ending_of_a_file_decides_the_format_of_what_compare_and_export_write(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "a.db")

    def ablate(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(["--db", "a.db", *words])
        return ended.value.code

    assert (0, 0) == (ablate("compare", "demo", "demo", "-o", "c.tex"), ablate("export", "demo", "-o", "r.json"))
    assert r"\begin{tabular}" in (tmp_path / "c.tex").read_text()
    assert "demo" == json.loads((tmp_path / "r.json").read_text())[0]["study"]
    assert (2, 2) == (ablate("compare", "demo", "demo", "-o", "c.docx"), ablate("export", "demo", "-o", "r.xlsx"))
    assert (2, 2) == (ablate("export", "demo", "--evidence", "e.tar"), ablate("export", "demo", "--code", "c"))
    assert ".json" in capsys.readouterr().err


def test_on_a_terminal_compare_is_no_wider_than_it_and_says_every_note(tmp_path, monkeypatch, capsys):
    fill(tmp_path / "a.db")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(SystemExit):
        cli.main(["--db", str(tmp_path / "a.db"), "compare", "demo", "demo"])
    shown = capsys.readouterr().out
    assert 80 >= max(map(len, shown.splitlines()))
    assert "|" not in shown
    assert "so nothing can differ" in shown
    assert "no evidence that there is none" in shown


def test_studies_of_other_metrics_are_refused():
    other = study("two", OFF)
    metric = replace(other.measured, metric=Metric("loss"), values={"loss": other.measured.values["m"]})
    with pytest.raises(AblateError, match="is judged by m, two by loss"):
        between(study("one", OFF), replace(other, measured=metric))
