"""What every design and task must keep, as checks; suite.py says which hold for which. Nothing is executed here."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping

from ablate.errors import AblateError
from ablate.records import Json, StudyTrick, TaskUse, TrickLevel
from ablate.registry import Registry
from ablate.study.cells import Space
from ablate.study.design import Chosen, Design, DesignError
from ablate.testing.training import it_refuses_parameters_that_it_does_not_have, it_says_what_it_is
from ablate.training.task import Completed, resolve


def _trick(name: str, *levels: str, requires: tuple[str, ...] = (), conflicts: tuple[str, ...] = ()) -> StudyTrick:
    return StudyTrick(name, tuple(map(TrickLevel, levels)) or (TrickLevel(),), "", "", requires, conflicts)


SPACES = (
    Space(tuple(map(_trick, "abcd"))),
    Space((_trick("a"), _trick("optimizer", "adamw", "nesterov"), _trick("b"))),
    Space((_trick("norm"), _trick("skip", requires=("norm",)), _trick("mixup", conflicts=("skip",)))),
)
"""Four plain tricks; one with levels; one that requires and one that conflicts, so that `full` may not be."""


# -------------------------------------------------------------------------------------------------------------- designs


def design_parameters_are_checked(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    it_says_what_it_is(registry, "designs", name)
    it_refuses_parameters_that_it_does_not_have(registry, "designs", name)
    registry.make("designs", name, params)


def it_chooses_the_same_rows_every_time(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    for space, chosen in _chosen(registry, name, params):
        random.seed(1)
        again = registry.make("designs", name, params).choose(space)
        assert again == chosen, f"{name}: the same tricks give other rows the second time"


def its_rows_may_be_and_are_compared_with_rows(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    """The reference first; no row that `requires` or `conflicts` forbid; each cell once."""
    for space, chosen in _chosen(registry, name, params):
        cells = [(row.cell, row.of) for row in chosen.rows]
        assert cells, f"{name}: of {[trick.name for trick in space.tricks]} it chooses no row"
        assert len(set(cells)) == len(cells), f"{name}: a cell is chosen twice"
        assert chosen.rows[0].compared_with is None, f"{name}: the first row is the reference, compared with None"
        allowed = {choice for trick in space.tricks for choice in trick.choices}
        for row in chosen.rows:
            unknown = set(row.cell.on) - allowed
            assert not unknown, f"{name}: {row.cell} has {unknown}, which is no trick of the study"
            why = space.forbidden(row.cell)
            assert why is None, f"{name}: {row.cell} may not be ({why}); it belongs to `left_out`"
            present = row.compared_with is None or row.compared_with in {cell for cell, _ in cells}
            assert present, f"{name}: {row.cell} is compared with {row.compared_with}, which is no row"


def _chosen(registry: Registry, name: str, params: Mapping[str, Json]) -> Iterator[tuple[Space, Chosen]]:
    """What a design makes of each space; it may refuse any but plain tricks."""
    design: Design = registry.make("designs", name, params)
    for space in SPACES:
        try:
            yield space, design.choose(space)
        except DesignError:
            assert space is not SPACES[0], f"{name} refuses {len(space.tricks)} plain tricks"


# ---------------------------------------------------------------------------------------------------------------- tasks


def task_parameters_are_checked(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    it_says_what_it_is(registry, "tasks", name)
    it_refuses_parameters_that_it_does_not_have(registry, "tasks", name)
    registry.make("tasks", name, params)


def completing_twice_gives_the_same_plain_data(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    """And what is complete stays as it is, or a run's key would depend on who completed its configuration."""
    done = _completed(registry, name, params, {})
    if done is None:
        return
    for part, value in (("config", done.config), ("asked", done.asked), ("code", done.code)):
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise AssertionError(f"{name}: `{part}` is no plain data: {error}") from None
    again = _completed(registry, name, params, done.config)
    assert again is not None, f"{name}: it refuses the configuration that it completed"
    assert again.config == done.config, f"{name}: its completed configuration is not complete"
    assert _completed(registry, name, params, {}) == done, f"{name}: completing twice gives two configurations"


def _completed(
    registry: Registry, name: str, params: Mapping[str, Json], config: Mapping[str, Json]
) -> Completed | None:
    """None where the task refuses the configuration, as one may that has no defaults for all."""
    task = resolve(TaskUse(name, params), registry)
    try:
        return task.completed(config, (), registry)
    except AblateError:
        return None
