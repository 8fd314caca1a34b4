"""A trace as a block of text and as a line of JSON, and which traces are wanted."""

import json
import os
import time
from collections.abc import Iterator

import pytest

from tickspan.cli.tail.assembly import Ended
from tickspan.cli.tail.block import MOST_LINES, Wanted, block, record
from tickspan.semconv.trading import SPAN_ORDER

from .spans import NOON_NS, made

_TRACE = Ended(
    "4bf9",
    (
        made("handle tick", "1", None, 0, 20),
        *(made("SELECT px", f"s{number}", "1", number, number + 1) for number in range(1, 6)),
        made("GET px", "g1", "1", 7, 8),
        made("GET px", "g2", "1", 8, 9, failed=True),
        made("POST order", "p", "1", 10, 20, service="gateway", failed=True),
    ),
)


@pytest.fixture(autouse=True)
def in_utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def test_a_block_tells_who_what_how_long_and_folds_what_repeats():
    assert block(_TRACE, 84, has_colours=False).splitlines() == [
        "11:06:40.000  bot, gateway  handle tick  20 ms  9 spans  2 errors  4bf9",
        "  handle tick                             ████████████████████     0.00    20.00 ms",
        "    SELECT px x5                           █████                   1.00     5.00 ms",
        "    GET px                                       █                 7.00     1.00 ms",
        "!   GET px                                        █                8.00     1.00 ms",
        "!   POST order                                      ██████████    10.00    10.00 ms",
    ]


def test_colours_tell_the_same():
    coloured = block(_TRACE, 84, has_colours=True)
    plain = coloured
    for code in ("1", "2", "31", "36", "0"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == block(_TRACE, 84, has_colours=False)
    assert "\x1b[31m2 errors\x1b[0m" in coloured


def test_nothing_that_a_program_calls_its_spans_and_itself_moves_the_cursor():
    ended = Ended("4bf9", (made("a\x1b[2Jb\nc", "1", service="\x1b]0;x\x07"),))
    told = block(ended, 84, has_colours=False)
    assert [one for one in told if not one.isprintable() and one != "\n"] == []
    assert "a\\x1b[2Jb\\nc" in told.splitlines()[1]


def test_a_trace_of_many_lines_is_cut_and_says_so():
    spans = tuple(
        made(f"call {number}", str(number), None, number) for number in range(100, 100 + MOST_LINES + 2)
    )
    lines = block(Ended("4bf9", spans), 84, has_colours=False).splitlines()
    assert (len(lines), lines[-1]) == (MOST_LINES + 2, "  … and 2 more lines")


def test_what_follows_of_a_trace_says_that_it_does():
    ended = Ended("4bf9", (made("later", "2", "1"),), is_later_part=True)
    assert "later  10 ms  1 span  (more of it)  4bf9" in block(ended, 84, has_colours=False)


def test_a_record_is_one_line_of_json():
    told = record(_TRACE)
    data = json.loads(told)
    assert "\n" not in told
    assert {key: value for key, value in data.items() if key != "lines"} == {
        "trace_id": "4bf9",
        "root": "handle tick",
        "services": ["bot", "gateway"],
        "start_ns": NOON_NS,
        "duration_ns": 20_000_000,
        "spans": 9,
        "errors": 2,
        "is_order": False,
        "is_later_part": False,
    }
    assert data["lines"][1] == {
        "name": "SELECT px",
        "depth": 1,
        "count": 5,
        "errors": 0,
        "start_ns": NOON_NS + 1_000_000,
        "duration_ns": 5_000_000,
    }


_ORDER = Ended("o", (made(f"{SPAN_ORDER}.submit binance", "1", None, 0, 5),))


@pytest.mark.parametrize(
    ("wanted", "accepted"),
    [
        (Wanted(), ["4bf9", "o"]),
        (Wanted(services=frozenset({"gateway", "other"})), ["4bf9"]),
        (Wanted(services=frozenset({"other"})), []),
        (Wanted(least_s=0.006), ["4bf9"]),
        (Wanted(least_s=0.020), ["4bf9"]),
        (Wanted(least_s=0.021), []),
        (Wanted(only_errors=True), ["4bf9"]),
        (Wanted(only_orders=True), ["o"]),
        (Wanted(only_errors=True, only_orders=True), []),
        (Wanted(since_ns=NOON_NS + 5_000_001), ["4bf9"]),
    ],
)
def test_what_is_wanted(wanted: Wanted, accepted: list[str]):
    assert [ended.trace_id for ended in (_TRACE, _ORDER) if wanted.accepts(ended)] == accepted
