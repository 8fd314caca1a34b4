"""Trace context and baggage on their way out, to our own hosts only, and on their way in, bounded.

Stock OpenTelemetry sends `traceparent` and baggage to every host that a client calls, and parses whatever a
stranger sends. Here a propagator of the user's choice is wrapped:

- **Out**: context goes to a host on the list. The host is read from the span that is current in the context
  (`server.address`, the URL); without one there, from a `Host` field of the carrier, or from `towards`.
  A message (PRODUCER) without a host goes: who reads it stands behind a broker. So does the environment of a
  sub-process. A database's statement never does, nor a venue's request, to whichever host. Anything else
  whose destination nobody knows does not go: it might be a foreign host's.
- **Per hop**: clients copy headers when they follow a redirect; what a former hop has put there is taken out
  of a carrier that goes to a foreign one.
- **In**: length before parsing. What is too long, or cannot be read, is counted and ignored.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import SpanKind

from tickspan.instrumentation.hosts import HostList, host_of
from tickspan.instrumentation.redirects import RedirectWatch
from tickspan.instrumentation.suppression import is_bare
from tickspan.recording import Guard, diagnostics
from tickspan.recording.tally import Tally
from tickspan.semconv.common import SERVER_ADDRESS
from tickspan.semconv.db import DB_SYSTEM_NAME
from tickspan.semconv.foreign import DB_SYSTEM_OLD, HTTP_HOST, HTTP_URL, NET_PEER_NAME, URL_FULL

__all__ = [
    "GuardedPropagator",
    "PropagationRules",
    "install",
    "is_installed",
    "propagations",
    "towards",
    "uninstall",
]


class Destination(StrEnum):
    """What was decided of one injection."""

    OURS = "ours"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"
    STATEMENT = "statement"
    """A database's statement: a comment that differs each time defeats its cache of plans."""
    BARE = "bare"
    """A request that is to carry nothing of ours: one to a venue, also by a gateway on the list."""


TOO_LONG: Final = "too_long"
TOO_MANY: Final = "too_many"
MALFORMED: Final = "malformed"
UNSAFE: Final = "unsafe"
"""CR, LF or NUL in a value, of either direction."""
CARRIER: Final = "carrier"
"""A carrier that could not be read or written."""

_MAX_RECENT: Final = 1024
"""Values of injected fields that are known again on the next hop."""
_MAX_FIELDS: Final = 256

_TALLY: Final = Tally((*Destination, TOO_LONG, TOO_MANY, MALFORMED, UNSAFE, CARRIER))


def propagations() -> dict[str, int]:
    """Injections so far by destination, and what was ignored, by reason."""
    return _TALLY.counts()


@dataclass(frozen=True, slots=True)
class PropagationRules:
    """To whom context and baggage may go."""

    hosts: HostList = field(default_factory=lambda: HostList(with_private=True))
    baggage_hosts: HostList = field(default_factory=HostList)
    baggage_keys: frozenset[str] = frozenset()

    @staticmethod
    def of(
        hosts: Iterable[str] = (), baggage_hosts: Iterable[str] = (), baggage_keys: Iterable[str] = ()
    ) -> PropagationRules:
        """Rules from settings: `hosts` come on top of this machine and private names, unless one is `none`.

        Raises:
            ValueError: an entry is no host, suffix or network.
        """
        return PropagationRules(
            HostList(hosts, with_private=True), HostList(baggage_hosts), frozenset(baggage_keys)
        )


_TOWARDS: Final = otel_context.create_key("tickspan-propagation-host")


def towards(host: str, context: Context | None = None) -> Context:
    """`context` in which injections go to `host`: for callers whose span does not say where."""
    return otel_context.set_value(_TOWARDS, host, context)


class GuardedPropagator(TextMapPropagator):
    """A propagator behind the rules; it never raises. Safe from any thread.

    Args:
        wrapped: the user's; of a composite each part has a guard of its own.
        rules: to whom context and baggage may go.
    """

    def __init__(self, wrapped: TextMapPropagator, rules: PropagationRules | None = None) -> None:
        self.wrapped = wrapped
        self.rules = rules or PropagationRules()
        self._parts = tuple((part, Guard("propagator", type(part).__name__)) for part in _parts_of(wrapped))
        self._guard = Guard("propagator", "tickspan")
        self._recent: deque[str] = deque(maxlen=_MAX_RECENT)

    def __repr__(self) -> str:
        names = ", ".join(type(part).__name__ for part, _ in self._parts)
        return f"<GuardedPropagator {names or 'nothing'} to {self.rules.hosts!r}>"

    @property
    def fields(self) -> set[str]:
        """Names of the fields that `inject` may set."""
        return {
            name for part, guard in self._parts for name in guard.user(_fields_of, part, default=set[str]())
        }

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Set the fields of the context in `carrier`, if they may go where it goes."""
        self._guard.own(self._inject, carrier, context, setter, default=None)

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """`context` with what can be read from `carrier`; if nothing can, as it is, or an empty one."""
        bounded: Getter[Any] = _BoundedGetter(getter)
        for part, guard in self._parts:
            context = guard.user(_extracted, part, carrier, context, bounded, default=context)
        return context if context is not None else Context()

    def _inject(self, carrier: Any, context: Context | None, setter: Setter[Any]) -> None:
        current = context if context is not None else otel_context.get_current()
        hosts = destinations(current, carrier)
        decided = decide(current, hosts, setter, self.rules.hosts)
        _TALLY.add(decided)
        if decided is not Destination.OURS:
            if decided in (Destination.FOREIGN, Destination.BARE):
                self._take_back(carrier)
            return
        told = _with_allowed_baggage(current, hosts, self.rules)
        fields: dict[str, str] = {}
        for part, guard in self._parts:
            guard.user(part.inject, fields, told, default=None)
        for name, value in fields.items():
            self._set(setter, carrier, name, value)

    def _set(self, setter: Setter[Any], carrier: Any, name: str, value: object) -> None:
        if not isinstance(value, str) or _UNSAFE.search(value) or _UNSAFE.search(name):
            _TALLY.add(UNSAFE)
            return
        self._recent.append(value)
        try:
            setter.set(carrier, name, value)
        except Exception:  # noqa: BLE001 - a carrier is the caller's own object
            _TALLY.add(CARRIER)

    def withdraw(self, carrier: object, host: str) -> None:
        """Take what was injected before out of headers that now go to `host`, if that is a foreign one.

        Clients copy headers when they follow a redirect. Fields are known by their values: a caller's own
        header of that name stays.
        """
        if not self.rules.hosts.allows(host_of(host)):
            self._guard.own(self._take_back, carrier, default=None)

    def _take_back(self, carrier: Any) -> None:
        if not isinstance(carrier, Mapping) or len(carrier) > _MAX_FIELDS:
            return
        fields = self.fields
        try:
            found = {
                name: carrier[name] for name in carrier if isinstance(name, str) and name.lower() in fields
            }
            for name in [name for name, value in found.items() if value in self._recent]:
                del carrier[name]  # pyright: ignore[reportIndexIssue] - read-only ones raise
        except Exception:  # noqa: BLE001 - a carrier is the caller's own object
            _TALLY.add(CARRIER)


def destinations(context: Context, carrier: Any) -> tuple[str, ...]:
    """Every host that is said to be where `carrier` goes, by the source that knows best; often none."""
    given = context.get(_TOWARDS)
    if isinstance(given, str):
        return (host_of(given),)
    attributes = _attributes_of(trace.get_current_span(context))
    named = [attributes.get(name) for name in (SERVER_ADDRESS, NET_PEER_NAME, HTTP_HOST)]
    hosts = [host_of(name) for name in named if isinstance(name, str) and name]
    urls = [attributes.get(name) for name in (URL_FULL, HTTP_URL)]
    hosts.extend(_host_of_url(url) for url in urls if isinstance(url, str) and url)
    return tuple(hosts or _hosts_of_carrier(carrier))


def decide(context: Context, hosts: tuple[str, ...], setter: object, allowed: HostList) -> Destination:
    """Where an injection goes. All that is known of the place must be on the list."""
    if is_bare(context) or is_bare(otel_context.get_current()):
        return Destination.BARE
    span = trace.get_current_span(context)
    attributes = _attributes_of(span)
    if DB_SYSTEM_NAME in attributes or DB_SYSTEM_OLD in attributes:
        return Destination.STATEMENT
    if allowed.is_everywhere:
        return Destination.OURS
    if hosts:
        return Destination.OURS if all(allowed.allows(host) for host in hosts) else Destination.FOREIGN
    if getattr(span, "kind", None) is SpanKind.PRODUCER or type(setter).__name__ == "EnvironmentSetter":
        return Destination.OURS
    return Destination.UNKNOWN


def _attributes_of(span: object) -> Mapping[str, Any]:
    attributes = getattr(span, "attributes", None)
    return attributes if isinstance(attributes, Mapping) else {}


_AMBIGUOUS: Final = re.compile(r"[\\\s\0]")
"""What clients and `urlsplit` take for different things."""


def _host_of_url(url: str) -> str:
    if _AMBIGUOUS.search(url):
        return "?"  # on no list
    try:
        return urlsplit(url[:4096]).hostname or "?"
    except ValueError:
        return "?"


def _hosts_of_carrier(carrier: Any) -> list[str]:
    get = getattr(carrier, "get", None)
    if get is None:
        return []
    for name in ("host", "Host", ":authority"):
        try:
            value = get(name)
        except Exception:  # noqa: BLE001 - a carrier is the caller's own object
            return []
        if isinstance(value, str) and value:
            return [host_of(value)]
    return []


def _with_allowed_baggage(context: Context, hosts: tuple[str, ...], rules: PropagationRules) -> Context:
    """`context` without baggage that may not go: to a host that is not listed, or under such a key."""
    entries = baggage.get_all(context)
    if not entries:
        return context
    allowed = rules.baggage_hosts
    if not allowed.is_everywhere and not (hosts and all(allowed.allows(host) for host in hosts)):
        return baggage.clear(context)
    for key in entries:
        if key not in rules.baggage_keys:
            context = baggage.remove_baggage(key, context)
    return context


_UNSAFE: Final = re.compile(r"[\r\n\0]")


_MAX_TRACEPARENT: Final = 512
_MAX_TRACESTATE: Final = 512
_MAX_TRACESTATE_MEMBERS: Final = 32
_MAX_BAGGAGE: Final = 8192
_MAX_BAGGAGE_MEMBERS: Final = 64
_MAX_OTHER: Final = 1024
_TRACEPARENT: Final = re.compile(r"[ \t]*[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[^\s]*)?[ \t]*")
_TRACESTATE_MEMBER: Final = re.compile(
    r"[ \t]*(?:[a-z][_0-9a-z*/-]{0,255}|[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e][ \t]*"
)
_BAGGAGE_MEMBER: Final = re.compile(
    r"[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=[ \t]*[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*[ \t]*"
    r"(?:;[\x20-\x2b\x2d-\x7e\t]*)?"
)


class _BoundedGetter(Getter[Any]):
    """Reads a carrier for the propagator, which sees only what is short and well-formed."""

    def __init__(self, getter: Getter[Any]) -> None:
        self._getter = getter

    def get(self, carrier: Any, key: str) -> list[str] | None:
        try:
            values = self._getter.get(carrier, key)
        except Exception:  # noqa: BLE001 - a carrier is the caller's own object
            _TALLY.add(CARRIER)
            return None
        if not values:
            return None
        kept, refused = acceptable(key.lower(), values)
        if refused is not None:
            _ignore(refused, key, values)
        return kept

    def keys(self, carrier: Any) -> list[str]:
        try:
            return self._getter.keys(carrier)
        except Exception:  # noqa: BLE001 - a carrier is the caller's own object
            _TALLY.add(CARRIER)
            return []


def acceptable(key: str, values: list[str]) -> tuple[list[str] | None, str | None]:
    """What of the values of one field may be parsed, and why something may not: length is looked at first."""
    if not all(isinstance(value, str) for value in values):  # pyright: ignore[reportUnnecessaryIsInstance] - a getter may give bytes
        return None, MALFORMED
    size = sum(len(value) for value in values) + len(values) - 1
    longest, most = _LIMITS.get(key, (_MAX_OTHER, 0))
    if size > longest:
        return None, TOO_LONG
    if any(_UNSAFE.search(value) for value in values):
        return None, UNSAFE
    if key == _FIELD_TRACEPARENT:
        is_good = len(values) == 1 and _TRACEPARENT.fullmatch(values[0]) is not None
        return (values, None) if is_good else (None, MALFORMED)
    return _acceptable_members(key, values, most) if most else (values, None)


def _acceptable_members(key: str, values: list[str], most: int) -> tuple[list[str] | None, str | None]:
    """Of `tracestate` all or nothing, of baggage those members that can be read."""
    members = [member for value in values for member in value.split(",") if member.strip(" \t")]
    if len(members) > most:
        return None, TOO_MANY
    pattern = _TRACESTATE_MEMBER if key == _FIELD_TRACESTATE else _BAGGAGE_MEMBER
    good = [member for member in members if pattern.fullmatch(member)]
    refused = MALFORMED if len(good) < len(members) else None
    if key == _FIELD_TRACESTATE:
        return (None if refused else values), refused
    return ([",".join(good)] if good else None), refused


_FIELD_TRACEPARENT: Final = "traceparent"
_FIELD_TRACESTATE: Final = "tracestate"
_LIMITS: Final = {
    _FIELD_TRACEPARENT: (_MAX_TRACEPARENT, 0),
    _FIELD_TRACESTATE: (_MAX_TRACESTATE, _MAX_TRACESTATE_MEMBERS),
    "baggage": (_MAX_BAGGAGE, _MAX_BAGGAGE_MEMBERS),
}
"""Characters and members of a field."""


_SHOWN: Final = 32
_QUIET_S: Final = 60.0
_told_at: Final[dict[str, float]] = {}


def _ignore(reason: str, key: str, values: list[str]) -> None:
    """Count it, and once a minute for each reason say so: length and 32 escaped characters, never all."""
    _TALLY.add(reason)
    now = time.monotonic()
    if now - _told_at.get(reason, -_QUIET_S) < _QUIET_S:
        return
    _told_at[reason] = now
    size = sum(len(value) for value in values)
    diagnostics.warning(
        "incoming %s ignored (%s): %d characters, beginning %s",
        key[:_SHOWN],
        reason,
        size,
        ascii(values[0][:_SHOWN]),
    )


def _parts_of(propagator: TextMapPropagator) -> tuple[TextMapPropagator, ...]:
    if type(propagator) is CompositePropagator:
        return tuple(propagator._propagators)  # noqa: SLF001 - a part that raises shall not take the others along
    return (propagator,)


def _fields_of(propagator: TextMapPropagator) -> set[str]:
    return {name.lower() for name in propagator.fields}


def _extracted(
    part: TextMapPropagator, carrier: Any, context: Context | None, getter: Getter[Any]
) -> Context:
    return part.extract(carrier, context, getter)


def withdraw_from(carrier: object, host: str) -> None:
    """As `GuardedPropagator.withdraw`, by whatever is installed now."""
    propagator = propagate.get_global_textmap()
    if isinstance(propagator, GuardedPropagator):
        propagator.withdraw(carrier, host)


_redirects: Final = RedirectWatch(withdraw_from)


def install(rules: PropagationRules | None = None) -> GuardedPropagator:
    """Put the rules around the propagator that is configured, which becomes the global one.

    `OTEL_PROPAGATORS` was read when `opentelemetry.propagate` was imported; what has been chosen since, by
    code or by a declarative file, counts too. Installing again replaces the rules. A propagator that someone
    sets globally afterwards is not behind them: `is_installed` tells. Clients that follow redirects are
    watched from now on (`tickspan.instrumentation.redirects`).
    """
    if not _redirects.is_instrumented_by_opentelemetry:
        _redirects.instrument()
    guarded = GuardedPropagator(_bare(propagate.get_global_textmap()), rules)
    propagate.set_global_textmap(guarded)
    return guarded


def uninstall() -> None:
    """Make the user's propagator the global one again, and leave the clients alone."""
    if _redirects.is_instrumented_by_opentelemetry:
        _redirects.uninstrument()
    propagate.set_global_textmap(_bare(propagate.get_global_textmap()))


def is_installed() -> bool:
    """Whether the global propagator is behind the rules."""
    return isinstance(propagate.get_global_textmap(), GuardedPropagator)


def _bare(propagator: TextMapPropagator) -> TextMapPropagator:
    return propagator.wrapped if isinstance(propagator, GuardedPropagator) else propagator
