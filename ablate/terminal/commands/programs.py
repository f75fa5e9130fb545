"""The commands of studies that run a program: try, recapture."""

from __future__ import annotations

from typing import Annotated

import typer

from ablate.terminal.options import Set, StudyArgument, Terminal

app = typer.Typer()


@app.command(name="try")
def try_(
    context: typer.Context,
    study: StudyArgument = None,
    set_: Set = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put where numbers are, and what was read, into the study file.")
    ] = False,
) -> None:
    """Execute one run of a command and print what is seen of it.

    Every number that is found, where and at how many steps; files that it read and that are not in its key; files that
    it wrote outside its folder; time and memory. With nothing changed it is the study's first run, and counts.

    ablate try mine.yaml --set epochs=1
    """
    from ablate.runs import trial
    from ablate.runs.planned import find
    from ablate.terminal.live import View

    terminal = Terminal.of(context)
    if not set_:
        terminal.before_writing()
    planned = find(study, terminal.db, set_ or ())
    with View(quiet=True, failures=False) as view:
        tried = trial.attempt(planned, terminal.db, view)
    print(tried.text)
    if write:
        for line in trial.write(planned, tried):
            terminal.say(line)
    if tried.wrong:
        raise typer.Exit(1)


@app.command()
def recapture(context: typer.Context, study: StudyArgument = None, set_: Set = None) -> None:
    """Read the numbers of a command's runs anew, from what they left.

    After a change of `metrics:` or `derive:`: finished runs, and those that ended without the number that the study
    asks for. Nothing is executed.

    ablate recapture mine
    """
    from ablate.runs.planned import find
    from ablate.runs.recapture import recapture as read_anew

    terminal = Terminal.of(context)
    terminal.before_writing()
    told = read_anew(find(study, terminal.db, set_ or ()), terminal.db)
    print(told.text)
    if told.without:
        raise typer.Exit(1)
