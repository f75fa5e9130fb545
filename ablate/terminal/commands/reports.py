"""The command about reports: report."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from ablate.errors import AblateError
from ablate.terminal.options import StudyArgument, Terminal, kind_of

ENDINGS = {"html": ".html", "pdf": ".pdf", "latex": ".tex", "markdown": ".md"}
"""Each format and its file's ending. The module that makes it is reports/NAME.py."""

PDF_ROWS = 24
"""Rows of the figure of effects on paper, where it has one column."""

app = typer.Typer()


@app.command()
def report(
    context: typer.Context,
    study: StudyArgument = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="html|pdf|latex|markdown", help="Without -o. [default: html]"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Its ending decides the format. [default: results/STUDY/report.html]"
        ),
    ] = None,
    notes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own paragraphs, in Markdown; they become a section.")
    ] = None,
    methods: Annotated[
        bool, typer.Option("--methods", help="Print the statistics paragraph of a paper, and nothing else.")
    ] = False,
) -> None:
    """Write a study's report.

    Question, variants, tables, curves of the best variant, effects, what the numbers support and what not, how to train
    it again, papers. PDF: two pages at most, your notes included. HTML: one file, for a browser without network.

    ablate report batchnorm -o report.pdf
    """
    from ablate.reports import author, report
    from ablate.runs.planned import folder_name
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    kind = kind_of(output, format_, ENDINGS, "html")
    if methods and kind == "pdf":
        raise AblateError("--methods is a paragraph of text: as markdown, latex or html, or without --format as it is.")
    own = author.read(notes) if notes is not None else ()
    with Store.open(terminal.db) as store:
        name = terminal.found(store, study).name
        material = report.material(store, name)
        folder = store.folder / folder_name(name)
    if methods:
        text = report.methods_text(material)
        terminal.write(f"{text if format_ is None and output is None else _marked_up(text, kind)}\n", output)
        return
    document = report.document(material, own, *([PDF_ROWS] if kind == "pdf" else []))
    output = output or folder / f"report{ENDINGS[kind]}"
    for file, content in import_module(f"ablate.reports.formats.{kind}").files(document, output.name).items():
        terminal.write(content, output.parent / file)


def _marked_up(text: str, kind: str) -> str:
    """`text` as that format writes it."""
    from ablate.registry import Registry

    made: str = Registry().make("tables", kind, {}).text(text)
    return made
