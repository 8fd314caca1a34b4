"""Reading between collections: all that was measured is seen, and collection tells what it always did."""

# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import importlib
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.recording import metering as source
from tickspan.recording import wire
from tickspan.testing import FakeClock

VALUES = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
THREADS = 6
ROUNDS = 4_000


@pytest.fixture(params=["source", "twin"], scope="module")
def metering(request: pytest.FixtureRequest) -> Any:
    """The module, interpreted and compiled."""
    if request.param == "source":
        return source
    twin = pytest.importorskip("tickspan._compiled.recording.metering", reason="not compiled here")
    if not hasattr(twin.Stream, "read"):
        pytest.skip("the twin is older than its source")
    return importlib.import_module(twin.__name__)


def stream_of(metering: Any, kind: int, temporality: int = wire.CUMULATIVE, **options: Any) -> Any:
    given = {"clock": FakeClock(100, 1), "is_monotonic": False, "is_synchronous": True, **options}
    return metering.Stream("metric", "", "", kind, temporality, **given)


def recorder_of(metering: Any, *streams: Any) -> Any:
    return metering.Recorder("metric", list(streams), forbids_negative=False)


def read(stream: Any) -> list[tuple[Any, ...]]:
    """Attributes and value of each series."""
    return [(attributes, value) for attributes, _, value, _ in stream.read(stream.series())]


def collected(stream: Any, time_ns: int = 10_000) -> list[bytes]:
    return [stream.encode(chunk, time_ns)[0] for chunk in stream.chunks(250, 1 << 20)]


def shapes(metering: Any) -> list[tuple[int, dict[str, Any]]]:
    return [
        (metering.SUM, {}),
        (metering.LAST_VALUE, {}),
        (metering.BUCKETS, {"bounds": (0.0, 10.0)}),
        (metering.EXPONENTIAL, {"size": 4}),
    ]


def test_a_series_is_read_with_what_no_collection_has_told_yet(metering: Any) -> None:
    streams = [stream_of(metering, kind, **options) for kind, options in shapes(metering)]
    recorder = recorder_of(metering, *streams)
    recorder.measure(4.0, {"venue": "a"})
    for stream in streams:
        collected(stream)
    recorder.measure(16.0, {"venue": "a"})
    venue = {"venue": "a"}
    assert [read(stream) for stream in streams] == [
        [(venue, 20.0)],
        [(venue, 16.0)],
        [(venue, (20.0, 2, [0, 1, 1]))],
        [(venue, (20.0, 2, 0, 0, 1, [1, 0, 1], 0, []))],
    ]


def test_whole_numbers_stay_whole(metering: Any) -> None:
    stream = stream_of(metering, metering.SUM)
    recorder = recorder_of(metering, stream)
    recorder.measure(2)
    collected(stream)
    recorder.measure(3)
    assert [(value, type(value)) for _, value in read(stream)] == [(5, int)]


def test_a_series_that_was_not_measured_is_not_read(metering: Any) -> None:
    streams = [stream_of(metering, kind, **options) for kind, options in shapes(metering)]
    recorder_of(metering, *streams).bind({"venue": "a"})
    assert [read(stream) for stream in streams] == [[], [], [], []]


def test_observed_sums_are_not_read(metering: Any) -> None:
    stream = stream_of(metering, metering.SUM, is_synchronous=False)
    recorder_of(metering, stream).measure(5)
    assert read(stream) == []


@pytest.mark.parametrize("temporality", [wire.CUMULATIVE, wire.DELTA])
@given(values=st.lists(st.one_of(VALUES, st.integers(-(2**40), 2**40)), min_size=1, max_size=60))
def test_reading_changes_no_bit_of_what_is_collected(
    metering: Any, temporality: int, values: list[float]
) -> None:
    for kind, options in shapes(metering):
        alone, watched = (stream_of(metering, kind, temporality, **options) for _ in range(2))
        plain, seen = recorder_of(metering, alone), recorder_of(metering, watched)
        seen.watch(1, lambda _: (1, 2))
        told: list[tuple[list[bytes], list[bytes]]] = []
        for number, value in enumerate(values):
            plain.measure(value)
            seen.measure(value)
            watched.read(watched.series(), takes_worst=True)
            if number % 7 == 3:
                told.append((collected(alone, 1_000 + number), collected(watched, 1_000 + number)))
        told.append((collected(alone, 5_000), collected(watched, 5_000)))
        assert [one for one, _ in told] == [other for _, other in told]


@given(values=st.lists(VALUES, min_size=1, max_size=60), every=st.integers(1, 9))
def test_delta_streams_are_read_as_totals_of_what_cumulative_ones_are(
    metering: Any, values: list[float], every: int
) -> None:
    for kind, options in shapes(metering):
        delta, cumulative = (
            stream_of(metering, kind, temporality, **options) for temporality in (wire.DELTA, wire.CUMULATIVE)
        )
        recorder = recorder_of(metering, delta, cumulative)
        read(delta)
        for number, value in enumerate(values):
            recorder.measure(value)
            if number % every == 0:
                collected(delta)
                collected(cumulative)
            assert read(delta) == read(cumulative)


def test_a_delta_stream_is_read_from_the_first_reading_on(metering: Any) -> None:
    stream = stream_of(metering, metering.SUM, wire.DELTA)
    recorder = recorder_of(metering, stream)
    recorder.measure(1)
    collected(stream, 5_000)
    recorder.measure(2)
    first = stream.read(stream.series())
    collected(stream, 6_000)
    recorder.measure(3)
    assert (first, stream.read(stream.series())) == ([({}, 5_000, 2, None)], [({}, 5_000, 5, None)])


@pytest.mark.usefixtures("switching_often")
def test_readers_collectors_and_threads_that_measure_do_not_disturb_one_another(metering: Any) -> None:
    streams = [
        stream_of(metering, kind, temporality, **options)
        for temporality in (wire.CUMULATIVE, wire.DELTA)
        for kind, options in shapes(metering)
        if kind != metering.LAST_VALUE
    ]
    recorder = recorder_of(metering, *streams)
    for stream in streams:
        read(stream)
    seen: list[list[int]] = [[] for _ in streams]
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            for counts, stream in zip(seen, streams, strict=True):
                counts.extend(_count(value) for _, value in read(stream))

    def collect() -> None:
        while not is_over.is_set():
            for stream in streams:
                collected(stream)

    def measure() -> None:
        for _ in range(ROUNDS):
            recorder.measure(1)

    others = [threading.Thread(target=work) for work in (look, collect)]
    workers = [threading.Thread(target=measure) for _ in range(THREADS)]
    _run(others, workers, is_over)
    assert [[_count(value) for _, value in read(stream)] for stream in streams] == [
        [THREADS * ROUNDS] for _ in streams
    ]
    assert [counts == sorted(counts) for counts in seen] == [True for _ in streams]


def _run(others: list[threading.Thread], workers: list[threading.Thread], is_over: threading.Event) -> None:
    """The others run as long as the workers do."""
    for thread in (*others, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    is_over.set()
    for thread in others:
        thread.join()


def _count(value: Any) -> int:
    """Ones were measured: the sum, and of a histogram the sum of its buckets, is how many."""
    if not isinstance(value, tuple):
        return value
    added, count, *rest = value
    assert added == count == sum(rest[0] if len(rest) == 1 else rest[3])
    return count


def test_a_watched_series_keeps_its_worst_measurement_and_its_trace(metering: Any) -> None:
    stream = stream_of(metering, metering.BUCKETS, bounds=(10.0,))
    recorder = recorder_of(metering, stream)
    recorder.watch(1, lambda context: context)
    bound = recorder.bind({"venue": "a"})
    bound.record(3, context=(7, 8))
    recorder.measure(5, {"venue": "a"}, (9, 10))
    bound.record(4, context=(11, 12))
    first, second = (stream.read(stream.series(), takes_worst=True)[0][3] for _ in range(2))
    assert (first, second) == ((5, 9, 10), None)


def test_where_less_is_worse_the_least_is_kept(metering: Any) -> None:
    stream = stream_of(metering, metering.LAST_VALUE)
    recorder = recorder_of(metering, stream)
    recorder.watch(-1, lambda context: context)
    for value in (3.0, 1.0, 2.0):
        recorder.measure(value, None, (int(value), 1))
    assert stream.read(stream.series(), takes_worst=True)[0][3] == (1.0, 1, 1)


def test_watching_leaves_exemplars_alone_and_ends(metering: Any) -> None:
    offered: list[object] = []

    class Reservoir:
        def offer(self, sample: object) -> None:
            offered.append(sample)

        def taken(self, attributes: object) -> list[object]:
            del attributes
            return []

    stream = stream_of(metering, metering.SUM, new_reservoir=Reservoir)
    recorder = recorder_of(metering, stream)
    recorder.watch(1, lambda _: (1, 1))
    recorder.measure(1)
    recorder.watch(0, None)
    assert (recorder.sample, offered) == (None, [])
    recorder.sample = lambda value, attributes, context: ("sample", value)
    recorder.watch(1, lambda _: (1, 1))
    recorder.measure(2)
    recorder.watch(0, None)
    recorder.measure(3)
    assert offered == [("sample", 2), ("sample", 3)]
    assert stream.read(stream.series(), takes_worst=True)[0][3] == (2, 1, 1)


def test_a_forked_child_reads_its_own_series_only(metering: Any) -> None:
    stream = stream_of(metering, metering.SUM)
    recorder = recorder_of(metering, stream)
    recorder.measure(5)
    recorder.restart()
    recorder.measure(1)
    assert read(stream) == [({}, 1)]
