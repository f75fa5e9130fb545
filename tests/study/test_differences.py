"""What changed between two things that were asked."""

import pytest

from ablate.study.changes import differences

ASKED = {
    "task": "classify",
    "config": {"model": {"name": "vgg", "width": 16}, "epochs": 3},
    "tricks": [["mixup", {"alpha": 0.2}]],
    "seed": 0,
    "threads": 1,
    "data": "ab",
    "code": {"loop": 1, "task": [["train.py", "01"], ["other.py", "02"]], "trick:mine": "ab"},
}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"config": {"model": {"name": "vgg", "width": 32}, "epochs": 3}}, "model.width was 16, is 32"),
        ({"config": {"model": {"name": "vgg", "width": 16}}}, "epochs was 3, is null"),
        ({"tricks": []}, 'the tricks were mixup {"alpha": 0.2}, are none'),
        ({"threads": 2}, "resources.threads was 1, is 2"),
        ({"data": "cd"}, "the data changed"),
        ({"code": ASKED["code"] | {"loop": 2}}, "ablate's loop is version 2, was 1"),
        ({"code": ASKED["code"] | {"task": [["train.py", "09"], ["other.py", "02"]]}}, "train.py was edited"),
        ({"code": ASKED["code"] | {"trick:mine": "cd"}}, "the code of trick mine was edited"),
    ],
)
def test_one_change_is_one_line_that_names_it(change, line):
    assert [line] == differences(ASKED, ASKED | change)


def test_what_is_equal_differs_in_nothing():
    assert [] == differences(ASKED, dict(ASKED))
