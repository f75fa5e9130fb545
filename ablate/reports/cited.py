"""Numbers of a study by name, for prose: `batchnorm/full-norm/delta`. What `ablate cite` prints, `ablate check` holds.

A reference is STUDY/ROW/QUANTITY. A row is a variant's name; where two designs have it, DESIGN:VARIANT. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from ablate.analysis.results import Results
from ablate.errors import AblateError
from ablate.records import Row
from ablate.tables.views import table_data
from ablate.text import chance, decimals, did_you_mean, fixed, one_of, percent, seeds_in_words

QUANTITIES = {
    "mean": "mean over seeds",
    "sd": "standard deviation over seeds (ddof 1)",
    "mean_sd": "both",
    "n": "runs that count",
    "delta": "mean difference from the row that it is compared with, as the table signs it",
    "size": "the same without its sign, for `loses 3.8 points`",
    "ci": "interval of the difference",
    "p": "p-value, adjusted as in the table",
    "p_raw": "p-value of the row by itself",
    "pairs": "seeds that both have",
    "failed": "failed runs",
    "verdict": "helps, hurts, equivalent, inconclusive or inert",
}
"""What a row has; further metrics by their names, and NAME_sd. Of the study itself (row `*`): runs, variants, seeds."""

WHOLE = "*"
"""The row that stands for the study itself."""


@dataclass(frozen=True)
class Reference:
    study: str
    row: str
    quantity: str

    @classmethod
    def of(cls, text: str) -> Reference:
        """ValueError where it is no STUDY/ROW/QUANTITY."""
        study, _, rest = unquote(text.strip()).partition("/")
        row, _, quantity = rest.rpartition("/")
        if not (study and row and quantity):
            raise ValueError(text)
        return cls(study, row, quantity)

    def __str__(self) -> str:
        """With what LaTeX or an HTML comment would take for its own as %XX."""
        return re.sub(r"[%#{}\\~^&$<>\n]", lambda m: f"%{ord(m[0]):02X}", f"{self.study}/{self.row}/{self.quantity}")


@dataclass(frozen=True)
class Known:
    """What the database has. values: one number, two of an interval or of mean and sd, none of a word; empty too where
    n forbids the number, and `why` says so. shown: as a table shows it. behind: the runs that it comes from, in
    words. unit: "%" where its numbers are."""

    shown: str
    values: tuple[float, ...]
    behind: str
    unit: str = ""
    why: str = ""
    bound: bool = False
    """Whether it is a p-value, which may be shown as a bound."""
    percent: tuple[int, ...] = (1, 100)
    """What its numbers are multiplied by where a text gives them in percent; none: they are no shares."""


def known(results: Results, of: Reference) -> Known:
    """AblateError where the study has no such row or quantity."""
    results = _in_setting(results, of.row)
    return _of_study(results, of) if of.row == WHOLE else _of_row(results, of)


def _in_setting(results: Results, name: str) -> Results:
    """Of several settings the one that a row stands in: its name begins with it. AblateError where it does not."""
    if not results.settings or name == WHOLE:
        return results
    setting = name.rpartition(":")[2].partition("/")[0]
    if setting not in results.settings:
        first = next(row.variant for row in results.rows)
        raise AblateError(
            f"{results.study} has several settings, and a number that is cited stands in one: name the row with it, "
            f"such as {first}."
        )
    return results.settings[setting]


def rows_named(results: Results, name: str) -> list[Row]:
    """Rows by variant, DESIGN:VARIANT or label."""
    rows = table_data(results).rows
    design, _, variant = name.partition(":")
    setting, slash, label = name.partition("/")
    for wanted in (
        [row for row in rows if row.variant == name],
        [row for row in rows if (row.design, row.variant) == (design, variant)],
        [row for row in rows if name in _labels(row)],
        [row for row in rows if label in _labels(row) and row.variant.startswith(f"{setting}{slash}")],
    ):
        if wanted:
            return wanted
    return []


def _labels(row: Row) -> tuple[str, ...]:
    return row.label, row.label.removeprefix("- "), row.label.removeprefix("+ ")


def reference(results: Results, name: str, quantity: str) -> Reference:
    """The reference for what a person calls a row, with the design where the variant alone would not tell."""
    results = _in_setting(results, name)
    if name == WHOLE:
        return Reference(results.study, WHOLE, quantity)
    row = _row(results, name, quantity)
    alone = rows_named(results, row.variant)
    plain = len({_value_of(one, quantity) for one in alone}) == 1 and alone[0].variant == row.variant
    return Reference(results.study, row.variant if plain else f"{row.design}:{row.variant}", quantity)


def _row(results: Results, name: str, quantity: str) -> Row:
    """AblateError where no row is called so, or several whose quantity differs."""
    found = rows_named(results, name)
    if not found:
        rows = table_data(results).rows
        names = list(dict.fromkeys(row.variant for row in rows))
        near = did_you_mean(name, [*names, *(label for row in rows for label in _labels(row))])
        raise AblateError(f"{results.study}: no row is called {name!r}; there is {one_of(names)}.{near}")
    apart = {_value_of(row, quantity) for row in found}
    compared = [row for row in found if row.compared_with is not None]
    if len(apart) > 1 and len({_value_of(row, quantity) for row in compared}) > 1:
        variants = dict.fromkeys(row.variant for row in compared)
        if len(variants) == len(compared):
            raise AblateError(f"{results.study} has several rows {name!r}; name one of them: {one_of(variants)}.")
        which = one_of(f"{row.design}:{row.variant}" for row in compared)
        raise AblateError(f"{results.study} has {name!r} in several designs, with another {quantity} in each: {which}.")
    return (compared or found)[0]


def _value_of(row: Row, quantity: str) -> object:
    numbers = {
        "sd": (row.std,), "mean_sd": (row.mean, row.std), "size": (None if row.delta is None else abs(row.delta),),
        "ci": _interval(row), "p": (row.p_adjusted,), "p_raw": (row.p,), "verdict": row.judged,
    }  # fmt: skip
    if quantity in numbers:
        return numbers[quantity]
    if quantity in QUANTITIES:
        return (getattr(row, quantity),)
    name = quantity.removesuffix("_sd") if quantity not in row.also else quantity
    if name not in row.also:
        every = [*QUANTITIES, *row.also]
        raise AblateError(
            f"no quantity is called {quantity!r}; there is {one_of(every)}.{did_you_mean(quantity, every)}"
        )
    return (row.also[name].std if name != quantity else row.also[name].mean,)


def _interval(row: Row) -> tuple[float | None, float | None]:
    if row.delta_ci_low is None and row.pairs == 2:
        return row.delta_low, row.delta_high
    return row.delta_ci_low, row.delta_ci_high


def _of_row(results: Results, of: Reference) -> Known:
    row = _row(results, of.row, of.quantity)
    value = _value_of(row, of.quantity)
    behind = _behind(results, row, compared=of.quantity in ("delta", "size", "ci", "p", "p_raw", "pairs", "verdict"))
    if isinstance(value, str):
        return Known(value, (), behind, why="" if value else _why(row))
    assert isinstance(value, tuple), "a word or numbers"
    numbers = tuple(float(number) for number in value if number is not None)
    if len(numbers) < len(value):
        return Known("", (), behind, why=_why(row))
    data = table_data(results)
    name = of.quantity.removesuffix("_sd") if of.quantity.removesuffix("_sd") in row.also else data.metric
    chances, counts = of.quantity in ("p", "p_raw"), of.quantity in ("n", "pairs", "failed")
    unit = "" if chances or counts else data.units.get(name, "")
    means = [row.mean if name == data.metric else row.also[name].mean for row in data.rows]
    shares = chances or all(0 <= mean <= 1 for mean in means if mean is not None)
    percent = () if counts else (100,) if shares else (1,)
    shown = _shown(data.rows, of.quantity, name, numbers)
    return Known(shown, numbers, behind, unit, bound=chances, percent=percent)


def _why(row: Row) -> str:
    if row.compared_with is None:
        return "it is compared with nothing"
    return f"n = {row.n}, pairs = {row.pairs}: too few for that" if min(row.n, row.pairs) < 3 else "there is none"


def _shown(rows: Sequence[Row], quantity: str, metric: str, values: Sequence[float]) -> str:
    if quantity in ("p", "p_raw"):
        return chance(values[0])
    if quantity in ("n", "pairs", "failed"):
        return f"{values[0]:.0f}"
    if quantity in QUANTITIES:
        digits = decimals((row.std for row in rows), (row.mean for row in rows))
    else:
        also = [row.also[metric] for row in rows if metric in row.also]
        digits = decimals((value.std for value in also), (value.mean for value in also))
    signed = quantity in ("delta", "ci")
    between = " ± " if quantity == "mean_sd" else " to "
    return between.join(fixed(value, digits, sign=signed) for value in values)


def _behind(results: Results, row: Row, *, compared: bool) -> str:
    """`10 runs of full-norm (seeds 300 to 309) against full`: which to look at with `ablate show`."""
    seeds = sorted(cell.seed for cell in results.cells if cell.variant == row.variant and cell.state == "done")
    if row in results.tuned_rows and results.confirmed is not None:
        seeds = sorted(results.confirmed.seeds)
    runs = f"{row.n} run{'s' * (row.n != 1)} of {row.variant}" + (f" ({seeds_in_words(seeds)})" if seeds else "")
    if not compared or row.compared_with is None:
        return runs
    sure = f", {percent(row.confidence)} interval" if row.delta_ci_low is not None else ""
    return f"{runs} against {row.compared_with}, {row.pairs} pairs{sure}"


def _counts(results: Results) -> dict[str, int]:
    return {
        "runs": len({cell.run for cell in results.cells if cell.state == "done"}),
        "variants": len(results.record.variants),
        "seeds": len(results.record.seeds),
        "failed": len({cell.run for cell in results.cells if cell.state == "failed"}),
    }


def _of_study(results: Results, of: Reference) -> Known:
    numbers = _counts(results)
    if of.quantity not in numbers:
        raise AblateError(
            f"the study itself ({WHOLE}) has no {of.quantity!r}; there is {one_of(numbers)}."
            f"{did_you_mean(of.quantity, numbers)}"
        )
    value = numbers[of.quantity]
    return Known(str(value), (float(value),), f"all runs of {results.study}")


def in_latex(of: Reference, shown: str) -> str:
    number = shown.replace(" ± ", r" $\pm$ ")
    return f"\\ablate{{{of}}}{{{number}}}"


def in_markdown(of: Reference, shown: str) -> str:
    return f"{shown}<!-- ablate: {of} -->"


MACRO = r"\providecommand{\ablate}[2]{#2} % numbers that `ablate check` holds against the database"


def quantities(results: Results, name: str) -> str:
    """Every quantity of a row with its value and what it is, a line each. AblateError where there is no such row."""
    if name == WHOLE:
        meanings = dict.fromkeys(_counts(results), "")
    else:
        _row(_in_setting(results, name), name, "n")
        also = {key: f"mean of {metric}" * (key == metric) for metric in results.record.also for key in _named(metric)}
        meanings = {**QUANTITIES, **also}
    shown = {quantity: _listed(results, name, quantity) for quantity in meanings}
    wide, wider = max(map(len, shown)), max(map(len, shown.values()))
    lines = (f"  {key:<{wide}}  {value:<{wider}}  {meanings[key]}".rstrip() for key, value in shown.items())
    return "\n".join(lines)


def rows_in_words(results: Results) -> str:
    """Every row that can be cited, with its label where that is another name, a line each."""
    of = results.settings or {"": results}
    rows = [row for part in of.values() for row in table_data(part).rows]
    named = {row.variant: row.label for row in rows} | {WHOLE: "the study itself"}
    wide = max(map(len, named))
    return "\n".join(f"  {name:<{wide}}  {label if label != name else ''}".rstrip() for name, label in named.items())


def _named(metric: str) -> tuple[str, str]:
    return metric, f"{metric}_sd"


def _listed(results: Results, name: str, quantity: str) -> str:
    try:
        found = known(results, reference(results, name, quantity))
    except AblateError:  # the row is there: several designs have it, each with another value
        return "(name DESIGN:VARIANT)"
    return found.shown or "-"
