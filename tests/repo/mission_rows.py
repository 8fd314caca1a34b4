"""Runs the blocks of one section of `docs/reference/from-the-mission.md`, and looks at what each leaves.

    python tests/repo/mission_rows.py SECTION [HEADING]

A program of its own for each section, or for a single row, since blocks start telemetry, tune the garbage
collector and name pools. Each row of the page has a function here: up to its `yield` it makes what the block
expects, after it it asserts what has become of it. What the rows of a section bind stays for the next one, as
on the page.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import os
import re
import sqlite3
import sys
import time
import types
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from tickspan_spool import agent

import tickspan
from tickspan import alerts, memory
from tickspan.alerts import Notice
from tickspan.cache import Cache
from tickspan.config import TraceDetail
from tickspan.distro import process_pipeline
from tickspan.pools import get_pool, get_pools
from tickspan.semconv import trading as names

PAGE: Final = Path(__file__).parents[2] / "docs/reference/from-the-mission.md"
_WAIT_S: Final = 20.0

Names = dict[str, Any]
Row = Callable[[Names], Generator[None]]
ROWS: Final[dict[str, Row]] = {}


class Block(NamedTuple):
    """One row of the page.

    Attributes:
        section: it stands in.
        heading: of it.
        asked: the call that was asked for.
        ours: what is run.
    """

    section: str
    heading: str
    asked: str
    ours: str


def imports() -> str:
    """What all blocks stand on."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]


def blocks() -> list[Block]:
    """The rows of the page, in its order."""
    found: list[Block] = []
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        for row in re.split(r"^### ", section, flags=re.MULTILINE)[1:]:
            asked, ours = re.findall(r"```(?:text|python)\n(.*?)```", row, re.DOTALL)
            found.append(Block(title, row.partition("\n")[0], asked, ours))
    return found


def row(heading: str) -> Callable[[Row], Row]:
    """The function below is of the row under this heading."""

    def keep(function: Row) -> Row:
        ROWS[heading] = function
        return function

    return keep


async def run(section: str, heading: str = "") -> None:
    """Run the blocks of a section in their order, or the one under a heading; raises what fails."""
    known: Names = {}
    exec(compile(imports(), str(PAGE), "exec"), known)
    for block in blocks():
        if block.section != section or heading not in {"", block.heading}:
            continue
        around = ROWS[block.heading](known)
        next(around)
        text = block.ours.replace(":6379", f":{_redis_port()}").replace(": 6379", f": {_redis_port()}")
        code = compile(text, block.heading, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        called = types.FunctionType(code, known)()
        if inspect.isawaitable(called):
            await called
        await _finish(around)


async def _finish(around: Generator[Any]) -> None:
    """Look; what a row yields after its block is awaited."""
    for wanted in around:
        await wanted


def _redis_port() -> str:
    return os.environ.get("MISSION_REDIS_PORT", "6379")


def eventually(holds: Callable[[], object]) -> None:
    """Wait for what comes a moment later."""
    until_s = time.monotonic() + _WAIT_S
    while not holds():
        assert time.monotonic() < until_s, inspect.getsource(holds)
        time.sleep(0.02)


def spans() -> list[Any]:
    """A list to which spans are added when they end."""
    ended: list[Any] = []
    provider: Any = process_pipeline().tracer_provider

    def begun(*_: object) -> None:
        pass

    provider.watch_spans(begun, ended.append)
    return ended


# Start


@row("Set everything up")
def _(known: Names) -> Generator[None]:
    yield
    pipeline = process_pipeline()
    assert pipeline.tracer_provider.resource.attributes["service.name"] == "trading_system"
    assert [tier.level for tier in known["cache"].tiers] == ["redis"]


@row("Wait for Redis")
def _(known: Names) -> Generator[None]:
    yield
    assert known["is_ready"] is True


@row("Debug mode")
def _(known: Names) -> Generator[None]:
    from tickspan.recording import diagnostics

    yield
    assert diagnostics.isEnabledFor(known["logging"].DEBUG)
    diagnostics.setLevel("WARNING")


# Redis


@row("A manager of Redis")
def _(known: Names) -> Generator[Any]:
    yield
    yield known["cache"].ready()
    assert [tier.is_available for tier in known["cache"].tiers] == [True]


@row("Market data")
def _(known: Names) -> Generator[None]:
    known["market_data"] = {"bid": 189.5, "ask": 189.7}
    yield
    assert known["cached_data"] == {"bid": 189.5, "ask": 189.7}
    held = redis_keys()
    assert any("AAPL" in key for key in held), held


def redis_keys() -> list[str]:
    import redis

    with redis.Redis(port=int(_redis_port()), decode_responses=True) as client:
        found: Any = client.keys("*")
        return list(found)


@row("Sessions")
def _(known: Names) -> Generator[Any]:
    yield
    found: list[Any] = []

    async def read() -> None:
        found.append(await known["cache"].sessions.get(known["token"]))
        await known["cache"].aclose()

    yield read()
    assert (found[0].user_id, found[0].data) == ("user123", {"desk": "eu"})


# Logging


@row("A logger with a category")
def _(known: Names) -> Generator[None]:
    tickspan.init()
    yield
    assert "trading" in repr(known["logger"])


@row("Context")
def _(_known: Names) -> Generator[None]:
    yield
    assert agent.drain(os.environ["TICKSPAN_SPOOL_DIR"], _WAIT_S)


@row("Search")
def _(known: Names) -> Generator[None]:
    folder = Path(os.environ["TICKSPAN_LOGS_DIRECTORY"])
    eventually(lambda: any(b"AAPL" in file.read_bytes() for file in folder.glob("*.jsonl")))
    yield
    (hit,) = known["found"]
    assert (hit.message, hit.fields) == (
        "Trade executed",
        {"user_id": "user123", "trade_id": "trade_001", "symbol": "AAPL", "quantity": 100},
    )


# Metrics


@row("A metric of the business")
def _(known: Names) -> Generator[None]:
    tickspan.init()
    known["trades_count"] = 25
    yield
    (told,) = tickspan.performance_summary()["trades_per_second"]
    assert (told.kind, told.last) == ("counter", 25)


@row("Summary")
def _(known: Names) -> Generator[None]:
    yield
    assert [one.last for one in known["summary"]["trades_per_second"]] == [25]


@row("An alert rule")
def _(known: Names) -> Generator[None]:
    told: list[Notice] = []
    tickspan.record_metric("trade_execution_time", 40.0, unit="ms")
    alerts.on_change(told.append)
    yield
    tickspan.record_metric("trade_execution_time", 250.0, unit="ms")
    eventually(lambda: bool(told))
    assert (told[0].rule, told[0].value, told[0].threshold) == ("OwnTradeLatency", 250.0, 100.0)


# Transactions


def is_filled(exchange: Any, order: Any) -> bool:
    """Asks the venue."""
    return exchange.fetch_order(order["id"], order["symbol"])["status"] == "closed"


@row("Detailed tracing")
def _(known: Names) -> Generator[None]:
    yield
    known["ended"] = spans()
    from tickspan.trading import TickRef

    tick = TickRef("house", 1_000)
    tick.delivered_ns = 2_000
    assert tickspan.init().tracing.detail is TraceDetail.FULL
    assert [span.name for span in known["ended"]] == [names.SPAN_FEED_MESSAGE]


@row("A transaction")
def _(known: Names) -> Generator[None]:
    known["execute_trade"] = lambda: "filled"
    known["ended"].clear()
    yield
    (span,) = known["ended"]
    assert (known["result"], span.name, dict(span.attributes)) == ("filled", "process_trade", {"book": "eu"})
    assert known["transaction"].trace_id == f"{span.context.trace_id:032x}"


@row("Start and finish")
def _(known: Names) -> Generator[None]:
    known["trade_id"] = "t-1"
    known["ended"].clear()
    yield
    (span,) = known["ended"]
    assert (span.name, dict(span.attributes)) == ("process_trade", {"trade_id": "t-1"})


@row("The life of orders")
def _(known: Names) -> Generator[None]:
    import ccxt

    from tickspan.testing.venue import VenueSimulator

    known["ended"].clear()
    with VenueSimulator() as venue:
        known["exchange"] = venue.connect.ccxt(ccxt.binance())
        yield
        eventually(lambda: is_filled(known["exchange"], known["order"]))
        eventually(lambda: names.SPAN_ORDER_LIFECYCLE in {span.name for span in known["ended"]})
    orders = [span for span in known["ended"] if span.name.startswith("trading.order.")]
    assert len({span.context.trace_id for span in orders}) == 1


# Queries


@row("Analysis")
def _(known: Names) -> Generator[None]:
    yield
    (advice,) = known["analysis"].index_recommendations
    assert '"symbol"' in str(advice) or "symbol" in str(advice)
    assert known["analysis"].execution_time_s == 0.1505


@row("Analyse what runs")
def _(known: Names) -> Generator[None]:
    yield
    optimizer = tickspan.get_query_optimizer()
    optimizer.analyze_query(known["sql"], execution_time_ms=150.5)
    assert [query.calls for query in optimizer.workload] == [1]


# Pools


@row("A pool of a database")
def _(known: Names) -> Generator[None]:
    connection = sqlite3.connect("trading.db")
    connection.execute("CREATE TABLE trades (id INTEGER PRIMARY KEY, symbol TEXT)")
    connection.execute("INSERT INTO trades VALUES (1, 'AAPL')")
    connection.commit()
    connection.close()
    yield
    assert known["result"] == [(1, "AAPL")]
    assert known["pool"].statistics().max == 20


@row("A pool of a broker")
def _(known: Names) -> Generator[None]:
    opened: list[str] = []

    def connect() -> str:
        opened.append("session")
        return "session"

    known["connect"] = connect
    yield
    eventually(lambda: len(opened) == 5)
    assert known["broker_pool"].statistics().max == 20


# Memory


@row("For high-frequency trading")
def _(known: Names) -> Generator[None]:
    before = gc.get_threshold()
    yield
    assert known["plan"].is_applied
    known["plan"].revert()
    assert gc.get_threshold() == before


@row("For large datasets")
def _(known: Names) -> Generator[None]:
    yield
    assert known["plan"].is_applied
    known["plan"].revert()


@row("A function's memory")
def _(known: Names) -> Generator[None]:
    yield
    assert known["expensive_operation"]() == [0] * 1_000


@row("Objects that are used again")
def _(known: Names) -> Generator[None]:
    yield
    orders: Any = known["orders"]
    first = orders.acquire()
    first["symbol"] = "AAPL"
    orders.release(first)
    again = orders.acquire()
    assert (again is first, again) == (True, {})
    orders.release(again)


# Cache


@row("Get and set")
def _(known: Names) -> Generator[Any]:
    known["cache"] = cache = Cache()
    known["result"] = {"state": "filled"}
    yield
    assert known["cached_result"] is None
    assert cache.get_nowait("trade_1") == {"state": "filled"}


@row("Results of a function")
def _(known: Names) -> Generator[None]:
    class Api:
        asked = 0

        def get_price(self, symbol: str) -> float:
            self.asked += 1
            return len(symbol) * 100.0

    known["api"] = api = Api()
    yield
    assert known["get_market_data"]("NVDA") == known["get_market_data"]("NVDA") == 400.0
    assert api.asked == 1


@row("Warming")
def _(known: Names) -> Generator[None]:
    before = known["api"].asked
    yield
    known["get_market_data"]("MSFT")
    assert known["api"].asked == before + 4


@row("The cache of a fast trader")
def _(known: Names) -> Generator[None]:
    yield
    assert known["cache"].quotes.rules.max_age_s == 0.25


@row("How orders stand")
def _(known: Names) -> Generator[Any]:
    import ccxt

    from tickspan.testing.venue import VenueSimulator

    yield
    tickspan.init()
    found: list[Any] = []
    with VenueSimulator() as venue:
        exchange: Any = venue.connect.ccxt(ccxt.binance())
        order = exchange.create_order("BTC/USDT", "market", "buy", 0.01)
        eventually(lambda: is_filled(exchange, order))

        async def read() -> None:
            found.append(await known["cache"].get_cached_order_status("binance", order["id"]))

        yield read()
    assert found[0].status == "filled"
    known["cache"].close()


# Lazy loading


@row("Rows of a table")
def _(known: Names) -> Generator[None]:
    known["engine"] = engine = sa.create_engine("sqlite:///trades.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE trades (id INTEGER PRIMARY KEY, timestamp INTEGER)")
        connection.exec_driver_sql(
            "INSERT INTO trades WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2500)"
            " SELECT i, i FROM n"
        )
    known["seen"] = seen = []
    known["process_trade"] = seen.append
    yield
    assert [trade[0] for trade in seen] == list(range(101, 2_501))
    engine.dispose()


@row("For analytics")
def _(_known: Names) -> Generator[None]:
    from tickspan.lazy.rules import current_rules

    yield
    assert current_rules().chunk == 10_000


# Profiler


@row("Start")
def _(_known: Names) -> Generator[None]:
    yield
    assert tickspan.get_profiler().is_running


@row("A function")
def _(known: Names) -> Generator[None]:
    yield
    assert known["expensive_function"]() == sum(range(1_000))


@row("A part of a function")
def _(_known: Names) -> Generator[None]:
    yield
    with tickspan.performance_context(tickspan.get_profiler(), "the same"):
        pass


@row("Report")
def _(known: Names) -> Generator[None]:
    yield
    told = str(known["report"])
    assert [name in told for name in ("expensive_function", "process_trade", "the same")] == [True] * 3


@row("Sampling rate")
def _(_known: Names) -> Generator[None]:
    yield
    assert tickspan.get_profiler().sample_rate <= 10.0
    tickspan.get_profiler().stop()


@row("Memory in detail")
def _(known: Names) -> Generator[None]:
    yield
    kept = [bytearray(1_000) for _ in range(100)]
    detail: memory.Detail = known["window"].stop()
    assert detail.traced_bytes > len(kept) * 1_000


# Presets


@row("High-frequency trading")
def _(known: Names) -> Generator[None]:
    known["connect"] = object
    yield
    assert get_pool("hft_broker").statistics().max == 50
    assert tickspan.get_cache().quotes.rules.max_age_s == 0.25
    assert tickspan.init().memory.optimize == "hft"


@row("Risk management")
def _(_known: Names) -> Generator[None]:
    from tickspan.lazy.rules import current_rules

    yield
    assert current_rules().chunk == 10_000
    assert tickspan.init().memory.optimize == "datasets"


@row("Order management")
def _(_known: Names) -> Generator[None]:
    yield
    assert [pool.name for pool in get_pools()] == ["orders_db"]
    assert tickspan.init().cache.orders


if __name__ == "__main__":
    try:
        asyncio.run(run(*sys.argv[1:]))
    finally:
        if os.environ.get("TICKSPAN_AGENT") != "off":
            agent.stop(os.environ["TICKSPAN_SPOOL_DIR"])
