"""Optuna's journal: what is asked, told and gone on with, on real files."""

import json
import math

import optuna
import pytest
from plans import bare

from ablate.errors import AblateError
from ablate.records import Metric
from ablate.study.search import Dimension
from ablate.tuning import journal as tune
from ablate.tuning.journal import Journal

SPACE = (
    Dimension("lr", "float", 0.001, 1.0, log=True),
    Dimension("width", "int", 1, 8, step=1),
    Dimension("schedule", "choice", choices=({"name": "cosine"}, {"name": "constant"}, None)),
)


def value(settings):
    """The lower the better: best at lr 0.03, width 5, cosine."""
    off = 0.0 if settings["schedule"] == {"name": "cosine"} else 0.5
    return (math.log10(settings["lr"]) + 1.5) ** 2 + 0.1 * (settings["width"] - 5) ** 2 + off


def opened(path, sampler="tpe", seed=0, space=SPACE):
    return Journal(path, "s", space, sampler, seed, "lower")


def searched(path, count, anew=False, **how):
    """So many trials, one at a time. anew: as a new process for each that finds what the one before left."""
    journal = opened(path, **how)
    while True:
        for trial in journal.running():
            journal.tell(trial.number, value(trial.settings))
        if len(journal.trials()) == count:
            return [(trial.settings, trial.value) for trial in journal.trials()]
        journal.ask()
        journal = opened(path, **how) if anew else journal


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_draws_the_same_trials_however_often_it_was_begun_anew(tmp_path, sampler):
    one = searched(tmp_path / "a", 16, sampler=sampler)
    assert one == searched(tmp_path / "b", 16, anew=True, sampler=sampler)
    assert one != searched(tmp_path / "c", 16, sampler=sampler, seed=1)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_search_cut_short_after_any_write_goes_on_to_the_same_trials(tmp_path, sampler):
    """Also between two keys of one trial, at random as the first ten of tpe are, and by its model as the rest."""
    whole = searched(tmp_path / "whole", 12, sampler=sampler)
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    for written in range(len(lines)):
        path = tmp_path / f"cut{written}"
        path.write_bytes(b"".join(lines[:written]))
        assert whole == searched(path, 12, sampler=sampler), f"cut short after {lines[written - 1]}"


def test_a_line_torn_by_a_power_cut_and_a_dead_ones_lock_stop_nobody(tmp_path):
    whole = searched(tmp_path / "whole", 5)
    data = (tmp_path / "whole").read_bytes()
    path = tmp_path / "torn"
    path.write_bytes(data[:-20])
    (tmp_path / "torn.lock").symlink_to(path)
    assert whole == searched(path, 5)
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_grid_of_tenths_tries_each_as_it_is_written_and_the_own_value_once(tmp_path):
    journal = opened(tmp_path / "j", "grid", space=[Dimension("drop", "float", 0.1, 0.7, step=0.1)])
    journal.add({"drop": 0.3})
    tried = [0.3]
    while not journal.exhausted():
        tried.append(journal.ask().settings["drop"])
    assert [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7] == sorted(tried)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_sampler_with_a_step_gives_values_as_they_are_written(sampler, tmp_path):
    journal = opened(tmp_path / "j", sampler, space=[Dimension("drop", "float", 0.1, 0.7, step=0.1)])
    drawn = {journal.ask().settings["drop"] for _ in range(30)}
    assert drawn <= {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}


def test_a_grid_tries_each_setting_once_and_then_is_exhausted(tmp_path):
    space = (Dimension("a", "float", 0.1, 0.3, step=0.1), Dimension("b", "choice", choices=("x", "y")))
    journal = opened(tmp_path / "j", "grid", space=space)
    journal.add({"a": 0.2, "b": "y"})
    while not journal.exhausted():
        journal.ask()
    settings = [(round(trial.settings["a"], 9), trial.settings["b"]) for trial in journal.trials()]
    assert (0.2, "y") == settings[0]
    assert 6 == len(settings) == len(set(settings))


def test_what_came_of_a_trial_is_there_for_whoever_opens_the_journal_next(tmp_path):
    journal = opened(tmp_path / "j")
    for _ in range(4):
        journal.ask()
    journal.keep_runs(0, ["key"])
    journal.tell(0, 1.5)
    journal.keep_rung(1, 3, 0.25)
    journal.tell_pruned(1, "below the median", 3, 0.25)
    journal.tell_pruned(2, "diverged")
    journal.tell_failed(3, "lost")
    done, paused, diverged, lost = opened(tmp_path / "j").trials()
    assert ("done", 1.5, ("key",)) == (done.state, done.value, done.runs)
    assert ("pruned", None, {3: 0.25}) == (paused.state, paused.value, paused.rungs)
    assert [("pruned", "diverged"), ("failed", "lost")] == [(t.state, t.why) for t in (diverged, lost)]
    assert [] == opened(tmp_path / "j").running()


def test_samplers_keep_away_from_settings_that_diverged(tmp_path):
    """The higher lr the better, but above 0.03 it diverges. Told as failed, Optuna forgets that, and comes back."""

    def diverged(name):
        journal = opened(tmp_path / name, space=SPACE[:1])
        found = []
        for _ in range(40):
            trial = journal.ask()
            found.append(trial.settings["lr"] > 0.03)
            if not found[-1]:
                journal.tell(trial.number, -math.log(trial.settings["lr"]))
            elif name == "failed":
                journal.tell_failed(trial.number, "diverged")
            else:
                journal.tell_pruned(trial.number, "diverged")
        return sum(found[20:])

    assert 2 * diverged("pruned") < diverged("failed")


def test_a_promotion_is_a_trial_of_the_same_settings(tmp_path):
    journal = opened(tmp_path / "j")
    first = journal.ask()
    journal.tell_pruned(0, "paused", 1, 0.5)
    again = journal.add(first.settings, promotes=0)
    assert (first.settings, 0, 1) == (again.settings, again.promotes, again.number)


@pytest.mark.slow
def test_a_gaussian_process_searches_too(tmp_path):
    assert 12 == len(searched(tmp_path / "j", 12, sampler="gp"))


def test_a_sampler_whose_package_is_missing_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(tune.NEEDS, "cmaes", ("no_such_module", "cmaes"))
    with pytest.raises(AblateError, match="the sampler 'cmaes' needs the package 'cmaes': pip install cmaes"):
        opened(tmp_path / "j", "cmaes")


def test_the_figure_of_a_search_has_every_trial_and_what_mattered(tmp_path):
    searched(tmp_path / "j", 12)
    found = tune.history(tmp_path / "j", bare(metric=Metric("loss", "lower")))
    assert (12, ("lr",), "done") == (len(found.trials), found.log, found.trials[0].state)
    assert {"lr", "width", "schedule"} == found.importance.keys()
    assert abs(sum(found.importance.values()) - 1) < 1e-9
    assert '{"name":"cosine"}' in {trial.parameters["schedule"] for trial in found.trials}


def test_optunas_own_reader_opens_the_journal(tmp_path):
    searched(tmp_path / "j", 3)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / "j")))
    assert 3 == len(optuna.load_study(study_name="s", storage=storage).trials)
