"""Arguments as keys: the same call has one key, however it is spelled, and no other call has it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.cache.arguments import KINDS_MARK, CallKeys, UnkeyableError
from tickspan.cache.keys import key_of, text_of


class _Side(Enum):
    BUY = 1
    SELL = 2


class _Word(StrEnum):
    BUY = "buy"


class _Flags(Flag):
    POST_ONLY = 1
    REDUCE_ONLY = 2


def _quotes(symbol: str, venue: str = "nyse", depth: int = 5) -> None: ...


def _anything(first: Any, *more: Any, last: Any = None, **others: Any) -> None: ...


_QUOTES = CallKeys(_quotes, "quotes")
_ANYTHING = CallKeys(_anything, "any")


def _key(*args: Any, **kwargs: Any) -> Any:
    return _ANYTHING.key(args, kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("AAPL",), {}),
        (("AAPL", "nyse"), {}),
        (("AAPL", "nyse", 5), {}),
        (("AAPL",), {"depth": 5}),
        (("AAPL",), {"depth": 5, "venue": "nyse"}),
        ((), {"venue": "nyse", "symbol": "AAPL"}),
    ],
)
def test_every_spelling_of_a_call_has_the_same_key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert _QUOTES.key(args, kwargs) == ("quotes", "AAPL", "nyse", 5)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), (("AAPL", "nyse", 5, 6), {}), (("AAPL",), {"symbol": "X"}), (("AAPL",), {"size": 1})],
)
def test_what_the_function_does_not_take_is_a_type_error(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(TypeError):
        _QUOTES.key(args, kwargs)


def test_equal_values_of_different_types_are_different_arguments() -> None:
    values = (1, True, 1.0, "1", Decimal(1), b"1", _Side.BUY, _Word.BUY, "buy", None, "None", (1,), [1])
    keys = [_key(value) for value in values]
    assert len(set(keys)) == len({text_of(key) for key in keys}) == len(values)


def test_each_type_stands_in_the_key_in_its_own_way() -> None:
    values = (
        True,
        2.5,
        None,
        b"\xff",
        Decimal("1.10"),
        UUID(int=1),
        datetime(2026, 1, 2, 3, tzinfo=UTC),
        date(2026, 1, 2),
        time(9, 30),
        timedelta(seconds=1),
        _Side.SELL,
    )
    call = _key(*values, last="x")
    assert call == (
        f"any{KINDS_MARK}bifnydutDTles",
        1,
        10,
        "2.5",
        0,
        "ff",
        "1.10",
        "00000000000000000000000000000001",
        "2026-01-02T03:00:00+00:00/0",
        "2026-01-02",
        "09:30:00/0",
        "datetime.timedelta(seconds=1)",
        f"{__name__}._Side.SELL",
        "x",
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((("a", "b"),), (("ab",),)),
        ((("a", "b"), "c"), (("a",), "b", "c")),
        ((("a", ("b",)),), (("a", "b"),)),
        ((["a", "b"],), (("a", "b"),)),
        ((("a\x1e", "b"),), (("a", "\x1eb"),)),
        (((1, "i"),), (("1", "i"),)),
        ((_Flags.POST_ONLY,), (_Flags.POST_ONLY | _Flags.REDUCE_ONLY,)),
        (("a", "b"), ("a:b",)),
        (("a",), ("a", None)),
    ],
)
def test_calls_that_look_alike_are_told_apart(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert _key(*one) != _key(*other)


def test_arguments_by_place_by_name_and_of_any_name_are_told_apart() -> None:
    calls = [_key("a", "b"), _key("a", last="b"), _key("a", b="b"), _key("a", c="b"), _key("a", "b", "b")]
    assert len(set(calls)) == len(calls)
    assert _key("a", b=1, c=2) == _key("a", c=2, b=1)


@pytest.mark.parametrize("value", [{"a": 1}, {1}, object(), int, [object()], 1j, range(3)])
def test_an_argument_of_another_type_has_no_key(value: Any) -> None:
    with pytest.raises(UnkeyableError, match="has no key"):
        _key(value)


def test_a_list_that_holds_itself_has_no_key() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UnkeyableError):
        _key(loop)


_SCALARS = st.one_of(
    st.text(max_size=8),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.none(),
    st.binary(max_size=4),
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=6
)


def _typed(value: Any) -> Any:
    """The value with its types, so that `1 == True` does not count."""
    if isinstance(value, (list, tuple)):
        return (type(value), *map(_typed, value))
    return (type(value), repr(value))


@given(st.lists(_VALUES, max_size=3), st.lists(_VALUES, max_size=3))
def test_keys_are_equal_exactly_where_calls_are(one: list[Any], other: list[Any]) -> None:
    same = _typed(one) == _typed(other)
    assert (_key("x", *one) == _key("x", *other)) is same


@given(st.lists(st.text(alphabet="a:%i\x1e\x1f\\é", max_size=5), min_size=1, max_size=3))
def test_the_text_of_a_key_tells_the_key(parts: list[str]) -> None:
    key = _key(*parts)
    assert key_of(text_of(key)) == key
