"""What the sections of a study file's form have in common: their base, and values that several of them take."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ablate.records import CATEGORIES, TaskUse
from ablate.text import joined

MOST_SEEDS = 1000
"""`seeds: 1000` is 0 to 999; tuning draws from 1000 on (CONTRACT, "Values")."""

DEFAULT_SEEDS = 5

LARGEST_SEED = 2**32 - 1
"""What numpy's and torch's global generators both take."""

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Form(BaseModel):
    """A mapping of the study file. what: how messages call it. example: what it may be. hint: for a stray key."""

    model_config = ConfigDict(extra="forbid", strict=True)
    what: ClassVar[str]
    example: ClassVar[str]
    hint: ClassVar[str] = ""


def to_seconds(given: Any) -> float | None:
    return None if given is None else seconds_of(given)


def seconds_of(given: Any) -> float:
    """Seconds of `90`, `90s`, `15m` or `2h`. ValueError says what is allowed."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", str(given)) if not isinstance(given, bool) else None
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ValueError("it must be a time above 0 such as 90 (seconds), 90s, 15m or 2h")
    return seconds


def to_gib(given: Any) -> float | str | None:
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not (given is None or given == "auto" or (number and 0 < given <= 100_000)):
        raise ValueError("it must be a number of GiB above 0, or auto")
    return float(given) if number else given


def to_epoch(given: Any) -> Any:
    whole = isinstance(given, int) and not isinstance(given, bool) and given >= 1
    if not whole and given not in ("last", "best"):
        raise ValueError("it must be last, best or the number of an epoch, from 1")
    return given


def to_looks(given: list[int]) -> list[int]:
    if not given or given[0] < 2 or given[-1] > MOST_SEEDS or any(a >= b for a, b in itertools.pairwise(given)):
        raise ValueError(f"it must be growing numbers of seeds from 2 to {MOST_SEEDS} such as [3, 5, 10]")
    return given


def to_seeds(given: list[int]) -> list[int]:
    if not 1 <= len(given) <= MOST_SEEDS:
        raise ValueError(f"it must list 1 to {MOST_SEEDS} seeds such as [0, 1, 2]")
    twice = [seed for seed, times in Counter(given).items() if times > 1]
    if twice:
        raise ValueError(f"it must list a seed once, and lists {twice[0]} again")
    return given


def to_task(given: Any) -> TaskUse:
    try:
        return TaskUse.of(given)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            "it must be a name, package.module:function, a mapping with a command, or {name: NAME, PARAMETER: ...}"
        ) from None


def to_part(given: Any) -> Any:
    """A path or pattern, or a list of them. YAML reads `3.10` as 3.1 and `0` as a number."""
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, str) or not one:
            written = f'"{one}"' + (" or as you wrote it, for YAML reads 3.10 as 3.1" if isinstance(one, float) else "")
            raise ValueError(f"it must be text; put the path in quotes, {written}")
    if given == []:
        raise ValueError("it must name a part")
    return given


def to_instead(given: Any) -> Any:
    if not isinstance(given, str) and not (isinstance(given, dict) and list(given) == ["input"]):
        raise ValueError("it must be identity, zero, one, linear, an activation such as relu, or {input: 1}")
    return given


def to_heads(given: list[int]) -> list[int]:
    if not given or len(set(given)) < len(given) or min(given) < 0:
        raise ValueError("it must list heads of an attention, counted from 0, each once, such as [0, 2]")
    return given


def one_or_more(given: Any) -> Any:
    return given if isinstance(given, list) else [given]


def or_empty(given: Any) -> Any:
    return {} if given is None else given


Mapped = Annotated[dict[str, Any], BeforeValidator(or_empty)]
Names = Annotated[list[Any], BeforeValidator(one_or_more)]


class LevelForm(Form):
    what = "a level"
    example = "{set: {model.norm: batch}} or {use: mixup, with: {alpha: 0.2}}"
    hint = " Keys of the base go under `set:`, parameters of a trick's file under `with:`."

    set: Mapped = Field(
        default={},
        description="A patch of the base: dotted keys and their new values.",
        examples=["{model.norm: batch}"],
    )
    use: str | None = Field(
        default=None, description="A file of the tricks' shelf (`ablate list tricks`).", examples=["mixup"]
    )
    with_: Mapped = Field(
        default={}, alias="with", description="Parameters of the file that `use` names.", examples=["{alpha: 0.2}"]
    )


class TrickForm(LevelForm):
    what = "a trick"
    hint = (
        LevelForm.hint
        + " What stands there while a part is off goes under `instead:` (many readers take off for false)."
    )

    part: Annotated[Any, AfterValidator(to_part)] = Field(
        default=None,
        description="A part of the network, by its path or a pattern, or several: there while the trick is on.",
        examples=["layer3.1"],
    )
    each: Annotated[Any, AfterValidator(to_part)] = Field(
        default=None,
        description="In place of part: one trick for every part that it names.",
        examples=['"layer*.*"'],
    )
    kind: str | None = Field(default=None, description="Of these only modules of this class.", examples=["BatchNorm2d"])
    instead: Annotated[Any, AfterValidator(to_instead)] = Field(
        default=None, description="What stands there while the trick is off.", examples=["linear"]
    )
    heads: Annotated[list[int], AfterValidator(to_heads)] | None = Field(
        default=None, description="Only these heads of an attention, counted from 0.", examples=["[0, 2]"]
    )

    levels: dict[str, Annotated[LevelForm, BeforeValidator(or_empty)]] | None = Field(
        default=None,
        description="Several versions of the trick, one at a time; in place of set, use and with.",
        examples=["{adamw: {set: {optimizer: {name: adamw}}}, nesterov: {set: {optimizer.nesterov: true}}}"],
    )
    label: str = Field(
        default="", description="How tables print the trick; its name unless given.", examples=["batch norm"]
    )
    category: Literal[CATEGORIES] | None = Field(  # type: ignore[valid-type]
        default=None, description="The kind of trick.", examples=["augmentation"]
    )
    requires: Names = Field(
        default=[], description="Tricks without which this one cannot be on.", examples=["[batchnorm]"]
    )
    conflicts: Names = Field(default=[], description="Tricks with which this one cannot be on.", examples=["[cutmix]"])


class VariantForm(Form):
    what = "a variant"
    example = "[batchnorm, mixup] or {set: {model.width: 32}, tricks: [batchnorm]}"
    hint = " Keys of the base go under `set:`."

    set: Mapped = Field(
        default={}, description="A patch of the base, for this variant alone.", examples=["{model.width: 32}"]
    )
    tricks: list[Any] = Field(
        default=[],
        description="Tricks that are on: `name`, `name=level` or {name: level}.",
        examples=["[batchnorm, optimizer=adamw]"],
    )
    tuned: Mapped = Field(
        default={},
        description="Values on top of all that, by the keys of `tune.space`: what `tune --apply` cannot say by `set`.",
        examples=["{tricks.mixup.alpha: 0.3}"],
    )

    @model_validator(mode="before")
    @classmethod
    def _list_of_tricks(cls, given: Any) -> Any:
        return {} if given is None else {"tricks": given} if isinstance(given, list) else given


class SeedsForm(Form):
    """The two short ways to write seeds get keys that no file can hold, so that only `looks` can be written."""

    what = "seeds"
    example = "5, [0, 1, 2] or {looks: [3, 5, 10]}"

    count: Annotated[int, Field(ge=1, le=MOST_SEEDS)] | None = Field(default=None, alias="\0count")
    listed: Annotated[list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]], AfterValidator(to_seeds)] | None = Field(
        default=None, alias="\0listed"
    )
    looks: Annotated[list[int], AfterValidator(to_looks)] | None = Field(
        default=None, description="Adaptive: how many seeds there are at each look.", examples=["[3, 5, 10]"]
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return (
            {"\0listed": given} if isinstance(given, list) else {"\0count": given} if isinstance(given, int) else given
        )

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.listed or range(self.looks[-1] if self.looks else self.count or DEFAULT_SEEDS))


class MetricForm(Form):
    what = "the metric"
    example = "dev_accuracy or {name: dev_loss, better: lower}"

    name: str = Field(description="One of the numbers that every run reports.", examples=["dev_accuracy"])
    better: Literal["higher", "lower"] | None = Field(
        default=None, description="Which way is better.", examples=["higher"]
    )
    at: Annotated[Any, AfterValidator(to_epoch)] = Field(
        default="last", description="last, best, or the number of an epoch.", examples=["best"]
    )
    minimum_effect: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="The smallest difference that matters, in the metric's unit.", examples=["0.5"]
    )
    units: dict[str, str] = Field(
        default={},
        description="Its unit in each setting of `across:`; different units have no mean.",
        examples=["{houses: k$, wine: points}"],
    )


class RulesForm(Form):
    what = "rules"
    example = "{tricks_per_variant: 2, categories_overall: 5}"

    tricks_per_variant: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Least tricks of each variant.", examples=["2"]
    )
    categories_per_variant: Annotated[int, Field(ge=0, le=len(CATEGORIES))] | None = Field(
        default=None, description="Least categories of each variant.", examples=["2"]
    )
    categories_overall: Annotated[int, Field(ge=0, le=len(CATEGORIES))] | None = Field(
        default=None, description="Least categories of all variants together.", examples=["5"]
    )
    forbid_data: list[str] | None = Field(
        default=None, description="Data sets that no variant may use.", examples=["[cifar100]"]
    )


class ResourcesForm(Form):
    what = "resources"
    example = "{gpus: 1, runs_per_gpu: 2, threads: 1}"

    gpus: Annotated[int, Field(ge=0, le=1024)] | None = Field(
        default=None, description="GPUs of one run; more than one for a command only.", examples=["1"]
    )
    runs_per_gpu: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="The most runs that share one GPU: 1, or 8 where memory_gib is given.", examples=["2"]
    )
    threads: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=1, description="CPU threads of one run.", examples=["1"]
    )
    memory_gib: Annotated[float | str | None, BeforeValidator(to_gib)] = Field(
        default=None,
        description="Memory of one run on its device: GiB, or auto (learned from a variant's first run).",
        examples=["auto"],
    )
    start: Literal["fork", "spawn"] = Field(
        default="fork",
        description="Runs are forked from one process that has imported everything, or import it each.",
        examples=["spawn"],
    )


class LimitsForm(Form):
    what = "limits"
    example = "{attempts: 3, timeout: 2h}"

    attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        default=3, description="Executions of a run before it is given up.", examples=["3"]
    )
    timeout: Annotated[float | None, BeforeValidator(to_seconds)] = Field(
        default=None, description="Time of one attempt: 90 (seconds), 90s, 15m or 2h.", examples=["2h"]
    )
    stop_after: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=3,
        description="`ablate run` ends when so many runs failed with the same message and none is done.",
        examples=["10"],
    )
    grace: Annotated[float, BeforeValidator(to_seconds)] = Field(
        default=10.0,
        description="From SIGTERM to SIGKILL for a run that is stopped or takes too long: 10 (seconds), 30s or 2m.",
        examples=["30s"],
    )
    database: Annotated[float, BeforeValidator(to_seconds)] = Field(
        default=900.0,
        description="How long a database that is away is waited for: 900 (seconds), 90s, 15m or 2h.",
        examples=["2h"],
    )
    log: Annotated[float, Field(ge=1)] = Field(
        default=64.0,
        description="MiB of a run's log.txt that are kept: a longer one is cut in the middle.",
        examples=["256"],
    )
    silence: Annotated[float | None, BeforeValidator(to_seconds)] = Field(
        default=None,
        description="How long a run may report no step and print nothing before it ends as stalled: 90s, 15m or 2h.",
        examples=["30m"],
    )
    infrastructure: Annotated[float, BeforeValidator(to_seconds)] = Field(
        default=43200.0,
        description="How long a run that meets a full or broken disk, or the like, is tried again: 90s, 15m or 2h.",
        examples=["30m"],
    )


class AnalysisForm(Form):
    what = "analysis"
    example = "{error: pooled}"

    error: Literal["own", "pooled", "shrunken"] = Field(
        default="own",
        description="Each row by its own pairs; residuals of all rows; or each row's variance shrunken towards that of "
        "all rows, which finds more and errs more often.",
        examples=["pooled"],
    )
    test: Literal["t", "sign_flip"] = Field(
        default="t",
        description="Of paired differences: t, or the exact sign-flip test, which holds where a seed collapses.",
        examples=["sign_flip"],
    )
    generalise: Literal["seeds", "seeds_and_examples"] = Field(
        default="seeds_and_examples",
        description="What verdicts speak of where per-example results are kept: other seeds and other examples like "
        "these, or other seeds on these examples alone.",
        examples=["seeds"],
    )
    across: Literal["mean", "reml", "standardised"] = Field(
        default="mean",
        description="Over the settings of `across:`: the mean of the differences; REML with Hartung and Knapp's "
        "interval, which errs more often with few seeds; or each setting's p as z, for metrics of different units.",
        examples=["standardised"],
    )


class RangeForm(Form):
    what = "a range"
    example = "{low: 0.01, high: 1.0, log: true} or {choices: [32, 64]}"

    low: Any = Field(default=None, description="The lowest value.", examples=["0.01"])
    high: Any = Field(default=None, description="The highest value.", examples=["1.0"])
    log: bool = Field(default=False, description="Search on a logarithmic scale.", examples=["true"])
    step: Any = Field(default=None, description="Only low, low + step, ...", examples=["0.05"])
    choices: list[Any] | None = Field(
        default=None, description="Search among these, in place of low and high.", examples=["[32, 64]"]
    )
    when: Names = Field(
        default=[], description="Tricks that must be on (`name` or `name=level`).", examples=["[onecycle]"]
    )

    @model_validator(mode="before")
    @classmethod
    def _checked(cls, given: Any) -> Any:
        """All at once and at the range's own place: a bound alone says nothing wrong."""
        given = {"choices": given} if isinstance(given, list) else given
        if isinstance(given, dict):
            wrong = _wrong_choices(given) if "choices" in given else _wrong_bounds(given)
            if wrong:
                raise ValueError(wrong)
        return given


class TuneForm(Form):
    what = "tune"
    example = "{variant: best, trials: 40, space: {optimizer.lr: {low: 0.01, high: 1.0, log: true}}}"

    variant: str = Field(
        default="best", description="The variant to tune; best: by the table's own rule.", examples=["full"]
    )
    variants: list[str] | None = Field(
        default=None, description="Several variants; each gets the same budget.", examples=["[A, B]"]
    )
    trials: Annotated[int, Field(ge=1, le=100_000)] = Field(default=40, description="Settings to try.", examples=["40"])
    space: dict[str, RangeForm] = Field(
        description="Dotted keys of the configuration (tricks.NAME.PARAMETER for a trick's) and their ranges.",
        examples=["{optimizer.lr: {low: 0.01, high: 1.0, log: true}, batch_size: [32, 64]}"],
    )
    sampler: Literal["tpe", "random", "grid", "cmaes", "gp"] = Field(
        default="tpe", description="How settings are chosen.", examples=["random"]
    )
    sampler_seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = Field(
        default=0, description="Where the sampler's randomness starts.", examples=["1"]
    )
    pruner: Literal["none", "median", "hyperband"] = Field(
        default="none", description="When a run is paused early.", examples=["median"]
    )
    seeds: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="Runs per setting, from seed 1000; their mean is the setting's value.", examples=["3"]
    )
    fresh_seeds: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="Seeds, from 2000, on which winner and untuned variant are trained anew.",
        examples=["10"],
    )
    budget: Annotated[float | None, BeforeValidator(to_seconds)] = Field(
        default=None, description="Time after which no further setting is tried: 90s, 15m or 2h.", examples=["2h"]
    )

    @model_validator(mode="after")
    def _one_way(self) -> TuneForm:
        if self.variants is not None and "variant" in self.model_fields_set:
            raise ValueError("it has either variant or variants")
        if self.variants is not None and len(set(self.variants)) < max(len(self.variants), 1):
            raise ValueError("variants must list one variant or several, each once")
        return self


class StudyForm(Form):
    what = "a study"
    example = "the one that `ablate init FILE` writes"
    hint = " What the model and the training take goes under `base:`."

    study: str | None = Field(
        default=None, description="The study's name; the file's stem unless given.", examples=["batchnorm"]
    )
    task: Annotated[Any, AfterValidator(to_task)] = Field(
        default="classify",
        validate_default=True,
        description="What a run executes: classify, a function or a command of yours, or a task in a plug-in folder.",
        examples=["mycode.train:main"],
    )
    base: Mapped = Field(
        default={},
        description="The configuration that every variant starts from.",
        examples=["{model: {name: vgg}, epochs: 20}"],
    )
    tricks: Annotated[dict[str, Annotated[TrickForm, BeforeValidator(or_empty)]], BeforeValidator(or_empty)] = Field(
        default={},
        description="What can be switched on.",
        examples=["{batchnorm: {set: {model.norm: batch}}, mixup: }"],
    )
    designs: Names | None = Field(
        default=None,
        description="The rules that choose variants: one, or a list.",
        examples=["[leave_one_out, {name: fractional, resolution: 4}]"],
    )
    variants: Annotated[dict[str, VariantForm], BeforeValidator(or_empty)] = Field(
        default={}, description="Variants listed by hand.", examples=["{plain: [], A: [batchnorm, mixup]}"]
    )
    across: Annotated[dict[str, Annotated[Mapped, BeforeValidator(or_empty)]], BeforeValidator(or_empty)] = Field(
        default={},
        description="Settings that every design is carried out in: named patches of the base.",
        examples=["{digits: {data: {name: digits}}, cifar: {data: {name: npz, root: data}, epochs: 16}}"],
    )
    baseline: str | None = Field(
        default=None,
        description="The variant that hand-listed and factorial rows are compared with.",
        examples=["plain"],
    )
    seeds: SeedsForm = Field(
        default=SeedsForm(), description="5 means 0 to 4; or a list; or {looks: [3, 5, 10]}.", examples=["10"]
    )
    metric: Annotated[MetricForm, BeforeValidator(lambda v: {"name": v} if isinstance(v, str) else v)] | None = Field(
        default=None,
        description="The number that decides; dev_accuracy for classify.",
        examples=["{name: dev_accuracy, minimum_effect: 0.5}"],
    )
    also: Names = Field(
        default=[], description="Further numbers to show.", examples=["[dev_loss, {name: f1, better: higher}]"]
    )
    rules: RulesForm = Field(
        default=RulesForm(),
        description="A brief's requirements on the variants listed by hand.",
        examples=["{tricks_per_variant: 2, categories_overall: 5}"],
    )
    resources: ResourcesForm = Field(
        default=ResourcesForm(), description="What one run takes.", examples=["{gpus: 1, runs_per_gpu: 2}"]
    )
    engines: dict[str, Mapped] = Field(
        default={},
        description="Parameters of executors, by name; part of no key.",
        examples=["{slurm: {jobs: 20, sbatch: [--partition=gpu, --gres=gpu:1]}}"],
    )
    limits: LimitsForm = Field(
        default=LimitsForm(), description="When a run is given up.", examples=["{attempts: 3, timeout: 2h}"]
    )
    tune: TuneForm | None = Field(
        default=None,
        description="What `ablate tune` searches.",
        examples=["{trials: 40, space: {optimizer.lr: {low: 0.01, high: 1.0, log: true}}}"],
    )
    weights: Literal["all", "best", "none"] = Field(
        default="all",
        description="Which runs keep their weights: all, those of the best variant once all is done, or none.",
        examples=["best"],
    )
    plugins: Annotated[list[str], BeforeValidator(one_or_more)] = Field(
        default=[], description="Folders of private plug-ins, beside the study file.", examples=["[myplugins]"]
    )
    analysis: AnalysisForm = Field(
        default=AnalysisForm(), description="How differences are tested.", examples=["{error: pooled}"]
    )
    placebo: bool = Field(
        default=False, description="Add a row that changes nothing but the random streams.", examples=["true"]
    )


def _wrong_choices(given: Mapping[str, Any]) -> str:
    listed = given["choices"]
    if given.keys() & {"low", "high", "log", "step"}:
        return "it has either choices or low and high"
    if not isinstance(listed, list) or len(listed) < 2:
        return "choices must list at least two values"
    # 1, true and 1.0 are equal, and a search that holds them against each other would try one of them.
    for one in listed:
        equal = [json.dumps(other) for other in listed if other == one]
        if len(equal) > 1:
            return "choices must list a value once" + (f"; {joined(equal)} are equal" if len(set(equal)) > 1 else "")
    return ""


def _wrong_bounds(given: Mapping[str, Any]) -> str:
    numbers = {key: given[key] for key in ("low", "high", "step") if key in given}
    if not {"low", "high"} <= numbers.keys():
        return "it must have low and high, or choices"
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"{key} must be a number"
    if given["low"] >= given["high"]:
        return "low must be below high"
    if given.get("log") is True and given["low"] <= 0:
        return "low must be above 0 where log is true"
    if given.get("log") is True and "step" in given:
        return "it has either log or step"
    return "step must be above 0" if given.get("step", 1) <= 0 else ""
