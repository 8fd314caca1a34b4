"""What the benchmark of data access makes of its measurements of hits, ratios and Redis, from values."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.data import hit_ratios, hits, mux, quotes
from benchmarks.data.contenders import CONTENDERS, OURS, lacking
from benchmarks.data.hits import AWAIT_GET, GET, WITH_COUNTER, Turns
from benchmarks.data.reader import EMPTY
from benchmarks.pipeline.peers import Peers
from benchmarks.pipeline.sections import at_least
from benchmarks.sidebyside.costs import Spread


def turns(*costs_ns: float, rates: list[dict[str, float | None]] | None = None) -> Turns:
    return Turns(dict(enumerate(costs_ns)), [200.0], list(rates or ()))


MEASURED = {
    (OURS, EMPTY): turns(4, 6),
    (OURS, GET): turns(104, 206, rates=[{"alone": 100.0, "together": 90.0, "calls": 1_000, "counted": 999}]),
    (OURS, WITH_COUNTER): turns(904, 2_206),
    (OURS, AWAIT_GET): turns(204, 206),
    ("cashews", EMPTY): turns(10, 10),
    ("cashews", AWAIT_GET): turns(1_010, 1_210),
    ("aiocache", EMPTY): turns(10, 10),
    ("aiocache", AWAIT_GET): turns(9_010, 9_010),
}


def test_the_empty_loop_is_no_part_of_a_hit():
    assert hits.net(MEASURED, OURS, GET) == {0: 100, 1: 200}


def test_what_was_not_measured_costs_nothing_that_could_be_told():
    assert hits.net(MEASURED, "cachebox", GET) == {}
    assert hits.beside(MEASURED, (OURS, GET), ("cachebox", GET)) is None


def test_a_peer_is_a_multiple_of_ours_in_the_same_round():
    assert hits.beside(MEASURED, (OURS, AWAIT_GET), ("cashews", AWAIT_GET)) == Spread.of([5, 6])


def test_the_best_peer_is_the_one_whose_hit_costs_least():
    assert hits.best_of(MEASURED, ("aiocache", "cashews", "dogpile.cache"), AWAIT_GET) == "cashews"
    assert hits.best_of(MEASURED, ("dogpile.cache",), AWAIT_GET) is None


def test_threads_are_told_beside_one_thread_and_their_calls_beside_what_was_counted():
    assert hits.together(MEASURED[OURS, GET]) == Spread(0.9, 0.9, 0.9)
    assert hits.counted(MEASURED[OURS, GET]) == 0.999
    assert hits.counted(turns(1, rates=[{"alone": 1, "together": 1, "calls": 5, "counted": None}])) is None


def test_a_hit_of_ours_that_is_not_counted_is_a_fault():
    assert hits.uncounted(MEASURED) == ["tickspan: get: counted 99.9 % of the calls"]


@pytest.mark.parametrize(("found", "is_met"), [(8.0, True), (7.9, False)])
def test_a_ratio_that_should_be_large_is_met_from_its_limit_on(found: float, is_met: bool):
    assert at_least("x", OURS, Spread(found, found, found), 8).is_met is is_met


def test_nothing_measured_is_neither_met_nor_missed():
    assert at_least("x", OURS, None, 8).is_met is None


def test_who_is_not_installed_is_missing_with_its_reason(tmp_path: Path):
    peers = Peers(tmp_path, {"cachebox": "no wheel"})
    assert lacking([OURS, "cachebox", "cashews"], peers) == {
        "cachebox": "cachebox cannot be installed: no wheel"
    }


def test_only_ours_and_the_plain_dict_run_in_our_environment():
    assert [name for name, contender in CONTENDERS.items() if not contender.needs] == ["dict", OURS]


def test_a_quote_tells_its_symbol_and_no_two_are_alike():
    symbols = quotes.symbols(50)
    assert len({quotes.text(symbol) for symbol in symbols}) == 50
    assert [quotes.mapping(symbol)["symbol"] for symbol in symbols] == list(symbols)


def test_policies_are_judged_by_their_worst_trace():
    found = {
        (OURS, "s3fifo"): {"zipf": 0.64, "loop": 0.50},
        (OURS, "adaptive"): {"zipf": 0.64, "loop": 0.60},
        ("libcachesim", "s3fifo"): {"zipf": 0.645, "loop": 0.52},
        ("libcachesim", "lru"): {"zipf": 0.60, "loop": 0.0},
        ("libcachesim", "w-tinylfu"): {"zipf": 0.63, "loop": 0.61},
    }
    assert [(target.found, target.is_met) for target in hit_ratios.targets(found)] == [
        ("-2.0 points on loop", False),
        ("-1.0 points on loop", True),
    ]


def test_gets_a_second_are_those_of_the_wall_clock():
    told = {(OURS, 100): {0: {"asked": 50.0, "seconds": 0.5}, 1: {"asked": 90.0, "seconds": 0.5}}}
    assert mux.rates(told, OURS, 100) == {0: 100, 1: 180}
    assert mux.rates(told, OURS, 20) == {}
