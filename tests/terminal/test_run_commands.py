"""why, verify and retry, as a person calls them."""

import json
from concurrent.futures import ThreadPoolExecutor

import called
import pytest

from ablate.store.store import Store
from ablate.terminal.cli import app

TASK = """
def train(config, run):
    if config["x"] and run.seed == 1 and not (run.folder.parent / "mended").exists():
        raise ValueError("unlucky")
    for step in range(3):
        yield {"score": config["x"] + run.seed_for("noise", step) % 100 / 100}
"""
STUDY = (
    "task: mine:train\nbase: {x: 0}\ntricks:\n  ex: {set: {x: 1}}\nseeds: 2\nmetric: {name: score, better: higher}\n"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(TASK)
    (tmp_path / "s.yaml").write_text(STUDY)
    ablate(tmp_path, "run", "s.yaml", code=1)
    return tmp_path


def ablate(folder, *words, code=0):
    done = called.ablate(folder, *words, COLUMNS="200")
    assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout + done.stderr


def test_a_failed_run_tells_why_and_is_retried_for_its_reason_only(folder):
    why = ablate(folder, "why", "base+ex:1")
    assert "failed: error" in why
    assert "ValueError: unlucky" in why
    (folder / "results/s/runs/mended").touch()
    assert "0 executed" in ablate(folder, "retry", "--failed", "--reason", "oom", code=1)
    assert "1 executed; 4 of 4 runs done, 0 failed" in ablate(folder, "retry", "--failed", "--reason", "error")
    assert "attempt 2 of 2 is the one that counts" in ablate(folder, "why", "base+ex:1")
    assert 2 == json.loads(ablate(folder, "table", "--format", "json"))["rows"][0]["n"]


def test_retry_wants_to_be_told_what(folder):
    assert "--failed takes up every failed run" in ablate(folder, "retry", code=2)
    assert "Did you mean 'error'?" in ablate(folder, "retry", "--failed", "--reason", "eror", code=2)


def test_a_verified_run_is_bit_identical_and_changes_no_result(folder):
    before = ablate(folder, "export"), ablate(folder, "table", "--format", "csv")
    assert "bit-identical" in ablate(folder, "verify", "base:0")
    assert before == (ablate(folder, "export"), ablate(folder, "table", "--format", "csv"))


def test_a_stored_number_that_is_not_what_comes_out_is_different(folder):
    import sqlite3

    with sqlite3.connect(folder / "results/ablate.db") as connection:
        connection.execute("UPDATE metric SET value = value + 1")
    connection.close()
    assert "different" in ablate(folder, "verify", "base:0", code=1)


def test_what_has_no_result_or_is_no_longer_asked_is_not_verified(folder):
    assert "has no result to compare with" in ablate(folder, "verify", "base+ex:1", code=2)
    (folder / "mine.py").write_text(TASK + "# edited\n")
    assert "mine.py was edited" in ablate(folder, "verify", "base:0", code=2)


@pytest.mark.parametrize("command", ["run", "retry", "tune"])
@pytest.mark.parametrize("workers", ["0", "100000"])
def test_workers_that_no_host_has_are_refused_and_nothing_is_made(tmp_path, command, workers):
    refused = ablate(tmp_path, command, "s.yaml", "--workers", workers, code=2)
    assert f"--workers is {workers}; it must be from 1 to 4096" in refused
    assert [] == list(tmp_path.iterdir())


def test_arguments_for_sbatch_with_a_quote_that_is_not_closed_are_refused(tmp_path):
    refused = ablate(tmp_path, "run", "s.yaml", "--executor", "slurm", "--sbatch", "--comment='a", code=2)
    assert """--sbatch is "--comment='a", which is not whole: no closing quotation.""" in refused


def test_a_worker_that_was_given_the_studys_folder_is_told_the_right_one_at_once(tmp_path):
    (tmp_path / "results" / "s" / "slurm").mkdir(parents=True)
    (tmp_path / "results" / "s" / "slurm" / "plan.json").touch()
    refused = ablate(tmp_path, "worker", "results/s", code=2)
    assert f"runs are handed over in {tmp_path}/results/s/slurm: name that." in refused


def test_what_a_detached_study_cannot_hand_over_yet_is_said_and_what_it_could_is_in_status(tmp_path):
    (tmp_path / "mine.py").write_text(TASK)
    (tmp_path / "s.yaml").write_text(STUDY.replace("seeds: 2", "seeds: {looks: [3, 5]}"))
    told = ablate(tmp_path, "run", "s.yaml", "--executor", "workers", "--detach")
    assert "6 runs handed over to workers." in told
    assert "4 runs of it will be handed over then: further seeds are asked for by what is seen." in told
    assert "workers:s: no worker, 6 runs queued, 0 running; nobody looks after them" in ablate(tmp_path, "status", "s")
    copied = "db", "copy", "results/ablate.db", "copy.db"
    assert "6 runs queued, at work or not collected yet" in ablate(tmp_path, *copied, code=2)
    assert "6 runs cancelled" in ablate(tmp_path, "stop", "s")
    assert "6 attempts" in ablate(tmp_path, *copied)


def test_two_commands_of_one_process_each_keep_to_their_own_database(tmp_path):
    (tmp_path / "runs.csv").write_text("label,score\na,1\na,2\nb,3\nb,4\n")
    words = ["import", str(tmp_path / "runs.csv"), "--metric", "score", "--better", "higher", "--variant", "label"]

    def imports(name):
        for i in range(5):
            app(
                ["--quiet", "--db", str(tmp_path / f"{name}.db"), *words, "--study", f"{name}{i}"],
                standalone_mode=False,
            )

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(imports, "xy"))
    for name in "xy":
        with Store.open(tmp_path / f"{name}.db") as store:
            assert {f"{name}{i}" for i in range(5)} == set(store.studies())
