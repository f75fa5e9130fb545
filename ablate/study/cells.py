"""Cells: which may be, what they are called, what each asks of the task, and which line of the study set a key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ablate.errors import ConfigError
from ablate.records import RECALIBRATED, TRAINED, WITHOUT, Cell, Choice, HandVariant, Json, Study, StudyTrick, TrickUse
from ablate.study.yaml_file import LIMIT_DEPTH, Trail, said


@dataclass(frozen=True)
class Space:
    """What a design chooses from: the tricks in the file's order and the variants listed by hand."""

    tricks: tuple[StudyTrick, ...]
    named: Mapping[str, Cell] = field(default_factory=dict)

    def trick(self, name: str) -> StudyTrick:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, StudyTrick]:
        return {trick.name: trick for trick in self.tricks}

    @cached_property
    def given(self) -> dict[Cell, str]:
        """The name given by hand to each hand-listed cell; the first of two names for one cell."""
        return {cell: name for name, cell in reversed(list(self.named.items()))}

    @property
    def base(self) -> Cell:
        return Cell()

    @cached_property
    def full(self) -> Cell:
        """Every trick, each at its first level."""
        return Cell(tuple(trick.choices[0] for trick in self.tricks))

    def add(self, cell: Cell, choice: Choice) -> Cell:
        """`cell` with `choice` on (in place of another level of the same trick), in the file's order."""
        kept = {c.trick: c for c in cell.on} | {choice.trick: choice}
        return Cell(tuple(kept[t.name] for t in self.tricks if t.name in kept), cell.of)

    def forbidden(self, cell: Cell) -> str | None:
        """Why `cell` may not be, in words; None where it may."""
        on = set(cell.tricks)
        for name in cell.tricks:
            trick = self.trick(name)
            for other in trick.requires:
                if other not in on:
                    return f"{name} requires {other}"
            for other in trick.conflicts:
                if other in on:
                    return f"{name} conflicts with {other}"
        return None


def quoted(name: str) -> str:
    """A name as part of a joined name: quoted where it holds a character that joins or quotes names."""
    return "'" + name.replace("'", "''") + "'" if re.search(r"[-+='\s]", name) else name


def name_of(cell: Cell, space: Space, of: str = "") -> str:
    """The name of a cell (CONTRACT, "Names"): `base`, `full`, `base+a+b`, `full-a`, `full+optimizer=nesterov`.

    A name given by hand wins, then `base` and `full`. A change of the hand-listed variant A (`of`, or the cell's own
    changed base) is named from A: `A-batchnorm`. Otherwise whichever of base and full lists fewer tricks, base on a
    tie; a trick at another level than its first counts as listed. With fewer than two tricks there is no `full`: the
    row is `base+a`. Distinct cells get distinct names, except where a name given by hand is one of these
    (`plan.make_plan` refuses that).
    """
    if cell in space.given:
        return space.given[cell]
    from_base, from_full = _changes(cell, space.base, space), _changes(cell, space.full, space)
    has_full = len(space.tricks) > 1
    of = cell.of or (of if from_base and (from_full or not has_full) else "")
    if of:
        return quoted(of) + "".join(_changes(cell, space.named[of], space))
    if has_full and len(from_full) < len(from_base):
        return "full" + "".join(from_full)
    return "base" + "".join(from_base)


def _changes(cell: Cell, start: Cell, space: Space) -> list[str]:
    """What leads from `start` to `cell`, in the file's order: `-a` for a trick now off, `+b`, `+optimizer=adamw`."""
    on, before = set(cell.on), set(start.on)
    differing = {choice.trick: f"-{quoted(choice.trick)}" for choice in before - on}
    differing |= {choice.trick: f"+{_token(choice)}" for choice in on - before}
    if len(differing) < 2:
        return list(differing.values())
    return [differing[trick.name] for trick in space.tricks if trick.name in differing]


def _token(choice: Choice) -> str:
    return quoted(choice.trick) if choice.level is None else f"{quoted(choice.trick)}={quoted(choice.level)}"


_DEEPEST = 2 * LIMIT_DEPTH

_WHERE = "\0"
"""The key under which a traced mapping keeps its own place: no file can hold it."""

Layer = tuple[Trail, Mapping[str, Json]]
"""A patch of the base, and where it was written."""


def patched(config: Mapping[str, Json], changes: Mapping[str, Json], flat: bool = False) -> dict[str, Json]:
    """`set:` applied: a new configuration; both arguments stay as they are.

    A mapping with `name` replaces the whole subtree, other mappings merge, anything else replaces what is there. A
    dotted key is a path, at any depth; longer paths are applied after shorter ones. ConfigError where a path leads
    through something that is no mapping. flat: a dotted key is a key, and a mapping is several of them.
    """
    result: dict[str, Json] = copied(config)
    _patch(result, changes, flat)
    return result


def _patch(config: dict[str, Json], changes: Mapping[str, Json], flat: bool) -> None:
    if flat:
        config.update((key, copied(value)) for key, value in flattened(changes).items())
    else:
        _set(config, changes, "")


def flattened(written: Mapping[str, Json]) -> dict[str, Json]:
    """A mapping with nested ones written out with dots. ConfigError where a key is then there twice."""
    flat: dict[str, Json] = {}
    for _, key, value in leaves(written):
        if key in flat:
            raise ConfigError([(key, "is written twice, with dots and as a mapping; write it once.")])
        flat[key] = value
    return flat


def leaves(written: Mapping[str, Json], path: Trail = (), above: str = "") -> Iterator[tuple[Trail, str, Json]]:
    """Every value that is no mapping: where it was written, its dotted key, itself."""
    for key, value in written.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*path, key), f"{above}{key}.")
        else:
            yield (*path, key), f"{above}{key}", value


def value_of(config: Mapping[str, Json], key: str, flat: bool = False, default: Json = None) -> Json:
    """What a configuration has at a dotted key; `default` where it has nothing."""
    if flat:
        return config.get(key, default)
    inner: Json = config
    for part in key.split("."):
        if not isinstance(inner, Mapping) or part not in inner:
            return default
        inner = inner[part]
    return inner


def _set(config: dict[str, Json], changes: Mapping[str, Json], above: str) -> None:
    for key, value in sorted(changes.items(), key=lambda item: item[0].count(".")):
        *parents, last = key.split(".")
        if (above + key).count(".") >= _DEEPEST:
            raise ConfigError([(above + key, f"cannot be set: its key has more than {_DEEPEST} parts.")])
        inner = config
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise ConfigError([(above + key, f"cannot be set: {parent} is {said(inner)}, not a mapping.")])
        if isinstance(value, Mapping):
            old = inner.get(last)
            inner[last] = old if isinstance(old, dict) and "name" not in value else {}
            _set(inner[last], value, f"{above}{key}.")
        else:
            inner[last] = copied(value)


def copied(value: Json) -> Json:
    """A copy that shares nothing; ten times as fast as deepcopy, which a thousand variants would feel."""
    if isinstance(value, Mapping):
        return {key: child if type(child) in _ATOMS else copied(child) for key, child in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


_ATOMS = frozenset({str, int, float, bool, type(None)})
"""What most of a configuration is; to ask whether it is a Mapping takes ten times as long."""


def configuration(study: Study, cell: Cell) -> tuple[dict[str, Json], tuple[TrickUse, ...]]:
    """What a cell asks of the task: the base, changed as `cell.of` says, then as its tricks do, in the file's order."""
    config: dict[str, Json] = copied(study.base)
    for _, changes in layers(study, cell):
        _patch(config, changes, study.flat)
    return config, uses_of(study, cell)


def layers(study: Study, cell: Cell) -> Iterator[Layer]:
    """The patches that make a cell of the base, in the order of application."""
    if study.setting is not None:
        yield ("across", study.setting.name), study.setting.set
    changed = _changed_base(study, cell)
    if changed is not None:
        yield ("variants", changed.name, "set"), changed.set
    for path, level in study.on(cell):
        if level.set:
            yield (*path, "set"), level.set
    of_config = {} if changed is None else {k: v for k, v in changed.tuned.items() if trick_of(study, k) is None}
    if changed is not None and of_config:
        yield ("variants", changed.name, "tuned"), of_config


def uses_of(study: Study, cell: Cell) -> tuple[TrickUse, ...]:
    """The trick files of a cell with their parameters, in the file's order; last, what it goes without."""
    changed = _changed_base(study, cell)
    tuned: dict[str, dict[str, Json]] = {}
    for key, value in {} if changed is None else changed.tuned.items():
        if (of_trick := trick_of(study, key)) is not None:
            tuned.setdefault(of_trick[0], {})[of_trick[1]] = value
    on = ((path[1], level) for path, level in study.on(cell) if level.use)
    uses = tuple(TrickUse(level.use or "", {**level.params, **tuned.get(trick, {})}) for trick, level in on)
    gone, anew = dict(_gone(study, cell)), cell.control == RECALIBRATED
    if anew:
        gone.setdefault(TRAINED, [])
    return (*uses, *(_away(name, [part for _, part in parts], anew) for name, parts in gone.items()))


Gone = list[tuple[tuple[str, ...], Mapping[str, Json]]]
"""The places of tricks that are off and parts of the network, with those parts."""


def _gone(study: Study, cell: Cell) -> list[tuple[str, Gone]]:
    """What a cell goes without: before the training, and after it; of each by which trick file."""
    before: Gone = []
    after: Gone = []
    for path, part in study.without(cell):
        (after if part.get("when") else before).append((path, part))
    return [(name, parts) for name, parts in ((WITHOUT, before), (TRAINED, after)) if parts]


def _away(name: str, parts: Sequence[Mapping[str, Json]], anew: bool) -> TrickUse:
    asked = [{key: value for key, value in part.items() if key not in ("when", "recalibrate")} for part in parts]
    anew = name == TRAINED and (anew or any(part.get("recalibrate") for part in parts))
    return TrickUse(name, {"parts": asked, **({"recalibrate": True} if anew else {})})


def _changed_base(study: Study, cell: Cell) -> HandVariant | None:
    return next((variant for variant in study.variants if cell.of and variant.name == cell.of), None)


def trick_of(study: Study, key: str) -> tuple[str, str] | None:
    """(trick, parameter) of `tricks.NAME.PARAMETER`; a trick's name may hold dots."""
    if not key.startswith("tricks."):
        return None
    rest = key.removeprefix("tricks.")
    name = next((trick.name for trick in study.tricks if rest.startswith(f"{trick.name}.")), None)
    return (name, rest.removeprefix(f"{name}.")) if name is not None else None


def _traced(value: Json, path: Trail) -> Any:
    if not isinstance(value, Mapping):
        return path
    return {key: _traced(child, (*path, key)) for key, child in value.items()} | {_WHERE: path}


def origin(study: Study, cell: Cell, key: str) -> Trail:
    """Where the study wrote the dotted `key` of a cell's configuration; later layers win.

    `tricks.N.PARAMETER` is a parameter of the N-th trick file that the cell uses. A key that nobody wrote is placed
    where it would stand. The configuration is made once more with places for values, so that it is patched alike.
    """
    parts = key.split(".") if key else []
    uses = [path for path, level in study.on(cell) if level.use]
    gone = _gone(study, cell)
    place = int(parts[1]) - len(uses) if parts[:1] == ["tricks"] and parts[1:2] and parts[1].isdecimal() else -1
    if 0 <= place < len(gone):
        return _origin_of_part(study, gone[place][1], parts[2:])
    if study.flat:
        return _flat_origin(study, cell, key)
    if parts and parts[0] not in study.base and key in study.positions:
        return (key,)  # of the study itself, for example `task`
    if parts[:1] == ["tricks"] and len(parts) > 1 and parts[1].isdecimal() and int(parts[1]) < len(uses):
        changed, meant = _changed_base(study, cell), ".".join(["tricks", uses[int(parts[1])][1], *parts[2:]])
        if changed is not None and meant in changed.tuned:
            return ("variants", changed.name, "tuned", meant)
        return (*uses[int(parts[1])], *(("with", *parts[2:]) if len(parts) > 2 else ("use",)))
    places = patched({}, _traced(study.base, ("base",)))
    for path, changes in layers(study, cell):
        try:
            places = patched(places, _traced(changes, path))
        except ConfigError as error:  # a layer that leads through what another made no mapping: it is to blame
            return (*path, error.problems[0][0])
    return _origin(places, parts)


def _flat_origin(study: Study, cell: Cell, key: str) -> Trail:
    """`origin` where a key is one name: in the base, in what changes it, or else of the study itself."""
    where: Trail = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
    for path, changes in ((("base",), study.written_base), *layers(study, cell)):
        where = next((trail for trail, leaf, _ in leaves(changes, path) if leaf == key), where)
    return where


def _origin_of_part(study: Study, gone: Gone, rest: Sequence[str]) -> Trail:
    """Where `parts.N` of what goes was written, or N's `instead` and what is in it; else a key of the first that has
    it."""
    if rest[:1] == ["parts"] and len(rest) > 1:
        path, part = gone[int(rest[1])]
        if rest[2:3] == ["instead"]:
            return (*path, *rest[2:])
        return (*path, *(("control",) if "control" in part else _key_of(study, path)))
    path = next((path for path, part in gone if rest and rest[0] in part), gone[0][0])
    return (*path, *(rest or _key_of(study, path)))


def _key_of(study: Study, trick: Trail) -> Trail:
    """Which of its two keys names the part of a trick."""
    return next(((key,) for key in ("part", "each") if ".".join(map(str, (*trick, key))) in study.positions), ())


def _origin(origins: Any, parts: Sequence[str]) -> Trail:
    """Where the dotted key `parts` was written; for a key that was not, the place around it and the rest of the key."""
    where: Trail = ("base",)
    for depth, part in enumerate(parts):
        if not isinstance(origins, dict) or part not in origins:
            rest = [int(name) if name.isdecimal() and not isinstance(origins, dict) else name for name in parts[depth:]]
            return (*where, *rest)
        origins = origins[part]
        where = _place_of(origins)
    return where


def _place_of(origins: Any) -> Trail:
    """The place of a part; where a dotted key made the mapping, that of the first thing in it."""
    while isinstance(origins, dict):
        origins = origins.get(_WHERE) or next(iter(origins.values()))
    trail: Trail = origins
    return trail


def writes(changes: Mapping[str, Json], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths that a `set:` writes. A mapping with `name` replaces what is there, so it writes its own path too."""
    for key, value in changes.items():
        path = (*above, *key.split("."))
        if isinstance(value, Mapping):
            if "name" in value or not value:
                yield path
            yield from writes(value, path)
        else:
            yield path


def related(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one path is the other or lies below it."""
    return all(a == b for a, b in zip(one, other, strict=False))


def writes_to(changes: Mapping[str, Json], key: str) -> bool:
    """Whether a `set:` gives the dotted `key`, what is in it, or what it is in another value."""
    return any(related(path, key.split(".")) for path in writes(changes))


def closure(name: str, tricks: Mapping[str, StudyTrick]) -> list[str]:
    """A trick and all that it requires, directly or not, in the file's order."""
    needed, waiting = {name}, [name]
    while waiting:
        for other in tricks[waiting.pop()].requires:
            if other in tricks and other not in needed:
                needed.add(other)
                waiting.append(other)
    return [trick for trick in tricks if trick in needed]
