"""A stored plan in words: what every variant starts from, what each trick changes, which variant has which. Pure.

`section` is a report's part on it. It reads what the database keeps of a plan, so that a report needs neither the
study's file nor its code. Folders are left out of it: they say where a study lay, not what it was.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ablate.records import TRAINED, WITHOUT, Json
from ablate.reports.claims import Names
from ablate.reports.document import Block, Section, Table, Terms, line
from ablate.study.record import PlanRecord, VariantRecord
from ablate.tables.table import TableData, ViewData
from ablate.text import in_words, listed, number

_WHERE = frozenset({"root", "cache", "folder", "workers", "weights"})
"""Options that say where files lie or how fast they are read."""

_FILES = frozenset({"train", "dev", "test"})
"""Options that name the files of a part's folder."""

_SMALL = frozenset({"eval_batch_size", "channels_last", "amp"})
"""Keys of the built-in task that are told only where they are not the default."""

_DEFAULTS: Mapping[str, Json] = {"eval_batch_size": 500, "channels_last": True, "amp": "none"}


@dataclass(frozen=True)
class Change:
    """What switching a choice on changes, as lines of text: `model.norm: none → batch`; none where no two variants
    differ by it alone, so that nothing can be told. keys: the dotted keys of the configuration that it sets."""

    choice: str
    trick: str
    category: str
    lines: tuple[str, ...]
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Base:
    """A configuration that variants start from. name: `base`, or the hand-listed variant that changes it.

    variant: the planned one that it is read from; tricks: those that are on in it, whose settings are not in `config`.
    """

    name: str
    variant: str
    tricks: tuple[str, ...]
    config: Mapping[str, Json]


def value(given: Json) -> str:
    """A value of a configuration as text; of a path only its last part."""
    if isinstance(given, str):
        return given.rstrip("/").rpartition("/")[2] if given.startswith(("/", "~")) else given
    if isinstance(given, Mapping):
        return part(given)
    if isinstance(given, float) and given == int(given) and abs(given) < 1e6:
        return str(int(given))
    return json.dumps(given, ensure_ascii=False)


def part(given: Mapping[str, Json], *, off: bool = True) -> str:
    """A named part with its options: `vgg (width 16, depth 4)`. off: also those that are off (false, none, 0)."""
    named = str(given["name"]) if "name" in given else ""
    hidden = _WHERE if off else _WHERE | _FILES
    options = ", ".join(
        f"{key} {value(option)}"
        for key, option in given.items()
        if key != "name" and key not in hidden and option is not None and option != [] and (off or _is_on(option))
    )
    return f"{named} ({options})" if named and options else named or options


def _is_on(option: Json) -> bool:
    return option not in (False, 0, "none")


def configuration(config: Mapping[str, Json]) -> list[tuple[str, str]]:
    """A configuration as (key, text), one line per part; options that are off are left out."""
    return [
        (key, part(given, off=False).replace("_", " ") if isinstance(given, Mapping) else value(given))
        for key, given in config.items()
        if key not in _WHERE and given is not None and not (key in _SMALL and given == _DEFAULTS[key])
    ]


def bases(record: PlanRecord) -> list[Base]:
    """Every base of the study, each read from its variant with the fewest tricks."""
    plainest: dict[str, VariantRecord] = {}
    for variant in record.variants:
        other = plainest.get(variant.of)
        if not (variant.placebo or variant.control) and (other is None or len(variant.tricks) < len(other.tricks)):
            plainest[variant.of] = variant
    keys = {change.choice: change.keys for change in changes(record)}
    return [
        Base(
            name or "base", variant.name, variant.tricks,
            _without(variant.config, {key for on in variant.tricks for key in keys.get(on, ())}),
        )
        for name, variant in sorted(plainest.items(), key=lambda item: item[0] != "")
    ]  # fmt: skip


def _without(config: Mapping[str, Json], keys: Collection[str], prefix: str = "") -> dict[str, Json]:
    """A configuration without some dotted keys."""
    return {
        key: _without(given, keys, f"{prefix}{key}.") if isinstance(given, Mapping) else given
        for key, given in config.items()
        if prefix + key not in keys
    }


def changes(record: PlanRecord) -> list[Change]:
    """What each choice of each trick changes, read from two variants that differ by it alone."""
    variants = [variant for variant in record.variants if not (variant.placebo or variant.control)]
    at = {(variant.of, frozenset(variant.tricks)): variant for variant in variants}
    every = []
    for trick in record.tricks:
        for choice in trick.choices:
            pair = next(_pairs(at, choice), None)
            set_ = {} if pair is None else dict(_changed(pair[0].config, pair[1].config, ""))
            lines = (*(f"{key}: {text}" for key, text in set_.items()), *(_used(*pair) if pair else ()))
            every.append(Change(choice, trick.name, trick.category or "other", lines, tuple(set_)))
    return every


_At = Mapping[tuple[str, frozenset[str]], VariantRecord]


def _pairs(at: _At, choice: str) -> Iterator[tuple[VariantRecord, VariantRecord]]:
    """(without, with) `choice`, nothing else differing."""
    for (base, on), variant in at.items():
        if choice in on and (other := at.get((base, on - {choice}))) is not None:
            yield other, variant


def _used(off: VariantRecord, on: VariantRecord) -> Iterator[str]:
    """Files of the shelf that one uses and the other does not, parts of the network that it has (`layer3.1: zero →
    there`), and weights that it starts from."""
    for use in on.uses:
        if use not in off.uses and use.name not in (WITHOUT, TRAINED):
            yield part({"name": use.name, **use.params})
    gone = _gone(on)
    for one in _gone(off):
        if one not in gone:
            heads = f" (heads {', '.join(map(str, one['heads']))})" if one.get("heads") else ""
            after = " in its trained weights" * bool(one.get("after"))
            yield f"{one['part']}{heads}: {value(one.get('instead', 'zero'))} → there{after}"
    start = on.starts_from
    if start is not None and start != off.starts_from:
        yield "starts from another study's weights" if start == "pending" else f"starts from {start.origin}"


def _gone(variant: VariantRecord) -> list[Mapping[str, Any]]:
    uses = [use for use in variant.uses if use.name in (WITHOUT, TRAINED)]
    return [{**one, "after": use.name == TRAINED} for use in uses for one in use.params["parts"]]


def _changed(off: Mapping[str, Json], on: Mapping[str, Json], prefix: str) -> Iterator[tuple[str, str]]:
    """(dotted key, `none → batch`) of every option that differs."""
    for key in dict.fromkeys([*off, *on]):
        was, now = off.get(key), on.get(key)
        if was == now or key in _WHERE or (key == "init" and not prefix):
            continue
        if isinstance(was, Mapping) and isinstance(now, Mapping) and was.get("name") == now.get("name"):
            yield from _changed(was, now, f"{prefix}{key}.")
        else:
            yield prefix + key, f"{_short(was)} → {value(now) if now is not None else 'none'}"


def _short(was: Json) -> str:
    """What was there before, by its name where it has one."""
    if was is None:
        return "none"
    return str(was["name"]) if isinstance(was, Mapping) and "name" in was else value(was)


def apart(bases: Sequence[Base]) -> list[tuple[str, str]]:
    """Of each base what tells it from the others: (name, `model vgg (width 16), epochs 6`); [] for a single one."""
    return [(name, "; ".join(f"{key} {text}" for key, text in one.items())) for name, one in _apart(bases).items()]


def _apart(bases: Sequence[Base]) -> dict[str, dict[str, str]]:
    """By base the settings that differ."""
    if len(bases) < 2:
        return {}
    told = [dict(configuration(base.config)) for base in bases]
    differ = [key for key in dict.fromkeys(key for one in told for key in one) if len({o.get(key) for o in told}) > 1]
    return {base.name: {key: one[key] for key in differ if key in one} for base, one in zip(bases, told, strict=True)}


def of_models(record: PlanRecord) -> dict[str, dict[str, str]]:
    """By variant the settings that tell its base from the study's others."""
    told = _apart(bases(record))
    return {variant.name: told.get(variant.of or "base", {}) for variant in record.variants}


def kind(record: PlanRecord, name: str) -> str:
    """A variant in a few words, for where others are held against it: `vgg, width 8, depth 1`; where all have one
    network, its tricks."""
    variants = [one for one in record.variants if not (one.placebo or one.control)]
    one = next((variant for variant in variants if variant.name == name), None)
    if one is None:
        return ""
    if len({_model(variant).get("name") for variant in variants}) > 1:
        model = _model(one)
        sizes = [f"{key} {given}" for key, given in model.items() if type(given) is int and given]
        return ", ".join([str(model.get("name", "")), *sizes[:2]])
    every = len(record.tricks)
    if every > 1 and len(one.tricks) in (0, every) and not one.of:
        return f"all {every} tricks" if one.tricks else "no trick"
    return ""


def _model(variant: VariantRecord) -> Mapping[str, Json]:
    model = variant.config.get("model")
    return model if isinstance(model, Mapping) else {}


# -------------------------------------------------------------------------------------------------------------- section

BY_HAND = "variants"
"""The design of a row that a study lists itself."""

MOST_TRICKS = 16
"""Columns of ticks; tricks beyond are listed in words."""

MOST_SETTINGS = 16
"""Settings with a line of their own."""


def section(record: PlanRecord, table: TableData, named: Names, models: Collection[str] = ()) -> Section | None:
    """Bases, tricks and variants; None where there is nothing to tell. In brief: only variants listed by hand.

    models: variants that are told, with what their bases are, elsewhere.
    """
    labels = all(variant.tricks in ((), (variant.name,)) for variant in record.variants)
    if labels and record.imported is not None:
        return None  # they are all that is known
    every = bases(record)
    blocks: list[Block] = []
    if every and every[0].config:
        told = [dict(configuration(base.config)) for base in every]
        shared = [(key, text) for key, text in told[0].items() if all(one.get(key) == text for one in told)]
        elsewhere = {variant.of or "base" for variant in record.variants if variant.name in models}
        facts: tuple[list[tuple[str, str]], ...] = (
            _folded(shared),
            [(name, text) for name, text in apart(every) if name not in elsewhere],
        )
        facts[0].extend(_judged(record))
        blocks += [Terms(tuple((key.replace("_", " "), line(text)) for key, text in of)) for of in facts if of]
    if any(change.lines or change.category != "other" for change in changes(record)):
        blocks.append(Table(_changes(record, table, named), f"Tricks of {table.study}", "tricks"))
    brief = [*blocks]
    given = [variant for variant in record.variants if BY_HAND in variant.designs]
    if record.tricks and record.variants:
        blocks.append(Table(_matrix(_untold(record), table, named), "Which variant has which trick", "variants"))
    if record.tricks and given:
        matrix = Table(_matrix(given, table, named), "Tricks of the variants listed by hand", "variants")
        both = _joined(brief[-1], matrix)
        brief = [*brief[:-1], both] if both is not None else [*brief, matrix]
    return Section("variants", "Tricks and settings", tuple(blocks), tuple(brief)) if blocks else None


def _untold(record: PlanRecord) -> list[VariantRecord]:
    """The variants whose rows do not say by their names which trick they lack of another, or have more."""
    told = {row.variant for row in record.rows if row.compared_with and row.label[:2] in ("- ", "+ ")}
    given = {row.variant for row in record.rows if row.variant not in told or row.design == BY_HAND}
    return [variant for variant in record.variants if variant.name in given]


def _judged(record: PlanRecord) -> Iterator[tuple[str, str]]:
    """By what variants are compared, and which difference matters."""
    metric = record.metric
    when = {"last": "after the last epoch" if record.facts.epochs else "at the end", "best": "at the best epoch"}
    at = when.get(str(metric.at), f"at epoch {metric.at}")
    yield "chosen by", f"{metric.name.replace('_', ' ')} {at}, {metric.better} is better"
    if metric.minimum_effect:
        points = " point" + "s" * (metric.minimum_effect != 1) if record.facts.unit(metric.name) == "%" else ""
        yield "effect", f"±{number(metric.minimum_effect)}{points} is the smallest that matters"


def _joined(changes: Block, matrix: Table) -> Table | None:
    """What each trick changes and which variant has it, as one table; None where their rows are not the same."""
    if (
        not isinstance(changes, Table)
        or not isinstance(changes.data, ViewData)
        or not isinstance(matrix.data, ViewData)
    ):
        return None
    one, other = changes.data, matrix.data
    if [row[0] for row in one.rows] != [row[0] for row in other.rows]:
        return None
    header = (*one.header[:2], *other.header[1:], *one.header[2:])
    rows = tuple((*a[:2], *b[1:], *a[2:]) for a, b in zip(one.rows, other.rows, strict=True))
    return replace(changes, data=replace(one, header=header, rows=rows, numeric=(False,) * len(header)))


def _folded(settings: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Settings as (key, text); of many, those of one word share a line."""
    if len(settings) <= MOST_SETTINGS:
        return list(settings)
    short = [(key, text) for key, text in settings if " " not in text]
    rest = listed((f"{key} {text}" for key, text in short), most=40)
    return [*(pair for pair in settings if pair not in short), ("settings", rest)]


def _changes(record: PlanRecord, table: TableData, named: Names) -> ViewData:
    """What each trick changes."""
    every = changes(record)
    if not any(change.lines for change in every):
        rows = [(named.label(change.choice), change.category) for change in every]
        return _columns(table, "what each trick is", ("trick", "kind"), rows)
    alone = "no two variants differ by it alone"
    told = [(named.label(change.choice), change.category, "; ".join(change.lines) or alone) for change in every]
    return _columns(table, "what each trick changes", ("trick", "kind", "what it changes"), told)


def _matrix(variants: Sequence[VariantRecord], table: TableData, named: Names) -> ViewData:
    """Which variant has which trick: a tick, or the level; of many tricks, those that it has in words."""
    what = "which variant has which trick"
    if len(table.switches) > MOST_TRICKS:
        listed = [(v.name, in_words([named.label(choice) for choice in v.tricks], most=8)) for v in variants]
        return _columns(table, what, ("variant", "tricks"), listed)
    if len(variants) < len(table.switches):  # names of tricks are long: as rows they need no width
        turned = [(switch.title, *(switch.shown(v.tricks) for v in variants)) for switch in table.switches]
        return _columns(table, what, ("trick", *(v.name for v in variants)), turned)
    rows = [(v.name, *(switch.shown(v.tricks) for switch in table.switches)) for v in variants]
    return _columns(table, what, ("variant", *(switch.title for switch in table.switches)), rows)


def _columns(table: TableData, what: str, header: Sequence[str], rows: Sequence[tuple[str, ...]]) -> ViewData:
    """Plain columns of text, to be drawn by the shelf of tables."""
    return ViewData(
        "tricks", what, table.study, table.metric, table.better, tuple(header), (False,) * len(header),
        tuple(rows), (), (),
    )  # fmt: skip
