"""One trace as OTLP JSON: what any other receiver takes."""

import json
import urllib.request

from tickspan_desk.exporting import export
from tickspan_spool.receiver import Signal

from .conftest import START_NS, Collector, logs, traces

_WANTED, _OTHER = b"\xab" * 16, b"\xcd" * 16


def test_spans_and_log_records_of_the_trace_and_no_others():
    requests: list[tuple[Signal, bytes]] = [
        ("traces", traces("buy", trace_id=_WANTED)),
        ("traces", traces("sell", trace_id=_OTHER)),
        ("logs", logs("filled", trace_id=_WANTED)),
        ("logs", logs("nothing to do with it")),
        ("metrics", _WANTED),
        ("traces", b"\xff" + _WANTED),
    ]
    told = export(requests, [_WANTED.hex()])
    (resource,) = told["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    assert scope["spans"] == [
        {
            "traceId": "ab" * 16,
            "spanId": b"buy\0\0\0\0\0".hex(),
            "name": "buy",
            "kind": 3,
            "startTimeUnixNano": str(START_NS),
            "endTimeUnixNano": str(START_NS + 5_000),
        }
    ]
    (record,) = told["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert (record["traceId"], record["body"]) == ("ab" * 16, {"stringValue": "filled"})


def test_another_receiver_takes_it(collector: Collector):
    told = export([("traces", traces("buy", "sell", trace_id=_WANTED))], [_WANTED.hex()])
    request = urllib.request.Request(
        f"{collector.endpoint}/v1/traces",
        json.dumps(told).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_nothing_is_known_of_a_trace_that_is_not_kept():
    assert export([("traces", traces("buy", trace_id=_OTHER))], [_WANTED.hex()]) == {}
