"""Names, addresses and databases made by somebody who means harm: nothing escapes its folder, nothing is told, nothing runs."""

from pathlib import Path

import called
import hostile_corpus
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from plans import bare

from ablate.errors import AblateError
from ablate.runs.planned import folder_name
from ablate.store.store import Store

HOSTILE = [
    "../../x",
    "..",
    ".",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\0b",
    "~",
    "-rf",
    "$(id)",
    "a;b",
    "x" * 64,
    "\u202ecod",
    "é",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_studys_folder_lies_directly_in_the_databases(tmp_path, name):
    assert tmp_path.resolve() == (tmp_path / folder_name(name)).resolve().parent


@given(st.text(min_size=1, max_size=64))
@example("..")
def test_any_name_makes_one_plain_folder(name):
    made = folder_name(name)
    assert Path(made).name == made
    assert made not in ("", ".", "..")
    assert made.isascii()


@given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64))
@example("a/b", "a_b")
@example("..a", "a")
def test_two_names_have_two_folders(one, other):
    assert (folder_name(one) == folder_name(other)) == (one == other)


def ablate(folder, *words):
    done = called.ablate(folder, *words, ABLATE_DB="")
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@127.0.0.1:1/none",
        "postgres://me:hunter2@127.0.0.1:1/none",
        "postgresql://me:hunter2@127.0.0.1:port/none",
        "mysql://me:hunter2@127.0.0.1/none",
        "postgresql+nothing://me:hunter2@127.0.0.1/none",
        "//me:hunter2@://",
    ],
)
@pytest.mark.parametrize("command", ["status", "doctor"])
def test_a_password_in_an_address_is_told_to_nobody(tmp_path, url, command):
    code, said = ablate(tmp_path, "--db", url, command)
    assert 2 == code, said
    assert "Traceback" not in said
    assert "hunter2" not in said


def test_a_password_is_not_told_where_a_study_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = "sqlite://me:hunter2@/a.db"
    with Store.open(url, write=True) as store:
        with pytest.raises(AblateError) as empty:
            store.find(None)
        store.save_plan(bare(), "", [], {})
        with pytest.raises(AblateError) as other:
            store.find("t")
    assert "hunter2" not in f"{empty.value} {other.value}"


def test_commands_that_read_import_nothing_that_a_database_names(tmp_path):
    task = "open('imported', 'w').close()\ndef main(config, run):\n    return {'score': 1.0}\n"
    (tmp_path / "evil.py").write_text(task)
    (tmp_path / "s.yaml").write_text(
        "task: evil:main\nbase: {x: 0}\ntricks:\n  ex: {set: {x: 1}}\nseeds: 2\nmetric: {name: score, better: higher}\n"
    )
    assert 0 == ablate(tmp_path, "run", "s.yaml")[0]
    (tmp_path / "imported").unlink()
    for words in (["status"], ["table"], ["export"], ["show", "base:0"], ["why", "base:0"], ["list", "studies"]):
        assert 0 == ablate(tmp_path, *words)[0], words
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize("bad", hostile_corpus.CORPUS, ids=lambda bad: bad.name)
def test_a_bad_input_is_told_in_words_and_executes_nothing(tmp_path, bad):
    assert "" == hostile_corpus.wrong(bad, tmp_path)


def test_there_are_at_least_sixty_bad_inputs():
    assert len(hostile_corpus.bad_studies()) + len(hostile_corpus.CORPUS) >= 60
