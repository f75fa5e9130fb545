"""Tricks that are parts of the network: on, it is as built; off, they are away. What the plan decides and refuses."""

import time
from dataclasses import replace

import psutil
import pytest

from ablate.errors import AblateError, StudyError
from ablate.records import RunSpec, TaskUse, TrickUse
from ablate.registry import Registry
from ablate.study.file import parse, task_of
from ablate.study.plan import make_plan
from ablate.surgery import SurgeryError
from ablate.testing.training import trained
from ablate.training import answers, handed
from ablate.training.task import Run, resolve

BASE = "base: {model: {name: resnet, depth: 8, width: 8}, data: {name: digits, train_size: 60}, epochs: 1}\n"


def plan(tricks, rest=""):
    study = parse(f"{BASE}tricks:\n{tricks}{rest}", "s.yaml")
    return make_plan(study, Registry(), task_of(study))


def told(tricks, base=BASE):
    with pytest.raises(StudyError) as refused:
        parse(f"{base}tricks:\n{tricks}", "s.yaml")
    return str(refused.value)


def gone(plan, variant):
    uses = {use.name: use.params for use in plan.variant(variant).completed.tricks}
    return uses["without"]["parts"] if "without" in uses else []


def test_a_part_that_is_off_is_away_and_the_plan_says_what_stands_there():
    made = plan("  block: {part: stage1_block1}\n  shortcut: {part: stage2_block1.shortcut}\n  mixup:\n")
    assert gone(made, "full") == []
    assert gone(made, "full-block") == [{"part": "stage1_block1", "instead": "identity"}]
    assert gone(made, "base") == [*gone(made, "full-block"), {"part": "stage2_block1.shortcut", "instead": "zero"}]
    assert (
        "taken away: stage2_block1.shortcut (PadShortcut): zero, for it is a summand beside another path." in made.notes
    )


def test_what_was_asked_for_stands_there_without_the_rules_reason():
    made = plan(
        "  block: {part: stage1_block1.branch, instead: identity}\n  pool: {part: stage2_block1, instead: linear}\n"
    )
    assert "taken away: stage1_block1.branch (Sequential): identity." in made.notes
    assert "taken away: stage2_block1 (Residual): linear." in made.notes


def test_controls_that_take_the_same_are_told_as_one():
    deeper = BASE.replace("depth: 8", "depth: 14")
    study = parse(f"{deeper}tricks:\n  blocks: {{each: 'stage1_block*.branch', control: parameters}}\n", "s.yaml")
    names = "control of stage1_block1.branch and control of stage1_block2.branch"
    assert f"{names}: as much goes from the same places, so they are trained once." in (
        make_plan(study, Registry(), task_of(study)).notes
    )


def test_the_decision_is_what_the_key_holds_not_how_the_part_was_written():
    one, other = (plan(f"  a: {{part: {part}}}\n") for part in ('"stage1_*"', "[stage1_block1]"))
    keys = [{run.variant: run.key for run in made.runs} for made in (one, other)]
    assert keys[0] == keys[1]
    third = plan("  a: {part: stage1_block1, instead: relu}\n")
    assert {run.key for run in third.runs if run.variant == "base"}.isdisjoint(keys[0].values())


def test_each_makes_a_trick_of_every_part_that_can_go_and_names_the_others():
    study = parse(f'{BASE}tricks:\n  blocks: {{each: "stage*_block1"}}\n', "s.yaml")
    assert [trick.name for trick in study.tricks] == ["stage1_block1"]
    assert any(
        note.startswith("blocks: left out is stage2_block1 (Residual): it makes 2x16x4x4") for note in study.notes
    )


def test_rows_of_parts_stand_in_the_order_of_their_calls_and_other_tricks_where_they_were():
    made = plan(
        "  late: {part: stage3_block1.branch}\n  mixup:\n"
        "  middle: {part: stage2_block1.branch, control: parameters}\n  early: {part: stem.act}\n",
        "designs: [leave_one_out, add_one_in, cumulative]\n",
    )
    rows = {of: [row.label for row in made.rows if row.design == of] for of in ("leave_one_out", "add_one_in")}
    assert rows["leave_one_out"] == ["full", "- early", "- mixup", "- middle", "control of middle", "- late", "base"]
    assert rows["add_one_in"][1:5] == ["+ early", "+ mixup", "+ middle", "+ late"]
    assert [row.variant for row in made.rows if row.design == "cumulative"][1] == "base+late"  # as it is listed
    assert {trick.name: trick.part for trick in made.record.tricks} == {
        "late": "stage3_block1.branch", "mixup": "", "middle": "stage2_block1.branch", "early": "stem.act",
    }  # fmt: skip
    assert [one.name for one in made.variants][:3] == ["full", "full-early", "full-mixup"]


def test_rows_of_trained_weights_stand_in_the_order_of_their_calls_too():
    made = plan(
        "  late: {part: stage3_block1.branch, when: trained, recalibrate: true}\n"
        "  early: {part: stem.act, when: trained, recalibrate: true}\n",
        "designs: leave_one_out\n",
    )
    labels = [row.label for row in made.rows]
    assert labels[2:] == ["- early after training", "- late after training", "base"]
    assert [row.variant for row in made.rows[:2]] == ["full", "full recalibrated"]


def test_a_cell_whose_parts_cannot_all_go_is_left_out_and_the_rest_stays():
    made = plan(
        "  a: {part: stage3_block1.branch}\n  b: {part: stage3_block1.shortcut}\n  mixup:\n",
        "designs: [leave_one_out, add_one_in]\n",
    )
    assert any(
        "base: without stage3_block1.branch, stage3_block1.shortcut nothing of the inputs reaches" in why
        for why in made.left_out
    )
    assert {"full", "full-a", "full-b", "base+a", "base+b"} <= {variant.name for variant in made.variants}
    assert "base" not in {variant.name for variant in made.variants}
    assert any("is compared with nothing: base is left out" in note for note in made.notes)


def test_every_way_in_which_yaml_misreads_a_part_is_refused_with_the_form_in_quotes():
    assert 's.yaml:3:13: tricks.a.part: is 3.1; it must be text; put the path in quotes, "3.1"' in told(
        "  a: {part: 3.10}\n"
    )
    assert 'is 0; it must be text; put the path in quotes, "0".' in told("  a: {part: 0}\n")
    assert 'A pattern goes in quotes: "**.norm".' in told("  a: {part: **.norm}\n")
    assert "tricks.a.off: is no key of a trick" in told("  a: {part: stem, off: zero}\n")
    assert "goes under `instead:`" in told("  a: {part: stem, off: zero}\n")


def test_a_part_stands_alone_and_what_cannot_go_is_a_mistake_at_its_line():
    assert "tricks.a.use: stands beside `part:`" in told("  a: {part: stem.act, use: mixup}\n")
    assert "tricks.a.each: stands beside `part:`" in told("  a: {part: stem.act, each: stem.norm}\n")
    said = told("  a: {part: stage2_block1}\n  b: {part: stage1_blok1}\n  c: {part: stem.norm, instead: zero}\n")
    assert "s.yaml:3:13: tricks.a.part: stage2_block1 (Residual): it makes 2x16x4x4 of 2x8x8x8." in said
    assert "s.yaml:4:13: tricks.b.part: no part is called 'stage1_blok1'. Did you mean 'stage1_block1'?" in said
    assert "s.yaml:5:13: tricks.c.part: without stem.norm nothing of the inputs reaches the output" in said


def test_a_run_trains_the_network_that_is_left_from_the_same_first_values():
    config = parse(f"{BASE}tricks: {{mixup: }}\n", "s.yaml").base
    whole = trained(config)
    without = trained(config, [TrickUse("without", {"parts": [{"part": "stage2_block1", "instead": "linear"}]})])
    assert without.values["parameters"] < whole.values["parameters"]
    assert without.values["train_loss"] != whole.values["train_loss"]


FUNCTION = """
import os, time, torch
def train(config, run):
    sizes = [4, 16, 16, 16, 2]
    layers = [torch.nn.Linear(*two) for two in zip(sizes, sizes[1:])]
    net = torch.nn.Sequential(*sum([[layer, torch.nn.ReLU()] for layer in layers], [])[:-1])
    if config["does"] == "hang":
        if os.fork() == 0:
            open("forked", "w").write(str(os.getpid()))
        time.sleep(60)
    if config["does"] == "break":
        raise KeyError("images")
    if config["does"] == "cuda":
        raise RuntimeError(f"no CUDA among [{os.environ.get('CUDA_VISIBLE_DEVICES')}]")
    if config["does"] != "forget":
        net = run.model(net, torch.randn(config.get("examples", 3), 4))
    open("trained", "w").close()
    first = next(net[1].parameters(), torch.zeros(1)).flatten()[0]
    third = next(net[3].parameters(), torch.zeros(1)).flatten()[0].item()
    return {"kept": float(isinstance(net[1], torch.nn.ReLU)), "first": first.item(), "third": third, "other": 1.0}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all: one process answers, and imports torch once."""
    folder = tmp_path_factory.mktemp("handing")
    (folder / "handing.py").write_text(FUNCTION)
    yield folder
    answers.close()


@pytest.fixture
def handing(folder, monkeypatch):
    """The plan of a study of a function with these tricks."""
    monkeypatch.chdir(folder)

    def made(tricks, does="hand", plugins=""):
        base = f"task: handing:train\nbase: {{does: {does}}}\nmetric: {{name: kept, better: higher}}\n"
        base += f"plugins: [{plugins}]\n" * bool(plugins)
        study = parse(f"{base}tricks:\n{tricks}", "s.yaml", folder=folder)
        return make_plan(study, Registry([folder / plugin for plugin in study.plugins]), task_of(study))

    yield made
    assert not (folder / "trained").exists(), "the plan runs a function no further than run.model"


def test_what_a_functions_network_goes_without_is_decided_before_anything_runs(handing):
    made, again = (handing(f"  act: {{part: {part}}}\n  other: {{set: {{does: go}}}}\n") for part in ('"1"', '["1"]'))
    assert gone(made, "base+other") == [{"part": "1", "instead": "identity"}]
    assert "taken away: 1 (ReLU): identity, for it stands in series." in made.notes
    assert [run.key for run in made.runs] == [run.key for run in again.runs]


def test_each_makes_a_trick_of_every_part_of_a_functions_network_and_controls_are_found_there(handing):
    made = handing('  layers: {each: "*", control: parameters}\n')
    assert [trick.name for trick in made.study.tricks] == ["1", "2", "3", "4", "5"]
    assert any("left out is 6 (Linear): it gives the network's output" in note for note in made.study.notes)
    assert gone(made, "control of 2") == [{"widths": {"4": 2}}]


def test_what_cannot_go_of_a_functions_network_is_a_mistake_at_its_line(handing):
    with pytest.raises(StudyError) as refused:
        handing('  head: {part: "6"}\n  relu: {part: "7"}\n')
    assert "s.yaml:5:16: tricks.head.part: 6 (Linear): it gives the network's output" in str(refused.value)
    assert "s.yaml:6:16: tricks.relu.part: no part is called '7'." in str(refused.value)
    with pytest.raises(StudyError, match=r"tricks\.bare\.with\.parts\.0: no part is called '\*\*\.act'\."):
        handing("  bare: {use: without}\n")  # by the file's own defaults


@pytest.mark.parametrize("which", ['part: "1"', 'each: "*"'])
def test_trained_weights_are_what_a_function_does_not_hand_over_and_refused_with_what_to_do(handing, which):
    with pytest.raises(StudyError) as when:
        handing(f"  act: {{{which}, when: trained}}\n")
    assert "s.yaml:5:" in str(when.value)
    assert "tricks.act.when: is of trained weights, and a function hands ablate none; leave `when` out" in str(
        when.value
    )


NARROW = """
from dataclasses import dataclass
from ablate.plugins import ConfigError, Count, Replacement

@dataclass(frozen=True)
class Narrow(Replacement):
    width: Count = 2

    def build(self, given, made):
        from torch import nn
        if given != made:
            raise ConfigError([("", "keeps its input's shape.")])
        return nn.Sequential(nn.Linear(given[1], self.width), nn.Linear(self.width, made[1]))
"""


def test_a_file_of_ones_own_stands_in_a_functions_part_with_its_hash_in_the_key(handing, folder):
    (folder / "mine" / "replacements").mkdir(parents=True)
    file = folder / "mine" / "replacements" / "narrow.py"

    def made(tricks, text=NARROW):
        file.write_text(text)
        return handing(tricks, plugins="mine")

    part = '{part: "3", instead: {use: narrow, with: {width: 3}}}'
    plan = made(f"  act: {part}\n  other: {{set: {{does: go}}}}\n")
    instead = {"use": "narrow", "with": {"width": 3}}
    assert gone(plan, "base+other") == [{"part": "3", "instead": instead}]
    assert "taken away: 3 (ReLU): replacement narrow." in plan.notes
    assert "replacement:narrow" in plan.variant("base+other").completed.code
    each = made('  layers: {each: "*", instead: {use: narrow}}\n')
    assert [trick.name for trick in each.study.tricks] == ["1", "2", "3", "4", "5"]
    with pytest.raises(StudyError, match="3 has no control: what stands in its place holds 82 parameters more than it"):
        made('  act: {part: "3", instead: {use: narrow}, control: parameters}\n')
    with pytest.raises(StudyError, match=r"tricks\.act\.instead\.use: 0 \(Linear\): keeps its input's shape\."):
        made('  act: {part: "0", instead: {use: narrow}}\n')
    run = RunSpec("", TaskUse("function", {"target": "handing:train"}), {"does": "hand"},
                  (TrickUse("without", {"parts": [{"part": "3", "instead": instead}]}),), 0, 1, str(folder), "")  # fmt: skip
    task, mine = resolve(run.task, Registry(), (str(folder),)), Registry([folder / "mine"])
    ran = [task.execute(Run(replace(run, seed=seed), mine))["third"] for seed in (0, 1, 1)]
    (folder / "trained").unlink()
    assert ran[0] != ran[1] == ran[2], "it is drawn by the run's seed"
    edited = made(
        f"  act: {part}\n  other: {{set: {{does: go}}}}\n", NARROW.replace("nn.Linear(self", "nn.Linear( self")
    )
    keys = [{run.key for run in one.runs if run.variant == "base+other"} for one in (plan, edited)]
    assert not keys[0] & keys[1]


def test_a_projection_in_a_function_has_a_version_in_the_key_and_nothing_else_has(handing):
    made = handing('  act: {part: "1", instead: linear}\n  other: {part: "3"}\n')
    assert "drawn" in made.variant("base+other").completed.code
    assert "drawn" not in made.variant("base+act").completed.code


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("forget", "s.yaml:1:7: task: train never calls `model = run.model(model, example)`"),
        ("break", "task: train failed before it called `run.model`: KeyError: 'images' (handing.py:12)"),
        ("cuda", "no CUDA among [] (handing.py:14); the plan runs it without a GPU, and `run.device` is cpu."),
        ("hang", "task: train did not call `model = run.model(model, example)` within 3 s"),
    ],
)
def test_a_function_that_never_hands_its_network_over_is_told_in_the_plan(handing, monkeypatch, folder, does, why):
    monkeypatch.setattr(handed, "LIMIT_S", 3 if does == "hang" else 120)
    for tricks in ('  act: {part: "1"}\n', '  act: {each: "1"}\n'):
        with pytest.raises(StudyError) as refused:
            handing(tricks, does)
        assert why in str(refused.value)
    (folder / "trained").unlink(missing_ok=True)  # one that forgets runs to its end
    if does == "hang":  # what it forked would hold the channel for a minute, and goes with it
        forked = int((folder / "forked").read_text())
        assert any(_is_gone(forked) or time.sleep(0.1) for _ in range(200))


def _is_gone(process):
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_run_that_is_asked_for_a_part_and_never_hands_its_network_over_fails(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    use = TaskUse("function", {"target": "handing:train"})
    task = resolve(use, Registry(), (str(folder),))

    def run(does, parts, seed=0):
        uses = (TrickUse("without", {"parts": parts}),) if parts else ()
        return task.execute(Run(RunSpec("", use, {"does": does}, uses, seed, 1, str(tmp_path), ""), Registry()))

    assert run("hand", [])["kept"] == 1
    assert run("hand", [{"part": "1", "instead": "identity"}])["kept"] == 0
    drawn = [run("hand", [{"part": "1", "instead": "linear"}], seed)["first"] for seed in (0, 1, 1)]
    assert drawn[0] != drawn[1] == drawn[2], "a projection is drawn by the run's seed"
    with pytest.raises(AblateError, match="never called"):
        run("forget", [{"part": "1", "instead": "identity"}])
    with pytest.raises(SurgeryError, match="nothing of the inputs reaches the output"):
        run("hand", [{"part": "1", "instead": "zero"}])  # of a network that is another one than the plan saw, say


def test_a_part_with_a_control_has_two_rows_more_and_the_widths_are_in_the_key():
    made = plan("  block: {part: stage2_block1.branch, label: second, control: parameters}\n  mixup:\n")
    rows = [(row.design, row.variant, row.compared_with, row.label, row.kind) for row in made.rows]
    assert rows[1:3] == [
        ("leave_one_out", "base+mixup", "full", "- second", ""),
        ("leave_one_out", "control of block", "full", "control of second", "control"),
    ]
    assert rows[-1] == ("beyond size", "base+mixup", "control of block", "- second", "beyond")
    assert list(gone(made, "control of block")[0]) == ["widths"]
    assert any("control of stage2_block1.branch: " in note and "it holds 3," in note for note in made.notes)
    assert len({run.key for run in made.runs if run.seed == made.runs[0].seed}) == len(made.variants)


def test_a_control_is_called_as_its_row_with_its_base_where_there_are_several_and_no_variant_is_called_so():
    tricks = "  block: {part: stage2_block1.branch, control: parameters}\n  mixup:\n"
    rest = "variants: {A: [block, mixup], B: [block]}\ndesigns: {name: leave_one_out, of: [A, B]}\n"
    made = plan(tricks, rest)
    assert ["control of block in A", "control of block in B"] == [v.name for v in made.variants if v.cell.control]
    assert any("parts against these are three families" in note for note in made.notes)
    flips = plan(tricks, "seeds: 9\nanalysis: {test: sign_flip}\ndesigns: {name: leave_one_out}\n")
    assert any("from 6 seeds on" in note and "by 1 comparison at" in note for note in flips.notes), "of a family"
    looks = plan(tricks, "seeds: {looks: [2, 4]}\n")
    assert any("parts against these are three families" in note for note in looks.notes)
    with pytest.raises(StudyError, match=r"variants\.control of block: is what the control of a part is called"):
        plan(tricks, "variants: {control of block: [mixup]}\ndesigns: leave_one_out\n")


def test_a_control_that_cannot_be_is_a_mistake_at_its_line_and_of_each_left_out():
    with pytest.raises(StudyError, match=r"s:3:\d+: tricks.a.control: stem.act has no control: it holds 0 % of"):
        plan("  a: {part: stem.act, control: parameters}\n  mixup:\n")
    made = plan('  a: {each: "stem.*", kind: ReLU, control: flops}\n  mixup:\n')
    assert any("stem.act has no control" in why for why in made.left_out)
    assert [row.kind for row in made.rows if row.kind] == []


def test_a_control_may_be_another_part_drawn_by_the_first_seed():
    made = plan("  a: {part: stage1_block1.branch.first.act, control: another}\n  mixup:\n")
    (other,) = gone(made, "control of a")
    assert other["instead"] == "identity"
    assert other["part"].endswith(("act", "after"))
    assert other["part"] != "stage1_block1.branch.first.act"


def test_trained_weights_without_a_part_are_measured_and_are_a_family_that_says_so():
    made = plan(
        "  block: {part: stage2_block1.branch, when: trained}\n  anew: {part: stage2_block1.branch}\n  mixup:\n"
    )
    runs = {run.variant: run for run in made.runs}
    assert runs["full-block"].evaluates == runs["full"].key
    assert runs["base"].evaluates not in ("", runs["full"].key)
    assert [(row.variant, row.label, row.kind) for row in made.rows[1:]] == [
        ("full-block", "- block after training", "trained"), ("full-anew", "- anew", ""),
        ("full-mixup", "- mixup", ""), ("base", "base", ""),
    ]  # fmt: skip
    assert any(note.startswith("full-block: the trained weights of the comparison") for note in made.notes)
    assert any(note.startswith("base: trained otherwise than the comparison and then") for note in made.notes)
    assert any(note.startswith("taken away after training: stage2_block1.branch") for note in made.notes)
    keys = {run.key for run in plan("  block: {part: stage2_block1.branch, when: trained, instead: mean}\n").runs}
    assert runs["full-block"].key not in keys


def test_a_part_with_statistics_anew_is_compared_with_the_whole_with_statistics_anew():
    made = plan(
        "  a: {part: stage2_block1.branch, when: trained, recalibrate: true}\n"
        "  b: {part: stage1_block1.branch, when: trained, recalibrate: true}\n  c: {part: stem.act, when: trained}\n"
    )
    assert [(row.variant, row.compared_with, row.kind) for row in made.rows[1:]] == [
        ("full-c", "full", "trained"), ("full recalibrated", "full", "trained"),
        ("full-b", "full recalibrated", "trained"), ("full-a", "full recalibrated", "trained"),
        ("base", "full recalibrated", "trained"),
    ]  # fmt: skip
    runs = {run.variant: run for run in made.runs}
    assert {runs[name].evaluates for name in ("full recalibrated", "full-a", "base")} == {runs["full"].key}
    assert gone(made, "full recalibrated") == []


def test_a_part_that_went_before_the_training_cannot_go_after_it_and_that_cell_is_left_out():
    made = plan(
        "  whole: {part: stage2_block1, instead: linear}\n  inside: {part: stage2_block1.branch, when: trained}\n",
        "designs: leave_one_out\n",
    )
    assert [row.variant for row in made.rows] == ["full", "base+inside", "base+whole"]
    assert any("base: without the parts that go before the training, no part is called" in why for why in made.left_out)


def test_each_takes_parts_of_trained_weights_too():
    made = plan('  blocks: {each: "stage*_block1.branch", when: trained, instead: mean}\n')
    assert {row.kind for row in made.rows if row.compared_with and len(row.differs) == 1} == {"trained"}
    assert len({run.evaluates for run in made.runs if run.evaluates}) == len({run.seed for run in made.runs})


OWN = """
from dataclasses import dataclass
from ablate.plugins import ConfigError, Count, Replacement

@dataclass(frozen=True)
class Narrow(Replacement):
    width: Count = 2

    def build(self, given, made):
        from torch import nn
        if given[2:] != made[2:]:
            raise ConfigError([("", "keeps pixels as they are.")])
        return nn.Sequential(nn.Conv2d(given[1], self.width, 1), nn.Conv2d(self.width, made[1] + EXTRA, 1))
"""


def of_own(tmp_path, tricks, extra="0"):
    (tmp_path / "mine" / "replacements").mkdir(parents=True, exist_ok=True)
    (tmp_path / "mine" / "replacements" / "narrow.py").write_text(OWN.replace("EXTRA", extra))
    registry = Registry([tmp_path / "mine"])
    study = parse(f"{BASE}tricks:\n{tricks}plugins: [mine]\n", "s.yaml", folder=tmp_path)
    return make_plan(study, registry, task_of(study)), registry


def test_a_layer_of_ones_own_stands_there_and_its_code_and_parameters_are_in_the_key(tmp_path):
    tricks = "  a: {part: stage1_block1, instead: {use: narrow, with: {width: 3}}}\n"
    made, registry = of_own(tmp_path, tricks)
    assert gone(made, "base") == [
        {"part": "stage1_block1", "instead": {"use": "narrow", "with": {"width": 3}}},
    ]  # fmt: skip
    done = made.variant("base").completed
    assert done.code["replacement:narrow"] == registry.code("replacements", "narrow")
    assert any("taken away: stage1_block1 (Residual): replacement narrow." in note for note in made.notes)
    keys = {made.runs[1].key for made in (made, of_own(tmp_path, tricks.replace("3", "2"))[0])}
    assert len(keys) == 2
    config = parse(f"{BASE}tricks: {{mixup: }}\n", "s.yaml").base
    whole, other = trained(config), trained(config, done.tricks, registry)
    # Two 1x1 convolutions of 8 channels by 3 for a block of two 3x3 ones with norms.
    assert whole.values["parameters"] - other.values["parameters"] == 1200 - (8 * 3 + 3 + 3 * 8 + 8)


def test_what_a_layer_of_ones_own_cannot_do_is_a_mistake_at_its_name(tmp_path):
    def refused(tricks, extra="0"):
        with pytest.raises(StudyError) as error:
            of_own(tmp_path / extra, tricks, extra)
        return str(error.value)

    use = "  a: {part: PART, instead: {use: narrow}}\n"
    assert "s.yaml:3:43: tricks.a.instead.use: stage2_block1 (Residual): keeps pixels as they are." in refused(
        use.replace("PART", "stage2_block1")
    )
    wrong = refused(use.replace("PART", "stage1_block1"), extra="1")
    assert "Narrow makes (2, 9, 8, 8) of (2, 8, 8, 8), and (2, 8, 8, 8) must come out." in wrong
    broken = refused(use.replace("PART", "stage1_block1"), extra="None")
    assert "Narrow does not work there: TypeError: unsupported operand" in broken
    assert "is a layer that nothing would have trained" in refused(use.replace("PART", "stem, when: trained"))


def test_nothing_else_starts_otherwise_beside_a_replacement():
    from ablate.training import removal, replacement
    from ablate.training.initial import drawn
    from ablate.training.recipe import parse as recipe_of

    registry = Registry()
    recipe = recipe_of({"model": {"name": "resnet", "depth": 8, "width": 8}}, registry)
    part = {"part": "stage1_block1", "instead": {"use": "bottleneck", "with": {"width": 2}}}
    trick = replacement.made(TrickUse("without", {"parts": [part]}), registry)
    facts = removal.facts_of(recipe)
    whole, *others = (
        drawn(recipe, tricks, facts, seed) for tricks, seed in (([], 0), ([("", trick)], 0), ([("", trick)], 1))
    )
    first, second = (network.state_dict() for network in others)
    own = [name for name in first if name.startswith("stage1_block1.instead.")]
    assert len(own) == 4
    assert not any((first[name] == second[name]).all() for name in own), "they are drawn by the seed"
    kept = whole.state_dict()
    assert all((first[name] == kept[name]).all() for name in first if name not in own)


def test_each_may_put_a_replacement_and_a_control_counts_it_against_the_part():
    made = plan('  blocks: {each: "stage*_block1.branch", instead: {use: bottleneck}, control: parameters}\n')
    assert {row.kind for row in made.rows} == {"", "control", "beyond"}
    held = next(note for note in made.notes if note.startswith("control of stage2_block1.branch"))
    # 3,552 parameters of the branch, less 8 x 4 + 4 and 4 x 16 + 16 of the two maps in its place.
    assert held.endswith("it holds 3,436.")
