"""What is told of an iteration: one span with its fetches below it, times by stage, rows, waits and depth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from opentelemetry import metrics, trace
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

from tickspan import lazy
from tickspan.instrumentation.suppression import suppressed
from tickspan.semconv import datasets
from tickspan.semconv.db import DB_CLIENT_RESPONSE_RETURNED_ROWS
from tickspan.testing import Capture, Point, RecordedSpan

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def as_global(telemetry: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The captured providers stand where OpenTelemetry keeps the global ones."""
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: telemetry.tracer_provider)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: telemetry.meter_provider)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'trades.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE trades (id INTEGER PRIMARY KEY, price REAL)")
        connection.exec_driver_sql(
            "INSERT INTO trades WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 25) "
            "SELECT i, i * 0.5 FROM n"
        )
    yield engine
    engine.dispose()


def source_of(engine: sa.Engine, **arguments: Any) -> lazy.Dataset[Any]:
    return lazy.table(engine, "trades", where="price < :secret", params={"secret": 99.5}, **arguments)


def fixed(chunk: int = 10) -> Any:
    return lazy.configure(lazy.LazyRules(chunk=chunk, is_adaptive=False))


def ends(spans: list[RecordedSpan]) -> list[tuple[Any, ...]]:
    keys = (
        datasets.TICKSPAN_DATASET_END,
        datasets.TICKSPAN_DATASET_ROWS,
        datasets.TICKSPAN_DATASET_CHUNKS,
        datasets.TICKSPAN_DATASET_RESUMED,
    )
    return [tuple(span.attributes[key] for key in keys) for span in spans if span.name == "iterate trades"]


def test_an_iteration_is_one_span(telemetry: Capture, engine: sa.Engine) -> None:
    with fixed():
        list(lazy.rows(source_of(engine)))
    (span,) = telemetry.spans()
    size = span.attributes[datasets.TICKSPAN_DATASET_SIZE]
    assert span == RecordedSpan(
        "iterate trades",
        "internal",
        1,
        1,
        None,
        {
            datasets.TICKSPAN_DATASET_NAME: "trades",
            datasets.TICKSPAN_DATASET_RESUMED: False,
            datasets.TICKSPAN_DATASET_END: "exhausted",
            datasets.TICKSPAN_DATASET_ROWS: 25,
            datasets.TICKSPAN_DATASET_CHUNKS: 3,
            datasets.TICKSPAN_DATASET_SIZE: size,
        },
    )
    assert 25 * 50 < size < 25 * 250


def test_fetches_are_below_the_iteration_and_the_loops_body_is_not(
    telemetry: Capture, engine: sa.Engine
) -> None:
    instrumentor = SQLAlchemyInstrumentor()
    instrumentor.instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    try:
        tracer = trace.get_tracer("bot")
        with fixed(), tracer.start_as_current_span("strategy"):
            for row in lazy.rows(source_of(engine), prefetch=0):
                if row[0] == 11:
                    tracer.start_span("trade").end()
    finally:
        instrumentor.uninstrument()
    outline = [
        line for line in telemetry.tree().splitlines() if "PRAGMA" not in line and "sqlite_" not in line
    ]
    assert outline == [
        "strategy",
        "  iterate trades",
        *["    SELECT trades", "    ROLLBACK"] * 3,
        "  trade",
    ]


def test_on_a_thread_and_in_a_task_fetches_are_below_the_iteration_too(
    telemetry: Capture, engine: sa.Engine
) -> None:
    class Traced:
        name = "pages"

        def fetch(self, position: Any, limit: int) -> lazy.Chunk[int]:
            trace.get_tracer("http").start_span("GET").end()
            return lazy.Chunk([1], None)

    class TracedAsync(Traced):
        async def fetch(self, position: Any, limit: int) -> lazy.Chunk[int]:  # pyright: ignore[reportIncompatibleMethodOverride]
            return Traced.fetch(self, position, limit)

    async def read(source: Any) -> None:
        async for _ in lazy.rows(source):
            pass

    list(lazy.rows(Traced()))
    asyncio.run(read(Traced()))
    asyncio.run(read(TracedAsync()))
    assert telemetry.tree().splitlines() == ["iterate pages", "  GET"] * 3


def test_a_break_an_error_and_a_resume_are_told(telemetry: Capture, engine: sa.Engine) -> None:
    with fixed():
        rows = lazy.rows(source_of(engine))
        list(islice(rows, 12))
        list(rows)
        list(islice(lazy.rows(source_of(engine), resume=rows.token), 5))
        with pytest.raises(sa.exc.OperationalError):  # pyright: ignore[reportAttributeAccessIssue] - a lazy module
            list(lazy.rows(lazy.table(engine, "trades", where="secret = 1")))
    spans = telemetry.spans()
    assert ends(spans) == [
        ("abandoned", 12, 2, False),
        ("exhausted", 13, 2, True),
        ("exhausted", 0, 0, True),
        ("failed", 0, 0, False),
    ]
    assert [span.status for span in spans] == ["unset", "unset", "unset", "error"]
    assert spans[-1].attributes["error.type"] == "OperationalError"
    assert "secret" not in repr(spans)
    assert "99.5" not in repr(spans)


def counts(points: list[Point]) -> list[tuple[dict[str, Any], int | None]]:
    return [(dict(point.attributes), point.count) for point in points]


def test_times_rows_and_waits_are_measured(telemetry: Capture, engine: sa.Engine) -> None:
    with fixed():
        rows = lazy.rows(source_of(engine, into="dict"))
        next(rows)
        while rows.statistics().waiting_chunks < 2:
            pass
        depth = telemetry.points(datasets.TICKSPAN_DATASET_PREFETCH_DEPTH)
        list(rows)
    assert telemetry.points(datasets.TICKSPAN_DATASET_PREFETCH_DEPTH) == []
    name = {datasets.TICKSPAN_DATASET_NAME: "trades"}
    assert depth == [Point(name, 2)]
    stage = datasets.TICKSPAN_DATASET_STAGE
    assert counts(telemetry.points(datasets.TICKSPAN_DATASET_CHUNK_DURATION)) == [
        ({**name, stage: "fetch"}, 3),
        ({**name, stage: "decode"}, 3),
        ({**name, stage: "consume"}, 3),
    ]
    (returned,) = telemetry.points(DB_CLIENT_RESPONSE_RETURNED_ROWS)
    assert (returned.count, returned.value) == (3, 25)
    assert dict(returned.attributes) == {
        "db.system.name": "sqlite",
        "db.namespace": "trades.db",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT trades",
    }


def test_who_waits_for_rows_is_measured(telemetry: Capture) -> None:
    class Fills:
        name = "fills"

        def fetch(self, position: object, limit: int) -> lazy.Chunk[int]:
            del position, limit
            deadline_s = time.monotonic() + 5
            while not is_asked():
                assert time.monotonic() < deadline_s
                time.sleep(0.0005)
            return lazy.Chunk([1], None)

    rows = lazy.rows(Fills())

    def is_asked() -> bool:
        reading: Any = rows._reading
        return reading._feed is not None and reading._feed._is_asked

    assert list(rows) == [1]
    told = counts(telemetry.points(datasets.TICKSPAN_DATASET_STALL_DURATION))
    name = {datasets.TICKSPAN_DATASET_NAME: "fills"}
    assert ({**name, datasets.TICKSPAN_DATASET_SIDE: "consumer"}, 1) in told


def test_nothing_is_told_while_instrumentation_is_suppressed(telemetry: Capture, engine: sa.Engine) -> None:
    with suppressed():
        assert len(list(lazy.rows(source_of(engine)))) == 25
    assert telemetry.spans() == []
    assert telemetry.points(datasets.TICKSPAN_DATASET_CHUNK_DURATION) == []


def test_a_name_of_ones_own_is_told_instead(telemetry: Capture, engine: sa.Engine) -> None:
    list(lazy.rows(source_of(engine), name="backfill"))
    assert [span.name for span in telemetry.spans()] == ["iterate backfill"]
