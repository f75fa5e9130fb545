"""A table as Typst: that it compiles, and that every name in it is a string and nothing else."""

import json

import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tables import HOSTILE, row, table

from ablate.registry import Registry
from ablate.tables.formats.typst import literal
from ablate.tables.table import Switch, TableOptions
from ablate.text import one_line


def read_back(tmp_path, names):
    """What Typst makes of these names."""
    (tmp_path / "m.typ").write_text(f"#metadata(({', '.join(map(literal, names))},)) <names>", encoding="utf-8")
    found = typst.query(tmp_path / "m.typ", "<names>", field="value", one=True, root=tmp_path, ignore_system_fonts=True)
    return json.loads(found)


def test_hostile_names_are_read_back_as_they_are(tmp_path):
    assert [one_line(name) for name in HOSTILE] == read_back(tmp_path, HOSTILE)


@settings(max_examples=40)
@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=20))
def test_any_name_is_read_back_as_one_line_of_it(tmp_path_factory, names):
    assert [one_line(name) for name in names] == read_back(tmp_path_factory.mktemp("names"), names)


@pytest.mark.parametrize("matrix", [False, True])
def test_a_table_with_hostile_names_compiles_by_itself(tmp_path, matrix):
    rows = [row("full"), *(row(name, "full", label=name) for name in HOSTILE)]
    switches = (Switch("a", category="dropout"), Switch("b", category="dropout"), Switch("c", category="skip"))
    data = table(*rows, notes=HOSTILE, switches=switches, matrix=matrix)
    text = Registry().make("tables", "typst", {}).render(data, TableOptions(standalone=True, caption='"#x', label="#"))
    (tmp_path / "t.typ").write_text(text, encoding="utf-8")
    assert typst.compile(tmp_path / "t.typ", root=tmp_path, ignore_system_fonts=True).startswith(b"%PDF")
    assert 'strong("−3.50\u00a0(−4.10\u00a0to\u00a0−2.90)")' in text
