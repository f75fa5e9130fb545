"""The form of a study file: its sections, and what each key takes, as the manual prints it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ablate.records import CATEGORIES
from ablate.study.sections import (
    AnalysisForm,
    Form,
    LimitsForm,
    MetricForm,
    NotesForm,
    ResourcesForm,
    RulesForm,
    SeedsForm,
    TuneForm,
)
from ablate.study.values import Mapped, Names, one_or_more, or_empty, to_heads, to_instead, to_part, to_task


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
    when: Literal["trained"] | None = Field(
        default=None,
        description="trained: nothing is trained without the part, but trained weights are measured without it.",
        examples=["trained"],
    )
    recalibrate: bool | None = Field(
        default=None,
        description="With `when: trained`: batch statistics once over the training images, before it is measured.",
        examples=["true"],
    )
    heads: Annotated[list[int], AfterValidator(to_heads)] | None = Field(
        default=None, description="Only these heads of an attention, counted from 0.", examples=["[0, 2]"]
    )
    control: Literal["parameters", "flops", "another"] | None = Field(
        default=None,
        description="A further row for each part: as much taken from the widths of all others, or another part alike.",
        examples=["parameters"],
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
    notes: NotesForm = Field(
        default=NotesForm(),
        description="The authors' own words, for the report; part of no key.",
        examples=["{title: Two small nets, authors: [Ada L.], tricks: {mixup: Labels become soft.}}"],
    )
    placebo: bool = Field(
        default=False, description="Add a row that changes nothing but the random streams.", examples=["true"]
    )
