"""Streams: what is counted, when silence is told, what a stream costs and what it leaves behind."""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry._logs import NoOpLogger
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer

from tickspan.instrumentation import Workbench, suppressed
from tickspan.instrumentation.watch import Watch, process_watch
from tickspan.providers import MeterProvider
from tickspan.testing.capture import Capture, FakeClock, RecordedLogEvent
from tickspan.testing.sink import MemorySink
from tickspan.trading import Clock, Feed, Feeds, TradingSettings, VenueClocks, feeds_of
from tickspan.trading.feeds import MAX_FEEDS

SECOND = 1_000_000_000
PLACE = {
    "trading.venue.name": "sim",
    "trading.venue.environment": "live",
    "trading.client.library": "test",
    "trading.feed.channel": "trades",
}
MakeFeeds = Callable[..., Feeds]


@pytest.fixture
def clock() -> FakeClock:
    """Both clocks, at rest until a test moves them."""
    return FakeClock(step_ns=0)


@pytest.fixture
def idle_watch() -> Generator[Watch]:
    """A watch that never looks: tests do it themselves."""
    watch = Watch(interval_s=3600)
    yield watch
    watch.stop()


@pytest.fixture
def make_feeds(telemetry: Capture, clock: FakeClock, idle_watch: Watch) -> Generator[MakeFeeds]:
    """Feeds that are looked at when a test does so."""
    made: list[Feeds] = []

    def make(**settings: Any) -> Feeds:
        meter = telemetry.meter_provider.get_meter("test")
        logger = telemetry.logger_provider.get_logger("test")
        known = replace(TradingSettings(), **settings)
        clocks = Clock(clock, clock)
        made.append(
            Feeds(
                telemetry.tracer_provider.get_tracer("test"),
                meter,
                logger,
                known,
                clocks=VenueClocks(meter, logger, known, clock=clocks),
                clock=clocks,
                watch=idle_watch,
            )
        )
        return made[-1]

    yield make
    for feeds in made:
        feeds.close()


@pytest.fixture
def feeds(make_feeds: MakeFeeds) -> Feeds:
    return make_feeds()


def trades(feeds: Feeds, **known: Any) -> Feed:
    return feeds.feed("sim", "trades", library="test", **known)


def pass_s(clock: FakeClock, seconds: float) -> None:
    clock.now_ns += round(seconds * SECOND)


def flow(feeds: Feeds, feed: Feed, clock: FakeClock, *, messages: int, gap_s: float) -> None:
    """Messages at a steady pace, looked at after each."""
    for _ in range(messages):
        pass_s(clock, gap_s)
        feed.received(clock.now_ns)
        feeds.look()


def values(telemetry: Capture, name: str) -> list[float]:
    return [point.value for point in telemetry.points(name)]


def test_a_streams_messages_are_counted_when_somebody_looks(feeds: Feeds, telemetry: Capture) -> None:
    feed = trades(feeds)
    for _ in range(3):
        feed.received(1, size_bytes=100)
    feed.conflated(2)
    feed.dropped()
    feed.checksum_failed()
    feed.backlog(7)
    (point,) = telemetry.points("trading.feed.messages")
    assert (point.attributes, point.value) == (PLACE, 3)
    told = {name: values(telemetry, f"trading.feed.{name}") for name in ("bytes", "conflated", "dropped")}
    assert told == {"bytes": [300], "conflated": [2], "dropped": [1]}
    assert values(telemetry, "trading.feed.checksum_errors") == [1]
    assert values(telemetry, "trading.feed.backlog") == [7]


def test_same_arguments_are_the_same_stream_and_a_key_tells_connections_apart(feeds: Feeds) -> None:
    first, second = object.__new__(_Connection), object.__new__(_Connection)
    assert trades(feeds, key=first) is trades(feeds, key=first)
    assert trades(feeds, key=first) is not trades(feeds, key=second)
    assert trades(feeds, key="a") is trades(feeds, key="a")
    assert trades(feeds) is not trades(feeds, environment="paper")


def test_streams_of_one_kind_are_told_together(feeds: Feeds, telemetry: Capture) -> None:
    trades(feeds, key="a").received(1)
    trades(feeds, key="b").received(1)
    trades(feeds, key="b").backlog(5)
    trades(feeds, key="a").backlog(2)
    assert values(telemetry, "trading.feed.messages") == [2]
    assert values(telemetry, "trading.feed.backlog") == [5]


def test_lag_and_queue_are_measured_and_a_message_from_the_future_is_only_counted(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    feed = trades(feeds)
    feed.received(clock.now_ns, venue_time_ns=clock.now_ns - 5_000_000)
    feed.received(clock.now_ns, venue_time_ns=clock.now_ns + 1)
    feed.delivered(2_000_000)
    (lag,) = telemetry.points("trading.feed.lag")
    assert (lag.attributes, lag.value, lag.count) == (PLACE, 0.005, 1)
    assert values(telemetry, "trading.clock.negative_lag") == [1]
    (queue,) = telemetry.points("trading.feed.queue")
    assert (queue.value, queue.count) == (0.002, 1)


def test_lag_is_measured_by_the_venues_clock_where_that_is_known(
    make_feeds: MakeFeeds, telemetry: Capture, clock: FakeClock
) -> None:
    feeds = make_feeds()
    feed = trades(feeds)
    clocks: VenueClocks = vars(feeds)["_clocks"]
    clocks.offset("sim", "library", 0.2, library="test")
    feeds.look()
    feed.received(clock.now_ns, venue_time_ns=clock.now_ns + 190_000_000)
    (lag,) = telemetry.points("trading.feed.lag")
    assert lag.value == pytest.approx(0.01)


def test_messages_that_are_ahead_of_our_clock_tell_that_it_is_behind(
    make_feeds: MakeFeeds, telemetry: Capture, clock: FakeClock
) -> None:
    feeds = make_feeds()
    feed = trades(feeds)
    for lead_ms in (590, 600, 580):
        feed.received(clock.now_ns, venue_time_ns=clock.now_ns + lead_ms * 1_000_000)
    feeds.look()
    (event,) = telemetry.events("trading.clock.skew")
    assert event.attributes["trading.clock.source"] == "messages"
    assert event.attributes["trading.clock.difference"] == pytest.approx(0.6)
    feed.received(clock.now_ns, venue_time_ns=clock.now_ns + 610_000_000)
    pass_s(clock, 1)
    feeds.look()
    assert values(telemetry, "trading.clock.offset") == [pytest.approx(0.61, abs=0.001)]
    pass_s(clock, 61)
    feeds.look()
    assert values(telemetry, "trading.clock.offset") == []


def test_a_provider_of_ours_gets_every_lag(clock: FakeClock, idle_watch: Watch) -> None:
    sink = MemorySink()
    provider = MeterProvider(sink=sink, shutdown_on_exit=False)
    capture = Capture()
    feeds = Feeds(
        capture.tracer_provider.get_tracer("test"),
        provider.get_meter("test"),
        capture.logger_provider.get_logger("test"),
        clock=Clock(clock, clock),
        watch=idle_watch,
    )
    feed = trades(feeds)
    for _ in range(5_000):
        feed.received(clock.now_ns, venue_time_ns=clock.now_ns)
    assert provider.collect()
    assert provider.collect()
    (lag,) = [metric for metric in sink.telemetry().metrics if metric.name == "trading.feed.lag"][-1:]
    assert [point.count for point in lag.points] == [5_000]
    feeds.close()


@pytest.mark.parametrize(
    ("numbers", "gaps", "resyncs"),
    [
        pytest.param([(1,), (2,), (3,)], 0, 0, id="in order"),
        pytest.param([(1,), (4,), (5,)], 1, 0, id="a jump"),
        pytest.param([(1, 3), (4, 9), (10, 10)], 0, 0, id="ranges in order"),
        pytest.param([(1, 3), (3, 9), (5, 12), (13,)], 0, 0, id="ranges that overlap"),
        pytest.param([(1, 3), (5, 9)], 1, 0, id="ranges with a jump"),
        pytest.param([(5,), (5,), (6,), (6,), (7,)], 0, 0, id="doubled"),
        pytest.param([(5,), (4,), (6,)], 0, 0, id="late"),
        pytest.param([(100,), (1,), (2,), (3,)], 0, 1, id="numbered anew"),
    ],
)
def test_a_jump_in_a_streams_numbers_is_a_gap(
    feeds: Feeds, numbers: list[tuple[int, ...]], gaps: int, resyncs: int, telemetry: Capture
) -> None:
    feed = trades(feeds)
    for number in numbers:
        feed.sequenced(*number)
    assert feed.sequence_gaps == gaps
    assert len(telemetry.events("trading.feed.gap")) == gaps
    assert len(telemetry.events("trading.feed.resync")) == resyncs


def test_a_gap_says_what_is_missing_and_a_stream_full_of_gaps_says_so_once_a_second(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    feed = trades(feeds)
    for number in (1, 4, 8, 16):
        feed.sequenced(number)
    expected = {
        **PLACE,
        "trading.feed.expected_sequence": 2,
        "trading.feed.sequence": 4,
        "trading.feed.missing_count": 2,
    }
    assert telemetry.events("trading.feed.gap") == [
        RecordedLogEvent("trading.feed.gap", "WARN", expected, "sim trades: 2 messages missing before 4")
    ]
    pass_s(clock, 1)
    feed.sequenced(32)
    assert len(telemetry.events("trading.feed.gap")) == 2
    assert values(telemetry, "trading.feed.sequence_gaps") == [4]


def test_a_new_connection_is_numbered_anew(feeds: Feeds, telemetry: Capture) -> None:
    feed = trades(feeds)
    feed.sequenced(100)
    feed.connected()
    feed.sequenced(1)
    feed.resynced()
    feed.sequenced(50)
    assert telemetry.events("trading.feed.gap") == []
    assert len(telemetry.events("trading.feed.resync")) == 1


def test_an_exception_out_of_a_handler_is_an_error_at_once(feeds: Feeds, telemetry: Capture) -> None:
    feed = trades(feeds)
    error = KeyError("price")
    feed.handler_failed(error)
    (event,) = telemetry.events()
    assert (event.name, event.severity) == ("trading.feed.handler_error", "ERROR")
    assert event.body == "sim trades: KeyError out of the message handler, its loop may be dead"
    assert event.attributes["error.type"] == "KeyError"
    assert event.attributes["exception.message"] == "'price'"
    assert values(telemetry, "trading.feed.handler_errors") == [1]


# Silence.


def test_a_stream_that_falls_silent_is_told_once_and_its_return_too(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    feed = trades(feeds)
    feed.connected()
    flow(feeds, feed, clock, messages=5, gap_s=0.1)
    pass_s(clock, 5)
    feeds.look()
    assert telemetry.events() == []
    pass_s(clock, 0.5)
    feeds.look()
    feeds.look()
    silent = {
        **PLACE,
        "trading.feed.age": 5.5,
        "trading.feed.max_age": 5.0,
        "trading.feed.stale_reason": "silent",
    }
    assert telemetry.events() == [
        RecordedLogEvent("trading.feed.stale", "WARN", silent, "sim trades: silent for 5.5 s, connected")
    ]
    assert values(telemetry, "trading.feed.staleness") == [5.5]
    pass_s(clock, 14.5)
    feed.received(clock.now_ns)
    feeds.look()
    feeds.look()
    back = {**PLACE, "trading.feed.age": 20.0}
    assert telemetry.events()[1:] == [
        RecordedLogEvent("trading.feed.recovered", "INFO", back, "sim trades: heard again after 20.0 s")
    ]


def test_a_stream_is_allowed_ten_times_its_usual_pause(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    feed = trades(feeds)
    flow(feeds, feed, clock, messages=8, gap_s=3)
    pass_s(clock, 30)
    feeds.look()
    assert telemetry.events() == []
    pass_s(clock, 0.1)
    feeds.look()
    (event,) = telemetry.events("trading.feed.stale")
    assert event.attributes["trading.feed.max_age"] == 30.0


def test_one_long_pause_does_not_change_the_usual_one(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    feed = trades(feeds)
    flow(feeds, feed, clock, messages=9, gap_s=0.1)
    flow(feeds, feed, clock, messages=1, gap_s=4.9)
    pass_s(clock, 5.1)
    feeds.look()
    assert len(telemetry.events("trading.feed.stale")) == 1


def test_a_stream_that_is_connected_and_never_heard_is_silent_too(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    trades(feeds).connected()
    feeds.look()
    pass_s(clock, 5.5)
    feeds.look()
    assert len(telemetry.events("trading.feed.stale")) == 1


def test_a_new_connection_alone_is_no_sign_of_life(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    feed = trades(feeds)
    flow(feeds, feed, clock, messages=3, gap_s=0.1)
    feed.disconnected(ConnectionError("reset"))
    pass_s(clock, 6)
    feeds.look()
    feed.connected()
    feeds.look()
    (event,) = telemetry.events()
    assert event.body == "sim trades: silent for 6.0 s, disconnected"
    assert event.attributes["error.type"] == "ConnectionError"


def test_what_was_never_heard_or_was_closed_on_purpose_is_not_watched(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    trades(feeds, key="never")
    closed = trades(feeds, key="closed")
    flow(feeds, closed, clock, messages=3, gap_s=0.1)
    closed.closed()
    pass_s(clock, 60)
    feeds.look()
    assert telemetry.events() == []
    assert values(telemetry, "trading.feed.staleness") == []
    flow(feeds, closed, clock, messages=2, gap_s=0.1)
    pass_s(clock, 6)
    feeds.look()
    assert len(telemetry.events("trading.feed.stale")) == 1


def test_a_stream_of_orders_lives_by_its_pings(feeds: Feeds, telemetry: Capture, clock: FakeClock) -> None:
    feed = feeds.feed("sim", "orders", library="test", is_private=True)
    feed.connected()
    feed.received(clock.now_ns)
    pass_s(clock, 3_600)
    feeds.look()
    assert telemetry.events() == []  # nobody tells of pings, so nobody can tell silence from peace
    for _ in range(4):
        pass_s(clock, 20)
        feed.alive(clock.now_ns)
    pass_s(clock, 60)
    feeds.look()
    assert telemetry.events() == []
    pass_s(clock, 1)
    feeds.look()
    (event,) = telemetry.events("trading.feed.stale")
    assert event.attributes["trading.feed.max_age"] == 60.0


def test_a_stream_of_orders_that_is_torn_is_told_without_pings_and_forgiven_when_it_is_back(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    feed = feeds.feed("sim", "orders", library="test", is_private=True)
    feed.connected()
    feed.received(clock.now_ns)
    feed.alive(clock.now_ns)
    pass_s(clock, 100)
    feed.disconnected(ConnectionError("reset"))
    pass_s(clock, 4)
    feed.carried()
    pass_s(clock, 60)
    feeds.look()
    feed.disconnected(ConnectionError("reset"))
    pass_s(clock, 4)
    feed.disconnected(ConnectionRefusedError("again"))
    feeds.look()
    assert telemetry.events() == []
    pass_s(clock, 1.5)
    feeds.look()
    (event,) = telemetry.events()
    assert event.body == "sim orders: silent for 5.5 s, disconnected"
    assert event.attributes["trading.feed.max_age"] == 5.0
    assert event.attributes["error.type"] == "ConnectionRefusedError"


def test_what_a_stream_comes_by_is_open_again_which_is_no_sign_of_life(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    feed = trades(feeds)
    flow(feeds, feed, clock, messages=3, gap_s=0.1)
    feed.disconnected(ConnectionError("reset"))
    feed.carried()
    pass_s(clock, 6)
    feeds.look()
    assert [event.body for event in telemetry.events()] == ["sim trades: silent for 6.0 s, open"]


def test_pings_do_not_hide_that_market_data_is_silent(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    feed = trades(feeds, is_private=False)
    flow(feeds, feed, clock, messages=3, gap_s=0.1)
    pass_s(clock, 6)
    feed.alive(clock.now_ns)
    feeds.look()
    assert len(telemetry.events("trading.feed.stale")) == 1


def test_a_stream_ends_with_the_connection_that_is_its_key_and_its_counts_stay(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    connection, owner = _Connection(), _Connection()
    flow(feeds, trades(feeds, key=connection), clock, messages=3, gap_s=0.1)
    flow(feeds, trades(feeds, key="b", owner=owner), clock, messages=2, gap_s=0.1)
    del connection, owner
    gc.collect()
    pass_s(clock, 60)
    feeds.look()
    assert feeds.feeds() == ()
    assert telemetry.events() == []
    assert values(telemetry, "trading.feed.messages") == [5]


def test_a_value_as_key_does_not_end_the_stream(feeds: Feeds) -> None:
    feed = trades(feeds, key=frozenset({"a"}))
    gc.collect()
    feeds.look()
    assert trades(feeds, key=frozenset({"a"})) is feed


def test_streams_beyond_the_bound_are_counted_together_and_closed_ones_make_room(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    for number in range(MAX_FEEDS):
        trades(feeds, key=number).connected()
    over = trades(feeds, key="over")
    assert trades(feeds, key="over too") is over
    over.received(clock.now_ns)
    over.sequenced(1)
    over.sequenced(100)
    pass_s(clock, 3)
    assert over.place.channel == "_other"
    assert telemetry.events() == []
    trades(feeds, key=7).closed()
    assert trades(feeds, key="room").place.channel == "trades"


# Connections.


def test_each_attempt_to_connect_is_a_span_and_no_connection_is(feeds: Feeds, telemetry: Capture) -> None:
    feed = trades(feeds)
    error = ConnectionRefusedError("wss://sim/ws?token=secret")
    with pytest.raises(ConnectionRefusedError), feed.connecting():
        raise error
    attempt = feed.connecting()
    attempt.succeeded()
    attempt.failed(error)
    failed, opened = telemetry.spans()
    assert (failed.name, failed.kind, failed.status) == ("trading.stream.connect", "client", "error")
    assert failed.attributes == {**PLACE, "trading.stream.attempt": 1, "error.type": "ConnectionRefusedError"}
    assert "secret" not in repr(failed)
    assert opened.attributes == {**PLACE, "trading.stream.attempt": 2}
    assert (opened.status, feed.is_connected) == ("unset", True)


def test_an_attempt_is_not_told_while_suppressed_but_the_stream_is_open(
    feeds: Feeds, telemetry: Capture
) -> None:
    feed = trades(feeds)
    with suppressed(), feed.connecting():
        pass
    assert (telemetry.spans(), feed.is_connected) == ([], True)


def test_open_streams_and_reconnects_are_told(feeds: Feeds, telemetry: Capture) -> None:
    first, second = trades(feeds, key="a"), trades(feeds, key="b")
    first.disconnected(ConnectionRefusedError())
    first.connected()
    second.connected()
    first.disconnected()
    assert values(telemetry, "trading.stream.connected") == [1]
    assert values(telemetry, "trading.stream.reconnects") == [0]
    first.connected()
    assert values(telemetry, "trading.stream.connected") == [2]
    assert values(telemetry, "trading.stream.reconnects") == [1]
    second.closed()
    second.connected()
    assert values(telemetry, "trading.stream.reconnects") == [1]


# Threads and processes.


def test_silence_is_found_by_a_thread_of_its_own(telemetry: Capture) -> None:
    watch = Watch(interval_s=0.01)
    feeds = Feeds(
        telemetry.tracer_provider.get_tracer("test"),
        telemetry.meter_provider.get_meter("test"),
        telemetry.logger_provider.get_logger("test"),
        TradingSettings(feed_stale_s=0.05),
        watch=watch,
    )
    feed = trades(feeds)
    feed.received(time.monotonic_ns())
    began_s = time.monotonic()
    while not telemetry.events("trading.feed.stale"):
        assert time.monotonic() - began_s < 10
        time.sleep(0.005)  # what blocks this thread does not block the watch
    feeds.close()
    before = threading.active_count()
    watch.stop()
    assert threading.active_count() == before - 1


def test_a_machine_that_slept_gets_a_moment_to_read_what_has_come() -> None:
    moments = [0.0, 0.01, 5.0, 5.0, 5.01, 5.01]
    left = iter(moments)
    over = threading.Event()
    seen: list[int] = []

    class Looked:
        def look(self) -> None:
            seen.append(sum(1 for _ in left))  # how many moments were still to come
            over.set()

    looked, watch = Looked(), Watch(interval_s=0.01, now_s=lambda: next(left, 5.02))
    watch.add(looked)
    assert over.wait(10)
    watch.stop()
    assert seen[0] == 0  # not before the look after the late one


def test_a_watch_lets_what_it_watches_go(telemetry: Capture, idle_watch: Watch) -> None:
    bench = _bench(telemetry)
    idle_watch.add(feeds_of(bench))
    bench.undo()
    del bench
    gc.collect()
    assert repr(idle_watch) == "<Watch of 0>"


@pytest.mark.integration
def test_a_child_counts_from_zero_and_watches_only_what_it_hears(
    feeds: Feeds, telemetry: Capture, clock: FakeClock
) -> None:
    feed = trades(feeds)
    flow(feeds, feed, clock, messages=5, gap_s=0.1)
    reader, writer = os.pipe()
    if _fork() == 0:  # the child says what it knows, and ends
        pass_s(clock, 60)
        feeds.look()
        feed.received(clock.now_ns)
        os.write(writer, f"{feed.messages} {len(telemetry.events())}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        assert told.read() == "1 0"
    os.wait()
    assert feed.messages == 5


@pytest.mark.integration
def test_the_processs_watch_starts_anew_in_a_child(telemetry: Capture) -> None:
    bench = _bench(telemetry)
    trades(feeds_of(bench))
    reader, writer = os.pipe()
    if _fork() == 0:
        before = threading.active_count()
        trades(feeds_of(bench))
        os.write(writer, f"{before} {threading.active_count()} {process_watch('feeds')!r}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        assert told.read() == "1 2 <Watch of 1>"
    os.wait()
    bench.undo()
    process_watch("feeds").stop()


def test_rows_of_one_instrumentor_share_their_streams(telemetry: Capture) -> None:
    bench = _bench(telemetry)
    feeds = feeds_of(bench)
    assert feeds_of(bench) is feeds
    feed = feeds.feed("sim", "trades", library="test")
    feed.received(1)
    bench.undo()
    assert not feed.is_watched
    assert repr(feeds) == "<Feeds 1 streams, 0 stale>"


def test_a_stream_without_telemetry_costs_nothing_and_breaks_nothing() -> None:
    bench = Workbench("bare", NoOpTracer(), NoOpMeter("bare"), NoOpLogger("bare"), {"feed_stale_s": 1.0})
    feed = feeds_of(bench).feed("sim", "trades", library="test")
    with feed.connecting():
        feed.received(1, venue_time_ns=1)
    feed.delivered(5)
    feed.handler_failed(ValueError())
    feeds_of(bench).look()
    bench.undo()


def _fork() -> int:
    with warnings.catch_warnings(action="ignore"):  # about forking while threads run, from 3.12
        return os.fork()


class _Connection:
    """A connection of a library's: compared by identity."""


def _bench(telemetry: Capture) -> Workbench:
    return Workbench(
        "test",
        telemetry.tracer_provider.get_tracer("test"),
        telemetry.meter_provider.get_meter("test"),
        telemetry.logger_provider.get_logger("test"),
        {},
    )
