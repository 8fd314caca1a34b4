"""Workloads on libraries that upstream instruments, too: redis-py and SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from sidebyside.stories import Expected
from sidebyside.telemetry import Kind, Telemetry
from sidebyside.workload import UnavailableError, Workload

_KEYS = 64
_SQL = "SELECT orders.id, orders.symbol, orders.quantity \nFROM orders \nWHERE orders.id = ?"

_REDIS_SPANS: Mapping[Kind, Expected] = {
    Kind.STOCK: Expected("GET", {"db.system": "redis", "db.statement": "GET ?"}),
    Kind.OURS: Expected("GET", {"db.system.name": "redis", "db.query.text": "GET ?"}),
}
_SQLALCHEMY_SPANS: Mapping[Kind, Expected] = {
    Kind.STOCK: Expected("SELECT", {"db.system": "sqlite", "db.statement": _SQL}),
    Kind.OURS: Expected("SELECT orders", {"db.system.name": "sqlite", "db.response.returned_rows": 1}),
}


def redis_get(telemetry: Telemetry, server: str) -> Workload:
    """`GET` of a short value, on one connection."""
    import redis

    _instrument(telemetry, _redis_instrumentor(telemetry.kind))
    client: Any = redis.Redis.from_url(server)
    keys = [f"price:{number}" for number in range(_KEYS)]

    def run(operations: int) -> None:
        for number in range(operations):
            client.get(keys[number % _KEYS])

    return Workload(f"redis-py {redis.__version__}", run, _only(_REDIS_SPANS, telemetry), close=client.close)


def sqlalchemy_select(telemetry: Telemetry, server: str) -> Workload:
    """A row by its primary key, through the statement cache, on one connection to SQLite in memory."""
    del server
    import sqlalchemy

    library = f"SQLAlchemy {sqlalchemy.__version__}"
    if telemetry.kind is Kind.STOCK and sqlalchemy.__version__.split(".")[:2] >= ["2", "1"]:
        raise UnavailableError(f"needs SQLAlchemy < 2.1 in .generations/sqlalchemy-2.0, found {library}")
    _instrument(telemetry, _sqlalchemy_instrumentor(telemetry.kind))
    engine = sqlalchemy.create_engine("sqlite://")
    connection = engine.connect()
    select = _table(connection)

    def run(operations: int) -> None:
        for number in range(operations):
            connection.execute(select, {"id": number % _KEYS}).one()

    def close() -> None:
        connection.close()
        engine.dispose()

    return Workload(library, run, _only(_SQLALCHEMY_SPANS, telemetry), close=close)


def _table(connection: Any) -> Any:
    """A small table with rows, and the statement that reads one."""
    import sqlalchemy as sa

    orders = sa.Table(
        "orders",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("symbol", sa.String),
        sa.Column("quantity", sa.Integer),
    )
    orders.create(connection)
    rows = [{"id": number, "symbol": "BTC/USDT", "quantity": number} for number in range(_KEYS)]
    connection.execute(orders.insert(), rows)
    return sa.select(orders).where(orders.c.id == sa.bindparam("id"))


def _only(spans: Mapping[Kind, Expected], telemetry: Telemetry) -> tuple[Expected, ...]:
    kind = Kind.OURS if telemetry.kind.is_ours else telemetry.kind
    return (spans[kind],) if kind in spans else ()


def _instrument(telemetry: Telemetry, instrumentor: BaseInstrumentor | None) -> None:
    if instrumentor is not None:
        instrumentor.instrument(
            tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
        )


def _redis_instrumentor(kind: Kind) -> BaseInstrumentor | None:
    if kind is Kind.STOCK:
        from opentelemetry.instrumentation.redis import RedisInstrumentor

        return RedisInstrumentor()
    if kind.is_ours:
        import tickspan_redis

        return tickspan_redis.RedisInstrumentor()
    return None


def _sqlalchemy_instrumentor(kind: Kind) -> BaseInstrumentor | None:
    if kind is Kind.STOCK:
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

        return SQLAlchemyInstrumentor()
    if kind.is_ours:
        import tickspan_sqlalchemy

        return tickspan_sqlalchemy.SQLAlchemyInstrumentor()
    return None
