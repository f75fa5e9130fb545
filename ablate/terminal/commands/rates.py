"""The command that tries learning rates: lr."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablate.terminal.options import Set, StudyArgument, Terminal, kind_of

app = typer.Typer()


@app.command()
def lr(
    context: typer.Context,
    study: StudyArgument = None,
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose training. [default: base, else the first]")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="[default: the study's first]")] = None,
    low: Annotated[float, typer.Option(metavar="RATE", help="The first rate.")] = 1e-5,
    high: Annotated[float, typer.Option(metavar="RATE", help="The last one.")] = 10.0,
    steps: Annotated[int, typer.Option(min=20, max=100_000, metavar="N", help="Steps from low to high.")] = 100,
    device: Annotated[str, typer.Option(metavar="cpu|cuda:0", help="Where it trains.")] = "cpu",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Draw it, too: html, pdf, svg or png by its ending."),
    ] = None,
    set_: Set = None,
) -> None:
    """Try learning rates in one short training (range test).

    The rate rises at every step, from --low to --high (Smith 2017). Prints the loss at each, where it falls fastest and
    where it is lowest. Nothing is stored, and no run counts.

    ablate lr studies/batchnorm.yaml --variant full
    """
    from ablate.figures import files
    from ablate.figures import rates as drawing
    from ablate.runs import rates
    from ablate.runs.planned import find

    terminal = Terminal.of(context)
    kind = kind_of(output, None, files.KINDS, "svg")
    planned = find(study, terminal.db, set_ or ())
    tested = rates.range_test(planned, variant, seed, low=low, high=high, steps=steps, device=device)
    print(f"{rates.table(tested)}\n\n{rates.advice(tested)}")
    if output is not None:
        terminal.write(files.drawn(drawing.scene(tested), kind).content, output)
