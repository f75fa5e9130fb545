"""`ablate tune --apply FILE`: the study file once more, with the settings that won written where they were set.

Comments and layout stay. A key that a trick of the variant sets is changed in the trick, any other in the base.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablate.analysis import results, tuned
from ablate.errors import AblateError
from ablate.records import Cell, Json, Row, Study
from ablate.runs.planned import Planned
from ablate.store.store import Store
from ablate.study import cells, search
from ablate.study.yaml_file import Trail, edited
from ablate.text import did_you_mean, one_of


def applied(planned: Planned, db: str, variant: str | None) -> tuple[str, str]:
    """The text of the study as it was tuned, and what fresh seeds say of these settings. variant: whose search, where
    there are several. AblateError where nothing was tuned."""
    study = planned.study
    with Store.open(db) as store:
        stored = store.study(study.name)
        rows = () if stored is None else results.table_data(results.load(store, study.name)).rows
    entries = tuned.split(stored.resolved)[0] if stored is not None else []
    chosen = [entry for entry in entries if variant in (None, search.BEST, entry["variant"])]
    names = [entry["variant"] for entry in entries]
    if not chosen:
        found = f"{one_of(names)} was tuned, not {variant!r}" if names else "nothing of it, as it is now, was tuned"
        raise AblateError(f"{study.name}: {found}; `ablate tune` searches.{did_you_mean(variant or '', names)}")
    if len(chosen) > 1:
        raise AblateError(f"{one_of(names)} were tuned; say with --variant whose settings to write.")
    (entry,) = chosen
    cell = planned.plan.variant(entry["variant"]).cell
    changes: dict[Trail, Json] = {("study",): f"{study.name[:58]}-tuned"}
    for key, value in entry["settings"].items():
        changes[_place(study, cell, key)] = value
    given = f", with --set {' --set '.join(planned.overrides)}" if planned.overrides else ""
    note = f"As tuned: trial {entry['trial']} of {entry['trials']} on {entry['variant']} of {study.name}{given}."
    return edited(study.text, changes, "base", note), _verdict(rows, entry["variant"], study.metric.name)


def _verdict(rows: Sequence[Row], variant: str, metric: str) -> str:
    """`On fresh seeds A (tuned) has score 0.93, untuned 0.91 (n=5): helps.`"""
    found = {row.variant: row for row in rows if row.design == tuned.TUNED}
    ours, own = found.get(tuned.tuned_name(variant)), found.get(tuned.untuned_name(variant))
    if ours is None or own is None or ours.mean is None or own.mean is None:
        return "These settings were not tried on fresh seeds yet; `ablate tune` does that."
    verdict = f": {ours.verdict}" if ours.verdict else ""
    return f"On fresh seeds {ours.variant} has {metric} {ours.mean:.5g}, untuned {own.mean:.5g} (n={ours.n}){verdict}."


def _place(study: Study, cell: Cell, key: str) -> Trail:
    """Where the study sets a key of the space for this variant: in the last trick that writes it, else in the base."""
    of_trick = search.trick_of(study, key)
    for place, level in reversed(list(study.on(cell))):
        if of_trick is not None and of_trick[0] == place[1]:
            return (*place, "with", of_trick[1])
        if of_trick is None and cells.writes_to(level.set, key):
            return (*place, "set", key)
    changed = next((v for v in study.variants if cell.of == v.name and cells.writes_to(v.set, key)), None)
    return ("variants", changed.name, "set", key) if changed is not None else ("base", key)
