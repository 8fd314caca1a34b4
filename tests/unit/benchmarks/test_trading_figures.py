"""Figures of the trading benchmark from values: turns, totals, profiles, memory, ratios."""

from __future__ import annotations

from types import SimpleNamespace

from benchmarks.sidebyside.costs import Spread
from benchmarks.trading import backtests, memory, place, profiles, profiling
from tickspan.received import ReceivedMetric, ReceivedPoint, Temporality


def metric(temporality: Temporality, *values: float, **attributes: str) -> ReceivedMetric:
    points = tuple(ReceivedPoint(attributes, 0, 1, value=value) for value in values)
    return ReceivedMetric(
        "fills", "1", "", "sum", temporality, is_monotonic=True, points=points, scope="", resource={}
    )


def test_nobody_is_always_first():
    assert list(place.in_turns("ab", 2)) == [(0, "a"), (0, "b"), (1, "b"), (1, "a")]


def test_deltas_add_up_and_of_cumulative_series_the_last_point_counts():
    assert place.totals([metric("delta", 1, 2), metric("delta", 4)], "fills") == 7
    assert place.totals([metric("cumulative", 1, 3), metric("cumulative", 5)], "fills") == 5


def test_totals_are_of_the_series_that_have_these_attributes():
    told = [metric("delta", 1, side="buy"), metric("delta", 2, side="sell")]
    assert place.totals(told, "fills", side="sell") == 2
    assert place.totals(told, "orders") == 0


def test_what_is_missing_is_said_with_both_numbers():
    assert place.missing({"a": 2, "b": 1}, {"a": 2, "b": 3, "c": 1}) == [
        "b: 1 came of 3",
        "c: 0 came of 1",
    ]


def test_a_full_registry_of_each_kind_has_so_many_open_orders():
    assert [memory.still_open(state, 4_000) for state in ("open", "mixed", "ended")] == [4_000, 500, 0]


def test_a_profile_tells_functions_of_ours_by_own_time_and_leaves_the_library_out():
    stats = SimpleNamespace(
        stats={
            ("/x/src/tickspan/trading/feed.py", 1, "received"): (4, 4, 0.1, 0.2, {}),
            ("/x/tickspan-ccxt/src/tickspan_ccxt/read.py", 9, "order_update"): (2, 2, 0.3, 0.4, {}),
            ("/x/site-packages/ccxt/base/exchange.py", 5, "safe_order"): (2, 2, 0.4, 0.9, {}),
        }
    )
    assert profiling.functions_of(stats, 2) == {
        "functions": [
            {"function": "tickspan_ccxt/read.py: order_update", "calls": 1.0, "share": 0.3 / 0.4},
            {"function": "tickspan/trading/feed.py: received", "calls": 2.0, "share": 0.1 / 0.4},
        ],
        "calls": 3.0,
        "share": 0.4 / 0.8,
    }


def test_functions_add_up_to_their_modules_the_dearest_first():
    functions = [
        {"function": "a.py: f", "calls": 1.0, "share": 0.25},
        {"function": "b.py: g", "calls": 2.0, "share": 0.25},
        {"function": "b.py: h", "calls": 3.0, "share": 0.5},
    ]
    assert profiles.by_module(functions) == [
        {"function": "b.py", "calls": 5.0, "share": 0.75},
        {"function": "a.py", "calls": 1.0, "share": 0.25},
    ]


def test_a_back_test_is_divided_by_the_bare_one_of_its_round():
    turns = {"bare": {"CPU": [1.0, 2.0]}, "told": {"CPU": [1.5, 3.0]}}
    assert backtests.over_bare(turns, "told", "CPU") == Spread(1.5, 1.5, 1.5)
