"""ORM queries tell for which relationship they run."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session, declarative_base, relationship, selectinload
from tickspan.testing import Capture
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

Base: Any = declarative_base()
PATH = "tickspan.db.orm.path"


class Order(Base):
    __tablename__ = "orders"

    id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
    symbol = sqlalchemy.Column(sqlalchemy.String)
    fills = relationship("Fill")


class Fill(Base):
    __tablename__ = "fills"

    id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
    order_id = sqlalchemy.Column(sqlalchemy.ForeignKey("orders.id"))
    fees = relationship("Fee")


class Fee(Base):
    __tablename__ = "fees"

    id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
    fill_id = sqlalchemy.Column(sqlalchemy.ForeignKey("fills.id"))


@pytest.fixture
def engine(book: Path) -> Generator[Any]:
    """The book, with a fill of the first order and a fee of the fill."""
    engine = sqlalchemy.create_engine(f"sqlite:///{book}", future=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE fees (id INTEGER PRIMARY KEY, fill_id INTEGER)")
        connection.exec_driver_sql("INSERT INTO fills (id, order_id) VALUES (1, 1)")
        connection.exec_driver_sql("INSERT INTO fees VALUES (1, 1)")
    yield engine
    engine.dispose()


@pytest.fixture
def recorded(engine: Any, recorded: Capture) -> Capture:
    """Telemetry of what is run after the book was made."""
    recorded.clear()
    return recorded


def paths(recorded: Capture) -> list[tuple[str, Any]]:
    return [(span.name, span.attributes.get(PATH)) for span in recorded.spans()]


def test_a_lazy_load_names_its_relationship(recorded: Capture, engine: Any) -> None:
    with Session(engine, future=True) as session:
        order: Any = session.get(Order, 1)
        assert [fee.id for fill in order.fills for fee in fill.fees] == [1]
    assert paths(recorded) == [
        ("SELECT orders", None),
        ("SELECT fills", "Order.fills"),
        ("SELECT fees", "Fill.fees"),
        ("ROLLBACK", None),
    ]


def test_an_eager_load_names_its_relationship(recorded: Capture, engine: Any) -> None:
    query = sqlalchemy.select(Order).options(selectinload(Order.fills).selectinload(Fill.fees))
    with Session(engine, future=True) as session:
        assert len(session.execute(query).scalars().all()) == 3
    assert paths(recorded) == [
        ("SELECT orders", None),
        ("SELECT fills", "Order.fills"),
        ("SELECT fees", "Fill.fees"),
        ("ROLLBACK", None),
    ]


def test_it_can_be_switched_off(telemetry: Capture, engine: Any) -> None:
    SQLAlchemyInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, settings={"database": {"orm_path": False}}
    )
    with Session(engine, future=True) as session:
        order: Any = session.get(Order, 1)
        assert len(order.fills) == 1
    SQLAlchemyInstrumentor().uninstrument()
    assert {path for _, path in paths(telemetry)} == {None}


def test_undo_leaves_no_listener_on_sessions(telemetry: Capture) -> None:
    before = len(list(Session().dispatch.do_orm_execute))
    SQLAlchemyInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    during = len(list(Session().dispatch.do_orm_execute))
    SQLAlchemyInstrumentor().uninstrument()
    assert (during - before, len(list(Session().dispatch.do_orm_execute))) == (1, before)
