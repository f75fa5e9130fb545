"""Which variables of its environment a program reads, read from its source."""

import pytest

from ablate.scripts.variables import read

SHELL = """
# uses $NOTHING
: "${LR:=0.2}" "$DECAY"
nesterov=
local_only=1; for i in 1 2; do echo $i; done
python fit.py --lr "$LR" $nesterov $local_only '$QUOTED' $RANDOM ${DEPTH-3}
"""
PYTHON = """
import os
from os import environ, getenv
width = int(os.environ.get("WIDTH", "8"))
drop = float(getenv("DROP", 0.1))
if "FAST" in environ and os.environ["MODE"] == "a":
    os.environ["OMP_NUM_THREADS"] = "1"
wanted = "BY_NAME"
"""


def of(tmp_path, **texts):
    files = []
    for name, text in texts.items():
        files.append(tmp_path / name.replace("_", "."))
        files[-1].write_text(text)
    return read(files[0], files)


def test_a_shell_script_reads_what_it_does_not_set_itself(tmp_path):
    script = of(tmp_path, train_sh=SHELL)
    assert [(option.name, option.default) for option in script.options] == [
        ("LR", "0.2"),
        ("DECAY", None),
        ("DEPTH", "3"),
    ]
    assert script.complete


def test_a_python_script_reads_os_environ_and_what_it_makes_of_it_is_checked(tmp_path):
    script = of(tmp_path, train_py=PYTHON)
    assert [option.name for option in script.options] == ["WIDTH", "DROP", "FAST", "MODE"]
    assert dict(script.problems({"WIDTH": "big", "DROP": 0.2, "MOD": 1, "BY_NAME": 1})) == {
        "WIDTH": "is 'big'; WIDTH takes a whole number.",
        "MOD": "train.py reads no variable 'MOD'; it reads WIDTH, DROP, FAST, MODE. Did you mean 'MODE'?",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train_py", "import os\nx = os.environ['LR']\nshow(**os.environ)\n"),
        ("train_py", "import os\nx = os.environ['LR']\ny = os.environ[name]\n"),
        ("train_py", "import os, decouple\nx = os.environ['LR']\n"),
        ("train_sh", 'echo $LR\nvalue="${!name}"\n'),
        ("train_sh", "echo $LR\nenv | grep A\n"),
    ],
)
def test_where_names_cannot_be_seen_none_is_unknown(tmp_path, name, text):
    script = of(tmp_path, **{name: text})
    assert script.unread
    assert not list(script.problems({"OTHER": 1}))
