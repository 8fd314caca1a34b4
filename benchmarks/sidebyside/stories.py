"""A span as plain values, the same from both ends of the wire, and what is wrong between the two."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from tickspan.received import ReceivedSpan

Story = Mapping[str, Any]
"""All that a span says, as JSON has it."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Expected:
    """Spans that each operation must leave: known beforehand, whatever the contender says it recorded."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What they carry at least."""


def of_recorded(span: ReadableSpan) -> Story:
    """The story of a span of the SDK's, as it was handed to its exporter."""
    context = span.get_span_context()
    assert context is not None
    return _story(
        service=span.resource.attributes["service.name"],
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{span.parent.span_id:016x}" if span.parent is not None else None,
        name=span.name,
        kind=span.kind.name,
        time_ns=(span.start_time, span.end_time),
        attributes=span.attributes or {},
        status=(span.status.status_code.name, span.status.description or ""),
        events=[(event.name, event.timestamp, dict(event.attributes or {})) for event in span.events],
        links=[
            (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}", dict(link.attributes or {}))
            for link in span.links
        ],
    )


def of_received(span: ReceivedSpan) -> Story:
    """The story of a span that came over the wire."""
    return _story(
        service=span.resource["service.name"],
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_span_id,
        name=span.name,
        kind=span.kind.name,
        time_ns=(span.start_ns, span.end_ns),
        attributes=span.attributes,
        status=(span.status.code.name, span.status.description),
        events=[(event.name, event.time_ns, dict(event.attributes)) for event in span.events],
        links=[(link.trace_id, link.span_id, dict(link.attributes)) for link in span.links],
    )


def _story(*, attributes: Mapping[str, Any], **said: Any) -> Story:
    return {**said, "attributes": dict(attributes)}


def faults(
    recorded: Sequence[Story], received: Sequence[Story], expected: Sequence[Expected], operations: int
) -> list[str]:
    """What is wrong with a turn's spans, the first few of each kind in words; empty when all is well."""
    return [
        *_some(_miscounted(recorded, expected, operations)),
        *_some(_poor(recorded, expected)),
        *_some(_different(recorded, received)),
    ]


def _miscounted(recorded: Sequence[Story], expected: Sequence[Expected], operations: int) -> Iterable[str]:
    names = Counter(story["name"] for story in recorded)
    wanted = {each.name: operations for each in expected}
    for name in sorted(names.keys() | wanted.keys()):
        if names[name] != wanted.get(name, 0):
            yield f"{name!r} was recorded {names[name]} times, not {wanted.get(name, 0)}"


def _poor(recorded: Sequence[Story], expected: Sequence[Expected]) -> Iterable[str]:
    least = {each.name: each.attributes for each in expected}
    for story in recorded:
        for name, value in least.get(story["name"], {}).items():
            if _text(story["attributes"].get(name)) != _text(value):
                yield f"{story['name']!r} says {name}={story['attributes'].get(name)!r}, not {value!r}"


def _different(recorded: Sequence[Story], received: Sequence[Story]) -> Iterable[str]:
    sent = {story["span_id"]: story for story in recorded}
    came = {story["span_id"]: story for story in received}
    if len(came) != len(received):
        yield f"{len(received) - len(came)} spans came twice"
    for span_id in sorted(sent.keys() | came.keys()):
        if span_id not in came:
            yield f"{sent[span_id]['name']!r} did not arrive"
        elif span_id not in sent:
            yield f"{came[span_id]['name']!r} arrived, but was not recorded"
        elif _text(sent[span_id]) != _text(came[span_id]):
            yield f"{sent[span_id]['name']!r} arrived with other {_where(sent[span_id], came[span_id])}"


def _where(sent: Story, came: Story) -> str:
    return ", ".join(key for key in sent if _text(sent[key]) != _text(came.get(key)))


def _text(value: Any) -> str:
    """As JSON, in which 1, 1.0 and true are three values."""
    return json.dumps(value, sort_keys=True)


def _some(problems: Iterable[str]) -> list[str]:
    found = list(problems)
    rest = len(found) - _SHOWN
    return [*found[:_SHOWN], f"… and {rest} more of the kind"] if rest > 0 else found
