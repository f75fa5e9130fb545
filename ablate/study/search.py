"""What a search may change: keys of a variant's configuration and their ranges; what one setting of them asks. Pure.

`tune:` lists keys of the configuration (`optimizer.lr`) and parameters of tricks (`tricks.mixup.alpha`). A key is
searched in a variant whose configuration has it, and only there where the tricks that its `when` names are on. Values
are put on top of everything else: base, `set:` and tricks. Which setting is tried next is the sampler's (tune.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal, cast

from ablate.errors import ConfigError, Problem
from ablate.identity import canonical_json, sha256
from ablate.records import Cell, Json, Study, TrickUse
from ablate.registry import Registry
from ablate.study.cells import configuration, patched, trick_of, value_of
from ablate.text import did_you_mean, one_of
from ablate.training.task import Completed, Task

BEST = "best"
_NOTHING = object()
FIRST_SEED = 1000
"""Searches train on seeds 1000 and up (CONTRACT, "Values"), confirmations on fresh ones from 2000."""
FRESH_SEED = 2000
LEAST_FRESH = 5
"""Fresh seeds where the study plans fewer."""

Settings = Mapping[str, Json]
"""A value for each key of the space."""


@dataclass(frozen=True)
class Dimension:
    """One dimension of a search. step: None for every value between low and high; 1 or more where whole numbers are.

    choices: for a choice, as the study lists them; they may be mappings.
    """

    key: str
    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Json, ...] = ()

    def holds(self, value: Json) -> bool:
        """Whether a search can try this value."""
        if self.kind == "choice":
            return any(canonical_json(value) == canonical_json(choice) for choice in self.choices)
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < 1e-9

    @property
    def values(self) -> tuple[Json, ...] | None:
        """Every value, where they can be listed."""
        if self.kind == "choice":
            return self.choices
        if self.step is None or self.log:
            return None
        low, high, step = (Decimal(repr(number)) for number in (self.low, self.high, self.step))
        return tuple(self._at(i) for i in range(int((high - low) / step) + 1))

    def _at(self, steps: int) -> float:
        """So many steps above low, as decimals, which is what the file says: 0.1 + 2 * 0.1 is 0.3 and no neighbour."""
        value = Decimal(repr(self.low)) + steps * Decimal(repr(self.step))
        return int(value) if self.kind == "int" else float(value)

    def nearest(self, value: Json) -> Json:
        """The listed value that a sampler means: it reckons in floats, and 0.30000000000000004 is 0.3."""
        if self.kind != "float" or self.step is None or self.log:
            return value
        return self._at(round((value - self.low) / self.step))


@dataclass(frozen=True)
class Search:
    """`tune:` of a study. variants: names, or BEST alone. budget_s: None without a limit in time."""

    variants: tuple[str, ...]
    trials: int
    sampler: str
    sampler_seed: int
    pruner: Literal["none", "median", "hyperband"]
    seeds: tuple[int, ...]
    fresh: tuple[int, ...]
    budget_s: float | None


def search_of(study: Study) -> Search:
    """What the study asks to be searched. It must have a `tune:`."""
    tune = study.tune
    count = tune.get("fresh_seeds") or max(LEAST_FRESH, len(study.seeds))
    return Search(
        variants=tuple(tune.get("variants") or [tune.get("variant", BEST)]),
        trials=tune["trials"],
        sampler=tune["sampler"],
        sampler_seed=tune["sampler_seed"],
        pruner=cast(Literal["none", "median", "hyperband"], tune["pruner"]),
        seeds=tuple(range(FIRST_SEED, FIRST_SEED + tune["seeds"])),
        fresh=tuple(range(FRESH_SEED, FRESH_SEED + count)),
        budget_s=tune.get("budget"),
    )


# ---------------------------------------------------------------------------------------------------------- a variant's


def parameters(study: Study, cell: Cell, done: Completed) -> tuple[Dimension, ...]:
    """The dimensions of the search of one variant, in the file's order. done: its configuration as it is untuned."""
    dimensions = []
    for key, given in study.tune["space"].items():
        if applies(study, cell, done, key):
            dimensions.append(_parameter(key, given, value_at(study, cell, done, key)))
    return tuple(dimensions)


def applies(study: Study, cell: Cell, done: Completed, key: str) -> bool:
    """Whether a key of the space is searched in this variant."""
    on = {str(choice) for choice in cell.on} | set(cell.tricks)
    return all(trick in on for trick in study.tune["space"][key].get("when", ())) and _has(study, cell, done, key)


def complete(
    study: Study, cell: Cell, settings: Settings, task: Task, registry: Registry, before: Completed
) -> Completed:
    """A variant's configuration with these settings. ConfigError where the task refuses them. before: as it is untuned,
    whose start is kept."""
    config, uses = configuration(study, cell)
    of_tricks = {key: value for key, value in settings.items() if trick_of(study, key)}
    config = patched(config, {key: value for key, value in settings.items() if key not in of_tricks}, study.flat)
    places, changed = _uses(study, cell), list(uses)
    for key, value in of_tricks.items():
        trick, parameter = cast(tuple[str, str], trick_of(study, key))
        i = places.index(trick)
        changed[i] = TrickUse(changed[i].name, {**changed[i].params, parameter: value})
    return replace(task.completed(config, changed, registry), start=before.start)


def grid(space: Sequence[Dimension]) -> list[dict[str, Json]]:
    """Every setting of a space whose values can all be listed."""
    settings: list[dict[str, Json]] = [{}]
    for parameter in space:
        settings = [{**one, parameter.key: value} for one in settings for value in parameter.values or ()]
    return settings


def identity_of(study: Study, search: Search, space: Sequence[Dimension], done: Completed) -> str:
    """Eight digits that tell a search from another of the same variant: whatever decides which trials it makes and what
    they mean. How many trials, and how long, is not in it: a search can be gone on with."""
    metric = study.metric
    content = {
        "config": done.asked, "tricks": [[use.name, dict(use.params)] for use in done.tricks], "code": dict(done.code),
        "data": done.data, "start": done.start.sha256 if done.start else None,
        "space": [[p.key, p.kind, p.low, p.high, p.log, p.step, list(p.choices)] for p in space],
        "sampler": [search.sampler, search.sampler_seed], "pruner": search.pruner, "seeds": list(search.seeds),
        "metric": [metric.name, metric.better, metric.at],
        "task": study.task.written if done.task is None else done.task,
    }  # fmt: skip
    return sha256(canonical_json(content))[:8]


# ------------------------------------------------------------------------------------------------------------ the keys


def _uses(study: Study, cell: Cell) -> list[str]:
    """Of each trick file that a cell uses, in the order of `configuration`, the study's trick."""
    return [path[1] for path, level in study.on(cell) if level.use]


def _params(study: Study, cell: Cell, done: Completed, trick: str) -> Mapping[str, Json]:
    """The full parameters of the file that a trick of the cell uses; none where it uses none or is off."""
    if trick not in _uses(study, cell):
        return {}
    _, uses = configuration(study, cell)
    use = uses[_uses(study, cell).index(trick)]
    same = [full.params for full in done.tricks if full.name == use.name and use.params.items() <= full.params.items()]
    return same[0] if same else use.params


def _has(study: Study, cell: Cell, done: Completed, key: str) -> bool:
    of_trick = trick_of(study, key)
    if of_trick is not None:
        return of_trick[1] in _params(study, cell, done, of_trick[0])
    return value_of(done.config, key, study.flat, _NOTHING) is not _NOTHING


def value_at(study: Study, cell: Cell, done: Completed, key: str) -> Json:
    """What the variant has at a key of the space that it has."""
    of_trick = trick_of(study, key)
    if of_trick is not None:
        return _params(study, cell, done, of_trick[0])[of_trick[1]]
    return value_of(done.config, key, study.flat)


def _parameter(key: str, given: Mapping[str, Json], value: Json) -> Dimension:
    """Whole numbers are searched where the bounds, the step and the configuration's own value are whole."""
    if "choices" in given:
        return Dimension(key, "choice", choices=tuple(given["choices"]))
    numbers = [given["low"], given["high"], given.get("step", 1), value]
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    log, step = given.get("log", False), given.get("step")
    if whole and not log:
        step = step or 1
    return Dimension(key, "int" if whole else "float", given["low"], given["high"], log, step)


# ------------------------------------------------------------------------------------------------------------ mistakes


def problems(
    study: Study, registry: Registry, task: Task, variants: Mapping[str, tuple[Cell, Completed]]
) -> list[Problem]:
    """What is wrong with `tune:`, each at its place. variants: what is planned, name -> cell and configuration."""
    if not study.tune:
        return []
    wrong = [*_unknown_variants(study, variants)]
    space = study.tune["space"]
    if not space:
        wrong.append(study.problem("tune.space", "is empty; list keys of the configuration with their ranges."))
    named = [name for name in study.tune.get("variants") or [study.tune["variant"]] if name in variants]
    searched = {name: variants[name] for name in named} or variants
    for key, given in space.items():
        unknown = [trick for trick in given.get("when", ()) if trick not in _choices(study)]
        wrong += [
            study.problem(f"tune.space.{key}.when", f"no trick of this study is called {trick!r}; it has "
                    f"{one_of(_choices(study)) or 'none'}.{did_you_mean(str(trick), _choices(study))}")
            for trick in unknown
        ]  # fmt: skip
        if not unknown:
            wrong += _wrong_key(study, registry, task, key, searched)
    if study.tune["sampler"] == "grid" and not wrong:
        wrong += _no_grid(study, searched)
    return wrong


def _choices(study: Study) -> list[str]:
    return [name for trick in study.tricks for name in dict.fromkeys([trick.name, *map(str, trick.choices)])]


def _unknown_variants(study: Study, variants: Mapping[str, object]) -> Iterator[Problem]:
    listed = study.tune.get("variants")
    places = {f"tune.variants.{i}": name for i, name in enumerate(listed)} if listed else {}
    for place, name in (places or {"tune.variant": study.tune["variant"]}).items():
        if name not in variants and not (name == BEST and not listed):
            names = [*variants, *([] if listed else [BEST])]
            yield study.problem(place, no_variant(str(name), names))


def no_variant(name: str, names: Sequence[str]) -> str:
    shown = f"{one_of(names[:12])}{' and others' if len(names) > 12 else ''}"
    return f"no variant of this plan is called {name!r}; it has {shown}.{did_you_mean(name, names)}"


def _wrong_key(
    study: Study, registry: Registry, task: Task, key: str, variants: Mapping[str, tuple[Cell, Completed]]
) -> list[Problem]:
    """A key that no configuration has, or ends of its range that the task refuses."""
    place = f"tune.space.{key}"
    where = [(cell, done) for cell, done in variants.values() if applies(study, cell, done, key)]
    if not where:
        names = sorted({name for cell, done in variants.values() for name in _known(study, cell, done)})
        if key in names:
            return [study.problem(place, "is searched in no variant: the tricks of its `when` are never on together.")]
        nearest = did_you_mean(key, names)
        hint = nearest or " Keys are dotted, as in optimizer.lr; a trick's are tricks.NAME.PARAMETER."
        return [study.problem(place, f"no configuration that is searched has the key {key!r}.{hint}")]
    cell, done = where[0]
    parameter = _parameter(key, study.tune["space"][key], value_at(study, cell, done, key))
    if parameter.kind != "choice" and isinstance(value_at(study, cell, done, key), str | bool | Mapping | list):
        value = value_at(study, cell, done, key)
        return [study.problem(place, f"is a range, but the configuration has {value!r} there; list `choices`.")]
    ends = {"low": parameter.low, "high": parameter.high}
    tried = dict(enumerate(parameter.choices)) if parameter.kind == "choice" else ends
    refused = []
    for end, value in tried.items():
        try:
            complete(study, cell, {key: value}, task, registry, done)
        except ConfigError as error:
            below = f".choices.{end}" if parameter.kind == "choice" else f".{end}"
            refused += [study.problem(place + below, message) for _, message in error.problems[:1]]
    return refused


def _known(study: Study, cell: Cell, done: Completed) -> Iterator[str]:
    yield from _flat(done.config)
    for trick in dict.fromkeys(_uses(study, cell)):
        yield from (f"tricks.{trick}.{name}" for name in _params(study, cell, done, trick))


def _flat(config: Mapping[str, Json], above: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")


def _no_grid(study: Study, variants: Mapping[str, tuple[Cell, Completed]]) -> list[Problem]:
    """A grid needs keys whose values can be listed."""
    cell, done = next(iter(variants.values()))
    endless = [p.key for p in parameters(study, cell, done) if p.values is None]
    message = "has every value between low and high; a grid needs `step` or `choices`."
    return [study.problem(f"tune.space.{key}", message) for key in endless]
