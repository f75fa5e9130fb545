"""What a `run` stores before it executes anything."""

import pytest

from ablate.runs import execute
from ablate.runs.planned import find
from ablate.store.store import Store

STUDY = """
task: train:main
base: {a: false}
tricks: {a: {set: {a: true}}}
designs: add_one_in
seeds: 1
metric: {name: score, better: higher}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("def main(config, run):\n    return {'score': 1.0}\n")
    (tmp_path / "s.yaml").write_text(STUDY)
    return tmp_path


def test_two_runs_of_an_edited_study_at_once_register_both_edits(project, monkeypatch):
    def save(*overrides):
        execute.save(find("s.yaml", "a.db", overrides), store, execute.Options())

    with Store.open("a.db", write=True) as store, Store.open("a.db", write=True) as other:
        save()
        for slot, run in enumerate({cell.run for cell in store.cells("s")}):  # one result alone compares nothing
            store.claim(run, str(slot), host="h", boot="b", owner="1:1", device="cpu", slot=slot, lease_s=9, log="")
            store.finish(str(slot), {"score": 1.0}, {}, {})
        begin = store.transaction

        def later():
            """The other `run` comes between whatever this one read before its transaction, and that."""
            monkeypatch.setattr(store, "transaction", begin)
            execute.save(find("s.yaml", "a.db", ["seeds=2"]), other, execute.Options())
            return begin()

        seen = find("s.yaml", "a.db", ["seeds=2", "metric.better=lower"])
        monkeypatch.setattr(store, "transaction", later)
        execute.save(seen, store, execute.Options())
        registered = store.study("s").record.registered
    assert ({"seeds": (1,)}, ("metric",)) == (dict(registered.added), registered.changed)
