"""What a program says of each example: which columns of which file, and what does not fit."""

import pytest

from ablate.errors import ConfigError, DataError
from ablate.programs.examples import Columns, Said, columns, read


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fil": "a.csv", "id": "x", "correct": "y"}, "task.examples.fil: is no key of examples.*Did you mean 'file'"),
        ({"file": "a.csv", "correct": "y"}, "has no id; it must look like"),
        ({"file": "a.csv", "id": "x"}, "has neither `correct` nor `loss`"),
    ],
)
def test_a_mistake_in_the_keys_is_named(given, said):
    with pytest.raises(ConfigError, match=said):
        columns(given)


def test_columns_are_read_by_their_names_in_the_files_order(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text('\ufeffname;hit;nll;patient\n"a;1";True;0.5;p1\nb;false;;p1\n', encoding="utf-8")
    said = read(Columns("p.csv", "name", "hit", "", "patient"), [path])
    assert said == Said(["a;1", "b"], [1.0, 0.0], None, ["p1", "p1"])
    assert str(read(Columns("p.csv", "name", loss="nll"), [path]).loss) == "[0.5, nan]"


def test_what_does_not_fit_is_said_with_the_file(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("name,hit\na,1\nb\n")
    with pytest.raises(DataError, match=r"p.csv:3 has 1 cells, and the header has 2"):
        read(Columns("p.csv", "name", "hit"), [path])
    path.write_text("name,hit\na,1\n")
    with pytest.raises(DataError, match=r"correct is 'hits', and p.csv has no such column.*Did you mean 'hit'"):
        read(Columns("p.csv", "name", "hits"), [path])
    with pytest.raises(DataError, match="no file of the run matches it"):
        read(Columns("*.csv", "name", "hit"), [])
    with pytest.raises(DataError, match=r"2 files of the run match it: p.csv, p.csv"):
        read(Columns("*.csv", "name", "hit"), [path, path])
