"""What only a combination of tricks shows to be wrong, and which line of the study to blame for it.

Two tricks of one variant that set a key differently, configurations that the task refuses, names that mean something
else, a brief's rules. Pure: problems come back as values. What is wrong with one line by itself: file.py.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping, Sequence

from ablate.errors import ConfigError, Problem
from ablate.records import CATEGORIES, Cell, Choice, Json, Study, TrickLevel
from ablate.registry import Registry, unknown
from ablate.study.cells import Space, configuration, name_of, origin, patched, related, writes
from ablate.study.yaml_file import Trail, dotted
from ablate.text import one_of, read_as

Refused = tuple[str, Cell, Sequence[tuple[str, str]]]
"""A variant's name, its cell, and (dotted key, message) of everything that the task refused in its configuration."""


# ------------------------------------------------------------------------------------------------------- who set a key


def refusals(study: Study, refused: Sequence[Refused], planned: int) -> list[Problem]:
    """What the task refused, each once, at the line that set it; with the variants, unless it is all of `planned`."""
    variants: dict[tuple[str, str], dict[str, None]] = {}
    for name, cell, problems in refused:
        for key, message in problems:
            variants.setdefault((dotted(origin(study, cell, key)), message), {})[name] = None
    return [
        study.problem(place, message if len(names) == planned else f"{message} (in {_listed(list(names))})")
        for (place, message), names in variants.items()
    ]


def refusal(study: Study, cell: Cell, key: str, message: str) -> Problem:
    """What is wrong with a configuration's dotted `key` in one cell, at the line that set it."""
    return study.problem(dotted(origin(study, cell, key)), message)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"variant{'s' if len(names) > 1 else ''} {', '.join(map(repr, names[:3]))}{more}"


def words(study: Study, planned: Collection[str]) -> list[Problem]:
    """Notes on variants that there are not. In one setting of several a variant may be left out, and nothing is
    a mistake."""
    if study.setting is not None:
        return []
    names = list(dict.fromkeys([*planned, *(variant.name for variant in study.variants)]))
    return [
        study.problem(f"notes.variants.{name}", unknown("variant", name, names))
        for name in study.words.get("variants", {})
        if name not in names
    ]


# ------------------------------------------------------------------------------------- what nobody could tell apart


def look_alikes(study: Study) -> list[Problem]:
    """Tricks, levels and variants whose names read alike, and levels of a trick that do the same."""
    problems = _alike(study, "tricks", [trick.name for trick in study.tricks])
    problems += _alike(study, "variants", [variant.name for variant in study.variants])
    for trick in study.tricks:
        levels = [level for level in trick.levels if level.name is not None]
        place = f"tricks.{trick.name}.levels"
        named = _alike(study, place, [str(level.name) for level in levels])
        problems += named
        for one, other in itertools.combinations(levels, 2):
            if (one.set, one.use, one.params) == (other.set, other.use, other.params) and not named:
                message = f"does what {one.name!r} does; a level is there once."
                problems.append(study.problem(f"{place}.{other.name}", message))
    return problems


def _alike(study: Study, place: str, names: Sequence[str]) -> list[Problem]:
    first: dict[object, str] = {}
    return [
        study.problem(f"{place}.{name}", f"reads like {spelt!r}, so nobody could tell the two apart; rename one.")
        for name in names
        if (spelt := first.setdefault(read_as(name), name)) != name
    ]


# ------------------------------------------------------------------------------------------ two tricks that set one key


def clashes(study: Study, variants: Mapping[str, Cell]) -> list[Problem]:
    """Two tricks of one variant that set the same key to different values: whichever comes last would win.

    The test is the meaning of it: applied in the other order, the two give another configuration.
    """
    choices = [(choice, _level(study, choice)[1].set) for trick in study.tricks for choice in trick.choices]
    suspects = [
        (one, other)
        for (one, set_one), (other, set_other) in itertools.combinations(choices, 2)
        if one.trick != other.trick and _overlap(set_one, set_other)
    ]
    problems: dict[tuple[Choice, Choice], Problem] = {}
    tested: set[tuple[str, Choice, Choice]] = set()
    for name, cell in variants.items() if suspects else ():
        on = set(cell.on)
        for one, other in suspects:
            if one in on and other in on and (cell.of, one, other) not in tested:
                tested.add((cell.of, one, other))
                clash = _clash(study, name, cell, one, other)
                if clash is not None:
                    problems.setdefault((one, other), clash)
    return list(problems.values())


def _level(study: Study, choice: Choice) -> tuple[Trail, TrickLevel]:
    """Where a choice was written, and what it does."""
    return next(study.on(Cell((choice,))))


def _overlap(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    return any(related(a, b) for a in writes(one) for b in writes(other))


def _clash(study: Study, name: str, cell: Cell, one: Choice, other: Choice) -> Problem | None:
    start, _ = configuration(study, Cell((), cell.of))
    (_, first), (place, second) = _level(study, one), _level(study, other)
    forwards, backwards = (
        _both(start, first.set, second.set, study.flat),
        _both(start, second.set, first.set, study.flat),
    )
    differing = [key for key in {**forwards, **backwards} if forwards.get(key) != backwards.get(key)]
    if not forwards or not differing:
        return None  # not forwards: nothing that a task could be asked about; `refusals` says so
    key, make = differing[0], "Patch single keys (`a.b: value`), or make"
    if not backwards:
        key = next(".".join(path) for path in writes(second.set) if any(related(path, p) for p in writes(first.set)))
        clash = f"sets {key} to no mapping, but {str(one)!r} sets a key inside it"
    elif key not in forwards:
        clash = f"replaces the mapping that holds {key}, but {str(one)!r} sets that to {backwards[key]}"
    elif key not in backwards:
        clash = f"sets {key} to {forwards[key]}, but {str(one)!r} replaces the mapping that holds it"
    else:
        clash, make = f"sets {key} to {forwards[key]}, but {str(one)!r} sets it to {backwards[key]}", "Make"
    advice = f"{make} them `levels:` of one trick, or say `conflicts: [{one.trick}]`."
    return study.problem(f"{dotted(place)}.set.{key}", f"{clash}, and both are on in {name!r}. {advice}")


def _both(
    start: Mapping[str, Json], first: Mapping[str, Json], second: Mapping[str, Json], flat: bool
) -> dict[str, str]:
    """Every leaf after both changes. Nothing where they do not fit: `second` patches what `first` made no mapping."""
    try:
        return _flat(patched(patched(start, first, flat), second, flat))
    except ConfigError:
        return {}


def _flat(config: Json, above: str = "") -> dict[str, str]:
    """Dotted key -> JSON text of every leaf."""
    if not isinstance(config, Mapping) or not config:
        return {above: json.dumps(config)}
    return {k: v for key, value in config.items() for k, v in _flat(value, f"{above}.{key}" if above else key).items()}


# ------------------------------------------------------------------------------------------------- variants by hand


def hand_listed(study: Study, space: Space, names: Mapping[Cell, str]) -> list[Problem]:
    """Variants listed by hand that are forbidden, or whose name means another variant. names: of the planned cells."""
    problems = []
    meanings = {**names, **{cell: name_of(cell, space) for cell in (space.base, space.full)}}
    meant = {name: cell for cell, name in meanings.items() if cell not in space.given}
    for variant in study.variants:
        why = space.forbidden(variant.cell)
        if why:
            problems.append(study.problem(f"variants.{variant.name}", f"{why}; add it, or leave it out."))
        elif variant.name in meant:
            other = ", ".join(map(str, meant[variant.name].on)) or "no trick"
            problems.append(
                study.problem(
                    f"variants.{variant.name}",
                    f"the name {variant.name!r} means the variant with {other}, and this one is another; rename it.",
                )
            )
    return problems


def rules(
    study: Study, registry: Registry, configs: Mapping[str, Mapping[str, Json]]
) -> tuple[list[Problem], list[str]]:
    """A brief's requirements on the variants listed by hand: problems and notes. configs: of each planned variant.

    A variant without any trick is what the others are compared with; it is not judged, and a note says so. Where the
    rules name variants, these are.
    """
    brief = study.rules
    if not brief:
        return [], []
    by_name = {variant.name: variant for variant in study.variants}
    named: list[str] = brief.get("variants") or [variant.name for variant in study.variants if variant.tricks]
    categories = {trick.name: trick.category or _shelf_category(registry, trick.levels) for trick in study.tricks}
    problems = [
        study.problem(
            f"tricks.{name}", f"has no category, and `rules` count them; say `category:` {one_of(CATEGORIES)}."
        )
        for name, category in categories.items()
        if not category
    ]
    problems += [
        study.problem(f"rules.variants.{at}", unknown("variant listed by hand", name, by_name))
        for at, name in enumerate(named)
        if name not in by_name
    ]
    judged = [by_name[name] for name in named if name in by_name]
    which = "variant" + " listed by hand (`rules.variants` may name some)" * ("variants" not in brief)
    those_judged = "that they name" if "variants" in brief else "listed by hand"
    least = brief.get("tricks_per_variant", 0)
    for variant in judged:
        count = len(variant.tricks)
        if count < least:
            message = f"has {count} trick{'s' * (count != 1)}; `rules` ask for {least} in every {which}."
            problems.append(study.problem(f"variants.{variant.name}", message))
    kinds = {variant.name: {categories[choice.trick] for choice in variant.tricks} - {""} for variant in judged}
    least = brief.get("categories_per_variant", 0)
    for listed, of in kinds.items():
        if len(of) < least:
            those = ", ".join(c for c in CATEGORIES if c in of) or "none"
            message = (
                f"has tricks of {len(of)} categor{'y' if len(of) == 1 else 'ies'} ({those}); `rules` ask for {least} "
                f"in every {which}."
            )
            problems.append(study.problem(f"variants.{listed}", message))
    used = set().union(*kinds.values())
    if judged and len(used) < brief.get("categories_overall", 0):
        message = (
            f"is {brief['categories_overall']}, but the variants {those_judged} have {len(used)}: "
            f"{', '.join(c for c in CATEGORIES if c in used) or 'none'}."
        )
        problems.append(study.problem("rules.categories_overall", message))
    forbidden: dict[tuple[str, str], list[str]] = {}
    for variant in study.variants:
        data = configs.get(variant.name, {}).get("data")
        name = data.get("name") if isinstance(data, Mapping) else data
        if isinstance(name, str) and name in brief.get("forbid_data", ()):
            forbidden.setdefault((dotted(origin(study, variant.cell, "data.name")), name), []).append(variant.name)
    problems += [
        study.problem(place, f"is {name!r}, which `rules` forbid (in {_listed(names)}).")
        for (place, name), names in forbidden.items()
    ]
    plain = [variant.name for variant in study.variants if not variant.tricks and "variants" not in brief]
    notes = [f"rules: {', '.join(plain)} has no trick and is not counted as a variant."] if plain else []
    if not judged:
        notes.append("rules: they judge variants listed by hand that have tricks, and there is none.")
    return problems, notes


def _shelf_category(registry: Registry, levels: Sequence[TrickLevel]) -> str:
    """The category that the trick's file on the shelf declares; empty where it uses none."""
    used = [level.use for level in levels if level.use]
    return str(getattr(registry.load("tricks", used[0]), "category", "")) if used else ""
