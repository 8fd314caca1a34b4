"""Deadline: one total per request, kept by the sockets themselves.

A socket's timeout starts again with every byte, so a server that drips one byte a second holds a request for
hours. Here each read and each write gets the time that is left of the request, and none when it is over: no
thread has to watch.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, ClassVar


class Countdown:
    """The time left of the request that a channel is at; started anew for each."""

    __slots__ = ("_clock", "_ends_at_s", "_timeout_s")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._timeout_s = 0.0
        self._ends_at_s = 0.0

    def start(self, timeout_s: float) -> None:
        """A new request."""
        self._timeout_s = timeout_s
        self._ends_at_s = self._clock() + timeout_s

    def left_s(self) -> float:
        """Seconds, more than 0.

        Raises:
            TimeoutError: none are left.
        """
        left_s = self._ends_at_s - self._clock()
        if left_s <= 0:
            raise TimeoutError(self.overrun)
        return left_s

    @property
    def overrun(self) -> str:
        """What happened when the time is over."""
        return f"no complete answer within {self._timeout_s:g} s"


class DeadlineSocket(socket.socket):
    """A plain socket that keeps the deadline of `countdown` where `http.client` reads and writes."""

    countdown: Countdown

    def recv_into(self, *args: Any, **options: Any) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Read within what is left."""
        self.settimeout(self.countdown.left_s())
        return super().recv_into(*args, **options)

    def sendall(self, *args: Any, **options: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Write within what is left."""
        self.settimeout(self.countdown.left_s())  # a total for the whole of it, since Python 3.5
        super().sendall(*args, **options)


class DeadlineTlsSocket(ssl.SSLSocket):
    """The same over TLS. Made by a context, so each channel has its own subclass with its countdown."""

    countdown: ClassVar[Countdown]

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands within what is left."""
        self.settimeout(self.countdown.left_s())
        super().do_handshake(block)

    def recv_into(self, *args: Any, **options: Any) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Read within what is left."""
        self.settimeout(self.countdown.left_s())
        return super().recv_into(*args, **options)

    def send(self, *args: Any, **options: Any) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Write a part, within what is left; `sendall` is a loop of these."""
        self.settimeout(self.countdown.left_s())
        return super().send(*args, **options)
