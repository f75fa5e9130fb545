"""Every format: what it shows, and that nothing in a study can inject markup."""

import csv
import html.parser
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ablate.errors import AblateError
from ablate.records import AlsoValue, Row
from ablate.registry import Registry
from ablate.tables.formats import latex, markdown
from ablate.tables.grid import grid
from ablate.tables.stages import stages
from ablate.tables.table import Switch, TableData, TableOptions, arranged, as_json
from ablate.text import chance, one_line, typeset

FORMATS = ("markdown", "latex", "html", "csv", "json", "typst")
HOSTILE = [
    "%", "_", r"\input{x}", "|", "<b>", "__import__('os')", "two\nlines", "C", "a-b", "lr*2", "*x*", "`code`", r"a\|b",
    "[x](http://e.org)", "&amp;", "$x^2$", "~~no~~", "#1", "--", '"q"', "{}", "^", "![i](j)", "<!--", "</td>", "漢字", "é",
    "a_b_", "&#60;", "\x1b[31mred", "1. x", "a | b", "\\", r"\\", "- x", "[*]", "''", "<script>alert(1)</script>",
]  # fmt: skip


def row(variant="base", compared_with=None, **more):
    """A row of ten seeds; compared, it is a clear loss of 3.5."""
    values = {
        "design": "leave_one_out", "tricks": (), "planned": 10, "n": 10, "failed": 0, "pairs": 0, "mean": 90.25,
        "std": 0.5, "ci_low": 89.9, "ci_high": 90.6, "delta": None, "delta_ci_low": None, "delta_ci_high": None,
        "p": None, "p_adjusted": None, "test": "", "verdict": None,
    }  # fmt: skip
    if compared_with is not None:
        values |= {
            "pairs": 10, "delta": -3.5, "delta_ci_low": -4.1, "delta_ci_high": -2.9, "p": 1e-6, "p_adjusted": 2e-6,
            "test": "paired t", "verdict": "helps",
        }  # fmt: skip
    return Row(variant=variant, compared_with=compared_with, **(values | more))


def table(*rows, notes=(), **more):
    return TableData("demo", "dev_accuracy", "higher", rows or (row("full"), row("base", "full")), notes, **more)


def render(format_, data, **options):
    return Registry().make("tables", format_, {}).render(data, TableOptions(**options))


def texts(data, **options):
    """The table's cells by row, as laid out."""
    return [
        [cell.text for cell in cells] for group in grid(data, TableOptions(**options)).groups for cells in group.rows
    ]


class Reader(html.parser.HTMLParser):
    """The tags of a page and the text of each table cell, caption and note."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag in ("td", "th", "li", "caption"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def read_markdown(text):
    """What a CommonMark renderer with tables makes of it."""
    return Reader(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))


def cells_of(reader):
    return [cell.strip() for cell in reader.cells]


# ---------------------------------------------------------------------------------------------------------------- cells


def test_a_row_shows_n_mean_spread_difference_interval_p_and_verdict():
    assert ["10", "90.25 ± 0.50", "-3.50 (-4.10 to -2.90)", "<0.001", "helps"] == texts(table())[1][1:]


def test_the_header_tells_metric_unit_direction_and_comparison():
    data = table(also={"dev_loss": "lower"}, units={"dev_accuracy": "%"})
    data = replace(data, rows=tuple(replace(r, also={"dev_loss": AlsoValue(0.3, 0.01, "lower")}) for r in data.rows))
    expected = (
        "variant", "n", "dev_accuracy (%) ↑ (mean ± std)", "Δ vs full (95 % CI)", "p (Holm)", "verdict", "dev_loss ↓",
    )  # fmt: skip
    assert expected == grid(data, TableOptions()).header
    assert "0.300 ± 0.010" == texts(data)[0][-1]


def test_decimals_show_two_digits_of_the_spread_unless_asked_otherwise():
    assert "0.7312 ± 0.0012" == texts(table(row(mean=0.73119, std=0.0012)))[0][2]
    assert "1235 ± 56" == texts(table(row(mean=1234.56, std=55.5)))[0][2]
    assert "90.250 ± 0.500" == texts(table(), digits=3)[0][2]


def test_one_seed_says_so_and_two_show_their_range():
    one = row(n=1, planned=1, std=None)
    two = row(n=2, planned=2, low=90.0, high=90.5, std=0.35)
    assert "90.25 (n=1)" == texts(table(one))[0][2]
    assert "90.00 to 90.50 (n=2)" == texts(table(two))[0][2]
    two = row(
        "a", "base", pairs=2, delta_low=-4.0, delta_high=-3.0, delta_ci_low=None, delta_ci_high=None, p_adjusted=None
    )
    assert ["-4.00 to -3.00 (n=2)", "n<3"] == texts(table(two))[0][3:5]


def test_a_failed_run_leaves_a_mark_and_an_unfinished_one_a_count():
    assert ["9/10†", "4/10"] == [texts(table(r))[0][1] for r in (row(n=9, failed=1), row(n=4))]


def test_identical_values_say_identical_and_equal_differences_no_spread():
    none = {"delta_ci_low": None, "delta_ci_high": None, "p": None, "p_adjusted": None, "verdict": "inconclusive"}
    same = row("a", "base", delta=0.0, identical=True, **none)
    flat = row("b", "base", delta=0.5, no_spread=True, **none)
    assert [["0.00", "identical"], ["+0.50", "no spread"]] == [cells[3:5] for cells in texts(table(same, flat))]
    assert "90.25 (identical)" == texts(table(row(std=0.0)))[0][2]


def test_a_row_without_any_result_shows_no_number():
    empty = row("a", "base", n=0, mean=None, std=None, delta=None, p=None, p_adjusted=None, verdict=None)
    assert ["0/10", "–", "–", "", ""] == texts(table(empty))[0][1:]


def test_a_tiny_loss_is_never_minus_zero():
    assert (
        "0.00 (-0.10 to +0.10)" == texts(table(row("a", "b", delta=-0.001, delta_ci_low=-0.1, delta_ci_high=0.1)))[0][3]
    )


def test_bold_is_only_what_survives_correction():
    rows = (row("full"), row("a", "full"), row("b", "full", p_adjusted=0.06, verdict="inconclusive"))
    assert [0, 2, 0] == [sum(c.bold for c in cells) for cells in grid(table(*rows), TableOptions()).groups[0].rows]


def test_inconclusive_says_how_many_more_seeds():
    open_row = row("a", "full", verdict="inconclusive", more_seeds=7, p_adjusted=0.3)
    assert "inconclusive ° (+7 seeds)" == texts(table(open_row))[0][-1]
    both = {"delta_ci_low": -4.1, "delta_ci_high": 0.2}
    assert "inconclusive (+7 seeds)" == texts(table(replace(open_row, **both)))[0][-1]


def test_a_row_called_equivalent_shows_the_interval_of_its_two_tests():
    near = row("a", "full", verdict="equivalent", delta=0.1, equivalence_ci_low=-0.2, equivalence_ci_high=0.4)
    assert "+0.10 (90 %: -0.20 to +0.40)" == texts(table(near))[0][3]


def test_a_verdict_among_finished_runs_is_never_bold():
    rows = (row("full"), row("a", "full", qualifier="among finished runs"))
    assert "helps among finished runs" == texts(table(*rows))[1][-1]
    assert [0, 0] == [sum(c.bold for c in cells) for cells in grid(table(*rows), TableOptions()).groups[0].rows]


def test_a_row_that_differs_by_several_tricks_is_marked():
    assert "base ‡" == texts(table(row("base", "full", differs=("a", "b"))))[0][0]


def test_designs_are_groups_and_a_chain_names_what_each_row_is_compared_with():
    chain = (row("base", design="cumulative"), row("base+a", "base", design="cumulative"))
    chain += (row("full", "base+a", design="cumulative"),)
    found = grid(table(row("full"), row("base", "full"), *chain), TableOptions())
    assert ["leave_one_out", "cumulative"] == [group.title for group in found.groups]
    assert "vs" == found.header[1]
    assert "base+a" == found.groups[1].rows[2][1].text
    tuned = replace(row("a-b (untuned)"), label="a without b (untuned) §"), row("a-b (tuned)", "a-b (untuned)")
    assert "Δ vs a without b (untuned) (95 % CI)" in grid(table(*tuned), TableOptions()).header
    two = grid(table(row("full"), row("base", "full"), chain[0], chain[1]), TableOptions())
    assert ["leave_one_out (Δ vs full)", "cumulative (Δ vs base)"] == [group.title for group in two.groups]


# ----------------------------------------------------------------------------------------------------- columns and order


def laid(data, **options):
    return grid(data, TableOptions(**options))


def test_columns_are_chosen_and_ordered_by_name():
    data = replace(table(), switches=(Switch("mixup", "mix up"), Switch("n"), Switch("opt", levels=("sgd", "adamw"))))
    data = replace(data, rows=(row("full", tricks=("mixup", "opt=adamw")), row("base", "full")))
    shown = laid(data, columns=("dev_accuracy", "variant", "mixup", "opt", "trick:n"))
    assert ("dev_accuracy ↑ (mean ± std)", "variant", "mix up", "opt", "n") == shown.header
    assert ["90.25 ± 0.50", "full", "✓", "adamw", ""] == [cell.text for cell in shown.groups[0].rows[0]]
    assert (False, False, True, True, True) == shown.ticks


@pytest.mark.parametrize("format_", ["markdown", "latex", "html", "typst"])
def test_an_unknown_column_names_the_nearest(format_):
    with pytest.raises(AblateError, match=r"'verdic'; there is variant, vs, n.*Did you mean 'verdict'\?"):
        render(format_, table(), columns=("verdic",))
    with pytest.raises(AblateError, match=r"--sort: no column is called 'verdic'.*Did you mean 'verdict'\?"):
        arranged(table(), "verdic")


def test_csv_takes_columns_by_its_own_names_and_json_none():
    assert "n,variant\n10,full\n10,base\n" == render("csv", table(), columns=("n", "variant"))
    with pytest.raises(AblateError, match="JSON always has every field"):
        render("json", table(), columns=("n",))


def order(data, sort):
    return [row.variant for row in arranged(data, sort).rows]


def test_rows_are_sorted_best_first_within_their_design_and_equals_keep_their_order():
    rows = (row("a", mean=1.0), row("b", mean=3.0), row("c", mean=None), row("d", mean=3.0))
    data = table(*rows, row("e", mean=9.0, design="other"), also={})
    assert ["b", "d", "a", "c", "e"] == order(data, "dev_accuracy")
    assert ["a", "b", "d", "c", "e"] == order(data, "-dev_accuracy"), "what is missing comes last either way"
    assert ["a", "b", "d", "c", "e"] == order(replace(data, better="lower"), "dev_accuracy")
    assert ["a", "b", "c", "d", "e"] == order(data, "plan") == order(data, None)


def test_a_further_metric_sorts_by_its_own_direction_and_a_reference_stays_on_top():
    loss = [AlsoValue(value, None, "lower") for value in (0.5, 0.2, 0.9)]
    rows = (row("full", also={"loss": loss[0]}), row("a", "full", delta=-1.0, also={"loss": loss[1]}))
    data = table(*rows, row("b", "full", delta=2.0, also={"loss": loss[2]}), also={"loss": "lower"})
    assert ["a", "full", "b"] == order(data, "loss")
    assert ["full", "b", "a"] == order(data, "delta")


@given(st.lists(st.sampled_from([None, 0.0, 1.0, 2.0]), min_size=1))
def test_sorting_loses_no_row_and_is_stable(means):
    data = table(*(row(str(i), mean=mean) for i, mean in enumerate(means)))
    shown = arranged(data, "dev_accuracy").rows
    known = [(-r.mean, int(r.variant)) for r in shown if r.mean is not None]
    assert sorted(known) == known
    assert sorted(range(len(means))) == sorted(int(r.variant) for r in shown)
    assert arranged(data, "dev_accuracy") == arranged(arranged(data, "dev_accuracy"), "dev_accuracy")


def test_the_reference_and_the_base_stand_apart_and_levels_of_a_trick_together():
    levels = [row(f"o{i}", "full", tricks=("o",), differs=("o",), label=f"+ opt: {i}") for i in (1, 2)]
    single = row("m", "full", tricks=("m",), differs=("m",), label="- mixup")
    data = table(row("full", tricks=("m",)), single, *levels, row("base", "full"))
    (group,) = laid(data).groups
    assert [(1, "", False), (1, "", True), (2, "+ opt", False), (1, "", True)] == [
        (block.size, block.title, block.apart) for block in group.blocks
    ]
    assert "{+ opt} \\\\\n\\quad 1 &" in render("latex", data)
    assert '<tr class="apart"><th scope="row">base</th>' in render("html", data)
    assert '<th scope="row">+ opt: 1</th>' in render("html", data), "a row that is read out alone has its whole name"


def test_stages_of_a_network_stand_apart_with_their_controls_and_not_once_rows_are_sorted():
    paths = {"a": "stage1_block1.branch", "b": "stage1_block2.branch", "c": "stage2_block1.branch"}
    parts = [row(f"full-{name}", "full", tricks=("x",), differs=(name,), label=f"- {name}") for name in paths]
    control = row("control of c", "full", tricks=("x",), kind="control")
    data = table(row("full"), *parts, control, stages=stages(paths))
    (group,) = laid(data).groups
    assert [(1, False), (2, True), (2, True)] == [(block.size, block.apart) for block in group.blocks]
    assert render("latex", data).count(r"\addlinespace") == 2
    assert '<tr class="apart"><th scope="row">- c</th>' in render("html", data)
    mixed = replace(data, rows=(data.rows[0], parts[0], parts[2], parts[1]))
    assert [block.size for block in laid(mixed).groups[0].blocks] == [1, 3]


def test_a_stage_is_the_first_name_in_which_paths_differ_where_some_share_it():
    assert stages({"a": "blocks.0.attn", "b": "blocks.0.mlp", "c": "blocks.1.mlp"}) == {"a": "0", "b": "0", "c": "1"}
    assert stages({"a": "layer1.0", "b": "layer1.1", "c": "layer2.0", "mixup": ""}) == {
        "a": "layer1", "b": "layer1", "c": "layer2",
    }  # fmt: skip
    assert stages({"a": "layer1.0", "b": "layer2.0"}) == stages({"a": "layer1.0", "b": "layer1.1"}) == {}
    assert stages({"a": "stem", "b": "stem.act", "c": "head"}) == {"a": "stem", "b": "stem", "c": "head"}


def test_kinds_of_trick_stand_over_their_columns():
    switches = (Switch("mixup", category="augmentation"), Switch("crop", category="augmentation"), Switch("bn"))
    data = replace(table(), switches=switches, matrix=True)
    assert r"\multicolumn{2}{c}{augmentation}" in render("latex", data)
    assert r"\cmidrule(lr){2-3}" in render("latex", data)
    text = render("html", data)
    assert '<th scope="colgroup" colspan="2" class="tick">augmentation</th>' in text
    assert '<th scope="col" rowspan="2">variant</th>' in text
    assert "augmentation" not in render("markdown", data), "Markdown has no such cells"


def test_where_every_n_is_1_the_header_says_so_once():
    data = table(
        row("a", n=1, std=None), row("b", "a", n=1, std=None, pairs=1, verdict=None, delta=1.0, delta_ci_low=None)
    )
    assert ("dev_accuracy ↑ (n=1)", "Δ vs a (n=1)") == laid(data).header[2:4]
    assert ["90.25", "+1.00"] == texts(data)[1][2:4]


def test_a_chain_says_in_its_header_what_rows_are_compared_with():
    chain = table(row("base"), row("a", "base"), row("full", "a"))
    assert "vs" not in laid(chain).header
    assert "Δ vs the row above (95 % CI)" == laid(chain).header[3]
    assert "vs" in laid(arranged(chain, "-variant")).header


def test_latex_aligns_numbers_at_their_points_and_what_follows_below_each_other():
    rows = (
        row("full", mean=9.5, std=0.25),
        row("a", "full", mean=90.25, std=10.5, delta_ci_low=-10.5, delta_ci_high=0.0),
    )
    text = render("latex", table(*rows), digits=2)
    assert "S[table-format=2.2]@{}lS[retain-explicit-plus,table-format=-1.2]@{}l" in text
    assert r"9.50 & ~$\pm$ \phantom{0}0.25" in text
    assert r"\textbf{~($-$10.50 to 0.00)}" in text


# -------------------------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("format_", FORMATS)
def test_equal_data_give_equal_bytes_that_end_in_one_newline(format_):
    text = render(format_, table(notes=("a note",)))
    assert text == render(format_, table(notes=("a note",)))
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("format_", ["markdown", "html"])
def test_hostile_names_are_read_as_text(format_, name):
    data = replace(table(row(name, label=name), row("b", name), notes=(name,)), study=name, metric=name)
    text = render(format_, data, caption=name, standalone=True)
    found = read_markdown(text) if format_ == "markdown" else Reader(text)
    clean = re.sub(r"[\x00-\x1f]+", " ", name).strip()
    cells = cells_of(found)
    assert {clean, f"{clean} ↑ (mean ± std)", f"Δ vs {clean} (95 % CI)"} <= set(cells)
    assert clean == cells[-1], "the note"
    allowed = {"p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    allowed |= {"html", "head", "meta", "title", "style", "body", "caption"} if format_ == "html" else set()
    assert set(found.tags) <= allowed


@given(st.text(min_size=1))
def test_any_text_comes_back_from_a_markdown_cell(name):
    cells = read_markdown(f"| {markdown.escape(name)} |\n|---|\n").cells
    assert [one_line(name).strip()] == [cell.strip() for cell in cells]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_survive_the_machine_readable_formats_unchanged(name):
    data = replace(table(row(name, tricks=(name,), failures={"error": 1}), notes=(name,)), study=name, metric=name)
    read = json.loads(render("json", data))
    assert (name, name, name, [name], [name]) == (
        read["study"], read["metric"], read["rows"][0]["variant"], read["rows"][0]["tricks"], read["notes"],
    )  # fmt: skip
    (record,) = csv.DictReader(io.StringIO(render("csv", data), newline=""))
    assert (name, [name]) == (record["variant"], json.loads(record["tricks"]))


def test_latex_escapes_every_special_character():
    assert latex.escape("%_&#$") == r"\%\_\&\#\$"
    assert latex.escape(r"\input{x}") == r"\textbackslash{}input\{x\}"
    assert latex.escape("a--b~c^d") == r"a{-}{-}b\textasciitilde{}c\textasciicircum{}d"
    assert latex.escape('<|>"`[*]') == (r"\textless{}\textbar{}\textgreater{}{\char34}\textasciigrave{}{[}{*}{]}")
    assert latex.escape("é 漢\n±") == r"é \ablateglyph{漢}{U+6F22} $\pm$"
    assert r"$\chi$$\acute{\iota}$$\varsigma$ $\Lambda$$\mathrm{A}$" == latex.escape("χίς ΛΑ")
    assert latex.escape(typeset(-104234.0, 0)) == r"$-$104\,234"


@given(st.text())
def test_latex_text_holds_no_command_but_its_own(name):
    known = r"\\(?:(?:text[a-z]+|ldots|ablatetick|nobreakspace)\{\}|char34|[{}$&#%_|,]|ablateglyph|acute|mathrm|rule"
    known += (
        r"|pm|uparrow|downarrow|rightarrow|dagger|ddagger|times|geq|leq|circ|approx|surd|bullet|bigtriangleup|diamond"
    )
    known += (
        r"|(?i:alpha|beta|gamma|delta|(?:var)?epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|(?:var)?sigma"
    )
    known += r"|tau|upsilon|(?:var)?phi|chi|psi|omega))"
    rest = re.sub(known, "", latex.escape(name))
    assert not re.search(r"[\\&#%_~]", rest)
    assert rest.count("{") == rest.count("}")


def test_latex_writes_a_minus_sign_in_numbers_and_a_hyphen_in_names():
    text = render("latex", table(row("full"), row("full-a", "full")))
    assert r"full{-}a & 10 & 90.25 & ~$\pm$ 0.50 & {\textbf{$-$3.50}} & \textbf{~($-$4.10 to $-$2.90)}" in text
    assert r"\caption{mine}" in render("latex", table(), caption="mine")
    assert r"\label{tab:x-y}" in render("latex", table(), label="tab:x}y")


@pytest.mark.slow
@pytest.mark.parametrize("program", ["pdflatex", "lualatex"])
def test_a_standalone_latex_table_of_hostile_names_compiles(tmp_path, program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install texlive-latex-recommended texlive-luatex")
    rows = [row("full", also={"l": AlsoValue(0.5, 0.1, "lower")})]
    rows += [row(name, "full", label=name, also=rows[0].also, design=name) for name in HOSTILE]
    data = table(*rows, notes=tuple(HOSTILE), also={"l": "lower"})
    (tmp_path / "t.tex").write_text(render("latex", data, standalone=True, caption="".join(HOSTILE)))
    command = [program, "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_html_has_a_caption_and_scopes():
    text = render("html", table(), caption="One", label="t")
    assert '<table id="t">\n<caption>One</caption>' in text
    assert text.count('scope="col"') == 6
    assert '<th scope="row">base</th><td class="number">10</td>' in text
    assert "<html" not in text
    assert render("html", table(), standalone=True).startswith("<!DOCTYPE html>")


def test_json_and_csv_have_full_precision_and_null_where_n_forbids():
    data = table(row("a", "base", delta=-3.5000000000000004, p=None, also={"loss": AlsoValue(0.1, None, "lower")}))
    found = json.loads(render("json", data))
    assert {"study", "metric", "better", "rows", "speaks_of", "speaks_of_why", "notes"} == set(found)
    assert (-3.5000000000000004, None) == (found["rows"][0]["delta"], found["rows"][0]["p"])
    assert {"mean": 0.1, "std": None, "better": "lower"} == found["rows"][0]["also"]["loss"]
    (record,) = csv.DictReader(io.StringIO(render("csv", data)))
    assert ("-3.5000000000000004", "", "0.1", "") == (
        record["delta"], record["p"], record["loss_mean"], record["loss_std"],
    )  # fmt: skip


def test_json_rows_have_every_field_of_the_contract():
    fields = (
        "variant design tricks compared_with planned n failed pairs mean std ci_low ci_high delta delta_ci_low "
        "delta_ci_high p p_adjusted test verdict also more_seeds"
    )
    assert set(fields.split()) <= set(as_json(table())["rows"][0])


def test_markdown_lines_up_in_a_terminal():
    lines = [line for line in render("markdown", table()).splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert "dev_accuracy" in lines[0], "an underscore inside a word stays readable"


@pytest.mark.parametrize(("p", "shown"), [(0.0498, "0.0498"), (0.0502, "0.050"), (0.0254, "0.025"), (0.0009, "<0.001")])
def test_a_p_value_is_shown_on_its_side_of_the_level(p, shown):
    assert shown == chance(p)
