"""The GitHub Action and the pre-commit hook, on a clone of a repository with a committed table: their own lines, in a
shell, with what GitHub and pre-commit would fill in."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
RUNS = "variant,seed,accuracy\n" + "".join(f"{v},{s},{70 + 3 * (v == 'b') + s / 10 + (v == 'b') * s * s / 50}\n" for v in "ab" for s in range(5))  # fmt: skip


def read(name):
    return YAML(typ="safe").load((ROOT / name).read_text())


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone, and what its shell has: `ablate-studies` and `python` are this environment's."""
    folder = tmp_path_factory.mktemp("committed")
    made, cloned, programs = folder / "made", folder / "cloned", folder / "bin"
    for path in (made / "results", programs):
        path.mkdir(parents=True)
    for name, options in (("ablate-studies", "-m ablate"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {options} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment |= {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    (made / "runs.csv").write_text(RUNS)
    (made / "results/README.md").write_text("What was measured.\n")
    lines = f"""{programs}/ablate-studies import runs.csv --study mine --metric accuracy --better higher --variant variant --seed seed
        {programs}/ablate-studies table mine -o results/mine.md
        git init -q
        git add -A
        git commit -q -m tables
        git clone -q . {cloned}"""
    for line in lines.splitlines():
        subprocess.run(shlex.split(line), cwd=made, env=environment, check=True, capture_output=True)
    return cloned, environment


def stepped(step, inputs, clone):
    """A step of the Action, its expressions filled in."""
    folder, environment = clone
    known = {f"inputs.{name}": value for name, value in inputs.items()} | {"github.action_path": str(ROOT)}
    filled = {name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: known[found[1]], text) for name, text in step["env"].items()}  # fmt: skip
    assert "${{" not in step["run"], "what somebody else may have written reaches a shell by its environment alone"
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]], cwd=folder, env=environment | filled, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_action_passes_on_a_table_that_the_database_gives_and_fails_on_another(clone):
    action = read("action.yml")
    install, check = action["runs"]["steps"]
    inputs = {name: given["default"] for name, given in action["inputs"].items()}
    assert 0 == stepped(install, inputs | {"install": ""}, clone).returncode
    passed = stepped(check, inputs, clone)
    assert 0 == passed.returncode, passed.stderr
    assert "results/mine.md is what the database gives for mine." in passed.stdout
    assert "results/README.md: no study of the database is called README; not checked" in passed.stdout
    table = clone[0] / "results/mine.md"
    kept = table.read_text()
    table.write_text(kept.replace("0.", "9.", 1))
    failed = stepped(check, inputs, clone)
    assert 1 == failed.returncode
    assert "+| " in failed.stdout
    table.write_text(kept)
    nothing = stepped(check, inputs | {"tables": "papers/*.tex"}, clone)
    assert (1, True) == (nothing.returncode, "no table was checked" in nothing.stdout)


@pytest.mark.slow
def test_the_hook_does_the_same_with_the_files_that_it_is_given(clone):
    (hook,) = read(".pre-commit-hooks.yaml")
    folder, environment = clone
    files = [f"results/{path.name}" for path in sorted((folder / "results").iterdir())]
    files = [file for file in files if re.search(hook["files"], file) and not re.search(hook["exclude"], file)]
    assert ["results/mine.md"] == files

    def run():
        return subprocess.run([*shlex.split(hook["entry"]), *files], cwd=folder, env=environment, capture_output=True, check=False)  # fmt: skip

    assert 0 == run().returncode
    (folder / files[0]).write_text("| variant |\n")
    assert 1 == run().returncode
