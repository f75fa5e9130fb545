"""Studies of a command, run: seeds that are ignored, numbers that are read anew, one run that is tried."""

import json

import pytest

from ablate.errors import AblateError
from ablate.runs import execute, logs, trial, verify
from ablate.runs.planned import find, find_run
from ablate.runs.recapture import recapture
from ablate.store.store import Store
from ablate.terminal.live import View

SCRIPT = """
import argparse, json, random
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--out")
parser.add_argument("--seed", type=int)
options = parser.parse_args()
random.seed(options.seed)
open("notes.txt").read()
score = random.random() + options.lr
print(f"50%\\r\\x1b[1mscore\\x1b[0m is {score:.3f}")
json.dump({"deep": {"score": score}}, open(options.out + "/result.json", "w"))
"""
STUDY = """
# Does lr help?
task:
  command: python train.py {flags} --out {folder}   # as typed
  metrics: [{file: "*.json"}]
base: {lr: 0.1}
tricks: {high: {set: {lr: 0.5}}}
seeds: 3
metric: deep.score
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "notes.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(folder, text, *, only=None):
    """The study, executed; how it ended and what was said."""
    (folder / "s.yaml").write_text(text)
    planned = find("s.yaml", "a.db")
    said = []

    class Told(View):
        def warn(self, text):
            said.append(text)

    with Told(quiet=True) as view:
        keys = tuple(run.key for run in planned.plan.runs[:only])
        ended = execute.execute(planned, "a.db", execute.Options(workers=1, only=keys if only else ()), view)
    return planned, ended, " ".join(said)


def values(name="deep.score"):
    with Store.open("a.db") as store:
        return [value for _, _, _, value in sorted(store.values("s", [name]))]


def test_a_wrong_pattern_costs_no_training(project):
    wrong = STUDY.replace('{file: "*.json"}', "{stdout: 'scor: {deep:f}'}").replace("deep.score", "score")
    _, ended, _ = run(project, wrong, only=2)
    assert ended.executed == 2
    assert values("score") == []
    (project / "s.yaml").write_text(wrong.replace("'scor: {deep:f}'", '"score is {score:f}"'))
    told = recapture(find("s.yaml", "a.db"), "a.db")
    assert (told.mended, told.changed, told.without) == (2, 0, {})
    assert len(values("score")) == 2
    (project / "s.yaml").write_text(
        wrong.replace("{stdout: 'scor: {deep:f}'}", "{file: result.json}").replace(
            "metric: score", "metric: deep.score"
        )
    )
    assert recapture(find("s.yaml", "a.db"), "a.db").changed == 2
    exact = [json.loads(path.read_text())["deep"]["score"] for path in project.glob("s/runs/*/result.json")]
    assert sorted(values()) == sorted(exact)
    assert recapture(find("s.yaml", "a.db"), "a.db").same == 2
    for log in project.glob("s/runs/*/log.txt"):
        log.unlink()
    gone = recapture(find("s.yaml", "a.db"), "a.db").without
    assert ["what it left was removed." in why for why in gone.values()] == [True, True]
    assert sorted(values()) == sorted(exact)


def test_a_function_has_nothing_to_recapture(project):
    (project / "mine.py").write_text("def main(config, run):\n    return {'score': 1}\n")
    (project / "f.yaml").write_text("task: mine:main\nbase: {x: 1}\nvariants: {a: []}\nmetric: score\n")
    with pytest.raises(AblateError, match="no study of a command"):
        recapture(find("f.yaml", "a.db"), "a.db")


def test_a_script_that_ignores_its_seed_is_stopped_after_its_second_finished_run(project):
    (project / "train.py").write_text(SCRIPT.replace("options.seed)", "3)"))
    planned, ended, said = run(project, STUDY)
    assert ended.executed == 3  # both variants at seed 0, the first at seed 1
    assert "ignores its seed: seeds 0 and 1 of" in said
    assert "3 runs more would only repeat" in said
    assert "seed: inject" in said
    assert ended.alike
    key = planned.plan.runs[0].key
    assert verify.seeds(key, "a.db").verdict == "seed ignored"
    _, again, said = run(project, STUDY)
    assert (again.executed, "ignores its seed" in said) == (0, True)
    (project / "s.yaml").write_text(STUDY.replace("  command", "  seed: none\n  command"))
    assert len(find("s.yaml", "a.db").plan.runs) == 2


def test_a_run_is_tried_traced_and_counts_and_what_it_showed_is_written_into_the_study(project):
    text = STUDY.replace('\n  metrics: [{file: "*.json"}]', "").replace("metric: deep.score", "metric: score")
    (project / "s.yaml").write_text(text)
    with View(quiet=True) as view:
        tried = trial.attempt(find("s.yaml", "a.db"), "a.db", view)
    assert "it counts." in tried.text
    assert "Read and not in the key: notes.txt" in tried.text
    assert "stdout 'score'" in tried.text
    assert len(values("score")) == 1
    trial.write(find("s.yaml", "a.db"), tried)
    written = (project / "s.yaml").read_text()
    assert "# as typed" in written
    assert "metrics:" in written.partition("base:")[0]
    before = {run.key for run in find("s.yaml", "a.db").plan.runs}
    assert values("score")  # where numbers are is no part of the key; what was read is, from now on
    (project / "notes.txt").write_text("y")
    assert not before & {run.key for run in find("s.yaml", "a.db").plan.runs}
    with View(quiet=True) as view:
        apart = trial.attempt(find("s.yaml", "a.db", ["lr=0.3"]), "a.db", view)
    assert apart.apart
    assert apart.again.places["score"].startswith("stdout '(?i)")
    with Store.open("a.db") as store:
        key = find_run(store, "base+high:0")
        assert next(logs.of_run(store, key, coloured=False, follow=False)).startswith("score is ")


def test_what_a_command_says_of_each_example_is_kept_also_of_runs_that_are_done(project):
    """The table lies where all runs write it, and its column has the name of a metric that is printed."""
    (project / "train.py").write_text("""
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--seed", type=int)
options = parser.parse_args()
hits = [(i * 7 + options.seed) % 10 < 10 * options.lr + 3 for i in range(40)]
open("preds.csv", "w").write("name,score\\n" + "".join(f"i{i},{int(hit)}\\n" for i, hit in enumerate(hits)))
print("score:", 100 * sum(hits) / 40)
""")
    text = STUDY.replace(" --out {folder}", "").replace('metrics: [{file: "*.json"}]', "examples: EX")
    text = text.replace("deep.score", "score")
    wrong, right = "{file: preds.csv, id: name, correct: hit}", "{file: preds.csv, id: name, correct: score}"
    planned, ended, _ = run(project, text.replace("EX", wrong), only=1)
    assert ended.executed == 1
    key = planned.plan.runs[0].key
    with Store.open("a.db") as store:
        assert not store.with_examples([key])
        assert "no such column" in store.attempts(key)[-1].outputs["note:examples"]
    (project / "s.yaml").write_text(text.replace("EX", right))
    recapture(find("s.yaml", "a.db"), "a.db")
    with Store.open("a.db") as store:
        (found,) = store.examples([key], "score", "last")
        assert found.column.factor == 100.0
        assert found.column.right().sum() == 32


def test_a_number_that_the_study_calls_a_cost_hides_no_ignored_seed(project):
    text = SCRIPT.replace("options.seed)", "3)").replace('{"score": score}', '{"score": score, "lag": options.seed}')
    (project / "train.py").write_text(text)
    _, _, said = run(project, STUDY, only=4)
    assert "ignores its seed" not in said
    _, _, said = run(project, STUDY.replace("  metrics:", '  costs: ["*.lag"]\n  metrics:'))
    assert "ignores its seed" in said


def test_a_metric_that_is_named_after_the_try_costs_no_run_and_one_that_no_pattern_can_bear_stays_automatic(project):
    printed = SCRIPT + 'print(f"Args(alpha=0.5)\\nepoch 0 val/acc={score:.4f}")\n'
    (project / "train.py").write_text(printed)
    comments = "  # about the seed\n\n# What every variant starts from.\n"
    text = STUDY.replace('\n  metrics: [{file: "*.json"}]', "").replace("metric: deep.score", "metric: accuracy")
    (project / "s.yaml").write_text(text.replace("base:", f"{comments}base:", 1))
    planned = find("s.yaml", "a.db")
    tried = trial.attempt(planned, "a.db", View(quiet=True, failures=False))
    assert next(iter(tried.printed)) == "val/acc"
    assert "alpha" not in tried.printed
    assert "accuracy is not found" in tried.text
    (project / "s.yaml").write_text((project / "s.yaml").read_text().replace("metric: accuracy", "metric: val/acc"))
    again = trial.attempt(find("s.yaml", "a.db"), "a.db", View(quiet=True, failures=False))
    assert (again.seconds, again.wrong) == (tried.seconds, "")
    said = " ".join(trial.write(find("s.yaml", "a.db"), again))
    assert "task.metrics stays automatic: no pattern can bear the name 'val/acc'" in said
    written = (project / "s.yaml").read_text()
    assert f"{comments}base:" in written
    assert "sources:" in written.partition(comments)[0]
