"""`ablate import`: runs trained elsewhere, from a CSV file into a study that table, effects and export work on.

One line per run (its variant by a label or by its factors, its seed where seeds are shared), or one line per variant
with mean, standard deviation and n, as papers print them. Every value is checked before anything is stored: a bad cell
is an error with its line and column name. Nothing is guessed from names.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ablate.errors import AblateError
from ablate.identity import canonical_json, sha256
from ablate.records import Choice, Metric, Role, StudyTrick, TaskUse
from ablate.registry import unknown
from ablate.runs.columns import Columns, check_header, check_options
from ablate.runs.csv_file import Cells, Problem, read_table, read_text, refuse, rows_of
from ablate.runs.factors import baseline_of, variants_of, within_settings
from ablate.runs.measured import Outcome, is_missing, is_percentage, outcome_of, without_n
from ablate.store.store import Store
from ablate.store.stored import Elsewhere
from ablate.study.record import ImportRecord, PlanRecord, RowRecord, SettingRecord, TrickRecord, VariantRecord
from ablate.text import listed, many

OTHERS = "not what --where asks for"


@dataclass(frozen=True)
class ImportedRun:
    """A line of the file. line: where it starts, from 1."""

    line: int
    variant: str
    seed: int
    outcome: Outcome

    @property
    def values(self) -> Mapping[str, float]:
        return self.outcome.values


@dataclass(frozen=True)
class Imported:
    """A file, read and checked. tricks: what its variants switch on; variants: name -> choices, in the file's order.

    settings: of each variant the setting that it stands in, with which its name begins; empty where there is one alone.
    notes: what whoever reads the table must know. passed_over: how many lines are no run, and why. file, sha: where it
    came from, the SHA-256 of its text.
    """

    tricks: tuple[StudyTrick, ...]
    variants: dict[str, tuple[Choice, ...]]
    runs: tuple[ImportedRun, ...]
    baseline: str
    notes: tuple[str, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    file: Path = Path()
    sha: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def results(self) -> dict[tuple[str, int], Mapping[str, float]]:
        """The metrics of each run that has a result, by (variant, seed)."""
        return {(run.variant, run.seed): run.values for run in self.runs if run.values}

    def summary(self, study: str) -> str:
        """What became of the file's lines, for whoever imports it."""
        failed, passed = sum(run.outcome.reason is not None for run in self.runs), sum(self.passed_over.values())
        reasons = f" ({', '.join(f'{count} {why}' for why, count in self.passed_over.items())})" if passed else ""
        counts = (
            f"read {1 + len(self.runs) + passed} lines of {self.file.name}: the header, {len(self.runs)} imported"
            f"{f' ({failed} as failed)' if failed else ''}, {passed} passed over{reasons}."
        )
        there = f" in {many(len(set(self.settings.values())), 'setting')}" * bool(self.settings)
        compared = f"{many(len(self.variants), 'variant')} of {study}{there}, compared with {self.baseline}."
        return "\n".join([counts, compared, *self.notes])


def read_file(path: Path, columns: Columns) -> Imported:
    """Read and check a file. AblateError names every bad cell."""
    text = read_text(path)
    return replace(read(text, str(path), columns), file=path, sha=sha256(text))


# -------------------------------------------------------------------------------------------------------- reading


def read(text: str, file: str, columns: Columns) -> Imported:
    """Check a file's text. AblateError names every bad cell, the first MOST_PROBLEMS of them."""
    check_options(columns)
    table = read_table(text, file, columns.needed, comments=columns.comments)
    check_header(table, columns)
    problems: list[Problem] = []
    whole = rows_of(table, problems)
    rows = _asked_for(whole, columns)
    outcomes = [outcome_of(row, columns) for row in rows]
    passed_over = Counter({"commented": table.comments, "empty": table.empty, OTHERS: len(whole) - len(rows)})
    passed_over.update(outcome.passed_over for outcome in outcomes if outcome.passed_over)
    lines = [(row, outcome) for row, outcome in zip(rows, outcomes, strict=True) if not outcome.passed_over]
    rows = [row for row, _ in lines]
    # Without --seed every line has a seed of its own: no two runs are pairs.
    seeds = [i if columns.seed is None else _signed(row.whole(columns.seed, -(2**63))) for i, row in enumerate(rows)]
    tricks, cells_of, bare = variants_of(rows, columns)
    names = within_settings(rows, bare, columns)
    problems += _mixed_percentages(rows, columns)
    refuse(problems)
    if not rows:
        raise AblateError(f"{file} has a header and no line below it that is a run.")
    every = [
        ImportedRun(row.line, name, seed, outcome)
        for (row, outcome), name, seed in zip(lines, names, seeds, strict=True)
    ]
    runs = _last_tries(every) if columns.seed is not None else every
    passed_over["failed and trained again"] = len(every) - len(runs)
    refuse(_repeated(runs, rows, columns))
    if all(run.outcome.reason for run in runs):
        raise AblateError(f"{file}: no line has a result; {runs[0].outcome.message} in line {runs[0].line}, for one.")
    variants, baseline = dict(zip(names, cells_of, strict=True)), ""
    settings = {} if columns.across is None else dict(zip(names, (row[columns.across] for row in rows), strict=True))
    for setting in [name for name in columns.limits if name and name not in settings.values()]:
        known = list(dict.fromkeys(settings.values()))
        raise AblateError(f"--limits: {unknown('setting', setting, known)}")
    for setting in dict.fromkeys(settings.values()) or [""]:
        there = {name: on for full, on in variants.items() if (name := _without(full, setting, settings.get(full, "")))}
        baseline = baseline_of(there, columns, f"{file}, in {setting}," if setting else file)
    return Imported(tricks, variants, tuple(runs), baseline, _notes(rows, columns), +passed_over, settings=settings)


def _without(name: str, setting: str, its: str) -> str:
    """A variant's name without its setting; empty where that is another one."""
    return name.removeprefix(f"{setting}/" if setting else "") if its == setting else ""


def _asked_for(rows: Sequence[Cells], columns: Columns) -> list[Cells]:
    """The rows that --where asks for; a word that no row has is an error."""
    for name, word in columns.where:
        words = list(dict.fromkeys(row[name] for row in rows))
        if rows and word not in words:
            raise AblateError(f"--where asks for {name}={word}, and no line has that; {name} is {listed(words)}.")
    return [row for row in rows if all(row[name] == word for name, word in columns.where)]


def _signed(seed: int) -> int:
    """The database holds 63 bits and a sign; of 64 the last is taken for the sign, so that seeds stay different."""
    return seed - 2**64 if seed >= 2**63 else seed


def _mixed_percentages(rows: Sequence[Cells], columns: Columns) -> list[Problem]:
    """Columns where some cells have a percent sign and others have none: 91 % and 0.91 would be one scale."""
    problems = []
    for name in (columns.mean or columns.metric, *columns.also):
        signs = {is_percentage(row[name]): row for row in rows if not is_missing(row[name])}
        if len(signs) > 1:
            line = f"{rows[0].file}, line {signs[False].line}, column {name}"
            what = (
                f"{signs[False][name]!r} has no percent sign and {signs[True][name]!r} in line {signs[True].line} has."
            )
            problems.append((signs[False].line, f"{line}: {what}"))
    return problems


def _last_tries(runs: Sequence[ImportedRun]) -> list[ImportedRun]:
    """Runs without those that failed and were trained again: the first of a variant and seed that came to a result
    stands for it, else the last that failed. Two results of one are both here."""
    kept: dict[tuple[str, int], ImportedRun] = {}
    for run in runs:
        before = kept.get((run.variant, run.seed))
        if before is None or before.outcome.reason:
            kept[run.variant, run.seed] = run
    return [run for run in runs if not run.outcome.reason or kept[run.variant, run.seed] is run]


def _repeated(runs: Sequence[ImportedRun], rows: Sequence[Cells], columns: Columns) -> list[Problem]:
    """The same variant with the same seed (or, of summaries, at all) in two lines."""
    first: dict[tuple[str, int], int] = {}
    by_line, further = {row.line: row for row in rows}, _further(rows, columns)
    problems = []
    for run in runs:
        line = first.setdefault((run.variant, 0 if columns.mean is not None else run.seed), run.line)
        if line != run.line:
            row, other = by_line[run.line], by_line[line]
            what = f"variant {run.variant}" + ("" if columns.mean is not None else f" with seed {run.seed}")
            differ = [name for name in further if row[name] != other[name]][:1]
            hint = "Remove one of them; where each line is a run of its own, leave out --seed."
            for name in differ:
                hint = f"Their {name} differs; one at a time: --where {name}={shlex.quote(_last(further[name]))}"
            problems.append((run.line, f"{row.file}, line {run.line}: {what} stands in line {line} already. {hint}"))
    return problems


def _last(words: Sequence[str]) -> str:
    """Of numbers the largest, for a history is judged by its last epoch; else the first."""
    try:
        return max(words, key=float)
    except ValueError:
        return words[0]


def _further(rows: Sequence[Cells], columns: Columns) -> dict[str, list[str]]:
    """Columns that nobody named and that tell groups of lines apart, with their words. One that is new in nearly every
    line is a name, a time or another number."""
    others = [name for name in (rows[0].cells if rows else ()) if name not in columns.needed]
    words = {name: list(dict.fromkeys(row[name] for row in rows)) for name in others}
    return {name: each for name, each in words.items() if 1 < len(each) <= max(2, len(rows) // 2) and len(rows) > 2}


def _notes(rows: Sequence[Cells], columns: Columns) -> tuple[str, ...]:
    """What whoever reads the table must know of the file."""
    notes = []
    further = [
        f"{name} ({listed([word or 'empty' for word in words], most=3)})"
        for name, words in _further(rows, columns).items()
    ]
    if further:
        notes.append(
            f"Columns that differ between lines and were not named: {listed(further)}. Where one goes with the "
            "variant, it may be what makes the difference."
        )
    bare = without_n(rows, columns)
    if bare:
        notes.append(f"{many(bare, 'line')} without n: such a mean stands as one number, without spread or test.")
    spreads = {"se": "standard errors", "ci": "95 % intervals (t distribution)"}
    if columns.spread[0] in spreads:
        notes.append(f"Standard deviations follow from the file's {spreads[columns.spread[0]]} and n.")
    if columns.seed is not None and any(
        len(row[columns.seed]) > 18 and row.whole(columns.seed, -(2**63)) >= 2**63 for row in rows
    ):
        notes.append("Seeds of 64 bits are shown as signed numbers.")
    return tuple(notes)


# -------------------------------------------------------------------------------------------------------- storing


def save(imported: Imported, store: Store, study: str, columns: Columns, *, replace: bool = False) -> None:
    """Store a file that was read as a study. Its runs are written a few at a time, so that nobody waits for long; the
    study appears at the end, with all of them or not at all."""
    if not re.fullmatch(r"[^\W_][\w.+ -]{0,63}", study):
        raise AblateError(
            f"--study is {study!r}; a study's name has 1 to 64 letters, digits and . _ + - or spaces, and begins with "
            "a letter or digit."
        )
    record = record_of(imported, study, columns)
    file, sha = imported.file.name, imported.sha
    role: Role = "ablation"
    cells, configs, ended = [], {}, []
    for run in imported.runs:
        config = {"imported": file, "sha256": sha, "line": run.line, **columns.asked()}
        key = sha256(canonical_json(config))
        cells.append((run.variant, run.seed, role, key))
        configs[key] = canonical_json(config)
        ended.append(
            Elsewhere(
                key,
                "import",
                run.values,
                {"imported": file, "sha256": sha, "line": run.line},
                run.outcome.reason,
                run.outcome.message,
            )
        )
    _refuse_known(store, study, replace=replace)
    for start in range(0, len(ended), _AT_ONCE):
        store.keep_elsewhere(ended[start : start + _AT_ONCE], configs)
    with store.transaction():
        _refuse_known(store, study, replace=replace)
        store.save_plan(record, "", cells, {})


_AT_ONCE = 1000
"""Runs that are written in one go: a tenth of a second."""


def _refuse_known(store: Store, study: str, *, replace: bool) -> None:
    if store.study(study) is not None and not replace:
        raise AblateError(f"the database has a study called {study!r} already; choose another name, or --replace it.")


def record_of(imported: Imported, study: str, columns: Columns) -> PlanRecord:
    """The plan that such a study would have had."""
    kind = "means, standard deviations and n" if columns.mean is not None else "runs"
    paired = "; no seeds, so no pairs" if columns.seed is None and columns.mean is None else ""
    path, sha = imported.file, imported.sha
    settings = list(dict.fromkeys(imported.settings.values()))
    note = f"Imported from {path.name} (SHA-256 {sha[:10]}): {len(imported.runs)} {kind}, trained elsewhere{paired}."
    return PlanRecord(
        study=study,
        task=TaskUse("import"),
        metric=Metric(columns.metric, columns.better, minimum_effect=columns.minimum_effect),
        also=columns.also,
        baseline=f"{settings[0]}/{imported.baseline}" if settings else imported.baseline,
        seeds=tuple(dict.fromkeys(run.seed for run in imported.runs)),
        tricks=tuple(
            TrickRecord(name=trick.name, levels=tuple(level.name for level in trick.levels if level.name is not None))
            for trick in imported.tricks
        ),
        variants=tuple(
            VariantRecord(
                name=name,
                tricks=tuple(map(str, choices)),
                designs=("import",),
                config={},
                setting=imported.settings.get(name, ""),
            )
            for name, choices in imported.variants.items()
        ),
        rows=tuple(row for setting in settings or [""] for row in _rows(imported, setting)),
        across=tuple(
            SettingRecord(
                name=setting,
                baseline=f"{setting}/{imported.baseline}",
                limits=columns.limits.get(setting, columns.limits.get("", ())),
            )
            for setting in settings
        ),
        notes=(note, *imported.notes),
        imported=ImportRecord(file=path.name, sha256=sha),
        file=str(path.resolve()),
    )


def _rows(imported: Imported, setting: str) -> list[RowRecord]:
    """The rows of a setting, or of all where there is one alone; the baseline's first."""
    order = {trick.name: i for i, trick in enumerate(imported.tricks)}
    before = f"{setting}/" if setting else ""
    baseline = before + imported.baseline
    names = [name for name in imported.variants if imported.settings.get(name, "") == setting and name != baseline]
    rows = []
    for name in (baseline, *names):
        differs = {choice.trick for choice in {*imported.variants[name]} ^ {*imported.variants[baseline]}}
        bare = name.removeprefix(before)
        rows.append(
            RowRecord(
                "import", name, None if name == baseline else baseline,
                tuple(sorted(differs, key=lambda trick: order[trick])), bare,
                setting=setting, across=bare if setting else "",
            )
        )  # fmt: skip
    return rows
