"""A search in Optuna's journal: which setting to try next, what came of each. The only module that knows Optuna.

Optuna is asked and told; nothing here starts a run. The journal is a file of lines beside the database's runs, which
`optuna-dashboard FILE` shows. A sampler's random state is in no journal, so each trial's sampler is made anew from
(sampler's seed, trial's number): one search with one worker draws the same settings, however often it was killed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from ablate.analysis.tuned import TunedTrial, TuningHistory
from ablate.errors import AblateError
from ablate.identity import canonical_json
from ablate.records import Better, Json
from ablate.rng import seed_for
from ablate.study.record import PlanRecord
from ablate.study.search import Dimension, Settings, grid

NEEDS = {"cmaes": ("cmaes", "cmaes"), "gp": ("torch", "torch")}
"""Samplers that need a package which Optuna does not bring: its module, and what to install."""

SEARCH = "search"
"""The attribute of an Optuna study that says what ablate searches with it."""

_STATES: Mapping[TrialState, Literal["running", "done", "pruned", "failed"]] = {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class Trial:
    """A setting that is or was tried. runs: keys, one for each tuning seed; empty before they are known.

    promotes: the number of the pruned trial whose runs it goes on with. rungs: the metric at each rung that it reached.
    paused: where its run was asked to pause (step, metric, why). why: what became of it, where that was no value.
    """

    number: int
    settings: Settings
    state: Literal["running", "done", "pruned", "failed"]
    value: float | None = None
    runs: tuple[str, ...] = ()
    promotes: int | None = None
    rungs: Mapping[int, float] = field(default_factory=dict)
    paused: tuple[int, float, str] | None = None
    why: str = ""


def trial_name(variant: str, number: int) -> str:
    """What a trial's runs are called in the database."""
    return f"{variant} [trial {number}]"


@dataclass(frozen=True)
class Search:
    """A search as its journal holds it, whoever is at it. trials: their settings as Optuna keeps them. asked: how many
    trials there are to be; seeds: of each; own: the variant's settings untuned."""

    name: str
    trials: tuple[Trial, ...]
    variant: str
    asked: int
    sampler: str
    seeds: tuple[int, ...]
    own: Settings


class Journal:
    """One search: an Optuna study called `name` in the journal at `path`, made where there is none.

    Whoever opens one holds the search's lock (tuning.py): no other process writes to it.
    """

    def __init__(
        self, path: Path, name: str, space: Sequence[Dimension], sampler: str, sampler_seed: int, better: Better
    ) -> None:
        check_sampler(sampler)
        self.name, self.space = name, tuple(space)
        self._sampler, self._seed = sampler, sampler_seed
        self._distributions = {parameter.key: _distribution(parameter) for parameter in space}
        with _quiet():
            self._study = optuna.create_study(
                study_name=name,
                storage=_storage(path),
                direction="maximize" if better == "higher" else "minimize",
                sampler=optuna.samplers.RandomSampler(seed=0),
                load_if_exists=True,
            )

    # ---------------------------------------------------------------------------------------------------- what is there

    def trials(self) -> list[Trial]:
        """Every trial, in order; one whose making was cut short by a kill comes first in `unfinished`."""
        return [self._trial(frozen) for frozen in self._frozen()]

    def running(self) -> list[Trial]:
        """Trials that were not told. Those that a kill left half made are completed first, as they would have been."""
        for frozen in self._frozen():
            if not frozen.state.is_finished() and frozen.params.keys() != self._distributions.keys():
                self._draw(frozen._trial_id, frozen.number)
        return [self._trial(frozen) for frozen in self._frozen() if not frozen.state.is_finished()]

    def exhausted(self) -> bool:
        """Whether a grid has no setting left."""
        return self._sampler == "grid" and self._next_of_grid() is None

    # ----------------------------------------------------------------------------------------------------- ask and tell

    def ask(self) -> Trial:
        """A new trial, by the sampler."""
        with _quiet():
            if self._sampler == "grid":
                setting = self._next_of_grid()
                assert setting is not None, "nobody asks an exhausted grid"
                return self.add(setting)
            number = len(self._frozen())
            self._study.sampler = _sampler(self._sampler, seed_for(self._seed, "tune", number) % 2**32)
            trial = self._study.ask(self._distributions)
        return self._at(trial.number)

    def add(self, settings: Settings, promotes: int | None = None) -> Trial:
        """A trial of given settings, in one write."""
        frozen = create_trial(
            state=TrialState.RUNNING,
            params={p.key: _stored(p, settings[p.key]) for p in self.space},
            distributions=self._distributions,
            user_attrs={} if promotes is None else {"promotes": promotes},
        )
        with _quiet():
            self._study.add_trial(frozen)
        return self._at(len(self._frozen()) - 1)

    def keep_search(self, variant: str, asked: int, seeds: Sequence[int], own: Settings) -> None:
        """Note what is searched and how far, for whoever watches from another process."""
        told = {"variant": variant, "asked": asked, "sampler": self._sampler, "seeds": list(seeds), "own": dict(own)}
        with _quiet():
            self._study.set_user_attr(SEARCH, told)

    def keep_runs(self, number: int, runs: Sequence[str]) -> None:
        """Note the keys of a trial's runs, for people and for the dashboard; the settings alone give them again."""
        self._set(number, "runs", list(runs))

    def keep_rung(self, number: int, step: int, value: float) -> None:
        self._set(number, f"rung {step}", value)

    def keep_pause(self, number: int, step: int, value: float, why: str) -> None:
        """Note that a run is to pause, before it is asked: whoever comes after a kill knows that it was decided."""
        self._set(number, "paused", [step, value, why])

    def tell(self, number: int, value: float) -> None:
        with _quiet():
            self._study.tell(number, value)

    def tell_pruned(self, number: int, why: str, step: int | None = None, value: float | None = None) -> None:
        """It was paused at a step; or, without one, its settings gave no value (they diverged, say): samplers rank it
        last and keep away, which they would not from a failed one."""
        with _quiet():
            self._set(number, "why", why)
            if step is not None and value is not None:
                self._study._storage.set_trial_intermediate_value(self._id(number), step, value)
            self._study.tell(number, state=TrialState.PRUNED)

    def tell_failed(self, number: int, why: str) -> None:
        """Its run was lost: nothing is known of its settings."""
        with _quiet():
            self._set(number, "why", why)
            self._study.tell(number, state=TrialState.FAIL)

    # ----------------------------------------------------------------------------------------------------------- inside

    def _frozen(self) -> list[FrozenTrial]:
        return self._study._storage.get_all_trials(self._study._study_id, deepcopy=False)

    def _at(self, number: int) -> Trial:
        return self._trial(self._frozen()[number])

    def _id(self, number: int) -> int:
        return self._frozen()[number]._trial_id

    def _set(self, number: int, name: str, value: Json) -> None:
        self._study._storage.set_trial_user_attr(self._id(number), name, value)

    def _draw(self, trial_id: int, number: int) -> None:
        """Give a trial what the sampler has for its number.

        A kill between two writes leaves a trial with its first keys only. Those are drawn once more, though they are
        there: the sampler is a new one, and what it draws next depends on how much it has drawn.
        """
        with _quiet():
            sampler = _sampler(self._sampler, seed_for(self._seed, "tune", number) % 2**32)
            self._study.sampler = sampler
            trial = optuna.Trial(self._study, trial_id)
            half = self._frozen()[number]
            for name, distribution in self._distributions.items():
                drawn_alone = not distribution.single() and not trial._is_relative_param(name, distribution)
                if name in half.params and drawn_alone:
                    sampler.sample_independent(self._study, half, name, distribution)
                trial._suggest(name, distribution)

    def _next_of_grid(self) -> Settings | None:
        """The first setting of the grid that no trial has, in an order that the sampler's seed shuffles."""
        tried = {canonical_json(dict(trial.settings)) for trial in self.trials()}
        left = [setting for setting in grid(self.space) if canonical_json(setting) not in tried]
        order = sorted(left, key=lambda setting: seed_for(self._seed, "grid", canonical_json(setting)))
        return order[0] if order else None

    def _trial(self, frozen: FrozenTrial) -> Trial:
        return _trial(frozen, {p.key: _read(p, frozen.params[p.key]) for p in self.space if p.key in frozen.params})


def _trial(frozen: FrozenTrial, settings: Settings) -> Trial:
    attrs = frozen.user_attrs
    done = frozen.state == TrialState.COMPLETE
    rungs = {int(name.removeprefix("rung ")): at for name, at in attrs.items() if name.startswith("rung ")}
    return Trial(
        frozen.number, settings, _STATES[frozen.state], frozen.value if done else None,
        tuple(attrs.get("runs", ())), attrs.get("promotes"), rungs,
        tuple(attrs["paused"]) if "paused" in attrs else None, attrs.get("why", ""),
    )  # fmt: skip


def searches(path: Path) -> list[Search]:
    """Every search of a journal, the one that was gone on with last at the end; none of before ablate noted in it what
    is searched. Reads only, whoever searches meanwhile."""
    if not path.is_file():
        return []
    with _quiet():
        storage = JournalStorage(JournalFileBackend(str(path)))
        found = [
            (study, storage.get_all_trials(study._study_id, deepcopy=False)) for study in storage.get_all_studies()
        ]
    found.sort(
        key=lambda one: max((trial.datetime_start.timestamp() for trial in one[1] if trial.datetime_start), default=0.0)
    )
    return [
        Search(
            study.study_name, tuple(_trial(trial, trial.params) for trial in trials), told["variant"], told["asked"],
            told["sampler"], tuple(told["seeds"]), told["own"],
        )
        for study, trials in found
        if (told := study.user_attrs.get(SEARCH))
    ]  # fmt: skip


def history(path: Path, record: PlanRecord) -> TuningHistory | None:
    """A journal as its figure shows it: of the variant that was tuned first, else of what is being searched.

    record: the stored plan. Reads only, whoever searches meanwhile.
    """
    with _quiet():
        storage = JournalStorage(JournalFileBackend(str(path)))
        names = [study.study_name for study in storage.get_all_studies()]
        entries = [entry for entry in record.tuned if entry.search in names]
        if not names:
            return None
        name = entries[0].search if entries else names[-1]
        study = optuna.load_study(study_name=name, storage=storage)
        trials = study.get_trials(deepcopy=False)
    shown = [
        TunedTrial(trial.number, trial.value, _STATES[trial.state], dict(trial.params)) for trial in trials
    ]  # fmt: skip
    scales = {key: getattr(of, "log", False) for trial in trials for key, of in trial.distributions.items()}
    return TuningHistory(
        variant=entries[0].variant if entries else name.rpartition(" ")[0],
        metric=record.metric.name,
        better=record.metric.better,
        trials=tuple(shown),
        importance=_importance(study),
        log=tuple(key for key, log in scales.items() if log),
        baseline=entries[0].untuned.value if entries else None,
    )


def _importance(study: optuna.Study) -> dict[str, float]:
    """How much of the values' spread each key explains (fANOVA); empty where too few trials are done to tell."""
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.COMPLETE]
    if len(done) < 4 or len({trial.value for trial in done}) < 2 or len(done[0].params) < 2:
        return {}
    with _quiet():
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def check_sampler(name: str) -> None:
    """AblateError where a sampler's package is not installed."""
    module, package = NEEDS.get(name, ("optuna", "optuna"))
    if find_spec(module) is None:
        raise AblateError(
            f"the sampler {name!r} needs the package {package!r}: pip install {package} (or 'ablate-studies[tune]'); "
            "tpe, random and grid need nothing."
        )


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler of one trial. tpe keeps away from what is being tried right now (constant liar)."""
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    if name == "cmaes":
        return optuna.samplers.CmaEsSampler(seed=seed)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed, deterministic_objective=False)
    return optuna.samplers.RandomSampler(seed=seed)


def _distribution(parameter: Dimension) -> BaseDistribution:
    if parameter.kind == "choice":
        return CategoricalDistribution([_stored(parameter, choice) for choice in parameter.choices])
    if parameter.kind == "int":
        step = 1 if parameter.log else int(parameter.step or 1)
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log, step=step)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)


def _stored(parameter: Dimension, value: Json) -> Any:
    """A value as Optuna may keep it: a choice that is a mapping or a list as its JSON."""
    return canonical_json(value) if parameter.kind == "choice" and isinstance(value, dict | list) else value


def _read(parameter: Dimension, value: Any) -> Json:
    if parameter.kind != "choice":
        return parameter.nearest(value)
    return next(choice for choice in parameter.choices if _stored(parameter, choice) == value)


def _storage(path: Path) -> JournalStorage:
    """The journal, mended where a power cut tore its last line, and without the lock that a SIGKILL leaves behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if path.exists():
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with path.open("r+b") as file:
                file.truncate(whole)
    return JournalStorage(JournalFileBackend(str(path)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's warnings speak of its own API, and its log of every trial; neither is for our users."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    optuna.logging.set_verbosity(level)
