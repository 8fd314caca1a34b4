"""What it costs a back-test to be told: NautilusTrader replays the same quotes bare, counted, order by order.

The contenders take turns in one process, in changing order. Each turn must end with the same draws, orders
and fills, and what came out is decoded and held against the engine's own books. Exit status 1: it differs.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))  # the program that is measured

from nautilus_backtest import quotes, run  # pyright: ignore[reportMissingImports] - found by the line above
from tickspan_nautilus import NautilusInstrumentor

from tickspan import trading
from tickspan.testing.capture import Capture, RecordedSpan, capture

CLOCKS: Final = {"wall": time.perf_counter, "CPU": time.process_time}


@dataclass
class Contender:
    """One way to run the back-test, with the seconds of its turns by clock."""

    name: str
    settings: dict[str, Any] | None
    """Of the instrumentor; None: it is off."""
    turns: dict[str, list[float]] = field(default_factory=lambda: {clock: [] for clock in CLOCKS})
    faults: list[str] = field(default_factory=list[str])


class Switched(AbstractContextManager["Capture | None"]):
    """The instrumentor as a contender wants it, with what comes out of it."""

    def __init__(self, settings: dict[str, Any] | None) -> None:
        self._settings = settings
        self._capture = capture() if settings is not None else nullcontext()

    def __enter__(self) -> Capture | None:
        told = self._capture.__enter__()
        if told is not None:
            NautilusInstrumentor().instrument(
                tracer_provider=told.tracer_provider,
                meter_provider=told.meter_provider,
                logger_provider=told.logger_provider,
                settings=self._settings,
            )
        return told

    def __exit__(self, *_: object) -> None:
        if self._settings is not None:
            NautilusInstrumentor().uninstrument()
        self._capture.__exit__(None, None, None)


def turn(contender: Contender, data: list[Any], every: int) -> Any:
    """One timed run; what it told is checked after the clocks have stopped."""
    with Switched(contender.settings) as told:
        gc.collect()
        started = {name: clock() for name, clock in CLOCKS.items()}
        outcome = run(data, every)
        for name, clock in CLOCKS.items():
            contender.turns[name].append(clock() - started[name])
        if told is not None:
            trading.shutdown()
            contender.faults += faults(told, outcome, len(data))
    return outcome


def faults(told: Capture, outcome: Any, messages: int) -> list[str]:
    """What was told and is not so, by the run's span, the counters, and the traces if there are any."""
    spans = told.spans()
    [root] = [span for span in spans if span.name == "trading.backtest.run"]
    named = {name.rpartition(".")[2]: value for name, value in root.attributes.items()}
    submitted, filled = (
        sum(
            point.value
            for point in told.points(f"trading.order.{name}")
            if point.attributes["trading.order.operation"] == "submit"
        )
        for name in ("operations", "fills")
    )
    claims = {
        "the run's messages": (named["messages"], messages),
        "the run's orders": (named["orders"], outcome.orders),
        "the run's fills": (named["fills"], outcome.fills),
        "the orders counted": (submitted, outcome.orders),
        "the fills counted": (filled, outcome.fills),
    }
    if len(spans) > 1:
        claims |= {
            "the orders told": (len(named_so(spans, "trading.order.submit")), outcome.orders),
            "the fills told in their orders' traces": (len(fills_in_place(spans)), outcome.fills),
        }
    return [f"{what}: {told} instead of {true}" for what, (told, true) in claims.items() if told != true]


def named_so(spans: Iterable[RecordedSpan], name: str) -> list[RecordedSpan]:
    """Spans whose name begins so."""
    return [span for span in spans if span.name.startswith(name)]


def fills_in_place(spans: list[RecordedSpan]) -> set[Any]:
    """Ids of executions that are told below the call of their own order."""
    calls = {
        span.span_id: span.attributes["trading.order.client_id"]
        for span in named_so(spans, "trading.order.submit")
    }
    return {
        span.attributes["trading.execution.id"]
        for span in spans
        if "trading.execution.id" in span.attributes
        and calls.get(span.parent_id or 0) == span.attributes["trading.order.client_id"]
    }


def ratios(contender: Contender, bare: Contender, clock: str) -> str:
    """Median, 10th and 90th percentile of what a turn took, divided by the bare one of its round."""
    shares = [ours / theirs for ours, theirs in zip(contender.turns[clock], bare.turns[clock], strict=True)]
    first, *_, last = statistics.quantiles(shares, n=10) if len(shares) > 1 else (shares[0], shares[0])
    return f"{statistics.median(shares):.3f} ({first:.3f} … {last:.3f})"


@dataclass(frozen=True)
class Contest:
    """What all contenders did, in changing order."""

    contenders: tuple[Contender, ...]
    truth: Any
    """What a run does that nobody times."""

    @property
    def faults(self) -> list[str]:
        """What a contender did or told otherwise."""
        return [
            f"{contender.name}: {fault}"
            for contender in self.contenders
            for fault in sorted({*contender.faults})
        ]


def contest(quotes_count: int, every: int, rounds: int) -> Contest:
    """Each contender in each round, on the same quotes."""
    data = quotes(quotes_count)
    contenders = (
        Contender("bare", None),
        Contender("bare, again", None),
        Contender("one span and counters (default)", {}),
        Contender("a trace for each order", {"backtest_traces": True}),
    )
    truth = run(data, every)
    order = random.Random(1)  # noqa: S311 - no secret
    for _ in range(rounds):
        for contender in order.sample(contenders, len(contenders)):
            outcome = turn(contender, data, every)
            if outcome != truth:
                contender.faults.append(f"another outcome: {outcome}")
    return Contest(contenders, truth)


def turns(quotes: int, every: int, rounds: int) -> dict[str, Any]:
    """The same in a child of a nursery: seconds by contender and clock, and what was wrong."""
    held = contest(quotes, every, rounds)
    return {
        "turns": {contender.name: contender.turns for contender in held.contenders},
        "orders": held.truth.orders,
        "fills": held.truth.fills,
        "digest": held.truth.digest,
        "faults": held.faults,
        "library": f"nautilus_trader {version('nautilus_trader')}",
    }


def main() -> int:
    """Run, print, and say whether everything agrees."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quotes", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=20, help="one order for so many quotes")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    held = contest(asked.quotes, asked.every, asked.rounds)
    print(
        f"{platform.processor() or platform.machine()}, CPython {platform.python_version()}, "
        f"nautilus_trader {version('nautilus_trader')}, tickspan {version('tickspan')}, "
        f"load {load:.1f} on {os.cpu_count()} cores\n"
        f"{asked.quotes} quotes, {held.truth.orders} orders, {held.truth.fills} fills, "
        f"{asked.rounds} rounds, digest {held.truth.digest[:16]}\n"
    )
    print(f"{'':34}{'ms':>7}   {'x wall':26}{'x CPU'}")
    for contender in held.contenders:
        ms = statistics.median(contender.turns["wall"]) * 1e3
        columns = "".join(f"{ratios(contender, held.contenders[0], clock):26}" for clock in CLOCKS)
        print(f"{contender.name:34}{ms:7.1f}   {columns}".rstrip())
    wrong = held.faults
    print(
        "\n" + ("\n".join(wrong) or "All turns drew, ordered and filled the same; all that was told is so.")
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
