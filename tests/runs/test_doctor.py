"""What `ablate doctor` finds."""

import configparser
from pathlib import Path

import numpy as np

from ablate.runs.doctor import answered, findings
from ablate.store import schema
from ablate.store.store import Store

STUDY = "base: {data: {name: npz, root: ROOT}, epochs: 1}\ntricks: {mixup: }\nmetric: dev_accuracy\n"


def data(folder, **dev):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(40) % 2
    np.savez(folder / "train.npz", images=images[:30], labels=labels[:30])
    np.savez(folder / "dev.npz", images=dev.get("images", images[30:]), labels=labels[30:])
    (folder / "s.yaml").write_text(STUDY.replace("ROOT", str(folder)))
    return images


def test_a_training_image_among_the_dev_images_is_told(tmp_path):
    images = data(tmp_path)
    text, healthy = findings(str(tmp_path / "a.db"), str(tmp_path / "s.yaml"), ())
    assert healthy
    assert "duplicate" not in text
    data(tmp_path, images=np.concatenate([images[:1], images[31:]]))
    assert "1 of 10 dev images" in findings(str(tmp_path / "a.db"), str(tmp_path / "s.yaml"), ())[0]


def test_a_file_that_is_no_database_is_unhealthy_and_nothing_is_made(tmp_path):
    (tmp_path / "x.db").write_text("no database")
    text, healthy = findings(str(tmp_path / "x.db"), None, ())
    assert not healthy
    assert "no SQLite database" in text


def test_a_journal_that_this_sqlite_should_not_write_is_told(tmp_path, monkeypatch):
    for safe in (True, False):
        monkeypatch.setattr(schema, "wal_is_safe", lambda version, safe=safe: safe)
        Store.open(tmp_path / "a.db", write=True).close()
        assert ("can damage" in findings(str(tmp_path / "a.db"), None, ())[0]) is not safe


def test_it_says_which_program_answered_and_who_else_has_the_name(tmp_path, monkeypatch):
    assert 1 == len(answered(""))
    other, ours = tmp_path / "other", tmp_path / "ours"
    for folder, text in ((other, "import ablator"), (ours, "from ablate.terminal.cli import main")):
        folder.mkdir()
        (folder / "ablate").write_text(f"#!/usr/bin/python3\n{text}\n")
        (folder / "ablate").chmod(0o755)
    assert 1 == len(answered(f"{ours}:{other}"))
    said = answered(f"{tmp_path}:{other}:{ours}")[1]
    assert f"`ablate` is another program here, {other}/ablate: type `ablate-studies`" in said
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: {"ablate": ["ablate-studies", "ablate"]})
    assert ["ablate has a module `ablate`, too: uninstall it, or give each an environment"] == answered("")[1:]


def test_both_scripts_and_the_module_are_one_program():
    described = configparser.ConfigParser()
    described.read(Path(__file__).parents[2] / "setup.cfg")
    scripts = described["options.entry_points"]["console_scripts"].split("\n")
    assert {"ablate = ablate.terminal.cli:main", "ablate-studies = ablate.terminal.cli:main"} == {*scripts} - {""}
