"""What `ablate new` writes, as a beginner would use it."""

import re

import called
import numpy as np
import pytest

from ablate.errors import AblateError
from ablate.records import TaskUse
from ablate.registry import PRIVATE, Registry
from ablate.terminal import cli
from ablate.testing.skeletons import KINDS, write
from ablate.testing.suite import cases
from ablate.training.task import resolve

STUDY = """
plugins: [plugins]
base:
  model: {name: my_model, width: 2}
  data: {name: my_dataset, root: files, dev_fraction: 0.5}
  epochs: 1
tricks:
  my_trick: {use: my_trick}
seeds: 1
"""
ITS_OWN_TASK = """
plugins: [plugins]
task: my_task
base: {steps: 10}
tricks:
  fast: {set: {rate: 0.6}}
  long: {set: {steps: 30}}
designs: [my_design, add_one_in]
seeds: 2
"""


def written(folder):
    for kind in KINDS:
        write(kind, f"my_{kind}", folder / "plugins")
    (folder / "files").mkdir()
    draw = np.random.default_rng(0)
    np.save(folder / "files" / "images.npy", draw.integers(0, 256, (64, 8, 8, 3), np.uint8))
    np.save(folder / "files" / "labels.npy", np.arange(64) % 4)
    return folder


def test_every_skeleton_passes_the_conformance_suite_as_it_is(tmp_path):
    folder = written(tmp_path)
    given = {"datasets/my_dataset": {"root": str(folder / "files"), "dev_fraction": 0.25}}
    checks = cases(folder / "plugins", given)
    assert set(PRIVATE) == {case.shelf for case in checks}
    for case in checks:
        case.check()


def test_there_is_a_skeleton_for_every_shelf_that_a_private_folder_may_have():
    assert sorted(PRIVATE) == sorted(shelf for shelf, _ in KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_skeleton_imports_nothing_of_ablate_but_the_door(kind, tmp_path):
    path, advice = write(kind, f"my_{kind}", tmp_path)
    for text in (path.read_text(), advice):
        assert {"ablate.plugins"} == set(re.findall(r"(?:from|import) (ablate\S*)", text))


@pytest.mark.parametrize(("text", "row"), [(STUDY, "base+my_trick"), (ITS_OWN_TASK, "full")])
def test_a_study_of_nothing_but_skeletons_runs(tmp_path, text, row):
    folder = written(tmp_path)
    (folder / "mine.yaml").write_text(text)
    done = called.ablate(folder, "run", "mine.yaml")
    assert done.returncode == 0, done.stderr
    assert row in done.stdout


def test_an_edited_task_gets_another_key(tmp_path):
    path, _ = write("task", "my_task", tmp_path)

    def code():
        registry = Registry([tmp_path])
        return resolve(TaskUse("my_task"), registry).completed({}, (), registry).code

    before = code()
    path.write_text(path.read_text().replace("0.05", "0.5"))
    assert before != code()


def test_a_skeleton_replaces_nothing_and_takes_no_name_of_ablates_own(tmp_path):
    write("trick", "mine", tmp_path)
    with pytest.raises(AblateError, match="exists already"):
        write("trick", "mine", tmp_path)
    with pytest.raises(AblateError, match="ablate has a trick called 'cutout' already"):
        write("trick", "cutout", tmp_path)
    for bad in ("../mine", "My", "class", "_mine", "a-b", ""):
        with pytest.raises(AblateError, match="cannot be a trick's name"):
            write("trick", bad, tmp_path)


def test_list_shows_what_a_private_folder_may_have_and_says_what_cannot_be_used(tmp_path, capsys):
    for kind in KINDS:
        write(kind, f"my_{kind}", tmp_path)
    for shelf in ("tables", "figures"):
        (tmp_path / shelf).mkdir()
        (tmp_path / shelf / "mine.py").write_text('"""One of mine."""')
        with pytest.raises(SystemExit):
            cli.main(["list", shelf, "--plugins", str(tmp_path)])
        shown = capsys.readouterr()
        assert "mine" not in shown.out
        assert f"{tmp_path}/{shelf}/mine.py cannot be used: a private folder has designs, tricks" in shown.err
    for kind, (shelf, _) in KINDS.items():
        with pytest.raises(SystemExit):
            cli.main(["list", shelf, "--plugins", str(tmp_path)])
        assert f"\nmy_{kind}" in capsys.readouterr().out
