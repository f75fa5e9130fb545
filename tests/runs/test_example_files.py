"""Examples as CSV: what is exported comes in again, and a file that does not fit is refused with the run's name."""

import pytest

from ablate.errors import AblateError
from ablate.runs import example_files, importer
from ablate.runs.columns import Columns
from ablate.store.store import Store

RUNS = "model,seed,acc\nbase,0,50\nbase,1,75\nmore,0,75\nmore,1,75\nmore,2,nan\n"
RIGHT = {("base", 0): "1100", ("base", 1): "1101", ("more", 0): "1110", ("more", 1): "0111"}
COLUMNS = Columns("acc", "higher", variant="model", seed="seed")


def file_of(tmp_path, right, header="model,seed,id,group,correct"):
    lines = [
        f"{model},{seed},img{i},patient{i % 2},{mark}"
        for (model, seed), told in right.items()
        for i, mark in enumerate(told)
    ]
    (tmp_path / "preds.csv").write_text("\n".join([header, *lines]) + "\n")
    return tmp_path / "preds.csv"


def imported(tmp_path, store, right, columns=COLUMNS, name="s"):
    read = importer.read(RUNS, "runs.csv", COLUMNS)
    told = example_files.read(file_of(tmp_path, right), columns, read.results)
    importer.save(read, store, name, COLUMNS)
    example_files.keep(told, store, name)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "a.db", write=True) as opened:
        yield opened


def test_what_is_exported_comes_in_again(tmp_path, store):
    imported(tmp_path, store, RIGHT)
    text = example_files.text(store, "s")
    assert "s,base,0,img0,patient0,,,100.0" in text.splitlines()
    assert 1 + 4 * 4 == len(text.splitlines())
    (tmp_path / "again.csv").write_text(text.replace("study,variant", "study,model"))
    read = importer.read(RUNS, "runs.csv", COLUMNS)
    told = example_files.read(tmp_path / "again.csv", COLUMNS, read.results)
    importer.save(read, store, "again", COLUMNS)
    example_files.keep(told, store, "again")
    assert text == example_files.text(store, "again").replace("\nagain,", "\ns,")


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ({("base", 0): "1111"}, r"base with seed 0, 4 examples: the mean of `correct` .* is 1 \(in percent 100\)"),
        ({("base", 5): "1100"}, "examples of base with seed 5, and no such run with a result is imported"),
        ({("more", 2): "1100"}, "examples of more with seed 2, and no such run"),
        ({("base", 0): "1x00"}, "line 3, column correct: 'x' is no number"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path, right, said):
    with pytest.raises(AblateError, match=said):
        imported(tmp_path, None, right)


def test_examples_without_seeds_or_results_are_refused(tmp_path):
    with pytest.raises(AblateError, match="each named by its variant and --seed"):
        imported(tmp_path, None, RIGHT, Columns("acc", "higher", variant="model"))
    file = file_of(tmp_path, RIGHT, "model,seed,id,group,rating")
    with pytest.raises(AblateError, match="one must be called correct, loss or acc"):
        example_files.read(file, COLUMNS, {})


def test_a_study_without_examples_has_none_to_export(tmp_path, store):
    imported(tmp_path, store, {})
    with pytest.raises(AblateError, match="no run of s has results for each example"):
        example_files.text(store, "s")
