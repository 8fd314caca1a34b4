"""An engine with many rules: what an evaluation costs, how long it holds the GIL, what a span costs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.sidebyside.lines import answer, questions
from tickspan.alerts.engine import Engine
from tickspan.alerts.pace import Pace
from tickspan.analysis.rules.model import (
    Condition,
    Event,
    Rule,
    Scope,
    Selector,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.readings import Occurrence, PointKind, Reading, Sender
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.tiers import Tier
from tickspan.semconv.common import SERVICE_INSTANCE_ID, SERVICE_NAME

RULES: Final = 200
SERIES: Final = 50
EVENT_RULES: Final = 100
_SENDER: Final = Sender.of({SERVICE_NAME: "bench", SERVICE_INSTANCE_ID: "1"})
_BY: Final = "venue"
_SPANS: Final = 20_000
_FULL: Final = 70
"""Rounds after which every window is full."""
_PACE: Final = Pace()


def main(kind: str) -> None:
    """Answer each question, a number of evaluations, with what they took.

    `kind` is "still" (rules over the last value, which stays as it is) or "moving" (over the average of a
    full window, to which each evaluation adds a value).
    """
    engine, readings = _prepared(StatName.LAST if kind == "still" else StatName.AVG)
    answer({"rules": RULES, "series": SERIES, "active": _primed(engine, readings)})
    for question in questions():
        answer(
            {
                "evaluations": list(_evaluated(engine, readings, question["evaluations"])),
                "stalls": _beside(engine, readings, question["evaluations"]),
                "span_ns": _spans(engine, "no such span"),
                "empty_ns": _spans(None, "no such span"),
            }
        )


def _prepared(stat: StatName) -> tuple[Engine, list[Reading]]:
    metrics = [f"bench.gauge.{number}" for number in range(RULES // 4)]
    rules = [
        Rule(
            f"Rule{number}",
            Threshold(Selector(metrics[number % len(metrics)]), Stat(stat)),
            Condition.GT,
            SERIES - 1.5,  # one series of each rule is beyond it
            by=(_BY,),
            scope=Scope.PROCESS,
            window_s=60.0,
            for_s=5.0,
        )
        for number in range(RULES)
    ]
    events = [
        Rule(f"Event{number}", Event(Signal.SPAN, f"span {number}"), Condition.GE, 1.0)
        for number in range(EVENT_RULES)
    ]
    engine = Engine(RuleSet((*rules, *events)), Tier.PROCESS, frozenset({Tier.PROCESS}), pace=_PACE)
    attributes = [{_BY: f"venue-{number}"} for number in range(SERIES)]
    readings = [
        Reading(_SENDER, metric, PointKind.GAUGE, each, float(place))
        for metric in metrics
        for place, each in enumerate(attributes)
    ]
    return engine, readings


def _primed(engine: Engine, readings: list[Reading]) -> int:
    for _ in range(_FULL):
        _round(engine, readings)
    return len(engine.active())


_now_s = 0.0


def _round(engine: Engine, readings: list[Reading]) -> None:
    global _now_s
    _now_s += 1.0
    _PACE.begin()
    engine.observe(readings, _now_s)
    for _ in engine.evaluate(_now_s, _now_s):
        pass


def _evaluated(engine: Engine, readings: list[Reading], times: int) -> Iterator[dict[str, int]]:
    """CPU time of taking all readings, and of evaluating all rules."""
    global _now_s
    for _ in range(times):
        _now_s += 1.0
        began_ns = time.thread_time_ns()
        engine.observe(readings, _now_s)
        taken_ns = time.thread_time_ns()
        for _ in engine.evaluate(_now_s, _now_s):
            pass
        yield {"observe_ns": taken_ns - began_ns, "evaluate_ns": time.thread_time_ns() - taken_ns}


def _beside(engine: Engine, readings: list[Reading], times: int) -> dict[str, list[int]]:
    """How late a thread is that sleeps a millisecond at a time: idle, and while rules are evaluated."""
    return {
        "idle": _delays(lambda: time.sleep(0.05), times),
        "rules": _delays(lambda: _round(engine, readings), times),
    }


def _delays(work: Any, times: int) -> list[int]:
    done = threading.Event()

    def run() -> None:
        for _ in range(times):
            work()
        done.set()

    worker = threading.Thread(target=run)
    worker.start()
    delays: list[int] = []
    while not done.is_set():
        due_ns = time.perf_counter_ns() + 1_000_000
        time.sleep(0.001)
        delays.append(time.perf_counter_ns() - due_ns)
    worker.join()
    return delays


def _spans(engine: Engine | None, name: str) -> float:
    """CPU time of a span that matches none of the event rules; None is the empty loop."""
    occurrence = Occurrence(_SENDER, Signal.SPAN, name, {})
    happened = _ignore if engine is None else engine.happened
    began_ns = time.thread_time_ns()
    for _ in range(_SPANS):
        happened(occurrence, _now_s)
    return (time.thread_time_ns() - began_ns) / _SPANS


def _ignore(_occurrence: Occurrence, _now_s: float) -> bool:
    return False


if __name__ == "__main__":
    main(*sys.argv[1:])
