"""A store's file: who may read it, what goes when, what is said of one that cannot be used."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tickspan_desk.store import LogFilter, Store, TraceFilter, Window
from tickspan_desk.store.schema import StoreError
from tickspan_desk.store.store import QUEUE_BYTES
from tickspan_desk.store.writing import PART_RECORDS
from tickspan_spool.receiver import Batch

from tickspan.received import decode_traces
from tickspan.semconv.trading import ORDER_CLIENT_ID

EVERYTHING = Window(0, 1 << 62)
ROWS = {
    "batch": "SELECT count(*) FROM batch WHERE part NOT IN (SELECT id FROM part)",
    "body": "SELECT count(*) FROM body WHERE id NOT IN (SELECT id FROM batch)",
    "posting": "SELECT count(*) FROM posting WHERE batch NOT IN (SELECT id FROM batch)",
    "service": "SELECT count(*) FROM service WHERE part NOT IN (SELECT id FROM part)",
    "operation": "SELECT count(*) FROM operation WHERE part NOT IN (SELECT id FROM part)",
    "trace": "SELECT count(*) FROM trace WHERE part NOT IN (SELECT id FROM part)",
    "minute": "SELECT count(*) FROM minute WHERE part NOT IN (SELECT id FROM part)",
    "order_trace": "SELECT count(*) FROM order_trace WHERE part NOT IN (SELECT id FROM part)",
    "order_name": "SELECT count(*) FROM order_name WHERE trading_order NOT IN (SELECT id FROM trading_order)",
    "trading_order": "SELECT count(*) FROM trading_order WHERE last_part NOT IN (SELECT id FROM part)",
    "series": "SELECT count(*) FROM series WHERE id NOT IN (SELECT series FROM point)",
    "point": "SELECT count(*) FROM point WHERE part NOT IN (SELECT id FROM part)",
}


def orphans(path: Path) -> dict[str, int]:
    connection = sqlite3.connect(path)
    try:
        return {name: connection.execute(query).fetchone()[0] for name, query in ROWS.items()}
    finally:
        connection.close()


def everything_at(requests: Any, now_ns: int) -> Iterator[Batch]:
    """One request of each signal, all different at another time."""
    number = now_ns // 1_000_000_000
    yield requests.spans(
        {
            "trace": f"{number:032x}",
            "start": now_ns,
            "attributes": {ORDER_CLIENT_ID: f"c-{number}"},
        }
    )
    yield requests.logs({"time": now_ns, "body": f"number {number}"})
    yield requests.gauge("lag", (now_ns, 1.0), place=str(number))


def test_what_is_too_old_goes_with_all_that_was_written_of_it(
    store: Store, requests: Any, clock: Any
) -> None:
    for _ in range(200):
        for batch in everything_at(requests, clock.now_ns):
            store.take(batch)
        store.settle()
        clock.now_ns += 60_000_000_000
    told, oldest_kept = store.statistics(), clock.now_ns - 3600 * 1_000_000_000
    assert told.evicted == {"age": 3 * 200 - told.spans - told.logs - told.points}
    assert 58 <= told.spans == told.logs == told.points == told.traces == told.series <= 65
    assert told.oldest_ns >= oldest_kept - 5 * 60_000_000_000
    assert len(store.orders(EVERYTHING, limit=1000)) == told.spans
    assert orphans(store.path) == dict.fromkeys(ROWS, 0)


def test_the_file_stays_below_its_bound_under_load(requests: Any, tmp_path: Path) -> None:
    seeded, bound = random.Random(1), 4 << 20
    with Store(tmp_path / "desk.sqlite", max_bytes=bound, max_age_s=3600) as store:
        largest, taken = 0, 0
        for number in range(120):
            noise = [{"attributes": {"noise": seeded.randbytes(2_000).hex()}} for _ in range(20)]
            store.take(requests.spans(*({**span, "trace": f"{number:032x}"} for span in noise)))
            taken += 20
            if number % 10 == 9:
                store.settle()
                largest = max(largest, store.statistics().bytes)
        told = store.statistics()
        assert largest <= bound
        assert told.evicted == {"size": taken - told.spans}
        assert 0 < told.spans < taken
        assert orphans(store.path) == dict.fromkeys(ROWS, 0)
        assert len(store.spans(f"{119:032x}")) == 20


def test_a_trace_over_two_parts_is_one_and_shrinks_when_the_first_goes(
    store: Store, requests: Any, clock: Any
) -> None:
    noon = clock.now_ns
    store.take(requests.spans({"name": "root", "ms": 5}))
    store.settle()
    clock.now_ns += 300 * 1_000_000_000
    late = noon + 2_000_000_000
    store.take(requests.spans({"name": "leaf", "id": "0b" * 8, "parent": "0a" * 8, "start": late, "ms": 5}))
    store.settle()
    whole = store.traces(TraceFilter(min_duration_ns=2_000_000_000), EVERYTHING)
    assert [(entry.name, entry.spans, entry.start_ns) for entry in whole] == [("root", 2, noon)]
    assert store.statistics().traces == 1
    clock.now_ns = noon + 3_700 * 1_000_000_000
    store.take(requests.logs({}))
    store.settle()
    rest = store.traces(TraceFilter(), EVERYTHING)
    assert [(entry.name, entry.spans, entry.start_ns) for entry in rest] == [("leaf", 1, late)]


def test_a_part_is_closed_when_it_has_its_records(kept: Callable[..., Store], requests: Any) -> None:
    spans = [{"trace": f"{number:032x}"} for number in range(PART_RECORDS // 8)]
    batches = [requests.spans(*({**span, "id": f"{part:016x}"} for span in spans)) for part in range(1, 10)]
    store = kept(*batches)
    connection = sqlite3.connect(store.path)
    try:
        parts = connection.execute("SELECT spans, is_closed FROM part ORDER BY id").fetchall()
    finally:
        connection.close()
    assert parts == [(PART_RECORDS, 1), (PART_RECORDS // 8, 0)]
    assert store.statistics().traces == PART_RECORDS // 8


def test_a_store_that_is_opened_again_goes_on(requests: Any, tmp_path: Path, clock: Any) -> None:
    path = tmp_path / "desk.sqlite"
    first = list(everything_at(requests, clock.now_ns))
    second = list(everything_at(requests, clock.now_ns + 1_000_000_000))
    with Store(path, clock=clock) as store:
        for batch in first:
            store.take(batch)
    with Store(path, clock=clock) as store:
        for batch in [*first, *second]:
            store.take(batch)
        store.settle()
        told = store.statistics()
        assert (told.spans, told.logs, told.points, told.traces, told.series) == (2, 2, 2, 2, 2)
        assert [body for _, body in store.batches(EVERYTHING)] == [batch.body for batch in [*first, *second]]
        assert store.operations(Window(clock.now_ns, clock.now_ns + 60_000_000_000))[0].calls == 2
        assert store.services() == ["bot"]


def test_a_replay_has_the_signals_and_the_time_that_are_asked_for(
    store: Store, requests: Any, clock: Any
) -> None:
    early = list(everything_at(requests, clock.now_ns))
    for batch in early:
        store.take(batch)
    store.settle()
    clock.now_ns += 10
    store.take(requests.logs({"body": "late"}))
    store.settle()
    window = Window(clock.now_ns - 10, clock.now_ns)
    assert list(store.batches(window, ["logs", "traces"])) == [
        ("traces", early[0].body),
        ("logs", early[1].body),
    ]


def test_version_changes_when_something_came(store: Store, requests: Any) -> None:
    before = store.statistics().version
    assert store.statistics().version == before
    store.take(requests.logs({}))
    store.settle()
    assert store.statistics().version != before


def test_the_file_and_its_folder_are_their_owners_whatever_the_umask(requests: Any, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Store(tmp_path / "new" / "desk.sqlite") as store:
            store.take(requests.logs({}))
            store.settle()
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["desk.sqlite", "desk.sqlite-wal", "desk.sqlite-shm"], 0o600)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_store_without_a_path_leaves_nothing() -> None:
    with Store() as store:
        folder = store.path.parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def _of_another_program(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (id)")
    connection.close()


def _of_another_version(path: Path) -> None:
    with Store(path):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()


def _damaged(path: Path) -> None:
    path.write_bytes(b"no database at all, but longer than a header of one" * 100)


def _a_link(path: Path) -> None:
    path.with_suffix(".other").touch()
    path.symlink_to(path.with_suffix(".other"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_of_another_program, "got a database of another program; name another file"),
        (
            _of_another_version,
            "expected schema version 1, got 7; open it with the tickspan-desk that wrote it",
        ),
        (_damaged, "got a file that cannot be read as one"),
        (_a_link, "cannot be opened"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "some.sqlite"
    make(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=said) as raised:
        Store(path)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before


def test_who_asks_a_closed_store_is_told_so(requests: Any) -> None:
    store = Store()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.take(requests.logs({}))
    with pytest.raises(StoreError, match="is closed"):
        store.logs(LogFilter(), EVERYTHING)


def test_a_sender_waits_while_the_writer_is_behind_and_loses_nothing(
    store: Store, requests: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, write = threading.Event(), store._keeper.write

    def held_up(bunch: Any) -> int:
        gate.wait(60)
        return write(bunch)

    monkeypatch.setattr(store._keeper, "write", held_up)
    large = [requests.logs({"body": f"{number}" + "x" * (QUEUE_BYTES // 4)}) for number in range(12)]
    taken: list[int] = []

    def send() -> None:
        for number, batch in enumerate(large):
            store.take(batch)
            taken.append(number)

    sender = threading.Thread(target=send)
    sender.start()
    with store._condition:
        store._condition.wait_for(lambda: store._waiting_bytes >= QUEUE_BYTES, 60)
    assert len(taken) < len(large)
    gate.set()
    sender.join(60)
    store.settle()
    assert store.statistics().logs == len(large)


def test_a_file_that_cannot_be_written_is_told_to_the_sender_and_written_later(
    store: Store, requests: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write, is_full = store._keeper.write, threading.Event()
    is_full.set()

    def refuse(bunch: Any) -> int:
        if is_full.is_set():
            raise sqlite3.OperationalError("database or disk is full")
        return write(bunch)

    monkeypatch.setattr(store._keeper, "write", refuse)
    store.take(requests.logs({"body": "kept for later"}))
    with pytest.raises(StoreError, match="disk is full"):
        store.settle()
    with pytest.raises(StoreError, match="disk is full"):
        store.take(requests.logs({"body": "refused"}))
    is_full.clear()
    with store._condition:
        store._condition.wait_for(lambda: not store._failure and not store._is_writing, 60)
    assert [entry.record.body for entry in store.logs(LogFilter(), EVERYTHING)] == ["kept for later"]
    assert len(caplog.records) == 1


def test_a_request_that_is_no_protobuf_is_kept_as_it_is(store: Store) -> None:
    junk = Batch("traces", ExportTraceServiceRequest(), b"\x0a\xff\xff", {}, 1)
    store.take(junk)
    store.take(Batch("profiles", ExportTraceServiceRequest(), b"whatever", {}, 1))  # pyright: ignore[reportArgumentType] - a signal of tomorrow
    store.settle()
    assert [body for _, body in store.batches(EVERYTHING, ["traces", "profiles"])] == [
        b"\x0a\xff\xff",
        b"whatever",
    ]  # pyright: ignore[reportArgumentType] - as above


identifiers = st.sampled_from(["", "01" * 16, "02" * 16, "ab", "0a" * 8, "0b" * 8])
spans = st.fixed_dictionaries(
    {
        "trace": identifiers,
        "id": identifiers,
        "parent": identifiers,
        "name": st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        "start": st.integers(0, (1 << 64) - 1),
        "end": st.integers(0, (1 << 64) - 1),
        "failed": st.booleans(),
        "attributes": st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            st.one_of(
                st.booleans(),
                st.integers(-(1 << 63), (1 << 63) - 1),
                st.floats(),
                st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            ),
            max_size=4,
        ),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(spans, min_size=1, max_size=6), max_size=5))
def test_whatever_is_taken_can_be_read_back(requests: Any, batches: list[list[dict[str, object]]]) -> None:
    made = {batch.body: batch for batch in (requests.spans(*told) for told in batches)}
    with Store() as store:
        for batch in made.values():
            store.take(batch)
        store.settle()
        assert [body for _, body in store.batches(EVERYTHING)] == list(made)
        sent = [span for batch in made.values() for span in decode_traces(batch.message)]
        entries = store.traces(TraceFilter(), Window(0, (1 << 63) - 1), limit=1000)
        assert sum(entry.spans for entry in entries) == store.statistics().spans == len(sent)
        assert {entry.trace_id for entry in entries} == {span.trace_id for span in sent}
        assert orphans(store.path) == dict.fromkeys(ROWS, 0)
        shown = [span for entry in entries if entry.trace_id for span in store.spans(entry.trace_id)]
        assert {repr(span) for span in shown} <= {repr(span) for span in sent}
        assert {(span.trace_id, span.span_id) for span in shown} == {
            (span.trace_id, span.span_id) for span in sent if span.trace_id
        }
