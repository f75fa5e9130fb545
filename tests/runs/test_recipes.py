"""Recipes: programs that know nothing of ablate, each as it lies there with a study of at most fifteen lines."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from commands import ROOT, ablate, python_with

from ablate.errors import AblateError
from ablate.runs.planned import find
from ablate.study import recipes as shelf
from ablate.study.recipes import recipe, recipes

NAMES = [one.name for one in recipes()]
PACKAGES = (
    "click", "hydra-core", "lightgbm", "pytorch-lightning", "tensorboard", "tyro", "transformers", "accelerate",
)  # fmt: skip


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
    return python_with(tmp_path_factory.mktemp("installed"), *PACKAGES)


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


CHEMPROP = """
# Does a deeper network help chemprop on alkanes with and without a group at their ends?
task:
  command: chemprop train -i mols.csv -o {folder} {flags} --accelerator cpu --num-workers 0
  seed: --pytorch-seed
base: {epochs: 3, message-hidden-dim: 32, ffn-hidden-dim: 32, depth: 2}
tricks: {deep: {set: {depth: 4}}}
seeds: 2
metric: {name: val_loss, better: lower}
""".lstrip()


@pytest.mark.slow
def test_somebody_s_program_of_more_than_100_options_runs_from_its_package(tmp_path):
    """chemprop: argparse in five subcommands, Lightning, numbers in TensorBoard's event files."""
    python = python_with(tmp_path / "python", "chemprop", "tensorboard")
    tails = {"": 0, "O": 2, "C(=O)O": -1, "c1ccccc1": 1.5}
    rows = [f"{'C' * n}{tail},{n + value}" for n in range(1, 31) for tail, value in tails.items()]
    (tmp_path / "mols.csv").write_text("\n".join(["smiles,y", *rows]) + "\n")
    (tmp_path / "wrong.yaml").write_text(CHEMPROP.replace("{epochs: 3,", "{epohcs: 3,"))
    refused = subprocess.run(
        [python, "-m", "ablate", "plan", "wrong.yaml"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    has = re.search(r"has no option 'epohcs'; it has (.*) and (\d+) more. Did you mean 'epochs'", refused.stderr)
    assert has, refused.stderr
    assert len(has[1].split(", ")) + int(has[2]) > 100
    (tmp_path / "chemprop.yaml").write_text(CHEMPROP)
    table, said = ablate(python, tmp_path, "-q", "run", "chemprop.yaml")
    assert re.search(r"\| base\+deep +\| +2 \|", table), table + said


MJLAB = """
# Does an entropy bonus help PPO to balance a cart pole?
task:
  command: python -m mjlab.scripts.train Mjlab-Cartpole-Balance {flags} --log-root {folder} --gpu-ids None
  seed: --agent.seed
base:
  agent.logger: tensorboard
  agent.max-iterations: 2
  env.scene.num-envs: 16
  agent.algorithm.entropy-coef: 0.0
tricks: {entropy: {set: {agent.algorithm.entropy-coef: 0.01}}}
seeds: 2
metric: {name: Loss/value, better: lower}
""".lstrip()


@pytest.mark.slow
def test_somebody_s_program_of_tyro_and_tensorboard_runs_from_its_package(tmp_path):
    """mjlab, on a CPU: ten minutes at the first time, in which it compiles its simulator's kernels."""
    python = python_with(tmp_path / "python", "mjlab", "tensorboard")
    (tmp_path / "mjlab.yaml").write_text(MJLAB)
    table, said = ablate(python, tmp_path, "-q", "run", "mjlab.yaml", "--workers", "1")
    assert re.search(r"\| base\+entropy +\| +2 \|", table), table + said


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


def test_a_checkout_without_symbolic_links_has_the_recipes_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "link").write_text(str(shelf.HOME.resolve()))
    monkeypatch.setattr(shelf, "HOME", tmp_path / "link")
    assert "shell" in {one.name for one in recipes()}
    (tmp_path / "link").write_text("../nowhere")
    with pytest.raises(AblateError, match="packed from a checkout without symbolic links"):
        recipes()
