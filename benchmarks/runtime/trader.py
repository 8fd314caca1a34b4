"""A process that replays a session of orders and ticks on a large heap, under one plan for the collector.

Ticks become dicts and levels of books, as a client library makes them. Orders hold callbacks that hold them,
as they do where an order tells its strategy of fills: what has ended is garbage that only the collector
frees. The last ticks and all fills are kept. Each plan does the same, in the same order.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.sidebyside.lines import answer, questions
from tickspan import memory

UNTUNED, HFT, DATASETS = "untuned", "hft", "datasets"
PLANS: Final[dict[str, Callable[[], Any]]] = {
    UNTUNED: lambda: None,
    HFT: memory.optimize_for_high_frequency_trading,
    DATASETS: memory.optimize_for_large_datasets,
}
_SYMBOLS: Final = tuple(f"C{number}/USDT" for number in range(40))
_LEVELS: Final = 10
_TICKS_KEPT: Final = 1_000
_ORDER_EVERY: Final = 2
_OPEN: Final = 1_000
"""Orders that wait: the oldest ends when another one is sent."""
_LOOK_EVERY: Final = 5_000
_SEED: Final = 20_260_105
_PAGE_BYTES: Final = 4_096


def main(plan: str, objects: int) -> None:
    """Answer each question, `{"ticks"}`, with the pauses, the memory and the CPU time of a session."""
    reference = [[number] for number in range(objects)]
    pauses = _Pauses()
    gc.collect()
    before = gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()
    applied = PLANS[plan]()
    answer({"objects": len(reference)})
    for question in questions():
        found = _session(question["ticks"], pauses)
        if applied is not None:
            applied.revert()
        after = gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()
        answer({**found, "restored": before == after})


class _Pauses:
    """Milliseconds of CPU time of each collection: what else the machine does meanwhile is no pause."""

    def __init__(self) -> None:
        self._began_ns = 0
        self.ms = array("d")
        self.generations = array("b")
        gc.callbacks.append(self._note)

    def begin(self) -> None:
        """Forget what was."""
        self.ms, self.generations = array("d"), array("b")

    def _note(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began_ns = time.thread_time_ns()
        else:
            self.ms.append((time.thread_time_ns() - self._began_ns) / 1e6)
            self.generations.append(info["generation"])


class _Order:
    """As a client library's: it knows whom to tell, who knows it."""

    def __init__(self, number: int, symbol: str, price: float, desk: _Desk) -> None:
        self.number = number
        self.symbol = symbol
        self.price = price
        self.fills: list[dict[str, Any]] = []
        self.on_fill: Callable[[dict[str, Any]], None] = lambda fill: desk.filled(self, fill)
        self.parameters = {"timeInForce": "GTC", "postOnly": True, "reduceOnly": False}


class _Desk:
    """Books, open orders and what has been traded."""

    def __init__(self) -> None:
        self.books: dict[str, dict[float, list[float]]] = {symbol: {} for symbol in _SYMBOLS}
        self.ticks: deque[dict[str, Any]] = deque(maxlen=_TICKS_KEPT)
        self.open: deque[_Order] = deque()
        self.traded: list[tuple[int, float]] = []

    def tick(self, message: dict[str, Any]) -> None:
        """A message of the market."""
        book = self.books[message["symbol"]]
        for price, size in message["bids"]:
            book[price] = [price, size]
        while len(book) > 4 * _LEVELS:
            del book[next(iter(book))]
        self.ticks.append(message)

    def send(self, number: int, symbol: str, price: float) -> None:
        """An order; the oldest one ends."""
        self.open.append(_Order(number, symbol, price, self))
        if len(self.open) > _OPEN:
            ended = self.open.popleft()
            for part in (0.4, 0.6):
                ended.on_fill({"order": ended, "part": part, "fee": {"currency": "USDT", "cost": 0.01}})

    def filled(self, order: _Order, fill: dict[str, Any]) -> None:
        """What an order tells of itself."""
        order.fills.append(fill)
        self.traded.append((order.number, fill["part"]))


def _session(ticks: int, pauses: _Pauses) -> dict[str, Any]:
    chance = random.Random(_SEED)  # noqa: S311 - the same for each plan
    desk = _Desk()
    pauses.begin()
    peak_bytes = 0
    began_s = time.process_time()
    for number in range(ticks):
        symbol = _SYMBOLS[number % len(_SYMBOLS)]
        mid = 100 + round(chance.random(), 2)
        bids = [[mid - level / 100, chance.random()] for level in range(_LEVELS)]
        desk.tick({"symbol": symbol, "bids": bids, "info": {"u": number, "s": symbol}, "timestamp": number})
        if number % _ORDER_EVERY == 0:
            desk.send(number, symbol, mid)
        if number % _LOOK_EVERY == 0:
            peak_bytes = max(peak_bytes, _resident_bytes())
    cpu_s = time.process_time() - began_s
    return {
        "pauses_ms": list(pauses.ms),
        "generations": list(pauses.generations),
        "peak_bytes": max(peak_bytes, _resident_bytes()),
        "cpu_s": cpu_s,
        "traded": len(desk.traded),
    }


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_bytes().split(None, 2)[1]) * _PAGE_BYTES


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
