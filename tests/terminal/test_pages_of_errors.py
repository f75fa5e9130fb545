"""An error that a page of the manual is about names that page, once, below all that it says."""

import ast
import re

import pytest
from snippets import ROOT, Story

from ablate import errors
from ablate.terminal import manual

STUDY = """
base: {data: {name: digits, train_size: 60, dev_size: 30}, model: {name: vgg, width: 2, depth: 1}, epochs: 1}
tricks: {label_smoothing: , mixup: , cutmix: }
seeds: 2
"""
METRIC = "metric: {name: loss, better: lower}\n"


def pages_named():
    """Every page that an error of ablate's may name: arguments `page=`, attributes of classes, sections of a study."""
    for path in (ROOT / "ablate").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "page" and isinstance(node.value, ast.Constant):
                yield node.value.value
    yield from errors.SECTIONS.values()
    yield from (kind.page for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "page"))
    yield from re.findall(r"see\('([\w-]+)'\)", "".join(p.read_text() for p in (ROOT / "ablate").rglob("*.py")))


def test_every_page_that_an_error_names_exists():
    named = {page for page in pages_named() if page}
    assert set() == named - manual.topics().keys()
    assert {"study-file", "quickstart", "database", "clusters", "own-code", "own-tricks", "tuning"} <= named
    assert {"how-the-table-is-made", "course-brief", "figures-and-reports", "reliability"} <= named


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("ABLATE_DB", raising=False)
    (tmp_path / "s.yaml").write_text(STUDY)
    (tmp_path / "typo.yaml").write_text(STUDY.replace("seeds", "sedes").replace("tricks", "trikcs"))
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "task.yaml").write_text("task: mine:trian\nbase: {lr: 1}\ntricks: {fast: {set: {lr: 2}}}\n" + METRIC)
    (tmp_path / "key.yaml").write_text("task: mine:train\nbase: {lr: 1}\ntricks: {fast: {set: {rl: 2}}}\n" + METRIC)
    (tmp_path / "both.yaml").write_text("task: mine:trian\nbase: {lr: 1}\ntrikcs: {fast: {set: {lr: 2}}}\n")
    (tmp_path / "tune.yaml").write_text(STUDY + "tune: {trials: 3}\n")
    (tmp_path / "gpus.yaml").write_text(STUDY + "resources: {gpus: 64}\n")
    (tmp_path / "plugin.yaml").write_text("plugins: [plugins]\ntricks: {broken: }\n")
    (tmp_path / "folders.yaml").write_text(STUDY + "plugins: [nowhere]\n")
    (tmp_path / "plugins/tricks").mkdir(parents=True)
    (tmp_path / "plugins/tricks/broken.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "mine.py").write_text("def train(config, run):\n    return {'loss': 1.0}\n")
    (tmp_path / "text.db").write_text("this is no database" * 100)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "page"),
    [
        ("plan typo.yaml", "study-file"),
        ("plan both.yaml", "study-file"),
        ("plan empty.yaml", "study-file"),
        ("plan nowhere.yaml", "study-file"),
        ("plan s.yaml --set sedes=3", "study-file"),
        ("plan s.yaml --set seeds", "study-file"),
        ("plan task.yaml", "own-code"),
        ("plan key.yaml", "own-code"),
        ("plan plugin.yaml", "own-tricks"),
        ("plan folders.yaml", "own-tricks"),
        ("list tricks --plugins plugins", "own-tricks"),
        ("plan tune.yaml", "tuning"),
        ("tune s.yaml", "tuning"),
        ("run gpus.yaml", "clusters"),
        ("run s.yaml --devices cuda:77", "clusters"),
        ("table", "quickstart"),
        ("--db text.db table", "database"),
        ("--db mysql://host/name table", "database"),
        ("plan s.yaml --power", "how-the-table-is-made"),
    ],
)
def test_an_error_names_its_page_once_and_last(folder, command, page):
    code, _, told = Story(folder).ablate(command.split())
    assert 2 == code, told
    assert f"See `ablate help {page}`." == told.splitlines()[-1]
    assert 1 == told.count("ablate help ")


def test_what_a_finished_study_refuses_names_its_page(folder):
    assert 0 == Story(folder).ablate(["run", "s.yaml"])[0]
    for command, page in {
        "table --view interactions": "how-the-table-is-made",
        "plot --figure interactions": "how-the-table-is-made",
        "plot --figure tuning": "tuning",
        "plot --figure effects -o effects.docx": "figures-and-reports",
        "tune s.yaml --apply tuned.yaml": "tuning",
        "table other": "quickstart",
    }.items():
        code, _, told = Story(folder).ablate(command.split())
        assert (2, f"See `ablate help {page}`.") == (code, told.splitlines()[-1]), told


def test_failed_runs_are_told_at_the_end_with_where_to_look(folder):
    (folder / "mine.py").write_text("def train(config, run):\n    raise ValueError(config['lr'])\n")
    (folder / "fails.yaml").write_text(
        f"task: mine:train\nbase: {{lr: 1}}\ntricks: {{fast: {{set: {{lr: 2}}}}}}\nseeds: 1\n{METRIC}"
    )
    code, _, told = Story(folder).ablate(["run", "fails.yaml"])
    assert 1 == code
    assert re.fullmatch(
        r"2 runs failed: `ablate why base\S*:0` says why of the first. See `ablate help reliability`.",
        told.splitlines()[-1],
    )
