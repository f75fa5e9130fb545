"""What `ablate doctor` finds."""

import numpy as np

from ablate.runs.doctor import findings
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
