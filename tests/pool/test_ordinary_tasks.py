"""Tasks as people write them: what they do at import, what they report, what they leave at their end."""

import json

import called
import pytest

from ablate.store.store import Store

STUDY = """
task: ordinary:main
base: {x: 0}
variants: {plain: []}
seeds: 1
metric: {name: score, better: higher, at: AT}
limits: {attempts: 1, timeout: 60}
resources: {threads: THREADS}
"""


def run(folder, task, *, threads=1, at="last"):
    """The study's one run as `export` tells it, and what `ablate run` said."""
    (folder / "ordinary.py").write_text(task)
    (folder / "s.yaml").write_text(STUDY.replace("THREADS", str(threads)).replace("AT", at))
    ended = called.ablate(folder, "--db", "a.db", "run", "s.yaml")
    told = called.ablate(folder, "--db", "a.db", "export", "--format", "json").stdout
    return (json.loads(told) or [{}])[0] if told else {}, ended.stderr


TELLING = """
import numpy as np
def main(config, run):
    right = np.array([True, True, False, True])
    run.examples(ids=["a", "b", "c", "d"], correct=right, loss=[0.5, 0.25, 3.0, 0.25], groups=[1, 1, 2, 2])
    return {"score": SCORE, "loss": 1.0}
"""


def test_what_a_function_tells_of_its_examples_is_kept_with_the_run(tmp_path):
    told, _ = run(tmp_path, TELLING.replace("SCORE", "75"))
    with Store.open(tmp_path / "a.db") as store:
        (kept,) = store.examples([told["key"]], "score")
        of_set = store.example_sets([kept.examples])[kept.examples]
    assert [100.0, 100.0, 0.0, 100.0] == kept.column.values().tolist()
    assert (("a", "b", "c", "d"), ("1", "1", "2", "2")) == (of_set.ids, of_set.groups)
    assert [] == list((tmp_path / "s/runs" / told["key"]).glob(".examples*"))


def test_examples_whose_mean_is_no_metric_are_refused_by_name_and_the_run_counts(tmp_path):
    told, _ = run(tmp_path, TELLING.replace("SCORE", "74"))
    assert told["state"] == "done"
    with Store.open(tmp_path / "a.db") as store:
        assert {} == store.with_examples([told["key"]])
        (attempt,) = store.attempts(told["key"])
    assert attempt.outputs["note:examples"].startswith("refused: the mean of `correct` over 4 examples is 0.75")


def test_an_operation_of_torch_at_import_does_not_hang_runs_of_two_threads(tmp_path):
    task = """
import torch
WEIGHTS = torch.randn(400, 400) @ torch.randn(400, 400)
def main(config, run):
    return {"score": (WEIGHTS @ WEIGHTS).isfinite().all().item() + torch.get_num_threads()}
"""
    assert run(tmp_path, task, threads=2)[0]["score"] == 3


@pytest.mark.parametrize("name", ["ablate", "random", "socket"])
def test_a_script_beside_the_study_is_not_taken_for_a_library(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('executed')\n")
    assert run(tmp_path, "def main(config, run):\n    return {'score': 1}\n")[0]["score"] == 1


def test_the_arguments_of_a_task_are_its_own_file(tmp_path):
    task = """
import argparse, os, sys
argparse.ArgumentParser().parse_args()
def main(config, run):
    return {"score": float(os.path.basename(sys.argv[0]) == "ordinary.py" and len(sys.argv) == 1)}
"""
    assert run(tmp_path, task)[0]["score"] == 1


def test_a_module_that_exits_when_it_is_imported_is_named(tmp_path):
    _, said = run(tmp_path, "raise SystemExit(3)\ndef main(config, run): ...\n")
    assert "'ordinary:main' cannot be loaded" in said
    assert "ordinary.py" in said


def test_a_value_beside_the_metric_that_is_not_finite_is_a_gap(tmp_path):
    task = """
def main(config, run):
    yield {"score": 1.0, "grad_norm": float("inf")}
    yield {"score": 2.0, "grad_norm": 0.5, "dev": {"f1": 0.25}, "phase": "last"}
"""
    assert run(tmp_path, task)[0]["score"] == 2


@pytest.mark.parametrize("at", ["last", "best"])
def test_a_metric_that_the_last_step_lacks_is_the_last_that_there_is(tmp_path, at):
    task = """
def main(config, run):
    yield {"score": 3.0}
    yield {"score": 2.0}
    yield {"loss": 0.1}
"""
    assert run(tmp_path, task, at=at)[0]["score"] == 2


def test_the_studys_own_metric_that_is_not_finite_ends_the_run_as_diverged(tmp_path):
    told, _ = run(tmp_path, "def main(config, run):\n    return {'score': float('nan'), 'loss': 1.0}\n")
    assert told["reason"] == "diverged"


def test_what_a_task_leaves_to_its_end_is_done_before_its_result_is_told(tmp_path):
    task = """
import atexit, pathlib
atexit.register(lambda: pathlib.Path("said_goodbye").write_text("x"))
def boom():
    raise RuntimeError("too late to matter")
atexit.register(boom)
log = open("predictions.csv", "w")
def main(config, run):
    log.write("7\\n")
    return {"score": 1}
"""
    assert run(tmp_path, task)[0]["score"] == 1
    assert (tmp_path / "said_goodbye").exists()
    assert (tmp_path / "predictions.csv").read_text() == "7\n"
