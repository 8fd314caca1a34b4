from decimal import Decimal
from typing import Any

import pytest
import simplefix
from hypothesis import given
from hypothesis import strategies as st

from tickspan.testing.venue.fix.wire import Message, Splitter, encode, unix_ms, utc_timestamp

ORDER = encode(
    "D", [(49, "CLIENT"), (34, 7), (11, "a"), (38, Decimal("0.50")), (58, None), (44, Decimal("1E+3"))]
)


def texts(messages: list[Message]) -> list[str]:
    return [message.text for message in messages]


def test_a_message_has_its_length_its_type_and_its_check_sum():
    other: Any = simplefix.FixMessage()
    fields = [(8, "FIX.4.4"), (35, "0"), (49, "A"), (56, "B"), (34, 1), (52, "20240131-09:30:00.123")]
    for tag, value in fields:
        other.append_pair(tag, value)
    assert encode("0", fields[2:]) == other.encode()


def test_what_is_none_is_left_out_and_decimals_have_no_exponent():
    assert ORDER.replace(b"\x01", b"|") == b"8=FIX.4.4|9=41|35=D|49=CLIENT|34=7|11=a|38=0.50|44=1000|10=001|"


def test_a_message_is_read_field_by_field():
    [message] = Splitter().feed(ORDER)
    assert message == Message(
        "D",
        ((49, "CLIENT"), (34, "7"), (11, "a"), (38, "0.50"), (44, "1000")),
        ORDER.decode(),
    )
    assert (message.get(11), message.get(99), message.whole(34), message.whole(11)) == ("a", None, 7, None)
    assert (message.decimal(38), message.decimal(11), message.decimal(99)) == (Decimal("0.50"), None, None)


def test_fields_of_a_group_are_all_there():
    [message] = Splitter().feed(encode("V", [(146, 2), (55, "A"), (55, "B"), (43, "Y")]))
    assert (message.all(55), message.is_set(43), message.is_set(97)) == (("A", "B"), True, False)


def test_a_data_field_may_hold_separators():
    [message] = Splitter().feed(encode("D", [(95, 8), (96, "a\x0111=no\x01"), (11, "yes")]))
    assert (message.get(96), message.get(11)) == ("a\x0111=no\x01", "yes")


@pytest.mark.parametrize(
    "garbled",
    [
        pytest.param(ORDER[:-4] + b"999\x01", id="wrong check sum"),
        pytest.param(ORDER.replace(b"11=a", b"11=b"), id="changed on the way"),
        pytest.param(ORDER.replace(b"9=41", b"9=x1"), id="length is no number"),
        pytest.param(ORDER.replace(b"9=41", b"9=40"), id="wrong length"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
        pytest.param(encode("D", [(11, "a")]).replace(b"35=D", b"xx=D"), id="a tag that is no number"),
        pytest.param(b"8=FIX.4.4.4.4.4.4.4.4.4.4.4.4.4.4", id="a head without an end"),
    ],
)
def test_what_is_garbled_is_skipped_and_the_next_message_is_read(garbled: bytes):
    assert texts(Splitter().feed(garbled + ORDER)) == [ORDER.decode()]


def test_a_message_without_a_type_is_skipped():
    body = b"11=a\x01"
    head = b"8=FIX.4.4\x019=5\x01"
    message = head + body + b"10=%03d\x01" % (sum(head + body) % 256)
    assert texts(Splitter().feed(message + ORDER)) == [ORDER.decode()]


@given(st.lists(st.integers(1, 40), max_size=30))
def test_messages_are_found_however_the_stream_is_cut(sizes: list[int]):
    stream, splitter, found = ORDER * 3, Splitter(), []
    for size in (*sizes, len(stream)):
        found += splitter.feed(stream[:size])
        stream = stream[size:]
    assert texts(found) == [ORDER.decode()] * 3


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(noise: bytes):
    assert texts(Splitter().feed(noise + b"\x018=FIX.4.4\x01" + ORDER))[-1:] in ([ORDER.decode()], [])


@given(
    st.lists(st.tuples(st.integers(100, 140), st.text(st.characters(max_codepoint=255, min_codepoint=32))))
)
def test_what_is_written_is_read_again(fields: list[tuple[int, str]]):
    [message] = Splitter().feed(encode("B", fields))
    assert message.fields == tuple(fields)


def test_moments_are_written_and_read():
    assert utc_timestamp(1_706_693_400_123) == "20240131-09:30:00.123"
    assert unix_ms("20240131-09:30:00.123") == 1_706_693_400_123
    assert (unix_ms("20240131-09:30:00"), unix_ms("20240131-09:30:00.123456")) == (
        1_706_693_400_000,
        1_706_693_400_123,
    )
    assert (unix_ms(""), unix_ms("yesterday"), unix_ms("20240131-09:30:00.x")) == (None, None, None)
