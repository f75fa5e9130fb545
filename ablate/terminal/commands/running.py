"""The command that trains: run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ablate import text
from ablate.terminal.options import ExecutorName, Set, StudyArgument, Terminal, Workers

app = typer.Typer()


@app.command()
def run(
    context: typer.Context,
    study: StudyArgument = None,
    workers: Workers = None,
    devices: Annotated[str | None, typer.Option(metavar="cuda:0,cuda:1", help="Use only these devices.")] = None,
    executor: ExecutorName = "local",
    set_: Set = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also take up runs that failed by themselves.")
    ] = False,
    canary: Annotated[bool, typer.Option(help="Try two steps of every variant first.")] = True,
) -> None:
    """Train what is missing, then print the ablation table.

    The same command again goes on where it stopped; finished runs are never trained twice.

    ablate run studies/batchnorm.yaml
    """
    from ablate.runs import examples, execute, weights
    from ablate.runs.planned import find
    from ablate.terminal.live import View
    from ablate.terminal.printed import print_table

    terminal = Terminal.of(context)
    terminal.before_writing()
    planned = find(study, terminal.db, set_ or ())
    chosen = tuple(name.strip() for name in devices.split(",")) if devices else ()
    with View(quiet=terminal.quiet) as view:
        options = execute.Options(workers, chosen, retry_failed, canary, executor=executor)
        ended = execute.execute(planned, terminal.db, options, view)
    if ended.stopped_by is not None:
        terminal.say("stopped; what is done is kept. Go on with the same command.")
        sys.exit(130)
    if ended.alike:
        raise typer.Exit(1)
    found = examples.fill(planned, terminal.db)
    if found.found or found.refused:
        terminal.say(str(found))
    freed = weights.prune(planned, terminal.db)
    if freed:
        terminal.say(f"removed {text.file_size(freed)} of weights: the study keeps those of the best variant.")
    if print_table(planned.study.name, terminal.db, "ablation"):
        raise typer.Exit(1)
