"""Values as bytes: what comes back, what is refused, what is planted."""

from __future__ import annotations

import math
import pickle
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tickspan.cache.codec import Codec, difference, is_immutable
from tickspan.cache.parcels import PayloadError

MIB = 1024 * 1024
SCHEMAS = [3704147347, 2108839006, 735073079, 1432132720]


class Side(Enum):
    BUY = "buy"
    SELL = "sell"


class Venue(IntEnum):
    HERE = 1


class Quote(msgspec.Struct, frozen=True):
    symbol: str
    bid: Decimal
    at: datetime


class Book(msgspec.Struct):
    levels: list[tuple[Decimal, Decimal]]
    note: Any = None


@dataclass(frozen=True, slots=True)
class Fill:
    order: int
    side: Side
    price: float
    tags: tuple[str, ...] = ()


@dataclass
class Mutable:
    values: dict[str, int] = field(default_factory=dict[str, int])


class Tree(msgspec.Struct):
    name: str
    children: list[Tree] = []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(max_size=20)
    | st.datetimes(timezones=st.just(timezone(timedelta(hours=2)))).filter(
        lambda moment: 1970 < moment.year < 2200
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


def codec(type_: Any = None, max_value_bytes: int = MIB) -> Codec:
    return Codec(type_, max_value_bytes=max_value_bytes)


@given(JSON)
def test_an_untyped_value_comes_back_equal(value: Any):
    one = codec()
    assert difference(one.decode(one.encode(value)), value) is None or one.decode(one.encode(value)) == value


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Quote, Quote("AAPL", Decimal("1.10"), datetime(2026, 1, 2, tzinfo=UTC))),
        (Book, Book([(Decimal(1), Decimal(2))])),
        (Fill, Fill(1, Side.BUY, math.nan, ("a",))),
        (tuple[str, Decimal], ("a", Decimal("0.1"))),
        (list[Fill], [Fill(1, Side.SELL, 1.0)]),
        (dict[str, Fill], {"a": Fill(1, Side.SELL, 1.0)}),
        (Decimal, Decimal("1.00")),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)),
        (frozenset[int], frozenset({1, 2})),
        (Quote | None, None),
        (Tree, Tree("a", [Tree("b")])),
    ],
)
def test_a_typed_value_comes_back_with_its_types(type_: Any, value: Any):
    one = codec(type_)
    assert difference(one.decode(one.encode(value)), value) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"a": [1, {"b": Decimal(1)}]}, "the Decimal at $.a[1].b would not come back as it is"),
        ((1, 2), "the tuple at $ would not come back as it is"),
        ([{1: 2}], "a key at $[0] is int, not str"),
        ({"not a name": {3}}, "the set at $[...] would not come back as it is"),
        (datetime(2026, 1, 1), "the datetime without a time zone at $"),  # noqa: DTZ001 - what is refused
        (2**64, "the int at $ has more than 64 bits"),
        (Quote("a", Decimal(1), datetime(2026, 1, 1, tzinfo=UTC)), "the Quote at $"),
        (Venue.HERE, "the Venue at $"),
        (object(), "the object at $"),
    ],
)
def test_an_untyped_region_refuses_what_would_change_and_says_where(value: Any, problem: str):
    with pytest.raises(TypeError) as caught:
        codec().encode(value)
    assert problem in str(caught.value)


def test_a_value_that_holds_itself_is_refused():
    value: list[Any] = []
    value.append(value)
    with pytest.raises(TypeError, match="nested deeper"):
        codec().encode(value)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Quote, {"symbol": "a"}),
        (Fill, Fill("x", Side.BUY, 1.0)),  # pyright: ignore[reportArgumentType] - the wrong type under test
        (Book, Book([], note=Decimal(1))),
        (int, "1"),
        (int, 2**70),
        (list[int], (1,)),
    ],
)
def test_a_typed_region_refuses_what_is_not_of_its_type(type_: Any, value: Any):
    with pytest.raises(TypeError, match="value: "):
        codec(type_).encode(value)


def test_a_refusal_holds_no_part_of_the_value():
    with pytest.raises(TypeError) as caught:
        codec(Fill).encode(Fill("secret", Side.BUY, 1.0))  # pyright: ignore[reportArgumentType] - as above
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("type_", [object, list[object], Codec])
def test_a_type_that_messagepack_has_no_form_for_is_refused_at_once(type_: Any):
    with pytest.raises(TypeError, match="type: msgspec cannot hold"):
        codec(type_)


def test_the_schema_is_a_number_that_every_process_works_out_alike():
    assert [codec(type_).schema for type_ in (None, int, Fill, Quote)] == SCHEMAS


def test_types_with_other_fields_have_another_schema():
    class One(msgspec.Struct):
        a: int

    other = msgspec.defstruct("One", [("a", str)])
    third = msgspec.defstruct("One", [("a", int), ("b", int, 1)])
    assert len({codec(type_).schema for type_ in (One, other, third, None)}) == 4


def test_a_large_payload_that_shrinks_by_a_tenth_is_compressed():
    one = codec()
    payload = one.encode("a" * 5000)
    method, packed = one.pack(payload)
    assert (method, len(packed) < 100, one.unpack(method, packed, len(payload))) == (1, True, payload)


@pytest.mark.parametrize(
    "payload", [b"a" * 1023, zstandard.ZstdCompressor(level=9).compress(bytes(range(256)) * 9)]
)
def test_a_small_payload_or_one_that_does_not_shrink_stays_as_it_is(payload: bytes):
    noise = bytes((7 * number * number + number // 3) % 251 for number in range(len(payload)))
    one = codec()
    assert one.pack(noise[:1000]) == (0, noise[:1000])


def test_without_zstandard_zlib_compresses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tickspan.cache.codec._Zstd.found", classmethod(lambda _: None))
    one = codec()
    payload = b"a" * 5000
    method, packed = one.pack(payload)
    assert (method, one.unpack(method, packed, 5000)) == (2, payload)


def test_compression_can_be_off():
    assert Codec(None, max_value_bytes=MIB, compress=False).pack(b"a" * 5000) == (0, b"a" * 5000)


@pytest.mark.parametrize(
    ("method", "packed", "length", "reason"),
    [
        (0, b"abc", 4, "length"),
        (0, b"abc", 2 * MIB, "oversize"),
        (1, b"garbage", 10, "zstd"),
        (1, zstandard.ZstdCompressor().compress(b"a" * 50_000_000), 1000, "length"),
        (2, b"garbage", 10, "zlib"),
        (2, zlib.compress(b"a" * 50_000_000), 1000, "length"),
        (2, zlib.compress(b"abc") + b"more", 3, "length"),
        (2, zlib.compress(b"abc")[:-2], 3, "length"),
        (3, b"abc", 3, "codec"),
    ],
)
def test_packed_bytes_are_never_inflated_beyond_what_they_say(
    method: int, packed: bytes, length: int, reason: str
):
    with pytest.raises(PayloadError) as caught:
        codec().unpack(method, packed, length)
    assert caught.value.reason == reason


@given(st.binary(max_size=64))
def test_planted_bytes_are_a_value_or_a_payload_error(planted: bytes):
    for one in (codec(), codec(Fill)):
        try:
            one.decode(planted)
        except PayloadError:
            continue


def test_a_planted_pickle_is_not_executed():
    class Bomb:
        def __reduce__(self) -> Any:
            return (exec, ("raise SystemExit('executed')",))

    with pytest.raises(PayloadError):
        codec(Fill).decode(pickle.dumps(Bomb()))


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "a",
        b"a",
        Decimal(1),
        Side.BUY,
        (1, ("a",)),
        frozenset({1}),
        Quote("a", Decimal(1), datetime(2026, 1, 1, tzinfo=UTC)),
        Fill(1, Side.BUY, 1.0, ("a",)),
    ],
)
def test_what_nobody_can_alter_may_be_shared(value: Any):
    assert is_immutable(value)


@pytest.mark.parametrize("value", [[], {}, (1, []), {1}, bytearray(b"a"), Book([]), Mutable(), object()])
def test_what_somebody_could_alter_may_not(value: Any):
    assert not is_immutable(value)


def test_a_difference_is_told_by_its_path():
    one = {"a": [1, Fill(1, Side.BUY, math.nan)]}
    other = {"a": [1, Fill(1, Side.SELL, math.nan)]}
    assert (difference(one, other), difference(one, one), difference([1], [True]), difference((1,), [1])) == (
        "$.a[1].side",
        None,
        "$[0]",
        "$",
    )
