"""The commands that train: run, quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    check_choice,
    engine_of,
)
from ablate.text import did_you_mean, listed, many

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
    jobs: Jobs = None,
    sbatch: Sbatch = None,
    before: Before = None,
    address: Address = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Hand everything over and leave; a later `run` collects it.")
    ] = False,
) -> None:
    """Train what is missing, then print the ablation table.

    The same command again goes on where it stopped; finished runs are never trained twice. Elsewhere than here:
    --executor slurm, ray or workers (`ablate help clusters`).

    ablate run studies/batchnorm.yaml
    """
    from ablate.runs import execute
    from ablate.runs.planned import find

    terminal = Terminal.of(context)
    engine = engine_of(jobs, sbatch, before, address)
    terminal.before_writing()
    planned = find(study, terminal.db, set_ or ())
    chosen = tuple(name.strip() for name in devices.split(",")) if devices else ()
    options = execute.Options(workers, chosen, retry_failed, canary, executor=executor, engine=engine, detach=detach)
    _train(terminal, planned, options)


@app.command()
def stop(context: typer.Context, study: StudyArgument = None) -> None:
    """Cancel what a detached study still has queued or running.

    What is done stays; the others are to do again. What a living `ablate run` looks after is its own: Ctrl-C ends it.

    ablate stop batchnorm
    """
    from ablate.runs.stopping import stop as stopped
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    terminal.before_writing()
    with Store.open(terminal.db) as store:
        name = terminal.found(store, study).name
    ended = stopped(name, terminal.db, terminal.say)
    print(f"{name}: {many(ended.cancelled, 'run')} cancelled, {ended.done} had ended and count.")
    if ended.held:
        terminal.say(f"{many(ended.held, 'run')} of it an `ablate run` looks after; Ctrl-C there ends them.")


@app.command()
def worker(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The one that `ablate run` names.")],
    workers: Workers = None,
    time_: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="What is left of its job: 90m, 4h, or 1-02:30:00.")
    ] = None,
    wait: Annotated[
        str, typer.Option(metavar="TIME", help="How long it stays with nothing to do and no `ablate run` about.")
    ] = "10m",
    sees: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Execute runs that another machine's `ablate run` hands over.

    One more worker, on any machine that sees the folder, started by whatever can start a process there. It takes as
    many runs at a time as its job has processors or GPUs, gives back what it cannot end in time, and leaves by itself.

    ablate worker results/batchnorm/workers --wait 0
    """
    from ablate.pool import mailbox, pilot

    terminal = Terminal.of(context)
    job, again = pilot.of_job()
    terms = pilot.Terms(workers, pilot.seconds_left(time_), pilot.seconds_left(wait) or 0.0, sees, job, again)
    executed = pilot.work(folder.resolve(), terms, terminal.say)
    terminal.say(f"{mailbox.LEFT}{many(executed, 'run')}")


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
    """Leave each option of a command out in turn, without a study.

    An option is a trick where leaving it out turns it off. What is one, what stays and why is printed first; the study
    is written, and the next command may be `ablate run`. Without --metric the command runs once, as it stands.

    ablate quick --metric accuracy --keep lr -- python train.py --mixup 0.2 --model-ema --lr 0.1
    """
    from ablate.runs import execute
    from ablate.runs import quick as typed_
    from ablate.study.candidates import parts_in_words
    from ablate.terminal.live import View

    terminal = Terminal.of(context)
    terminal.before_writing()
    if better:
        check_choice("--better", better, ("higher", "lower"))
    if command and command[0].startswith("-"):
        options = [one.opts[0] for one in context.command.params if one.opts[0].startswith("-")]
        near = did_you_mean(command[0], options)
        told = f"quick has no option {command[0]!r}; it has {listed(options)}.{near} The command begins after --."
        raise AblateError(told)
    typed = typed_.taken_apart(command, trick or (), keep or ())
    file = output or Path(f"quick-{Path(typed.script.path).stem}.yaml")
    typed_.write(typed, file, metric, better, seeds, seed)
    terminal.say(f"{parts_in_words(typed.parts, seeds)}\nwrote {file}")
    planned = typed_.planned(typed, file, terminal.db)
    if metric:
        lacking = typed_.take_up(planned, terminal.db)
        if lacking:
            terminal.say(lacking)
        _train(terminal, planned, execute.Options(workers))
        return
    with View(quiet=terminal.quiet, failures=False) as view:
        numbers = typed_.once(planned, terminal.db, view)
    print(numbers)
    terminal.say("name the one that decides: the same command with --metric NAME. This run counts.")


def _train(terminal: Terminal, planned: Planned, options: Options) -> None:
    """Execute what is missing of a study and print its table."""
    from ablate.runs import execute, progress
    from ablate.runs.afterwards import settled
    from ablate.store.store import Store
    from ablate.terminal.live import View
    from ablate.terminal.printed import print_table

    with View(quiet=terminal.quiet) as view:
        ended = execute.execute(planned, terminal.db, options, view)
    if ended.stopped_by is not None:
        terminal.say("stopped; what is done is kept. Go on with the same command.")
        sys.exit(130)
    if ended.detached:
        terminal.say(
            f"{many(ended.detached, 'run')} handed over to {options.executor}. `ablate run {planned.study.name} "
            f"--executor {options.executor}` collects what is done and goes on; `ablate stop` cancels the rest."
        )
        with Store.open(terminal.db) as store:
            if kept_back := progress.kept_back(planned, store):
                terminal.say(kept_back)
        return
    if ended.alike:
        raise typer.Exit(1)
    for sentence in settled(planned, terminal.db):
        terminal.say(sentence)
    if print_table(planned.study.name, terminal.db, "ablation") or ended.left:
        raise typer.Exit(1)
