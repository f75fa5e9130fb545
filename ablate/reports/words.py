"""The authors' own words, `notes:` of the study file: a title, names, and what they say of study, variants and tricks.

A report takes them from the file as it is now, for nobody trains anew to mend a sentence, and where that is gone or
another study's, as they were when it ran last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ablate.errors import AblateError, StudyError
from ablate.registry import unknown
from ablate.reports import author
from ablate.reports.document import Block, Paragraph, Section, line, strong
from ablate.study.file import load
from ablate.study.record import PlanRecord

Words = Mapping[str, Any]


def current(record: PlanRecord) -> Words:
    """The words on a stored study. StudyError where the file's notes are wrong; AblateError for a variant that there is
    not."""
    if not record.file or not Path(record.file).is_file():
        return record.words
    try:
        study = load(Path(record.file), record.overrides)
    except StudyError as error:
        of_notes = [problem for problem in error.problems if problem.path.partition(".")[0] == "notes"]
        if of_notes:
            raise StudyError(of_notes) from None
        return record.words
    except AblateError:
        return record.words
    if study.name != record.study:
        return record.words
    every = (name for one in record.variants for name in (_within(one.name, one.setting), one.name))
    names = list(dict.fromkeys(every))
    for name in study.words.get("variants", {}):
        if name not in names:
            raise StudyError([study.problem(f"notes.variants.{name}", unknown("variant", name, names))])
    return study.words


def _within(name: str, setting: str) -> str:
    """A variant's name where it stands, without the setting."""
    return name.removeprefix(f"{setting}/") if setting else name


MOST_TITLE = 120
"""Characters of a question that is a title, too."""


def title(words: Words, study: str, question: str = "") -> str:
    """The authors', else the study's first question where that is short, else its name."""
    asked = first_question(question)
    return (
        str(words.get("title", "")).strip()
        or (asked if len(asked) <= MOST_TITLE else "")
        or f"{study}: ablation report"
    )


def first_question(question: str) -> str:
    """Up to the first question mark, else the first sentence."""
    end = question.find("?")
    end = question.find(". ") if end < 0 else end
    return question if end < 0 else question[: end + 1]


def subtitle(words: Words, said: str) -> str:
    """The line below the title, after who wrote it."""
    return " · ".join([*filter(None, [", ".join(words.get("authors", ()))]), said])


def of_study(words: Words) -> tuple[Block, ...]:
    return author.parse(words.get("text", ""), "notes.text")


def every(words: Words, record: PlanRecord) -> tuple[Block, ...]:
    """All blocks that the authors wrote."""
    told = section(words, record)
    return (*of_study(words), *(told.blocks if told else ()))


def of_variant(words: Words, name: str) -> tuple[Block, ...]:
    """What the authors say of one variant."""
    text = words.get("variants", {}).get(name, "")
    return author.parse(text, f"notes.variants.{name}") if text else ()


def section(words: Words, record: PlanRecord, told: Collection[str] = ()) -> Section | None:
    """What the authors say of variants and tricks; None where that is nothing. told: variants whose words stand
    elsewhere."""
    shown = {trick.name: trick.shown for trick in record.tricks}
    blocks = [
        block
        for kind in ("variants", "tricks")
        for name, text in words.get(kind, {}).items()
        if kind == "tricks" or name not in told
        for block in _of(shown.get(name, name) if kind == "tricks" else name, text, f"notes.{kind}.{name}")
    ]
    return Section("words", "In the authors' words", tuple(blocks)) if blocks else None


def _of(name: str, text: str, place: str) -> Iterator[Block]:
    """A text, its first paragraph after the name."""
    blocks = author.parse(text, place)
    if blocks and isinstance(blocks[0], Paragraph):
        yield Paragraph((*line(strong(f"{name}.")), *line(" "), *blocks[0].text))
        blocks = blocks[1:]
    else:
        yield Paragraph(line(strong(f"{name}.")))
    yield from blocks
