"""Walk a million trades in flat memory, stop in the middle, and go on by a token, as another process would.

Run `python examples/lazy_trades.py`. It makes a SQLite file in a temporary folder.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tickspan import lazy

TRADES: Final = 1_000_000
STOP_AFTER: Final = 400_000
_PAGE: Final = 100_000


def fill(engine: sa.Engine) -> None:
    """Make the table of trades."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE trades (id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, symbol TEXT, price REAL)"
        )
        connection.exec_driver_sql(
            "INSERT INTO trades WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) "
            "SELECT i, i / 20, 'S' || (i % 50), 100 + i % 7 FROM n",
            (TRADES,),
        )
        connection.exec_driver_sql("CREATE INDEX trades_ts ON trades (ts, id)")


def first_part(engine: sa.Engine) -> tuple[float, str]:
    """The volume of the first trades, and the token after the last of them."""
    rows = lazy.rows(source(engine))
    volume = 0.0
    for count, trade in enumerate(rows, 1):
        volume += trade[3]
        if count == STOP_AFTER:
            break
    return volume, rows.token


async def second_part(url: sa.URL, token: str) -> tuple[float, int]:
    """The volume of the others, read on an event loop."""
    engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"))
    volume, count = 0.0, 0
    async with lazy.rows(source(engine), resume=token) as rows:
        async for trade in rows:
            volume += trade[3]
            count += 1
    await engine.dispose()
    return volume, count


def source(engine: lazy.AnyEngine) -> lazy.Dataset[tuple[int, int, str, float]]:
    """All trades in the order of time."""
    return lazy.table(engine, "trades", key=("ts", "id"))


def api() -> lazy.Dataset[int]:
    """Something that answers in pages, such as a venue's list of fills."""

    def fetch(cursor: int | None, limit: int) -> tuple[range, int | None]:
        del limit  # this one has pages of its own size
        start = cursor or 0
        return range(start, start + _PAGE), start + _PAGE if start + _PAGE < TRADES else None

    return lazy.pages(fetch, name="fills")


def every(rows: lazy.Rows[int], step: int) -> Iterator[int]:
    """Every so many-th row."""
    return (row for row in rows if row % step == 0)


def main() -> None:
    """Read it all, in two parts."""
    with tempfile.TemporaryDirectory() as folder:
        engine = sa.create_engine(f"sqlite:///{Path(folder) / 'trades.db'}")
        fill(engine)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        volume, token = first_part(engine)
        print(f"first {STOP_AFTER:,} trades: volume {volume:,.0f}; goes on at {token[:12]}…")
        rest, count = asyncio.run(second_part(engine.url, token))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"other {count:,} trades: volume {rest:,.0f}; together {volume + rest:,.0f}")
        print(f"memory grew by {'less than 64 MiB' if grown < 64 else f'{grown:.0f} MiB'}")  # noqa: PLR2004
        engine.dispose()
    print(f"fills of an API: {sum(1 for _ in every(lazy.rows(api()), 1000)):,} of each thousand")


if __name__ == "__main__":
    main()
