"""Options of scripts of every style but argparse: a program each, every option."""

import pytest

from ablate.scripts.style import read


def options(tmp_path, text, **files):
    (tmp_path / "train.py").write_text(text)
    for name, content in files.items():
        path = tmp_path / name.replace("__", "/").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    script = read(tmp_path / "train.py")
    assert script.complete, script.unread
    return script, {o.typed: (o.kind, o.type, o.computed or o.default) for o in script.options}


def test_options_of_click(tmp_path):
    script, found = options(
        tmp_path,
        """
import click
LR = 0.1

@click.command()
@click.argument("data")
@click.option("--lr", "-l", default=LR, help="step size")
@click.option("--model", type=click.Choice(["a", "b"]), default="a")
@click.option("--ema/--no-ema", default=True)
@click.option("--fast", is_flag=True)
@click.option("--size", multiple=True, type=int)
@click.option("--epochs", type=click.IntRange(1, 9), required=True)
@click.option("-v", "--verbose", count=True)
def main(**given):
    print(given)

if __name__ == "__main__":
    main()
""",
    )
    assert script.style == "click"
    assert found == {
        "data": ("position", "text", None),
        "--lr": ("value", "float", 0.1),
        "--model": ("value", "text", "a"),
        "--ema": ("no", "bool", True),
        "--fast": ("flag", "bool", False),
        "--size": ("repeat", "int", []),
        "--epochs": ("value", "int", None),
        "--verbose": ("count", "int", 0),
    }
    assert script.option("l").help == "step size"
    assert script.option("ema").negation == "--no-ema"
    assert script.option("model").choices == ("a", "b")


def test_options_of_typer(tmp_path):
    script, found = options(
        tmp_path,
        """
from enum import Enum
from typing import Annotated
import typer

class Model(str, Enum):
    small = "small"
    large = "large"

app = typer.Typer()

@app.command()
def train(
    data: str,
    lr: float = 0.1,
    weight_decay: Annotated[float, typer.Option(help="of weights")] = 0.01,
    ema: bool = False,
    mixup: bool = typer.Option(True, "--mixup/--plain"),
    model: Model = Model.small,
    sizes: list[int] = [1, 2],
    epochs: int = typer.Option(3, "--epochs", "-e"),
):
    pass

app()
""",
    )
    assert script.style == "typer"
    assert found == {
        "data": ("position", "text", None),
        "--lr": ("value", "float", 0.1),
        "--weight-decay": ("value", "float", 0.01),
        "--ema": ("no", "bool", False),
        "--mixup": ("no", "bool", True),
        "--model": ("value", "text", "small"),
        "--sizes": ("repeat", "int", [1, 2]),
        "--epochs": ("value", "int", 3),
    }
    assert script.option("mixup").negation == "--plain"
    assert script.option("weight-decay").help == "of weights"
    assert script.option("model").choices == ("small", "large")
    assert script.option("e") is script.option("epochs")


def test_options_of_absl(tmp_path):
    script, found = options(
        tmp_path,
        """
from absl import app, flags
FLAGS = flags.FLAGS
flags.DEFINE_float("lr", 0.1, "step size")
flags.DEFINE_integer("epochs", 3, "passes")
flags.DEFINE_bool("ema", False, "average")
flags.DEFINE_enum("model", "a", ["a", "b"], "which")
flags.DEFINE_list("sizes", "1,2", "sizes")
_NAME = flags.DEFINE_string("name", None, "name")
flags.DEFINE_multi_integer("seed", [0], "seeds")

def main(argv):
    print(FLAGS.lr)

app.run(main)
""",
    )
    assert script.style == "absl"
    assert found == {
        "--lr": ("equals", "float", 0.1),
        "--epochs": ("equals", "int", 3),
        "--ema": ("equals", "bool", False),
        "--model": ("equals", "text", "a"),
        "--sizes": ("equals", "text", ["1", "2"]),
        "--name": ("equals", "text", None),
        "--seed": ("equals", "int", [0]),
    }
    assert script.option("model").choices == ("a", "b")
    assert script.option("lr").help == "step size"


def test_options_of_tyro(tmp_path):
    script, found = options(
        tmp_path,
        '''
from __future__ import annotations
from dataclasses import dataclass, field
from typing import Literal, Optional
import tyro

@dataclass
class Optim:
    lr: float = 0.1
    """step size"""
    use_ema: bool = False

@dataclass
class Args:
    env_id: str  # which
    seed: int = 1
    optim: Optim = field(default_factory=Optim)
    model: Literal["a", "b"] = "a"
    sizes: list[int] = field(default_factory=lambda: [1, 2])
    betas: tuple[float, float] = (0.9, 0.999)
    limit: Optional[int] = None

def main():
    print(args.seed)

if __name__ == "__main__":
    args = tyro.cli(Args)
    for _ in range(args.seed):
        main()
''',
    )
    assert script.style == "tyro"
    assert found == {
        "--env-id": ("value", "text", None),
        "--seed": ("value", "int", 1),
        "--optim.lr": ("value", "float", 0.1),
        "--optim.use-ema": ("no", "bool", False),
        "--model": ("value", "text", "a"),
        "--sizes": ("value", "int", [1, 2]),
        "--betas": ("value", "float", [0.9, 0.999]),
        "--limit": ("value", "int", None),
    }
    assert len(script.options) == len(found)
    assert script.option("optim.use-ema").negation == "--optim.no-use-ema"
    assert script.option("optim.lr").help == "step size"
    assert script.option("env_id").help == "which"
    assert script.option("betas").nargs == 2


HUGGING_FACE = """
from dataclasses import dataclass, field
from typing import Optional
from transformers import HfArgumentParser

@dataclass
class Model:
    model_name: str = field(metadata={"help": "which"})
    dropout: Optional[float] = field(default=0.1)
    use_fast: bool = True
    freeze: bool = False

@dataclass
class Data:
    max_len: int = 128
    splits: list[str] = field(default_factory=lambda: ["train", "dev"])

def main():
    parser = HfArgumentParser((Model, Data))
    model, data = parser.parse_args_into_dataclasses()

main()
"""


def test_options_of_hugging_face_s_parser(tmp_path):
    script, found = options(tmp_path, HUGGING_FACE)
    assert script.style == "dataclasses"
    assert found == {
        "--model_name": ("value", "text", None),
        "--dropout": ("value", "float", 0.1),
        "--use_fast": ("value", "bool", True),
        "--freeze": ("value", "bool", False),
        "--max_len": ("value", "int", 128),
        "--splits": ("value", "text", ["train", "dev"]),
    }
    assert script.option("model-name").help == "which"


def test_a_dataclass_that_is_not_installed_leaves_options_unread(tmp_path):
    text = HUGGING_FACE.replace("(Model, Data)", "(Model, TrainingArguments)")
    (tmp_path / "train.py").write_text(text.replace("HfArgumentParser\n", "HfArgumentParser, TrainingArguments\n", 1))
    script = read(tmp_path / "train.py")
    assert not script.complete
    assert script.option("dropout")


def test_a_dataclass_that_a_package_hands_out_among_others_is_read_from_its_source(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "lazy"
    package.mkdir(parents=True)
    lazily = "from .other import Other\n    from .deep import Arguments as TrainingArguments\n"
    (package / "__init__.py").write_text(f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {lazily}")
    (package / "other.py").write_text("class Other: ...\n")
    (package / "deep.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Arguments:\n    seed: int = 42\n    output_dir: str = 'out'\n"
    )
    monkeypatch.syspath_prepend(package.parent)
    text = HUGGING_FACE.replace("(Model, Data)", "(Model, TrainingArguments)")
    (tmp_path / "train.py").write_text(f"from lazy import TrainingArguments\n{text}")
    script = read(tmp_path / "train.py")
    assert script.complete
    assert (script.seed.default, script.output.typed) == (42, "--output_dir")


def test_options_of_draccus(tmp_path):
    _, found = options(
        tmp_path,
        """
from dataclasses import dataclass, field
import draccus

@dataclass
class Optim:
    lr: float = 0.1

@dataclass
class Config:
    optim: Optim = field(default_factory=Optim)
    ema: bool = False
    batch_size: int = 8

@draccus.wrap()
def main(cfg: Config):
    print(cfg)

main()
""",
    )
    assert found == {
        "--optim.lr": ("equals", "float", 0.1),
        "--ema": ("equals", "bool", False),
        "--batch_size": ("equals", "int", 8),
    }


def test_options_of_simple_parsing(tmp_path):
    script, found = options(
        tmp_path,
        """
from dataclasses import dataclass
from simple_parsing import ArgumentParser

@dataclass
class Options:
    lr: float = 0.1  # step size
    log_dir: str = "logs"
    ema: bool = False

parser = ArgumentParser()
parser.add_arguments(Options, dest="options")
args = parser.parse_args()
""",
    )
    assert found == {
        "--lr": ("value", "float", 0.1),
        "--log_dir": ("value", "text", "logs"),
        "--ema": ("value", "bool", False),
    }
    assert script.option("lr").help == "step size"
    assert script.output.name == "log_dir"


def test_options_of_hydra(tmp_path):
    script, found = options(
        tmp_path,
        """
import hydra

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    print(cfg)

if __name__ == "__main__":
    main()
""",
        conf__config_yaml="defaults:\n  - optim: sgd\n  - _self_\nseed: 3\nlr_twice: ${optim.lr}\noptim:\n  lr: 0.2\nname: ???\n",
        conf__optim__sgd_yaml="lr: 0.1\nnesterov: false\n",
        conf__optim__adam_yaml="lr: 0.001\n",
        conf__extra__long_yaml="# @package _global_\nepochs: 100\n",
    )
    assert script.style == "hydra"
    assert found == {
        "optim": ("hydra", "text", "sgd"),
        "optim.lr": ("hydra", "float", 0.2),
        "optim.nesterov": ("hydra", "bool", False),
        "seed": ("hydra", "float", 3),
        "lr_twice": ("hydra", "", "${optim.lr}"),
        "name": ("hydra", "", None),
        "extra": ("hydra", "text", None),
    }
    assert script.option("optim").choices == ("adam", "sgd")
    assert script.seed.name == "seed"
    assert {file.rpartition("/")[2] for file in script.files} == {
        "train.py",
        "config.yaml",
        "sgd.yaml",
        "adam.yaml",
        "long.yaml",
    }
    assert [key for key, _ in script.problems({"optim.lrr": 1, "+trainer.fast": 1, "hydra.verbose": 1})] == [
        "optim.lrr"
    ]


def test_options_of_hydra_s_store_of_dataclasses(tmp_path):
    _, found = options(
        tmp_path,
        """
from dataclasses import dataclass
import hydra
from hydra.core.config_store import ConfigStore

@dataclass
class Config:
    lr: float = 0.1
    ema: bool = False

cs = ConfigStore.instance()
cs.store(name="config", node=Config)

@hydra.main(version_base=None, config_name="config")
def main(cfg):
    print(cfg)

main()
""",
    )
    assert found == {"lr": ("hydra", "float", 0.1), "ema": ("hydra", "bool", False)}


HYDRA = "import hydra\n@hydra.main(config_path={}, config_name='c')\ndef main(cfg): pass\nmain()\n"


@pytest.mark.parametrize(
    ("text", "config"),
    [
        (HYDRA.format("lib.FOLDER"), b""),
        (HYDRA.format("'.'"), b"lr: \xff"),
        (HYDRA.format("'.'"), b"defaults: {optim: sgd}"),
        (
            "import argparse, enum\nclass E(enum.Enum):\n  a = [1]\np = argparse.ArgumentParser()\n"
            "p.add_argument('--lr', type=E.a)\np.parse_args()\n",
            b"",
        ),
    ],
)
def test_a_script_whose_library_would_not_take_what_it_is_given_is_not_read_whole(tmp_path, text, config):
    (tmp_path / "t.py").write_text(text)
    (tmp_path / "c.yaml").write_bytes(config)
    script = read(tmp_path / "t.py")
    assert script.style
    assert script.unread


def test_what_yaml_holds_and_json_does_not_is_an_expression_of_hydra_s_configuration(tmp_path):
    _, found = options(
        tmp_path, HYDRA.format("'conf'"), conf__c_yaml="defaults:\nlr: 0.1\nday: 2026-01-02\ntop: .inf\n"
    )
    assert found == {
        "lr": ("hydra", "float", 0.1),
        "day": ("hydra", "", "datetime.date(2026, 1, 2)"),
        "top": ("hydra", "float", "inf"),
    }
