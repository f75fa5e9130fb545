"""A configuration as arguments, variables, constants or a file: every row of the manual's table."""

import json
import tomllib

import pytest

from ablate.errors import ConfigError
from ablate.programs.rendering import rendered
from ablate.programs.template import filled, placeholders, unknown
from ablate.scripts.script import Option, Script

GIVEN = {"on": True, "off": False, "lr": 0.0, "n": 3, "name": "a b", "betas": [0.9, 0.99], "gone": None}


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("argparse", "--on --lr 0.0 -n 3 --name|a b --betas 0.9 0.99"),
        ("no", "--on --no-off --lr 0.0 -n 3 --name|a b --betas 0.9 0.99"),
        ("value", "--on True --off False --lr 0.0 -n 3 --name|a b --betas 0.9 0.99"),
        ("equals", "--on=True --off=False --lr=0.0 --n=3 --name=a_b --betas=[0.9,_0.99]"),
        ("hydra", "on=true off=false lr=0.0 n=3 name='a_b' betas=[0.9,0.99]"),
    ],
)
def test_a_style_writes_booleans_numbers_texts_and_lists_as_its_row_says(style, expected):
    words = [word.replace("_", " ") for part in expected.split(" ") for word in part.split("|")]
    words = " ".join(words).replace("a b", "a_b").replace("[0.9, 0.99]", "[0.9,_0.99]").split(" ")
    assert rendered(style, GIVEN).arguments == tuple(word.replace("_", " ") for word in words)


def test_other_styles_write_variables_constants_and_nothing():
    assert rendered("env", GIVEN).environment == {
        "on": "true", "off": "false", "lr": "0.0", "n": "3", "name": "a b", "betas": "0.9,0.99"
    }  # fmt: skip
    assert rendered("globals", GIVEN).constants == {key: value for key, value in GIVEN.items() if value is not None}
    assert rendered("none", GIVEN).arguments == ()


def test_a_file_holds_nested_keys_and_every_float_as_a_float():
    options = {"optim.lr": 1e-5, "optim.betas": [0.9, 1.0], "name": "no", "ema": False}
    nested = {"optim": {"lr": 1e-5, "betas": [0.9, 1.0]}, "name": "no", "ema": False}
    assert json.loads(rendered("file", options, "json").file) == nested
    assert tomllib.loads(rendered("file", options, "toml").file) == nested
    assert '"optim": {"lr": 1.0e-05, "betas": [0.9, 1.0]}' in rendered("file", options, "yaml").file  # YAML 1.1, too


@pytest.mark.parametrize(
    ("value", "word"),
    [("1e-3", "'1e-3'"), ("true", "'true'"), ("it's", r"'it\'s'"), ("a,b", "'a,b'"), ("${lr}", "${lr}"), ("", "''"),
     ("resnet18", "resnet18"), ("/data/x-1.txt", "/data/x-1.txt"), ([[1, 2], ["a"]], "[[1,2],[a]]")],
)  # fmt: skip
def test_hydra_reads_back_what_is_written(value, word):
    assert rendered("hydra", {"k": value}).arguments == (f"k={word}",)


def test_a_text_that_looks_like_an_option_is_written_as_one_word():
    assert rendered("argparse", {"name": "-x", "n": "-1"}).arguments == ("--name=-x", "-n-1")


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], [[1, 2]]])
def test_what_arguments_cannot_write_is_refused(value):
    with pytest.raises(ConfigError, match="k: is"):
        rendered("argparse", {"k": value})


def test_what_a_script_says_of_its_options_decides_how_each_is_written():
    options = [
        Option("on", "--on", "flag"), Option("off", "--off", "no", "bool", negation="--disable-off"),
        Option("v", "-v", "count", "int"), Option("tag", "--tag", "repeat"), Option("amp", "--amp", "value", "bool"),
        Option("data", "data", "position"), Option("LR", "LR", "globals"),
    ]  # fmt: skip
    given = {"on": True, "off": False, "v": 2, "tag": ["a", "b"], "amp": False, "data": "d", "LR": 0.5, "new": 1}
    made = rendered("auto", given, script=Script("t.py", "argparse", tuple(options)))
    assert " ".join(made.arguments) == "d --on --disable-off -v -v --tag a --tag b --amp False --new 1"
    assert made.constants == {"LR": 0.5}


def test_braces_that_hold_anything_else_than_a_name_stay():
    text = '{"a": {"b": 1}} ${seed} {0} {a, b} {{seed}} {{ {seed}'
    assert filled(text, {"seed": "7"}) == '{"a": {"b": 1}} ${seed} {0} {a, b} {seed} { 7'
    assert placeholders(text) == ("seed",)
    assert "Did you mean 'folder'?" in unknown("--out {foldr}", [])
