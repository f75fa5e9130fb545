"""Designs and names. Properties hold under any mix of requires, conflicts and levels; counts are the issue's."""

import itertools
import math
import string
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import ConfigError
from ablate.records import Cell, Choice, StudyTrick, TrickLevel
from ablate.registry import Registry
from ablate.study.cells import Space, name_of
from ablate.study.design import DesignError
from ablate.study.designs.fractional import GENERATORS

REGISTRY = Registry()
ON = (TrickLevel(),)
FRACTIONS = [(k, resolution) for resolution, table in GENERATORS.items() for k in table]


def choose(space, design, **options):
    return REGISTRY.make("designs", design, options).choose(space)


def toggles(count):
    return Space(tuple(StudyTrick(letter, ON) for letter in string.ascii_lowercase[:count]))


def trick(name, *levels, requires=(), conflicts=()):
    return StudyTrick(name, tuple(TrickLevel(level) for level in levels) or ON, "", "", requires, conflicts)


def cell(*on, of=""):
    return Cell(tuple(Choice(*name.split("=")) for name in on), of)


def names(chosen, space):
    return [name_of(row.cell, space, row.of) for row in chosen.rows]


def compared(chosen, space):
    return [row.compared_with and name_of(row.compared_with, space) for row in chosen.rows]


def left_out(chosen, space):
    return {name_of(left.cell, space, left.of): left.why for left in chosen.left_out}


OPTIMIZER = trick("optimizer", "adamw", "nesterov")
SKIP_NEEDS_NORM = Space((trick("norm"), trick("skip", requires=("norm",)), trick("mixup")))
RIVALS = Space((trick("a"), trick("b", conflicts=("a",)), trick("c")), {"A": cell("a", "c")})


# ------------------------------------------------------------------------------------------------------------- designs


@pytest.mark.parametrize(
    ("count", "design", "options"),
    [
        (10, "leave_one_out", {}),
        (9, "add_one_in", {}),
        (9, "cumulative", {}),
        (256, "factorial", {}),
        (16, "fractional", {}),
        (16, "fractional", {"resolution": 4}),
        (64, "fractional", {"resolution": 5}),
    ],
)
def test_eight_toggles_make_as_many_variants_as_promised(count, design, options):
    rows = choose(toggles(8), design, **options).rows
    assert len(rows) == len({row.cell for row in rows}) == count


def test_leave_one_out_takes_each_trick_away_swaps_levels_and_compares_with_full():
    space = Space((trick("a"), OPTIMIZER, trick("b")))
    chosen = choose(space, "leave_one_out")
    assert names(chosen, space) == ["full", "full-a", "full-optimizer", "full-b", "full+optimizer=nesterov", "base"]
    assert compared(chosen, space) == [None, "full", "full", "full", "full", "full"]


def test_leave_one_out_of_a_single_trick_has_two_rows():
    assert names(choose(toggles(1), "leave_one_out"), toggles(1)) == ["base+a", "base"]


def test_a_removal_that_breaks_requires_is_left_out_and_named():
    chosen = choose(SKIP_NEEDS_NORM, "leave_one_out")
    assert names(chosen, SKIP_NEEDS_NORM) == ["full", "full-skip", "full-mixup", "base"]
    assert left_out(chosen, SKIP_NEEDS_NORM) == {"full-norm": "skip requires norm"}


def test_leave_one_out_asks_for_of_where_full_breaks_a_conflict():
    with pytest.raises(DesignError, match=r"b conflicts with a.*of: \[A\]"):
        choose(RIVALS, "leave_one_out")


def test_leave_one_out_of_a_variant_takes_each_of_its_tricks_away_and_compares_with_it():
    chosen = choose(RIVALS, "leave_one_out", of=["A"])
    assert names(chosen, RIVALS) == ["A", "A-a", "A-c"]
    assert compared(chosen, RIVALS) == [None, "A", "A"]
    assert {row.of for row in chosen.rows} == {"A"}


def test_removals_from_a_variant_keep_its_changed_base():
    space = Space((trick("a"), trick("b")), {"A": cell("a", "b", of="A")})
    assert [row.cell for row in choose(space, "leave_one_out", of=["A"]).rows] == [
        cell("a", "b", of="A"), cell("b", of="A"), cell("a", of="A"),
    ]  # fmt: skip


def test_a_removal_from_a_variant_that_breaks_requires_is_named_from_it():
    space = Space(SKIP_NEEDS_NORM.tricks, {"A": cell("norm", "skip")})
    assert left_out(choose(space, "leave_one_out", of=["A"]), space) == {"A-norm": "skip requires norm"}


def test_of_an_unknown_variant_names_the_nearest():
    space = Space(toggles(2).tricks, {"small": cell("a"), "large": cell("b")})
    with pytest.raises(DesignError, match=r"no variant listed by hand is called 'smal'.*small or large.*mean 'small'"):
        choose(space, "leave_one_out", of=["smal"])


def test_add_one_in_has_a_row_per_level_compared_with_base():
    space = Space((trick("a"), OPTIMIZER))
    chosen = choose(space, "add_one_in")
    assert names(chosen, space) == ["base", "base+a", "base+optimizer=adamw", "base+optimizer=nesterov"]
    assert compared(chosen, space) == [None, "base", "base", "base"]


def test_a_trick_that_cannot_stand_alone_is_left_out_of_add_one_in_and_named():
    chosen = choose(SKIP_NEEDS_NORM, "add_one_in")
    assert names(chosen, SKIP_NEEDS_NORM) == ["base", "base+norm", "base+mixup"]
    assert left_out(chosen, SKIP_NEEDS_NORM) == {"base+skip": "skip requires norm"}


def test_cumulative_compares_each_step_with_the_one_before():
    space = Space((trick("a"), OPTIMIZER, trick("b")))
    chosen = choose(space, "cumulative")
    assert [row.cell for row in chosen.rows] == [
        cell(),
        cell("a"),
        cell("a", "optimizer=adamw"),
        space.full,
    ]
    assert [row.compared_with for row in chosen.rows] == [None, *(row.cell for row in chosen.rows[:-1])]


def test_a_forbidden_step_is_left_out_of_cumulative_and_stays_out():
    chosen = choose(RIVALS, "cumulative")
    assert [row.cell for row in chosen.rows] == [cell(), cell("a"), cell("a", "c")]
    assert [(left.cell, left.why) for left in chosen.left_out] == [(cell("a", "b"), "b conflicts with a")]


def test_factorial_has_every_combination_of_off_and_levels_with_the_first_trick_fastest():
    space = Space((trick("a"), OPTIMIZER))
    assert [row.cell for row in choose(space, "factorial").rows] == [
        cell(), cell("a"),
        cell("optimizer=adamw"), cell("a", "optimizer=adamw"),
        cell("optimizer=nesterov"), cell("a", "optimizer=nesterov"),
    ]  # fmt: skip


def test_forbidden_cells_are_left_out_of_factorial_and_named():
    chosen = choose(RIVALS, "factorial")
    assert len(chosen.rows) == 6
    assert left_out(chosen, RIVALS) == {"full-c": "b conflicts with a", "full": "b conflicts with a"}


def test_a_factorial_of_more_cells_than_anyone_means_is_refused():
    with pytest.raises(DesignError, match=r"15 tricks have 32,768 combinations; at most 16,384.*fractional"):
        choose(toggles(15), "factorial")


# ----------------------------------------------------------------------------------------------------------- fractions


@pytest.mark.parametrize(("k", "resolution"), FRACTIONS)
def test_the_defining_words_of_a_fraction_are_as_long_as_its_resolution(k, resolution):
    generators = GENERATORS[resolution][k].split()
    letters = string.ascii_lowercase[: k - len(generators)]
    words = [{*word, i} for i, word in enumerate(generators)]
    defining = [
        reduce(set.symmetric_difference, part)
        for size in range(1, len(words) + 1)
        for part in itertools.combinations(words, size)
    ]
    assert len(defining) == 2 ** len(generators) - 1
    shortest = min(map(len, defining))
    assert shortest >= resolution
    chosen = choose(toggles(k), "fractional", resolution=resolution)
    assert len(chosen.rows) == 2 ** len(letters)
    assert chosen.notes[0].startswith(
        f"fractional: {2 ** len(letters)} of the {2**k} combinations, resolution {shortest}"
    )


@pytest.mark.parametrize(("k", "resolution"), FRACTIONS)
def test_a_fraction_keeps_apart_what_its_resolution_promises(k, resolution):
    """Of the runs themselves: no product of fewer columns than the resolution is unbalanced."""
    space = toggles(k)
    rows = choose(space, "fractional", resolution=resolution).rows
    signs = np.array([[1 if trick.choices[0] in row.cell.on else -1 for trick in space.tricks] for row in rows])
    for size in range(1, resolution):
        for columns in itertools.combinations(range(k), size):
            assert signs[:, columns].prod(axis=1).sum() == 0, columns


# The most tricks that 2**m runs can hold: 2**m - 1 at resolution 3, 2**(m-1) at 4, and at 5 the known maxima
# (Montgomery; Draper and Mitchell 1968).
MOST = {
    3: {m: 2**m - 1 for m in range(1, 8)},
    4: {m: 2 ** (m - 1) for m in range(1, 8)},
    5: {1: 1, 2: 2, 3: 3, 4: 5, 5: 6, 6: 8, 7: 11},
}


@pytest.mark.parametrize(("k", "resolution"), FRACTIONS)
def test_half_the_runs_of_a_fraction_would_not_do(k, resolution):
    letters = k - len(GENERATORS[resolution][k].split())
    assert MOST[resolution][letters - 1] < k <= MOST[resolution][letters]


def test_seven_toggles_need_eight_runs_at_resolution_three():
    assert len(choose(toggles(7), "fractional", resolution=3).rows) == 8


def test_the_alias_list_names_what_cannot_be_told_apart():
    assert choose(toggles(3), "fractional", resolution=3).notes == (
        "fractional: 4 of the 8 combinations, resolution 3. Effects joined by = cannot be told apart (* is an "
        "interaction): a = b*c; b = a*c; c = a*b.",
    )
    assert choose(toggles(4), "fractional").notes[0].endswith(": a*b = c*d; a*c = b*d; a*d = b*c.")


def test_the_alias_list_lists_exactly_the_effects_whose_columns_are_equal():
    space = toggles(8)
    chosen = choose(space, "fractional", resolution=4)
    column = {
        t.name: tuple(1 if t.choices[0] in row.cell.on else -1 for row in chosen.rows) for t in space.tricks
    }  # fmt: skip
    groups = {}
    for effect in [*"abcdefgh", *map("*".join, itertools.combinations("abcdefgh", 2))]:
        product = tuple(math.prod(values) for values in zip(*(column[name] for name in effect.split("*")), strict=True))
        groups.setdefault(product, set()).add(effect)
    listed = chosen.notes[0].rpartition(": ")[2].removesuffix(".").split("; ")
    assert sorted(map(sorted, (group.split(" = ") for group in listed))) == sorted(
        sorted(group) for group in groups.values() if len(group) > 1
    )


def test_the_alias_list_quotes_names_that_would_be_misread():
    space = Space((trick("a*b"), trick("it's"), trick("c")))
    assert "'a*b' = 'it''s'*c" in choose(space, "fractional", resolution=3).notes[0]


def test_a_fraction_without_aliases_says_so():
    note = choose(toggles(5), "fractional").notes[0]
    assert "resolution 5; no main effect or interaction of two tricks is confounded" in note


def test_a_fraction_refuses_levels_by_name():
    space = Space((*toggles(4).tricks, OPTIMIZER))
    with pytest.raises(DesignError, match="'optimizer' has 2 levels"):
        choose(space, "fractional")


def test_a_trick_with_a_single_level_is_on_or_off_for_a_fraction():
    space = Space((trick("a"), trick("b"), trick("c", "only")))
    assert {row.cell for row in choose(space, "fractional", resolution=3).rows} == {
        cell("c=only"), cell("b"), cell("a"), cell("a", "b", "c=only"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("k", "resolution", "says"),
    [
        (2, 3, r"3 to 15 tricks, and there are 2; possible is `factorial`, all 4 combinations"),
        (4, 5, r"5 to 11 tricks, and there are 4; possible is `resolution: 3`, `resolution: 4` or `factorial`"),
        (12, 5, r"5 to 11 tricks, and there are 12; possible is `resolution: 3` or `resolution: 4`\."),
        (17, 4, r"4 to 16 tricks, and there are 17; possible is `leave_one_out`"),
    ],
)
def test_a_fraction_that_no_table_has_is_refused_with_what_is_possible(k, resolution, says):
    with pytest.raises(DesignError, match=says):
        choose(toggles(k), "fractional", resolution=resolution)


def test_a_resolution_that_there_is_not_is_refused():
    with pytest.raises(ConfigError, match="resolution: is 6; it must be 3, 4 or 5"):
        choose(toggles(8), "fractional", resolution=6)


def test_a_fraction_with_forbidden_cells_says_that_its_aliasing_no_longer_holds():
    space = Space((trick("a"), trick("b", conflicts=("a",)), trick("c")))
    chosen = choose(space, "fractional", resolution=3)
    assert left_out(chosen, space) == {"full": "b conflicts with a"}
    assert "1 of its 4 combinations" in chosen.notes[1]
    assert "aliasing no longer holds" in chosen.notes[1]


# ---------------------------------------------------------------------------------------------------------- properties


@st.composite
def spaces(draw, most=6, names=None):
    """Any tricks with any levels, requires and conflicts."""
    found = draw(st.lists(names or st.sampled_from(string.ascii_lowercase), max_size=most, unique=True))
    some = st.lists(st.sampled_from(found), max_size=1).map(tuple) if found else st.just(())
    levels = st.sampled_from([ON, ON, (TrickLevel("x"),), (TrickLevel("x"), TrickLevel("y"))])

    def others(name):
        return draw(some.map(lambda chosen: tuple(other for other in chosen if other != name)))

    return Space(tuple(StudyTrick(name, draw(levels), "", "", others(name), others(name)) for name in found))


designs = st.sampled_from(
    [
        ("leave_one_out", {}),
        ("add_one_in", {}),
        ("cumulative", {}),
        ("factorial", {}),
        ("fractional", {"resolution": 3}),
    ]
)


@given(spaces(), designs)
def test_no_forbidden_cell_is_ever_chosen_and_every_one_left_out_is_forbidden(space, design):
    try:
        chosen = choose(space, design[0], **design[1])
    except DesignError:
        return
    assert [space.forbidden(row.cell) for row in chosen.rows] == [None] * len(chosen.rows)
    assert all(space.forbidden(left.cell) == left.why for left in chosen.left_out)


@given(spaces(), designs)
def test_every_row_is_compared_with_a_row_of_its_design_and_stands_there_once(space, design):
    try:
        chosen = choose(space, design[0], **design[1])
    except DesignError:
        return
    cells = [row.cell for row in chosen.rows]
    assert len(cells) == len(set(cells))
    assert {row.compared_with for row in chosen.rows} - {None} <= set(cells)


@given(spaces())
def test_what_factorial_chooses_and_leaves_out_is_everything(space):
    chosen = choose(space, "factorial")
    count = math.prod(1 + len(t.levels) for t in space.tricks)
    assert len({row.cell for row in chosen.rows} | {left.cell for left in chosen.left_out}) == count
    assert len(chosen.rows) + len(chosen.left_out) == count


@given(spaces())
def test_every_design_chooses_from_what_factorial_has(space):
    everything = {row.cell for row in choose(space, "factorial").rows}
    for design in ("leave_one_out", "add_one_in", "cumulative"):
        try:
            assert {row.cell for row in choose(space, design).rows} <= everything
        except DesignError:
            assert space.full not in everything


# --------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "on"),
    [
        ("base", ()),
        ("full", ("a", "b", "c", "d")),
        ("base+a", ("a",)),
        ("base+a+c", ("a", "c")),  # a tie
        ("full-c", ("a", "b", "d")),
    ],
)
def test_a_name_lists_the_fewer_tricks_and_base_wins_a_tie(name, on):
    assert name_of(cell(*on), toggles(4)) == name


@pytest.mark.parametrize(
    ("name", "on"),
    [
        ("full", ("a", "b", "optimizer=adamw")),
        ("full+optimizer=nesterov", ("a", "b", "optimizer=nesterov")),
        ("base+b+optimizer=nesterov", ("b", "optimizer=nesterov")),
        ("base+optimizer=nesterov", ("optimizer=nesterov",)),
        ("base+optimizer=adamw", ("optimizer=adamw",)),
        ("full-b", ("a", "optimizer=adamw")),
    ],
)
def test_a_level_is_part_of_the_name_where_it_is_not_the_first(name, on):
    given_name = name_of(cell(*on), Space((trick("a"), trick("b"), OPTIMIZER)))
    assert given_name == name


def test_with_one_trick_there_is_no_full():
    assert [name_of(cell(*on), toggles(1)) for on in ((), ("a",))] == ["base", "base+a"]


def test_with_two_tricks_each_alone_is_named_from_base():
    assert [name_of(cell(*on), toggles(2)) for on in (("a",), ("b",), ("a", "b"))] == ["base+a", "base+b", "full"]


def test_a_name_given_by_hand_wins():
    space = Space(toggles(3).tricks, {"plain": cell(), "A": cell("a", "b"), "B": cell("a", "b")})
    assert name_of(cell(), space) == "plain"
    assert name_of(cell("a", "b"), space) == "A"


def test_a_change_of_a_hand_listed_variant_is_named_from_it_unless_it_is_base_or_full():
    space = Space(toggles(3).tricks, {"A": cell("a", "b")})
    assert name_of(cell("b"), space, "A") == "A-a"
    assert name_of(cell(), space, "A") == "base"
    assert name_of(cell("a", "b", "c"), space, "A") == "full"


def test_on_a_changed_base_every_name_starts_from_the_variant():
    space = Space(toggles(2).tricks, {"A": cell("a", "b", of="A")})
    assert name_of(cell(of="A"), space) == "A-a-b"
    assert name_of(cell("b", of="A"), space) == "A-a"


@pytest.mark.parametrize(
    ("name", "tricks"),
    [
        ("base+'a-b'", ("a-b", "x", "y")),
        ("base+'a+b'", ("a+b", "x", "y")),
        ("base+'a=b'", ("a=b", "x", "y")),
        ("base+'a b'", ("a b", "x", "y")),
        ("base+'it''s'", ("it's", "x", "y")),
        ("base+\\input{x}|<b>%_", ("\\input{x}|<b>%_", "x", "y")),
    ],
)
def test_a_trick_whose_name_would_be_misread_is_quoted_where_names_are_joined(name, tricks):
    assert name_of(cell(), Space(tuple(map(trick, tricks)))) == "base"
    assert name_of(Cell((Choice(tricks[0]),)), Space(tuple(map(trick, tricks)))) == name


hostile = st.text(st.sampled_from("ab-+='\" |<full"), min_size=1, max_size=5)


@st.composite
def hostile_spaces(draw):
    """Hostile names of tricks and levels, and variants on changed bases that bear names of any kind but taken ones."""
    tricks = []
    for name in draw(st.lists(hostile, max_size=4, unique=True)):
        levels = draw(st.lists(hostile, max_size=2, unique=True))
        tricks.append(trick(name, *levels))
    choices = [choice for t in tricks for choice in t.choices]
    named = {}
    for name in draw(st.lists(hostile, max_size=2, unique=True)):
        on = {c.trick: c for c in draw(st.lists(st.sampled_from(choices)) if choices else st.just([]))}
        named[name] = Cell(tuple(on[t.name] for t in tricks if t.name in on), name)
    return Space(tuple(tricks), named)


@given(hostile_spaces())
def test_distinct_cells_never_share_a_name(space):
    ons = [
        tuple(choice for choice in settings if choice is not None)
        for settings in itertools.product(*((None, *t.choices) for t in space.tricks))
    ]
    own = {name_of(Cell(on), space) for on in ons}
    assert len(own) == len(ons)
    for name in space.named:
        if name in own or name in ("base", "full"):
            continue  # a plan refuses a variant with such a name
        on_its_base = {name_of(Cell(on, name), space) for on in ons}
        assert len(on_its_base) == len(ons)
        assert not on_its_base & own
