"""Taps: what they see, what they may use, and what becomes of one that raises."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span
from tickspan_spool.entries import Entry, StreamKey
from tickspan_spool.taps import (
    CPU_SHARE,
    Finding,
    ProcessEnd,
    Tap,
    TapBatch,
    Taps,
    TapStatistics,
    Turn,
    installed,
)

_KEY = StreamKey("traces", b"", b"")
_FINDING = Finding("101-7-ab", StreamKey("logs", b"", b""), b"\x12\x00")


def _batch(*names: str) -> TapBatch:
    bodies = [ScopeSpans(spans=[Span(name=name)]).SerializeToString() for name in names]
    return TapBatch("101-7-ab", "bot", [Entry(_KEY, body, 1, number) for number, body in enumerate(bodies)])


class _Watch:
    """A tap that keeps what it sees, and a thread clock that it moves by what it costs."""

    def __init__(self, cost_s: float = 0.0, error: Exception | None = None) -> None:
        self.seen: list[object] = []
        self.used_s = 0.0
        self._cost_s = cost_s
        self._error = error

    def on_batch(self, batch: TapBatch) -> Iterable[Finding] | None:
        message = batch.message
        assert isinstance(message, ExportTraceServiceRequest)
        self._look([span.name for span in message.resource_spans[0].scope_spans[0].spans])
        return [_FINDING]

    def tick(self, now_s: float) -> Iterable[Finding] | None:
        self._look(now_s)
        return None

    def _look(self, thing: object) -> None:
        self.seen.append(thing)
        self.used_s += self._cost_s
        if self._error:
            raise self._error


def _turn(watch: _Watch) -> Turn:
    return Turn("orders", lambda: watch, 0.0, lambda: watch.used_s)


def test_a_tap_sees_batches_and_the_time():
    watch = _Watch()
    turn = _turn(watch)
    assert [turn.on_batch(_batch("buy", "sell"), 1.0), turn.tick(2.0)] == [[_FINDING], []]
    assert watch.seen == [["buy", "sell"], 2.0]
    assert turn.statistics() == TapStatistics("orders", batches=1, findings=1)


def test_a_batch_is_decoded_once_for_all_taps():
    batch = _batch("buy")
    assert isinstance(batch.message, ExportTraceServiceRequest)
    assert batch.message is batch.message
    assert repr(batch) == "<TapBatch 1 traces of 101-7-ab>"


def test_a_tap_that_has_used_up_its_time_is_left_out_until_it_has_earned_more():
    watch = _Watch(cost_s=2.5)
    turn = _turn(watch)
    batch = _batch("buy")
    soon, later = 1.0, 1.0 + 0.6 / CPU_SHARE
    assert [len(turn.on_batch(batch, now_s)) for now_s in (0.0, soon, later)] == [1, 0, 1]
    assert turn.statistics() == TapStatistics("orders", batches=2, skipped=1, findings=2, cpu_s=5.0)


def test_a_tap_that_raises_is_off_and_that_is_told_once(caplog: pytest.LogCaptureFixture):
    watch = _Watch(error=ZeroDivisionError("secret"))
    turn = _turn(watch)
    with caplog.at_level(logging.INFO):
        findings = [turn.on_batch(_batch("buy"), 0.0), turn.on_batch(_batch("buy"), 1.0), turn.tick(2.0)]
    assert (findings, watch.seen) == ([[], [], []], [["buy"]])
    assert turn.statistics() == TapStatistics("orders", batches=1, disabled="ZeroDivisionError in on_batch")
    assert [record.getMessage() for record in caplog.records] == [
        "tap 'orders' disabled after ZeroDivisionError in on_batch; telemetry still flows"
    ]


def test_a_tap_that_cannot_be_made_harms_nobody(caplog: pytest.LogCaptureFixture):
    watch = _Watch()

    def find(name: str) -> Callable[[], Tap]:
        return (lambda: watch) if name == "orders" else _raise

    def _raise() -> Tap:
        raise ImportError("no module")

    taps = Taps(find, clock=lambda: 0.0)
    assert taps.on_batch(["broken", "orders"], _batch("buy")) == [_FINDING]
    assert taps.tick() == []
    assert [(one.name, one.disabled) for one in taps.statistics()] == [
        ("broken", "ImportError in loading"),
        ("orders", ""),
    ]


def test_a_tap_that_is_not_installed_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    taps = Taps(installed(tmp_path))
    taps.on_batch(["nowhere"], _batch("buy"))
    assert taps.statistics() == (TapStatistics("nowhere", disabled="LookupError in loading"),)
    assert "no entry point 'nowhere' in the group tickspan_tap" in caplog.text


def test_only_taps_that_were_asked_for_hear_the_time():
    watch = _Watch()
    taps = Taps(lambda _name: lambda: watch, clock=lambda: 5.0)
    taps.tick()
    taps.on_batch(["orders"], _batch("buy"))
    taps.tick()
    assert watch.seen == [["buy"], 5.0]


_END = ProcessEnd("101-7-ab", "bot", 101, has_exited_cleanly=False)


class _Mourner(_Watch):
    """A tap that asks for the ends of processes, and for its own."""

    def on_end(self, end: ProcessEnd) -> Iterable[Finding] | None:
        self._look(end)
        return [_FINDING]

    def close(self) -> None:
        self._look("closed")


def test_a_tap_that_asks_for_it_is_told_the_end_of_a_process_and_of_the_agent():
    mourner, watch = _Mourner(), _Watch()
    taps = Taps({"mourner": lambda: mourner, "watch": lambda: watch}.__getitem__, lambda: 0.0)
    assert taps.on_end(["mourner", "watch"], _END) == [_FINDING]
    taps.close()
    assert taps.on_end(["mourner", "watch"], _END) == []
    assert (mourner.seen, watch.seen) == ([_END, "closed"], [])
