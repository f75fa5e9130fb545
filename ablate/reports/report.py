"""A study's report as plain data: what was asked, made, found, and what may not be said. Formats: reports/html.py, ...

Everything comes from the database, through its read side: the same stored values give the same document. No study's
code is imported, and no time, attempt, host or path enters. Sentences are made from verdicts (claims.py).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ablate.analysis.arrays import NO_VALUE
from ablate.analysis.results import Results
from ablate.errors import AblateError, FigureError
from ablate.figures import source
from ablate.records import Json, Row
from ablate.registry import Registry
from ablate.reports import appendix, methods, opening, words
from ablate.reports import variants as described
from ablate.reports.claims import Claim
from ablate.reports.document import (
    Block,
    Bullets,
    Code,
    Document,
    Line,
    Model,
    Models,
    Paragraph,
    Picture,
    Section,
    Table,
    code,
    line,
    strong,
)
from ablate.reports.material import Material, after_tuning, also_of, comparisons, mean_of, names, over_models
from ablate.store.stored import StoredCell
from ablate.tables import views
from ablate.tables.table import ViewData
from ablate.text import in_words, many, number, rough

MOST_FAILURES = 20
"""Failed runs that are named one by one."""


def methods_text(of: Material, *, brief: bool = False) -> str:
    """The statistics paragraph by itself. brief: without what the rest of a report says, too."""
    loaded = of.found
    factorial = _view(loaded, "effects") is not None
    return methods.paragraph(
        loaded.record,
        loaded.measured,
        of.table.rows,
        loaded.cells,
        loaded.provenance,
        factorial=factorial,
        brief=brief,
    )


def document(of: Material, own: tuple[Block, ...] = (), rows: int = 60, *, roomy: bool = False) -> Document:
    """The report. own: the author's own blocks. rows: the most that the figure of effects shows. roomy: with every
    figure that the results allow."""
    loaded = of.found
    models = _models(of)
    sections = [
        _question(of),
        models,
        _table(of),
        _best(of),
        _confusion(of),
        _effects(of, rows),
        *(_further(of) if roomy else ()),
        _support(of),
        Section("notes", "Author's notes", own) if own else None,
        described.section(loaded.record, of.table, names(of), {row.variant for row in of.models} if models else ()),
        words.section(of.words, loaded.record, {row.variant for row in of.models} if models else ()),
        _methods(of),
        _failures(of),
        _reproduce(of),
        _papers(of),
        Section("study", "The study file", (Code(of.text.rstrip("\n")),)) if of.text.strip() else None,
    ]
    return Document(
        loaded.study, words.title(of.words, loaded.study, loaded.record.question),
        words.subtitle(of.words, _subtitle(of)), tuple(s for s in sections if s is not None),
        f"ablate report {shlex.quote(loaded.study)} --format html", (*words.every(of.words, loaded.record), *own),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- opening


def _subtitle(of: Material) -> str:
    measured, cells = of.found.measured, of.found.cells
    runs = {cell.run: cell.state for cell in cells}
    counts = [(sum(state == wanted for state in runs.values()), word) for wanted, word in _STATES.items()]
    counts = [(count, word) for count, word in counts if count]
    variants, seeds = len(measured.variants), len(measured.seeds)
    all_done = "all done" if len(counts) == 1 and counts[0][1] == "done" else ""
    states = ", ".join(f"{count} {word}" for count, word in counts)
    what = f"{many(variants, 'variant')} × {many(seeds, 'seed')}"
    what += f" = {many(len(runs), 'run')}" if len(runs) == variants * seeds else f", {many(len(runs), 'run')}"
    metric = of.source.titled(of.table.metric).replace("_", " ")
    return f"{what}{', ' if all_done else ': '}{all_done or states} · {metric}, {of.table.better} is better"


_STATES = {"done": "done", "failed": "failed", "running": "running", "todo": "to do"}


def _question(of: Material) -> Section:
    """What was asked beyond the title, what the authors say of the whole, and the answer."""
    asked = of.found.record.question
    title = words.title(of.words, of.found.study, asked)
    rest = asked.removeprefix(title).strip()
    own, short = words.of_study(of.words), opening.in_short(of)
    answer: list[Block] = [short] if short.items else []
    best = opening.best(of)
    answer += [Paragraph(best)] if best else []
    question = [Paragraph(line(rest))] if rest else []
    brief = [Paragraph(line(words.first_question(rest)))] if rest and rest == asked else []
    return Section("question", "In short", (*question, *own, *answer), (*brief, *own, *answer))


def _models(of: Material) -> Section | None:
    """The models that the study compares, or has words of, with what they are; those with words first."""
    differs = described.of_models(of.found.record)
    told = [
        Model(row.variant, _what(of, row, differs.get(row.variant, {})), words.of_variant(of.words, row.variant))
        for row in {row.variant: row for row in of.models}.values()
    ]
    told.sort(key=lambda model: not model.blocks)
    if not any(model.blocks for model in told) and (len(told) < 2 or not any(model.said for model in told)):
        return None
    return Section("models", "The models" if len(told) > 1 else "The model", (Models(tuple(told)),))


def _what(of: Material, row: Row, differs: Mapping[str, str]) -> str:
    """Its network, its size, and the settings that tell it from the others."""
    size = row.also.get("parameters")
    known = [described.kind(of.found.record, row.variant) or differs.get("model", "")]
    known += [f"{rough(size.mean)} parameters"] if size is not None and size.mean else []
    settings = [f"{key} {text}" for key, text in differs.items() if key != "model"]
    return "; ".join(filter(None, [", ".join(filter(None, known)), *settings]))


# ------------------------------------------------------------------------------------------------- tables and figures


def _table(of: Material) -> Section:
    shown = views.table_data(of.found)
    table = replace(shown, notes=())
    metric = of.table.metric
    caption = f"{of.found.study}: ablation by {metric} ({of.table.better} is better)"
    notes = Bullets(tuple(line(note) for note in shown.notes), minor=True)
    bases = {
        row.variant: described.kind(of.found.record, row.variant) for row in table.rows if row.compared_with is None
    }
    return Section("table", "Ablation table", (Table(table, caption, "ablation", bases, _legend(of)), notes))


def _legend(of: Material) -> str:
    """How the bars are read, and how the verdicts were made."""
    measured = of.found.measured
    margin, family = measured.metric.minimum_effect, len(measured.family)
    grey = f"; grey: within ±{number(margin)}" if margin else ""
    here = any(row.interval_here for row in of.table.rows)
    thick = "; thick: other seeds on these examples alone" * here
    adjusted = f", adjusted by Holm over {family} comparisons" if family > 1 else ""
    against = "Each row against the bold one above it. Δ: mean difference over shared seeds, row minus base"
    if not any(row.p_adjusted is not None for row in of.table.rows):
        several = "; small ticks: each seed" * (len(measured.seeds) > 1)
        return f"{against}{several}{grey}. With so few seeds nothing is tested."
    return (
        f"{against}, with its own interval, not adjusted; small ticks: each seed{thick}{grey}. A verdict speaks of "
        f"what differs: helps = with it the metric is better (p < 0.05{adjusted})."
    )


def _picture(of: Material, name: str, params: Mapping[str, Json] | None = None) -> Picture | None:
    try:
        return Picture(name, source.draw(of.source, name, params), wide=name == "best_variant")
    except FigureError:
        return None


def _best(of: Material) -> Section | None:
    row = of.shown
    if row is None:
        return None
    named = names(of)
    tricks = in_words([named.label(choice) for choice in row.tricks], most=12) or "no trick"
    having = f", with {tricks}" if row.spoken == row.variant != tricks else ""
    mean = (
        "no result yet"
        if row.mean is None
        else f"{of.table.metric.replace('_', ' ')} {mean_of(of, row)}{also_of(of, row)}"
    )
    sentence = line(strong(row.spoken), f"{having}: {mean}.", _ablated(of) if of.chosen is None else _best_is(of))
    picture = _picture(of, "best_variant", None if row is of.best else {"variant": row.variant})
    best = "The best model:" if row is of.best_model else "The best mean:" if row is of.best else "Variant"
    title = f"{best} {row.spoken}"
    return Section("best", title, (Paragraph(sentence), *([picture] if picture else [])))


def _confusion(of: Material) -> Section | None:
    if of.confusion is None or of.shown is None:
        return None
    return Section("confusion", "Which class is taken for which", (Picture("confusion", of.confusion),))


def _ablated(of: Material) -> str:
    """That the best mean is one that was only trained to take something away from another, where that is shown."""
    row, model = of.best, next((row for row in of.models if row.mean is not None), None)
    if row is None or of.best_model is not None or row.variant in {model.variant for model in of.models}:
        return ""
    itself = f" {model.variant} is the model itself: {mean_of(of, model)}." if model is not None else ""
    return f" It is an ablation row, not a model of its own.{itself}"


def _best_is(of: Material) -> str:
    """Which variant is best, where another is shown."""
    row = of.best
    if row is None or row.variant == of.chosen:
        return " It has the best mean." if row is not None else ""
    return f" The best mean is that of {row.spoken}: {mean_of(of, row)}."


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
        if picture is not None and not (name == "pareto" and _one_cost(picture)):
            yield Section(name, title, (picture,))


def _one_cost(pareto: Picture) -> bool:
    """Whether all variants cost the same, so that there is nothing to weigh."""
    return len({cost for panel in pareto.scene.panels for cost, *_ in panel.names}) < 2


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


def _support(of: Material) -> Section:
    told, tuned = comparisons(of), after_tuning(of)
    limits = methods.limits(of.found.record, of.found.measured, of.table.rows, of.uses, tuned=of.tuned)
    blocks: list[Block] = [Bullets(tuple(line(limit) for limit in limits))] if limits else []
    blocks += [_sentences(told)] if told else []
    means = over_models(of)
    blocks += [Paragraph(line(strong("Over several models."))), _sentences(means)] if means else []
    blocks += [Paragraph(line(strong("After tuning, on fresh seeds."))), _sentences(tuned)] if tuned else []
    return Section("support", "What the numbers do not show", tuple(blocks), tuple(blocks[:1]) if limits else ())


def _sentences(told: Sequence[Claim]) -> Bullets:
    """Heads are bold, but not where the sides differ in failures."""
    return Bullets(
        tuple(
            line(claim.text) if claim.lopsided else line(strong(f"{claim.head}:"), f" {claim.rest}") for claim in told
        ),
        folded=f"{many(len(told), 'comparison')} in words",
    )


def _methods(of: Material) -> Section:
    brief = methods_text(of, brief=True)
    return Section("methods", "Statistics", (Paragraph(line(methods_text(of))),), (Paragraph(line(brief)),))


def _failures(of: Material) -> Section | None:
    """Which runs failed, why, and what they said; which are not done."""
    cells, measured = of.found.cells, of.found.measured
    failed = [cell for cell in cells if cell.state == "failed"]
    lacking = [v for v, counts in zip(measured.variants, measured.failures, strict=True) if counts.get(NO_VALUE)]
    todo = len({cell.run for cell in cells if cell.state in ("todo", "running")})
    called = {row.variant: row.spoken for row in reversed(of.table.rows)}
    items = [_failure(cell, of.said.get(cell.run, ""), called) for cell in failed[:MOST_FAILURES]]
    if len(failed) > MOST_FAILURES:
        items.append(line(f"and {len(failed) - MOST_FAILURES} more; `ablate status` counts them."))
    if lacking:
        items.append(line(f"Done without {of.table.metric}: {in_words([called.get(v, v) for v in lacking])}."))
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


def _failure(cell: StoredCell, said: str, called: Mapping[str, str]) -> Line:
    words = said.strip().splitlines()
    first = f": {words[0][:160]}" if words else ""
    times = f", after {cell.attempts} attempts" if cell.attempts > 1 else ""
    return line(
        strong(called.get(cell.variant, cell.variant)), f", seed {cell.seed}: {cell.reason or 'error'}{times}{first}"
    )


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
    if not items:
        return None
    brief = [span for item in items for span in (*line("; "), *item)][1:]
    return Section("papers", "Papers of the parts used", (Bullets(tuple(items)),), (Paragraph((*brief, *line("."))),))
