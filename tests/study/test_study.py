"""The study file. What a bad one is told stands in bad_studies/cases.txt, one example after the other."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ablate.errors import ConfigError, StudyError
from ablate.records import Cell, Choice, DesignUse, Limits, Metric, Resources, TaskUse, TrickLevel, TrickUse
from ablate.registry import Registry
from ablate.study.cells import configuration, patched
from ablate.study.file import load, parse, schema, starter, task_of
from ablate.text import one_of, some_of
from ablate.training.recipe import OPTIMIZERS
from ablate.training.task import resolve

HERE = Path(__file__).parents[1]

EXAMPLE = """\
# Does batch norm help a small VGG,
# and does it still help next to dropout?
# yaml-language-server: $schema=.ablate-schema.json

study: batchnorm                      # default: the file's stem
base:
  model: {name: vgg, width: 16}
  data: {name: digits}
  optimizer: {name: sgd, lr: 0.1, momentum: 0.9}
  epochs: 10
  batch_size: 128
tricks:
  batchnorm: {set: {model.norm: batch}, category: batchnorm}
  mixup: {use: mixup, with: {alpha: 0.2}}
  optimizer:
    levels:
      adamw: {set: {optimizer: {name: adamw, lr: 1e-3}}}
      nesterov: {set: {optimizer.nesterov: true}}
    category: optimization
designs: [leave_one_out, {name: leave_one_out, of: [A]}]
variants:
  plain: []
  A: {set: {model: {name: vgg, depth: 1}}, tricks: [mixup, batchnorm]}
seeds: 5
metric: {name: dev_accuracy, better: higher, at: last, minimum_effect: 0.5}
also: [dev_loss, train_seconds, parameters]
rules: {tricks_per_variant: 2, categories_overall: 5, forbid_data: [cifar100]}
resources: {gpus: 1, runs_per_gpu: 2, threads: 1}
limits: {attempts: 3, timeout: 2h}
tune: {variant: best, trials: 40, space: {optimizer.lr: {low: 0.01, high: 1.0, log: true}}}
"""

BASE = "base: {epochs: 2}\ntricks:\n  bn: {set: {model.norm: batch}}\n"


def settings_of_classify():
    """What `base:` may hold, as the task says it."""
    with pytest.raises(ConfigError) as caught:
        resolve(TaskUse("classify"), Registry()).complete({"?": 1}, (), Registry())
    return re.search(r"it has (.*?)\.", str(caught.value))[1]


def told(text, **rest):
    """What a bad study is told, line by line."""
    with pytest.raises(StudyError) as caught:
        parse(text, "s.yaml", **rest)
    return str(caught.value).split("\n")


def told_of_file(path):
    with pytest.raises(StudyError) as caught:
        load(path)
    return str(caught.value)


# -------------------------------------------------------------------------------------------------------- what it means


def test_the_example_of_the_documentation_means_what_it_says():
    asked = parse(EXAMPLE, "studies/x.yaml", folder=Path("studies"))
    assert (asked.name, asked.path, asked.task) == ("batchnorm", "studies/x.yaml", TaskUse("classify"))
    assert asked.question == "Does batch norm help a small VGG, and does it still help next to dropout?"
    assert asked.base["optimizer"] == {"name": "sgd", "lr": 0.1, "momentum": 0.9}
    assert [(t.name, t.label, t.category) for t in asked.tricks] == [
        ("batchnorm", "", "batchnorm"),
        ("mixup", "mixup", "augmentation"),
        ("optimizer", "", "optimization"),
    ]
    assert asked.tricks[1].levels == (TrickLevel(None, {}, "mixup", {"alpha": 0.2}),)
    assert asked.tricks[2].choices == (Choice("optimizer", "adamw"), Choice("optimizer", "nesterov"))
    assert asked.tricks[2].levels[0].set == {"optimizer": {"name": "adamw", "lr": 0.001}}
    assert asked.designs == (DesignUse("leave_one_out"), DesignUse("leave_one_out", {"of": ["A"]}))
    assert [(v.name, v.tricks) for v in asked.variants] == [
        ("plain", ()),
        ("A", (Choice("batchnorm"), Choice("mixup"))),  # in the file's order of tricks
    ]
    assert asked.seeds == (0, 1, 2, 3, 4)
    assert asked.metric == Metric("dev_accuracy", "higher", "last", 0.5)
    assert asked.also == {"dev_loss": "lower", "train_seconds": "lower", "parameters": "lower"}
    assert asked.rules == {"tricks_per_variant": 2, "categories_overall": 5, "forbid_data": ["cifar100"]}
    assert (asked.resources, asked.limits) == (Resources(1, 2, 1), Limits(3, 7200.0))
    assert asked.tune["space"] == {"optimizer.lr": {"low": 0.01, "high": 1.0, "log": True}}


def test_a_study_of_one_trick_has_defaults_for_the_rest():
    asked = parse("tricks: {mixup: }", "my study.yaml")
    assert (asked.name, asked.question, asked.path) == ("my study", "", "")
    assert (asked.designs, asked.seeds) == ((DesignUse("leave_one_out"),), (0, 1, 2, 3, 4))
    assert asked.metric == Metric("dev_accuracy", "higher", "last", None)
    assert (asked.resources, asked.limits, asked.weights) == (Resources(None, 1, 1), Limits(3, None), "all")
    assert asked.tricks[0].levels == (TrickLevel(None, {}, "mixup", {}),)
    assert (dict(asked.analysis), asked.notes) == ({}, ())


def test_variants_listed_by_hand_take_the_place_of_the_default_design():
    assert parse(BASE + "variants: {plain: , A: [bn]}", "s.yaml").designs == ()


@pytest.mark.parametrize(
    ("written", "seeds"), [("3", (0, 1, 2)), ("[4, 0]", (4, 0)), ("{looks: [2, 4]}", (0, 1, 2, 3))]
)
def test_seeds_are_a_number_a_list_or_looks(written, seeds):
    assert parse(BASE + f"seeds: {written}", "s.yaml").seeds == seeds


def test_looks_are_kept_with_the_analysis_and_refuse_a_pooled_error():
    assert {"looks": [2, 4]} == parse(BASE + "seeds: {looks: [2, 4]}", "s.yaml").analysis
    assert {} == parse(BASE + "seeds: {looks: [4]}", "s.yaml").analysis, "one look is a plan like any other"
    (said,) = told(BASE + "seeds: {looks: [2, 4]}\nanalysis: {error: pooled}")
    assert "s.yaml:5:19: analysis.error: is 'pooled', and `seeds.looks` needs 'own'" in said


@pytest.mark.parametrize(
    "beside", ["seeds: {looks: [2, 4]}\nanalysis: {test: sign_flip}", "analysis: {test: sign_flip, error: pooled}"]
)
def test_a_sign_flip_test_refuses_looks_and_a_pooled_error(beside):
    (said,) = told(BASE + beside)
    assert "analysis.test: is 'sign_flip', which goes by own pairs and by all seeds at once." in said
    assert {"test": "sign_flip"} == parse(BASE + "analysis: {test: sign_flip}", "s.yaml").analysis


@pytest.mark.parametrize(
    ("written", "seconds"), [("90", 90.0), ("90s", 90.0), ("15m", 900.0), ("2h", 7200.0), ("1.5h", 5400.0)]
)
def test_a_timeout_is_a_number_of_seconds_or_has_a_unit(written, seconds):
    assert parse(BASE + f"limits: {{timeout: {written}}}", "s.yaml").limits.timeout_s == seconds


def test_the_name_of_a_metric_says_which_way_is_better_unless_the_study_does():
    text = "task: json:dump\nbase: {a: 1}\ntricks: {t: {set: {a: 2}}}\nmetric: test_error\n"
    asked = parse(text + "also: [f1, word_loss, {name: perplexity, better: lower}, test_error]", "s.yaml")
    assert asked.metric == Metric("test_error", "lower")
    assert asked.also == {"f1": "higher", "word_loss": "lower", "perplexity": "lower"}
    assert asked.notes == ("also: test_error is the study's metric and shown anyway.",)


def test_a_metric_of_unknown_direction_is_taken_for_higher_and_a_note_says_so():
    text = "task: json:dump\nbase: {a: 1}\ntricks: {t: {set: {a: 2}}}\nmetric: perplexity\n"
    asked = parse(text, "s.yaml")
    assert asked.metric.better == "higher"
    assert asked.notes == ("higher is taken for better of perplexity; if not: {name: perplexity, better: lower}.",)


def test_what_is_not_done_yet_is_kept_and_said():
    asked = parse(BASE + "placebo: true\nweights: none\nanalysis: {error: pooled}", "s.yaml")
    assert (dict(asked.analysis), asked.weights) == ({"error": "pooled", "placebo": True}, "none")
    assert asked.notes == ()


def test_a_trick_is_named_by_name_or_with_its_level_in_three_ways():
    levels = "{levels: {b=c: {set: {epochs: 3}}, c: {set: {epochs: 4}}}}"
    text = f"tricks: {{a: {levels}, 'a=b': {levels}, 'x=y': {{set: {{batch_size: 3}}}}}}\n"
    asked = parse(text + "variants: {A: ['a=b=c', 'x=y'], B: [{a: c}], C: [a=b=b=c], D: [{a=b: c}]}", "s.yaml")
    assert [variant.tricks for variant in asked.variants] == [
        (Choice("a=b", "c"), Choice("x=y")),
        (Choice("a", "c"),),
        (Choice("a=b", "b=c"),),
        (Choice("a=b", "c"),),
    ]


def test_places_are_those_of_keys_and_of_the_items_of_lists():
    at = parse(BASE + "variants:\n  A:\n    - bn\n", "s.yaml").positions
    assert {key: at[key] for key in ("base", "base.epochs", "tricks.bn.set.model.norm", "variants.A.0")} == {
        "base": (1, 1),
        "base.epochs": (1, 8),
        "tricks.bn.set.model.norm": (3, 14),
        "variants.A.0": (6, 7),
    }


def test_a_trick_that_changes_nothing_is_noted():
    asked = parse("base: {epochs: 3}\ntricks: {a: {set: {epochs: 3}}, mixup: , b: {set: {model.norm: none}}}", "s.yaml")
    assert asked.notes == (
        "a changes nothing: the base is so already.",
        "b changes nothing: the base is so already.",
    )


# ------------------------------------------------------------------------------------------------------- YAML's scalars


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 0.0001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("+12", 12),
        ("012", 12),
        ("0o14", 12),
        ("0xC", 12),
        ("'1_000'", "1_000"),
        ("1_000_000", 1000000),
        ("-1_000.5", -1000.5),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("True", True),
        ("~", None),
        ("'1'", "1"),
        ("=", "="),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_a_plain_scalar_is_what_the_core_schema_of_yaml_1_2_says(written, value):
    asked = parse(
        f"task: json:dump\nmetric: accuracy\nbase: {{v: {written}, w: 0}}\ntricks: {{t: {{set: {{w: 1}}}}}}", "s"
    )
    assert repr(asked.base["v"]) == repr(value)


@pytest.mark.parametrize(("word", "value"), [("on", True), ("Yes", True), ("OFF", False), ("no", False)])
def test_a_bare_on_is_a_boolean_where_one_is_meant(word, value):
    text = f"base: {{optimizer: {{nesterov: {word}}}}}\ntricks: {{crop_flip: {{with: {{flip: {word}}}}}}}\nplacebo: {word}\n"
    asked = parse(text, "s.yaml")
    assert asked.base["optimizer"]["nesterov"] is value
    assert asked.tricks[0].levels[0].params["flip"] is value
    assert asked.analysis == ({"placebo": True} if value else {})
    assert not [note for note in asked.notes if word in note]


def test_a_bare_on_that_would_reach_a_function_as_text_is_refused():
    """Both texts are true there: of `augment: no` and `augment: yes` the trick would change nothing."""
    text = "task: json:dump\nmetric: accuracy\nbase: {a: off, b: 'on', c: false}\ntricks: {t: {set: {a: on, c: yes}}}\n"
    said = "which a function gets as text, and any text is true in Python; write true or false for a boolean, "
    assert told(text + "tune: {space: {a: [no, 'yes']}}") == [
        f"s.yaml:3:11: base.a: is a bare off, {said}'off' in quotes for text.",
        f"s.yaml:4:23: tricks.t.set.a: is a bare on, {said}'on' in quotes for text.",
        f"s.yaml:5:20: tune.space.a.0: is a bare no, {said}'no' in quotes for text.",
    ]
    asked = parse(text.replace("off", "false").replace(" on", " 'on'"), "s.yaml")
    assert [{"a": "on", "c": True}] == [level.set for level in asked.tricks[0].levels], "as the base's boolean"


@pytest.mark.parametrize(("word", "number"), [("2024_01", "202401"), ("0b101", "5"), ("1_0.5e-3", "10.5e-3")])
def test_a_bare_number_of_another_language_that_would_reach_a_function_as_text_is_refused(word, number):
    text = f"task: json:dump\nmetric: accuracy\nbase: {{n: {word}, s: '{word}', h: 0bad}}\ntricks: {{t: {{set: {{s: x}}}}}}\n"
    said = f"s.yaml:3:11: base.n: is a bare {word}, which a function gets as text; write {number} for the number, "
    assert [f"{said}'{word}' in quotes for text."] == told(text)
    assert word == parse(text.replace(f"n: {word}", "n: 1"), "s.yaml").base["s"]


def test_small_aliases_are_values():
    asked = parse(
        "base: {optimizer: &o {name: sgd, lr: 0.2}}\ntricks: {t: {set: {optimizer: *o, epochs: 3}}}", "s.yaml"
    )
    assert asked.tricks[0].levels[0].set == {"optimizer": {"name": "sgd", "lr": 0.2}, "epochs": 3}


def test_a_mistake_in_an_aliased_value_is_told_where_it_is_written():
    assert told("base: {optimizer: &o {name: sgdd}}\ntricks: {t: {set: {optimizer: *o}}}") == [
        "s.yaml:1:29: base.optimizer.name: no optimizer is called 'sgdd'; there is sgd, adam, adamw or rmsprop. "
        "Did you mean 'sgd'?",
        "s.yaml:1:29: tricks.t.set.optimizer.name: no optimizer is called 'sgdd'; there is sgd, adam, adamw or "
        "rmsprop. Did you mean 'sgd'?",
    ]


# ------------------------------------------------------------------------------------------------------------ mistakes


def cases():
    """(name, text, what it is told) from the corpus, names of plug-ins filled in as they are now."""
    registry = Registry()
    names = {f"<{shelf}>": some_of(registry.names(shelf)) for shelf in ("tricks", "models", "datasets", "designs")}
    names |= {
        "<parameters of vgg>": one_of(p.name for p in registry.parameters("models", "vgg")),
        "<settings>": settings_of_classify(),
        "<optimizers>": one_of(OPTIMIZERS),
        "<here>": str(Path.cwd()),
    }
    corpus = (HERE / "bad_studies" / "cases.txt").read_text(encoding="utf-8")
    for case in re.split(r"^=== ", corpus, flags=re.MULTILINE)[1:]:
        head, expected = case.split("--- is told\n")
        name, text = head.split("\n", 1)
        yield name, text, re.sub("|".join(names), lambda match: names[match[0]], expected.strip())


@pytest.mark.parametrize(("text", "expected"), [pytest.param(text, told, id=name) for name, text, told in cases()])
def test_a_bad_study_is_told_all_that_is_wrong_and_where(text, expected):
    assert told(text) == expected.split("\n")


def test_mistakes_of_every_kind_are_told_in_one_pass_in_the_files_order():
    text = (
        "stdy: x\n"
        "base: {model: {name: vggg}, epochs: 1, epochs: 2}\n"
        "tricks:\n"
        "  a: {set: {epohcs: 3}, requires: [c]}\n"
        "  b: {use: mixup, with: {alpha: -1}}\n"
        "designs: leave_one_ot\n"
        "variants: {A: [d]}\n"
        "seeds: -1\n"
        "metric: !x dev_acc\n"
    )
    places = [line.split(": ")[:2] for line in told(text, overrides=["also=[dev_los]"])]
    assert places == [
        ["--set also=[dev_los]", "also.0"],
        ["s.yaml:1:1", "stdy"],
        ["s.yaml:2:22", "base.model.name"],
        ["s.yaml:2:40", "base.epochs"],
        ["s.yaml:4:13", "tricks.a.set.epohcs"],
        ["s.yaml:4:36", "tricks.a.requires.0"],
        ["s.yaml:5:33", "tricks.b.with.alpha"],
        ["s.yaml:6:10", "designs"],
        ["s.yaml:7:16", "variants.A.0"],
        ["s.yaml:8:8", "seeds"],
        ["s.yaml:9:9", "metric"],
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ": is empty; `ablate init FILE` writes a study to start from."),
        (b"\x89PNG\r\n\x1a\n\0\0", ": is a binary file; a study is a YAML file, that is, UTF-8 text."),
        (b"study: a\nbase: {x: \xff}\n", ":2:11: byte 0xff is not UTF-8; save the file as UTF-8 text."),
        ("study: ü".encode("utf-16"), ": is UTF-16 text; save it as UTF-8."),
        (b"#" * 1_000_001, ": is larger than 1,000,000 bytes; a study file has a few thousand."),
        (
            b"study: a\x01b\n",
            ":1:9: the control character U+0001 stands here; remove it, or write it as an escape in double quotes.",
        ),
    ],
    ids=["empty", "binary", "not UTF-8", "UTF-16", "over a megabyte", "a control character"],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, data, expected):
    path = tmp_path / "s.yaml"
    path.write_bytes(data)
    assert told_of_file(path) == f"{path}{expected}"


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbftricks: {mixup: }\r\nseeds: 3\r\n")
    assert (load(path).name, load(path).seeds) == ("s", (0, 1, 2))


def test_a_missing_file_is_told_the_nearest_one_beside_it(tmp_path):
    (tmp_path / "batchnorm.yaml").write_text(EXAMPLE)
    missing = tmp_path / "bachnorm.yaml"
    assert told_of_file(missing) == (
        f"{missing}: there is no such file. Did you mean 'batchnorm.yaml'? `ablate init FILE` writes a study to start from."
    )


def test_a_folder_is_told_its_studies(tmp_path):
    (tmp_path / "a.yaml").write_text(EXAMPLE)
    assert told_of_file(tmp_path) == f"{tmp_path}: is a folder; name one file of it: {tmp_path / 'a.yaml'}."


def test_a_function_that_its_module_lacks_is_told_the_nearest(tmp_path):
    (tmp_path / "mine.py").write_text("def train(config, run):\n    return {'acc': 1.0}\n")
    text = "task: mine:trian\nmetric: acc\nbase: {a: 1}\ntricks: {t: {set: {a: 2}}}\n"
    assert told(text, folder=tmp_path) == [
        f"s.yaml:1:7: task: is 'mine:trian', but {tmp_path / 'mine.py'} defines no 'trian'. Did you mean 'train'?"
    ]
    assert task_of(parse(text.replace("trian", "train"), "s.yaml", folder=tmp_path)).function == "train"


def test_a_task_that_does_not_exist_is_told_the_nearest():
    assert told("task: clasify\nmetric: acc\ntricks: {t: {set: {a: 2}}}\n") == [
        "s.yaml:1:7: task: no task is called 'clasify'; there is classify. Did you mean 'classify'? "
        "A function is written package.module:function."
    ]


def test_private_plugins_are_found_beside_the_study(tmp_path):
    (tmp_path / "own" / "tricks").mkdir(parents=True)
    (tmp_path / "own" / "tricks" / "calm.py").write_text(
        '"""Nothing."""\n\nfrom dataclasses import dataclass\n\nfrom ablate.training.trick import Trick\n\n\n'
        '@dataclass(frozen=True)\nclass Calm(Trick):\n    label = "keep calm"\n    category = "other"\n    much: int = 1\n'
    )
    asked = parse("tricks: {calm: {with: {much: 2}}}\nplugins: own\n", "s.yaml", folder=tmp_path)
    assert (asked.tricks[0].label, asked.tricks[0].category, asked.plugins) == ("keep calm", "other", ("own",))
    assert told("tricks: {calm: {with: {mcuh: 2}}}\nplugins: [own]\n", folder=tmp_path) == [
        "s.yaml:1:24: tricks.calm.with.mcuh: trick 'calm' has no parameter 'mcuh'; it has much. Did you mean 'much'?"
    ]


def test_a_plugin_in_a_folder_that_the_study_does_not_name_is_pointed_at(tmp_path):
    (tmp_path / "plugins" / "tricks").mkdir(parents=True)
    (tmp_path / "plugins" / "tricks" / "calm.py").touch()
    for text in ("tricks: {calm: {}}\n", "tricks: {c: {use: calm}}\n"):
        (line,) = told(text, folder=tmp_path)
        file = tmp_path / "plugins" / "tricks" / "calm.py"
        assert line.endswith(f" {file} is one, but its folder is not named: `plugins: [plugins]` in the study does.")


MESS = (
    """{ } [ ] : &a *a !x " ' # | ? % 1e999 null true on 999999999999999999999 \\ <<: --- \x07 \u2028 \ufeff \ud7ff"""
)
WORDS = st.sampled_from([*MESS.split(" "), "\n", "\t", "  ", "- ", ": "])


@settings(max_examples=150)
@given(st.data())
def test_whatever_is_written_is_a_study_or_is_told_what_is_wrong(data):
    text = data.draw(st.sampled_from([EXAMPLE, starter("x")]))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(WORDS) + text[end:]
    try:
        lines = [] if parse(text, "s.yaml") else [""]
    except StudyError as error:
        lines = str(error).split("\n")
    assert all(re.match(r"s\.yaml(:\d+:\d+)?: \S", line) for line in lines)


# ------------------------------------------------------------------------------------------------------------- patches


def test_a_mapping_with_a_name_replaces_and_others_merge_and_a_dotted_key_patches_one_leaf():
    config = {"model": {"name": "vgg", "width": 16}, "optimizer": {"name": "sgd", "lr": 0.1}, "epochs": 3}
    assert patched(config, {"optimizer": {"name": "adamw"}})["optimizer"] == {"name": "adamw"}
    assert patched(config, {"optimizer": {"lr": 0.2}})["optimizer"] == {"name": "sgd", "lr": 0.2}
    assert patched(config, {"model.width": 8})["model"] == {"name": "vgg", "width": 8}
    assert patched(config, {"model": {"head.bias": True}})["model"]["head"] == {"bias": True}
    assert patched(config, {"data.root": "x"})["data"] == {"root": "x"}
    assert patched(config, {"model.width": 1, "model": {"name": "mlp"}})["model"] == {"name": "mlp", "width": 1}


def test_a_dotted_key_through_a_value_is_refused_by_its_whole_name():
    with pytest.raises(ConfigError) as caught:
        patched({"model": {"width": 16}}, {"model": {"width.x": 1}})
    assert caught.value.problems == (("model.width.x", "cannot be set: width is 16, not a mapping."),)


NAMES = st.sampled_from(["a", "b", "c", "name"])
LEAVES = st.none() | st.booleans() | st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2)
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)
CONFIGS = st.dictionaries(NAMES, TREES, max_size=3)
CHANGES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map(".".join), TREES, max_size=3)


def tried(config, changes):
    """`patched`, for examples that it does not refuse."""
    try:
        return patched(config, changes)
    except ConfigError:
        assume(False)


@given(CONFIGS, CHANGES)
def test_a_patch_changes_neither_of_its_arguments_and_shares_nothing_with_them(config, changes):
    before = copy.deepcopy((config, changes))
    made = tried(config, changes)
    for value in list(made.values()):
        if isinstance(value, dict):
            value["mine"] = 1
        elif isinstance(value, list):
            value.append(1)
    assert (config, changes) == before


@given(CONFIGS, CHANGES)
def test_a_patch_applied_twice_is_the_patch_applied_once(config, changes):
    once = tried(config, changes)
    assert tried(once, changes) == once


@given(CONFIGS, CHANGES, CHANGES)
def test_patches_of_disjoint_keys_can_be_applied_in_any_order(config, one, other):
    paths = [(key.split("."), more.split(".")) for key in one for more in other]
    assume(not any(a[: len(b)] == b or b[: len(a)] == a for a, b in paths))
    assert tried(tried(config, one), other) == tried(tried(config, other), one)


@given(CONFIGS, st.dictionaries(NAMES, LEAVES, min_size=1, max_size=2))
def test_a_named_mapping_is_what_stands_there_afterwards(config, leaves):
    named = {**leaves, "name": "x"}
    assert patched(config, {"a": named})["a"] == named


def test_the_configuration_of_a_cell_is_the_base_changed_by_its_variant_then_by_its_tricks_in_the_files_order():
    asked = parse(
        "base: {model: {name: vgg, width: 4}, epochs: 2}\n"
        "tricks:\n"
        "  long: {set: {epochs: 9}, use: mixup, with: {alpha: 0.4}}\n"
        "  wide: {levels: {x2: {set: {model.width: 8}}, x4: {set: {model.width: 16}}}}\n"
        "  cutout:\n"
        "variants: {A: {set: {model: {name: vgg, norm: batch}, epochs: 3}, tricks: [long]}}\n",
        "s.yaml",
    )
    assert configuration(asked, Cell()) == ({"model": {"name": "vgg", "width": 4}, "epochs": 2}, ())
    on = (Choice("cutout"), Choice("wide", "x4"), Choice("long"))
    assert configuration(asked, Cell(on, "A")) == (
        {"model": {"name": "vgg", "norm": "batch", "width": 16}, "epochs": 9},
        (TrickUse("mixup", {"alpha": 0.4}), TrickUse("cutout", {})),
    )


# ------------------------------------------------------------------------------------------------------------ overrides


def test_an_override_is_a_key_of_the_study_else_of_the_base():
    asked = parse(
        EXAMPLE,
        "s.yaml",
        [
            "seeds=[7, 8]",
            "model.width=4",
            "base.epochs=1",
            "metric.minimum_effect=2",
            "tricks.batchnorm.set.model.norm=layer",
            "tricks.optimizer.levels.adamw.set.optimizer.lr=1e-4",
            "variants.A.tricks=[mixup]",
            "data={name: synthetic}",
            "data.train_size=100",
        ],
    )
    assert (asked.seeds, asked.base["model"], asked.base["epochs"]) == ((7, 8), {"name": "vgg", "width": 4}, 1)
    assert asked.metric.minimum_effect == 2
    assert asked.tricks[0].levels[0].set == {"model.norm": "layer"}
    assert asked.tricks[2].levels[0].set == {"optimizer": {"name": "adamw", "lr": 0.0001}}
    assert asked.variants[1].tricks == (Choice("mixup"),)
    assert asked.base["data"] == {"name": "synthetic", "train_size": 100}
    assert (asked.positions["seeds"], asked.positions["base.model"]) == ((0, 0), (7, 3))


def test_an_override_of_an_aliased_value_changes_one_place():
    text = "base: {optimizer: &o {name: sgd, lr: 0.2}}\ntricks: {t: {set: {optimizer: *o, epochs: 3}}}"
    asked = parse(text, "s.yaml", ["optimizer.lr=0.3"])
    assert asked.base["optimizer"]["lr"] == 0.3
    assert asked.tricks[0].levels[0].set["optimizer"]["lr"] == 0.2


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seeds", "is not KEY=VALUE, such as seeds=3 or optimizer.lr=0.1."),
        ("=3", "is not KEY=VALUE, such as seeds=3 or optimizer.lr=0.1."),
        ("seeds=five", 'seeds: is "five"; it must look like 5, [0, 1, 2] or {looks: [3, 5, 10]}.'),
        ("seeds=", "seeds: is empty; it must look like 5, [0, 1, 2] or {looks: [3, 5, 10]}."),
        ("seeds=[1", "a ',' or ']' is missing before this; what it should end begins at 1:1."),
        ("seeds=!x 3", "has the tag !x; tags are not allowed, write the value alone."),
        ("seeds.looks=[2, 3]", "seeds.looks: cannot be set: seeds is not a mapping."),
        (
            "seed=3",
            f"base.seed: classify has no setting 'seed'; it has {settings_of_classify()}. Did you mean 'seeds'?",
        ),
        ("epochs=0", "base.epochs: is 0; it must be at least 1."),
        ("model.width.x=0", "base.model.width.x: cannot be set: base.model.width is not a mapping."),
        ("tricks.mixup.with.alpha=-1", "tricks.mixup.with.alpha: is -1; it must be at least 0."),
    ],
)
def test_a_bad_override_is_told_by_its_own_text(override, expected):
    assert told(EXAMPLE, overrides=[override]) == [f"--set {override}: {expected}"]


def test_an_override_of_a_key_that_a_functions_base_lacks_is_refused():
    text = "task: json:dump\nmetric: acc\nbase: {net: {depth: 1}}\ntricks: {t: {set: {net.depth: 2}}}\n"
    assert parse(text, "s.yaml", ["net.depth=3"]).base == {"net": {"depth": 3}}
    assert told(text, overrides=["net.dept=3", "seed=4"]) == [
        "--set net.dept=3: base.net.dept: the base has no key 'net.dept'; it has net.depth. Did you mean 'net.depth'?",
        "--set seed=4: base.seed: the base has no key 'seed'; it has net.depth. Did you mean 'seeds'?",
    ]


# -------------------------------------------------------------------------------------------------------------- editors


def accepts(rule, value, root):
    """Whether a JSON Schema accepts a value; the keywords that ours uses."""
    if "$ref" in rule:
        return accepts(root["$defs"][rule["$ref"].rsplit("/", 1)[1]], value, root)
    if "anyOf" in rule and not any(accepts(part, value, root) for part in rule["anyOf"]):
        return False
    types = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool, "integer": int}
    kinds = [rule["type"]] if isinstance(rule.get("type"), str) else rule.get("type")
    is_bool = isinstance(value, bool)
    if kinds and not any(
        isinstance(value, (int, float) if kind == "number" else types[kind]) and is_bool <= (kind == "boolean")
        for kind in kinds
    ):
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if isinstance(value, list):
        return all(accepts(rule.get("items", {}), item, root) for item in value)
    if isinstance(value, dict):
        named, more = rule.get("properties", {}), rule.get("additionalProperties", True)
        return set(rule.get("required", ())) <= set(value) and all(
            accepts(named[key], item, root)
            if key in named
            else bool(more) and (more is True or accepts(more, item, root))
            for key, item in value.items()
        )
    low, high = rule.get("minimum", float("-inf")), rule.get("maximum", float("inf"))
    return not isinstance(value, (int, float)) or low <= value <= high


def as_plain(text):
    from ablate.study.yaml_file import read, unfold

    return unfold(read(text, "s.yaml")[0]).value


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE,
        starter("x"),
        "task: m:f\nmetric: a\nbase: {model: 3, epochs: many}\nnotes: {authors: A}\n",
        BASE + "designs: factorial\nalso: f1\nseeds: [1]\ntune:\nplugins: a\n",
        "limits: {timeout: 1 h, grace: 5 s, database: 1 h, silence: 1 h, infrastructure: 2 h, attempts: 2}\n",
        "tricks: {a: {set: {x: 1}, requires: b, conflicts: c}}\n",
        *(path.read_text() for path in sorted((HERE.parent / "studies").glob("*.yaml"))),
    ],
)
def test_the_schema_accepts_what_a_study_may_be(text):
    whole = json.loads(json.dumps(schema()))
    assert accepts(whole, {k: v for k, v in as_plain(text).items() if v is not None}, whole)


@pytest.mark.parametrize(
    "text",
    [
        "stdy: x",
        "seeds: five",
        "seeds: 0",
        "metric: 3",
        "limits: {attempts: 21}",
        "designs: 3",
        "variants: {A: 4}",
        "weights: some",
        "tricks: {a: {alpha: 1}}",
        "tricks: {a: {levels: {b: {label: x}}}}",
        "tune: {space: {lr: {low: 1}}}",
    ],
)
def test_the_schema_refuses_what_the_study_would(text):
    whole = schema()
    assert not accepts(whole, as_plain(text), whole)


def test_the_schema_describes_every_key_and_offers_what_is_on_the_shelves():
    properties = schema()["properties"]
    assert all(key["description"].endswith(".") for key in properties.values())
    assert set(Registry().names("tricks")) <= set(properties["tricks"]["properties"])
    assert set(Registry().names("designs")) <= set(json.dumps(properties["designs"]).split('"'))
    base = properties["base"]["properties"]
    assert {"model", "data", "optimizer", "schedule", "epochs", "amp", "init", "early_stopping"} <= base.keys()
    assert {"plateau", "onecycle", "vgg", "torchvision", "npz"} <= set(json.dumps(base).split('"'))


@pytest.mark.parametrize(
    ("name", "made"), [("x", "x"), ("on", "on"), ("12", "12"), ("../my study!", "my-study"), ("é", "é")]
)
def test_the_starter_is_a_study_of_that_name(name, made):
    asked = parse(starter(name), "s.yaml")
    assert (asked.name, len(asked.tricks), asked.notes) == (made, 4, ())


def test_every_line_that_the_starter_comments_out_works_too():
    text = re.sub(
        r"^( *)# (?=optimizer:|  levels:|    \w+: \{set|  category:|variants:|  A:|  wide:)",
        r"\1",
        starter("x"),
        flags=re.M,
    )
    asked = parse(text, "s.yaml")
    assert [trick.name for trick in asked.tricks] == [
        "batchnorm",
        "crop_flip",
        "label_smoothing",
        "cosine",
        "optimizer",
    ]
    assert [variant.name for variant in asked.variants] == ["A", "wide"]


def test_reading_a_study_loads_no_library_of_numbers():
    code = "import sys; from ablate.study import file as study; study.parse(study.starter('x'), 'x.yaml'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "scipy", "pandas"} & set(done.stdout.split())


def test_a_trick_that_only_another_architecture_has_may_be_listed_for_that_one():
    listed = """
base: {model: {name: vgg}}
tricks:
  skip: {set: {model.skip: true}}
variants:
  plain: []
  residual: {set: {model: {name: resnet9, skip: false}}, tricks: [skip]}
"""
    assert ["plain", "residual"] == [variant.name for variant in parse(listed, "s.yaml").variants]
    with pytest.raises(StudyError, match="model 'vgg' has no parameter 'skip'"):
        parse(listed.replace("tricks: [skip]", "tricks: []"), "s.yaml")
