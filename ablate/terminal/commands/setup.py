"""The commands to begin with, and to keep house: init, schema, doctor, migrate, gc."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablate.errors import AblateError
from ablate.terminal.options import Set, StudyArgument, Terminal, check_choice, print_json
from ablate.text import file_size, in_words

app = typer.Typer()


@app.command()
def init(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The study file to write; with --recipe a folder.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option("--from", metavar="SCRIPT", help="A training script, whose options it is about.")
    ] = None,
    tricks: Annotated[
        str, typer.Option(metavar="A,B=VALUE", help="With --from: options to make tricks of; a switch needs no value.")
    ] = "",
    metric: Annotated[str, typer.Option(metavar="NAME", help="With --from: the number that decides.")] = "accuracy",
    probe: Annotated[
        bool, typer.Option("--probe", help="With --from: execute it up to its parser where reading is not enough.")
    ] = False,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="NAME", help="Copy a recipe: a small program of its kind, and its study.")
    ] = "",
) -> None:
    """Write a commented starter study. Refuses to replace a file.

    With --from it is about a training script of your own: its command, and every option that may be a trick with its
    help text and its default, as comments. The script is read; only --probe may execute it. With --recipe it is a
    program to copy from, with its study: `ablate list recipes`.

    ablate init studies/mine.yaml
    """
    from ablate.study import draft
    from ablate.study import file as studies

    if recipe:
        if script is not None or tricks or probe:
            raise AblateError("--recipe copies a program and its study; --from is about a script of yours: name one.")
        _copy(recipe, file or Path())
        return
    if file is None:
        raise AblateError("name the study file to write, as in ablate init mine.yaml, or a recipe with --recipe.")
    if file.suffix not in (".yaml", ".yml"):
        raise AblateError(f"a study file ends in .yaml; did you mean {file.name}.yaml?")
    if script is None and (tricks or probe):
        raise AblateError("--tricks and --probe are about a script; name it with --from.")
    text = studies.starter(file.stem) if script is None else draft.of_script(script, file, tricks, metric, probe)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise AblateError(f"{file} exists already; choose another name or remove it.") from None
    first = "take the # away before the tricks that you mean, then " if script is not None and not tricks else ""
    print(f"wrote {file}; {first}see what it would train with\n\n    ablate plan {file}")


def _copy(name: str, folder: Path) -> None:
    from ablate.study.recipes import recipe

    found = recipe(name)
    written = found.write(folder)
    needs = f" It takes `{found.needs}`." if found.needs else ""
    there = [] if folder == Path() else [f"cd {folder}"]
    commands = "".join(f"\n    {line}" for line in (*there, f"ablate run {found.name}.yaml"))
    print(f"wrote {in_words([str(path) for path in written])}. {found.question}{needs}\n{commands}")


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


@app.command()
def db(
    context: typer.Context,
    action: Annotated[str, typer.Argument(metavar="copy")],
    source: Annotated[str, typer.Argument(metavar="FROM", help="A file, or postgresql://...")],
    target: Annotated[str, typer.Argument(metavar="TO", help="One that is not there yet, or is empty.")],
) -> None:
    """Copy a database from SQLite to PostgreSQL or back.

    Everything in it. The runs' files stay where they lie; FROM stays as it is.

    ablate db copy results/ablate.db results/copy.db
    """
    from ablate.store.copying import copy
    from ablate.store.store import Store

    check_choice("ablate db", action, ("copy",))
    terminal = Terminal.of(context)
    with Store.open(source) as theirs, Store.open(target, write=True) as ours:
        copied = copy(theirs, ours)
        print(f"{ours.shown}: {copied['study']} studies, {copied['run']} runs, {copied['attempt']} attempts.")
    terminal.say(f"--db {ours.shown} is the copy; ABLATE_DB says so for all commands.")


@app.command()
def gc(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without this nothing is changed.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="runs, attempts, weights, scratch, cache, journals, mailboxes or groups; also repeated.",
        ),
    ] = None,
) -> None:
    """List what no study asks for any more; --yes removes it.

    Runs of variants that were dropped, with their results; folders of attempts that do not count; what a kill left;
    cached data; searches of studies that are gone; weights where `weights: none`. What executes, or may be another
    database's, stays.

    ablate gc
    """
    from ablate.runs import garbage
    from ablate.store.store import Store
    from ablate.terminal.printed import garbage_text

    terminal = Terminal.of(context)
    for kind in only or ():
        check_choice("--only", kind, garbage.KINDS)
    with Store.open(terminal.db) as store:
        found = garbage.find(store, only or garbage.KINDS)
    print(garbage_text(found, terminal.db))
    if not found.items:
        return
    if not yes:
        terminal.say("nothing was removed; `ablate gc --yes` removes it.")
        return
    with Store.open(terminal.db, write=True) as store:
        print(f"freed {file_size(garbage.remove(found, store, terminal.say))}.")
