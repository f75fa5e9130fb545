"""What a line of an imported file says of its run: its numbers as people write them, or that there is none and why."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ablate.analysis.arrays import count_name, spread_name
from ablate.records import Reason
from ablate.runs.columns import Columns
from ablate.runs.csv_file import Cells
from ablate.text import did_you_mean

MISSING: Final = frozenset({"", "na", "n/a", "#n/a", "<na>", "none", "null", "-", "–", "—"})
UNBOUNDED: Final = frozenset({"nan", "inf", "infinity"})
"""How programs write that there is no number; nan and inf are what a diverged run leaves."""

OVER: Final = frozenset({"finished", "done", "complete", "completed", "succeeded", "success"})
UNDER_WAY: Final = frozenset({"running", "pending", "queued", "scheduled", "waiting", "todo", "staged", "preempting"})
FAILED: Final[Mapping[str, Reason]] = {
    **dict.fromkeys(("crashed", "failed", "failure", "fail", "error"), "error"),
    # Not our `cancelled` and `pruned`, which go on with the next run: what was stopped elsewhere has failed for good.
    **dict.fromkeys(("killed", "aborted", "interrupted", "cancelled", "canceled", "pruned", "stopped"), "error"),
    **dict.fromkeys(("preempted", "node_fail", "lost"), "lost"),
    **dict.fromkeys(("out_of_memory", "oom"), "oom"),
    "timeout": "timeout",
    "diverged": "diverged",
}
"""What wandb, MLflow, Optuna, seml, Slurm and ablate call the end of a run. The word itself is kept as the message."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_WITH_SPREAD = re.compile(r"(?P<mean>[^±(\[]+?)\s*(?:(?:±|\+/-|\+-|\\pm)\s*(?P<after>.+)|[(\[](?P<within>.+)[)\]])")
_INTERVAL = re.compile(r"[(\[]?([^,;–—]+?)\s*(?:,|;|–|—|to)\s*([^,;–—]+?)[)\]]?")


@dataclass(frozen=True)
class Outcome:
    """values: metrics by the name under which they are stored; empty where the run failed, for `reason`.

    passed_over: why the line is no run at all, as an adjective ("under way").
    """

    values: Mapping[str, float] = field(default_factory=dict)
    reason: Reason | None = None
    message: str = ""
    passed_over: str = ""


def outcome_of(row: Cells, columns: Columns) -> Outcome:
    if columns.state is not None:
        word = row[columns.state].lower()
        if word in UNDER_WAY:
            return Outcome(passed_over="under way")
        if word in FAILED:
            return Outcome(reason=FAILED[word], message=f"{columns.state} is {row[columns.state]}")
        if word not in OVER:
            row.bad(columns.state, _no_state(row[columns.state]))
    return _single(row, columns) if columns.mean is None else _summary(row, columns)


def is_percentage(text: str) -> bool:
    return text.rstrip("$ ").endswith("%")


def is_missing(text: str) -> bool:
    return text.lower() in MISSING or text.lower().lstrip("+-") in UNBOUNDED


def _no_state(text: str) -> str:
    every = [*OVER, *UNDER_WAY, *FAILED]
    return f"{text!r} is no end of a run such as finished, crashed or running.{did_you_mean(text.lower(), every)}"


def _single(row: Cells, columns: Columns) -> Outcome:
    text = row[columns.metric]
    if is_missing(text):
        reason: Reason = "diverged" if text.lower().lstrip("+-") in UNBOUNDED else "error"
        return Outcome(reason=reason, message=f"{columns.metric} is {text or 'empty'}")
    return Outcome({columns.metric: _number(row, columns.metric, text), **_also(row, columns)})


def _also(row: Cells, columns: Columns) -> dict[str, float]:
    """Further numbers; a paper need not give every one."""
    return {name: _number(row, name, row[name]) for name in columns.also if not is_missing(row[name])}


def _number(row: Cells, column: str, text: str) -> float:
    """A number as it is written: `91.4`, `91.4%`, `$-1.2$`; a bad one is a problem of the file."""
    plain = re.sub(r"\s*\\?%$", "", text.strip("$ ")).replace("−", "-")
    value = float(plain) if _NUMBER.fullmatch(plain) else math.nan
    if math.isfinite(value):
        return value
    if _WITH_SPREAD.fullmatch(text.strip("$ ")):
        row.bad(
            column, f"{text!r} is a mean with a spread; name it by --mean {column} and --sd, --se or --ci {column}."
        )
    else:
        row.bad(column, f"{text!r} is no number such as 91.4." if text else "the cell is empty.")
    return 0.0


# ------------------------------------------------------------------------------------------------- means and spreads


def _summary(row: Cells, columns: Columns) -> Outcome:
    """A mean and what is known of its spread. Without n it is one number."""
    assert columns.mean is not None
    kind, column = columns.spread
    mean_text, spread_text = row[columns.mean], row[column]
    if column == columns.mean:
        both = _WITH_SPREAD.fullmatch(mean_text.strip("$ "))
        mean_text, spread_text = (both["mean"], both["after"] or both["within"]) if both else (mean_text, "")
    if is_missing(mean_text):
        return Outcome(passed_over=f"without {columns.mean}")
    mean, n = _number(row, columns.mean, mean_text), count_of(row, columns)
    values = {columns.metric: mean, count_name(columns.metric): float(n or 1), **_also(row, columns)}
    if n is not None and (n > 1 or not is_missing(spread_text)):
        sd = _sd(row, column, kind, spread_text, mean, n)
        values |= {spread_name(columns.metric): sd} if n > 1 else {}
    return Outcome(values)


def count_of(row: Cells, columns: Columns) -> int | None:
    """How many runs a mean rests on; None where the line does not say."""
    assert columns.n is not None
    if columns.n not in row.cells:
        return int(columns.n)
    return None if is_missing(row[columns.n]) else row.whole(columns.n, 1)


def _sd(row: Cells, column: str, kind: str, text: str, mean: float, n: int) -> float:
    """The standard deviation of single runs, from itself, from the mean's standard error or from its 95 % interval."""
    size = _half_width(row, column, text, mean) if kind == "ci" else _number(row, column, text)
    if size < 0 or (n == 1 and size):
        row.bad(column, f"{text!r} is no {_SPREADS[kind]} of n = {n}.")
    if kind == "sd" or n == 1:
        return size
    if kind == "ci":
        from scipy import special

        size /= float(special.stdtrit(n - 1, 0.975))
    return size * math.sqrt(n)


_SPREADS = {"sd": "standard deviation", "se": "standard error", "ci": "95 % interval"}


def _half_width(row: Cells, column: str, text: str, mean: float) -> float:
    """Of an interval `0.4` (to either side) or `[90.8, 91.6]`, which must lie about the mean."""
    ends = _INTERVAL.fullmatch(text.strip("$ "))
    if ends is None:
        return _number(row, column, text)
    low, high = (_number(row, column, end) for end in ends.groups())
    if abs((low + high) / 2 - mean) > 0.1 * abs(high - low):
        row.bad(column, f"{text!r} does not lie evenly about {mean:g}, so no standard deviation follows from it.")
    return (high - low) / 2


def without_n(rows: Sequence[Cells], columns: Columns) -> int:
    """How many lines give a mean without saying of how many runs."""
    if columns.mean is None or columns.n not in (rows[0].cells if rows else ()):
        return 0
    return sum(is_missing(row[columns.n or ""]) for row in rows)
