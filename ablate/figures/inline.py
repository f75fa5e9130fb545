"""A scene inside a page: SVG that is as wide as its place, takes the page's colours, and needs no script.

Lines live in a drawing that is stretched (`preserveAspectRatio="none"`, strokes that do not scale), markers and labels
in one that is not, placed by percentages. So text and strokes keep their size on a phone and on paper, and light, dark
and print are variables of the page's style (reports/page.css). What can be pointed at says what it is: a marker by
`data-tip`, a line by its name and its panel's ranges, off which the page's script reads its values, and a panel by the
variant that it is about. What to show is decided elsewhere (`figures/`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ablate.figures.placing import placed
from ablate.figures.scene import Axis, Colour, Label, Mark, Named, Panel, Picture, Rule, Scene, Series, Stretch
from ablate.identity import sha256
from ablate.tables.forest import round_values
from ablate.text import MINUS, THIN, shortened

Text = Callable[[str], str]
"""Escapes a text for an element or a quoted attribute."""

COLUMNS = 180
"""Of a line, whose strokes are 2 pixels wide in a panel of some 350: at most 2.3 KB each, however many its steps."""

PIXELS = 96
"""Of an inch of a scene."""

FAR = 1.4
"""How many axes' lengths a line may lead out of its panel."""

MOST_NAME = 24
"""Characters of a name at an axis."""

_ROOMS = {"wide": 560.0, "slim": 220.0}
"""Pixels that a panel has at least where names are placed for a wide screen, and for a phone."""
_LETTER, _LINE = 7.2, 15.0
"""Pixels of a letter of a name and of its line, in a wide face."""

DARKEST = 0.5
"""Of a cell, of which paper shows 0.75: numbers are read on it in dark, too."""

_DASHES = {"dashed": "5 3", "dotted": "1.5 3", "dashdot": "6 3 1.5 3"}
_SHAPES = {
    "square": "M-1-1H1V1H-1Z", "hollow_square": "M-1-1H1V1H-1Z", "diamond": "M0-1.3 1.3 0 0 1.3-1.3 0Z",
    "up": "M0-1.2 1.1 .9H-1.1Z", "down": "M0 1.2 1.1-.9H-1.1Z", "left": "M-1.2 0 .9-1.1V1.1Z",
    "right": "M1.2 0-.9-1.1V1.1Z", "cross": "M-1-1 1 1M-1 1 1-1", "plus": "M-1.2 0H1.2M0-1.2V1.2", "bar": "M0-1.8V1.8",
    "star": "M0-1.5 .4-.5 1.5-.45 .6 .2 .9 1.25 0 .65-.9 1.25-.6 .2-1.5-.45-.4-.5Z",
}  # fmt: skip
_STROKED = frozenset({"cross", "plus", "bar", "hollow", "hollow_square"})


def figure(scene: Scene, text: Text) -> str:
    """The panels side by side as far as there is room, and the legend below."""
    panels, group = "", ""
    for panel in (panel for row in scene.rows(scene.across) for panel in row):
        panels += f'<h3 class="pg">{text(panel.group)}</h3>\n' * (panel.group != group) + _panel(panel, text) + "\n"
        group = panel.group
    keys = f"<li>{text(scene.said)}</li>" * bool(scene.said)
    keys += "".join(f"<li>{_key(mark)}{text(mark.label)}</li>" for mark in scene.legend)
    legend = f'\n<ul class="legend">{keys}</ul>' if keys else ""
    most = max((len(row) for row in scene.rows(scene.across)), default=1)
    many = f" across{min(most, 4)}"
    role = "group" if any(panel.of for panel in scene.panels) else "img"  # what is in an image cannot be followed
    return f'<div class="panels{many}" role="{role}" aria-label="{text(scene.alt)}">\n{panels.rstrip()}{legend}\n</div>'


# ----------------------------------------------------------------------------------------------------------------- axes


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    log: bool
    reverse: bool

    def share(self, value: float) -> float:
        """From 0 at the start of the axis to 1 at its end."""
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        share = (at - low) / (high - low)
        return 1 - share if self.reverse else share

    def percent(self, value: float) -> str:
        return f"{100 * self.share(value):.4g}%"


def _scale(axis: Axis, values: Iterable[float | None], *, upright: bool) -> _Scale:
    known = [v for v in values if v is not None and math.isfinite(v) and (v > 0 or not axis.log)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if axis.log:
        pad = (high / low) ** 0.04 if high > low else 2.0
        low, high = low / pad, high * pad
    else:
        pad = 0.04 * (high - low) or 0.5 * abs(high) or 1.0
        low, high = low - pad, high + pad
    low, high = (low if axis.low is None else axis.low), (high if axis.high is None else axis.high)
    return _Scale(low, high if high > low else low + 1.0, axis.log, axis.reverse != upright)


def _ticks(axis: Axis, scale: _Scale, most: float) -> list[tuple[float, str]]:
    if axis.ticks:
        names = shortened([name for _, name in axis.ticks], MOST_NAME)
        return [(at, name) for (at, _), name in zip(axis.ticks, names, strict=True)]
    if scale.log:
        powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
        each = (1, 2, 5) if scale.high < 50 * scale.low else (1,)
        values = [by * 10.0**power for power in powers for by in each]
    else:
        values = round_values(scale.low, scale.high, most)
    inside = [value for value in values if scale.low <= value <= scale.high]
    return [(v, _number(v)) for v in inside if not axis.whole or v == round(v)]


def _number(value: float) -> str:
    text = f"{value:,.10g}" if abs(value) >= 10_000 else f"{value:.6g}"
    return text.replace(",", THIN).replace("-", MINUS)


# --------------------------------------------------------------------------------------------------------------- panels


def _panel(panel: Panel, text: Text) -> str:
    panel = panel.thinned(COLUMNS)
    series = [mark for mark in panel.marks if isinstance(mark, Series)]
    spread = {along: [v for s in series if s.along == along for v in (*s.low, *s.high)] for along in ("x", "y")}
    x = _scale(panel.x, [*(v for s in series for v in s.x), *spread["x"], *_fixed(panel, "x")], upright=False)
    y = _scale(panel.y, [*(v for s in series for v in s.y), *spread["y"], *_fixed(panel, "y")], upright=True)
    upright, level = _ticks(panel.y, y, max(3.0, 2.6 * panel.height)), _ticks(panel.x, x, 6)
    wide = min(max((len(name) for _, name in upright), default=1), MOST_NAME)
    lines: list[str] = []
    marks: list[str] = []
    for mark in panel.marks:
        lines += _lines(mark, x, y, text)
        marks += [] if panel.names and isinstance(mark, Label) else _marks(mark, x, y, text)
    marks += _named(panel, x, y, text)
    grid = [f'<path class="gr" d="M0 {_at(y, v)}H1000"/>' for v, _ in upright] if panel.y.grid else []
    grid += [f'<path class="gr" d="M{_at(x, v)} 0V1000"/>' for v, _ in level] if panel.x.grid else []
    names = _names(upright, y, text)
    below = "".join(f'<span style="left:{x.percent(v)}">{text(name)}</span>' for v, name in level)
    title = _title(panel, text) if panel.title else ""
    left = f'<div class="yl">{text(panel.y.label)}</div>' if panel.y.label else ""
    right = f'<div class="xl">{text(panel.x.label)}</div>' if panel.x.label else ""
    of = f' data-of="{text(panel.of)}" id="curve-{anchor(panel.of)}"' if panel.of else ""
    lined = any(mark.name for mark in series)
    ranges = (
        f' data-x="{x.low:.6g} {x.high:.6g}" data-y="{y.low:.6g} {y.high:.6g}"' if lined and not panel.x.log else ""
    )
    return (
        f'<div class="panel" style="--yw:{wide}ch"{of}>{title}{left}'
        f'<div class="plot" style="--h:{panel.height * PIXELS:.0f}px"><div class="ys">{names}</div>'
        f'<div class="area"{ranges}>'
        f'<svg class="lines" viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        f'{"".join([*grid, *lines])}</svg><svg class="marks" aria-hidden="true">{"".join(marks)}</svg></div></div>'
        f'<div class="xs">{below}</div>{right}</div>'
    )


def _title(panel: Panel, text: Text) -> str:
    """Its name; of a panel about a variant a link to its row; and its note at the right."""
    sign, _, rest = panel.title.partition(" ")
    coloured = f'<i class="c-{panel.colour}">{text(sign)}</i> {text(rest)}'
    name = coloured if panel.colour != "ink" else text(panel.title)
    linked = f'<a href="#row-{anchor(panel.of)}">{name}</a>' if panel.of else f"<span>{name}</span>"
    return f'<div class="pt">{linked}<span>{text(panel.note)}</span></div>'


def _names(upright: Sequence[tuple[float, str]], y: _Scale, text: Text) -> str:
    """What stands at the y axis. Names of rows begin at the left, under the one that they say how they differ from."""
    under = [name[:2] in (f"{MINUS} ", "+ ", "- ") for _, name in upright]
    made = []
    for i, (at, name) in enumerate(upright):
        kind = " deep" if under[i] else " head" if under[i + 1 : i + 2] == [True] else ""
        where = f' class="row{kind}"' if any(under) else ""
        made.append(f'<span{where} style="top:{y.percent(at)}">{text(name)}</span>')
    return "".join(made)


def _named(panel: Panel, x: _Scale, y: _Scale, text: Text) -> Iterator[str]:
    """Names of marks, as there is room for them on a wide screen and on a phone; the style shows one of the two."""
    points = [(x.share(a), 1 - y.share(b)) for a, b, _ in panel.names]
    told = [(i, name) for i, (*_, name) in enumerate(panel.names)]
    for kind, wide in _ROOMS.items():
        placed_ = placed(points, told, (wide, panel.height * PIXELS), _LETTER, _LINE)
        labels = (Label(panel.names[i][0], panel.names[i][1], panel.names[i][2], side) for i, side in placed_)
        inside = "".join(part for label in labels for part in _marks(label, x, y, text))
        yield f'<g class="{kind}">{inside}</g>' if inside else ""


def anchor(variant: str) -> str:
    """What links call a variant's row and its curve: no name, which may hold anything."""
    return sha256(variant)[:10]


def _fixed(panel: Panel, axis: str) -> Iterator[float]:
    """Where the panel's rules, stretches and labels stand."""
    for mark in panel.marks:
        if isinstance(mark, Rule) and mark.axis == axis:
            yield mark.at
        elif isinstance(mark, Stretch) and mark.axis == axis:
            yield from (value for value in (mark.low, mark.high) if math.isfinite(value))
        elif isinstance(mark, Label):
            yield mark.x if axis == "x" else mark.y


def _at(scale: _Scale, value: float) -> str:
    """In thousandths of the axis. What is far outside is drawn nearer, for it is cut anyway, and read off as such."""
    return f"{1000 * min(max(scale.share(value), -FAR), 1 + FAR):.0f}"


def _lines(mark: Mark, x: _Scale, y: _Scale, text: Text) -> list[str]:
    """What is stretched with the panel: areas, lines, intervals."""
    if isinstance(mark, Stretch):
        scale = x if mark.axis == "x" else y
        ends = sorted(1000 * min(max(scale.share(v), 0.0), 1.0) for v in (mark.low, mark.high))
        side = f"M{ends[0]:.0f} 0H{ends[1]:.0f}V1000H{ends[0]:.0f}Z"
        flat = f"M0 {ends[0]:.0f}V{ends[1]:.0f}H1000V{ends[0]:.0f}Z"
        return [f'<path class="st" d="{side if mark.axis == "x" else flat}"/>']
    if isinstance(mark, Rule):
        where = f"M{_at(x, mark.at)} 0V1000" if mark.axis == "x" else f"M0 {_at(y, mark.at)}H1000"
        return [f'<path class="ru"{_dashed(mark.dash)} d="{where}"/>']
    if isinstance(mark, Picture):
        return _cells(mark, x, y)
    return _of_series(mark, x, y, text) if isinstance(mark, Series) else []


def _cells(mark: Picture, x: _Scale, y: _Scale) -> list[str]:
    made = []
    for i, row in enumerate(mark.shades):
        top, below = (mark.y - mark.height * k / len(mark.shades) for k in (i, i + 1))
        for j, shade in enumerate(row):
            left, right = (mark.x + mark.width * k / len(row) for k in (j, j + 1))
            if abs(shade) >= 0.005:
                where = f"M{_at(x, left)} {_at(y, top)}H{_at(x, right)}V{_at(y, below)}H{_at(x, left)}Z"
                kind = f"ce c-{'blue' if shade > 0 else 'vermillion'}"
                made.append(f'<path class="{kind}" opacity="{DARKEST / 0.75 * abs(shade):.2f}" d="{where}"/>')
    return made


def _of_series(mark: Series, x: _Scale, y: _Scale, text: Text) -> list[str]:
    made = []
    kind = f"c-{mark.colour}{' faint' * mark.faint}"
    if mark.low and mark.band:
        for at, low, high in mark.stretches():
            there = " ".join(f"{_at(x, a)} {_at(y, b)}" for a, b in zip(at, high, strict=True))
            back = " ".join(f"{_at(x, a)} {_at(y, b)}" for a, b in zip(reversed(at), reversed(low), strict=True))
            made.append(f'<path class="bd {kind}" d="M{there} {back}Z"/>')
    elif mark.low:
        ends = zip(mark.x, mark.y, mark.low, mark.high, strict=True)
        across = mark.along == "x"
        parts = [
            f"M{_at(x, low)} {_at(y, b)}H{_at(x, high)}" if across else f"M{_at(x, a)} {_at(y, low)}V{_at(y, high)}"
            for a, b, low, high in ends
            if b is not None and low is not None and high is not None
        ]
        made += [f'<path class="iv {kind}" d="{"".join(parts)}"/>'] if parts else []
    if mark.dash:
        drawn = "".join(_run(run, x, y) for run in _unbroken(mark))
        style = f' style="stroke-width:{1.3 * mark.width:.3g}"'
        name = f' data-name="{text(mark.name)}"' if mark.name else ""
        made.append(f'<path class="ln {kind}"{name}{_dashed(mark.dash)}{style} d="{drawn}"/>')
    return made


def _unbroken(mark: Series) -> Iterator[list[tuple[float, float]]]:
    run: list[tuple[float, float]] = []
    for a, b in zip(mark.x, mark.y, strict=True):
        if b is not None:
            run.append((a, b))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _run(points: Sequence[tuple[float, float]], x: _Scale, y: _Scale) -> str:
    return "M" + " ".join(f"{_at(x, a)} {_at(y, b)}" for a, b in points)


def _dashed(dash: str) -> str:
    return f' stroke-dasharray="{_DASHES[dash]}"' if dash in _DASHES else ""


# ---------------------------------------------------------------------------------------------------- markers and words


def _marks(mark: Mark, x: _Scale, y: _Scale, text: Text) -> Iterator[str]:
    """What keeps its shape: markers, each with its line of text, and words."""
    if isinstance(mark, Label):
        across, up = {"left": (-9, 4), "right": (9, 4), "above": (0, -8), "below": (0, 17), "centre": (0, 4)}[mark.side]
        anchor = {"left": "end", "right": "start"}.get(mark.side, "middle")
        place = f'x="{x.percent(mark.x)}" y="{y.percent(mark.y)}" dx="{across}" dy="{up}"'
        yield f'<text {place} text-anchor="{anchor}">{text(mark.text)}</text>'
    elif isinstance(mark, Series) and mark.marker:
        for i in range(mark.first, len(mark.x), max(mark.every, 1)):
            at = mark.y[i]
            if at is not None:
                told = f' data-tip="{text(mark.hover[i])}"' if mark.hover else ""
                where = f'x="{x.percent(mark.x[i])}" y="{y.percent(at)}"'
                yield f"<svg {where}{told}>{_shape(mark)}</svg>"


def _shape(mark: Series) -> str:
    size = 0.62 * mark.size
    kind = f'class="{"mh" if mark.marker in _STROKED else "mk"} c-{mark.colour}{" faint" * mark.faint}"'
    if mark.marker in ("circle", "hollow"):
        return f'<circle {kind} r="{size:.3g}"/>'
    return f'<path {kind} transform="scale({size:.3g})" d="{_SHAPES[mark.marker]}"/>'


def _key(mark: Named) -> str:
    """The sign in front of a name in the legend."""
    if isinstance(mark, Series):
        kind = f"ln c-{mark.colour}{' faint' * mark.faint}"
        style = f' style="stroke-width:{1.3 * mark.width:.3g}"'
        line = f'<path class="{kind}"{_dashed(mark.dash)}{style} d="M-11 0H11"/>' if mark.dash else ""
        inside = line + (_shape(mark) if mark.marker else "")
    elif isinstance(mark, Stretch):
        inside = '<rect class="st" x="-11" y="-5" width="22" height="10"/>'
    else:
        inside = f'<path class="ru"{_dashed(mark.dash) if isinstance(mark, Rule) else ""} d="M-11 0H11"/>'
    return f'<svg class="key" viewBox="-12 -6 24 12" aria-hidden="true">{inside}</svg>'


COLOURS: tuple[Colour, ...] = ("ink", "grey", "blue", "orange", "green", "vermillion", "purple", "sky")
"""A page's style has a class of each: `c-blue`."""
