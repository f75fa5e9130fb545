"""A scene on paper: PDF, SVG or PNG by matplotlib, without a browser or a display.

Made for one (3.3 in) or two (6.9 in) columns of a paper: text of 7 to 8 points, fonts embedded, vectors. The same scene
gives the same bytes: no date, no random id, and nobody's matplotlibrc. What to show is decided elsewhere (`figures/`).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from xml.sax.saxutils import escape

import matplotlib as mpl
import matplotlib.image
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from ablate.figures.figure import Axis, Colour, Mark, Named, Panel, Picture, Rule, Scene, Series, Stretch
from ablate.figures.glyphs import FAMILY, chosen_fonts, drawable, fitted, text_width, wrapped

Kind = Literal["pdf", "svg", "png"]
WIDTHS = {1: 3.3, 2: 6.9}
"""Inches of one and of both columns of a two-column paper (ICML, CVPR and ACL differ by less than 0.2 in)."""

_DPI = 300
_LINES = 144
"""Columns of an inch of a curve: half a point, the width of its line."""
_HANDLE = 34.0
"""Points that a legend's entry takes beside its text."""

_STYLE: dict[Any, Any] = {
    "font.family": FAMILY,
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "text.parse_math": False,  # a trick may be called $x^2$
    "text.usetex": False,
    "pdf.fonttype": 42,  # TrueType, which journals ask for
    "svg.fonttype": "path",
    "svg.hashsalt": "ablate",
    "path.simplify": False,
}
_COLOURS: dict[Colour, str] = {
    "ink": "#1b1d20", "grey": "#737a84", "blue": "#0a57a8", "orange": "#b97a00", "green": "#1a9c72",
    "vermillion": "#bf4408", "purple": "#a8558a", "sky": "#3a8fc4",
}  # fmt: skip
_MARKERS = {
    "": "", "circle": "o", "square": "s", "diamond": "D", "up": "^", "down": "v", "cross": "x", "plus": "+",
    "hollow": "o", "hollow_square": "s", "left": "<", "right": ">", "bar": "|", "star": "*",
}  # fmt: skip
_DASHES: dict[str, Any] = {
    "": "none", "solid": "-", "dashed": (0, (4, 1.6)), "dotted": (0, (1.2, 1.2)), "dashdot": (0, (5, 1.4, 1.2, 1.4)),
}  # fmt: skip


def draw(scene: Scene, kind: Kind, columns: int = 1) -> bytes:
    """The scene as a file. columns: of the paper that it is to be as wide as, 1 or 2."""
    with settings():
        figure = laid_out(scene, columns)
        out = io.BytesIO()
        figure.savefig(out, format=kind, dpi=_DPI, metadata=_metadata(scene, kind), facecolor="white")
    return _described(out.getvalue(), scene) if kind == "svg" else out.getvalue()


@contextmanager
def settings() -> Iterator[None]:
    """Our style on matplotlib's own defaults, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE | {"font.family": [FAMILY, *chosen_fonts().names]})
        yield


def _metadata(scene: Scene, kind: Kind) -> dict[str, Any]:
    title = drawable(scene.title)
    if kind == "pdf":
        return {"CreationDate": None, "Title": title, "Subject": drawable(scene.alt)}
    if kind == "svg":
        return {"Date": None}
    return {"Title": title, "Description": drawable(scene.alt)}


def _described(svg: bytes, scene: Scene) -> bytes:
    """With a title and a description that screen readers read."""
    text = svg.decode("utf-8")
    start = text.index(">", text.index("<svg ")) + 1
    told = f"\n <title>{escape(drawable(scene.title))}</title>\n <desc>{escape(drawable(scene.alt))}</desc>"
    return (text[: start - 1] + ' role="img">' + told + text[start:]).encode("utf-8")


# --------------------------------------------------------------------------------------------------------------- layout


def laid_out(scene: Scene, columns: int) -> Figure:
    """The scene as matplotlib's figure; to be made, and drawn, within our settings."""
    width = WIDTHS[columns]
    across = min(scene.across if columns == 2 else scene.across_narrow, len(scene.panels))
    rows = scene.rows(across)
    begins = [i for i, row in enumerate(rows) if row[0].group and (i == 0 or row[0].group != rows[i - 1][0].group)]
    heights = [
        max(panel.height + 0.2 * bool(panel.title) for panel in row) + 0.17 * (i in begins)
        for i, row in enumerate(rows)
    ]
    labels = [mark.label for mark in scene.legend]
    labels = fitted(labels, width * 72 - _HANDLE, 7)
    ncols = _legend_columns(labels, width)
    lines = -(-len(labels) // ncols) + bool(scene.said) if labels else 0
    engine = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.04, hspace=0.04)
    figure = Figure(figsize=(width, sum(heights) + 0.16 * lines + 0.1 * bool(lines)), layout=engine)
    grid = figure.add_gridspec(len(rows), across, height_ratios=heights)
    for i, row in enumerate(rows):
        for j, panel in enumerate(row):
            beside = max(_beside(other[j], width / across) for other in rows if len(other) > j)
            thin = panel.thinned(int(width / across * _LINES))
            axes = figure.add_subplot(grid[i, j])
            _panel(axes, thin, width / across, beside, columns)
            if i in begins and j == 0:
                _heading(axes, panel.group, min(beside, 24.0))
    if labels:
        handles = [_handle(mark) for mark in scene.legend]
        # A legend ignores labels that begin with an underscore, so they are set after it was made.
        legend = figure.legend(
            handles, [f"{i}" for i in range(len(labels))], loc="outside lower center", ncols=ncols, handlelength=2.2,
            columnspacing=1.2, handletextpad=0.5, labelspacing=0.3, borderpad=0.1,
            title=drawable(scene.said) or None, title_fontsize=7,
        )  # fmt: skip
        for text, label in zip(legend.get_texts(), labels, strict=True):
            text.set_text(label)
    return figure


def _heading(axes: Axes, text: str, left: float) -> None:
    """What a line of panels and those below stand under. left: points that stand left of the axes."""
    axes.annotate(
        drawable(text), (0, 1), (-left, 17), xycoords="axes fraction", textcoords="offset points", va="bottom",
        fontsize=7.5, fontweight="bold", annotation_clip=False,
    )  # fmt: skip


def _legend_columns(labels: Sequence[str], width: float) -> int:
    """As many as fit beside each other: each as wide as its widest label and a handle."""
    widths = [text_width(label, 7) + _HANDLE for label in labels]
    for columns in range(len(labels), 1, -1):
        if sum(max(part) for part in np.array_split(widths, columns)) <= width * 72 * 0.98:
            rows = -(-len(labels) // columns)
            return -(-len(labels) // rows)  # no more columns than those rows need
    return 1


def _names(panel: Panel, width: float) -> list[str]:
    """Of its rows; a row's name may take two fifths of the width."""
    return fitted([name for _, name in panel.y.ticks], 0.4 * width * 72, 7)


def _beside(panel: Panel, width: float) -> float:
    """Points that stand left of the panel's axes; panels above each other share their left edge."""
    numbers = 40.0 if panel.y.label else 16.0
    return max((text_width(name, 7) for name in _names(panel, width)), default=numbers) + 18


def _panel(axes: Axes, panel: Panel, width: float, beside: float, columns: int) -> None:
    room = width * 72 - beside
    across = (panel.x.high or 1.0) - (panel.x.low or 0.0)
    for mark in panel.marks:
        _mark(axes, mark, room / across)
    if panel.side and columns == 2:
        room -= max(text_width(drawable(text), 7) for _, text in panel.side) + 8
    if panel.bare:
        axes.set_axis_off()
        axes.set_aspect("equal")
    if panel.title:
        if panel.note:
            left = 14  # a title with a number at its right begins over the axis' own numbers
            behind = text_width(drawable(panel.note), 7) + 6
            axes.annotate(
                fitted([panel.title], room + left + 10 - behind, 7)[0], (0, 1), (-left, 4), xycoords="axes fraction",
                textcoords="offset points", va="baseline", fontsize=7, annotation_clip=False,
            )  # fmt: skip
            axes.set_title(drawable(panel.note), loc="right", fontsize=7, fontweight="normal", pad=4)
        else:
            axes.set_title(fitted([panel.title], room / 1.15, 8)[0], fontsize=8)  # bold is wider
    columns_named = fitted([name for _, name in panel.x.ticks], room / max(len(panel.x.ticks), 1) - 4, 7)
    _axis(axes, "x", panel.x, columns_named, width)
    _axis(axes, "y", panel.y, _names(panel, width), width if panel.height >= 0.8 else 0.0)
    axes.set_xlabel(wrapped(panel.x.label, room, 7.5))
    axes.set_ylabel(wrapped(panel.y.label, (panel.height - 0.3) * 72, 7.5))
    if panel.side and columns == 2:
        right = axes.twinx()
        right.set_ylim(axes.get_ylim())
        right.set_yticks([at for at, _ in panel.side], [drawable(text) for _, text in panel.side])
        right.tick_params(length=0, pad=6)
        for spine in right.spines.values():
            spine.set_visible(False)


def _axis(axes: Axes, which: Literal["x", "y"], axis: Axis, names: Sequence[str], width: float) -> None:
    """width: of the panel, in inches; 0: there is room for few numbers."""
    own = axes.xaxis if which == "x" else axes.yaxis
    if axis.log:
        getattr(axes, f"set_{which}scale")("log")
        own.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        own.set_minor_formatter(NullFormatter())
    elif axis.whole:
        own.set_major_locator(MaxNLocator(nbins=6, integer=True))
    elif not axis.ticks:
        own.set_major_locator(MaxNLocator(nbins=(5 if width < 3 else 6) if width else 3))
    limit = getattr(axes, f"set_{which}lim")
    limit(axis.low, axis.high)
    if axis.ticks:
        own.set_ticks([place for place, _ in axis.ticks], names)
        if which == "y":
            axes.tick_params(axis="y", length=0, pad=6)
    if axis.reverse:
        own.set_inverted(True)
    if axis.grid:
        axes.grid(axis=which, color="#e4e4e4", linewidth=0.5)
        axes.set_axisbelow(True)


# ---------------------------------------------------------------------------------------------------------------- marks


def _mark(axes: Axes, mark: Mark, room: float) -> None:
    """room: points of a unit of the x axis."""
    if isinstance(mark, Series):
        _series(axes, mark)
    elif isinstance(mark, Rule):
        line = axes.axvline if mark.axis == "x" else axes.axhline
        line(mark.at, color="#444444", linewidth=0.8, linestyle=_DASHES[mark.dash], zorder=1.5)
    elif isinstance(mark, Stretch):
        area = axes.axvspan if mark.axis == "x" else axes.axhspan
        area(mark.low, mark.high, color="#ececec", linewidth=0, zorder=0)
    elif isinstance(mark, Picture):
        pixels = mpl.image.imread(io.BytesIO(base64.b64decode(mark.png)), format="png")
        corners = (mark.x, mark.x + mark.width, mark.y - mark.height, mark.y)
        axes.imshow(
            pixels, cmap="gray", vmin=0, vmax=1, extent=corners, interpolation="nearest", aspect="auto", zorder=1
        )
    elif mark.side == "centre":
        points = mark.room * room if mark.room else 1e9
        axes.text(mark.x, mark.y, fitted([mark.text], points, 7)[0], fontsize=7, ha="center", va="center", zorder=5)
    else:
        offset, horizontal, vertical = {
            "right": ((4, 0), "left", "center"), "left": ((-4, 0), "right", "center"),
            "above": ((0, 4), "center", "bottom"), "below": ((0, -4), "center", "top"),
        }[mark.side]  # fmt: skip
        axes.annotate(
            drawable(mark.text), (mark.x, mark.y), offset, textcoords="offset points", ha=horizontal, va=vertical,
            fontsize=7, zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip


def _series(axes: Axes, series: Series) -> None:
    colour = _COLOURS[series.colour]
    over = 1.8 if series.faint else 3.0
    if series.band:
        for part in series.stretches():
            axes.fill_between(*part, color=colour, alpha=0.16, linewidth=0, zorder=over - 0.5)
    elif series.low:
        _bars(axes, series, colour, over)
    values = [float("nan") if value is None else value for value in series.y]
    axes.add_line(_line(series, list(series.x), values, over))
    axes.update_datalim([(x, y) for x, y in zip(series.x, values, strict=True) if y == y])
    axes.autoscale_view()


def _bars(axes: Axes, series: Series, colour: str, over: float) -> None:
    for x, y, low, high in zip(series.x, series.y, series.low, series.high, strict=True):
        if y is None or low is None or high is None:
            continue
        at = x if series.along == "x" else y
        error = [[max(at - low, 0.0)], [max(high - at, 0.0)]]
        drawn: dict[str, Any] = {"xerr": error} if series.along == "x" else {"yerr": error}
        axes.errorbar([x], [y], fmt="none", ecolor=colour, elinewidth=1.1, capsize=1.8, zorder=over - 0.1, **drawn)


def _line(series: Series, x: list[float], y: list[float], over: float) -> Line2D:
    colour, hollow = _COLOURS[series.colour], series.marker in ("hollow", "hollow_square")
    return Line2D(
        x, y, color=colour, linewidth=series.width, linestyle=_DASHES[series.dash], marker=_MARKERS[series.marker],
        markersize=series.size * 0.9, markerfacecolor="white" if hollow else colour, markeredgecolor=colour,
        markeredgewidth=1.1 if hollow or series.marker in ("cross", "plus", "bar") else 0.4,
        markevery=(series.first, series.every), clip_on=series.marker not in ("left", "right"),
        alpha=0.35 if series.faint else 1.0, zorder=over,
    )  # fmt: skip


def _handle(mark: Named) -> Line2D | Patch:
    if isinstance(mark, Stretch):
        return Patch(facecolor="#ececec", edgecolor="#cccccc", linewidth=0.5)
    if isinstance(mark, Rule):
        return Line2D([], [], color="#444444", linewidth=0.8, linestyle=_DASHES[mark.dash])
    return _line(mark, [], [], 3.0)
