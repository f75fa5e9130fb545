"""What a `run` stores before it executes anything."""

import pytest

from ablate.errors import AblateError
from ablate.runs import execute, saving
from ablate.runs.planned import find
from ablate.store.store import Store
from ablate.terminal.printed import print_table
from ablate.training.tasks.function import FunctionTask

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
        saving.save(find("s.yaml", "a.db", overrides), store)

    with Store.open("a.db", write=True) as store, Store.open("a.db", write=True) as other:
        save()
        for slot, run in enumerate({cell.run for cell in store.cells("s")}):  # one result alone compares nothing
            store.claim(run, str(slot), host="h", boot="b", owner="1:1", device="cpu", slot=slot, lease_s=9, log="")
            store.finish(str(slot), {"score": 1.0}, {}, {})
        begin = store.transaction

        def later():
            """The other `run` comes between whatever this one read before its transaction, and that."""
            monkeypatch.setattr(store, "transaction", begin)
            saving.save(find("s.yaml", "a.db", ["seeds=2"]), other)
            return begin()

        seen = find("s.yaml", "a.db", ["seeds=2", "metric.better=lower"])
        monkeypatch.setattr(store, "transaction", later)
        saving.save(seen, store)
        registered = store.study("s").record.registered
    assert ({"seeds": (1,)}, ("metric",)) == (dict(registered.added), registered.changed)


def test_a_plan_that_two_steps_refuse_leaves_the_stored_one_and_its_cells(project, monkeypatch):
    def refuse(*_):
        raise AblateError("nothing was trained")

    monkeypatch.setattr(FunctionTask, "has_canary", True)
    monkeypatch.setattr(execute.two_steps, "tried", refuse)
    with Store.open("a.db", write=True) as store:
        saving.save(find("s.yaml", "a.db"), store)
        before = store.study("s").record, store.cells("s")
    heard = Heard()
    with pytest.raises(AblateError, match="nothing was trained"):
        execute.execute(find("s.yaml", "a.db", ["seeds=2"]), "a.db", execute.Options(), heard)
    assert (4, 4, ["seeds since the last run: 1 added (1), 1 kept."]) == (
        heard.counts.total,
        heard.counts.todo,
        heard.changes,
    ), "told before it is tried"
    with Store.open("a.db") as store:
        assert before == (store.study("s").record, store.cells("s"))


class Heard:
    """Hears what is planned."""

    def planned(self, _planned, counts, changes, _slots):
        self.counts, self.changes = counts, changes


def test_a_run_that_is_done_without_the_metric_is_told_with_what_there_is(project, capsys):
    with Store.open("a.db", write=True) as store:
        saving.save(find("s.yaml", "a.db"), store)
        for slot, run in enumerate({cell.run for cell in store.cells("s")}):
            store.claim(run, str(slot), host="h", boot="b", owner="1:1", device="cpu", slot=slot, lease_s=9, log="")
            store.finish(str(slot), {"loss": 1.0}, {}, {})
    assert print_table("s", "a.db", "ablation"), "the command ends with 1"
    said = capsys.readouterr().err
    assert said.startswith("2 runs are done without score; what was kept of them is loss. Name one of these as the")
