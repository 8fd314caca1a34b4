"""One connection of an event loop to Redis, over which many wait at once: replies come in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable, Generator, Mapping
from itertools import islice
from typing import Any, Final, cast

from tickspan.cache.remote.libraries import async_connections, errors, hiredis, pack
from tickspan.cache.remote.replies import again, is_about_us, reply_error
from tickspan.cache.remote.settings import Place, RemoteSettings, connection_arguments, keepalive_options

__all__ = ["Wire", "abandon", "open_wire", "tls_context"]

_MORE: Final = object()
_LATE_SHARE: Final = 0.25
_SECOND_LOOK_S: Final = 0.002
_HELD_BYTES: Final = 32 * 1024 * 1024
"""Of commands that a connection does not take at the moment; beyond it is as gone."""


class Wire(asyncio.Protocol):
    """Commands leave together at the end of the loop's turn; replies resolve futures by their position.

    A reply whose caller was cancelled or has timed out is dropped at its position. When nothing at all has
    been heard for two timeouts the connection is given up and everybody's future fails.

    Only for the thread of its loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        timeout_s: float,
        on_push: Callable[[Any], None] | None = None,
        on_lost: Callable[[Wire], None] | None = None,
    ) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._on_push = on_push
        self.on_lost = on_lost
        """Called once, when it is of no use any more."""
        self._reader = hiredis.Reader(
            protocolError=errors.InvalidResponse, replyError=reply_error, notEnoughData=_MORE
        )
        self._make_future = loop.create_future
        self._transport: asyncio.Transport | None = None
        self._is_paused = False
        self.pending: deque[asyncio.Future[Any]] = deque()
        """Everybody who waits for a reply, in the order in which replies come."""
        self._out: list[bytes] = []
        self._begun_s = 0.0
        """When the oldest command in `_out` came."""
        self._turns: deque[tuple[float, int]] = deque()
        """For each write that is not answered whole: when it began, and the number of its last reply."""
        self._answered = 0
        self._overdue = 0
        """Up to which reply those who waited have been told that it is late."""
        self._overdue_since_s = 0.0
        self._heard_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_second_look = False
        self.is_resp3 = False
        """Whether the server may push."""
        self.error: BaseException | None = None
        """Why it is of no use any more."""

    def __repr__(self) -> str:
        state = "lost" if self.error is not None else f"{len(self.pending)} pending"
        return f"<Wire {state}>"

    @property
    def heard_s(self) -> float:
        """When anything came last, on the loop's clock."""
        return self._heard_s

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """Send a packed command; the future has its reply, or the server's error, or why there is none."""
        future = self._make_future()
        self.pending.append(future)
        if self._out:
            self._out.append(packed)
        else:
            self._begin(packed)
        return future

    def take(self, packed: bytes, future: asyncio.Future[Any]) -> None:
        """As `send`, for somebody who waits already."""
        self.pending.append(future)
        if self._out:
            self._out.append(packed)
        else:
            self._begin(packed)

    def give_up(self, error: BaseException) -> None:
        """Fail everybody and drop the connection."""
        transport = self._transport
        self._end(error)
        if transport is not None:
            transport.abort()

    def leave(self) -> None:
        """Close the connection; who still waits is told so. The loop closes the socket in its next turn."""
        self.give_up(errors.ConnectionError("closed"))

    def abandon(self) -> None:
        """Drop the socket without the loop, which is closed or not ours."""
        transport, self._transport = self._transport, None
        self.error = self.error or errors.ConnectionError("abandoned")
        self.pending.clear()
        if transport is not None:
            abandon(transport)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by class
        self._heard_s = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Resolve whom the bytes answer."""
        reader, pending = self._reader, self.pending
        answered = 0
        try:
            reader.feed(data)
            while True:
                reply = reader.gets()
                if reply.__class__ is not bytes and reply is not None:
                    if reply is _MORE:
                        break
                    if isinstance(reply, hiredis.PushNotification):
                        if self._on_push is not None:
                            self._on_push(reply)
                        continue
                    if isinstance(reply, Exception):
                        future = pending.popleft()
                        answered += 1
                        if not future.done():
                            future.set_exception(reply)
                        continue
                future = pending.popleft()
                answered += 1
                if not future.done():
                    future.set_result(reply)
        except (errors.InvalidResponse, IndexError) as error:  # IndexError: a reply that nobody asked for
            self.give_up(again(error))
            return
        self._note(answered)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail everybody who waits."""
        self._end(errors.ConnectionError("Connection closed by server.") if exc is None else exc)

    def pause_writing(self) -> None:
        """The system takes no more at the moment."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """It does again."""
        self._is_paused = False
        self._flush()

    # Deciding.

    def _begin(self, packed: bytes) -> None:
        if self.error is not None:
            self._fail_all(self.error)
            return
        self._out.append(packed)
        self._begun_s = self._loop.time()
        self._loop.call_soon(self._flush)
        if self._timer is None:
            self._timer = self._loop.call_at(self._begun_s + self._timeout_s, self._look)

    def _flush(self) -> None:
        out, transport = self._out, self._transport
        if not out or transport is None:
            return
        if self._is_paused:
            return
        self._out = []
        self._turns.append((self._begun_s, self._answered + len(self.pending)))
        transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _note(self, answered: int) -> None:
        self._heard_s = self._loop.time()
        if not answered:
            return
        self._answered = done = self._answered + answered
        turns = self._turns
        while turns and turns[0][1] <= done:
            turns.popleft()

    def _look(self) -> None:
        """Who has waited too long is told; the timer runs once a timeout, not once a command."""
        timer, self._timer = self._timer, None
        now_s = self._loop.time()
        if not self.pending or self.error is not None:
            return
        assert timer is not None
        if now_s - timer.when() > _LATE_SHARE * self._timeout_s and not self._is_second_look:
            # The loop was busy with something else: what has arrived meanwhile is to be read first.
            self._is_second_look = True
            self._timer = self._loop.call_later(_SECOND_LOOK_S, self._look)
            return
        self._is_second_look = False
        self._tell_the_overdue(now_s)
        if self._is_silent(now_s):
            self.give_up(errors.TimeoutError("Redis was silent for two timeouts"))
            return
        if self._is_paused and sum(map(len, self._out)) > _HELD_BYTES:
            self.give_up(errors.ConnectionError("Redis takes no more data"))
            return
        self._timer = self._loop.call_at(self._next_look_s(now_s), self._look)

    def _tell_the_overdue(self, now_s: float) -> None:
        latest_s = now_s - self._timeout_s
        upto = 0
        if self._overdue <= self._answered:
            self._overdue_since_s = 0.0
        while self._turns and self._turns[0][0] <= latest_s:
            begun_s, upto = self._turns.popleft()
            self._overdue_since_s = self._overdue_since_s or begun_s
        if self._out and self._begun_s <= latest_s:  # held back, as the system takes no more
            upto = self._answered + len(self.pending)
            self._overdue_since_s = self._overdue_since_s or self._begun_s
        if upto:
            self._overdue = upto
            for future in tuple(islice(self.pending, upto - self._answered)):
                if not future.done():
                    future.set_exception(errors.TimeoutError("Timeout reading from Redis"))

    def _is_silent(self, now_s: float) -> bool:
        return self._overdue > self._answered and now_s >= self._silent_at_s()

    def _silent_at_s(self) -> float:
        return max(self._heard_s, self._overdue_since_s) + 2 * self._timeout_s

    def _next_look_s(self, now_s: float) -> float:
        looks: list[float] = []
        if self._turns:
            looks.append(self._turns[0][0] + self._timeout_s)
        elif self._out and self._begun_s > now_s - self._timeout_s:
            looks.append(self._begun_s + self._timeout_s)
        if self._overdue > self._answered:
            looks.append(self._silent_at_s())
        return min(looks, default=now_s + self._timeout_s)

    def _end(self, error: BaseException) -> None:
        if self.error is not None:
            return
        self.error = error
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._out.clear()
        self._fail_all(error)
        if self.on_lost is not None:
            self.on_lost(self)

    def _fail_all(self, error: BaseException) -> None:
        while self.pending:
            future = self.pending.popleft()
            if not future.done():
                future.set_exception(again(error))


async def open_wire(
    place: Place, settings: RemoteSettings, make: Callable[[asyncio.AbstractEventLoop], Wire]
) -> Wire:
    """A connection on which we are logged in, at the primary that the sentinels name where there are some.

    Raises:
        errors.RedisError: it was refused by the server.
        OSError: it could not be made; `TimeoutError` not in time.
    """
    async with asyncio.timeout(settings.connect_timeout_s):
        if place.service is None:
            return await _open(place, settings, make)
        found = place.at(*await _primary(place, settings))
        wire = await _open(found, settings, make)
        with _closing(wire):
            role = await wire.send(pack(("ROLE",)))
            if not (isinstance(role, list) and role and role[0] == b"master"):
                raise errors.ReadOnlyError("the sentinels name a server that is not a primary yet")
        return wire


async def _open(
    place: Place, settings: RemoteSettings, make: Callable[[asyncio.AbstractEventLoop], Wire]
) -> Wire:
    loop = asyncio.get_running_loop()
    if place.path is not None:
        _, wire = await loop.create_unix_connection(lambda: make(loop), place.path, ssl=None)
    else:
        context = tls_context(place, settings)
        name = place.host if context is not None else None
        transport, wire = await loop.create_connection(
            lambda: make(loop), place.host, place.port, ssl=context, server_hostname=name
        )
        _keep_alive(transport.get_extra_info("socket"))
    with _closing(wire):
        try:
            await _greet(wire, place)
        except errors.ResponseError as error:
            if is_about_us(error):
                raise
            raise errors.ConnectionError(str(error)) from error
    return wire


async def _primary(place: Place, settings: RemoteSettings) -> tuple[str, int]:
    """Where the first sentinel that answers says the primary is."""
    error: BaseException = errors.ConnectionError("no sentinel answers")
    for host, port in place.sentinels:
        sentinel = Place(
            host,
            port,
            tls=place.tls,
            username=place.sentinel_username,
            password=place.sentinel_password,
            options=place.options,
        )
        try:
            # None may take all the time: the next one is to be asked too.
            async with asyncio.timeout(settings.connect_timeout_s / len(place.sentinels)):
                found = await _ask_sentinel(sentinel, settings, place.service)
        except (OSError, errors.RedisError) as problem:
            error = problem
            continue
        if found is not None:
            return found
    raise again(error)


async def _ask_sentinel(
    sentinel: Place, settings: RemoteSettings, service: str | None
) -> tuple[str, int] | None:
    wire = await _open(sentinel, settings, lambda loop: Wire(loop, timeout_s=settings.connect_timeout_s))
    try:
        answer = await wire.send(pack(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", str(service))))
    finally:
        wire.leave()
    return None if answer is None else (answer[0].decode(), int(answer[1]))


async def _greet(wire: Wire, place: Place) -> None:
    """Log in, in RESP3 where the server knows it."""
    login = await _login(place)
    user = ("AUTH", login[0] or "default", login[1]) if login else ()
    wanted = int(place.options.get("protocol", 3))
    try:
        if wanted == 3:  # noqa: PLR2004 - RESP3
            await wire.send(pack(("HELLO", "3", *user)))
            wire.is_resp3 = True
        elif login:
            await _authenticate(wire, login)
    except errors.ResponseError as error:
        if not _knows_no_hello(error):
            raise
        if login:
            await _authenticate(wire, login)
    name = place.options.get("client_name")
    if name is not None:
        await wire.send(pack(("CLIENT", "SETNAME", name)))
    if place.db:
        await wire.send(pack(("SELECT", place.db)))


async def _authenticate(wire: Wire, login: tuple[str, str]) -> None:
    username, password = login
    await wire.send(pack(("AUTH", username, password) if username else ("AUTH", password)))


async def _login(place: Place) -> tuple[str, str] | None:
    """User name, or "", and password."""
    provider = place.credential_provider
    if provider is not None:
        *user, password = await provider.get_credentials_async()
        return (user[0] if user else ""), password
    if place.username or place.password:
        return place.username or "", place.password or ""
    return None


def _knows_no_hello(error: BaseException) -> bool:
    text = str(error).lower()
    return "unknown command" in text or "noproto" in text


def tls_context(place: Place, settings: RemoteSettings) -> ssl.SSLContext | None:
    """What `rediss://` and its options mean, as redis-py reads them."""
    if not place.tls:
        return None
    arguments: Mapping[str, Any] = connection_arguments(place, settings)
    context = async_connections.SSLConnection(**arguments).ssl_context.get()
    assert isinstance(context, ssl.SSLContext)
    return context


def _keep_alive(sock: Any) -> None:
    with contextlib.suppress(
        OSError, AttributeError
    ):  # what a loop of another make hands out may not have it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in keepalive_options().items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


@contextlib.contextmanager
def _closing(wire: Wire) -> Generator[None]:
    """Drop the connection if what is done with it fails."""
    try:
        yield
    except BaseException as error:
        wire.give_up(error)
        raise


def abandon(transport: Any) -> None:
    """Close the socket of a transport whose loop cannot do it: asyncio has no way for that."""
    inner = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    if inner is not None:
        transport._closed = True  # noqa: SLF001 - it would warn of being unclosed
        transport = inner
    sock = getattr(transport, "_sock", None)
    if sock is not None:
        sock.close()
        transport._sock, transport._closing = None, True  # noqa: SLF001 - the same
