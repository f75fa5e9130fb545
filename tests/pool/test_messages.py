"""What processes of ours say to each other: any text comes through, nothing else is believed."""

import os
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import GarbledError
from ablate.pool.messages import (
    Broken,
    Done,
    Drop,
    Exited,
    Fork,
    Forked,
    Job,
    Pause,
    Ready,
    Said,
    Setup,
    Unable,
    Unforked,
    decode,
    encode,
)  # fmt: skip
from ablate.records import Reason, RunSpec, Start, TaskUse, TrickUse

ODD = ["\0", "\n", "\r\n", "\u2028", '"}{', "\\", "\udcff", "\U0001f642", "x" * 5000, os.fsdecode(b"\xff.py")]
text = st.text(st.characters(codec=None)) | st.sampled_from(ODD)
whole = st.integers(-(2**63), 2**63)
number = st.floats(allow_nan=False)
texts = st.dictionaries(text, text, max_size=3)
numbers = st.dictionaries(text, number, max_size=3)
listed = st.lists(text, max_size=3).map(tuple)
json_ = st.dictionaries(
    text, st.recursive(st.none() | st.booleans() | whole | number | text, lambda held: st.lists(held, max_size=2))
)
tasks = st.builds(TaskUse, text, json_)
specs = st.builds(
    RunSpec, text, tasks, json_, st.lists(st.builds(TrickUse, text, json_), max_size=2).map(tuple), whole, whole, text,
    text, listed, listed, texts, text, data=st.none() | text, start=st.none() | st.builds(Start, text, text, text),
)  # fmt: skip
from_workers = (
    st.builds(Said, whole, numbers)
    | st.builds(Done, numbers, texts, numbers)
    | st.builds(Broken, st.sampled_from(get_args(Reason)), text, text)
)
messages = from_workers | st.one_of(
    st.builds(Setup, tasks, listed, listed, listed, st.lists(st.tuples(text, text), max_size=2).map(tuple), texts),
    st.builds(Fork, text), st.builds(Ready, whole), st.builds(Unable, text), st.builds(Forked, text, whole, whole),
    st.builds(Drop, text), st.builds(Exited, text, whole, number, number, number), st.builds(Job, text, specs, text, texts, st.booleans()),
    st.builds(Pause, text),
)  # fmt: skip
KINDS = (Setup, Fork, Drop, Ready, Unable, Forked, Unforked, Exited, Job, Pause, Said, Done, Broken)


@given(messages)
def test_a_message_comes_back_as_it_was_said_and_is_one_line_of_ascii(message):
    line = encode(message)
    assert message == decode(line, *KINDS)
    assert line.isascii()
    assert b"\n" not in line


@given(from_workers)
def test_every_text_of_a_worker_can_be_stored(message):
    def check(value):
        if isinstance(value, dict):
            for name, held in value.items():
                check(name)
                check(held)
        elif isinstance(value, str):
            assert not set(value) & {"\0", "\x1b", "\r", "\x9b", "\u2028"}
            value.encode()

    for value in vars(decode(encode(message), type(message))).values():
        check(value)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"hello", b"3", b"null", b"[]", b"{}", b"\xff", b"[" * 10**5, b'"Said"', b'{"Said": null}', b'{"Said": {}}',
        b'{"Said": {"step": 1}}', b'{"Said": {"step": "1", "values": {}}}', b'{"Said": {"step": true, "values": {}}}',
        b'{"Said": {"step": 1, "values": {"a": "1"}}}', b'{"Said": {"step": 1, "values": [1]}}',
        b'{"Said": {"step": 1, "values": {}, "more": 1}}', b'{"Said": {"step": 1, "values": {}}, "Done": {}}',
        b'{"Broken": {"reason": "dull", "message": "", "detail": ""}}', b'{"Forked": {"token": "t", "pid": 1, "started": 1}}',
        b'{"Said": {"step": 1, "values": {}}}{"Said": {"step": 1, "values": {}}}',
    ],
)  # fmt: skip
def test_what_is_no_message_of_the_kind_that_is_due_is_one_error(line):
    with pytest.raises(GarbledError, match="is no message of ablate's; it must be Said, Done or Broken"):
        decode(line, Said, Done, Broken)


@given(st.binary())
def test_no_bytes_are_too_odd_to_be_refused(data):
    with pytest.raises(GarbledError):
        decode(data, Said)
