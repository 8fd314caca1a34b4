"""Any object becomes a value that OTLP can carry: bounded, and without raising."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.recording import clean_attributes, clean_key, clean_text, clean_value
from tickspan.recording.values import MAX_ITEMS, MAX_TEXT

CUT = "…[cut]"


class Side(enum.Enum):
    BUY = "buy"
    UNKNOWN = object()


class Broken:
    """Raises whatever is asked of it."""

    @property
    def __class__(self) -> NoReturn:  # pyright: ignore[reportIncompatibleMethodOverride] - as a lazy proxy does
        raise RuntimeError

    def __str__(self) -> NoReturn:
        raise RuntimeError

    __repr__ = __str__


class BrokenText(str):
    __slots__ = ()

    def __len__(self) -> NoReturn:
        raise RuntimeError

    def __getitem__(self, key: Any) -> NoReturn:
        raise RuntimeError

    def __str__(self) -> NoReturn:
        raise RuntimeError


class BrokenEnum(enum.Enum):
    ONE = 1

    @property
    def value(self) -> NoReturn:
        raise RuntimeError

    def __str__(self) -> NoReturn:
        raise RuntimeError


class BrokenZone(dt.tzinfo):
    def utcoffset(self, date: dt.datetime | None, /) -> NoReturn:
        raise RuntimeError


class Count(int):
    def __int__(self) -> NoReturn:
        raise RuntimeError


def cyclic() -> list[Any]:
    items: list[Any] = [1]
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("BTC/USDT", "BTC/USDT"),
        (True, True),
        (7, 7),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (0.5, 0.5),
        (float("inf"), float("inf")),
        (None, None),
        (b"\xffok", "\N{REPLACEMENT CHARACTER}ok"),
        (decimal.Decimal("0.10"), "0.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (Side.BUY, "buy"),
        ([1, 2], (1, 2)),
        ((0.5,), (0.5,)),
        ([], ()),
        ([1, None, "a"], ("1", "None", "a")),
        ([1, [2, (3,)]], ("1", "[2, (3,)]")),
        (["a", {"b": [1]}], ("a", "{'b': [1]}")),
        (cyclic(), ("1", "[1, [1, [1, [1, [...]]]]]")),
        ({"a": {"b": 1}}, "{'a': {'b': 1}}"),
        (Count(7), 7),
        ("a\ud800b", "a?b"),
    ],
)
def test_a_value_is_recorded_as_something_sensible(value: object, expected: object) -> None:
    cleaned = clean_value(value)
    assert (cleaned, type(cleaned)) == (expected, type(expected))


def test_a_value_that_raises_is_known_by_its_type() -> None:
    broken_date = dt.datetime(2026, 1, 2, tzinfo=BrokenZone())
    assert clean_value(Broken()) == f"<{__name__}.Broken>"
    assert clean_value([Broken()]) == (f"<{__name__}.Broken>",)
    assert clean_value(BrokenEnum.ONE) == f"<{__name__}.BrokenEnum>"
    assert clean_value(broken_date) == "<datetime.datetime>"
    assert clean_key(Broken()) == f"<{__name__}.Broken>"


def test_foreign_methods_of_a_text_are_not_called() -> None:
    assert clean_value(BrokenText("text")) == "text"
    assert clean_key(BrokenText("text")) == "text"


def test_an_integer_that_python_refuses_to_print_is_told_by_its_size() -> None:
    assert clean_value(10**5000) == "<int: 16610 bits>"


def test_text_is_cut_at_its_bound_with_a_mark() -> None:
    assert clean_text("x" * (MAX_TEXT + 1)) == "x" * MAX_TEXT + CUT
    assert clean_text("x" * MAX_TEXT) == "x" * MAX_TEXT


def test_a_long_sequence_is_cut() -> None:
    assert clean_value(list(range(MAX_ITEMS + 1))) == tuple(range(MAX_ITEMS))


def test_a_deep_and_wide_structure_costs_a_bounded_text() -> None:
    wide: list[Any] = [0] * 100
    for _ in range(6):
        wide = [wide] * 100
    assert len(str(clean_value([wide]))) <= 3 * MAX_TEXT


@pytest.mark.parametrize(
    ("key", "expected"),
    [("a.b", "a.b"), ("", "<unnamed>"), (7, "7"), (None, "None")],
)
def test_any_key_has_a_name(key: object, expected: str) -> None:
    assert clean_key(key) == expected


def test_attributes_without_a_value_are_left_out() -> None:
    assert clean_attributes({"a": 1, 2: [None, True], "none": None}) == {"a": 1, "2": ("None", "True")}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.complex_numbers()
    | st.builds(Broken)
    | st.builds(BrokenText, st.text()),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(anything)
def test_any_object_becomes_a_scalar_or_a_tuple_of_one_scalar_type(value: object) -> None:
    cleaned = clean_value(value)
    items = cleaned if isinstance(cleaned, tuple) else (cleaned,)
    assert {type(item) for item in items} <= {str, bool, int, float, type(None)}
    assert len({type(item) for item in items}) <= 1


@given(anything)
def test_a_clean_value_is_clean(value: object) -> None:
    cleaned = clean_value(value)
    assert repr(clean_value(cleaned)) == repr(cleaned)


@given(st.text(st.characters(), max_size=50) | st.text(st.sampled_from("\ud800\udfffx€"), max_size=50))
def test_clean_text_can_be_encoded(text: str) -> None:
    assert clean_text(text).encode().decode() == clean_text(text)
