"""What is kept of spans: traces, their spans, operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tickspan_desk.store import Operation, Store, TraceEntry, TraceFilter, Window

from tickspan.received import decode_traces
from tickspan.semconv.trading import INSTRUMENT_SYMBOL

ONE, TWO, THREE = "01" * 16, "02" * 16, "03" * 16
SECOND_NS = 1_000_000_000


def around(requests: Any) -> Window:
    return Window(requests.noon_ns - 600 * SECOND_NS, requests.noon_ns + 600 * SECOND_NS)


def three(requests: Any) -> list[Any]:
    noon = requests.noon_ns
    return [
        requests.spans(
            {"trace": ONE, "id": "0a" * 8, "name": "tick", "attributes": {INSTRUMENT_SYMBOL: "BTC/USDT"}},
            {"trace": ONE, "parent": "0a" * 8, "name": "submit", "start": noon + SECOND_NS, "ms": 700},
        ),
        requests.spans(
            {"trace": TWO, "name": "sweep", "start": noon + 2 * SECOND_NS, "failed": True},
            service="keeper",
        ),
        requests.spans({"trace": ONE, "parent": "0a" * 8, "name": "risk", "ms": 1}, service="keeper"),
    ]


def test_a_trace_of_several_requests_is_one_entry(kept: Callable[..., Store], requests: Any) -> None:
    noon = requests.noon_ns
    assert kept(*three(requests)).traces(TraceFilter(), around(requests)) == [
        TraceEntry(
            TWO, "sweep", "keeper", noon + 2 * SECOND_NS, noon + 2 * SECOND_NS + 10_000_000, 1, 1, ("keeper",)
        ),
        TraceEntry(ONE, "tick", "bot", noon, noon + SECOND_NS + 700_000_000, 3, 0, ("bot", "keeper")),
    ]


def test_spans_of_a_trace_are_those_that_came(kept: Callable[..., Store], requests: Any) -> None:
    batches = three(requests)
    every = [span for batch in batches for span in decode_traces(batch.message) if span.trace_id == ONE]
    assert kept(*batches).spans(ONE) == sorted(every, key=lambda span: span.start_ns)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (TraceFilter(service="keeper"), [TWO, ONE]),
        (TraceFilter(service="bot"), [ONE]),
        (TraceFilter(name="submit"), [ONE]),
        (TraceFilter(name="risk", service="bot"), [ONE]),
        (TraceFilter(name="nothing"), []),
        (TraceFilter(has_error=True), [TWO]),
        (TraceFilter(min_duration_ns=SECOND_NS), [ONE]),
        (TraceFilter(text=f"{INSTRUMENT_SYMBOL}=BTC/USDT"), [ONE]),
        (TraceFilter(text="BTC/USDT"), [ONE]),
        (TraceFilter(text="other=BTC/USDT"), []),
        (TraceFilter(text="0a" * 8), [ONE]),
        (TraceFilter(text=TWO), [TWO]),
    ],
)
def test_a_filter_lets_through_traces_of_which_some_span_is_so(
    kept: Callable[..., Store], requests: Any, wanted: TraceFilter, found: list[str]
) -> None:
    entries = kept(*three(requests)).traces(wanted, around(requests))
    assert [entry.trace_id for entry in entries] == found


def test_older_traces_are_asked_for_by_the_start_of_the_last(
    kept: Callable[..., Store], requests: Any
) -> None:
    batches = [
        requests.spans({"trace": f"{number:032x}", "start": requests.noon_ns + number}) for number in range(9)
    ]
    store, window = kept(*batches), around(requests)
    pages, before_ns = [], 0
    for _ in range(3):
        page = store.traces(TraceFilter(), window, limit=3, before_ns=before_ns)
        before_ns = page[-1].start_ns
        pages.append([entry.start_ns - requests.noon_ns for entry in page])
    assert pages == [[8, 7, 6], [5, 4, 3], [2, 1, 0]]


def test_a_request_that_comes_twice_counts_once(kept: Callable[..., Store], requests: Any) -> None:
    batches = three(requests)
    once = kept(*batches)
    told = once.statistics(), once.traces(TraceFilter(), around(requests)), once.operations(around(requests))
    again = kept(*batches)
    assert (again.statistics().spans, again.traces(TraceFilter(), around(requests))) == (
        told[0].spans,
        told[1],
    )
    assert again.operations(around(requests)) == told[2]


def test_a_span_that_is_in_two_requests_is_shown_once(kept: Callable[..., Store], requests: Any) -> None:
    span = {"trace": ONE, "id": "0a" * 8}
    store = kept(requests.spans(span), requests.spans(span, {"trace": ONE, "id": "0b" * 8}))
    assert [shown.span_id for shown in store.spans(ONE)] == ["0a" * 8, "0b" * 8]


def test_operations_have_calls_errors_and_quantiles_within_two_percent(
    kept: Callable[..., Store], requests: Any
) -> None:
    noon, count = requests.noon_ns, 1000
    batch = requests.spans(
        *(
            {"trace": f"{number:032x}", "start": noon + number, "ms": number, "failed": number % 10 == 0}
            for number in range(1, count + 1)
        )
    )
    operation = kept(batch).operations(Window(noon, noon + requests.minute_ns))[0]
    exact = {quantile: int(quantile * count) * 1_000_000 for quantile in (0.5, 0.99, 0.999)}
    assert (operation.service, operation.name, operation.kind) == ("bot", "call", "client")
    assert (operation.calls, operation.errors) == (1000, 100)
    assert {
        quantile: told / exact[quantile] for quantile, told in operation.quantiles_ns.items()
    } == pytest.approx(dict.fromkeys(exact, 1.0), rel=0.02)
    assert operation.exemplars == tuple(
        (number * 1_000_000, f"{number:032x}") for number in range(1000, 995, -1)
    )
    assert [minute[:2] for minute in operation.minutes] == [(1000, 100)]


def test_sketches_of_requests_add_up(kept: Callable[..., Store], requests: Any) -> None:
    noon = requests.noon_ns
    parts = [
        requests.spans(*({"trace": f"{9 * part + number:032x}", "ms": part + 1} for number in range(9)))
        for part in range(3)
    ]
    operations = kept(*parts).operations(Window(noon, noon + requests.minute_ns))
    assert [(told.calls, round(told.quantiles_ns[0.5] / 1e6, 1)) for told in operations] == [(27, 2.0)]


def test_operations_are_told_minute_by_minute(kept: Callable[..., Store], requests: Any) -> None:
    noon = requests.noon_ns
    store = kept(requests.spans({"ms": 0}), requests.spans({"start": noon + 2 * requests.minute_ns, "ms": 0}))
    assert store.operations(Window(noon, noon + 3 * requests.minute_ns)) == [
        Operation(
            "bot",
            "call",
            "client",
            2,
            0,
            {0.5: 0, 0.99: 0, 0.999: 0},
            ((1, 0, 0), (0, 0, 0), (1, 0, 0)),
            ((0, ONE), (0, ONE)),
        )
    ]


@pytest.mark.parametrize(
    "span",
    [
        {"trace": ""},
        {"id": ""},
        {"trace": "ab"},
        {"start": 0, "end": 0},
        {"start": (1 << 64) - 1, "end": (1 << 64) - 1},
        {"start": (1 << 64) - 11_644_473_600_000_000_000, "end": 5},
        {"end": 1},
        {"name": "n" * 65_536},
        {"name": ""},
        {"id": "0a" * 8, "parent": "0a" * 8},
        {"attributes": {"a" * 70_000: "v" * 70_000}},
        {"attributes": {"nan": float("nan"), "inf": float("inf")}},
    ],
)
def test_whatever_a_span_says_it_is_kept_and_found(
    kept: Callable[..., Store], requests: Any, span: dict[str, object]
) -> None:
    batch = requests.spans(span)
    store, everything = kept(batch), Window(0, 1 << 63)
    entries = store.traces(TraceFilter(), everything)
    assert [entry.spans for entry in entries] == [1]
    assert [entry.start_ns for entry in entries] == [requests.noon_ns]
    assert list(store.batches(everything)) == [("traces", batch.body)]
    assert store.operations(around(requests))[0].calls == 1


def test_parents_that_go_round_are_no_root_and_end(kept: Callable[..., Store], requests: Any) -> None:
    store = kept(
        requests.spans(
            {"id": "0a" * 8, "parent": "0b" * 8, "name": "first"}, {"id": "0b" * 8, "parent": "0a" * 8}
        )
    )
    entry = store.traces(TraceFilter(), around(requests))[0]
    assert (entry.name, entry.spans, len(store.spans(ONE))) == ("first", 2, 2)


def test_a_span_of_a_hundred_thousand_attributes_is_kept_and_found(
    kept: Callable[..., Store], requests: Any
) -> None:
    attributes = {f"key.{number}": f"value {number}" for number in range(100_000)}
    store = kept(requests.spans({"attributes": attributes}))
    found = store.traces(TraceFilter(text="key.99999=value 99999"), around(requests))
    assert [entry.trace_id for entry in found] == [ONE]
