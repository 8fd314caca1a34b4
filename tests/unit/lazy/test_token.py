"""A token holds a place and nothing else, and is refused when it is damaged or foreign."""

from __future__ import annotations

import base64
import json
import string
import zlib
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.lazy import TokenError
from tickspan.lazy.token import Mark, read, write

SOURCE = "trades by ts, id"
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=20),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False),
    st.datetimes(timezones=st.one_of(st.none(), st.just(UTC), st.just(timezone(timedelta(hours=-3))))),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.binary(max_size=20),
    st.uuids(),
)


@given(position=st.one_of(st.none(), VALUES, st.tuples(VALUES, VALUES)), skip=st.integers(0, 1_000_000))
def test_a_place_comes_back_as_it_was_with_its_types(position: Any, skip: int) -> None:
    mark = Mark(position, skip)
    token = write(mark, SOURCE)
    back = read(token, SOURCE)
    assert (back, type(back.position)) == (mark, type(position))
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")


def test_a_token_is_short() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    key = (moment, Decimal("101.25"), UUID(int=7), "AAPL")
    assert len(write(Mark(key), SOURCE)) == 186


def test_a_key_that_is_too_long_is_refused_without_being_shown() -> None:
    with pytest.raises(TokenError) as refused:
        write(Mark(("secret" * 200,)), SOURCE)
    assert "too long" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_key_of_a_type_that_no_token_holds_is_refused() -> None:
    with pytest.raises(TokenError, match="a key of type complex cannot stand in a token"):
        write(Mark((1j,)), SOURCE)


def test_the_token_of_another_source_is_refused() -> None:
    with pytest.raises(TokenError, match="belongs to another source"):
        read(write(Mark((1,)), SOURCE), "orders by id")


@given(st.data())
def test_a_token_with_a_changed_character_is_refused(data: st.DataObject) -> None:
    token = write(Mark((date(2026, 1, 2), "AAPL", 7)), SOURCE)
    place = data.draw(st.integers(0, len(token) - 2))  # the last one has bits that mean nothing
    other = data.draw(st.sampled_from("ABCDEFGHabcdefgh0123-_ é=").filter(lambda one: one != token[place]))
    with pytest.raises(TokenError):
        read(token[:place] + other + token[place + 1 :], SOURCE)


@pytest.mark.parametrize("token", ["", "x", "AAAA", "é", "A" * 2000, "!!!!"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenError, match="damaged"):
        read(token, SOURCE)


def forged(body: Any, version: int = 1) -> str:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    raw = bytes((version,)) + zlib.crc32(text).to_bytes(4, "big") + text
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "position",
    [
        ["z", 1],
        ["f", "x"],
        ["n", "abc"],
        ["n", []],
        ["t", "yesterday"],
        ["i", "x"],
        ["i", 10**30],
        ["u", "12"],
        ["b", "é"],
        ["l", 7],
        ["l", [["l"]]],
        [[], 1],
        ["l"],
        {"a": 1},
        1.5,
    ],
)
def test_a_token_whose_checksum_is_right_and_whose_values_are_not_is_refused(position: Any) -> None:
    fingerprint = json.loads(base64.urlsafe_b64decode(write(Mark(), SOURCE) + "==")[5:])[0]
    with pytest.raises(TokenError, match="damaged"):
        read(forged([fingerprint, 0, position]), SOURCE)


@pytest.mark.parametrize("skip", [10_000_001, 10**30])
def test_a_token_that_would_fetch_any_number_of_rows_is_refused(skip: int) -> None:
    fingerprint = json.loads(base64.urlsafe_b64decode(write(Mark(), SOURCE) + "==")[5:])[0]
    with pytest.raises(TokenError, match="damaged"):
        read(forged([fingerprint, skip, None]), SOURCE)


def test_what_is_no_text_is_refused() -> None:
    number: Any = 5
    with pytest.raises(TokenError, match="damaged"):
        read(number, SOURCE)


@pytest.mark.parametrize(
    "body",
    [[], {}, None, ["x", -1, None], ["x", True, None], ["x", "1", None], b"\xff", b"[" * 700, b"[1,"],
)
def test_a_token_of_another_form_is_refused(body: Any) -> None:
    with pytest.raises(TokenError, match="damaged"):
        read(forged(body), SOURCE)


def test_a_token_of_a_later_version_says_so() -> None:
    with pytest.raises(TokenError, match="has format 2; this version of tickspan reads 1"):
        read(forged(["x", 0, None], version=2), SOURCE)


def test_a_time_keeps_its_zone_and_microseconds() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone(timedelta(hours=5, minutes=30)))
    back = read(write(Mark((moment, time(1, 2, 3, 4))), SOURCE), SOURCE)
    assert back.position == (moment, time(1, 2, 3, 4))
    assert back.position[0].isoformat() == moment.isoformat()
