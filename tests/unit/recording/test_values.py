"""Any object becomes a value that OTLP can carry: bounded, and without raising."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import enum
import sys
import threading
import time
import types
import uuid
from collections.abc import Generator
from typing import Any, NamedTuple, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.recording import repairs, values
from tickspan.recording.keys import redactions
from tickspan.recording.values import (
    MAX_ITEMS,
    MAX_NESTED_TEXT,
    MAX_NODES,
    MAX_TEXT,
    MAX_TIME,
    clean_attribute,
    clean_attributes,
    clean_key,
    clean_name,
    clean_text,
    clean_time,
    clean_value,
    foreign_text,
    type_text,
)

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


class Point(NamedTuple):
    a: int
    b: int


class Pair(Point):
    __slots__ = ()

    def __iter__(self) -> NoReturn:
        raise RuntimeError


class BrokenDict(dict[Any, Any]):
    def items(self) -> NoReturn:
        raise RuntimeError

    __iter__ = __len__ = items


class Index:
    def __index__(self) -> int:
        return 7


class BrokenMeta(type):
    @property
    def __module__(cls) -> NoReturn:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise RuntimeError


class OfBrokenMeta(metaclass=BrokenMeta):
    pass


class Config:
    """Prints what nobody should see."""

    def __str__(self) -> str:
        return "Config(apiKey='M4rker', url='https://u:M4rker@host/x?signature=M4rker')"


def cyclic() -> list[Any]:
    items: list[Any] = [1]
    items.append(items)
    return items


def nested(levels: int) -> list[Any]:
    items: list[Any] = []
    for _ in range(levels - 1):
        items = [items]
    return items


@pytest.fixture(autouse=True)
def counted_anew() -> Generator[None]:
    repairs.REPAIRS.restart()
    yield
    values._avoided.clear()
    values._strikes.clear()


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
        (b"\xffok", b"\xffok"),
        (bytearray(b"ok"), b"ok"),
        (memoryview(array.array("H", [1])), b"\x01\x00"),
        (decimal.Decimal("0.10"), "0.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (Side.BUY, "buy"),
        ([1, 2], (1, 2)),
        ((0.5,), (0.5,)),
        ([], ()),
        ([1, None, "a"], (1, None, "a")),
        ([1, [2, (3,)]], (1, (2, (3,)))),
        (["a", {"b": [1]}], ("a", {"b": (1,)})),
        ({"a": {2: decimal.Decimal("0.10")}}, {"a": {"2": "0.10"}}),
        (cyclic(), (1, "<deep>")),
        (nested(4), ((((),),),)),
        (nested(5), (((("<deep>",),),),)),
        ({1}, (1,)),
        (collections.deque([1, 2]), (1, 2)),
        (Pair(1, 2), (1, 2)),
        (BrokenDict({"a": 1}), {"a": 1}),
        (Count(7), 7),
        (Side.UNKNOWN, "Side.UNKNOWN"),
        (range(3), "range(0, 3)"),
        (dt.timedelta(seconds=1), "0:00:01"),
        (array.array("d", [1, 2]), "<array.array d (2,)>"),
        (types.SimpleNamespace(a=1), "namespace(a=1)"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\ud83d\ude00", "\N{GRINNING FACE}"),
        (["a\ud800b"], ("a\N{REPLACEMENT CHARACTER}b",)),
        ({"\ud800": 1}, {"\N{REPLACEMENT CHARACTER}": 1}),
    ],
)
def test_a_value_is_recorded_as_something_sensible(value: object, expected: object) -> None:
    cleaned = clean_value(value)
    assert (cleaned, type(cleaned)) == (expected, type(expected))


def test_a_value_that_raises_is_known_by_its_type() -> None:
    broken_date = dt.datetime(2026, 1, 2, tzinfo=BrokenZone())
    assert clean_value(Broken()) == f"<{__name__}.Broken>"
    assert clean_value([Broken(), 1]) == (f"<{__name__}.Broken>", 1)
    assert clean_value([broken_date, 1]) == ("<datetime.datetime>", 1)
    assert clean_key(Broken()) == f"<{__name__}.Broken>"
    assert clean_value(BrokenEnum.ONE) == 1
    assert clean_value(OfBrokenMeta()) == "<unknown>"
    assert clean_value(dt.datetime(2026, 1, 2)) == "2026-01-02 00:00:00"  # noqa: DTZ001 - its type is not to blame


def test_a_released_view_is_known_by_its_type() -> None:
    view = memoryview(b"abc")
    view.release()
    assert clean_value([view]) == ("<builtins.memoryview>",)


def test_a_type_that_raised_once_is_not_asked_again() -> None:
    class Moody:
        asked = 0

        def __str__(self) -> str:
            Moody.asked += 1
            raise RuntimeError

    assert [clean_value(Moody()), clean_value(Moody())] == [type_text(Moody)] * 2
    assert (Moody.asked, repairs.repairs()) == (1, {"raised": 2})


def test_a_type_that_ran_out_of_stack_is_asked_again() -> None:
    class Deep:
        is_short = True

        def __str__(self) -> str:
            if Deep.is_short:
                raise RecursionError
            return "deep"

    assert clean_value(Deep()) == type_text(Deep)
    Deep.is_short = False
    assert clean_value(Deep()) == "deep"


def test_a_type_that_works_long_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        asked = 0

        def __str__(self) -> str:
            Slow.asked += 1
            return "slow"

    clock = iter(range(0, 100 * values.SLOW_NS, 2 * values.SLOW_NS))
    monkeypatch.setattr(time, "perf_counter_ns", lambda: next(clock))
    monkeypatch.setattr(time, "thread_time_ns", lambda: next(clock))
    assert [clean_value(Slow()), clean_value(Slow())] == ["slow", type_text(Slow)]
    assert Slow.asked == 1


def test_a_type_that_waits_long_three_times_running_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Waiting:
        pass

    class Other:
        pass

    monkeypatch.setattr(time, "thread_time_ns", lambda: 0)
    steps = [2, 0, 2, 2, 2, 0, 2]  # how long each answer takes; the second one was quick again
    clock = iter([at * values.SLOW_NS for took in steps for at in (0, took)])
    monkeypatch.setattr(time, "perf_counter_ns", lambda: next(clock))
    told = [clean_value(Waiting()) for _ in range(5)]
    assert [type_text(Waiting) in values._avoided, told[4] != type_text(Waiting)] == [True, True]
    assert clean_value(Waiting()) == type_text(Waiting)
    assert clean_value(Other()) != type_text(Other)


def test_one_value_spends_a_bounded_time_in_foreign_code(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sluggish:
        asked = 0

        def __str__(self) -> str:
            Sluggish.asked += 1
            return "sluggish"

    clock = iter(range(0, 1000 * values.SLOW_NS, values.SLOW_NS))
    monkeypatch.setattr(time, "perf_counter_ns", lambda: next(clock))
    cleaned = clean_value([Sluggish() for _ in range(6)])
    assert cleaned == ("sluggish",) * 4 + (type_text(Sluggish),) * 2


def test_what_an_object_says_of_itself_is_scanned() -> None:
    assert clean_value(Config()) == "Config(apiKey=[redacted], url='https://host/x')"
    assert clean_value([Config()]) == ("Config(apiKey=[redacted], url='https://host/x')",)


def test_a_secret_inside_a_mapping_goes() -> None:
    given = {
        "headers": {"Authorization": "M4rker"},
        "password": ["M4rker"],
        "url.full": "https://h/?k=M4rker",
    }
    before = redactions()
    assert clean_value(given) == {
        "headers": {"Authorization": "[redacted]"},
        "password": ("[redacted]",),
        "url.full": "https://h/",
    }
    after = redactions()
    assert [after[rule] - before.get(rule, 0) for rule in ("key", "url")] == [2, 1]


def test_foreign_methods_of_a_text_are_not_called() -> None:
    assert clean_value(BrokenText("text")) == "text"
    assert clean_key(BrokenText("text")) == "text"
    assert clean_name(BrokenText("")) == "<unnamed>"


def test_an_integer_that_python_refuses_to_print_is_told_by_its_size() -> None:
    assert clean_value(10**5000) == "<int: 16610 bits>"


def test_text_is_cut_at_its_bound_with_a_mark() -> None:
    assert clean_text("x" * (MAX_TEXT + 1)) == "x" * (MAX_TEXT - len(CUT)) + CUT
    assert clean_text("x" * MAX_TEXT) == "x" * MAX_TEXT
    assert clean_value(b"x" * (MAX_TEXT + 1)) == b"x" * MAX_TEXT


def test_a_long_sequence_is_cut() -> None:
    assert clean_value(list(range(MAX_ITEMS + 1))) == tuple(range(MAX_ITEMS))


def leaves(value: Any) -> int:
    return 1 + sum(leaves(item) for item in value) if isinstance(value, tuple) else 1


def test_a_deep_and_wide_structure_has_a_bounded_number_of_items() -> None:
    wide: list[Any] = [0] * 100
    for _ in range(6):
        wide = [wide] * 100
    assert leaves(clean_value([wide])) == MAX_NODES + 1
    assert repairs.repairs().keys() == {"cut_items", "deep"}


def test_all_texts_in_one_value_share_a_bound() -> None:
    told = clean_value(["x" * MAX_TEXT] * 100)
    assert isinstance(told, tuple)
    assert [len(told), sum(len(str(text)) for text in told)] == [100, MAX_NESTED_TEXT + 96 * len(CUT)]


def test_a_container_that_changes_meanwhile_does_no_harm() -> None:
    items: dict[Any, Any] = {}

    class Growing:
        def __str__(self) -> str:
            items[len(items)] = 1
            return "grown"

    items["a"] = items["b"] = Growing()
    assert clean_value(items) == {"a": "grown", "b": "grown"}


def test_what_was_repaired_is_counted() -> None:
    for value in (
        "x" * (MAX_TEXT + 1),
        "\ud800",
        b"x" * (MAX_TEXT + 1),
        2**64,
        [0] * 257,
        cyclic(),
        Broken(),
    ):
        clean_value(value)
    clean_name("")
    clean_time(-1, 5)
    assert repairs.repairs() == {
        "cut_text": 1,
        "surrogate": 1,
        "cut_bytes": 1,
        "big_int": 1,
        "cut_items": 1,
        "deep": 1,
        "raised": 1,
        "name": 1,
        "time": 1,
    }


def test_repairs_of_many_threads_are_all_counted() -> None:
    threads = [threading.Thread(target=lambda: [clean_value(2**64) for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next(repairs.REPAIRS._counters["big_int"]) == 4001


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a.b", "a.b"),
        ("", "<unnamed>"),
        (7, "7"),
        (None, "None"),
        ("a\ud800", "a\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_any_key_and_name_is_a_text(key: object, expected: str) -> None:
    assert (clean_key(key), clean_name(key)) == (expected, expected)


def test_attributes_without_a_value_are_left_out() -> None:
    assert clean_attributes({"a": 1, 2: [None, True], "none": None}) == {"a": 1, "2": (None, True)}


def test_attributes_go_by_the_rule_for_their_key() -> None:
    assert clean_attributes({"api_key": "M4rker", "url.full": "https://u:M4rker@h/x?s=M4rker"}) == {
        "api_key": "[redacted]",
        "url.full": "https://h/x",
    }
    assert clean_attribute("http.request.body", {"a": 1}) == "[redacted]"


@pytest.mark.parametrize("attributes", [None, 7, "a", [1]])
def test_what_is_no_mapping_has_no_attributes(attributes: object) -> None:
    assert clean_attributes(attributes) == {}


def test_what_raises_is_no_mapping_and_no_time() -> None:
    assert clean_attributes(Broken()) == {}
    assert clean_time(Broken(), 5) == 5


AWARE = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=1)))
NOW = 5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1_700_000_000_000_000_000, 1_700_000_000_000_000_000),
        (Count(7), 7),
        (Index(), 7),
        (1.9, 1),
        (-1, 0),
        (-0.5, 0),
        (2**64, MAX_TIME),
        (1e300, MAX_TIME),
        (float("inf"), MAX_TIME),
        (float("-inf"), 0),
        (float("nan"), NOW),
        (None, NOW),
        ("2026-01-02", NOW),
        (AWARE, int(dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=dt.UTC).timestamp()) * 10**9 + 6_000),
        (dt.datetime(2026, 1, 2), NOW),  # noqa: DTZ001 - a naive one, whose zone would be a guess
        (dt.datetime(2026, 1, 2, tzinfo=BrokenZone()), NOW),
        (dt.datetime(1969, 1, 1, tzinfo=dt.UTC), 0),
    ],
)
def test_any_time_is_nanoseconds_since_the_epoch(given: object, expected: int) -> None:
    assert clean_time(given, NOW) == expected
    assert clean_time(given, lambda: NOW) == expected


def test_what_says_nothing_is_told_by_its_type() -> None:
    assert foreign_text(Broken()) == type_text(Broken) == f"<{__name__}.Broken>"


def test_an_application_that_lowers_pythons_limit_for_digits_does_no_harm() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert clean_value(10**700) == "<int: 2326 bits>"
    finally:
        sys.set_int_max_str_digits(before)


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
    | st.builds(Config)
    | st.text(st.characters(categories=("Cs", "L")))
    | st.builds(BrokenText, st.text()),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=20,
)


def is_clean(value: Any) -> bool:
    if type(value) is tuple:
        return all(is_clean(item) for item in value)
    if type(value) is dict:
        return all(type(key) is str and is_clean(key) and is_clean(item) for key, item in value.items())
    if type(value) is str:
        return len(value) <= MAX_TEXT and value.encode().decode() == value
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) in {bool, float, bytes, type(None)}


@given(anything)
def test_any_object_becomes_exact_builtin_types_with_texts_that_can_be_encoded(value: object) -> None:
    assert is_clean(clean_value(value))


@given(anything)
def test_any_object_can_be_a_key_a_name_and_a_time(value: object) -> None:
    assert is_clean(clean_key(value))
    assert is_clean(clean_name(value))
    assert 0 <= clean_time(value, NOW) <= MAX_TIME


@given(anything)
def test_a_clean_value_is_clean(value: object) -> None:
    cleaned = clean_value(value)
    assert repr(clean_value(cleaned)) == repr(cleaned)


@given(st.text(st.characters(), max_size=50) | st.text(st.sampled_from("\ud800\udfffx€"), max_size=50))
def test_clean_text_can_be_encoded(text: str) -> None:
    assert clean_text(text).encode().decode() == clean_text(text)
