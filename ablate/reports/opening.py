"""What a report says first, a line a verdict: what helps or hurts by how much, what is no different, what is open.

The rows stand in the table below, so a line has a difference and its interval and no test. Each line has the sign that
its rows have there; after them the best mean, with what is to be held against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ablate.records import Row
from ablate.reports.claims import PLACEBO, Claim
from ablate.reports.document import Bullets, Line, line, strong
from ablate.reports.material import Material, after_tuning, also_of, comparisons, mean_of, names, over_models
from ablate.text import many, number, seeds_in_words

MOST_LINES = 8
"""Decided comparisons with a line of their own, and unstable rows."""
MOST_NAMED = 12
"""Comparisons of one kind that a line names; of more it says how many."""


def in_short(of: Material) -> Bullets:
    """A line for each comparison that is decided, and one for every other kind."""
    told = _placed([one for one in comparisons(of) if one.subject != PLACEBO])
    lines = [
        *_decided(told),
        *_decided(over_models(of)),
        *_decided(after_tuning(of), " on fresh seeds"),
        *_equal(of, told),
        *_open(told),
    ]
    lines += _unstable(of)
    return Bullets(tuple(text for _, text in lines), signs=tuple(sign for sign, _ in lines))


def _placed(told: Sequence[Claim]) -> list[Claim]:
    """Without where they hold, if that is the same for all."""
    places = {one.where for one in told} - {""}
    if len(places) != 1:
        return list(told)
    (place,) = places
    return [replace(one, where="", head=one.head.replace(place, "", 1)) if one.where else one for one in told]


Signed = tuple[str, Line]
"""A verdict, or `unstable`, and what is said under its sign."""


def _decided(told: Sequence[Claim], where: str = "") -> Iterator[Signed]:
    every = [one for verdict in ("helps", "hurts") for one in told if one.verdict == verdict]
    for one in every[:MOST_LINES]:
        after = one.head.removeprefix(one.subject)
        bold = after != one.head and not one.lopsided
        head = line(strong(one.subject), after) if bold else line(one.head)
        never = "; so the network never trains" * one.never
        how = "" if one.how.startswith("in place of") else f"{one.how} "  # the head has said so
        yield one.verdict or "", (*head, *line(f"{where}: {how}{one.amount}{never}"))
    rest = every[MOST_LINES:]
    if rest:
        yield rest[0].verdict or "", line(f"and {len(rest)} more: {_named(rest)}")


def _equal(of: Material, told: Sequence[Claim]) -> Iterator[Signed]:
    named = names(of)
    size = f"no difference as large as ±{number(of.found.measured.metric.minimum_effect or 0.0)}{named.points}"
    for verdict, said in (("equivalent", size), ("inert", "every output is the same bit for bit")):
        same = [one for one in told if one.verdict == verdict]
        if same:
            yield verdict, line(strong(_named(same)), f": {said}")


def _open(told: Sequence[Claim]) -> Iterator[Signed]:
    left = [one for one in told if one.verdict == "inconclusive"]
    corrected = [one for one in left if one.corrected]
    if corrected:
        each = [f"{one.subject}{one.where}, {one.how} {one.amount}" for one in corrected[:MOST_LINES]]
        each += [f"{len(corrected) - MOST_LINES} more"] * (len(corrected) > MOST_LINES)
        why = f" after correction for {many(len(told), 'comparison')}, though the interval leaves out 0: "
        yield "inconclusive", line(strong("Not decided"), why, "; ".join(each))
    for interval in (True, False):
        rest = [one for one in left if one.interval == interval and not one.corrected]
        if rest:
            why = ", the interval holds 0: " if interval else ", there are too few seeds for an interval: "
            yield "inconclusive", line(strong("Not decided"), why, _named(rest))
    missing = [one for one in told if one.verdict is None]
    if missing:
        yield "", line(strong("Not measured"), ": ", _named(missing))


def _at(one: Claim) -> str:
    """Of what a comparison is, where it stands alone: `AdamW in C`, `C in place of A`."""
    return f"{one.subject}{one.where}" + f" {one.how}" * (not one.where and not one.how.startswith("with"))


def _named(told: Sequence[Claim]) -> str:
    """Subjects under where they are: `in A: dropout; in B: dropout, skip connections`; of many, how many."""
    if len(told) > MOST_NAMED:
        largest = sorted(told, key=lambda one: -abs(one.delta))[: MOST_NAMED // 3]
        return f"{len(told)} comparisons; the largest: {', '.join(map(_at, largest))}"
    places: dict[str, list[str]] = {}
    for one in told:
        place = one.where.strip() or (one.how if one.how.startswith("in place") else "")
        whole = f" ({one.variant})" * one.how.startswith("from ")
        places.setdefault(place, []).append(one.subject + whole)
    if len(places) == 1 and not next(iter(places)).startswith("in place"):
        return ", ".join(next(iter(places.values())))
    return "; ".join(f"{place}: {', '.join(subjects)}".removeprefix(": ") for place, subjects in places.items())


def _unstable(of: Material) -> Iterator[Signed]:
    rows = list({row.variant: row for row in of.table.rows if row.collapsed}.values())
    for row in rows[:MOST_LINES]:
        fell = f" is unstable: {seeds_in_words(row.collapsed)} collapsed"
        never = f" never trains: {'all ' * (row.n > 1)}{many(row.n, 'seed')} at chance"
        yield "unstable", line(strong(row.spoken), never if len(row.collapsed) == row.n else fell)
    if len(rows) > MOST_LINES:
        yield "unstable", line(f"and {len(rows) - MOST_LINES} rows more")


# ------------------------------------------------------------------------------------------------------- the best mean


def best(of: Material) -> Line:
    """The best model, where several are compared, else the best mean; what is picked from many is optimistic."""
    row, model = of.best, of.best_model
    if row is None:
        return ()
    metric, untuned = of.table.metric.replace("_", " "), "untuned " * bool(of.found.tuned_rows)
    of_rows = len({one.variant for one in of.table.rows if one.mean is not None})
    if model is None:
        first = f"Best {untuned}mean: {row.spoken}, {metric} {mean_of(of, row)}{also_of(of, row)}"
        return line(strong(first), f"{_picked(of_rows)}{_held(row, of)}.")
    leads = strong(f"Best {untuned}model: {model.variant}, {metric} {mean_of(of, model)}{also_of(of, model)}")
    if row.variant in {one.variant for one in of.models}:
        return line(leads, f"{_picked(len([one for one in of.models if one.mean is not None]))}.")
    far = "a higher" if of.table.better == "higher" else "a lower"
    far = "the same" if row.mean == model.mean else far
    said = f". {row.spoken} has {far} mean, {mean_of(of, row)}: an ablation row{_picked(of_rows)}{_held(row, of)}."
    return line(leads, said)


def _picked(many: int) -> str:
    return f", picked from {many}, so optimistic" * (many > 1)


def _held(row: Row, of: Material) -> str:
    """Whether it is better than what it is compared with."""
    if row.compared_with is None or row.delta is None or row.verdict not in ("inconclusive", None):
        return ""
    one = next(one for one in comparisons(of) if (one.variant, one.compared_with) == (row.variant, row.compared_with))
    return f"; whether it beats {row.compared_with} is not decided, {one.amount}"
