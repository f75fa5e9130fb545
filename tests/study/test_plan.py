"""Plans: what is trained, what is compared with what, and what is refused with the line to blame."""

import itertools
import json
import string
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import ConfigError, StudyError
from ablate.identity import canonical_json
from ablate.records import (
    Choice,
    DesignUse,
    HandVariant,
    Metric,
    Resources,
    Study,
    StudyTrick,
    TaskUse,
    TrickLevel,
    TrickUse,
)
from ablate.registry import Registry
from ablate.study.changes import diff
from ablate.study.plan import make_plan
from ablate.study.record import PlanRecord
from ablate.training.task import Completed, Task
from ablate.training.tasks.classify import Classify

BASE = {"model": {"name": "vgg", "width": 16}, "optimizer": {"name": "sgd", "lr": 0.1}, "epochs": 10}
FULL_SET = ("leave_one_out", "add_one_in", "cumulative", "factorial")


@dataclass(frozen=True)
class Anything(Task):
    """A task without a wish: every configuration is complete as it is, but `root` is infrastructure."""

    def complete(self, config, tricks, registry):
        asked = {key: value for key, value in config.items() if key != "root"}
        return Completed(config, asked, tuple(tricks), {"task": 1})

    def execute(self, run):
        raise NotImplementedError


@dataclass(frozen=True)
class Picky(Anything):
    """A task that has a wish for each key in `limits`: at most that much. Parameters of tricks are its first wish."""

    limits: tuple[tuple[str, float], ...] = ()

    def complete(self, config, tricks, registry):
        found = []
        for key, most in self.limits:
            value = config
            for part in key.split("."):
                value = value.get(part, 0) if isinstance(value, dict) else 0
            if value > most:
                found.append((key, f"is {value}; it must be <= {most}."))
        found += [(f"tricks.{i}.alpha", "is -1.") for i, use in enumerate(tricks) if use.params.get("alpha") == -1]
        if found:
            raise ConfigError(found)
        return super().complete(config, tricks, registry)


def trick(name, set=None, *, use=None, params=None, **rest):
    return StudyTrick(name, (TrickLevel(None, set or {}, use, params or {}),), **rest)


def toggles(count):
    return tuple(trick(name, {f"on.{name}": True}) for name in string.ascii_lowercase[:count])


def levels(name, **patches):
    return StudyTrick(name, tuple(TrickLevel(level, patch) for level, patch in patches.items()))


def study(*tricks, designs=(), variants=(), seeds=(0,), base=BASE, **rest):
    uses = tuple(DesignUse(use) if isinstance(use, str) else DesignUse(*use) for use in designs)
    return Study(
        rest.pop("name", "s"), "s.yaml", "", "why?", TaskUse.of("mine:train"), base, tricks, variants, uses, seeds,
        rest.pop("metric", Metric("score")), **rest,
    )  # fmt: skip


def hand(name, *on, **changes):
    return HandVariant(name, tuple(Choice(*choice.split("=")) for choice in on), changes)


def plan(*tricks, task=None, **rest):
    return make_plan(study(*tricks, **rest), Registry(), task or Anything())


def problems(*tricks, **rest):
    with pytest.raises(StudyError) as caught:
        plan(*tricks, **rest)
    return [str(problem) for problem in caught.value.problems]


def rows(planned, design=None):
    return [(r.variant, r.compared_with) for r in planned.rows if design in (None, r.design)]


OPTIMIZER = levels(
    "optimizer", adamw={"optimizer": {"name": "adamw", "lr": 1e-3}}, nesterov={"optimizer.nesterov": True}
)


# ------------------------------------------------------------------------------------------------------- shared cells


def test_all_designs_over_eight_toggles_share_cells_and_say_so():
    designs = [*FULL_SET, ("fractional", {"resolution": 4}), ("fractional", {"resolution": 5})]
    planned = plan(*toggles(8), designs=designs)
    assert len(planned.variants) == len({run.key for run in planned.runs}) == 256
    counts = {name: sum(row.design == name for row in planned.rows) for name in FULL_SET}
    assert counts == {"leave_one_out": 10, "add_one_in": 9, "cumulative": 9, "factorial": 256}
    assert "360 rows share 256 variants: what several designs ask for is trained once." in planned.notes


def test_a_cell_of_several_designs_is_one_variant_with_a_row_in_each():
    planned = plan(*toggles(3), designs=["leave_one_out", "cumulative"], variants=(hand("plain"),))
    assert planned.variant("full").designs == ("leave_one_out", "cumulative")
    assert planned.variant("plain").designs == ("leave_one_out", "cumulative", "variants")
    assert [r.design for r in planned.rows if r.variant == "plain"] == ["leave_one_out", "cumulative", "variants"]


def test_a_single_design_shares_nothing_and_says_nothing():
    assert plan(*toggles(3), designs=["leave_one_out"]).notes == ()


def test_runs_go_seed_by_seed_with_comparisons_first_and_then_in_the_rows_order():
    planned = plan(*toggles(2), designs=["cumulative"], variants=(hand("B", "b"),), seeds=(5, 3))
    one_seed = ["base", "base+a", "full", "B"]
    assert [(run.seed, run.variant) for run in planned.runs] == [*itertools.product((5, 3), one_seed)]
    assert rows(planned) == [("base", None), ("base+a", "base"), ("full", "base+a"), ("B", "base")]


def test_a_comparison_that_stands_late_in_the_table_is_trained_early():
    planned = plan(*toggles(2), variants=(hand("A", "a"), hand("B", "b"), hand("plain")), baseline="B")
    assert [run.variant for run in planned.runs] == ["B", "A", "plain"]


def test_variants_that_ask_for_the_same_are_trained_once_and_named():
    planned = plan(trick("a", {"epochs": 10}), trick("b", {"epochs": 20}), designs=["add_one_in"])
    keys = {run.variant: run.key for run in planned.runs}
    assert keys["base+a"] == keys["base"] != keys["base+b"]
    assert [note for note in planned.notes if note.startswith("base and base+a ask for the same run")]


def test_two_names_for_one_cell_are_two_variants_with_one_run():
    planned = plan(*toggles(1), variants=(hand("A", "a"), hand("B", "a")))
    assert [v.name for v in planned.variants] == ["A", "B"]
    assert len({run.key for run in planned.runs}) == 1


# ---------------------------------------------------------------------------------------------------- keys are what is asked


def keys(planned):
    return [run.key for run in planned.runs]


def test_a_key_depends_on_nothing_but_what_is_asked():
    def keys_of(first, second, **rest):
        tricks = (
            trick(first, {"epochs": 20}, label=rest.pop("label", "")),
            trick(second, use="mixup", params={"alpha": 0.2}),
        )
        return sorted(keys(plan(*tricks, designs=["factorial"], **rest)))

    plain = keys_of("a", "b")
    assert plain == keys_of("x", "y")
    assert plain == keys_of("a", "b", name="another study", label="Long")
    assert plain == keys_of("a", "b", base=BASE | {"root": "/elsewhere"})
    assert plain != keys_of("a", "b", resources=Resources(threads=2))
    assert plain != keys_of("a", "b", seeds=(1,))
    assert not set(plain) & set(keys_of("a", "b", base=BASE | {"epochs": 11, "batch_size": 1}))


def test_a_cell_has_one_key_in_whatever_design_it_stands():
    def key(design):
        return {run.variant: run.key for run in plan(*toggles(3), designs=[design]).runs}["full"]

    assert len({key(design) for design in ("leave_one_out", "cumulative", "factorial")}) == 1


def test_the_order_of_the_tricks_in_the_file_changes_no_key():
    a, b, c = toggles(3)
    assert sorted(keys(plan(a, b, c, designs=["factorial"]))) == sorted(keys(plan(c, a, b, designs=["factorial"])))


def test_a_hand_listed_variant_on_a_changed_base_differs_from_its_twin_on_the_base():
    planned = plan(*toggles(1), variants=(hand("A", "a"), hand("B", "a", epochs=3)))
    assert planned.variant("B").completed.config["epochs"] == 3
    assert len(set(keys(planned))) == 2


def test_a_trick_wins_over_the_variants_own_set():
    planned = plan(trick("long", {"epochs": 99}), variants=(hand("A", "long", epochs=3),))
    assert planned.variant("A").completed.config["epochs"] == 99


# ---------------------------------------------------------------------------------------------------------- comparisons


def test_each_design_compares_as_the_contract_says():
    planned = plan(*toggles(2), designs=FULL_SET, variants=(hand("B", "b", epochs=3),))
    assert rows(planned, "leave_one_out") == [("full", None), ("base+b", "full"), ("base+a", "full"), ("base", "full")]
    assert rows(planned, "add_one_in") == [("base", None), ("base+a", "base"), ("base+b", "base")]
    assert rows(planned, "cumulative") == [("base", None), ("base+a", "base"), ("full", "base+a")]
    assert rows(planned, "factorial") == [("base", None), ("base+a", "base"), ("base+b", "base"), ("full", "base")]
    assert rows(planned, "variants") == [("B", "base")]


def test_without_a_base_the_first_hand_listed_variant_is_the_baseline():
    planned = plan(*toggles(2), variants=(hand("A", "a"), hand("B", "b")))
    assert rows(planned) == [("A", None), ("B", "A")]
    assert planned.baseline == "A"


def test_the_base_is_the_baseline_under_whatever_name():
    assert rows(plan(*toggles(1), variants=(hand("A", "a"), hand("plain")))) == [("A", "plain"), ("plain", None)]


def test_a_baseline_that_is_named_is_compared_with():
    planned = plan(*toggles(2), designs=["factorial"], variants=(hand("A", "a"),), baseline="full")
    assert {row.compared_with for row in planned.rows} == {None, "full"}
    assert [row.variant for row in planned.rows if row.compared_with is None] == ["full"]


def test_a_baseline_that_is_not_planned_is_an_error_with_the_nearest_name():
    assert problems(*toggles(2), designs=["factorial"], baseline="ful", positions={"baseline": (7, 1)}) == [
        "s.yaml:7:1: baseline: no variant of this plan is called 'ful'; there is base, base+a, base+b, full. "
        "Did you mean 'full'?"
    ]


def test_changes_of_hand_listed_variants_are_compared_with_them():
    variants = (hand("A", "a", "b"), hand("B", "b", "c", epochs=3))
    planned = plan(*toggles(3), designs=[("leave_one_out", {"of": ["A", "B"]})], variants=variants)
    assert rows(planned, "leave_one_out") == [
        ("A", None), ("A-a", "A"), ("A-b", "A"), ("B", None), ("B-b", "B"), ("B-c", "B"),
    ]  # fmt: skip
    assert planned.variant("B-b").completed.config["epochs"] == 3


def test_a_cell_that_is_a_change_of_a_variant_has_that_name_in_every_design():
    variants = (hand("A", "a", "b"),)
    planned = plan(*toggles(4), designs=["add_one_in", ("leave_one_out", {"of": ["A"]})], variants=variants)
    assert ("A-b", "base") in rows(planned, "add_one_in")
    assert ("A-b", "A") in rows(planned, "leave_one_out")


def test_a_variant_that_is_another_ones_removal_is_shown_as_that():
    variants = (hand("B", "b"), hand("A", "a", "b"))
    planned = plan(*toggles(3), designs=[("leave_one_out", {"of": ["B", "A"]})], variants=variants)
    assert rows(planned, "leave_one_out") == [("base", "B"), ("A", None), ("B", "A"), ("A-b", "A")]


# ------------------------------------------------------------------------------------------------------ what rows show


def test_a_row_says_in_which_tricks_it_differs_in_the_files_order():
    planned = plan(*toggles(2), OPTIMIZER, designs=["leave_one_out"])
    assert {row.variant: row.differs for row in planned.rows} == {
        "full": (),
        "full-a": ("a",),
        "full-b": ("b",),
        "full-optimizer": ("optimizer",),
        "full+optimizer=nesterov": ("optimizer",),
        "base": ("a", "b", "optimizer"),
    }


@pytest.mark.parametrize(
    ("design", "labels"),
    [
        ("leave_one_out", ["full", "- Mixup", "- optimizer", "optimizer: nesterov", "base"]),
        ("add_one_in", ["base", "+ Mixup", "+ optimizer: adamw", "+ optimizer: nesterov"]),
        ("cumulative", ["base", "+ Mixup", "+ optimizer: adamw"]),
    ],
)
def test_a_label_says_what_the_row_changes_by_the_tricks_own_label(design, labels):
    planned = plan(trick("mix", {"mix": 1}, label="Mixup"), OPTIMIZER, designs=[design])
    assert [row.label for row in planned.rows] == labels


def test_where_rows_change_more_than_a_trick_the_label_is_the_name():
    planned = plan(*toggles(2), designs=["factorial"], variants=(hand("Mine", "a", epochs=1),))
    assert [row.label for row in planned.rows] == [row.variant for row in planned.rows]


def test_what_is_left_out_is_named_with_the_design_and_the_reason():
    planned = plan(
        trick("bn"), trick("skip", {"skip": 1}, requires=("bn",)), trick("c"), designs=["leave_one_out", "add_one_in"]
    )
    assert planned.left_out == (
        "full-bn of leave_one_out: skip requires bn",
        "base+skip of add_one_in: skip requires bn",
    )


PRIVATE_DESIGN = '''
"""full, whatever it is, and the base compared with it."""
from dataclasses import dataclass
from ablate.study.design import Chosen, Design, DesignRow

@dataclass(frozen=True)
class Careless(Design):
    def choose(self, space):
        return Chosen((DesignRow(space.full, None), DesignRow(space.base, space.full)))
'''


def test_a_row_whose_comparison_is_left_out_stays_and_says_what_is_missing(tmp_path):
    (tmp_path / "designs").mkdir()
    (tmp_path / "designs" / "careless.py").write_text(PRIVATE_DESIGN)
    asked = study(trick("a"), trick("b", {"b": 1}, conflicts=("a",)), designs=["careless"])
    planned = make_plan(asked, Registry([tmp_path]), Anything())
    assert rows(planned) == [("base", None)]
    assert planned.left_out == ("full of careless: b conflicts with a",)
    assert planned.notes == ("base of careless is compared with nothing: full is left out.",)


# -------------------------------------------------------------------------------------------------------------- errors


def test_two_tricks_that_set_one_key_differently_are_an_error_that_suggests_levels():
    tricks = trick("low", {"optimizer.lr": 0.01}), trick("high", {"optimizer": {"lr": 1.0}})
    assert problems(*tricks, designs=["leave_one_out"], positions={"tricks.high.set.optimizer.lr": (9, 20)}) == [
        "s.yaml:9:20: tricks.high.set.optimizer.lr: sets optimizer.lr to 1.0, but 'low' sets it to 0.01, and both are "
        "on in 'full'. Make them `levels:` of one trick, or say `conflicts: [low]`."
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optimizer.lr": 0.01}, {"optimizer.lr": 0.01}),  # the same value
        ({"optimizer.lr": 0.01}, {"optimizer.momentum": 0.5}),  # siblings
        ({"optimizer": {"lr": 0.01}}, {"optimizer": {"momentum": 0.5}}),  # mappings that merge
        ({"model": {"name": "vgg", "width": 16}}, {"model.width": 16}),  # a replacement that says the same
    ],
)
def test_two_tricks_that_agree_may_stand_in_one_variant(one, other):
    assert len(plan(trick("a", one), trick("b", other), designs=["factorial"]).variants) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optimizer": {"name": "adamw"}}, {"optimizer.lr": 0.01}),  # a replacement drops what the other sets
        ({"optimizer.lr": 0.01}, {"optimizer": {"name": "adamw"}}),
        ({"augment": "none"}, {"augment": {"flip": True}}),
        ({"augment.flip": True}, {"augment": "none"}),
        ({"flag": 1}, {"flag": True}),  # equal in Python, not in JSON
    ],
)
def test_two_tricks_whose_order_matters_are_an_error(one, other):
    (only,) = problems(trick("a", one), trick("b", other), designs=["factorial"])
    assert "and both are on in 'full'." in only


def test_a_trick_that_replaces_what_another_one_patches_is_told_to_patch_too():
    tricks = trick("lr", {"optimizer.lr": 0.01}), trick("adamw", {"optimizer": {"name": "adamw"}})
    advice = "Patch single keys (`a.b: value`), or make them `levels:` of one trick, or say `conflicts: [{}]`."
    assert problems(*tricks, designs=["factorial"]) == [
        "s.yaml: tricks.adamw.set.optimizer.lr: replaces the mapping that holds optimizer.lr, but 'lr' sets that to "
        "0.01, and both are on in 'full'. " + advice.format("lr")
    ]
    assert problems(*tricks[::-1], designs=["factorial"]) == [
        "s.yaml: tricks.lr.set.optimizer.lr: sets optimizer.lr to 0.01, but 'adamw' replaces the mapping that holds "
        "it, and both are on in 'full'. " + advice.format("adamw")
    ]


def test_tricks_that_never_meet_may_set_one_key_differently():
    tricks = trick("low", {"epochs": 1}), trick("high", {"epochs": 2})
    assert len(plan(*tricks, designs=["add_one_in"]).variants) == 3
    apart = tricks[0], replace(tricks[1], conflicts=("low",))
    assert len(plan(*apart, designs=["factorial"]).variants) == 3


def test_a_trick_that_patches_inside_what_another_one_made_no_mapping_is_refused_at_its_line():
    tricks = trick("none", {"augment": "none"}), trick("flip", {"augment.flip": True})
    (only,) = problems(*tricks, designs=["factorial"], positions={"tricks.flip": (4, 3)})
    assert only.startswith("s.yaml:4:3: tricks.flip.set.augment.flip: cannot be set: ")
    assert only.endswith("(in variant 'full')")


def test_every_pair_that_clashes_is_named_once():
    tricks = [trick(name, {"epochs": i}) for i, name in enumerate("abc")]
    assert len(problems(*tricks, designs=["leave_one_out", "factorial"])) == 3


@pytest.mark.parametrize(("one", "other"), [("0.1", "1e-1"), ("a b", "a\xa0b"), ("caf\xe9", "cafe\u0301")])
def test_names_that_nobody_could_tell_apart_are_refused(one, other):
    said = f"reads like {one!r}, so nobody could tell the two apart; rename one."
    asked = {"designs": ["add_one_in"], "positions": {"tricks": (2, 1)}}
    assert [f"s.yaml:2:1: tricks.{other}: {said}"] == problems(
        trick(one, {"epochs": 2}), trick(other, {"epochs": 3}), **asked
    )
    assert [f"s.yaml:2:1: tricks.t.levels.{other}: {said}"] == problems(
        levels("t", **{one: {"epochs": 2}, other: {"epochs": 3}}), **asked
    )


def test_a_level_that_does_what_another_one_does_is_refused():
    tricks = levels("lr", low={"optimizer.lr": 0.1}, same={"optimizer.lr": 0.10}, high={"optimizer.lr": 0.2})
    assert problems(tricks, designs=["add_one_in"], positions={"tricks.lr.levels.same": (4, 5)}) == [
        "s.yaml:4:5: tricks.lr.levels.same: does what 'low' does; a level is there once."
    ]


def test_a_refused_combination_names_the_variant_and_blames_the_trick_that_set_the_key():
    tricks = trick("wide", {"model.width": 64}), trick("long", {"epochs": 99})
    positions = {"tricks.wide": (5, 3), "tricks.wide.set.model.width": (5, 16), "base.model.width": (2, 4)}
    task = Picky(limits=(("model.width", 32),))
    assert problems(*tricks, designs=["factorial"], task=task, positions=positions) == [
        "s.yaml:5:16: tricks.wide.set.model.width: is 64; it must be <= 32. (in variants 'base+wide', 'full')"
    ]


def test_a_refused_parameter_is_blamed_on_the_trick_that_gave_it():
    tricks = trick("a", {"epochs": 3}), trick("mixup", use="mixup", params={"alpha": -1})
    assert problems(*tricks, designs=["cumulative"], task=Picky(), positions={"tricks.mixup.with.alpha": (6, 9)}) == [
        "s.yaml:6:9: tricks.mixup.with.alpha: is -1. (in variant 'full')"
    ]


def test_a_refused_level_is_blamed_on_the_level():
    lr = levels("lr", low={"optimizer.lr": 0.01}, high={"optimizer": {"lr": 9}})
    task = Picky(limits=(("optimizer.lr", 1),))
    assert problems(lr, designs=["add_one_in"], task=task, positions={"tricks.lr.levels.high": (8, 7)}) == [
        "s.yaml:8:7: tricks.lr.levels.high.set.optimizer.lr: is 9; it must be <= 1. (in variant 'base+lr=high')"
    ]


def test_what_the_variants_own_set_breaks_is_blamed_on_the_variant():
    task = Picky(limits=(("epochs", 50),))
    variants = (hand("plain"), hand("long", epochs=60))
    assert problems(variants=variants, task=task, positions={"variants.long": (4, 3)}) == [
        "s.yaml:4:3: variants.long.set.epochs: is 60; it must be <= 50. (in variant 'long')"
    ]


def test_what_the_base_breaks_everywhere_is_said_once_and_blamed_on_the_base():
    task = Picky(limits=(("model.width", 8),))
    assert problems(*toggles(3), designs=FULL_SET, task=task, positions={"base.model": (3, 3)}) == [
        "s.yaml:3:3: base.model.width: is 16; it must be <= 8."
    ]


def test_all_mistakes_are_named_in_one_pass():
    tricks = trick("low", {"epochs": 1}), trick("high", {"epochs": 99}), trick("c", conflicts=("low",))
    found = problems(
        *tricks,
        designs=["cumulative", ("fractional", {"resolution": 5}), ("leave_one_out", {"off": ["A"]})],
        variants=(hand("A", "low", "c"),),
        baseline="none",
        task=Picky(limits=(("epochs", 50),)),
    )
    assert len(found) == 6
    for part in ("resolution 5 is for", "no parameter 'off'", "conflicts with", "'none'", "both are on", "99; it must"):
        assert any(part in line for line in found), part


def test_a_design_that_cannot_be_made_is_an_error_at_its_line():
    positions = {"designs": (9, 1), "designs.1": (10, 3)}
    (only,) = problems(*toggles(2), designs=["add_one_in", "fractional"], positions=positions)
    assert only.startswith("s.yaml:10:3: designs.1: fractional: resolution 4 is for 4 to 16 tricks, and there are 2;")


def test_a_hand_listed_variant_that_is_forbidden_is_an_error():
    tricks = trick("bn"), trick("skip", {"skip": 1}, requires=("bn",))
    assert problems(*tricks, variants=(hand("A", "skip"),), positions={"variants.A": (8, 3)}) == [
        "s.yaml:8:3: variants.A: skip requires bn; add it, or leave it out."
    ]


@pytest.mark.parametrize("name", ["base", "full", "base+a"])
def test_a_hand_listed_variant_may_not_bear_the_name_of_another_one(name):
    (only,) = problems(*toggles(3), designs=["add_one_in"], variants=(hand(name, "b"),))
    assert f"the name {name!r} means the variant with" in only


def test_hand_given_names_that_mean_what_they_say_are_kept():
    planned = plan(*toggles(2), variants=(hand("base"), hand("full", "a", "b"), hand("base+a", "a")))
    assert [v.name for v in planned.variants] == ["base", "full", "base+a"]


# --------------------------------------------------------------------------------------------------------------- rules

BN, CUTOUT = trick("bn", category="batchnorm"), trick("cutout", {"c": 1}, category="augmentation")


def test_rules_that_hold_are_silent():
    rules = {"tricks_per_variant": 2, "categories_overall": 2, "forbid_data": ["cifar100"]}
    assert plan(BN, CUTOUT, variants=(hand("A", "bn", "cutout"),), rules=rules).notes == ()


def test_too_few_tricks_in_a_variant_are_an_error_at_the_variant():
    rules, positions = {"tricks_per_variant": 2}, {"variants.B": (12, 3)}
    variants = (hand("A", "bn", "cutout"), hand("B", "bn"))
    assert problems(BN, CUTOUT, variants=variants, rules=rules, positions=positions) == [
        "s.yaml:12:3: variants.B: has 1 trick; `rules` ask for 2 in every variant listed by hand (`rules.variants` may name "
        "some)."
    ]


def test_rules_judge_the_variants_that_they_name_and_no_row_of_an_ablation_beside_them():
    rules = {"tricks_per_variant": 2, "variants": ["A"]}
    assert plan(BN, CUTOUT, variants=(hand("A", "bn", "cutout"), hand("A less", "bn")), rules=rules).notes == ()
    found = problems(BN, CUTOUT, variants=(hand("A", "bn"),), rules=rules | {"variants": ["A", "Aa"]})
    assert "s.yaml: variants.A: has 1 trick; `rules` ask for 2 in every variant." in found
    assert "s.yaml: rules.variants.1: no variant listed by hand is called 'Aa'; there is A. Did you mean 'A'?" in found


def test_two_tricks_of_one_kind_are_too_few_categories_in_a_variant():
    rules, norm = {"categories_per_variant": 2}, trick("ln", {"n": 1}, category="batchnorm")
    found = problems(BN, norm, variants=(hand("A", "bn", "ln"),), rules=rules, positions={"variants.A": (12, 3)})
    (said,) = found
    assert said.startswith("s.yaml:12:3: variants.A: has tricks of 1 category (batchnorm); `rules` ask for 2 in every")


def test_too_few_categories_overall_are_an_error_that_lists_them():
    rules, positions = {"categories_overall": 3}, {"rules.categories_overall": (14, 9)}
    assert problems(BN, CUTOUT, variants=(hand("A", "bn", "cutout"),), rules=rules, positions=positions) == [
        "s.yaml:14:9: rules.categories_overall: is 3, but the variants listed by hand have 2: batchnorm, augmentation."
    ]


def test_forbidden_data_are_an_error_where_they_were_set():
    base, rules = BASE | {"data": {"name": "digits"}}, {"forbid_data": ["cifar100"]}
    variants = (hand("A", "bn"), hand("B", "bn", data={"name": "cifar100"}))
    assert problems(BN, variants=variants, base=base, rules=rules, positions={"variants.B": (8, 3)}) == [
        "s.yaml:8:3: variants.B.set.data.name: is 'cifar100', which `rules` forbid (in variant 'B')."
    ]


def test_under_rules_a_trick_without_a_category_is_an_error():
    found = problems(BN, trick("c"), variants=(hand("A", "bn"),), rules={"tricks_per_variant": 1})
    assert len(found) == 1
    assert found[0].startswith("s.yaml: tricks.c: has no category")


def test_rules_do_not_count_a_variant_without_tricks_and_say_so():
    planned = plan(BN, CUTOUT, variants=(hand("plain"), hand("A", "bn", "cutout")), rules={"tricks_per_variant": 2})
    assert planned.notes == ("rules: plain has no trick and is not counted as a variant.",)


def test_rules_judge_hand_listed_variants_whatever_designs_stand_beside_them():
    rules = {"tricks_per_variant": 2}
    planned = plan(BN, CUTOUT, designs=["add_one_in"], variants=(hand("A", "bn", "cutout"),), rules=rules)
    assert "base+bn" in [v.name for v in planned.variants]


# --------------------------------------------------------------------------------------- what the database and a child get


def test_the_resolved_plan_is_json_with_every_field_that_readers_use():
    mixup = trick("mixup", use="mixup", params={"alpha": 0.2}, label="Mixup", category="augmentation")
    planned = plan(
        mixup, OPTIMIZER, designs=["add_one_in"], seeds=(0, 1), also={"loss": "lower"}, metric=Metric("score", at=3)
    )
    resolved = planned.record.to_json()
    assert json.loads(canonical_json(resolved)) == resolved
    assert resolved["metric"] == {"name": "score", "better": "higher", "at": 3, "minimum_effect": None}
    assert (resolved["study"], resolved["question"], resolved["task"]) == ("s", "why?", "mine:train")
    assert (resolved["also"], resolved["analysis"], resolved["baseline"]) == ({"loss": "lower"}, {}, "base")
    assert resolved["seeds"] == [0, 1]
    assert resolved["tricks"] == [
        {"name": "mixup", "label": "Mixup", "category": "augmentation", "levels": []},
        {"name": "optimizer", "label": "", "category": "", "levels": ["adamw", "nesterov"]},
    ]
    assert resolved["variants"][1] == {
        "name": "base+mixup", "tricks": ["mixup"], "designs": ["add_one_in"], "config": BASE, "uses": [["mixup", {"alpha": 0.2}]],
    }  # fmt: skip
    assert resolved["rows"][2] == {
        "design": "add_one_in", "variant": "base+optimizer=adamw", "compared_with": "base", "differs": ["optimizer"],
        "label": "+ optimizer: adamw",
    }  # fmt: skip
    assert (resolved["left_out"], resolved["notes"]) == ([], [])


def test_equal_studies_have_equal_plans_and_a_changed_one_has_another_sha():
    def sha(**rest):
        return plan(*toggles(3), designs=["leave_one_out"], **rest).record.sha

    assert sha() == sha()
    assert sha() != sha(seeds=(1,))
    assert sha() != sha(base=BASE | {"epochs": 11})


def test_a_specification_holds_what_a_child_needs():
    asked = study(
        trick("m", use="mixup", params={"alpha": 0.2}), designs=["add_one_in"], resources=Resources(1, threads=2)
    )
    planned = make_plan(asked, Registry(), Anything(), {"/code/mine.py": "abc"})
    run = next(run for run in planned.runs if run.variant == "base+m")
    spec = planned.spec(run, "/runs/k", "/cache", ["/plugins"], ["/here"])
    assert (spec.key, spec.seed, spec.threads, spec.task) == (run.key, 0, 2, TaskUse.of("mine:train"))
    assert (spec.folder, spec.cache, spec.plugins, spec.path) == ("/runs/k", "/cache", ("/plugins",), ("/here",))
    assert (spec.config, spec.tricks) == (BASE, (TrickUse("mixup", {"alpha": 0.2}),))
    assert (spec.metric, spec.sources) == ("score", {"/code/mine.py": "abc"})


def test_a_second_plan_says_what_is_added_kept_and_dropped():
    old = plan(*toggles(2), designs=["add_one_in"], seeds=(0, 1, 2)).record
    new = plan(*toggles(3), designs=["leave_one_out"], seeds=(0, 1, 3, 4)).record
    assert diff(old, new) == [
        "variants since the last run: 4 added (full, full-a, full-b, full-c), 1 kept, 2 dropped (base+a, base+b).",
        "seeds since the last run: 2 added (3, 4), 2 kept, 1 dropped (2).",
    ]


def test_a_second_plan_that_is_equal_says_nothing():
    old, new = (plan(*toggles(2), designs=["add_one_in"]).record for _ in range(2))
    assert diff(old, PlanRecord.of(json.loads(canonical_json(new.to_json())))) == []


def test_a_second_plan_names_variants_that_mean_something_else_now():
    old = plan(*toggles(1), designs=["add_one_in"]).record
    new = plan(trick("a", {"epochs": 5}), designs=["add_one_in"]).record
    assert diff(old, new) == ["variants that are configured otherwise than in the last run: base+a."]


def test_planning_loads_no_library_of_numbers_unless_a_fraction_is_asked_for():
    code = """
import sys
from ablate.study.file import parse, task_of
from ablate.study.plan import make_plan
from ablate.registry import Registry
study = parse("base: {data: {name: digits}, model: {name: vgg}}\\ntricks: {a: {set: {epochs: 3}}, mixup: {}}\\n", "s.yaml")
assert len(make_plan(study, Registry(), task_of(study)).variants) == 4
print(*sorted({"torch", "numpy", "pandas", "scipy", "pyDOE3"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


# ---------------------------------------------------------------------------------------------------------- properties


@st.composite
def studies(draw):
    """Any tricks with levels, requires and conflicts, any designs, any variants by hand."""
    letters = draw(st.lists(st.sampled_from("abcde"), max_size=4, unique=True))
    some = st.lists(st.sampled_from(letters), max_size=1) if letters else st.just([])
    tricks = []
    for name in letters:
        named = draw(st.sampled_from([(None,), (None,), ("x",), ("x", "y")]))
        requires, conflicts = (tuple(o for o in draw(some) if o != name) for _ in range(2))
        patches = tuple(TrickLevel(level, {f"on.{name}": str(level)}) for level in named)
        tricks.append(StudyTrick(name, patches, "", "", requires, conflicts))
    designs = draw(st.lists(st.sampled_from(FULL_SET), max_size=4))
    variants = []
    for name in draw(st.lists(st.sampled_from(["A", "B", "C"]), max_size=2, unique=True)):
        on = tuple(draw(st.sampled_from(t.choices)) for t in tricks if draw(st.booleans()))
        variants.append(HandVariant(name, on, draw(st.sampled_from([{}, {"epochs": 3}]))))
    if variants and draw(st.booleans()):
        designs.append(("leave_one_out", {"of": [variants[0].name]}))
    return study(*tricks, designs=designs, variants=tuple(variants), seeds=(0, 1))


def may_be(cell, tricks):
    on = set(cell.tricks)
    return all(
        {*t.requires} <= on and not {*t.conflicts} & on for t in tricks if t.name in on
    )  # fmt: skip


@given(studies())
def test_a_plan_trains_no_forbidden_cell_compares_planned_variants_and_shares_runs(asked):
    try:
        planned = make_plan(asked, Registry(), Anything())
    except StudyError:
        return
    names = [variant.name for variant in planned.variants]
    assert len(names) == len(set(names))
    assert all(may_be(variant.cell, asked.tricks) for variant in planned.variants)
    assert {row.variant for row in planned.rows} == set(names)
    assert {row.compared_with for row in planned.rows} - {None} <= set(names)
    assert all((row.differs == ()) == (row.compared_with is None) or row.design == "variants" for row in planned.rows)
    assert len(planned.rows) == len({(row.design, row.variant, row.compared_with) for row in planned.rows})
    assert [(run.seed, run.variant) for run in planned.runs if run.seed == 1] == [
        (1, run.variant) for run in planned.runs if run.seed == 0
    ]
    configs = {(canonical_json(v.completed.asked)) for v in planned.variants}
    assert len({run.key for run in planned.runs}) == len(configs) * len(asked.seeds)


@given(studies())
def test_a_factorial_plan_trains_or_names_every_combination(asked):
    asked = replace(asked, designs=(DesignUse("factorial"),), variants=())
    planned = make_plan(asked, Registry(), Anything())
    combinations = 1
    for t in asked.tricks:
        combinations *= 1 + len(t.levels)
    assert len(planned.variants) + len(planned.left_out) == combinations


@given(studies())
def test_without_requires_and_conflicts_nothing_is_left_out(asked):
    free = tuple(replace(t, requires=(), conflicts=()) for t in asked.tricks)
    designs = asked.designs or (DesignUse("leave_one_out"),)
    assert make_plan(replace(asked, tricks=free, designs=designs), Registry(), Anything()).left_out == ()


# -------------------------------------------------------------------------------------------------------------- placebo


def test_a_placebo_is_the_first_comparison_once_more_with_other_streams():
    planned = plan(*toggles(2), designs=("leave_one_out", "add_one_in"), seeds=(0, 1), analysis={"placebo": True})
    (row,) = (row for row in planned.rows if row.placebo)
    assert ("leave_one_out", "placebo", "full", ()) == (row.design, row.variant, row.compared_with, row.differs)
    assert ["full", "base+b", "base+a", "base", "placebo"] == [r.variant for r in planned.rows[:5]]
    runs = {(run.variant, run.seed): run for run in planned.runs}
    assert (0, 3000) == (runs["full", 0].draws, runs["placebo", 0].draws)
    assert 3001 == planned.spec(runs["placebo", 1], "folder", "cache").seed
    assert runs["full", 0].key != runs["placebo", 0].key
    far = plan(*toggles(2), designs=("leave_one_out",), seeds=(3000,))
    assert runs["placebo", 0].key == next(run.key for run in far.runs if run.variant == "full"), "nothing else differs"


@pytest.mark.parametrize(("seeds", "lacking"), [(7, True), (8, False)])
def test_a_plan_says_from_how_many_seeds_a_sign_flip_test_can_find_anything(seeds, lacking):
    planned = plan(*toggles(4), designs=["add_one_in"], seeds=range(seeds), analysis={"test": "sign_flip"})
    (said,) = (note for note in planned.notes if "sign-flip" in note)  # 4 x 2 / 2^8 = 0.031
    assert said.startswith("The sign-flip test can find something from 8 seeds on")
    assert ("with these 7 it finds nothing" in said) == lacking


def test_a_placebo_is_no_variant_of_anybodys():
    with pytest.raises(StudyError, match="has one already"):
        plan(*toggles(2), variants=(hand("placebo"),), analysis={"placebo": True})
    assert not [row for row in plan(*toggles(2), designs=("leave_one_out",)).rows if row.placebo]


# ----------------------------------------------------------------------------------------- tricks that only predict

VIEWS = trick("views", use="test_time_augmentation")


def classified(at="last", **rest):
    base = {"model": {"name": "vgg", "width": 4}, "data": {"name": "synthetic"}}
    asked = study(
        VIEWS, trick("norm", {"model.norm": "batch"}), base=base, metric=Metric("dev_accuracy", at=at), **rest
    )
    return make_plan(replace(asked, task=TaskUse("classify")), Registry(), Classify())


def runs_of(at="last", **rest):
    return {run.variant: run for run in classified(at, **rest).runs}


def test_a_trick_that_only_predicts_measures_the_run_without_it():
    runs = runs_of(designs=["leave_one_out"])
    assert runs["full"].evaluates == runs["base+norm"].key
    assert runs["base+views"].evaluates == runs["base"].key
    assert "" == runs["base"].evaluates == runs["base+norm"].evaluates


def test_the_plan_says_what_is_evaluated_twice():
    assert "Trained once, evaluated twice: base+views measures base, full measures base+norm." in (
        classified(designs=["factorial"]).notes
    )
    assert [] == [note for note in classified(variants=[hand("only", "views")]).notes if "twice" in note]


def test_runs_that_wait_for_a_parent_have_no_key_and_measure_nothing():
    base = {"model": {"name": "vgg", "width": 4}, "data": {"name": "synthetic"}}
    start = trick("start", {"init": {"study": "parent", "variant": "best"}})
    asked = study(start, trick("norm", {"model.norm": "batch"}), base=base, designs=["factorial"])
    planned = make_plan(replace(asked, task=TaskUse("classify")), Registry(), Classify())
    assert "" in {run.key for run in planned.runs}
    assert [] == [note for note in planned.notes if "evaluated twice" in note]


def test_its_key_says_so_and_hangs_on_the_other_run():
    with_norm, without = (
        runs_of(designs=["leave_one_out"])["full"],
        runs_of(at="best", designs=["leave_one_out"])["full"],
    )
    assert with_norm.key != without.key


@pytest.mark.parametrize("at", ["best", 3])
def test_where_other_weights_than_the_last_ones_are_asked_for_it_trains(at):
    assert {""} == {run.evaluates for run in runs_of(at=at, designs=["leave_one_out"]).values()}
    (note,) = (note for note in classified(at, designs=["leave_one_out"]).notes if "train anew" in note)
    assert note.startswith("full, base+views train anew, for metric.at is")


def test_the_key_of_what_it_measures_does_not_hang_on_whether_that_is_planned():
    alone = runs_of(variants=[hand("only", "views")])
    assert alone["only"].evaluates == runs_of(designs=["leave_one_out"])["base"].key


def test_a_hand_listed_row_differs_by_its_own_settings_too():
    planned = plan(*toggles(1), variants=(hand("A", "a"), hand("B", epochs=3), hand("C", "a", epochs=3)))
    assert {row.variant: row.differs for row in planned.rows} == {"A": (), "B": ("a", "epochs"), "C": ("epochs",)}
