"""Metrics of a desk's own business, a rule that watches one of them, and a summary of the last minutes.

Run `python examples/metrics_alerts.py`. Nothing is installed beside tickspan; metrics go where
OTEL_EXPORTER_OTLP_ENDPOINT says, and rules of a file are evaluated the same way (`docs/how-to/alerts.md`).
"""

import queue
import random

import tickspan
from tickspan.alerts import Notice

TRADES = 200
SLOW_MS = 100.0
TOLD_S = 20.0


def trade(draw: random.Random, *, slow: bool) -> None:
    """One trade, as measured by the program itself."""
    took_ms = draw.gauss(250.0 if slow else 20.0, 5.0)
    tickspan.record_metric("desk.trades", 1, kind="rate", unit="{trade}", attributes={"book": "eu"})
    tickspan.record_metric("desk.trade.duration", took_ms, kind="histogram", unit="ms")
    tickspan.record_metric("desk.exposure", draw.uniform(0.2, 0.4), unit="1")


def told(notice: Notice) -> str:
    """A sentence for people."""
    return f"{notice.rule} is {notice.state.value}: {notice.value:.0f} {notice.unit} > {notice.threshold:.0f}"


def main() -> None:
    """A quiet time, then a slow one."""
    tickspan.init({"alerts": {"interval_s": 0.2}}, service_name="desk")
    notices: queue.Queue[Notice] = queue.Queue()
    tickspan.alerts.add_rule(
        "SlowDesk",
        metric="desk.trade.duration",
        metric_kind="histogram",
        metric_unit="ms",
        stat="avg",
        window="30s",
        condition="gt",
        threshold=SLOW_MS,
        severity="warning",
        on_change=notices.put,
    )
    draw = random.Random(7)  # noqa: S311 - the same trades each time
    for _ in range(TRADES):
        trade(draw, slow=False)
    print("quiet:", len(tickspan.alerts.active()), "alerts")
    for _ in range(TRADES):
        trade(draw, slow=True)
    print(told(notices.get(timeout=TOLD_S)))

    summary = tickspan.performance_summary("1m")
    for name in ("desk.trades", "desk.trade.duration", "desk.exposure"):
        for series in summary[name]:
            p95 = "" if series.p95 is None else f", p95 {series.p95:.3g} {series.unit}"
            print(f"{series.name}: {series.kind}, last {series.last:.3g}{p95}")


if __name__ == "__main__":
    main()
