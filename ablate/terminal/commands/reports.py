"""The command about reports: report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablate.registry import Registry
from ablate.terminal.options import Font, Setting, StudyArgument, Terminal, check_choice, kind_of, say_lacking

if TYPE_CHECKING:
    from ablate.reports.document import ReportFormat

app = typer.Typer()


@app.command()
def report(
    context: typer.Context,
    study: StudyArgument = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", metavar="|".join(Registry().names("reports")), help="Without -o. [default: html]"
        ),
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
    variant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose curves and images it shows. [default: the best mean's]"),
    ] = None,
    setting: Setting = None,
    font: Font = None,
    checklist: Annotated[
        str | None,
        typer.Option(metavar="neurips|aaai|arr|mlrc", help="A venue's checklist instead, as LaTeX or (.md) Markdown."),
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
    from ablate.analysis import results
    from ablate.figures import glyphs
    from ablate.reports import author, material, report, settings
    from ablate.runs.planned import folder_name
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    shelf = Registry()
    if checklist is not None:
        _checklist(terminal, study, setting, checklist, output, format_)
        return
    formats: dict[str, ReportFormat] = {name: shelf.make("reports", name, {}) for name in shelf.names("reports")}
    chosen = formats[kind_of(output, format_, {name: one.ending for name, one in formats.items()}, "html")]
    bare = format_ is None and output is None
    if methods and not bare:
        chosen.paragraph("")  # a format that has none says so before anything is read
    own = author.read(notes) if notes is not None else ()
    with Store.open(terminal.db) as store:
        name = terminal.found(store, study).name
        loaded = results.load(store, name).within(setting)
        folder = store.folder / folder_name(name)
        if loaded.settings:
            several = settings.material(store, loaded)
            text, made = partial(settings.methods_text, several), partial(settings.document, several, own)
        else:
            one = material.read(store, name, variant, setting)
            text = partial(report.methods_text, one)
            made = partial(report.document, one, own, chosen.effects, roomy=chosen.roomy)
        if methods:
            terminal.write(f"{text() if bare else chosen.paragraph(text())}\n", output)
            return
        document = made()
    output = output or folder / f"report{chosen.ending}"
    with glyphs.fonts(font or ()) as fonts:
        for file, content in chosen.files(document, output.name).items():
            terminal.write(content, output.parent / file)
    say_lacking(terminal, fonts.lacking, fonts.unjoined)


def _checklist(
    terminal: Terminal, study: str | None, setting: str | None, name: str, output: Path | None, format_: str | None
) -> None:
    """A venue's checklist, answered from the database; how much of it is left for the author."""
    from ablate.reports import checklist, material
    from ablate.store.store import Store

    check_choice("--checklist", name, tuple(checklist.CHECKLISTS))
    kind = kind_of(output, format_, {"latex": ".tex", "markdown": ".md"}, "latex")
    with Store.open(terminal.db) as store:
        of = material.read(store, terminal.found(store, study).name, None, setting)
        escape = Registry().make("tables", kind, {}).text
        render = checklist.latex if kind == "latex" else checklist.markdown
        text = render(checklist.CHECKLISTS[name], of, escape)
        answered = checklist.CHECKLISTS[name].answered(of)
    terminal.write(text, output)
    terminal.say(checklist.counted(answered))
