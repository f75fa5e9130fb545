"""The command that tunes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ablate.errors import AblateError
from ablate.terminal.options import (
    Address,
    Before,
    ExecutorName,
    Jobs,
    Sbatch,
    Set,
    StudyArgument,
    Terminal,
    Workers,
    engine_of,
)

app = typer.Typer()


@app.command()
def tune(
    context: typer.Context,
    study: StudyArgument = None,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Settings to try. [default: the study's]")
    ] = None,
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to tune; best: by the table's own rule.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Try no further setting after 90s, 15m or 2h of running.")
    ] = None,
    apply: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Search nothing: write the study as it was tuned.")
    ] = None,
    workers: Workers = None,
    devices: Annotated[str | None, typer.Option(metavar="cuda:0,cuda:1", help="Use only these devices.")] = None,
    executor: ExecutorName = "local",
    set_: Set = None,
    jobs: Jobs = None,
    sbatch: Sbatch = None,
    before: Before = None,
    address: Address = None,
) -> None:
    """Search a variant's settings; judge the winner on fresh seeds.

    `tune:` in the study says what is searched. The winner is trained beside the untuned variant on seeds that the
    search did not see; the table shows both. The same command goes on where it stopped. The search can be watched:
    optuna-dashboard results/STUDY/tune.journal

    ablate tune studies/batchnorm_tuned.yaml --variant full --trials 10
    """
    from ablate.runs import execute
    from ablate.runs.planned import find
    from ablate.study.values import seconds_of
    from ablate.terminal.live import View
    from ablate.terminal.printed import print_table
    from ablate.tuning import tune

    terminal = Terminal.of(context)
    terminal.before_writing()
    planned = find(study, terminal.db, set_ or ())
    if apply is not None:
        text, sentences = tune.applied(planned, terminal.db, variant)
        terminal.write(text, apply)
        terminal.say("\n".join(sentences))
        return
    try:
        budget_s = None if budget is None else seconds_of(budget)
    except ValueError as error:
        raise AblateError(f"--budget is {budget!r}; {error}.") from None
    planned = tune.with_options(planned, trials, variant, budget_s)
    chosen = tuple(name.strip() for name in devices.split(",")) if devices else ()
    options = execute.Options(workers, chosen, executor=executor, engine=engine_of(jobs, sbatch, before, address))
    with View(quiet=terminal.quiet) as view:
        told = tune.tune(planned, terminal.db, options, view)
    if told.ended.stopped_by is not None:
        terminal.say("stopped; what is done is kept. Go on with the same command.")
        sys.exit(130)
    if told.ended.alike:
        raise typer.Exit(1)
    if print_table(planned.study.name, terminal.db, "confirm"):  # that a trial fails is part of a search
        raise typer.Exit(1)
