"""Studies of a command: what they may say, what is a mistake and where, and what a run's key holds."""

import os
import shutil
import sys

import pytest
from commands import task_of

from ablate.errors import ConfigError, StudyError
from ablate.runs.planned import planned
from ablate.study.file import load

SCRIPT = """
import argparse, parts.model
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--optim.name", default="sgd")
parser.add_argument("--ema", action="store_true")
parser.add_argument("--out")
parser.add_argument("--seed", type=int, default=0)
"""
STUDY = """
task:
  command: python train.py {flags} --out {folder}
  flags: argparse
base: {lr: 0.1, ema: false}
tricks: {ema: {set: {ema: true}}}
seeds: 2
metric: {name: score, better: higher}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "model.py").write_text("WIDTH = 8\n")
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def study(folder, text=STUDY, *replaced):
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    (folder / "s.yaml").write_text(text)
    return folder / "s.yaml"


def plan(folder, text=STUDY, *replaced):
    return planned(load(study(folder, text, *replaced)), str(folder / "a.db")).plan


def keys(folder, text=STUDY, *replaced):
    return {(run.variant, run.seed): run.key for run in plan(folder, text, *replaced).runs}


def wrong(folder, *replaced):
    with pytest.raises(StudyError) as refused:
        plan(folder, STUDY, *replaced)
    return str(refused.value)


def test_a_key_is_one_option_dots_and_all(project):
    base = ("base: {lr: 0.1, ema: false}", "base: {optim: {name: adam}, lr: 0.0, ema: false}")
    configs = {variant.name: variant.completed.config for variant in plan(project, STUDY, base).variants}
    assert configs["base+ema"] == {"optim.name": "adam", "lr": 0.0, "ema": True}
    beside = ("base: {lr: 0.1, ema: false}", "base: {trainer: cpu, trainer.max_epochs: 1, ema: false}")
    known = ("  command", "  known_only: false\n  command")
    assert plan(project, STUDY, beside, known).variants[0].completed.config["trainer.max_epochs"] == 1


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("{flags} --out", "{flgs} --out", "3:12: task.command:", "Did you mean 'flags'?"),
        ("train.py", "trian.py", "3:12: task.command:", "Did you mean 'train.py'?"),
        ("python train.py", "pythn train.py", "3:12: task.command:", "no program 'pythn'"),
        ("  command", "  flag: no\n  command", "3:3: task.flag:", "Did you mean 'flags'?"),
        ("flags: argparse", "flags: hydar", "4:10: task.flags:", "'hydra'"),
        ("{flags} --out {folder}", "--out {folder}", "5:12: base.lr:", "reaches no argument"),
        ("{set: {ema: true}}", "{set: {emma: true}}", "6:22: tricks.ema.set.emma:", "Did you mean 'ema'?"),
        ("lr: 0.1, ema", "lr: 0.1, seed: 1, ema", "5:23: base.seed:", "is the seed"),
        (
            "flags: argparse\nbase: {lr: 0.1, ema",
            "flags: auto\nbase: {lr: 0.1, lrr: 1, ema",
            "base.lrr:",
            "Did you mean 'lr'?",
        ),
        ("lr: 0.1", "lr: fast", "5:12: base.lr:", "takes a number"),
        ("  command", "  cwd: nowhere\n  command", "3:8: task.cwd:", "is no folder"),
        ("  command", "  metrics: [{fil: x}]\n  command", "3:19: task.metrics.0.fil:", "Did you mean 'file'?"),
        ("  command", "  metrics: [{stdout: none}]\n  command", "3:22: task.metrics.0.stdout:", "names no number"),
        ("  command", "  derive: {acc: 'max(a, b)'}\n  command", "3:17: task.derive.acc:", "has a function"),
        ("  command", "  pass: [NO_SUCH_NAME]\n  command", "3:10: task.pass.0:", "environment does not have"),
        ("  command", "  sources: 'conf/*.yaml'\n  command", "3:12: task.sources:", "names no file"),
        ("  command", "  python: no-such-python\n  command", "3:11: task.python:", "no such program"),
        ("set: {ema: true}", "use: mixup", "6:1: tricks.0:", "is a trick of the task classify"),
    ],
)
def test_a_mistake_is_shown_at_its_place_with_the_nearest_name(project, old, new, place, message):
    said = wrong(project, (old, new))
    assert place in said
    assert message in said


def test_a_script_without_a_way_for_its_seed_is_a_mistake_that_names_the_remedies(project):
    (project / "train.py").write_text(SCRIPT.replace("--seed", "--sed"))
    said = wrong(project, ("command", "command"))
    assert all(remedy in said for remedy in ("seed: --seed", "{seed}", "seed: inject", "seed: none"))
    given = ("  command", "  seed: --sed\n  command")
    assert len(plan(project, STUDY, given).runs) == 4
    assert len(plan(project, STUDY, ("  command", "  seed: none\n  command")).runs) == 2


def test_a_key_holds_types_and_every_file_of_the_program(project):
    before = keys(project)
    assert len(set(before.values())) == 4
    assert keys(project, STUDY, ("lr: 0.1", "lr: 1.0")) != keys(project, STUDY, ("lr: 0.1", "lr: 1"))
    for path, text in ((project / "parts" / "model.py", "WIDTH = 16\n"), (project / "train.py", f"{SCRIPT}\n")):
        kept = path.read_text()
        path.write_text(text)
        assert not set(keys(project).values()) & set(before.values()), path
        path.write_text(kept)
    assert keys(project) == before


def test_files_that_the_command_or_a_trick_names_and_sources_and_data_are_part_of_the_key(project):
    for name in ("a.cfg", "b.cfg", "more.txt", "set.bin"):
        (project / name).write_text("1")
    changes = (
        ("--out {folder}", "--optim.name a.cfg"), ("set: {ema: true}", "set: {ema: true, optim.name: b.cfg}"),
        ("base: {", "base: {optim.name: x, "), ("  command", "  sources: [more.txt]\n  data: set.bin\n  command"),
    )  # fmt: skip
    changes = (*changes[1:], ("--out {folder}", "--out a.cfg"))
    before = keys(project, STUDY, *changes)
    for name, both in (("a.cfg", True), ("b.cfg", False), ("more.txt", True), ("set.bin", True)):
        (project / name).write_text("2 ")
        now = keys(project, STUDY, *changes)
        assert now["base+ema", 0] != before["base+ema", 0], name
        assert (now["base", 0] != before["base", 0]) == both, name
        (project / name).write_text("1")
        os.utime(project / name)
    assert keys(project, STUDY, *changes) == before


def test_variables_the_seed_and_the_command_change_a_key_and_places_and_patterns_do_not(project):
    before = keys(project)
    for new in ("env: {A: '1'}", "seed: none", "cwd: run"):
        assert not set(keys(project, STUDY, ("  command", f"  {new}\n  command")).values()) & set(before.values()), new
    assert keys(project, STUDY, ("train.py {flags}", "train.py -- {flags}")) != before
    for new in ("metrics: [{stdout: json}]", "derive: {a: b + 1}", "discard: '*.pt'", "python: python3", "step: epoch"):
        assert keys(project, STUDY, ("  command", f"  {new}\n  command")) == before, new
    moved = project.with_name("moved")
    shutil.copytree(project, moved)
    assert keys(moved) == before


@pytest.mark.parametrize("style", ["argparse", "no", "value", "equals", "hydra", "env", "globals", "file", "none"])
def test_in_every_style_two_variants_that_differ_have_two_keys(project, style):
    command = "python train.py {config}" if style == "file" else "python train.py {flags}"
    command = "python train.py {lr} {ema}" if style == "none" else command.replace(
        "{flags}", "" if style in ("env", "globals") else "{flags}"
    )  # fmt: skip
    (project / "train.py").write_text("lr = 0.1\nema = False\nseed = 0\n")
    seed = "seed" if style in ("globals", "env", "file", "hydra") else "--seed"
    text = STUDY.replace("python train.py {flags} --out {folder}", command)
    if style == "none":
        text = text.replace("{lr}", "{seed} {lr}")
    text = text.replace("  command", f"  known_only: false\n  seed: {seed}\n  command")
    text = text.replace("flags: argparse", f"flags: {style}")
    if style == "none":
        text = text.replace("  seed: --seed\n", "")
    assert len(set(keys(project, text).values())) == 4


def test_a_constant_that_the_script_does_not_assign_is_a_mistake(project):
    (project / "train.py").write_text("lr = 0.1\nseed = 0\n")
    said = wrong(project, ("flags: argparse", "flags: globals"), ("{flags} --out {folder}", ""))
    assert "base.ema: cannot be replaced" in said


def test_a_hydra_application_is_hashed_with_its_configuration(project):
    (project / "conf" / "model").mkdir(parents=True)
    (project / "conf" / "config.yaml").write_text("lr: 0.1\nema: false\nseed: 0\n")
    (project / "conf" / "model" / "a.yaml").write_text("width: 1\n")
    script = (
        "import hydra\n@hydra.main(version_base=None, config_path='conf', config_name='config')\ndef main(cfg): ...\n"
    )
    (project / "train.py").write_text(script)
    changed = [("flags: argparse", "flags: hydra\n  known_only: false\n  seed: seed")]
    before = keys(project, STUDY, *changed)
    (project / "conf" / "model" / "a.yaml").write_text("width: 2\n")
    assert not set(keys(project, STUDY, *changed).values()) & set(before.values())


@pytest.mark.parametrize("command", ["tool train {flags}", "python -m pkg.cli.main train {flags}"])
def test_options_of_a_program_of_an_installed_package_are_read(tmp_path, command):
    """Of another interpreter's, and of a package whose folders have no __init__.py."""
    site = tmp_path / "env" / "lib" / "python3.11" / "site-packages" / "pkg" / "cli"
    site.mkdir(parents=True)
    (tmp_path / "env" / "bin").mkdir()
    (tmp_path / "env" / "bin" / "python").symlink_to(sys.executable)
    (site / "main.py").write_text("""
from argparse import ArgumentParser
from pkg.cli.train import add
def main():
    parser = ArgumentParser()
    add(parser.add_subparsers().add_parser("train"))
    parser.parse_args()
""")
    (site / "train.py").write_text(
        "def add(p):\n    p.add_argument('--seed', type=int)\n    p.add_argument('--lr', type=float)\n"
    )
    tool = tmp_path / "env" / "bin" / "tool"
    tool.write_text(f"#!{tmp_path}/env/bin/python\nimport sys\nfrom pkg.cli.main import main\nsys.exit(main())\n")
    tool.chmod(0o755)
    task = task_of(tmp_path, command, python="env/bin/python")
    assert [option.name for option in task.read.options] == ["seed", "lr"]
    assert task.binding.name == "--seed"
    with pytest.raises(ConfigError, match="has no option 'lrr'"):
        task.check({"lrr": 0.1})


def test_variables_that_a_script_does_not_read_are_mistakes_unless_said_otherwise(project):
    (project / "train.sh").write_text('echo "${RATE:-0.1}" $SEED\n')
    text = STUDY.replace("python train.py {flags} --out {folder}", "sh train.sh").replace("argparse", "env")
    text = text.replace("lr: 0.1, ema: false", "RAET: 0.1, OMP_NUM_THREADS: 1, ema: false").replace("base", "base", 1)
    with pytest.raises(StudyError) as found:
        plan(project, text)
    said = str(found.value)
    assert "s.yaml:5:14: base.RAET: train.sh reads no variable 'RAET'" in said
    assert "Did you mean 'RATE'?" in said
    assert "OMP_NUM_THREADS" not in said
    assert len(plan(project, text.replace("  command", "  known_only: false\n  command")).runs) == 4
