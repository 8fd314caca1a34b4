"""A SQLite file beside a spool: who may read it, and what stays open when it cannot be used."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from tickspan_spool import sqlite_file

_SCHEMA = "CREATE TABLE IF NOT EXISTS kept (number INTEGER) STRICT;"


def test_what_was_written_is_read_by_another_connection_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "spool" / "kept.sqlite3"
    with closing(sqlite_file.writer(path, _SCHEMA)) as writer:
        with writer:
            writer.execute("INSERT INTO kept VALUES (7)")
        with closing(sqlite_file.reader(path)) as reader:
            assert reader.execute("SELECT number FROM kept").fetchall() == [(7,)]
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader.execute("DELETE FROM kept")


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite3"
    sqlite_file.writer(path, _SCHEMA).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_opening_it_again_keeps_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite3"
    with closing(sqlite_file.writer(path, _SCHEMA)) as writer, writer:
        writer.execute("INSERT INTO kept VALUES (7)")
    with closing(sqlite_file.writer(path, _SCHEMA)) as writer:
        assert writer.execute("SELECT number FROM kept").fetchall() == [(7,)]


def test_a_file_that_is_no_database_is_an_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite3"
    path.write_bytes(b"no database, but long enough to be taken for one " * 20)
    with pytest.raises(sqlite3.DatabaseError, match="not a database") as raised:
        sqlite_file.writer(path, _SCHEMA)
    held = [link for link in Path("/proc/self/fd").iterdir() if link.exists() and link.resolve() == path]
    assert (held, raised.type) == ([], sqlite3.DatabaseError)  # its traceback would keep a connection alive


def test_a_file_that_is_not_there_is_no_reason_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        sqlite_file.reader(tmp_path / "kept.sqlite3").close()
    assert list(tmp_path.iterdir()) == []
