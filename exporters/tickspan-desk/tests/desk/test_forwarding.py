"""Forwarding: everything that arrives goes on, however long the collector takes, and losses are counted."""

import json
import time
from collections import Counter
from collections.abc import Callable

import pytest
from tickspan_desk.exporting import export
from tickspan_desk.forwarding import Forwarder, leads_to
from tickspan_desk.intake import Intake, plain
from tickspan_spool.receiver import Limits, Response, decode

from .conftest import PROTOBUF, Collector, batch, logs, traces


def _wait(claim: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


def test_everything_goes_on(collector: Collector):
    forwarder = Forwarder(collector.endpoint, {})
    for number in range(20):
        forwarder.take(batch("traces", traces(f"order {number}")))
    forwarder.take(batch("logs", logs("filled")))
    _wait(lambda: not forwarder.statistics().waiting)
    told = forwarder.stop(1.0)
    assert (told.taken, told.delivered, told.waiting, told.dropped) == (21, 21, 0, {})
    assert collector.spans == Counter(f"order {number}" for number in range(20))


def test_a_collector_that_is_away_for_a_while_loses_nothing(collector: Collector):
    answers = iter([Response(503), Response(503)])
    collector.answer = lambda _batch: next(answers, None)
    forwarder = Forwarder(collector.endpoint, {})
    forwarder.take(batch("traces", traces("buy")))
    _wait(lambda: forwarder.statistics().delivered)
    told = forwarder.stop(1.0)
    assert (told.delivered, told.dropped, collector.spans) == (1, {}, Counter(["buy"]))


def test_what_finds_no_room_and_what_is_refused_is_counted_to_the_record(collector: Collector):
    collector.answer = lambda _batch: Response(503)
    forwarder = Forwarder(collector.endpoint, {}, queue_bytes=2_000)
    for number in range(100):
        forwarder.take(batch("traces", traces(f"order {number}")))
    told = forwarder.stop(0.2)
    lost = told.dropped["ring_full"]
    assert (told.taken, told.delivered, lost > 50) == (100, 0, True)
    assert told.waiting + lost == 100
    assert "503" in told.trouble


def test_a_refusal_is_counted(collector: Collector):
    collector.answer = lambda _batch: Response(400)
    forwarder = Forwarder(collector.endpoint, {})
    forwarder.take(batch("logs", logs("one", "two")))
    _wait(lambda: forwarder.statistics().dropped)
    told = forwarder.stop(0.2)
    assert (told.taken, told.dropped, told.waiting) == (2, {"refused": 2}, 0)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4318", True),
        ("http://localhost:4318/otlp", True),
        ("http://[::1]:8321", True),
        ("http://127.0.0.1:4319", False),
        ("http://collector:4318", False),
    ],
)
def test_a_desk_does_not_forward_to_itself(url: str, expected: bool):
    assert leads_to(url, (4318, 8321)) is expected


def test_json_becomes_protobuf_before_it_is_kept_and_headers_go():

    body = traces("buy")
    as_json = export([("traces", body)], ["01" * 16])
    headers = {"content-type": "application/json; charset=utf-8", "authorization": "Bearer secret"}
    taken = plain(decode("traces", headers, json.dumps(as_json).encode(), Limits()))
    assert (taken.body, dict(taken.headers), taken.records) == (body, PROTOBUF, 1)


def test_batches_of_all_receivers_come_one_at_a_time():
    seen: list[str] = []
    intake = Intake(
        [lambda one: seen.append(f"store {one.records}"), lambda one: seen.append(f"on {one.signal}")]
    )
    intake(batch("traces", traces("buy", "sell")))
    assert seen == ["store 2", "on traces"]
