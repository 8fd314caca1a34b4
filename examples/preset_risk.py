"""The preset for risk: a long scan in flat memory, yesterday's figure while a service fails, advice.

Run `python examples/preset_risk.py`; `tickspan run --preset risk -- python report.py` is the same without a
line of code. Needs `pip install tickspan[cache,lazy,queries]`, and no server.
"""

import asyncio
import tempfile
from pathlib import Path

import sqlalchemy as sa

import tickspan
from tickspan import lazy
from tickspan.cache import Cache

POSITIONS = 300_000


def fill(engine: sa.Engine) -> None:
    """Make the table of positions."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE positions (id INTEGER PRIMARY KEY, book TEXT, quantity REAL, price REAL)"
        )
        connection.exec_driver_sql(
            "INSERT INTO positions WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?)"
            " SELECT i, 'B' || (i % 20), i % 11 - 5, 100 + i % 7 FROM n",
            (POSITIONS,),
        )


def exposure(engine: sa.Engine) -> float:
    """Of all positions: rows come in large portions, fetched ahead."""
    rows = lazy.rows(lazy.table(engine, "positions"))
    total = sum(quantity * price for _, _, quantity, price in rows)
    told = rows.statistics()
    print(f"{told.rows:,} rows in {told.chunks} chunks")
    return total


async def volatility(cache: Cache) -> None:
    """A figure whose service fails after the first day."""
    answers = iter([0.24])

    def service() -> float:
        try:
            return next(answers)
        except StopIteration:
            raise ConnectionError("no answer") from None

    region = cache.region("volatility", float, ttl_s=0.05)
    print("today's volatility:", await region.get_or_load("AAPL", service))
    await asyncio.sleep(0.1)
    print("while its service fails:", await region.get_or_load("AAPL", service))


def main() -> None:
    """A report of the day."""
    settings = tickspan.init(preset="risk", service_name="risk")
    print(f"preset {settings.preset[0]}: garbage for {settings.memory.optimize}", end=", ")
    print(f"cache {settings.cache.policy}, stand-ins for {settings.cache.stale_s / 3600:g} h", end=", ")
    print(f"profiler {settings.profiler.mode}")
    with tempfile.TemporaryDirectory() as folder:
        engine = sa.create_engine(f"sqlite:///{Path(folder, 'risk.db')}")
        fill(engine)
        print(f"exposure: {exposure(engine):,.0f}")
        engine.dispose()
    asyncio.run(volatility(tickspan.get_cache()))
    query = "SELECT quantity, price FROM positions WHERE book = 'B7'"
    (advice,) = tickspan.get_query_optimizer().analyze_query(query).index_recommendations
    print("advice:", str(advice).splitlines()[-1])


if __name__ == "__main__":
    main()
