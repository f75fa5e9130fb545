"""The report of a study in several settings: what holds over them, then each setting's own table."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from ablate.analysis.results import Results
from ablate.analysis.settings import Together
from ablate.errors import FigureError
from ablate.figures import source
from ablate.figures.scene import Scene
from ablate.records import Json
from ablate.reports import appendix, words
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
    line,
    strong,
)
from ablate.store.reader import Reader
from ablate.tables import views
from ablate.text import decimals, in_words, many, number, typeset


@dataclass(frozen=True)
class Material:
    """All that it is made from. asked: of each run what it was asked, by key; scene: the forest plot, where there is
    one; text: the study file's."""

    found: Results
    asked: dict[str, dict[str, Json]]
    scene: Scene | None
    text: str
    words: words.Words


def material(store: Reader, loaded: Results) -> Material:
    try:
        scene = source.draw(source.source_of(store, loaded), "settings")
    except FigureError:
        scene = None
    asked = {key: dict(config) for key, config in store.configs(loaded.study).items()}
    return Material(loaded, asked, scene, store.find(loaded.study).text, words.current(loaded.record))


def document(of: Material, own: tuple[Block, ...] = ()) -> Document:
    """own: the author's own blocks."""
    loaded = of.found
    settings = len(loaded.settings)
    done = sum(state == "done" for state in {cell.run: cell.state for cell in loaded.cells}.values())
    runs = len({cell.run for cell in loaded.cells})
    picture = () if of.scene is None else (Picture("settings", of.scene, wide=True),)
    sections = [
        _question(of),
        words.section(of.words, loaded.record),
        _table(of),
        Section("effects", "In each setting, and on average", picture) if picture else None,
        *(_setting(name, part) for name, part in loaded.settings.items()),
        Section("notes", "Author's notes", own) if own else None,
        Section(
            "reproduce", "Training it again",
            appendix.blocks(loaded.record, loaded.cells, of.asked, loaded.provenance, None),
        ),
        Section("study", "The study file", (Code(of.text.rstrip("\n")),)) if of.text.strip() else None,
    ]  # fmt: skip
    return Document(
        loaded.study, words.title(of.words, loaded.study),
        words.subtitle(of.words, f"{many(settings, 'setting')}, {many(runs, 'run')}: {done} done"),
        tuple(section for section in sections if section is not None),
        f"ablate report {shlex.quote(loaded.study)} --format html",
    )  # fmt: skip


def methods_text(of: Material) -> str:
    """The statistics paragraph by itself."""
    return " ".join(views.view(of.found, "settings").notes)


def _question(of: Material) -> Section:
    question = of.found.record.question
    blocks: list[Block] = [Paragraph(line(question))] if question else []
    blocks += words.of_study(of.words)
    return Section("question", "In short", (*blocks, *_answer(of.found)))


def _answer(loaded: Results) -> list[Block]:
    """What is decided in these settings on average, a line a verdict."""
    over = loaded.over
    ends = [row.ci_high - row.ci_low for row in over.rows if row.ci_low is not None and row.ci_high is not None]
    digits, items = decimals(ends), list[tuple[str, Line]]()
    metric = loaded.measured.metric
    points = " points" if loaded.record.facts.unit(metric.name) == "%" else ""
    settings = many(len(over.settings), "setting")
    for verdict in ("helps", "hurts"):
        for row in over.rows:
            if row.verdict == verdict:
                subject, how = _subject(row)
                said = f" {verdict} on the mean over {settings}: {how} {_amount(row, digits, points)}"
                items.append((verdict, line(strong(subject), said)))
    same, left = (in_words([_subject(row)[0] for row in over.rows if row.verdict == v]) for v in _UNDECIDED)
    if same:
        size = f"no difference as large as ±{number(metric.minimum_effect or 0.0)}{points}"
        items.append(("equivalent", line(strong(same), f": {size}")))
    if left:
        items.append(("inconclusive", line(strong("Not decided"), f": {left}")))
    blocks: list[Block] = [Bullets(tuple(said for _, said in items), signs=tuple(sign for sign, _ in items))]
    if over.why:
        return [*blocks * bool(items), Paragraph(line(f"There is no mean: {over.why}."))]
    return blocks if items else [Paragraph(line("Nothing is decided yet."))]


_UNDECIDED = ("equivalent", "inconclusive")


def _subject(row: Together) -> tuple[str, str]:
    """Of what the verdict is, and what its difference is: (`batch norm`, `without it`)."""
    for sign, how in (("- ", "without it"), ("+ ", "with it")):
        if row.name.startswith(sign):
            return row.name.removeprefix(sign), how
    against = next(iter(row.cells.values())).compared_with if row.cells else ""
    return row.name, f"against {against}" if against else "the difference is"


def _amount(row: Together, digits: int, points: str) -> str:
    if row.delta is None or row.ci_low is None or row.ci_high is None:
        return "unknown"
    low, high = (typeset(bound, digits, sign=True) for bound in (row.ci_low, row.ci_high))
    return f"{typeset(row.delta, digits, sign=True)}{points} ({low} to {high})"


def _table(of: Material) -> Section:
    shown = views.view(of.found, "settings")
    notes = Bullets(tuple(line(note) for note in shown.notes), minor=True)
    return Section("table", "Over the settings", (Table(replace(shown, notes=()), shown.title, "settings"), notes))


def _setting(name: str, part: Results) -> Section:
    shown = views.table_data(part)
    notes = Bullets(tuple(line(note) for note in shown.notes), minor=True)
    caption = f"{part.study} in {name}: ablation by {shown.metric} ({shown.better} is better)"
    return Section(f"in-{name}", f"In {name}", (Table(replace(shown, notes=()), caption, f"in-{name}"), notes))
