"""An author's notes: what is read, what is refused and where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import AblateError
from ablate.reports.author import parse, read
from ablate.reports.document import Bullets, Code, Heading, Paragraph, Span, line


def test_paragraphs_headings_lists_code_and_links_are_read():
    found = parse("# Why\n\nIt *is* **so**, `x`.\n\n- a\n- b\n\n1. c\n\n```\nx = 1\n```\n\n[p](https://e.org/a)\n")
    expected = (
        Heading(line("Why")),
        Paragraph(line("It ", Span("is", "emphasis"), " ", Span("so", "strong"), ", ", Span("x", "code"), ".")),
        Bullets((line("a"), line("b"))),
        Bullets((line("c"),), numbered=True),
        Code("x = 1"),
        Paragraph((Span("p", href="https://e.org/a"),)),
    )
    assert expected == found


def test_html_is_text():
    assert (Paragraph(line("a <script>alert(1)</script> & b")),) == parse("a <script>alert(1)</script> & b")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a\n\n![i](x.png)", "notes.md:3: notes take no image"),
        ("a\n\n| a |\n|---|\n| b |", "notes.md:3: notes take no table"),
        ("> q", "notes.md:1: notes take no quotation"),
        ("- a\n  - b", "notes.md:2: notes take no list in a list"),
        ("[x](javascript:alert(1))", ""),
        ("[x](ftp://e.org)", "notes.md:1: a link leads to 'ftp://e.org'"),
    ],
)
def test_what_a_report_does_not_take_is_refused_with_its_line(text, complaint):
    if not complaint:  # the parser itself makes no link of it
        assert all(not span.href for block in parse(text) for span in block.text)
        return
    with pytest.raises(AblateError, match="^" + complaint.replace("(", r"\(").replace("|", r"\|")):
        parse(text, "notes.md")


@given(st.text(alphabet="ab*_`[](){}<>&#-+1.\\\n !|~$%\"'\t", max_size=60))
def test_any_text_is_read_or_refused_in_words(text):
    try:
        parse(text)
    except AblateError as refused:
        said = str(refused)
    else:
        said = "notes:"
    assert said.startswith("notes:")


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "n.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AblateError, match=r"n\.md is not UTF-8 text"):
        read(tmp_path / "n.md")
    with pytest.raises(AblateError, match=r"none\.md cannot be read"):
        read(tmp_path / "none.md")
