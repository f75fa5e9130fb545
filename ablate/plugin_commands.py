"""The command that begins a plug-in: new. It joins the others in cli.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablate.terminal import check_choice

app = typer.Typer()


@app.command()
def new(
    kind: Annotated[str, typer.Argument(metavar="trick|model|dataset")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The file's name, and how studies call it.")],
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="What a study names in `plugins:`.")] = Path("plugins"),
) -> None:
    """Write a plug-in of your own to begin with.

    It works as it is and passes the conformance suite; how to use it and to test it is printed.

    ablate new trick gaussian_noise
    """
    from ablate import skeletons

    check_choice("the kind", kind, tuple(skeletons.KINDS))
    path, advice = skeletons.write(kind, name, folder)
    print(f"wrote {path}. {advice}")
