"""Planning: two studies of one process never meet."""

import subprocess
import sys

import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.runs.planned import find

LOADER = """
import numpy as np
def load():
    x = np.full((8, 8, 8, 3), LEVEL, np.uint8)
    return x, [0, 1] * 4, x, [0, 1] * 4
"""
TRICK = """
\"\"\"Nothing much.\"\"\"
from dataclasses import dataclass
from ablate.plugins import Trick

@dataclass(frozen=True)
class Mine(Trick):
    strength: float = STRENGTH
"""
STUDY = """
base: {epochs: 1, data: {name: function, load: "loader:load"}}
plugins: [plugins]
tricks: {mine: }
seeds: 1
"""
ALONE = (
    "import sys; from ablate.runs.planned import find; print([run.key for run in find(sys.argv[1], 'a.db').plan.runs])"
)


def keys(file):
    return [run.key for run in find(str(file), "a.db").plan.runs]


def test_two_studies_of_one_process_with_files_of_the_same_names_are_what_each_is_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = []
    for name, level in (("one", 1), ("other", 2)):
        folder = tmp_path / name
        (folder / "plugins" / "tricks").mkdir(parents=True)
        (folder / "loader.py").write_text(LOADER.replace("LEVEL", str(level)))
        (folder / "plugins" / "tricks" / "mine.py").write_text(TRICK.replace("STRENGTH", f"0.{level}"))
        (folder / "study.yaml").write_text(STUDY)
        files.append(folder / "study.yaml")
    together = [keys(file) for file in (*files, *files)]
    alone = [
        subprocess.run([sys.executable, "-c", ALONE, file], capture_output=True, text=True, check=True).stdout.strip()
        for file in files
    ]
    assert [*alone, *alone] == list(map(str, together))
    assert alone[0] != alone[1]


PARENT = "base: {epochs: 1, data: {name: npz, root: away}}\ntricks: {bn: {set: {model.norm: batch}}}\nseeds: 1\n"
CHILD = """
base: {epochs: 1, data: {name: npz, root: away}}
tricks: {warm: {set: {init: {study: parent.yaml, variant: full, head: new}}}}
seeds: 1
"""


def test_a_folder_that_both_studies_name_is_another_for_the_one_that_is_started_from_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    for part in ("train", "dev"):
        np.savez(f"here/{part}.npz", images=np.zeros((8, 8, 8, 3), np.uint8), labels=[0, 1] * 4)
    (tmp_path / "parent.yaml").write_text(PARENT)
    (tmp_path / "child.yaml").write_text(CHILD)
    (parent,) = find("child.yaml", "a.db", ["data.root=here"]).parents
    assert ("data.root=here",) == parent.overrides
    (tmp_path / "parent.yaml").write_text(PARENT.replace("away", "elsewhere"))
    with pytest.raises(StudyError, match=r"parent.yaml:1:\d+: base.data.root: elsewhere/train.npz does not exist"):
        find("child.yaml", "a.db", ["data.root=here"])
