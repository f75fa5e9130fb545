"""Code that is edited between two runs, or while runs are queued: old numbers and new ones are never mixed."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import called
import pytest

TASK = """
import os, time

def train(config, run):
    with open("started", "a") as log:
        log.write("x")
    while not os.path.exists("go"):
        time.sleep(0.01)
    import late
    return {"score": 1.0 + late.value}
"""
STUDY = "task: mine:train\nbase: {x: 0, lr: 0.2}\ntricks:\n  ex: {set: {x: 1}}\nseeds: 2\nmetric: {name: score, better: higher}\n"
RUN = [sys.executable, "-m", "ablate", "run", "s.yaml", "--workers", "1"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(TASK)
    (tmp_path / "late.py").write_text("value = 0\n")
    (tmp_path / "s.yaml").write_text(STUDY)
    return tmp_path


def edited_while_queued(folder, file, text):
    """`ablate run`, with `file` edited while the first run waits and three more are queued; its exit code."""
    process = subprocess.Popen(RUN, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "started").exists():
        time.sleep(0.01)
    (folder / file).write_text(text)
    (folder / "go").touch()
    return process.wait()


def plan(folder, *words):
    return json.loads(called.ablate(folder, "plan", "s.yaml", "--format", "json", *words).stdout)


def stored(folder):
    with closing(sqlite3.connect(folder / "results/ablate.db")) as connection:
        return connection.execute(
            "SELECT reason, value FROM run LEFT JOIN metric ON attempt = counted_attempt"
        ).fetchall()


def test_queued_runs_execute_what_was_loaded_at_the_start_and_the_edit_is_asked_for_anew(folder):
    assert 0 == edited_while_queued(folder, "mine.py", TASK.replace("1.0", "5.0"))
    assert [(None, 1.0)] * 4 == stored(folder)
    planned = plan(folder)
    assert (0, 4) == (planned["counts"]["done"], planned["counts"]["todo"])
    assert "4 finished runs are not reused: mine.py was edited." == planned["notes"][0]
    subprocess.run(RUN, cwd=folder, check=True, capture_output=True)
    assert [1.0] * 4 + [5.0] * 4 == sorted(value for _, value in stored(folder))


def test_a_module_that_is_imported_late_and_was_edited_meanwhile_fails_as_code_changed(folder):
    assert 1 == edited_while_queued(folder, "late.py", "value = 7\n")
    # three alike end the run (limits.stop_after), so the fourth may be left to do
    assert stored(folder).count(("code_changed", None)) >= 3
    assert {None} == {value for _, value in stored(folder)}
    subprocess.run(RUN, cwd=folder, check=True, capture_output=True)
    assert [8.0] * 4 == [value for reason, value in stored(folder) if value is not None]


def test_a_plan_says_what_changed_and_how_many_runs_that_costs(folder):
    (folder / "go").touch()
    subprocess.run(RUN, cwd=folder, check=True, capture_output=True)
    assert [] == [note for note in plan(folder)["notes"] if "reused" in note]
    changed = plan(folder, "--set", "base.lr=0.1", "--set", "seeds=3")
    assert (0, 6) == (changed["counts"]["done"], changed["counts"]["todo"])
    assert "4 finished runs are not reused: lr was 0.2, is 0.1." == changed["notes"][0]
    assert 4 == plan(folder, "--set", "seeds=3")["counts"]["done"]


def test_a_private_plugin_that_was_edited_changes_the_key_and_its_neighbour_does_not(tmp_path):
    folder = tmp_path / "mine/tricks"
    folder.mkdir(parents=True)
    trick = (
        "from dataclasses import dataclass\nfrom typing import ClassVar\nfrom ablate.training.trick import Trick\n\n"
        '@dataclass(frozen=True)\nclass Twice(Trick):\n    """Doubles the loss."""\n\n'
        '    category: ClassVar[str] = "other"\n\n    def loss(self, loss, logits, targets, step):\n        return 2 * loss\n'
    )
    (folder / "twice.py").write_text(trick)
    (folder / "other.py").write_text(trick.replace("Twice", "Other"))
    (tmp_path / "s.yaml").write_text(
        "base: {model: {name: vgg}, data: {name: synthetic}, epochs: 1}\nplugins: [mine]\n"
        "tricks:\n  twice: {use: twice}\nseeds: 1\n"
        "metric: {name: dev_accuracy, better: higher}\n"
    )
    keys = {run["variant"]: run["key"] for run in plan(tmp_path)["runs"]}
    (folder / "other.py").write_text(trick.replace("Twice", "Other").replace("2 * loss", "9 * loss"))
    assert keys == {run["variant"]: run["key"] for run in plan(tmp_path)["runs"]}
    (folder / "twice.py").write_text(trick.replace("2 *", "3 *"))
    after = {run["variant"]: run["key"] for run in plan(tmp_path)["runs"]}
    assert (True, False) == (keys["base"] == after["base"], keys["base+twice"] == after["base+twice"])


def test_one_changed_byte_of_a_data_file_changes_every_key(tmp_path):
    import numpy as np

    (tmp_path / "s.yaml").write_text(
        "base: {model: {name: vgg}, data: {name: npz, root: ., train: a.npz, dev: a.npz}, epochs: 1}\n"
        "tricks:\n  wide: {set: {model.width: 32}}\nseeds: 1\nmetric: {name: dev_accuracy, better: higher}\n"
    )
    images = np.zeros((8, 8, 8, 3), np.uint8)

    def keys():
        np.savez(tmp_path / "a.npz", images=images, labels=np.arange(8) % 2)
        return {run["key"] for run in plan(tmp_path)["runs"]}

    before = keys()
    images[3, 2, 1, 0] = 1
    assert (2, 2, 4) == (len(before), len(keys()), len(before | keys()))


def executed(folder, *words):
    """`ablate run` to its end; the values that are counted."""
    subprocess.run([*RUN, *words], cwd=folder, check=True, capture_output=True)
    return sorted(value for _, value in stored(folder) if value is not None)


@pytest.fixture
def elsewhere(folder):
    """A task that finds a module in a folder that only its run knows."""
    (folder / "other").mkdir()
    (folder / "other/hidden.py").write_text("value = 0\n")
    (folder / "mine.py").write_text(
        "import sys\n\ndef train(config, run):\n    sys.path.insert(0, 'other')\n    import hidden\n"
        "    return {'score': 1.0 + hidden.value}\n"
    )
    return folder


def test_a_module_that_only_its_run_could_find_is_asked_anew_when_it_was_edited(elsewhere):
    assert [1.0] * 4 == executed(elsewhere)
    assert 4 == plan(elsewhere)["counts"]["done"]
    (elsewhere / "other/hidden.py").write_text("value = 49\n")
    planned = plan(elsewhere, "--set", "seeds=4")
    assert (0, 8) == (planned["counts"]["done"], planned["counts"]["todo"])
    assert "4 finished runs are not reused: other/hidden.py was edited." == planned["notes"][0]
    assert [1.0] * 4 + [50.0] * 8 == executed(elsewhere, "--set", "seeds=4")
    (elsewhere / "other/hidden.py").write_text("value = 0\n")
    assert 4 == plan(elsewhere)["counts"]["done"]


def test_a_module_that_the_task_found_when_it_was_imported_is_asked_anew_too(elsewhere):
    (elsewhere / "mine.py").write_text(
        "import sys\nsys.path.insert(0, 'other')\nimport hidden\n\ndef train(config, run):\n"
        "    return {'score': 1.0 + hidden.value}\n"
    )
    assert [1.0, 1.0] == executed(elsewhere, "--set", "seeds=1")
    (elsewhere / "other/hidden.py").write_text("value = 1\n")
    assert [1.0, 1.0, 2.0, 2.0] == executed(elsewhere, "--set", "seeds=1")


def test_rows_that_mix_two_versions_of_such_a_module_say_so_until_they_are_run_anew(elsewhere):
    task = (elsewhere / "mine.py").read_text()
    edit = "    if config['x'] == run.seed == 1:\n        open('other/hidden.py', 'a').write('value = 8\\n')\n"
    (elsewhere / "mine.py").write_text(task.replace("    return", edit + "    return"))
    told = subprocess.run(RUN, cwd=elsewhere, check=True, capture_output=True, text=True).stdout
    assert "2 versions of files that no import names (other/hidden.py" in told
    assert 1 == plan(elsewhere)["counts"]["done"]  # the one that was queued behind the edit
