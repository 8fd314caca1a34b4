"""Event rules: which spans and log events are handed to them, at the moment when they end or are emitted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from tickspan.analysis.rules.model import Signal
from tickspan.analysis.rules.readings import Occurrence, Sender, Value
from tickspan.recording import Guard
from tickspan.semconv.alerts import EVENT_STATE_CHANGE

__all__ = ["EventRules"]

_SCALARS: Final = (str, bool, int, float)
_STATUS: Final = ("unset", "ok", "error")
_NOTHING: Final[frozenset[str]] = frozenset()


class EventRules:
    """Hooks for providers; safe from any thread. What no rule names costs one look-up.

    The event by which alerts are told is no occurrence: a rule over it would feed itself.
    """

    def __init__(self, take: Callable[[Occurrence], None], sender: Callable[[], Sender]) -> None:
        """Hand occurrences to `take`, which does not wait; `sender` is this process."""
        self._take = take
        self._sender = sender
        self._guard = Guard("processor", "alerts")
        self._spans: Collection[str] | None = _NOTHING
        self._events: Collection[str] | None = _NOTHING

    def __repr__(self) -> str:
        return f"<EventRules spans {_told(self._spans)}, log events {_told(self._events)}>"

    @property
    def wants_spans(self) -> bool:
        """Whether any span may be counted."""
        return self._spans is None or bool(self._spans)

    @property
    def wants_events(self) -> bool:
        """Whether any log event may be counted."""
        return self._events is None or bool(self._events)

    def look_for(self, spans: Collection[str] | None, events: Collection[str] | None) -> None:
        """Names that are handed on from now on, in containers that are quick to ask; None is every name."""
        self._spans, self._events = spans, events

    def ended(self, span: Any) -> None:
        """A span that was recorded has ended: for `TracerProvider.notice_endings`."""
        if self._spans is None or span.name in self._spans:
            self._guard.own(self._span, span, default=None)

    def wants(self, event_name: str) -> bool:
        """As an `EventNoticer`."""
        if event_name == EVENT_STATE_CHANGE:
            return False
        return self._events is None or event_name in self._events

    def happened(self, event_name: str, attributes: Mapping[str, Any], trace_id: int, span_id: int) -> None:
        """As an `EventNoticer`."""
        self._take(
            Occurrence(
                self._sender(),
                Signal.LOG,
                event_name,
                _scalars(attributes),
                trace_id=_hex(trace_id, 32),
                span_id=_hex(span_id, 16),
            )
        )

    def _span(self, span: Any) -> None:
        context = span.get_span_context()
        start_ns, end_ns = span.start_time, span.end_time
        self._take(
            Occurrence(
                self._sender(),
                Signal.SPAN,
                span.name,
                _scalars(span.attributes or {}),
                _STATUS[span.status.status_code.value],
                max(0, end_ns - start_ns) / 1e9 if start_ns is not None and end_ns is not None else 0.0,
                _hex(context.trace_id, 32),
                _hex(context.span_id, 16),
            )
        )


def _scalars(attributes: Mapping[str, Any]) -> Mapping[str, Value]:
    return {name: value for name, value in attributes.items() if isinstance(value, _SCALARS)}


def _hex(number: int, digits: int) -> str:
    return f"{number:0{digits}x}" if number else ""


def _told(names: Collection[str] | None) -> str:
    return "of any name" if names is None else ", ".join(sorted(names)) or "none"
