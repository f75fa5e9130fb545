"""The commands about plug-ins: new begins one, list shows what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ablate.errors import AblateError
from ablate.terminal.options import Terminal, check_choice, print_json
from ablate.text import in_words, one_of

LISTED = (
    "tricks", "models", "datasets", "replacements", "designs", "tasks", "executors", "exporters", "tables", "figures",
    "reports", "studies", "recipes", "optimizers", "schedules", "settings",
)  # fmt: skip

app = typer.Typer()


@app.command()
def new(
    kind: Annotated[str, typer.Argument(metavar="trick|model|dataset|replacement|design|task")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The file's name, and how studies call it.")],
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="What a study names in `plugins:`.")] = Path("plugins"),
) -> None:
    """Write a plug-in of your own to begin with.

    It works as it is and passes the conformance suite; how to use it and to test it is printed.

    ablate new trick gaussian_noise
    """
    from ablate.testing import skeletons

    check_choice("the kind", kind, tuple(skeletons.KINDS))
    path, advice = skeletons.write(kind, name, folder)
    print(f"wrote {path}. {advice}")


@app.command(name="list")
def list_(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="KIND", help=f"{one_of(LISTED)}.", show_default=False)] = "",
    format_: Annotated[str, typer.Option("--format", metavar="text|json")] = "text",
    plugins: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Yours too: a study's `plugins:` folder. May be given again."),
    ] = None,
) -> None:
    """List plug-ins, settings of `base:`, studies or recipes.

    Plug-ins, optimizers, schedules and settings come with their parameters and defaults; `ablate init --recipe` copies
    a recipe.

    ablate list tricks
    """
    terminal = Terminal.of(context)
    if not what:
        raise AblateError(f"a kind is missing: `ablate list KIND`, which is {one_of(LISTED)}.")
    check_choice("the kind", what, LISTED)
    check_choice("--format", format_, ("text", "json"))
    if what == "studies":
        from ablate.store.store import Store

        with Store.open(terminal.db) as store:
            names = store.studies()
        if format_ == "json":
            print_json(names)
        else:
            print("\n".join(names))
        return
    if what == "recipes":
        from ablate.study.recipes import recipes

        told = [{"name": one.name, "question": one.question, "needs": one.needs or None} for one in recipes()]
        if format_ == "json":
            print_json(told)
        else:
            needs = [f" ({one['needs']})" if one["needs"] else "" for one in told]
            print(
                "\n".join(f"{one['name']:<12} {one['question']}{takes}" for one, takes in zip(told, needs, strict=True))
            )
        return
    from ablate.registry import PRIVATE, Registry
    from ablate.study import basics

    registry = Registry(plugins or ())
    listed = basics.described(what) if what in basics.KINDS else _described(registry, what)
    for path in registry.unused():
        terminal.say(
            f"{path} cannot be used: a private folder has {in_words(PRIVATE)}; {path.parent.name} are ablate's own."
        )
    if format_ == "json":
        print_json([{k: v for k, v in one.items() if k != "summary"} for one in listed])
    else:
        from ablate.terminal.printed import plugins_text

        print(plugins_text(listed))


def _described(registry: Any, shelf: str) -> list[dict[str, Any]]:
    every = []
    for name, entry in registry.entries(shelf).items():
        cls = registry.load(shelf, name)
        parameters = {
            p.name: {"type": p.type, "required": True} if p.required else {"type": p.type, "default": p.default}
            for p in registry.parameters(shelf, name)
        }
        described = {"name": name, "category": getattr(cls, "category", None), "paper": cls.paper or None}
        whose = {"distribution": entry.distribution} if entry.distribution else {}
        every.append({**described, "parameters": parameters, "summary": entry.summary, **whose})
    return every
