"""A report as plain data, and as files: the same bytes for the same results, two pages, no name that is markup."""

import html.parser
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from reported import HOSTILE, VALUES, fill, resolved, variant

from ablate.errors import AblateError
from ablate.figures import glyphs, inline
from ablate.figures.glyphs import drawable, fonts
from ablate.registry import Registry
from ablate.reports import appendix, author, report, rows
from ablate.reports import material as read_from
from ablate.reports.document import Bullets, Code, Paragraph, Picture, Table, plain
from ablate.reports.formats import html as report_html
from ablate.reports.formats import latex, markdown
from ablate.reports.formats import pdf as report_pdf
from ablate.reports.layouts import STEPS, fitting, layout_of
from ablate.reports.setter import Setter, shortened
from ablate.runs import export
from ablate.store.store import Store
from ablate.tables import views
from ablate.terminal import cli


def material(path):
    with Store.open(path) as store:
        return read_from.read(store, "demo")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return material(fill(tmp_path_factory.mktemp("report") / "a.db"))


def test_a_best_row_that_only_takes_something_away_is_called_so_and_the_best_model_named(tmp_path):
    fill(tmp_path / "a.db", values={**VALUES, "full-norm": [93.1, 93.3, 93.0]})
    with Store.open(tmp_path / "a.db") as store:
        best, chosen = (report.document(read_from.read(store, "demo", name)) for name in (None, "full"))
        with pytest.raises(AblateError, match=r"no variant is called 'ful'.*Did you mean 'full'"):
            read_from.read(store, "demo", "ful")
    said = {section.key: plain(section.blocks[0].text) for section in best.sections if section.key == "best"}
    assert "full-norm" in said["best"]
    assert "It is an ablation row, not a model of its own. full is the model itself: 90.10 ± 0.26 % (n = 3)." in said[
        "best"
    ].replace("\u00a0", " ")
    shown = next(section for section in chosen.sections if section.key == "best")
    assert "Variant full" == shown.title
    assert "The best mean is that of full-norm: 93.13" in plain(shown.blocks[0].text)


def test_every_epoch_of_every_finished_run_is_a_line_of_the_export(tmp_path):
    with Store.open(fill(tmp_path / "a.db")) as store:
        lines = export.text(store, "demo", epochs=True).splitlines()
    assert "key,study,variant,seed,role,epoch,dev_accuracy,dev_loss" == lines[0]
    assert 1 + 11 * 4 == len(lines)
    assert "full:0,demo,full,0,ablation,2,45.0,0.5" in lines


def test_signs_that_no_font_has_are_told_and_a_file_that_is_no_font_is_refused(tmp_path):
    (tmp_path / "f.ttf").write_text("no font")
    with fonts(()) as chosen:
        assert "α U+53BB" == drawable("α 去")
        assert 8.0 == glyphs.text_width("去", 8), "what no font has is measured all the same"
    assert {"去"} == chosen.lacking
    assert 7.0 == glyphs.text_width("去", 7), "what cannot be drawn has a width, too"
    with pytest.MonkeyPatch.context() as patch, fonts(()) as chosen:
        patch.setattr(glyphs, "SHAPES", False)
        assert "μ = 5, بلا" == drawable("μ = 5, بلا")
    assert set("بلا") == chosen.unjoined, "an older matplotlib draws them from left to right"
    with pytest.raises(AblateError, match="is no font that can be read"), fonts([tmp_path / "f.ttf"]):
        pass


def texts(section):
    """What a section says, by line."""
    found = []
    for block in section.blocks:
        if isinstance(block, Paragraph):
            found.append(plain(block.text))
        elif isinstance(block, Bullets):
            found += map(plain, block.items)
        elif isinstance(block, Code):
            found.append(block.text)
        elif hasattr(block, "items"):
            found += [f"{term}: {plain(said)}" for term, said in block.items]
    return found


# -------------------------------------------------------------------------------------------------------------- contents


def test_a_report_has_what_a_brief_asks_for_in_order(made):
    keys = [section.key for section in report.document(made).sections]
    expected = "question table best effects support variants methods failures reproduce papers study"
    assert expected.split() == keys


@pytest.mark.parametrize(("name", "space"), [("html", "\u00a0"), ("latex", r"\nobreakspace{}")])
def test_no_line_divides_the_n_of_a_caption(made, name, space):
    files = Registry().make("reports", name, {}).files(report.document(made), f"r.{name}")
    assert f"(seeds 0 to 2, n{space}={space}3); thick" in next(iter(files.values())).decode()


def test_the_opening_says_what_is_decided_by_how_much_what_is_open_and_the_best_with_its_n(made):
    opening = report.document(made).section("question")
    said = texts(opening)
    assert "Does <b>it</b> help?" == report.document(made).title
    assert ["It was asked for a course."] == said[:1]
    signed = next(block for block in opening.blocks if isinstance(block, Bullets))
    assert ("helps", "equivalent", "inconclusive") == signed.signs[:3]
    assert "batch norm helps: without it −9.97 points (−10.25 to −9.68)" == said[1]
    assert said[2].endswith(": no difference as large as ±0.5 points")
    assert said[-1].startswith("Best mean: full-h, dev accuracy 90.10\u00a0±\u00a00.18\u00a0%\u00a0(n\u00a0=\u00a03)")
    assert ", picked from 4, so optimistic" in said[-1]


def test_the_table_is_the_tables_own_with_its_notes_below(made):
    table, notes = report.document(made).section("table").blocks
    assert made.table.rows == table.data.rows
    assert list(made.table.notes) == [plain(note) for note in notes.items]


def test_a_failure_is_told_with_its_reason_and_what_it_said(made):
    assert ["base, seed 2: oom: out of <i>memory</i> at step 3"] == texts(report.document(made).section("failures"))


def test_training_it_again_names_commands_seeds_fingerprints_and_no_folder(made):
    said = "\n".join(texts(report.document(made).section("reproduce")))
    assert "pip install torch==2.9.0 numpy==2.1.0\nablate run demo.yaml --set data.root=FOLDER --set epochs=4\n" in said
    assert "ablate verify full-h:0" in said
    assert "seeds: 0 to 2" in said
    assert "data: SHA-256 dddddddddddd" in said
    assert "model:vgg v1" in said
    assert "ablate's source: abababababab" in said
    assert "/home/me" not in said
    assert "/tmp" not in said


def test_every_model_data_set_and_trick_used_has_its_paper_also_those_that_a_setting_switches_on(made):
    said = "\n".join(texts(report.document(made).section("papers")))
    for paper in (
        "vgg: Simonyan & Zisserman 2015",
        "digits: Alpaydin",
        "mixup: Zhang et al. 2018",
        "batch norm: Ioffe",
    ):
        assert paper in said


def test_the_limits_speak_of_this_study(made):
    said = "\n".join(texts(report.document(made).section("support")))
    assert "Leave-one-out shows what a trick adds to all the others" in said
    assert "Every number is of the dev set" in said
    assert "full-h was chosen as the best mean by the numbers shown here" in said


def test_a_prediction_of_the_test_set_is_told(tmp_path):
    path = fill(tmp_path / "a.db")
    with Store.open(path, write=True) as store:
        store.save_test_use("demo", "full", (0, 1), "one")
        store.save_test_use("demo", "full", (0, 1), "one")
        store.save_test_use("demo", "full-h", (0,), "two")
    said = "\n".join(texts(report.document(material(path)).section("support")))
    assert "The test set was predicted 2 times (by full and full-h)" in said


def test_the_statistics_paragraph_names_test_correction_n_failures_and_versions(made):
    said = report.methods_text(made)
    for part in (
        "We compare 4 variants by dev_accuracy (higher is better) after the last epoch, each trained with seeds 0 to 2: "
        "12 runs.",
        "Each variant is compared with full by a two-sided paired t test",
        "the 3 p-values are adjusted by Holm's method (Holm 1979)",
        "within ±0.5",
        "1 run failed and enters no mean, interval or test.",
        "were fixed before the first run",
        "PyTorch 2.9.0, NumPy 2.1.0 and Python 3.12.1 on a kind of CPU",
    ):
        assert part in said


def test_a_pooled_error_is_named_in_the_statistics_paragraph(tmp_path):
    said = report.methods_text(material(fill(tmp_path / "a.db", resolved(analysis={"error": "pooled"}))))
    assert "a two-sided t test against the error pooled over all variants, seeds as blocks" in said
    assert "paired" not in said


def test_a_private_plug_in_is_named_by_its_hash_and_not_imported():
    asked = {"task": "classify", "config": {"model": {"name": "vgg"}}, "code": {"model:vgg": 1, "trick:mine": "c" * 64}}
    found = appendix.papers([asked], Registry())
    assert [("vgg", ""), ("mine", "c" * 64)] == [(paper.part, paper.private) for paper in found]


def test_every_setting_that_is_cited_is_a_trick_of_the_shelf_with_a_paper():
    assert all(Registry().load("tricks", trick).paper for *_, trick in appendix.SETTINGS)


def test_one_seed_is_reported_without_any_test(tmp_path):
    path = fill(tmp_path / "a.db", resolved(seeds=[0]), {name: values[:1] for name, values in VALUES.items()})
    found = material(path)
    assert "With fewer than 3 seeds per comparison nothing is tested" in report.methods_text(found)
    said = "\n".join(texts(report.document(found).section("question")))
    assert "Not decided, there are too few seeds for an interval: " in said
    page = report_html.page(report.document(found, roomy=True))
    assert 'class="forest untested"' in page
    assert "verdicts, p and intervals" not in page, "there are none to speak of anything"
    for nothing in ("Holm", "mean ± sd", "% interval", "small ticks", 'class="t"'):
        assert nothing not in page.split('class="limits"')[0].split('id="table"')[1], nothing


def test_an_imported_study_says_where_its_runs_come_from(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [f"{model},{seed},{value + seed}" for model, value in (("base", 70), ("mixup", 73)) for seed in range(3)]
    (tmp_path / "runs.csv").write_text("model,seed,acc\n" + "\n".join(lines))
    options = ["--study", "mine", "--metric", "acc", "--better", "higher", "--variant", "model", "--seed", "seed"]
    assert 0 == run("import", "runs.csv", *options)
    assert 0 == run("report", "mine", "-o", "r.md")
    said = (tmp_path / "r.md").read_text()
    assert "The runs were trained elsewhere and imported from `runs.csv`, SHA-256" in said
    assert "ablate verify" not in said
    assert "Tricks and settings" not in said, "labels are all that is known"


# ---------------------------------------------------------------------------------------------------------------- files

FORMATS = {"html": report_html.Html(), "md": markdown.Markdown(), "tex": latex.Latex(), "pdf": report_pdf.Pdf()}


@pytest.mark.parametrize("ending", FORMATS)
def test_the_same_results_give_the_same_bytes_wherever_and_however_they_were_made(tmp_path, made, ending):
    again = material(fill(tmp_path / "elsewhere.db", host="another"))
    one, two = (FORMATS[ending].files(report.document(of), f"r.{ending}") for of in (made, again))
    assert one == two


class Reader(html.parser.HTMLParser):
    """The tags of a page, its scripts and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.text, self.inside = [], [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script"
        self.scripts += [""] if self.inside else []

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data
        else:
            self.text += data


def test_a_page_holds_one_script_of_its_own_and_no_name_becomes_markup(made):
    page = Reader(report_html.page(report.document(made, roomy=True)))
    assert 1 == len(page.scripts)
    assert HOSTILE in page.text
    assert "Does <b>it</b> help?" in page.text
    assert not any("onload" in attrs or "onerror" in attrs for _, attrs in page.tags)
    assert not [attrs for _, attrs in page.tags for value in attrs.values() if str(value).startswith("javascript")]
    policy = next(attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


def test_a_page_of_a_long_list_stays_usable():
    from ablate.reports.document import Document, Section, line

    items = tuple(line(f"item {i}") for i in range(100))
    page = report_html.page(Document("s", "t", "", (Section("a", "A", (Bullets(items),)),)))
    assert "<summary>70 more</summary>" in page


def test_a_page_draws_each_comparison_as_a_bar_that_says_the_row_in_words(made):
    text = report_html.page(report.document(made, roomy=True))
    page = Reader(text)
    bars = [attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("class", "").startswith("bar ")]
    assert len([row for row in made.table.rows if row.delta is not None]) == len(bars)
    assert all("against full, n = " in attrs["aria-label"] and "img" == attrs["role"] for attrs in bars)
    assert ["best_variant", "learning_curves", "seeds"] == re.findall('id="figure-([a-z_]+)"', text), (
        "the table draws the effects"
    )
    assert len(text) < 200_000


def test_a_row_and_its_curve_lead_to_each_other_and_a_name_is_in_no_link(made):
    text = report_html.page(report.document(made, roomy=True))
    for here, there in (("row", "curve"), ("curve", "row")):
        links = re.findall(rf'href="#{there}-([0-9a-f]+)"', text)
        assert set(links) == set(re.findall(rf'id="{there}-([0-9a-f]+)"', text)), f"from {here} to {there}"
        assert len(set(links)) == len({row.variant for row in made.table.rows if row.compared_with}) > 1


def test_what_limits_a_claim_stands_open_under_the_pages_table_and_every_note_is_folded(made):
    text = report_html.page(report.document(made))
    notes = views.table_data(made.found).notes
    opened, folded = text.split('<details class="how">', 1)
    assert "failed run" in opened.split('<ul class="limits">')[1]
    assert len(notes) == folded.split("</details>")[0].count("<li>")


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_words_and_marks_stand_out_from_the_page_in_light_and_dark(scheme):
    style = (Path(report_html.__file__).parents[1] / "page.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.S)[:2]
    names = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", [light, dark][scheme]))
    contrast = {}
    for name, colour in names.items():
        bright, dim = sorted((luminance(colour), luminance(names["page"])), reverse=True)
        contrast[name] = (bright + 0.05) / (dim + 0.05)
    assert all(contrast[name] >= 4.5 for name in ("ink", "dim", "link"))
    assert all(contrast[name] >= 3.0 for name in ("helps", "hurts", "equivalent", "open"))
    for name in ("blue", "vermillion"):  # numbers are read on the darkest cell of a confusion matrix
        mixed = [
            round(inline.DARKEST * int(names[name][i : i + 2], 16) + (1 - inline.DARKEST) * int(names["page"][i : i + 2], 16))
            for i in (1, 3, 5)
        ]  # fmt: skip
        bright, dim = sorted((luminance(names["ink"]), luminance("#{:02x}{:02x}{:02x}".format(*mixed))), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5


FULL = {  # of simulated colour-blindness at full strength, on linear RGB (Machado et al. 2009)
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]


def lab(colour, seen):
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    xyz = np.array(TO_XYZ) @ np.clip(np.array(seen) @ linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def apart(one, other):
    """CIEDE2000 (Sharma et al. 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25**7))
    c1, c2 = np.hypot(g * a1, b1), np.hypot(g * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, g * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    light, c, h = (l1 + l2) / 2, (c1 + c2) / 2, h1 + turn / 2
    t = 1 - 0.17 * np.cos(np.radians(h - 30)) + 0.24 * np.cos(np.radians(2 * h))
    t += 0.32 * np.cos(np.radians(3 * h + 6)) - 0.2 * np.cos(np.radians(4 * h - 63))
    sl, sc, sh = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2), 1 + 0.045 * c, 1 + 0.015 * c * t
    r = -np.sin(np.radians(60 * np.exp(-(((h % 360 - 275) / 25) ** 2)))) * 2 * np.sqrt(c**7 / (c**7 + 25**7))
    return np.sqrt(((l2 - l1) / sl) ** 2 + ((c2 - c1) / sc) ** 2 + (dh / sh) ** 2 + r * (c2 - c1) / sc * dh / sh)


def test_the_distance_of_colours_is_that_of_a_published_pair():
    assert 2.0425 == pytest.approx(apart((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485)), abs=1e-4)  # Sharma's first


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize("seen", FULL)
def test_colour_blind_people_tell_any_two_verdicts_apart(scheme, seen):
    style = (Path(report_html.__file__).parents[1] / "page.css").read_text()
    names = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", style, re.S)[scheme]))
    colours = [lab(names[name], FULL[seen]) for name in ("helps", "hurts", "equivalent", "open")]
    assert min(apart(one, other) for one, other in combinations(colours, 2)) > 13


def test_the_pages_own_parts_stay_small_and_nothing_in_them_is_set_too_small_to_read():
    folder = Path(report_html.__file__).parents[1]
    style, script = ((folder / f"page.{ending}").read_text() for ending in ("css", "js"))
    assert len(style) < 17_000
    assert len(script) < 5_200
    screen, printed = style.split("@media print")
    assert 12 <= min(map(float, re.findall(r"font(?:-size)?: ([\d.]+)px", screen)))
    assert 6.8 <= min(map(float, re.findall(r"font-size: ([\d.]+)pt", printed)))
    least = layout_of(range(len(STEPS)))
    assert 7.2 <= min(least.text, least.table, least.minor)


def test_markdown_refers_to_the_figures_beside_it(made):
    files = markdown.Markdown().files(report.document(made), "my report.md")
    assert {"my report.md", "my report-best_variant.svg", "my report-effects.svg"} == set(files)
    assert "(my%20report-effects.svg)" in files["my report.md"].decode()


def pages(pdf):
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_a_pdf_has_two_pages_at_most_and_a_full_one_says_what_it_left_out(tmp_path, made):
    notes = author.parse("A paragraph of an author's own. " * 90)
    (pdf,) = report_pdf.Pdf().files(report.document(made, notes), "r.pdf").values()
    assert 2 == pages(pdf)
    setter = Setter(report.document(made, notes), tmp_path)
    layout = fitting(setter.length)
    assert layout is not None
    assert re.search(r"#let foot = ..Cut for two pages: .*ablate report demo --format html", setter.text(layout))
    assert "A paragraph of an author" in setter.text(layout)


def test_no_note_that_limits_a_claim_is_ever_cut_and_the_foot_of_each_page_names_what_is(tmp_path, made):
    tightest = layout_of(range(len(STEPS)))
    text = Setter(report.document(made), tmp_path).text(tightest)
    for note in views.table_data(made.found).notes:
        for said in rows.in_lines(note):
            assert said.split(":")[0].split("‡")[-1].strip(" !").lower() in text.lower()
    assert re.search(r"#let foot = .*\d+ notes? on how the table was made", text)
    assert "! " not in text.split("#care")[1].split("\n")[0], "a sign of lines says nothing in running text"


def test_notes_that_leave_no_room_are_refused_with_how_much_is_too_much(made):
    notes = author.parse("word " * 4000)
    with pytest.raises(AblateError, match=r"takes \d\.\d pages, and it may have 2.* 4000 words are about \d+ too many"):
        report_pdf.Pdf().files(report.document(made, notes), "r.pdf")


def test_what_was_not_needed_to_fit_is_taken_back():
    seen = []

    def length(layout):
        seen.append(layout)
        return 2.5 if layout.also else 1.9

    found = fitting(length)
    assert found is not None
    assert (9.0, False) == (found.text, found.also)
    assert fitting(lambda _: 2.1) is None


def test_a_table_that_is_cut_keeps_references_and_what_is_decided(made):
    kept = shortened(made.table, 2)
    assert ["full", "full-norm"] == [row.variant for row in kept.rows]


# -------------------------------------------------------------------------------------------------------------- command


def run(*words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--db", "a.db", *words])
    return ended.value.code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    fill(tmp_path / "a.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_a_report_goes_beside_the_runs_as_html(folder):
    assert 0 == run("report")
    assert (folder / "demo" / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_the_ending_decides_the_format(folder):
    assert 0 == run("report", "demo", "-o", "out/x.tex")
    assert {"x.tex", "x-best-variant.pdf", "x-effects.pdf"} == {path.name for path in (folder / "out").iterdir()}


def test_a_label_that_begins_with_a_dash_is_a_row_and_no_option(folder, capsys):
    assert 2 == run("cite", "demo", "- what helps", "delta")
    assert "no row is called '- what helps'" in capsys.readouterr().err


def test_methods_prints_the_paragraph_alone(folder, capsys):
    assert 0 == run("report", "--methods")
    printed = capsys.readouterr().out
    assert printed.startswith("We compare 4 variants by dev_accuracy")
    assert 1 == printed.count("\n")
    assert 0 == run("report", "--methods", "--format", "latex")
    assert r"dev\_accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("-o", "x.htm"), "Did you mean '.html'?"),
        (("-o", "x.pdf", "--format", "html"), "one of them is enough"),
        (("--format", "pdff"), "Did you mean 'pdf'?"),
        (("--notes", "none.md"), "none.md cannot be read"),
        (("dmo",), "Did you mean 'demo'?"),
        (("--methods", "-o", "m.pdf"), "--methods is a paragraph of text"),
    ],
)
def test_a_mistake_is_answered_with_what_is_allowed(folder, capsys, words, complaint):
    assert 2 == run("report", *words)
    assert complaint in capsys.readouterr().err


def test_a_study_with_nothing_done_says_how_to_do_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "a.db", values={name: [None] * 3 for name in VALUES})
    assert 2 == run("report")
    said = capsys.readouterr().err
    assert "demo has no finished run: of 12 planned, none was made yet. `ablate run` makes them" in said


# ------------------------------------------------------------------------------------------------------ in real programs


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex on the PATH")
def test_the_latex_compiles_with_hostile_names(tmp_path, made):
    notes = author.parse(
        "**x** `\\end{document}` [l](https://e.org/a_b%20c#d)\n\n```\n\\end{verbatim} # $ _\n  x\n```\n"
    )
    for name, data in latex.Latex().files(report.document(made, notes), "r.tex").items():
        (tmp_path / name).write_bytes(data)
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "r.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert 0 == done.returncode, done.stdout[-2000:]
    assert "root:" not in done.stdout
    assert (tmp_path / "r.pdf").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_a_browser_shows_the_page_without_network_script_of_a_name_or_scrolling_sideways(tmp_path, made, width, scheme):
    from browser import CHROMIUM, browser

    if CHROMIUM is None:
        pytest.skip("needs Chromium on the PATH")
    page = tmp_path / "r.html"
    page.write_text(report_html.page(report.document(made, author.parse("My **own** <img src=x onerror=alert(2)>"))))
    with browser(tmp_path / "profile") as shown:
        shown.emulate(width, 900, scheme)
        shown.open(page)
        assert [] == shown.console()
        assert [page.as_uri()] == shown.requests()
        assert [1, 3] == shown.run(
            "return [document.querySelectorAll('figure').length, document.querySelectorAll('table').length]"
        )
        assert shown.run("return document.documentElement.scrollWidth <= innerWidth")
        assert shown.run("return [...document.querySelectorAll('table')].every(t => t.caption)")
        clipped = (
            "return [...document.querySelectorAll('.forest td')].filter(c => c.scrollWidth > c.clientWidth + 1).length"
        )
        assert 0 == shown.run(clipped), "a cell is wider than its box"
        order = "return [...document.querySelectorAll('.forest tbody tr')].map(r => r.dataset.row).join()"
        planned = shown.run(order)
        if width > 920:
            for _ in range(3):  # best first, worst first, the plan's order
                shown.run("document.querySelector('.forest th.mean button').click()")
            assert planned == shown.run(order)
        pointed = (
            "document.querySelector('.bar').dispatchEvent(new PointerEvent('pointermove', {bubbles: true})); "
            "return document.getElementById('tip').textContent"
        )
        assert "against full, n = 3" in shown.run(pointed)
        background = shown.run("return getComputedStyle(document.body).backgroundColor")
        assert ("rgb(22, 24, 27)" if scheme == "dark" else "rgb(255, 255, 255)") == background
        assert shown.run("return document.querySelectorAll('img, main script, nav script').length") == 0


@pytest.mark.slow
def test_200_variants_of_10_seeds_make_a_page_that_unfolds_and_a_pdf_of_two_pages(tmp_path):
    import random

    draw = random.Random(1).gauss
    names = [f"base+t{i}" for i in range(199)]
    rows = [("base", None), *((name, "base") for name in names)]
    plan = resolved(
        seeds=list(range(10)),
        tricks=[{"name": f"t{i}", "label": "", "category": "other", "levels": []} for i in range(199)],
        variants=[variant("base"), *(variant(name, name.removeprefix("base+")) for name in names)],
        rows=[
            {"design": "add_one_in", "variant": v, "compared_with": c, "differs": [v[5:]] * bool(c), "label": v}
            for v, c in rows
        ],
    )
    values = {name: [90 + 3 * (i % 20 == 1) + draw(0, 0.5) for _ in range(10)] for i, (name, _) in enumerate(rows)}
    found = material(fill(tmp_path / "a.db", plan, values))
    page = report_html.page(report.document(found, roomy=True))
    assert "<summary>169 more</summary>" in page
    assert len(page) < 500_000
    (pdf,) = report_pdf.Pdf().files(report.document(found, rows=24), "r.pdf").values()
    assert 2 == pages(pdf)


def test_every_section_of_plain_data_names_its_tables_and_pictures(made):
    blocks = [block for section in report.document(made).sections for block in section.blocks]
    assert ["ablation", "tricks", "variants"] == [block.label for block in blocks if isinstance(block, Table)]
    assert ["best_variant", "effects"] == [block.name for block in blocks if isinstance(block, Picture)]


def test_what_helps_among_finished_runs_is_bold_nowhere(tmp_path):
    values = VALUES | {"full-norm": [80.1, 80.3, 80.0, "diverged"], "full": [90.0, 90.4, 89.9, 90.2]}
    values = {name: [*of, None][:4] for name, of in values.items()}
    made = report.document(material(fill(tmp_path / "a.db", resolved(seeds=[0, 1, 2, 3]), values)))
    bold = [
        span.text for section in made.sections for block in section.blocks if isinstance(block, Paragraph | Bullets)
        for text in (block.items if isinstance(block, Bullets) else (block.text,)) for span in text if span.style == "strong"
    ]  # fmt: skip
    assert "batch norm helps among finished runs: without it" in "\n".join(texts(made.section("question")))
    assert not [text for text in bold if "finished" in text]
