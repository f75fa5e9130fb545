"""The commands about numbers in prose: cite, check."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ablate.errors import AblateError
from ablate.terminal.options import Terminal, check_choice, print_json
from ablate.text import MINUS, many

app = typer.Typer()


class _Labelled(TyperCommand):
    """A row's label begins with a dash and a blank, `- batch norm`; click would take its h for an option, and help.
    With the minus that a terminal's table has it is none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [re.sub("^- ", f"{MINUS} ", text) for text in args])


@app.command(cls=_Labelled)
def cite(
    context: typer.Context,
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a stored study.")],
    row: Annotated[
        str | None,
        typer.Argument(
            metavar="ROW", help="A variant, or a row's label; '*' for the study itself; left out: the rows."
        ),
    ] = None,
    quantity: Annotated[
        str | None,
        typer.Argument(metavar="QUANTITY", help="mean, sd, delta, ci, p, verdict, ...; left out: all of the row's."),
    ] = None,
    format_: Annotated[str, typer.Option("--format", "-f", metavar="latex|markdown|text")] = "latex",
) -> None:
    """Print a number of a table for a text, bound to the database.

    LaTeX: a macro that prints its second argument; Markdown: a comment behind the number, which readers do not see.
    `ablate check` finds what is not true any more.

    ablate cite batchnorm full-batchnorm delta
    """
    from ablate.analysis import results
    from ablate.reports import cited
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    check_choice("--format", format_, ("latex", "markdown", "text"))
    with Store.open(terminal.db) as store:
        loaded = results.load(store, terminal.found(store, study).name)
        if row is None:
            print(cited.rows_in_words(loaded))
            return
        row = re.sub(f"^{MINUS} ", "- ", row)
        if quantity is None:
            print(cited.quantities(loaded, row))
            return
        reference = cited.reference(loaded, row, quantity)
        known = cited.known(loaded, reference)
    if known.why:
        raise AblateError(f"{reference}: {known.why}.")
    if format_ == "text":
        print(known.shown)
    elif format_ == "markdown":
        print(cited.in_markdown(reference, known.shown))
    else:
        print(cited.in_latex(reference, known.shown))
        terminal.say(f"once, before \\begin{{document}}: {cited.MACRO}")
    terminal.say(f"{known.shown}: {known.behind}")


@app.command()
def check(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="LaTeX, Markdown or HTML.")],
    format_: Annotated[str, typer.Option("--format", "-f", metavar="text|json")] = "text",
) -> None:
    """Hold the numbers of a text against the database.

    Those that are bound: \\ablate{STUDY/ROW/QUANTITY}{91.7}, or 91.7<!-- ablate: STUDY/ROW/QUANTITY --> (`ablate cite`
    prints them). A digit that differs, a row that is gone, a verdict that turned: its place, what stands there, what
    the database has, and exit code 1. How a number is set is no matter, and it may have fewer decimals. Of a LaTeX file
    those that it takes in are read, too.

    ablate check README.md
    """
    from ablate.analysis import results
    from ablate.reports import checked, cited
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    check_choice("--format", format_, ("text", "json"))
    texts = _texts(terminal, files)
    every = {
        file: checked.bound(text, markdown=file.suffix.lower() not in (".tex", ".ltx", ".sty", ".bbl"))
        for file, text in texts.items()
    }
    if not any(every.values()):
        listed = " ".join(map(str, files))
        raise AblateError(f"no number of {listed} is bound to the database; `ablate cite` prints one that is.")
    with Store.open(terminal.db) as store:
        load = functools.cache(functools.partial(results.load, store))

        def look_up(reference: cited.Reference) -> cited.Known:
            return cited.known(load(reference.study), reference)

        wrong = {
            file: [(one, said) for one in bound if (said := checked.wrong(one, look_up))]
            for file, bound in every.items()
        }
    if format_ == "json":
        print_json([
            {
                "file": str(file),
                "bound": len(every[file]),
                "wrong": [
                    {
                        "line": said.at[0], "column": said.at[1], "reference": one.key, "stands": said.stands,
                        "database": said.has, "behind": said.behind, "message": said.message,
                    }
                    for one, said in of
                ],
            }
            for file, of in wrong.items()
        ])  # fmt: skip
    else:
        for file, of in wrong.items():
            for _, said in of:
                print(f"{file}:{said.at[0]}:{said.at[1]}: {said.message}")
            if not of and (every[file] or file in files):
                count = many(len(every[file]), "bound number")
                print(f"{file}: {count}, all as the database has them" if every[file] else f"{file}: {count}")
    if any(wrong.values()):
        total = many(sum(map(len, every.values())), "bound number")
        differ = sum(map(len, wrong.values()))
        terminal.say(f"{differ} of {total} {'is' if differ == 1 else 'are'} not as the database has them.")
        raise typer.Exit(1)


def _texts(terminal: Terminal, files: list[Path]) -> dict[Path, str]:
    """The files, and those that LaTeX files take in, which LaTeX finds from the folder of the first."""
    from ablate.reports import checked

    texts: dict[Path, str] = {}
    for top in files:
        todo = [top]
        while todo:
            file = todo.pop(0)
            if file in texts:
                continue
            texts[file] = _read(file)
            for name in checked.inputs(texts[file]) if file.suffix.lower() == ".tex" else ():
                places = [top.parent / f"{name}.tex", top.parent / name]
                if there := next((place for place in places if place.is_file()), None):
                    todo.append(there)
                else:
                    terminal.say(f"{file} takes in {name}, which is not there: not checked.")
    return texts


def _read(file: Path) -> str:
    try:
        return re.sub(r"\r\n?", "\n", file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise AblateError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise AblateError(f"{file} is not UTF-8 text (byte {error.start}).") from None
