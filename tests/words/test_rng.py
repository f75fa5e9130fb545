"""Streams by name: golden seeds, because every stored metric depends on them."""

from hypothesis import given
from hypothesis import strategies as st

from ablate.rng import seed_for

names = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 1000)), max_size=3).map(tuple)


def test_the_seed_of_a_stream_stays_what_it_was():
    assert seed_for(0) == 7520536977032167579
    assert seed_for(0, "init", "block1.conv.weight") == 3818482455982242757
    assert seed_for(7, "trick", "mixup", 17) == 2047990788884468804


@given(st.integers(-(2**63), 2**63), names)
def test_a_seed_is_what_torch_and_numpy_take(seed, name):
    assert 0 <= seed_for(seed, *name) < 2**63


@given(st.tuples(st.integers(0, 5), names), st.tuples(st.integers(0, 5), names))
def test_two_streams_have_one_seed_only_if_they_are_the_same_stream(one, other):
    assert (seed_for(one[0], *one[1]) == seed_for(other[0], *other[1])) == (one == other)


def test_a_name_is_not_the_text_of_its_parts():
    assert (
        len({seed_for(0, "a", "b"), seed_for(0, "ab"), seed_for(0, "a,b"), seed_for(0, "a", 1), seed_for(0, "a", "1")})
        == 5
    )
