"""`ablate table` as a person calls it: what it prints, and what `--check` says of a committed file."""

import pytest

from ablate.terminal import cli

RUNS = "v,s,acc\n" + "".join(
    f"{v},{s},{value + s / 10}\n" for v, value in (("base", 90), ("mixup", 92)) for s in range(3)
)


@pytest.fixture
def ablate(tmp_path, monkeypatch, capsys):
    """Run a command beside a database with the study `demo`; gives its exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text(RUNS)

    def run(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(["--db", "a.db", *words])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    for study in ("demo", "last"):
        asked = ("--study", study, "--metric", "acc", "--better", "higher", "--variant", "v", "--seed", "s")
        assert 0 == run("import", "runs.csv", *asked)[0]
    return run


@pytest.mark.parametrize("ending", ["md", "tex", "html", "csv", "json", "typ"])
def test_a_file_that_table_wrote_is_what_the_database_gives(ablate, ending):
    """Its study is the one that it is called after, its format what its ending says."""
    assert 0 == ablate("table", "demo", "--view", "matrix", "-o", f"demo.{ending}")[0]
    code, out, _ = ablate("table", "--view", "matrix", "--check", f"demo.{ending}")
    assert (0, f"demo.{ending} is what the database gives for demo.\n") == (code, out)


def test_a_file_whose_ending_is_no_formats_is_not_written_as_markdown(ablate, tmp_path):
    code, _, err = ablate("table", "demo", "-o", "t.docx")
    assert (2, False) == (code, (tmp_path / "t.docx").exists())
    assert "the ending of t.docx says no format; it may be .csv, " in err
    assert 0 == ablate("table", "demo", "-f", "markdown", "-o", "t.docx")[0]


def test_a_database_in_ones_home_is_found_however_it_is_given(ablate, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert 0 == ablate("--db=~/a.db", "table", "demo")[0]
    assert not (tmp_path / "~").exists()


def test_an_option_that_stands_after_the_command_is_shown_its_place(ablate):
    code, _, err = ablate("table", "demo", "--quiet")
    assert 2 == code
    assert "--quiet stands before the command: ablate --quiet ..." in err


def test_a_file_that_differs_is_shown_with_the_difference(ablate, tmp_path):
    ablate("table", "demo", "-o", "results/demo.md")
    file = tmp_path / "results/demo.md"
    file.write_text(file.read_text().replace("92.1", "93.1"))
    before = file.read_text()
    code, out, err = ablate("table", "--check", "results/demo.md")
    assert (1, "") == (code, err)
    assert "--- results/demo.md\n+++ demo, from the database\n" in out
    changed = [line for line in out.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert [("-", True), ("+", False)] == [(line[0], "93.1" in line) for line in changed if "mixup" in line[:10]]
    assert "results/demo.md differs from what the database gives for demo." in out
    assert before == file.read_text(), "--check writes nothing"


def test_how_lines_end_is_no_difference(ablate, tmp_path):
    ablate("table", "demo", "-o", "demo.md")
    (tmp_path / "demo.md").write_bytes((tmp_path / "demo.md").read_bytes().replace(b"\n", b"\r\n"))
    assert 0 == ablate("table", "--check", "demo.md")[0]


def test_mistakes_are_messages(ablate, tmp_path):
    (tmp_path / "demo.bin.md").write_bytes(b"\xff\xfe")
    for words, said in (
        (("--check", "demo.md"), "demo.md cannot be read: No such file or directory."),
        (("--check", "demo.txt"), "the ending of demo.txt says no format; it may be .csv, .html,"),
        (("--check", "demo.bin.md"), "demo.bin.md is not UTF-8 text (byte 0)"),
        (("--check", "demo.md", "-o", "x.md"), "--check writes nothing"),
        (("--columns", "variant,ac"), "no column is called 'ac'; there is variant, vs, mixup, n, acc"),
        (("--columns", " , "), "--columns names no column"),
        (("--sort", "detla"), "Did you mean 'delta'?"),
        (("--view", "matrx"), "Did you mean 'matrix'?"),
    ):
        code, out, err = ablate("table", *words)
        assert (2, "") == (code, out)
        assert said in err
        assert "Traceback" not in err


def test_columns_and_order_are_the_caller_s(ablate):
    _, out, _ = ablate("table", "demo", "--columns", "acc,variant", "--sort", "acc", "--digits", "1")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines()[:4]]
    assert ["acc ↑ (mean ± std)", "variant"] == lines[0]
    assert [["92.1 ± 0.1", "mixup"], ["90.1 ± 0.1", "base"]] == lines[2:]


def test_a_key_of_the_study_that_is_typed_as_an_option_is_shown_how(ablate):
    code, _, err = ablate("plan", "demo", "--seeds", "3")
    assert 2 == code
    assert "A key of the study, or of its base: --set seeds=VALUE" in err
    assert "A key of the study" not in ablate("table", "demo", "--seeds", "3")[2]
