"""The sections of a study file that name no trick: how it is executed, judged and tuned; and what all forms have in
common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ablate.records import CATEGORIES
from ablate.study.values import (
    LARGEST_SEED,
    MOST_SEEDS,
    Names,
    one_or_more,
    to_epoch,
    to_gib,
    to_limits,
    to_looks,
    to_seconds,
    to_seeds,
    wrong_bounds,
    wrong_choices,
)

DEFAULT_SEEDS = 5


class Form(BaseModel):
    """A mapping of the study file. what: how messages call it. example: what it may be. hint: for a stray key."""

    model_config = ConfigDict(extra="forbid", strict=True)
    what: ClassVar[str]
    example: ClassVar[str]
    hint: ClassVar[str] = ""


class NotesForm(Form):
    what = "notes"
    example = "{title: Two small nets, authors: [Ada L.], text: What we asked., tricks: {mixup: Why it should help.}}"

    title: str = Field(default="", description="The report's title.", examples=["Two small nets"])
    authors: Annotated[list[str], BeforeValidator(one_or_more)] = Field(
        default=[], description="Who wrote it: one, or a list.", examples=["[Ada L., Alan T.]"]
    )
    text: str = Field(
        default="", description="Of the study: Markdown, below its question.", examples=["We began from *VGG*."]
    )
    variants: dict[str, str] = Field(
        default={}, description="Of each variant, by name: Markdown.", examples=["{A: The small one.}"]
    )
    tricks: dict[str, str] = Field(
        default={}, description="Of each trick, by name: Markdown.", examples=["{mixup: Labels become soft.}"]
    )


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
    limits: Annotated[Any, AfterValidator(to_limits)] = Field(
        default=None,
        description="What counts as 0 and as 1 in `--view iqm`, the worse one first: one pair, or one for each setting "
        "of `across:`.",
        examples=["{pong: [-20.7, 14.6], breakout: [1.7, 30.5]}"],
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
    variants: list[str] | None = Field(
        default=None,
        description="The variants that are judged, where some that are listed by hand are rows of an ablation.",
        examples=["[A, B, C]"],
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
            wrong = wrong_choices(given) if "choices" in given else wrong_bounds(given)
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
