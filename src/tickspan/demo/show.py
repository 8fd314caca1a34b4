"""The demo on a terminal: the slowest order as a waterfall, operations, stages, and what was delivered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tickspan.demo.report import DemoReport
from tickspan.demo.stage import Performance
from tickspan.received import ReceivedSpan, StatusCode
from tickspan.semconv import trading
from tickspan.waterfall import LABEL, TIMING, Line, waterfall

LEAST_BAR: Final = 12
_COLOURS: Final = {
    "tickspan_ccxt": "cyan",
    "tickspan_sqlalchemy": "yellow",
    "tickspan_redis": "magenta",
}


def show(performance: Performance, console: Console) -> None:
    """Print all parts."""
    slowest = slowest_order(performance.spans)
    if slowest:
        console.print(Text("The slowest order, from its tick to its last fill", style="bold"))
        console.print(picture(slowest, max(LEAST_BAR, min(console.width, 120) - LABEL - TIMING)))
    console.print(operations_table(performance.report))
    console.print(stages_table(performance.report))
    if performance.report.signals:
        console.print(signals_table(performance.report))
    console.print(verdict(performance))


def slowest_order(spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    """All spans of the trace whose order took longest."""
    lifecycles = [span for span in spans if span.name == trading.SPAN_ORDER_LIFECYCLE]
    if not lifecycles:
        return []
    slowest = max(lifecycles, key=lambda span: span.end_ns - span.start_ns)
    return [span for span in spans if span.trace_id == slowest.trace_id]


def picture(spans: Sequence[ReceivedSpan], width: int) -> RenderableType:
    """The waterfall of one trace in colours: by instrumentation, errors in red."""
    return Group(*(_coloured(line) for line in waterfall(spans, width)))


def operations_table(report: DemoReport) -> Table:
    """Operations by name."""
    table = Table(title="Operations", title_justify="left", box=None, pad_edge=False)
    for heading in ("operation", "count", "p50 ms", "p99 ms", "errors"):
        table.add_column(heading, justify="left" if heading == "operation" else "right")
    for row in report.operations:
        table.add_row(row.name, str(row.count), _ms(row.p50_s), _ms(row.p99_s), str(row.errors))
    return table


def stages_table(report: DemoReport) -> Table:
    """Latency stages over all orders."""
    table = Table(title="From tick to fill", title_justify="left", box=None, pad_edge=False)
    for heading in ("stage", "orders", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for name, stage in report.stages.items():
        table.add_row(name, str(stage.count), _ms(stage.p50_s), _ms(stage.p99_s))
    return table


def signals_table(report: DemoReport) -> Table:
    """What was planted, and what tells it."""
    table = Table(
        title="What costs money and no exception tells", title_justify="left", box=None, pad_edge=False
    )
    for heading in ("planted once each", "told by", "planted", "told"):
        table.add_column(heading, justify="right" if heading in ("planted", "told") else "left")
    for one in report.signals:
        style = "" if one.is_right else "bold red"
        table.add_row(one.signal.value, one.source, str(one.planted), str(one.told), style=style)
    return table


def verdict(performance: Performance) -> Text:
    """What was delivered and lost, against the venue's own count."""
    report = performance.report
    lines = (
        f"{report.orders} orders at the venue, {report.orders_filled} filled",
        f"{report.orders_with_one_trace} of them in exactly one trace each",
        f"{report.triggering_ticks} ticks caused them, in {report.order_traces} traces",
        f"{report.executions} executions, {report.executions_in_their_orders_trace} in their order's trace",
        f"{report.ended} spans ended, {report.delivered} delivered, {report.dropped} dropped",
        f"{report.secrets_found} secrets found in what was sent",
        f"{sum(one.is_right for one in report.signals)} of {len(report.signals)} planted faults told",
        f"Redis: {performance.redis}",
    )
    shortfalls = report.shortfalls()
    closing = (
        Text("all is well", style="bold green")
        if not shortfalls
        else Text("; ".join(shortfalls), style="bold red")
    )
    return Text("\n").join([Text(line) for line in lines] + [closing])


def _coloured(line: Line) -> Text:
    span = line.span
    style = "red" if span.status.code is StatusCode.ERROR else _COLOURS.get(span.scope, "white")
    return Text.assemble(line.label, (line.bar, style), line.timing, overflow="crop", no_wrap=True)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}"
