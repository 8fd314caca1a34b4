"""Rules on traces that SQLAlchemy really makes, recorded on a clock that ticks a millisecond at each look."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.trace import SpanKind
from sqlalchemy import Engine, ForeignKey, StaticPool, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

from tickspan.analysis.traces import CLIENT, Examination, SeenSpan, Sighting
from tickspan.semconv.foreign import HTTP_REQUEST_METHOD
from tickspan.testing import Capture, RecordedSpan, capture


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    fills: Mapped[list[Fill]] = relationship()


class Fill(Base):
    __tablename__ = "fills"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(made)
    with Session(made) as session:
        session.add_all(Order(id=number, fills=[Fill(id=number)]) for number in range(1, 31))
        session.commit()
    yield made
    made.dispose()


@pytest.fixture
def telemetry() -> Iterator[Capture]:
    with capture() as captured:
        instrumentor = SQLAlchemyInstrumentor()
        instrumentor.instrument(
            tracer_provider=captured.tracer_provider, meter_provider=captured.meter_provider
        )
        yield captured
        instrumentor.uninstrument()


@contextmanager
def step(telemetry: Capture, name: str, **options: Any) -> Generator[None]:
    with telemetry.tracer_provider.get_tracer("program").start_as_current_span(name, **options):
        yield


def found(telemetry: Capture) -> list[tuple[str, str, str]]:
    """Rule, message and the span that is shown, of all findings of what was recorded."""
    recorded = telemetry.spans()
    names = {span.span_id: span.name for span in recorded}
    sightings = list(judged(recorded))
    return [(one.finding.rule, one.finding.message, names[one.span_id]) for one in sightings]


def judged(recorded: list[RecordedSpan]) -> Iterator[Sighting]:
    examination = Examination()
    for span in sorted(recorded, key=lambda span: span.end_ns):
        trace = examination.add(seen(span), 0.0)
        yield from examination.judge(trace) if trace is not None else ()
    assert examination.faulty == []


def seen(span: RecordedSpan) -> SeenSpan:
    kind = CLIENT if span.kind == "client" else 1
    parent = span.parent_id or 0
    return SeenSpan(
        span.trace_id,
        span.span_id,
        parent,
        span.start_ns,
        span.end_ns,
        span.name,
        kind,
        span.attributes,
        not parent,
    )


def test_a_relationship_that_is_loaded_row_by_row_is_named(engine: Engine, telemetry: Capture) -> None:
    with step(telemetry, "report"), Session(engine) as session:
        fills = [fill.id for order in session.scalars(select(Order)) for fill in order.fills]
    told = [one for one in judged(telemetry.spans()) if one.finding.rule == "n_plus_one"]
    assert len(fills) == 30
    assert [(one.finding.evidence["calls"], one.finding.evidence["after"]) for one in told] == [
        (30, "SELECT orders")
    ]
    assert (
        told[0].finding.advice == "Load the relationship with the rows: .options(selectinload(Order.fills))."
    )
    assert told[0].finding.summary == "SELECT fills"


def test_a_relationship_that_is_loaded_with_its_rows_is_fine(engine: Engine, telemetry: Capture) -> None:
    with step(telemetry, "report"), Session(engine) as session:
        orders = session.scalars(select(Order).options(selectinload(Order.fills))).all()
        fills = [fill.id for order in orders for fill in order.fills]
    assert (len(fills), found(telemetry)) == (30, [])


def test_a_question_that_is_asked_twice_is_told(engine: Engine, telemetry: Capture) -> None:
    with step(telemetry, "look"), engine.connect() as connection:
        for number in (7, 8, 7):
            connection.execute(text("SELECT id FROM orders WHERE id = :id"), {"id": number}).all()
    assert [(rule, span) for rule, _, span in found(telemetry)] == [("duplicate_query", "SELECT orders")]


def test_a_call_to_others_in_a_transaction_is_told_with_the_calls_span(
    engine: Engine, telemetry: Capture
) -> None:
    http = {HTTP_REQUEST_METHOD: "GET"}
    with step(telemetry, "pay"), engine.begin() as connection:
        connection.execute(text("UPDATE fills SET order_id = 2 WHERE id = :id"), {"id": 1})
        with step(telemetry, "GET", kind=SpanKind.CLIENT, attributes=http):
            pass
        connection.execute(text("UPDATE fills SET order_id = 1 WHERE id = :id"), {"id": 1})
    told = [(rule, span) for rule, _, span in found(telemetry)]
    assert told == [("external_call_in_transaction", "GET")]


def test_rows_that_are_written_one_by_one_are_told(engine: Engine, telemetry: Capture) -> None:
    with step(telemetry, "save"), engine.begin() as connection:
        for number in range(100, 112):
            connection.execute(text("INSERT INTO orders (id) VALUES (:id)"), {"id": number})
    told = [(rule, span) for rule, _, span in found(telemetry)]
    assert told == [("row_by_row_writes", "INSERT orders")]


def test_rows_that_are_written_at_once_are_fine(engine: Engine, telemetry: Capture) -> None:
    with step(telemetry, "save"), engine.begin() as connection:
        rows = [{"id": number} for number in range(100, 200)]
        connection.execute(text("INSERT INTO orders (id) VALUES (:id)"), rows)
    assert found(telemetry) == []


def test_a_commit_for_each_row_is_told(engine: Engine, telemetry: Capture) -> None:
    with step(telemetry, "save"):
        for number in range(100, 106):
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO orders (id) VALUES (:id)"), {"id": number})
    told = [(rule, span) for rule, _, span in found(telemetry)]
    assert told == [("autocommit_burst", "INSERT orders")]


def test_writes_in_autocommit_are_told(engine: Engine, telemetry: Capture) -> None:
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    with step(telemetry, "save"), autocommit.connect() as connection:
        for number in range(100, 106):
            connection.execute(text("INSERT INTO orders (id) VALUES (:id)"), {"id": number})
    told = [(rule, span) for rule, _, span in found(telemetry)]
    assert told == [("autocommit_burst", "INSERT orders")]


def test_most_transactions_that_are_one_read_are_told_as_information(
    engine: Engine, telemetry: Capture
) -> None:
    for number in range(21):
        with engine.connect() as connection:
            connection.execute(text("SELECT id FROM orders WHERE id = :id"), {"id": number}).all()
    told = [(one.finding.rule, one.finding.severity.letter) for one in judged(telemetry.spans())]
    assert told == [("single_read_transaction", "I")]


def test_a_transaction_of_many_round_trips_is_told_at_its_end(engine: Engine, telemetry: Capture) -> None:
    with engine.connect() as connection:
        for number in range(21):
            connection.execute(text("SELECT id FROM orders WHERE id = :id"), {"id": number}).all()
    told = [(rule, span) for rule, _, span in found(telemetry)]
    assert told == [("chatty_transaction", "ROLLBACK")]


def test_a_healthy_request_is_nothing_to_tell(engine: Engine, telemetry: Capture) -> None:
    with step(telemetry, "request"), engine.begin() as connection:
        orders = connection.execute(text("SELECT id FROM orders WHERE id > :id"), {"id": 20}).all()
        connection.execute(text("UPDATE fills SET order_id = 3 WHERE id = :id"), {"id": 5})
    assert (len(orders), found(telemetry)) == (10, [])
