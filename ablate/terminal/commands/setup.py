"""The commands to begin with: init, schema, doctor, migrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablate.errors import AblateError
from ablate.terminal.options import Set, StudyArgument, Terminal, print_json

app = typer.Typer()


@app.command()
def init(file: Annotated[Path, typer.Argument(metavar="FILE", help="The study file to write.")]) -> None:
    """Write a commented starter study. Refuses to replace a file.

    ablate init studies/mine.yaml
    """
    from ablate.study.file import starter

    if file.suffix not in (".yaml", ".yml"):
        raise AblateError(f"a study file ends in .yaml; did you mean {file.name}.yaml?")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(starter(file.stem))
    except FileExistsError:
        raise AblateError(f"{file} exists already; choose another name or remove it.") from None
    print(f"wrote {file}; see what it would train with\n\n    ablate plan {file}")


@app.command()
def schema() -> None:
    """Print a JSON Schema of the study file.

    Editors complete and check YAML with it.

    ablate schema > .ablate-schema.json
    """
    from ablate.study import file

    print_json(file.schema())


@app.command()
def doctor(context: typer.Context, study: StudyArgument = None, set_: Set = None) -> None:
    """Check this machine, the database and a study.

    ablate doctor studies/batchnorm.yaml
    """
    from ablate.runs.doctor import findings

    terminal = Terminal.of(context)
    text, healthy = findings(terminal.db, study, set_ or ())
    print(text)
    if not healthy:
        raise typer.Exit(2)


@app.command()
def migrate(context: typer.Context) -> None:
    """Bring a database that an older ablate wrote up to date.

    In one transaction: a kill leaves it as it was. The commands that write (run, tune, retry, ...) do it by themselves.

    ablate --db results/ablate.db migrate
    """
    terminal = Terminal.of(context)
    terminal.up_to_date(also_where_it_is=True)
