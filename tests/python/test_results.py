"""A small study of a function that is called from Python, and everything that can be asked of its results."""

import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pandas as pd
import pytest

import ablate
from ablate.errors import AblateError, StudyError
from ablate.records import Row
from ablate.store.store import Store
from ablate.terminal import cli

HOSTILE = '<script>alert(1)</script> & "co"'

CELL = """
LEVEL = 50.0

def train(config, run):
    noise = (run.seed_for("noise") % 1000) / 1000
    for step in range(2):
        yield {"accuracy": LEVEL + 5 * config["a"] + noise * (1 + config["b"]) + step, "cost": noise}
"""
"""What a script or a cell has defined."""

WORDS = {
    "question": "Does <b>it</b> help?", "base": {"a": 0, "b": False}, "seeds": 3, "metric": "accuracy", "also": ["cost"],
    "tricks": {"a": {"a": 1}, HOSTILE: {"b": True}},
}  # fmt: skip


def defined():
    namespace = {"__name__": "__main__", "__file__": str(Path("script.py").resolve())}
    exec(compile(CELL, namespace["__file__"], "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Run once, from a thread that is not the main one, in a folder of its own."""
    before, folder = os.getcwd(), tmp_path_factory.mktemp("study")
    os.chdir(folder)
    (folder / "script.py").write_text(CELL)
    try:
        made = ablate.study(defined()["train"], **WORDS)
        thread = threading.Thread(target=made.run, kwargs={"workers": 2, "quiet": True})
        thread.start()
        thread.join()
        yield made
    finally:
        os.chdir(before)


def test_what_was_run_is_not_run_again_and_a_changed_constant_asks_anew(study):
    restarted = defined()
    again = ablate.study(restarted["train"], **WORDS).plan()
    assert (12, 0) == (again.total, again.todo)
    assert {"done"} == set(again.runs().state)
    restarted["LEVEL"] = 51.0
    changed = ablate.study(restarted["train"], **WORDS).plan()
    assert 12 == changed.todo
    assert "12 finished runs are not reused: train_code.py was edited" in str(changed)
    restarted["LEVEL"] = 50.0
    made = ablate.study(restarted["train"], **WORDS)
    assert 0 == made.plan().todo
    restarted["LEVEL"] = 51.0  # after the study was made, whose function would use it from now on
    assert 12 == made.plan().todo
    assert 0 == ablate.study(defined()["train"], **WORDS).plan().todo


def test_every_frame_has_its_columns_and_kinds(study):
    results = study.results()
    kinds = {name: str(kind) for name, kind in results.effects().dtypes.items()}
    text, number = "string", "float64"
    assert kinds == {
        "design": text, "variant": text, "compared_with": text, "tricks": text, "pairs": "Int64", "effect": number,
        "ci_low": number, "ci_high": number, "p": number, "p_adjusted": number, "verdict": text,
    }  # fmt: skip
    assert {name: str(kind) for name, kind in results.runs().dtypes.items()} == {
        "key": text, "study": text, "variant": text, "seed": "Int64", "role": text, "state": text, "reason": text,
        "attempts": "Int64", "accuracy": number, "cost": number,
    }  # fmt: skip
    assert {name: str(kind) for name, kind in results.curves().dtypes.items()} == {
        "variant": text, "seed": "Int64", "metric": text, "step": "Int64", "value": number,
    }  # fmt: skip
    table = results.table().df
    shown = [name for name in Row.__dataclass_fields__ if name not in ("also", "here", "examples")]
    assert [*shown, "cost_mean", "cost_std"] == list(table.columns)
    assert (text, "Int64", number, "boolean") == tuple(
        str(table[name].dtype) for name in ("qualifier", "n", "p", "inert" if "inert" in table else "identical")
    )
    assert {"key": text, "variant": text, "seed": "Int64", "state": text} == {n: str(k) for n, k in study.plan().runs().dtypes.items()}  # fmt: skip


def test_frames_hold_what_the_database_holds(study):
    results = study.results()
    runs, curves = results.runs(), results.curves(["accuracy"])
    assert 12 == len(runs)
    assert 24 == len(curves)
    last = curves[curves.step == 2].reset_index(drop=True)
    assert runs.set_index(["variant", "seed"]).accuracy.to_dict() == last.set_index(["variant", "seed"]).value.to_dict()
    effects = results.effects()
    whole = results.table().df.dropna(subset="compared_with").reset_index(drop=True)
    pd.testing.assert_series_equal(effects.effect, whole.delta, check_names=False)
    assert results.effects().effect.iloc[0] == pytest.approx(-5)


def test_a_hostile_name_stays_text_in_a_notebook(study):
    results = study.results()
    for shown in (study.plan(), results, results.table(view="matrix"), results.figure("effects")):
        page = shown._repr_html_()
        assert "<script" not in page
        assert "<b>it" not in page
    assert "&lt;script&gt;" in results._repr_html_()


def test_a_table_is_text_html_and_a_file(study, tmp_path):
    table = study.results().table(columns=["variant", "delta"], digits=1)
    assert str(table) == table.markdown()
    assert table.markdown().startswith("| variant")
    assert "accuracy ↑" not in table.markdown()
    assert "\\begin{tabular}" in table.latex()
    assert json.loads(study.results().table().save(tmp_path / "deep/t.json").read_text())["study"] == "train"
    with pytest.raises(AblateError, match=r"no column is called 'delat'.*Did you mean 'delta'"):
        study.results().table(columns="delat")
    with pytest.raises(AblateError, match=r"it must be variants, matrix.*Did you mean 'effects'"):
        study.results().table(view="effect")
    with pytest.raises(AblateError, match=r"the ending of .*t.xlsx says no format"):
        table.save(tmp_path / "t.xlsx")


def test_figures_and_reports_are_files(study, tmp_path):
    results = study.results()
    figure = results.figure("learning_curves", metric="cost", columns=2)
    assert figure.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert figure._repr_html_().count("<img") == 1
    assert "# " in results.report(tmp_path / "r.md").read_text()
    with pytest.raises(AblateError, match=r"the figure is 'efects'; it must be .*Did you mean 'effects'"):
        results.figure("efects")
    with pytest.raises(AblateError, match=r"figure effects: .*has no parameter 'colour'"):
        results.figure("effects", colour="red")


def test_a_database_is_opened_by_the_names_of_its_studies(study):
    database = ablate.open()
    assert ["train"] == list(database)
    assert "train" in database
    assert 1 == len(database)
    assert str(database["train"]) == str(study.results())
    with pytest.raises(AblateError, match=r"no study is called 'trian'.*Did you mean 'train'"):
        database["trian"]
    with pytest.raises(AblateError, match=r"there is no database at nowhere.db"):
        ablate.open("nowhere.db")


def test_the_commands_work_on_it_and_verify_executes_it_anew(study, capsys):
    def command(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(list(words))
        assert not ended.value.code
        return capsys.readouterr().out

    assert "bit-identical" in command("verify", "base:0")
    assert "0 to do" in command("plan", "train")
    command("export", "train", "--code", "packed.zip")
    assert {"train.yaml", "train_code.py"} <= set(zipfile.ZipFile("packed.zip").namelist())


def test_save_writes_the_module_beside_the_file_and_asks_for_the_same_runs(study, tmp_path):
    file = study.save(tmp_path / "mine.yaml")
    assert "train_code.py" in {path.name for path in tmp_path.iterdir()}
    with Store.open("results/ablate.db") as store:
        known = {cell.run for cell in store.cells("train")}
    assert known == set(ablate.load(file, set={"study": "other"}).plan().runs().key)


def test_workers_are_checked_as_the_command_checks_them(study):
    with pytest.raises(AblateError, match=r"workers is 0; it must be from 1 to 4096"):
        study.run(workers=0)


def test_a_function_of_a_module_of_the_users_is_named_and_not_written(tmp_path, monkeypatch):
    (tmp_path / "mine_h16.py").write_text("def train(config, run):\n    return {'score': 1.0}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import mine_h16

    study = ablate.study(mine_h16.train, base={"x": 0}, tricks={"x": {"x": 1}}, metric="score")
    assert "mine_h16:train" == study.record().task.written
    assert not (tmp_path / "results").exists()


def test_what_cannot_be_written_is_said_of_the_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=r"ablate.study: task: '<lambda>' cannot be written as a module.*with `def`"):
        ablate.study(lambda config, run: {}, base={"x": 0}, tricks={"x": {"x": 1}}, metric="score")
    assert not list(tmp_path.iterdir())


SCRIPT = """
import os, signal, threading, time
import ablate

def train(config, run):
    time.sleep(0.6 * run.seed)
    return {"score": float(run.seed + config["x"])}

study = ablate.study(train, base={"x": 0}, tricks={"x": {"x": 1}}, metric="score", seeds=[0, 9])
threading.Timer(4, os.kill, [os.getpid(), signal.SIGINT]).start()
try:
    study.run(workers=4)
except KeyboardInterrupt as stopped:
    print("stopped:", stopped)
print(study.plan().todo, "to do")
"""


@pytest.mark.slow
def test_from_a_text_without_a_guard_and_interrupted_what_is_done_is_kept(tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert "stopped: stopped; what is done is kept. Run it again to go on.\n2 to do\n" == done.stdout


def test_one_setting_of_several_has_results_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fits.py").write_text(
        "def fit(config, run):\n    return {'score': config['a'] + config['hard'] + run.seed}\n"
    )
    across = {"easy": {"hard": 0}, "hard": {"hard": 2}}
    made = ablate.study(
        "fits:fit", base={"a": 0, "hard": 0}, tricks={"a": {"a": 1}}, seeds=2, metric="score", across=across
    )
    results = made.run(quiet=True, workers=1)
    assert results.table(setting="hard").df["mean"].max() == 3.5
    assert list(results.within("easy").effects()["effect"]) == [-1]
    with pytest.raises(AblateError, match=r'has easy, hard: add setting="easy"'):
        results.table("effects")
