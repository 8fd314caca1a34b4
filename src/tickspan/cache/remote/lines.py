"""Lines: connections of blocking callers to one primary, each of one caller at a time."""

from __future__ import annotations

import select
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final

from tickspan.cache.remote.libraries import errors, hiredis
from tickspan.cache.remote.replies import NoConnectionFreeError, reply_error
from tickspan.instrumentation.forks import renew_after_fork

__all__ = ["Line", "Lines"]

_MORE: Final = object()
_READ_BYTES: Final = 65_536


class Line:
    """A connection that redis-py has made and greeted, and on which we speak by ourselves.

    Commands go out as bytes and replies come in past redis-py, whose way there costs more than all else of a
    read. The socket's own timeout holds. What ends with an exception is of no use any more.
    """

    __slots__ = ("_connection", "_poll", "_reader", "_socket", "era")

    def __init__(self, connection: Any, era: int = 0) -> None:
        self.era = era
        """Which `renounce` it has outlived."""
        self._connection = connection
        self._socket: Any = connection._sock  # noqa: SLF001 - it has no other name in redis-py
        self._reader = hiredis.Reader(
            protocolError=errors.InvalidResponse, replyError=reply_error, notEnoughData=_MORE
        )
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        self._poll = poller.poll

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that nobody asked for, such as its end."""
        return not self._poll(0)

    def ask(self, packed: bytes, count: int) -> list[Any]:
        """Send commands, wait for so many replies; errors that mean a command stand in their places.

        Raises:
            errors.RedisError: the connection or the server is of no use.
        """
        try:
            self._socket.sendall(packed)
            return [self._reply() for _ in range(count)]
        except TimeoutError as error:
            raise errors.TimeoutError("Timeout talking to Redis") from error
        except OSError as error:
            raise errors.ConnectionError(f"{type(error).__name__} while talking to Redis") from error

    def close(self) -> None:
        """Give it back to the system."""
        self._connection.disconnect()

    def _reply(self) -> Any:
        reader = self._reader
        reply = reader.gets()
        while reply is _MORE or isinstance(reply, hiredis.PushNotification):
            if reply is _MORE:
                data = self._socket.recv(_READ_BYTES)
                if not data:
                    raise errors.ConnectionError("Connection closed by server.")
                reader.feed(data)
            reply = reader.gets()
        if isinstance(reply, errors.RedisError) and not isinstance(reply, errors.ResponseError):
            raise reply
        return reply


def _close_all(lines: Iterable[Line]) -> None:
    for line in lines:
        line.close()


class Lines:
    """Up to `limit` lines, made as they are needed; the one that was used last is used next.

    Safe for any thread; a forked child makes its own.

    Args:
        connect: makes a connection of redis-py that is greeted.
        limit: of lines at one time.
    """

    def __init__(self, connect: Callable[[], Any], limit: int) -> None:
        self._connect = connect
        self._limit = limit
        self._era = 0
        self._is_closed = False
        self._renew()
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Lines {len(self._idle)} idle, {self._made}/{self._limit} made>"

    def ask(self, packed: bytes, count: int) -> list[Any]:
        """As `Line.ask`, on one that is free. Raises `NoConnectionFreeError` when none is."""
        line = self.take()
        try:
            replies = line.ask(packed, count)
        except BaseException:
            self.drop(line)  # replies are still to come, and nobody else may read them
            raise
        if any(isinstance(reply, errors.ReadOnlyError) for reply in replies):
            self.renounce()
        self.give_back(line)
        return replies

    def take(self) -> Line:
        """One for the caller alone, who gives it back or drops it. Raises as `ask`, and as `connect`."""
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                return self._new()
            if line.is_quiet:
                return line
            self.drop(line)

    def give_back(self, line: Line) -> None:
        """Whoever comes next may have it."""
        if line.era != self._era:
            self.drop(line)
            return
        self._idle.append(line)
        if self._is_closed or line.era != self._era:
            self._drop_idle()

    def drop(self, line: Line) -> None:
        """It is of no use any more."""
        with self._lock:
            self._made -= 1
        line.close()

    def renounce(self) -> None:
        """All lines of now lead to a server that is not the primary any more."""
        self._era += 1
        self._drop_idle()

    def close(self) -> None:
        """Close those that are idle now, and the others as they are given back."""
        self._is_closed = True
        self._drop_idle()

    def after_fork_in_child(self) -> None:
        """The parent's sockets are its own: they go without a word."""
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Line] = []
        self._made = 0
        weakref.finalize(self, _close_all, self._idle).atexit = False

    def _new(self) -> Line:
        with self._lock:
            if self._made >= self._limit:
                raise NoConnectionFreeError(f"all {self._limit} connections are used")
            self._made += 1
        try:
            connection = self._connect()
            return Line(connection, self._era)
        except BaseException:
            with self._lock:
                self._made -= 1
            raise

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                line = self._idle.pop()
            except IndexError:  # somebody else was faster
                return
            self.drop(line)
