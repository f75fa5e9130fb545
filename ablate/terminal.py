"""What commands share at the terminal: the options before the command, refusals of choices, and where text goes.

Results go to standard output, everything else to standard error. The commands are the files of commands/.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from ablate.errors import AblateError, did_you_mean, one_of

StudyArgument = Annotated[
    str | None,
    typer.Argument(metavar="[STUDY]", help="A study file, or the name of a stored study. [default: the last one run]"),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's key, or its first digits; or VARIANT:SEED of the last study.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the study, or of its base. May be given again."),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of standard output.")
]


class Global:
    """The options before the command."""

    db = ""
    quiet = False


def check_choice(option: str, given: str, allowed: Sequence[str]) -> None:
    if given not in allowed:
        raise AblateError(f"{option} is {given!r}; it must be {one_of(allowed)}.{did_you_mean(given, allowed)}")


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def write(made: str | bytes, output: Path | None) -> None:
    """To a file, or text to standard output."""
    if output is None:
        assert isinstance(made, str), "bytes are for a file"
        sys.stdout.write(made)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(made.encode() if isinstance(made, str) else made)
    except OSError as error:
        raise AblateError(f"{output} cannot be written: {error.strerror}.") from None
    say(f"wrote {output}")


def say(text: str) -> None:
    if not Global.quiet:
        with suppress(OSError):  # the terminal was closed
            print(text, file=sys.stderr)
