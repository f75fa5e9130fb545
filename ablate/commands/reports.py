"""The command about reports: report."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from ablate.errors import AblateError, did_you_mean, one_of
from ablate.terminal import Global, StudyArgument, check_choice, say, write

ENDINGS = {"html": ".html", "pdf": ".pdf", "latex": ".tex", "markdown": ".md"}
"""Each format and its file's ending. The module that makes it is reports/NAME.py."""

PDF_ROWS = 24
"""Rows of the figure of effects on paper, where it has one column."""

app = typer.Typer()


@app.command()
def report(
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
    from ablate import planner, prose
    from ablate import report as reports
    from ablate.store import Store

    kind = _kind(output, format_)
    if methods and kind == "pdf":
        raise AblateError("--methods is a paragraph of text: as markdown, latex or html, or without --format as it is.")
    name = planner.stored_study(study, Global.db).name
    own = prose.read(notes) if notes is not None else ()
    with Store.open(Global.db) as store:
        material = reports.material(store, name)
        folder = store.folder / planner.folder_name(name)
    if methods:
        text = reports.methods_text(material)
        write(f"{text if format_ is None and output is None else _marked_up(text, kind)}\n", output)
        return
    document = reports.document(material, own, *([PDF_ROWS] if kind == "pdf" else []))
    output = output or folder / f"report{ENDINGS[kind]}"
    _save(import_module(f"ablate.reports.{kind}").files(document, output.name), output.parent)


def _kind(output: Path | None, format_: str | None) -> str:
    """The format: by the file's ending, else as asked."""
    if format_ is not None:
        check_choice("--format", format_, tuple(ENDINGS))
    if output is None:
        return format_ or "html"
    ending = output.suffix.lower()
    of = {ending: kind for kind, ending in ENDINGS.items()}
    if ending not in of:
        raise AblateError(
            f"-o is {str(output)!r}, and its ending decides the format: it must be {one_of(of)}."
            f"{did_you_mean(ending, of)}"
        )
    if format_ is not None and format_ != of[ending]:
        raise AblateError(f"--format is {format_!r}, and -o ends in {ending}; one of them is enough.")
    return of[ending]


def _marked_up(text: str, kind: str) -> str:
    """`text` as that format writes it."""
    from ablate.registry import Registry

    made: str = Registry().make("tables", kind, {}).text(text)
    return made


def _save(files: dict[str, bytes], folder: Path) -> None:
    for name, made in files.items():
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made)
        except OSError as error:
            raise AblateError(f"{path} cannot be written: {error.strerror}.") from None
        say(f"wrote {path}")
