"""Commands as they run: what reaches a program, which numbers of it count, how it ends."""

import os
import sys
import threading
import time

import pytest
from commands import PYTHON, Ran, task_of

from ablate.errors import AblateError, NoResultError
from ablate.identity import sha256_file

ECHO = "import json, os, sys\nprint(json.dumps({'score': 1, 'words': sys.argv[1:]}))\n"


def script(folder, text, name="train.py"):
    (folder / name).write_text(text)


def test_the_numbers_of_a_file_of_the_run_win_over_what_is_printed(tmp_path):
    script(tmp_path, """
import json, sys
print("Epoch 1 score: 0.12"); print("Epoch 2 score: 0.35")
with open(sys.argv[1] + "/result.json", "w") as file:
    json.dump({"score": 0.3456789, "deep": {"loss": 0.5}, "note": "x"}, file)
""")  # fmt: skip
    ran = Ran(tmp_path, task_of(tmp_path, "python train.py {folder}", seed="none"))
    assert ran.values == {"score": 0.3456789, "deep.loss": 0.5}
    assert ran.told["captured"] == {"score": "json result.json", "deep.loss": "json result.json"}
    assert ran.curve["score", 1] == 0.12
    assert "Epoch 2 score: 0.35" in ran.log


def test_what_is_printed_counts_by_the_studys_own_name_only(tmp_path):
    script(
        tmp_path, "print('\\x1b[32mscore\\x1b[0m = 3\\rscore = 4')\nprint('other: 5, dev-loss 0.5, also: 501/597')\n"
    )
    ran = Ran(tmp_path, task_of(tmp_path, "python train.py", seed="none"), also=["dev_loss", "also"])
    assert ran.values == {"score": 4.0, "dev_loss": 0.5}


def test_a_name_that_is_printed_in_two_ways_is_refused_with_both(tmp_path):
    script(tmp_path, "print('train score: 0.9, val score: 0.7')\n")
    with pytest.raises(NoResultError, match=r"2 ways: stdout 'train score' \(0.9\), stdout 'val score' \(0.7\)"):
        Ran(tmp_path, task_of(tmp_path, "python train.py", seed="none"))


def test_a_name_that_stands_alone_is_meant_before_one_with_another_word(tmp_path):
    script(tmp_path, "print('epoch 1: score 0.5 | best score 0.6')\n")
    assert Ran(tmp_path, task_of(tmp_path, "python train.py", seed="none")).values == {"score": 0.5}


def test_patterns_expressions_and_arithmetic_say_where_numbers_are(tmp_path):
    script(tmp_path, "print('Test set: Average loss: 0.0274, Accuracy: 9911/10000 (99%)')\nprint('lr is 1e-3')\n")
    metrics = [
        {"stdout": "Average loss: {test_loss:f}, Accuracy: {correct:d}/{total:d}"},
        {"regex": r"lr is (?P<lr>\S+)"},
    ]
    task = task_of(tmp_path, "python train.py", seed="none", metrics=metrics, derive={"score": "100 * correct / total"})
    ran = Ran(tmp_path, task)
    assert ran.values == {"test_loss": 0.0274, "correct": 9911, "total": 10000, "lr": 0.001, "score": 99.11}
    assert ran.told["captured"]["score"] == "derived: 100 * correct / total"


def test_what_a_program_appends_to_the_named_file_counts_before_all_others(tmp_path):
    script(tmp_path, """
import ablate
ablate.log(step=3, score=0.25)
print("score: 0.1")
ablate.log(step=4, score=0.5)
""")  # fmt: skip
    ran = Ran(tmp_path, task_of(tmp_path, "python train.py", seed="none"))
    assert ran.values == {"score": 0.5}
    assert ran.curve == {("score", 3): 0.25, ("score", 4): 0.5} | {k: v for k, v in ran.curve.items() if k[1] < 3}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"command": "python train.py {flags} {seed} {threads} {device}"}, ["--lr", "0.0", "7", "1", "cpu"]),
        ({"command": "python train.py --x={lr} {flags}", "seed": "--s"}, ["--x=0.0", "--s", "7"]),
        ({"command": ["python", "train.py", "a b", "{flags}"], "seed": "none"}, ["a b", "--lr", "0.0"]),
    ],
)
def test_placeholders_are_filled_where_they_stand(tmp_path, keys, words):
    script(tmp_path, ECHO)
    task = task_of(tmp_path, **{"metrics": [{"stdout": "json"}], "flags": "argparse", **keys})
    assert str(words).replace("'", '"') in Ran(tmp_path, task, {"lr": 0.0}, seed=7).log


def test_variables_constants_and_a_file_reach_the_program(tmp_path, monkeypatch):
    monkeypatch.setenv("LR", "9")
    script(tmp_path, "import os\nprint('score:', os.environ.get('LR', '5'), os.environ['WHERE'])\n")
    env = task_of(tmp_path, "python train.py", flags="env", seed="none", env={"WHERE": "at {folder}"})
    assert Ran(tmp_path, env, {"LR": 2}, name="a").values == {"score": 2}
    assert Ran(tmp_path, env, {"LR": None}, name="b").values == {"score": 5}
    script(tmp_path, "import json, sys\nprint('score:', json.load(open(sys.argv[1]))['a']['b'])\n")
    config = task_of(tmp_path, "python train.py {config}", flags="file", file="json", seed="none")
    assert Ran(tmp_path, config, {"a.b": 4}, name="c").values == {"score": 4}


def test_constants_are_replaced_in_memory_also_in_processes_that_the_script_spawns(tmp_path):
    text = """
import multiprocessing
WIDTH, SHAPE = 8, (1, 2)
LR = 0.1
SEED: int = 0
SHAPE = (1, 2)
def square(_):
    return LR
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print("score:", LR + SEED, "spawned:", pool.map(square, [0])[0], "shape:", SHAPE, __file__)
"""
    script(tmp_path, text)
    task = task_of(tmp_path, "python train.py", flags="globals")
    ran = Ran(tmp_path, task, {"LR": 0.5, "SHAPE": [3, 4]}, seed=3, also=["spawned"])
    assert ran.values == {"score": 3.5, "spawned": 0.5}
    assert "shape: (3, 4)" in ran.log
    assert (tmp_path / "train.py").read_text() == text


def test_an_injected_seed_moves_what_a_script_fixes_and_seed_zero_moves_nothing(tmp_path):
    text = """
import random, numpy
random.seed(1); numpy.random.seed(2)
print(f"score: {random.random() + numpy.random.rand() + numpy.random.default_rng(3).random():.17g}")
"""
    script(tmp_path, text)
    task = task_of(tmp_path, "python train.py", seed="inject")
    scores = [
        Ran(tmp_path, task, seed=seed, name=f"{seed}{again}").values["score"] for seed in (0, 1, 2) for again in "ab"
    ]
    assert len(set(scores)) == 3
    assert scores[0::2] == scores[1::2]
    space = {}
    exec(text.replace('print(f"score: {', "value = (").replace(':.17g}")', ")"), space)
    assert scores[0] == space["value"]


def test_a_script_in_a_folder_of_the_runs_own_finds_what_is_linked(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("3")
    script(tmp_path, "import json\njson.dump({'score': int(open('data/x.txt').read())}, open('result.json', 'w'))\n")
    ran = Ran(tmp_path, task_of(tmp_path, "python train.py", seed="none", cwd="run", links=["data"]))
    assert ran.values == {"score": 3}
    assert not (tmp_path / "result.json").exists()


def test_an_old_file_and_one_that_another_program_wrote_are_never_read(tmp_path):
    (tmp_path / "result.json").write_text('{"score": 1}')
    script(tmp_path, "import sys\n")
    with pytest.raises(NoResultError, match="score was found nowhere"):
        Ran(tmp_path, task_of(tmp_path, "python train.py", seed="none"))


def test_a_file_that_cannot_be_read_stops_no_run_and_is_named_where_the_number_is_missing(tmp_path, monkeypatch):
    """An event file, where there is no tensorboard: the run goes on, and what it prints counts."""
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_file_loader", None)
    event = "open(sys.argv[1] + '/events.1', 'wb').write(bytes(9) + b'brain.Event:2')"
    script(tmp_path, f"import sys\n{event}\nprint('score: 2')\n")
    task = task_of(tmp_path, "python train.py {folder}", seed="none")
    assert Ran(tmp_path, task, name="a").values == {"score": 2}
    with pytest.raises(NoResultError, match=r"events.1 cannot be read as tensorboard: .*pip install") as refused:
        Ran(tmp_path, task, name="b", metric="acc")
    assert "cwd: run" not in str(refused.value)


def test_a_file_in_the_working_folder_counts_where_this_run_alone_wrote_it(tmp_path):
    script(tmp_path, "import json\njson.dump({'score': 2.5}, open('result.json', 'w'))\n")
    task = task_of(tmp_path, "python train.py", seed="none")
    assert Ran(tmp_path, task, name="a").values == {"score": 2.5}
    assert Ran(tmp_path, task, name="b").told["captured"] == {"score": "json result.json"}


def test_a_file_that_another_run_wrote_meanwhile_is_refused_with_the_remedy(tmp_path):
    """The second run lives within the first one, which then finds the other's numbers in its file."""
    script(tmp_path, """
import json, subprocess, sys, pathlib, time
json.dump({"score": float(sys.argv[1])}, open("result.json", "w"))
pathlib.Path(sys.argv[2], "written").touch()
while sys.argv[1] == "1" and not pathlib.Path("go").exists():
    time.sleep(0.01)
""")  # fmt: skip
    first = task_of(tmp_path, "python train.py 1 {folder}", seed="none")
    second = task_of(tmp_path, "python train.py 2 {folder}", seed="none")

    refused = []

    def other():
        while not (tmp_path / "runs" / "a" / "written").exists():
            time.sleep(0.01)
        try:
            Ran(tmp_path, second, name="b")
        except NoResultError as error:
            refused.append(str(error))
        finally:
            (tmp_path / "go").touch()

    thread = threading.Thread(target=other)
    thread.start()
    with pytest.raises(NoResultError, match=r"written by another run.*cwd: run"):
        Ran(tmp_path, first, name="a")
    thread.join()
    assert "written by another run" in refused[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise SystemExit(3)", "exit status 3: it printed nothing"),
        ("1 / 0", "exit status 1: ZeroDivisionError: division by zero"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "ended by SIGTERM"),
        ("raise MemoryError('no')", "out of memory"),
    ],
)
def test_how_a_program_failed_is_said_in_one_line(tmp_path, text, message):
    script(tmp_path, text)
    with pytest.raises(AblateError, match=message):
        Ran(tmp_path, task_of(tmp_path, "python train.py", seed="none"))


def test_a_further_attempt_gets_the_arguments_of_resume_where_the_file_exists(tmp_path):
    script(tmp_path, "import sys\nopen(sys.argv[1] + '/last.pt', 'w').close()\nprint('score:', len(sys.argv))\n")
    resume = {"when": "{folder}/last.pt", "args": ["--resume", "{folder}/last.pt"]}
    task = task_of(tmp_path, "python train.py {folder}", seed="none", resume=resume, discard="*.tmp")
    assert Ran(tmp_path, task).values == {"score": 2}
    assert Ran(tmp_path, task).values == {"score": 4}


def test_what_is_discarded_goes_when_the_run_is_done_and_not_its_numbers(tmp_path):
    script(tmp_path, "import sys\nopen(sys.argv[1] + '/last.pt', 'w').close()\nprint('score: 1')\n")
    ran = Ran(tmp_path, task_of(tmp_path, "python train.py {folder}", seed="none", discard="**/*.pt"))
    assert not (ran.folder / "last.pt").exists()
    assert (ran.folder / "log.txt").exists()


def test_the_preload_lets_another_sitecustomize_do_its_work_and_names_what_was_read(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import os\nos.environ['CHAINED'] = '1'\n")
    (tmp_path / "extra.txt").write_text("x")
    monkeypatch.setenv("PYTHONPATH", f"{os.environ.get('PYTHONPATH', '')}{os.pathsep}{tmp_path / 'site'}")
    script(tmp_path, "import os\nopen('extra.txt').read()\nprint('score:', os.environ['CHAINED'])\n")
    ran = Ran(tmp_path, task_of(tmp_path, "python train.py", seed="none"))
    assert ran.values == {"score": 1}
    assert "extra.txt" in ran.told["read"]


def test_code_and_configuration_that_only_the_run_reads_are_noted_with_their_hashes(tmp_path):
    (tmp_path / "options.py").write_text("WIDTH = 2\n")
    script(tmp_path, "exec(open('options.py').read())\nprint('score:', WIDTH)\n")
    ran = Ran(tmp_path, task_of(tmp_path, "python train.py", seed="none"))
    assert ran.run.executed == {"options.py": sha256_file(tmp_path / "options.py")}


def test_what_wandb_is_told_is_heard_offline(tmp_path):
    package = tmp_path / "wandb" / "sdk"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package.parent / "__init__.py").write_text("from wandb.sdk.wandb_run import Run\nrun = Run()\nlog = run.log\n")
    run = "class Run:\n    step = 0\n    def log(self, data, step=None, commit=None):\n        self.step += 1\n"
    (package / "wandb_run.py").write_text(run)
    script(
        tmp_path,
        "import wandb\nwandb.log({'score': 0.5, 'deep': {'f1': 1}, 'text': 'x'})\nwandb.log({'score': 0.75})\n",
    )
    ran = Ran(tmp_path, task_of(tmp_path, "python train.py", seed="none"))
    assert ran.values == {"score": 0.75, "deep.f1": 1.0}
    assert {step: value for (name, step), value in ran.curve.items() if name == "score"} == {0: 0.5, 1: 0.75}


def test_a_program_that_is_no_python_runs_as_well(tmp_path):
    script(tmp_path, 'echo "score: $X"\n', "train.sh")
    assert Ran(tmp_path, task_of(tmp_path, "sh train.sh", flags="env", seed="none"), {"X": 2}).values == {"score": 2}
    script(tmp_path, f"{PYTHON} -c \"print('score: 3')\"\n", "train.sh")
    assert Ran(tmp_path, task_of(tmp_path, "sh train.sh", seed="none", preload=False), name="b").values == {"score": 3}
