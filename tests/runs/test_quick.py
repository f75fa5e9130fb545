"""`ablate quick`, run: a command as typed, and without each of its options."""

import pytest

from ablate.analysis.results import load
from ablate.errors import AblateError
from ablate.runs import quick
from ablate.runs.execute import Options, execute
from ablate.runs.planned import find
from ablate.store.store import Store
from ablate.study.record import Registered
from ablate.tables.views import ablation
from ablate.terminal.live import View

SCRIPT = """
import argparse, random
parser = argparse.ArgumentParser()
parser.add_argument("--mixup", type=float, default=0.0)
parser.add_argument("--model-ema", action="store_true")
parser.add_argument("--smoothing", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
random.seed(options.seed)
print(f"epoch 1: top1 {50 + options.mixup + options.model_ema + random.random():.4f}, lr: 0.1")
"""
COMMAND = ["python", "train.py", "--mixup", "0.2", "--model-ema", "--smoothing", "0.1"]


@pytest.fixture
def typed(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    return quick.taken_apart(COMMAND, (), ())


def test_the_run_without_a_metric_lists_numbers_and_counts(typed, tmp_path):
    file = tmp_path / "quick-train.yaml"
    quick.write(typed, file, "", "", 1, "")
    listed = quick.once(find(str(file), "a.db"), "a.db", View(quiet=True))
    assert [line.split()[0] for line in listed.splitlines()] == ["top1", "lr"]

    quick.write(typed, file, "top1", "", 1, "")
    planned = find(str(file), "a.db")
    assert [variant.name for variant in planned.plan.variants] == ["typed", "typed-mixup", "typed-'model-ema'"]
    assert not quick.take_up(planned, "a.db")
    execute(planned, "a.db", Options(workers=1), View(quiet=True))
    assert not any("share" in note for note in planned.plan.notes)
    with Store.open("a.db") as store:
        assert store.find("quick-train").record.registered == Registered(one=True), "the metric came after one run only"
        assert [(row.design, row.variant) for row in ablation(load(store)).rows] == [
            ("leave_one_out", "typed"),
            ("leave_one_out", "typed-mixup"),
            ("leave_one_out", "typed-'model-ema'"),
        ]
        attempts = [store.attempts(run.key) for run in planned.plan.runs]
    assert [len(tries) for tries in attempts] == [1, 1, 1]
    assert all(tries[0].counted for tries in attempts)
    values = [tries[0].metrics["top1"] for tries in attempts]
    assert [round(values[0] - value, 3) for value in values] == [0, 0.2, 1]


def test_a_metric_that_earlier_runs_do_not_have_is_told_with_the_reason(typed, tmp_path):
    file = tmp_path / "quick-train.yaml"
    quick.write(typed, file, "top1", "", 1, "")
    execute(find(str(file), "a.db"), "a.db", Options(workers=1), View(quiet=True))
    quick.write(typed, file, "top5", "", 1, "")
    assert "  typed:0: top5 is not found: there is lr, top1." in quick.take_up(find(str(file), "a.db"), "a.db")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([], "there is no command"),
        (["python", "trian.py"], "Did you mean 'train.py'"),
        (["SEED=1", "python", "train.py"], "sets a variable, as a shell does, and no shell runs"),
        (["python", "train.py", "--model-ema", "--mixup"], "--mixup is given no value"),
        (["bash", "run.sh"], "there is no file 'run.sh'"),
        (["python", "train.py", "--smoothing", "0.1"], "no option of the command is a trick"),
    ],
)
def test_a_command_with_nothing_to_leave_out_is_refused(typed, command, says):
    with pytest.raises(AblateError, match=says):
        quick.taken_apart(command, (), ())


def test_a_study_of_somebody_s_own_is_not_replaced(typed, tmp_path):
    (tmp_path / "mine.yaml").write_text("base: {}\n")
    with pytest.raises(AblateError, match="is not quick's"):
        quick.write(typed, tmp_path / "mine.yaml", "top1", "", 3, "")


def test_a_script_without_a_seed_is_told_how_one_gets_in(tmp_path, typed):
    (tmp_path / "train.py").write_text(SCRIPT.replace('"--seed"', '"--start"').replace("options.seed", "options.start"))
    without = quick.taken_apart(COMMAND, (), ())
    quick.write(without, tmp_path / "q.yaml", "top1", "", 3, "")
    with pytest.raises(AblateError, match=r"no option of train\.py is called as seeds are; name it with --seed OPTION"):
        quick.planned(without, tmp_path / "q.yaml", "a.db")
    quick.write(without, tmp_path / "q.yaml", "top1", "", 3, "--start")
    assert len(quick.planned(without, tmp_path / "q.yaml", "a.db").plan.runs) == 9
