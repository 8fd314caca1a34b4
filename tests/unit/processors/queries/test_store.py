"""The store of queries: minutes that add up, bounds, and a reader beside the writer."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tickspan.processors.queries.store import OTHER, QueryKey, QueryReader, QueryStore, Told

KEY = QueryKey("bot", "sqlite", "book.db", "f1")
TOLD = Told("SELECT orders", "SELECT id FROM orders WHERE id = ?")
MINUTE_NS = 60 * 10**9
MS = 10**6


def noted(store: QueryStore, key: QueryKey, minute: int, *durations_ms: int, rows: int = 1) -> None:
    for duration in durations_ms:
        store.note(key, TOLD, minute * MINUTE_NS + 5, duration * MS, rows, is_error=duration > 100)


def totals(path: Path, since_s: float = 0.0) -> dict[QueryKey, tuple[int, int, int, int]]:
    with QueryReader(path) as reader:
        usage = reader.usage(since_s)
    return {key: (used.calls, used.errors, used.time_ns // MS, used.rows) for key, used in usage.items()}


def test_calls_of_a_minute_add_up_over_several_writes(tmp_path: Path) -> None:
    path = tmp_path / "queries.sqlite3"
    store = QueryStore(path)
    noted(store, KEY, 3, 10, 20)
    store.write()
    noted(store, KEY, 3, 200, rows=5)
    noted(store, KEY, 4, 1)
    store.write()
    with QueryReader(path) as reader:
        history = reader.history("f1")
        statements = reader.statements()
    assert [
        (minute.at_s, minute.usage.calls, minute.usage.errors, minute.usage.rows) for minute in history
    ] == [
        (180, 3, 1, 7),
        (240, 1, 0, 1),
    ]
    assert history[0].usage.latencies.quantile(1.0) == pytest.approx(0.2, rel=1 / 32)
    assert statements == {KEY: TOLD}
    assert totals(path) == {KEY: (4, 1, 231, 8)}
    assert totals(path, 240.0) == {KEY: (1, 0, 1, 1)}
    store.close()


def test_the_history_of_one_database_leaves_out_the_others(tmp_path: Path) -> None:
    with closing(QueryStore(tmp_path / "queries.sqlite3")) as store:
        noted(store, KEY, 3, 10)
        noted(store, KEY._replace(namespace="other.db"), 4, 20)
        noted(store, KEY._replace(service="risk"), 5, 30)
        store.write()
    with QueryReader(tmp_path / "queries.sqlite3") as reader:
        minutes = [
            [minute.at_s for minute in reader.history("f1", since_s, namespace)]
            for since_s, namespace in ((0, None), (240, None), (0, "book.db"), (0, "none.db"))
        ]
    assert minutes == [[180, 240, 300], [240, 300], [180, 300], []]


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = QueryStore(tmp_path / "new" / "queries.sqlite3")
    noted(store, KEY, 1, 1)
    store.write()
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    store.close()


def test_nothing_to_write_makes_no_file(tmp_path: Path) -> None:
    store = QueryStore(tmp_path / "queries.sqlite3")
    store.write()
    store.forget(0)
    assert (store.findings(), store.path.exists()) == ([], False)


def test_statements_beyond_the_bound_are_one(tmp_path: Path) -> None:
    path = tmp_path / "queries.sqlite3"
    store = QueryStore(path, max_fingerprints=2)
    for number in range(4):
        noted(store, KEY._replace(fingerprint=f"f{number}"), 1, 10)
    store.write()
    noted(store, KEY._replace(fingerprint="f0"), 1, 10)
    store.write()
    assert {key.fingerprint: calls for key, (calls, *_) in totals(path).items()} == {
        "f0": 2,
        "f1": 1,
        OTHER: 2,
    }
    store.close()


def test_what_is_older_than_two_weeks_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "queries.sqlite3"
    store = QueryStore(path)
    noted(store, KEY, 1, 10)
    noted(store, KEY._replace(fingerprint="f2"), 2 * 7 * 1440, 10)
    store.write()
    store.forget((2 * 7 * 1440 + 5) * MINUTE_NS)
    with QueryReader(path) as reader:
        left = list(reader.statements())
    assert [key.fingerprint for key in left] == ["f2"]
    assert [key.fingerprint for key in totals(path)] == ["f2"]
    store.close()


def test_a_reader_says_that_there_is_no_file_or_another(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        QueryReader(tmp_path / "none")
    (tmp_path / "text").write_text("this is no database, but long enough to be taken for one " * 20)
    with QueryReader(tmp_path / "text") as reader, pytest.raises(sqlite3.DatabaseError):
        reader.usage()
