"""The command about figures: plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ablate.errors import AblateError, ConfigError
from ablate.terminal.options import Font, Setting, StudyArgument, Terminal, check_choice, kind_of, say_lacking
from ablate.text import one_of

app = typer.Typer()


@app.command()
def plot(
    context: typer.Context,
    study: StudyArgument = None,
    setting: Setting = None,
    figure: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which; `ablate list figures`. [default: all that apply]")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Its ending decides the format: html, pdf, svg or png."),
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="html|pdf|svg|png", help="Without -o. [default: svg]")
    ] = None,
    columns: Annotated[
        int, typer.Option(min=1, max=2, help="As wide as one column of a paper (3.3 in), or as both (6.9 in).")
    ] = 1,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="Another metric, where the figure takes one.")
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this variant. May be given again.")
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="KEY=VALUE", help="A parameter of the figure. May be given again."),
    ] = None,
    font: Font = None,
) -> None:
    """Draw a study's figures.

    HTML to hover over and zoom, PDF, SVG or PNG for a paper, the same numbers in each. Without -o they go into
    results/STUDY/. The captions, with n, intervals and seeds, are printed: put them under the figures.

    ablate plot batchnorm --figure effects -o effects.pdf
    """
    from ablate.errors import FigureError
    from ablate.figures import files
    from ablate.figures import source as plots
    from ablate.registry import Registry
    from ablate.runs.planned import folder_name
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    kind = kind_of(output, format_, files.KINDS, "svg")
    registry = Registry()
    names = registry.names("figures")
    if figure is not None:
        check_choice("--figure", figure, names)
    elif output is not None:
        raise AblateError(f"-o takes one figure: say which with --figure; there is {one_of(names)}.")
    with Store.open(terminal.db) as store:
        stored = terminal.found(store, study)
        name, folder = stored.name, store.folder / folder_name(stored.name)
        tuning = plots.search_of(stored.record, folder) if figure in (None, "tuning") else None
        source = plots.source(store, name, [metric] if metric else (), tuning, setting)
    given = _asked(with_ or (), metric, variant or ())
    drawn = 0
    apply = [one for one in names if registry.make("figures", one, {}).over_settings == source.of_settings]
    if figure is None and source.over is not None and source.of_settings:
        terminal.say(f"the other figures are of one setting: add --setting {source.over.settings[0]}, say.")
    for one in [figure] if figure else apply:
        takes = [parameter.name for parameter in registry.parameters("figures", one)]
        try:
            scene = plots.draw(source, one, _params(given, takes, only_known=figure is None))
        except ConfigError as error:
            raise AblateError(f"--figure {one}: {error}", page="figures-and-reports") from None
        except FigureError as why:
            if figure:
                raise
            terminal.say(f"left out: {one}: {why}")
            continue
        drawing = files.drawn(scene, kind, columns, font or ())
        say_lacking(terminal, drawing.lacking, drawing.unjoined)
        terminal.write(drawing.content, output or folder / f"{one}.{kind}")
        print(scene.caption if figure else f"{one}: {scene.caption}\n")
        drawn += 1
    if not drawn:
        raise AblateError(f"no figure applies to {name} yet.", page="figures-and-reports")


def _asked(with_: Sequence[str], metric: str | None, variants: Sequence[str]) -> dict[str, Any]:
    """The parameters that the options name."""
    given: dict[str, Any] = {}
    for text in with_:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise AblateError(f"--with is {text!r}; it must be KEY=VALUE, such as limit=100.")
        try:
            given[key] = json.loads(value)
        except ValueError:
            given[key] = value
    if metric is not None:
        given["metric"] = metric
    if variants:
        given["variants"] = list(variants)
    return given


def _params(named: Mapping[str, Any], takes: Sequence[str], *, only_known: bool) -> dict[str, Any]:
    """What one figure is given. only_known: all figures are drawn, and each takes what it has."""
    given = dict(named)
    if "variants" in given and "variants" not in takes and "variant" in takes and len(given["variants"]) == 1:
        given["variant"] = given.pop("variants")[0]
    return {key: value for key, value in given.items() if key in takes or not only_known}
