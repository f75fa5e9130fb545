"""A task is a file with parameters: what a study writes of one, what its key holds, and what readers know of it."""

import ast
from pathlib import Path

import pytest

import ablate
from ablate.errors import StudyError
from ablate.records import TaskUse
from ablate.registry import Registry
from ablate.runs.planned import planned
from ablate.store.store import Store
from ablate.study.file import parse
from ablate.study.plan import make_plan
from ablate.terminal import cli

FALL = '''
"""Falls for so many rounds."""
from dataclasses import dataclass
from ablate.plugins import Completed, Count, Meaning, Task

@dataclass(frozen=True)
class Fall(Task):
    count: Count = 2
    deep: bool = False
    metrics = {"depth": Meaning("lower", "m", dev=True), "wind": Meaning("higher")}
    epochs = "rounds"

    def complete(self, config, tricks, registry):
        return Completed({"rounds": 4, **config}, dict(config), (), {})

    def execute(self, run):
        for _ in range(run.config["rounds"]):
            yield {"depth": -self.count * run.config.get("speed", 1.0), "wind": 0.5}
'''
STUDY = """
plugins: own
task: {name: fall, count: 3}
base: {speed: 1.0}
tricks: {fast: {set: {speed: 2.0}}}
seeds: 2
"""


def test_no_place_knows_a_task_by_its_name():
    ours = set(Registry().names("tasks")) - {"function"}  # a data set of that name is known to the one who packs it
    for path in Path(ablate.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                compared = {side.value for side in (node.left, *node.comparators) if isinstance(side, ast.Constant)}
                assert not ours & compared, f"{path}:{node.lineno}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "own" / "tasks").mkdir(parents=True)
    (tmp_path / "own" / "tasks" / "fall.py").write_text(FALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def study(folder, **changed):
    text = STUDY
    for old, new in changed.items():
        text = text.replace({"task": "{name: fall, count: 3}", "base": "{speed: 1.0}"}[old], new)
    return parse(text, "s.yaml", folder=folder)


def keys(folder, **changed):
    return {run.key for run in planned(study(folder, **changed), "none.db").plan.runs}


def test_a_study_names_a_task_as_one_word_as_a_function_or_with_parameters(folder):
    assert TaskUse("fall", {"count": 3}) == study(folder).task
    assert TaskUse("fall") == study(folder, task="fall").task
    assert TaskUse("function", {"target": "m:f"}) == TaskUse.of("m:f") == TaskUse.of(TaskUse.of("m:f").written)
    for written in ("classify", "m:f", {"name": "fall", "count": 3}):
        assert written == TaskUse.of(written).written


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("{name: fall, cuont: 3}", "3:20: task.cuont: task 'fall' has no parameter 'cuont'; it has count or deep. Did you mean 'count'?"),
        ("{name: fall, count: 0}", "3:27: task.count: is 0; it must be at least 1."),
        ("{name: fal}", "3:7: task: no task is called 'fal'; there is classify or fall. Did you mean 'fall'? A function is written package.module:function."),
        ("{count: 3}", '3:7: task: is {"count": 3}; it must be a name, package.module:function, a mapping with a command, or {name: NAME, PARAMETER: ...}.'),
        ("[fall]", '3:7: task: is ["fall"]; it must be a name, package.module:function, a mapping with a command, or {name: NAME, PARAMETER: ...}.'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_task_is_told_at_its_place(task, told, folder):
    with pytest.raises(StudyError) as error:
        study(folder, task=task)
    assert f"s.yaml:{told}" == str(error.value).split("\n")[0]


def test_a_key_holds_the_parameters_of_a_task_and_the_file_of_a_private_one(folder):
    three, four = keys(folder), keys(folder, task="{name: fall, count: 4}")
    assert not three & four
    (folder / "own" / "tasks" / "fall.py").write_text(FALL.replace("0.5", "0.6"))
    assert not three & keys(folder)


def test_a_study_that_names_no_metric_is_judged_by_the_first_that_its_task_reports(folder):
    assert ("depth", "lower") == (study(folder).metric.name, study(folder).metric.better)


def test_results_of_a_task_are_read_without_its_file(folder, capsys):
    (folder / "s.yaml").write_text(STUDY)
    with pytest.raises(SystemExit) as ended:
        cli.main(["--quiet", "run", "s.yaml"])
    assert 0 == ended.value.code, capsys.readouterr().err
    (folder / "own" / "tasks" / "fall.py").unlink()
    capsys.readouterr()
    for command, said in ((["table"], "depth (m) ↓"), (["report", "--methods"], "after the last epoch")):
        with pytest.raises(SystemExit) as ended:
            cli.main(command)
        shown = capsys.readouterr()
        assert (0, "") == (ended.value.code, shown.err)
        assert said in shown.out
    with Store.open("results/ablate.db") as store:
        assert "m" == store.find("s").record.facts.unit("depth")


def test_the_facts_of_a_task_go_into_its_plan(folder):
    asked = study(folder)
    own = planned(asked, "none.db")
    facts = make_plan(asked, Registry([folder / "own"]), own.task).record.facts
    assert ("rounds", True, False) == (facts.epochs, facts.dev("depth"), facts.dev("wind"))
