"""A seeded back-test whose draws, orders and results are the same to the last bit with telemetry off and on.

Run `python examples/backtest.py`, then `tickspan run -- python examples/backtest.py`: both print the same
line, a digest of every random draw, every order and every row of the database.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.util import find_spec
from typing import Any, Final

import sqlalchemy as sa
from opentelemetry import metrics, trace

from tickspan import decision, order_span, strategy
from tickspan.trading import OrderOperation, OrderRequest

SEED: Final = 20_261_125
WINDOW: Final = 20
DEVIATION: Final = 0.002
LARGEST_POSITION: Final = 5
PATIENCE: Final = 0.8
"""How often a full book is left alone."""
_tracer: Final = trace.get_tracer("backtest")
_orders: Final = metrics.get_meter("backtest").create_counter("backtest.orders")
_metadata: Final = sa.MetaData()
_fills: Final = sa.Table(
    "fills",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("bar", sa.Integer),
    sa.Column("side", sa.String),
    sa.Column("price", sa.Float),
    sa.Column("amount", sa.Float),
)


@dataclass
class Digest:
    """Everything that the run drew and did, in order."""

    _hash: Any = field(default_factory=hashlib.sha256)

    def add(self, *values: float | str) -> None:
        """Take values, bit by bit."""
        for value in values:
            self._hash.update(value.encode() if isinstance(value, str) else struct.pack("<d", value))

    def __str__(self) -> str:
        return self._hash.hexdigest()


def prices(bars: int) -> Iterator[float]:
    """A random walk from the global generators: of `random`, and of NumPy where it is installed."""
    price = 100.0
    shocks = numpy_shocks(bars)
    for shock in shocks:
        price *= 1 + random.gauss(0, 0.001) + shock
        yield price


def numpy_shocks(bars: int) -> list[float]:
    """Rare jumps; none without NumPy."""
    if find_spec("numpy") is None:
        return [0.0] * bars
    import numpy as np

    np.random.seed(SEED)  # noqa: NPY002 - the global generator is what a back-test of this kind uses
    jumps: Any = np.random.standard_t(3, bars) * 0.0005  # noqa: NPY002
    return [float(jump) for jump in jumps]


@dataclass
class MeanReversion:
    """Buys below the average of the last bars, sells above; asks the database for its position."""

    connection: sa.Connection
    digest: Digest
    seen: list[float] = field(default_factory=list[float])

    def on_bar(self, bar: int, price: float) -> None:
        """One bar: look, decide, and perhaps trade."""
        self.seen = [*self.seen[-WINDOW + 1 :], price]
        average = sum(self.seen) / len(self.seen)
        if len(self.seen) == WINDOW and abs(price / average - 1) > DEVIATION:
            with _tracer.start_as_current_span("bar", attributes={"bar": bar}), decision("revert"):
                self.trade(bar, price, "buy" if price < average else "sell")

    def trade(self, bar: int, price: float, side: str) -> None:
        """An order that is filled at once, somewhere near the price."""
        if abs(self.position()) > LARGEST_POSITION and random.random() < PATIENCE:  # noqa: S311
            return
        amount = round(random.uniform(0.1, 1.0), 3)  # noqa: S311
        request = OrderRequest(
            OrderOperation.SUBMIT,
            "paper",
            "backtest",
            instrument="BTC/USDT",
            client_id=f"bar-{bar}",
            side=side,
            quantity=Decimal(str(amount)),
        )
        with order_span(request):
            filled = price * (1 + random.uniform(-1e-4, 1e-4))  # noqa: S311
            self.connection.execute(_fills.insert().values(bar=bar, side=side, price=filled, amount=amount))
        _orders.add(1, {"side": side})
        self.digest.add(bar, side, filled, amount)

    def position(self) -> float:
        """What the fills so far add up to."""
        signed = sa.case((_fills.c.side == "buy", _fills.c.amount), else_=-_fills.c.amount)
        total = sa.select(sa.func.coalesce(sa.func.sum(signed), 0.0))
        return float(self.connection.execute(total).scalar_one())


def main() -> None:
    """Run it and print the digest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=5_000)
    bars: int = parser.parse_args().bars
    random.seed(SEED)  # noqa: TID251 - this program is the application
    digest = Digest()
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection, strategy("mean-reversion"):
        _metadata.create_all(connection)
        trader = MeanReversion(connection, digest)
        for bar, price in enumerate(prices(bars)):
            digest.add(price)
            trader.on_bar(bar, price)
        rows = connection.execute(sa.select(_fills).order_by(_fills.c.id)).all()
    engine.dispose()
    for row in rows:
        digest.add(*row)
    digest.add(random.random(), str(random.getstate()))  # noqa: S311
    print(f"{bars} bars, {len(rows)} fills, digest {digest}")


if __name__ == "__main__":
    main()
