"""The command that shows the manual: help."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

app = typer.Typer()


@app.command(name="help")
def help_(
    context: typer.Context,
    topic: Annotated[
        list[str] | None, typer.Argument(metavar="[TOPIC]", help="A page, or a command. [default: the list of pages]")
    ] = None,
) -> None:
    """Show a page of the manual, or list them all.

    The name of a command shows its options.

    ablate help quickstart
    """
    from ablate.terminal import manual

    assert context.parent is not None, "help is a command of ablate"
    commands = getattr(context.parent.command, "commands", {})
    page = "-".join(topic or ()).replace("_", "-").lower().removesuffix(".md")
    if not page:
        print(manual.contents())
    elif page in commands:
        print(commands[page].get_help(type(context)(commands[page], info_name=page, parent=context.parent)))
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(manual.page(page, commands), hyperlinks=False))
    else:
        print(manual.page(page, commands), end="")
