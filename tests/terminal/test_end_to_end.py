"""What a person does: commands in a folder of their own, killed and started again."""

import json
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import called
import numpy as np
import psutil
import pytest

TASK = """
import os, time

def train(config, run):
    with open(os.environ.get("EXECUTED", os.devnull), "a") as log:
        log.write(f"{config['x']} {config['y']} {run.seed}\\n")
    for step in range(3):
        time.sleep(config.get("pause", 0))
        noise = (run.seed_for("noise", step, config["x"], config["y"]) % 1000) / 1000
        yield {"score": 3 * config["x"] + 0.01 * config["y"] + noise, "cost": 1.0}
"""
STUDY = """# Does x help, and does y?
study: letters
task: letters_task:train
base: {x: 0, y: 0, pause: 0}
tricks:
  ex: {set: {x: 1}}
  why: {set: {y: 1}}
seeds: 5
metric: {name: score, better: higher}
also: [cost]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "letters_task.py").write_text(TASK)
    (tmp_path / "letters.yaml").write_text(STUDY)
    return tmp_path


def ablate(folder, *words, code=0, **environment):
    done = called.ablate(folder, *words, **environment)
    assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    assert "Traceback" not in done.stderr or code == 1
    return done.stdout


def test_a_study_file_goes_in_and_an_ablation_table_comes_out(folder):
    table = ablate(folder, "run", "letters.yaml")
    rows = json.loads(ablate(folder, "table", "--format", "json"))["rows"]
    assert ["full", "base+why", "base+ex", "base"] == [row["variant"] for row in rows]
    assert [None, "helps", "inconclusive", "helps"] == [row["verdict"] for row in rows]
    assert {5} == {row["n"] for row in rows}
    assert "score" in table


def test_the_same_command_again_trains_nothing_and_prints_the_same_bytes(folder):
    first = ablate(folder, "run", "letters.yaml", EXECUTED="log")
    count = len((folder / "log").read_text().splitlines())
    assert 20 == count
    assert first == ablate(folder, "run", "letters.yaml", EXECUTED="log")
    assert count == len((folder / "log").read_text().splitlines())


def test_a_study_is_found_by_path_by_name_and_as_the_last_one_run(folder):
    table = ablate(folder, "run", "letters.yaml")
    assert (
        table
        == ablate(folder, "table")
        == ablate(folder, "table", "letters")
        == ablate(folder, "table", "letters.yaml")
    )


def test_an_override_is_a_run_of_its_own_and_a_run_by_name_keeps_it(folder):
    ablate(folder, "run", "letters.yaml", "--set", "seeds=2")
    assert {2} == {row["n"] for row in json.loads(ablate(folder, "table", "--format", "json"))["rows"]}
    ablate(folder, "run", "letters", EXECUTED="log")
    assert not (folder / "log").exists()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_a_dispatcher_killed_half_way_loses_nothing_and_repeats_nothing_finished(folder, seed, tmp_path_factory):
    """SIGKILL at a random moment; then the same command. The table equals an unbroken run's, byte for byte."""
    other = tmp_path_factory.mktemp("unbroken")
    for name in ("letters_task.py", "letters.yaml"):
        (other / name).write_text((folder / name).read_text().replace("pause: 0", "pause: 0.03"))
        (folder / name).write_text((other / name).read_text())
    unbroken = ablate(other, "run", "letters.yaml")
    command = [sys.executable, "-m", "ablate", "run", "letters.yaml"]
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, "EXECUTED": "log"}, stdout=subprocess.DEVNULL)
    enough = random.Random(seed).randrange(3, 15)
    while process.poll() is None and lines(folder / "log") < enough:
        time.sleep(0.005)
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    process.wait()
    assert [] == psutil.wait_procs(family, timeout=10)[1]
    done = finished(folder)
    before = lines(folder / "log")
    assert unbroken == ablate(folder, "run", "letters.yaml", EXECUTED="log")
    assert lines(folder / "log") - before <= 20 - len(done)  # fewer where a last word lies in its folder
    assert done <= finished(folder)
    assert 20 == len(finished(folder))


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def finished(folder):
    path = folder / "results/ablate.db"
    if not path.exists():
        return set()
    connection = sqlite3.connect(path)
    try:
        return set(connection.execute("SELECT key, counted_attempt FROM run WHERE state = 'done'"))
    finally:
        connection.close()


def test_one_worker_or_two_give_the_same_numbers(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("two")
    for name in ("letters_task.py", "letters.yaml"):
        (other / name).write_text((folder / name).read_text())
    one = ablate(folder, "run", "letters.yaml", "--workers", "1")
    assert one == ablate(other, "run", "letters.yaml", "--workers", "2")


def test_two_dispatchers_share_one_study(folder):
    command = [sys.executable, "-m", "ablate", "run", "letters.yaml", "--workers", "2"]
    started = [
        subprocess.Popen(command, cwd=folder, env={**os.environ, "EXECUTED": "log"}, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    tables = {process.communicate()[0] for process in started}
    assert 1 == len(tables)
    assert [0, 0, 0] == [process.returncode for process in started]
    assert 20 == lines(folder / "log")


def test_ctrl_c_says_how_to_go_on_and_exits_with_130(folder):
    (folder / "letters.yaml").write_text(STUDY.replace("pause: 0", "pause: 0.2"))
    command = [sys.executable, "-m", "ablate", "run", "letters.yaml"]
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, "EXECUTED": "log"}, stderr=subprocess.PIPE, text=True
    )
    while lines(folder / "log") < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert 130 == process.returncode
    assert "Go on with the same command" in said
    assert {"running": 0, "lost": 0} == {
        name: json.loads(ablate(folder, "status", "--format", "json"))["counts"][name] for name in ("running", "lost")
    }


def test_a_failed_run_is_shown_and_exits_with_1_and_is_not_dropped_from_n(folder):
    (folder / "letters_task.py").write_text(
        TASK + "\n    if run.seed == 3 and config['x']:\n        raise ValueError('unlucky')\n"
    )
    table = ablate(folder, "run", "letters.yaml", code=1)
    assert "4/5" in table
    assert "unlucky" in ablate(folder, "show", "full:3")
    rows = json.loads(ablate(folder, "table", "--format", "json"))["rows"]
    assert [1, 0, 1, 0] == [row["failed"] for row in rows]


def test_export_has_a_line_for_every_run(folder):
    ablate(folder, "run", "letters.yaml", "--set", "seeds=2")
    header, *rows = ablate(folder, "export", "--format", "csv").splitlines()
    assert "key,study,variant,seed,role,state,reason,attempts,cost,score" == header
    assert 8 == len(rows)


def test_reading_commands_change_no_byte_of_the_database(folder):
    ablate(folder, "run", "letters.yaml", "--set", "seeds=2")
    before = (folder / "results/ablate.db").read_bytes()
    for words in (["status"], ["table"], ["export"], ["show", "base:0"], ["list", "studies"], ["doctor"]):
        ablate(folder, *words)
    assert before == (folder / "results/ablate.db").read_bytes()


def test_a_starter_study_plans_as_it_is_and_is_not_written_over(folder):
    ablate(folder, "init", "mine.yaml")
    assert json.loads(ablate(folder, "plan", "mine.yaml", "--format", "json"))["counts"]["todo"] > 0
    ablate(folder, "init", "mine.yaml", code=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "leters.yaml"], "leters.yaml"),
        (["table", "nothing"], "there is no database at results/ablate.db"),
        (["table", "--format", "latx"], ""),
        (["run", "letters.yaml", "--devices", "cuda:7"], "there is no device 'cuda:7'"),
        (["run", "letters.yaml", "--set", "sedes=3"], "sedes"),
        (["init", "mine.txt"], "ends in .yaml"),
        (["list", "trick"], "Did you mean 'tricks'?"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_mistake_is_a_message_and_exit_code_2_and_makes_no_database(folder, words, message):
    done = called.ablate(folder, *words)
    assert 2 == done.returncode
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "results").exists()


def test_the_version_is_that_of_the_distribution(folder):
    assert f"ablate {version('ablate-studies')}\n" == ablate(folder, "--version")


def test_a_full_disk_is_a_message(folder):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ablate", "list", "tricks"],
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (2, "ablate: the output cannot be written: No space left on device.\n") == (done.returncode, done.stderr)


@pytest.mark.parametrize("words", ["plan NAME", "--db NAME status", "init NAME.yaml", "worker NAME"])
def test_a_name_that_no_file_can_have_is_a_message(folder, words):
    done = called.ablate(folder, *words.replace("NAME", "a" * 300).split())
    assert 2 == done.returncode
    assert done.stderr.startswith("ablate: ")
    assert done.stderr.endswith(" cannot be used: File name too long.\n")


def test_closed_outputs_are_no_error_and_nothing_else_gets_their_place(folder):
    command = f"{sys.executable} -m ablate list tricks >&- 2>&- <&-"
    assert 0 == subprocess.run(command, shell=True, cwd=folder).returncode


def test_a_terminal_that_knows_ascii_only_gets_the_rest_escaped(folder):
    assert "M\\xfcller & Hutter" in ablate(folder, "list", "tricks", PYTHONIOENCODING="ascii")


# ------------------------------------------------------------------------------------------------- images, for real

COURSE = """
study: course
base:
  model: {name: vgg, width: 2, stages: 1, depth: 1}
  data: {name: cifar100, root: files}
  epochs: 1
  batch_size: 100
tricks:
  views: {use: test_time_augmentation}
variants:
  official: []
  pickled: {set: {data: {name: pickle, root: files/cifar-100-python, train: train, dev_fraction: 0.1}}, tricks: []}
  snippet: {set: {data: {name: function, load: "handed_out:load", dev_fraction: 0.1}}, tricks: []}
  seen: [views]
baseline: official
seeds: 1
metric: {name: dev_accuracy, better: higher}
also: [dev_loss]
"""
SNIPPET = """
import pickle
from pathlib import Path

def load():
    with (Path(__file__).parent.parent / "files/cifar-100-python/train").open("rb") as file:
        batch = pickle.load(file)
    return {"train": (batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), batch["fine_labels"])}
"""


def write_cifar100(folder):
    """100 classes of ten images in the python layout of CIFAR-100."""
    folder.mkdir(parents=True)
    for part, each in (("train", 10), ("test", 1)):
        labels = [k for k in range(100) for _ in range(each)]
        data = np.random.default_rng(each).integers(0, 256, (len(labels), 3072), np.uint8)
        (folder / part).write_bytes(pickle.dumps({"data": data, "fine_labels": labels}))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"fine {k}" for k in range(100)]}))


@pytest.mark.slow
def test_the_same_100_classes_train_to_the_same_numbers_from_cifar100_a_pickle_and_a_snippet(tmp_path):
    write_cifar100(tmp_path / "files" / "cifar-100-python")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "handed_out.py").write_text(SNIPPET)  # beside the study file, not in the working directory
    (tmp_path / "mine" / "course.yaml").write_text(COURSE)
    ablate(tmp_path, "run", "mine/course.yaml", OMP_NUM_THREADS="1")
    rows = {row["variant"]: row for row in json.loads(ablate(tmp_path, "table", "--format", "json"))["rows"]}
    official = rows["official"]["mean"], rows["official"]["also"]["dev_loss"]["mean"]
    for variant in ("pickled", "snippet"):
        assert official == (rows[variant]["mean"], rows[variant]["also"]["dev_loss"]["mean"])
    assert official[1] != rows["seen"]["also"]["dev_loss"]["mean"]
    runs = {run["variant"]: run["key"] for run in json.loads(ablate(tmp_path, "plan", "--format", "json"))["runs"]}
    left = tmp_path / "results" / "course" / "runs"
    assert list(left.glob(f"{runs['official'][:16]}-*/training.json"))
    assert not list(left.glob(f"{runs['seen'][:16]}-*/training.json")), "several views of one network trained it anew"
