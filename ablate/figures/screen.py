"""A scene on screen: a plotly figure as plain JSON, and a page that shows it without network.

Text is escaped here, because plotly reads `<b>`, `<a href>` and entities in names. Backgrounds are transparent and no
colour of text is fixed but by the page, so the figure stands in light and in dark. What to show is decided elsewhere
(`figures/`); paper.py prints the same scene.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from ablate.figures.scene import Axis, Colour, Label, Mark, Picture, Rule, Scene, Series, Stretch
from ablate.records import Json
from ablate.text import one_line, shortened

_COLOURS: dict[Colour, str] = {
    "ink": "#808080", "grey": "#8c8c8c", "blue": "#0b7fc4", "orange": "#e69f00", "green": "#009e73",
    "vermillion": "#d55e00", "purple": "#cc79a7", "sky": "#56b4e9",
}  # fmt: skip
"""Okabe and Ito's, blue lighter for dark pages, black as a grey that shows on either."""

_MARKERS = {
    "": "circle", "circle": "circle", "square": "square", "diamond": "diamond", "up": "triangle-up",
    "down": "triangle-down", "cross": "x-thin-open", "plus": "cross-thin-open", "hollow": "circle-open",
    "hollow_square": "square-open", "left": "triangle-left", "right": "triangle-right",
    "bar": "line-ns-open", "star": "star",
}  # fmt: skip
_DASHES = {"": "solid", "solid": "solid", "dashed": "dash", "dotted": "dot", "dashdot": "dashdot"}
COLUMNS = 600
"""Of a curve: as many as its panel has pixels on a wide screen."""
_FAINT = "rgba(128,128,128,0.25)"
_PX = 96
"""Pixels per inch of a scene; on screen everything is half as large again, to be read and hovered."""

CONFIG: dict[str, Json] = {"displayModeBar": False, "responsive": True, "typesetMath": False}
"""What Plotly.newPlot is to be called with. typesetMath: a trick may be called $x^2$."""


def figure(scene: Scene, *, narrow: bool = False) -> dict[str, Json]:
    """`{data, layout}` for Plotly.newPlot, with CONFIG. narrow, for a phone: panels below each other, short names."""
    across = 1 if narrow else min(scene.across, len(scene.panels))
    seen: set[str] = set()
    data: list[dict[str, Json]] = []
    layout: dict[str, Json] = {"shapes": [], "annotations": [], "images": []}
    domains, height = _domains(scene, across)
    panels = [panel.thinned(COLUMNS) for row in scene.rows(across) for panel in row]
    for i, (panel, (x_domain, y_domain)) in enumerate(zip(panels, domains, strict=True)):
        key = "" if i == 0 else str(i + 1)
        for mark in panel.marks:
            if isinstance(mark, Series):
                data += _traces(mark, key, seen)
            elif isinstance(mark, Label):
                layout["annotations"].append(_words(mark, key))
            elif isinstance(mark, Picture):
                layout["images"].append(_picture(mark, key))
            else:
                layout["shapes"].append(_shape(mark, key, seen))
        most = 18 if narrow else 44
        layout[f"xaxis{key}"] = {**_axis(panel.x, most), "domain": x_domain, "anchor": f"y{key}"}
        layout[f"yaxis{key}"] = {**_axis(panel.y, most), "domain": y_domain, "anchor": f"x{key}"}
        if panel.bare:
            layout[f"xaxis{key}"] |= {"visible": False}
            layout[f"yaxis{key}"] |= {"visible": False, "scaleanchor": f"x{key}"}
        if panel.title:
            layout["annotations"].append(_title(f"{panel.group}  {panel.title}  {panel.note}".strip(), key))
    layout |= {
        "height": height + 60 + 22 * len(seen) // (1 if narrow else 3),
        "margin": {"l": 10, "r": 16, "t": 34 if any(panel.title for panel in scene.panels) else 12, "b": 10},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 11 if narrow else 13},
        "showlegend": bool(seen),
        "legend": {"orientation": "h", "x": 0, "y": -62 / height, "yanchor": "top", "yref": "paper"},
        "hovermode": "closest",
    }
    return {"data": data, "layout": layout}


def page(scene: Scene) -> str:
    """A page by itself: the figure with its caption, in light and dark, on a screen or a phone, without network."""
    wide, narrow = figure(scene), figure(scene, narrow=True)
    given = {"data": wide["data"], "wide": wide["layout"], "narrow": narrow["layout"], "config": CONFIG}
    return _PAGE % {
        "title": text(scene.title),
        "alt": text(scene.alt),
        "caption": text(scene.caption),
        "given": in_script(given),
        "plotly": library(),
    }


def library() -> str:
    """plotly.js, which a page that shows figures holds once (4.7 MB)."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def in_script(value: Json) -> str:
    """JSON that may stand inside a <script> element: nothing in it can end that element."""
    made = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        made = made.replace(character, f"\\u{ord(character):04x}")
    return made


def text(name: str) -> str:
    """`name` so that plotly, like HTML, shows it as it is."""
    shown = one_line(name)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        shown = shown.replace(character, entity)
    return shown


# --------------------------------------------------------------------------------------------------------------- layout


def _domains(scene: Scene, across: int) -> tuple[list[tuple[list[float], list[float]]], float]:
    """Each panel's place as shares of the plot, and the plot's height in pixels."""
    rows = scene.rows(across)
    heights = [max(panel.height for panel in row) * _PX * 1.25 for row in rows]
    gap = 74.0
    total = sum(heights) + gap * (len(rows) - 1)
    beside = 0.13 if across > 1 else 0.0
    width = (1 - beside * (across - 1)) / across
    domains = []
    top = total
    for row, height in zip(rows, heights, strict=True):
        for j in range(len(row)):
            left = j * (width + beside)
            domains.append(([left, min(left + width, 1.0)], [max((top - height) / total, 0.0), top / total]))
        top -= height + gap
    return domains, total


def _axis(axis: Axis, most: int) -> dict[str, Json]:
    layout: dict[str, Json] = {
        "title": {"text": text(axis.label), "standoff": 8},
        "automargin": True,
        "zeroline": False,
        "showgrid": axis.grid,
        "gridcolor": _FAINT,
        "linecolor": "rgba(128,128,128,0.6)",
        "showline": not axis.ticks,
        "ticks": "outside",
        "ticklen": 9 if axis.ticks else 5,
        "tickcolor": "rgba(0,0,0,0)" if axis.ticks else "rgba(128,128,128,0.6)",
        "type": "log" if axis.log else "linear",
    }
    if axis.log:
        layout |= {"dtick": 1, "minor": {"ticks": "outside"}}
    if axis.whole:
        layout |= {"tickformat": "d", "nticks": 8}
    if axis.ticks:
        names = shortened([name for _, name in axis.ticks], most)
        layout |= {"tickvals": [at for at, _ in axis.ticks], "ticktext": [text(name) for name in names]}
    if axis.low is not None and axis.high is not None:
        ends = [axis.high, axis.low] if axis.reverse else [axis.low, axis.high]
        layout["range"] = [math.log10(end) if axis.log else end for end in ends]  # as plotly wants it
    elif axis.low is not None or axis.high is not None:
        fixed = {"minallowed": axis.low, "maxallowed": axis.high}
        layout["autorangeoptions"] = {name: end for name, end in fixed.items() if end is not None}
    elif axis.reverse:
        layout["autorange"] = "reversed"
    return layout


# ---------------------------------------------------------------------------------------------------------------- marks


def _traces(series: Series, key: str, seen: set[str]) -> Iterator[dict[str, Json]]:
    colour = _COLOURS[series.colour]
    own: dict[str, Json] = {"type": "scatter", "xaxis": f"x{key}", "yaxis": f"y{key}"}
    if series.label:
        own |= {"legendgroup": text(series.label), "name": text(series.label)}
    if series.band:
        for x, low, high in series.stretches():
            yield {
                **own, "x": [*x, *reversed(x)], "y": [*high, *reversed(low)], "mode": "none", "fill": "toself",
                "fillcolor": _see_through(colour), "hoverinfo": "skip", "showlegend": False,
            }  # fmt: skip
    modes = [kind for kind, shown in (("lines", series.dash), ("markers", series.marker)) if shown]
    size = series.size * 1.6
    trace = {
        **own, "x": list(series.x), "y": list(series.y), "mode": "+".join(modes) or "none",
        "line": {
            "color": _see_through(colour, 0.4) if series.faint else colour, "dash": _DASHES[series.dash],
            "width": series.width * 1.4,
        },
        "marker": {
            "color": colour, "symbol": _MARKERS[series.marker], "line": {"color": colour, "width": 1.6}, "opacity": 1,
            "size": [size * (i % series.every == series.first) for i in range(len(series.x))],
        },
        "showlegend": bool(series.label) and series.label not in seen,
    }  # fmt: skip
    if series.marker in ("left", "right"):
        trace["cliponaxis"] = False
    if series.hover:
        trace |= {"hovertext": [text(line) for line in series.hover], "hoverinfo": "text"}
    else:
        trace["hoverinfo"] = "skip" if series.faint or not series.label else "x+y+name"
    if series.low and not series.band:
        trace[f"error_{series.along}"] = _bars(series, colour)
    if series.label:
        seen.add(series.label)
    yield trace


def _bars(series: Series, colour: str) -> dict[str, Json]:
    up: list[float | None] = []
    down: list[float | None] = []
    for x, y, low, high in zip(series.x, series.y, series.low, series.high, strict=True):
        at = x if series.along == "x" else y
        whole = at is not None and low is not None and high is not None
        up.append(max(high - at, 0.0) if whole else None)  # type: ignore[operator]
        down.append(max(at - low, 0.0) if whole else None)  # type: ignore[operator]
    return {
        "type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": colour, "thickness": 1.6,
        "width": 3,
    }  # fmt: skip


def _see_through(colour: str, share: float = 0.16) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"


def _shape(mark: Mark, key: str, seen: set[str]) -> dict[str, Json]:
    assert isinstance(mark, Rule | Stretch)
    other = "y" if mark.axis == "x" else "x"
    low, high = (mark.at, mark.at) if isinstance(mark, Rule) else (mark.low, mark.high)
    shape: dict[str, Json] = {
        f"{mark.axis}ref": f"{mark.axis}{key}", f"{mark.axis}0": low, f"{mark.axis}1": high,
        f"{other}ref": f"{other}{key} domain", f"{other}0": 0, f"{other}1": 1, "layer": "below",
    }  # fmt: skip
    if isinstance(mark, Rule):
        shape |= {"type": "line", "line": {"color": "#808080", "width": 1.2, "dash": _DASHES[mark.dash]}}
    else:
        shape |= {"type": "rect", "fillcolor": "rgba(128,128,128,0.16)", "line": {"width": 0}}
    if mark.label and mark.label not in seen:
        seen.add(mark.label)
        shape |= {"showlegend": True, "name": text(mark.label)}
    return shape


def _words(mark: Label, key: str) -> dict[str, Json]:
    x, y, shift = {
        "right": ("left", "middle", {"xshift": 7}), "left": ("right", "middle", {"xshift": -7}),
        "above": ("center", "bottom", {"yshift": 6}), "below": ("center", "top", {"yshift": -6}),
        "centre": ("center", "middle", {}),
    }[mark.side]  # fmt: skip
    annotation: dict[str, Any] = {
        "x": mark.x, "y": mark.y, "xref": f"x{key}", "yref": f"y{key}", "text": text(mark.text), "showarrow": False,
        "xanchor": x, "yanchor": y, **shift,
    }  # fmt: skip
    return annotation


def _picture(mark: Picture, key: str) -> dict[str, Json]:
    return {
        "source": f"data:image/png;base64,{mark.png}", "xref": f"x{key}", "yref": f"y{key}", "x": mark.x, "y": mark.y,
        "sizex": mark.width, "sizey": mark.height, "sizing": "stretch", "layer": "below",
    }  # fmt: skip


def _title(title: str, key: str) -> dict[str, Json]:
    return {
        "text": text(title), "x": 0, "y": 1, "xref": f"x{key} domain", "yref": f"y{key} domain", "xanchor": "left",
        "yanchor": "bottom", "yshift": 4, "showarrow": False, "font": {"size": 14, "weight": 600},
    }  # fmt: skip


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%(title)s</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 1.5em auto; padding: 0 1em; max-width: 60em; }
figure { margin: 0; }
figcaption { font-size: 0.95em; max-width: 50em; }
</style>
</head>
<body>
<figure>
<div id="figure" role="img" aria-label="%(alt)s"></div>
<figcaption><strong>%(title)s.</strong> %(caption)s</figcaption>
</figure>
<noscript><p>%(alt)s</p></noscript>
<script>%(plotly)s</script>
<script>
const given = %(given)s;
const dark = matchMedia("(prefers-color-scheme: dark)"), narrow = matchMedia("(max-width: 640px)");
function draw() {
  const layout = structuredClone(narrow.matches ? given.narrow : given.wide);
  layout.font.color = dark.matches ? "#e6e6e6" : "#222222";
  Plotly.react("figure", structuredClone(given.data), layout, given.config);
}
dark.addEventListener("change", draw);
narrow.addEventListener("change", draw);
draw();
</script>
</body>
</html>
"""
