"""A program's pool of connections, as its agent sees it by the metrics of a real SQLAlchemy engine."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool import agent

from tickspan.received import ReceivedLog
from tickspan.semconv import db
from tickspan.semconv import findings as names
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.e2e

PROGRAM = Path(__file__).parent / "programs" / "pools.py"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        connection.commit()
    return path


def storms(server: OtlpServer) -> list[ReceivedLog]:
    return [log for log in server.logs() if log.attributes.get(names.FINDING_RULE) == "connect_storm"]


def has_exported(server: OtlpServer) -> bool:
    return any(metric.name == db.DB_CLIENT_CONNECTION_USE_TIME for metric in server.metrics())


def test_a_connection_made_for_each_statement_is_told(run: Callable[..., Any], book: Path) -> None:
    with OtlpServer() as server:
        ended = run(
            *("tickspan", "run", "--", sys.executable, PROGRAM, book, "bad"),
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
            OTEL_SERVICE_NAME="bot",
        )
        server.wait_for(lambda server: bool(storms(server)), timeout_s=20)
        (told,) = storms(server)
    evidence = json.loads(str(told.attributes[names.FINDING_EVIDENCE]))
    assert (ended.returncode, ended.stderr, told.resource["service.name"]) == (0, "", "bot")
    assert (evidence["creates"], evidence["checkouts"]) == (40, 40)
    assert told.body == f"The pool {evidence['pool']} made 40 connections for 40 checkouts."


def test_a_pool_that_keeps_its_connection_is_not(run: Callable[..., Any], book: Path, tmp_path: Path) -> None:
    with OtlpServer() as server:
        ended = run(
            *("tickspan", "run", "--", sys.executable, PROGRAM, book, "good"),
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
            OTEL_SERVICE_NAME="bot",
        )
        server.wait_for(has_exported, timeout_s=20)
        agent.drain(tmp_path / "spool", 20)  # what is found in metrics is recorded before they count as sent
        told = storms(server)
    assert (ended.returncode, ended.stderr, told) == (0, "", [])
