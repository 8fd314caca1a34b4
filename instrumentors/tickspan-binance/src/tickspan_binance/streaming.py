"""How the functions that carry messages are wrapped: connect, handle, deliver, call back, close."""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from typing import Any, Final

from tickspan.instrumentation import Workbench
from tickspan.trading import detaching, orders_of, quiet, set_current_tick, tick_scope

from tickspan_binance.feeds import Lines, lines_of

_LISTENS: Final = "_tickspan_listens"
"""An attribute of a connection's method that listens already."""
_HEARTBEATS: Final = frozenset({"PING", "PONG"})


def owning(original: Any, bench: Workbench) -> Any:
    """`BinanceSocketManager._get_socket`: for whom the socket works."""
    lines, guard = lines_of(bench), bench.guard("_get_socket")

    @functools.wraps(original)
    def get_socket(manager: Any, *args: Any, **kwargs: Any) -> Any:
        socket = original(manager, *args, **kwargs)
        if bench.is_active:
            guard.own(lambda: lines.owned(socket, manager._client), default=None)  # noqa: SLF001 - it has no public name
        return socket

    return get_socket


def connecting(original: Any, bench: Workbench) -> Any:
    """`connect`: each attempt is a span, and the handshake carries nothing of ours."""
    lines, guard = lines_of(bench), bench.guard("connect")

    @functools.wraps(original)
    async def connect(socket: Any) -> Any:
        if not bench.is_active:
            return await original(socket)
        attempt = guard.own(lines.connecting, socket, default=None)
        try:
            with quiet():
                result = await original(socket)
        except BaseException as error:
            if attempt is not None:
                guard.own(attempt.failed, error, default=None)
            raise
        guard.own(_listen, lines, bench, socket, default=None)
        if attempt is not None:
            guard.own(attempt.succeeded, default=None)
        return result

    return connect


def _listen(lines: Lines, bench: Workbench, socket: Any) -> None:
    """Hear the pings of a connection that may be silent for long, by an attribute of that one connection."""
    connection: Any = getattr(socket, "ws", None)
    process = getattr(connection, "process_event", None)
    if process is None or hasattr(process, _LISTENS) or not lines.is_private(socket):
        return
    guard, held = bench.guard("heartbeat"), weakref.ref(socket)

    @functools.wraps(process)
    def process_event(event: Any) -> Any:
        heard = held()
        if bench.is_active and heard is not None and _is_heartbeat(event):
            guard.own(lines.heard, heard, default=None)
        return process(event)

    setattr(process_event, _LISTENS, True)
    connection.process_event = process_event


def _is_heartbeat(event: Any) -> bool:
    opcode = getattr(event, "opcode", None)
    return getattr(opcode, "name", None) in _HEARTBEATS


def closing(original: Any, bench: Workbench) -> Any:
    """`__aexit__`: from now on silence is no fault."""
    lines, guard = lines_of(bench), bench.guard("__aexit__")

    @functools.wraps(original)
    async def aexit(socket: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(socket, *args, **kwargs)
        finally:
            if bench.is_active:
                guard.own(lines.closed, socket, default=None)

    return aexit


def handling(original: Any, bench: Workbench) -> Any:
    """`_handle_message`: its start is the receipt, its result is what is put on a queue, or an envelope."""
    lines, guard, clock = lines_of(bench), bench.guard("_handle_message"), orders_of(bench).clock

    @functools.wraps(original)
    def handle_message(socket: Any, evt: Any) -> Any:
        if not bench.is_active:
            return original(socket, evt)
        received_ns = clock.monotonic_ns()
        message = original(socket, evt)
        if message:
            guard.own(lines.received, socket, message, received_ns, len(evt), default=None)
        return message

    return handle_message


def ending(original: Any, bench: Workbench) -> Any:
    """`_propagate_error`: the read loop has caught an exception, and is about to end or to connect again."""
    lines, guard = lines_of(bench), bench.guard("_propagate_error")

    @functools.wraps(original)
    async def propagate_error(socket: Any, error_msg: Any) -> Any:
        error = sys.exc_info()[1]  # the caller's: the message has only its words
        if bench.is_active and error is not None:
            guard.own(lines.ended, socket, error, default=None)
        return await original(socket, error_msg)

    return propagate_error


def delivering(original: Any, bench: Workbench) -> Any:
    """`recv` of a socket: the consumer goes on with a message."""
    lines, guard = lines_of(bench), bench.guard("recv")

    @functools.wraps(original)
    async def recv(socket: Any) -> Any:
        message = await original(socket)
        if bench.is_active:
            guard.own(lines.delivered, socket, message, default=None)
        return message

    return recv


def redelivering(original: Any, bench: Workbench) -> Any:
    """`recv` of a depth cache: it has read a socket in a task of its own and hands on the book."""
    lines, guard = lines_of(bench), bench.guard("DepthCacheManager.recv")

    @functools.wraps(original)
    async def recv(consumer: Any) -> Any:
        book = await original(consumer)
        if bench.is_active:
            guard.own(lines.redelivered, consumer, book, default=None)
        return book

    return recv


def calling_back(original: Any, bench: Workbench) -> Any:
    """`ThreadedApiManager.start_listener`: a loop of its own, that calls back with each message."""

    @functools.wraps(original)
    async def start_listener(manager: Any, socket: Any, path: Any, callback: Any) -> Any:
        told = _told(callback, socket, bench) if bench.is_active else callback
        return await original(manager, socket, path, told)

    return detaching(start_listener, bench)


def _told(callback: Any, socket: Any, bench: Workbench) -> Any:
    """`callback`, of the same kind, with its message as the tick while it runs."""
    lines, guard = lines_of(bench), bench.guard("callback")

    def failed(error: BaseException) -> None:
        if bench.is_active:
            guard.own(lines.failed, socket, error, default=None)

    def tick_of(message: Any) -> Any:
        return guard.own(lines.tick_of, socket, message, default=None) if bench.is_active else None

    if inspect.iscoroutinefunction(callback):

        @functools.wraps(callback)
        async def call_async(message: Any) -> Any:
            set_current_tick(tick_of(message))  # in the task that was made for this call
            try:
                return await callback(message)
            except BaseException as error:
                failed(error)
                raise

        return call_async

    @functools.wraps(callback)
    def call(message: Any) -> Any:
        with tick_scope(tick_of(message)):
            try:
                return callback(message)
            except BaseException as error:
                failed(error)
                raise

    return call
