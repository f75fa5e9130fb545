"""The commands that look at runs, or at one again: status, show, why, verify, retry."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from ablate.errors import AblateError
from ablate.records import Json, Reason, Role
from ablate.terminal.options import (
    ExecutorName,
    OfStudy,
    RunArgument,
    Set,
    StudyArgument,
    Terminal,
    Workers,
    check_choice,
    print_json,
)

if TYPE_CHECKING:
    from ablate.runs.execute import Options
    from ablate.runs.planned import Planned
    from ablate.store.reader import Reader
    from ablate.store.store import Store

app = typer.Typer()


@app.command()
def status(
    context: typer.Context,
    study: StudyArgument = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep looking until all is done (Ctrl-C ends the looking only).")
    ] = False,
    format_: Annotated[str, typer.Option("--format", metavar="text|json")] = "text",
) -> None:
    """Print how far a study is, and what runs where. Changes nothing.

    --watch draws it from another terminal while `ablate run` or `tune` works: each row's runs and means so far, what
    runs where and against what at the same step; of a search its trials, the best, and what it gains.

    ablate status batchnorm
    """
    from ablate.pool.leases import lease_s
    from ablate.runs.progress import standing
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    check_choice("--format", format_, ("text", "json"))
    with Store.open(terminal.db) as store:
        name = terminal.found(store, study).name
        if watch and format_ == "text":
            _watch(terminal, store, name, lease_s())
        told = standing(store, name)
        roles: tuple[tuple[Role, str], ...] = (("tune", "search"), ("confirm", "tuned and untuned on fresh seeds"))
        more = {role: (what, standing(store, name, role)) for role, what in roles if store.cells(name, (role,))}
        searches = _searches(store, name, more["tune"][1]["counts"]) if "tune" in more else []
    if format_ == "json":
        further = {role: of for role, (_, of) in more.items()}
        print_json({**told, "lease_seconds": lease_s(), **further, **({"searches": searches} if searches else {})})
        return
    from ablate.terminal.printed import places_text, search_line, standing_text

    print(standing_text(told))
    for role, (what, of) in more.items():
        print(standing_text({**of, "study": f"{name}, {what}"}))
        for search in searches if role == "tune" else ():
            print(search_line(search))
    print(places_text([told, *(of for _, of in more.values())]), end="")


def _searches(store: Store, study: str, counts: Mapping[str, int]) -> list[dict[str, Json]]:
    """How far the searches of a study are; of ended ones what the stored plan keeps of them."""
    if counts["running"] or counts["todo"]:
        from ablate.runs.moment import moment
        from ablate.terminal.live import searching

        return [search.told() for search in searching(store, moment(store, study, role="tune"))]
    return [
        {
            "variant": entry.variant,
            "trial": entry.trials,
            "trials": entry.trials,
            "best": {"trial": entry.trial, "value": entry.value},
            "untuned": entry.untuned.value,
        }
        for entry in store.find(study).record.tuned
    ]


def _watch(terminal: Terminal, store: Reader, study: str, idle_s: float) -> None:
    from rich.console import Console

    from ablate.terminal import live

    console = Console(highlight=False)
    with suppress(KeyboardInterrupt):
        seen = live.watch(store, study, console, idle_s)
        if seen.waits:
            terminal.say(f"nothing is running; `ablate run {study}` goes on.")


@app.command()
def show(
    context: typer.Context,
    run: RunArgument,
    study: OfStudy = None,
    log: Annotated[bool, typer.Option("--log", help="What it printed, and nothing else.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="With --log: go on while it runs.")] = False,
    model: Annotated[
        bool, typer.Option("--model", help="RUN is a VARIANT, or a study's file: the parts of its network.")
    ] = False,
) -> None:
    """Print one run: what was asked and what came of it.

    The configuration, every attempt, its metrics and what they were taken from, and the traceback of a failure.
    --model prints a variant's network instead: shapes, parameters and FLOPs of its parts, and what each trick takes. Of
    a study's file, which need not have been run, it prints the whole network.

    ablate show full:300
    """
    from ablate.runs import logs
    from ablate.runs.planned import find_run
    from ablate.store.store import Store
    from ablate.terminal.printed import run_text

    terminal = Terminal.of(context)
    if model:
        from ablate.runs.planned import find
        from ablate.store.studies import is_path
        from ablate.terminal.printed import network_text

        names_file = study is None and is_path(run)
        print(network_text(find(run if names_file else study, terminal.db), None if names_file else run))
        return
    with Store.open(terminal.db) as store:
        key = find_run(store, run, study)
        if not (log or follow):
            print(run_text(store, key))
            return
        with suppress(KeyboardInterrupt):
            for line in logs.of_run(store, key, coloured=sys.stdout.isatty(), follow=follow):
                print(line, flush=follow)


@app.command()
def why(context: typer.Context, run: RunArgument, study: OfStudy = None) -> None:
    """Say why a run is in its state, and what to do.

    Its attempts, the rule about retries, and results that came too late to count.

    ablate why full:300
    """
    from ablate.runs.planned import find_run
    from ablate.runs.why import why_text
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    with Store.open(terminal.db) as store:
        print(why_text(store, find_run(store, run, study)))


@app.command()
def verify(
    context: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FILE.zip", help="A run's key, its first digits, or VARIANT:SEED; or evidence of `export`."
        ),
    ],
    study: OfStudy = None,
    seeds: Annotated[
        bool, typer.Option("--seeds", help="Also with another seed: is it heeded, is it all that differs?")
    ] = False,
) -> None:
    """Execute one run again and compare the numbers.

    It is held against the result that counts, which stays; the table's notes tell how far reruns are apart.
    Bit-identical, rounding-level (each number within 1e-5 of itself) or different, which is exit code 1.
    With --seeds: reproducible, noisy, seed ignored, or seed ignored and noisy. Of evidence (`export --evidence`) every
    table and figure is derived again, in an empty folder and without any code of the study.

    ablate verify full:300
    """
    from ablate.runs import verify
    from ablate.runs.planned import find_run
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    if run.lower().endswith(".zip"):
        from ablate.reports import evidence

        of_bundle = evidence.verify(Path(run))
        print(of_bundle.text)
        if of_bundle.wrong:
            raise typer.Exit(1)
        return
    terminal.before_writing()
    with Store.open(terminal.db) as store:
        key = find_run(store, run, study)
    if seeds:
        told = verify.seeds(key, terminal.db)
        print(told.text)
        if told.verdict != "reproducible":
            raise typer.Exit(1)
        return
    comparison = verify.verify(key, terminal.db)
    print(verify.comparison_text(key, comparison))
    if comparison.verdict == "different":
        raise typer.Exit(1)


@app.command()
def examples(context: typer.Context, study: StudyArgument = None, set_: Set = None) -> None:
    """Find out what finished runs got right for each dev image.

    From the weights that they left, for runs of before it was kept; nothing is trained. `run` does it by itself. What
    does not come to the run's own numbers is refused by name.

    ablate examples batchnorm
    """
    from ablate.runs.examples import fill
    from ablate.runs.planned import find

    terminal = Terminal.of(context)
    terminal.before_writing()
    planned = find(study, terminal.db, set_ or ())
    if not planned.task.has_examples:
        raise AblateError(
            f"the task {str(planned.study.task)!r} has no weights that ablate could measure; its runs tell their "
            "examples by `run.examples(...)`.",
            page="own-code",
        )
    found = fill(planned, terminal.db)
    print(found)
    if found.refused:
        raise typer.Exit(1)


@app.command()
def retry(
    context: typer.Context,
    study: StudyArgument = None,
    failed: Annotated[bool, typer.Option("--failed", help="Runs that failed, whatever the reason.")] = False,
    reason: Annotated[
        list[str] | None, typer.Option("--reason", metavar="REASON", help="Only these. May be given again.")
    ] = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="Only finished runs whose weights are missing or damaged.")
    ] = False,
    workers: Workers = None,
    executor: ExecutorName = "local",
    set_: Set = None,
) -> None:
    """Execute failed runs again, or train weights that are gone.

    And what else is to do. Earlier attempts stay on record. Weights are kept only where they come to the hash that
    they had.

    ablate retry batchnorm --failed --reason oom
    """
    from ablate.runs import execute, progress
    from ablate.runs.planned import find
    from ablate.store.store import Store
    from ablate.terminal.live import View
    from ablate.terminal.printed import tell_failed

    terminal = Terminal.of(context)
    for given in reason or ():
        check_choice("--reason", given, get_args(Reason))
    reasons = cast(tuple[Reason, ...], tuple(reason or ()))
    if not failed and not reasons and not weights:
        raise AblateError(
            "say what to retry: --failed takes up every failed run, --failed --reason oom only some, --weights trains "
            "weights again that are gone."
        )
    terminal.before_writing()
    planned = find(study, terminal.db, set_ or ())
    if weights:
        _retry_weights(planned, terminal, execute.Options(workers, executor=executor))
        return
    options = execute.Options(workers, retry_failed=not reasons, retry_reasons=reasons, executor=executor)
    with View(quiet=terminal.quiet) as view:
        ended = execute.execute(planned, terminal.db, options, view)
        if ended.stopped_by is None and not ended.alike and planned.study.tune:
            from ablate.tuning import tune  # it loads Optuna

            of_tuned = tune.retried(planned, terminal.db, options, view)
            ended = replace(of_tuned, executed=ended.executed + of_tuned.executed)
    if ended.stopped_by is not None:
        raise KeyboardInterrupt
    with Store.open(terminal.db) as store:
        states, _, saved = progress.known_states(planned.plan, store)
        cells = store.cells(planned.study.name, ("ablation", "confirm"))
    counts = progress.count(planned.plan, states, (), 1, saved)
    so_far = f"{counts.done} of {counts.total} runs done, {counts.failed} failed"
    print(f"{planned.study.name}: {ended.executed} executed; {so_far}.")
    if tell_failed(cells) or ended.left:
        raise typer.Exit(1)


def _retry_weights(planned: Planned, terminal: Terminal, options: Options) -> None:
    from ablate.runs import retrained

    again = retrained.restore(planned, terminal.db, options, terminal.say)
    names = {run.key: f"{run.variant}, seed {run.seed}" for run in planned.plan.runs}
    print(f"{planned.study.name}: {again.text(names)}")
    if again.refused:
        raise typer.Exit(1)
