"""The noise floor of a study: what executing its runs again, with the same seeds, changed (`ablate verify`). Pure.

Kept with the provenance of the result that counts, so it needs no table of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablate.records import Json, Metric, Row
from ablate.text import Note, listed

VERDICTS = ("bit-identical", "rounding-level", "different")
"""How a rerun may come out, from best to worst."""


def merged(
    before: Json, verdict: str, elsewhere: bool, end: Mapping[str, float], any_step: Mapping[str, float]
) -> Json:
    """What to keep of a run's reruns: how many, the worst verdict, the largest difference of each metric.

    before: what was kept so far, or None. elsewhere: this rerun was on another kind of machine or of libraries. end,
    any_step: the difference of each metric that differs, at the end and at any step.
    """
    kept = before or {"times": 0, "verdict": VERDICTS[0], "elsewhere": False, "end": {}, "any_step": {}}
    return {
        "times": kept["times"] + 1,
        "verdict": max(kept["verdict"], verdict, key=VERDICTS.index),
        "elsewhere": kept["elsewhere"] or elsewhere,
        "end": _largest(kept["end"], end),
        "any_step": _largest(kept["any_step"], any_step),
    }


def _largest(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: max(one.get(name, 0.0), other.get(name, 0.0)) for name in sorted({*one, *other})}


def sentences(reruns: Sequence[Mapping[str, Json]], metric: Metric, rows: Sequence[Row]) -> list[str]:
    """What the reruns of a study's runs say under its table; [] where none was executed again."""
    if not reruns:
        return []
    same = sum(rerun["verdict"] == VERDICTS[0] for rerun in reruns)
    where = " (some on another machine or with other libraries)" if any(rerun["elsewhere"] for rerun in reruns) else ""
    if same == len(reruns):
        return [Note(f"Noise floor: {_runs(same)} executed again, and came out bit-identical{where}.")]
    at = "end" if metric.at == "last" else "any_step"
    apart = max(float(rerun[at].get(metric.name, 0.0)) for rerun in reruns)
    far = f"by up to {apart:.3g}" if apart else "not at all"
    sentence = (
        f"Noise floor: {_runs(len(reruns))} executed again{where}; {same} came out bit-identical, and {metric.name} "
        f"differed {far}{'' if at == 'end' else ' at any step'}."
    )
    line = f"! noise floor: executed again, {metric.name} differed {far}"
    below = [row.variant for row in rows if row.delta is not None and not row.identical and abs(row.delta) < apart]
    if below:
        sentence += f" That is more than the difference of {listed(below, most=6)}."
        line += f", more than the difference of {listed(below, most=3)}"
    return [Note(sentence, line)]


def of_run(rerun: Mapping[str, Json]) -> str:
    """What `ablate show` says of one run's reruns: `executed again once: different: acc by up to 0.2`."""
    times = "once" if rerun["times"] == 1 else f"{rerun['times']} times"
    apart = ", ".join(f"{name} by up to {far:.3g}" for name, far in rerun["end"].items())
    return f"executed again {times}: {rerun['verdict']}" + (f": {apart}" if apart else "")


def _runs(count: int) -> str:
    return "1 run was" if count == 1 else f"{count} runs were"
