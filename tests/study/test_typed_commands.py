"""What of a command line is a trick, what stays, and why."""

from dataclasses import replace

import pytest

from ablate.errors import AblateError
from ablate.scripts.script import Option, Script
from ablate.study.candidates import parts, parts_in_words, split

SCRIPT = Script(
    "train.py",
    "argparse",
    (
        Option("data", "data", "position", "text"),
        Option("mixup", "--mixup", "value", "float", 0.0),
        Option("model-ema", "--model-ema", "flag", "bool", False),
        Option("smoothing", "--smoothing", "value", "float", 0.1),
        Option("lr", "--lr", "value", "float", 0.05),
        Option("warmup", "--warmup", "value", "int", 5),
        Option("aa", "--aa", "value", "text", None),
        Option("flip", "--flip", "no", "bool", True, negation="--no-flip"),
        Option("betas", "--betas", "value", "float", None, nargs=2),
        Option("workers", "-j", "value", "int", None),
        Option("output", "--output", "value", "text", ""),
        Option("seed", "--seed", "value", "int", 0),
        Option("v", "-v", "count", "int", 0),
    ),
    unread=("train.py:3: add_more(parser)",),
)
WHOLE = replace(SCRIPT, unread=())


def taken(text, tricks=(), keep=()):
    found = parts(split(text.split(), SCRIPT), SCRIPT, tricks, keep)
    return {part.given.key or part.words: part for part in found}


def test_options_are_split_as_the_script_takes_them():
    given = split(
        [
            "photos",
            "--mixup=0.2",
            "--betas",
            "0.9",
            "-1",
            "--no-flip",
            "-j",
            "4",
            "--new",
            "1",
            "2",
            "--model-ema",
            "-3",
        ],
        SCRIPT,
    )
    assert [(one.key, one.value, one.words) for one in given] == [
        ("", None, ("photos",)),
        ("mixup", 0.2, ("--mixup=0.2",)),
        ("betas", [0.9, -1], ("--betas", "0.9", "-1")),
        ("flip", False, ("--no-flip",)),
        ("j", 4, ("-j", "4")),
        ("new", None, ("--new", "1", "2")),
        ("model-ema", True, ("--model-ema",)),
        ("", None, ("-3",)),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("photos", "an argument without a name"),
        ("--smoothing 0.1", "given at its default (0.1), so leaving it out changes nothing"),
        ("--lr 0.1", "a setting that every run has; --trick lr makes it one"),
        ("--warmup 10", "left out it is 5, another setting and not off; --trick warmup makes it one"),
        ("-j 4", "it says where or how, not what is learnt; --trick j makes it one"),
        ("--output x", "where it writes: every run gets a folder of its own"),
        ("--seed 3", "the seed: every run gets its own"),
        ("--new 1", "not read from train.py; --trick new makes it one"),
    ],
)
def test_what_leaving_out_would_not_turn_off_stays_and_says_why(text, why):
    (part,) = taken(text).values()
    assert (part.trick, part.why) == (False, why)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("--mixpu 0.2", "train.py has no option 'mixpu'; it has data, mixup, .*Did you mean 'mixup'"),
        ("--mixup much", "--mixup is 'much'; mixup takes a number"),
    ],
)
def test_what_the_script_would_refuse_is_refused_before_anything_runs(text, says):
    with pytest.raises(AblateError, match=says):
        parts(split(text.split(), WHOLE), WHOLE, (), ())


def test_options_may_be_abbreviated_and_hold_their_value_as_argparse_takes_them():
    given = split(["--model", "--mix", "0.2", "-j4", "--o=x", "-vv"], WHOLE)
    assert [(one.key, one.value) for one in given] == [
        ("model-ema", True), ("mixup", 0.2), ("j", 4), ("output", "x"), ("v", 2),
    ]  # fmt: skip


def test_what_leaving_out_turns_off_is_a_trick():
    found = taken("--mixup 0.2 --model-ema --aa rand --betas 0.9 0.99")
    assert {name: (part.trick, part.left_out) for name, part in found.items()} == {
        "mixup": (True, "0.0"),
        "model-ema": (True, "off"),
        "aa": (True, "nothing"),
        "betas": (True, "nothing"),
    }


def test_the_caller_may_say_otherwise():
    found = taken("--mixup 0.2 --lr 0.1 --new 1", tricks=["--lr", "new"], keep=["mixup"])
    assert [part.trick for part in found.values()] == [False, True, True]
    with pytest.raises(AblateError, match=r"--keep is 'mixp', which the command does not have.*Did you mean 'mixup'"):
        taken("--mixup 0.2", keep=["mixp"])


def test_three_variants_and_why_not_four():
    text = parts_in_words(list(taken("--mixup 0.2 --model-ema --smoothing 0.1").values()), 3)
    assert text.splitlines() == [
        "  --mixup 0.2      trick: left out it is 0.0",
        "  --model-ema      trick: left out it is off",
        "  --smoothing 0.1  stays: given at its default (0.1), so leaving it out changes nothing",
        "3 variants x 3 seeds: as typed, without --mixup 0.2, without --model-ema.",
    ]
