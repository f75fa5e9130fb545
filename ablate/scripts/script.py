"""A training script as its options tell it: what it takes, how that is typed, and what a configuration gets wrong.

Records and their checks; how they are read from a script, without executing it, is `style.py` and its shelf.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ablate.records import Json
from ablate.text import did_you_mean, listed, one_of

Kind = Literal["flag", "no", "value", "equals", "hydra", "globals", "env", "count", "repeat", "position"]
"""How a value of an option is written on the command line, `k` being the option as it is typed:

    flag      true: `--k`, false: left out
    no        true: `--k`, false: `--no-k` (Option.negation); where there is no boolean, as `value`
    value     `--k v`, a list `--k a b`, a boolean `--k True`
    equals    `--k=v`, a list `--k=a,b` (absl), a boolean `--k=True`
    hydra     `k=v`
    globals   no argument: the constant `k` at the script's top level
    env       no argument: the variable `k` of the environment
    count     `--k` as often as the number says
    repeat    a list: `--k a --k b`
    position  an argument without a name; its place among those is Option.place
"""

Type = Literal["int", "float", "bool", "text", "truthy", ""]
"""What a value is turned into; empty where that could not be read, and then nothing is checked. truthy: Python's `bool`
of a text, true of all but the empty one."""

SEEDS = (
    "seed", "random_seed", "manual_seed", "rng_seed", "global_seed", "seed_everything", "torch_seed",
    "random_state",
)  # fmt: skip
OUTPUTS = (
    "output_dir", "out_dir", "outdir", "output_folder", "output", "save_dir", "save_folder", "result_dir",
    "results_dir", "results_folder", "work_dir", "run_dir", "exp_dir", "log_dir", "logdir", "log_folder",
    "checkpoint_dir", "ckpt_dir", "save_path", "output_path", "hydra.run.dir", "out", "out_path", "save", "outputs",
)  # fmt: skip
"""What scripts call their seed and the folder that they write into, the commonest first; a dash is an underscore."""


@dataclass(frozen=True)
class Option:
    """One option of a script.

    name: as it is typed, without its leading dashes (`model-ema`, `optim.lr`), which is how a study calls it; typed:
    with them. aliases: other ways to type it, with dashes. negation: what switches it off, where something does.
    default: what a run without the option gets, lists for tuples; of a flag, whether that is as if it were given. Where
    `computed` is not empty it is that expression's value, which only a run can know, and `default` is null. choices:
    empty where any value is taken. nargs: how many values it takes (None: one; a number, `?`, `*`, `+`). const: what
    its name alone stands for, where that is a value. command: the subcommand that takes it; empty for the script's own.
    place: of a `position`, from 0. line: in `file`.
    """

    name: str
    typed: str
    kind: Kind
    type: Type = ""
    default: Json = None
    computed: str = ""
    choices: tuple[Json, ...] = ()
    nargs: int | str | None = None
    const: Json = None
    required: bool = False
    help: str = ""
    negation: str = ""
    aliases: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    place: int = 0
    file: str = ""
    line: int = 0

    @property
    def known(self) -> bool:
        """Whether the default was read."""
        return not self.computed

    @property
    def switch(self) -> bool:
        """Whether it takes true and false, and nothing else."""
        return self.kind == "flag" or (self.kind == "no" and self.type == "bool")

    def called(self, key: str) -> str:
        """How it is typed where a study calls it `key`: one of its names, with dashes."""
        return next((name for name in self.names if name.lstrip("-") == key), self.typed)

    @property
    def names(self) -> tuple[str, ...]:
        """Every way to type it, what a study calls it first."""
        return (self.typed, *self.aliases)

    def problem(self, key: str, value: Json) -> str:
        """What is wrong with a value; empty where nothing is, or where that cannot be known. null leaves it out."""
        if value is None or (self.kind == "count" and isinstance(value, int)):
            return ""
        if self.switch and not isinstance(value, bool):
            return f"is {_shown(value)}; {key} is a switch: true or false."
        if self.kind == "flag":
            stays = value is False and self.default is True
            return f"is false, but {key} is on by default and nothing of the script's turns it off." if stays else ""
        if self.type == "truthy" and value is False:
            return f"is false, but the script takes any text for true there (type=bool); null leaves {key} out."
        several = self.kind == "repeat" or self.nargs in ("*", "+") or (isinstance(self.nargs, int) and self.nargs > 1)
        if isinstance(value, list) and not several and self.kind in ("value", "no", "flag", "position"):
            return f"is {_shown(value)}; {key} takes one value, not a list." if self.type else ""
        if isinstance(self.nargs, int) and self.nargs > 1 and (count := _count(value)) != self.nargs:
            return f"is {_shown(value)}; {key} takes a list of {self.nargs} values, not {count}."
        return next((wrong for item in _items(value) if (wrong := self._wrong(key, item))), "")

    def _wrong(self, key: str, value: Json) -> str:
        if self.choices and _text(value) not in {_text(choice) for choice in self.choices}:
            near = did_you_mean(_text(value), map(_text, self.choices))
            return f"is {_shown(value)}; it must be {one_of(map(_text, self.choices))}.{near}"
        if isinstance(value, bool):
            return (
                "" if self.type in ("bool", "truthy", "") else f"is {_shown(value)}; {key} takes {_KINDS[self.type]}."
            )
        number = value if isinstance(value, int | float) else _number(value)
        if self.type == "int" and not (isinstance(number, int) or (number is None and "${" in _text(value))):
            return f"is {_shown(value)}; {key} takes a whole number."
        if self.type == "float" and number is None and "${" not in _text(value):
            return f"is {_shown(value)}; {key} takes a number."
        if self.type == "bool" and not isinstance(value, int) and _text(value).lower() not in _BOOLEANS:
            return f"is {_shown(value)}; {key} takes true or false."
        return ""


@dataclass(frozen=True)
class Script:
    """What was read of a script. style: the shelf's name of how it declares options; empty where it declares none.

    complete: whether every option was read; where not, `unread` says what was not, and nothing is an unknown option.
    files: what was read, the script first. named: names that it may read in a way that cannot be seen: they pass.
    """

    path: str
    style: str = ""
    options: tuple[Option, ...] = ()
    unread: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    called: tuple[str, ...] = ()
    """The subcommand that its options are of (`within`)."""
    named: frozenset[str] = frozenset()

    @property
    def complete(self) -> bool:
        return not self.unread and bool(self.style)

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The subcommands that take options, in the order in which they are declared."""
        return tuple(dict.fromkeys(option.command for option in self.options if option.command))

    def within(self, words: Sequence[str]) -> Script:
        """The script as a command line calls it: with the options of the subcommand that its words name. Where they
        name none, with all."""
        path: tuple[str, ...] = ()
        for word in words:
            longer = (*path, word)
            if any(command[: len(longer)] == longer for command in self.commands):
                path = longer
        if not path:
            return self
        taken = [option for option in self.options if option.command == path[: len(option.command)]]
        return replace(self, options=tuple(replace(option, command=()) for option in taken), called=path)

    def option(self, key: str) -> Option | None:
        """The option that a study calls `key`, by any of its names."""
        bare = key.lstrip("+~-") if self.style == "hydra" else key
        return next((o for o in self.options if bare in {name.lstrip("-") for name in o.names}), None)

    @property
    def seed(self) -> Option | None:
        """The script's own option for a seed."""
        return self._called(SEEDS)

    @property
    def output(self) -> Option | None:
        """The option for the folder that it writes into."""
        return self._called(OUTPUTS)

    def _called(self, names: Sequence[str]) -> Option | None:
        """The first of `names` that exactly one option bears; `optim.seed` bears `seed` where nothing is `seed`."""
        valued = [option for option in self.options if not option.switch and option.kind != "position"]
        for tail in (False, True):
            for name in names:
                bearers = [option for option in valued if any(_bare(n, tail) == name for n in option.names)]
                if len(bearers) == 1:
                    return bearers[0]
        return None

    def problems(self, values: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
        """(key, what is wrong) of a flat configuration. Where the script was not read whole, unknown keys pass."""
        for key, value in values.items():
            option = self.option(key)
            if option is not None and option.command:
                command = " ".join(option.command)
                message = f"is an option of the command {command!r} of {Path(self.path).name}, which is not called."
            elif option is not None:
                message = option.problem(key, value)
            else:
                message = self._unknown(key)
            if message:
                yield key, message

    def _unknown(self, key: str) -> str:
        if (
            not self.complete
            or key in self.named
            or (self.style == "hydra" and (key.startswith(("+", "~")) or _is_hydras(key)))
        ):
            return ""
        names = [option.name for option in self.options]
        near = did_you_mean(key, [name.lstrip("-") for option in self.options for name in option.names])
        if self.style == "environment":
            reads = f"{Path(self.path).name} reads no variable {key!r}; it reads {listed(names)}.{near}"
            return reads if near else f"{reads} Where a library reads it, say `known_only: false`."
        what = "constant" if self.style == "constants" else "option"
        shown = f"it has {listed(names)}" if names else "it has none"
        return f"{Path(self.path).name} has no {what} {key!r}; {shown}.{near}"


_KINDS: dict[str, str] = {"int": "a whole number", "float": "a number", "text": "a text", "bool": "true or false"}
_BOOLEANS = ("true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "0", "1")


def _is_hydras(key: str) -> bool:
    return key.split(".")[0].split("/")[0] == "hydra"


def _bare(name: str, tail: bool) -> str:
    name = name.lstrip("-").replace("-", "_").lower()
    return name.rsplit(".", 1)[-1] if tail and not name.startswith("hydra.") else name


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _count(value: Json) -> int:
    return len(_items(value))


def _shown(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _text(value: Json) -> str:
    return str(value)


def _number(value: Json) -> int | float | None:
    """The number that a text is for `int` and `float`; None where it is none."""
    text = _text(value).strip()
    if re.fullmatch(r"[-+]?\d+(_\d+)*", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return None
