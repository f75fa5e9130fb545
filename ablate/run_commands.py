"""The commands about single runs: show, why, verify, retry. They join the others in cli.py.

Each imports its stage when it is called, as all commands do.
"""

from __future__ import annotations

import sys
from typing import Annotated, cast, get_args

import typer

from ablate.errors import AblateError
from ablate.records import Reason
from ablate.terminal import Global, RunArgument, Set, StudyArgument, check_choice

app = typer.Typer()


@app.command()
def show(run: RunArgument) -> None:
    """Print one run: what was asked and what came of it.

    The configuration, every attempt, its metrics, and the traceback of a failure.

    ablate show full:0
    """
    from ablate.standing import find_run
    from ablate.store import Store
    from ablate.view import run_text

    with Store.open(Global.db) as store:
        print(run_text(store, find_run(store, run)))


@app.command()
def why(run: RunArgument) -> None:
    """Say why a run is in its state, and what to do.

    Its attempts, the rule about retries, and results that came too late to count.

    ablate why full:0
    """
    from ablate.standing import find_run
    from ablate.store import Store
    from ablate.why import why_text

    with Store.open(Global.db) as store:
        print(why_text(store, find_run(store, run)))


@app.command()
def verify(run: RunArgument) -> None:
    """Execute one run again and compare the numbers.

    It is held against the result that counts; nothing is stored.
    Bit-identical, rounding-level (each number within 1e-5 of itself) or different, which is exit code 1.

    ablate verify full:0
    """
    from ablate import verify as verifying
    from ablate.standing import find_run
    from ablate.store import Store

    with Store.open(Global.db) as store:
        key = find_run(store, run)
    found = verifying.verify(key, Global.db)
    print(verifying.comparison_text(key, found))
    if found.verdict == "different":
        raise typer.Exit(1)


@app.command()
def retry(
    study: StudyArgument = None,
    failed: Annotated[bool, typer.Option("--failed", help="Runs that failed, whatever the reason.")] = False,
    reason: Annotated[
        list[str] | None, typer.Option("--reason", metavar="REASON", help="Only these. May be given again.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, metavar="N", help="Runs at a time.")] = None,
    set_: Set = None,
) -> None:
    """Execute failed runs again, and what else is to do.

    Their earlier attempts stay on record.

    ablate retry batchnorm --failed --reason oom
    """
    from ablate import runner
    from ablate.view import View

    for given in reason or ():
        check_choice("--reason", given, get_args(Reason))
    reasons = cast(tuple[Reason, ...], tuple(reason or ()))
    if not failed and not reasons:
        raise AblateError("say what to retry: --failed takes up every failed run, --failed --reason oom only some.")
    found = runner.find(study, Global.db, set_ or ())
    asked = runner.Options(workers, retry_failed=not reasons, retry_reasons=reasons)
    with View(quiet=Global.quiet or not sys.stderr.isatty()) as view:
        ended = runner.execute(found, Global.db, asked, view)
    if ended.stopped_by is not None:
        raise KeyboardInterrupt
    states, _, saved = runner.known_states(found.plan, Global.db)
    counts = runner.count(found.plan, states, (), 1, saved)
    so_far = f"{counts.done} of {counts.total} runs done, {counts.failed} failed"
    print(f"{found.study.name}: {ended.executed} executed; {so_far}.")
    if counts.failed:
        raise typer.Exit(1)
