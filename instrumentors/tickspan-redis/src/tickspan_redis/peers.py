"""Which node a connection leads to: known only while a command is being sent."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Span, get_current_span
from tickspan.instrumentation import Attributes, Workbench
from tickspan.semconv.common import NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT


def noting_the_peer(original: Any, bench: Workbench) -> Any:
    """`send_packed_command` that tells the operation under way which node it has gone to.

    A connection connects within that call, so the peer is read after it. Where an operation goes to several
    nodes of a cluster, the last one stands.
    """
    guard = bench.guard("peer")

    def note(connection: Any) -> None:
        span = get_current_span()
        if bench.is_active and span.is_recording() and scope_of(span) == bench.name:
            span.set_attributes(dict[str, Any](peer_of(connection)))

    return _after(original, lambda connection: guard.own(note, connection, default=None))


def scope_of(span: Span) -> str | None:
    """The name of the instrumentation that has started `span`; None for one that is not recorded."""
    return getattr(getattr(span, "instrumentation_scope", None), "name", None)


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


def _after(original: Any, act: Callable[[Any], None]) -> Any:
    """The method `original`, sync or async, with `act(self)` after each call that did not raise."""
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def send_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = await original(self, *args, **kwargs)
            act(self)
            return result

        return send_async

    @functools.wraps(original)
    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        act(self)
        return result

    return send
