"""The form of a study file: its keys, their types and ranges, and what a student is told who gets one wrong.

Beside `study` because a form is data: pydantic models that check structure, draw the JSON Schema for editors, and name
what each section may hold. It looks nothing up: whether a trick, a model or a design of that name exists, and what a
configuration may hold, is study's matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from ablate.records import CATEGORIES, Json
from ablate.registry import Registry
from ablate.study.form import (
    DEFAULT_SEEDS,
    LARGEST_SEED,
    MOST_SEEDS,
    Form,
    Mapped,
    Names,
    one_or_more,
    or_empty,
    to_epoch,
    to_gib,
    to_looks,
    to_seconds,
    to_seeds,
)
from ablate.study.tune_form import TuneForm
from ablate.study.yaml_file import Trail, printable
from ablate.text import did_you_mean, one_of


@dataclass(frozen=True)
class Finding:
    """A mistake at a path of the study, before anyone knows in which line that is. on_key: the key is to blame."""

    path: Trail
    message: str
    on_key: bool = False


# ---------------------------------------------------------------------------------------------------------------- forms


class LevelForm(Form):
    what = "a level"
    example = "{set: {model.norm: batch}} or {use: mixup, with: {alpha: 0.2}}"
    hint = " Keys of the base go under `set:`, parameters of a trick's file under `with:`."

    set: Mapped = Field(default={}, description="A patch of the base: dotted keys and their new values.")
    use: str | None = Field(default=None, description="A file of the tricks' shelf (`ablate list tricks`).")
    with_: Mapped = Field(default={}, alias="with", description="Parameters of the file that `use` names.")


class TrickForm(LevelForm):
    what = "a trick"

    levels: dict[str, Annotated[LevelForm, BeforeValidator(or_empty)]] | None = Field(
        default=None, description="Several versions of the trick, one at a time; in place of set, use and with."
    )
    label: str = Field(default="", description="How tables print the trick; its name unless given.")
    category: Literal[CATEGORIES] | None = Field(default=None, description="The kind of trick.")  # type: ignore[valid-type]
    requires: Names = Field(default=[], description="Tricks without which this one cannot be on.")
    conflicts: Names = Field(default=[], description="Tricks with which this one cannot be on.")


class VariantForm(Form):
    what = "a variant"
    example = "[batchnorm, mixup] or {set: {model.width: 32}, tricks: [batchnorm]}"
    hint = " Keys of the base go under `set:`."

    set: Mapped = Field(default={}, description="A patch of the base, for this variant alone.")
    tricks: list[Any] = Field(default=[], description="Tricks that are on: `name`, `name=level` or {name: level}.")

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
        default=None, description="Adaptive: how many seeds there are at each look."
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

    name: str = Field(description="One of the numbers that every run reports.")
    better: Literal["higher", "lower"] | None = Field(default=None, description="Which way is better.")
    at: Annotated[Any, AfterValidator(to_epoch)] = Field(
        default="last", description="last, best, or the number of an epoch."
    )
    minimum_effect: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="The smallest difference that matters, in the metric's unit."
    )


class RulesForm(Form):
    what = "rules"
    example = "{tricks_per_variant: 2, categories_overall: 5}"

    tricks_per_variant: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Least tricks of each variant."
    )
    categories_overall: Annotated[int, Field(ge=0, le=len(CATEGORIES))] | None = Field(
        default=None, description="Least categories of all variants together."
    )
    forbid_data: list[str] | None = Field(default=None, description="Data sets that no variant may use.")


class ResourcesForm(Form):
    what = "resources"
    example = "{gpus: 1, runs_per_gpu: 2, threads: 1}"

    gpus: Annotated[int, Field(ge=0, le=1024)] | None = Field(default=None, description="GPUs of one run.")
    runs_per_gpu: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="The most runs that share one GPU: 1, or 8 where memory_gib is given."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] = Field(default=1, description="CPU threads of one run.")
    memory_gib: Annotated[float | str | None, BeforeValidator(to_gib)] = Field(
        default=None, description="Memory of one run on its device: GiB, or auto (learned from a variant's first run)."
    )


class LimitsForm(Form):
    what = "limits"
    example = "{attempts: 3, timeout: 2h}"

    attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        default=3, description="Executions of a run before it is given up."
    )
    timeout: Annotated[float | None, BeforeValidator(to_seconds)] = Field(
        default=None, description="Time of one attempt: 90 (seconds), 90s, 15m or 2h."
    )


class AnalysisForm(Form):
    what = "analysis"
    example = "{error: pooled}"

    error: Literal["own", "pooled"] = Field(
        default="own", description="Each row by its own pairs, or residuals of all rows."
    )


class StudyForm(Form):
    what = "a study"
    example = "the one that `ablate init FILE` writes"
    hint = " What the model and the training take goes under `base:`."

    study: str | None = Field(default=None, description="The study's name; the file's stem unless given.")
    task: str = Field(default="classify", description="What a run executes: classify, or package.module:function.")
    base: Mapped = Field(default={}, description="The configuration that every variant starts from.")
    tricks: Annotated[dict[str, Annotated[TrickForm, BeforeValidator(or_empty)]], BeforeValidator(or_empty)] = Field(
        default={}, description="What can be switched on."
    )
    designs: Names | None = Field(default=None, description="The rules that choose variants: one, or a list.")
    variants: Annotated[dict[str, VariantForm], BeforeValidator(or_empty)] = Field(
        default={}, description="Variants listed by hand."
    )
    baseline: str | None = Field(
        default=None, description="The variant that hand-listed and factorial rows are compared with."
    )
    seeds: SeedsForm = Field(default=SeedsForm(), description="5 means 0 to 4; or a list; or {looks: [3, 5, 10]}.")
    metric: Annotated[MetricForm, BeforeValidator(lambda v: {"name": v} if isinstance(v, str) else v)] | None = Field(
        default=None, description="The number that decides; dev_accuracy for classify."
    )
    also: Names = Field(default=[], description="Further numbers to show.")
    rules: RulesForm = Field(default=RulesForm(), description="A brief's requirements on the variants listed by hand.")
    resources: ResourcesForm = Field(default=ResourcesForm(), description="What one run takes.")
    limits: LimitsForm = Field(default=LimitsForm(), description="When a run is given up.")
    tune: TuneForm | None = Field(default=None, description="What `ablate tune` searches.")
    weights: Literal["all", "best", "none"] = Field(
        default="all",
        description="Which runs keep their weights: all, those of the best variant once all is done, or none.",
    )
    plugins: Annotated[list[str], BeforeValidator(one_or_more)] = Field(
        default=[], description="Folders of private plug-ins, beside the study file."
    )
    analysis: AnalysisForm = Field(default=AnalysisForm(), description="How differences are tested.")
    placebo: bool = Field(default=False, description="Add a row that changes nothing but the random streams.")


# ------------------------------------------------------------------------------------------------------------- checking


def check(given: Mapping[str, Json]) -> tuple[StudyForm, list[Finding]]:
    """The form of a study, and all that is wrong with its structure; what is wrong is then left out of the form."""
    findings: list[Finding] = []
    kept: dict[str, Json] = dict(given)
    while True:
        try:
            return StudyForm.model_validate(kept), findings
        except ValidationError as error:
            found = [_finding(item, kept) for item in error.errors()]
        findings += found
        kept = _pruned(kept, {_cut(kept, finding.path) for finding in found})


def keys(form: type[Form]) -> list[str]:
    """The keys of a section, as they are written."""
    written = [item.alias or name for name, item in form.model_fields.items()]
    return [key for key in written if not key.startswith("\0")]


def said(value: Json) -> str:
    """A value as messages show it."""
    if value is None:
        return "empty"
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 60 else f"{text[:50]}..."


def _finding(item: Mapping[str, Any], given: Json) -> Finding:
    """pydantic's finding in our words. What pydantic calls the place holds names that we put in; the file has fewer."""
    path: Trail = ()
    for part in item["loc"]:
        if (isinstance(given, Mapping) and part in given) or (isinstance(given, list) and part in range(len(given))):
            given, path = given[part], (*path, part)
    kind, limits = item["type"], item.get("ctx", {})
    form = _form_at(item["loc"][:-1] if kind in ("missing", "extra_forbidden") else item["loc"])
    if kind == "missing":
        return Finding((*path, item["loc"][-1]), f"is missing; {form.what} looks like {form.example}.", True)
    if kind == "extra_forbidden":
        near = did_you_mean(str(path[-1]), keys(form)) or form.hint
        return Finding(path, f"is no key of {form.what}; it has {one_of(keys(form))}.{near}", True)
    if kind == "value_error":
        allowed = str(limits["error"])
    elif kind in ("model_type", "model_attributes_type"):
        allowed = f"it must look like {form.example}"
    elif kind in _ALLOWED:
        allowed = "it must be " + _ALLOWED[kind].format(**limits).replace("'", "")
    else:
        allowed = item["msg"].replace("Input should be", "it must be")
    return Finding(path, f"is {said(given)}; {allowed}.")


_ALLOWED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping such as {{key: value}}",
    "list_type": "a list such as [a, b]",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
}


def _form_at(place: Iterable[str | int]) -> type[Form]:
    """The form that holds `place`, the innermost one."""
    form: type[Form] = StudyForm
    for part in place:
        item = next((item for name, item in form.model_fields.items() if part in (name, item.alias)), None)
        form = (_form_in(item.annotation) if item else None) or form
    return form


def _form_in(annotation: Any) -> type[Form] | None:
    """The form inside `dict[str, Form]`, `Form | None` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, Form):
        return annotation
    return next((form for argument in get_args(annotation) if (form := _form_in(argument))), None)


def _cut(given: Any, path: Trail) -> Trail:
    """What must go with what is wrong at `path`: the whole list that holds it, or the mapping that lacks it."""
    for depth, part in enumerate(path):
        if not isinstance(given, dict) or part not in given:
            return path[:depth]
        given = given[part]
    return path


def _pruned(given: Any, gone: Set[Trail], path: Trail = ()) -> Any:
    if not isinstance(given, dict):
        return given
    return {key: _pruned(child, gone, at) for key, child in given.items() if (at := (*path, key)) not in gone}


# --------------------------------------------------------------------------------------------------------------- schema


def schema(registry: Registry) -> dict[str, Any]:
    """A JSON Schema (2020-12) of the study file. Names on the shelves are offered; private ones are allowed too."""
    made = StudyForm.model_json_schema()
    defs, properties = made["$defs"], made["properties"]

    def either(*kinds: Mapping[str, Any]) -> dict[str, Any]:
        return {"anyOf": list(kinds)}

    def offered(names: Iterable[str]) -> dict[str, Any]:
        return either({"enum": list(names)}, {"type": "string"})

    nothing, text, tricks = {"type": "null"}, {"type": "string"}, registry.names("tricks")
    trick = either({"$ref": "#/$defs/TrickForm"}, nothing)
    design = either(
        offered(registry.names("designs")),
        {"type": "object", "required": ["name"], "properties": {"name": offered(registry.names("designs"))}},
    )
    further = either(text, {"type": "object", "required": ["name"], "properties": {"name": text, "better": {}}})
    seeds = either(
        {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS},
        {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED}},
        {"$ref": "#/$defs/SeedsForm"},
    )
    for name in ("TrickForm", "LevelForm"):
        defs[name]["properties"]["use"] |= offered(tricks)
    defs["TrickForm"]["properties"]["levels"] |= either(
        {"type": "object", "additionalProperties": either({"$ref": "#/$defs/LevelForm"}, nothing)}
    )
    for name in ("requires", "conflicts"):
        defs["TrickForm"]["properties"][name] |= either(text, {"type": "array", "items": text})
    defs["LimitsForm"]["properties"]["timeout"] |= either({"type": "number"}, text)
    defs["MetricForm"]["properties"]["at"] |= either({"enum": ["last", "best"]}, {"type": "integer", "minimum": 1})
    defs["SeedsForm"]["properties"] = {"looks": defs["SeedsForm"]["properties"]["looks"]}
    defs["TuneForm"]["properties"]["space"]["additionalProperties"] = either(
        {"$ref": "#/$defs/RangeForm"}, {"type": "array"}
    )
    defs["TuneForm"]["properties"]["budget"] |= either({"type": "number"}, text)
    for name in ("low", "high", "step"):
        defs["RangeForm"]["properties"][name] |= {"type": "number"}
    defs["RangeForm"] |= either({"required": ["low", "high"]}, {"required": ["choices"]})
    defs["RangeForm"]["properties"]["when"] |= either(text, {"type": "array", "items": text})
    hand = either({"$ref": "#/$defs/VariantForm"}, {"type": "array"}, nothing)
    changes: dict[str, dict[str, Any]] = {
        "task": offered([*(name for name in registry.names("tasks") if name != "function")]),
        "base": {"type": ["object", "null"]},
        "tricks": {
            "type": ["object", "null"],
            "properties": dict.fromkeys(tricks, trick),
            "additionalProperties": trick,
        },
        "designs": either(design, {"type": "array", "items": design}),
        "variants": {"type": ["object", "null"], "additionalProperties": hand},
        "metric": either(text, {"$ref": "#/$defs/MetricForm"}),
        "also": either(text, {"type": "array", "items": further}),
        "seeds": seeds,
        "plugins": either(text, {"type": "array", "items": text}),
    }
    for name, change in changes.items():
        properties[name] = {"description": properties[name]["description"], **change}
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A study of ablate"}
    return named | dict(_plain(made))


def _plain(part: Any) -> Any:
    """Without the titles that pydantic makes from our names, and without defaults, which the descriptions say."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        key: {name: _plain(item) for name, item in value.items()} if key in ("properties", "$defs") else _plain(value)
        for key, value in part.items()
        if key not in ("title", "default")
    }
