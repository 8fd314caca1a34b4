"""A program with rules: it breaches one when asked to, and says when, and when it heard of it itself."""

from __future__ import annotations

import queue
import time
from typing import Any, Final

from opentelemetry import metrics, trace

import tickspan
from benchmarks.sidebyside.lines import answer, questions
from tickspan import alerts

_PATIENCE_S: Final = 30.0
_OFTEN_S: Final = 0.01


def main() -> None:
    """Answer each question: "threshold" or "event" with seconds since 1970, "calm" when all alerts ended."""
    heard: queue.Queue[tuple[str, str, float]] = queue.Queue()
    alerts.on_change(lambda notice: heard.put((notice.rule, str(notice.state), time.time())))
    tickspan.init(service_name="trader")
    durations = metrics.get_meter("trader").create_histogram("trading.order.duration", "s")
    tracer = trace.get_tracer("trader")
    durations.record(0.001)
    tracer.start_span("warm up").end()
    time.sleep(2.5)  # every evaluator has seen the series
    answer({"ready": True})
    for question in questions():
        began_s = time.time()
        if question == "threshold":
            answer({"began_s": began_s, "heard_s": _breach(durations, heard)})
        elif question == "event":
            span = tracer.start_span("kill switch")
            began_s = time.time()
            span.end()
            answer({"began_s": began_s, "heard_s": _next(heard, "KillSwitch", "firing")})
        else:
            while alerts.active() and time.time() - began_s < _PATIENCE_S:
                time.sleep(_OFTEN_S)
            while not heard.empty():
                heard.get()
            answer({"calm": not alerts.active()})


def _breach(durations: Any, heard: queue.Queue[tuple[str, str, float]]) -> float:
    durations.record(2.0)
    return _next(heard, "SlowOrders", "firing")


def _next(heard: queue.Queue[tuple[str, str, float]], rule: str, state: str) -> float:
    """When it came; 0 when it did not."""
    until_s = time.time() + _PATIENCE_S
    while (left_s := until_s - time.time()) > 0:
        try:
            told = heard.get(timeout=left_s)
        except queue.Empty:
            break
        if told[:2] == (rule, state):
            return told[2]
    return 0.0


if __name__ == "__main__":
    main()
