"""A program, its agent and a back end: findings about queries name the right span, good ones have none."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tickspan.received import ReceivedLog
from tickspan.semconv import findings as names
from tickspan.semconv.code import CODE_LINE_NUMBER
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.e2e

PROGRAM = Path(__file__).parent / "programs" / "queries.py"
SECRET = b"s3cret"
OF_TIMES = {"slow_query", "large_result", "idle_in_transaction", "slow_commit"}
"""Rules that a busy machine may fulfil."""


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        del format, args


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Forty orders of a thousand fills each: asking for each order's takes a while."""
    path = tmp_path / "book.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE orders (id INTEGER PRIMARY KEY);
            CREATE TABLE fills (id INTEGER PRIMARY KEY, order_id INTEGER, price TEXT);
            CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE notes (id INTEGER PRIMARY KEY);
            INSERT INTO accounts VALUES (7, 'somebody');
        """)
        connection.executemany("INSERT INTO orders VALUES (?)", [(number,) for number in range(40)])
        connection.executemany(
            "INSERT INTO fills (order_id, price) VALUES (?, '1.5')",
            [(number % 40,) for number in range(40_000)],
        )
        connection.commit()
    return path


def findings(server: OtlpServer) -> list[ReceivedLog]:
    return [log for log in server.logs() if log.event_name == names.EVENT]


def rule(log: ReceivedLog) -> str:
    return str(log.attributes[names.FINDING_RULE])


def line(text: str) -> int:
    """The line of the program in which a text stands."""
    lines = PROGRAM.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_findings_name_the_right_span_and_line(
    run: Callable[..., Any], book: Path, url: str, tmp_path: Path
) -> None:
    with OtlpServer() as server:
        ended = run(
            *("tickspan", "run", "--", sys.executable, PROGRAM, book, url, "bad"),
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
            OTEL_SERVICE_NAME="bot",
        )
        server.wait_for(lambda server: len(findings(server)) >= 6, timeout_s=20)
        told, spans = findings(server), {span.span_id: span for span in server.spans()}
        bodies = server.bodies()
    parents = {span.span_id: spans.get(span.parent_span_id or "") for span in spans.values()}
    shown = {rule(log): spans[str(log.span_id)] for log in told}
    assert (ended.returncode, ended.stderr) == (0, "")
    seen = {name: (span.name, getattr(parents[span.span_id], "name", None)) for name, span in shown.items()}
    assert {name: place for name, place in seen.items() if name not in OF_TIMES} == {
        "n_plus_one": ("SELECT fills", "n plus one"),
        "chatty_transaction": ("ROLLBACK", "n plus one"),
        "duplicate_query": ("SELECT accounts", "duplicate"),
        "external_call_in_transaction": ("GET", "pay"),
        "write_without_where": ("DELETE notes", "clear"),
        "leading_wildcard": ("SELECT accounts", "search"),
    }
    assert all(log.resource["service.name"] == "bot" for log in told)
    lines = {rule(log): log.attributes.get(CODE_LINE_NUMBER) for log in told}
    assert lines["write_without_where"] == line("DELETE FROM notes")
    assert not any(SECRET in body for body in bodies)
    listed = run(
        "tickspan", "queries", "findings", "--json", "--fail-on", "C", "--directory", tmp_path / "spool"
    )
    assert listed.returncode == 1
    assert {one["rule"] for one in json.loads(listed.stdout)["findings"]} >= set(shown)
    kept = [path.read_bytes() for path in (tmp_path / "spool").glob("queries.sqlite3*")]
    assert (bool(kept), any(SECRET in one for one in kept)) == (True, False)


def test_a_program_that_does_it_well_has_no_findings(
    run: Callable[..., Any], book: Path, url: str, tmp_path: Path
) -> None:
    with OtlpServer() as server:
        ended = run(
            *("tickspan", "run", "--", sys.executable, PROGRAM, book, url, "good"),
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
            OTEL_SERVICE_NAME="bot",
        )
        server.wait_for(lambda server: any(span.name == "search" for span in server.spans()), timeout_s=20)
        told = [
            (rule(log), log.body)
            for log in findings(server)
            if log.severity_number > 9 and rule(log) not in OF_TIMES
        ]
    words = ("tickspan", "queries", "top", "--json", "--directory", tmp_path / "spool")
    listed = _listed(lambda: run(*words), "UPDATE accounts")
    assert (ended.returncode, ended.stderr, told) == (0, "", [])
    asked = {one["summary"] for one in json.loads(listed.stdout)}
    assert {"SELECT accounts", "SELECT orders fills", "UPDATE accounts"} <= asked


def test_a_thread_of_the_program_finds_the_same_where_it_is_asked_to(
    run: Callable[..., Any], book: Path, url: str
) -> None:
    with OtlpServer() as server:
        ended = run(
            *("tickspan", "run", "--", sys.executable, PROGRAM, book, url, "bad"),
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
            TICKSPAN_QUERIES_MODE="thread",
        )
        server.wait_for(lambda server: len(findings(server)) >= 6, timeout_s=20)
        told = {rule(log) for log in findings(server)} - OF_TIMES
    assert (ended.returncode, ended.stderr) == (0, "")
    assert told == {
        "n_plus_one",
        "chatty_transaction",
        "duplicate_query",
        "external_call_in_transaction",
        "write_without_where",
        "leading_wildcard",
    }


def _listed(run: Callable[[], Any], wanted: str) -> Any:
    """What a command prints once it knows of `wanted`: the agent looks at queries when it has sent them."""
    end_s = time.monotonic() + 20
    while wanted not in (ended := run()).stdout:
        assert time.monotonic() < end_s, ended
        time.sleep(0.05)
    return ended
