"""Finished runs in another tool's store: each read back by the tool's own library; twice adds nothing; what was
interrupted is completed."""

import dataclasses
import importlib.util
import math

import numpy as np
import pytest

from ablate.errors import AblateError
from ablate.registry import Registry
from ablate.runs import exporter
from ablate.runs.exporter import Exported, Exporter, Sent
from ablate.store.store import Store
from ablate.terminal import cli

RUNS = [
    Exported(
        str(i) * 64, "a study", variant, i, {"lr": 0.1, "model.name": "vgg", "on": variant == "full", "at": [1, 2]},
        {"accuracy": 90.1 + i / 3, "parts": 7.0}, {"accuracy": [(1, 50.0 + i), (2, 70.1), (5, 90.1 + i / 3)]},
        {"verdict": "helps", "compared_with": "full"} if variant != "full" else {"n": "2"}, 1_700_000_000.0,
    )
    for i, variant in enumerate(["full", "full - <b>a/b</b>", "full"])
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Kept(Exporter):
    """A tool that keeps runs in a dictionary."""

    there: dict = dataclasses.field(default_factory=dict)

    def complete(self, place, study):
        return set(self.there)

    def write(self, place, run):
        self.there[run.key] = run

    def tag(self, place, run):
        self.there[run.key] = dataclasses.replace(self.there[run.key], tags=run.tags)


CSV = "variant,seed,accuracy\n" + "".join(f"{v},{s},{70 + 3 * (v == 'b') + s / 10}\n" for v in "ab" for s in range(3))


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text(CSV)
    words = "import runs.csv --study mine --metric accuracy --better higher --variant variant --seed seed"
    with pytest.raises(SystemExit):
        cli.main(words.split())
    with Store.open("results/ablate.db") as store:
        yield store


def test_every_finished_run_is_given_with_what_the_table_says_of_it(stored):
    runs = list(exporter.finished(stored, "mine"))
    assert 6 == len({run.key for run in runs})
    first = next(run for run in runs if (run.variant, run.seed) == ("b", 0))
    assert {"accuracy": 73.0} == first.values
    assert ("a", "inconclusive") == (first.tags["compared_with"], first.tags["verdict"])
    assert math.isclose(3.0, float(first.tags["delta"]))


def test_twice_adds_nothing_and_renews_what_the_table_says(stored):
    kept = Kept()
    assert Sent(6, 0) == exporter.send(stored, "mine", kept, "")
    kept.there.pop(next(iter(kept.there)))
    key = next(iter(kept.there))
    kept.there[key] = dataclasses.replace(kept.there[key], tags={"verdict": "of another day"})
    assert Sent(1, 5) == exporter.send(stored, "mine", kept, "")
    assert "of another day" not in kept.there[key].tags.values()


def test_a_tool_that_is_not_there_is_said_with_what_installs_it(stored):
    absent = type("Absent", (Kept,), {"needs": "nowhere.at_all", "__module__": "ablate.runs.exporters.mlflow"})()
    with pytest.raises(AblateError, match=r"--to mlflow takes nowhere, .*pip install 'ablate-studies\[mlflow\]'"):
        exporter.send(stored, "mine", absent, "")


def sent(tool, place):
    """The exporter, which has written every run."""
    made = Registry().make("exporters", tool, {})
    made.prepare(str(place))
    for run in RUNS:
        made.write(str(place), run)
    assert {run.key for run in RUNS} == set(made.complete(str(place), "a study"))
    return made


@pytest.mark.slow
def test_tensorboard_reads_what_was_exported(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made = sent("tensorboard", tmp_path)
    (half,) = tmp_path.glob(f"a_study/*{RUNS[0].key[:8]}")
    for folder in tmp_path.glob("a_study/full-seed0*"):
        (folder / "ablate.key").unlink()
    assert {run.key for run in RUNS[1:]} == set(made.complete(str(tmp_path), "a study"))
    made.write(str(tmp_path), RUNS[0])
    folders = sorted(path.name for path in tmp_path.glob("a_study/*"))
    assert 3 == len(folders), folders
    read = EventAccumulator(str(half)).Reload()
    curve = [(one.step, one.value) for one in read.Scalars("accuracy")]
    assert [(step, float(np.float32(value))) for step, value in RUNS[0].curves["accuracy"]] == curve
    assert float(np.float32(RUNS[0].values["accuracy"])) == read.Scalars("final/accuracy")[0].value
    assert {"accuracy", "final/accuracy", "final/parts"} == set(read.Tags()["scalars"])
    assert "_hparams_/session_start_info" in read.summary_metadata


@pytest.mark.slow
def test_mlflow_reads_what_was_exported(tmp_path):
    tracking = pytest.importorskip("mlflow.tracking")
    place = f"sqlite:///{tmp_path}/mlflow.db"
    made, client = sent("mlflow", place), tracking.MlflowClient(tracking_uri=place)
    experiment = client.get_experiment_by_name("a study")
    first = client.search_runs([experiment.experiment_id], f"tags.`ablate.key` = '{RUNS[0].key}'")[0]
    client.update_run(first.info.run_id, status="RUNNING")  # as an export leaves it that is killed
    assert {run.key for run in RUNS[1:]} == set(made.complete(place, "a study"))
    made.write(place, RUNS[0])
    made.tag(place, dataclasses.replace(RUNS[1], tags={"verdict": "hurts"}))
    runs = {run.data.tags["ablate.key"]: run for run in client.search_runs([experiment.experiment_id])}
    assert {run.key for run in RUNS} == set(runs)
    for run in RUNS:
        there = runs[run.key]
        history = client.get_metric_history(there.info.run_id, "accuracy")
        assert run.curves["accuracy"] == [(one.step, one.value) for one in history]
        assert run.values["accuracy"] == there.data.metrics["final/accuracy"]
        assert ("0.1", "vgg", str(run.seed)) == (there.data.params["lr"], there.data.params["model.name"], there.data.tags["ablate.seed"])  # fmt: skip
    assert "hurts" == runs[RUNS[1].key].data.tags["ablate.verdict"]


def logged(content):
    """The records of an offline file: LevelDB's log after a header of 7 bytes (its library has no reader any more)."""
    assert content.startswith(b":W&B")
    at, parts = 7, []
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:  # the rest of a block is no record
            at += 32768 - at % 32768
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts.append(content[at + 7 : at + 7 + size])
        at += 7 + size
        if kind in (1, 4):  # whole, or the last of several
            yield b"".join(parts)
            parts = []


@pytest.mark.slow
def test_wandb_reads_what_was_exported_as_far_as_its_library_does(tmp_path):
    pytest.importorskip("wandb")
    import json

    from wandb.proto import wandb_internal_pb2

    made = sent("wandb", tmp_path)
    (folder,) = tmp_path.glob(f"wandb/offline-run-*-{RUNS[0].key[:16]}")
    (folder / "ablate.key").unlink()
    made.write(str(tmp_path), RUNS[0])
    assert 3 == len(list(tmp_path.glob("wandb/offline-run-*")))
    (folder,) = tmp_path.glob(f"wandb/offline-run-*-{RUNS[0].key[:16]}")
    curve, summary = [], {}
    for data in logged(next(folder.glob("*.wandb")).read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            row = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            curve.append((row["_step"], row["accuracy"]))
        for item in record.summary.update:
            summary[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
    assert RUNS[0].curves["accuracy"] == curve
    assert RUNS[0].values["accuracy"] == summary["final/accuracy"]


@pytest.mark.slow
def test_trackio_reads_what_was_exported(tmp_path):
    if importlib.util.find_spec("trackio") is None:
        pytest.skip("trackio is not installed")
    made = sent("trackio", tmp_path)  # its own folder is read when it is imported: one test a process
    from trackio.sqlite_storage import SQLiteStorage

    SQLiteStorage.delete_run("a-study", RUNS[0].name, RUNS[0].key)
    assert {run.key for run in RUNS[1:]} == set(made.complete(str(tmp_path), "a study"))
    made.write(str(tmp_path), RUNS[0])
    made.write(str(tmp_path), RUNS[0])
    for run in RUNS:
        logs = SQLiteStorage.get_logs("a-study", run.name, run_id=run.key)
        assert run.curves["accuracy"] == [(one["step"], one["accuracy"]) for one in logs]
        assert run.values["accuracy"] == logs[-1]["final/accuracy"]
        assert run.key == SQLiteStorage.get_run_config("a-study", run.name, run.key)["ablate.key"]
