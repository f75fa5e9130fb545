"""Formulas in an author's notes: read once, the same on a page, in a PDF, in LaTeX and in Markdown."""

import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest
import typst
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import AblateError
from ablate.registry import Registry
from ablate.reports import equations, formula
from ablate.reports.author import parse
from ablate.reports.document import Document, Paragraph, Section
from ablate.reports.layouts import layout_of
from ablate.reports.setter import Setter

LOSS = r"\mathcal{L} = -\sum_{k=1}^{K} y_k \log p_k + \frac{\lambda}{2} \|w\|_2^2"
EVERY = (
    LOSS, r"\hat{y} = \mathrm{softmax}\left(W x + b\right)", r"\eta_t = \eta_0 \cos(\pi t / 2T)", r"x' \mapsto \sqrt[3]{x}",
    r"x \mapsto \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}", r"\max_{i < n} \left|x_i\right|, \quad \text{for all } i",
    r"\boldsymbol{\theta} \in \mathbb{R}^{d \times d}", r"\bar{x} \pm 1.96\, s/\sqrt{n}", "λ = 0.1 · 10^{-4}",
    r"\lVert w \rVert_2 \leq 1 \Rightarrow \lim_{t \to \infty} \vec{w}_t \neq 0",
)  # fmt: skip


def test_a_formula_is_mathematics_on_a_page_and_signs_in_a_text():
    (paragraph,) = parse(f"We minimise ${LOSS}$.")
    assert isinstance(paragraph, Paragraph)
    (span,) = [span for span in paragraph.text if span.formula]
    assert "ℒ = −∑ₖ₌₁^K yₖ log pₖ + λ / 2 ‖w‖₂²" == span.text
    made = equations.mathml(span.formula)
    assert "<msubsup><mo>∑</mo><mrow><mi>k</mi><mo>=</mo><mn>1</mn></mrow><mi>K</mi></msubsup>" in made
    assert "<mfrac><mi>λ</mi><mn>2</mn></mfrac>" in made
    assert "munderover" in equations.mathml(formula.read(LOSS, display=True))


@pytest.mark.parametrize("source", EVERY)
def test_every_format_can_read_what_is_written(source):
    read = formula.read(source)
    ElementTree.fromstring(equations.mathml(read))
    assert formula.read(read.source).root == read.root, "LaTeX that is written is read the same"
    assert equations.plain(read)
    assert typst.compile(f"#{equations.typst(read)}\n".encode(), format="svg")


def test_a_root_in_signs_says_which_root_it_is():
    said = {r"\sqrt{x}": "√x", r"\sqrt[2]{x}": "√x", r"\sqrt[3]{x + 1}": "³√(x + 1)", r"\sqrt[a]{x}": "[a]√x"}
    assert said == {source: equations.plain(formula.read(source)) for source in said}


def test_a_formula_in_a_line_of_its_own_is_one_in_every_format(tmp_path):
    blocks = parse("So\n\n$$y = x$$\n\nit is.")
    document = Document("s", "t", "", (Section("question", "In short", blocks),), own=blocks)
    table = {name: Registry().make("reports", name, {}) for name in ("html", "latex", "markdown")}
    written = {name: next(iter(one.files(document, f"r.{name}").values())).decode() for name, one in table.items()}
    assert '<p><math display="block">' in written["html"]
    assert r"\[y = x\]" in written["latex"]
    assert "$$y = x$$" in written["markdown"]
    typst_ = Setter(document, tmp_path)._block(blocks[1], layout_of(()))
    assert "block: true" in typst_
    assert "#par" not in typst_, "which would drop it"


def test_dollars_of_money_are_none_and_escaped_ones_neither():
    for text in ("It costs $5 and $10 more.", r"It costs \$5 and a $ b.", "`$x$`"):
        (paragraph,) = parse(text)
        assert not any(span.formula for span in paragraph.text)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (r"\input{x}", r"has \\input, which is not known"),
        (r"\lamda", r"has \\lamda, which is not known. Did you mean 'lambda'"),
        ("x^", "has nothing behind ^"), ("x^1^2", "has two ^ at one place"), ("{x", "ends where } is missing"),
        ("x}", "has a } that nothing opened"), ("x & y", "has '&'"), ("漢", "has '漢'"), (r"\left x", "has x behind"),
        (r"\frac{1}", "has nothing behind"), (r"\text{\input}", r"has \\input"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_with_its_line(source, complaint):
    with pytest.raises(AblateError, match=re.escape(complaint).replace(r"\\\\", r"\\")) as error:
        parse(f"a\n\nso ${source}$.", "notes.md")
    assert str(error.value).startswith(f"notes.md:3: the formula ${source}$ ")


@given(st.text(alphabet=r"\{}[]_^'$xk1+-=<>|()., " + "αλ∑", max_size=24) | st.lists(st.sampled_from(
    [r"\frac", r"\sqrt", r"\left(", r"\right)", r"\text", r"\hat", r"\mathbb", "{", "}", "_", "^", "x", "2", r"\sum", " "]
)).map("".join))  # fmt: skip
def test_no_text_brings_anything_but_a_formula_or_a_complaint(source):
    try:
        read = formula.read(source)
    except AblateError:
        return
    ElementTree.fromstring(equations.mathml(read))
    assert formula.read(read.source).root == read.root


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex on the PATH")
def test_latex_sets_every_formula(tmp_path):
    body = "\n\n".join(f"${formula.read(source).source}$" for source in EVERY)
    head = r"\documentclass{article}\usepackage{amsmath,amssymb}\begin{document}"
    (tmp_path / "f.tex").write_text(head + body + r"\end{document}")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "f.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert 0 == done.returncode, done.stdout[-1500:]
