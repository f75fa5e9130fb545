"""The report of a study in several settings: what holds over them, then each setting's own table."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from ablate.analysis.results import Results
from ablate.analysis.settings import Together
from ablate.errors import FigureError
from ablate.figures import source
from ablate.figures.figure import Scene
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
from ablate.text import decimals, in_words, many, typeset


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
    blocks.append(Paragraph(_answer(of.found)))
    return Section("question", "Question and answer" if question else "In short", tuple(blocks))


def _answer(loaded: Results) -> Line:
    """What is decided in these settings on average."""
    over = loaded.over
    ends = [row.ci_high - row.ci_low for row in over.rows if row.ci_low is not None and row.ci_high is not None]
    digits, parts = decimals(ends), list[Line]()
    for verdict in ("helps", "hurts"):
        named = [_said(row, digits) for row in over.rows if row.verdict == verdict]
        if named:
            where = f"In these {len(over.settings)} settings, on average, {verdict}: "
            parts.append(line(where, strong("; ".join(named)), ". "))
    open_rows = [row.name for row in over.rows if row.verdict == "inconclusive"]
    if open_rows:
        parts.append(line(f"Open: {in_words(open_rows)}. "))
    if over.why:
        parts.append(line(f"There is no mean: {over.why}."))
    return tuple(span for part in parts for span in part) or line("Nothing is decided yet.")


def _said(row: Together, digits: int) -> str:
    if row.delta is None or row.ci_low is None or row.ci_high is None:
        return row.name
    low, high = (typeset(bound, digits, sign=True) for bound in (row.ci_low, row.ci_high))
    return f"{row.name} {typeset(row.delta, digits, sign=True)} ({low} to {high})"


def _table(of: Material) -> Section:
    shown = views.view(of.found, "settings")
    notes = Bullets(tuple(line(note) for note in shown.notes), minor=True)
    return Section("table", "Over the settings", (Table(replace(shown, notes=()), shown.title, "settings"), notes))


def _setting(name: str, part: Results) -> Section:
    shown = views.table_data(part)
    notes = Bullets(tuple(line(note) for note in shown.notes), minor=True)
    caption = f"{part.study} in {name}: ablation by {shown.metric} ({shown.better} is better)"
    return Section(f"in-{name}", f"In {name}", (Table(replace(shown, notes=()), caption, f"in-{name}"), notes))
