"""Values made by hand for the views, and a store with what our own providers wrote."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import httpx
import pytest
from starlette.types import ASGIApp
from tickspan_desk.store import Store
from tickspan_desk.store.reading import LogEntry, Series, Window
from tickspan_desk.web.app import make_app
from tickspan_spool.entries import export_request
from tickspan_spool.receiver import Limits, Signal, decode

from tickspan.received import (
    Attributes,
    MetricKind,
    ReceivedLog,
    ReceivedPoint,
    ReceivedSpan,
    ReceivedStatus,
    SpanKind,
    StatusCode,
    Temporality,
    Value,
)
from tickspan.semconv.common import SERVICE_INSTANCE_ID, SERVICE_NAME
from tickspan.testing.sink import MemorySink

SECOND_NS = 1_000_000_000
NOON_NS = 1_795_694_400 * SECOND_NS
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Make:
    """Values at seconds after noon, of the service "bot"."""

    second_ns = SECOND_NS
    noon_ns = NOON_NS
    trace = TRACE

    def at(self, seconds: float) -> int:
        return NOON_NS + int(seconds * SECOND_NS)

    def window(self, since_s: float = 0, until_s: float = 60) -> Window:
        return Window(self.at(since_s), self.at(until_s))

    def resource(self, service: str = "bot", instance: str = "one", **more: Value) -> Attributes:
        return {SERVICE_NAME: service, SERVICE_INSTANCE_ID: instance, **more}

    def series(
        self,
        points: Sequence[ReceivedPoint],
        *,
        name: str = "metric",
        kind: MetricKind = "gauge",
        temporality: Temporality = "cumulative",
        is_monotonic: bool = True,
        unit: str = "1",
        attributes: Attributes | None = None,
        resource: Attributes | None = None,
        number: int = 1,
    ) -> Series:
        told = self.resource() if resource is None else resource
        return Series(
            number=number,
            service=str(told.get(SERVICE_NAME, "")),
            name=name,
            unit=unit,
            description="",
            kind=kind,
            temporality="unspecified" if kind == "gauge" else temporality,
            is_monotonic=is_monotonic and kind == "sum",
            attributes=attributes or {},
            resource=told,
            points=tuple(points),
        )

    def value(self, at_s: float, value: float, start_s: float = 0) -> ReceivedPoint:
        return ReceivedPoint({}, self.at(start_s), self.at(at_s), value=value)

    def explicit(
        self, at_s: float, bounds: Sequence[float], counts: Sequence[int], start_s: float = 0
    ) -> ReceivedPoint:
        return ReceivedPoint(
            {},
            self.at(start_s),
            self.at(at_s),
            count=sum(counts),
            sum=0.0,
            bounds=tuple(bounds),
            bucket_counts=tuple(counts),
        )

    def exponential(  # the parts of a point
        self,
        at_s: float,
        scale: int,
        offset: int,
        counts: Sequence[int],
        *,
        zero: int = 0,
        below: int = 0,
        least: float | None = None,
        start_s: float = 0,
    ) -> ReceivedPoint:
        return ReceivedPoint(
            {},
            self.at(start_s),
            self.at(at_s),
            count=sum(counts) + zero + below,
            sum=0.0,
            min=least,
            bucket_counts=tuple(counts),
            scale=scale,
            offset=offset,
            zero_count=zero,
        )

    def span(
        self,
        number: int,
        start_s: float,
        ms: float,
        attributes: Attributes | None = None,
        *,
        name: str = "SELECT orders",
        parent: int = 0,
        service: str = "bot",
        is_error: bool = False,
        trace_id: str = TRACE,
    ) -> ReceivedSpan:
        return ReceivedSpan(
            name=name,
            kind=SpanKind.CLIENT,
            trace_id=trace_id,
            span_id=f"{number:016x}",
            parent_span_id=f"{parent:016x}" if parent else None,
            start_ns=self.at(start_s),
            end_ns=self.at(start_s) + int(ms * 1e6),
            attributes=attributes or {},
            events=(),
            links=(),
            status=ReceivedStatus(StatusCode.ERROR if is_error else StatusCode.UNSET),
            scope="test",
            resource=self.resource(service) if service else {},
        )

    def event(
        self,
        number: int,
        name: str,
        at_s: float,
        attributes: Attributes,
        body: Value = "",
        *,
        resource: Attributes | None = None,
        trace_id: str | None = None,
    ) -> LogEntry:
        record = ReceivedLog(
            body=body,
            severity_number=9,
            severity_text="INFO",
            event_name=name,
            time_ns=self.at(at_s),
            observed_ns=self.at(at_s),
            attributes=attributes,
            trace_id=trace_id,
            span_id=None,
            scope="test",
            resource=self.resource() if resource is None else resource,
        )
        return LogEntry(number, record)


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def store() -> Iterator[Store]:
    with Store(None) as kept:
        yield kept


class Desk:
    """The application over a store, as a browser and as a program see it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.app: ASGIApp = make_app(store)

    def take(self, sink: MemorySink) -> None:
        """Everything that providers wrote, as their agent sends it."""
        for entry in sink.entries:
            signal = entry.stream.signal
            assert signal in {"traces", "metrics", "logs"}
            self.store.take(decode(cast("Signal", signal), _PROTOBUF, export_request([entry]), Limits()))
        sink.clear()
        self.store.settle()

    def html(self, path: str, status: int = 200) -> str:
        answer = asyncio.run(self._ask(path))
        assert answer.status_code == status, answer.text
        return answer.text

    def json(self, path: str, status: int = 200) -> Any:
        answer = asyncio.run(self._ask(f"/api{path}"))
        assert answer.status_code == status, answer.text
        return json.loads(answer.text)

    async def _ask(self, path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path)


_PROTOBUF: Mapping[str, str] = {"content-type": "application/x-protobuf"}


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()
