"""Golden keys: a change here asks every stored result anew, so it must be meant (and raise KEY_VERSION)."""

import pytest

from ablate.identity import canonical_json, run_key, sha256

ASKED = {
    "task": "classify",
    "config": {"model": {"name": "vgg", "width": 16}, "optimizer": {"lr": 0.1}},
    "tricks": [("mixup", {"alpha": 0.2})],
    "seed": 3,
    "threads": 1,
    "data": "d1",
    "code": {"loop": 1, "model:vgg": 1},
}


def test_the_key_of_a_run_stays_what_it_was():
    assert run_key(**ASKED) == "d4674823b7836a8c467437fd0a0bc76ac6cfc677aa5dc284f8caf65db53e9d42"


def test_the_key_of_a_run_with_a_parent_stays_what_it_was():
    assert run_key(**ASKED, parent="p") == "3b218e1aa8eed7b50578d084ef924bfccfee0e7defc472b2f69398898560df03"


def test_the_key_of_a_function_task_stays_what_it_was():
    asked = {"task": "mine:train", "config": {}, "tricks": [], "seed": 0, "threads": 1, "data": None, "code": {}}
    assert run_key(**asked) == "2e9cb5d18cf04903f262dc8d7148e8fcf7b605a15fe31c14c212b53eecd3f291"


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("task", "mine:train"),
        ("config", {"model": {"name": "vgg", "width": 17}, "optimizer": {"lr": 0.1}}),
        ("tricks", [("mixup", {"alpha": 0.4})]),
        ("tricks", []),
        ("seed", 4),
        ("threads", 2),
        ("data", None),
        ("code", {"loop": 2, "model:vgg": 1}),
        ("parent", "p"),
    ],
)
def test_every_part_of_what_is_asked_changes_the_key(part, other):
    assert run_key(**ASKED | {part: other}) != run_key(**ASKED)


def test_the_order_in_which_keys_were_written_does_not_change_the_key():
    turned = {"optimizer": {"lr": 0.1}, "model": {"width": 16, "name": "vgg"}}
    assert run_key(**ASKED | {"config": turned}) == run_key(**ASKED)


def test_the_order_in_which_tricks_act_changes_the_key():
    two = [("mixup", {"alpha": 0.2}), ("cutout", {"size": 4})]
    assert run_key(**ASKED | {"tricks": two}) != run_key(**ASKED | {"tricks": two[::-1]})


def test_canonical_json_is_sorted_tight_and_keeps_floats_apart_from_integers():
    assert canonical_json({"b": 1.0, "a": [1, None, "ü", 1e-4]}) == '{"a":[1,null,"ü",0.0001],"b":1.0}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_canonical_json_refuses_what_json_cannot_hold(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": [value]})


def test_text_and_its_bytes_have_the_same_hash():
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256("") == sha256(b"") == empty
    assert sha256("ü") == sha256("ü".encode())
