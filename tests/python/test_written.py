"""A function of a script as a module of its own: what is written, and what is refused by name. Nothing is executed."""

import pytest

from ablate.errors import ConfigError
from ablate.python.written import literal, used_in, written


@pytest.fixture
def main(tmp_path):
    """Executes a text as a script's `__main__` and gives its namespace."""

    def executed(text, name="script.py"):
        file = tmp_path / name
        file.write_text(text)
        namespace = {"__name__": "__main__", "__file__": str(file)}
        exec(compile(text, str(file), "exec"), namespace)
        return namespace

    return executed


SCRIPT = """
import math
import os.path as at, json
from collections import OrderedDict
from pathlib import Path

RATE = 0.1          # a comment that is no part of it
NAMES = {"b", "a"}
HERE = Path("data")
UNUSED = object()
model = object()


def twice(x):
    return 2 * x


@staticmethod
def _decorated(x): return x


class Noise(OrderedDict):
    scale: float = RATE

    def draw(self, x):
        return twice(x) * self.scale


def train(config, run, *, steps=len(NAMES)):
    # a comment inside is kept
    model = Noise()  # a local of the name of a global that could not be written
    return {"accuracy": math.pi + model.draw(config["x"]) + again(1), "here": str(HERE)}


def again(depth):
    return again(depth - 1) if depth else 0
"""


def test_a_module_has_what_the_function_uses_dependencies_first_and_nothing_else(main):
    module = written(main(SCRIPT)["train"])
    assert "train_code:train" == module.target
    assert (
        '''"""`train` and what it uses, written by ablate from where it is defined; edit it there."""

import math
import pathlib
from collections import OrderedDict

HERE = pathlib.Path('data')
NAMES = {'a', 'b'}
RATE = 0.1


def twice(x):
    return 2 * x


class Noise(OrderedDict):
    scale: float = RATE

    def draw(self, x):
        return twice(x) * self.scale


def again(depth):
    return again(depth - 1) if depth else 0


def train(config, run, *, steps=len(NAMES)):
    # a comment inside is kept
    model = Noise()  # a local of the name of a global that could not be written
    return {"accuracy": math.pi + model.draw(config["x"]) + again(1), "here": str(HERE)}
'''
        == module.text
    )


def test_what_is_written_works_and_is_written_alike_when_it_is_written_again(main, tmp_path):
    module = written(main(SCRIPT)["train"])
    again = main(module.text, "again.py")
    assert main(SCRIPT)["train"]({"x": 3}, None) == again["train"]({"x": 3}, None)
    assert module.text == written(again["train"]).text


def test_a_constant_is_its_value_now(main):
    namespace = main("RATE = 1\ndef train(config, run):\n    return {'a': RATE}\n")
    namespace["RATE"] = 0.5
    assert "RATE = 0.5\n" in written(namespace["train"]).text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import numpy\nX = numpy.zeros((3, 4))\ndef train(c, r): return X", r"uses 'X', a numpy.ndarray of shape \(3, 4\); make or load it inside"),
        ("import numpy\nX = numpy.float64(2)\ndef train(c, r): return X", r"uses 'X', a numpy.float64; write it as a plain number"),
        ("def make():\n  k = 1\n  def train(c, r): return k\n  return train\ntrain = make()", "'train' uses 'k' of the function around it; make them keys of `base`"),
        ("def make():\n  def train(c, r): return 1\n  return train\ntrain = make()", "'train' is defined inside a function"),
        ("loss = lambda x: x\ndef train(c, r): return loss(1)", "'loss' is a lambda; write it with `def`"),
        ("def train(c, r): return undefined(1)", "'train' uses 'undefined', which is not defined"),
        ("class M:\n  state_dict = 1\nmodel = M()\ndef train(c, r): return model", "uses 'model', a M; make it inside the function, so that every run starts anew"),
        ("DATA = list(range(9999))\ndef train(c, r): return DATA", "'DATA' is a constant of 58884 characters; write it into a file"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_by_name_with_what_to_do(main, text, message):
    with pytest.raises(ConfigError, match=message):
        written(main(text)["train"])


def test_everything_that_cannot_be_written_is_said_at_once(main):
    with pytest.raises(ConfigError) as refused:
        written(main("f = lambda: 1\ng = object()\ndef train(c, r): return f, g, h")["train"])
    assert 3 == len(refused.value.problems)


def test_a_function_whose_source_was_edited_since_is_refused(main, tmp_path):
    function = main("def train(c, r):\n    return 1\n")["train"]
    import linecache

    (tmp_path / "script.py").write_text("\n\ndef other(): ...\n")
    linecache.checkcache()
    with pytest.raises(ConfigError, match=r"the source of 'train' is not there"):
        written(function)


def test_postponed_annotations_stay_postponed(main):
    text = written(main("from __future__ import annotations\ndef train(c: dict, r): return 1\n")["train"]).text
    assert "from __future__ import annotations" in text


def test_a_decorated_function_is_written_with_its_decorator(main):
    text = "import functools\ndef timed(f):\n    @functools.wraps(f)\n    def inner(*a): return f(*a)\n    return inner\n@timed\ndef train(c, r):\n    return 1\n"
    assert written(main(text)["train"]).text.endswith("@timed\ndef train(c, r):\n    return 1\n")


def test_a_module_that_only_this_process_finds_is_refused_with_what_to_do(main, tmp_path, monkeypatch):
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside/only_here_h.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "aside"))
    with pytest.raises(ConfigError, match=r"finds a module in .*aside, and a run would not: start there"):
        written(main("import only_here_h\ndef train(c, r): return only_here_h.x")["train"])


def test_names_are_told_as_python_sees_them():
    text = "def f(a, b=default, *, c: kind = 1):\n    import inner\n    d = [x for x in outside if inner]\n    global state\n    state = b\n"
    assert ["default", "kind", "outside", "state"] == used_in(text)
    assert ["Base", "deco", "value"] == sorted(
        used_in(
            "@deco\nclass A(Base):\n    x = value\n    def m(self): return A, x2\n    x2 = 1\n".replace("x2", "self")
        )
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("inf"), 'float("inf")'), (frozenset(), "frozenset()"), ((1,), "(1,)"), ({"b": [1, None], 2: b"x"}, "{'b': [1, None], 2: b'x'}"),
        (range(3), "range(0, 3)"), (object(), None), ([object()], None), (True, "True"),
    ],
)  # fmt: skip
def test_constants_are_written_as_python_writes_them(value, expected):
    assert expected == literal(value)
