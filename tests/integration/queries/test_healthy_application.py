"""A program that does it well is told nothing above information, on any database, by any kind of rule."""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from pathlib import Path

import psycopg
import pymysql
import pytest
from sqlalchemy import Engine, ForeignKey, Index, Numeric, create_engine, func, insert, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload
from sqlalchemy.types import DateTime, String
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds nothing

from probing import Probing

from scripts.servers import DatabaseServer
from tickspan.analysis.findings import Severity
from tickspan.received import Value
from tickspan.semconv import findings as names
from tickspan.testing import Capture, capture

_NAME = "healthy_desk"
_BEGUN = dt.datetime(2026, 1, 5, 9, 30, tzinfo=dt.UTC)
_DAYS_RUNS = 40
_OF_TIMES = {"slow_query", "large_result", "idle_in_transaction", "slow_commit", "long_transaction"}
"""Rules that a busy machine may fulfil."""


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (Index("ix_orders_account_status", "account_id", "status"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int]
    symbol: Mapped[str] = mapped_column(String(12))
    status: Mapped[str] = mapped_column(String(12))
    placed_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    fills: Mapped[list[Fill]] = relationship()


class Fill(Base):
    __tablename__ = "fills"
    __table_args__ = (Index("ix_fills_order", "order_id"), Index("ix_fills_at", "filled_at"))
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    price: Mapped[Decimal] = mapped_column(Numeric(18, 8))
    quantity: Mapped[Decimal] = mapped_column(Numeric(18, 8))
    filled_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


def _fill(engine: Engine) -> None:
    """Twenty thousand orders, one fill each: enough for a plan to be good or bad."""
    Base.metadata.create_all(engine)
    moments = [_BEGUN + dt.timedelta(seconds=number) for number in range(20_000)]
    with engine.begin() as connection:
        connection.execute(
            insert(Order),
            [
                {
                    "id": number,
                    "account_id": number % 500,
                    "symbol": f"S{number % 40}",
                    "status": "open" if number % 20 == 0 else "filled",
                    "placed_at": moment,
                }
                for number, moment in enumerate(moments, 1)
            ],
        )
        connection.execute(
            insert(Fill),
            [
                {"id": number, "order_id": number, "price": 100, "quantity": 1, "filled_at": moment}
                for number, moment in enumerate(moments, 1)
            ],
        )


def _trade(engine: Engine, telemetry: Capture) -> None:
    """What a desk does all day: an account's open orders with their fills, one fill, the latest ones."""
    tracer = telemetry.tracer_provider.get_tracer("desk")
    for run in range(_DAYS_RUNS):
        with tracer.start_as_current_span("open orders"), Session(engine) as session:
            orders = select(Order).where(Order.account_id == run % 25 * 20, Order.status == "open")
            session.scalars(orders.limit(100).options(selectinload(Order.fills))).all()
        with tracer.start_as_current_span("fill"), engine.begin() as connection:
            connection.execute(
                insert(Fill),
                [
                    {
                        "id": 30_000 + run * 10 + part,
                        "order_id": run + 1,
                        "price": Decimal("100.5"),
                        "quantity": Decimal(1),
                        "filled_at": _BEGUN,
                    }
                    for part in range(3)
                ],
            )
            connection.execute(update(Order).where(Order.id == run + 1).values(status="filled"))
        with tracer.start_as_current_span("latest"), engine.connect() as connection:
            latest = select(Fill.id, Fill.price).order_by(Fill.filled_at.desc()).limit(10)
            connection.execute(latest).all()
        with tracer.start_as_current_span("exposure"), engine.connect() as connection:
            total = select(func.sum(Fill.quantity)).where(Fill.order_id == run + 1)
            connection.execute(total).scalar()


_STATEMENTS = 6
"""Of the program, but for transactions: two for the open orders, two for the fill, two that read."""


def _told_above_information(
    engine: Engine, dsn: str, system: str, namespace: str, home: Path
) -> tuple[list[tuple[str, Value]], int]:
    """Findings that are worse, and how many plans were told."""
    probing = Probing(home, dsn, system, namespace)
    with capture() as telemetry:
        instrumentor = SQLAlchemyInstrumentor()
        instrumentor.instrument(
            tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
        )
        try:
            _trade(engine, telemetry)
        finally:
            instrumentor.uninstrument()
        probing.heard(telemetry.sink.entries)
        probing.until_explained(_STATEMENTS)
        probing.now_s = 700.0
        probing.heard(telemetry.sink.entries[-2:])
        probing.until(lambda: namespace in probing.tap._texts._schemas)
    worse = [
        (str(log.attributes[names.FINDING_RULE]), log.body)
        for log in probing.logs
        if log.severity_number > int(Severity.INFO)
        and log.attributes.get(names.FINDING_RULE, "slow_query") not in _OF_TIMES
    ]
    return worse, len(probing.plans())


def test_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    engine = create_engine(f"sqlite:///{path}")
    _fill(engine)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    found = _told_above_information(engine, f"sqlite:///{path}", "sqlite", "desk.db", tmp_path / "spool")
    engine.dispose()
    assert found == ([], _STATEMENTS)


def test_without_one_of_its_indexes_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    engine = create_engine(f"sqlite:///{path}")
    _fill(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_fills_order"))
        connection.execute(text("ANALYZE"))
    worse, plans = _told_above_information(engine, f"sqlite:///{path}", "sqlite", "desk.db", tmp_path / "s")
    engine.dispose()
    assert ({rule for rule, _ in worse}, plans) == ({"seq_scan_selective", "unindexed_fk"}, _STATEMENTS)


@pytest.mark.backends
def test_on_postgresql(hypopg_server: DatabaseServer, tmp_path: Path) -> None:
    address = f"{hypopg_server.url.rpartition('/')[0]}/{_NAME}"
    with psycopg.connect(hypopg_server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {_NAME}")
    engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    try:
        _fill(engine)
        engine.dispose()  # a connection counts its changes at its end: after ANALYZE they would look new
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        found = _told_above_information(engine, address, "postgresql", _NAME, tmp_path)
    finally:
        engine.dispose()
        with psycopg.connect(hypopg_server.url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {_NAME} WITH (FORCE)")
    assert found == ([], _STATEMENTS)


@pytest.mark.backends
def test_on_mariadb(mariadb_server: DatabaseServer, tmp_path: Path) -> None:
    place = f"root@{mariadb_server.host}:{mariadb_server.port}/{_NAME}"
    admin = pymysql.connect(host=mariadb_server.host, port=mariadb_server.port, user="root", autocommit=True)
    with admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {_NAME}")
        engine = create_engine(f"mariadb+pymysql://{place}")
        try:
            _fill(engine)
            for table in ("orders", "fills"):
                cursor.execute(f"ANALYZE TABLE {_NAME}.{table} PERSISTENT FOR ALL")
            found = _told_above_information(engine, f"mysql://{place}", "mariadb", _NAME, tmp_path)
        finally:
            engine.dispose()
            cursor.execute(f"DROP DATABASE {_NAME}")
    assert found == ([], _STATEMENTS)
