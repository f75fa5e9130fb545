"""The arguments of `ablate.study`: the words, checks and messages of a study file, and the file that says the same."""

import dataclasses
import enum
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ablate
from ablate.errors import AblateError, StudyError
from ablate.python import asked
from ablate.python.called import in_python
from ablate.study.file import parse
from ablate.study.yaml_file import read, unfold

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), TEXT)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12)  # fmt: skip


@settings(max_examples=60)
@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4), TEXT)
def test_whatever_is_given_the_file_says_the_same(study, question):
    text = asked.text(" ".join(question.split()), asked.plain(study))
    root, problems = read(text, "x.yaml")
    assert not problems
    unfolded = unfold(root)
    assert study == unfolded.value
    assert (unfolded.switches, unfolded.numerals) == ({}, ()), "no text is one that a reader could take for more"


@dataclasses.dataclass
class Config:
    lr: float = 0.1
    sizes: tuple = (1, 2)


def test_values_of_python_become_those_of_a_file():
    import numpy as np

    given = {"base": Config(), "x": np.float64(0.5), "n": np.int64(3), "at": Path("a/b"), "none": None}
    assert {"base": {"lr": 0.1, "sizes": [1, 2]}, "x": 0.5, "n": 3, "at": "a/b", "none": None} == asked.plain(given)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": math.nan}, "ablate.study: base.a: is nan; a number must be finite."),
        ({"a": {1, 2}}, "ablate.study: base.a: is a set; it must be text, a number, True, False, None, a list or"),
        ({3: "x"}, "ablate.study: base: has the key 3, an int; keys are text."),
        ({"a": 2**64}, "ablate.study: base.a: is a whole number that does not fit 64 bits."),
        ({"a": enum.Enum("E", "x").x}, "E; it must be text, a number"),
    ],
)
def test_what_no_file_could_say_is_refused_by_its_argument(value, message):
    with pytest.raises(StudyError) as refused:
        ablate.study(base=value)
    assert message in str(refused.value)


BASE = {"model": {"name": "vgg", "width": 4}, "data": {"name": "digits"}, "epochs": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"tricks": {"mixup": {"use": "mixpu"}}},
        {"tricks": {"mixup": {}}, "seeds": "five"},
        {"tricks": {"batchnorm": {"set": {"model.nrom": "batch"}}}},
        {"tricks": {"mixup": {"st": {"epochs": 2}}}},
        {"tricks": {"mixup": {}}, "metric": "dev_acuracy", "weights": "some"},
        {"tricks": {"mixup": {}}, "designs": ["leave_one_ot"], "limits": {"attempts": 99}},
    ],
)  # fmt: skip
def test_a_mistake_is_what_a_study_file_would_be_told_but_for_its_line(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError) as of_call:
        ablate.study(study="s", base=BASE, **wrong)
    with pytest.raises(StudyError) as of_file:
        parse(asked.text("", asked.plain({"study": "s", "base": BASE, **wrong})), "s.yaml", folder=tmp_path)
    told = [(problem.path, problem.message) for problem in of_file.value.problems]
    assert sorted(told) == sorted((problem.path, problem.message) for problem in of_call.value.problems)
    assert all(str(problem).startswith("ablate.study: ") for problem in of_call.value.problems)


def test_a_trick_may_be_a_bare_patch_of_the_base_and_a_misspelt_one_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = ablate.study(
        study="s", base=BASE, tricks={"wide": {"model.width": 8}, "long": {"levels": {"two": {"epochs": 2}}}}
    )
    assert {"model.width": 8} == study.record().tricks[0].levels[0].set
    assert {"epochs": 2} == study.record().tricks[1].levels[0].set
    with pytest.raises(StudyError, match=r"ablate.study: tricks.wide.wdith: is no key of a trick"):
        ablate.study(study="s", base={"width": 1}, tricks={"wide": {"wdith": 2}})


def test_save_writes_what_load_reads_and_replaces_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = ablate.study(study="s", question="Does it\nhelp?", base=BASE, tricks={"mixup": {}}, seeds=[3, 5])
    file = study.save("deep/s.yaml")
    loaded = ablate.load(file)
    assert dataclasses.replace(loaded.record(), path="", positions={}) == dataclasses.replace(
        study.record(), path="", positions={}
    )
    assert "Does it help?" == loaded.record().question
    with pytest.raises(AblateError, match=r"s.yaml exists already and says otherwise"):
        ablate.study(study="s", base=BASE, tricks={"cutmix": {}}).save(file)
    with pytest.raises(AblateError, match=r"a study file ends in .yaml; did you mean s.txt.yaml"):
        study.save("s.txt")
    assert (0, 1, 2) == ablate.load(file, set={"seeds": 3}).record().seeds


def test_a_study_of_the_name_of_another_file_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ablate.study(study="s", base=BASE, tricks={"mixup": {}}).save("s.yaml")
    assert "s: 2 variants" in str(ablate.study(study="s", base=BASE, tricks={"mixup": {}}).plan())
    with pytest.raises(AblateError, match=r"s.yaml is a study of this name, and it says otherwise"):
        ablate.study(study="s", base=BASE, tricks={"cutmix": {}}).plan()


def test_a_command_and_a_task_are_one_too_many(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=r"ablate.study: command: stands beside a task"):
        ablate.study("classify", command="python x.py")
    with pytest.raises(StudyError, match=r"ablate.study: task: is a functools.partial; it must be a function written"):
        import functools

        ablate.study(functools.partial(print))


def test_a_command_names_the_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("import sys\nprint('loss', 1)\n")
    study = ablate.study(
        command="python train.py {flags} {seed}", base={"lr": 1}, tricks={"lr": {"lr": 2}}, metric="loss"
    )
    assert "train" == study.name
    assert "train: 2 variants" in str(study.plan())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ablate.study(trick={}), "ablate.study has no argument 'trick'; it has .*Did you mean 'tricks'?"),
        (lambda: ablate.load(), r"ablate.load was called wrongly: missing a required argument: 'path'"),
        (lambda: ablate.open(bd="a.db"), "ablate.open has no argument 'bd'; it has db."),
    ],
)
def test_a_wrong_argument_is_a_mistake_that_names_the_nearest(call, says):
    with pytest.raises(AblateError, match=says):
        call()


def test_messages_of_the_command_line_are_said_in_arguments():
    assert in_python("--view is 'x'; it must be a.") == "view is 'x'; it must be a."
    assert in_python("add --setting cifar-10, say.") == 'add setting="cifar-10", say.'
    typed = "`ablate run x --retry-failed --db a.db` trains it."
    assert typed == in_python(typed)
    assert (
        in_python("`ablate run STUDY` makes one, --db names another.")
        == "`ablate run STUDY` makes one, db= names another."
    )
