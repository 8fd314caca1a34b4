"""Orders and reports share a database pool, and a session to a broker is kept and lent in turn.

Needs `pip install tickspan[pools]`. Eight reports want two of three connections; orders have one for
themselves, and never wait for a report.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from sqlalchemy import text

from tickspan.pools import (
    create_broker_pool,
    create_database_pool,
    get_connection_context,
    release,
)

REPORTS = 8
ORDERS = 5


class BrokerSession:
    """Stands for a session that takes a while to be opened."""

    opened = 0

    def __init__(self) -> None:
        time.sleep(0.01)
        self.closed = False
        BrokerSession.opened += 1

    def send(self, order: int) -> str:
        """Place an order."""
        return f"order {order} accepted"

    def close(self) -> None:
        """Log off."""
        self.closed = True


def report() -> None:
    """Holds a connection for a while, again and again."""
    for _ in range(5):
        with get_connection_context("main_db") as connection:
            connection.execute(text("SELECT count(*) FROM orders")).scalar()
            time.sleep(0.01)


def trade(number: int) -> str:
    """Sends an order and writes it down, in the lane of orders."""
    with get_connection_context("alpaca") as session:
        answer = session.send(number)
    with get_connection_context("main_db", lane="orders", timeout_s=1.0) as connection:
        connection.execute(text("INSERT INTO orders (id) VALUES (:id)"), {"id": number})
        connection.commit()
    return answer


def main() -> None:
    """Trade while reports are busy."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'trading.db'}"
        database = create_database_pool("main_db", url, max_connections=3, lanes={"orders": 1})
        with get_connection_context("main_db") as connection:
            connection.execute(text("CREATE TABLE orders (id INTEGER PRIMARY KEY)"))
            connection.commit()
        broker = create_broker_pool("alpaca", BrokerSession, max_connections=2)
        reports = [threading.Thread(target=report) for _ in range(REPORTS)]
        for thread in reports:
            thread.start()
        for number in range(1, ORDERS + 1):
            print(trade(number))
        for thread in reports:
            thread.join()
        told = database.statistics()
        print(f"{told.lent} uses of {told.created} database connections, {told.timeouts} in vain")
        print(f"{ORDERS} orders over {BrokerSession.opened} session, {broker.drain(1.0)}")
        release("main_db")
        database.dispose()


if __name__ == "__main__":
    main()
