"""Compressed bodies within bounds."""

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tickspan_spool.receiver.inflation import inflate
from tickspan_spool.receiver.limits import Limits
from tickspan_spool.receiver.refusal import Reason, Refusal

_TIGHT = Limits(inflated_bytes=1000, inflation_ratio=10, ratio_free_bytes=100)


def _refusal(body: bytes, encoding: str = "gzip", limits: Limits = _TIGHT) -> tuple[Reason, int]:
    with pytest.raises(Refusal) as caught:
        inflate(body, encoding, limits)
    return caught.value.reason, caught.value.status


@given(st.binary(max_size=4096))
def test_what_was_compressed_comes_back(body: bytes):
    assert inflate(gzip.compress(body), "gzip", Limits()) == body
    assert inflate(zlib.compress(body), "deflate", Limits()) == body
    assert inflate(body, "identity", Limits()) == body
    assert inflate(body, "", Limits()) == body


def test_gzip_members_in_a_row_are_one_body():
    assert inflate(gzip.compress(b"one ") + gzip.compress(b"two"), " GZIP ", Limits()) == b"one two"


def test_more_members_than_allowed_are_refused():
    assert _refusal(gzip.compress(b"") * 65) == (Reason.MALFORMED, 400)


def test_a_body_of_exactly_the_allowed_size_passes():
    assert inflate(zlib.compress(b"0" * 100), "deflate", _TIGHT) == b"0" * 100


def test_a_body_beyond_the_ratio_is_refused():
    assert _refusal(gzip.compress(b"0" * 500)) == (Reason.INFLATION_RATIO, 413)


def test_a_body_beyond_the_size_is_refused():
    incompressible = bytes(range(256)) * 4
    assert _refusal(gzip.compress(incompressible)) == (Reason.INFLATED_SIZE, 413)


def test_the_bounds_hold_over_all_members_together():
    member = gzip.compress(bytes(range(256)))
    assert _refusal(member * 4) == (Reason.INFLATED_SIZE, 413)


@given(st.integers(min_value=0, max_value=40))
def test_a_truncated_body_is_refused(length: int):
    whole = gzip.compress(bytes(range(60)))
    assert _refusal(whole[:length]) == (Reason.MALFORMED, 400)


def test_bytes_behind_the_last_member_are_refused():
    assert _refusal(gzip.compress(b"body") + b"more") == (Reason.MALFORMED, 400)
    assert _refusal(zlib.compress(b"body") + b"more", "deflate") == (Reason.MALFORMED, 400)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x" * 10_000])
def test_an_unknown_encoding_is_refused(encoding: str):
    assert _refusal(b"", encoding) == (Reason.CONTENT_ENCODING, 415)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_garbage_is_refused_or_inflates_within_the_bounds(body: bytes, encoding: str):
    with contextlib.suppress(Refusal):
        assert len(inflate(body, encoding, _TIGHT)) <= 1000
