"""Accumulators: exact under threads, bounded, and unmoved by whatever they are given. In both forms."""

# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import importlib
import logging
import math
import threading
from collections.abc import Callable, Generator, Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from tickspan_spool.entries import Entry, StreamKey, export_request

from tickspan.received import ReceivedPoint, decode_metrics
from tickspan.recording import metering as source
from tickspan.recording import wire
from tickspan.testing import FakeClock

KEY = StreamKey("metrics", b"", b"")
THREADS = 8
ROUNDS = 5_000


@pytest.fixture(params=["source", "twin"])
def metering(request: pytest.FixtureRequest) -> Any:
    """The module, interpreted and compiled."""
    if request.param == "source":
        return source
    return pytest.importorskip("tickspan._compiled.recording.metering", reason="not compiled here")


@pytest.fixture
def told() -> Generator[list[str]]:
    """What is said on our own logger."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("tickspan")
    before, logger.handlers = logger.handlers, [handler]
    yield lines
    logger.handlers = before


def stream_of(
    metering: Any, kind: int = source.SUM, temporality: int = wire.CUMULATIVE, **options: Any
) -> Any:
    options = {"clock": FakeClock(100, 1), "is_monotonic": True, "is_synchronous": True, **options}
    return metering.Stream("metric", "", "", kind, temporality, **options)


def entry_of(stream: Any, chunk: list[Any], time_ns: int) -> Entry:
    record, items = stream.encode(chunk, time_ns)
    return Entry(KEY, record, items, 0)


def points_of(stream: Any, time_ns: int = 10_000) -> list[ReceivedPoint]:
    """One collection, as a receiver sees it."""
    entries = [entry_of(stream, chunk, time_ns) for chunk in stream.chunks(250, 1 << 20)]
    request = ExportMetricsServiceRequest.FromString(
        export_request([entry for entry in entries if entry.items])
    )
    return [point for metric in decode_metrics(request) for point in metric.points]


def sums_of(stream: Any, time_ns: int = 10_000) -> list[tuple[Mapping[str, Any], Any]]:
    return [(point.attributes, point.value) for point in points_of(stream, time_ns)]


def in_threads(work: Callable[[int], object]) -> None:
    begin = threading.Barrier(THREADS)

    def run(number: int) -> None:
        begin.wait()
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Threads


@pytest.mark.usefixtures("switching_often")
def test_eight_threads_lose_no_measurement(metering: Any) -> None:
    counted, buckets, exponential = (
        stream_of(metering, kind, bounds=(2.0, 4.0))
        for kind in (metering.SUM, metering.BUCKETS, metering.EXPONENTIAL)
    )
    recorder = metering.Recorder("metric", [counted, buckets, exponential], forbids_negative=True)
    bound = recorder.bind({"how": "bound"})

    def work(number: int) -> None:
        for value in range(ROUNDS):
            recorder.measure(value % 5, {"thread": number % 2})
            bound.add(2)

    in_threads(work)
    half = THREADS // 2 * ROUNDS
    assert sums_of(counted) == [
        ({"how": "bound"}, 2 * THREADS * ROUNDS),
        *[({"thread": number}, 2 * half) for number, _ in _by_thread(counted)],
    ]
    assert [(point.count, point.bucket_counts) for point in points_of(buckets)] == [
        (2 * half, (2 * half, 0, 0)),
        (half, (half * 3 // 5, half * 2 // 5, 0)),
        (half, (half * 3 // 5, half * 2 // 5, 0)),
    ]
    assert [(point.count, sum(point.bucket_counts)) for point in points_of(exponential)] == [
        (2 * half, 2 * half),
        (half, half * 4 // 5),
        (half, half * 4 // 5),
    ]


def _by_thread(stream: Any) -> list[tuple[int, Any]]:
    """Which thread's series came first depends on the machine."""
    return [(attributes["thread"], value) for attributes, value in sums_of(stream)[1:]]


@pytest.mark.usefixtures("switching_often")
def test_what_is_measured_during_a_collection_is_in_exactly_one_interval(metering: Any) -> None:
    stream = stream_of(metering, metering.BUCKETS, wire.DELTA, bounds=(1.0,))
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    is_over = threading.Event()
    seen: list[ReceivedPoint] = []

    def collect() -> None:
        while not is_over.is_set():
            seen.extend(points_of(stream))

    collector = threading.Thread(target=collect)
    collector.start()
    in_threads(lambda number: [recorder.measure(1, {"a": "b"}) for _ in range(ROUNDS)])
    is_over.set()
    collector.join()
    seen += points_of(stream)
    assert sum(point.count for point in seen) == THREADS * ROUNDS
    assert all(point.count == point.sum == sum(point.bucket_counts) for point in seen)


@pytest.mark.usefixtures("switching_often")
def test_threads_that_meet_at_the_limit_do_not_pass_it(metering: Any) -> None:
    stream = stream_of(metering, limit=100)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    in_threads(lambda number: [recorder.measure(1, {"id": f"{number}.{i}"}) for i in range(200)])
    sums = sums_of(stream)
    assert (len(sums), sum(value for _, value in sums)) == (101, THREADS * 200)


def test_a_measurement_that_interrupts_another_is_counted(metering: Any) -> None:
    """As from a signal handler or a finaliser: here from the hash of an attribute's value."""
    stream = stream_of(metering)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)

    class Nosy(str):
        __slots__ = ()

        def __hash__(self) -> int:
            recorder.measure(1)
            return super().__hash__()

    recorder.measure(10, {"a": Nosy("b")})
    sums = {len(attributes): value for attributes, value in sums_of(stream)}
    assert sums[1] == 10
    assert sums[0] > 0


# Attributes


def test_the_order_of_attributes_makes_no_series(metering: Any) -> None:
    stream = stream_of(metering)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    recorder.measure(1, {"a": "x", "b": "y"})
    recorder.measure(2, {"b": "y", "a": "x"})
    recorder.measure(4, MappingProxyType({"b": "y", "a": "x"}))
    assert sums_of(stream) == [({"a": "x", "b": "y"}, 7)]


def test_values_that_are_equal_to_python_only_make_series_of_their_own(metering: Any) -> None:
    stream = stream_of(metering)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    for value in (1, True, 1.0, "1", Decimal(1), (1,), (True,), 1, True, 1.0):
        recorder.measure(1, {"a": value})
    assert [(repr(attributes["a"]), value) for attributes, value in sums_of(stream)] == [
        ("1", 2),
        ("True", 2),
        ("1.0", 2),
        ("'1'", 2),  # a Decimal is exact text
        ("(1,)", 1),
        ("(True,)", 1),
    ]


def test_a_nan_attribute_is_one_series(metering: Any) -> None:
    stream = stream_of(metering)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    for _ in range(3):
        recorder.measure(1, {"a": float("nan")})
    assert [value for _, value in sums_of(stream)] == [3]


class Hostile:
    """Raises whatever it is asked."""

    def __str__(self) -> str:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __iter__(self) -> Any:
        raise RuntimeError

    def items(self) -> Any:
        raise RuntimeError

    def __float__(self) -> float:
        raise RuntimeError


@pytest.mark.parametrize(
    "attributes",
    [
        {"a": [1, 2]},
        {"a": {"b": object()}},
        {"a": Hostile()},
        {1: 2, None: 3},
        {("a", "b"): "c"},
        Hostile(),
        "text",
        17,
        [("a", "b")],
        {"a" * 100_000: "b" * 100_000},
        {f"key{number}": number for number in range(10_000)},
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_attributes_are_recorded_as_something(metering: Any, attributes: Any) -> None:
    stream = stream_of(metering)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    recorder.measure(1, attributes)
    recorder.bind(attributes).add(2)
    ((found, value),) = sums_of(stream)
    assert (len(found) <= metering.MAX_ATTRIBUTES, value) == (True, 3)


def test_attributes_that_were_changed_after_the_call_leave_the_series_alone(metering: Any) -> None:
    stream = stream_of(metering)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    attributes = {"a": "x"}
    bound = recorder.bind(attributes)
    recorder.measure(1, attributes)
    attributes["a"] = "y"
    bound.add(2)
    recorder.measure(4, attributes)
    assert sums_of(stream) == [({"a": "x"}, 3), ({"a": "y"}, 4)]


# Numbers


@pytest.mark.parametrize(
    "amount", [None, "1", b"1", object(), [], 1j, math.nan, math.inf, -math.inf, -1, -0.5, Hostile()]
)
def test_what_is_no_amount_of_a_counter_is_ignored_and_told_once(
    metering: Any, amount: Any, told: list[str]
) -> None:
    stream = stream_of(metering)
    recorder = metering.Recorder("orders", [stream], forbids_negative=True)
    recorder.measure(1)
    recorder.measure(amount)
    recorder.bind().add(amount)
    assert (sums_of(stream), recorder.refused(), len(told)) == ([({}, 1)], 2, 1)
    assert told[0].startswith("instrument 'orders' was given ")


@pytest.mark.parametrize(
    ("amount", "recorded"),
    [
        (True, 1),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
        (2**63 - 1, 2**63 - 1),
        (2**63, float(2**63)),
        (type("Price", (float,), {})(1.5), 1.5),
        (type("Lots", (int,), {})(3), 3),
        (type("Scalar", (), {"__index__": lambda self: 7})(), 7),
    ],
)
def test_numbers_of_other_types_are_recorded(metering: Any, amount: Any, recorded: float) -> None:
    stream = stream_of(metering)
    metering.Recorder("metric", [stream], forbids_negative=True).measure(amount)
    ((_, value),) = sums_of(stream)
    assert (type(value), value) == (type(recorded), recorded)


@pytest.mark.parametrize("temporality", [wire.DELTA, wire.CUMULATIVE])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_beyond_64_bits_becomes_a_float(metering: Any, temporality: int, sign: int) -> None:
    stream = stream_of(metering, temporality=temporality)
    recorder = metering.Recorder("metric", [stream], forbids_negative=False)
    for _ in range(3):
        recorder.measure(sign * (2**63 - 1))
    assert sums_of(stream) == [({}, sign * 3 * float(2**63))]


def test_a_cumulative_sum_that_leaves_64_bits_between_collections_becomes_a_float(metering: Any) -> None:
    stream = stream_of(metering)
    recorder = metering.Recorder("metric", [stream], forbids_negative=False)
    recorder.measure(2**62)
    points_of(stream)
    recorder.measure(2**62)
    assert sums_of(stream) == [({}, float(2**63))]


# Bounds


def test_attribute_sets_beyond_the_limit_are_added_up_in_one_series(metering: Any) -> None:
    stream = stream_of(metering, limit=3)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    for number in range(10):
        recorder.measure(1, {"id": number})
        recorder.measure(1, {"id": number})
    assert sums_of(stream) == [
        ({"id": 0}, 2),
        ({"id": 1}, 2),
        ({"id": 2}, 2),
        ({"otel.metric.overflow": True}, 14),
    ]
    name, limit, refused, kept = stream.cardinality()
    assert (name, limit, refused, len(kept)) == ("metric", 3, 7, 4)


def test_a_refusal_is_news_once(metering: Any) -> None:
    stream = stream_of(metering, limit=1)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    recorder.measure(1, {"id": 1})
    before = stream.newly_refused()
    recorder.measure(1, {"id": 2})
    assert (before, stream.newly_refused(), stream.newly_refused()) == (False, True, False)


def test_spellings_without_end_are_not_all_remembered(metering: Any) -> None:
    stream = stream_of(metering, limit=2)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    for number in range(3 * metering.MAX_ROUTES):
        recorder.measure(1, {"id": number})
    recorder.measure(1, {"id": 0})
    assert [value for _, value in sums_of(stream)] == [2, 1, 3 * metering.MAX_ROUTES - 2]
    assert stream.cardinality()[2] < 4 * metering.MAX_ROUTES


def test_series_are_handed_out_in_pieces_of_points_and_of_bytes(metering: Any) -> None:
    stream = stream_of(metering)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    for number in range(10):
        recorder.measure(1, {"id": f"{number}" * 1000})
    assert [len(chunk) for chunk in stream.chunks(4, 1 << 20)] == [4, 4, 2]
    assert [len(chunk) for chunk in stream.chunks(250, 2_500)] == [3, 3, 3, 1]


# Streams


def test_one_measurement_feeds_every_stream(metering: Any) -> None:
    everything, by_side = stream_of(metering), stream_of(metering, keys=frozenset({"side"}))
    recorder = metering.Recorder("metric", [everything, by_side], forbids_negative=True)
    recorder.measure(1, {"side": "buy", "symbol": "A"})
    recorder.measure(2, {"side": "buy", "symbol": "B"})
    assert (sums_of(everything), sums_of(by_side)) == (
        [({"side": "buy", "symbol": "A"}, 1), ({"side": "buy", "symbol": "B"}, 2)],
        [({"side": "buy"}, 3)],
    )


def test_an_instrument_without_streams_records_nothing(metering: Any) -> None:
    recorder = metering.Recorder("metric", [], forbids_negative=True)
    recorder.measure(1, {"a": "b"})
    recorder.bind({"a": "b"}).add(1)


def test_a_disabled_instrument_records_nothing_until_it_is_enabled(metering: Any) -> None:
    stream = stream_of(metering)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    bound = recorder.bind()
    recorder.is_enabled = False
    recorder.measure(1)
    bound.add(1)
    recorder.is_enabled = True
    recorder.measure(2)
    bound.add(4)
    assert sums_of(stream) == [({}, 6)]


def test_everything_is_handed_on_to_readers_of_another_make(metering: Any) -> None:
    seen: list[Any] = []
    recorder = metering.Recorder("metric", [stream_of(metering)], forbids_negative=True)
    recorder.also = lambda *given: seen.append(given)
    recorder.measure(-1, {"a": 1}, "context")
    recorder.bind({"b": 2}).add(3)
    assert seen == [(-1, {"a": 1}, "context"), (3, {"b": 2}, None)]


def test_a_bound_series_that_was_never_measured_is_not_told(metering: Any) -> None:
    stream = stream_of(metering)
    metering.Recorder("metric", [stream], forbids_negative=True).bind({"a": 1})
    assert points_of(stream) == []


def test_after_a_restart_everything_begins_at_zero_and_bound_series_go_on(metering: Any) -> None:
    clock = FakeClock(100, 1)
    stream = stream_of(metering, clock=clock)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    bound = recorder.bind({"a": 1})
    bound.add(100)
    recorder.measure(100)
    points_of(stream)
    clock.now_ns = 500
    recorder.restart()
    bound.add(1)
    assert [(point.start_ns, point.value, point.attributes) for point in points_of(stream)] == [
        (500, 1, {"a": 1})
    ]


def test_who_is_to_collect_hears_of_the_first_series_only(metering: Any) -> None:
    calls: list[str] = []
    stream = stream_of(metering, on_first=lambda: calls.append("first"))
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    heard = [len(calls)]
    for number in range(3):
        recorder.measure(1, {"id": number})
        heard.append(len(calls))
    recorder.restart()
    recorder.measure(1, {"id": 0})
    assert [*heard, len(calls)] == [0, 1, 1, 1, 2]


def test_a_point_never_begins_after_its_end_when_the_clock_was_set_back(metering: Any) -> None:
    stream = stream_of(metering, clock=FakeClock(9_000, 1))
    metering.Recorder("metric", [stream], forbids_negative=True).measure(1)
    assert [(point.start_ns, point.time_ns) for point in points_of(stream, 50)] == [(50, 50)]


# Exemplars


def test_samples_are_offered_and_taken_with_the_point(metering: Any) -> None:
    class All:
        def __init__(self) -> None:
            self.kept: list[Any] = []

        def offer(self, sample: Any) -> None:
            self.kept.append(sample)

        def taken(self, attributes: Mapping[str, Any]) -> list[Any]:
            taken, self.kept = self.kept, []
            return [(5, value, 1, 2, {"rest": 1}) for value in taken]

    stream = stream_of(metering, new_reservoir=All)
    recorder = metering.Recorder("metric", [stream], forbids_negative=True)
    recorder.sample = lambda value, attributes, context: value if value > 1 else None
    recorder.measure(1)
    recorder.measure(2)
    recorder.bind().add(3)
    (chunk,) = stream.chunks(250, 1000)
    request = export_request([entry_of(stream, chunk, 10)])
    (group,) = ExportMetricsServiceRequest.FromString(request).resource_metrics
    (point,) = group.scope_metrics[0].metrics[0].sum.data_points
    assert [
        (
            kept.as_int,
            kept.time_unix_nano,
            int.from_bytes(kept.trace_id, "big"),
            kept.filtered_attributes[0].key,
        )
        for kept in point.exemplars
    ] == [(2, 5, 1, "rest"), (3, 5, 1, "rest")]


def test_both_forms_have_the_same_names() -> None:
    twin = pytest.importorskip("tickspan._compiled.recording.metering", reason="not compiled here")
    names = {name for name in vars(source) if name[0].isupper()}
    assert names <= set(vars(twin))
    assert importlib.import_module("tickspan.recording._impl").metering in {source, twin}
