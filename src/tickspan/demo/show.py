"""The demo on a terminal: the slowest order as a waterfall, operations, stages, and what was delivered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tickspan.demo.report import DemoReport
from tickspan.demo.stage import Performance
from tickspan.semconv import trading
from tickspan.testing.decoding import ReceivedSpan, StatusCode

LABEL: Final = 40
TIMING: Final = 22
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
        console.print(waterfall(slowest, max(LEAST_BAR, min(console.width, 120) - LABEL - TIMING)))
    console.print(operations_table(performance.report))
    console.print(stages_table(performance.report))
    console.print(verdict(performance))


def slowest_order(spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    """All spans of the trace whose order took longest."""
    lifecycles = [span for span in spans if span.name == trading.SPAN_ORDER_LIFECYCLE]
    if not lifecycles:
        return []
    slowest = max(lifecycles, key=lambda span: span.end_ns - span.start_ns)
    return [span for span in spans if span.trace_id == slowest.trace_id]


def waterfall(spans: Sequence[ReceivedSpan], width: int) -> RenderableType:
    """One line a span: indented name, a bar on the trace's time axis, start and duration in milliseconds.

    `width` is that of the axis, in characters.
    """
    start = min(span.start_ns for span in spans)
    axis = Axis(start, max(max(span.end_ns for span in spans) - start, 1), width)
    return Group(*(_line(span, depth, axis) for span, depth in in_tree_order(spans)))


@dataclass(frozen=True, slots=True)
class Axis:
    """A trace's time on `width` characters."""

    start_ns: int
    total_ns: int
    width: int

    def bar(self, span: ReceivedSpan) -> str:
        """The span's place in time; at least one character, however short it was."""
        left = min(round((span.start_ns - self.start_ns) / self.total_ns * self.width), self.width - 1)
        length = max(1, round((span.end_ns - span.start_ns) / self.total_ns * self.width))
        return (" " * left + "█" * length)[: self.width].ljust(self.width)


def in_tree_order(spans: Sequence[ReceivedSpan]) -> Iterator[tuple[ReceivedSpan, int]]:
    """Spans with their depth: parents first, siblings by their start."""
    known = {span.span_id for span in spans}
    pending = [(span, 0) for span in _by_start(spans) if span.parent_span_id not in known][::-1]
    while pending:
        span, depth = pending.pop()
        yield span, depth
        children = [child for child in _by_start(spans) if child.parent_span_id == span.span_id]
        pending.extend((child, depth + 1) for child in reversed(children))


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
        f"Redis: {performance.redis}",
    )
    shortfalls = report.shortfalls()
    closing = (
        Text("all is well", style="bold green")
        if not shortfalls
        else Text("; ".join(shortfalls), style="bold red")
    )
    return Text("\n").join([Text(line) for line in lines] + [closing])


def _line(span: ReceivedSpan, depth: int, axis: Axis) -> Text:
    label = f"{'  ' * depth}{span.name}"
    label = label if len(label) <= LABEL else label[: LABEL - 1] + "…"
    start_s, duration_s = (span.start_ns - axis.start_ns) / 1e9, (span.end_ns - span.start_ns) / 1e9
    style = "red" if span.status.code is StatusCode.ERROR else _COLOURS.get(span.scope, "white")
    timing = f"{_ms(start_s):>9}{_ms(duration_s):>9} ms"
    return Text.assemble(label.ljust(LABEL), (axis.bar(span), style), timing, overflow="crop", no_wrap=True)


def _by_start(spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    return sorted(spans, key=lambda span: (span.start_ns, span.end_ns))


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}"
