"""Recipes: programs that know nothing of ablate, each as it lies there with a study of at most fifteen lines."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ablate.runs.planned import find
from ablate.study.recipes import recipe, recipes

ROOT = Path(__file__).parents[2]
NAMES = [one.name for one in recipes()]
PACKAGES = (
    "click", "hydra-core", "lightgbm", "pytorch-lightning", "tensorboard", "tyro", "transformers", "accelerate",
)  # fmt: skip


def ablate(python, folder, *words):
    """The command in a process of its own, with the packages of `python`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, "-m", "ablate", *words], cwd=folder, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_there_is_a_recipe_for_each_of_ten_ways_to_write_a_training():
    ways = "boosting constants function hydra lightning numpy pytorch shell tensorboard trainer"
    assert ways.split() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_plans_as_it_lies_there(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    written = recipe(name).write(tmp_path)
    assert len(written[0].read_text().splitlines()) <= 15
    for script in [path for path in written if path.suffix == ".py"]:
        assert len(script.read_text().splitlines()) <= 60
        assert "ablate" not in script.read_text() or name == "function"
    planned = find(f"{name}.yaml", "a.db")
    assert len(planned.plan.runs) >= 6
    unread = [note for note in planned.plan.notes if "Not every option" in note]
    assert not unread or name == "trainer", (
        "the options of a dataclass of transformers are read where that is installed"
    )


def test_what_a_hydra_application_and_a_shell_script_use_is_in_the_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, file in (("hydra", "augmentation.py"), ("shell", "fit.py")):
        recipe(name).write(tmp_path / name)
        assert str(tmp_path / name / file) in find(f"{name}/{name}.yaml", "a.db").sources


def test_a_recipe_is_written_into_an_empty_folder_and_runs_there(tmp_path):
    said, _ = ablate(sys.executable, tmp_path, "init", "--recipe", "function")
    assert "ablate run function.yaml" in said
    table, _ = ablate(sys.executable, tmp_path, "-q", "run", "function.yaml", "--set", "seeds=2")
    assert "| base+averaging |   2 |" in table


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A Python that has what recipes take, beside all that this one has."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "base.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    done = subprocess.run(
        [folder / "bin/python", "-m", "pip", "install", "--quiet", *PACKAGES],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{', '.join(PACKAGES)} cannot be installed: recipes that take them are NOT tested: {done.stderr}")
    return folder / "bin/python"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_gives_its_table(tmp_path, installed, name):
    recipe(name).write(tmp_path)
    table, said = ablate(installed, tmp_path, "-q", "run", f"{name}.yaml")
    planned = find(f"{tmp_path / name}.yaml", str(tmp_path / "a.db"))
    rows = [line for line in table.splitlines() if line.startswith("| ") and "variant" not in line]
    assert len(rows) == len(planned.plan.runs) / len({run.seed for run in planned.plan.runs})
    assert not any("/" in row.split("|")[2] for row in rows), "every run is done"
    assert "not in the key" not in said + table


@pytest.mark.slow
def test_a_wheel_has_every_recipe(tmp_path):
    copy = tmp_path / "copy"  # building leaves a folder beside the sources, from which the next build takes files
    for name in ("ablate", "studies"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, copy]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no wheel can be built here, so that its recipes are NOT tested: {done.stderr}")
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for one in recipes():
        assert {f"ablate/recipes/{one.name}/{path}" for path in one.files} <= names
