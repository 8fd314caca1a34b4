"""Comments after SQL, where they are asked for: what the driver gets, and who is not given any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from tickspan.testing import Capture
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

SELECT = sqlalchemy.text("SELECT CAST(:symbol AS text) LIKE '%A'")
Commented = Callable[[str], Any]


@pytest.fixture
def commented(request: pytest.FixtureRequest, telemetry: Capture) -> Commented:
    """Switches the instrumentor on with a mode until the test is over."""

    def instrument(mode: str) -> None:
        SQLAlchemyInstrumentor().instrument(
            tracer_provider=telemetry.tracer_provider, settings={"database": {"sqlcommenter": mode}}
        )
        request.addfinalizer(SQLAlchemyInstrumentor().uninstrument)

    return instrument


def sent(engine: Any) -> list[str]:
    """What goes to the driver from here on."""
    texts: list[str] = []

    @event.listens_for(engine, "do_execute")
    def keep(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        texts.append(statement)

    return texts


def trace_of(telemetry: Capture) -> str:
    span = next(span for span in telemetry.spans() if "LIKE" in span.attributes.get("db.query.text", ""))
    return f"traceparent='00-{span.trace_id:032x}-{span.span_id:016x}-01'"


def likes(texts: list[str]) -> str:
    return next(text for text in texts if "LIKE" in text)


@pytest.mark.integration
@pytest.mark.backends
@pytest.mark.library("sqlalchemy", at_least=(2, 0))  # 1.4 has no dialect for psycopg 3
@pytest.mark.parametrize(("threshold", "tells_trace"), [(None, True), (5, False)])
def test_psycopg_gets_the_trace_unless_it_prepares(
    telemetry: Capture, commented: Commented, postgresql_server: str, threshold: Any, tells_trace: bool
) -> None:
    commented("full")
    url = make_url(postgresql_server).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, connect_args={"prepare_threshold": threshold})
    texts = sent(engine)
    with engine.connect() as connection:
        assert connection.execute(SELECT, {"symbol": "BA"}).scalar() is True
    engine.dispose()
    text = likes(texts)
    assert "application='test',db_driver='sqlalchemy%%3Apsycopg'" in text
    assert (trace_of(telemetry) in text) is tells_trace
    assert "/*" not in repr([span.attributes for span in telemetry.spans()])


@pytest.mark.integration
@pytest.mark.backends
def test_asyncpg_never_gets_the_trace(
    telemetry: Capture, commented: Commented, postgresql_server: str
) -> None:
    commented("full")
    url = make_url(postgresql_server).set(drivername="postgresql+asyncpg")

    async def main() -> str:
        engine = create_async_engine(url)
        texts = sent(engine.sync_engine)
        async with engine.connect() as connection:
            assert (await connection.execute(SELECT, {"symbol": "BA"})).scalar() is True
        await engine.dispose()
        return likes(texts)

    text = asyncio.run(main()).replace("%%", "%")  # 1.4 formats the text
    assert ("db_driver='sqlalchemy%3Aasyncpg'" in text, "traceparent" in text) == (True, False)


def test_sqlite_has_no_server_to_read_them(telemetry: Capture, commented: Commented, book: Path) -> None:
    commented("full")
    engine = sqlalchemy.create_engine(f"sqlite:///{book}", future=True)
    texts = sent(engine)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT id FROM orders WHERE id = :id"), {"id": 1}).all()
    engine.dispose()
    assert texts == ["SELECT id FROM orders WHERE id = ?"]


def test_a_mode_that_is_unknown_switches_nothing_on(telemetry: Capture) -> None:
    with pytest.raises(ValueError, match=r"database\.sqlcommenter: expected one of off, service, full"):
        SQLAlchemyInstrumentor().instrument(settings={"database": {"sqlcommenter": "loud"}})
    SQLAlchemyInstrumentor().uninstrument()
