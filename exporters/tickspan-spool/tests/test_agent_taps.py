"""Taps: what they see, what they may use, and what becomes of one that raises."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span
from tickspan_spool.agent.tap_runner import TapRunner
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


class _Slow(_Watch):
    """One whose disk takes nothing for a while."""

    sees_all = True

    def __init__(self, cost_s: float = 0.0) -> None:
        super().__init__(cost_s)
        self.services_behind: set[str] = set()
        self.falls_behind = False

    def on_batch(self, batch: TapBatch) -> Iterable[Finding] | None:
        if self.falls_behind:
            self.services_behind.add(batch.service_name)
        return super().on_batch(batch)

    def is_behind(self, service_name: str) -> bool:
        return service_name in self.services_behind


class _Source:
    """Two batches that wait, and what was settled of them."""

    def __init__(self) -> None:
        self.waiting = [list(_batch(name).entries) for name in ("buy", "sell")]
        self.settled: list[int] = []
        self.is_drained = False

    def read(self, max_records: int, max_bytes: int) -> list[Entry]:
        return self.waiting[0] if self.waiting else []

    def acknowledge(self, entries: list[Entry], delivered: int, dropped: object) -> None:
        assert entries is self.waiting.pop(0)
        self.settled.append(delivered)


def _runner(slow: _Slow, service_name: str = "bot") -> tuple[TapRunner, _Source]:
    description = SimpleNamespace(taps=("slow",), service_name=service_name)
    folder = SimpleNamespace(path=Path("101-7-ab"), description=description, is_alive=lambda: True)
    runner = TapRunner(Taps(lambda _: lambda: slow, lambda: 0.0), lambda _: None, lambda: 0.0)
    source = _Source()
    runner._watched.append((SimpleNamespace(folder=folder, taps=("slow",)), source))  # type: ignore[arg-type]
    return runner, source


def test_what_a_tap_has_not_safe_is_settled_when_it_has_and_shown_once():
    slow = _Slow()
    runner, source = _runner(slow)
    slow.services_behind.add("bot")
    runner.look()
    assert (slow.seen, source.settled) == ([0.0], [])  # one that is behind is shown nothing
    slow.services_behind.clear()
    slow.falls_behind = True
    for _ in range(3):
        runner.look()
    assert (slow.seen[1:], source.settled) == ([["buy"]], [])
    slow.services_behind.clear()
    runner.look()
    assert source.settled == [1]


def test_a_tap_that_is_behind_for_one_service_goes_on_for_others():
    slow = _Slow()
    slow.services_behind.add("other")
    runner, source = _runner(slow)
    runner.look()
    assert source.settled == [1]


def test_a_tap_that_sees_all_hears_the_time_whatever_it_has_used():
    slow = _Slow(cost_s=10.0)
    turn = _turn(slow)
    for _ in range(3):
        turn.on_batch(_batch("buy"), 0.0)
        turn.tick(0.0)
    assert slow.seen == [["buy"], 0.0] * 3


def test_a_tap_that_cannot_tell_whether_it_is_behind_is_off(caplog: pytest.LogCaptureFixture):
    slow = _Slow()
    slow.services_behind = None  # type: ignore[assignment]
    turn = _turn(slow)
    assert not turn.is_behind("bot")
    assert turn.statistics().disabled == "TypeError in is_behind"


class _Listener(_Watch):
    """A tap that sees what another has found."""

    hears = frozenset({"watch"})

    def on_batch(self, batch: TapBatch) -> Iterable[Finding] | None:
        self._look([(entry.stream.signal, len(entry.body)) for entry in batch.entries])
        return [_FINDING]


def test_a_tap_sees_what_the_taps_that_it_hears_have_found_each_thing_once():
    listener, watch, other = _Listener(), _Watch(), _Watch()
    found: dict[str, Tap] = {"listener": listener, "watch": watch, "other": other}
    taps = Taps(lambda name: lambda: found[name], lambda: 0.0)
    told = taps.on_batch(["listener", "watch", "other"], _batch("buy"))
    assert (told, listener.seen, watch.seen, other.seen) == (
        [_FINDING] * 4,
        [[("traces", 7)], [("logs", len(_FINDING.body))]],
        [["buy"]],
        [["buy"]],
    )


def test_a_tap_hears_nothing_of_a_process_that_did_not_ask_for_it():
    listener, watch = _Listener(), _Watch()
    found: dict[str, Tap] = {"listener": listener, "watch": watch}
    taps = Taps(lambda name: lambda: found[name], lambda: 0.0)
    taps.on_batch(["watch"], _batch("buy"))
    assert listener.seen == []
