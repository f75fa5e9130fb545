"""What commands share at the terminal: the options before the command, refusals of choices, and where text goes.

Results go to standard output, everything else to standard error. The commands are the files of commands/.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.errors import AblateError, NoDatabaseError
from ablate.text import did_you_mean, listed, one_of

if TYPE_CHECKING:
    from ablate.records import Json
    from ablate.store.reader import Reader
    from ablate.store.stored import StoredStudy

StudyArgument = Annotated[
    str | None,
    typer.Argument(metavar="STUDY", help="A study file, or the name of a stored study. [default: the last one run]"),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's key, or its first digits; or VARIANT:SEED of the last study.")
]
Setting = Annotated[
    str | None,
    typer.Option("--setting", metavar="NAME", help="Of a study in several settings (`across:`): one of them alone."),
]
OfStudy = Annotated[
    str | None, typer.Argument(metavar="STUDY", help="Whose VARIANT:SEED is meant. [default: the study last run]")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the study, or of its base. May be given again."),
]
MOST_WORKERS = 4096
"""Each is a process of some 100 MiB, and no host of today has as many cores."""


def check_workers(given: int | None, option: str = "--workers") -> int | None:
    """AblateError where it is no number of runs that execute at a time."""
    if given is not None and not 1 <= given <= MOST_WORKERS:
        raise AblateError(f"{option} is {given}; it must be from 1 to {MOST_WORKERS}: so many runs execute at a time.")
    return given


Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Runs at a time. [default: one per core or GPU]", callback=lambda given: check_workers(given)
    ),
]
Jobs = Annotated[int | None, typer.Option(metavar="N", help="Slurm: jobs at a time.")]
Sbatch = Annotated[str | None, typer.Option(metavar="ARGUMENTS", help="Slurm: arguments for sbatch.")]
Before = Annotated[
    list[str] | None, typer.Option(metavar="LINE", help="Slurm: a line of shell that each job runs first.")
]
Address = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Ray: the cluster's address.")]


def engine_of(jobs: int | None, sbatch: str | None, before: list[str] | None, address: str | None) -> dict[str, Json]:
    """Parameters of an executor as they were typed; without those that were not."""
    try:
        arguments = shlex.split(sbatch) if sbatch else None
    except ValueError as error:
        raise AblateError(f"--sbatch is {sbatch!r}, which is not whole: {str(error).lower()}.", page="slurm") from None
    given: dict[str, Json] = {"jobs": jobs, "address": address}
    given |= {"sbatch": arguments, "before": list(before) if before else None}
    return {name: value for name, value in given.items() if value is not None}


ExecutorName = Annotated[
    str, typer.Option("--executor", metavar="NAME", help="Who executes; `ablate list executors` has the names.")
]
Font = Annotated[
    list[Path] | None,
    typer.Option(
        "--font", metavar="FILE", help="A TTF, OTF or TTC for signs that ours lack (Chinese, say). May be given again."
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of standard output.")
]


@dataclass(frozen=True)
class Terminal:
    """What the options before the command say, and so how a command speaks. typer's context carries it."""

    db: str
    quiet: bool = False

    @classmethod
    def of(cls, context: typer.Context) -> Terminal:
        terminal: Terminal = context.obj
        return terminal

    def say(self, text: str) -> None:
        if not self.quiet:
            with suppress(OSError):  # the terminal was closed
                print(text, file=sys.stderr)

    def write(self, content: str | bytes, output: Path | None) -> None:
        """To a file, or text to standard output."""
        if output is None:
            assert isinstance(content, str), "bytes are for a file"
            sys.stdout.write(content)
            return
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_bytes(content.encode() if isinstance(content, str) else content)
        except OSError as error:
            raise AblateError(f"{output} cannot be written: {error.strerror}.") from None
        self.say(f"wrote {output}")

    def up_to_date(self, *, also_where_it_is: bool = False) -> None:
        """Bring an older database to today's form, and say so."""
        from ablate.store import schema
        from ablate.store.store import Store

        shown, version = Store.migrate(self.db)
        now = schema.SCHEMA_VERSION
        if version < now:
            self.say(f"{shown}: brought from schema {version} to {now}; an older ablate cannot write it now.")
        elif also_where_it_is:
            self.say(f"{shown} is up to date: schema {version}")

    def before_writing(self) -> None:
        """A command that writes begins with this: it reads before it writes, and an older database is not read."""
        with suppress(NoDatabaseError):
            self.up_to_date()

    def found(self, store: Reader, study: str | None) -> StoredStudy:
        """The stored study that a command is to show; where its file was edited since, that is said."""
        from ablate.runs.planned import edited
        from ablate.store.studies import is_path

        stored = store.find(study)
        named = study is not None and study != stored.name and is_path(study)
        changed = edited(stored, Path(study if named and study is not None else stored.record.file or "."))
        if changed:
            self.say(f"note: {changed}")
        return stored


def say_lacking(terminal: Terminal, lacking: Collection[str], unjoined: Collection[str] = ()) -> None:
    """Which signs no font had, so that they stand as their code points, which were drawn one by one, and what to do."""
    if lacking:
        signs = listed(f"{sign} (U+{ord(sign):04X})" for sign in sorted(lacking))
        terminal.say(f"note: no font of ours has {signs}; --font FILE takes one that does (`fc-list :lang=zh file`).")
    if unjoined:
        terminal.say(
            f"note: {listed(sorted(unjoined))}: this matplotlib draws what runs from right to left unjoined and the "
            "other way round; 3.11 and newer do not (`pip install -U matplotlib`)."
        )


def check_choice(option: str, given: str, allowed: Sequence[str]) -> None:
    if given not in allowed:
        raise AblateError(f"{option} is {given!r}; it must be {one_of(allowed)}.{did_you_mean(given, allowed)}")


def kind_of(output: Path | None, format_: str | None, endings: Mapping[str, str], default: str) -> str:
    """Which format is meant: by the file's ending, else as asked, else the default. endings: of each format."""
    if format_ is not None:
        check_choice("--format", format_, tuple(endings))
    if output is None:
        return format_ or default
    ending, kinds = output.suffix.lower(), {ending: kind for kind, ending in endings.items()}
    if ending not in kinds:
        raise AblateError(
            f"-o is {str(output)!r}, and its ending decides the format: it must be {one_of(kinds)}."
            f"{did_you_mean(ending, kinds)}",
            page="figures-and-reports",
        )
    if format_ is not None and format_ != kinds[ending]:
        raise AblateError(f"--format is {format_!r}, and -o ends in {ending}; one of them is enough.")
    return kinds[ending]


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
