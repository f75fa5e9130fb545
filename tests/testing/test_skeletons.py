"""What `ablate new` writes, as a beginner would use it."""

import subprocess
import sys

import numpy as np
import pytest

from ablate.errors import AblateError
from ablate.testing.skeletons import KINDS, write
from ablate.testing.suite import cases

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
    assert {"tricks", "models", "datasets"} == {case.shelf for case in checks}
    for case in checks:
        case.check()


def test_a_study_of_nothing_but_skeletons_runs(tmp_path):
    folder = written(tmp_path)
    (folder / "mine.yaml").write_text(STUDY)
    done = subprocess.run(
        [sys.executable, "-m", "ablate", "run", "mine.yaml"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "base+my_trick" in done.stdout


def test_a_skeleton_replaces_nothing_and_takes_no_name_of_ablates_own(tmp_path):
    write("trick", "mine", tmp_path)
    with pytest.raises(AblateError, match="exists already"):
        write("trick", "mine", tmp_path)
    with pytest.raises(AblateError, match="ablate has a trick called 'cutout' already"):
        write("trick", "cutout", tmp_path)
    for bad in ("../mine", "My", "class", "_mine", "a-b", ""):
        with pytest.raises(AblateError, match="cannot be a trick's name"):
            write("trick", bad, tmp_path)
