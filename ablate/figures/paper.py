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
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ablate.figures.glyphs import FAMILY, chosen_fonts, drawable, fitted, text_width, wrapped
from ablate.figures.scene import Axis, Colour, Column, Label, Mark, Named, Panel, Picture, Rule, Scene, Series, Stretch

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
_DIM = "#59606a"
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
    handles = [_handle(mark) for mark in scene.legend]
    labels = fitted(labels, width * 72 - _HANDLE, 7)
    whole = [drawable(scene.said), *labels] if scene.said and labels else labels
    alone = scene.said and sum(text_width(label, 7) + _HANDLE for label in whole) > 0.98 * width * 72
    if scene.said and labels and not alone:  # what the axes show stands in the line of the legend
        labels, handles = whole, [Line2D([], [], linestyle="none"), *handles]
    ncols = _legend_columns(labels, width)
    lines = -(-len(labels) // ncols) + bool(alone) if labels else 0
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
        # A legend ignores labels that begin with an underscore, so they are set after it was made.
        legend = figure.legend(
            handles, [f"{i}" for i in range(len(labels))], loc="outside lower center", ncols=ncols, handlelength=2.2,
            columnspacing=1.2, handletextpad=0.5, labelspacing=0.3, borderpad=0.1,
            title=drawable(scene.said) if alone else None, title_fontsize=7,
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
    """Of its rows; a row's name may take so much of the width."""
    return fitted([name for _, name in panel.y.ticks], 0.44 * width * 72 / (_BOLD if panel.y.bold else 1), 7)


def _beside(panel: Panel, width: float) -> float:
    """Points that stand left of the panel's axes; panels above each other share their left edge."""
    numbers = 40.0 if panel.y.label else 16.0
    return (_widest(panel.y, _names(panel, width)) or numbers) + 18


def _widest(axis: Axis, names: Sequence[str]) -> float:
    """Points of the widest name of a row."""
    ticks = zip(axis.ticks, names, strict=True)
    return max((text_width(name, 7) * (_BOLD if at in axis.bold else 1) for (at, _), name in ticks), default=0.0)


_BOLD = 1.14
"""How much wider bold text is."""


def _panel(axes: Axes, panel: Panel, width: float, beside: float, columns: int) -> None:
    room = width * 72 - beside
    across = (panel.x.high or 1.0) - (panel.x.low or 0.0)
    for mark in panel.marks:
        if columns == 2 or not (isinstance(mark, Label) and mark.wide):
            _mark(axes, mark, room / across)
    side = [column for column in panel.side if column.narrow or columns == 2]
    room -= sum(_wide(column) + _APART for column in side)
    if panel.bare:
        axes.set_axis_off()
        axes.set_aspect("equal")
    if panel.title:
        if panel.note:
            left = 20  # a title with a number at its right begins over the axis' own numbers
            behind = text_width(drawable(panel.note), 7) + 6
            title = fitted([panel.title], room + left + 10 - behind, 7)[0]
            for text, colour in ((title, _COLOURS["ink"]), (title[:1], _COLOURS[panel.colour])):  # the sign in its own
                axes.annotate(
                    text, (0, 1), (-left, 5), xycoords="axes fraction", textcoords="offset points", va="baseline",
                    fontsize=7, annotation_clip=False, color=colour,
                )  # fmt: skip
            axes.set_title(drawable(panel.note), loc="right", fontsize=7, fontweight="normal", pad=5)
        else:
            axes.set_title(fitted([panel.title], room / 1.15, 8)[0], fontsize=8)  # bold is wider
    columns_named, each = [drawable(name) for _, name in panel.x.ticks], room / max(len(panel.x.ticks), 1) - 4
    turned = len(columns_named) > 4 and any(text_width(name, 7) > each for name in columns_named)
    _axis(axes, "x", panel.x, fitted(columns_named, 60.0 if turned else each, 7), width)
    if turned:
        for label in axes.get_xticklabels():
            label.set(rotation=40, horizontalalignment="right", rotation_mode="anchor")
    if any(isinstance(mark, Picture) and mark.shades for mark in panel.marks):
        axes.set_aspect("equal")
    _axis(axes, "y", panel.y, _names(panel, width), width if panel.height >= 0.8 else panel.height)
    axes.set_xlabel(wrapped(panel.x.label, room, 7.5))
    if panel.y.label and not panel.title and not panel.y.ticks:  # read without turning the head
        axes.annotate(
            fitted([panel.y.label], room + 10, 7.5)[0], (0, 1), (-10, 6), xycoords="axes fraction",
            textcoords="offset points", va="baseline", annotation_clip=False,
        )  # fmt: skip
    else:
        axes.set_ylabel(wrapped(panel.y.label, (panel.height - 0.3) * 72, 7.5))
    at = 0.0
    for column in side:
        at += _wide(column) + _APART
        _beside_rows(axes, column, at)


_APART = 9.0
"""Points between columns of text at the right of a panel."""


def _wide(column: Column) -> float:
    """Points of its widest text; bold is wider."""
    texts = [column.title, *(text for _, text in column.cells)]
    return max(text_width(drawable(text), 7) for text in texts) * (_BOLD if column.bold else 1.0)


def _beside_rows(axes: Axes, column: Column, end: float) -> None:
    """A column of text that ends so many points right of the axes, where rows have their names as ticks."""
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    top = [(min(axes.get_ylim()) + 0.45, column.title)] * bool(column.title)
    told = [*top, *column.cells]
    right.set_yticks([at for at, _ in told], [drawable(text) for _, text in told])
    right.tick_params(length=0, pad=end)
    for label, (at, text) in zip(right.get_yticklabels(), told, strict=True):
        label.set_horizontalalignment("right")
        if at in column.bold and text != column.title:
            label.set_fontweight("bold")
        elif column.bold or text == column.title:
            label.set_color(_DIM)
    for spine in right.spines.values():
        spine.set_visible(False)


def _axis(axes: Axes, which: Literal["x", "y"], axis: Axis, names: Sequence[str], width: float) -> None:
    """width: of the panel, in inches; of one that is low its height."""
    own = axes.xaxis if which == "x" else axes.yaxis
    if axis.log:
        getattr(axes, f"set_{which}scale")("log")
        own.set_major_formatter(FuncFormatter(_number))
        own.set_minor_formatter(NullFormatter())
        if axis.low is not None and axis.high is not None:
            ends = axis.low, axis.high
        else:
            ends = axes.dataLim.intervalx if which == "x" else axes.dataLim.intervaly
        if not ends[0] * 10 <= ends[1]:  # within a power of ten there may be no tick, or one
            own.set_major_locator(LogLocator(subs=(1, 2, 5)))
    elif axis.whole:
        own.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=_STEPS))
    elif not axis.ticks:
        most = next(most for inches, most in _NUMBERS if width >= inches)
        own.set_major_locator(MaxNLocator(nbins=most, steps=_STEPS))
        own.set_major_formatter(FuncFormatter(_number))
    limit = getattr(axes, f"set_{which}lim")
    limit(axis.low, axis.high)
    if axis.ticks:
        own.set_ticks([place for place, _ in axis.ticks], names)
        if which == "y":
            axes.tick_params(axis="y", length=0, pad=6)
            if axis.reverse:  # rows of a table
                axes.tick_params(axis="y", pad=_widest(axis, names) + 6)
            for label, (place, _) in zip(own.get_ticklabels(), axis.ticks, strict=True):
                label.set_horizontalalignment("left" if axis.reverse else "right")
                label.set_fontweight("bold" if place in axis.bold else "normal")
    if axis.reverse:
        own.set_inverted(True)
    if axis.grid:
        axes.grid(axis=which, color="#e4e4e4", linewidth=0.5)
        axes.set_axisbelow(True)


_STEPS = [1, 2, 5, 10]
_NUMBERS = ((3.0, 6), (0.8, 5), (0.5, 3), (0.0, 2))
"""From how many inches on an axis has so many numbers at most."""


def _number(value: float, _: object = None) -> str:
    """Of an axis: `45 000`, `0.002`, with a true minus."""
    text = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:g}"
    return text.replace(",", "\N{THIN SPACE}").replace("-", "\N{MINUS SIGN}")


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
        axes.text(
            mark.x, mark.y, fitted([mark.text], points, 7)[0], fontsize=7, ha="center", va="center", zorder=5,
            **_weight(mark),
        )  # fmt: skip
    else:
        offset, horizontal, vertical = {
            "right": ((4, 0), "left", "center"), "left": ((-4, 0), "right", "center"),
            "above": ((0, 4), "center", "bottom"), "below": ((0, -4), "center", "top"),
        }[mark.side]  # fmt: skip
        axes.annotate(
            drawable(mark.text), (mark.x, mark.y), offset, textcoords="offset points", ha=horizontal, va=vertical,
            fontsize=7, zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6}, **_weight(mark),
        )  # fmt: skip


def _weight(label: Label) -> dict[str, Any]:
    looks: dict[str, dict[str, Any]] = {"bold": {"fontweight": "bold"}, "dim": {"color": _DIM}}
    return looks.get(label.weight, {})


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
