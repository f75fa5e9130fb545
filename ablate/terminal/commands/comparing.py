"""The command about two studies: compare."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from ablate.terminal.options import Output, Setting, Terminal, check_choice

app = typer.Typer()


@app.command()
def compare(
    context: typer.Context,
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a stored study.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Another one, or with --other-db the same.")],
    other_db: Annotated[
        str | None, typer.Option("--other-db", metavar="URL-or-path", help="Where OTHER is stored. [default: --db]")
    ] = None,
    setting: Setting = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="markdown|latex|html|csv|json|typst",
            help="[default: by the file's ending; drawn on a terminal, else markdown]",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Compare two studies row by row: did an effect change?

    The difference of the differences with its interval and a corrected p-value; then what differs between the two
    plans, and which rows it can explain.

    ablate compare batchnorm batchnorm
    """
    from ablate.analysis import results
    from ablate.registry import Registry
    from ablate.store.store import Store
    from ablate.tables import views
    from ablate.tables.between import between
    from ablate.tables.table import TableOptions
    from ablate.terminal import columns

    terminal = Terminal.of(context)
    shelf = Registry()
    drawn = format_ is None and output is None and sys.stdout.isatty()
    format_ = format_ or views.format_of(output, must=False)
    check_choice("--format", format_, shelf.names("tables"))
    with Store.open(terminal.db) as store:
        one = results.load(store, terminal.found(store, study).name)
        asked = store.configs(one.study)
    with Store.open(other_db or terminal.db) as store:
        two = results.load(store, terminal.found(store, other).name)
        theirs = store.configs(two.study)
    if setting is not None and not (one.settings or two.settings):
        one.within(setting)  # says that it has none
    one, two = (of.within(setting) if of.settings else of for of in (one, two))
    for of in (one, two):
        of.of_one_setting("compare")
    data = between(one, two, (asked, theirs))
    if drawn:
        columns.put(partial(columns.lines, data, options=TableOptions(), notes=True))
        return
    terminal.write(shelf.make("tables", format_, {}).render(data, TableOptions()), output)
