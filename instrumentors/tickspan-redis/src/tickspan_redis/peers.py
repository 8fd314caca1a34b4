"""Which node a connection leads to: known only while a command is being sent."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Final
from weakref import ref

from opentelemetry.trace import Span
from tickspan.instrumentation import Attributes, Workbench
from tickspan.instrumentation.current import SPAN_KEY, current_context
from tickspan.semconv.common import NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT


def noting_the_peer(original: Any, bench: Workbench) -> Any:
    """`send_packed_command` that tells the operation under way which node it has gone to.

    A connection connects within that call, so the peer is read after it. Where an operation goes to several
    nodes of a cluster, the last one stands.
    """
    guard = bench.guard("peer")

    recorder, scope = bench.recorder, bench.name

    def note(connection: Any, span: Any) -> None:
        maker = getattr(span, "recorder", None)
        is_ours = maker is recorder if recorder is not None else scope_of(span) == scope
        if is_ours and bench.is_active and span.is_recording():
            peer = known_peer_of(connection)
            if peer:
                span.set_attributes(peer)

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def send_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = await original(self, *args, **kwargs)
            span = current_context().get(SPAN_KEY)
            if span is not None:
                guard.own(note, self, span, default=None)
            return result

        return send_async

    @functools.wraps(original)
    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        span = current_context().get(SPAN_KEY)
        if span is not None:
            guard.own(note, self, span, default=None)
        return result

    return send


def scope_of(span: Span) -> str | None:
    """The name of the instrumentation that has started `span`; None for one that is not recorded."""
    return getattr(getattr(span, "instrumentation_scope", None), "name", None)


_PEER: Final = "_tickspan_redis_peer"
"""Where a connection's peer is noted, with its socket."""


def known_peer_of(connection: Any) -> dict[str, Any]:
    """As `peer_of`; an open socket is asked once."""
    socket = getattr(connection, "_sock", None) or getattr(connection, "_writer", None)
    known = connection.__dict__.get(_PEER)
    if known is not None and known[0]() is socket:
        return known[1]
    peer = dict[str, Any](peer_of(connection))
    if peer and socket is not None:
        connection.__dict__[_PEER] = (ref(socket), peer)
    return peer


def peer_of(connection: Any) -> Attributes:
    """The other end of an open connection; nothing for one that is closed, or has no socket."""
    try:
        peer = _peer_name(connection)
    except OSError:
        return {}
    if isinstance(peer, tuple):
        return {NETWORK_PEER_ADDRESS: str(peer[0]), NETWORK_PEER_PORT: int(peer[1])}
    return {NETWORK_PEER_ADDRESS: peer} if isinstance(peer, str) and peer else {}


def _peer_name(connection: Any) -> Any:
    """An address and port, a path of a Unix socket, or None; stand-ins for a server have neither."""
    ask_stream = getattr(getattr(connection, "_writer", None), "get_extra_info", None)
    if ask_stream is not None:
        return ask_stream("peername")
    ask_socket = getattr(getattr(connection, "_sock", None), "getpeername", None)
    return None if ask_socket is None else ask_socket()
