"""`table --view configurations`: every variant's settings, in the columns that differ; an appendix of a paper."""

from __future__ import annotations

import json
from dataclasses import replace

from ablate.analysis.results import Results
from ablate.errors import AblateError
from ablate.records import Json
from ablate.study.cells import leaves
from ablate.study.record import VariantRecord
from ablate.tables.factorials import Shown, made
from ablate.tables.table import ViewData
from ablate.text import listed

_NOWHERE = object()
HIDDEN = ("data.root", "data.cache")
"""Where files lie on one machine is no setting."""


def configurations_view(results: Results) -> ViewData:
    """A row a variant, a column for each key that is not the same in all. AblateError where runs came from a file."""
    if results.record.imported is not None:
        raise AblateError(f"{results.study} was imported: the file has no settings of its runs.", page="importing")
    of = {variant.name: settings_of(variant) for variant in results.record.variants}
    keys = list(dict.fromkeys(key for settings in of.values() for key in settings))
    first = next(iter(of.values()))
    differ = [
        key for key in keys if any(shown(s.get(key, _NOWHERE)) != shown(first.get(key, _NOWHERE)) for s in of.values())
    ]
    columns = [("variant", False), *((key, False) for key in differ)]
    rows: list[Shown] = [
        (name, *(shown(settings.get(key, _NOWHERE)) for key in differ)) for name, settings in of.items()
    ]
    records: list[dict[str, Json]] = [{"variant": name, "settings": settings} for name, settings in of.items()]
    same = [f"{key} {shown(first[key])}" for key in keys if key not in differ and key in first]
    notes = [f"The same in all: {listed(same, '; ', most=200)}."] if same else []
    seeds = ", ".join(map(str, results.record.seeds))
    notes.append(f"Seeds: {seeds}. A dash: the variant has no such key.")
    view = made(results, "configurations", "configuration of every variant", columns, rows, records, notes)
    return replace(view, long=True)


def settings_of(variant: VariantRecord) -> dict[str, Json]:
    """Every key of a variant's configuration, and of every trick file that it uses its parameters."""
    settings = {key: value for _, key, value in leaves(variant.config) if key not in HIDDEN}
    for use in variant.uses:
        settings[use.name] = True
        settings |= {f"{use.name}.{key}": value for _, key, value in leaves(use.params)}
    return settings


def shown(value: object) -> str:
    """A setting's value as people write it, to its last digit."""
    if value is _NOWHERE:
        return "–"
    if value is True:
        return "yes"
    if value is False:
        return "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)  # a setting is what was asked, to its last digit
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "empty"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
