"""Studies written for a script: a commented one to begin with, and one of a command line that leaves each option out.

A script is read for it, and executed only where `probe` asks for that.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ablate.errors import AblateError, StudyError
from ablate.records import Json
from ablate.scripts import variables
from ablate.scripts.probe import probed
from ablate.scripts.script import Option, Script
from ablate.scripts.style import check, read
from ablate.study import yaml_file
from ablate.study.candidates import Part, off, plumbing, shown
from ablate.text import did_you_mean, listed, many, one_of

WRITTEN_BY_QUICK = "# Written by `ablate quick`"
"""How a study begins that quick may replace."""

_LOWER = r"loss|err|error|perplexity|ppl|nll|mse|mae|rmse|wer|cer|fid|bpb|bpc|distance|regret"
_TRAINING = ("train", "fit", "run", "pretrain", "finetune", "main")
"""What subcommands that train are called."""

WIDTH = 118


@dataclass(frozen=True)
class Draft:
    """What a study of a script says. words: the command without options that tricks change; seed: `task.seed`, where it
    is given; better: of the metric, by its name where it is empty; others: subcommands that it is not about."""

    words: tuple[str, ...]
    script: Script
    metric: str
    seeds: int
    seed: str = ""
    better: str = ""
    others: tuple[str, ...] = ()


def key(text: str) -> str:
    """A key, or a word of a list, as YAML takes it."""
    plain = re.fullmatch(r"[A-Za-z_][\w./-]*", text) and text.lower() not in (
        "null", "true", "false", "yes", "no", "on", "off", "y", "n",
    )  # fmt: skip
    return text if plain else escaped(json.dumps(text, ensure_ascii=False))


def escaped(text: str) -> str:
    """A text in which YAML takes every character; what it does not is an escape, as double quotes have it."""
    return _UNSEEN.sub(lambda c: f"\\u{ord(c[0]):04x}", text)


_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
"""What JSON leaves in a text as it is and YAML does not take."""


def value(given: Json) -> str:
    """A value as YAML takes it, in one line."""
    if isinstance(given, str):
        return key(given)
    if isinstance(given, Mapping):
        return f"{{{', '.join(f'{key(name)}: {value(inner)}' for name, inner in given.items())}}}"
    return f"[{', '.join(map(value, given))}]" if isinstance(given, list) else json.dumps(given)


def command(words: Sequence[str], script: Script) -> str:
    """The command as one text, with `{flags}` and the folder that it writes into."""
    escaped = [re.sub(r"(?<!\$)\{(\w+)\}", r"{{\1}}", word) for word in words]
    output = script.output
    if output is not None and output.kind != "env":
        escaped += [f"{output.typed}={{folder}}"] if output.kind in ("equals", "hydra") else [output.typed, "{folder}"]
    elif script.style == "hydra" and output is None:
        escaped.append("hydra.run.dir={folder}")
    text = " ".join(word if re.fullmatch(r"[\w./{}$=:,+@%~-]+", word) else shlex.quote(word) for word in escaped)
    flags = "" if script.style in ("constants", variables.STYLE) else " {flags}"
    return f"{text}{flags}"


def _task(draft: Draft) -> Iterator[str]:
    yield "task:"
    yield f"  command: {_scalar(command(draft.words, draft.script))}"
    if draft.script.style == variables.STYLE:
        yield "  flags: env"
        output = draft.script.output
        if output is not None:
            yield f"  env: {{{key(output.name)}: '{{folder}}'}}"
    if draft.seed:
        yield f"  seed: {_scalar(draft.seed)}"


def _scalar(text: str) -> str:
    """A text in a block: as it is where YAML takes it so."""
    return json.dumps(text) if re.search(r": |[\"'#\[\]]|^[\W]|: ?$", text) and not text.startswith("--") else text


def _metric(draft: Draft) -> str:
    cost = re.search(rf"(?:^|[^a-z])(?:{_LOWER})(?:$|[^a-z])", draft.metric.lower())
    better = draft.better or ("lower" if cost else "higher")
    return f"metric: {{name: {key(draft.metric)}, better: {better}}}"


# ------------------------------------------------------------------------------------------------------ leave one out


def quick(draft: Draft, parts: Sequence[Part]) -> str:
    """The study of a command line: as it was typed, then without each of its tricks."""
    tricks = [part for part in parts if part.trick]
    typed = " ".join(part.words for part in tricks)
    lines = [
        f"{WRITTEN_BY_QUICK}: what does each of {typed} add?",
        "# Run it again, or change it, with `ablate run`.",
        *_task(draft),
        "base:                                  # null: left out",
    ]
    for part in tricks:
        switch = part.given.option is not None and part.given.option.kind == "flag"
        lines.append(f"  {key(part.given.key)}: {'false' if switch else 'null'}  # then it is {part.left_out}")
    lines.append("tricks:")
    for part in tricks:
        name = key(part.given.key)
        lines.append(f"  {name}: {{set: {{{name}: {value(part.given.value)}}}}}")
    lines += [
        "variants:",
        f"  typed: [{', '.join(key(part.given.key) for part in tricks)}]",
        "designs: {name: leave_one_out, of: [typed]}",
        f"seeds: {draft.seeds}",
        _metric(draft),
    ]
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------------------ to begin with


def asked_for(script: Script) -> list[str]:
    """Words for what a script asks for, to be replaced: `DATA`, `--name NAME`."""
    words: list[str] = []
    for option in script.options:
        if option.required and not option.command and option.kind != "env":
            stand_in = re.sub(r"\W", "_", option.name).upper()
            if option.kind in ("equals", "hydra"):
                words.append(f"{option.typed}={stand_in}")
            elif option.kind == "position":
                words.append(stand_in)
            else:
                words += [option.typed, stand_in]
    return words


def of_script(path: Path, study: Path, tricks: str, metric: str, probe: bool = False) -> str:
    """The commented study of a script, to be written to `study`. tricks: `a,b=0.2`. probe: whether it may be executed
    up to its parser where reading is not enough."""
    script = _shell(path) if path.suffix in (".sh", ".bash") else read(path)
    if probe and not script.complete:
        script = probed(script)
    name = os.path.relpath(path.resolve(), study.resolve().parent)
    asked = dict(_asked(tricks))
    subcommand = _subcommand(script, asked)
    within = script.within(subcommand)
    words = ("bash" if path.suffix in (".sh", ".bash") else "python", name, *subcommand, *asked_for(within))
    others = tuple(" ".join(one) for one in script.commands if one != subcommand)
    return commented(Draft(words, within, metric, 3, others=others), asked)


def _shell(path: Path) -> Script:
    """The variables that a shell script reads; a default that is a number is one."""
    check(path)
    script = variables.read(path, [path])
    return replace(script, options=tuple(replace(o, default=_plain(o.default)) for o in script.options))


def _plain(text: Json) -> Json:
    number = re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e-?[0-9]+)?", text) if isinstance(text, str) else None
    return json.loads(number[0]) if number else text  # `007` is a text


def _subcommand(script: Script, tricks: Iterable[str]) -> tuple[str, ...]:
    """The subcommand that a study is about: which has the most of the named tricks, then by its name; () for none."""

    def fits(words: tuple[str, ...]) -> tuple[int, bool]:
        within = script.within(words)
        return sum(within.option(name) is not None for name in tricks), words[-1] in _TRAINING

    return max(script.commands, key=fits, default=())


def _asked(tricks: str) -> Iterator[tuple[str, Json]]:
    """`a,b=0.2` as names and values; a value is read as YAML reads it, None where there is none."""
    for one in filter(None, (part.strip() for part in tricks.split(","))):
        name, equals, text = one.partition("=")
        try:
            node, wrong = yaml_file.read(text, "--tricks", located=False) if equals else (None, [])
        except StudyError as error:
            node, wrong = None, list(error.problems)
        if wrong:
            raise AblateError(f"--tricks: {one!r} is no NAME=VALUE; write it as in a=0.2.")
        yield name.lstrip("-"), yaml_file.unfold(node).value if node is not None else None


def commented(draft: Draft, tricks: Mapping[str, Json]) -> str:
    """A study in which every candidate stands as a comment, and nothing is active but `tricks` (name to value; None: a
    switch, turned the other way)."""
    script = draft.script
    active = {option.name: _on(option, given) for option, given in _named(script, tricks)}
    options = [o for o in script.options if o.kind != "position" and not o.command and not o.name.startswith("no-")]
    known = [o for o in options if o is not script.seed and o is not script.output]
    candidates = [o for o in known if o.name in active or not plumbing(o)]
    asked = asked_for(script)
    of_shell = script.style == variables.STYLE
    style = f", declared in the style of {script.style}" if script.style and not of_shell else ""
    lines = [
        f"# Which options of {_file(script)} earn their place? Tricks are comments until you take their # away.",
        f"# {many(len(script.options), 'variable' if of_shell else 'option')} read{style}.",
        *(f"# Not read: {text}" for text in script.unread),
        *([f"# Other commands of it: {listed(draft.others)}."] if draft.others else []),
        *_task(draft),
        *([f"  # the script asks for {listed(asked)}: write what you mean"] if asked else []),
        *_about_seed(draft),
        *_about_output(script),
        "",
        "# What every variant starts from. A key is an option as it is typed, without its dashes; what is not here is",
        "# left to the script.",
        "base:" if active else "# base:",
        *(f"  {'' if o.name in active else '# '}{key(o.name)}: {_base(o, active.get(o.name))}" for o in candidates),
        "",
        "# What can be switched on. A trick sets keys that stand in the base.",
        "tricks:" if active else "# tricks:",
        *(line for o in candidates for line in _trick(o, active)),
        "",
        f"seeds: {draft.seeds}",
        "# the number that decides, as the script calls it; `ablate try` prints those that a run leaves",
        _metric(draft),
    ]
    others = ", ".join(o.name for o in known if o not in candidates)
    if others:
        text = f"Options that say where and how, or that every run has: {others}."
        lines += ["", *textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")]
    return "\n".join(lines) + "\n"


def _file(script: Script) -> str:
    return script.path.rpartition("/")[2]


def _named(script: Script, tricks: Mapping[str, Json]) -> Iterator[tuple[Option, Json]]:
    for name, given in tricks.items():
        option = script.option(name)
        if option is None:
            names = [o.name for o in script.options]
            has = f"it has {listed(names)}" if names else "none was read"
            near = did_you_mean(name, names)
            raise AblateError(f"--tricks names {name!r}, and {_file(script)} has no such option; {has}.{near}")
        yield option, given


def _on(option: Option, given: Json) -> Json:
    """What a trick sets. AblateError where that has to be said, or is no value of the option."""
    if given is None:
        if not (option.switch or option.type in ("bool", "truthy")):
            allowed = f" ({one_of(map(str, option.choices))})" if option.choices else ""
            raise AblateError(
                f"--tricks names {option.name}, which is no switch: say its value{allowed}, as in "
                f"--tricks {option.name}=VALUE. It is {shown(option)} by default."
            )
        given = not option.default
    message = option.problem(option.name, given)
    if message:
        raise AblateError(f"--tricks: {option.name} {message}")
    return given


def _base(option: Option, on: Json) -> str:
    """The base's value: the script's default, or for an active trick the other state."""
    if isinstance(on, bool):
        return value(not on)
    return value(option.default) if option.known else "null"


def _trick(option: Option, active: Mapping[str, Json]) -> Iterator[str]:
    """What an option is, and the trick that it may be."""
    if option.switch:
        kind = f"switch, {shown(option)} by default"
    else:
        kinds = {"int": "whole number", "float": "number", "text": "text", "bool": "true or false", "truthy": "text"}
        what = f"one of {', '.join(map(str, option.choices))}" if option.choices else kinds.get(option.type, "value")
        kind = f"{what}, {shown(option)} by default{' (off)' if option.known and off(option.default) else ''}"
    about = f"{option.help.rstrip('.')}: {kind}" if option.help else kind
    yield from textwrap.wrap(about, WIDTH - 4, initial_indent="  # ", subsequent_indent="  # ")
    name = key(option.name)
    off_or_on = value(not option.default) if option.switch else "..."
    sets = value(active[option.name]) if option.name in active else off_or_on
    yield f"  {'' if option.name in active else '# '}{name}: {{set: {{{name}: {sets}}}}}"


def _about_seed(draft: Draft) -> list[str]:
    option = draft.script.seed
    if draft.seed:
        return []
    if option is None:
        return [
            "  # no option for a seed was read; `inject` changes the seed that the script fixes, `none` plans one run",
            "  seed: inject",
        ]
    return [f"  # seed: {option.typed}   # the script's own option, {shown(option)} by default; each run gets its seed"]


def _about_output(script: Script) -> list[str]:
    option = script.output
    if option is None:
        return ["  # hydra.run.dir is a folder of each run's own"] if script.style == "hydra" else []
    return [f"  # {option.typed} gets a folder of each run's own: {option.help or 'where it writes'}"]
