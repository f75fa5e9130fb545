"""What is handed in, unpacked somewhere else and run there."""

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec

import called
import nbclient
import nbformat
import pytest
from plans import bare

from ablate.errors import AblateError
from ablate.identity import sha256_file
from ablate.runs import packed
from ablate.store.stored import StoredStudy, TestUse
from ablate.study.record import StartRecord, VariantRecord

TASK = """
import numpy
from mine.scores import score

def train(config, run):
    return {"score": score(config["x"]) + run.seed_for("noise") % 100}
"""
STUDY = """# Does x help?
# A second line.
study: handed in
task: my_task:train
base: {x: 0}
tricks: {ex: {set: {x: 1}}}
seeds: 3
metric: {name: score}
"""


def ablate(folder, *words, code=0):
    done = called.ablate(folder, *words)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def folder(tmp_path):
    there = tmp_path / "there"
    (there / "mine").mkdir(parents=True)
    (there / "my_task.py").write_text(TASK)
    (there / "mine" / "scores.py").write_text("def score(x):\n    return 100 * x\n")
    (there / "unrelated.py").write_text("raise RuntimeError('nobody asked for this')\n")
    (there / "study.yaml").write_text(STUDY)
    return there


def test_unpacked_somewhere_else_the_study_gives_the_same_numbers(folder, tmp_path):
    ablate(folder, "run", "study.yaml", "--set", "seeds=4")
    here = ablate(folder, "export")
    ablate(folder, "export", "--code", "out.zip")
    elsewhere = tmp_path / "elsewhere"
    zipfile.ZipFile(folder / "out.zip").extractall(elsewhere)
    assert "python -m ablate run study.yaml --set seeds=4" in (elsewhere / "README.md").read_text()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    words = [sys.executable, "-m", "ablate"]
    subprocess.run([*words, "run", "study.yaml", "--set", "seeds=4"], cwd=elsewhere, check=True, env=environment)
    found = subprocess.run(
        [*words, "export"], cwd=elsewhere, check=True, env=environment, capture_output=True, text=True
    )
    assert here == found.stdout, "keys and numbers are those of the first place"


def test_the_archive_holds_what_the_study_names_and_nothing_else_of_the_folder(folder):
    ablate(folder, "run", "study.yaml")
    ablate(folder, "export", "--code", "out.zip")
    archive = zipfile.ZipFile(folder / "out.zip")
    own = [name for name in archive.namelist() if not name.startswith("ablate/")]
    assert "MIT" in archive.read("ablate/LICENSE").decode(), "without its licence the source is not to be given on"
    assert ["README.md", "mine/scores.py", "my_task.py", "requirements.txt", "run.ipynb", "study.yaml"] == own
    requirements = archive.read("requirements.txt").decode().split()
    assert f"torch=={version('torch').partition('+')[0]}" in requirements
    assert f"numpy=={version('numpy')}" in requirements
    first = (folder / "out.zip").read_bytes()
    ablate(folder, "export", "--code", "out.zip")
    assert first == (folder / "out.zip").read_bytes()


@pytest.mark.slow
def test_private_plug_ins_a_loading_snippet_and_a_parent_study_are_packed(tmp_path):
    (tmp_path / "plugs" / "tricks").mkdir(parents=True)
    (tmp_path / "plugs" / "tricks" / "quiet.py").write_text(
        "from dataclasses import dataclass\nfrom ablate.training.trick import Trick\n\n@dataclass(frozen=True)\n"
        "class Quiet(Trick):\n    def after_step(self, memory, model, step):\n        return 1\n"
    )
    (tmp_path / "snippet.py").write_text(
        "import numpy as np\n\ndef load():\n    draw = np.random.default_rng(0)\n"
        "    return {'train': (draw.integers(0, 256, (60, 8, 8, 1), np.uint8), np.arange(60) % 3)}\n"
    )
    base = "base:\n  model: {name: vgg, width: 2, stages: 1, depth: 1}\n  epochs: 1\n"
    data = "  data: {name: function, load: 'snippet:load', dev_fraction: 0.5}\n"
    start = "tricks:\n  start: {set: {init: {study: first}}, category: transfer}\n  quiet: {use: quiet}\n"
    (tmp_path / "first.yaml").write_text(f"{base}{data}tricks: {{wide: {{set: {{model.width: 4}}}}}}\nseeds: 1\n")
    (tmp_path / "second.yaml").write_text(f"{base}{data}plugins: [plugs]\n{start}seeds: 1\n")
    ablate(tmp_path, "run", "second.yaml")
    ablate(tmp_path, "export", "--code", "out.zip")
    names = zipfile.ZipFile(tmp_path / "out.zip").namelist()
    assert {"first.yaml", "second.yaml", "snippet.py", "plugs/tricks/quiet.py"} <= set(names)


def test_what_cannot_be_packed_is_said_in_words(folder):
    (folder / "runs.csv").write_text("variant,seed,score\na,0,1\nb,0,2\n")
    words = ["--study=elsewhere", "--metric=score", "--better=higher", "--variant=variant", "--seed=seed"]
    ablate(folder, "import", "runs.csv", *words)
    assert "was not run from a study file" in ablate(folder, "export", "elsewhere", "--code", "out.zip", code=2)
    ablate(folder, "run", "study.yaml")
    (folder / "my_task.py").unlink()
    assert "there is no module 'my_task'" in ablate(folder, "export", "--code", "out.zip", code=2)
    assert not (folder / "out.zip").exists()


@pytest.mark.slow
def test_the_notebook_runs_from_its_first_cell_to_its_last(folder, tmp_path):
    ablate(folder, "run", "study.yaml")
    ablate(folder, "export", "--code", "out.zip")
    elsewhere = tmp_path / "colab"
    elsewhere.mkdir()
    (elsewhere / "out.zip").write_bytes((folder / "out.zip").read_bytes())  # uploaded, not unpacked
    text = zipfile.ZipFile(io.BytesIO((folder / "out.zip").read_bytes())).read("run.ipynb").decode()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(elsewhere)}}).execute()
    outputs = json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert "<table" in outputs
    assert "handed in" in outputs


def classified(tmp_path, monkeypatch, *, root="course", weights="pre.pt", text=""):
    """A stored study of classify that starts from a file of weights, in a folder that has it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pre.pt").write_bytes(b"weights")
    start = StartRecord(origin="the file pre.pt", sha256=sha256_file(tmp_path / "pre.pt"))
    config = {"data": {"name": "npz", "root": root}, "init": {"weights": weights}}
    variant = VariantRecord(name="A", tricks=(), config=config, starts_from=start)
    record = bare("s", question="Why?", variants=(variant,), file=str(tmp_path / "s.yaml"))
    return StoredStudy("s", text or "base: {epochs: 1}\n", record, "", 0.0)


def test_weights_that_a_study_starts_from_go_along_or_are_named_with_their_hash(tmp_path, monkeypatch):
    study = classified(tmp_path, monkeypatch)
    assert zipfile.ZipFile(io.BytesIO(packed.packed(study).content)).read("pre.pt") == b"weights"
    monkeypatch.setattr(packed, "MOST_WEIGHTS", 3)
    heavy = packed.packed(study)
    archive = zipfile.ZipFile(io.BytesIO(heavy.content))
    assert "pre.pt" not in archive.namelist()
    assert sha256_file(tmp_path / "pre.pt") in heavy.told[0]
    assert heavy.told[0] in archive.read("README.md").decode()
    (tmp_path / "pre.pt").write_bytes(b"others")
    with pytest.raises(AblateError, match="no longer what the runs started from"):
        packed.packed(study)


def test_weights_of_torchvision_are_named_with_how_to_come_by_them(tmp_path, monkeypatch):
    study = classified(tmp_path, monkeypatch)
    start = StartRecord(origin="torchvision's resnet18 (sha256 f37072fd)", sha256="f37072fd")
    variant = replace(study.record.variants[0], config={"init": {"torchvision": "resnet18"}}, starts_from=start)
    study = replace(study, record=replace(study.record, variants=(variant, replace(variant, name="B"))))
    done = packed.packed(study)
    (told,) = done.told
    assert "torchvision's resnet18 (sha256 f37072fd) are not packed: add `download: true`" in told
    requirements = zipfile.ZipFile(io.BytesIO(done.content)).read("requirements.txt").decode()
    assert ("torchvision==" in requirements) == (find_spec("torchvision") is not None)


def test_a_path_of_this_machine_is_told_by_its_line_and_in_code(tmp_path, monkeypatch):
    text = f"task: mine:train\nbase: {{x: 1, file: {tmp_path}}}\n"
    (tmp_path / "mine.py").write_text(
        f"HERE = {str(tmp_path)!r}\nELSE = '/no/such/place'\n\ndef train(config, run): ...\n"
    )
    told = packed.packed(classified(tmp_path, monkeypatch, text=text)).told
    assert [sentence.split(" names the absolute")[0] for sentence in told] == [
        "s.yaml:2:20: base.file",
        "mine.py:1:",
    ]


def test_the_notebook_has_a_cell_for_the_data_and_repeats_the_prediction_that_was_made(tmp_path, monkeypatch):
    study = classified(tmp_path, monkeypatch, root="/home/me/course")
    archive = zipfile.ZipFile(io.BytesIO(packed.packed(study, [TestUse("A", (3,))]).content))
    cells = ["".join(cell["source"]) for cell in json.loads(archive.read("run.ipynb"))["cells"]]
    assert any("DATA = 'course'" in cell for cell in cells), "by name: where it lay is nobody else's business"
    assert 'ablate("run", \'s.yaml\', "--set", f"data.root={DATA}")' in cells
    assert cells[-1] == 'ablate("predict", "--variant", "A", "--seed", "3", "-o", "submission.csv")'
    readme = archive.read("README.md").decode()
    assert "python -m ablate run s.yaml --set data.root=FOLDER" in readme
    assert "How to run the training loop" in readme
    assert "/home/me" not in readme
