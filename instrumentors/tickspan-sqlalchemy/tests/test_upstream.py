"""OpenTelemetry's own instrumentor as an oracle: what it tells in stable conventions, ours tells, too.

What ours leaves out on purpose is in docs/decisions/0002-sqlalchemy-attributes-beside-upstream.md.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import sqlalchemy
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability as Stability
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor as UpstreamInstrumentor
from sqlalchemy import exc
from tickspan.testing import Capture, RecordedSpan, capture
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

SQLALCHEMY = tuple(int(part) for part in sqlalchemy.__version__.split(".")[:2])
DECIDED = {"db.operation.name"}

# OpenTelemetry's instrumentor supports SQLAlchemy before 2.1.
pytestmark = pytest.mark.library("sqlalchemy", below=(2, 1))
Pairs = list[tuple[RecordedSpan, RecordedSpan]]
Compare = Callable[[str], Pairs]


@pytest.fixture(autouse=True)
def stable_conventions(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Upstream reads this variable once in the life of a process."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "database,http")
    monkeypatch.setattr(Stability, "_initialized", False)
    before = dict(Stability._OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING)
    yield
    Stability._OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING = before


@pytest.fixture
def upstream() -> Generator[Capture]:
    """What upstream's instrumentor tells of engines made from here on."""
    with capture() as told:
        UpstreamInstrumentor().instrument(
            tracer_provider=told.tracer_provider, meter_provider=told.meter_provider
        )
        yield told
        UpstreamInstrumentor().uninstrument()


CREATE = sqlalchemy.text("CREATE TABLE trades (id INTEGER PRIMARY KEY, symbol VARCHAR(20))")
DROP = sqlalchemy.text("DROP TABLE IF EXISTS trades")
INSERT = sqlalchemy.text("INSERT INTO trades VALUES (:id, :symbol)")
SELECT = sqlalchemy.text("SELECT id FROM trades WHERE symbol = :symbol")
TRADE = {"id": 1, "symbol": "AAPL"}


def trade(url: str) -> None:
    engine = sqlalchemy.create_engine(url, future=True)
    with engine.begin() as connection:
        connection.execute(DROP)
        connection.execute(CREATE)
        connection.execute(INSERT, [TRADE])
        connection.execute(SELECT, {"symbol": "AAPL"}).all()
    with pytest.raises(exc.DBAPIError), engine.begin() as connection:
        connection.execute(INSERT, TRADE)
    with engine.begin() as connection:
        connection.execute(DROP)
    engine.dispose()


VERBS = ("SELECT", "INSERT", "CREATE", "DROP")


def statements(told: Capture) -> list[RecordedSpan]:
    """The statements that both tell: ours knows transactions, and what a dialect asks a new connection."""
    about_trades = [span for span in told.spans() if "trades" in span.attributes.get("db.query.text", "")]
    return [span for span in about_trades if span.name.startswith(VERBS)]


@pytest.fixture
def compare(upstream: Capture, telemetry: Capture) -> Compare:
    """Their spans and ours of the same trade, in pairs."""

    def run(url: str) -> Pairs:
        trade(url)
        UpstreamInstrumentor().uninstrument()
        SQLAlchemyInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
        trade(url)
        SQLAlchemyInstrumentor().uninstrument()
        UpstreamInstrumentor().instrument(tracer_provider=upstream.tracer_provider)
        return list(zip(statements(upstream), statements(telemetry), strict=True))

    return run


def missing(pairs: Pairs) -> list[set[str]]:
    return [set(theirs.attributes) - set(ours.attributes) - DECIDED for theirs, ours in pairs]


def test_on_sqlite_ours_has_every_attribute_of_theirs(compare: Compare, tmp_path: Path) -> None:
    pairs = compare(f"sqlite:///{tmp_path}/book.db")
    assert missing(pairs) == [set()] * 6
    assert [ours.status for _, ours in pairs] == [theirs.status for theirs, _ in pairs]


@pytest.mark.integration
@pytest.mark.backends
@pytest.mark.library("sqlalchemy", at_least=(2, 0))  # 1.4 has no dialect for psycopg 3
def test_on_postgresql_ours_has_every_attribute_of_theirs(compare: Compare, postgresql_server: str) -> None:
    pairs = compare(postgresql_server.replace("postgresql://", "postgresql+psycopg://"))
    assert missing(pairs) == [set()] * 6
    places = ("db.system.name", "db.namespace", "server.address", "server.port")
    assert [[ours.attributes[name] for name in places] for _, ours in pairs] == [
        [theirs.attributes[name] for name in places] for theirs, _ in pairs
    ]


def test_with_both_active_each_statement_is_told_once_and_by_ours(upstream: Capture, book: Path) -> None:
    SQLAlchemyInstrumentor().instrument(tracer_provider=upstream.tracer_provider)
    trade(f"sqlite:///{book}")
    SQLAlchemyInstrumentor().uninstrument()
    told = [(span.name, span.scope) for span in upstream.spans() if "db.query.text" in span.attributes]
    assert told == [
        (name, "tickspan_sqlalchemy")
        for name in (
            *("DROP TABLE trades", "CREATE TABLE trades", "INSERT trades", "SELECT trades"),
            *("INSERT trades", "DROP TABLE trades"),
        )
    ]
