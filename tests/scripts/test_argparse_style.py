"""Options of argparse programs: read, against what argparse itself says of the same programs."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import parser_truth
import pytest

from ablate.scripts.style import read

STDLIB = Path(sysconfig.get_path("stdlib"))
INSTALLED = Path(sysconfig.get_path("purelib"))


def programs(folder):
    """Files that make a parser, tests of packages apart."""
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder).parts
        if not {"test", "site-packages", "lib2to3"} & set(inside) and b"ArgumentParser(" in path.read_bytes():
            yield path


def truths(folder, paths, tmp_path, preload=""):
    code = f"{preload}\nimport sys, parser_truth; parser_truth.main(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(folder), *map(str, paths)]
    env = {"PYTHONPATH": str(Path(parser_truth.__file__).parent), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=env, check=True)
    for line in done.stdout.splitlines():
        told = json.loads(line)
        if told["options"]:
            yield Path(told["path"]), told["options"]


def compared(path, truth):
    """(missed, defaults read, defaults not read, defaults read wrongly) of a program, and what was read of it."""
    script = read(path)
    named = {(o.command, name): o for o in script.options for name in (*o.names, o.negation)}
    missed, right, unread, wrong = [], 0, [], []
    for told in {(tuple(t["command"]), tuple(t["names"])): t for t in truth}.values():
        option = next((o for name in told["names"] if (o := named.get((tuple(told["command"]), name)))), None)
        if option is None:
            missed.append(told["names"])
        elif option.computed:
            unread += [told["names"]] if told["known"] else []
        elif option.default == expected(told, option):
            right += 1
        else:
            wrong.append((told["names"], told["default"], option.default))
    return missed, right, unread, wrong, script


def expected(told, option):
    if option.kind in ("flag", "no") and told["flag"]:
        return told["given"]
    return told["default"] if told["known"] else told["as_typed"]


def check(told):
    count = missed = right = unread = 0
    for path, truth in told:
        gone, good, open_, wrong, script = compared(path, truth)
        assert not wrong, (path, wrong)
        assert not (gone and script.complete), f"{path}: options {gone} were passed over in silence"
        count, missed, right, unread = count + 1, missed + len(gone), right + good, unread + len(open_)
    options = right + unread + missed
    print(f"{count} programs, {options} options: {missed} missed, {unread} defaults that were not read")
    return count, missed / options, unread / (right + unread)


def test_options_of_the_standard_library_s_programs_are_those_that_argparse_says(tmp_path):
    count, missed, unread = check(truths(STDLIB, list(programs(STDLIB)), tmp_path))
    assert count >= 15
    assert missed == 0
    assert unread <= 0.05  # of http.server's folder only running tells


@pytest.mark.slow
def test_options_of_installed_programs_are_those_that_argparse_says(tmp_path):
    told = list(truths(STDLIB, list(programs(STDLIB)), tmp_path))
    told += truths(INSTALLED, list(programs(INSTALLED)), tmp_path, "import torch")
    count, missed, unread = check(told)
    assert count >= 60
    assert missed <= 0.01
    assert unread <= 0.01


TRAIN = '''
"""A training script as people write them."""
import argparse
import os
from pathlib import Path

import torch
from models import build
from options import add_common, MODELS

ROOT = Path(__file__).parent


def str2bool(text):
    return text.lower() in ("yes", "true", "1")


def add_bool_arg(parser, name, default=False, help=""):
    group = parser.add_mutually_exclusive_group()
    group.add_argument(f"--{name}", dest=name.replace("-", "_"), action="store_true", help=help)
    group.add_argument(f"--no-{name}", dest=name.replace("-", "_"), action="store_false")
    parser.set_defaults(**{name.replace("-", "_"): default})


def get_args():
    config_parser = argparse.ArgumentParser(add_help=False)
    config_parser.add_argument("-c", "--config", default="")
    known, rest = config_parser.parse_known_args()
    parser = argparse.ArgumentParser(parents=[config_parser])
    parser.add_argument("data", nargs="?", help="the folder")
    parser.add_argument("--lr", "--learning-rate", type=float, default=0.1, metavar="LR", help="step size (%(default)s)")
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--ema", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--pretrained", type=str2bool, default=False)
    parser.add_argument("--betas", nargs=2, type=float, default=(0.9, 0.999))
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--wrong-bool", type=bool, default=False)
    parser.add_argument("-v", action="count", default=0),  # a comma too many
    if known.config:
        parser.set_defaults(**load(known.config))
    for split in ("train", "dev"):
        parser.add_argument(f"--{split}-size", type=int, default=None)
    add_bool_arg(parser, "mixup", default=True, help="mix images")
    add_common(parser)
    parser.set_defaults(**{"seed": 7})
    return parser.parse_args()


def main():
    args = get_args()
    torch.manual_seed(args.seed)
    sizes = build(args.model)
    for size in sizes:
        args.best = train(args, size)


if __name__ == "__main__":
    main()
'''
OPTIONS = """
MODELS = ["small", "large"]
DEFAULTS = dict(epochs=3)


def add_common(parser):
    group = parser.add_argument_group("common")
    group.add_argument("--epochs", type=int, default=DEFAULTS["epochs"])
    group.add_argument("--seed", type=int, default=0)
"""


def test_what_training_scripts_do_with_argparse_is_read(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "options.py").write_text(OPTIONS)
    (tmp_path / "models.py").write_text("raise SystemExit('what only training asks for is not read')")
    script = read(tmp_path / "train.py")
    assert script.complete
    assert [Path(file).name for file in script.files] == ["train.py", "options.py"]
    told = {o.name: (o.kind, o.type, o.default or o.computed) for o in script.options}
    assert told == {
        "config": ("value", "text", ""),
        "data": ("position", "text", ""),
        "lr": ("value", "float", 0.1),
        "model": ("value", "text", "small"),
        "ema": ("no", "bool", True),
        "pretrained": ("value", "bool", ""),
        "betas": ("value", "float", [0.9, 0.999]),
        "root": ("value", "", str(tmp_path)),
        "workers": ("value", "int", "os.cpu_count()"),
        "device": ("value", "text", "'cuda' if torch.cuda.is_available() else 'cpu'"),
        "wrong-bool": ("value", "truthy", ""),
        "v": ("count", "int", ""),
        "train-size": ("value", "int", ""),
        "dev-size": ("value", "int", ""),
        "mixup": ("no", "bool", True),
        "no-mixup": ("flag", "bool", ""),
        "epochs": ("value", "int", 3),
        "seed": ("value", "int", 7),
    }
    assert script.option("learning-rate") is script.option("lr")
    assert script.option("lr").help == "step size (0.1)"
    assert script.option("ema").negation == "--no-ema"
    assert script.option("model").choices == ("small", "large")
    assert script.option("data").problem("data", 3) == ""
    assert script.seed.line == 9


@pytest.mark.parametrize(
    "code",
    [
        "import argparse, lib\np = argparse.ArgumentParser()\nlib.add_args(p)\np.parse_args()",
        "import argparse, lib\np = argparse.ArgumentParser()\nfor n in lib.names(): p.add_argument('--' + n)\np.parse_args()",
        "import lib\np = lib.get_parser()\np.add_argument('--lr')\np.parse_args()",
        "import argparse, lib\np = argparse.ArgumentParser(parents=[lib.base()])\np.parse_args()",
        "import argparse, lib\nif lib.x:\n    exit()\np = argparse.ArgumentParser()\np.add_argument(*lib.names())\np.parse_args()",
        "import argparse, lib\np = argparse.ArgumentParser()\ns = p.add_subparsers()\nfor c in lib.all():\n    c.add(s)\np.parse_args()",
        "from lib import main\nmain()\nfrom argparse import ArgumentParser\nclass P:\n  def add(self, p, x):\n    p.add_argument(x)",
    ],
)
def test_a_program_with_options_that_were_not_read_says_so(tmp_path, code):
    (tmp_path / "t.py").write_text(code)
    script = read(tmp_path / "t.py")
    assert not script.complete
    assert script.unread[0].startswith("t.py:")


def test_reading_executes_nothing(tmp_path):
    (tmp_path / "t.py").write_text(
        "import argparse\nopen('executed', 'w')\nprint('executed')\np = argparse.ArgumentParser()\n"
        "p.add_argument('--lr', default=__import__('os').getpid(), type=lambda t: open('executed', 'w'))\n"
        "p.add_argument('--n', default=exec('1/0'))\np.parse_args()\n1/0\n"
    )
    assert [o.name for o in read(tmp_path / "t.py").options] == ["lr", "n"]
    assert [path.name for path in tmp_path.iterdir()] == ["t.py"]


COMMANDS = """
class Command:
    @classmethod
    def add(cls, subparsers, parents):
        cls.add_args(subparsers.add_parser(cls.NAME, parents=parents))


class Train(Command):
    NAME = "train"

    @classmethod
    def add_args(cls, parser):
        parser.add_argument("--lr", type=float, default=0.1)
        parser.add_argument("--config", is_config_file=True)


class Predict(Command):
    NAME = "predict"

    @classmethod
    def add_args(cls, parser):
        parser.add_argument("--lr", choices=["none"])
"""


def test_options_of_subcommands_are_those_of_the_one_that_is_called(tmp_path):
    """Declared by classes of other modules, handed out by a package's __init__ and collected in a list."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").write_text("from .commands import Predict, Train\n")
    (tmp_path / "lib" / "commands.py").write_text(COMMANDS)
    (tmp_path / "main.py").write_text(
        "from configargparse import ArgumentParser\nfrom lib import Predict, Train\n\nALL = [Train, Predict]\n\n\n"
        "def build():\n    parser = ArgumentParser()\n    below = parser.add_subparsers(dest='mode')\n"
        "    parent = ArgumentParser(add_help=False)\n    parent.add_argument('-q', action='count', default=0)\n"
        "    for command in ALL:\n        command.add(below, [parent])\n    return parser\n\n\nbuild().parse_args()\n"
    )
    script = read(tmp_path / "main.py")
    assert script.complete
    assert script.commands == (("train",), ("predict",))
    train = script.within(["-q", "train", "--lr", "0.2"])
    assert [(o.name, o.command) for o in train.options] == [("q", ()), ("lr", ()), ("config", ())]
    assert not list(train.problems({"lr": 0.5}))
    assert "must be none" in dict(script.within(["predict"]).problems({"lr": 0.5}))["lr"]
    assert script.within(["other"]) is script
    assert "option of the command 'train' of main.py, which is not called" in dict(script.problems({"lr": 0.5}))["lr"]
