"""The recipe: the whole configuration of `classify` as values. Imports no torch, so the plan can check studies with it.

What `base:` may hold is what the dataclasses below hold; anything else is a mistake that is named. The loop asks a
schedule for (factor of the learning rate, momentum) at a step; tricks may change a recipe before anything is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import metadata
from typing import Any, ClassVar, Literal

from ablate.errors import ConfigError, PluginError
from ablate.records import Json
from ablate.registry import Count, NonNegative, Positive, Registry, ShareBelowOne, build, unknown
from ablate.text import did_you_mean, one_of
from ablate.training.dataset import Dataset
from ablate.training.model import Model
from ablate.training.schedules import SCHEDULES, Plateau, Schedule
from ablate.training.stopping import Stopping

_CONFIG = {"extra": "forbid", "allow_inf_nan": False}

# ----------------------------------------------------------------------------------------------------------- optimizers


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent; weight decay is added to the gradient, as in torch."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _CONFIG

    lr: Positive = 0.05
    momentum: ShareBelowOne = 0.9
    nesterov: bool = False
    weight_decay: NonNegative = 5e-4

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0; set nesterov to false.")


@dataclass(frozen=True)
class Adam:
    """Adam; weight decay is added to the gradient (adamw decays the weights themselves)."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _CONFIG

    lr: Positive = 1e-3
    betas: tuple[ShareBelowOne, ShareBelowOne] = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay."""

    weight_decay: NonNegative = 1e-2


@dataclass(frozen=True)
class RMSprop:
    """RMSprop, as in torch."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _CONFIG

    lr: Positive = 1e-3
    alpha: ShareBelowOne = 0.99
    eps: Positive = 1e-8
    momentum: ShareBelowOne = 0.0
    weight_decay: NonNegative = 0.0


Optimizer = SGD | Adam | AdamW | RMSprop
OPTIMIZERS: Mapping[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop}

# ---------------------------------------------------------------------------------------------------------------- start


@dataclass(frozen=True)
class Init:
    """Where the first weights come from, in place of the run's seed: a file, torchvision, or another study's run.

    weights: a file with a state dict. torchvision: a net (its best weights) or a set, `ResNet18_Weights.IMAGENET1K_V1`.
    study, variant, seed: the weights of that run at the other study's `metric.at`; `best` is the best variant by its
    table's own rule, the seed is its first unless one is named. head: "auto" replaces the last linear layer where its
    number of classes differs, "new" always, "keep" never. download: torchvision's weights may be fetched.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _CONFIG

    weights: str | None = None
    torchvision: str | None = None
    study: str | None = None
    variant: str | None = None
    seed: int | None = None
    head: Literal["auto", "new", "keep"] = "auto"
    download: bool = False

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.weights, self.torchvision, self.study)) != 1:
            raise ValueError("give one of {weights: FILE}, {torchvision: NAME} and {study: NAME, variant: best}.")
        if self.study is None and (self.variant is not None or self.seed is not None):
            raise ValueError("variant and seed go with a study; there is none.")
        if self.download and self.torchvision is None:
            raise ValueError("only torchvision's weights can be downloaded.")
        if self.study is not None and self.variant is None:
            object.__setattr__(self, "variant", "best")  # so that the default is written out in the plan

    def said(self) -> dict[str, Json]:
        """What was asked, without what was not."""
        return {name: value for name, value in plain(self).items() if value is not None and value is not False}


# --------------------------------------------------------------------------------------------------------------- recipe


@dataclass(frozen=True)
class Loop:
    """What is left of a recipe: how long and in which pieces.

    batch_size: the last, incomplete batch of an epoch is left out (another one each epoch, the order being random);
    where the training set is smaller than one batch, it is the batch. amp: mixed precision by torch.autocast, meant for
    CUDA (on a CPU without bfloat16 hardware it is 6 to 11 times slower). compile: torch.compile, meant for CUDA too (on
    a CPU it adds nothing to channels_last); every run compiles anew.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _CONFIG

    epochs: Count = 10
    batch_size: Count = 64
    eval_batch_size: Count = 500
    channels_last: bool = True
    amp: Literal["none", "bfloat16", "float16"] = "none"
    compile: bool = False


@dataclass(frozen=True)
class Recipe:
    """A training, whole: what is trained on what, how, and for how long."""

    model: Model
    data: Dataset
    optimizer: Optimizer
    schedule: Schedule
    loop: Loop
    init: Init | None = None
    early_stopping: Stopping | None = None

    @property
    def watching(self) -> Mapping[str, Stopping | Plateau]:
        """What makes something of the epochs' values, by its name in sentences."""
        plateau = self.schedule if isinstance(self.schedule, Plateau) else None
        every = {"early_stopping": self.early_stopping, "the schedule plateau": plateau}
        return {name: one for name, one in every.items() if one is not None}

    def over(self, history: Sequence[Mapping[str, float]]) -> bool:
        """Whether the training ends after epochs that reported these values."""
        stopping = self.early_stopping
        stopped = stopping is not None and stopping.stops([values[stopping.metric] for values in history])
        return stopped or len(history) >= self.loop.epochs


_DEFAULTS = {"model": "vgg", "data": "digits", "optimizer": "sgd", "schedule": "constant"}
_LOOP = tuple(f.name for f in fields(Loop))
_OPTIONAL: Mapping[str, tuple[type[Any], str]] = {
    "init": (Init, "{study: NAME, variant: best}"),
    "early_stopping": (Stopping, "{metric: dev_loss, patience: 5}"),
}
"""Sections that are not there unless they are written, so that no key changes; each with an example."""
_KEYS = (*_DEFAULTS, *_LOOP, *_OPTIONAL)


def parse(config: Mapping[str, Json], registry: Registry) -> Recipe:
    """The recipe of a configuration, defaults filled in. ConfigError with every problem at once."""
    problems = [
        (key, f"classify has no setting {key!r}; it has {one_of(_KEYS)}.{_near(key)}")
        for key in config
        if key not in _KEYS
    ]
    sections: dict[str, Any] = {}
    for section in _DEFAULTS:
        try:
            sections[section] = _section(section, config.get(section, {}), registry)
        except ConfigError as error:
            problems += error.problems
        except PluginError as error:
            problems.append((f"{section}.name", str(error)))
    try:
        sections["loop"] = build(Loop, {key: config[key] for key in _LOOP if key in config}, "classify")
    except ConfigError as error:
        problems += error.problems
    for section in _OPTIONAL:
        try:
            sections[section] = _optional(section, config.get(section))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return Recipe(**sections)


def filled_in(config: Mapping[str, Json], recipe: Recipe) -> dict[str, Json]:
    """The configuration that `recipe` was parsed from, with every default written out."""
    sections = {"model": recipe.model, "data": recipe.data, "optimizer": recipe.optimizer, "schedule": recipe.schedule}
    full: dict[str, Json] = {
        section: {"name": config.get(section, {}).get("name", _DEFAULTS[section]), **plain(part)}
        for section, part in sections.items()
    }
    full |= {name: value for name, value in plain(recipe.loop).items() if (name, value) != ("compile", False)}
    if recipe.early_stopping is not None:
        full["early_stopping"] = plain(recipe.early_stopping)
    return full if recipe.init is None else full | {"init": recipe.init.said()}


def plain(made: Any) -> dict[str, Json]:
    """The fields of a plug-in or a part of a recipe as JSON."""
    values = {f.name: getattr(made, f.name) for f in fields(made)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def with_model(recipe: Recipe, parameter: str, value: Json) -> Recipe:
    """The recipe with another value of one parameter of its model, for a trick's `recipe` hook.

    ConfigError, with an empty key, where the model has no such parameter, does not take the value or has it already.
    """
    name, now = type(recipe.model).__module__.rpartition(".")[2], plain(recipe.model)
    if parameter not in now:
        raise ConfigError([("", f"needs a model with a parameter {parameter!r}; {name} has {one_of(now)}.")])
    if now[parameter] == value:
        setting = f"model.{parameter} is {str(value).lower()}"
        raise ConfigError(
            [("", f"changes nothing: {setting} already. Give the base another value, or drop this trick.")]
        )
    try:
        return replace(recipe, model=build(type(recipe.model), {**now, parameter: value}, f"model {name!r}", "model"))
    except ConfigError as error:
        raise ConfigError([("", f"{key} {message}") for key, message in error.problems]) from None


def with_skips(recipe: Recipe) -> Recipe:
    """The same. ConfigError where its model has no skip connections."""
    if not getattr(recipe.model, "skip", False):
        name = type(recipe.model).__module__.rpartition(".")[2]
        message = f"needs a model with skip connections (`skip: true`, resnet, say); {name} has none here."
        raise ConfigError([("", message)])
    return recipe


def changes(before: Recipe, after: Recipe) -> tuple[str, ...]:
    """The keys in which two recipes differ; the section alone where another class stands in it."""
    keys: list[str] = []
    for section in fields(Recipe):
        one, other = getattr(before, section.name), getattr(after, section.name)
        if type(one) is not type(other):
            keys.append(section.name)
        elif one is not None:
            differing = [f.name for f in fields(one) if getattr(one, f.name) != getattr(other, f.name)]
            keys += differing if section.name == "loop" else [f"{section.name}.{key}" for key in differing]
    return tuple(keys)


def _near(key: str) -> str:
    """The nearest setting; also where a parameter was written one level too high."""
    for names in (OPTIMIZERS, SCHEDULES):
        section = "optimizer" if names is OPTIMIZERS else "schedule"
        if any(key in (f.name for f in fields(cls)) for cls in names.values()):
            return f" Did you mean '{section}.{key}'?"
    return did_you_mean(key, _KEYS)


def _optional(section: str, given: Json) -> Any:
    """None where it is not written: the weights are drawn from the run's seed, every epoch is trained."""
    if given is None:
        return None
    made, example = _OPTIONAL[section]
    if not isinstance(given, Mapping):
        raise ConfigError([(section, f"is {given!r}; it must be a mapping such as {example}.")])
    return build(made, given, section, at=section)


def _section(section: str, given: Json, registry: Registry) -> Any:
    if not isinstance(given, Mapping):
        raise ConfigError([(section, f"is {given!r}; it must be a mapping such as {{name: {_DEFAULTS[section]}}}.")])
    name = given.get("name", _DEFAULTS[section])
    if not isinstance(name, str):
        raise ConfigError([(f"{section}.name", f"is {name!r}; it must be a name.")])
    params = {key: value for key, value in given.items() if key != "name"}
    if section == "model":
        return registry.make("models", name, params, at=section)
    if section == "data":
        return registry.make("datasets", name, params, at=section).looking_in(registry.beside)
    choices: Mapping[str, type[Any]] = OPTIMIZERS if section == "optimizer" else SCHEDULES
    if name not in choices:
        raise ConfigError([(f"{section}.name", unknown(section, name, list(choices)))])
    return build(choices[name], params, f"{section} {name!r}", at=section)


SAFE_TORCH = (2, 10)
"""Before it `torch.load(weights_only=True)` executed, or was corrupted by, files made to."""


def torch_version() -> tuple[int, ...]:
    """Which is installed, without loading it: major and minor."""
    return tuple(int(part) for part in re.findall(r"\d+", metadata.version("torch"))[:2])
