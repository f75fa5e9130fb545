"""The command about tables: print one, or hold a committed file against the database."""

from __future__ import annotations

import csv
import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablate.errors import AblateError
from ablate.terminal.options import Output, Setting, StudyArgument, Terminal, check_choice

if TYPE_CHECKING:
    from ablate.store.reader import Reader

app = typer.Typer()


@app.command()
def table(
    context: typer.Context,
    study: StudyArgument = None,
    view: Annotated[
        str,
        typer.Option(
            metavar="VIEW",
            help="variants, matrix, cumulative, effects, interactions, shapley, compare, coverage, classes, settings, "
            "ranks, iqm, configurations or cost.",
        ),
    ] = "variants",
    setting: Setting = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="markdown, latex, html, csv, json or typst. [default: by the file's ending; drawn on a terminal, else "
            "markdown]",
        ),
    ] = None,
    digits: Annotated[
        int | None, typer.Option(min=0, max=10, help="Decimals. [default: what the spread shows]")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME,...", help="Which columns, in this order; an unknown name lists them all."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="By a column, best first; -NAME: worst first. [default: plan, its order]"),
    ] = None,
    caption: Annotated[str | None, typer.Option(help="Above the table.")] = None,
    label: Annotated[str | None, typer.Option(help="The name that LaTeX's \\ref uses; HTML's id.")] = None,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="LaTeX or HTML: a document that stands by itself.")
    ] = False,
    all_notes: Annotated[bool, typer.Option("--notes", help="On a terminal: every note in full.")] = False,
    ascii_: Annotated[bool, typer.Option("--ascii", help="On a terminal: nothing but ASCII.")] = False,
    output: Output = None,
    check: Annotated[
        Path | None,
        typer.Option(
            "--check", metavar="FILE", help="Print no table: exit 1, with the difference, if FILE is not the same."
        ),
    ] = None,
) -> None:
    """Print the ablation table, or another view of the same results.

    Paired differences with intervals, corrected p-values and verdicts; everything with its n. matrix: a tick per trick.
    Of a factorial or a fraction: effects, interactions, Shapley values. compare: each trick in every context.
    coverage: kinds of trick. classes: accuracy of each class. ranks, iqm: over settings. configurations: of every
    variant. cost: what each takes, and which row is cheaper and not worse. --check, with the options that made FILE, is
    for a paper's or repository's CI; without STUDY it takes the study that is called like FILE.

    ablate table batchnorm --format latex
    """
    from ablate.analysis import results
    from ablate.registry import Registry
    from ablate.store.store import Store
    from ablate.tables import views
    from ablate.tables.table import TableOptions
    from ablate.terminal import drawn

    terminal = Terminal.of(context)
    if check is not None and output is not None:
        raise AblateError("--check writes nothing; leave --output out.")
    file = check or output
    plain = (format_, file, caption, label) == (None,) * 4 and not standalone
    format_ = format_ or views.format_of(file, must=check is not None)
    check_choice("--format", format_, Registry().names("tables"))
    options = TableOptions(digits=digits, caption=caption, label=label, standalone=standalone, columns=_listed(columns))
    with Store.open(terminal.db) as store:
        name = terminal.found(store, study or _named_like(check, store)).name
        loaded = results.load(store, name).within(setting)  # what each example says is read when a table asks for it
        if plain and (sys.stdout.isatty() or ascii_ or all_notes):
            drawn.show(loaded, view, sort, options, ascii_=ascii_, notes=all_notes)
            return
        text = views.text(loaded, format_, view, sort, options)
    if check is None:
        terminal.write(text, output)
    elif not _same(check, text, name):
        raise typer.Exit(1)


def _listed(columns: str | None) -> tuple[str, ...]:
    """Names between commas; one that has a comma itself stands in double quotes."""
    if columns is None:
        return ()
    names = tuple(name.strip() for name in next(csv.reader([columns], skipinitialspace=True), []))
    if not any(names):
        raise AblateError("--columns names no column; leave it out for the view's own.")
    return names


def _named_like(check: Path | None, store: Reader) -> str | None:
    """The stored study that the file to be checked is called after, if there is one."""
    return check.stem if check is not None and check.stem in store.studies() else None


def _same(file: Path, text: str, study: str) -> bool:
    """Whether a file holds this table; prints the difference. How its lines end (git may have changed it) is no matter.

    AblateError where there is no such text file.
    """
    try:
        held = file.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        raise AblateError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise AblateError(f"{file} is not UTF-8 text (byte {error.start}), so it is no table of ablate.") from None
    if held == text:
        print(f"{file} is what the database gives for {study}.")
        return True
    before, after = held.splitlines(keepends=True), text.splitlines(keepends=True)
    for line in difflib.unified_diff(before, after, str(file), f"{study}, from the database"):
        print(line if line.endswith("\n") else f"{line}\n\\ no newline at the end of the file\n", end="")
    print(f"{file} differs from what the database gives for {study}. The same command with -o makes it anew.")
    return False
