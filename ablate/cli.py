"""The command line. Each command imports its stage when it is called, so that `ablate --help` loads none of them.

Results go to standard output, progress and warnings to standard error. Exit codes: 0 done; 1 some runs failed; 2 the
user's input is wrong (a message, never a traceback); 130 interrupted.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ablate import (
    figure_commands,
    plugin_commands,
    report_commands,
    result_commands,
    run_commands,
    table_commands,
    tune_commands,
)
from ablate.errors import AblateError, StudyError
from ablate.terminal import Global, Set, StudyArgument, check_choice, print_json, say

if TYPE_CHECKING:
    from ablate.runner import Planned

app = typer.Typer(
    name="ablate",
    help="Which of your tricks earn their place, and how sure are we?\n\n"
    "A study file lists a base model and tricks; ablate trains every variant over the same seeds and prints the "
    "ablation table.\n\n    ablate run studies/batchnorm.yaml",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _say_version(asked: bool) -> None:
    if asked:
        from ablate._version import __version__

        print(f"ablate {__version__}")
        raise typer.Exit


@app.callback()
def options(
    db: Annotated[
        str | None,
        typer.Option("--db", metavar="PATH|URL", help="The database. [default: $ABLATE_DB or results/ablate.db]"),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, only results, warnings and failures.")
    ] = False,
    version: Annotated[  # noqa: ARG001  # its callback has answered
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    Global.db = db or os.environ.get("ABLATE_DB") or "results/ablate.db"
    Global.quiet = quiet


# ------------------------------------------------------------------------------------------------------ plan and run


@app.command()
def plan(
    study: StudyArgument = None,
    set_: Set = None,
    power: Annotated[
        bool, typer.Option("--power", help="Print the smallest effect that each comparison can show.")
    ] = False,
    sd: Annotated[
        float | None,
        typer.Option(min=1e-12, metavar="SD", help="For --power: the sd of a difference. [default: as measured]"),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Print which design and seeds fit into 90s, 15m or 6h.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", metavar="text|json")] = "text",
) -> None:
    """Print what `run` would train, and what it would not.

    Variants and what each is compared with, runs, how many are done already, what is left out and why.
    --power and --budget: what that can show and what fits, from the results and run times that are stored.

    ablate plan studies/batchnorm.yaml
    """
    from ablate import reuse, runner, weights
    from ablate.view import adaptive_notes, summary

    check_choice("--format", format_, ("text", "json"))
    budget_s = None if budget is None else _seconds(budget)
    found = runner.find(study, Global.db, set_ or ())
    changes = [*reuse.not_reused(found, Global.db), *weights.told(found, Global.db)]
    states, seconds, saved = runner.known_states(found.plan, Global.db)
    slots = runner.slots_for(found.study, runner.Options())
    counts = runner.count(found.plan, states, seconds, len(slots), saved)
    changes += adaptive_notes(found, counts)
    answers = _before_spending(found, power, sd, budget_s, len(slots))
    if format_ == "json":
        asked = {name: answer.records for name, answer in answers.items()}
        print_json({**_plan_json(found, states, counts, changes, saved), **asked})
        return
    if answers:
        print("\n\n".join(map(str, answers.values())))
        return
    print(f"{found.study.name}: {summary(found, counts, slots)}")
    print(_plan_text(found, changes))


def _seconds(budget: str) -> float:
    from ablate.form import seconds_of

    try:
        return seconds_of(budget)
    except ValueError as error:
        raise AblateError(f"--budget is {budget!r}; {error}.") from None


def _before_spending(
    found: Planned, power: bool, sd: float | None, budget_s: float | None, workers: int
) -> dict[str, Any]:
    """What --power and --budget answer, by name."""
    if not power and budget_s is None:
        return {}
    from ablate import budget

    asked = {"power": budget.power_of(found, Global.db, sd)} if power else {}
    return asked if budget_s is None else asked | {"budget": budget.budget_of(found, Global.db, budget_s, workers)}


def _plan_json(found: Planned, states: Any, counts: Any, changes: list[str], saved: Any) -> dict[str, Any]:
    plan = found.plan
    known = {key: state.state for key, state in states.items()} | dict.fromkeys(saved, "saved")
    return {
        "study": plan.study.name,
        "variants": [
            {"name": v.name, "tricks": list(v.tricks), "designs": list(v.designs), "config": v.completed.config}
            for v in plan.variants
        ],
        "runs": [
            {
                "key": run.key or None,
                "variant": run.variant,
                "seed": run.seed,
                "state": known.get(run.key, "todo") if run.key else "pending",
            }
            for run in plan.runs
        ],
        "counts": {"total": counts.total, "done": counts.done, "failed": counts.failed, "todo": counts.todo}
        | ({"saved": counts.saved, "least": counts.least} if "looks" in plan.study.analysis else {}),
        "estimate_seconds": counts.seconds,
        "notes": [*changes, *plan.study.notes, *plan.notes, *plan.left_out],
    }


def _plan_text(found: Planned, changes: list[str]) -> str:
    from tabulate import tabulate

    rows = [
        [row.design, row.variant, row.compared_with or "(reference)", ", ".join(row.differs)] for row in found.plan.rows
    ]
    text = tabulate(rows, headers=["design", "variant", "compared with", "differs in"], disable_numparse=True)
    notes = [*changes, *found.study.notes, *found.plan.notes, *(f"left out: {line}" for line in found.plan.left_out)]
    return "\n".join([text, *([""] if notes else []), *(f"- {note}" for note in notes)])


@app.command()
def run(
    study: StudyArgument = None,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Runs at a time. [default: one per core or GPU]")
    ] = None,
    devices: Annotated[str | None, typer.Option(metavar="cuda:0,cuda:1", help="Use only these devices.")] = None,
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
    from ablate import runner, weights
    from ablate.live import View

    found = runner.find(study, Global.db, set_ or ())
    chosen = tuple(name.strip() for name in devices.split(",")) if devices else ()
    with View(quiet=Global.quiet or not sys.stderr.isatty()) as view:
        asked = runner.Options(workers, chosen, retry_failed, canary)
        ended = runner.execute(found, Global.db, asked, view)
    if ended.stopped_by is not None:
        say("stopped; what is done is kept. Go on with the same command.")
        sys.exit(130)
    freed = weights.prune(found, Global.db)
    if freed:
        say(f"removed {weights.shown(freed)} of weights: the study keeps those of the best variant.")
    print(table_commands.table_text(found.study.name, "markdown"), end="")
    if _has_failures(found.study.name):
        raise typer.Exit(1)


def _has_failures(study: str) -> bool:
    from ablate.store import Store

    with Store.open(Global.db) as store:
        return any(cell.state == "failed" for cell in store.cells(study))


app.registered_commands += figure_commands.app.registered_commands
app.registered_commands += report_commands.app.registered_commands
app.registered_commands += result_commands.app.registered_commands
app.registered_commands += run_commands.app.registered_commands
app.registered_commands += tune_commands.app.registered_commands
app.registered_commands += table_commands.app.registered_commands
app.registered_commands += plugin_commands.app.registered_commands


# -------------------------------------------------------------------------------------------------------- beginning


@app.command()
def init(file: Annotated[Path, typer.Argument(metavar="FILE", help="The study file to write.")]) -> None:
    """Write a commented starter study. Refuses to replace a file.

    ablate init studies/mine.yaml
    """
    from ablate import study

    if file.suffix not in (".yaml", ".yml"):
        raise AblateError(f"a study file ends in .yaml; did you mean {file.name}.yaml?")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(study.starter(file.stem))
    except FileExistsError:
        raise AblateError(f"{file} exists already; choose another name or remove it.") from None
    print(f"wrote {file}; see what it would train with\n\n    ablate plan {file}")


@app.command(name="list")
def list_(
    what: Annotated[str, typer.Argument(metavar="tricks|models|datasets|designs|tables|figures|studies")],
    format_: Annotated[str, typer.Option("--format", metavar="text|json")] = "text",
    plugins: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Yours too: a study's `plugins:` folder. May be given again."),
    ] = None,
) -> None:
    """List plug-ins, or the stored studies.

    Plug-ins come with their parameters, defaults and papers.

    ablate list tricks
    """
    kinds = ("tricks", "models", "datasets", "designs", "tables", "figures", "studies")
    check_choice("the kind", what, kinds)
    check_choice("--format", format_, ("text", "json"))
    if what == "studies":
        from ablate.store import Store

        with Store.open(Global.db) as store:
            names = store.studies()
        if format_ == "json":
            print_json(names)
        else:
            print("\n".join(names))
        return
    from ablate.registry import Registry

    found = _described(Registry(plugins or ()), what)
    if format_ == "json":
        print_json([{k: v for k, v in one.items() if k != "summary"} for one in found])
    else:
        from ablate.view import plugins_text

        print(plugins_text(found))


def _described(registry: Any, shelf: str) -> list[dict[str, Any]]:
    found = []
    for name, entry in registry.entries(shelf).items():
        cls = registry.load(shelf, name)
        parameters = {
            p.name: {"type": p.type, "required": True} if p.required else {"type": p.type, "default": p.default}
            for p in registry.parameters(shelf, name)
        }
        described = {"name": name, "category": getattr(cls, "category", None), "paper": cls.paper or None}
        found.append({**described, "parameters": parameters, "summary": entry.summary})
    return found


@app.command()
def schema() -> None:
    """Print a JSON Schema of the study file.

    Editors complete and check YAML with it.

    ablate schema > .ablate-schema.json
    """
    from ablate import study

    print_json(study.schema())


@app.command()
def doctor(study: StudyArgument = None, set_: Set = None) -> None:
    """Check this machine, the database and a study.

    ablate doctor studies/batchnorm.yaml
    """
    from ablate.doctor import findings

    found, healthy = findings(Global.db, study, set_ or ())
    print(found)
    if not healthy:
        raise typer.Exit(2)


# -------------------------------------------------------------------------------------------------------------- exit


def main(arguments: list[str] | None = None) -> NoReturn:
    """The command `ablate`: mistakes become messages and exit codes."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a table has arrows, and some terminals are ASCII or Latin-1
        sys.stdout.reconfigure(errors="backslashreplace")
    code = _exit_code(lambda: app(args=arguments, standalone_mode=False))
    try:
        sys.stdout.flush()
    except OSError as error:  # or it would be tried again, and fail once more, at exit
        code = code or _not_written(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


# click.ClickException, which newer releases of typer carry inside themselves instead of importing it.
_UsageMistake: Any = typer.BadParameter.__mro__[2]


def _exit_code(command: Callable[[], Any]) -> int:
    try:
        result = command()
        if result == 130:  # some releases of typer turn Ctrl-C into a silent exit
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except StudyError as error:
        print(error, file=sys.stderr)  # each line begins with file:line:column, where an editor can jump to
        return 2
    except AblateError as error:
        print(f"ablate: {error}", file=sys.stderr)
        return 2
    except _UsageMistake as error:
        error.show()
        return 2
    except typer.Exit as end:
        return end.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("ablate: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EDQUOT):
            raise
        return _not_written(error)


def _not_written(error: OSError) -> int:
    if error.errno == errno.EPIPE:  # the reader (`head`, say) has what it wanted
        return 0
    print(f"ablate: {error.filename or 'the output'} cannot be written: {error.strerror}.", file=sys.stderr)
    return 2
