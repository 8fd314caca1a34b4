"""Spans made by hand, a store that holds them, and a browser's view of the application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import ASGIApp
from tickspan_desk.store import Store
from tickspan_desk.views.otlp import traces_as_otlp
from tickspan_desk.web.app import make_app
from tickspan_spool.receiver import Batch, Limits, decode

from tickspan.received import (
    Attributes,
    ReceivedEvent,
    ReceivedLink,
    ReceivedLog,
    ReceivedSpan,
    ReceivedStatus,
)
from tickspan.semconv.common import SERVICE_NAME

MakeSpan = Callable[..., ReceivedSpan]

START_NS = 1_767_225_600_000_000_000
"""The first moment of 2026."""
TRACE = "0af7651916cd43dd8448eb211c80319c"


def make(
    number: int,
    name: str = "work",
    start: int = 0,
    end: int = 1000,
    parent: int = 0,
    *,
    service: str = "bot",
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    events: Sequence[ReceivedEvent] = (),
    links: Sequence[ReceivedLink] = (),
    error: str | None = None,
    scope: str = "tests",
    trace_id: str = TRACE,
) -> ReceivedSpan:
    """A span whose id is `number`, from `start` to `end` in microseconds after the trace's start."""
    return ReceivedSpan(
        name=name,
        kind=kind,
        trace_id=trace_id,
        span_id=f"{number:016x}",
        parent_span_id=f"{parent:016x}" if parent else None,
        start_ns=START_NS + start * 1000,
        end_ns=START_NS + end * 1000,
        attributes=attributes or {},
        events=tuple(events),
        links=tuple(links),
        status=ReceivedStatus() if error is None else ReceivedStatus(StatusCode.ERROR, error),
        scope=scope,
        resource={SERVICE_NAME: service},
    )


def make_log(body: str, at: int = 0, severity: int = 9, span: int = 0) -> ReceivedLog:
    """A record `at` microseconds after the trace's start."""
    return ReceivedLog(
        body=body,
        severity_number=severity,
        severity_text="",
        event_name="",
        time_ns=START_NS + at * 1000,
        observed_ns=0,
        attributes={},
        trace_id=TRACE,
        span_id=f"{span:016x}" if span else None,
        scope="",
        resource={},
    )


def batch_of(spans: Sequence[ReceivedSpan]) -> Batch:
    """As a receiver would hand it over, by way of OTLP/JSON."""
    body = json.dumps(traces_as_otlp(spans)).encode()
    return decode("traces", {"content-type": "application/json"}, body, Limits())


@pytest.fixture(scope="session")
def span() -> MakeSpan:
    return make


@pytest.fixture(scope="session")
def log() -> Callable[..., ReceivedLog]:
    return make_log


@pytest.fixture(scope="session")
def batch() -> Callable[[Sequence[ReceivedSpan]], Batch]:
    return batch_of


@pytest.fixture
def store() -> Iterator[Store]:
    with Store(None, max_age_s=1e10) as made:
        yield made


@pytest.fixture
def keep(store: Store) -> Callable[[Sequence[ReceivedSpan]], None]:
    """Puts spans into the store, to be read at once."""

    def take(spans: Sequence[ReceivedSpan]) -> None:
        store.take(batch_of(spans))
        store.settle()

    return take


class Visitor:
    """Asks an application as a browser would: no socket, one jar of cookies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._cookies = httpx.Cookies()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.ask("GET", path, headers=dict(headers or {}))

    def post(self, path: str, told: object) -> httpx.Response:
        return self.ask("POST", path, json=told)

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        async def asking() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            url = "http://127.0.0.1:4300"
            async with httpx.AsyncClient(transport=transport, base_url=url, cookies=self._cookies) as client:
                answer = await client.request(method, path, **request)
                self._cookies.update(client.cookies)
                return answer

        return asyncio.run(asking())


@pytest.fixture
def browse(store: Store) -> Callable[..., Visitor]:
    """A visitor of the application over the store; what it is made with goes to `make_app`."""

    def visit(**settings: Any) -> Visitor:
        return Visitor(make_app(store, **settings))

    return visit
