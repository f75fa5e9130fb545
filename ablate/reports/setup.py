"""How runs were set up, as a reviewer asks: every setting, what was searched and how it was chosen."""

from __future__ import annotations

from ablate.errors import StudyError
from ablate.records import Json
from ablate.reports.grounds import TODO, Ground, command_of, study_command
from ablate.reports.material import Material
from ablate.study import changes, yaml_file
from ablate.study.cells import leaves
from ablate.text import in_words, many, one_of, seeds_in_words


def settings(of: Material) -> Ground:
    """Whether every setting that was used is listed."""
    if of.found.record.imported is not None:
        return Ground(TODO, "[TODO: the runs were trained elsewhere; list their settings]")
    text = (
        "Every setting of every variant is listed in the appendix of settings; the study file is part of the evidence."
    )
    where = f"ablate table {study_command(of)} --view configurations"
    if of.found.record.facts.pairs:
        return Ground("Yes", f"{text}{_shared(of)}", where)
    command = command_of(of)
    told = f" Each run executes `{command}` with the options that its settings give." if command else ""
    return Ground(
        "Partial", f"{text}{told} [TODO: list what your own code fixes and the study file does not name]", where
    )


_SECTIONS = ("optimizer", "schedule", "epochs", "batch_size", "loop")


def _shared(of: Material) -> str:
    """How training goes, in the settings that all variants have, and in which sections they differ."""
    every = [{key: value for _, key, value in leaves(variant.config)} for variant in of.found.record.variants]
    keys = [key for key in every[0] if key.partition(".")[0] in _SECTIONS]
    same = [key for key in keys if all(key in one and one[key] == every[0][key] for one in every)]
    said = f" The same in all: {', '.join(f'{key} {_shown(every[0][key])}' for key in same)}." if same else ""
    apart = {key: dict.fromkeys(_shown(one[key]) for one in every if key in one) for key in keys if key not in same}
    differ = [f"{key} {one_of(values)}" for key, values in apart.items() if 1 < len(values) <= MOST_VALUES]
    return said + f" By variant: {'; '.join(differ)}." * bool(differ)


MOST_VALUES = 6
"""Of a setting more are not listed one by one; the appendix has them."""


def search(of: Material) -> Ground:
    """What was searched: ranges, trials, how the winner was chosen."""
    entries = of.found.record.tuned
    if of.found.record.imported is not None:
        return Ground(TODO, "[TODO: say what was searched, for the runs were trained elsewhere]")
    if not entries:
        if of.tuned:
            return Ground("Partial", "A search was begun and is not finished. [TODO: finish `ablate tune`]")
        fixed = changes.sentence(of.found.record.registered, len({cell.run for cell in of.found.cells}))
        said = f"No hyperparameter was searched by ablate. {fixed}".strip()
        return Ground(
            "NA",
            f"{said} [TODO: say where the values come from]",
            f"ablate table {study_command(of)} --view configurations",
        )
    ranges = _ranges(of.text)
    parts = [
        f"{entry.variant}: {entry.trials} trials by {entry.sampler} on {seeds_in_words(entry.seeds)}, "
        f"{many(entry.runs, 'run')}; chosen by the best {of.table.metric} ({entry.value:.4g}), then "
        f"trained anew on fresh {seeds_in_words(entry.fresh)}: "
        + ", ".join(f"{key} {_shown(value)}" for key, value in entry.settings.items())
        for entry in entries
    ]
    return Ground("Yes", f"Searched: {ranges}. {'; '.join(parts)}.", f"ablate plot {study_command(of)} --figure tuning")


def _ranges(text: str) -> str:
    """The space as the study file writes it."""
    try:
        root, _ = yaml_file.read(text, "study", located=False)
    except StudyError:
        return "[TODO: the ranges; the stored study file cannot be read]"
    space = (yaml_file.unfold(root).value.get("tune") or {}).get("space", {}) if root is not None else {}
    return "; ".join(f"{key} {_range(of)}" for key, of in space.items()) or "[TODO: the ranges]"


def _range(of: Json) -> str:
    if isinstance(of, dict) and "low" in of:
        return f"{_shown(of['low'])} to {_shown(of['high'])}" + (", on a log scale" if of.get("log") else "")
    choices = of.get("choices", of) if isinstance(of, dict) else of
    return f"one of {in_words([_shown(value) for value in choices])}" if isinstance(choices, list) else str(choices)


def _shown(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def setup_and_search(of: Material) -> Ground:
    """Settings, ranges and the best values in one."""
    one, other = settings(of), search(of)
    return Ground(one.answer, f"{one.because} {other.because}", one.evidence)
