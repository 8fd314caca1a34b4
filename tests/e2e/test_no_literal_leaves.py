"""No value of a statement leaves the program: not by OTLP, not in a file, not in what a command prints."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tickspan_spool import agent
from tickspan_spool.receiver import Batch, Response

from tickspan.cli import main
from tickspan.semconv import db
from tickspan.semconv import findings as names
from tickspan.testing.otlp import OtlpServer
from tickspan.testing.sql import statements

pytestmark = pytest.mark.e2e

PROGRAM: Final = Path(__file__).parent / "programs" / "secrets.py"
SEED: Final = 20_261
COUNT: Final = 400
FORMATS: Final = ("text", "json", "markdown", "sql")
_SECRET: Final = re.compile(rb"secret\d+[xyz]|917235", re.IGNORECASE)
"""A mark of every value that `tickspan.testing.sql` writes, and of the program's parameters."""
_NUMBERS: Final = re.compile(rb"[0-9a-f]{12,}|\b0?\.\d+", re.IGNORECASE)
"""Ids, moments and shares of a second, in which any digits may stand."""
_COLUMNS: Final = (
    "id INTEGER PRIMARY KEY, symbol TEXT, price REAL, side TEXT, created_at TEXT, venue_order_id TEXT"
)


@dataclass(frozen=True)
class Kept:
    """What the program and the agent left.

    Attributes:
        ran: how many statements succeeded, and how many failed.
        undelivered: contents of the spool's files while nothing could be delivered, by name.
        files: the same after the delivery.
        bodies: of all requests, those that were refused among them.
        told: what stood on the program's standard error.
        spool: the folder.
        server: what received them.
    """

    ran: tuple[int, int]
    undelivered: Mapping[str, bytes]
    files: Mapping[str, bytes]
    bodies: list[bytes]
    told: bytes
    spool: Path
    server: OtlpServer


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables whose definitions hold secrets, too."""
    path = tmp_path_factory.mktemp("book") / "book.db"
    with closing(sqlite3.connect(path)) as connection:
        for table in ("orders", "fills", "accounts", "t1", "notes"):
            connection.execute(f"CREATE TABLE {table} ({_COLUMNS}, note TEXT DEFAULT 'Secret1x')")
            connection.execute(
                f"CREATE INDEX {table}_note ON {table} (note) WHERE note = 'Secret2x' AND price > 9172352"
            )
            connection.execute(f"CREATE INDEX {table}_note_again ON {table} (note) WHERE note = 'Secret2x'")
        connection.execute("CREATE TABLE markers (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO notes (note) VALUES ('Secret3x')")
        connection.execute("ANALYZE")
        connection.commit()
    return path


@pytest.fixture(scope="module")
def kept(
    book: Path, clean_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kept]:
    """The program has run, with an agent that may ask the database; its back end was away at first."""
    folder = tmp_path_factory.mktemp("kept")
    spool, errors = folder / "spool", folder / "errors.txt"
    refused: list[bytes] = []
    is_away = threading.Event()
    is_away.set()

    def answer(batch: Batch) -> Response | None:
        if not is_away.is_set():
            return None
        refused.append(batch.body)
        return Response(503)

    with OtlpServer(answer=answer) as server:
        environment = {
            **clean_environment,
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "TICKSPAN_SPOOL_DIR": str(spool),
            "TICKSPAN_QUERIES_PLANS": "probe",
            "TICKSPAN_QUERIES_SLOW_S": "0.000001",
            "TICKSPAN_QUERIES_DATABASES": "book.db=BOOK_DSN",
            "BOOK_DSN": f"sqlite:///{book}",
        }
        words = ["tickspan", "run", "--", sys.executable, PROGRAM, book, str(SEED), str(COUNT)]
        with (
            errors.open("wb") as told,
            subprocess.Popen(
                words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told, text=True
            ) as program,
        ):
            assert program.stdin is not None
            assert program.stdout is not None
            succeeded, failed = map(int, program.stdout.readline().split())
            _until(lambda: bool(refused))
            undelivered = _contents(spool)
            is_away.clear()
            _until(lambda: _has_finding(server, "write_without_where") and bool(_plans(server)))
            program.stdin.close()
        agent.drain(spool, 20)
        agent.stop(spool)
        bodies = [*refused, *server.bodies()]
        yield Kept(
            (succeeded, failed), undelivered, _contents(spool), bodies, errors.read_bytes(), spool, server
        )


def _until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def _has_finding(server: OtlpServer, rule: str) -> bool:
    return any(log.attributes.get(names.FINDING_RULE) == rule for log in server.logs())


def _plans(server: OtlpServer) -> list[str]:
    return [str(log.body) for log in server.logs() if log.event_name == db.EVENT_QUERY_PLAN]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def secrets_in(content: bytes) -> set[bytes]:
    """Marks of secrets, with a little of what surrounds them."""
    plain = _NUMBERS.sub(b"", content)
    return {plain[max(0, found.start() - 40) : found.end() + 20] for found in _SECRET.finditer(plain)}


def test_statements_of_all_sorts_ran_and_all_sorts_of_telemetry_came(kept: Kept) -> None:
    signals = [len(kept.server.spans()) >= COUNT, bool(kept.server.metrics()), bool(kept.server.logs())]
    texts = {
        str(span.attributes[db.DB_QUERY_TEXT])
        for span in kept.server.spans()
        if db.DB_QUERY_TEXT in span.attributes
    }
    assert (kept.ran[0] > 40, kept.ran[1] > 40, sum(kept.ran)) == (True, True, COUNT)
    assert (signals, len(texts) > 150) == ([True, True, True], True)


def test_a_value_would_be_seen() -> None:
    shown = [bool(secrets_in(one.sql.encode())) for one in statements(SEED, "sqlite", COUNT) if one.secrets]
    assert shown.count(True) > 0.9 * COUNT


def test_no_value_is_in_what_arrives_by_otlp(kept: Kept) -> None:
    found = {secret for body in kept.bodies for secret in secrets_in(body)}
    assert found == set()


def test_no_value_is_in_what_the_program_is_told(kept: Kept) -> None:
    assert secrets_in(kept.told) == set()


@pytest.mark.parametrize("state", ["undelivered", "files"])
def test_no_value_is_in_a_file_of_the_spool(kept: Kept, state: str) -> None:
    contents: Mapping[str, bytes] = getattr(kept, state)
    assert {name: secrets_in(content) for name, content in contents.items() if secrets_in(content)} == {}


def test_segments_and_the_store_are_among_those_files(kept: Kept) -> None:
    undelivered = sum(map(len, kept.undelivered.values()))
    stored = sum(len(content) for name, content in kept.files.items() if name.startswith("queries.sqlite3"))
    assert (undelivered > 50_000, stored > 10_000) == (True, True)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("action", ["top", "findings"])
def test_no_value_is_in_what_is_listed(
    kept: Kept, action: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["queries", action, "--directory", str(kept.spool), "--format", form])
    printed, told = capsys.readouterr()
    assert (status, told, len(printed) > 1_000) == (0, "", True)
    assert secrets_in(printed.encode()) == set()


@pytest.mark.parametrize("form", FORMATS)
def test_no_value_is_in_what_is_explained(
    kept: Kept, book: Path, form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOK_DSN", f"sqlite:///{book}")
    main(["queries", "top", "--directory", str(kept.spool), "--json"])
    listed = [row["fingerprint"] for row in json.loads(capsys.readouterr().out)]
    texts = [one.sql for one in statements(SEED, "sqlite", COUNT) if not one.sql.startswith("-")]
    options = ["--dsn-env", "BOOK_DSN", "--directory", str(kept.spool), "--format", form]
    statuses = [main(["queries", "explain", what, *options]) for what in (*listed[:60], *texts[:60])]
    printed, told = capsys.readouterr()
    assert (statuses.count(0) > 10, set(statuses) <= {0, 2}) == (True, True)
    assert secrets_in(printed.encode()) | secrets_in(told.encode()) == set()
