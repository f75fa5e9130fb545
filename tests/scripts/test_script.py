"""What a configuration gets wrong, said of options that were read."""

import pytest

from ablate.scripts.script import Option, Script
from ablate.scripts.style import read

LR = Option("lr", "--lr", "value", "float", 0.1, aliases=("-l",))
OPT = Option("opt", "--opt", "value", "text", "sgd", choices=("sgd", "adamw"))
EMA = Option("model-ema", "--model-ema", "flag", "bool", False)
BETAS = Option("betas", "--betas", "value", "float", None, nargs=2)
EPOCHS = Option("epochs", "--epochs", "value", "int", 3)
ON = Option("pretrained", "--pretrained", "flag", "bool", True)
AMP = Option("amp", "--amp", "value", "truthy", False)
SCRIPT = Script("train.py", "argparse", (LR, OPT, EMA, BETAS, EPOCHS, ON, AMP))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (
            "lrr",
            0.1,
            "has no option 'lrr'; it has lr, opt, model-ema, betas, epochs, pretrained, amp. Did you mean 'lr'?",
        ),
        ("lr", "high", "is 'high'; lr takes a number."),
        ("lr", True, "is true; lr takes a number."),
        ("lr", [0.1, 0.2], "one value, not a list"),
        ("opt", "adam", "is 'adam'; it must be sgd or adamw. Did you mean 'adamw'?"),
        ("model-ema", 0.9, "is 0.9; model-ema is a switch: true or false."),
        ("betas", [0.9], "takes a list of 2 values, not 1."),
        ("epochs", 1.5, "takes a whole number"),
        ("pretrained", False, "is false, but pretrained is on by default and nothing of the script's turns it off."),
        ("amp", False, "is false, but the script takes any text for true there (type=bool); null leaves amp out."),
    ],
)
def test_a_value_that_the_script_would_refuse_is_a_mistake_of_the_study(key, value, says):
    ((found, message),) = SCRIPT.problems({key: value})
    assert found == key
    assert says in message


def test_what_a_script_takes_is_no_mistake():
    assert not list(
        SCRIPT.problems({"l": 1, "lr": None, "opt": "sgd", "model-ema": True, "betas": [0.9, 1], "epochs": 3})
    )


def test_an_unknown_key_of_a_script_that_was_not_read_whole_passes():
    assert not list(Script("train.py", "argparse", (LR,), ("train.py:3: add_arguments(parser)",)).problems({"x": 1}))
    assert not list(Script("train.py").problems({"x": 1}))


def test_seed_and_output_are_found_by_the_names_that_scripts_give_them():
    seed = Option("train.seed", "--train.seed", "value", "int", 0)
    script = Script("t.py", "tyro", (seed, Option("out-dir", "--out-dir", "value")))
    assert script.seed is seed
    assert script.output.name == "out-dir"
    assert SCRIPT.seed is None
    assert (
        Script("t.py", "click", (Option("random-state", "--random-state", "value", "int", 0),)).seed.name
        == "random-state"
    )


def test_constants_at_the_top_level_are_options(tmp_path):
    (tmp_path / "t.py").write_text(
        "LR = 0.1\nlayers: int = 3\nname = 'a'\nsizes = (1, 2)\ndevice = pick()\n_private = 1\nif LR:\n    inside = 1\n"
        "top = {'at': (1, 2)}\nraw = [b'1']\n"
    )
    script = read(tmp_path / "t.py")
    assert script.style == "constants"
    assert [(o.name, o.type, o.default, o.computed) for o in script.options] == [
        ("LR", "float", 0.1, ""),
        ("layers", "float", 3, ""),
        ("name", "text", "a", ""),
        ("sizes", "", [1, 2], ""),
        ("device", "", None, "pick()"),
        ("top", "", {"at": [1, 2]}, ""),
        ("raw", "", None, "[b'1']"),
    ]
