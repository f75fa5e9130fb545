"""The commands that train: run, quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablate.terminal.options import ExecutorName, Set, StudyArgument, Terminal, Workers, check_choice

if TYPE_CHECKING:
    from ablate.runs.execute import Options
    from ablate.runs.planned import Planned

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
    from ablate.runs import execute
    from ablate.runs.planned import find

    terminal = Terminal.of(context)
    terminal.before_writing()
    planned = find(study, terminal.db, set_ or ())
    chosen = tuple(name.strip() for name in devices.split(",")) if devices else ()
    _train(terminal, planned, execute.Options(workers, chosen, retry_failed, canary, executor=executor))


@app.command(context_settings={"ignore_unknown_options": True})
def quick(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="What you type to train.")],
    seeds: Annotated[int, typer.Option(metavar="N", help="Runs of each variant.")] = 3,
    metric: Annotated[
        str,
        typer.Option(metavar="NAME", help="The number that decides. Without it: one run, its numbers listed."),
    ] = "",
    better: Annotated[str, typer.Option(metavar="higher|lower", help="[default: by the metric's name]")] = "",
    trick: Annotated[
        list[str] | None, typer.Option(metavar="OPTION", help="Leave this one out, too. May be given again.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="OPTION", help="Leave this one in. May be given again.")
    ] = None,
    seed: Annotated[
        str, typer.Option(metavar="OPTION|inject|none", help="How a seed gets in. [default: the script's own option]")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The study. [default: quick-SCRIPT.yaml]")
    ] = None,
    workers: Workers = None,
) -> None:
    """Leave each option of a command out in turn: a study without writing one.

    An option is a trick where leaving it out turns it off. What is one, what stays and why is printed first; the study
    is written, and the next command may be `ablate run`. Without --metric the command runs once, as it stands.

    ablate quick --metric accuracy --keep lr -- python train.py --mixup 0.2 --model-ema --lr 0.1
    """
    from ablate.runs import execute
    from ablate.runs import quick as typed_
    from ablate.runs.planned import find
    from ablate.study.candidates import parts_in_words
    from ablate.terminal.live import View

    terminal = Terminal.of(context)
    terminal.before_writing()
    if better:
        check_choice("--better", better, ("higher", "lower"))
    typed = typed_.taken_apart(command, trick or (), keep or ())
    file = output or Path(f"quick-{Path(typed.script.path).stem}.yaml")
    typed_.write(typed, file, metric, better, seeds, seed)
    terminal.say(f"{parts_in_words(typed.parts, seeds)}\nwrote {file}")
    planned = find(str(file), terminal.db)
    if metric:
        typed_.take_up(planned, terminal.db)
        _train(terminal, planned, execute.Options(workers))
        return
    with View(quiet=terminal.quiet) as view:
        listed = typed_.once(planned, terminal.db, view)
    print(listed)
    terminal.say("name the one that decides: the same command with --metric NAME. This run counts.")


def _train(terminal: Terminal, planned: Planned, options: Options) -> None:
    """Execute what is missing of a study and print its table."""
    from ablate.runs import execute
    from ablate.runs.afterwards import settled
    from ablate.terminal.live import View
    from ablate.terminal.printed import print_table

    with View(quiet=terminal.quiet) as view:
        ended = execute.execute(planned, terminal.db, options, view)
    if ended.stopped_by is not None:
        terminal.say("stopped; what is done is kept. Go on with the same command.")
        sys.exit(130)
    if ended.alike:
        raise typer.Exit(1)
    for sentence in settled(planned, terminal.db):
        terminal.say(sentence)
    if print_table(planned.study.name, terminal.db, "ablation") or ended.left:
        raise typer.Exit(1)
