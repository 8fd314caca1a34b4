"""What stands in an envelope, and where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.cache.envelope import Envelope, EnvelopeError, id_of, open_envelope, tombstone

ID = bytes(range(1, 9))
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)


def test_the_head_stands_at_the_offsets_that_scripts_read():
    envelope = Envelope(
        ID,
        schema=0x01020304,
        stored_at_ms=5,
        soft_ttl_ms=7,
        hard_ttl_ms=8,
        payload=b"payload",
        codec=2,
        raw_length=10,
        version=4,
        as_of_ms=6,
        load_cost_us=9,
        tags=(("ab", 3),),
        is_negative=True,
    )
    assert envelope.to_bytes() == (
        b"TS\x01\x06"
        b"\x01\x02\x03\x04"
        b"\x00\x00\x00\x00\x00\x00\x00\x04"
        b"\x01\x02\x03\x04\x05\x06\x07\x08"
        b"\x00\x00\x00\x00\x00\x00\x00\x05"
        b"\x00\x00\x00\x00\x00\x00\x00\x06"
        b"\x00\x00\x00\x00\x00\x00\x00\x07"
        b"\x00\x00\x00\x00\x00\x00\x00\x08"
        b"\x00\x00\x00\x09\x00\x00\x00\x0a\x00\x01"
        b"\x02ab\x00\x00\x00\x00\x00\x00\x00\x03payload"
    )


@given(
    st.builds(
        Envelope,
        id=st.binary(min_size=8, max_size=8),
        schema=U32,
        stored_at_ms=U64,
        soft_ttl_ms=U64,
        hard_ttl_ms=U64,
        payload=st.binary(),
        codec=st.integers(0, 3),
        raw_length=U32,
        version=st.none() | st.integers(1, 2**64 - 1),
        as_of_ms=st.none() | st.integers(1, 2**64 - 1),
        load_cost_us=U32,
        tags=st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), U64)).map(
            tuple
        ),
        is_negative=st.booleans(),
        is_tombstone=st.booleans(),
    )
)
def test_what_was_put_in_comes_out(envelope: Envelope):
    assert open_envelope(envelope.to_bytes()) == envelope


@given(st.binary(max_size=200))
def test_any_bytes_are_an_envelope_or_an_error_that_says_so(raw: bytes):
    try:
        opened = open_envelope(raw)
    except EnvelopeError:
        return
    assert opened.to_bytes() == raw


@given(st.integers(0, 90))
def test_an_envelope_that_was_cut_is_an_error_or_has_a_shorter_payload(length: int):
    whole = Envelope(ID, 1, 2, 3, 4, b"0123456789", tags=(("a", 1),)).to_bytes()
    cut = whole[: min(length, len(whole) - 1)]
    try:
        opened = open_envelope(cut)
    except EnvelopeError:
        return
    assert len(opened.payload) < 10


def test_a_tombstone_has_the_version_that_it_replaces():
    opened = open_envelope(tombstone(ID, 11, 22, version=33))
    assert opened == Envelope(ID, 0, 11, 22, 22, version=33, is_tombstone=True)


def test_an_unknown_format_or_flag_is_not_read():
    raw = Envelope(ID, 1, 2, 3, 4).to_bytes()
    for planted in (raw[:2] + b"\x02" + raw[3:], raw[:3] + b"\x10" + raw[4:]):
        with pytest.raises(EnvelopeError, match="format"):
            open_envelope(planted)


def test_the_id_of_nothing_is_empty():
    assert (id_of(None), id_of(Envelope(ID, 1, 2, 3, 4).to_bytes())) == (b"", ID)


def test_a_tag_of_more_than_255_bytes_cannot_be_put_in():
    with pytest.raises(ValueError, match="at most 255 bytes"):
        Envelope(ID, 1, 2, 3, 4, tags=(("x" * 256, 1),)).to_bytes()
