"""What each preset changes, measured before and after: `python benchmarks/presets.py [--quick]`.

Every figure is of a child process of its own that runs one story with one preset. Rounds are interleaved:
each round runs a story without a preset and with it, so that a busy minute of the machine meets both. Prints
Markdown: medians of the rounds, with the least and the most.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.sidebyside.circumstances import Circumstances

NONE: Final = "none"
_MS: Final = 1e3
_US: Final = 1e6
_MIB: Final = 1 << 20
_CHILD_S: Final = 120.0
_PAGE_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done.

    Attributes:
        rounds: of each story, without and with the preset.
        objects: that live long, in the feed's story.
        ticks: that the feed delivers.
        rows: that are scanned.
        spans: that are made.
    """

    rounds: int
    objects: int
    ticks: int
    rows: int
    spans: int


FULL: Final = Scale(rounds=5, objects=1_000_000, ticks=200_000, rows=300_000, spans=20_000)
QUICK: Final = Scale(rounds=1, objects=100_000, ticks=10_000, rows=20_000, spans=2_000)

Figures = Mapping[str, float]
Start = Callable[[], None]
"""Starts telemetry, once a story has made what lives long."""


def feed(scale: Scale, start: Start) -> Figures:
    """A feed on a large heap, whose ended orders only the collector frees; and a Redis that hangs."""
    reference = [[number] for number in range(scale.objects)]
    start()
    kept, times = _Session(), array("d")
    pauses = _Pauses()
    for number in range(scale.ticks):
        began_s = time.thread_time()
        kept.tick(number)
        times.append(time.thread_time() - began_s)
    ordered = sorted(times)
    pauses.stop()
    return {
        "objects": len(reference),
        "longest pause of the collector, ms": max(pauses.seconds, default=0.0) * _MS,
        "p99.9 of a tick, µs": ordered[int(len(ordered) * 0.999)] * _US,
        "longest tick, ms": ordered[-1] * _MS,
        "wait for a Redis that hangs, ms": _wait_for_redis() * _MS,
    }


def scan(scale: Scale, start: Start) -> Figures:
    """A long scan of a table, with the memory that it takes, and a cache under a book and a scan."""
    import sqlalchemy as sa

    from tickspan import lazy

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fills.db"
        _fill(path, scale.rows)
        engine = sa.create_engine(f"sqlite:///{path}")
        statements = _counted(engine)
        start()
        before = _resident()
        began_s, highest, total = time.perf_counter(), before, 0
        with lazy.rows(lazy.table(engine, "fills", key="id")) as rows:
            for number, row in enumerate(rows):
                total += row[1]
                if not number % 10_000:
                    highest = max(highest, _resident())
        took_s = time.perf_counter() - began_s
        engine.dispose()
    return {
        "rows a second": scale.rows / took_s,
        "statements of a scan": len(statements),
        "memory of a scan at most, MiB": (highest - before) / _MIB,
        "cache hits on a book of 50,000, %": _hit_ratio() * 100,
        "total": total,
    }


def orders(scale: Scale, start: Start) -> Figures:
    """Orders told by hand: what one costs, and whether its state can be asked for afterwards."""
    import tickspan
    from tickspan.cache import get_cache
    from tickspan.trading import OrderOperation, OrderRequest

    start()
    number = scale.spans // 10
    began_s = time.thread_time()
    for one in range(number):
        request = OrderRequest(OrderOperation.SUBMIT, "desk", "bench", instrument="A", client_id=f"c{one}")
        with tickspan.order_span(request):
            pass
    order_s = (time.thread_time() - began_s) / number
    cache = get_cache()
    known = sum(
        cache.sync.get_cached_order_status("desk", f"c{one}") is not None
        for one in range(number - min(number, 1_000), number)
    )
    return {
        "an order, µs": order_s * _US,
        "states of the last 1,000 orders known, %": known / min(number, 1_000) * 100,
        **_of_spans(scale),
    }


def closely(scale: Scale, start: Start) -> Figures:
    """What looking closely costs: spans and statements."""
    import sqlalchemy as sa

    start()
    engine = sa.create_engine("sqlite://")
    number = scale.spans // 10
    with engine.connect() as connection:
        began_s = time.thread_time()
        for _ in range(number):
            connection.execute(sa.text("SELECT 1"))
        statement_s = (time.thread_time() - began_s) / number
    engine.dispose()
    return {**_of_spans(scale), "a statement, µs": statement_s * _US}


STORIES: Final[Mapping[str, tuple[Callable[[Scale, Start], Figures], str]]] = {
    "hft": (feed, "a feed on a large heap, and a Redis that does not answer"),
    "risk": (scan, "a scan of a table, and a cache of a book"),
    "oms": (orders, "orders and spans"),
    "debug": (closely, "spans and statements"),
}
_SILENT: Final = frozenset({"objects", "total"})
"""Figures that only show that the work was done."""


class _Session:
    """Ticks as a client library makes them, and orders that hold what holds them."""

    def __init__(self) -> None:
        self._ticks: list[dict[str, Any]] = [{} for _ in range(1_000)]
        self._orders: list[Any] = [None] * 1_000

    def tick(self, number: int) -> None:
        """One more: a dict with levels, and every second time an order."""
        self._ticks[number % 1_000] = {
            "symbol": f"C{number % 40}",
            "bids": [[100.0 - level, float(number)] for level in range(10)],
            "asks": [[101.0 + level, float(number)] for level in range(10)],
        }
        if number % 2:
            order: dict[str, Any] = {"number": number}
            order["tell"] = (order, self)
            self._orders[number % 1_000] = order


class _Pauses:
    """CPU seconds of each collection: what else the machine does meanwhile is no pause."""

    def __init__(self) -> None:
        self.seconds = array("d")
        self._began_s = 0.0
        gc.callbacks.append(self._note)

    def stop(self) -> None:
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began_s = time.thread_time()
        else:
            self.seconds.append(time.thread_time() - self._began_s)


def _wait_for_redis() -> float:
    """The median wait of a `get` where a server accepts connections and never answers."""
    from tickspan.cache import get_cache

    waits: list[float] = []
    with closing(get_cache()) as cache:
        for number in range(3):
            began_s = time.perf_counter()
            cache.sync.get(f"price:{number}")
            waits.append(time.perf_counter() - began_s)
    return statistics.median(waits)


def _fill(path: Path, rows: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE fills (id INTEGER PRIMARY KEY, quantity INTEGER, note TEXT)")
    connection.executemany(
        "INSERT INTO fills VALUES (?, ?, ?)",
        ((number, number % 7, f"fill {number}") for number in range(rows)),
    )
    connection.commit()
    connection.close()


def _counted(engine: Any) -> list[str]:
    from sqlalchemy import event

    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    return statements


def _hit_ratio() -> float:
    """Two passes over a book of instruments: the share of the second that is in memory."""
    from tickspan.cache import get_cache

    cache = get_cache()
    book = range(50_000)
    for number in book:
        cache.set_nowait(number, number)
    return sum(cache.get_nowait(number) is not None for number in book) / len(book)


def _of_spans(scale: Scale) -> Figures:
    from opentelemetry import trace

    tracer = trace.get_tracer("benchmark")
    began_s = time.thread_time()
    for _ in range(scale.spans):
        with tracer.start_as_current_span("work"):
            pass
    return {"a span, µs": (time.thread_time() - began_s) / scale.spans * _US}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def _applied() -> None:
    """Wait until the plan for the collector holds, if the preset has one."""
    from tickspan.config import MemoryPlan
    from tickspan.memory.governor import governor
    from tickspan.presets.standing import reading_used

    deadline_s = time.monotonic() + 10
    if reading_used().settings.memory.optimize is not MemoryPlan.NONE:
        while governor().current is None and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert governor().current is not None


def _child(preset: str, story: str, scale: Scale) -> None:
    """Run one story under one preset, as a program that starts so, and print its figures."""
    import tickspan

    def start() -> None:
        tickspan.init(preset=None if preset == NONE else preset)
        _applied()

    print(json.dumps(dict(STORIES[story][0](scale, start))))
    sys.stdout.flush()


def _run(preset: str, story: str, *, is_quick: bool, redis: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TICKSPAN_"))
        }
        environment |= {
            "TICKSPAN_SPOOL_DIR": f"{folder}/spool",
            "TICKSPAN_AGENT": "off",
            "TICKSPAN_MEMORY_WARM_UP_S": "0.001",
            **({"TICKSPAN_CACHE_URL": redis} if story == "hft" else {}),
        }
        ended = subprocess.run(
            [sys.executable, __file__, "--child", preset, story, *(["--quick"] if is_quick else [])],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
            timeout=_CHILD_S,
        )
    return json.loads(ended.stdout.splitlines()[-1])


def _hanging() -> tuple[socket.socket, str]:
    """A server that accepts connections and never answers, and its URL."""
    server = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def accept() -> None:
        try:
            while True:
                held.append(server.accept()[0])
        except OSError:  # closed
            for one in held:
                one.close()

    threading.Thread(target=accept, daemon=True).start()
    return server, f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def _table(story: str, rounds: Mapping[str, Sequence[Figures]]) -> list[str]:
    names = [name for name in rounds[NONE][0] if name not in _SILENT]
    lines = ["| figure | without | with | with / without |", "|---|---|---|---|"]
    for name in names:
        before = [figures[name] for figures in rounds[NONE]]
        after = [figures[name] for figures in rounds[story]]
        ratio = _ratio(before, after)
        lines.append(f"| {name} | {_spread(before)} | {_spread(after)} | {ratio} |")
    return lines


def _ratio(before: Sequence[float], after: Sequence[float]) -> str:
    ratios = [two / one for one, two in zip(before, after, strict=True) if one]
    return f"{statistics.median(ratios):.2f}x" if ratios else ""


def _spread(values: Sequence[float]) -> str:
    middle = f"{statistics.median(values):,.4g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.4g} … {max(values):,.4g})"


def main() -> int:
    """Run all stories, or be a child that runs one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="less of all: to see that it works")
    parser.add_argument("--only", nargs="+", choices=STORIES, default=list(STORIES))
    parser.add_argument("--child", nargs=2, metavar=("PRESET", "STORY"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    scale = QUICK if asked.quick else FULL
    if asked.child:
        preset, story = asked.child
        _child(preset, story, scale)
        return 0
    print(f"```\n{Circumstances.now()}\n```")
    server, redis = _hanging()
    with server:
        for story in asked.only:
            rounds: dict[str, list[Figures]] = {NONE: [], story: []}
            for number in range(scale.rounds):
                order = [NONE, story] if number % 2 else [story, NONE]
                for preset in order:
                    rounds[preset].append(_run(preset, story, is_quick=asked.quick, redis=redis))
            print(f"\n## {story}: {STORIES[story][1]}\n")
            print("\n".join(_table(story, rounds)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
