from __future__ import annotations

import gc
import os
import signal
import threading
import time
from types import ModuleType
from typing import Any

import pytest
from tickspan_spool.entries import Entry, StreamKey
from tickspan_spool.ledger import Ledger
from tickspan_spool.reasons import Reason


@pytest.mark.usefixtures("form")
def test_what_is_appended_is_read_with_its_stream_items_and_sequence(bench: Any, kit: Any):
    spool = bench.spool(destinations=(kit.destination("traces"), kit.destination("metrics")))
    other = StreamKey("traces", b"resource", b"another scope", "https://a", "https://b")
    metrics = StreamKey("metrics", b"", b"")
    spool.stream(kit.key).append(b"one")
    spool.stream(metrics).append(b"points", 7)
    spool.stream(other).append(b"two")
    spool.stream(metrics).append(b"more", 2)

    reader = bench.folder()

    assert reader.track("traces", 0).read() == [Entry(kit.key, b"one", 1, 0), Entry(other, b"two", 1, 1)]
    assert reader.track("metrics", 1).read() == [
        Entry(metrics, b"points", 7, 0),
        Entry(metrics, b"more", 2, 7),
    ]


@pytest.mark.usefixtures("form")
def test_an_equal_key_gives_the_same_stream(bench: Any, kit: Any):
    spool = bench.spool()

    assert spool.stream(kit.key) is spool.stream(StreamKey("traces", b"resource", b"scope"))


@pytest.mark.usefixtures("form")
def test_a_batch_is_read_again_until_it_is_acknowledged(bench: Any, kit: Any):
    stream = bench.spool().stream(kit.key)
    for number in range(5):
        stream.append(b"%d" % number)
    track = bench.folder().track("traces", 0)

    first, again = track.read(2), track.read(5)
    track.acknowledge(first[:1], 1, {})
    rest_of_batch = track.read(5)
    track.acknowledge(rest_of_batch, 1, {})
    following = track.read(5)

    assert kit.bodies(first) == kit.bodies(again) == [b"0", b"1"]
    assert kit.bodies(rest_of_batch) == [b"1"]
    assert kit.bodies(following) == [b"2", b"3", b"4"]


@pytest.mark.usefixtures("form")
def test_a_batch_stays_within_its_bytes_but_holds_one_record(bench: Any, kit: Any):
    stream = bench.spool().stream(kit.key)
    stream.append(b"x" * 5000)
    stream.append(b"y" * 10)
    track = bench.folder().track("traces", 0)

    first = track.read(512, 1000)

    assert [len(body) for body in kit.bodies(first)] == [5000]


@pytest.mark.usefixtures("form")
def test_a_new_reader_goes_on_where_the_last_one_settled(bench: Any, kit: Any):
    stream = bench.spool().stream(kit.key)
    for number in range(4):
        stream.append(b"%d" % number)
    reader = bench.folder()
    track = reader.track("traces", 0)
    track.acknowledge(track.read(3), 2, {Reason.REJECTED: 1})
    reader.release()

    later = bench.folder()

    assert kit.bodies(kit.deliver(later)) == [b"3"]
    assert kit.traces(later) == Ledger(4, 3, 0, {Reason.REJECTED: 1})


@pytest.mark.usefixtures("form")
def test_records_go_on_over_many_segments_which_are_removed_when_read(bench: Any, kit: Any):
    stream = bench.spool().stream(kit.key)
    sent = [b"%05d" % number + b"x" * 1000 for number in range(500)]
    for record in sent:
        stream.append(record)
    reader = bench.folder()

    received = kit.deliver(reader)

    assert kit.bodies(received) == sent
    assert [entry.sequence for entry in received] == list(range(500))
    assert len(reader.segments()) <= 2
    assert kit.traces(reader) == Ledger(500, 500, 0, {})


@pytest.mark.usefixtures("form")
def test_an_idle_signal_does_not_hold_segments_back(bench: Any, kit: Any):
    spool = bench.spool(destinations=(kit.destination("traces"), kit.destination("logs")))
    for _ in range(300):
        spool.stream(kit.key).append(b"x" * 1000)
    reader = bench.folder()

    kit.deliver(reader)
    idle = reader.track("logs", 1).read()

    assert idle == []
    assert len(reader.segments()) <= 2


@pytest.mark.usefixtures("form")
def test_several_destinations_are_served_at_their_own_pace(bench: Any, kit: Any):
    spool = bench.spool(destinations=(kit.destination(), kit.destination()))
    for number in range(3):
        spool.stream(kit.key).append(b"%d" % number)
    reader = bench.folder()
    quick, slow = reader.tracks()

    quick.acknowledge(quick.read(), 3, {})
    slow.acknowledge(slow.read(1), 1, {})

    assert (quick.ledger(), slow.ledger()) == (Ledger(3, 3, 0, {}), Ledger(3, 1, 2, {}))
    assert kit.traces(reader) == Ledger(3, 1, 2, {})


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize(
    ("record", "items", "loss"),
    [
        (b"x" * (5 << 20), 1, {Reason.TOO_BIG: 1}),
        (b"x" * (65 << 10), 2, {Reason.TOO_BIG: 2}),
        (b"x", 70_000, {Reason.TOO_BIG: 70_000}),
        (b"", 1, {Reason.INVALID: 1}),
        ("text", 1, {Reason.INVALID: 1}),
        (None, 3, {Reason.INVALID: 3}),
        (b"x", "many", {Reason.INVALID: 1}),
        (b"x", -1, {Reason.INVALID: 1}),
    ],
)
def test_what_is_no_record_is_a_counted_loss(bench: Any, kit: Any, record: Any, items: Any, loss: Any):
    spool = bench.spool()
    stream = spool.stream(kit.key)
    stream.append(b"before")
    stream.append(record, items)
    stream.append(b"after")
    reader = bench.folder()

    assert kit.bodies(kit.deliver(reader)) == [b"before", b"after"]
    assert kit.traces(reader) == Ledger(2 + sum(loss.values()), 2, 0, loss)
    assert spool.statistics().dropped["traces"] == loss


@pytest.mark.usefixtures("form")
def test_a_loss_before_the_spool_consumes_sequence_numbers(bench: Any, kit: Any):
    spool = bench.spool()
    stream = spool.stream(kit.key)
    stream.append(b"0")
    spool.drop("traces", Reason.FILTERED, 5)
    stream.append(b"6")
    reader = bench.folder()

    assert [entry.sequence for entry in kit.deliver(reader)] == [0, 6]
    assert kit.traces(reader) == Ledger(7, 2, 0, {Reason.FILTERED: 5})


@pytest.mark.usefixtures("form")
def test_a_flush_is_done_when_everything_is_acknowledged(bench: Any, kit: Any):
    spool = bench.spool()
    assert spool.force_flush(0)
    spool.stream(kit.key).append(b"x")
    spool.drop("traces", Reason.INVALID)
    assert not spool.force_flush(0)

    reader = threading.Thread(target=lambda: kit.deliver(bench.folder()))
    reader.start()

    assert spool.force_flush(10)
    reader.join()


@pytest.mark.usefixtures("form")
def test_a_flush_has_nothing_to_wait_for_without_a_destination(bench: Any, kit: Any):
    spool = bench.spool(destinations=())
    spool.stream(kit.key).append(b"x")

    assert spool.force_flush(0)


@pytest.mark.usefixtures("form")
def test_recording_goes_on_after_close(bench: Any, kit: Any):
    spool = bench.spool()
    stream = spool.stream(kit.key)
    stream.append(b"before")
    spool.close(0)
    stream.append(b"after")
    reader = bench.folder()

    assert kit.bodies(kit.deliver(reader)) == [b"before", b"after"]
    assert reader.has_exited_cleanly


def test_a_spool_says_what_it_holds(bench: Any, kit: Any):
    spool = bench.spool(segment_bytes=8 << 20)
    for _ in range(1200):
        spool.stream(kit.key).append(b"x" * 1000)
    spool._keeper.stop(5)
    spool.drop("traces", Reason.INVALID, 3)

    assert repr(spool) == "<Spool 2 segments, 1.2 MiB unsent, 3 dropped>"


@pytest.mark.usefixtures("form")
def test_eight_threads_lose_and_double_nothing(bench: Any, kit: Any):
    spool = bench.spool(segment_bytes=1 << 20)
    streams = [spool.stream(StreamKey("traces", b"r", b"%d" % number)) for number in range(4)]

    def record(worker: int) -> None:
        for number in range(20_000):
            streams[number % 4].append(b"%d %d" % (worker, number))

    workers = [threading.Thread(target=record, args=(worker,)) for worker in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    reader = bench.folder()
    received = kit.deliver(reader)

    pairs = [tuple(map(int, body.split())) for body in kit.bodies(received)]
    assert sorted(pairs) == [(worker, number) for worker in range(8) for number in range(20_000)]
    assert [entry.sequence for entry in received] == list(range(160_000))
    assert all([n for w, n in pairs if w == worker] == list(range(20_000)) for worker in range(8))
    assert kit.traces(reader) == Ledger(160_000, 160_000, 0, {})


@pytest.mark.usefixtures("form")
def test_a_record_that_ends_inside_an_append_is_parked_for_it(bench: Any, kit: Any):
    spool = bench.spool()
    stream = spool.stream(kit.key)

    class Reentrant:
        def __del__(self) -> None:
            stream.append(b"from the collector")

    original = spool._stock.take

    def take() -> Any:
        Reentrant()
        gc.collect()
        return original()

    spool._stock.take = take
    stream.append(b"outer")

    assert kit.bodies(kit.deliver(bench.folder())) == [b"outer", b"from the collector"]


@pytest.mark.usefixtures("form")
def test_signal_handlers_record_while_the_main_thread_does(bench: Any, kit: Any):
    stream = bench.spool().stream(kit.key)
    handled: list[bytes] = []

    def handler(_number: int, _frame: object) -> None:
        handled.append(b"signal %d" % len(handled))
        stream.append(handled[-1])

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for number in range(20_000):
            stream.append(b"main %d" % number)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    received = kit.bodies(kit.deliver(bench.folder()))

    assert [body for body in received if body.startswith(b"main")] == [b"main %d" % n for n in range(20_000)]
    assert sorted(body for body in received if body.startswith(b"sig")) == sorted(handled)


@pytest.mark.usefixtures("form")
def test_a_lock_whose_holder_never_comes_back_is_replaced(bench: Any, kit: Any):
    spool = bench.spool()
    stream = spool.stream(kit.key)
    stream.append(b"before")
    spool._keeper.stop(5)
    has_lock, never = threading.Event(), threading.Event()

    def hold() -> None:
        has_lock.set()
        never.wait()

    holder = threading.Thread(target=lambda: spool._tape.exclusively(hold, 1))
    holder.start()
    has_lock.wait()
    stream.append(b"parked")
    now_s = time.monotonic()
    spool._keeper._clock = lambda: now_s
    spool._keeper.look()
    spool._keeper._clock = lambda: now_s + 6
    spool._keeper.look()
    never.set()
    holder.join()

    assert kit.bodies(kit.deliver(bench.folder())) == [b"before", b"parked"]


@pytest.mark.usefixtures("form")
def test_records_are_there_as_soon_as_append_returns(bench: Any, kit: Any, form: ModuleType):
    stream = bench.spool().stream(kit.key)
    stream.append(b"0")
    reader = bench.folder()
    seen = [kit.bodies(kit.deliver(reader))]
    stream.append(b"1")
    seen.append(kit.bodies(kit.deliver(reader)))

    assert seen == [[b"0"], [b"1"]]


def test_files_are_their_owners_alone_whatever_the_umask(bench: Any, kit: Any):
    before = os.umask(0)
    try:
        spool = bench.spool()
        spool.stream(kit.key).append(b"x")
    finally:
        os.umask(before)
    paths = [bench.directory, bench.directory / "v1", *sorted((bench.directory / "v1").rglob("*"))]

    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_file()} == {"0o600"}
