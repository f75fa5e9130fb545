"""A whole search: real processes, a SQLite file, Optuna's journal; killed, gone on with, confirmed, written into a study."""

import fcntl
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing

import pytest

from ablate.analysis import results
from ablate.errors import AblateError, StudyError
from ablate.runs import execute, submission, winners
from ablate.runs import planned as planner
from ablate.runs.execute import Options
from ablate.runs.moment import moment
from ablate.runs.planned import find_run
from ablate.runs.progress import standing
from ablate.runs.verify import verify
from ablate.store.store import Store
from ablate.study.cells import configuration
from ablate.study.file import parse
from ablate.tables import views
from ablate.tuning import tune as tuning
from ablate.tuning import underway
from ablate.tuning.journal import Journal
from ablate.tuning.tune import applied

TASK = """
import os, signal, time

def hill(config, run):
    with open(os.environ.get("EXECUTED", os.devnull), "a") as log:
        log.write(f"{run.spec.key}\\n")
    time.sleep(config["pause"])
    x, y = config["x"], config["y"]
    if x > config["cliff"]:
        return {"score": float("nan")}
    if x < config["trap"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"score": -(x - 0.3) ** 2 - (y - 0.7) ** 2 + 0.01 * (run.seed_for("noise", repr(x), repr(y)) % 100) / 100}

def climb(config, run):
    # Goes on where it was paused; says so to EXECUTED for every step that it really works on.
    mark = run.folder / "at"
    start = int(mark.read_text()) if mark.exists() else 0
    for step in range(9):
        if step >= start:
            with open(os.environ["EXECUTED"], "a") as log:
                log.write(f"{run.spec.key} {step}\\n")
            time.sleep(config["pause"])
        try:
            yield {"score": step / 9 - (config["x"] - 0.3) ** 2}
        except Exception:
            mark.write_text(str(step + 1))
            raise
"""
STUDY = """\
# Is the hill climbed?
study: hill
task: hills:hill
base: {x: 0.9, y: 0.1, pause: 0, cliff: 9, trap: -9}   # far off
tricks:
  higher: {set: {y: 0.5}}
variants: {A: [], B: [higher]}
seeds: 3
metric: {name: score, better: higher}
tune:
  variant: A
  trials: 12
  space:
    x: {low: 0.0, high: 1.0}
    y: {low: 0.0, high: 1.0}
"""


class Deaf:
    """Who is told, and what of."""

    def __init__(self):
        self.said = []

    def __getattr__(self, name):
        return lambda *words, **more: self.said.append((name, words))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "hills.py").write_text(TASK)
    (tmp_path / "hill.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXECUTED", str(tmp_path / "executed"))
    return tmp_path


def tune(*sets, workers=1, run=False, **options):
    """`ablate tune hill.yaml --set ...`; how many runs it executed, and what it found."""
    planned = planner.find("hill.yaml", "a.db", sets)
    if run:
        execute.execute(planned, "a.db", Options(workers), Deaf())
    asked = {"trials": None, "variant": None, "budget_s": None, **options}
    told = tuning.tune(tuning.with_options(planned, **asked), "a.db", Options(workers), Deaf())
    return told.ended.executed, told.found


def cells(role):
    with Store.open("a.db") as store:
        return store.cells("hill", (role,))


def table():
    with Store.open("a.db") as store:
        return views.table_data(results.load(store, "hill"))


def journal(*sets, variant="A"):
    planned = planner.find("hill.yaml", "a.db", sets)
    asked = tuning.search_of(planned.study)
    with Store.open("a.db") as store:
        return tuning.hunt_of(planned, asked, variant, tuning.home(store.folder, planned.study), store).journal


def test_trials_are_runs_and_the_winner_is_confirmed_beside_the_untuned_variant_on_fresh_seeds(folder):
    executed, (found,) = tune(workers=2)
    assert (12 + 2 * 5, 12) == (executed, found.trials)
    trials = cells("tune")
    assert {1000} == {cell.seed for cell in trials}
    assert "A [trial 0]" == trials[0].variant
    assert {"x": 0.9, "y": 0.1} == dict(journal().trials()[0].settings)
    assert {2000, 2001, 2002, 2003, 2004} == {cell.seed for cell in cells("confirm")}
    rows = {row.variant: row for row in table().rows if row.design == "tuned"}
    tuned = rows["A (tuned)"]
    assert (5, 5, "A (untuned)", "helps") == (tuned.n, tuned.pairs, tuned.compared_with, tuned.verdict)
    assert rows["A (untuned)"].mean < tuned.mean
    said = " ".join(table().notes)
    assert "The best of 12 trials by tpe on seed 1000, 12 runs in all" in said
    assert "selection-biased" in said
    assert "fresh seeds (2000 to 2004)" in said
    with Store.open("a.db") as store:
        (so_far,) = underway.so_far(store, moment(store, "hill", role="tune"), folder / "hill")
    assert (12, 12, found.trial) == (so_far.ended, so_far.search.asked, so_far.best.number)
    assert so_far.untuned.value == found.untuned.value
    assert 0 == tune(workers=2)[0]


def test_a_tuned_row_changes_no_other_row(folder):
    execute.execute(planner.find("hill.yaml", "a.db"), "a.db", Options(1), Deaf())
    before = table()
    tune(trials=3)
    after = table()
    assert before.rows == after.rows[: len(before.rows)]
    told = [note.replace("untuned rows", "rows") for note in after.notes]  # which rows "best" looked at
    assert list(before.notes) == told[: len(before.notes)]


def test_a_setting_that_was_tried_in_another_search_is_not_trained_again(folder):
    grid = ["tune.space.x=[0.9, 0.5]", "tune.space.y=[0.1, 0.6]", "tune.fresh_seeds=1"]
    executed, (found,) = tune(*grid, "tune.sampler=grid")
    assert (4, 4 + 2) == (found.trials, executed)
    (folder / "executed").unlink()
    executed, (found,) = tune(*grid, "tune.sampler=random", trials=8)
    assert (8, 4) == (found.trials, found.runs)
    assert 0 == executed
    assert not (folder / "executed").exists()


def test_a_lost_run_is_a_failed_trial_a_diverged_one_a_pruned_one_and_both_are_counted(folder):
    _, (found,) = tune("trap=0.3", "cliff=0.7", "limits.attempts=1", "tune.sampler=random", workers=2)
    states = Counter(
        (trial.state, trial.why) for trial in journal("trap=0.3", "cliff=0.7", "tune.sampler=random").trials()
    )
    assert {("done", ""), ("failed", "lost"), ("pruned", "diverged")} == states.keys()
    assert {
        "done": states["done", ""],
        "failed": states["failed", "lost"],
        "pruned": states["pruned", "diverged"],
    } == dict(found.states)
    assert 12 == sum(states.values())


def test_settings_that_diverge_at_the_start_end_no_search(folder):
    grid = ["tune.space.x=[0.95, 0.9, 0.85, 0.8, 0.5]", "tune.space.y=[0.1, 0.6]", "tune.sampler=grid"]
    _, (found,) = tune(*grid, "cliff=0.7", "limits.stop_after=2", "tune.fresh_seeds=1")
    assert {"pruned": 8, "done": 2} == dict(found.states)


def test_tune_says_that_the_best_variant_is_not_known_before_the_ablation_is_done(folder):
    with pytest.raises(AblateError, match="has every planned seed done, so none is the best yet: `ablate run` first"):
        tune(variant="best")
    _, (found,) = tune(variant="best", trials=2, run=True)
    assert "B" == found.variant


def test_several_variants_get_the_same_budget_and_are_compared_before_and_after(folder):
    (folder / "hill.yaml").write_text(STUDY.replace("variant: A", "variants: [A, B]"))
    _, found = tune(trials=6, workers=2)
    assert [("A", 6), ("B", 6)] == [(entry.variant, entry.trials) for entry in found]
    rows = [(row.design, row.variant, row.compared_with) for row in table().rows if row.design != "variants"]
    assert [
        ("tuned", "A (untuned)", None),
        ("tuned", "A (tuned)", "A (untuned)"),
        ("tuned", "B (untuned)", None),
        ("tuned", "B (tuned)", "B (untuned)"),
        ("before tuning", "B (untuned)", "A (untuned)"),
        ("after tuning", "B (tuned)", "A (tuned)"),
    ] == rows
    assert "Each of these variants got the same search budget: 6 trials." in table().notes


def test_one_searcher_a_study(folder):
    tune(trials=1)
    with open(folder / "hill" / "tune.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AblateError, match="another `ablate tune` of hill is running"):
            tune(trials=2)
    assert 2 == tune(trials=2)[1][0].trials


def test_a_search_stops_asking_when_its_time_is_over(folder):
    _, (found,) = tune("pause=0.2", budget_s=0.5)
    assert 1 <= found.trials <= 3


def test_a_search_gone_on_with_after_a_winner_was_seen_says_so(folder):
    tune(trials=2)
    _, (found,) = tune()
    assert 2 == len(found.winners)
    assert any("It is winner number 2" in note for note in table().notes)


def test_a_tuned_variant_that_changed_since_leaves_the_table_and_is_told(folder):
    tune(trials=2)
    (folder / "hill.yaml").write_text(STUDY.replace("x: 0.9", "x: 0.8"))
    execute.execute(planner.find("hill.yaml", "a.db"), "a.db", Options(1), Deaf())
    assert "tuned" not in {row.design for row in table().rows}
    assert "A was tuned, and has changed since: `ablate tune` again." in table().notes


def test_what_is_applied_is_the_tuned_variant_with_the_comments_kept(folder):
    _, (found,) = tune(trials=6)
    planned = planner.find("hill.yaml", "a.db")
    text, said = applied(planned, "a.db", None)
    assert re.fullmatch(r"On fresh seeds A \(tuned\) has score -0\.\d+, untuned -0\.\d+ \(n=5\): helps\.", *said)
    assert "# far off" in text
    assert "# As tuned in hill: A by trial" in text
    (folder / "again.yaml").write_text(text)
    again = planner.find("again.yaml", "a.db")
    assert "hill-tuned" == again.study.name
    config = again.plan.variant("A").completed.config
    assert found.settings == {key: config[key] for key in ("x", "y")}
    with pytest.raises(AblateError, match="A was tuned, not 'B'"):
        applied(planned, "a.db", "B")


def keys_of(name):
    """The keys of a study file's runs, by variant."""
    runs = planner.find(name, "a.db").plan.runs
    return {variant: [run.key for run in runs if run.variant == variant] for variant in {run.variant for run in runs}}


@pytest.mark.parametrize("form", ["[higher]", "{tricks: [higher]}", "{set: {y: 0.2}, tricks: [higher]}"])
def test_settings_are_written_into_the_variant_that_was_tuned_and_no_other_run_is_asked_anew(folder, form):
    text = STUDY.replace("B: [higher]", f"B: {form}, C: [other]").replace(
        "variants:", "  other: {set: {x: 0.6}}\nvariants:"
    )
    (folder / "hill.yaml").write_text(text)
    before = keys_of("hill.yaml")
    tune(variant="B", trials=4)
    tune(variant="C", trials=4)
    (folder / "again.yaml").write_text(applied(planner.find("hill.yaml", "a.db"), "a.db", None)[0])
    again, after = planner.find("again.yaml", "a.db"), keys_of("again.yaml")
    assert (before["A"], {"A", "B", "C"}) == (after["A"], after.keys())
    for entry in stored().tuned:
        config = again.plan.variant(entry.variant).completed.config
        assert entry.settings == {key: config[key] for key in ("x", "y")}
        assert not set(before[entry.variant]) & set(after[entry.variant])


def test_a_tuned_variant_of_a_design_is_listed_by_hand_beside_what_was_planned(folder):
    (folder / "hill.yaml").write_text(
        STUDY.replace("variants: {A: [], B: [higher]}\n", "").replace("variant: A", "variant: base")
    )
    before = keys_of("hill.yaml")
    tune(trials=2)
    (folder / "again.yaml").write_text(applied(planner.find("hill.yaml", "a.db"), "a.db", None)[0])
    after = keys_of("again.yaml")
    assert after.pop("base-tuned")
    assert before == after


def test_what_is_tuned_stands_above_the_tricks_of_one_variant_alone():
    text = (
        "base: {model: {name: vgg}, data: {name: synthetic}, epochs: 1}\n"
        "tricks: {mixup: , slow: {set: {optimizer.lr: 0.01}}, ema: }\n"
        "variants: {A: {tricks: [mixup, slow], tuned: {tricks.mixup.alpha: 0.3, optimizer.lr: 0.5}}, B: [mixup, slow]}\n"
    )
    a, b = (configuration(parse(text, "s.yaml"), variant.cell) for variant in parse(text, "s.yaml").variants)
    assert (0.5, 0.01) == (a[0]["optimizer"]["lr"], b[0]["optimizer"]["lr"])
    assert (0.3, {}) == (a[1][0].params["alpha"], b[1][0].params)
    with pytest.raises(StudyError, match=r"3:47: variants\.A\.tuned\.tricks\.ema\.x: is of 'ema', which is off here"):
        parse(text.replace("mixup.alpha", "ema.x"), "s.yaml")
    with pytest.raises(StudyError, match=r"3:67: variants\.A\.tuned\.tricks\.mixup\.alpha: "):
        parse(text.replace("alpha: 0.3", "alpha: -1"), "s.yaml")


def test_a_winner_is_named_like_any_variant_by_whoever_looks_at_runs_verifies_or_retries(folder):
    tune(trials=2, run=True)
    with Store.open("a.db") as store:
        key = find_run(store, "A (tuned):2000")
        planned = planner.find("hill.yaml", "a.db")
        ours = winners.confirmation(planned, store)
        assert key == next(run.key for run in ours.plan.runs if (run.variant, run.seed) == ("A (tuned)", 2000))
        assert "A (tuned)" == submission.choose(results.load(store, "hill"), "A (tuned)")
        assert {2000: key} == submission._finished(ours, store, "A (tuned)", 2000)
        assert any("Best mean of the untuned rows" in note for note in table().notes)
    assert "bit-identical" == verify(key, "a.db").verdict
    with closing(sqlite3.connect("a.db")) as connection, connection:
        connection.execute("UPDATE run SET state = 'failed', reason = 'error' WHERE key = ?", [key])
    options = Options(1, retry_failed=True)
    assert 1 == tuning.retried(planned, "a.db", options, Deaf()).executed
    assert 0 == tuning.retried(planned, "a.db", options, Deaf()).executed


def stored():
    with Store.open("a.db") as store:
        return store.study("hill").record


# ------------------------------------------------------------------------------------------------------------- pruning

CLIMB = STUDY.replace("hills:hill", "hills:climb").replace("pause: 0,", "pause: 0.01,")
CLIMB = CLIMB.replace("    y: {low: 0.0, high: 1.0}\n", "").replace("x: 0.9", "x: 0.31")


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_paused_run_waits_and_no_step_is_ever_worked_twice(folder, pruner):
    (folder / "hill.yaml").write_text(CLIMB)
    _, (found,) = tune(f"tune.pruner={pruner}", "tune.sampler=random", "tune.fresh_seeds=1", trials=16)
    paused = [cell for cell in cells("tune") if cell.reason == "pruned"]
    assert paused
    worked = Counter((folder / "executed").read_text().splitlines())
    assert {1} == set(worked.values())
    assert len(worked) < 9 * (16 + 2)
    assert found.states["pruned"] >= len(paused)


def test_a_trial_that_was_paused_by_its_first_seed_leaves_no_run_to_do(folder):
    (folder / "hill.yaml").write_text(CLIMB)
    sets = ["tune.pruner=median", "tune.sampler=random", "tune.fresh_seeds=1", "tune.seeds=2"]
    _, (found,) = tune(*sets, trials=12)
    states = Counter(cell.state for cell in cells("tune"))
    assert {"done", "failed"} == states.keys()
    assert found.runs == sum(states.values()) < 24
    with Store.open("a.db") as store:
        told = standing(store, "hill", "tune")
    assert (states["done"], states["failed"]) == (told["counts"]["done"], told["counts"]["paused"])


def test_a_trial_that_is_among_the_best_of_its_rung_later_is_promoted_and_goes_on(folder):
    (folder / "hill.yaml").write_text(CLIMB)
    sets = ["tune.pruner=hyperband", "tune.sampler=random", "tune.fresh_seeds=1"]
    tune(*sets, trials=24)
    trials = journal(*sets).trials()
    promoted = [trial for trial in trials if trial.promotes is not None]
    assert promoted
    for trial in promoted:
        assert trials[trial.promotes].runs == trial.runs
    assert any(trial.state == "done" or trial.rungs.keys() > trials[trial.promotes].rungs.keys() for trial in promoted)


def test_what_becomes_of_a_trial_does_not_depend_on_when_its_run_was_trained(folder):
    """Paused while it runs, over before it hears so, or done long before: the same steps are judged alike."""
    (folder / "hill.yaml").write_text(CLIMB)
    grid = ["tune.sampler=grid", "tune.fresh_seeds=1", f"tune.space.x={[i / 16 for i in range(16)]}"]
    tune(*grid, "tune.pruner=hyperband", trials=16)
    while_running = outcome(folder, *grid, "tune.pruner=hyperband")[0]
    for path in folder.glob("a.db*"):
        path.unlink()
    shutil.rmtree(folder / "hill")
    tune(*grid, trials=16)
    (folder / "executed").unlink()
    tune(*grid, "tune.pruner=hyperband", trials=16)
    assert while_running == outcome(folder, *grid, "tune.pruner=hyperband")[0]
    assert "pruned" in {state for *_, state, _ in while_running}
    assert not (folder / "executed").exists()


# --------------------------------------------------------------------------------------------------------------- kills


def outcome(folder, *sets):
    """What a search came to: its trials, the attempts of each run, and what is kept of the winner."""
    with closing(sqlite3.connect(folder / "a.db")) as connection:
        done = connection.execute("SELECT run, count(*) FROM attempt WHERE outcome = 'done' GROUP BY run").fetchall()
        live = connection.execute("SELECT count(*) FROM attempt WHERE outcome IS NULL").fetchone()[0]
    trials = [(dict(t.settings), t.value, t.state, t.promotes) for t in journal(*sets).trials()]
    return trials, dict(done), live, stored().tuned


@pytest.mark.slow
@pytest.mark.parametrize("sets", [("tune.sampler=tpe", "pause=0.02"), ("tune.pruner=hyperband", "pause=0.01")])
def test_ten_kills_lose_no_trial_run_none_twice_leave_none_running_and_change_no_answer(folder, sets):
    if "tune.pruner=hyperband" in sets:
        (folder / "hill.yaml").write_text(CLIMB)
    command = [sys.executable, "-m", "ablate", "--db", "a.db", "tune", "hill.yaml", "--trials", "24", "--workers", "1"]
    command += [word for given in sets for word in ("--set", given)]
    subprocess.run(command, check=True, capture_output=True)
    whole = outcome(folder, *sets)
    for path in [*folder.glob("a.db*"), folder / "executed"]:
        path.unlink()
    for path in sorted((folder / "hill").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()

    draw, kills = random.Random(7), 0
    while kills < 10:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lines = journal_lines(folder)
        target = lines + draw.randint(1, 15)
        while process.poll() is None and journal_lines(folder) < target:
            time.sleep(0.001)
        time.sleep(draw.random() * 0.05)
        assert process.poll() is None, "the search was over before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert 0 == done.returncode, done.stderr
    trials, attempts, live, found = outcome(folder, *sets)
    assert whole[0] == trials
    assert "running" not in {state for *_, state, _ in trials}
    assert {1} == set(attempts.values())
    if "tune.pruner=hyperband" not in sets:  # a run that is over before it hears that it is to pause is done
        assert whole[1] == attempts
    assert 0 == live
    assert whole[3] == found


def journal_lines(folder):
    path = folder / "hill" / "tune.journal"
    return path.read_bytes().count(b"\n") if path.exists() else 0


# ------------------------------------------------------------------------------------------------------------- quality


@pytest.mark.slow
def test_tpe_through_ablate_finds_what_optuna_alone_finds(folder):
    """The same sampler, seeds and number of trials on the same hill without noise; the best of each, over three seeds."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    (folder / "hills.py").write_text(TASK.replace("0.01 * (run", "0 * (run"))

    def alone(seed):
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        study.enqueue_trial({"x": 0.9, "y": 0.1})
        hill = lambda t: -((t.suggest_float("x", 0, 1) - 0.3) ** 2) - (t.suggest_float("y", 0, 1) - 0.7) ** 2  # noqa: E731
        study.optimize(hill, n_trials=25)
        return study.best_value

    ours = [tune(f"tune.sampler_seed={seed}", "tune.fresh_seeds=1", trials=25)[1][0].value for seed in range(3)]
    theirs = [alone(seed) for seed in range(8)]
    assert min(theirs) <= sorted(ours)[1] <= 0
    assert isinstance(journal(), Journal)
