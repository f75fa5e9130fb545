"""The command line: what all commands share. The commands themselves are the files of `commands/`, each of which
imports its stages when it is called, so that `ablate --help` loads none of them.

Results go to standard output, progress and warnings to standard error. Exit codes: 0 done; 1 some runs failed; 2 the
user's input is wrong (a message, never a traceback); 130 interrupted.
"""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from ablate.errors import AblateError, StudyError, see
from ablate.terminal.options import Terminal

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
    context: typer.Context,
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
    place = db or os.environ.get("ABLATE_DB") or "results/ablate.db"
    # A shell expands `--db ~/a.db`, and neither `--db=~/a.db` nor a variable's value.
    context.obj = Terminal(place if "://" in place else os.path.expanduser(place), quiet)


# --------------------------------------------------------------------------------------------------------- commands

ORDER = (
    "init", "quick", "plan", "try", "lr", "run", "status", "stop",
    "table", "plot", "report", "cite", "check", "compare", "tune", "predict", "import", "export",
    "show", "why", "verify", "examples", "recapture", "retry",
    "new", "list", "schema", "doctor", "worker", "db", "migrate", "gc", "help",
)  # fmt: skip
"""As a person meets them; `ablate --help` lists them so, and after them those of new files."""


def _commands() -> list[typer.models.CommandInfo]:
    """Every command of the files in `commands/`."""
    found = []
    for _, name, _ in pkgutil.iter_modules([str(Path(__file__).parent / "commands")]):
        found += importlib.import_module(f"ablate.terminal.commands.{name}").app.registered_commands
    return sorted(found, key=lambda command: (*ORDER, _name(command)).index(_name(command)))


def _name(command: typer.models.CommandInfo) -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__


app.registered_commands += _commands()


# -------------------------------------------------------------------------------------------------------------- exit

GARBAGE = 150_000
"""Objects between two looks for cycles, as mypy has it: with Python's 700 a table of 20,000 runs costs a fifth more."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """The command `ablate`: mistakes become messages and exit codes."""
    _fill_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a table has arrows, and some terminals are ASCII or Latin-1
        sys.stdout.reconfigure(errors="backslashreplace")
    gc.set_threshold(GARBAGE)
    code = _exit_code(lambda: app(args=arguments, standalone_mode=False))
    try:
        sys.stdout.flush()
    except OSError as error:  # or it would be tried again, and fail once more, at exit
        code = code or _not_written(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    gc.freeze()  # the interpreter collects no garbage on its way out: a fifth of a short command's CPU time
    sys.exit(code)


def _fill_closed() -> None:
    """Give what was closed before us (`>&-`) to nobody, or the database's file would be the next 0, 1 or 2 and what is
    printed would go there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


# click.ClickException, which newer releases of typer carry inside themselves instead of importing it.
_UsageMistake: Any = typer.BadParameter.__mro__[2]


def _exit_code(command: Callable[[], Any]) -> int:
    try:
        result = command()
        if result == 130:  # some releases of typer turn Ctrl-C into a silent exit
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except AblateError as error:
        # Each line of a StudyError begins with file:line:column, where an editor can jump to.
        print(error if isinstance(error, StudyError) else f"ablate: {error}", file=sys.stderr)
        if error.page:
            print(see(error.page), file=sys.stderr)
        return 2
    except _UsageMistake as error:
        error.show()
        option = getattr(error, "option_name", None)
        if option in ("-q", "--quiet", "--db", "--version"):
            print(f"{option} stands before the command: ablate {option} ...", file=sys.stderr)
        elif type(error).__name__ == "NoSuchOption" and _takes_set(error.ctx):
            print(f"A key of the study, or of its base: --set {str(option).lstrip('-')}=VALUE", file=sys.stderr)
        return 2
    except typer.Exit as end:
        return end.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("ablate: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EACCES) and error.filename:  # even to ask whether it is there
            print(f"ablate: {error.filename} cannot be used: {error.strerror}.", file=sys.stderr)
            return 2
        if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EDQUOT):
            raise
        return _not_written(error)


def _takes_set(context: Any) -> bool:
    return any("--set" in option.opts for option in context.command.params)


def _not_written(error: OSError) -> int:
    if error.errno == errno.EPIPE:  # the reader (`head`, say) has what it wanted
        return 0
    print(f"ablate: {error.filename or 'the output'} cannot be written: {error.strerror}.", file=sys.stderr)
    return 2
