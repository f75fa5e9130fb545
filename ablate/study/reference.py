"""Every key of a study file in words: default, range, example. From the forms and the recipe, as one Markdown text.

`ablate/manual/study-file.md` holds this text and a test compares the two; `make manual` writes it anew. What the forms
cannot say of a default that depends on others stands in DEFAULTS. Names on the shelves are `ablate list`'s matter.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import textwrap
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from ablate.study.form import StudyForm
from ablate.study.sections import Form
from ablate.study.structure import form_in
from ablate.study.values import one_or_more, or_empty
from ablate.training import recipe
from ablate.training.dataset import Subset
from ablate.training.schedules import SCHEDULES
from ablate.training.stopping import Stopping

WIDTH = 120

DEFAULTS: Mapping[str, str] = {
    "study": "the file's stem",
    "designs": "leave_one_out; none where variants are listed by hand",
    "baseline": "base where it is planned, else the first variant",
    "seeds": "5",
    "metric": "the first that the task reports (dev_accuracy of classify); a function task has to name one",
    "metric.better": "as the task knows it; else lower where the name says loss, error, seconds, mib or parameters",
    "metric.minimum_effect": "none, and nothing can be called equivalent",
    "metric.limits": "none, and there is no `--view iqm`",
    "tricks.NAME.use": "the file that is called like the trick, where neither `set` nor `use` is given",
    "tricks.NAME.levels": "none: on or off",
    "tricks.NAME.label": "the label of the file that `use` names, else the name",
    "tricks.NAME.category": "the category of the file that `use` names",
    "tricks.NAME.levels.LEVEL.use": "none",
    "tricks.NAME.part": "none",
    "tricks.NAME.each": "none",
    "tricks.NAME.kind": "modules of every class",
    "tricks.NAME.instead": "what is neutral where its output is used ([parts](parts.md))",
    "tricks.NAME.when": "the network is trained without the part",
    "tricks.NAME.recalibrate": "false",
    "tricks.NAME.heads": "the whole part",
    "tricks.NAME.control": "none",
    "seeds.looks": "none: every variant gets all seeds",
    "rules.tricks_per_variant": "none",
    "rules.categories_per_variant": "none",
    "rules.categories_overall": "none",
    "rules.variants": "all that are listed by hand and have tricks",
    "rules.forbid_data": "none",
    "resources.gpus": "1 where a GPU is visible, else 0",
    "resources.runs_per_gpu": "1; 8 where memory_gib is given",
    "resources.memory_gib": "none: runs share a GPU by count",
    "limits.timeout": "none",
    "limits.silence": "none",
    "tune": "none",
    "tune.variants": "none",
    "tune.fresh_seeds": "as many as the study has seeds, 5 at least",
    "tune.budget": "none",
    "tune.space.KEY.low": "required, unless choices are listed",
    "tune.space.KEY.high": "required, unless choices are listed",
    "tune.space.KEY.step": "none: every value between them",
    "tune.space.KEY.choices": "none",
}
"""What stands in for a key that is not given, where that is no constant, or none."""

RANGES: Mapping[str, str] = {
    "study": "1 to 64 letters, digits, spaces and . _ + -",
    "task": "a name of the shelf, `package.module:function`, or `{name: ..., PARAMETER: ...}`",
    "seeds": "a whole number from 1 to 1000, a list of seeds from 0, or `{looks: [...]}`",
    "designs": "a name of `ablate list designs`, `{name: ..., OPTION: ...}`, or a list of these",
    "also": "a name, `{name: ..., better: ...}`, or a list of these",
    "variants": "names, each with a list of tricks or with what [variants.NAME](#variantsname) has",
    "tricks": "names of 1 to 64 characters, each with what [tricks.NAME](#tricksname) has, or nothing",
    "metric": "a name, or what [metric](#metric) has",
    "tricks.NAME.levels": "names, each with what [tricks.NAME.levels.LEVEL](#tricksnamelevelslevel) has",
    "tricks.NAME.part": "a path or a pattern (`*` within a name, `**` any number of names), or a list of these; quoted",
    "tricks.NAME.each": "a path or a pattern, or a list of these; quoted",
    "tricks.NAME.instead": "identity, zero, one, linear, the name of an activation, `{input: NUMBER}`, `{use: NAME, "
    "with: {...}}` (`ablate list replacements`), or, with `when: trained`, mean",
    "tricks.NAME.heads": "a list of whole numbers from 0",
    "tune.space": "dotted keys, each with what [tune.space.KEY](#tunespacekey) has, or a list of values",
    "tune.space.KEY.low": "a number; above 0 where log is true",
    "tune.space.KEY.high": "a number above low",
    "tune.space.KEY.step": "a number above 0; not beside log",
    "tune.space.KEY.choices": "a list of two values or more",
}
"""What a key may be, where validators say more than types do."""


def markdown() -> str:
    """Every section, as it stands in the manual."""
    sections = [_section(path, form) for path, form in forms()]
    return "\n\n".join([*sections, *_base()])


def forms() -> Iterator[tuple[str, type[Form]]]:
    """Every form of the file with the dotted place at which it stands; the file itself is the empty one."""
    waiting: list[tuple[str, type[Form]]] = [("", StudyForm)]
    while waiting:
        path, form = waiting.pop(0)
        yield path, form
        below = [(_joined(path, key) + _named(item.annotation), form_in(item.annotation)) for key, item in fields(form)]
        waiting[:0] = [(inside, inner) for inside, inner in below if inner is not None]


def fields(form: type[Form]) -> Iterator[tuple[str, FieldInfo]]:
    """The keys of a form, as they are written."""
    for name, item in form.model_fields.items():
        if not (item.alias or name).startswith("\0"):
            yield item.alias or name, item


def example(item: FieldInfo) -> str:
    """What a key may be, as YAML."""
    assert item.examples, f"{item.description}: a key of the study file has an example"
    return str(item.examples[0])


def _section(path: str, form: type[Form]) -> str:
    title = path or "The file"
    lines = [_bullet(_joined(path, key), key, item) for key, item in fields(form)]
    return "\n".join([f"### {title}", "", *lines])


def _bullet(path: str, key: str, item: FieldInfo) -> str:
    said = RANGES.get(path) or _range(item.annotation, item.metadata, path)
    needed = "Required." if item.is_required() else f"Default: {_default(path, item)}."
    return _wrapped(f"**{key}**: {item.description} May be: {said}. {needed} Example: `{key}: {example(item)}`.")


def _default(path: str, item: FieldInfo) -> str:
    if path in DEFAULTS:
        return DEFAULTS[path]
    default = item.get_default(call_default_factory=True)
    if isinstance(default, Form):
        return "nothing is asked" if path == "rules" else "as its keys have"
    assert default is not None, f"{path}: a default of none is to be explained in DEFAULTS"
    return "none" if default in ([], {}, "") else f"`{_yaml(default)}`"


def _range(annotation: Any, metadata: list[Any], path: str) -> str:
    """What a value may be: what its validator says, else its type and its bounds."""
    for item in metadata:
        validated = _validated(getattr(item, "func", None))
        if validated:
            return validated
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _range(inner[0], [*metadata, *inner[1:]], path)
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in inner if kind is not type(None)]
        return " or ".join(_range(kind, metadata, path) for kind in kinds)
    if origin is Literal:
        return " or ".join(filter(None, [", ".join(map(str, inner[:-1])), str(inner[-1])]))
    if origin is list or annotation is list:
        listed = any(getattr(item, "func", None) is one_or_more for item in metadata)
        return "one, or a list" if listed else f"a list such as {_SUCH_AS.get(path, '[a, b]')}"
    if isinstance(annotation, type) and issubclass(annotation, Form):
        return f"what [{path}](#{path.replace('.', '').lower()}) has"
    return _plain(annotation, metadata)


_SUCH_AS = {"rules.forbid_data": "[cifar100]", "variants.NAME.tricks": "[batchnorm, optimizer=adamw]"}


def _plain(annotation: Any, metadata: list[Any]) -> str:
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        return ("a whole number" if annotation is int else "a number") + _bounds(metadata)
    return "text" if annotation is str else "a mapping"


def _bounds(metadata: list[Any]) -> str:
    flat = [bound for item in metadata for bound in (getattr(item, "metadata", None) or [item])]
    low = [f" from {b.ge}" if isinstance(b, Ge) else f" above {b.gt}" for b in flat if isinstance(b, Ge | Gt)]
    high = [f"to {b.le}" if isinstance(b, Le) else f"below {b.lt}" for b in flat if isinstance(b, Le | Lt)]
    return " and ".join([*low, *high]) if low and low[0].startswith(" above") else " ".join([*low, *high])


def _validated(validator: Any) -> str:
    """What a validator of ours says is allowed: it is given what no key may be."""
    if validator in (None, one_or_more, or_empty):
        return ""
    try:
        validator(False)
    except ValueError as error:
        return str(error).removeprefix("it must be ")
    except TypeError:
        return ""
    return ""


def _named(annotation: Any) -> str:
    """`.NAME` where a form stands under names of the user's."""
    form = form_in(annotation)
    if form is not None and get_origin(annotation) is dict:
        return {"LevelForm": ".LEVEL", "RangeForm": ".KEY"}.get(form.__name__, ".NAME")
    return next((named for inner in get_args(annotation) if (named := _named(inner))), "")


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


# ------------------------------------------------------------------------------------------------- the base of classify


def _base() -> Iterator[str]:
    yield "\n\n".join(
        [
            "### base, of the task classify",
            _paragraph(
                "A function task takes whatever its function reads. `classify` takes these; each example is the "
                "default, written out."
            ),
            "\n".join(
                [
                    _wrapped("**model**: `{name: vgg}`, or another of `ablate list models`, with its parameters."),
                    _wrapped("**data**: `{name: digits}`, or another of `ablate list datasets`, with its parameters."),
                    *_loop(),
                ]
            ),
        ]
    )
    for title, choices in (("optimizer", recipe.OPTIMIZERS), ("schedule", SCHEDULES)):
        lines = [_part(title, name, cls) for name, cls in choices.items()]
        yield "\n".join([f"### base.{title}", "", *lines])
    yield "\n\n".join(["### base.init", _paragraph(_docstring(recipe.Init)), "\n".join(_keys(recipe.Init))])
    yield "\n\n".join(["### base.early_stopping", _paragraph(_docstring(Stopping)), "\n".join(_keys(Stopping))])
    subset = ["### base.data", _paragraph(_docstring(Subset)), "\n".join(_keys(Subset))]
    yield "\n\n".join(subset)


def _loop() -> list[str]:
    about = _docstring(recipe.Loop).split(". ", 1)[1]
    return [*_keys(recipe.Loop), _wrapped(f"Of these, {about}")]


def _part(section: str, name: str, made: type[Any]) -> str:
    shown = {"name": name} | {field.name: field.default for field in dataclasses.fields(made)}
    keys = "; ".join(f"{key}: {kind}" for key, kind in _kinds(made).items())
    return _wrapped(f"**{name}**: {_docstring(made)} May be: {keys}. Example: `{section}: {_yaml(shown)}`.")


def _keys(made: type[Any]) -> list[str]:
    kinds = _kinds(made)
    return [
        _wrapped(f"**{field.name}**: {kinds[field.name]}. {_given(field.name, field.default)}")
        for field in dataclasses.fields(made)
    ]


def _given(key: str, default: Any) -> str:
    if default is None or default == ():
        return f"Default: none. Example: `{key}: {_EXAMPLES[key]}`."
    return f"Default and example: `{key}: {_yaml(default)}`."


_EXAMPLES = {
    "weights": "pretrained.pt",
    "torchvision": "ResNet18_Weights.IMAGENET1K_V1",
    "study": "pretrain_digits",
    "variant": "best",
    "seed": "0",
    "classes": "[0, 1, 2]",
    "per_class": "100",
    "dev_fraction": "0.1",
}


def _kinds(made: type[Any]) -> dict[str, str]:
    hints = get_type_hints(made, include_extras=True)
    return {field.name: _kind(hints[field.name]) for field in dataclasses.fields(made)}


def _kind(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple:
        return "a list of classes, by number or name" if str in get_args(inner[0]) else "a list of numbers"
    return _range(hint, [], "")


def _docstring(made: type[Any]) -> str:
    return " ".join(inspect.cleandoc(made.__doc__ or "").split())


def _yaml(value: Any) -> str:
    """A value in YAML's short style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _wrapped(text: str) -> str:
    return _paragraph(text, "* ", "  ")


def _paragraph(text: str, first: str = "", later: str = "") -> str:
    """At most WIDTH wide; what stands in backticks stays on one line, so that it can be copied and found."""
    whole = re.sub("`[^`]+`", lambda code: code[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(
        whole, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False, break_long_words=False
    )
    return "\n".join(lines).replace("\0", " ")
