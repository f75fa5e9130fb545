"""A study's report as plain data: what was asked, made, found, and what may not be said. Formats: reports/html.py, ...

Everything comes from the database, through its read side: the same stored values give the same document. No study's
code is imported, and no time, attempt, host or path enters. Sentences are made from verdicts (claims.py).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ablate.analysis import results, verdicts
from ablate.analysis.arrays import NO_VALUE
from ablate.analysis.bases import MEAN
from ablate.analysis.results import Results
from ablate.errors import AblateError, FigureError
from ablate.figures import source
from ablate.figures.figure import Source
from ablate.records import Json, Row
from ablate.registry import Registry, unknown
from ablate.reports import appendix, claims, methods, words
from ablate.reports import variants as described
from ablate.reports.claims import Claim
from ablate.reports.document import (
    Block,
    Bullets,
    Code,
    Document,
    Line,
    Paragraph,
    Picture,
    Section,
    Table,
    code,
    line,
    strong,
)
from ablate.store.reader import Reader
from ablate.store.stored import StoredCell, TestUse
from ablate.study.rows import BY_HAND
from ablate.tables import views
from ablate.tables.table import TableData, ViewData
from ablate.text import decimals, in_words, typeset

MOST_NAMED = 8
"""Tricks that the answer names."""

MOST_CLAIMS = 18
"""Comparisons of one verdict that the short form names."""

MOST_FAILURES = 20
"""Failed runs that are named one by one."""


@dataclass(frozen=True)
class Material:
    """All that a report is made from. asked: of each run what it was asked, by key; said: what failed ones said.

    uses: predictions of the test set. tuned: hyperparameters were searched, too. text: the study file's.
    """

    found: Results
    table: TableData
    source: Source
    asked: Mapping[str, Mapping[str, Json]]
    said: Mapping[str, str]
    uses: tuple[TestUse, ...]
    tuned: bool
    text: str = ""
    chosen: str | None = None
    """The variant that the report is to show, where not the best."""
    words: words.Words = field(default_factory=dict)
    """The authors' own."""

    @property
    def best(self) -> Row | None:
        """The row that the table's notes call best."""
        return None if self.found.measured.degenerate is not None else self.found.best

    @property
    def shown(self) -> Row | None:
        """The row whose curves and examples the report shows."""
        if self.chosen is None:
            return self.best
        return next(row for row in self.table.rows if row.variant == self.chosen)

    @property
    def models(self) -> list[Row]:
        """Rows that are models of their own: listed by hand, else those that others are compared with."""
        by_hand = [row for row in self.table.rows if row.design == BY_HAND]
        return by_hand or [row for row in self.table.rows if row.compared_with is None]


def material(store: Reader, study: str, variant: str | None = None, setting: str | None = None) -> Material:
    """Read everything. variant: the one to show instead of the best. setting: of several, the one. AblateError where
    nothing of the study is done yet, for then there is nothing to report."""
    loaded = results.load(store, study).within(setting)
    if not any(cell.state == "done" for cell in loaded.cells):
        failed = sum(cell.state == "failed" for cell in loaded.cells)
        which = f"all {failed} that were made failed" if failed else "none was made yet"
        raise AblateError(
            f"{study} has no finished run: of {len(loaded.cells)} planned, {which}. `ablate run` makes them, "
            "`ablate status` says where they stand."
        )
    return Material(
        loaded,
        views.ablation(loaded),
        source.source_of(store, loaded),
        {key: config for key, config in store.configs(study).items() if key not in loaded.saved},
        store.failure_messages(study),
        tuple(store.test_uses(study)),
        bool(store.cells(study, ("tune",))),
        store.find(study).text,
        _known(loaded, variant),
        words.current(loaded.record),
    )


def _known(loaded: Results, variant: str | None) -> str | None:
    names = [variant.name for variant in loaded.record.variants]
    if variant is None or variant in names:
        return variant
    raise AblateError(f"--variant: {unknown('variant', variant, names)}")


def methods_text(of: Material) -> str:
    """The statistics paragraph by itself."""
    loaded = of.found
    factorial = _view(loaded, "effects") is not None
    return methods.paragraph(
        loaded.record, loaded.measured, of.table.rows, loaded.cells, loaded.provenance, factorial=factorial
    )


def document(of: Material, own: tuple[Block, ...] = (), rows: int = 60, *, roomy: bool = False) -> Document:
    """The report. own: the author's own blocks. rows: the most that the figure of effects shows. roomy: with every
    figure that the results allow."""
    loaded = of.found
    sections = [
        _question(of),
        described.section(loaded.record, of.table, _words(of)),
        words.section(of.words, loaded.record),
        _table(of),
        _best(of),
        _effects(of, rows),
        *(_further(of) if roomy else ()),
        _support(of),
        Section("notes", "Author's notes", own) if own else None,
        _methods(of),
        _failures(of),
        _reproduce(of),
        _papers(of),
        Section("study", "The study file", (Code(of.text.rstrip("\n")),)) if of.text.strip() else None,
    ]
    return Document(
        loaded.study, words.title(of.words, loaded.study), words.subtitle(of.words, _subtitle(of)),
        tuple(s for s in sections if s is not None),
        f"ablate report {shlex.quote(loaded.study)} --format html",
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- opening


def _subtitle(of: Material) -> str:
    measured, cells = of.found.measured, of.found.cells
    runs = {cell.run: cell.state for cell in cells}
    counts = [(sum(state == wanted for state in runs.values()), word) for wanted, word in _STATES.items()]
    states = ", ".join(f"{count} {word}" for count, word in counts if count)
    variants = len(measured.variants)
    what = f"{variants} variant{'s' * (variants != 1)} × {len(measured.seeds)} seed{'s' * (len(measured.seeds) != 1)}"
    return f"{what}, {len(runs)} run{'s' * (len(runs) != 1)}: {states}"


_STATES = {"done": "done", "failed": "failed", "running": "running", "todo": "to do"}


def _question(of: Material) -> Section:
    comparisons = _claims(of)
    blocks: list[Block] = []
    question = of.found.record.question
    if question:
        blocks.append(Paragraph(line(question)))
    answer = _answer(of, comparisons)
    own = words.of_study(of.words)
    blocks += [*own, Paragraph(answer)]
    short = _first_question(question)
    brief = (*([Paragraph(line(short))] if short else []), *own, Paragraph(answer))
    return Section(
        "question", "Question and answer" if question else "In short", tuple(blocks), brief if short != question else ()
    )


def _first_question(question: str) -> str:
    """Up to the first question mark, else the first sentence."""
    end = question.find("?")
    end = question.find(". ") if end < 0 else end
    return question if end < 0 else question[: end + 1]


def _answer(of: Material, comparisons: Sequence[Claim]) -> Line:
    """How many comparisons came out how, what is decided, which variant is best."""
    sentences: list[Line] = [line(claims.tally(comparisons))] if comparisons else []
    for verdict in ("helps", "hurts"):
        for lopsided in (False, True):
            named = claims.decided([claim for claim in comparisons if claim.lopsided == lopsided], verdict)
            more = f"; and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
            text = "; ".join(named[:MOST_NAMED]) + more
            if named:
                sentences.append(line(f"What {verdict}: ", text if lopsided else strong(text), "."))
    if of.best is not None:
        which = "untuned " * bool(of.found.tuned_rows)
        best = f"Best mean of the {which}variants with every planned seed done: {of.best.variant}, {of.table.metric} "
        sentences.append(line(best, strong(_mean(of, of.best)), ".", _ablated(of)))
    return tuple(span for i, one in enumerate(sentences) for span in (line(" ") if i else ()) + one)


def _mean(of: Material, row: Row) -> str:
    digits = decimals((r.std for r in of.table.rows), (r.mean for r in of.table.rows))
    unit = of.table.units.get(of.table.metric, "")
    spread = f" ± {typeset(row.std, digits)}" if row.std and row.n > 2 else ""
    return f"{typeset(row.mean or 0.0, digits)}{spread}{f' {unit}' if unit else ''} (n = {row.n})"


# ------------------------------------------------------------------------------------------------- tables and figures


def _table(of: Material) -> Section:
    shown = views.table_data(of.found)
    table = replace(shown, notes=())
    metric = of.table.metric
    caption = f"{of.found.study}: ablation by {metric} ({of.table.better} is better)"
    notes = Bullets(tuple(line(note) for note in shown.notes), minor=True)
    return Section("table", "Ablation table", (Table(table, caption, "ablation"), notes))


def _picture(of: Material, name: str, params: Mapping[str, Json] | None = None) -> Picture | None:
    try:
        return Picture(name, source.draw(of.source, name, params), wide=name == "best_variant")
    except FigureError:
        return None


def _best(of: Material) -> Section | None:
    row = of.shown
    if row is None:
        return None
    named = _words(of)
    tricks = in_words([named.label(choice) for choice in row.tricks], most=12) or "no trick"
    having = f", with {tricks}" if tricks != row.variant else ""
    base = named.bases.get(row.variant)
    on = f" on the base of {base}" if base and base != row.variant else ""
    mean = "no result yet" if row.mean is None else f"{of.table.metric} {_mean(of, row)}"
    sentence = line(strong(row.variant), f"{having}{on}: {mean}.", _ablated(of) if of.chosen is None else _best_is(of))
    picture = _picture(of, "best_variant", None if of.chosen is None else {"variant": of.chosen})
    title = "Best variant" if of.chosen is None else f"Variant {of.chosen}"
    return Section("best", title, (Paragraph(sentence), *([picture] if picture else [])))


def _ablated(of: Material) -> str:
    """That the best mean is one that was only trained to take something away from another; which model is best."""
    row, models = of.best, [row for row in of.models if row.mean is not None]
    if row is None or row.variant in {model.variant for model in of.models}:
        return ""
    said = f" It is an ablation row: {row.spoken}."
    model = verdicts.best(models, of.table.better)
    if model is None:
        return said
    of_all = f"the best of the {len(models)} models themselves" if len(models) > 1 else "the model itself"
    return f"{said} {model.variant} is {of_all}: {_mean(of, model)}."


def _best_is(of: Material) -> str:
    """Which variant is best, where another is shown."""
    row = of.best
    if row is None or row.variant == of.chosen:
        return " It has the best mean." if row is not None else ""
    return f" The best mean is that of {row.variant}: {_mean(of, row)}."


def _effects(of: Material, rows: int) -> Section | None:
    blocks: list[Block] = []
    picture = _picture(of, "effects", {"limit": rows})
    if picture is not None:
        blocks.append(picture)
    printed = set(of.table.notes)
    for name, caption in (("effects", "Main effects"), ("interactions", "Interactions")):
        data = _view(of.found, name)
        if data is not None:
            new = [note for note in data.notes if note not in printed]
            printed.update(new)
            blocks.append(Table(replace(data, notes=()), f"{caption} on {of.table.metric}", name))
            blocks.append(Bullets(tuple(line(note) for note in new), minor=True))
    return Section("effects", "Effects", tuple(blocks), tuple(blocks[:1])) if blocks else None


def _further(of: Material) -> Iterator[Section]:
    """Figures that only a page without an end has room for."""
    titles = {"learning_curves": "Learning curves", "seeds": "Every run", "pareto": "Against cost"}
    for name, title in titles.items():
        picture = _picture(of, name)
        if picture is not None:
            yield Section(name, title, (picture,))


FACTORIALS = frozenset({"factorial", "fractional", "import"})
"""Designs whose effects are a question of the study. Two tricks left out one by one make a factorial unasked."""


def _view(loaded: Results, name: str) -> ViewData | None:
    """A view of the factorial that the study declares."""
    if not FACTORIALS & {row.design for row in loaded.measured.asked}:
        return None
    try:
        data = views.view(loaded, name)
    except AblateError:
        return None
    return data if isinstance(data, ViewData) and data.rows else None


# ----------------------------------------------------------------------------------------------------- what may be said


def _words(of: Material) -> claims.Names:
    return claims.words(of.found.record, of.table.units.get(of.table.metric, ""))


def _claims(of: Material) -> tuple[Claim, ...]:
    return claims.claims(of.table.rows, _words(of))


def _support(of: Material) -> Section:
    comparisons = _claims(of)
    further = views.table_data(of.found).rows[len(of.table.rows) :]
    tuned = claims.claims([row for row in further if row.design != MEAN], _words(of))
    limits = methods.limits(of.found.record, of.found.measured, of.table.rows, of.uses, tuned=of.tuned)
    blocks: list[Block] = [_sentences(comparisons)] if comparisons else []
    brief: list[Block] = [Bullets(tuple(_in_brief(comparisons)))] if comparisons else []
    for part, after in ((blocks, _sentences(tuned)), (brief, Bullets(tuple(_in_brief(tuned))))):
        part += [Paragraph(line(strong("After tuning, on fresh seeds."))), after] if tuned else []
    not_shown = Bullets(tuple(line(limit) for limit in limits))
    blocks += [Paragraph(line(strong("What they do not show."))), not_shown] if limits else []
    brief += [not_shown] if limits else []
    return Section("support", "What the numbers support", tuple(blocks), tuple(brief))


def _sentences(comparisons: Sequence[Claim]) -> Bullets:
    """Heads are bold, but not where the sides differ in failures."""
    return Bullets(
        tuple(
            line(claim.text) if claim.lopsided else line(strong(f"{claim.head}:"), f" {claim.rest}")
            for claim in comparisons
        ),
        folded=f"{len(comparisons)} comparison{'s' * (len(comparisons) != 1)} in words",
    )


def _in_brief(comparisons: Sequence[Claim]) -> Iterator[Line]:
    """Claims by verdict with their numbers; of many, the largest differences."""
    for verdict in claims.ORDER:
        of = [claim for claim in comparisons if claim.verdict == verdict]
        most = MOST_CLAIMS if verdict in ("helps", "hurts") or len(comparisons) <= MOST_CLAIMS else MOST_CLAIMS // 3
        kept = sorted(of, key=lambda claim: -abs(claim.delta))[:most] if len(of) > most else of
        more = f"; and {len(of) - most} with smaller differences" if len(of) > most else ""
        if of:
            briefly = "; ".join(claim.brief for claim in kept)
            yield line(strong(f"{claims.HEADINGS[verdict]}: "), f"{briefly}{more}.")


def _methods(of: Material) -> Section:
    return Section("methods", "Statistics", (Paragraph(line(methods_text(of))),))


def _failures(of: Material) -> Section | None:
    """Which runs failed, why, and what they said; which are not done."""
    cells, measured = of.found.cells, of.found.measured
    failed = [cell for cell in cells if cell.state == "failed"]
    lacking = [v for v, counts in zip(measured.variants, measured.failures, strict=True) if counts.get(NO_VALUE)]
    todo = len({cell.run for cell in cells if cell.state in ("todo", "running")})
    items = [_failure(cell, of.said.get(cell.run, "")) for cell in failed[:MOST_FAILURES]]
    if len(failed) > MOST_FAILURES:
        items.append(line(f"and {len(failed) - MOST_FAILURES} more; `ablate status` counts them."))
    if lacking:
        items.append(line(f"Done without {of.table.metric}: {in_words(lacking)}."))
    if todo:
        items.append(line(f"{todo} run{'s' * (todo > 1)} not done yet."))
    if not items:
        return None
    reasons: dict[str, int] = {}
    for cell in failed:
        reasons[cell.reason or "error"] = reasons.get(cell.reason or "error", 0) + 1
    brief = [f"{count} run{'s' * (count > 1)} failed: {reason}" for reason, count in sorted(reasons.items())]
    short = Bullets(
        tuple([line("; ".join(brief) + ".")] * bool(brief)) + tuple(items[min(len(failed), MOST_FAILURES + 1) :])
    )
    return Section("failures", "Failures", (Bullets(tuple(items)),), (short,) if len(failed) > 3 else ())


def _failure(cell: StoredCell, said: str) -> Line:
    words = said.strip().splitlines()
    first = f": {words[0][:160]}" if words else ""
    times = f", after {cell.attempts} attempts" if cell.attempts > 1 else ""
    return line(strong(cell.variant), f", seed {cell.seed}: {cell.reason or 'error'}{times}{first}")


# --------------------------------------------------------------------------------------------------- how to do it again


def _reproduce(of: Material) -> Section:
    row = of.best
    blocks = appendix.blocks(
        of.found.record, of.found.cells, of.asked, of.found.provenance,
        row.variant if row is not None else None,
    )  # fmt: skip
    return Section("reproduce", "Training it again", blocks)


def _papers(of: Material) -> Section | None:
    listed = appendix.papers(of.asked.values(), Registry())
    by_paper: dict[str, list[str]] = {}
    for paper in listed:
        if paper.paper:
            by_paper.setdefault(paper.paper, []).append(paper.part)
    items = [
        line(strong(in_words(list(dict.fromkeys(parts)))), ": ", *appendix.cited(paper))
        for paper, parts in by_paper.items()
    ]
    own = [paper for paper in listed if paper.private]
    items += [
        line(strong(paper.part), ": the study's own plug-in, SHA-256 ", code(paper.private[:12])) for paper in own
    ]
    return Section("papers", "Papers of the parts used", (Bullets(tuple(items)),)) if items else None
