"""Adaptive seeds on a real database: runs that the feed wants are executed, look after look, and the table is read."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from ablate.analysis import results
from ablate.pool.feed import Seen
from ablate.records import RunSpec, TaskUse
from ablate.registry import Registry
from ablate.reports import methods
from ablate.runs import export
from ablate.runs.adaptive import ByLook
from ablate.runs.why import why_text
from ablate.store.store import Store
from ablate.study.record import PlanRecord
from ablate.tables import views
from ablate.tables.table import TableOptions

HERE = {"host": "h", "boot": "b", "owner": "1:1", "log": "l", "lease_s": 30.0, "device": "cpu", "slot": 0}
LOOKS = [3, 5, 10]
TRICKS = {"base": [], "base+big": ["big"], "base+none": ["none"], "base+small": ["small"], "base+same": ["same"]}


def plan(looks=LOOKS, tricks=TRICKS, rows=None, **metric):
    rows = rows or [(name, None if name == "base" else "base") for name in tricks]
    asked = [
        {"design": "add_one_in", "variant": v, "compared_with": ref, "label": v, "differs": tricks[v][-1:] if ref else []}
        for v, ref in rows
    ]  # fmt: skip
    return {
        "study": "demo", "question": "", "task": "m:f", "analysis": {"looks": looks}, "baseline": "base",
        "seeds": list(range(looks[-1])), "also": {}, "tricks": [], "rows": asked, "left_out": [], "notes": [],
        "metric": {"name": "acc", "better": "higher", "at": "last", "minimum_effect": None, **metric},
        "variants": [{"name": n, "tricks": t, "designs": [], "config": {}, "uses": []} for n, t in tricks.items()],
    }  # fmt: skip


def normal(variant, seed):
    """A value whose seeds are shared noise; `small` shows in ten seeds, `big` in three, `same` is the base's number."""
    on = set(TRICKS[variant])
    noise = (
        random.Random(f"{variant} {seed}").gauss(0, 0.5)
        if on != {"same"}
        else random.Random(f"base {seed}").gauss(0, 0.5)
    )
    return 50 + random.Random(seed).gauss(0, 3) + noise + 20 * ("big" in on) + 1.5 * ("small" in on)


class Study:
    """A stored plan, and a dispatcher without processes."""

    def __init__(self, folder, resolved, value=normal):
        self.store, self.value = Store.open(folder / "a.db", write=True), value
        names = [variant["name"] for variant in resolved["variants"]]
        self.cells = [(v, s, "ablation", f"{v}:{s}") for s in resolved["seeds"] for v in names]
        self.store.save_plan(PlanRecord.of(resolved), "", self.cells, {key: "{}" for *_, key in self.cells})
        spec = RunSpec("", TaskUse.of("m:f"), {}, (), 0, 1, "", "")
        self.specs = {key: dataclasses.replace(spec, key=key, seed=seed) for _, seed, _, key in self.cells}
        self.executed = []

    def wanted(self, feed):
        states = self.store.states(self.specs)
        done = {key for key, found in states.items() if found.state == "done"}
        failed = {key: found.reason for key, found in states.items() if found.state == "failed"}
        return [k for k in feed.wanted(Seen(done, failed)) if k not in done and k not in failed]

    def run(self, most=10**6):
        """Execute what is wanted, each dispatcher a new one, until nothing is; `most` runs at most."""
        feed = ByLook(self.store, "demo", self.specs)
        while most and (keys := self.wanted(feed)):
            for key in keys[:most]:
                variant, _, seed = key.rpartition(":")
                result = self.value(variant, int(seed))
                self.store.claim(key, f"t-{key}", **HERE)
                if isinstance(result, str):
                    self.store.fail(f"t-{key}", result, "said", again=False)
                else:
                    # Hashes of what a run made: of `same` they are the base's.
                    self.store.finish(f"t-{key}", {"acc": result}, {"weights": f"{seed} {result}"}, {})
                self.executed.append((variant, int(seed)))
            most -= len(keys[:most])

    def seeds_of(self, variant):
        return [seed for name, seed in self.executed if name == variant]

    @property
    def table(self):
        return views.table_data(results.load(self.store, "demo"))

    @property
    def rows(self):
        return {row.variant: row for row in self.table.rows}

    def note(self, part):
        found = [note for note in self.table.notes if part in note]
        assert len(found) <= 1
        return found[0] if found else ""


@pytest.fixture
def study(tmp_path):
    made = []

    def make(resolved=None, value=normal):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Study(folder, resolved or plan(), value))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def test_the_next_seeds_go_to_open_rows_and_their_comparison_only(study):
    ran = study()
    ran.run()
    counts = {variant: len(ran.seeds_of(variant)) for variant in TRICKS}
    assert {"base": 10, "base+big": 3, "base+none": 10, "base+small": 10, "base+same": 3} == counts
    verdicts = {name: (row.verdict, row.look, row.n, row.stopped_early) for name, row in ran.rows.items()}
    assert ("helps", 1, 3, True) == verdicts["base+big"]
    assert ("inert", 1, 3, True) == verdicts["base+same"]
    assert ("inconclusive", 3, 10, False) == verdicts["base+none"]
    assert ("helps", 3, 10, False) == verdicts["base+small"]
    assert (None, None, 10, False) == verdicts["base"]


def test_what_was_saved_what_stopped_early_and_at_which_level_is_said(study):
    ran = study()
    ran.run()
    assert "Seeds saved: 14 of the 50 runs of the full plan (10 seeds per variant)" in ran.note("saved")
    assert "base+big at look 1 (3 seeds), base+same at look 1 (3 seeds)" in ran.note("¶")
    assert "biased: outward" in ran.note("¶")
    assert "The looks test at 0.0034, 0.0093 and 0.037" in ran.note("Adaptive seeds")
    assert "its own 99.7 %, 99.1 % or 96.3 % (by look) t interval" in ran.note("higher is better")
    assert "" == ran.note("Unfinished")
    found = results.load(ran.store, "demo")
    assert 14 == len(found.saved)
    assert {"done"} == {cell.state for cell in found.cells}
    assert 1 + 36 == len(export.text(ran.store, "demo").splitlines()), "a header, and no run that was saved"
    said = methods.paragraph(found.record, found.measured, ran.table.rows, found.cells, found.provenance)
    assert "each trained with 3, 5 or 10 seeds: 36 runs." in said
    assert "at 0.0034, 0.0093 and 0.037 at one look after the other" in said
    assert "Intervals are 99.7 %, 99.1 % or 96.3 % (by look) t intervals" in said


def test_p_and_interval_of_a_row_agree_on_whether_it_is_found_at_its_look(study):
    one = plan(tricks={name: TRICKS[name] for name in ("base", "base+none")})
    ran = study(one)
    ran.run()
    row = ran.rows["base+none"]
    assert row.confidence == pytest.approx(1 - 0.05 * 100 / 134)
    assert row.p_adjusted == pytest.approx(min(1.34 * row.p, 1))
    assert (row.p_adjusted < 0.05) == (row.delta_ci_low > 0 or row.delta_ci_high < 0)


def test_a_run_killed_anywhere_and_started_again_comes_to_the_same_table(study):
    whole = study()
    whole.run()
    pieces = study()
    for _ in range(15):
        pieces.run(most=1)
    pieces.run()
    assert sorted(whole.executed) == sorted(pieces.executed)
    assert whole.table == pieces.table
    pieces.run()
    assert sorted(whole.executed) == sorted(pieces.executed), "run again, and nothing runs"


def test_why_tells_a_seed_that_waits_for_its_look_from_one_that_is_not_needed(study):
    ran = study()
    ran.run(most=8)
    assert "to do: it was not executed yet." in why_text(ran.store, "base+none:2")
    assert "to do if it is needed: a look of demo" in why_text(ran.store, "base+none:4")
    ran.run()
    assert "not needed: the looks of demo settled every row" in why_text(ran.store, "base+big:4")


def test_a_look_under_way_is_told_and_tests_nothing(study):
    ran = study()
    ran.run(most=8)
    assert {None} == {row.p for row in ran.rows.values()} == {row.verdict for row in ran.rows.values()}
    assert "Look 1 of 3 (3 seeds) is under way; nothing is tested before it is over." in ran.note("under way")
    ran.run(most=10)
    big, none = ran.rows["base+big"], ran.rows["base+none"]
    assert ("helps", 3, 3) == (big.verdict, big.n, big.planned)
    assert ("inconclusive", 1, 3, 5) == (none.verdict, none.look, none.n, none.planned)
    assert "Look 2 of 3 (5 seeds) is under way; open rows show the look before." in ran.note("under way")
    assert "so far" in ran.note("saved")


def test_a_settled_row_is_not_changed_by_the_seeds_that_its_variant_runs_for_others(study):
    tricks = {"base": [], "base+big": ["big"], "base+big+none": ["big", "none"]}
    chain = [("base", None), ("base+big", "base"), ("base+big+none", "base+big")]

    def value(variant, seed):
        later = 500.0 if seed >= 3 and variant == "base+big" else 0.0  # would turn the verdict, were it looked at
        return 50 + random.Random(f"{variant} {seed}").gauss(0, 0.5) + 20 * ("big" in variant) - later

    ran = study(plan(tricks=tricks, rows=chain), value)
    ran.run()
    row = ran.rows["base+big"]
    assert 3 < len(ran.seeds_of("base+big"))
    assert ("helps", 3, 3) == (row.verdict, row.n, row.pairs)
    assert row.mean == pytest.approx(sum(value("base+big", seed) for seed in range(3)) / 3)
    assert "for the sake of other rows, change nothing in it: base+big" in ran.note("sake")


def test_a_failed_run_does_not_hold_up_its_look(study):
    def value(variant, seed):
        return "diverged" if (variant, seed) == ("base+none", 1) else normal(variant, seed)

    ran = study(value=value)
    ran.run()
    row = ran.rows["base+none"]
    assert (9, 10, 1, 3) == (row.n, row.planned, row.failed, row.look)


def test_equivalence_is_tested_at_the_level_of_a_look(study):
    # Differences of 0.1, 0, -0.1: two one-sided tests within 0.75 have p = 0.003 at 3 seeds, which the first look's
    # 0.0034 accepts, and within 0.30 p = 0.018, which only 0.05 would.
    def value(variant, seed):
        return 50.0 + seed + (0.1 * (seed % 3 - 1) if variant == "base+none" else 0.0)

    tricks = {"base": [], "base+none": ["none"]}
    stops, goes_on = (study(plan(tricks=tricks, minimum_effect=margin), value) for margin in (0.75, 0.30))
    stops.run()
    goes_on.run()
    assert ("equivalent", 1) == (stops.rows["base+none"].verdict, stops.rows["base+none"].look)
    assert ("equivalent", 2) == (goes_on.rows["base+none"].verdict, goes_on.rows["base+none"].look)


def test_every_other_view_says_that_its_numbers_do_not_allow_for_the_looks(study):
    cells = {"base": [], "base+a": ["a"], "base+b": ["b"], "full": ["a", "b"]}
    tricks = [{"name": name, "label": "", "category": "", "levels": []} for name in "ab"]

    def value(variant, seed):
        return 20 * ("a" in cells[variant]) + random.Random(f"{variant} {seed}").gauss(0, 1)

    ran = study(plan(tricks=cells) | {"tricks": tricks}, value)
    ran.run()
    assert 3 == len(ran.seeds_of("base+a"))
    found = results.load(ran.store, "demo")
    for name in set(views.VIEWS) - {
        "variants",
        "matrix",
        "classes",
        *views.OVER_SETTINGS,
    }:  # the table itself; and no run told of a class
        shown = views.view(found, name)
        assert any("Seeds were added look by look (3, 5 and 10)" in note for note in shown.notes), name
        for format_ in Registry().names("tables"):
            assert Registry().make("tables", format_, {}).render(shown, TableOptions())
    chain = {row.variant: row for row in views.view(found, "cumulative").rows}
    assert (3, 3, 3) == (chain["base+a"].n, chain["base+a"].planned, chain["base+a"].pairs)


def test_runs_that_others_measure_anew_are_wanted_too(study):
    ran = study(plan(tricks={"base": [], "base+none": ["none"]}, rows=[("base", None)]))
    ran.specs["base:0"] = dataclasses.replace(ran.specs["base:0"], evaluates="base+none:9")
    assert "base+none:9" in ran.wanted(ByLook(ran.store, "demo", ran.specs))


# ------------------------------------------------------------------------------------------------------- real processes

TASK = """
import os, random

def main(config, run):
    with open(os.environ["EXECUTED"], "a") as log:
        log.write(f"{config} {run.seed}\\n")
    noise = random.Random(f"{run.seed} {sorted(config.items())}").gauss(0, 1)
    return {"score": 20 * config["a"] + 2 * config["c"] + noise}
"""
FILE = """
task: noise_task:main
base: {a: 0, b: 0, c: 0}
tricks: {ay: {set: {a: 1}}, be: {set: {b: 1}}, ce: {set: {c: 1}}}
designs: add_one_in
seeds: {looks: [3, 5, 10]}
metric: {name: score, better: higher, minimum_effect: 0.1}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "noise_task.py").write_text(TASK)
    (tmp_path / "noise.yaml").write_text(FILE)
    return tmp_path


def start(folder, *words, db="a.db"):
    return subprocess.Popen(
        [sys.executable, "-m", "ablate", "--db", db, *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "EXECUTED": str(folder / f"{db}.log")},
    )  # fmt: skip


def output(process):
    out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said[-2000:]
    return out


def executed(folder, db="a.db"):
    return sorted((folder / f"{db}.log").read_text().splitlines())


@pytest.mark.slow
def test_two_dispatchers_one_killed_and_a_rerun_come_to_the_table_and_the_runs_of_one(folder):
    table = output(start(folder, "run", "noise.yaml", db="alone.db"))
    runs = executed(folder, "alone.db")
    assert len(runs) < 40
    both = [start(folder, "run", "noise.yaml", "--workers", "1") for _ in range(2)]
    while not (folder / "a.db.log").exists():
        time.sleep(0.01)
    both[0].send_signal(signal.SIGKILL)
    both[0].communicate()
    assert table == output(both[1])
    assert set(runs) == set(executed(folder)), "the killed one's run may have been executed twice, never another one"
    count = len(executed(folder))
    assert table == output(start(folder, "run", "noise.yaml"))
    assert count == len(executed(folder))
    counts = json.loads(output(start(folder, "status", "--format", "json")))["counts"]
    assert {"todo": 0, "running": 0, "done": len(runs), "failed": 0, "lost": 0, "saved": 40 - len(runs)} == counts
    plan = json.loads(output(start(folder, "plan", "noise.yaml", "--format", "json")))
    assert (len(runs), 0, 40 - len(runs), 12) == tuple(plan["counts"][k] for k in ("done", "todo", "saved", "least"))
    assert "Adaptive seeds, looks at 3, 5 and 10: 12 runs at least" in plan["notes"][0]
    assert {"done": len(runs), "saved": 40 - len(runs)} == Counter(run["state"] for run in plan["runs"])
