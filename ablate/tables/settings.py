"""The table of a study in several settings: a row a trick, a column a setting, and their mean."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ablate.analysis.across import LIKE_THESE
from ablate.analysis.comparisons import ALPHA, MINIMUM_N
from ablate.analysis.results import Results
from ablate.analysis.settings import Over, Together
from ablate.errors import AblateError
from ablate.records import Json, Row
from ablate.tables.factorials import Shown, made
from ablate.tables.notes import apart
from ablate.tables.table import Chance, Measure, ViewData
from ablate.text import chance, decimals, fixed, listed, many, percent

MARKS = {"helps": "✓", "hurts": "✗", "equivalent": "=", "inert": "inert"}
"""Of a setting's own verdict."""


def settings_view(results: Results) -> ViewData:
    """AblateError where the study has one setting alone."""
    over = several_settings(results)
    measured = results.measured
    several = len({row.design for row in over.rows}) > 1
    names, count = over.settings, len(over.settings)
    sure = percent(1 - measured.alpha)
    unit = results.record.facts.unit(measured.metric.name)
    like = any(row.like is not None for row in over.rows)
    mean = "z" if over.how == "standardised" else f"mean ({sure} CI)"
    columns = [("trick", False), *([("design", False)] * several), *((name, True) for name in names)]
    columns += [(mean, True), ("p (Holm)", True), ("verdict", False), *([(f"like these ({sure} CI)", True)] * like)]
    rows: list[Shown] = []
    for design in dict.fromkeys(row.design for row in over.rows):
        rows += [_reference(results, row, several, like) for row in _references(results, design)]
        rows += [_shown(row, names, several, like) for row in over.rows if row.design == design]
    data = made(
        results, "settings", f"{many(count, 'setting')}, by {measured.metric.name}", columns, rows,
        [_record(row) for row in over.rows], [*_sentences(results, over)],
    )  # fmt: skip
    start = 1 + several
    arrow = "↑" if measured.metric.better == "higher" else "↓"
    titles = [(f"Δ {measured.metric.name}{f' ({unit})' if unit else ''} {arrow}", start, count)]
    more: dict[str, Json] = {
        "settings": list(names), "how": over.how, "why_no_mean": over.why,
        "speaks_of": "seeds" if over.seeds_only else "seeds_and_examples", "speaks_of_why": over.seeds_only,
        "share_examples": [list(group) for group in over.sharing],
    }  # fmt: skip
    return ViewData(**{**vars(data), "spans": tuple(titles), "key": "rows", "more": more})


def several_settings(results: Results) -> Over:
    """The rows over its settings. AblateError where the study has one alone."""
    if not results.settings:
        raise AblateError(
            f"{results.study} has one setting; list several under `across:` in its file.", page="several-settings"
        )
    return results.over


def _references(results: Results, design: str) -> list[tuple[str, dict[str, Row]]]:
    """What the rows of a design are compared with: its name across settings, and its row in each."""
    found: dict[str, dict[str, Row]] = {}
    for setting, part in results.settings.items():
        for asked, row in zip(part.measured.asked, part.rows, strict=True):
            if row.compared_with is None and row.design == design:
                found.setdefault(asked.across, {})[setting] = row
    return list(found.items())


def _reference(results: Results, reference: tuple[str, dict[str, Row]], several: bool, like: bool) -> Shown:
    """Its mean and spread in each setting."""
    _, there = reference
    digits = decimals((row.std for row in there.values()), (row.mean for row in there.values()))
    first = next(iter(there.values()))
    cells = [_mean(there.get(name), digits) for name in results.settings]
    return (first.label, *([first.design] * several), *cells, "", "", "", *([""] * like))


def _mean(row: Row | None, digits: int) -> str:
    if row is None or row.mean is None:
        return "–"
    spread = f" ± {fixed(row.std, digits)}" if row.std is not None and row.n >= MINIMUM_N else f" (n={row.n})"
    return fixed(row.mean, digits) + spread


def _shown(row: Together, names: Sequence[str], several: bool, like: bool) -> Shown:
    cells = [_cell(row.cells.get(name)) for name in names]
    whole = Measure(row.z) if row.z is not None else Measure(row.delta, row.ci_low, row.ci_high, bold=_established(row))
    further = [
        Measure(None) if row.like is None
        else Measure(row.delta, row.like.ci_low, row.like.ci_high, bold=row.like.p_adjusted < ALPHA)
    ]  # fmt: skip
    verdict = Measure(None) if row.verdict is None else row.judged
    return (
        row.name + " ‡" * row.several, *([row.design] * several), *cells, whole, Chance(row.p_adjusted, "–"),
        verdict if isinstance(verdict, str) else "–", *(further * like),
    )  # fmt: skip


def _established(row: Together) -> bool:
    return row.verdict in ("helps", "hurts")


def _cell(row: Row | None) -> Measure:
    if row is None or row.delta is None:
        return Measure(None)
    mark = f"({MARKS[row.only_here]})" if row.only_here else MARKS.get(row.verdict or "", "")
    counted = "" if row.n == row.planned else f"{row.n}/{row.planned}"
    return Measure(row.delta, mark=" ".join(part for part in (mark + "†" * bool(row.failed), counted) if part))


# -------------------------------------------------------------------------------------------------------------- records


def _record(row: Together) -> dict[str, Json]:
    """A row as JSON has it; what it is in each setting as `table --setting NAME --format json`, in short."""
    first = next(iter(row.cells.values()))
    fields = ("variant", "compared_with", "n", "planned", "pairs", "delta", "delta_ci_low", "delta_ci_high", "p",
              "p_adjusted", "verdict")  # fmt: skip
    mean = ("delta", "ci_low", "ci_high", "df", "p", "p_adjusted", "p_equivalent", "equivalence_ci_low",
            "equivalence_ci_high", "z", "verdict", "tau", "p_same")  # fmt: skip
    return {
        "design": row.design,
        "row": row.name,
        "differs": list(first.differs),
        "settings": {name: {field: getattr(cell, field) for field in fields} for name, cell in row.cells.items()},
        "mean": {field: getattr(row, field) for field in mean},
        "here": None if row.here is None else dict(vars(row.here)),
        "like_these": None if row.like is None else dict(vars(row.like)),
        "missing": [{"setting": name, "why": why} for name, why in row.missing.items()],
        "opposite": list(row.opposite),
        "heaviest": None if row.heaviest is None else row.heaviest[0],
        "heaviest_share": None if row.heaviest is None else row.heaviest[1],
    }


# ------------------------------------------------------------------------------------------------------------ sentences


def _sentences(results: Results, over: Over) -> Iterator[str]:
    count, rows = len(over.settings), over.rows
    measured = results.measured
    seeds = {row.pairs for part in results.settings.values() for row in part.rows if row.pairs}
    n = f"{min(seeds)}" if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}" if seeds else "0"
    yield (
        f"A setting's column has the mean difference over shared seeds (n = {n}) there; ✓ helps, ✗ hurts, = "
        f"equivalent, in brackets on these examples alone: its own verdict, by Holm over that column, as table "
        f"--setting NAME has it with its interval. What rows are compared with has its mean ± standard deviation."
    )
    yield from _how(over)
    if not over.why and over.how != "standardised":
        yield from _speaks(results, over)
    yield from _like(over, count)
    yield from _heterogeneity(over)
    yield from _twice(results, over)
    missing = [f"{row.name}: {name}, for {why}" for row in rows for name, why in row.missing.items()]
    if missing:
        yield f"No mean, for a setting is missing: {listed(missing, '; ', most=8)}."
    flat = [row.name for row in rows if not row.missing and row.delta is not None and row.p is None and row.verdict]
    if flat and over.how == "mean":
        yield (
            f"No p of the mean: in some setting the differences are equal or fewer than {MINIMUM_N} ({listed(flat)})."
        )
    if any(row.several for row in rows):
        yield "‡ differs from its comparison by several tricks: the verdict is about them together."
    if measured.metric.minimum_effect is None:
        yield "Without a minimum_effect in the study nothing can be called equivalent."
    if results.record.left_out:
        yield f"Left out: {listed((why.rstrip('.') for why in results.record.left_out), '; ')}."


def _how(over: Over) -> Iterator[str]:
    family = f"{many(sum(over.families.values()), 'row')}{apart(over.families)}"
    if over.why:
        yield f"There is no mean: {over.why}."
    elif over.how == "standardised":
        yield (
            "z: each setting's own p as a standard normal value on its side of 0, summed and divided by the root of "
            f"their number (Stouffer); p by Holm over the {family}. A verdict reads: better in these settings "
            "taken together. It needs no unit in common and says nothing of how large an effect is."
        )
    elif over.how == "reml":
        yield (
            "mean: by REML with Hartung and Knapp's interval (analysis: {across: reml}), of settings like these; p "
            f"by Holm over the {family}. With 3 or 5 seeds a setting a single such test at 5 % errs in up to 13 % "
            "of studies (results/error_rates.md), for it takes each setting's spread as known."
        )
    else:
        yield (
            "mean: in these settings, on average: of the settings' differences, each with the same weight, by the "
            "settings' own spreads and with the smaller of two degrees of freedom, from the row's own variances and "
            f"from the averages over rows; p by Holm over the {family}. Bold: its verdict survives that."
        )


def _speaks(results: Results, over: Over) -> Iterator[str]:
    word = results.record.facts.example or "example"
    if over.seeds_only:
        yield f"The mean speaks of other seeds on these same {word}s: {over.seeds_only}."
        return
    how = (
        f"each setting's variance has what its {word}s add"
        if over.how == "reml"
        else f"p is the largest of three tests, over seeds, over {word}s and over both, the interval the widest"
    )
    yield f"The mean speaks of other seeds and of other {word}s like these: {how}."
    for group in over.sharing:
        yield f"{listed(group)} share {word}s: their differences are averaged for each of them first."


def _like(over: Over, count: int) -> Iterator[str]:
    if over.how != "mean" or over.why:
        return
    if count < LIKE_THESE:
        yield (
            f"The mean speaks of these {count} settings and of no others: {LIKE_THESE} or more would give an interval "
            f"for settings like these."
        )
        return
    ranges = [
        f"{row.name} {fixed(row.like.next_low, digits, sign=True)} to {fixed(row.like.next_high, digits, sign=True)}"
        for digits in [decimals(row.like.next_high - row.like.next_low for row in over.rows if row.like)]
        for row in over.rows
        if row.like
    ]
    of = " measured on these same examples" * bool(over.sharing)
    yield (
        f"like these: of settings like these{of}, by a t over the {count} differences ({count - 1} degrees of "
        f"freedom); bold where p by Holm is below {ALPHA}. A further setting's difference would lie, in 95 % of cases: "
        f"{listed(ranges, '; ')}."
    )


def _heterogeneity(over: Over) -> Iterator[str]:
    heavy: dict[str, list[str]] = {}
    for row in over.rows:
        if row.heaviest:
            heavy.setdefault(row.heaviest[0], []).append(f"{row.name} {percent(round(row.heaviest[1], 2))}")
    for setting, of in heavy.items():
        yield f"{setting} carries more than half of the mean's variance: {listed(of)}."
    opposite = [f"{row.name} in {listed(row.opposite)}" for row in over.rows if row.opposite]
    if opposite:
        yield f"On the other side of 0 than their mean: {listed(opposite, '; ')}."
    tau = [(row.name, row.tau) for row in over.rows if row.tau is not None]
    if tau:
        digits = decimals(value for _, value in tau)
        said = listed((f"{name} {fixed(value, digits)}" for name, value in tau), most=12)
        yield f"Standard deviation of the true differences over settings, by REML, as a description: {said}."
    same = [f"{row.name} {chance(row.p_same)}" for row in over.rows if row.p_same is not None]
    if same:
        yield f"p that a trick makes the same difference in every setting (Welch's F, not adjusted): {listed(same)}."
    elif over.how == "mean" and not over.why and any(row.tau is not None for row in over.rows):
        yield (
            f"With {over.seeds} seeds in each of {len(over.settings)} settings no test of whether the differences are "
            f"the same holds its level, so none is printed."
        )


def _twice(results: Results, over: Over) -> Iterator[str]:
    """Rows that are the very same runs in two settings."""
    keys: dict[str, set[str]] = {}
    for cell in results.cells:
        keys.setdefault(cell.variant, set()).add(cell.run)
    found: dict[str, list[str]] = {}
    for row in over.rows:
        for one, other in itertools.combinations(row.cells, 2):
            if keys.get(row.cells[one].variant) == keys.get(row.cells[other].variant):
                found.setdefault(f"{one} and {other}", []).append(row.name)
    for pair, names in found.items():
        why = "they are counted twice, and the mean's interval is too narrow"
        yield f"{pair} are the same runs for {listed(names)}: {why}."
