"""What was planned before results were seen, and what came after: preregistration for free. And what a new plan changes
against the last one. Pure.

`run` stores with a study's plan what of it is later than the study's first results. It cannot know what was tried under
another name or in another database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ablate.errors import StudyError
from ablate.records import Json
from ablate.study.record import PlanRecord, Registered
from ablate.study.yaml_file import Unfolded, read, unfold
from ablate.text import joined, listed


def register(before: PlanRecord | None, now: PlanRecord, *, seen: int, already: int) -> Registered | None:
    """What to store with the plan `now`. before: the plan last run under this name, as it was stored.

    seen: how many of its runs had a result; one, as `try` and `quick` leave it, compares nothing. already: runs of a
    first plan that had results already, from elsewhere. None where it cannot be told: the earlier plan was stored
    without.
    """
    if before is None or not seen:
        return Registered(known=already)
    kept = before.registered
    if kept is None:
        return None
    if seen == 1:
        changed = _names(before) != _names(now) or bool(_changed_parts(before, now))
        return replace(kept, one=kept.one or changed)
    added: dict[str, tuple[Json, ...]] = {}
    dropped: dict[str, tuple[Json, ...]] = {}
    names_now = _names(now)
    for kind, was in _names(before).items():
        here = names_now[kind]
        later = [*kept.added.get(kind, ()), *(name for name in here if name not in was)]
        gone = [*kept.dropped.get(kind, ()), *(name for name in was if name not in here)]
        added[kind] = tuple(name for name in dict.fromkeys(later) if name in here)
        dropped[kind] = tuple(name for name in dict.fromkeys(gone) if name not in here)
    return Registered(
        known=kept.known,
        added={kind: names for kind, names in added.items() if names},
        dropped={kind: names for kind, names in dropped.items() if names},
        changed=tuple(dict.fromkeys([*kept.changed, *_changed_parts(before, now)])),
        one=kept.one,
    )


def _names(plan: PlanRecord) -> dict[str, list[Json]]:
    return {"tricks": [trick.name for trick in plan.tricks], "seeds": list(plan.seeds)}


def _changed_parts(before: PlanRecord, now: PlanRecord) -> list[str]:
    """What decides, besides tricks and seeds, how a study's results are judged, and is another one now."""
    was, here = _deciding(before), _deciding(now)
    return [part for part in was if was[part] != here[part]]


def _deciding(plan: PlanRecord) -> dict[str, Json]:
    """Looks are declared with the plan, so the seeds that a look adds are no later addition, but other looks are."""
    analysis = {key: value for key, value in plan.analysis.items() if key != "looks"}
    return {"metric": plan.metric, "analysis": analysis, "baseline": plan.baseline, "looks": plan.looks}


SEEDS_ADDED = (
    "Whoever adds seeds by what was seen tests more than once, so the p-values no longer hold (5 % becomes 8 to 15 %); "
    "planned looks (`seeds: {looks: [3, 5, 10]}`) keep them."
)
"""Of two to five looks at 5 % each: 8.3 to 14.2 % (Armitage, McPherson & Rowe 1969; results/error_rates.md)."""


def sentence(registered: Registered | None, runs: int) -> str:
    """`Plan fixed before the first run.`, or what is later than results; empty where it cannot be told."""
    if registered is None:
        return ""
    already = registered.known
    first = f"Plan made when {already} of its {runs} runs had results already, from other studies." if already else ""
    moved = {"added": registered.added, "dropped": registered.dropped}
    parts = [f"{_counted(names)} {how}" for how, names in moved.items() if names]
    parts += [f"{joined(registered.changed)} changed"] if registered.changed else []
    if parts:
        text = f"{first} {joined(parts)} after results were seen.".strip()
        return f"{text} {SEEDS_ADDED}" if "seeds" in registered.added else text
    fixed = "Plan fixed when one run had a result, which compares nothing." if registered.one else ""
    return first or fixed or "Plan fixed before the first run."


def line(registered: Registered | None) -> str:
    """`! metric changed and 1 seed added after results were seen`; empty where nothing limits the claims."""
    if registered is None:
        return ""
    changed = [f"{joined(registered.changed)} changed"] if registered.changed else []
    moved = {"added": registered.added, "dropped": registered.dropped}
    parts = [*changed, *(f"{_counted(names)} {how}" for how, names in moved.items() if names)]
    known = f"! {registered.known} of these runs had results before the plan was made" * bool(registered.known)
    return f"! {joined(parts)} after results were seen" if parts else known


def _counted(names: Mapping[str, Sequence[Json]]) -> str:
    """`2 tricks (a, b) and 5 seeds`."""
    parts = []
    for kind, those in names.items():
        count = f"{len(those)} {kind if len(those) > 1 else kind[:-1]}"
        parts.append(count + (f" ({', '.join(map(str, those[:6]))})" if kind == "tricks" else ""))
    return joined(parts)


def diff(old: PlanRecord, new: PlanRecord) -> list[str]:
    """What a new plan adds, keeps and drops against an old one; [] where nothing."""
    was, now = ({variant.name: variant.asked for variant in plan.variants} for plan in (old, new))
    lines = []
    for kind, before, after in (("variants", list(was), list(now)), ("seeds", list(old.seeds), list(new.seeds))):
        added, dropped = [x for x in after if x not in before], [x for x in before if x not in after]
        parts = [
            f"{len(names)} {what} ({listed(names, most=8)})"
            for what, names in (("added", added), ("dropped", dropped))
            if names
        ]
        if parts:
            parts.insert(len(parts) - bool(dropped), f"{len(after) - len(added)} kept")
            lines.append(f"{kind} since the last run: {', '.join(parts)}.")
    changed = [name for name in now if name in was and now[name] != was[name]]
    if changed:
        lines.append(f"variants that are configured otherwise than in the last run: {listed(changed, most=8)}.")
    return lines


def of_texts(before: str, now: str) -> list[str]:
    """What one text of a study file says and another does not, by dotted key; [] where only comments differ."""
    try:
        was, here = (root.value if (root := _tree(text)) else {} for text in (before, now))
    except StudyError as error:
        return [f"it cannot be read: {error.problems[0].message}"]
    return list(_changed("", was, here))


def name_in(text: str, stem: str) -> str:
    """The name that a study file gives its study: by `study:`, else the file's stem."""
    try:
        root = _tree(text)
    except StudyError:
        return stem
    given = root.value.get("study") if root is not None and isinstance(root.value, dict) else None
    return given if isinstance(given, str) else stem


def _tree(text: str) -> Unfolded | None:
    root, _ = read(text, "", located=False)
    return None if root is None else unfold(root)


# --------------------------------------------------------------------------------------------- what a run is asked


_WORDS = {"seed": "the seed", "threads": "resources.threads", "data": "the data"}


def differences(before: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """`model.width was 16, is 32`; `train.py was edited`; `the data changed`. Empty where both ask for the same."""
    lines: list[str] = []
    for name in sorted({*before, *now}):
        then, here = before.get(name), now.get(name)
        if then == here:
            continue
        if name == "config":
            lines += _changed("", then or {}, here or {})
        elif name == "code":
            lines += _code(then or {}, here or {})
        elif name == "data":
            lines.append("the data changed")
        elif name == "tricks":
            lines.append(f"the tricks were {_tricks(then)}, are {_tricks(here)}")
        else:
            lines.append(f"{_WORDS.get(name, name)} was {_shown(then)}, is {_shown(here)}")
    return lines


def _changed(path: str, before: Json, now: Json) -> Iterator[str]:
    """Leaves that differ, by dotted key."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted({*before, *now}):
            inner = f"{path}.{key}" if path else str(key)
            yield from _changed(inner, before.get(key), now.get(key))
    elif before != now:
        yield f"{path} was {_shown(before)}, is {_shown(now)}"


def _code(before: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    for part in sorted({*before, *now}):
        then, here = before.get(part), now.get(part)
        if then == here:
            continue
        if isinstance(then, int) and isinstance(here, int):
            yield f"ablate's {part.replace(':', ' ')} is version {here}, was {then}"
        elif part in ("task", "executed") and isinstance(then or [], list):
            files = dict(then or [])
            edited = [name for name, sha in here or [] if files.get(name) != sha] or sorted(files)
            yield f"{', '.join(dict.fromkeys(edited))} was edited"
        else:
            yield f"the code of {part.replace(':', ' ')} was edited"


def _tricks(uses: Iterable[Json] | None) -> str:
    return ", ".join(f"{name} {_shown(params)}" if params else name for name, params in uses or ()) or "none"


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
