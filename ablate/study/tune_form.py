"""The form of `tune:`: what is searched, how, and how long. Which keys there are is search.py's matter."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ablate.study.form import LARGEST_SEED, Form, Names, to_seconds


class RangeForm(Form):
    what = "a range"
    example = "{low: 0.01, high: 1.0, log: true} or {choices: [32, 64]}"

    low: Any = Field(default=None, description="The lowest value.")
    high: Any = Field(default=None, description="The highest value.")
    log: bool = Field(default=False, description="Search on a logarithmic scale.")
    step: Any = Field(default=None, description="Only low, low + step, ...")
    choices: list[Any] | None = Field(default=None, description="Search among these, in place of low and high.")
    when: Names = Field(default=[], description="Tricks that must be on (`name` or `name=level`).")

    @model_validator(mode="before")
    @classmethod
    def _checked(cls, given: Any) -> Any:
        """All at once and at the range's own place: a bound alone says nothing wrong."""
        given = {"choices": given} if isinstance(given, list) else given
        if isinstance(given, dict):
            wrong = _wrong_choices(given) if "choices" in given else _wrong_bounds(given)
            if wrong:
                raise ValueError(wrong)
        return given


class TuneForm(Form):
    what = "tune"
    example = "{variant: best, trials: 40, space: {optimizer.lr: {low: 0.01, high: 1.0, log: true}}}"

    variant: str = Field(default="best", description="The variant to tune; best: by the table's own rule.")
    variants: list[str] | None = Field(default=None, description="Several variants; each gets the same budget.")
    trials: Annotated[int, Field(ge=1, le=100_000)] = Field(default=40, description="Settings to try.")
    space: dict[str, RangeForm] = Field(
        description="Dotted keys of the configuration (tricks.NAME.PARAMETER for a trick's) and their ranges."
    )
    sampler: Literal["tpe", "random", "grid", "cmaes", "gp"] = Field(
        default="tpe", description="How settings are chosen."
    )
    sampler_seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = Field(
        default=0, description="Where the sampler's randomness starts."
    )
    pruner: Literal["none", "median", "hyperband"] = Field(default="none", description="When a run is paused early.")
    seeds: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="Runs per setting, from seed 1000; their mean is the setting's value."
    )
    fresh_seeds: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Seeds, from 2000, on which winner and untuned variant are trained anew."
    )
    budget: Annotated[float | None, BeforeValidator(to_seconds)] = Field(
        default=None, description="Time after which no further setting is tried: 90s, 15m or 2h."
    )

    @model_validator(mode="after")
    def _one_way(self) -> TuneForm:
        if self.variants is not None and "variant" in self.model_fields_set:
            raise ValueError("it has either variant or variants")
        if self.variants is not None and len(set(self.variants)) < max(len(self.variants), 1):
            raise ValueError("variants must list one variant or several, each once")
        return self


def _wrong_choices(given: Mapping[str, Any]) -> str:
    listed = given["choices"]
    if given.keys() & {"low", "high", "log", "step"}:
        return "it has either choices or low and high"
    if not isinstance(listed, list) or len(listed) < 2:
        return "choices must list at least two values"
    twice = len({json.dumps(item, sort_keys=True) for item in listed}) < len(listed)
    return "choices must list a value once" if twice else ""


def _wrong_bounds(given: Mapping[str, Any]) -> str:
    numbers = {key: given[key] for key in ("low", "high", "step") if key in given}
    if not {"low", "high"} <= numbers.keys():
        return "it must have low and high, or choices"
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"{key} must be a number"
    if given["low"] >= given["high"]:
        return "low must be below high"
    if given.get("log") is True and given["low"] <= 0:
        return "low must be above 0 where log is true"
    if given.get("log") is True and "step" in given:
        return "it has either log or step"
    return "step must be above 0" if given.get("step", 1) <= 0 else ""
