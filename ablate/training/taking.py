"""Whether a network can take the tricks that change it, and a private one tells as many classes as there are: asked by
the plan, without training and mostly without data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import torch

from ablate.errors import ConfigError
from ablate.training.model import misshaped
from ablate.training.recipe import Recipe
from ablate.training.removal import facts_of
from ablate.training.trick import Facts, Trick

_ANY = Facts((3, 32, 32), 10, 1, 1, torch.zeros(1, 3, 1, 1), torch.zeros(1, 3, 1, 1), 1, torch.device("cpu"))
"""What is asked about first: a network is mostly made of the same layers for whatever images."""

_known: dict[tuple[str, str], bool] = {}
"""Of this process's plan, by network and trick: whether the trick may be refused there; a plan asks for every cell."""


_shapes: dict[str, str] = {}
"""What is wrong with the outputs of each private network of this process's plan."""


def outputs(recipe: Recipe, model: str) -> str:
    """What is wrong with the shape of a network's outputs; empty where nothing is, or where its code fails, which is
    the trial's matter. model: what names the network."""
    if model not in _shapes:
        facts, _shapes[model] = facts_of(recipe), ""
        with torch.random.fork_rng(devices=[]), suppress(Exception), torch.no_grad():
            made = recipe.model.build(facts.image, facts.classes).eval()(torch.zeros(2, *facts.image))
            if made.shape != (wanted := (2, facts.classes)):
                _shapes[model] = misshaped(type(recipe.model).__name__, made.shape, wanted)
    return _shapes[model]


def refusal(recipe: Recipe, model: str, tricks: Mapping[str, Trick]) -> tuple[str, str] | None:
    """The trick that the network cannot take, and why; None where it can take all of them.

    recipe: as the tricks left it. model: what names its network; tricks: what names each, in the order in which they
    act. A refusal is of the data's own images, and after the tricks before: one may make what another needs. A trick
    that is taken by itself is not asked about beside others, which two steps of each variant show.
    """
    suspects = [key for key, trick in tricks.items() if _suspect(recipe, (model, key), trick)]
    if not suspects:
        return None
    found = _first(recipe, list(tricks.values()), facts_of(recipe))
    return None if found is None else (list(tricks)[found[0]], found[1])


def _suspect(recipe: Recipe, name: tuple[str, str], trick: Trick) -> bool:
    if name not in _known:
        _known[name] = _first(recipe, [trick], _ANY) is not None
    return _known[name]


def _first(recipe: Recipe, tricks: Sequence[Trick], facts: Facts) -> tuple[int, str] | None:
    """The place of the first trick that refuses the network, and what it says. What else may be wrong with a network
    or a trick's code is the trial's matter, which shows where."""
    at = 0
    with torch.random.fork_rng(devices=[]):
        try:
            model = recipe.model.build(facts.image, facts.classes)
        except Exception:  # whatever a network's code does
            return None
        try:
            for at, trick in enumerate(tricks):  # noqa: B007  # which one it was
                model = trick.model(model, facts)
        except ConfigError as error:
            return at, error.problems[0][1]
        except Exception:  # whatever a trick's code does
            return None
    return None
