"""On and off: which engines are told, and what is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event, pool
from sqlalchemy.ext.asyncio import create_async_engine
from tickspan.testing import Capture
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

EVENTS = ("do_execute", "do_executemany", "do_execute_no_params")


def run(engine: Any) -> None:
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT id FROM orders")).all()
    engine.dispose()


def listeners(engine: Any) -> list[int]:
    return [len(list(getattr(engine.dialect.dispatch, name))) for name in EVENTS]


def url(book: Path) -> str:
    return f"sqlite:///{book}"


def test_engines_made_earlier_are_told(telemetry: Capture, book: Path) -> None:
    engine = sqlalchemy.create_engine(url(book), future=True)
    run(engine)
    SQLAlchemyInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    run(engine)
    SQLAlchemyInstrumentor().uninstrument()
    assert telemetry.tree() == "SELECT orders\nROLLBACK"


def test_uninstrument_leaves_no_listener(telemetry: Capture, book: Path) -> None:
    engine = sqlalchemy.create_engine(url(book), poolclass=pool.QueuePool)
    before = listeners(engine)
    SQLAlchemyInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    during = listeners(engine)
    SQLAlchemyInstrumentor().uninstrument()
    assert (during, listeners(engine)) == ([count + 1 for count in before], before)


def test_a_users_listeners_stay_when_ours_go(telemetry: Capture, book: Path) -> None:
    engine = sqlalchemy.create_engine(url(book), future=True)
    SQLAlchemyInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    seen: list[str] = []

    @event.listens_for(engine, "do_execute")
    def look(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        seen.append(statement)

    SQLAlchemyInstrumentor().uninstrument()
    run(engine)
    assert (seen, telemetry.spans()) == (["SELECT id FROM orders"], [])


def test_only_the_named_engines_are_told(telemetry: Capture, book: Path) -> None:
    told, untold = (sqlalchemy.create_engine(url(book), future=True) for _ in range(2))
    SQLAlchemyInstrumentor().instrument(engine=told, tracer_provider=telemetry.tracer_provider)
    run(untold)
    run(told)
    run(told.execution_options(isolation_level="AUTOCOMMIT"))
    SQLAlchemyInstrumentor().uninstrument()
    assert telemetry.tree() == "SELECT orders\nROLLBACK\nSELECT orders"


def test_more_engines_may_be_named_later(telemetry: Capture, book: Path) -> None:
    first, second, third = (sqlalchemy.create_engine(url(book), future=True) for _ in range(3))
    asynchronous = create_async_engine(f"sqlite+aiosqlite:///{book}")
    instrumentor = SQLAlchemyInstrumentor()
    instrumentor.instrument(engines=[first], tracer_provider=telemetry.tracer_provider)
    instrumentor.instrument(engine=second)
    instrumentor.instrument(engine=asynchronous)
    run(first)
    run(second)
    run(third)
    instrumentor.uninstrument()
    assert telemetry.tree() == "SELECT orders\nROLLBACK\nSELECT orders\nROLLBACK"


def test_a_result_opened_while_on_may_be_read_after_off(telemetry: Capture, book: Path) -> None:
    engine = sqlalchemy.create_engine(url(book), future=True)
    SQLAlchemyInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    with engine.connect() as connection:
        result = connection.execute(sqlalchemy.text("SELECT id FROM orders"))
        SQLAlchemyInstrumentor().uninstrument()
        assert [row[0] for row in result] == [1, 2, 3]
    engine.dispose()
    assert [span.attributes["db.response.returned_rows"] for span in telemetry.spans()] == [3]


@pytest.mark.parametrize(
    ("target", "namespace"),
    [
        ("sqlite://", None),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite:///file:book?mode=memory&uri=true", "book"),
    ],
)
def test_a_sqlite_database_is_named_without_its_path(
    telemetry: Capture, target: str, namespace: str | None
) -> None:
    engine = sqlalchemy.create_engine(target, poolclass=pool.StaticPool)
    SQLAlchemyInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1")).all()
    engine.dispose()
    SQLAlchemyInstrumentor().uninstrument()
    assert telemetry.spans()[0].attributes.get("db.namespace") == namespace
