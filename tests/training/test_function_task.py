"""A Python function as the task: found and hashed without being imported."""

import pytest

from ablate.errors import ConfigError
from ablate.records import TaskUse
from ablate.registry import Registry
from ablate.training.task import resolve


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(
        "raise RuntimeError('imported')\nimport helper\ndef train(config, run):\n    import late.deep\n    from . import x\n"
    )
    (tmp_path / "helper.py").write_text("import math\nfrom late import other\n")
    (tmp_path / "late").mkdir()
    (tmp_path / "late/__init__.py").write_text("")
    (tmp_path / "late/deep.py").write_text("from .sibling import value\n")
    (tmp_path / "late/sibling.py").write_text("value = 1\n")
    (tmp_path / "late/other.py").write_text("")
    (tmp_path / "unrelated.py").write_text("")
    return tmp_path


def task(folder, target="mine:train"):
    return resolve(TaskUse("function", {"target": target}), Registry(), (str(folder),))


def test_every_file_of_the_users_that_the_task_imports_is_a_source_and_no_other(folder):
    expected = ["helper.py", "late/__init__.py", "late/deep.py", "late/other.py", "late/sibling.py", "mine.py"]
    assert expected == [str(path).removeprefix(f"{folder}/") for path in task(folder).sources()]


def test_an_edit_of_an_imported_file_changes_the_code_and_an_unrelated_one_does_not(folder):
    before = task(folder).complete({}, (), Registry()).code
    (folder / "unrelated.py").write_text("1")
    assert before == task(folder).complete({}, (), Registry()).code
    (folder / "late/sibling.py").write_text("value = 2\n")
    assert before != task(folder).complete({}, (), Registry()).code


def test_the_folder_that_a_task_lies_in_is_no_part_of_its_code(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("moved")
    for path in folder.rglob("*.py"):
        target = other / path.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert task(folder).complete({}, (), Registry()).code == task(other).complete({}, (), Registry()).code


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mien:train", "there is no module 'mien'.*Did you mean 'mine'?"),
        ("mine:trian", "defines no 'trian'. Did you mean 'train'?"),
        ("mine:tr ain", "must be a task.s name or `package.module:function`"),
        ("../mine:train", "must be a task.s name or `package.module:function`"),
    ],
)
def test_a_task_that_does_not_exist_is_named_with_the_nearest_one(folder, target, message):
    with pytest.raises(ConfigError, match=message):
        task(folder, target).complete({}, (), Registry())


def test_a_module_that_does_not_parse_is_named_with_its_line(folder):
    (folder / "mine.py").write_text("def train(:\n")
    with pytest.raises(ConfigError, match=r"mine.py:1: "):
        task(folder).complete({}, (), Registry())


def code_of(target, folder):
    return dict(resolve(TaskUse.of(target), Registry(), (str(folder),)).complete({}, [], Registry()).code["task"])


def test_modules_of_a_package_elsewhere_on_the_path_are_part_of_the_code(tmp_path, monkeypatch):
    package = tmp_path / "src" / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "train.py").write_text("from mine.model import x\nfrom . import loss\ndef main(c, r): ...\n")
    (package / "model.py").write_text("x = 1\n")
    (package / "loss.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "src")
    assert {"__init__.py", "train.py", "model.py", "loss.py"} == set(code_of("mine.train:main", tmp_path / "studies"))


@pytest.mark.parametrize(
    "call",
    ["importlib.import_module(f'nets.{n}')", "importlib.import_module('.' + n, 'nets')", "pkgutil.iter_modules(p)"],
)
def test_modules_that_are_imported_by_name_are_part_of_the_code(tmp_path, call):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").write_text(f"import importlib, pkgutil\ndef net(n, p=()): return {call}\n")
    (tmp_path / "nets" / "tiny.py").write_text("")
    (tmp_path / "t.py").write_text("from nets import net\ndef main(c, r): ...\n")
    (tmp_path / "unrelated.py").write_text("")
    assert {"t.py", "__init__.py", "tiny.py"} == set(code_of("t:main", tmp_path))


def test_a_task_in_an_installed_package_is_found_and_no_package_is_imported_for_it(tmp_path, monkeypatch):
    package = tmp_path / "lib" / "inside"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "train.py").write_text("def main(c, r): ...\n")
    monkeypatch.syspath_prepend(tmp_path / "lib")
    assert "train.py" in code_of("inside.train:main", tmp_path)
    assert {"decoder.py"} <= set(code_of("json.decoder:JSONDecoder", tmp_path))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def main(): ...", "mine.py:1 takes nothing; a task's function takes (config, run). A script is run as it lies there by `task: {command: python mine.py {flags}}`."),
        ("import hydra\n@hydra.main(config_path=None)\ndef main(cfg): ...", "reads the command line (@hydra.main)"),
        ("def main(config): ...", "takes (config); a task's function takes (config, run)."),
        ("def main(config, run, extra): ...", "takes (config, run, extra);"),
        ("def main(config, run, *, extra): ...", "takes (config, run, extra=);"),
        ("async def main(config, run): ...", "is `async`"),
    ],
)  # fmt: skip
def test_a_function_that_cannot_be_called_with_config_and_run_is_refused_in_the_plan(tmp_path, source, message):
    (tmp_path / "mine.py").write_text(source + "\n")
    with pytest.raises(ConfigError) as refused:
        task(tmp_path, "mine:main").complete({}, (), Registry())
    assert message in str(refused.value)


@pytest.mark.parametrize("takes", ["config, run", "c, r=None", "*both", "config, /, run, extra=1", "config, *rest"])
def test_a_function_that_can_be_called_so_is_taken(tmp_path, takes):
    (tmp_path / "mine.py").write_text(f"def main({takes}): ...\n")
    task(tmp_path, "mine:main").complete({}, (), Registry())


TYPED = """
import dataclasses
import pydantic

print("what a module prints is no answer")

@dataclasses.dataclass
class Optimizer:
    name: str = "sgd"

@dataclasses.dataclass
class Config:
    lr: float
    epochs: int = 3
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)

class Model(pydantic.BaseModel, extra="forbid"):
    lr: float = pydantic.Field(gt=0)

def of_dataclass(config: Config, run): return {"lr": config.lr, "named": len(config.optimizer.name)}
def of_model(config: "Model", run) -> dict: return {"lr": config.lr}
"""


@pytest.fixture
def typed(tmp_path):
    from ablate.training import answers

    (tmp_path / "typed_h.py").write_text(TYPED)
    yield tmp_path
    answers.close()


def test_a_configuration_is_held_against_the_class_that_it_is_annotated_with(typed):
    one, other = task(typed, "typed_h:of_dataclass"), task(typed, "typed_h:of_model")
    one.complete({"lr": 1, "optimizer": {"name": "adam"}}, (), Registry())
    other.complete({"lr": 0.5}, (), Registry())
    with pytest.raises(ConfigError) as refused:
        one.complete({"lr": "0.1", "optimizer": {"nmae": "x"}, "epoch": 4}, (), Registry())
    assert {
        "optimizer.nmae": "Optimizer has no field 'nmae'; it has name. Did you mean 'name'?",
        "epoch": "Config has no field 'epoch'; it has lr, epochs or optimizer. Did you mean 'epochs'?",
        "lr": 'is "0.1"; it must be a number.',
    } == dict(refused.value.problems)
    with pytest.raises(ConfigError, match=r"lr: is -1; it must be above 0"):
        other.complete({"lr": -1}, (), Registry())


def test_it_is_passed_as_that_class(typed, monkeypatch):
    from ablate.records import RunSpec
    from ablate.training.task import Run

    spec = RunSpec(
        "k", TaskUse.of("typed_h:of_dataclass"), {"lr": 2, "optimizer": {"name": "adam"}}, (), 0, 1, "f", "c"
    )
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    assert {"lr": 2.0, "named": 4} == task(typed, "typed_h:of_dataclass").execute(Run(spec, Registry()))


def test_a_module_that_cannot_be_imported_is_said_of_the_task(typed):
    (typed / "typed_h.py").write_text("import nowhere_h\n" + TYPED)
    with pytest.raises(
        ConfigError, match="task: cannot be imported to learn what its `config` is: ModuleNotFoundError"
    ):
        task(typed, "typed_h:of_model").complete({"lr": 1}, (), Registry())
