"""Which options of a script may be tricks, and which of a command line are: what leaving each out would mean. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ablate.errors import AblateError
from ablate.records import Json
from ablate.scripts.script import Option, Script
from ablate.text import did_you_mean, listed, many, one_of

_OFF = (None, False, 0, "", "none", "None", "off", "no")
"""Defaults that mean that an option does nothing; an empty list, too."""

_PLACES = {
    "dir", "path", "file", "folder", "root", "log", "logs", "logging", "logger", "print", "verbose", "quiet", "wandb",
    "tensorboard", "workers", "worker", "port", "host", "rank", "resume", "checkpoint", "checkpoints", "ckpt", "save",
    "project", "experiment", "entity", "interval", "freq", "frequency", "every", "download", "debug", "profile",
    "profiler", "cache", "url", "pin", "track", "video", "progress", "output", "csv", "json",
}  # fmt: skip
"""Parts of names of options that say where and how, not what is learnt."""

_RUN = {
    "data", "dataset", "task", "env_id", "num_classes", "device", "gpu", "gpus", "cuda", "no_cuda", "name", "run_name",
    "tag", "config", "eval", "evaluate", "test", "train", "version", "threads", "world_size", "v", "q",
}  # fmt: skip
"""Names of options that say what is run."""

_SETTINGS = {
    "model", "arch", "architecture", "network", "backbone", "lr", "learning_rate", "epochs", "num_epochs", "max_epochs",
    "steps", "max_steps", "max_iters", "iterations", "total_timesteps", "batch_size", "optimizer", "opt",
}  # fmt: skip
"""Names of options of which every run has some value: left out is not off."""


def off(value: Json) -> bool:
    """Whether a default means that the option does nothing."""
    return value == [] or any(value is none or (value == none and type(value) is type(none)) for none in (*_OFF, 0.0))


def plumbing(option: Option) -> str:
    """Why an option is no candidate for a trick; empty where it is one."""
    bare = _bare(option)
    if option.kind == "position":
        return "an argument without a name"
    if option.required:
        return "the script asks for it"
    if bare.endswith("_target_"):
        return "it names a class, which takes other options"
    if option.kind == "globals" and option.computed and not option.name.isupper():
        return "the script computes it"
    if bare in _RUN or _PLACES & set(re.split(r"[._]", bare)):
        return "it says where or how, not what is learnt"
    return ""


def _bare(option: Option) -> str:
    return option.name.replace("-", "_").lower()


def shown(option: Option) -> str:
    """An option's default in words: `0.0`, `off`, `os.cpu_count()`."""
    if option.computed:
        return option.computed
    if option.switch:
        return "on" if option.default else "off"
    return "nothing" if option.default is None else str(option.default)


# --------------------------------------------------------------------------------------------------- a typed command


@dataclass(frozen=True)
class Given:
    """An option as a command line has it, with its words. option: None for one that was not read."""

    words: tuple[str, ...]
    key: str = ""
    value: Json = None
    option: Option | None = None


@dataclass(frozen=True)
class Part:
    """A part of a command line: a trick, or what stays and why. left_out: what a run without it has."""

    given: Given
    trick: bool
    why: str = ""
    left_out: str = ""

    @property
    def words(self) -> str:
        return " ".join(self.given.words)


def split(words: Sequence[str], script: Script) -> list[Given]:
    """A script's arguments, one option after the other."""
    found: list[Given] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if script.style == "hydra" and "=" in word and not word.startswith("-"):
            key, _, text = word.partition("=")
            option = script.option(key)
            found.append(Given((word,), key, _value(text, option), option))
        elif not word.startswith("-") or re.fullmatch(r"-[\d.].*|-", word):
            found.append(Given((word,)))
        else:
            found.append(_named(word, rest, script))
    return found


def _named(word: str, rest: list[str], script: Script) -> Given:
    """An option that begins with `word`; what belongs to it is taken from `rest`."""
    option, typed, text = _recognised(word, script)
    key = typed.lstrip("-")
    if option is None:
        values = [] if text is not None else _taken(rest, len(rest))
        return Given((word, *values), key)
    if typed == option.negation:
        return Given((word,), option.name, False, option)
    if option.switch or option.kind == "count":
        often = len(word) - 1 if not word.startswith("--") else 1
        return Given((word,), key, True if option.switch else often, option)
    if text is not None:
        return Given((word,), key, _value(text, option), option)
    if isinstance(option.nargs, str):
        values = _taken(rest, 1 if option.nargs == "?" else len(rest))
    else:
        values = _taken(rest, option.nargs or 1, dashed=True)
    listed = option.nargs not in (None, "?") or option.kind == "repeat"
    items = [_value(value, option) for value in values]
    value = items if listed else items[0] if items else option.const
    return Given((word, *values), key, value, option)


def _recognised(word: str, script: Script) -> tuple[Option | None, str, str | None]:
    """The option that a word types, how, and the value that stands in the same word: `--lr=1`, `-b64`."""

    def of(typed: str) -> Option | None:
        return next((o for o in script.options if typed in (*o.names, o.negation) and o.kind != "position"), None)

    typed, equals, text = word.partition("=")
    value = text if equals else None
    attached = re.fullmatch(r"(-[A-Za-z])=?(.+)", word)
    short = of(attached[1]) if attached and of(typed) is None else None
    if attached and short is not None and short.kind == "count" and set(attached[2]) == {word[1]}:
        return short, attached[1], None  # `-vv`
    if attached and short is not None and not short.switch and short.kind != "count":
        return short, attached[1], attached[2]
    if of(typed) is None and script.style == "argparse" and typed.startswith("--"):
        begun = {o.typed: o for o in script.options for name in o.names if name.startswith(typed)}
        if len(begun) == 1:  # an abbreviation
            typed = next(iter(begun))
    return of(typed), typed, value


def _taken(rest: list[str], most: int, dashed: bool = False) -> list[str]:
    """The next words that are values. dashed: also such as look like an option."""
    taken: list[str] = []
    while rest and len(taken) < most and (dashed or not re.match(r"-(?![\d.])", rest[0])):
        taken.append(rest.pop(0))
    return taken


def _value(text: str, option: Option | None) -> Json:
    """A word as the value that it is: a number where the option takes one."""
    kind = option.type if option is not None else ""
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text) if not re.fullmatch(r"[-+]?\d+", text) else int(text)
    except ValueError:
        return text
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return text


def parts(given: Sequence[Given], script: Script, tricks: Sequence[str], keep: Sequence[str]) -> list[Part]:
    """What is a trick and what stays. tricks, keep: named by the caller. AblateError for names that were not given."""
    wrong = list(script.problems({one.key: one.value for one in given if one.key}))
    wrong += [(one.key, f"is given no value; {one.key} takes one.") for one in given if _bare_of_value(one)]
    if wrong:
        typed = {one.key: one.words[0].partition("=")[0] for one in given}
        raise AblateError("\n".join(f"{typed[key]} {says}" if says.startswith("is ") else says for key, says in wrong))
    names = {name: one for one in given for name in (one.key, *(one.words[:1] if one.key else ()))}
    for asked, option in ((tricks, "--trick"), (keep, "--keep")):
        for name in asked:
            if name not in names:
                has = one_of(dict.fromkeys(one.key for one in given if one.key)) or "no option"
                raise AblateError(
                    f"{option} is {name!r}, which the command does not have; it has {has}.{did_you_mean(name, names)}"
                )
    forced = {names[name].key for name in tricks}
    kept = {names[name].key for name in keep}
    return [_part(one, script, forced, kept) for one in given]


def _bare_of_value(one: Given) -> bool:
    takes = one.option is not None and not one.option.switch and one.option.nargs not in ("?", "*")
    return takes and one.value in (None, []) and len(one.words) == 1 and "=" not in one.words[0]


def _part(one: Given, script: Script, forced: set[str], kept: set[str]) -> Part:
    option = one.option
    if not one.key:
        return Part(one, False, "the command" if one.words[0] in script.called else "an argument without a name")
    left_out = shown(option) if option is not None else "what the script then does, which was not read"
    if one.key in kept:
        return Part(one, False, "kept, as asked", left_out)
    if option is not None and option is script.seed:
        return Part(one, False, "the seed: every run gets its own")
    if option is not None and option is script.output:
        return Part(one, False, "where it writes: every run gets a folder of its own")
    if option is not None and option.known and option.default == one.value:
        return Part(one, False, f"given at its default ({left_out}), so leaving it out changes nothing", left_out)
    if one.key in forced:
        return Part(one, True, "a trick, as asked", left_out)
    if option is None:
        return Part(one, False, f"not read from {script.path.rpartition('/')[2]}; --trick {one.key} makes it one")
    why = plumbing(option) or ("a setting that every run has" if _bare(option) in _SETTINGS else "")
    if why:
        return Part(one, False, f"{why}; --trick {one.key} makes it one", left_out)
    if option.computed or not off(option.default):
        why = f"left out it is {left_out}, another setting and not off; --trick {one.key} makes it one"
        return Part(one, False, why, left_out)
    return Part(one, True, "", left_out)


def parts_in_words(parts: Sequence[Part], seeds: int) -> str:
    """What is a trick, what stays and why, and how many runs that makes."""
    tricks = [part for part in parts if part.trick]
    width = max((len(part.words) for part in parts), default=0)
    lines = [f"  {part.words:<{width}}  trick: left out it is {part.left_out}" for part in tricks]
    lines += [f"  {part.words:<{width}}  stays: {part.why}" for part in parts if not part.trick]
    variants = len(tricks) + 1
    names = listed(f"without {part.words}" for part in tricks)
    runs = f"{many(variants, 'variant')} x {many(seeds, 'seed')}: as typed, {names}."
    return "\n".join([*lines, runs])
