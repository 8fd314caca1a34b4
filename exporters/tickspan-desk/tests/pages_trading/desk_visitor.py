"""Who looks at a desk without a browser; and how values that a test makes come to its store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from starlette.types import ASGIApp, Message, Scope
from tickspan_spool.receiver import Batch

from tickspan.received import Attributes, Telemetry, Value

VOID: Final = frozenset({"meta", "link", "input", "br"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    media_type: str
    text: str

    @property
    def json(self) -> Any:
        """The text, read."""
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Asks an application, as a browser on this machine would."""

    app: ASGIApp

    def get(self, address: str) -> Answer:
        """One answer, whole."""
        return asyncio.run(self._get(address))

    def page(self, address: str) -> Sheet:
        """A page, read: an element that is left open, or closed twice, is an error."""
        answer = self.get(address)
        assert answer.media_type.startswith("text/html"), answer
        return Sheet.of(answer)

    async def _get(self, address: str) -> Answer:
        parts = urlsplit(address)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        said: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            said.append(message)

        await self.app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in said[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in said[1:])
        return Answer(said[0]["status"], headers.get("content-type", ""), body.decode())


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page's text, links and elements."""

    status: int
    text: str
    links: dict[str, str]
    """Address to the words of the last link to it."""
    elements: list[tuple[str, dict[str, str]]]

    @staticmethod
    def of(answer: Answer) -> Sheet:
        """The page of an answer."""
        reader = _Reader()
        reader.feed(answer.text)
        reader.close()
        assert reader.open == []
        return Sheet(answer.status, " ".join(" ".join(reader.texts).split()), reader.links, reader.elements)

    def names(self) -> set[str]:
        """Of all elements."""
        return {name for name, _ in self.elements}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.links: dict[str, str] = {}
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "a":
            self._hrefs.append(found.get("href", ""))
            self.links[self._hrefs[-1]] = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return  # as browsers do
        optional = {"option", "dt", "dd"}
        while self.open and self.open[-1] != tag and self.open[-1] in optional:
            self.open.pop()
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"
        if tag == "a":
            self._hrefs.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        for href in self._hrefs[-1:]:
            self.links[href] += data.strip()


def batches_of(telemetry: Telemetry) -> Iterator[Batch]:
    """Each record in a request of its own, as the official messages encode it."""
    for span in telemetry.spans:
        traces = ExportTraceServiceRequest()
        of_resource = traces.resource_spans.add()
        of_resource.resource.attributes.extend(_pairs(span.resource))
        scoped = of_resource.scope_spans.add()
        scoped.scope.name = span.scope
        scoped.spans.add(
            name=span.name,
            kind=span.kind.value + 1,  # pyright: ignore[reportArgumentType] - an enumeration of the protocol
            trace_id=bytes.fromhex(span.trace_id),
            span_id=bytes.fromhex(span.span_id),
            parent_span_id=bytes.fromhex(span.parent_span_id or ""),
            start_time_unix_nano=span.start_ns,
            end_time_unix_nano=span.end_ns,
            attributes=_pairs(span.attributes),
        ).status.code = span.status.code.value  # pyright: ignore[reportAttributeAccessIssue] - the same
        yield Batch("traces", traces, traces.SerializeToString(), {}, 1)
    for record in telemetry.logs:
        logs = ExportLogsServiceRequest()
        of_logs = logs.resource_logs.add()
        of_logs.resource.attributes.extend(_pairs(record.resource))
        scoped_logs = of_logs.scope_logs.add()
        scoped_logs.scope.name = record.scope
        scoped_logs.log_records.add(
            time_unix_nano=record.time_ns,
            observed_time_unix_nano=record.observed_ns,
            severity_number=record.severity_number,  # pyright: ignore[reportArgumentType] - the same
            severity_text=record.severity_text,
            event_name=record.event_name,
            body=_any(record.body),
            attributes=_pairs(record.attributes),
            trace_id=bytes.fromhex(record.trace_id or ""),
            span_id=bytes.fromhex(record.span_id or ""),
        )
        yield Batch("logs", logs, logs.SerializeToString(), {}, 1)


def _pairs(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=name, value=_any(value)) for name, value in attributes.items()]


def _any(value: Value) -> AnyValue:
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    assert isinstance(value, str)
    return AnyValue(string_value=value)
