"""What could be better about a query: rules, plan and the index that it lacks; then the same query with it.

Run `python examples/query_advice.py`. Needs `pip install tickspan[queries,sqlalchemy]`, and no server: the
database is a file of SQLite. What a program runs is analysed by its agent: `tickspan queries top`.
"""

import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

import tickspan

TRADES = 200_000
QUERY = "SELECT * FROM trades WHERE symbol = 'S7' ORDER BY ts DESC LIMIT 20"
RUNS = 20


def fill(connection: sqlite3.Connection) -> None:
    """Make the table of trades, without any index but that of its key."""
    connection.execute("CREATE TABLE trades (id INTEGER PRIMARY KEY, symbol TEXT, ts INTEGER, price REAL)")
    connection.execute(
        "INSERT INTO trades WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?)"
        " SELECT i, 'S' || (i % 500), i, 100 + i % 7 FROM n",
        (TRADES,),
    )
    connection.commit()


def timed_ms(connection: sqlite3.Connection) -> float:
    """The query's usual time."""
    began_s = time.perf_counter()
    for _ in range(RUNS):
        connection.execute(QUERY).fetchall()
    return (time.perf_counter() - began_s) / RUNS * 1e3


def main() -> None:
    """Measure, ask, do it, measure again."""
    optimizer = tickspan.get_query_optimizer()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(Path(folder, "t.db"))) as connection,
    ):
        fill(connection)
        before_ms = timed_ms(connection)
        analysis = optimizer.analyze_query(QUERY, execution_time_ms=before_ms)
        print("tables:", *analysis.tables)
        for finding in analysis.findings:
            print(f"{finding.rule}: {finding.message}")
        (advice,) = analysis.index_recommendations
        create = next(line for line in str(advice).splitlines() if line.startswith("CREATE"))
        print("advice:", create)
        connection.execute(create.replace(" CONCURRENTLY", ""))
        after_ms = timed_ms(connection)
        print("faster with the index:", after_ms < before_ms / 5)


if __name__ == "__main__":
    main()
