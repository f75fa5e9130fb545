"""What every figure must keep, as checks: ablate.testing runs them on ablate's own shelf and on yours.

SOURCE is a study that has everything, under names that mean harm: rows of two designs, a failed and a collapsed seed, a
row without any result, a factorial, curves, a search. A check raises AssertionError that says what does not hold.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ablate.analysis.across import Ranking, ranking
from ablate.analysis.scores import Scores
from ablate.analysis.settings import LikeThese, Over, Together
from ablate.analysis.tuned import TunedTrial, TuningHistory
from ablate.figures import paper, screen
from ablate.figures.figure import Confusion, Curve, SeedCurve, Source, WrongImage
from ablate.figures.pixels import png
from ablate.figures.scene import Scene, Series
from ablate.records import Interaction, Json, Quarter, Row
from ablate.registry import Registry

HOSTILE = (
    "<script>alert('ran')</script>", "$x^2$ and $", "100% _under \\frac{a}{b}", "%{x} &lt;b&gt; <b>bold</b>",
    "漢字 \x1b[31m😀\nsecond line", "_" + "a very long name " * 4, "</style><!--", "]]>",
)  # fmt: skip
"""Names that are markup, mathematics or a template to somebody."""

_SEEDS = (0, 1, 2, 3, 4)
_STEPS = (1, 2, 3, 4)


def _row(variant: str, design: str, against: str | None, delta: float | None, **more: Any) -> Row:
    values: dict[str, Any] = {
        "planned": 5, "n": 5, "failed": 0, "pairs": 0, "mean": 90.0 + (delta or 0.0), "std": 0.5, "p": None,
        "ci_low": 89.4 + (delta or 0.0), "ci_high": 90.6 + (delta or 0.0), "delta": delta, "delta_ci_low": None,
        "delta_ci_high": None, "p_adjusted": None, "test": "", "verdict": None, "tricks": (),
    }  # fmt: skip
    if delta is not None:
        half = abs(delta) / 2 + 0.3
        values |= {
            "pairs": 5, "delta_ci_low": delta - half, "delta_ci_high": delta + half, "p": 0.01, "p_adjusted": 0.04,
            "test": "paired t", "verdict": "helps" if abs(delta) > 1 else "inconclusive",
        }  # fmt: skip
    return Row(variant=variant, design=design, compared_with=against, **(values | more))


def _curve(variant: str, metric: str, end: float, failed: bool) -> Curve:
    mean = tuple(end - 50 / step for step in _STEPS)
    runs = tuple(SeedCurve(seed, _STEPS, tuple(value + 0.1 * seed for value in mean)) for seed in _SEEDS[:4])
    last = SeedCurve(4, _STEPS[:2] if failed else _STEPS, mean[:2] if failed else mean, "diverged" if failed else "")
    low, high = tuple(value - 1 for value in mean), tuple(value + 9 for value in mean)
    return Curve(variant, metric, _STEPS, (4 if failed else 5,) * 4, mean, low, high, (*runs, last))


def _source() -> Source:
    first, *others, empty = HOSTILE
    rows = [_row(first, "leave_one_out", None, None)]
    rows += [_row(name, "leave_one_out", first, -0.4 * i * i, label=f"- {name}") for i, name in enumerate(others)]
    rows[2] = dataclasses.replace(rows[2], n=4, failed=1, failures={"diverged": 1})
    rows[3] = dataclasses.replace(rows[3], collapsed=(1,), delta_ci_low=-80.0, delta_ci_high=70.0)
    rows[4] = dataclasses.replace(rows[4], pairs=2, delta_ci_low=None, delta_ci_high=None, verdict="inconclusive")
    gone = {"n": 0, "failed": 5, "mean": None, "std": None, "ci_low": None, "ci_high": None, "pairs": 0}
    rows.append(_row(empty, "leave_one_out", first, None, **gone, failures={"error": 5}))
    rows.append(_row(others[0], "cumulative", first, -0.2))
    rows.append(_row(f"{others[0]}:control", "leave_one_out", first, -0.1, kind="control"))
    rows.append(_row(others[0], "beyond size", f"{others[0]}:control", -0.3, kind="beyond"))
    values = {row.variant: tuple((row.mean or 0.0) + 0.2 * k for k in _SEEDS) for row in rows}
    metric: dict[str, tuple[float | None, ...]] = dict(values)
    metric[others[1]] = (*values[others[1]][:4], None)
    metric[others[2]] = (values[others[2]][0], 10.0, *values[others[2]][2:])
    metric[empty] = (None,) * 5
    costs: dict[str, tuple[float | None, ...]] = {
        row.variant: (1e4 * (i + 1),) * 5 for i, row in enumerate(rows) if row.variant != empty
    }
    quarters = tuple(
        Quarter(a, b, 80.0 + 5 * a + 3 * b + 4 * a * b, 79.0, 95.0) for a in (False, True) for b in (False, True)
    )
    trials = [
        TunedTrial(i, 80.0 + i, "done", {first: 10.0**-i, others[0]: HOSTILE[i % 3], others[1]: i}) for i in range(6)
    ]
    trials.append(TunedTrial(6, None, "pruned", {first: 0.5, others[0]: "a", others[1]: 9}))
    return Source(
        study=HOSTILE[1], metric=HOSTILE[2], better="higher", seeds=_SEEDS, rows=tuple(rows),
        values={HOSTILE[2]: metric, "parameters": costs}, minimum_effect=0.5,
        units={HOSTILE[2]: "%"}, directions={HOSTILE[2]: "higher", HOSTILE[3]: "lower"},
        failed={others[1]: {4: "diverged"}, empty: dict.fromkeys(_SEEDS, "error")},
        curves={
            HOSTILE[2]: {row.variant: _curve(row.variant, HOSTILE[2], 95, row.failed == 1) for row in rows if row.n},
            HOSTILE[3]: {row.variant: _curve(row.variant, HOSTILE[3], 60, False) for row in rows if row.n},
        },
        interactions=(
            Interaction((first, others[0]), quarters, 2.0, 1.0, 3.0, 0.01),
            Interaction((first, others[4]), quarters, 2.0, aliases=(f"{others[1]} × {others[2]}",)),
        ),
        tuning=TuningHistory(
            first, HOSTILE[2], "higher", tuple(trials), {first: 0.7, others[0]: 0.2, others[1]: 0.1}, (first,), 82.0
        ),
        best=others[3], confusion=_confusion, mistakes=_mistakes, over=_over(rows),
        ranking=_ranking, scores=_scores,
    )  # fmt: skip


def _over(rows: Sequence[Row]) -> Over:
    """Three rows over three settings: one decided, with a line about settings like these; one wild; one without a
    mean."""
    names = HOSTILE[3:6]
    cells = [dict(zip(names, rows[i : i + 3], strict=True)) for i in (1, 2, 3)]
    like = LikeThese(-2.0, 0.5, 0.1, 0.2, -6.0, 4.0)
    return Over(
        names,
        (
            Together(
                ("leave_one_out", HOSTILE[0]), cells[0], {}, -0.8, -1.4, -0.2, 0.01, 0.02, verdict="helps", like=like
            ),
            Together(("leave_one_out", HOSTILE[2]), cells[1], {}, -4.0, -90.0, 82.0, 0.8, 0.8, verdict="inconclusive"),
            Together(("leave_one_out", HOSTILE[6]), cells[2], {names[1]: "it is left out there"}),
        ),
        "mean", {"": 2},
    )  # fmt: skip


def _ranking() -> Ranking:
    """Of every name over three settings."""
    values = np.array([[float((i * k) % 7) for i in range(len(HOSTILE))] for k in (1, 2, 3)])
    return ranking(HOSTILE[3:6], HOSTILE, values, higher=True, seeds=5)


def _scores() -> Scores:
    """Of every name over three settings, five seeds in each."""
    each = {name: tuple(0.1 * i + 0.2 * k + np.arange(5.0) / 9 for k in range(3)) for i, name in enumerate(HOSTILE)}
    return Scores(HOSTILE[3:6], each, 15)


def _confusion(variant: str) -> Confusion:
    """Of a variant that takes some of each class for the one before it; the others are never taken for others."""
    most = 30 - len(variant) % 7
    counts = np.diag([most, 40.0, 0.0, *(20.0,) * 5]) + np.diag([30.0 - most, *(0.0,) * 6], 1)
    return Confusion("same", HOSTILE, (30, 40, 0, 20, 20, 20, 20, 20), dict.fromkeys(_SEEDS, counts))


def _mistakes(variant: str, limit: int) -> tuple[tuple[WrongImage, ...], int, int, int]:
    image = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    wrong = tuple(WrongImage(png(image), name, variant, 5 - i % 5) for i, name in enumerate(HOSTILE))
    return wrong[:limit], 9, 170, 5


SOURCE = _source()


# --------------------------------------------------------------------------------------------------------------- checks


def figure_has_defaults_and_a_docstring(registry: Registry, name: str, _params: Mapping[str, Json]) -> None:
    assert registry.entry("figures", name).summary, f"the file of {name} has no docstring; its first line is listed"
    needed = [parameter.name for parameter in registry.parameters("figures", name) if parameter.required]
    assert not needed, f"{name}: {needed} have no default, so `ablate plot` cannot draw it by itself"


def its_info_is_plain_data(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    figure = registry.make("figures", name, params)
    info = figure.info(SOURCE)
    assert dataclasses.is_dataclass(info), f"{name}: info is no dataclass"
    assert info == figure.info(SOURCE), f"{name}: equal sources give two infos"
    for value in _leaves(info):
        assert isinstance(value, str | int | float | None), f"{name}: info holds a {type(value).__name__}"
        assert not isinstance(value, float) or math.isfinite(value), f"{name}: info holds {value}; None means unknown"


def it_says_what_it_shows(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    scene = _scene(registry, name, params)
    assert scene.panels, f"{name} has no panel"
    for text in ("title", "caption", "alt"):
        assert getattr(scene, text).strip(), f"{name} has no {text}"
    for panel in scene.panels:
        assert panel.x.label or panel.x.ticks or len(scene.panels) > 1, f"{name}: an axis without a name"
        for mark in panel.marks:
            if isinstance(mark, Series):
                lengths = {len(mark.x), len(mark.y)} | {len(part) for part in (mark.low, mark.high, mark.hover) if part}
                assert len(lengths) == 1, f"{name}: a series of unequal lengths {sorted(lengths)}: {mark.label!r}"
                assert not mark.low or mark.high, f"{name}: an interval with one end: {mark.label!r}"


def the_same_source_gives_the_same_bytes(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    """In every format; each begins as its format begins. A PNG is the same drawing as the others, and is made once."""
    begins: dict[paper.Kind, bytes] = {"pdf": b"%PDF-", "svg": b"<?xml", "png": b"\x89PNG"}
    scene = _scene(registry, name, params)
    again = _scene(registry, name, params)
    assert screen.page(scene) == screen.page(again), f"{name}: html differs from one time to the next"
    for kind, start in begins.items():
        drawing = paper.draw(scene, kind)
        assert drawing.startswith(start), f"{name}: this is no {kind}: {drawing[:20]!r}"
        assert kind == "png" or drawing == paper.draw(again, kind), f"{name}: {kind} differs from one time to the next"
        assert b"CreationDate" not in drawing, f"{name}: {kind} holds a date"


def no_name_is_markup(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    """Names come out as text: in plotly's pseudo-HTML, inside a page's script, and in SVG."""
    scene = _scene(registry, name, params)
    for narrow in (False, True):
        for text in _leaves(screen.figure(scene, narrow=narrow)):
            assert not isinstance(text, str) or not set(text) & set('<>"'), f"{name}: plotly would read {text!r}"
    page = json.dumps(screen.figure(scene))
    assert "script" not in page or "&lt;script" in page, f"{name}: a name was lost"
    assert "<" not in screen.in_script(screen.figure(scene)), f"{name}: a name can end the page's script"
    root = ElementTree.fromstring(paper.draw(scene, "svg"))
    kinds = {element.tag.rsplit("}", 1)[-1] for element in root.iter()}
    assert not kinds & {"script", "b", "a", "foreignObject"}, f"{name}: a name became an element of the SVG"


def every_word_is_on_the_paper(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    """No text below 7 points, and none cut off at the edge, in one column and in two."""
    from matplotlib.text import Text

    scene = _scene(registry, name, params)
    for columns in (1, 2):
        with paper.settings():
            figure = paper.laid_out(scene, columns)
            figure.draw_without_rendering()
            width, height = figure.get_size_inches()
            box = figure.get_tightbbox()  # in inches
            where = f"{name}, {columns} column(s)"
            over = max(-box.x0, -box.y0, box.x1 - width, box.y1 - height)
            assert over < 0.03, f"{where}: {over:.2f} in of it are cut off at an edge"
            for text in figure.findobj(Text):
                assert isinstance(text, Text)
                small = float(text.get_fontsize()) < 7 and text.get_text().strip()
                assert not small, f"{where}: {text.get_text()!r} is set in less than 7 points"


def _scene(registry: Registry, name: str, params: Mapping[str, Json]) -> Scene:
    figure = registry.make("figures", name, params)
    scene: Scene = figure.scene(figure.info(SOURCE))
    return scene


def _leaves(value: Any) -> Iterator[Any]:
    """Everything that is no container."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from _leaves(getattr(value, item.name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _leaves(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


CHECKS = (
    figure_has_defaults_and_a_docstring,
    its_info_is_plain_data,
    it_says_what_it_shows,
    the_same_source_gives_the_same_bytes,
    no_name_is_markup,
    every_word_is_on_the_paper,
)
