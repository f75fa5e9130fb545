"""How a run's seed reaches a command: by an option, a key, a variable, a constant, a placeholder, or from outside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ablate.errors import ConfigError
from ablate.programs.program import Program
from ablate.programs.rendering import Flags, dashed, named
from ablate.programs.template import placeholders
from ablate.text import did_you_mean

REMEDIES = (
    "name the option or constant (`seed: --seed`, `seed: SEED`), write {seed} into the command, or say `seed: inject` "
    "for a script that fixes its own, `seed: none` where one run of a variant is meant"
)


@dataclass(frozen=True)
class Binding:
    """how, and the name of an option, key, variable or constant. equals: whether an option is written `--seed=1`."""

    how: Literal["option", "key", "constant", "placeholder", "inject", "none"]
    name: str = ""

    equals: bool = False

    def words(self, seed: int) -> list[str]:
        """The arguments of an option."""
        if self.how != "option":
            return []
        return [f"{self.name}={seed}"] if self.equals else named(self.name, seed)


def bound(given: str, style: Flags, program: Program, texts: Iterable[str], own: Callable[[], str]) -> Binding:
    """How the seed gets in. own: asks what the script's own option is called, empty where it has none.

    ConfigError (key `task.seed`) where there is no way.
    """
    if given == "none":
        return Binding("none")
    if given == "inject":
        return Binding("inject")
    if given:
        return _named(given, style, program)
    if any("seed" in placeholders(text) for text in texts):
        return Binding("placeholder")
    name = own()
    if not name:
        raise ConfigError(
            [("task.seed", f"is missing, and no way is seen for a seed to reach the script; {REMEDIES}.")]
        )
    return _named(name, style, program)


def _named(name: str, style: Flags, program: Program) -> Binding:
    if name.startswith("-"):
        return Binding("option", name, style == "equals")
    if style == "globals" or (style not in ("env", "hydra", "file") and name in program.constants):
        if name not in program.constants:
            near = did_you_mean(name, program.constants)
            message = f"is {name!r}, and the script assigns no such name at its top level.{near}"
            raise ConfigError([("task.seed", message)])
        return Binding("constant", name)
    if style in ("env", "hydra", "file"):
        return Binding("key", name)
    if not re.fullmatch(r"[\w.-]+", name):
        raise ConfigError([("task.seed", f"is {name!r}; {REMEDIES}.")])
    return Binding("option", f"--{name}" if style == "equals" else dashed(name), style == "equals")
