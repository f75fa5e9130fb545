"""The form of a study file: its keys, their types and ranges, and what a student is told who gets one wrong.

Beside `study` because a form is data: pydantic models that check structure, draw the JSON Schema for editors, and name
what each section may hold. It looks nothing up: whether a trick, a model or a design of that name exists, and what a
configuration may hold, is study's matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from ablate.records import COMMAND, Json
from ablate.registry import Registry, nearest
from ablate.study.form import StudyForm
from ablate.study.sections import Form
from ablate.study.values import LARGEST_SEED, MOST_SEEDS
from ablate.study.yaml_file import Trail, said
from ablate.text import did_you_mean, one_of
from ablate.training.task import plain_names


@dataclass(frozen=True)
class Finding:
    """A mistake at a path of the study, before anyone knows in which line that is. on_key: the key is to blame.

    page: of the manual, as in Problem.
    """

    path: Trail
    message: str
    on_key: bool = False
    page: str = ""


# ------------------------------------------------------------------------------------------------------------- checking


def check(given: Mapping[str, Json]) -> tuple[StudyForm, list[Finding]]:
    """The form of a study, and all that is wrong with its structure; what is wrong is then left out of the form."""
    findings: list[Finding] = []
    kept: dict[str, Json] = dict(given)
    while True:
        try:
            return StudyForm.model_validate(kept), findings
        except ValidationError as error:
            wrong = [_finding(item, kept) for item in error.errors()]
        findings += wrong
        kept = _pruned(kept, {_cut(kept, finding.path) for finding in wrong})


def keys(form: type[Form]) -> list[str]:
    """The keys of a section, as they are written."""
    written = [item.alias or name for name, item in form.model_fields.items()]
    return [key for key in written if not key.startswith("\0")]


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
    return Finding(path, f"is {said(given)}; {allowed}.{nearest(item)}")


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
        form = (form_in(item.annotation) if item else None) or form
    return form


def form_in(annotation: Any) -> type[Form] | None:
    """The form inside `dict[str, Form]`, `Form | None` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, Form):
        return annotation
    return next((form for argument in get_args(annotation) if (form := form_in(argument))), None)


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
    from ablate.study import basics  # it loads pydantic's validators of a recipe, which no check of a file needs

    whole = StudyForm.model_json_schema()
    defs, properties = whole["$defs"], whole["properties"]

    def either(*kinds: Mapping[str, Any]) -> dict[str, Any]:
        return {"anyOf": list(kinds)}

    def offered(names: Iterable[str]) -> dict[str, Any]:
        return either({"enum": list(names)}, {"type": "string"})

    def or_text(form: str, *keys: str) -> None:
        """What is read as a number or a list may be written as text: `5 min`, one name for a list of one."""
        for key in keys:
            rule = defs[form]["properties"][key]
            kinds = rule.pop("anyOf", None) or [{part: rule.pop(part) for part in ("type", "items") if part in rule}]
            rule |= either(text, *kinds)

    nothing, text = {"type": "null"}, {"type": "string"}
    tricks, tasks = registry.names("tricks"), registry.names("tasks")
    command = [parameter.name for parameter in registry.parameters("tasks", COMMAND)]
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
    or_text("TrickForm", "requires", "conflicts")
    or_text("LimitsForm", "timeout", "grace", "database", "silence", "infrastructure")
    or_text("NotesForm", "authors")
    or_text("RangeForm", "when")
    or_text("TuneForm", "budget")
    defs["MetricForm"]["properties"]["at"] |= either({"enum": ["last", "best"]}, {"type": "integer", "minimum": 1})
    defs["SeedsForm"]["properties"] = {"looks": defs["SeedsForm"]["properties"]["looks"]}
    defs["TuneForm"]["properties"]["space"]["additionalProperties"] = either(
        {"$ref": "#/$defs/RangeForm"}, {"type": "array"}
    )
    for name in ("low", "high", "step"):
        defs["RangeForm"]["properties"][name] |= {"type": "number"}
    defs["RangeForm"] |= either({"required": ["low", "high"]}, {"required": ["choices"]})
    hand = either({"$ref": "#/$defs/VariantForm"}, {"type": "array"}, nothing)
    changes: dict[str, dict[str, Any]] = {
        "task": either(
            offered(plain_names(registry)),
            {"type": "object", "required": ["name"], "properties": {"name": offered(tasks)}},
            {"type": "object", "required": [COMMAND], "properties": {name: {} for name in command}},
        ),
        "base": {"type": ["object", "null"], "properties": basics.offered(registry)},
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
    return named | dict(_plain(whole))


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
