"""Replay: the bytes that were stored, in their order, each settled before the next."""

import os
from collections import Counter

import pytest
from tickspan_desk.replaying import Replayed, replay
from tickspan_spool.receiver import Batch, Response, Signal

from .conftest import Collector, logs, traces

_REQUESTS: list[tuple[Signal, bytes]] = [
    ("traces", traces("buy", "sell") + b"\xfa\x01\x03new"),
    ("logs", logs("filled")),
    ("traces", traces("cancel")),
]


def test_what_was_stored_arrives_byte_by_byte_in_its_order(collector: Collector):
    told: list[int] = []
    done = replay(_REQUESTS, collector.endpoint, lambda so_far: told.append(so_far.records), environ={})
    assert collector.bodies == _REQUESTS
    size_bytes = sum(len(body) for _, body in _REQUESTS)
    assert (done, told) == (Replayed(3, 4, 4, {}, size_bytes, "", is_complete=True), [2, 3, 4])


def test_a_collector_that_asks_for_time_gets_it(collector: Collector):
    answers = iter([Response(503, {"retry-after": "2"}), Response(429)])
    collector.answer = lambda _batch: next(answers, None)
    waits: list[float] = []
    done = replay(_REQUESTS, collector.endpoint, environ={}, pause=waits.append)
    assert (done.delivered, done.is_complete, collector.bodies) == (4, True, _REQUESTS)
    assert (len(waits), waits[0] >= 2) == (2, True)


def test_one_that_never_answers_is_given_up_and_that_is_said(collector: Collector):
    collector.receiver.stop()
    waits: list[float] = []
    done = replay(_REQUESTS, "http://127.0.0.1:9", environ={}, patience_s=10, pause=waits.append)
    assert (done.delivered, done.is_complete, "Connection refused" in done.trouble) == (0, False, True)
    assert sum(waits) == pytest.approx(10, abs=0.06)


def test_what_is_refused_is_counted_and_the_rest_goes_on(collector: Collector):
    collector.answer = lambda batch: Response(400) if batch.signal == "logs" else None
    done = replay(_REQUESTS, collector.endpoint, environ={})
    assert (done.delivered, done.dropped, done.is_complete) == (3, {"refused": 1}, True)


def test_what_is_too_large_goes_in_halves(collector: Collector):
    def one_at_a_time(batch: Batch) -> Response | None:
        return Response(413) if batch.records > 1 else None

    collector.answer = one_at_a_time
    done = replay([("traces", traces("a", "b", "c", "d", "e"))], collector.endpoint, environ={})
    assert (collector.spans, done.delivered, done.records) == (Counter("abcde"), 5, 5)


def test_headers_are_those_of_the_standard_variable(collector: Collector):
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20key",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces",
        "TICKSPAN_ENDPOINTS": "http://127.0.0.1:9",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_SDK_DISABLED": "true",
    }
    replay(_REQUESTS, collector.endpoint, environ=environ)
    assert (collector.headers, os.environ.get("OTEL_EXPORTER_OTLP_HEADERS")) == (["Bearer key"] * 3, None)
