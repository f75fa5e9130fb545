"""Studies written for a script: `ablate init --from`."""

import re

import pytest

from ablate.errors import AblateError
from ablate.runs.planned import planned
from ablate.study import draft
from ablate.study.file import load, parse

SCRIPT = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--mixup", type=float, default=0.0, help="mix images")
parser.add_argument("--model-ema", action="store_true", help="average the weights")
parser.add_argument("--no-flip", action="store_true")
parser.add_argument("--opt", choices=["sgd", "adamw"], default="sgd")
parser.add_argument("--log-interval", type=int, default=10)
parser.add_argument("--output-dir", default="runs")
parser.add_argument("--seed", type=int, default=42)
parser.parse_args()
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(SCRIPT)
    (tmp_path / "photos").mkdir()
    return tmp_path / "code" / "train.py"


def test_a_study_of_a_script_tests_what_is_named_and_shows_the_rest_as_comments(script, tmp_path):
    text = draft.of_script(script, tmp_path / "s.yaml", "mixup=0.2,model-ema,opt=adamw", "accuracy")
    study = parse(text.replace("DATA", "photos"), "s.yaml", folder=tmp_path)
    assert study.base == {"mixup": 0.0, "model-ema": False, "opt": "sgd"}
    assert [dict(trick.levels[0].set) for trick in study.tricks] == [
        {"mixup": 0.2}, {"model-ema": True}, {"opt": "adamw"},
    ]  # fmt: skip
    assert study.task.params["command"] == "python code/train.py photos --output-dir {folder} {flags}"
    assert "  # mix images: number, 0.0 by default (off)" in text
    assert "  # average the weights: switch, off by default" in text
    assert "# seed: --seed" in text
    assert "log-interval" in text.splitlines()[-1]


def test_nothing_is_active_but_what_is_named(script, tmp_path):
    text = draft.of_script(script, tmp_path / "s.yaml", "", "val_loss")
    active = [
        line.partition(":")[0].strip()
        for line in text.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    assert active == ["task", "command", "seeds", "metric"]
    assert "metric: {name: val_loss, better: lower}" in text
    for line in ("base:", "mixup: 0.0", "tricks:", "model-ema: {set: {model-ema: true}}"):
        assert f"# {line}" in text


@pytest.mark.parametrize(
    ("tricks", "says"),
    [
        ("mixp=1", "Did you mean 'mixup'?"),
        ("mixup", "is no switch: say its value, as in --tricks mixup=VALUE. It is 0.0 by default."),
        ("opt", "say its value (sgd or adamw)"),
        ("opt=adm", "it must be sgd or adamw"),
        ("mixup={", "is no NAME=VALUE"),
    ],
)
def test_a_trick_that_the_script_cannot_have_is_refused(script, tmp_path, tricks, says):
    with pytest.raises(AblateError, match=re.escape(says)):
        draft.of_script(script, tmp_path / "s.yaml", tricks, "accuracy")


def test_a_script_without_a_seed_says_what_becomes_of_it(tmp_path):
    (tmp_path / "t.py").write_text("LR = 0.1\nDROPOUT = 0.0\nEPOCHS = 3\n")
    (tmp_path / "s.yaml").write_text(draft.of_script(tmp_path / "t.py", tmp_path / "s.yaml", "DROPOUT=0.5", "loss"))
    plan = planned(load(tmp_path / "s.yaml"), str(tmp_path / "a.db")).plan
    assert {variant.name: variant.completed.config for variant in plan.variants} == {
        "base": {"DROPOUT": 0.0},
        "base+DROPOUT": {"DROPOUT": 0.5},
    }


def test_a_plan_says_that_options_were_not_read(script, tmp_path):
    script.write_text(SCRIPT.replace("parser.parse_args()", "import lib\nlib.add(parser)\nparser.parse_args()"))
    text = draft.of_script(script, tmp_path / "s.yaml", "mixup=0.2", "accuracy").replace("DATA", "photos")
    (tmp_path / "s.yaml").write_text(text)
    notes = planned(load(tmp_path / "s.yaml"), str(tmp_path / "a.db")).plan.notes
    assert any(note.startswith("Not every option of train.py was read (train.py:13: lib.add") for note in notes), notes


def test_a_probe_asks_the_parser_itself_where_reading_is_not_enough(script, tmp_path):
    (script.parent / "lib.py").write_text(
        "def add(parser):\n    parser.add_argument('--cutmix', type=float, default=0.0)\n"
    )
    text = SCRIPT.replace("parser.parse_args()", "__import__('lib').add(parser)\nparser.parse_args()\n1/0\n")
    script.write_text(text)
    told = draft.of_script(script, tmp_path / "s.yaml", "cutmix=1.0", "accuracy", probe=True)
    assert "  cutmix: {set: {cutmix: 1.0}}" in told
    assert "# mixup: {set: {mixup: ...}}" in told
    script.write_text("raise ValueError('early')\n" + text)
    with pytest.raises(AblateError, match="came to no parser of argparse: ValueError: early"):
        draft.of_script(script, tmp_path / "s.yaml", "", "accuracy", probe=True)


def test_a_study_of_a_script_with_subcommands_is_about_the_one_that_has_the_tricks(tmp_path):
    (tmp_path / "tool.py").write_text("""
import argparse
parser = argparse.ArgumentParser()
below = parser.add_subparsers()
for name in ("predict", "train"):
    one = below.add_parser(name)
    one.add_argument("--seed", type=int, default=0)
train = one
train.add_argument("--mixup", type=float, default=0.0)
tune = below.add_parser("tune")
tune.add_argument("--trials", type=int, default=0)
parser.parse_args()
""")
    text = draft.of_script(tmp_path / "tool.py", tmp_path / "s.yaml", "", "accuracy")
    assert "  command: python tool.py train {flags}" in text
    assert "# Other commands of it: predict, tune." in text
    study = draft.of_script(tmp_path / "tool.py", tmp_path / "s.yaml", "trials=3", "accuracy")
    assert parse(study, "s.yaml", folder=tmp_path).task.params["command"] == "python tool.py tune {flags}"


def test_what_a_script_computes_is_no_candidate(tmp_path):
    (tmp_path / "train.py").write_text("import time\nLR = 0.1\nnet = make(LR)\nt0 = time.time()\n")
    text = draft.of_script(tmp_path / "train.py", tmp_path / "s.yaml", "", "accuracy")
    assert "# LR: {set: {LR: ...}}" in text
    assert "net" not in text.split("seeds:")[0]
    with pytest.raises(AblateError, match=r"cannot be read: No such file or directory\. Did you mean 'train\.py'\?"):
        draft.of_script(tmp_path / "trian.py", tmp_path / "s.yaml", "", "accuracy")


def test_a_study_of_a_shell_script_sets_the_variables_that_it_reads(tmp_path):
    (tmp_path / "run.sh").write_text(
        "LR=${LR:-0.1}\nFOLD=${FOLD:-007}\npython train.py --lr $LR --fold $FOLD --seed ${SEED:-0} --out $OUTPUT_DIR ${MIXUP:+--mixup}\n"
    )
    text = draft.of_script(tmp_path / "run.sh", tmp_path / "s.yaml", "MIXUP=1,LR=0.3", "accuracy")
    study = parse(text, "s.yaml", folder=tmp_path)
    told = {key: study.task.params[key] for key in ("command", "flags", "env")}
    assert told == {"command": "bash run.sh", "flags": "env", "env": {"OUTPUT_DIR": "{folder}"}}
    assert study.base == {"LR": 0.1, "MIXUP": None}
    assert '# FOLD: "007"' in text  # no number
    assert "# seed: SEED" in text
