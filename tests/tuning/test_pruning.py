"""When a run is paused, held against Optuna's own pruners on the same curves."""

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from ablate.tuning import pruning

optuna.logging.set_verbosity(optuna.logging.ERROR)
STEPS = 9
values = st.floats(0, 1, width=16)
curves = st.lists(st.lists(values, min_size=STEPS, max_size=STEPS), min_size=1, max_size=8)
better = st.sampled_from(["higher", "lower"])


def optunas(better, pruner=None):
    direction = "maximize" if better == "higher" else "minimize"
    return optuna.create_study(study_name="s", direction=direction, pruner=pruner)


@settings(max_examples=60)
@given(curves, st.lists(values, min_size=1, max_size=STEPS), better)
def test_below_the_median_is_what_optuna_calls_so(others, curve, better):
    study = optunas(better, optuna.pruners.MedianPruner(pruning.STARTUP, 0, 1))
    for other in others:
        made = create_trial(value=other[-1], intermediate_values={i + 1: value for i, value in enumerate(other)})
        study.add_trial(made)
    trial = study.ask()
    for i, value in enumerate(curve):
        trial.report(value, i + 1)
    finished = [dict(enumerate(other, 1)) for other in others]
    assert trial.should_prune() == pruning.below_median(dict(enumerate(curve, 1)), len(curve), finished, better)


@settings(max_examples=40)
@given(curves, better)
def test_hyperband_halves_where_optuna_does(every, better):
    study = optunas(better, optuna.pruners.HyperbandPruner(1, STEPS, pruning.KEPT))
    rungs = {}
    for number, curve in enumerate(every):
        trial = study.ask()
        bracket = pruning.bracket_of("s", number, STEPS)
        for step, value in enumerate(curve[:-1], 1):
            trial.report(value, step)
            stops = trial.should_prune()
            ours = False
            if step in pruning.rungs(bracket, STEPS):
                reached = rungs.setdefault((bracket, step), [])
                reached.append(value)
                ours = not pruning.goes_on(value, reached, better)
            assert stops == ours
            if stops:
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])


@pytest.mark.parametrize(
    ("steps", "bracket", "rungs"), [(20, 0, [1, 3, 9]), (20, 2, [9]), (9, 0, [1, 3]), (1, 0, []), (27, 3, [])]
)
def test_rungs_lie_before_the_end_of_a_run(steps, bracket, rungs):
    assert rungs == pruning.rungs(bracket, steps)


def test_later_and_worse_trials_let_a_paused_one_go_on():
    assert not pruning.goes_on(0.8, [0.9, 0.8], "higher")
    assert pruning.goes_on(0.8, [0.9, 0.8, 0.1, 0.2, 0.3, 0.4], "higher")
