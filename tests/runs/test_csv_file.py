"""Lines of CSV files: each is read as the csv module reads it, at its own line, and none is dropped without a word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.errors import AblateError
from ablate.runs import export, importer
from ablate.runs.columns import Columns
from ablate.runs.csv_file import read_table
from ablate.store.store import Store
from ablate.text import read_as

ACC = Columns("acc", "higher", variant="v", seed="s")


def runs(text, columns=ACC):
    return [(run.line, run.variant, run.seed, run.values["acc"]) for run in importer.read(text, "f", columns).runs]


@pytest.mark.parametrize("label", ['5" crop', '5"', 'a "b', "#1", "# one", "a\xa0b", "naïve 模型 👩‍🔬", "'"])
def test_a_label_isread_as_it_stands_and_every_line_is_its_own(label):
    text = f"v,s,acc\nbase,0,80\n{label},0,81\n{label},1,82\nlast,0,83\n"
    assert [(2, "base", 0, 80), (3, label, 0, 81), (4, label, 1, 82), (5, "last", 0, 83)] == runs(text)


def test_a_quoted_cell_of_several_lines_moves_no_other_lines_number():
    text = 'v,note,s,acc\nbase,"one\n\n# two ""\n",0,80\na,"7"" x",0,81\n'
    assert [(2, "base", 0, 80), (6, "a", 0, 81)] == runs(text)


@pytest.mark.parametrize("header", ["#v,s,acc", "# v,s,acc", "v,s,acc"])
def test_comments_stand_above_the_header_and_a_header_may_begin_with_their_sign(header):
    text = f'# 5" screens, by hand\n\n#v,s\n{header}\nbase,0,80\n#1,0,81\n'
    assert [(5, "base", 0, 80), (6, "#1", 0, 81)] == runs(text)


def test_a_column_whose_name_begins_with_the_sign_of_comments_is_found():
    assert [(2, "base", 0, 80)] == runs("#v,s,acc\nbase,0,80\n", Columns("acc", "higher", variant="#v", seed="s"))


def test_comments_below_the_header_are_asked_for_and_counted():
    text = "# a\nv,s,acc\nbase,0,80\n# b\n\na,0,81\n"
    table = read_table(text, "f", ["v"], comments=True)
    assert ([3, 6], 2, 1) == ([line for line, _ in table.records], table.comments, table.empty)
    with pytest.raises(AblateError, match="--comments"):
        read_table(text, "f", ["v"]) and importer.read(text, "f", ACC)


def test_a_cell_longer_than_csv_takes_is_read_where_nobody_asked_for_it():
    long = "x" * 200_000
    assert [(2, "base", 0, 80)] == runs(f"v,config,s,acc\nbase,{long},0,80\n")


def test_a_quote_that_is_never_closed_is_named_where_it_opens():
    with pytest.raises(AblateError, match=r"f, line 3: this is no CSV.*a quote inside it is written twice"):
        runs('v,s,acc\nbase,0,80\n"5 crop,0,81\na,0,82\n')


def test_what_became_of_every_line_is_said(tmp_path):
    (tmp_path / "f.csv").write_text("# a\nv,s,acc\nbase,0,80\n\na,0,81\n")
    said = importer.read_file(tmp_path / "f.csv", ACC).summary("mine")
    assert said == (
        "read 5 lines of f.csv: the header, 2 imported, 2 passed over (1 commented, 1 empty).\n"
        "2 variants of mine, compared with base."
    )


LABELS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12)
HOSTILE = st.sampled_from(
    ["#", '"', '""', "#1 mixup", '5" crop', "a,b", " a", "a\xa0b", "é", "'", "=1+1", "\ufeff", "–"]
)


@settings(max_examples=40)
@given(st.lists(LABELS | HOSTILE, min_size=2, max_size=5, unique_by=read_as).filter(lambda x: all(map(str.strip, x))))
def test_export_then_import_is_the_identity(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("db")
    asked = Columns("acc", "higher", variant="variant", seed="seed")
    quoted = ['"' + label.replace('"', '""') + '"' for label in labels]
    lines = [f"{label},{seed},{i + seed / 3!r}\n" for i, label in enumerate(quoted) for seed in range(2)]
    with Store.open(folder / "a.db", write=True) as store:
        texts = ["variant,seed,acc\n" + "".join(lines)]
        for study in ("one", "two"):
            (folder / "f.csv").write_text(texts[-1], encoding="utf-8", newline="")
            importer.save(importer.read_file(folder / "f.csv", asked), store, study, asked)
            texts.append(export.text(store, study))
    first, second = (importer.read(text, "f", asked) for text in texts[1:])
    assert [label.strip() for label in labels for _ in range(2)] == [run.variant for run in first.runs]
    assert first == second
