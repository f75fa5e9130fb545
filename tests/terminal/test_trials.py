"""A search while it goes on, as it is drawn."""

import pytest

from ablate.runs.moment import Running
from ablate.terminal import trials
from ablate.terminal.bars import ASCII, UNICODE
from ablate.terminal.printed import places_text
from ablate.tuning.journal import Search, Trial
from ablate.tuning.underway import SearchSoFar, Tried

VALUES = [98.2, 96.9, 97.6, 97.6, 97.6, 98.1, 97.6, 10.0, 97.6, 97.2, 98.4]


def search(values=VALUES, asked=12):
    own = {"optimizer.lr": 0.08, "tricks.mixup.alpha": 0.2}
    done = [Trial(i, {**own, "optimizer.lr": 0.08 + i / 100}, "done", value) for i, value in enumerate(values)]
    now = Trial(len(values), {**own, "optimizer.lr": 0.192}, "running")
    run = Running("cpu/0", "full [trial 11]", 1000, 9, 20, 96.4, None, 3.0)
    best = max(done, key=lambda trial: trial.value, default=None)
    known = Search("full 1234", (*done, now), "full", asked, "tpe", (1000,), own)
    return SearchSoFar(
        "tn12", "dev_accuracy", "higher", known, (*done, now), best, next(iter(done), None), (Tried(now, run, 97.0),), 3.0
    )  # fmt: skip


def drawn(of, width=100, height=40, glyphs=UNICODE):
    return [line.plain for line in trials.drawn([of], (), width, height, glyphs)]


def test_a_search_shows_how_far_it_is_the_best_and_what_it_gains_on_the_same_seed():
    lines = drawn(search())
    assert "tuning full of tn12 · tpe, one run a trial, seed 1000" == lines[0]
    assert "trial 11 of 12 · about 3 s left" in lines[1]
    assert " best  98.4  trial 10   +0.2 against untuned (98.2, same seed)" == lines[3]
    running = next(line for line in lines if line.startswith(" running"))
    assert "0.192" in running
    assert "9/20  96.4  best had 97.0" in running
    assert "full: trial 11 of 12, best 98.4 (trial 10, untuned 98.2) · about 3 s left" == trials.said(search(), UNICODE)


def test_a_wild_trial_does_not_squeeze_the_plot_of_the_others():
    lines = drawn(search())
    axis = [line for line in lines if "│" in line]
    assert axis[0].startswith(" 98.4 │")
    assert axis[-1].startswith(" 96.9 │")
    assert 12 == sum(line.count("•") + line.count("●") for line in axis) + 1  # eleven trials, the wild one lowest
    assert "best so far" in axis[0]


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_no_line_of_a_search_is_wider_than_the_screen(width, glyphs):
    of = search([90 + i % 7 for i in range(300)], asked=400)
    lines = drawn(of, width, glyphs=glyphs)
    assert all(len(line) <= width for line in lines)
    assert glyphs is UNICODE or "".join(lines).isascii()


def test_before_any_trial_has_a_value_nothing_is_called_best():
    assert "best" not in " ".join(drawn(search([]))[:-1]).replace("best had", "")


def test_the_workers_of_an_ablation_and_of_its_search_are_one_line():
    place = {"place": "slurm:s", "queued": 2, "running": 1, "ended": 0, "workers": [{"node": "n1"}]}
    search = {**place, "queued": 0, "running": 3, "looked_after": True}
    parts = [{}, {"places": [{**place, "looked_after": False}]}, {"places": [search]}]
    expected = "slurm:s: 1 worker on n1, 2 runs queued, 4 running; an `ablate run` looks after them.\n"
    assert expected == places_text(parts)


def test_what_ended_at_an_engine_with_nobody_there_is_to_be_collected():
    place = {"place": "slurm:s", "queued": 0, "running": 0, "ended": 9, "workers": [], "looked_after": False}
    told = "slurm:s: no worker, 0 runs queued, 0 running, 9 ended; `ablate run --executor slurm` collects them.\n"
    assert told == places_text([{"places": [place]}])
