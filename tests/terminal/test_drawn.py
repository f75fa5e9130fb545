"""The table on a terminal: nothing wider than it, every row under its base, and what limits a claim never left out."""

import os
import pty
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.records import Here, Row
from ablate.tables.forest import groups, range_of
from ablate.tables.table import Measure, TableData, TableOptions, ViewData
from ablate.terminal import columns
from ablate.terminal.bars import ASCII, UNICODE
from ablate.terminal.drawn import lines
from ablate.text import Note


def row(variant, against=None, delta=None, half=1.0, label="", **more):
    low, high = (delta - half, delta + half) if delta is not None and half is not None else (None, None)
    known = {
        "variant": variant, "design": "leave_one_out", "tricks": ("t",), "compared_with": against, "planned": 3, "n": 3,
        "failed": 0, "pairs": 3 if against else 0, "mean": 90.0 + (delta or 0), "std": 0.5, "ci_low": None,
        "ci_high": None, "delta": delta, "delta_ci_low": low, "delta_ci_high": high, "p": 0.01, "p_adjusted": 0.02,
        "test": "paired t" if against else "", "verdict": "helps" if against else None, "label": label,
    }  # fmt: skip
    return Row(**{**known, **more})


def table(*rows, notes=()):
    return TableData("study", "dev_accuracy", "higher", tuple(rows), tuple(notes), minimum_effect=0.5)


COURSE = table(
    row("A"), row("A-bn", "A", -3.0, label="- batch norm"), row("A-crop", "A", 0.1, label="- 随机裁剪", verdict="equivalent"),
    row("B"), row("B-bn", "B", -30.0, 50.0, label="- batch norm", collapsed=(2,), verdict="inconclusive"),
    row("B-skip", "B", 1.0, label="- skip connections", n=2, failed=1, verdict="hurts"),
)  # fmt: skip


def drawn(data, width, **more):
    return [line.plain for line in lines(data, width, done=18, **more)]


@given(width=st.integers(30, 220), ascii_=st.booleans())
def test_no_line_is_wider_than_the_terminal(width, ascii_):
    from rich.cells import cell_len

    data = replace(COURSE, notes=("A plain note that is longer than a narrow terminal is wide, 去噪 and all of it.",))
    shown = drawn(data, width, **({"glyphs": ASCII} if ascii_ else {}))
    assert max(map(cell_len, shown)) <= width
    if ascii_:
        assert {sign for line in shown for sign in line if ord(sign) > 127} <= set("随机裁剪去噪…")


def test_a_row_stands_once_under_its_base_with_its_marks():
    text = "\n".join(drawn(COURSE, 100))
    assert ["A", "B"] == [group.title for group in groups(COURSE.rows)]
    assert 2 == text.count("− batch norm")
    assert "− batch norm ▲" in text
    assert "− skip connections 2/3†" in text


def test_a_course_of_three_bases_has_bars_at_80_columns_and_intervals_as_numbers_below():
    over = [row(f"in {t}", "each of them", 1.0, design="mean over bases", label=f"- {t}, in A, B and C") for t in "pqr"]
    wordy = [row("A-x", "A", -0.2, label="- stochastic depth", verdict="hurts", qualifier="by less than 0.5")]
    course = replace(COURSE, rows=(*COURSE.rows[:2], *wordy, *COURSE.rows[2:], *over))
    at_80, at_50 = drawn(course, 80), drawn(course, 50)
    assert any("◂ worse" in line for line in at_80)
    assert any(line.endswith("■ hurts, by less") for line in at_80)
    assert at_80[at_80.index(next(line for line in at_80 if "hurts, by" in line)) + 1].strip() == "than 0.5"
    assert ["−4.00 to −2.00"] == [line.strip() for line in at_50 if "−4.00" in line]
    assert {1} == {sum(line.startswith(f" − {t}") for line in at_80) for t in "pqr"}


def test_one_run_of_each_variant_has_no_column_of_why_nothing_is_tested():
    alone = [replace(r, n=1, planned=1, pairs=1, std=None, p=None, p_adjusted=None, delta_ci_low=None, delta_ci_high=None)
             for r in COURSE.rows]  # fmt: skip
    text = "\n".join(drawn(table(*alone), 120))
    assert "Holm" not in text
    assert "n<3" not in text


def test_a_base_that_stands_above_is_named_and_not_printed_again():
    listed = replace(COURSE, rows=(*COURSE.rows, row("A", design="variants"), row("B", "A", 2.0, design="variants")))
    shown = drawn(listed, 100)
    assert "variants against A" in shown
    assert 1 == sum(line.startswith("A  ") for line in shown)


def test_steps_that_are_compared_with_the_step_above_stand_in_one_group():
    steps = (row("base"), row("a", "base", 1.0, label="+ a"), row("b", "a", 1.0, label="+ b"))
    assert [("base", ["a", "b"])] == [(g.title, [r.variant for r in g.rows]) for g in groups(steps)]


def test_parts_against_their_controls_stand_together_are_corrected_apart_and_named_by_both():
    against = {"design": "beyond size", "kind": "beyond"}
    parts = table(
        row("A"), row("A-x", "A", -3.0, label="- x"), row("A-y", "A", -2.0, label="- y"),
        *(row(f"control of {x}", "A", -1.0, label=f"control of {x}", kind="control") for x in "xy"),
        *(row(f"A-{x}", f"control of {x}", -2.0, label=f"- {x}", **against) for x in "xy"),
    )  # fmt: skip
    assert [("A", 5), ("beyond size against each part's control", 2)] == [
        (group.title, len(group.every)) for group in groups(parts.rows)
    ]
    assert drawn(parts, 120)[-1].strip().endswith("Holm over 2 · in full: ablate table --notes")
    assert ("A-x against control of x", "x beyond its size") == (parts.rows[5].named, parts.rows[5].spoken)
    assert ("A-x", "A without x") == (parts.rows[1].named, parts.rows[1].spoken)


def test_a_line_is_left_between_stages_of_a_network():
    parts = [row(f"A-{name}", "A", -1.0, label=f"- {name}", differs=(name,)) for name in "xyz"]
    data = replace(table(row("A"), *parts), stages={"x": "layer1", "y": "layer1", "z": "layer2"})
    shown = [line[:4].strip() for line in drawn(data, 100)]
    assert shown[shown.index("− x") :][:4] == ["− x", "− y", "", "− z"]


def test_a_wild_row_does_not_squeeze_the_others_and_no_difference_is_off_the_bar():
    shown = range_of(COURSE.rows, 0.5)
    assert shown.high - shown.low < 12
    assert all(0 < shown.share(r.delta) < 1 for r in COURSE.rows if r.delta is not None and not r.collapsed)


@pytest.mark.parametrize("ascii_", [False, True])
def test_a_bar_is_thin_for_both_sources_and_thick_for_seeds_alone(ascii_):
    here = Here(-1.5, -0.5, 0.01, 0.02, None, "helps")
    data = table(row("A"), row("A-bn", "A", -1.0, label="- one-cycle schedule", verdict="inconclusive", here=here))
    shown = drawn(data, 120, **({"glyphs": ASCII} if ascii_ else {}))
    thin, thick = "-~" if ascii_ else "─━"
    (line,) = (of for of in shown if "one-cycle" in of)
    bar = line[line.index("to") : line.index("inconclusive")].replace("|", thin)
    assert bar.index(thin) < bar.index(thick) < bar.rindex(thick) < bar.rindex(thin)
    assert any(f"{thick} other seeds on these examples, {thin} other examples too" in of for of in shown)
    assert any(of.endswith("inconclusive (here: helps)") for of in drawn(data, 120))


def test_what_limits_a_claim_is_said_and_how_it_was_computed_may_go():
    notes = (
        Note("How it was tested."),
        Note("A seed collapsed, and so on.", "▲ B: seed 2"),
        "A sentence of a plug-in.",
    )
    shown = drawn(replace(COURSE, notes=notes), 100)
    assert "▲ B: seed 2" in shown
    assert "! A sentence of a plug-in." in shown
    assert not any("How it was" in line for line in shown)
    assert shown[-1].endswith("1 more note: ablate table --notes")
    assert "- How it was tested." in drawn(replace(COURSE, notes=notes), 100, notes=True)


@given(width=st.integers(30, 200), ascii_=st.booleans())
def test_other_views_are_split_and_wrapped_and_nothing_of_them_is_cut(width, ascii_):
    from rich.cells import cell_len

    header = ("variant", "what it is made of", *(f"metric {i} ↑" for i in range(6)))
    numbers = tuple(Measure(-100.0 - i, -200.0, 200.0) for i in range(6))
    rows = (("- 随机裁剪 and flip", "a few words that are longer than some screens are wide", *numbers),)
    data = ViewData("some", "words", "study", "m", "higher", header, (False, False, *[True] * 6), rows, ())
    lines = columns.lines(data, width, ASCII if ascii_ else UNICODE, TableOptions(), notes=False)
    assert max(cell_len(line.plain) for line in lines) <= width
    shown = "".join(line.plain for line in lines).replace(" ", "")
    assert all(str(100 + i) in shown for i in range(6))
    assert "…" not in shown
    assert ("↑" in shown) != ascii_


@given(width=st.integers(30, 120))
def test_a_plan_wraps_what_differs_and_cuts_nothing(width):
    differs = ", ".join(f"a trick number {i}" for i in range(8))
    lines = columns.listing("x: 2 runs.", ("variant", "differs in"), [["B", differs]], ["A note. " * 9], width, UNICODE)
    assert max(line.cell_len for line in lines) <= width
    assert differs.replace(" ", "") in "".join(line.plain for line in lines).replace(" ", "").replace("B", "")


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"LC_ALL": "C"}, True),
    ],
)
def test_a_terminal_gets_the_drawn_table_and_a_pipe_markdown(tmp_path, env, coloured):
    (tmp_path / "t.py").write_text("def main(c, run): return {'m': c['a'] + run.seed_for(str(c['a'])) % 7 / 100}\n")
    (tmp_path / "s.yaml").write_text(
        "task: t:main\nbase: {a: 0}\ntricks: {one: {set: {a: 1}}}\nseeds: 3\nmetric: {name: m, better: higher}\n"
    )
    command = [sys.executable, "-m", "ablate", "-q", "run", "s.yaml"]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert piped.startswith("| variant")
    ours, theirs = pty.openpty()
    variables = {**os.environ, "COLUMNS": "90", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **env}
    command[3:] = ["table"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=theirs, stderr=theirs, env=variables)
    os.close(theirs)
    seen = b""
    while chunk := _read(ours):
        seen += chunk
    assert 0 == process.wait()
    assert ("●" in seen.decode()) != (env.get("LC_ALL") == "C")
    assert "| variant" not in seen.decode()
    assert coloured == (b"\x1b[38;5;32m" in seen)


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""
