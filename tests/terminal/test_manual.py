"""The manual, README.md and CONTRIBUTING.md: every command and snippet runs, every link leads somewhere.

How a page is read: snippets.py. What the study file's page says of every key is written anew by `make manual`.
"""

import os
import pty
import re
import subprocess
import sys

import pytest
from snippets import MANUAL, ROOT, Story, blocks, broken_links, inline, parse, shown_by

from ablate.errors import AblateError
from ablate.study import reference
from ablate.study.structure import check
from ablate.study.yaml_file import read, unfold
from ablate.terminal import cli, manual

TOPICS = sorted(path.stem for path in MANUAL.glob("*.md") if path.stem != "README")
PAGES = [
    *(MANUAL / f"{topic}.md" for topic in ["README", *TOPICS]),
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "results/README.md",
]  # fmt: skip
KEYS = re.compile(r"(?<=<!-- every key: written by `make manual` -->\n).*?(?=<!-- end -->)", re.DOTALL)


def called(page):
    return str(page.relative_to(ROOT))


def ablate(capsys, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(list(words))
    return (ended.value.code or 0, *capsys.readouterr())


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=called)
def test_every_command_and_snippet_runs(page, tmp_path, monkeypatch):
    monkeypatch.delenv("ABLATE_DB", raising=False)
    (tmp_path / "studies").symlink_to(ROOT / "studies")
    Story(tmp_path).tell(page)


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_command_in_the_running_text_exists(page):
    for command in inline(page):
        parse(command.replace("|", "-"), whole=False)


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_link_leads_somewhere(page):
    assert [] == broken_links(page)


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_file_that_a_page_names_exists(page):
    named = re.findall(r"(?<![\w/])((?:tests|studies|results)/[\w/]+\.\w+)", page.read_text())
    not_committed = ("results/ablate.db", "results/STUDY/tune.journal", "studies/x.yaml")
    assert [] == [name for name in named if name not in not_committed and not (ROOT / name).exists()]


def test_the_readme_is_a_page_and_its_house_is_the_one_that_stands():
    text = (ROOT / "README.md").read_text()
    rooms = re.findall(r"^    (\w+   .+)$", (ROOT / "ablate/__init__.py").read_text(), re.MULTILINE)
    assert 15 == len(rooms)
    assert "\n".join(rooms) in text
    assert len(text.splitlines()) <= 135


def test_what_is_shown_may_leave_things_out():
    assert shown_by("a ... c", "a b  \nc\n")
    assert not shown_by("a ... c", "a b d")


def test_a_command_that_does_not_exist_is_found():
    with pytest.raises(AssertionError, match="no command 'tabel'"):
        parse("ablate tabel")
    with pytest.raises(Exception, match="No such option"):
        parse("ablate table --formatt latex")


# ------------------------------------------------------------------------------------------------------- the study file


def test_the_manual_has_every_key_of_the_study_file():
    page = MANUAL / "study-file.md"
    text = page.read_text()
    made = KEYS.sub(lambda _: f"\n{reference.markdown()}\n\n", text)
    if os.environ.get("WRITE_MANUAL"):
        page.write_text(made)
    assert made == page.read_text(), "the forms have changed: `make manual` writes the page anew"


def nested(path, value):
    """A study in which the dotted `path` has a value, and what is required beside it."""
    beside = {
        "tune": {"space": {"lr": [1, 2]}}, "metric": {"name": "accuracy"}, "low": {"high": 2.0}, "high": {"low": 0.001},
        "log": {"low": 0.1, "high": 1}, "step": {"low": 0.1, "high": 1}, "when": {"low": 0.1, "high": 1},
    }  # fmt: skip
    *above, key = path.split(".")
    made = {**beside.get(key if above[-1:] == ["KEY"] else "".join(above), {}), key: value}
    for part in reversed(above):
        made = {part: made}
    return made


def test_every_key_has_an_example_that_the_study_file_takes():
    for path, form in reference.forms():
        for key, item in reference.fields(form):
            value = unfold(read(f"x: {reference.example(item)}", "example")[0]).value["x"]
            whole = nested(f"{path}.{key}" if path else key, value)
            assert [] == check(whole)[1], (path, key)


def test_every_default_and_range_that_is_told_belongs_to_a_key():
    paths = {f"{path}.{key}" if path else key for path, form in reference.forms() for key, _ in reference.fields(form)}
    assert set() == {*reference.DEFAULTS, *reference.RANGES} - paths


def test_every_example_of_the_base_is_one_that_classify_takes():
    from ablate.registry import Registry
    from ablate.training.recipe import parse as parse_recipe

    for line in re.findall(r"Example: `((?:optimizer|schedule): \{.*?\})`", reference.markdown()):
        parse_recipe(unfold(read(line, "example")[0]).value, Registry())


def test_the_shelves_hold_as_much_as_the_page_says():
    from ablate.registry import Registry

    text = (MANUAL / "study-file.md").read_text()
    names = {shelf: Registry().names(shelf) for shelf in ("tricks", "models", "datasets")}
    assert f"{len(names['tricks'])} tricks" in text
    assert f"{len(names['models']) - 1} networks and any classification net of" in text, "torchvision is one of them"
    assert f"{len(names['datasets'])} kinds of data set" in text


# ------------------------------------------------------------------------------------------------------------ the command


def test_help_lists_every_page_in_reading_order(capsys):
    code, out, _ = ablate(capsys, "help")
    assert 0 == code
    assert TOPICS == sorted(manual.topics())
    assert list(manual.topics()) == re.findall(r"^  ([\w-]+)  ", out, re.MULTILINE)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_is_shown_as_text_on_a_pipe(topic, capsys):
    code, out, err = ablate(capsys, "help", topic)
    assert (0, "") == (code, err)
    assert out.startswith("# ")
    assert "not-run" not in out
    assert "<!--" not in out


def test_a_page_is_found_however_it_is_written(capsys):
    page = ablate(capsys, "help", "study-file")
    for words in (("study", "file"), ("study_file",), ("Study-File.md",)):
        assert page == ablate(capsys, "help", *words)


def test_the_name_of_a_command_shows_its_options(capsys):
    code, out, _ = ablate(capsys, "help", "table")
    assert 0 == code
    assert "table [OPTIONS] [STUDY]" in out
    assert "--view VIEW" in out


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("quikstart", "quickstart"), ("tricks", "own-tricks"), ("tabel", "table"), ("study", "study-file")],
)
def test_an_unknown_topic_names_the_nearest(capsys, asked, meant):
    code, _, err = ablate(capsys, "help", asked)
    assert 2 == code
    assert f"Did you mean {meant!r}?" in err


def test_pages_that_there_are_not_are_no_files_elsewhere():
    with pytest.raises(AblateError):
        manual.page("../manual/quickstart")


def test_a_page_is_drawn_on_a_terminal(tmp_path):
    """With a real terminal, in a folder of its own, as somebody who has just installed it."""
    main, end = pty.openpty()
    command = [sys.executable, "-m", "ablate", "help", "glossary"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=end, stderr=end, cwd=tmp_path, env=environment) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
    os.close(main)
    assert 0 == process.returncode
    assert b"Glossary" in shown
    assert b"# Glossary" not in shown
    assert b"\x1b[1m" in shown


def test_the_manual_is_shipped_with_the_program():
    assert "manual/*.md" in (ROOT / "setup.cfg").read_text()
