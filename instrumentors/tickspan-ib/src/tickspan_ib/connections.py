"""Connections to TWS: opened, lost, closed, and how many messages they may take."""

from __future__ import annotations

import functools
from typing import Any, Final

from tickspan.instrumentation import Workbench
from tickspan.trading import limits_of
from tickspan.trading.detachment import detached_context

from tickspan_ib.describe import place_of
from tickspan_ib.sessions import sessions_of
from tickspan_ib.venue import VENUE, Meaning, meaning_of

MESSAGES: Final = "messages"
"""The budget of messages to TWS."""


def connecting(original: Any, bench: Workbench, library: str) -> Any:
    """`Client.connectAsync(…)`: when it returns, TWS has named the account."""
    sessions, guard = sessions_of(bench), bench.guard("Client.connectAsync")

    def note(client: Any) -> None:
        sessions.of(library, client).streams.connected(client.wrapper)

    @functools.wraps(original)
    async def connect_async(client: Any, *args: Any, **kwargs: Any) -> Any:
        result = await original(client, *args, **kwargs)
        if bench.is_active:
            guard.own(note, client, default=None)
        return result

    return connect_async


def disconnecting(original: Any, bench: Workbench) -> Any:
    """`Client.disconnect()`: the program wants no more; what stands in the queue is thrown away."""
    sessions, guard = sessions_of(bench), bench.guard("Client.disconnect")

    def note(client: Any) -> None:
        session = sessions.known(client)
        if session is not None:
            session.lost()
            session.streams.closed()

    @functools.wraps(original)
    def disconnect(client: Any) -> Any:
        if bench.is_active:
            guard.own(note, client, default=None)
        return original(client)

    return disconnect


def losing(original: Any, bench: Workbench) -> Any:
    """`Wrapper.connectionClosed()`: the socket has broken."""
    sessions, guard = sessions_of(bench), bench.guard("Wrapper.connectionClosed")

    def note(wrapper: Any) -> None:
        session = sessions.known(wrapper.ib.client)
        if session is not None:
            session.lost()
            session.streams.interrupted(ConnectionError("the connection to TWS has broken"))

    @functools.wraps(original)
    def connection_closed(wrapper: Any) -> Any:
        if bench.is_active:
            guard.own(note, wrapper, default=None)
        return original(wrapper)

    return connection_closed


def queueing(original: Any, bench: Workbench, library: str) -> Any:
    """`Client.sendMsg(msg)`: sends what the library's own limit allows, and comes back for the rest.

    It comes back in a copy of the context of whoever was sending then: none of the others' business.
    """
    sessions, limits = sessions_of(bench), limits_of(bench)
    guard = bench.guard("Client.sendMsg")

    def note(client: Any) -> None:
        if client.MaxRequests and sessions.known(client) is not None:
            limits.used(
                VENUE,
                MESSAGES,
                f"{client.RequestsInterval:g}s",
                used=len(client._timeQ),  # noqa: SLF001 - its count has no public name
                limit=client.MaxRequests,
                reset_in_s=client.RequestsInterval,
                is_estimate=True,
                library=library,
                environment=place_of(library, client.wrapper).environment,
            )

    @functools.wraps(original)
    def send_msg(client: Any, msg: Any) -> Any:
        if not bench.is_active:
            return original(client, msg)
        result = original(client, msg) if msg else detached_context().run(original, client, msg)
        guard.own(note, client, default=None)
        return result

    return send_msg


def warning(original: Any, bench: Workbench, library: str) -> Any:
    """`Wrapper.error(…)`, where it is about the connection: IB lost and found again, too many messages."""
    sessions, limits, guard = sessions_of(bench), limits_of(bench), bench.guard("Wrapper.error")

    def note(wrapper: Any, code: int, text: str) -> None:
        meaning = meaning_of(code, text)
        if meaning is Meaning.RATE_LIMIT:
            environment = place_of(library, wrapper).environment
            limits.refused(VENUE, MESSAGES, library=library, environment=environment)
            return
        session = sessions.known(wrapper.ib.client)
        if session is not None and meaning is Meaning.LOST:
            session.streams.interrupted()
        elif session is not None and meaning is Meaning.RESTORED:
            session.streams.resumed()

    @functools.wraps(original)
    def error(wrapper: Any, *args: Any, **kwargs: Any) -> Any:
        if bench.is_active:
            guard.own(note, wrapper, args[1], args[2], default=None)
        return original(wrapper, *args, **kwargs)

    return error
