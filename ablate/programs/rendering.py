"""How a flat configuration becomes what a program reads: arguments, variables, constants or a file. Pure.

A style says how (`flags:`). Numbers keep their type, so that 0.0 is never passed as 0; null leaves an option out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ablate.errors import ConfigError
from ablate.records import Json
from ablate.scripts.script import Option, Script

Flags = Literal["auto", "argparse", "no", "value", "equals", "hydra", "env", "globals", "file", "none"]
ON_THE_LINE: tuple[Flags, ...] = ("auto", "argparse", "no", "value", "equals", "hydra")
"""Styles whose options are arguments, so that a command must say where they go."""

FileFormat = Literal["yaml", "json", "toml"]


@dataclass(frozen=True)
class Rendered:
    """arguments: what `{flags}` stands for. environment, constants: of the styles `env` and `globals`. file: the text
    of the configuration file; empty where there is none."""

    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Json] = field(default_factory=dict)
    file: str = ""


def rendered(
    style: Flags, options: Mapping[str, Json], file: FileFormat = "yaml", script: Script | None = None
) -> Rendered:
    """What a program is given. ConfigError (an option's name) for a value that the style cannot write.

    script: as it was read, for the style `auto`, which writes each of its options by its own kind.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if style == "auto":
        return _by_kind(given, script or Script(""))
    if style == "env":
        return Rendered(environment={key: text(value, lower=True) for key, value in _plain(given).items()})
    if style == "globals":
        return Rendered(constants=given)
    if style == "file":
        return Rendered(file=_FILES[file](given))
    if style == "none":
        return Rendered()
    words: list[str] = []
    for key, value in given.items():
        _check(key, value, nested=style in ("equals", "hydra"))
        words += _STYLES[style](key, value)
    return Rendered(tuple(words))


def _by_kind(given: Mapping[str, Json], script: Script) -> Rendered:
    """Each option by its own kind; one that was not read as Hydra or argparse would write it."""
    places: dict[int, list[str]] = {}
    words: list[str] = []
    constants: dict[str, Json] = {}
    for key, value in given.items():
        option = script.option(key)
        kind = option.kind if option is not None else "hydra" if script.style == "hydra" else ""
        if kind == "globals":
            constants[key] = value
            continue
        _check(key, value, nested=kind in ("equals", "hydra"))
        if kind == "hydra":
            words += hydra(key, value)
        elif option is None:
            words += _argparse(key, value)
        elif kind == "position":
            places[option.place] = [text(item) for item in (value if isinstance(value, list) else [value])]
        else:
            words += _option(option, option.called(key), value)
    return Rendered((*(word for place in sorted(places) for word in places[place]), *words), constants=constants)


def _option(option: Option, typed: str, value: Json) -> list[str]:
    """One option as the kinds of script.py say."""
    if option.kind == "count" and isinstance(value, int):
        return [typed] * int(value)
    if option.switch and isinstance(value, bool):
        off = [option.negation or negated(typed.lstrip("-"))] if option.kind == "no" else []
        return [typed] if value else off
    if option.kind == "repeat":
        items = value if isinstance(value, list) else [value]
        return [word for item in items for word in named(typed, item)]
    return [f"{typed}={text(value)}"] if option.kind == "equals" else named(typed, value)


def text(value: Json, *, lower: bool = False) -> str:
    """A value as one word: `True`, or `true` where lower is set; a list with commas."""
    if isinstance(value, bool):
        return str(value).lower() if lower else str(value)
    if isinstance(value, list):
        return ",".join(text(item, lower=lower) for item in value)
    return value if isinstance(value, str) else repr(value)


def _plain(options: Mapping[str, Json]) -> Mapping[str, Json]:
    for key, value in options.items():
        _check(key, value, nested=False)
    return options


def _check(key: str, value: Json, *, nested: bool) -> None:
    inside = value if isinstance(value, list) else [value]
    if isinstance(value, dict) or any(isinstance(item, dict | None) for item in inside):
        raise ConfigError([(key, f"is {json.dumps(value)}; an option takes a number, a text, true, false or a list.")])
    if not nested and any(isinstance(item, list) for item in inside):
        raise ConfigError([(key, f"is {json.dumps(value)}; a list of lists cannot be written as arguments.")])


# ------------------------------------------------------------------------------------------------------------ arguments


def dashed(key: str) -> str:
    """An option as it is typed: `--key`, and `-k` for one letter."""
    return f"-{key}" if len(key) == 1 else f"--{key}"


def negated(key: str) -> str:
    """What switches an option off: `--no-key`, and `--optim.no-key` for one inside another."""
    above, dot, last = key.rpartition(".")
    return f"--{above}{dot}no-{last}"


def named(option: str, value: Json) -> list[str]:
    """`--k v`, `--k a b`; `--k=-v` and `-k-v` where the value looks like an option."""
    if isinstance(value, list):
        return [option, *map(text, value)]
    word = text(value)
    if not (isinstance(value, str) and word.startswith("-")):
        return [option, word]
    return [f"{option}={word}" if option.startswith("--") else f"{option}{word}"]


def _argparse(key: str, value: Json) -> list[str]:
    if isinstance(value, bool):
        return [dashed(key)] if value else []
    return named(dashed(key), value)


def _no(key: str, value: Json) -> list[str]:
    if isinstance(value, bool):
        return [dashed(key) if value else negated(key)]
    return named(dashed(key), value)


def _value(key: str, value: Json) -> list[str]:
    return named(dashed(key), value)


def _equals(key: str, value: Json) -> list[str]:
    return [f"--{key}={_python(value) if isinstance(value, list) else text(value)}"]


def _python(value: Json) -> str:
    """A list as Python and YAML read it alike: `[a, b]`, with quotes where a text is no plain word."""
    if isinstance(value, list):
        return f"[{', '.join(map(_python, value))}]"
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Za-z_][\w./-]*", value) else json.dumps(value, ensure_ascii=False)
    return text(value)


def hydra(key: str, value: Json) -> list[str]:
    """`k=v` in Hydra's grammar of overrides; `~k` takes no value."""
    return [key] if key.startswith("~") and value is True else [f"{key}={_hydra(value)}"]


def _hydra(value: Json) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_hydra, value))}]"
    if not isinstance(value, str):
        return text(value, lower=True)
    plain = re.fullmatch(r"/?[A-Za-z_][\w./+-]*", value) and value.lower() not in (
        "true",
        "false",
        "null",
        "nan",
        "inf",
    )
    if plain or re.fullmatch(r"\$\{[^{}']*\}", value):
        return value
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + (rf"\{m[2]}" if m[2] else ""), value)
    return f"'{escaped}'"


_STYLES: Mapping[str, Callable[[str, Json], list[str]]] = {
    "argparse": _argparse, "no": _no, "value": _value, "equals": _equals, "hydra": hydra,
}  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- a file


def _nested(options: Mapping[str, Json]) -> dict[str, Json]:
    nested: dict[str, Json] = {}
    for key, value in sorted(options.items(), key=lambda item: item[0].count(".")):
        *above, last = key.split(".")
        inner = nested
        for part in above:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigError([(key, f"cannot be written into a file, for {part} is a value there, no mapping.")])
        inner[last] = value
    return nested


def _yaml(options: Mapping[str, Json]) -> str:
    """One key a line; values as JSON, with a dot in every float, or YAML 1.1 reads 1e-05 as text."""
    return "".join(f"{json.dumps(key)}: {_json(value)}\n" for key, value in _nested(options).items())


def _json(value: Json) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"
    if isinstance(value, float) and math.isfinite(value):
        number, e, exponent = repr(value).partition("e")
        return f"{number if '.' in number else f'{number}.0'}{e}{exponent}"
    return json.dumps(value)


def _toml(options: Mapping[str, Json]) -> str:
    """One dotted key a line."""
    lines = []
    for key, value in options.items():
        name = ".".join(json.dumps(part) for part in key.split("."))
        lines.append(f"{name} = {_json(value)}\n")
    _nested(options)
    return "".join(lines)


_FILES: Mapping[str, Callable[[Mapping[str, Json]], str]] = {
    "yaml": _yaml, "toml": _toml, "json": lambda options: json.dumps(_nested(options), indent=1) + "\n",
}  # fmt: skip
