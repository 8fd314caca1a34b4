"""Traffic: requests of a trading bot as a stock exporter encodes them, every id of its own.

As a program: `traffic.py PORT REQUESTS SEED START` makes the requests, says `ready`, waits for a line, sends
them one after another with gzip over one connection, and says how many were accepted.
"""

from __future__ import annotations

import gzip
import http.client
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tickspan.semconv import common, db, trading

SPANS: Final = 512
"""In a request: the batch size of the stock SDK."""
IN_TRACE: Final = 8
_SYMBOLS: Final = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")
_ERRORS: Final = 0.01
_RENEWED: Final = 32
"""Requests after which the message that they are made with is made anew."""
_QUERY: Final = "SELECT price, size FROM quotes_{} WHERE symbol = $1 ORDER BY id DESC LIMIT 1"


class Traffic:
    """Requests of one bot; the same seed makes the same."""

    def __init__(self, seed: int, spans: int = SPANS) -> None:
        self._random = random.Random(seed)  # noqa: S311 - not a secret
        self._orders = seed * 10_000_000
        self._request = ExportTraceServiceRequest()
        group = self._request.resource_spans.add(resource=_resource())
        scoped = group.scope_spans.add()
        scoped.scope.name, scoped.scope.version = "bot", "1.0"
        self._spans = [scoped.spans.add() for _ in range(spans)]
        self._made = 0
        for number, span in enumerate(self._spans):
            _fill(span, number % IN_TRACE, self._random)

    def traces(self, start_ns: int) -> bytes:
        """One request; its traces begin at `start_ns`, a hundred microseconds apart."""
        self._made += 1
        if self._made % _RENEWED == 0:
            self._renew()
        trace_id = root = order = b""
        for number, span in enumerate(self._spans):
            place = number % IN_TRACE
            if place == 0:
                trace_id, root = self._random.randbytes(16), b""
                self._orders += 1
                order = f"x-{self._orders:012d}".encode()
            span.trace_id, span.span_id, span.parent_span_id = trace_id, self._random.randbytes(8), root
            root = root or span.span_id
            span.start_time_unix_nano = start_ns + number * 100_000
            span.end_time_unix_nano = span.start_time_unix_nano + int(self._random.lognormvariate(14, 1.2))
            span.status.code = 2 if self._random.random() < _ERRORS else 0  # pyright: ignore[reportAttributeAccessIssue] - a number is taken
            if place >= IN_TRACE - 3:
                span.attributes[0].value.string_value = order.decode()
                span.attributes[1].value.string_value = str(self._orders)
        return self._request.SerializeToString()

    def _renew(self) -> None:
        """A message keeps all that it ever held: a long run would be told this as memory of the desk."""
        fresh = ExportTraceServiceRequest()
        fresh.CopyFrom(self._request)
        self._request = fresh
        self._spans = list(fresh.resource_spans[0].scope_spans[0].spans)

    def logs(self, start_ns: int, count: int) -> bytes:
        """One request of log records, a millisecond apart; one in fifty is a warning."""
        request = ExportLogsServiceRequest()
        scoped = request.resource_logs.add(resource=_resource()).scope_logs.add()
        for number in range(count):
            is_warning = self._random.random() < 0.02
            scoped.log_records.add(
                time_unix_nano=start_ns + number * 1_000_000,
                observed_time_unix_nano=start_ns + number * 1_000_000,
                severity_number=13 if is_warning else 9,  # pyright: ignore[reportArgumentType] - a number is taken
                severity_text="WARN" if is_warning else "INFO",
                body=AnyValue(
                    string_value=f"quote {self._random.random():.9f} of {self._random.choice(_SYMBOLS)}"
                ),
                trace_id=self._random.randbytes(16),
                span_id=self._random.randbytes(8),
                attributes=[_pair("logger", f"bot.{self._random.randrange(20)}")],
            )
        return request.SerializeToString()

    def metrics(self, now_ns: int, series: int) -> bytes:
        """One request of gauges, one point for each series."""
        request = ExportMetricsServiceRequest()
        scoped = request.resource_metrics.add(resource=_resource()).scope_metrics.add()
        for number in range(series):
            metric = scoped.metrics.add(name=f"bot.metric.{number % 10}", unit="ms")
            metric.gauge.data_points.add(
                time_unix_nano=now_ns,
                as_double=self._random.random(),
                attributes=[_pair("place", str(number // 10))],
            )
        return request.SerializeToString()


def requests(count: int, seed: int, start_ns: int, apart_ns: int) -> Iterator[bytes]:
    """Requests of spans, `apart_ns` between their beginnings."""
    traffic = Traffic(seed)
    for number in range(count):
        yield traffic.traces(start_ns + number * apart_ns)


def _resource() -> Resource:
    return Resource(attributes=[_pair(common.SERVICE_NAME, "bot"), _pair("host.name", "bench")])


def _pair(key: str, value: str | float) -> KeyValue:
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(double_value=value))


def _fill(span: Span, place: int, seeded: random.Random) -> None:
    symbol = seeded.choice(_SYMBOLS)
    of_venue = [_pair(trading.VENUE_NAME, "binance"), _pair(trading.INSTRUMENT_SYMBOL, symbol)]
    of_query = [
        _pair(db.DB_SYSTEM_NAME, "postgresql"),
        _pair(common.SERVER_ADDRESS, "db.internal"),
        _pair(common.SERVER_PORT, 5432),
        _pair(db.DB_OPERATION_NAME, "SELECT"),
        _pair(db.DB_QUERY_TEXT, _QUERY.format(place)),
    ]
    of_order = [
        _pair(trading.ORDER_CLIENT_ID, ""),
        _pair(trading.ORDER_VENUE_ID, ""),
        *of_venue,
        _pair(trading.ORDER_SIDE, seeded.choice(("buy", "sell"))),
        _pair(trading.ORDER_STATUS, "filled" if place > IN_TRACE - 3 else "new"),
    ]
    names = (
        (trading.SPAN_FEED_MESSAGE, [*of_venue, _pair("message.size", seeded.randrange(1000))]),
        (trading.SPAN_STRATEGY_DECISION, [*of_venue, _pair("signal.strength", seeded.random())]),
        ("SELECT quotes", of_query),
        ("GET", [_pair(db.DB_SYSTEM_NAME, "redis"), _pair(db.DB_OPERATION_NAME, "GET")]),
        (trading.SPAN_RISK_CHECK, of_venue),
        (f"{trading.SPAN_ORDER}.submit binance", of_order),
        (f"{trading.SPAN_ORDER_EVENT} filled", of_order),
        (trading.SPAN_ORDER_LIFECYCLE, of_order),
    )
    span.name, span.kind = names[place][0], (5, 1, 3, 3, 1, 3, 5, 1)[place]  # pyright: ignore[reportAttributeAccessIssue] - a number is taken
    span.flags = 0x101
    span.attributes.extend(names[place][1])
    span.attributes.extend(
        [
            _pair("thread.id", 140_000 + seeded.randrange(4)),
            _pair("thread.name", "MainThread"),
            _pair("code.function.name", f"bot.strategy.step_{place}"),
            _pair("code.line.number", 10 * place),
        ]
    )


def main() -> int:
    port, count, seed, start_ns = (int(word) for word in sys.argv[1:5])
    bodies = [gzip.compress(body) for body in requests(count, seed, start_ns, 1_000_000)]
    print(f"ready {sum(map(len, bodies))}", flush=True)
    sys.stdin.readline()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    accepted = 0
    for body in bodies:
        connection.request("POST", "/v1/traces", body, headers)
        answer = connection.getresponse()
        answer.read()
        accepted += answer.status == 200
    connection.close()
    print(f"accepted {accepted}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
