"""A contender's process: asked for an operation, it answers what one of them costs its thread."""

from __future__ import annotations

import faulthandler
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks.sidebyside.lines import answer, questions

Loop = Callable[[int], object]
"""Does an operation that many times."""

SQL: Final = (
    "SELECT orders.id, orders.symbol, orders.quantity, fills.price FROM orders JOIN fills ON fills.order_id ="
    " orders.id WHERE orders.symbol = 'AAPL' AND orders.created_at >= '2026-01-01' AND orders.id IN (1, 2, 3)"
    " ORDER BY orders.id LIMIT 10"
)
ROWS: Final = 64
_TURN_TIMEOUT_S: Final = 120.0
_FLUSH_S: Final = 20.0
_WARM_UP: Final = 3


def main(name: str, endpoint: str = "") -> None:
    """Say what was prepared, then answer each question `{"of", "batches", "size"}` with nanoseconds."""
    library, loops = _CONTENDERS[name](endpoint)
    answer({"library": library, "operations": list(loops)})
    for question in questions():
        faulthandler.dump_traceback_later(_TURN_TIMEOUT_S, exit=True)
        loop, size = loops[question["of"]], question["size"]
        batches = [_batch(loop, size) for _ in range(_WARM_UP + question["batches"])]
        answer(batches[_WARM_UP:])
        faulthandler.cancel_dump_traceback_later()


def _batch(loop: Loop, size: int) -> float:
    started_ns = time.thread_time_ns()
    loop(size)
    return (time.thread_time_ns() - started_ns) / size


def _nothing(count: int) -> None:
    for _ in range(count):
        pass


# --- texts


def _texts(_endpoint: str) -> tuple[str, Mapping[str, Loop]]:
    """Ours: a known text, and one that is new."""
    from importlib.metadata import version

    from tickspan.analysis.sql import Dialect, StatementCache, canonicalise
    from tickspan.analysis.sql.lexer import tokenise
    from tickspan.instrumentation.db import Database, DatabaseOperations

    cache = StatementCache(Dialect.POSTGRESQL)
    operations = DatabaseOperations(Database("postgresql", "trading", "localhost", 5432))
    _known_again(cache.get, operations.told)

    def statements(count: int) -> None:
        get = cache.get
        for _ in range(count):
            get(SQL)

    def told(count: int) -> None:
        tell = operations.told
        for _ in range(count):
            tell(SQL)

    def lex(count: int) -> None:
        for _ in range(count):
            tokenise(SQL, Dialect.POSTGRESQL)

    def read(count: int) -> None:
        for _ in range(count):
            canonicalise(SQL, Dialect.POSTGRESQL)

    loops = {"empty loop": _nothing, "known text": statements, "known text, its attributes": told}
    return f"tickspan {version('tickspan')}", {**loops, "lexer": lex, "new text": read}


def _known_again(*reads: Callable[[str], object]) -> None:
    """What comes for the third time with other values is told so: then the text at hand is settled."""
    for read in reads:
        for number in range(4):
            read(SQL.replace("10", str(number)))
        read(SQL)


def _sqlglot(_endpoint: str) -> tuple[str, Mapping[str, Loop]]:
    """Whichever form of it is installed."""
    from importlib.metadata import version

    from sqlglot import tokenizer_core
    from sqlglot.dialects.postgres import Postgres

    dialect = Postgres()

    def lex(count: int) -> None:
        tokenize: Any = dialect.tokenize
        for _ in range(count):
            tokenize(SQL)

    def parse(count: int) -> None:
        for _ in range(count):
            dialect.parse(SQL)

    form = "interpreted" if str(tokenizer_core.__file__).endswith(".py") else "compiled"
    loops = {"empty loop": _nothing, "lexer": lex, "parser": parse}
    return f"sqlglot {version('sqlglot')}, {form}", loops


# --- statements of a library


def _bare(_endpoint: str) -> tuple[str, Mapping[str, Loop]]:
    return _library(), {"empty loop": _nothing, "statement": _statement()}


def _upstream(endpoint: str) -> tuple[str, Mapping[str, Loop]]:
    """The stock SDK with upstream's instrumentor, as their documentation sets them up."""
    from importlib.metadata import version

    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "upstream"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)
    SQLAlchemyInstrumentor().instrument()

    def flush(_count: int) -> None:
        provider.force_flush()

    loops = {"empty loop": _nothing, "statement": _statement(), "flush": flush}
    return f"upstream {version('opentelemetry-instrumentation-sqlalchemy')}, {_library()}", loops


def _ours(_endpoint: str) -> tuple[str, Mapping[str, Loop]]:
    """Ours, as `init()` sets it up: spans, duration, rows, pool, all included."""
    import tickspan
    from benchmarks.pipeline.spans import our_library
    from tickspan.distro.distro import process_pipeline

    tickspan.init(service_name="tickspan")

    def flush(_count: int) -> None:
        process_pipeline().force_flush(_FLUSH_S)

    loops = {"empty loop": _nothing, "statement": _statement(), "flush": flush}
    return f"{our_library()}, {_library()}", loops


def _library() -> str:
    import sqlalchemy

    return f"SQLAlchemy {sqlalchemy.__version__}"


def _statement() -> Loop:
    """A row by its primary key, through SQLAlchemy's own cache, on one connection to SQLite in memory."""
    import sqlalchemy as sa

    connection = sa.create_engine("sqlite://").connect()
    orders = sa.Table(
        "orders",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("symbol", sa.String),
        sa.Column("quantity", sa.Integer),
    )
    orders.create(connection)
    rows = [{"id": number, "symbol": "BTC/USDT", "quantity": number} for number in range(ROWS)]
    connection.execute(orders.insert(), rows)
    select = sa.select(orders).where(orders.c.id == sa.bindparam("id"))

    def run(count: int) -> None:
        for number in range(count):
            connection.execute(select, {"id": number % ROWS}).one()

    return run


_CONTENDERS: Final[Mapping[str, Callable[[str], tuple[str, Mapping[str, Loop]]]]] = {
    "texts": _texts,
    "sqlglot": _sqlglot,
    "bare": _bare,
    "upstream": _upstream,
    "ours": _ours,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
