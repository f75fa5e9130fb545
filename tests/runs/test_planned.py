"""Planning: two studies of one process never meet."""

import subprocess
import sys

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
