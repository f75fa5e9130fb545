"""A trick that the network cannot take is left out of the plan with its line, and stops nothing else."""

import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.registry import Registry
from ablate.study.across import make_plan
from ablate.study.file import parse, task_of
from ablate.training.datasets import npz

STUDY = """\
study: s
base:
  model: {name: resnet, depth: 8, width: 2}
  epochs: 1
tricks:
  blurpool:
  label_smoothing:
designs: leave_one_out
seeds: 1
"""


def plan_of(text):
    study = parse(text, "s.yaml")
    return make_plan(study, Registry(), task_of(study))


def test_the_plan_names_it_with_its_line_and_the_reason_and_plans_the_rest():
    plan = plan_of(STUDY)
    assert plan.left_out == (
        "blurpool (s:6): blurpool changes 2x2 pools, and the model has none (vgg and resnet9 have)",
    )
    assert [variant.name for variant in plan.variants] == ["base+label_smoothing", "base"]


def test_it_stays_where_a_variant_listed_by_hand_gives_it_another_network():
    plan = plan_of(
        STUDY.replace("designs: leave_one_out", "variants: {v: {set: {model: {name: vgg}}, tricks: [blurpool]}}")
    )
    assert [variant.name for variant in plan.variants] == ["v"]
    assert not plan.left_out


def test_a_note_on_a_variant_that_is_left_out_is_no_mistake_and_one_on_none_is():
    text = (
        STUDY.replace("leave_one_out", "add_one_in")
        + "variants: {A: [blurpool, label_smoothing]}\nnotes: {variants: {A: Y., base+blurpool: Y.}}\n"
    )
    assert ["base", "base+label_smoothing"] == [variant.name for variant in plan_of(text).variants]
    with pytest.raises(StudyError, match=r"no variant is called 'B'"):
        plan_of(text.replace("A: Y.", "B: Y."))


def test_a_study_of_nothing_else_is_refused_at_its_line():
    with pytest.raises(StudyError, match=r"s:6:3: tricks.blurpool: blurpool changes 2x2 pools"):
        plan_of(STUDY.replace("  label_smoothing:\n", ""))


def test_what_an_earlier_trick_makes_counts():
    widths = "  blurpool:\n  wide: {set: {model: {name: vgg}}}\n"
    plan = plan_of(STUDY.replace("  blurpool:\n", widths).replace("blurpool:\n", "blurpool: {requires: wide}\n"))
    assert any("blurpool" in variant.tricks for variant in plan.variants)


def test_a_note_on_a_variant_that_one_setting_lacks_is_no_mistake_and_on_one_that_all_lack_is():
    across = "across: {a: {model: {name: vgg}}, b: {}}\nnotes: {variants: {base+blurpool: Why., b/base: Why.}}\n"
    text = STUDY.replace("leave_one_out", "add_one_in") + across
    assert any(variant.name == "a/base+blurpool" for variant in plan_of(text).variants)
    with pytest.raises(StudyError, match=r"no variant is called 'base\+blur'.*mean 'base\+blurpool'"):
        plan_of(text.replace("base+blurpool:", "base+blur:"))


def test_the_data_are_read_once_however_many_variants_are_refused(tmp_path, monkeypatch):
    np.savez(tmp_path / "train.npz", images=np.zeros((20, 8, 8, 1), np.uint8), labels=np.arange(20) % 2)
    reads, read = [], npz.Npz.read
    monkeypatch.setattr(npz.Npz, "read", lambda data: reads.append(data) or read(data))
    text = STUDY.replace(
        "designs: leave_one_out", "designs: factorial\nvariants: {v: {set: {model: {name: vgg}}, tricks: [blurpool]}}"
    )
    plan = plan_of(text.replace("  epochs", f"  data: {{name: npz, root: {tmp_path}, dev_fraction: 0.5}}\n  epochs"))
    assert (1, 2) == (len(reads), len([left for left in plan.left_out if "blurpool changes" in left]))


MODEL = """\
from dataclasses import dataclass
from torch import nn
from ablate.plugins import Model


@dataclass(frozen=True)
class Mine(Model):
    def build(self, image, classes):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(GIVEN))
"""

HEAD = """\
from dataclasses import dataclass
from torch import nn
from ablate.plugins import Trick


@dataclass(frozen=True)
class Head(Trick):
    def model(self, model, facts):
        return nn.Sequential(model, nn.LazyLinear(facts.classes))
"""


@pytest.fixture
def private(tmp_path):
    """The plan of a study of a network of one's own, which gives as many outputs as is written."""

    def made(given, text=STUDY.replace("  blurpool:\n", "")):
        for place, code in (("models/mine.py", MODEL.replace("GIVEN", given)), ("tricks/head.py", HEAD)):
            file = tmp_path / "mine" / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(code)
        text = f"plugins: [{tmp_path}/mine]\n{text.replace('resnet, depth: 8, width: 2', 'mine')}"
        study = parse(text, "s.yaml")
        return make_plan(study, Registry(study.plugins), task_of(study))

    return made


def test_a_network_of_ones_own_that_tells_another_number_of_classes_is_refused_by_the_plan(private):
    with pytest.raises(StudyError, match=r"s:4:11: base.model.name: Mine gives 7 outputs, the data has 10 class"):
        private("classes - 3")


def test_one_that_tells_as_many_as_there_are_is_planned(private):
    assert ["base+label_smoothing", "base"] == [variant.name for variant in private("classes").variants]


def test_its_outputs_are_not_judged_where_a_trick_gives_it_another_head(private):
    text = STUDY.replace("  blurpool:\n", "  head:\n").replace("designs: leave_one_out", "variants: {v: [head]}")
    assert ["v"] == [variant.name for variant in private("classes - 3", text).variants]
