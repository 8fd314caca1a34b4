"""A process that reads rows by their key through SQLAlchemy: bare, from a governed pool, or recorded.

    python -m tickspan.cli.bench.selecting bare|governed|told SECONDS

The URL comes in on stdin, since the arguments of a process are for all to see; what was measured goes out as
JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any, Final

from tickspan.cli.bench.pools import GOVERNED, TOLD
from tickspan.cli.bench.timing import Timing, timed

__all__ = ["main"]

_ROWS: Final = 64
_WARM_UP: Final = 200
_POOL: Final = "bench"


def main(kind: str, seconds: str) -> int:
    """Print `{"select", "checkout", "wrong"}`; exit status 0."""
    if kind == TOLD:
        import tickspan

        tickspan.init(service_name="tickspan-bench")
    import sqlalchemy as sa

    engine = sa.create_engine(sys.stdin.readline().strip(), pool_size=1, max_overflow=0)
    statement = _table(sa, engine)
    borrow = _lender(kind, engine)

    def select(number: int) -> Any:
        with borrow() as connection:
            return connection.execute(statement, {"id": number}).scalar_one()

    def checkout(_: int) -> None:
        with borrow():
            pass

    numbers = list(range(_ROWS))
    wrong = sum(select(number) != f"SYM{number}" for number in numbers)
    for number in range(_WARM_UP):
        select(number % _ROWS)
        checkout(number)
    told: dict[str, Timing] = {
        "select": timed(select, numbers, float(seconds)),
        "checkout": timed(checkout, numbers, float(seconds)),
    }
    engine.dispose()
    print(json.dumps({**{name: asdict(timing) for name, timing in told.items()}, "wrong": wrong}))
    return 0


def _table(sa: Any, engine: Any) -> Any:
    """A temporary table with rows, and the statement that reads one."""
    table = sa.Table(
        "tickspan_bench",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("symbol", sa.String(16)),
        prefixes=["TEMPORARY"],
    )
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(
            table.insert(), [{"id": number, "symbol": f"SYM{number}"} for number in range(_ROWS)]
        )
    return sa.select(table.c.symbol).where(table.c.id == sa.bindparam("id"))


def _lender(kind: str, engine: Any) -> Callable[[], AbstractContextManager[Any]]:
    if kind != GOVERNED:
        return engine.connect
    from tickspan.pools import create_database_pool, get_connection_context

    create_database_pool(_POOL, engine)
    return lambda: get_connection_context(_POOL)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
