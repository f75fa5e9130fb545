"""A report's page in a real browser: what is shown where, on screens from 320 to 1,920 pixels, in print, and by hand."""

import random
import re

import pytest
from browser import CHROMIUM, browser
from reported import fill, resolved, variant

from ablate.reports import material, report
from ablate.reports.formats import html as report_html
from ablate.reports.widths import columns
from ablate.store.store import Store

in_a_browser = pytest.mark.slow


TRICKS = {
    "norm": "学习率预热与批归一化",
    "skip": "الاتصالات المتبقية",
    "crop": "a very long name of a trick that somebody wrote as a whole sentence, with commas and all",
    "smooth": "averyveryverylongnamewithoutanyblankwhatsoeverinthewholeofit",
}
BASES = ("A", "Beta", "A model by the name of a long sentence")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Three bases, each without each of four tricks of long names, and three further metrics."""
    draw = random.Random(1).gauss
    on = list(TRICKS)
    rows = [(base, None, "") for base in BASES]
    rows += [(f"{base}-{name}", base, name) for base in BASES for name in on]
    plan = resolved(
        also={"dev_loss": "lower", "train_accuracy": "higher", "a_further_metric": "lower"},
        tricks=[{"name": n, "label": label, "category": "other", "levels": []} for n, label in TRICKS.items()],
        variants=[variant(v, *(one for one in on if one != name), of=base or v) for v, base, name in rows],
        rows=[
            {"design": "leave_one_out", "variant": v, "compared_with": base, "differs": [name] * bool(name),
             "label": f"- {TRICKS[name]}" if name else v}
            for v, base, name in sorted(rows, key=lambda row: BASES.index(row[1] or row[0]))
        ],
    )  # fmt: skip
    values = {v: [80 + 4 * BASES.index(base or v) - 9 * (name == "norm") + draw(0, 0.4) for _ in range(3)] for v, base, name in rows}  # fmt: skip
    folder = tmp_path_factory.mktemp("page")
    with Store.open(fill(folder / "a.db", plan, values)) as store:
        (folder / "r.html").write_text(report_html.page(report.document(material.read(store, "demo"), roomy=True)))
    return folder / "r.html"


@pytest.fixture(scope="module")
def shown(page, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("needs Chromium on the PATH")
    with browser(tmp_path_factory.mktemp("profile")) as window:
        window.emulate(1280, 900)
        window.open(page)
        yield window


CLIPPED = (
    "return [...document.querySelectorAll('.forest td:not(.bars), .forest th, .pt, .legend li, dd, li, p, h1, h2, h3')]"
    ".filter((one) => one.offsetWidth && getComputedStyle(one).display !== 'inline' && one.scrollWidth > one.clientWidth + 1)"
    ".map((one) => one.textContent)"
)


def test_the_page_of_a_course_stays_small(page):
    assert page.stat().st_size < 200_000


@in_a_browser
def test_no_screen_from_320_to_1920_pixels_scrolls_sideways_or_clips_a_cell(shown):
    shapes = {}
    for width in (320, 360, 390, 414, 600, 768, 920, 921, *range(960, 1400, 20), 1440, 1920):
        shown.emulate(width, 900)
        assert shown.run("return document.documentElement.scrollWidth") <= width, width
        assert [] == shown.run(CLIPPED), width
        metrics = "return [...document.querySelectorAll('.forest thead .also')].filter((one) => one.offsetWidth).length"
        shapes[width] = shown.run(metrics)
    assert 0 == shapes[390]
    assert 0 < shapes[1440], "a wide screen has room for further metrics"


OVERLAPS = """
const found = [];
for (const panel of document.querySelectorAll(".panel")) {
  const texts = [...panel.querySelectorAll("text, .ys span, .xs span, .pt > *, .yl, .xl")]
    .map((one) => [one.textContent.trim(), one.getBoundingClientRect()]).filter(([text, box]) => text && box.width);
  texts.forEach(([text, a], i) => texts.slice(i + 1).forEach(([other, b]) => {
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 1 && down > 3) found.push(`${text} / ${other}`);
  }));
}
return found
"""


@in_a_browser
def test_no_two_texts_of_a_figure_lie_on_each_other_and_no_two_panels_of_one_have_the_same_name(shown):
    for width in (320, 390, 768, 1024, 1280, 1920):
        shown.emulate(width, 900)
        assert [] == shown.run(OVERLAPS), width
    named = "return [...document.querySelectorAll('#figure-learning_curves .panel')].map((one) => one.dataset.of)"
    names = shown.run(named)
    assert 12 == len(names) == len(set(names))


@in_a_browser
def test_a_row_and_its_curve_show_each_other_under_the_pointer_and_by_the_keyboard(shown):
    shown.emulate(1280, 900)
    tip = "return document.getElementById('tip').textContent"
    on = "return [...document.querySelectorAll('.on')].map((one) => one.tagName)"
    shown.point(".forest .bar.helps")
    assert re.match(r"\S.* without .*: −\d.* against .*, n = 3, helps", shown.run(tip))
    assert ["TR", "DIV"] == shown.run(on)
    shown.point("#figure-learning_curves .area")
    assert re.match(r"\d\n\S.*  \d", shown.run(tip)), "the step, and each line's value there"
    assert ["TR", "DIV"] == shown.run(on)
    shown.press("Escape")
    assert "" == shown.run(tip)
    shown.run("document.querySelector('.forest tbody a').focus()")
    shown.press("Tab")
    assert "TH" == shown.run("return document.activeElement.parentElement.tagName"), "every row's name takes the focus"
    assert " against " in shown.run(tip)
    assert ["TR", "DIV"] == shown.run(on)
    assert "2px" == shown.run("return getComputedStyle(document.activeElement).outlineWidth")


@in_a_browser
def test_rows_sort_within_their_base_by_the_keyboard_and_back(shown):
    shown.emulate(1280, 900)
    order = "return [...document.querySelectorAll('.forest tbody')].map((of) => [...of.rows].map((r) => r.dataset.row || ''))"
    sorted_ = "return document.querySelector('.forest th.mean').getAttribute('aria-sort')"
    planned = shown.run(order)
    shown.run("document.querySelector('.forest th.mean button').focus()")
    seen = []
    for expected in ("descending", "ascending", None):
        shown.press("Enter")
        assert expected == shown.run(sorted_)
        seen.append(shown.run(order))
        assert [of[0] for of in planned] == [of[0] for of in seen[-1]], "a base stays above its rows"
        assert [sorted(of) for of in planned] == [sorted(of) for of in seen[-1]]
    assert planned != seen[0] != seen[1] != seen[2] == planned


@in_a_browser
def test_the_rail_marks_where_the_reader_is(shown):
    shown.emulate(1280, 900)
    for key in ("learning_curves", "table"):
        shown.run(f"document.getElementById('{key}').scrollIntoView()")
        marked = "return new Promise((done) => setTimeout(() => done(document.querySelector('nav [aria-current]').hash), 200))"
        assert f"#{key}" == shown.run(marked)


@in_a_browser
def test_what_a_screen_reader_is_told(shown):
    said = shown.run(
        "return [...document.querySelectorAll('svg:not([aria-hidden]):not([role])')]"
        ".filter((one) => !one.closest('[aria-hidden], [role=img]')).length"
    )
    assert 0 == said, "a drawing is an image with words, or is passed over"
    assert shown.run("return [...document.querySelectorAll('[role=img], [role=group]')].every((o) => o.ariaLabel)")
    assert shown.run("return [...document.querySelectorAll('table')].every((one) => one.caption.textContent)")
    assert shown.run("return [...document.querySelectorAll('th')].every((one) => one.scope)")
    roles = "return [...document.querySelectorAll('.forest tr, .forest td')].every((one) => one.getAttribute('role'))"
    assert shown.run(roles), "cards on a phone stay a table"


@in_a_browser
def test_a_course_prints_on_five_pages_in_light_colours_and_within_the_paper(shown, tmp_path):
    shown.emulate(1280, 900, "dark")
    pdf = shown.printed()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 5
    shown.emulate(718, 900, "dark", media="print")
    assert shown.run("return document.documentElement.scrollWidth") <= 718
    assert "rgb(255, 255, 255)" == shown.run("return getComputedStyle(document.body).backgroundColor")
    shown.emulate(1280, 900)


def test_a_column_is_shown_from_the_width_on_that_its_words_need():
    def need(number, metrics):
        rows = [["<th>a</th>", f"<td>{number}</td>", *[f"<td>{number}</td>"] * metrics]]
        return columns(rows, [("n", ""), ("m", ""), *[("x", "")] * metrics], compared=False)

    assert need("10", 1).core < need("100000", 1).core
    (least,) = re.findall(r"\(max-width: (\d+)px\) \{ \.forest \.a0", need("10", 1).rules())
    (most,) = re.findall(r"\(max-width: (\d+)px\) \{ \.forest \.a0", need("1" * 60, 1).rules())
    assert int(least) < int(most)
    assert "@media print" not in need("10", 1).rules()
    assert "@media print" in need("1" * 60, 1).rules(), "paper is narrow, too"
