"""The commands that bring results in from elsewhere: import. They join the others in cli.py.

Each imports its stage when it is called, as all commands do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablate.records import Better
from ablate.terminal import Global, check_choice, say

app = typer.Typer()


def _column(name: str, what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(f"--{name}", metavar="COL", help=what)
    return option


@app.command(name="import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="Comma-separated, its first line the columns' names.")
    ],
    study: Annotated[str, typer.Option(metavar="NAME", help="What the study is to be called.")],
    metric: Annotated[str, _column("metric", "The metric, and the column of its values unless --mean names it.")],
    better: Annotated[str, typer.Option(metavar="higher|lower", help="Which way the metric is better.")],
    variant: Annotated[str | None, _column("variant", "Labels: what equals what.")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="What the others are compared with. [default: base, else the first]"),
    ] = None,
    factors: Annotated[
        str | None, typer.Option(metavar="COL,COL,...", help="Or a column per trick: 0/1, or 0 and the level's name.")
    ] = None,
    seed: Annotated[str | None, _column("seed", "Seeds that variants share; without it nothing is paired.")] = None,
    mean: Annotated[str | None, _column("mean", "One line per variant: its mean, ...")] = None,
    sd: Annotated[str | None, _column("sd", "... its standard deviation, empty where n is 1, ...")] = None,
    n: Annotated[str | None, _column("n", "... and its number of runs.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the study of that name.")] = False,
) -> None:
    """Bring runs that were trained elsewhere into a study.

    table, its views, export and figures work on them. Lines that begin with # are comments; a bad cell is an error with
    its line and column, and then nothing is imported.

    ablate import runs.csv --study mine --metric accuracy --better higher --variant model --seed seed
    """
    from typing import cast

    from ablate import importer
    from ablate.store import Store

    check_choice("--better", better, ("higher", "lower"))
    listed = tuple(name.strip() for name in factors.split(",")) if factors else ()
    columns = importer.Columns(metric, cast(Better, better), variant, baseline, listed, seed, mean, sd, n)
    found = importer.read_file(file, columns)
    with Store.open(Global.db, write=True) as store:
        importer.save(found, store, study, columns, replace=replace)
    say(f"imported {len(found.runs)} lines: {len(found.variants)} variants of {study}, compared with {found.baseline}.")
