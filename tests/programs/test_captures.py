"""Kinds of files in which programs leave numbers: each told by its content, and read to the last number."""

import math
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ablate.programs.capture import HEAD_BYTES
from ablate.registry import Registry

KINDS = {name: Registry().make("captures", name, {}) for name in Registry().names("captures")}


def told(path):
    head = path.read_bytes()[:HEAD_BYTES]
    return [name for name, kind in KINDS.items() if kind.recognises(path, head)]


def numbers(path, step=""):
    (kind,) = told(path)
    return [(reading.name, reading.value, reading.step) for reading in KINDS[kind].read(path, step)]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.csv", "epoch,acc,note\n1,0.5,x\n2,0.75,y\n", [("acc", 0.5, 1), ("acc", 0.75, 2)]),
        ("a.tsv", "metric\tvalue\nacc\t0.5\nacc\t0.75\n", [("acc", 0.5, 1), ("acc", 0.75, 2)]),
        ("a.txt", "step;name;value\n3;loss;1\n", [("loss", 1.0, 3)]),
        ("a.json", '{"acc": 0.5, "dev": {"f1": "0.25"}, "done": true}', [("acc", 0.5, None), ("dev.f1", 0.25, None)]),
        ("state", '{"log_history": [{"step": 5, "loss": 2}], "epoch": 1.0}', [("loss", 2.0, 5)]),
        ("keras.json", '{"loss": [3, 2]}', [("loss", 3.0, 1), ("loss", 2.0, 2)]),
        ("a.jsonl", '{"step": 1, "acc": 1}\n{"step": 2, "ac', [("acc", 1.0, 1)]),
        ("log", '{"acc": 1}\n{"acc": 2}\n', [("acc", 1.0, 1), ("acc", 2.0, 2)]),
    ],
)
def test_a_file_of_text_is_told_by_what_it_holds(tmp_path, name, text, found):
    (tmp_path / name).write_text(text)
    assert numbers(tmp_path / name) == found


@pytest.mark.parametrize(
    "text",
    [
        "a sentence, and another\none, two\n",
        "",
        "0.5\n",
        "[2026-12-01 01:36:46,123][__main__][INFO] - epoch 0\n",  # Hydra's
        "[INFO] done\n",
        "{lr} is 0.1\n",
        "[1/20] loss 0.5\n",
    ],
)
def test_what_is_no_table_and_no_json_is_of_no_kind(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    assert told(tmp_path / "a.txt") == []


def test_the_first_part_of_a_document_is_of_its_kind():
    document = '[{"acc": -1.5e-3, "done": true, "why": null, "of": [{}, "a\\u00e9"]}]'
    parts = (document[:end].encode() for end in range(1, len(document)))
    assert all(KINDS["json"].recognises(Path("log"), part) for part in parts)


def test_an_mlflow_database_is_read_in_order_and_another_database_is_none(tmp_path):
    """Its table as MLflow's migrations make it; NaN is 0 with a mark there, infinity the largest number."""
    path = tmp_path / "50% of #1?.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table runs (run_uuid varchar(32) primary key)")
        assert told(path) == []
        database.execute(
            "create table metrics (key varchar(250) not null, value double not null, timestamp bigint not null, "
            "run_uuid varchar(32) not null, step bigint default '0' not null, is_nan boolean default '0' not null, "
            "primary key (key, timestamp, step, run_uuid, value, is_nan))"
        )
        rows = [("acc", 0.75, 20, 2, 0), ("acc", 0.5, 10, 1, 0), ("loss", 0.0, 30, 2, 1)]
        rows += [("up", sys.float_info.max, 40, 0, 0), ("down", -sys.float_info.max, 50, 0, 0)]
        database.executemany("insert into metrics values (?, ?, ?, 'r', ?, ?)", rows)
    found = numbers(path)
    assert [one for one in found if one[0] != "loss"] == [
        ("acc", 0.5, 1),
        ("acc", 0.75, 2),
        ("up", math.inf, 0),
        ("down", -math.inf, 0),
    ]
    assert [(math.isnan(value), step) for name, value, step in found if name == "loss"] == [(True, 2)]


def test_event_files_of_tensorboard_are_read_by_its_own_reader(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: its event files are NOT tested here")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path))
    for step, value in ((1, 0.5), (2, 0.75)):
        summary = Summary(value=[Summary.Value(tag="dev/acc", simple_value=value)])
        writer.add_event(Event(step=step, summary=summary))
    writer.close()
    (path,) = tmp_path.iterdir()
    assert numbers(path) == [("dev/acc", 0.5, 1), ("dev/acc", 0.75, 2)]


def test_an_event_file_without_tensorboard_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_file_loader", None)
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes(b'\x18\0\0\0\0\0\0\0\xa3\x7fK"\t\0\0\xc0\x1e\xac\x8d\xd9A\x1a\rbrain.Event:2')
    assert told(path) == ["tensorboard"]
    with pytest.raises(ValueError, match="pip install tensorboard"):
        list(KINDS["tensorboard"].read(path, ""))
